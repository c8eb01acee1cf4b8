//! Ticks: entries that the leader appends at regular intervals, for games whose world goes on
//! without orders.
//!
//! Decision: ticks are commands in the log, proposed by the leader's app. Why: every machine sees
//! the same number of ticks between two orders, and time stands still without a quorum. Would
//! change if: ticks were so frequent that their storage mattered.

use std::time::Duration;

use bevy_ecs::prelude::*;
use raftian_raft::Moment;
use serde::{Deserialize, Serialize};

use crate::command::ProposalId;
use crate::command::ReplicatedCommand;
use crate::node::AppliedLog;
use crate::propose::{Outcome, ProposalOutcome, ProposeExt};
use crate::state::ReplicatedState;
use crate::status::RaftStatus;

/// A tick. [`ApplyCommitted`](crate::ApplyCommitted) runs for it as for any command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tick {
    /// Number of the tick in the match, counted from 1 without gaps.
    pub number: u64,
}

impl ReplicatedCommand for Tick {
    const NAME: &'static str = "bevy_raft.tick/1";
}

/// Number of ticks applied. Part of the replicated state of an app with
/// [`RaftPlugin::with_ticks`](crate::RaftPlugin::with_ticks).
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ticks(pub u64);

impl ReplicatedState for Ticks {
    const NAME: &'static str = "bevy_raft.ticks/1";
}

/// Interval of the ticks, and the last one proposed here.
#[derive(Resource, Debug)]
pub(crate) struct Ticker {
    interval: Duration,
    /// When the last tick was proposed or seen, on the node's clock.
    last: Option<Moment>,
    pending: Option<ProposalId>,
}

impl Ticker {
    pub(crate) fn new(interval: Duration) -> Self {
        Ticker {
            interval,
            last: None,
            pending: None,
        }
    }
}

/// Counts a tick; returns whether it is the next one. During a change of leaders two members may
/// propose the same one, and the second has no effect.
pub(crate) fn count(world: &mut World, tick: Tick) -> bool {
    match world.get_resource_mut::<Ticks>() {
        Some(mut ticks) if ticks.0.checked_add(1) == Some(tick.number) => {
            ticks.0 = tick.number;
            true
        }
        _ => false,
    }
}

/// Proposes the next tick if this machine leads and it is due.
pub(crate) fn propose_ticks(
    mut commands: Commands,
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    ticks: Res<Ticks>,
    mut ticker: ResMut<Ticker>,
) {
    let Some(view) = &status.view else { return };
    let leads = status
        .leader()
        .is_some_and(|leader| Some(leader) == status.id());
    // A new leader knows the last tick once it has applied everything before its own term.
    if !leads || ticker.pending.is_some() || !log.is_current {
        return;
    }
    let interval = ticker.interval;
    let due = ticker.last.map(|last| last.after(interval));
    if due.is_some_and(|due| view.now < due && ticker.last.is_some_and(|last| last <= view.now)) {
        return;
    }
    // The next one is due one interval after this one was, unless a whole one was missed.
    ticker.last = due
        .filter(|due| view.now.since(*due) < interval)
        .or(Some(view.now));
    ticker.pending = Some(commands.propose(Tick {
        number: ticks.0 + 1,
    }));
}

pub(crate) fn settle(outcome: On<ProposalOutcome>, ticker: Option<ResMut<Ticker>>) {
    let Some(mut ticker) = ticker else { return };
    if ticker.pending == Some(outcome.id) {
        ticker.pending = None;
        if let Outcome::Rejected(reason) = &outcome.outcome {
            tracing::debug!(%reason, "a tick was rejected");
        }
    }
}
