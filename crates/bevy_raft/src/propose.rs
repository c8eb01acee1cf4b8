//! Proposals: submitted to the node, and resubmitted until they are committed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bevy_ecs::prelude::*;
use raftian_node::SubmitError;
use raftian_node::signing::MAX_OVERHEAD;
use raftian_raft::{
    Bytes, ClientId, Command, Config, Moment, NodeId, RefusalReason, Refused, Sessions, Term,
};

use crate::command::{CommandRegistry, EntryInfo, ProposalId, ReplicatedCommand};
use crate::matches;
use crate::node::RaftNode;
use crate::retry::{self, CommitLatency};

/// Maximum number of pending proposals of one app. At the bound a proposal is rejected as busy; so
/// is one that is further ahead of the oldest pending one than sessions can remember.
pub const MAX_PENDING: usize = 512;

/// Maximum size of an encoded command in bytes: with a signature it is within
/// [`Config::MAX_COMMAND_BYTES`].
pub const MAX_COMMAND: usize = Config::MAX_COMMAND_BYTES - MAX_OVERHEAD;

/// Final outcome of a proposal. Triggered once for each.
#[derive(Event, Clone, Debug)]
pub struct ProposalOutcome {
    /// The proposal.
    pub id: ProposalId,
    /// Its outcome.
    pub outcome: Outcome,
}

/// Final outcome of a proposal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is committed and was applied here. If the command reached this machine as part of a
    /// snapshot, the info describes a later entry that repeats it.
    Committed(EntryInfo),
    /// It was not committed and never will be.
    Rejected(Rejection),
    /// The node stopped for good, or the app left the match, before the outcome was known: the
    /// command may have been committed, or may still be committed by the other members. It is also
    /// the outcome of a command that is committed but could not be applied here.
    Unknown {
        /// Why the node stopped, or the match ended here.
        reason: String,
    },
}

/// Reason why a proposal was not submitted, or cannot be accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// [`MAX_PENDING`] proposals are pending already.
    #[error("{MAX_PENDING} proposals are pending already; retry when some of them have completed")]
    Busy,
    /// The command was never registered.
    #[error("the command {0:?} is not registered; call add_replicated_command for it")]
    NotRegistered(&'static str),
    /// The command cannot be encoded, or is too large.
    #[error("the command cannot be encoded: {0}")]
    NotEncodable(String),
    /// The command is larger than [`Config::max_command_bytes`] of this node.
    #[error("the command has {bytes} bytes, more than this node accepts (max_command_bytes)")]
    TooLarge {
        /// Its encoded size in bytes.
        bytes: usize,
    },
    /// The app takes part in no match.
    #[error("there is no match; start or join one")]
    NoMatch,
    /// The node had stopped, or the match had ended here, before the proposal was submitted.
    #[error("it was not submitted: {reason}")]
    Stopped {
        /// Why the node stopped, or the match ended here.
        reason: String,
    },
}

/// Proposes commands, from `Commands` or from the `World`.
pub trait ProposeExt {
    /// Proposes `command` to the cluster. Nothing changes until it is committed;
    /// [`ProposalOutcome`] reports the result.
    fn propose<C: ReplicatedCommand>(&mut self, command: C) -> ProposalId;
}

impl ProposeExt for Commands<'_, '_> {
    fn propose<C: ReplicatedCommand>(&mut self, command: C) -> ProposalId {
        // Drawn now, because the caller needs it before the queued command runs.
        let id = next_id();
        self.queue(move |world: &mut World| accept(world, id, &command));
        id
    }
}

impl ProposeExt for World {
    fn propose<C: ReplicatedCommand>(&mut self, command: C) -> ProposalId {
        let id = next_id();
        accept(self, id, &command);
        id
    }
}

fn next_id() -> ProposalId {
    // Shared by all apps of the process, so that ids are unique in the program.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ProposalId(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn accept<C: ReplicatedCommand>(world: &mut World, id: ProposalId, command: &C) {
    let registry = world.resource::<CommandRegistry>();
    let result = if registry.knows::<C>() {
        registry
            .encode(command)
            .map_err(|error| Rejection::NotEncodable(error.to_string()))
    } else {
        Err(Rejection::NotRegistered(C::NAME))
    };
    let takes_part = matches::takes_part(world);
    let result = result
        .and_then(|bytes| takes_part.then_some(bytes).ok_or(Rejection::NoMatch))
        .and_then(|bytes| {
            world
                .resource_mut::<Outbox>()
                .add(id, bytes, false)
                .map(drop)
        });
    // Triggered and not returned, so that a proposal's outcome arrives in one way only.
    if let Err(rejection) = result {
        world.trigger(ProposalOutcome {
            id,
            outcome: Outcome::Rejected(rejection),
        });
    }
}

