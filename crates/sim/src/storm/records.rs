//! Contacts and the annex, recorded at any moment, also while a change of members is in progress.

use raftian_raft::{Bytes, Change, Membership, NodeId, RequestError};
use rand::RngExt;

use super::Run;
use super::memberships::committed_membership;
use crate::coverage::Mark;

/// Most bytes of a usual contact or annex; a few have the largest size allowed.
const MAX_USUAL_BYTES: usize = 60;

impl Run {
    /// Records a random contact, the annex, or both, at a leader.
    pub(super) fn record_contacts(&mut self) -> Option<String> {
        let leader = *self.cluster.leaders().first()?;
        Some(self.record_contacts_at(leader))
    }

    /// Records contacts right after a change some of the time, so that both are uncommitted.
    pub(super) fn record_after_change(&mut self, leader: NodeId) -> String {
        if !self.options.records || !self.chance(0.3) || !self.cluster.leaders().contains(&leader) {
            return String::new();
        }
        format!("; {}", self.record_contacts_at(leader))
    }

    fn record_contacts_at(&mut self, leader: NodeId) -> String {
        let membership = self.cluster.node(leader).membership();
        let members: Vec<_> = membership.members().map(|(id, _)| id).collect();
        let is_changing = self.is_changing(leader);
        let kind = self.rng.random_range(0..4);
        let contacts = (kind != 0).then(|| {
            let place = self.rng.random_range(0..members.len());
            (members[place], self.any_record(Membership::MAX_CONTACT))
        });
        let annex = (kind <= 1).then(|| self.any_record(Membership::MAX_ANNEX));
        let of = contacts.as_ref().map(|(id, contact)| (*id, contact.len()));
        let what = format!(
            "contact {of:?} and annex {:?}",
            annex.as_ref().map(|a| a.len())
        );
        let contacts = contacts.into_iter().collect();
        let begun = self
            .cluster
            .change_membership(leader, Change::Record { contacts, annex });
        if begun.is_ok() && is_changing {
            self.counters.count(Mark::RecordedContactsDuringChange);
        }
        format!("{leader} is asked to record {what}: {begun:?}")
    }

    /// Requests a change of members from a leader. One that adds an outsider adds it with its
    /// contact some of the time.
    pub(super) fn request_change(
        &mut self,
        leader: NodeId,
        change: Change,
    ) -> (Change, Result<(), RequestError>) {
        let change = match change {
            Change::Set(id, incarnation, standing)
                if self.options.records
                    && !self.cluster.node(leader).membership().contains(id)
                    && self.chance(0.5) =>
            {
                let annex = self.chance(0.3);
                Change::Add {
                    id,
                    incarnation,
                    standing,
                    contact: self.any_record(MAX_USUAL_BYTES),
                    annex: annex.then(|| self.any_record(MAX_USUAL_BYTES)),
                }
            }
            change => change,
        };
        let begun = self.cluster.change_membership(leader, change.clone());
        if begun.is_ok() && matches!(change, Change::Add { .. }) {
            self.counters.count(Mark::AddedMemberWithContact);
        }
        (change, begun)
    }

    /// Draws bytes of a record, at most `most`.
    fn any_record(&mut self, most: usize) -> Bytes {
        let len = if self.chance(0.02) {
            most
        } else {
            self.rng.random_range(0..=MAX_USUAL_BYTES)
        };
        let byte = self.rng.random_range(0..=u8::MAX);
        vec![byte; len].into()
    }

    /// Returns whether the newest change of members in a leader's log is not committed.
    fn is_changing(&self, leader: NodeId) -> bool {
        let node = self.cluster.node(leader);
        !node.membership().has_members_of(committed_membership(node))
    }
}
