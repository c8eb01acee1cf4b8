//! Ticks: entries that the leader appends at regular intervals, for games whose world goes on
//! without orders.
//!
//! Decision: ticks are commands in the log, proposed by the leader's app. Why: every machine sees
//! the same number of ticks between two orders, and time stands still without a quorum. Would
//! change if: ticks were so frequent that their storage mattered.

use std::time::Duration;

use bevy_ecs::prelude::*;
use raftian_raft::{Moment, NodeId, Stamp, Term};
use serde::{Deserialize, Serialize};

use crate::command::{CommandRegistry, ReplicatedCommand};
use crate::node::AppliedLog;
use crate::propose::{Outbox, propose_internal};
use crate::state::ReplicatedState;
use crate::status::RaftStatus;

/// Time for which a member waits for the tick of the leader, or of a member before it, beyond two
/// intervals.
const STAND_IN: Duration = Duration::from_millis(250);

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

/// Game clock at which the next tick is needed, in an app with
/// [`RaftPlugin::with_ticks_on_demand`](crate::RaftPlugin::with_ticks_on_demand); `None` for none.
/// The app sets it from its replicated state, after that has changed.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TickDemand(pub Option<Stamp>);

/// Interval of the ticks, and the last one proposed here.
#[derive(Resource, Debug)]
pub(crate) struct Ticker {
    interval: Duration,
    /// Ticks are proposed only when they are needed.
    on_demand: bool,
    /// The game clock as it was last seen, and when.
    seen: Option<(Clock, Moment)>,
    /// When the last tick was proposed or seen, on the node's clock.
    last: Option<Moment>,
    /// Sequence number of the last tick proposed here.
    pending: Option<u64>,
    /// This member proposes in place of the leader's app.
    stands_in: bool,
}

/// The game clock: it runs from the stamp of the last entry on, or from the beginning of a
/// leadership, since it stands without a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Clock {
    stamp: Stamp,
    term: Term,
    leader: Option<NodeId>,
}

impl Ticker {
    pub(crate) fn new(interval: Duration, on_demand: bool) -> Self {
        Ticker {
            interval,
            on_demand,
            seen: None,
            last: None,
            pending: None,
            stands_in: false,
        }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.on_demand
    }

    /// Forgets the last tick: the next node has another clock.
    pub(crate) fn reset(&mut self) {
        *self = Ticker::new(self.interval, self.on_demand);
    }

    /// Notes the game clock.
    fn see(&mut self, clock: Clock, now: Moment) {
        let is_known = self
            .seen
            .is_some_and(|(seen, at)| seen == clock && at <= now);
        if !is_known {
            self.seen = Some((clock, now));
        }
    }

    /// Returns when the game clock reaches `needed`, as far as this member knows.
    fn moment_of(&self, needed: Stamp) -> Option<Moment> {
        let (clock, at) = self.seen?;
        let left = needed.0.saturating_sub(clock.stamp.0);
        Some(at.after(Duration::from_millis(left)))
    }
}

/// Counts a tick; returns whether it is the next one. Two members may propose the same one, during
/// a change of leaders or after a pause of the leader's app; the second has no effect.
pub(crate) fn count(world: &mut World, tick: Tick, member: NodeId) -> bool {
    let view = world.resource::<RaftStatus>().view.as_ref();
    let (own, now) = view.map_or((None, None), |view| (Some(view.status.id), Some(view.now)));
    let is_next = match world.get_resource_mut::<Ticks>() {
        Some(mut ticks) if ticks.0.checked_add(1) == Some(tick.number) => {
            ticks.0 = tick.number;
            true
        }
        _ => false,
    };
    // The member that proposes the ticks measures the interval between its proposals, so commit
    // latency does not add to it.
    if is_next
        && own != Some(member)
        && let Some(mut ticker) = world.get_resource_mut::<Ticker>()
    {
        (ticker.last, ticker.stands_in) = (now, false);
    }
    is_next
}

/// Proposes the next tick if it is due here: at the leader after an interval, and at the other
/// members only if the leader's app does not, because it is paused or its window is hidden.
pub(crate) fn propose_ticks(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    ticks: Res<Ticks>,
    demand: Res<TickDemand>,
    registry: Res<CommandRegistry>,
    mut outbox: ResMut<Outbox>,
    mut ticker: ResMut<Ticker>,
) {
    let Some(view) = status.view.as_ref().filter(|_| status.leader().is_some()) else {
        return;
    };
    // The last tick is known once everything that was committed is applied.
    let is_pending = |sequence| outbox.pending().contains_key(&sequence);
    if !log.is_current() || ticker.pending.is_some_and(is_pending) {
        return;
    }
    let interval = ticker.interval;
    let now = view.now;
    let clock = Clock {
        stamp: view.status.stamp,
        term: view.status.term,
        leader: status.leader(),
    };
    ticker.see(clock, now);
    let needed = match (ticker.on_demand, demand.0) {
        (false, _) => None,
        (true, Some(needed)) => ticker.moment_of(needed),
        (true, None) => return,
    };
    // A restarted node has another clock.
    let last = ticker.last.filter(|last| *last <= now);
    let wait = if status.leads() || ticker.stands_in {
        interval
    } else {
        let members = view.status.membership.members();
        let rank = members.take_while(|(id, _)| *id != view.status.id).count();
        let rank = u32::try_from(rank).unwrap_or(u32::MAX).saturating_add(1);
        interval
            .saturating_mul(2)
            .saturating_add(STAND_IN.saturating_mul(rank))
    };
    // A member that does not lead waits from the moment at which it has nothing to wait for yet.
    if last.is_none() && !status.leads() {
        ticker.last = Some(now);
        return;
    }
    if last.is_some_and(|last| now.since(last) < wait) {
        return;
    }
    // The leader proposes a tick when it is needed, and another member once the leader has not.
    let patience = wait.saturating_sub(interval);
    if needed.is_some_and(|needed| now < needed.after(patience)) {
        return;
    }
    ticker.stands_in = !status.leads();
    // The next one is due one interval after this one was, unless a whole one was missed.
    ticker.last = last
        .map(|last| last.after(wait))
        .filter(|due| now.since(*due) < interval)
        .or(Some(now));
    let number = ticks.0 + 1;
    ticker.pending = propose_internal(&mut outbox, &registry, &Tick { number });
}
