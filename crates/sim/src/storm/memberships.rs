//! The memberships that nodes of a storm go by or may come to go by, and which machines those
//! memberships need.

use std::collections::BTreeSet;

use raftian_raft::{Body, Entry, Index, Membership, Message, Node, NodeId, Payload, Standing};

use super::Run;
use crate::cluster::{Envelope, Simulation};

impl Run {
    /// As [`Simulation::memberships`], with those in old messages that the storm may still repeat.
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
    /// Every membership that a node goes by, or would after a restart, a truncation, a write, or a
    /// message under way.
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
        all.0
    }

    /// Whether one of `group` can win an election while only the nodes of `group` answer: it may
    /// lead by its own log, and a quorum of its newest membership has no log newer than its own
    /// (section 5.4.1).
    ///
    /// A majority alone does not give that. The newest log may be at a learner that does not know
    /// yet that it is to vote: it refuses all others and does not stand for election itself.
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

/// Whether the machines for which `works` holds are a quorum of `membership`, and stay one
/// whichever of its joining members become voters; and one of them may lead.
pub(super) fn is_enough(membership: &Membership, works: impl Fn(NodeId) -> bool) -> bool {
    let joins = |standing| standing == Some(Standing::Joining);
    // Promotions of members that work only help, so the worst case is that all the others are
    // promoted.
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

/// The newest committed membership, as of the node's commit index.
pub(super) fn committed_membership(node: &Node) -> &Membership {
    let (since, founding) = founding(node);
    let entries = node.entries_from(since.next()).iter();
    let committed = entries
        .take_while(|entry| entry.index <= node.commit())
        .filter_map(changed)
        .last();
    committed.unwrap_or(founding)
}

/// The membership before the first entry that could change it, and where that is.
fn founding(node: &Node) -> (Index, &Membership) {
    let founding = (Index(0), &node.config().membership);
    node.snapshot().map_or(founding, |snapshot| {
        (snapshot.position.index, &snapshot.membership)
    })
}

/// Whether a node stands for election: it votes, also if only by the membership before one that is
/// not committed ("it might still be needed", thesis 4.2.2), and holds the contents of every entry.
fn may_lead(node: &Node) -> bool {
    let (since, founding) = founding(node);
    let mut known = vec![(since, founding)];
    known.extend(
        node.entries_from(since.next())
            .iter()
            .filter_map(|entry| Some((entry.index, changed(entry)?))),
    );
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

/// Memberships, each once.
struct Distinct(Vec<Membership>);

impl Distinct {
    fn add(&mut self, membership: &Membership) {
        if !self.0.contains(membership) {
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

/// The membership that an entry brings, if it does.
fn changed(entry: &Entry) -> Option<&Membership> {
    match &entry.payload {
        Payload::Membership(membership) => Some(membership),
        Payload::Empty | Payload::Command(_) | Payload::Withheld => None,
    }
}
