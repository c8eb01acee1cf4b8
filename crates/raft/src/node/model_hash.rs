//! Hash of a node's state for model checkers, without time and randomness.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use super::Node;
use crate::progress::{Flow, Progress};
use crate::reads::OwnReads;
use crate::role::{Campaign, Follower, KnownLeader, Leader, LeadershipTransfer, Role};
use crate::types::Moment;

impl Node {
    /// Hashes all state that determines the node's response to inputs that do not depend on time:
    /// two nodes with the same configuration and hash behave alike once their actions are taken.
    /// Excluded are moments, measured round trips, the RNG, events, and the values kept for
    /// assertions.
    ///
    /// Every field is named here, so that a new one must be either hashed or excluded.
    pub fn hash_state(&self, hasher: &mut impl Hasher) {
        let Node {
            config: _,
            incarnation,
            rng: _,
            now: _,
            started: _,
            hard_state,
            log,
            disk,
            agreement,
            commit,
            apply_state,
            role,
            last_leader,
            failed_campaigns: _,
            preferred_since,
            hard_state_changed: _,
            applied_at: _,
            current_sender: _,
            snapshot,
            incoming,
            reads,
            round_trip: _,
            actions: _,
            work_pending: _,
            last_observed: _,
        } = self;
        (
            incarnation,
            hard_state,
            log,
            disk,
            agreement,
            commit,
            apply_state,
            snapshot,
            incoming,
        )
            .hash(hasher);
        hash_role(role, hasher);
        (
            last_leader.map(|(id, _last_contact)| id),
            preferred_since.is_some(),
        )
            .hash(hasher);
        let OwnReads {
            asked,
            confirmed,
            token,
        } = reads;
        (confirmed, token, asked.len()).hash(hasher);
        for (token, (id, _deadline)) in asked {
            (token, id).hash(hasher);
        }
    }

    /// Hashes the ages of the moments that this node compares with its clock, for inputs that
    /// depend on time. All ages beyond the longest election or disk timeout are equal. Excluded are
    /// the election timer, which is random, measured round trips, and the times of
    /// acknowledgements.
    pub fn hash_ages(&self, hasher: &mut impl Hasher) {
        // One microsecond more, so that an age equal to a timeout differs from every later one.
        let long_ago = self
            .config
            .max_election_timeout()
            .max(self.config.disk_timeout)
            + Duration::from_micros(1);
        let age = |moment: Moment| self.now.since(moment).min(long_ago);
        let left = |moment: Moment| moment.since(self.now);
        (
            age(self.started),
            self.disk.waiting_since().map(age),
            self.reads.deadline().map(left),
            self.agreement
                .as_ref()
                .map(|agreement| left(agreement.next_round())),
        )
            .hash(hasher);
        (
            self.last_leader.map(|(_, last_contact)| age(last_contact)),
            self.preferred_since.map(age),
        )
            .hash(hasher);
        let unapplied =
            (self.apply_state.applied < self.apply_state.delivered).then(|| age(self.applied_at));
        (unapplied, left(self.apply_state.ask_not_before)).hash(hasher);
        match &self.role {
            Role::Follower(follower) => follower
                .leader
                .map(|leader| age(leader.last_contact))
                .hash(hasher),
            Role::PreCandidate(_) | Role::Candidate(_) => {}
            Role::Leader(leader) => {
                let transfer = leader
                    .transfer
                    .as_ref()
                    .map(|transfer| left(transfer.deadline));
                (left(leader.heartbeat_due), transfer).hash(hasher);
                for (_, progress) in leader.peers.iter() {
                    (age(progress.last_contact), age(progress.confirmed)).hash(hasher);
                    progress
                        .lost
                        .map(|_| progress.confirmed > progress.lost_at)
                        .hash(hasher);
                    let catch_up = progress.catch_up.as_ref();
                    catch_up
                        .map(|it| {
                            (
                                age(it.began),
                                it.quick_for(None).map(|time| time.min(long_ago)),
                            )
                        })
                        .hash(hasher);
                    if let Flow::Snapshot(transfer) = &progress.flow {
                        (age(transfer.moved), age(transfer.began)).hash(hasher);
                    }
                }
            }
        }
    }
}

