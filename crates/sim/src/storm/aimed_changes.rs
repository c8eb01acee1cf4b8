//! Membership changes at the moments where two of them could overlap: on a leader that has not
//! committed an entry of its own term yet, and after a leader was deposed before its change was
//! committed.

use std::collections::BTreeSet;

use raftian_raft::{Body, Change, Index, NodeId, RequestError, RoleKind, Standing};
use rand::RngExt;

use super::Run;
use crate::cluster::{Envelope, Simulation};
use crate::coverage::Mark;

impl Run {
    /// Requests a change from a newly elected leader, and again once it has committed an entry of
    /// its term.
    pub(super) fn change_fresh_leader(&mut self, number: u64, before: Option<NodeId>) {
        if self.options.change_fresh_leader == 0.0 {
            return;
        }
        let Some(leader) = self.fresh_leader.filter(|id| self.cluster.leads(*id)) else {
            return;
        };
        if before != Some(leader) {
            self.eager = None;
            if !self.chance(self.options.change_fresh_leader) {
                return;
            }
        } else if self.eager != Some(leader) || self.has_first_commit_ahead(leader) {
            return;
        }
        if !self.is_selected(number) {
            return;
        }
        let is_again = self.eager.take().is_some();
        // Recorded first: the request may panic, and the report needs the fault.
        self.faults.push((
            number,
            format!("{leader}, newly elected, is asked for a change"),
        ));
        let Some((change, begun)) = self.ask_for_change(leader) else {
            return drop(self.faults.pop());
        };
        if is_again && begun.is_ok() {
            self.counters.count(Mark::ChangedMembersRightAfterElection);
        }
        self.eager = (begun == Err(RequestError::TooNew)).then_some(leader);
        if let Some((_, what)) = self.faults.last_mut() {
            *what = format!("{leader}, newly elected, is asked for {change:?}: {begun:?}");
        }
    }

    /// Cuts off a leader with a change that at most one other node has; elects another leader and
    /// requests a change from it at once; then reconnects the old leader with some of the others,
    /// without the new leader.
    pub(super) fn overlap_changes(&mut self) -> Option<String> {
        let old = self
            .cluster
            .newest_leader()
            .filter(|id| self.cluster.is_able(*id))?;
        let friend = self.any(|cluster, id| id != old && cluster.is_able(id))?;
        let (change, Ok(())) = self.ask_for_change(old)? else {
            return Some(format!("{old} is asked for a change and refuses"));
        };
        self.cluster.heal();
        let (timeout, ids): (_, Vec<_>) = (
            self.options.election_timeout.1,
            self.cluster.ids().collect(),
        );
        let others: Vec<_> = ids
            .iter()
            .copied()
            .filter(|id| ![old, friend].contains(id))
            .collect();
        self.cluster.partition(&[&[old, friend], &others]);
        self.exchange(old, friend, 3);
        self.cluster.advance(timeout * 2);
        let new = self.elect_one_of(&others);
        let Some(new) = new.filter(|_| self.cluster.is_up(old)) else {
            return Some(format!("{old} is cut off with {change:?} and {friend}"));
        };
        let membership = self.cluster.node(new).membership();
        if !self
            .cluster
            .node(old)
            .membership()
            .has_members_of(membership)
        {
            self.counters.count(Mark::DeposedLeaderWithChangeUnderWay);
        }
        let first = self.ask_for_change(new);
        // The new leader commits with some of the others; the old leader reconnects to the rest.
        let mut left = vec![old, friend];
        let mut right = Vec::new();
        for id in others {
            if id == new || self.rng.random_bool(0.5) {
                right.push(id)
            } else {
                left.push(id)
            }
        }
        self.cluster.partition(&[&left, &right]);
        self.settle_within(new, &right);
        let second = self
            .cluster
            .leads(new)
            .then(|| self.ask_for_change(new))
            .flatten();
        if matches!(second, Some((_, Ok(())))) {
            self.counters.count(Mark::ChangedMembersRightAfterElection);
        }
        self.settle_within(new, &right);
        self.cluster.heal();
        self.cluster.partition(&[&left, &right]);
        self.cluster.advance(timeout * 2);
        if self.elect_one_of(&[old]).is_some() {
            self.settle_within(old, &left);
        }
        self.cluster.heal();
        Some(format!(
            "{old} is deposed by {new} with {change:?} under way, \
             and {new} is asked for {first:?}, {second:?}"
        ))
    }