/// This app's pending proposals, by sequence number.
#[derive(Resource, Debug)]
pub struct Outbox {
    client: ClientId,
    last_sequence: u64,
    pending: BTreeMap<u64, PendingProposal>,
    latency: CommitLatency,
    /// The node had already stopped in the last frame.
    node_stopped: bool,
}

/// A proposal without an outcome.
#[derive(Clone, Debug)]
pub struct PendingProposal {
    /// Its identifier in this program.
    pub id: ProposalId,
    /// Number of submissions to a node.
    pub attempts: u32,
    /// Proposed by the plugin itself: it has no outcome.
    is_internal: bool,
    bytes: Bytes,
    /// The last submission.
    submitted: Option<Submission>,
}

/// A submission of a proposal to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Submission {
    /// Node and leader it was submitted to.
    route: Route,
    /// Time of submission, on the node's clock.
    at: Moment,
    /// Time of the first submission on this route.
    first_at: Moment,
    /// Number of submissions on this route.
    attempts: u32,
    /// Number of refusals on this route.
    refusals: u32,
    /// The node refused this submission.
    refused: bool,
}

/// The node that received a proposal, and the leader it followed at that time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Route {
    node: NodeId,
    leader: Option<(NodeId, Term)>,
}

impl Outbox {
    pub(crate) fn new(client: ClientId) -> Self {
        let latency = CommitLatency::default();
        Outbox {
            client,
            last_sequence: 0,
            pending: BTreeMap::new(),
            latency,
            node_stopped: false,
        }
    }

    /// This app's client id.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Pending proposals by sequence number, oldest first, with those of the plugin itself.
    pub fn pending(&self) -> &BTreeMap<u64, PendingProposal> {
        &self.pending
    }

    /// Number of the app's own pending proposals.
    pub(crate) fn own_pending(&self) -> usize {
        let pending = self.pending.values();
        pending.filter(|proposal| !proposal.is_internal).count()
    }

    /// Adds a proposal and returns its sequence number.
    fn add(&mut self, id: ProposalId, bytes: Bytes, is_internal: bool) -> Result<u64, Rejection> {
        let oldest = self
            .pending
            .keys()
            .next()
            .copied()
            .unwrap_or(self.last_sequence + 1);
        // Sessions remember sequence numbers only up to `MAX_AHEAD` above the oldest one that is
        // still missing.
        if self.pending.len() >= MAX_PENDING
            || self.last_sequence + 1 - oldest >= Sessions::MAX_AHEAD
        {
            return Err(Rejection::Busy);
        }
        // The default limit; a node with a lower one refuses the proposal when it is submitted.
        if bytes.len() > MAX_COMMAND {
            return Err(Rejection::TooLarge { bytes: bytes.len() });
        }
        self.last_sequence += 1;
        self.pending.insert(
            self.last_sequence,
            PendingProposal {
                id,
                attempts: 0,
                is_internal,
                bytes,
                submitted: None,
            },
        );
        Ok(self.last_sequence)
    }

    /// Records that the command `(client, sequence)` was applied, and returns the proposal if it is
    /// one of this app. `node` is the node with the time on its clock.
    pub(crate) fn committed(
        &mut self,
        client: ClientId,
        sequence: u64,
        node: Option<(NodeId, Moment)>,
    ) -> Option<ProposalId> {
        if client != self.client {
            return None;
        }
        let proposal = self.pending.remove(&sequence)?;
        // Clocks of different nodes are not comparable, so only a submission to this node is
        // measured.
        if let (Some(submission), Some((id, now))) = (proposal.submitted, node)
            && submission.route.node == id
        {
            self.latency.record(now.since(submission.first_at));
        }
        (!proposal.is_internal).then_some(proposal.id)
    }

    /// Marks refused submissions, and removes the proposals that the node will never accept.
    /// Returns the latter with their sizes in bytes.
    fn note_refused(&mut self, refused: Vec<Refused>) -> Vec<(ProposalId, usize)> {
        let mut too_large = Vec::new();
        for refused in refused
            .into_iter()
            .filter(|refused| refused.client == self.client)
        {
            // Any other refusal may pass, for example after an election; the size does not change.
            if refused.reason == RefusalReason::TooLarge {
                let proposal = self.pending.remove(&refused.sequence);
                too_large.extend(proposal.map(|proposal| (proposal.id, proposal.bytes.len())));
            } else if let Some(submission) = self
                .pending
                .get_mut(&refused.sequence)
                .and_then(|pending| pending.submitted.as_mut())
                // A submission counts one refusal at most: others belong to earlier ones.
                && !submission.refused
            {
                submission.refused = true;
                submission.refusals += 1;
            }
        }
        too_large
    }

