//! Membership changes: section 6, thesis 4.

use super::Node;
use super::proposals::has_too_much_uncommitted;
use crate::actions::RequestError;
use crate::entry::Payload;
use crate::event::{Decision, StepDown};
use crate::membership::{Change, Member, Membership, MembershipError, Standing};
use crate::planted::PlantedBug;
use crate::progress::{CatchUp, Progress};
use crate::role::Role;
use crate::types::NodeId;

impl Node {
    /// Appends a membership, which takes effect at once: "each server adopts the new configuration
    /// as soon as it is added to its log" (thesis 4.1). At most one membership is uncommitted at
    /// any time.
    pub(super) fn change_membership(&mut self, change: &Change) -> Result<(), RequestError> {
        let known = self.leader();
        let Role::Leader(leader) = &self.role else {
            return Err(RequestError::NotLeader(known));
        };
        // Contacts change no majority, so they need not wait for another change.
        let only_records = matches!(change, Change::Record { .. });
        if self.commit < leader.first_of_term && !only_records {
            // It is unknown whether an earlier leader's change is committed; a second change on top
            // of it could allow two disjoint majorities.
            return Err(RequestError::TooNew);
        }
        // A leader that transfers accepts no new requests: the successor must catch up (thesis
        // 3.10). Nor does one without a vote, which leads until everything it appended is
        // committed: if it failed with the newest membership, and only a witness had it too, no
        // member could be elected.
        if leader.transfer.is_some() || leader.leaving {
            return Err(RequestError::TransferringLeadership);
        }
        if self.log.members_index() > self.commit && !only_records {
            return Err(RequestError::ChangeInProgress);
        }
        // Other changes wait for the commitment of the one before.
        let uncommitted = self.log.last().index.0 - self.commit.0;
        if only_records && has_too_much_uncommitted(&self.config, leader, uncommitted) {
            return Err(RequestError::Busy);
        }
        let next = self.membership_after(change)?;
        let joint = next.is_joint();
        self.append_membership(next);
        let index = self.log.last().index;
        self.note(if only_records {
            Decision::RecordsContacts { index }
        } else {
            Decision::ChangesMembers { index, joint }
        });
        Ok(())
    }

    #[cfg(feature = "planted")]
    fn membership_after(&self, change: &Change) -> Result<Membership, MembershipError> {
        let forgets = self.config.has_planted(PlantedBug::CountsFormerWitness);
        let membership = self.log.membership();
        if forgets {
            membership.without_former_witnesses().after(change)
        } else {
            membership.after(change)
        }
    }

    #[cfg(not(feature = "planted"))]
    fn membership_after(&self, change: &Change) -> Result<Membership, MembershipError> {
        self.log.membership().after(change)
    }

    fn append_membership(&mut self, membership: Membership) {
        self.append_own(Payload::Membership(membership));
        self.sync_peers();
        // A cluster of one commits without any reply.
        self.advance_commit();
    }

    /// Whether this node leads without a vote in the newest membership.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.leaving)
    }

    /// Keeps the progress table in step with the membership: one entry per other member.
    pub(super) fn sync_peers(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let last = self.log.last().index;
        let membership = self.log.membership();
        leader.leaving = membership
            .member(self.config.id)
            .is_none_or(|member| !member.may_lead());
        // The progress of a replaced incarnation must not carry over to the new one.
        leader.peers.retain(|id, progress| {
            membership
                .member(id)
                .is_some_and(|member| member.incarnation == progress.incarnation)
        });
        for (id, member) in membership.members().filter(|(id, _)| *id != self.config.id) {
            let new = || Progress::new(last, self.now, member.incarnation, member.is_witness());
            leader.peers.entry(id, new).witness = member.is_witness();
        }
    }

    /// Completes a change once the newest membership is committed. A joint one is left: "once
    /// C_old,new has been committed … it is now safe for the leader to create a log entry
    /// describing C_new" (section 6). A leader without a vote in it steps down: until then it
    /// "manages the cluster without including itself" (thesis 4.2.2).
    pub(super) fn members_committed(&mut self) {
        let membership = self.log.membership();
        if membership.is_joint() {
            let left = membership.left();
            self.append_membership(left);
            self.note(Decision::LeavesJoint {
                index: self.log.last().index,
            });
        } else if self.is_leaving() && self.commit == self.log.last().index {
            // It leaves only when all its entries are committed: otherwise a witness, which cannot
            // replicate them, may be the only other member that has some. The commit index is sent
            // now because this leader sends nothing later.
            self.replicate_to_all();
            self.step_down(StepDown::Removed);
        }
    }

    /// Promotes a joining member to voter once its catch-up rounds have been quick for
    /// [`Config::promote_after`](crate::Config::promote_after): "if the last round lasts less than
    /// an election timeout, then the leader adds the new server to the cluster" (thesis 4.2.1). A
    /// member behind the newest entry may be promoted: under a steady stream of commands every
    /// follower is behind.
    pub(super) fn promote_learners(&mut self) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let last = self.log.last().index;
        let only_in_quiet = self.config.has_planted(PlantedBug::PromotesOnlyInQuiet);
        let mut ready = None;
        for (id, member) in self.log.membership().members() {
            let Some(progress) = leader
                .peers
                .get_mut(id)
                .filter(|_| member.standing == Some(Standing::Joining))
            else {
                continue;
            };
            let alive = progress.answered
                && self.now.since(progress.last_contact)
                    <= self.config.longest_silence(progress.round_trip.bound());
            if !alive
                || progress.lost.is_some()
                || (only_in_quiet && progress.matched < self.commit)
            {
                // The series of quick rounds must be unbroken, so it starts anew.
                progress.catch_up = None;
                continue;
            }
            let catch_up = progress
                .catch_up
                .get_or_insert(CatchUp::new(last, self.now));
            catch_up.update(
                progress.matched,
                last,
                self.config.max_election_timeout(),
                self.now,
            );
            let planted = self.config.has_planted(PlantedBug::PromotesInMidRound);
            let quick = catch_up.quick_for(if planted { Some(self.now) } else { None });
            if quick.is_some_and(|quick| quick >= self.config.promote_after) {
                // One promotion at a time: at most one membership may be uncommitted.
                ready = ready.or(Some((id, member.incarnation)));
            }
        }
        if let Some((member, incarnation)) = ready
            && self
                .change_membership(&Change::Set(member, incarnation, Standing::Voter))
                .is_ok()
        {
            self.note(Decision::Promotes { member });
        }
    }

    /// Takes the vote of a member that has been silent for
    /// [`Config::vanish_after`](crate::Config::vanish_after): until then one more failure may stop
    /// the cluster. The voters that answer must be a quorum, which commits the change without it.
    pub(super) fn demote_silent_voter(&mut self) {
        let Some(vanish_after) = self.config.vanish_after else {
            return;
        };
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let is_silent = |(id, member): &(NodeId, &Member)| {
            let progress = leader.peers.get(*id);
            member.standing == Some(Standing::Voter)
                && progress
                    .is_some_and(|progress| self.now.since(progress.last_contact) >= vanish_after)
        };
        let Some((member, incarnation)) = self
            .log
            .membership()
            .members()
            .find(is_silent)
            .map(|(id, member)| (id, member.incarnation))
        else {
            return;
        };
        let recent = self.now.before(self.config.max_election_timeout());
        if self.is_quorum_without(member, recent)
            && self
                .change_membership(&Change::Set(member, incarnation, Standing::Joining))
                .is_ok()
        {
            self.note(Decision::DemotesSilent { member });
        }
    }
}
