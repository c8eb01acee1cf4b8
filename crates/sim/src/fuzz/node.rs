//! One node among peers that send arbitrary messages: it does not panic, and restarts from its
//! disk.

use std::collections::VecDeque;
use std::time::Duration;

use raftian_node::store::{MemoryStore, Store};
use raftian_node::wire;
use raftian_raft::{
    Actions, AppendReply, AppendResult, Body, Config, Entry, Incarnation, Index, Input, Membership,
    Message, Moment, Node, NodeId, Probe, ReadId, Restored, Standing, StateHash, TakenSnapshot,
    Write,
};

use super::choices::Choices;
use super::{Answer, Defect, Target, message};
use crate::coverage::Counters;

pub(super) const NODE: Target = Target {
    name: "node",
    about: "never panics; a node applies entries once, in order, and restarts from its disk",
    longest: 512,
    takes_anything: true,
    corpus: Vec::new,
    check: |bytes| {
        run(bytes)?;
        Ok(Answer::Taken)
    },
};

/// Runs one input and returns the decisions that the node made.
fn run(bytes: &[u8]) -> Result<Counters, Defect> {
    let mut choices = Choices::new(bytes);
    let mut harness = Harness::new(&mut choices)?;
    while !choices.are_made() {
        harness.act(&mut choices)?;
    }
    harness.restart()?;
    Ok(harness.counters)
}

/// A node with its disk and a program that performs every action.
struct Harness {
    config: Config,
    node: Node,
    now: Moment,
    disk: MemoryStore,
    pending: VecDeque<Write>,
    /// Last entry delivered to the state machine.
    delivered: Index,
    /// Last entry reported as applied.
    applied: Index,
    reads: u64,
    counters: Counters,
}

impl Harness {
    fn new(choices: &mut Choices<'_>) -> Result<Self, Defect> {
        let third = [
            Standing::Voter,
            Standing::Witness,
            Standing::Learner,
            Standing::Joining,
        ][choices.of(4)];
        let own = if choices.of(4) == 3 {
            NodeId(3)
        } else {
            NodeId(1)
        };
        let member = |id, standing| (NodeId(id), Incarnation(0), standing);
        let members = [
            member(1, Standing::Voter),
            member(2, Standing::Voter),
            member(3, third),
        ];
        let mut config = Config::new(own, Membership::of(members).expect("a member may lead"), 1);
        let switches = choices.byte();
        (config.pre_vote, config.check_quorum) = (switches & 1 == 0, switches & 2 == 0);
        config.lease_reads = config.check_quorum && switches & 4 != 0;
        // Adaptive timeouts require pre-vote.
        let adaptive = config.pre_vote && switches & 8 != 0;
        config.adaptive_timeout =
            adaptive.then(|| (Duration::from_millis(100), Duration::from_millis(400)));
        // Short enough that a disk can count as hung within the few steps of one input.
        config.disk_timeout = config.election_timeout.1;
        config.snapshot_entries = (switches & 16 != 0).then_some(2);
        // Founders that agree are voters.
        config.founders_agree = third == Standing::Voter && switches & 32 != 0;
        (config.snapshot_keep, config.snapshot_chunk) =
            (u64::from(switches >> 6), 1 + choices.of(4));
        (config.max_append_entries, config.inflight_messages) =
            (1 + choices.of(4), 1 + choices.of(4));
        (config.apply_window, config.max_uncommitted_entries) =
            (1 + choices.of(4), 1 + choices.of(8));
        let mut harness = Harness {
            node: Node::new(config.clone(), Restored::default(), Moment(0))
                .map_err(Defect::NotStarted)?,
            config,
            now: Moment(0),
            disk: MemoryStore::new(),
            pending: VecDeque::new(),
            delivered: Index(0),
            applied: Index(0),
            reads: 0,
            counters: Counters::default(),
        };
        harness.step(Input::Wake)?;
        Ok(harness)
    }

    fn act(&mut self, choices: &mut Choices<'_>) -> Result<(), Defect> {
        self.now.0 += u64::from(choices.byte()) * 100;
        let input = match choices.of(40) {
            0..=15 => {
                let from = NodeId(if choices.of(16) == 15 {
                    choices.number()
                } else {
                    1 + choices.of(4) as u64
                });
                Input::Receive {
                    from,
                    message: message::message(choices, &self.node),
                }
            }
            16 => {
                self.now = self.now.max(self.node.wake_at());
                Input::Wake
            }
            17 => Input::Campaign,
            18 | 19 => Input::Propose(
                (0..choices.of(3))
                    .map(|_| message::command(choices))
                    .collect(),
            ),
            20..=24 => return self.complete_writes(1 + choices.of(2)),
            25 => {
                Input::TransferLeadership(choices.maybe(|choices| NodeId(1 + choices.of(4) as u64)))
            }
            26 => Input::ChangeMembership(message::change(choices)),
            27 => {
                self.reads += 1;
                Input::Read {
                    id: ReadId(self.reads),
                    lease: choices.coin(),
                }
            }
            28 | 29 => {
                let compact_to = choices.maybe(|choices| Index(choices.number()));
                Input::TakeSnapshot(TakenSnapshot {
                    index: self.applied,
                    data: choices.bytes(6).into(),
                    compact_to,
                })
            }
            30 => Input::StateHash(StateHash {
                index: self.applied,
                hash: choices.number(),
            }),
            31 => return self.restart(),
            32 | 33 => return self.elect(),
            34..=38 => return self.acknowledge_all(),
            _ => {
                self.now = self.now.after(self.config.election_timeout.0);
                Input::Wake
            }
        };
        self.step(input)
    }

