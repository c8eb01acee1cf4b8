//! Detects restarts, so that state lost by a restart is not reported as a violation.

use std::collections::BTreeMap;

use raftian_node::NodeView;
use raftian_node::driver::EVENTS_KEPT;
use raftian_raft::{Moment, NodeId};

use super::derived::live_node;
use crate::cluster_view::ClusterView;

/// The current run of each member, to recognise a new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts(BTreeMap<NodeId, Run>);

#[derive(Clone, Copy, Debug)]
struct Run {
    now: Moment,
    first_event: Option<Moment>,
}

impl Restarts {
    /// Returns the members whose current run was first observed in this view.
    pub(super) fn observe(&mut self, view: &ClusterView) -> Vec<NodeId> {
        let mut restarted = vec![];
        for member in &view.members {
            let Some(node) = live_node(member) else {
                // A member that is down starts a new run when it is up again.
                self.0.remove(&member.id);
                continue;
            };
            let run = Run {
                now: node.now,
                first_event: node.events.first().map(|event| event.at),
            };
            if !self
                .0
                .insert(member.id, run)
                .is_some_and(|before| goes_on(before, node))
            {
                restarted.push(member.id);
            }
        }
        restarted
    }
}

/// Returns whether the node is still in the run `before`: within one, the clock never goes back,
/// and the oldest decision stays until the list of decisions is full.
fn goes_on(before: Run, node: &NodeView) -> bool {
    let first = node.events.first().map(|event| event.at);
    let list_goes_on = before.first_event.is_none()
        || before.first_event == first
        || node.events.len() >= EVENTS_KEPT;
    node.now >= before.now && list_goes_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};
    use raftian_raft::{Decision, Event, Term};

    fn alive(now: u64, events: &[u64]) -> ClusterView {
        let mut node = node(1, 1);
        node.now = Moment(now);
        node.events = events
            .iter()
            .map(|&at| Event {
                at: Moment(at),
                term: Term(1),
                decision: Decision::AskedForPreVotes,
            })
            .collect();
        cluster(vec![node])
    }

    fn dead() -> ClusterView {
        let mut view = alive(0, &[]);
        view.members[0].up = false;
        view
    }

    #[test]
    fn restart_is_detected_by_clock_or_events() {
        let full: Vec<u64> = (40..40 + EVENTS_KEPT as u64).collect();
        for (after, restarted) in [
            (alive(60, &[10, 50]), false),
            (alive(60, &[10]), false),
            (alive(600, &full), false),
            (alive(40, &[10]), true),
            (alive(60, &[]), true),
            (alive(60, &[55]), true),
        ] {
            let mut restarts = Restarts::default();
            assert_eq!(restarts.observe(&alive(50, &[10])).len(), 1);
            assert_eq!(restarts.observe(&after).len() == 1, restarted, "{after:?}");
        }
    }

    #[test]
    fn member_that_was_down_counts_as_restarted() {
        let mut restarts = Restarts::default();
        restarts.observe(&alive(50, &[10]));
        assert!(restarts.observe(&dead()).is_empty());
        assert_eq!(restarts.observe(&alive(60, &[10])), [NodeId(1)]);
    }
}
