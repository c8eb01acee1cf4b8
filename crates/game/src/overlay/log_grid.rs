//! The ends of all logs in common columns, one column per index.

use raftian_node::NodeView;
use raftian_raft::{Entry, Index, NodeId};

use super::derived::{leader_node, live_node, peer};
use crate::cluster_view::ClusterView;

/// Maximum number of columns with entries.
pub(super) const MAX_COLUMNS: usize = 24;

/// The visible part of all logs.
pub(super) struct Grid<'a> {
    /// Index of the first column.
    pub(super) first: Index,
    /// Number of columns. The last one is free for the next entry.
    pub(super) columns: usize,
    /// One lane per member, in the order of the members.
    pub(super) lanes: Vec<Lane<'a>>,
}

/// The log of one member.
pub(super) struct Lane<'a> {
    /// The member.
    pub(super) id: NodeId,
    /// Its node with the log; `None` if it is not visible from here.
    pub(super) node: Option<&'a NodeView>,
    /// matchIndex and nextIndex, if a leader tracks this member.
    pub(super) progress: Option<(Index, Index)>,
}

/// Progress of an entry on one member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It may still be truncated.
    Appended,
    /// It will never change.
    Committed,
    /// It was applied to the state.
    Applied,
}

impl<'a> Grid<'a> {
    /// Lays out the last indexes of the longest log, in at most `fit` columns.
    pub(super) fn new(view: &'a ClusterView, fit: usize) -> Self {
        let lanes: Vec<_> = view
            .members
            .iter()
            .map(|member| Lane {
                id: member.id,
                node: member.node.as_ref(),
                progress: peer(view, member.id).map(|peer| (peer.matched, peer.next)),
            })
            .collect();
        let live = view
            .members
            .iter()
            .filter_map(live_node)
            .chain(leader_node(view));
        let known = live
            .map(|node| node.status.last.index)
            .chain(lanes.iter().filter_map(|lane| {
                // Only the progress of a member elsewhere is known; a dead member's long tail must
                // not push the others out of view.
                lane.progress.map(|(matched, _)| matched)
            }));
        let last = known.max().unwrap_or_default();
        let columns = fit.clamp(2, MAX_COLUMNS + 1);
        let first = Index(last.0.saturating_sub(columns as u64 - 2).max(1));
        Grid {
            first,
            columns,
            lanes,
        }
    }

    /// The column of an index, if it is visible.
    pub(super) fn column(&self, index: Index) -> Option<usize> {
        let column = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?;
        (column < self.columns).then_some(column)
    }

    /// The column of an index, clamped to the last one.
    pub(super) fn last_column(&self, index: Index) -> usize {
        let column = usize::try_from(index.0.saturating_sub(self.first.0)).unwrap_or(usize::MAX);
        column.min(self.columns.saturating_sub(1))
    }

    /// The index of a column.
    pub(super) fn index(&self, column: usize) -> Index {
        Index(self.first.0.saturating_add(column as u64))
    }
}

impl<'a> Lane<'a> {
    /// The entry at an index and its fate, if visible.
    pub(super) fn entry(&self, index: Index) -> Option<(&'a Entry, Fate)> {
        let node = self.node?;
        // The tail is sorted by index, but need not start in the first column.
        let place = node.tail.partition_point(|entry| entry.index < index);
        let entry = node.tail.get(place).filter(|entry| entry.index == index)?;
        Some((entry, fate(node, index)))
    }
}

fn fate(node: &NodeView, index: Index) -> Fate {
    match &node.status {
        status if index <= status.applied.min(status.commit) => Fate::Applied,
        status if index <= status.commit => Fate::Committed,
        _ => Fate::Appended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};
    use raftian_raft::{LogPosition, Payload, PeerStatus, RoleKind, Stamp, Term};
    use std::time::Duration;

    fn with_log(id: u64, indexes: std::ops::RangeInclusive<u64>) -> NodeView {
        let mut node = node(id, 1);
        node.status.last = LogPosition {
            term: Term(1),
            index: Index(*indexes.end()),
        };
        node.tail = indexes
            .map(|index| Entry {
                term: Term(1),
                index: Index(index),
                stamp: Stamp(0),
                payload: Payload::Empty,
            })
            .collect();
        node
    }

    fn leading(mut node: NodeView, follower: u64, matched: u64) -> NodeView {
        node.status.role = RoleKind::Leader;
        node.status.peers = vec![PeerStatus {
            id: NodeId(follower),
            matched: Index(matched),
            next: Index(matched + 1),
            round_trip: None,
            silent_for: Duration::ZERO,
            flow: raftian_raft::FlowKind::Replicate,
            lost: None,
        }];
        node
    }

    #[test]
    fn columns_end_one_after_the_longest_log() {
        let view = cluster(vec![with_log(1, 70..=100), with_log(2, 60..=91)]);
        let grid = Grid::new(&view, 11);
        assert_eq!(
            (grid.first, grid.columns, grid.index(10)),
            (Index(91), 11, Index(101))
        );
        assert_eq!(
            [90, 91, 101, 102].map(|index| grid.column(Index(index))),
            [None, Some(0), Some(10), None]
        );
        assert_eq!(Grid::new(&view, 1000).columns, MAX_COLUMNS + 1);
    }

    #[test]
    fn short_log_starts_in_the_first_column() {
        let view = cluster(vec![with_log(1, 1..=3)]);
        assert_eq!(Grid::new(&view, 11).first, Index(1));
        assert_eq!(Grid::new(&ClusterView::default(), 0).first, Index(1));
        assert_eq!(Grid::new(&ClusterView::default(), 0).column(Index(0)), None);
    }

    #[test]
    fn long_tail_of_a_dead_member_hides_no_other_log() {
        let mut view = cluster(vec![with_log(1, 70..=100), with_log(2, 170..=200)]);
        view.members[1].up = false;
        assert_eq!(Grid::new(&view, 11).first, Index(91));
    }

    #[test]
    fn entries_are_found_by_index_with_their_fate() {
        let mut own = with_log(1, 70..=73);
        (own.status.commit, own.status.applied) = (Index(72), Index(71));
        let view = cluster(vec![own]);
        let lane = &Grid::new(&view, 11).lanes[0];
        let fates =
            [69, 70, 71, 72, 73, 74].map(|index| lane.entry(Index(index)).map(|(_, fate)| fate));
        let applied = Some(Fate::Applied);
        let committed = Some(Fate::Committed);
        assert_eq!(
            fates,
            [
                None,
                applied,
                applied,
                committed,
                Some(Fate::Appended),
                None
            ]
        );
    }

    #[test]
    fn progress_of_a_remote_member_comes_from_the_leader() {
        let mut view = cluster(vec![leading(with_log(1, 70..=100), 2, 95), node(2, 1)]);
        view.members[1].node = None;
        let grid = Grid::new(&view, 11);
        assert_eq!(
            (grid.lanes[0].progress, grid.lanes[1].progress),
            (None, Some((Index(95), Index(96))))
        );
        assert!(grid.lanes[1].entry(Index(95)).is_none());
    }
}
