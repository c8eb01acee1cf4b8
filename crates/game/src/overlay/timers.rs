//! Progress of election and heartbeat timers, extrapolated between and after views of a node.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_node::NodeView;
use raftian_raft::{Moment, NodeId, RoleKind};

use super::derived::{Condition, condition};
use crate::cluster_view::{ClusterView, MemberView};

/// Longest timeout that counts for the full circle; a longer one is not typical.
const MAX_TIMEOUT_SHOWN: Duration = Duration::from_secs(60);

/// The timers of all members.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    timers: BTreeMap<NodeId, Timer>,
    /// The longest election timer observed: a full circle for all members, so that random
    /// differences show.
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Moment,
    /// Time from the first view with this deadline to the deadline.
    period: Duration,
    /// The node's clock in the last view.
    now: Moment,
    /// Arrival time of that view.
    arrived: Duration,
}

impl Timers {
    /// Adds a view received at `at`.
    pub(super) fn observe(&mut self, view: &ClusterView, at: Duration) {
        self.timers
            .retain(|&id, _| view.member(id).is_some_and(|member| member.node.is_some()));
        for node in view
            .members
            .iter()
            .filter_map(|member| member.node.as_ref())
        {
            let timer = next(self.timers.get(&node.status.id), node, at);
            if node.status.role != RoleKind::Leader && timer.period <= MAX_TIMEOUT_SHOWN {
                self.longest = self.longest.max(timer.period);
            }
            self.timers.insert(node.status.id, timer);
        }
    }

    /// The remaining part of the circle at `at`, from 1 down to 0. A leader's full circle is its
    /// heartbeat interval, any other member's the longest election timer. `None` if the member's
    /// timer is unknown or does not run.
    pub(super) fn left(&self, member: &MemberView, at: Duration) -> Option<f32> {
        let timer = self.timers.get(&member.id)?;
        let whole = if member.node.as_ref()?.status.role == RoleKind::Leader {
            timer.period
        } else {
            self.longest
        };
        let at = match condition(member) {
            Condition::Down => return None,
            Condition::Paused => timer.arrived,
            Condition::Up | Condition::Cut => at,
        };
        Some(part(timer.left(at), whole))
    }
}

impl Timer {
    fn left(&self, at: Duration) -> Duration {
        self.deadline
            .since(self.now.after(at.saturating_sub(self.arrived)))
    }
}

fn next(before: Option<&Timer>, node: &NodeView, at: Duration) -> Timer {
    let deadline = node.status.deadline;
    let fresh = Timer {
        deadline,
        period: deadline.since(node.now),
        now: node.now,
        arrived: at,
    };
    match before {
        // An unchanged view keeps its arrival time, so that the extrapolation continues.
        Some(before) if before.now == node.now && before.deadline == deadline => *before,
        Some(before) if before.deadline == deadline => Timer {
            period: before.period,
            ..fresh
        },
        _ => fresh,
    }
}

fn part(left: Duration, whole: Duration) -> f32 {
    if whole.is_zero() {
        0.0
    } else {
        (left.as_secs_f32() / whole.as_secs_f32()).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn picture(id: u64, now: u64, deadline: u64) -> NodeView {
        let mut node = node(id, 1);
        node.now = Moment(now * 1000);
        node.status.deadline = Moment(deadline * 1000);
        node
    }

    #[test]
    fn election_timers_are_extrapolated_relative_to_the_longest() {
        let mut timers = Timers::default();
        let view = cluster(vec![picture(1, 100, 250), picture(2, 9000, 9300)]);
        timers.observe(&view, ms(50));
        let left = |timers: &Timers, at| {
            [0, 1].map(|place| {
                (timers.left(&view.members[place], ms(at)).unwrap() * 100.0).round() as i32
            })
        };
        assert_eq!(left(&timers, 50), [50, 100]);
        assert_eq!(left(&timers, 125), [25, 75]);
        assert_eq!(left(&timers, 9999), [0, 0]);
        timers.observe(&view, ms(125));
        assert_eq!(
            left(&timers, 125),
            [25, 75],
            "an unchanged view does not restart the extrapolation"
        );
    }

    #[test]
    fn leader_shows_its_heartbeat_timer() {
        let mut leader = picture(1, 100, 150);
        leader.status.role = RoleKind::Leader;
        let mut timers = Timers::default();
        timers.observe(&cluster(vec![leader.clone(), picture(2, 100, 400)]), ms(0));
        leader.now = Moment(125_000);
        let view = cluster(vec![leader, picture(2, 100, 400)]);
        timers.observe(&view, ms(25));
        assert_eq!(timers.left(&view.members[0], ms(25)), Some(0.5));
    }

    #[test]
    fn timer_of_a_paused_member_stops_and_of_a_dead_one_is_none() {
        let mut timers = Timers::default();
        let mut view = cluster(vec![picture(1, 100, 300)]);
        view.members[0].node.as_mut().unwrap().paused = true;
        timers.observe(&view, ms(0));
        assert_eq!(timers.left(&view.members[0], ms(5000)), Some(1.0));
        view.members[0].up = false;
        assert_eq!(timers.left(&view.members[0], ms(0)), None);
    }

    #[test]
    fn odd_deadlines_are_harmless() {
        let mut timers = Timers::default();
        let mut view = cluster(vec![picture(1, 100, 50)]);
        view.members[0].node.as_mut().unwrap().status.deadline = Moment(u64::MAX);
        timers.observe(&view, ms(0));
        assert_eq!(timers.left(&view.members[0], ms(0)), Some(0.0));
    }
}
