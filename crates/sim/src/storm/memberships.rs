//! Memberships that nodes of a storm use or may still adopt, and the machines they need.

use std::collections::BTreeSet;

use raftian_raft::{
    Body, Change, Entry, Index, Membership, Message, Node, NodeId, Payload, RoleKind, Standing,
};

use super::Run;
use crate::cluster::{Envelope, Host, Simulation};

impl Run {
    /// As [`Simulation::memberships`], plus those in old messages that the storm may still replay.
    pub(super) fn memberships_ahead(&self) -> Vec<Membership> {
        let mut all = Distinct(self.cluster.memberships());
        let old: &[Envelope] = &self.past;
        for envelope in old.iter().chain(self.earlier.values().flatten()) {
            all.add_message(&envelope.message);
        }
        all.0
    }
}

impl Simulation {
    /// Returns every membership that a node uses, or would use after a restart, a truncation, a
    /// write, a message in flight, or the demotion of a silent voter.
    pub(super) fn memberships(&self) -> Vec<Membership> {
        let mut all = Distinct(Vec::new());
        for host in self.hosts() {
            if let Some(node) = host.node() {
                all.add(founding(node).1);
                all.add_entries(node.entries_from(Index(1)));
            }
            let image = host.image();
            all.add(
                image
                    .snapshot
                    .as_ref()
                    .map_or(&host.config().membership, |snapshot| &snapshot.membership),
            );
            all.add_entries(&image.entries);
            for write in host.waiting_writes() {
                write
                    .snapshot
                    .iter()
                    .for_each(|snapshot| all.add(&snapshot.membership));
                all.add_entries(&write.entries);
            }
            host.mailbox()
                .iter()
                .for_each(|(_, message)| all.add_message(message));
        }
        self.queued()
            .for_each(|envelope| all.add_message(&envelope.message));
        self.demotions()
            .iter()
            .for_each(|membership| all.add(membership));
        all.0
    }

    /// Returns every membership that a leader may adopt next because a voter is silent
    /// ([`Config::vanish_after`](raftian_raft::Config::vanish_after)). The answers that allow the
    /// demotion may be of voters that are lost by now, and a voter that was demoted does not
    /// replace them.
    fn demotions(&self) -> Vec<Membership> {
        let leaders = self
            .hosts()
            .filter_map(Host::node)
            .filter(|node| node.role() == RoleKind::Leader && node.config().vanish_after.is_some());
        let mut all = Vec::new();
        for membership in leaders.map(|node| node.membership().left()) {
            for (id, member) in membership.members() {
                if member.standing == Some(Standing::Voter) {
                    let demote = Change::Set(id, member.incarnation, Standing::Joining);
                    all.extend(membership.after(&demote));
                }
            }
        }
        all
    }

    /// Returns whether a node of `group` can win an election while only `group` answers: it may
    /// lead by its own log, and a quorum of its newest membership has no log newer than its own
    /// (section 5.4.1).
    ///
    /// A majority alone does not guarantee that. The newest log may be on a learner that has not
    /// received its promotion yet: it refuses all others and does not stand for election itself.
    pub(super) fn has_electable(&self, group: &BTreeSet<NodeId>) -> bool {
        let running = || group.iter().filter_map(|id| self.host(*id).node());
        running().filter(|node| may_lead(node)).any(|candidate| {
            let membership = candidate.membership();
            let voters: BTreeSet<_> = running()
                .filter(|voter| {
                    let member = membership.member(voter.id());
                    voter.last() <= candidate.last()
                        && member.is_some_and(|member| member.incarnation == voter.incarnation())
                })
                .map(Node::id)
                .collect();
            membership.is_quorum(|id| voters.contains(&id))
        })
    }
}

/// Returns whether the machines for which `works` holds are a quorum of `membership`, remain one
/// whichever joining members become voters, and include one that may lead.
pub(super) fn is_enough(membership: &Membership, works: impl Fn(NodeId) -> bool) -> bool {
    let joins = |standing| standing == Some(Standing::Joining);
    // Promoting working members only helps, so the worst case promotes all the others.
    let lost = membership
        .members()
        .filter(|(id, member)| joins(member.standing) && !works(*id))
        .count();
    let voters = membership.voters().count();
    let working = membership.voters().filter(|id| works(*id)).count();
    let leads = membership
        .members()
        .any(|(id, member)| member.may_lead() && works(id));
    leads && membership.is_quorum(&works) && 2 * working > voters + lost
}

/// Returns the newest committed membership, as of the node's commit index.
pub(super) fn committed_membership(node: &Node) -> &Membership {
    let (since, founding) = founding(node);
    let entries = node.entries_from(since.next()).iter();
    let committed = entries
        .take_while(|entry| entry.index <= node.commit())
        .filter_map(changed)
        .last();
    committed.unwrap_or(founding)
}

/// Returns the membership before the first entry that could change it, and its index.
fn founding(node: &Node) -> (Index, &Membership) {
    let founding = (Index(0), &node.config().membership);
    node.snapshot().map_or(founding, |snapshot| {
        (snapshot.position.index, &snapshot.membership)
    })
}

/// Returns whether a node stands for election: it must hold the contents of every entry and be a
/// voter, if only in the membership before an uncommitted one ("it might still be needed", thesis
/// 4.2.2).
fn may_lead(node: &Node) -> bool {
    let (since, founding) = founding(node);
    let mut known = vec![(since, founding)];
    known.extend(
        node.entries_from(since.next())
            .iter()
            .filter_map(|entry| Some((entry.index, changed(entry)?))),
    );
    // Recorded contacts are no change of members.
    known.dedup_by(|(_, next), (_, one)| next.has_members_of(one));
    let is_decided = known
        .last()
        .is_some_and(|(index, _)| *index <= node.commit());
    let is_voter =
        known
            .iter()
            .rev()
            .take(if is_decided { 1 } else { 2 })
            .any(|(_, membership)| {
                let member = membership.member(node.id());
                member.is_some_and(|member| {
                    member.may_lead() && member.incarnation == node.incarnation()
                })
            });
    let has_state = node
        .snapshot()
        .is_none_or(|snapshot| snapshot.data.is_some());
    is_voter
        && has_state
        && !node
            .entries_from(Index(1))
            .iter()
            .any(|entry| entry.payload == Payload::Withheld)
}

/// Memberships without those that differ in their records only.
struct Distinct(Vec<Membership>);

impl Distinct {
    fn add(&mut self, membership: &Membership) {
        if !self.0.iter().any(|one| one.has_members_of(membership)) {
            self.0.push(membership.clone());
        }
    }

    fn add_entries(&mut self, entries: &[Entry]) {
        entries
            .iter()
            .filter_map(changed)
            .for_each(|membership| self.add(membership));
    }

    fn add_message(&mut self, message: &Message) {
        match &message.body {
            Body::AppendEntries(append) => self.add_entries(&append.entries),
            Body::InstallSnapshot(part) => self.add(&part.membership),
            _ => {}
        }
    }
}

/// Returns the membership in an entry, if it has one.
fn changed(entry: &Entry) -> Option<&Membership> {
    match &entry.payload {
        Payload::Membership(membership) => Some(membership),
        Payload::Empty | Payload::Command { .. } | Payload::Withheld => None,
    }
}