    /// Removes all pending proposals and returns their outcomes, because the node has stopped or
    /// the match has ended here.
    pub(crate) fn abandon(&mut self, reason: &str) -> Vec<(ProposalId, Outcome)> {
        let outcome = |proposal: PendingProposal| {
            let reason = reason.to_owned();
            let outcome = match proposal.submitted {
                // A submitted command may already be in the logs of other members.
                Some(_) => Outcome::Unknown { reason },
                None => Outcome::Rejected(Rejection::Stopped { reason }),
            };
            (proposal.id, outcome)
        };
        std::mem::take(&mut self.pending)
            .into_values()
            .filter(|proposal| !proposal.is_internal)
            .map(outcome)
            .collect()
    }
}

/// Proposes a command of the plugin itself, which has no outcome. Returns its sequence number.
pub(crate) fn propose_internal<C: ReplicatedCommand>(
    outbox: &mut Outbox,
    registry: &CommandRegistry,
    command: &C,
) -> Option<u64> {
    let bytes = registry.encode(command).ok()?;
    outbox.add(next_id(), bytes, true).ok()
}

/// Run condition: a proposal has no outcome yet.
pub(crate) fn has_pending(outbox: Res<Outbox>) -> bool {
    !outbox.pending.is_empty()
}

/// Submits new proposals, refused ones after a delay, and those without an answer. Ends those that
/// can no longer get one.
pub(crate) fn submit_proposals(
    mut commands: Commands,
    node: Option<ResMut<RaftNode>>,
    mut outbox: ResMut<Outbox>,
) {
    // Without a node proposals wait until another one is attached.
    let Some(mut node) = node else { return };
    let refused = std::mem::take(&mut node.responses().refused);
    let node = node.get();
    for (id, bytes) in outbox.note_refused(refused) {
        let outcome = Outcome::Rejected(Rejection::TooLarge { bytes });
        commands.trigger(ProposalOutcome { id, outcome });
    }
    let view = node.view();
    // Proposals are abandoned one frame late, because an app may attach another node in the frame
    // after one has stopped.
    let stopped = view.stopped.as_ref().map(ToString::to_string);
    let stopped_before = std::mem::replace(&mut outbox.node_stopped, stopped.is_some());
    if let Some(reason) = stopped {
        let abandoned = if stopped_before {
            outbox.abandon(&reason)
        } else {
            Vec::new()
        };
        abandoned
            .into_iter()
            .for_each(|(id, outcome)| commands.trigger(ProposalOutcome { id, outcome }));
        return;
    }
    let leader = view.status.leader.map(|leader| (leader, view.status.term));
    let route = Route {
        node: view.status.id,
        leader,
    };
    let Outbox {
        client,
        pending,
        latency,
        ..
    } = &mut *outbox;
    // In order of proposal, which the log of an undisturbed cluster then has too.
    for (sequence, proposal) in pending {
        if proposal
            .submitted
            .is_some_and(|submission| !submission.is_over(route, view.now, latency))
        {
            continue;
        }
        let command = Command {
            client: *client,
            sequence: *sequence,
            bytes: proposal.bytes.clone(),
        };
        match node.propose(command) {
            Ok(()) => {
                proposal.submitted = Some(Submission::next(proposal.submitted, route, view.now));
                proposal.attempts += 1;
            }
            // A full queue is retried in the next frame.
            Err(SubmitError::Busy | SubmitError::Stopped) => return,
        }
    }
}

impl Submission {
    /// Returns the submission that follows `last` at `now`.
    fn next(last: Option<Submission>, route: Route, now: Moment) -> Self {
        // On a new route, or after the clock went back, the back-off starts again.
        match last.filter(|last| last.route == route && last.at <= now) {
            Some(last) => Submission {
                at: now,
                attempts: last.attempts + 1,
                refused: false,
                ..last
            },
            None => Submission {
                route,
                at: now,
                first_at: now,
                attempts: 1,
                refusals: 0,
                refused: false,
            },
        }
    }

    /// Returns whether the proposal must be resubmitted: it went to another node, or the node
    /// follows a leader that did not receive it, or the answer takes too long.
    fn is_over(self, route: Route, now: Moment, latency: &CommitLatency) -> bool {
        let waited = now.since(self.at);
        // A restarted node has lost the proposal, and its clock starts again from zero.
        self.route.node != route.node
            || now < self.at
            // During an election there is no leader to submit it to.
            || (route.leader.is_some() && self.route.leader != route.leader)
            || (self.refused && waited >= retry::after_refusal(self.refusals))
            || waited >= latency.retry_after(self.attempts)
    }
}