fn hash_role(role: &Role, hasher: &mut impl Hasher) {
    role.kind().hash(hasher);
    match role {
        Role::Follower(Follower {
            leader,
            election_deadline: _,
        }) => {
            let known = leader.map(
                |KnownLeader {
                     id,
                     incarnation,
                     last_contact: _,
                     commit: _,
                 }| (id, incarnation),
            );
            known.hash(hasher);
        }
        Role::PreCandidate(Campaign {
            granted,
            election_deadline: _,
        })
        | Role::Candidate(Campaign {
            granted,
            election_deadline: _,
        }) => granted.hash(hasher),
        Role::Leader(leader) => hash_leader(leader, hasher),
    }
}

fn hash_leader(leader: &Leader, hasher: &mut impl Hasher) {
    let Leader {
        peers,
        heartbeat_due: _,
        first_of_term,
        clock: _,
        uncommitted_bytes,
        // Derived from the log.
        newest: _,
        transfer,
        leaving,
        lease_broken,
        reads,
    } = leader;
    let transfer = transfer.as_ref().map(
        |LeadershipTransfer {
             to,
             deadline: _,
             timeout_now_sent,
         }| (to, timeout_now_sent),
    );
    (
        first_of_term,
        uncommitted_bytes,
        transfer,
        leaving,
        lease_broken,
        reads,
        peers.len(),
    )
        .hash(hasher);
    for (id, progress) in peers.iter() {
        let Progress {
            incarnation,
            witness,
            matched,
            matched_at: _,
            matched_term,
            lost,
            lost_at: _,
            next,
            flow,
            commit_sent,
            last_contact: _,
            answered,
            confirmed: _,
            round,
            round_trip: _,
            catch_up: _,
            states,
            agreed,
            repair_at,
            replaced,
        } = progress;
        (id, incarnation, witness, matched, matched_term, next, flow).hash(hasher);
        (
            commit_sent,
            answered,
            round,
            lost,
            states,
            agreed,
            repair_at,
            replaced,
        )
            .hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;
    use crate::node::Input;
    use crate::{Config, Membership, NodeId, Restored};

    fn state(node: &Node) -> u64 {
        let mut hasher = DefaultHasher::new();
        node.hash_state(&mut hasher);
        hasher.finish()
    }

    fn campaigns(at: Moment, seed: u64) -> Node {
        let membership = Membership::new([NodeId(1), NodeId(2)]).unwrap();
        let mut node = Node::new(
            Config::new(NodeId(1), membership, seed),
            Restored::default(),
            at,
        )
        .unwrap();
        node.step(at, Input::Campaign);
        let _actions = node.take_actions();
        node
    }

    #[test]
    fn nodes_that_differ_only_in_time_have_equal_hashes() {
        assert_eq!(
            state(&campaigns(Moment(5), 1)),
            state(&campaigns(Moment(9_000), 1))
        );
    }

    #[test]
    fn each_phase_of_a_campaign_has_its_own_hash() {
        let mut node = campaigns(Moment(5), 1);
        let asking = state(&node);
        node.step(
            Moment(5),
            Input::Receive {
                from: NodeId(2),
                message: granted(),
            },
        );
        let write = node.take_actions().persist.expect("a vote to write");
        let standing = state(&node);
        node.step(Moment(5), Input::Persisted(write.number));
        let _actions = node.take_actions();
        assert_ne!(asking, standing);
        assert_ne!(standing, state(&node), "a durable vote changes the state");
    }

    #[test]
    fn known_leader_changes_the_hash() {
        let receives = |body| {
            let membership = Membership::new([1, 2, 3].map(NodeId)).unwrap();
            let mut node = Node::new(
                Config::new(NodeId(1), membership, 1),
                Restored::default(),
                Moment(5),
            )
            .unwrap();
            let message = crate::Message::new(crate::Term(1), body);
            node.step(
                Moment(5),
                Input::Receive {
                    from: NodeId(2),
                    message,
                },
            );
            while node.has_work() {
                if let Some(write) = node.take_actions().persist {
                    node.step(Moment(5), Input::Persisted(write.number));
                }
            }
            assert_eq!(node.term(), crate::Term(1));
            state(&node)
        };
        let append = crate::AppendEntries {
            previous: crate::LogPosition::default(),
            commit: crate::Index(0),
            probe: None,
            round_trip: 0,
            entries: alloc::vec::Vec::new(),
        };
        assert_ne!(
            receives(crate::Body::AppendEntries(append)),
            receives(crate::Body::VoteReply { granted: false }),
            "both nodes are in the term, but only one follows a leader"
        );
    }

    #[test]
    fn follower_progress_changes_the_leader_hash() {
        let leads = |matched: u64| {
            let membership = Membership::new([1, 2, 3, 4, 5].map(NodeId)).unwrap();
            let mut config = Config::new(NodeId(1), membership, 1);
            config.pre_vote = false;
            let mut node = Node::new(config, Restored::default(), Moment(5)).unwrap();
            let settle = |node: &mut Node| {
                while node.has_work() {
                    if let Some(write) = node.take_actions().persist {
                        node.step(Moment(5), Input::Persisted(write.number));
                    }
                }
            };
            node.step(Moment(5), Input::Campaign);
            settle(&mut node);
            let up_to = crate::Index(matched);
            let result = crate::AppendResult::Matched { up_to };
            let answer = crate::AppendReply {
                probe: None,
                result,
                state: None,
            };
            for (from, body) in [
                (2, crate::Body::VoteReply { granted: true }),
                (3, crate::Body::VoteReply { granted: true }),
                (4, crate::Body::AppendReply(answer)),
            ] {
                let message = crate::Message::new(crate::Term(1), body);
                node.step(
                    Moment(5),
                    Input::Receive {
                        from: NodeId(from),
                        message,
                    },
                );
                settle(&mut node);
            }
            assert_eq!(
                (node.role(), node.commit()),
                (crate::RoleKind::Leader, crate::Index(0))
            );
            state(&node)
        };
        assert_eq!(leads(1), leads(1));
        assert_ne!(leads(0), leads(1));
    }

    #[test]
    fn node_reports_its_restored_state_and_its_decisions() {
        let voter = (NodeId(1), crate::Incarnation(7), crate::Standing::Voter);
        let membership = Membership::of([voter]).unwrap();
        let position = crate::LogPosition {
            term: crate::Term(3),
            index: crate::Index(8),
        };
        let snapshot = crate::Snapshot {
            position,
            stamp: crate::Stamp(5),
            membership: membership.clone(),
            data: Some(crate::Bytes::from(&[][..])),
        };
        let restored = Restored {
            hard_state: crate::HardState {
                term: crate::Term(3),
                ..Default::default()
            },
            incarnation: crate::Incarnation(7),
            start: snapshot.start(),
            snapshot: Some(snapshot.clone()),
            ..Restored::default()
        };
        let mut node =
            Node::new(Config::new(NodeId(1), membership, 1), restored, Moment(0)).unwrap();
        assert_eq!(
            (node.incarnation(), node.snapshot()),
            (crate::Incarnation(7), Some(&snapshot))
        );
        let _restore = node.take_actions();
        assert!(!node.has_work());
        node.step(Moment(1), Input::Campaign);
        assert!(node.has_work());
        let _left_lying = node.work();
        assert!(node.has_work(), "untaken actions are still work");
        let decided: std::vec::Vec<_> = node
            .take_actions()
            .events
            .into_iter()
            .map(|event| event.decision)
            .collect();
        let stands = crate::Decision::StoodForElection { transfer: false };
        assert!(decided.contains(&stands), "{decided:?}");
        assert!(!node.has_work());
    }

    fn granted() -> crate::Message {
        crate::Message::new(crate::Term(1), crate::Body::PreVoteReply { granted: true })
    }
}
