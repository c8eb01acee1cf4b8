//! Members with a disk that lost data. Such a member no longer has entries it acknowledged and may
//! have lost a vote, so it ends its incarnation and joins again under another one.
//!
//! Decision: the follower draws the new incarnation, and the leader admits it. Why: two copies of
//! one disk draw two incarnations, of which at most one is a member. Would change if: copies of a
//! disk could be detected.
//!
//! Decision: an incarnation is ended, and another one admitted, only while the other voters that
//! answer are a quorum. Why: an end cannot be undone, and the change that admits the new one must
//! be committed without it. So in a cluster of two, or with another voter down, all incarnations
//! stay: the leader steps down, the next leader counts the follower for the entries its disk still
//! holds, and the loss is reported. Would change if: an operator could admit an incarnation without
//! a quorum.

use alloc::vec::Vec;

use super::Node;
use super::leader::answers_this_leader;
use crate::event::Decision;
use crate::membership::{Change, Standing};
use crate::message::{AppendReply, Body, Message};
use crate::progress::Progress;
use crate::role::{Follower, Role};
use crate::types::{Incarnation, Index, Moment, NodeId, Term};

impl Node {
    /// Sends LostEntries to the followers that lost acknowledged entries, and repeats it with each
    /// heartbeat because it may be lost. Witnesses are excluded: under another incarnation their
    /// disks, which hold entries without contents, could be mistaken for complete ones.
    pub(super) fn send_lost_entries(&mut self) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let lost = |(id, progress): (NodeId, &Progress)| {
            let acknowledged = progress.lost.filter(|_| !progress.witness)?;
            Some((id, progress.incarnation, acknowledged, progress.lost_at))
        };
        let lost: Vec<_> = leader.peers.iter().filter_map(lost).collect();
        let term = self.hard_state.term;
        let sender = self.incarnation;
        for (follower, receiver, acknowledged, lost_at) in lost {
            if self.config.replace_incarnations && self.is_quorum_without(follower, lost_at) {
                // Addressed to the registered incarnation; `send` might take that of the current
                // sender.
                let message = Message {
                    term,
                    sender,
                    receiver,
                    body: Body::LostEntries { acknowledged },
                };
                self.actions.send.push((follower, message));
            }
        }
    }

    /// Whether the voters that answered a heartbeat sent after `since` are a quorum without
    /// `member`.
    pub(super) fn is_quorum_without(&self, member: NodeId, since: Moment) -> bool {
        let Role::Leader(leader) = &self.role else {
            return false;
        };
        let answers = |id| {
            leader
                .peers
                .counted(id)
                .is_some_and(|progress| progress.confirmed > since)
        };
        self.log
            .membership()
            .is_quorum(|id| id != member && (id == self.config.id || answers(id)))
    }

    /// Handles the leader's proof that this disk lost entries: the node refused an entry that it
    /// had acknowledged. A vote may be lost too, so it answers no message until another incarnation
    /// is on disk.
    pub(super) fn on_lost_entries(&mut self, from: NodeId, term: Term, acknowledged: Index) {
        // The step cannot be undone, so only the leader of this term may cause it.
        let leads = matches!(&self.role, Role::Follower(Follower { leader: Some(leader), .. }) if leader.id == from);
        if term < self.hard_state.term || !leads || !self.config.replace_incarnations {
            return;
        }
        let incarnation = self.draw_incarnation();
        self.disk.begin_incarnation(incarnation);
        self.wait_for_leader();
        self.note(Decision::BeginsIncarnation {
            leader: from,
            acknowledged,
            incarnation,
        });
    }

    /// Draws an incarnation other than the present one.
    pub(super) fn draw_incarnation(&mut self) -> Incarnation {
        let drawn = Incarnation(self.rng.counter_start());
        if drawn == self.incarnation {
            Incarnation(drawn.0 + 1)
        } else {
            drawn
        }
    }

    /// Admits a new incarnation that answers a heartbeat of this leadership, if the registered one
    /// has lost entries or has been silent for the longest election timeout. A voter joins anew and
    /// counts only once promoted, so no vote counts for two incarnations. The operator must replace
    /// a witness, because only an empty disk may serve as another kind of member.
    pub(super) fn replace_incarnation(&mut self, member: NodeId, message: &Message) {
        // An answer to a heartbeat of this leadership proves that this incarnation runs now.
        let Body::AppendReply(AppendReply {
            probe: Some(probe), ..
        }) = &message.body
        else {
            return;
        };
        if !self.config.replace_incarnations
            || !answers_this_leader(&self.config, self.hard_state.term, self.now, Some(*probe))
        {
            return;
        }
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let Some(progress) = leader.peers.get(member) else {
            return;
        };
        let is_silent = self.now.since(progress.last_contact) >= self.config.max_election_timeout();
        let since = if progress.lost.is_some() {
            progress.lost_at
        } else {
            progress.last_contact
        };
        // An answer no newer than the last contact may precede that of the registered incarnation.
        if probe.sent <= progress.last_contact
            || (progress.lost.is_none() && !is_silent)
            || !self.is_quorum_without(member, since)
        {
            return;
        }
        let standing = match self
            .log
            .membership()
            .member(member)
            .and_then(|member| member.standing)
        {
            Some(Standing::Voter | Standing::Joining) => Standing::Joining,
            Some(Standing::Learner) => Standing::Learner,
            // Without a standing it leaves with the joint configuration and needs no new
            // incarnation.
            Some(Standing::Witness) | None => return,
        };
        let incarnation = message.sender;
        // If another change is in progress, the answer to a later heartbeat leads here again.
        if self
            .change_membership(&Change::Set(member, incarnation, standing))
            .is_ok()
        {
            self.note(Decision::ReplacesIncarnation {
                member,
                incarnation,
            });
        }
    }
}