    /// Makes the node stand for election and win; random choices alone hardly ever do.
    fn elect(&mut self) -> Result<(), Defect> {
        self.step(Input::Campaign)?;
        for body in [
            Body::PreVoteReply { granted: true },
            Body::VoteReply { granted: true },
        ] {
            self.complete_writes(usize::MAX)?;
            let pre = body == Body::PreVoteReply { granted: true };
            let term = if pre {
                self.node.term().next()
            } else {
                self.node.term()
            };
            self.receive_from_all(&Message::new(term, body))?;
        }
        Ok(())
    }

    /// Completes all writes and lets all others acknowledge the whole log, so that it commits.
    fn acknowledge_all(&mut self) -> Result<(), Defect> {
        self.complete_writes(usize::MAX)?;
        let result = AppendResult::Matched {
            up_to: self.node.last().index,
        };
        let probe = Some(Probe {
            term: self.node.term(),
            sent: self.now,
            round: u64::MAX,
        });
        let body = Body::AppendReply(AppendReply {
            probe,
            result,
            state: None,
        });
        self.receive_from_all(&Message::new(self.node.term(), body))
    }

    fn receive_from_all(&mut self, message: &Message) -> Result<(), Defect> {
        let members = self.node.membership().members().map(|(id, _)| id);
        let others: Vec<_> = members.filter(|id| *id != self.config.id).collect();
        for from in others {
            self.step(Input::Receive {
                from,
                message: message.clone(),
            })?;
        }
        Ok(())
    }

    /// Completes up to `most` of the oldest writes and reports the last of them to the node.
    fn complete_writes(&mut self, most: usize) -> Result<(), Defect> {
        let mut newest = None;
        for write in self.pending.drain(..most.min(self.pending.len())) {
            newest = Some(write.number);
            self.disk.submit(write).map_err(Defect::WriteRejected)?;
            let _done = self.disk.completed();
        }
        newest.map_or(Ok(()), |number| self.step(Input::Persisted(number)))
    }

    fn step(&mut self, input: Input) -> Result<(), Defect> {
        self.node.step(self.now, input);
        // Each round applies at least one entry or nothing, so far fewer rounds drain the actions.
        for _ in 0..1_000 {
            let actions = self.node.take_actions();
            if actions.is_empty() {
                return Ok(());
            }
            self.perform(actions)?;
        }
        Err(Defect::EndlessActions)
    }

    fn perform(&mut self, actions: Actions) -> Result<(), Defect> {
        for (to, message) in &actions.send {
            let frame = wire::encode_message(message).map_err(Defect::NotSendable)?;
            // A node must not send to itself either.
            if wire::decode_message(&frame[wire::LENGTH_BYTES..]).as_ref() != Ok(message)
                || *to == self.config.id
            {
                return Err(Defect::NotReceivable {
                    to: *to,
                    message: Box::new(message.clone()),
                });
            }
        }
        actions
            .events
            .iter()
            .for_each(|event| self.counters.decided(&event.decision));
        self.pending.extend(actions.persist);
        let mut done = None;
        if let Some(snapshot) = actions.restore {
            self.delivered = snapshot.position.index;
            done = Some(self.delivered);
        }
        for Entry { index, .. } in actions.apply {
            if index != self.delivered.next() {
                let after = self.delivered;
                return Err(Defect::OutOfOrder { index, after });
            }
            self.delivered = index;
            done = Some(index);
        }
        if let Some(index) = done {
            self.applied = index;
            self.node.step(self.now, Input::Applied(index));
        }
        Ok(())
    }

    /// Crashes the node and restarts it from its disk; pending writes are lost.
    fn restart(&mut self) -> Result<(), Defect> {
        self.pending.clear();
        let node = Node::new(self.config.clone(), self.disk.restored(), self.now);
        self.node = node.map_err(Defect::NotStarted)?;
        // The new run restores its snapshot and applies the log from there.
        (self.delivered, self.applied) = (Index(0), Index(0));
        self.step(Input::Wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::Mark;
    use crate::fuzz::Fuzz;

    /// A fuzzer that reaches no deep state finds nothing.
    #[test]
    fn inputs_reach_deep_states_of_a_node() {
        let fuzz = Fuzz::new(NODE, 1);
        let mut counters = Counters::default();
        for number in 0..20_000 {
            counters.add(&run(&fuzz.input(number)).unwrap());
        }
        let met: Vec<_> = counters.iter().map(|(name, _)| name).collect();
        for rare in [
            Mark::CommittedItsOwnTerm,
            Mark::InstalledSnapshotAndKeptItsTail,
            Mark::LeftJointConfiguration,
            Mark::ReadByLease,
            Mark::RolledBackMembershipChange,
            Mark::SteppedDownWhenRemoved,
            Mark::SteppedDownWithHungDisk,
            Mark::TruncatedSeveralEntries,
            Mark::WasAddressedUnderAnotherIncarnation,
        ] {
            assert!(
                met.contains(&rare),
                "no input ever {rare}; there were {met:?}"
            );
        }
    }
}
