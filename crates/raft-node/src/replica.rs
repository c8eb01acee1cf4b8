//! What a program needs of its node, however that is driven.

use raftian_raft::{
    Change, Command, Moment, NodeId, ReadAnswer, ReadId, Refused, RequestError, StateHash,
    TakenSnapshot,
};

use crate::driver::Committed;
use crate::view::NodeView;

/// A member of the cluster as the program above it sees it: commands go in, committed entries come
/// out.
///
/// Two implementations: [`NodeHandle`](crate::NodeHandle), whose node runs on its own thread, and
/// [`InlineNode`](crate::InlineNode), which the program pumps itself. Whatever asks something of
/// the node fails with [`SubmitError`], and then nothing was asked; asking again is safe.
pub trait Replica: Send {
    /// Runs the node once, with `clock` as its clock. Does nothing for a node that runs on its own
    /// thread.
    fn pump(&mut self, clock: &dyn Fn() -> Moment);

    /// Proposes a command.
    ///
    /// # Errors
    /// [`SubmitError`].
    fn propose(&mut self, command: Command) -> Result<(), SubmitError>;

    /// Moves up to `most` of what is committed to `into`, in log order, each once. Taking it counts
    /// as applying it, so all of it must be applied before anything else is said or asked of the
    /// state. A snapshot takes the place of all that was applied before; what follows it may have
    /// been applied before it too.
    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>);

    /// Proposals refused since the last call.
    fn take_refused(&mut self) -> Vec<Refused>;

    /// Whether the node asked for a snapshot since the last call. Answer with
    /// [`Replica::take_snapshot`].
    fn snapshot_due(&mut self) -> bool;

    /// Gives the node the state as of what was taken last.
    ///
    /// # Errors
    /// [`SubmitError`].
    fn take_snapshot(&mut self, taken: TakenSnapshot) -> Result<(), SubmitError>;

    /// Answers that the state cannot be written down now. The node asks again after
    /// [`Config::snapshot_retry`](raftian_raft::Config::snapshot_retry).
    ///
    /// # Errors
    /// [`SubmitError`].
    fn decline_snapshot(&mut self) -> Result<(), SubmitError>;

    /// Tells the node the hash of the state after one entry, the last that was taken or one before.
    ///
    /// # Errors
    /// [`SubmitError`]; one that is not told only lets a broken state be found later.
    fn state_hash(&mut self, state: StateHash) -> Result<(), SubmitError>;

    /// Asks from which index on a read sees every command committed before `now` (thesis 6.4); see
    /// [`Replica::take_reads`]. With `lease` the leader's clock may answer (thesis 6.4.1), so `now`
    /// must be the present on the node's clock, not the moment of the last pump. A node on its own
    /// thread looks at its clock itself.
    ///
    /// # Errors
    /// [`SubmitError`].
    fn read(&mut self, now: Moment, id: ReadId, lease: bool) -> Result<(), SubmitError>;

    /// Reads that were answered since the last call. The state may be looked at for a read with an
    /// index once everything taken so far is applied.
    fn take_reads(&mut self) -> Vec<ReadAnswer>;

    /// Asks for a change of the members (section 6); see [`Replica::take_request_results`].
    ///
    /// # Errors
    /// [`SubmitError`].
    fn change_membership(&mut self, change: Change) -> Result<(), SubmitError>;

    /// Asks the node to hand leadership to `to`, or to the best follower; see
    /// [`Replica::take_request_results`].
    ///
    /// # Errors
    /// [`SubmitError`].
    fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(), SubmitError>;

    /// Answers to this program's changes and leadership transfers since the last call, in the order
    /// in which it asked.
    fn take_request_results(&mut self) -> Vec<Result<(), RequestError>>;

    /// Stops the node for good: its program cannot go on, and must not pretend to. The reason is
    /// shown in [`NodeView::stopped`].
    fn give_up(&mut self, reason: String);

    /// What the node looks like.
    fn view(&self) -> NodeView;
}

/// Why a node did not take what its program gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// As much of this kind waits for the node as may.
    #[error("too much waits for the node already; ask again later")]
    Busy,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}