    /// Requests a random change from a leader, unless the cluster cannot bear it.
    fn ask_for_change(&mut self, leader: NodeId) -> Option<(Change, Result<(), RequestError>)> {
        let change = self.draw_change(leader)?;
        if self.has_first_commit_ahead(leader) {
            self.counters
                .count(Mark::AskedLeaderForChangeBeforeItsFirstCommit);
        }
        let requested = self.request_change(leader, change);
        self.record_after_change(leader);
        Some(requested)
    }

    /// Returns whether a leader has not committed an entry of its own term yet.
    fn has_first_commit_ahead(&self, leader: NodeId) -> bool {
        let node = self.cluster.node(leader);
        let of_term = node
            .entries_from(Index(1))
            .iter()
            .find(|entry| entry.term == node.term());
        of_term.is_some_and(|entry| entry.index > node.commit())
    }

    /// Draws a change that adds or removes one voter, removes the leader, or replaces all voters.
    fn draw_change(&mut self, leader: NodeId) -> Option<Change> {
        let membership = self.cluster.node(leader).membership().clone();
        let kind = self.rng.random_range(0..4);
        let outsider = self.any(|_, id| !membership.votes(id));
        let voter = self.any(|_, id| membership.votes(id))?;
        let incarnation = |id: NodeId| self.cluster.host(id).incarnation();
        let change = match (kind, outsider) {
            (0, Some(id)) => Change::Set(id, incarnation(id), Standing::Voter),
            (0 | 1, _) => Change::Remove(voter),
            (2, _) => Change::Remove(leader),
            _ => {
                let chosen: Vec<_> = self
                    .cluster
                    .ids()
                    .filter(|_| self.rng.random_bool(0.6))
                    .collect();
                Change::Replace(
                    chosen
                        .into_iter()
                        .map(|id| (id, incarnation(id), Standing::Voter))
                        .collect(),
                )
            }
        };
        self.can_bear(leader, &change).then_some(change)
    }

    /// Lets one machine of `group` stand for election and delivers nothing but votes. Returns it if
    /// it wins.
    fn elect_one_of(&mut self, group: &[NodeId]) -> Option<NodeId> {
        self.cluster.drop_messages(|_| true);
        let able: Vec<_> = group
            .iter()
            .copied()
            .filter(|id| self.cluster.is_able(*id))
            .collect();
        if able.is_empty() {
            return None;
        }
        let id = able[self.rng.random_range(0..able.len())];
        for _ in 0..3 {
            if !self.cluster.is_up(id) || self.cluster.leads(id) {
                break;
            }
            self.cluster.campaign(id);
            self.deliver_all(|envelope| {
                matches!(
                    envelope.message.body,
                    Body::PreVote { .. }
                        | Body::PreVoteReply { .. }
                        | Body::RequestVote { .. }
                        | Body::VoteReply { .. }
                )
            });
        }
        Some(id).filter(|id| self.cluster.leads(*id))
    }

    /// Proposes one more command, fires the leader's next timers, and delivers everything within
    /// `group`.
    fn settle_within(&mut self, leader: NodeId, group: &[NodeId]) {
        let group: BTreeSet<_> = group.iter().copied().collect();
        let within =
            |envelope: &Envelope| group.contains(&envelope.from) && group.contains(&envelope.to);
        self.deliver_all(within);
        self.repeat_a_command(leader);
        for _ in 0..2 {
            if self.cluster.is_up(leader) {
                self.cluster.tick(leader);
            }
            self.deliver_all(within);
        }
    }
}

impl Simulation {
    /// Returns whether a machine runs, receives messages and writes to its disk.
    fn is_able(&self, id: NodeId) -> bool {
        self.is_up(id) && !self.is_paused(id) && !self.is_disk_held(id)
    }

    /// Returns whether a machine runs and its node leads.
    fn leads(&self, id: NodeId) -> bool {
        self.host(id)
            .node()
            .is_some_and(|node| node.role() == RoleKind::Leader)
    }
}
