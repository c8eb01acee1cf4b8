//! The interface between a program and its node, however the node is driven.

use raftian_raft::{Change, Command, Moment, NodeId, ReadId, Responses, StateHash, TakenSnapshot};

use crate::checkpoint::Checkpoint;
use crate::driver::Committed;
use crate::thread::NodeControl;
use crate::view::NodeView;

/// A member of the cluster as the program above it sees it: commands go in, committed entries come
/// out.
///
/// Two implementations: [`NodeHandle`](crate::NodeHandle), which runs its node on a thread of its
/// own, and [`InlineNode`](crate::InlineNode), which the program pumps itself. A request that fails
/// with [`SubmitError`] had no effect, so it is safe to retry.
pub trait Replica: Send {
    /// Runs the node once, with `clock` as its clock. No-op for a node that runs on its own thread.
    fn pump(&mut self, clock: &dyn Fn() -> Moment);

    /// Proposes a command.
    ///
    /// # Errors
    /// [`SubmitError`].
    fn propose(&mut self, command: Command) -> Result<(), SubmitError>;

    /// Moves up to `most` committed items to `into`, in log order and each once. Taking an item
    /// counts as applying it, so all of them must be applied before the next report or request
    /// about the state. A snapshot replaces everything applied before it; entries that follow it
    /// may have been applied before as well.
    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>);

    /// Returns the responses to this program since the last call: refused proposals, answered
    /// reads, results of membership changes and leadership transfers in the order of the requests,
    /// and whether a snapshot is due. Once everything taken so far is applied, the state may be
    /// read for each read with an index. Answer a due snapshot with [`Replica::take_snapshot`].
    fn take_responses(&mut self) -> Responses;

    /// Submits a snapshot of the state as of the last item taken.
    ///
    /// # Errors
    /// [`SubmitError`].
    fn take_snapshot(&mut self, taken: TakenSnapshot) -> Result<(), SubmitError>;

    /// Declines the requested snapshot. The node requests it again after
    /// [`Config::snapshot_retry`](raftian_raft::Config::snapshot_retry).
    ///
    /// # Errors
    /// [`SubmitError`].
    fn decline_snapshot(&mut self) -> Result<(), SubmitError>;

    /// Reports the hash of the state after one entry, the last that was taken or one before.
    ///
    /// # Errors
    /// [`SubmitError`]; a lost report only delays the detection of a diverged state.
    fn state_hash(&mut self, state: StateHash) -> Result<(), SubmitError>;

    /// Reports history and state after one entry, the last that was taken or one before, to be
    /// signed and compared with those of the other members. No-op for a node that does not sign.
    ///
    /// # Errors
    /// [`SubmitError`]; a lost report only delays the comparison.
    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), SubmitError> {
        let _unsigned = checkpoint;
        Ok(())
    }

    /// Requests the index from which a read sees every command committed before `now` (thesis 6.4);
    /// see [`Replica::take_responses`]. With `lease` the leader's clock may answer (thesis 6.4.1),
    /// so `now` must be the present on the node's clock, not the time of the last pump. A node on
    /// its own thread reads its clock itself.
    ///
    /// # Errors
    /// [`SubmitError`].
    fn read(&mut self, now: Moment, id: ReadId, lease: bool) -> Result<(), SubmitError>;

    /// Requests a membership change (section 6); see [`Replica::take_responses`].
    ///
    /// # Errors
    /// [`SubmitError`].
    fn change_membership(&mut self, change: Change) -> Result<(), SubmitError>;

    /// Requests a leadership transfer to `to`, or to the best follower; see
    /// [`Replica::take_responses`].
    ///
    /// # Errors
    /// [`SubmitError`].
    fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(), SubmitError>;

    /// Stops the node for good because its program cannot continue. [`NodeView::stopped`] shows the
    /// reason.
    fn give_up(&mut self, reason: String);

    /// Returns the node's visible state.
    fn view(&self) -> NodeView;

    /// Returns a remote control of a node that runs on its own thread.
    fn control(&self) -> Option<NodeControl> {
        None
    }
}

/// Why a node did not accept a request of its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The queue for this kind of request is full.
    #[error("the node's queue is full; retry later")]
    Busy,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}
