//! Proposals: from the game to the node, again and again until they are committed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bevy_ecs::prelude::*;
use raftian_node::AskError;
use raftian_raft::{Bytes, ClientId, Command, Config, Moment, NodeId, RefusalReason, Sessions, Term};

use crate::apply::EntryFacts;
use crate::command::{CommandRegistry, ReplicatedCommand};
use crate::plugin::RaftNode;

/// Most proposals of one app without an answer. At the bound a proposal is rejected as busy; so is one that is as far
/// ahead of the oldest without an answer as sessions can remember.
pub const MAX_PENDING: usize = 512;

/// A proposal that got no answer is made again after this time on the node's clock: a few round trips over a bad line.
pub const UNANSWERED_RETRY: Duration = Duration::from_millis(500);

/// A proposal that the node refused for the moment is made again after this time.
pub const REFUSED_RETRY: Duration = Duration::from_millis(50);

/// Name of a proposal within this program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProposalId(u64);

/// What became of a proposal. Triggered once for each.
#[derive(Event, Clone, Debug)]
pub struct ProposalOutcome {
    /// Which proposal.
    pub id: ProposalId,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a proposal: there is no third possibility.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is committed and was applied here. Of a command that reached this machine as part of a snapshot, the facts are
    /// those of a later entry that repeats it.
    Committed(EntryFacts),
    /// It never left this app, and never will.
    Rejected(Rejection),
}

/// Why a proposal never left this app.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejection {
    /// [`MAX_PENDING`] proposals wait already.
    #[error("{MAX_PENDING} proposals wait for an answer already; wait for some of them")]
    Busy,
    /// The command was never registered.
    #[error("the command {0:?} is not registered; call add_replicated_command for it")]
    NotRegistered(&'static str),
    /// The command cannot be encoded, or is too large.
    #[error("the command cannot be encoded: {0}")]
    NotEncodable(String),
}

/// Proposes commands, from `Commands` or from the `World`.
pub trait ProposeExt {
    /// Proposes `command` to the cluster. Nothing changes until it is committed; [`ProposalOutcome`] tells.
    fn propose<C: ReplicatedCommand>(&mut self, command: C) -> ProposalId;
}

impl ProposeExt for Commands<'_, '_> {
    fn propose<C: ReplicatedCommand>(&mut self, command: C) -> ProposalId {
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
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ProposalId(NEXT.fetch_add(1, Ordering::Relaxed))
}

fn accept<C: ReplicatedCommand>(world: &mut World, id: ProposalId, command: &C) {
    let registry = world.resource::<CommandRegistry>();
    let result = if registry.knows::<C>() {
        registry.encode(command).map_err(|error| Rejection::NotEncodable(error.to_string()))
    } else {
        Err(Rejection::NotRegistered(C::NAME))
    };
    let result = result.and_then(|bytes| world.resource_mut::<Outbox>().add(id, bytes));
    if let Err(rejection) = result {
        world.trigger(ProposalOutcome { id, outcome: Outcome::Rejected(rejection) });
    }
}

/// This app's proposals without an answer, by their sequence.
#[derive(Resource, Debug)]
pub struct Outbox {
    client: ClientId,
    last_sequence: u64,
    pending: BTreeMap<u64, PendingProposal>,
}

/// A proposal without an answer.
#[derive(Clone, Debug)]
pub struct PendingProposal {
    /// Its name in this program.
    pub id: ProposalId,
    /// How often it was given to a node.
    pub attempts: u32,
    bytes: Bytes,
    /// When it was last given to a node, on that node's clock, and whom that node believed to lead in which term then.
    given: Option<Given>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Given {
    at: Moment,
    node: NodeId,
    leader: Option<(NodeId, Term)>,
    refused: bool,
}

impl Outbox {
    pub(crate) fn new(client: ClientId) -> Self {
        Outbox { client, last_sequence: 0, pending: BTreeMap::new() }
    }

    /// This app's client id.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Proposals without an answer, oldest first, by their sequence.
    #[must_use]
    pub fn pending(&self) -> &BTreeMap<u64, PendingProposal> {
        &self.pending
    }

    fn add(&mut self, id: ProposalId, bytes: Bytes) -> Result<(), Rejection> {
        let oldest = self.pending.keys().next().copied().unwrap_or(self.last_sequence + 1);
        if self.pending.len() >= MAX_PENDING || self.last_sequence + 1 - oldest >= Sessions::MAX_AHEAD {
            return Err(Rejection::Busy);
        }
        if bytes.len() > Config::MAX_COMMAND_BYTES {
            let (size, most) = (bytes.len(), Config::MAX_COMMAND_BYTES);
            return Err(Rejection::NotEncodable(format!("it has {size} bytes, more than {most}")));
        }
        self.last_sequence += 1;
        self.pending.insert(self.last_sequence, PendingProposal { id, attempts: 0, bytes, given: None });
        Ok(())
    }

    /// The command `(client, sequence)` was applied: if it was ours, its proposal has its answer.
    pub(crate) fn committed(&mut self, client: ClientId, sequence: u64) -> Option<ProposalId> {
        (client == self.client).then(|| self.pending.remove(&sequence)).flatten().map(|proposal| proposal.id)
    }
}

/// Run condition: a proposal has no answer yet.
pub(crate) fn something_waits(outbox: Res<Outbox>) -> bool {
    !outbox.pending.is_empty()
}

/// Gives the node what it was never given, what it refused a while ago, and what got no answer.
pub(crate) fn hand_to_node(node: Option<ResMut<RaftNode>>, mut outbox: ResMut<Outbox>) {
    let Some(mut node) = node else { return };
    let node = node.get();
    for refused in node.take_refused() {
        if refused.client == outbox.client
            && let Some(given) = outbox.pending.get_mut(&refused.sequence).and_then(|pending| pending.given.as_mut())
        {
            given.refused = true;
            if refused.reason == RefusalReason::TooLarge {
                tracing::error!(sequence = refused.sequence, "the node's command bound is smaller than the wire's");
            }
        }
    }
    let view = node.view();
    let now = Given {
        at: view.now,
        node: view.status.id,
        leader: view.status.leader.map(|leader| (leader, view.status.term)),
        refused: false,
    };
    let client = outbox.client;
    for (sequence, proposal) in &mut outbox.pending {
        if !proposal.given.is_none_or(|given| given.is_over(now)) {
            continue;
        }
        let command = Command { client, sequence: *sequence, bytes: proposal.bytes.clone() };
        match node.propose(command) {
            Ok(()) => {
                proposal.given = Some(now);
                proposal.attempts += 1;
            }
            // What the node cannot take now is tried again next frame.
            Err(AskError::Busy | AskError::Stopped) => return,
        }
    }
}

impl Given {
    /// Whether the proposal must be made again: the node is another, it has a leader that did not get it, or it took
    /// too long.
    fn is_over(self, now: Given) -> bool {
        let waited = now.at.since(self.at);
        // Another node, or the same after a restart, whose clock starts anew: what was given is gone.
        self.node != now.node
            || now.at < self.at
            || (now.leader.is_some() && self.leader != now.leader)
            || (self.refused && waited >= REFUSED_RETRY)
            || waited >= UNANSWERED_RETRY
    }
}
