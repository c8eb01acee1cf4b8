//! Checks incoming messages (incarnations, membership, term) and addresses outgoing ones.

use super::Node;
use crate::event::Decision;
use crate::message::{Body, Message};
use crate::role::{Follower, KnownLeader, Role};
use crate::types::{Incarnation, NodeId, Term};

impl Node {
    /// Checks a message and dispatches it: it must be addressed to this incarnation, a reply must
    /// come from a member, and terms are compared (section 5.1). A request may come from a node
    /// that is not yet, or no longer, a member here: "servers process incoming RPC requests without
    /// consulting their current configurations" (thesis 4.1).
    pub(super) fn receive(&mut self, from: NodeId, message: Message) {
        // A reply under this node's own id would count as its second vote or acknowledgement.
        if from == self.config.id {
            return self.ignore(from, "its sender has the id of this node");
        }
        self.current_sender = Some((from, message.sender));
        if self.disk.is_beginning_incarnation() {
            // Neither incarnation may answer: the old one has ended, and the new one is not on disk
            // yet.
            return;
        }
        // These name no receiver's incarnation, which their sender may not know.
        match message.body {
            Body::Founders { incarnations } => {
                return self.on_founders(from, message.sender, &incarnations);
            }
            Body::Founded { membership } => return self.on_founded(from, membership),
            _ if self.is_founding() => return,
            _ => {}
        }
        if message.receiver != self.incarnation {
            return self.on_misaddressed(from, &message);
        }
        let term = message.term;
        let sender = message.sender;
        if !message.body.is_request() {
            let is_member = self
                .log
                .membership()
                .member(from)
                .is_some_and(|member| member.incarnation == sender);
            if !is_member {
                self.note(Decision::UnknownIncarnation {
                    peer: from,
                    incarnation: sender,
                });
                // The message does not count, but it may be the first of a member that returned
                // with a new disk.
                return self.replace_incarnation(from, &message);
            }
        }
        // No term would be left for the election after it.
        if term > Term::LAST {
            return self.ignore(from, "its term is out of range");
        }
        // Pre-vote messages carry a term that no node has entered yet (thesis 9.6).
        if term > self.hard_state.term
            && !matches!(
                message.body,
                Body::PreVote { .. } | Body::PreVoteReply { granted: true }
            )
        {
            if let Body::RequestVote {
                transfer: false, ..
            } = message.body
                && let Some(because) = self.leader_hindrance(from)
            {
                // "If a server receives a RequestVote request within the minimum election timeout
                // of hearing from a current leader, it does not update its term or grant its vote"
                // (thesis 4.2.3).
                return self.refuse_vote(from, false, because);
            }
            self.enter_later_term(term, from);
        }
        // Matched by value, because the body is most of the size of a message.
        match message.body {
            Body::PreVote { last, priority } => self.on_pre_vote(from, term, last, priority),
            Body::PreVoteReply { granted } => self.on_pre_vote_reply(from, term, granted),
            Body::RequestVote {
                last,
                transfer,
                priority,
            } => {
                self.on_request_vote(from, term, last, (!transfer).then_some(priority));
            }
            Body::VoteReply { granted } => self.on_vote_reply(from, term, granted),
            Body::AppendEntries(append) => self.on_append_entries(from, term, append),
            Body::AppendReply(reply) => self.on_append_reply(from, term, reply),
            Body::InstallSnapshot(part) => self.on_install_snapshot(from, term, *part),
            Body::SnapshotReply(reply) => self.on_snapshot_reply(from, term, reply),
            Body::TimeoutNow => self.on_timeout_now(from, term),
            Body::Forward { commands } => self.on_forward(from, commands),
            Body::Read { token } => self.on_read(from, token),
            Body::ReadReply { token, index } => self.on_read_reply(term, token, index),
            Body::LostEntries { acknowledged } => self.on_lost_entries(from, term, acknowledged),
            Body::Founders { .. } | Body::Founded { .. } => {
                unreachable!("messages about the founding are handled first")
            }
        }
    }

    /// The message is addressed to another incarnation. This node must not answer for it, but
    /// reports its own incarnation to a leader. It echoes the probe, so that the leader can admit
    /// it, unless its disk is that of a witness.
    fn on_misaddressed(&mut self, from: NodeId, message: &Message) {
        // A vote request gets no reply: the vote of this incarnation is not the one that was
        // requested.
        if let Body::AppendEntries(append) = &message.body
            && append.probe.is_some()
        {
            self.note(Decision::StaleIncarnation { peer: from });
            self.reply_stale(from, append.probe.filter(|_| self.holds_whole_log()));
        }
    }

    /// Returns the incarnation to address a message to: that of the current sender or the followed
    /// leader, or else the registered one.
    pub(super) fn incarnation_of(&self, id: NodeId) -> Incarnation {
        match (&self.role, self.current_sender) {
            // The message itself is the best source: the membership here may be older.
            (_, Some((current_sender, incarnation))) if current_sender == id => incarnation,
            (
                Role::Follower(Follower {
                    leader:
                        Some(KnownLeader {
                            id: leader,
                            incarnation,
                            ..
                        }),
                    ..
                }),
                _,
            ) if *leader == id => *incarnation,
            _ => self
                .log
                .membership()
                .member(id)
                .map_or(Incarnation::default(), |member| member.incarnation),
        }
    }

    pub(super) fn message(&self, to: NodeId, term: Term, body: Body) -> Message {
        Message {
            term,
            sender: self.incarnation,
            receiver: self.incarnation_of(to),
            body,
        }
    }

    /// Sends a message that depends on no write.
    pub(super) fn send(&mut self, to: NodeId, body: Body) {
        let message = self.message(to, self.hard_state.term, body);
        self.actions.send.push((to, message));
    }

    /// Sends a message once all current state is on disk.
    pub(super) fn send_after_persist(&mut self, to: NodeId, body: Body) {
        let message = self.message(to, self.hard_state.term, body);
        self.disk
            .send_after_persist(self.log.membership().members().len(), to, message);
    }
}
