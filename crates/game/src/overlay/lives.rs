//! When a member was started again: what it forgot by that must not be held against it.

use std::collections::BTreeMap;

use raftian_node::NodeView;
use raftian_node::driver::EVENTS_KEPT;
use raftian_raft::{Moment, NodeId};

use super::facts::live_node;
use crate::cluster_view::ClusterView;

/// The lives of the members, as far as they can be told apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives(BTreeMap<NodeId, Life>);

#[derive(Clone, Copy, Debug)]
struct Life {
    now: Moment,
    first_event: Option<Moment>,
}

impl Lives {
    /// The members that live a life not seen before this picture.
    pub(super) fn look(&mut self, view: &ClusterView) -> Vec<NodeId> {
        let mut born = vec![];
        for member in &view.members {
            let Some(node) = live_node(member) else {
                self.0.remove(&member.id);
                continue;
            };
            let life = Life { now: node.now, first_event: node.events.first().map(|event| event.at) };
            if !self.0.insert(member.id, life).is_some_and(|before| goes_on(before, node)) {
                born.push(member.id);
            }
        }
        born
    }
}

/// Within one life the clock never goes back, and the oldest decision stays until the list of them is full.
fn goes_on(before: Life, node: &NodeView) -> bool {
    let first = node.events.first().map(|event| event.at);
    let list_goes_on = before.first_event.is_none() || before.first_event == first || node.events.len() >= EVENTS_KEPT;
    node.now >= before.now && list_goes_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::facts::tests::{cluster, node};
    use raftian_raft::{Decision, Event, Term};

    fn alive(now: u64, events: &[u64]) -> ClusterView {
        let mut node = node(1, 1);
        node.now = Moment(now);
        node.events = events
            .iter()
            .map(|&at| Event { at: Moment(at), term: Term(1), decision: Decision::AskedForPreVotes })
            .collect();
        cluster(vec![node])
    }

    fn dead() -> ClusterView {
        let mut view = alive(0, &[]);
        view.members[0].up = false;
        view
    }

    #[test]
    fn a_restart_is_noticed_however_it_shows() {
        let full: Vec<u64> = (40..40 + EVENTS_KEPT as u64).collect();
        for (after, born) in [
            (alive(60, &[10, 50]), false),
            (alive(60, &[10]), false),
            (alive(600, &full), false),
            (alive(40, &[10]), true),
            (alive(60, &[]), true),
            (alive(60, &[55]), true),
        ] {
            let mut lives = Lives::default();
            assert_eq!(lives.look(&alive(50, &[10])).len(), 1);
            assert_eq!(lives.look(&after).len() == 1, born, "{after:?}");
        }
    }

    #[test]
    fn a_member_that_was_down_lives_a_new_life() {
        let mut lives = Lives::default();
        lives.look(&alive(50, &[10]));
        assert!(lives.look(&dead()).is_empty());
        assert_eq!(lives.look(&alive(60, &[10])), [NodeId(1)]);
    }
}
