//! Members whose disk lost what it held. What such a member acknowledged or voted for is forgotten there, so it ends its
//! incarnation and joins again under another one.
//!
//! Decision: the follower draws the new incarnation, and the leader admits it. Why: two copies of one disk draw two
//! incarnations, of which at most one is a member. Would change if: one machine had to know all its copies.

use alloc::vec::Vec;

use super::Node;
use super::leading::answers_this_leader;
use crate::event::Decision;
use crate::membership::{Change, Standing};
use crate::message::{AppendReply, Body, Message};
use crate::progress::Progress;
use crate::role::{Follower, Role};
use crate::types::{Incarnation, Index, NodeId, Term};

impl Node {
    /// Tells a follower that it lost what it had acknowledged. A witness is not told: under another incarnation its disk,
    /// which holds entries without their contents, could be taken for one that holds them.
    pub(super) fn end_incarnation(&mut self, follower: NodeId, acknowledged: Index, witness: bool) {
        if self.config.replace_incarnations && !witness {
            self.send(follower, Body::LostEntries { acknowledged });
        }
    }

    /// Tells every follower that lost what it had acknowledged, in case the last message was lost.
    pub(super) fn end_lost_incarnations(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let lost = |(id, progress): (NodeId, &Progress)| Some((id, progress.lost?, progress.witness));
        let lost: Vec<_> = leader.peers.iter().filter_map(lost).collect();
        for (follower, acknowledged, witness) in lost {
            self.end_incarnation(follower, acknowledged, witness);
        }
    }

    /// The leader has proof that this disk lost entries: it refused one that it had acknowledged. A vote may be lost too, so
    /// the node answers nobody until another incarnation is on disk.
    pub(super) fn on_lost_entries(&mut self, from: NodeId, term: Term, acknowledged: Index) {
        let leads = matches!(&self.role, Role::Follower(Follower { leader: Some(leader), .. }) if leader.id == from);
        if term < self.hard_state.term || !leads || !self.config.replace_incarnations {
            return;
        }
        let drawn = Incarnation(self.dice.number());
        let incarnation = if drawn == self.incarnation { Incarnation(drawn.0 + 1) } else { drawn };
        self.disk.begin_incarnation(incarnation);
        self.wait_for_leader();
        self.note(Decision::BeginsIncarnation { leader: from, acknowledged, incarnation });
    }

    /// A member answers a heartbeat of this leadership under another incarnation than the registered one, and takes its
    /// place if that one is gone: it lost what it had acknowledged, or has been silent for the longest election timeout. A
    /// voter joins anew and counts only when it is promoted, so no vote counts for two incarnations. A witness is left to
    /// the operator, because only an empty disk may serve as another kind of member.
    pub(super) fn replace_incarnation(&mut self, member: NodeId, message: &Message) {
        let Body::AppendReply(AppendReply { probe: Some(probe), .. }) = &message.body else { return };
        if !self.config.replace_incarnations
            || !answers_this_leader(&self.config, self.hard_state.term, self.now, Some(*probe))
        {
            return;
        }
        let Role::Leader(leader) = &self.role else { return };
        let Some(progress) = leader.peers.get(member) else { return };
        let silent = probe.sent > progress.heard && self.now.since(progress.heard) >= self.config.patience();
        if progress.lost.is_none() && !silent {
            return;
        }
        let standing = match self.log.membership().member(member).and_then(|member| member.standing) {
            Some(Standing::Voter | Standing::Joining) => Standing::Joining,
            Some(Standing::Learner) => Standing::Learner,
            Some(Standing::Witness) | None => return,
        };
        let incarnation = message.sender;
        if self.change_membership(&Change::Set(member, incarnation, standing)).is_ok() {
            self.note(Decision::ReplacesIncarnation { member, incarnation });
        }
    }
}
