//! Values derived from one [`ClusterView`], without its history.

use std::time::Duration;

use raftian_node::NodeView;
use raftian_raft::{Member, NodeId, PeerStatus, RoleKind, Standing};

use crate::cluster_view::{ClusterView, MemberView};
use crate::status_document::standing_word;

/// Whether a member works, or why it does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// It runs and is reachable.
    Up,
    /// It does not run, or we have no link to it.
    Down,
    /// It is frozen, with its memory intact.
    Paused,
    /// It runs, but its links are cut.
    Cut,
}

impl Condition {
    pub(super) fn word(self) -> &'static str {
        match self {
            Condition::Up => "up",
            Condition::Down => "down",
            Condition::Paused => "paused",
            Condition::Cut => "cut off",
        }
    }
}

pub(super) fn condition(member: &MemberView) -> Condition {
    match &member.node {
        _ if !member.up => Condition::Down,
        Some(node) if node.stopped.is_some() => Condition::Down,
        Some(node) if node.paused => Condition::Paused,
        Some(node) if node.cut => Condition::Cut,
        _ => Condition::Up,
    }
}

/// The member's own view, unless it is down and the view therefore stale.
pub(super) fn live_node(member: &MemberView) -> Option<&NodeView> {
    member
        .node
        .as_ref()
        .filter(|_| condition(member) != Condition::Down)
}

/// The leader's own view, if it runs here. If several members are leaders, as after a cut, the one
/// of the latest term.
pub(super) fn leader_node(view: &ClusterView) -> Option<&NodeView> {
    let leaders = view
        .members
        .iter()
        .filter_map(live_node)
        .filter(|node| node.status.role == RoleKind::Leader);
    leaders.max_by_key(|node| node.status.term)
}

/// The leader as known here: one that runs here, else the one that the member with the latest term
/// follows.
pub(super) fn leader(view: &ClusterView) -> Option<NodeId> {
    leader_node(view).map(|node| node.status.id).or_else(|| {
        let nodes = view.members.iter().filter_map(live_node);
        nodes
            .filter(|node| node.status.leader.is_some())
            .max_by_key(|node| node.status.term)?
            .status
            .leader
    })
}

/// The leader's progress record of a follower.
pub(super) fn peer(view: &ClusterView, follower: NodeId) -> Option<&PeerStatus> {
    leader_node(view)?
        .status
        .peers
        .iter()
        .find(|peer| peer.id == follower)
}

/// A member's standing in the newest membership known here; `None` for a voter.
pub(super) fn standing(view: &ClusterView, id: NodeId) -> Option<&'static str> {
    let nodes = view.members.iter().filter_map(live_node);
    let newest =
        leader_node(view).or_else(|| nodes.max_by_key(|node| node.status.membership_index))?;
    match newest.status.membership.member(id) {
        None => Some("not a member"),
        Some(Member {
            standing: Some(Standing::Voter),
            ..
        }) => None,
        Some(member) => Some(standing_word(member.standing)),
    }
}

/// The median round trip from a leader to its followers; `None` for a node that is not a leader.
pub(super) fn median_round_trip(node: &NodeView) -> Option<Duration> {
    let mut trips: Vec<_> = node
        .status
        .peers
        .iter()
        .filter_map(|peer| peer.round_trip)
        .collect();
    trips.sort_unstable();
    trips.get(trips.len() / 2).copied()
}

/// Formats milliseconds with a sensible number of digits.
pub(super) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 99.95 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

/// Formats the first half of a state hash in hexadecimal: short enough to compare by eye.
pub(super) fn short_hash(hash: u64) -> String {
    format!("{:08x}", hash >> 32)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bevy::prelude::default;
    use raftian_node::Stopped;
    use raftian_raft::{
        FlowKind, Incarnation, Index, LogPosition, Membership, Moment, Stamp, Status, Term,
    };

    /// A follower without a leader and with an empty log.
    pub(crate) fn node(id: u64, term: u64) -> NodeView {
        let status = Status {
            id: NodeId(id),
            term: Term(term),
            vote: None,
            role: RoleKind::Follower,
            leader: None,
            commit: Index(0),
            leader_commit: Index(0),
            has_committed_in_term: false,
            applied: Index(0),
            last: LogPosition::default(),
            durable: Index(0),
            stamp: Stamp(0),
            deadline: Moment(0),
            membership: Membership::new((1..=9).map(NodeId)).unwrap(),
            membership_index: Index(0),
            snapshot: Index(0),
            log_after: Index(0),
            incarnation: Incarnation(0),
            awaited_founders: Vec::new(),
            peers: vec![],
        };
        NodeView {
            founding: status.membership.clone(),
            status,
            now: Moment(0),
            tail: vec![],
            events: vec![],
            paused: false,
            cut: false,
            stopped: None,
            checkpoints: Default::default(),
        }
    }

    /// A member whose view is `node`.
    pub(in crate::overlay) fn member(node: NodeView) -> MemberView {
        let id = node.status.id;
        MemberView {
            id,
            name: format!("m{}", id.0),
            node: Some(node),
            up: true,
            state: None,
        }
    }

    /// An embedded cluster of `nodes`, with the seat at the first.
    pub(in crate::overlay) fn cluster(nodes: Vec<NodeView>) -> ClusterView {
        let members: Vec<_> = nodes.into_iter().map(member).collect();
        ClusterView {
            seat: members.first().map(|member| member.id),
            members,
            embedded: true,
        }
    }

    fn leading(id: u64, term: u64) -> NodeView {
        let mut node = node(id, term);
        node.status.role = RoleKind::Leader;
        node.status.leader = Some(NodeId(id));
        node
    }

    #[test]
    fn leader_of_the_latest_term_wins() {
        let view = cluster(vec![leading(1, 3), leading(2, 5), leading(3, 4)]);
        assert_eq!(leader(&view), Some(NodeId(2)));
    }

    #[test]
    fn dead_leader_does_not_lead() {
        let mut view = cluster(vec![leading(1, 5), node(2, 5)]);
        view.members[0].up = false;
        assert_eq!(leader(&view), None);
        view.members[0].up = true;
        view.members[0].node.as_mut().unwrap().stopped = Some(Stopped::Program("disk full".into()));
        assert_eq!(
            (leader(&view), condition(&view.members[0])),
            (None, Condition::Down)
        );
    }

    #[test]
    fn remote_leader_is_known_through_our_node() {
        let mut own = node(1, 5);
        own.status.leader = Some(NodeId(7));
        assert_eq!(leader(&cluster(vec![own])), Some(NodeId(7)));
        assert_eq!(leader(&ClusterView::default()), None);
    }

    #[test]
    fn median_round_trip_ignores_peers_that_never_answered() {
        let mut own = leading(1, 1);
        assert_eq!(median_round_trip(&own), None);
        own.status.peers = [None, Some(9), Some(1), Some(4)]
            .map(|ms| PeerStatus {
                id: NodeId(2),
                matched: Index(0),
                next: Index(1),
                round_trip: ms.map(Duration::from_millis),
                silent_for: default(),
                flow: FlowKind::Replicate,
                lost: None,
            })
            .to_vec();
        assert_eq!(median_round_trip(&own), Some(Duration::from_millis(4)));
    }

    #[test]
    fn short_times_have_one_decimal() {
        assert_eq!(
            [840, 41_030, 250_400].map(|us| milliseconds(Duration::from_micros(us))),
            ["0.8", "41.0", "250"]
        );
        assert_eq!(short_hash(0x0012_34ab_ffff_ffff), "001234ab");
    }
}
