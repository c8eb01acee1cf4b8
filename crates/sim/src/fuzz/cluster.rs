//! A small cluster under arbitrary faults: every invariant holds, and once the faults end the
//! cluster converges.

use std::time::Duration;

use raftian_raft::{Change, Incarnation, Index, Membership, NodeId, ReadId, Standing};

use super::choices::Choices;
use super::{Answer, Defect, Target};
use crate::cluster::{Setup, Simulation};

pub(super) const CLUSTER: Target = Target {
    name: "cluster",
    about: "every invariant holds under faults and changes, then the cluster converges",
    longest: 512,
    takes_anything: true,
    corpus: sample_runs,
    check: |bytes| {
        let mut choices = Choices::new(bytes);
        let mut harness = Harness::new(&mut choices);
        while !choices.are_made() && harness.cluster.violation().is_none() {
            harness.inject(&mut choices);
        }
        harness.finish()
    },
};

/// Time within which a cluster without faults must converge: many elections.
const LIVENESS_TIME: Duration = Duration::from_secs(60);

/// Lines of trace that a violation is reported with.
const LINES: usize = 60;

struct Harness {
    cluster: Simulation,
    machines: u64,
    /// Whether leaders answer reads from their leases.
    has_leases: bool,
    reads: u64,
    commands: u64,
}

impl Harness {
    fn new(choices: &mut Choices<'_>) -> Self {
        let sizes = [1, 2, 3, 3, 3, 4, 5];
        let voters = sizes[choices.of(sizes.len())];
        let switches = choices.byte();
        let witness = voters > 2 && switches & 64 != 0;
        let member = |id| {
            let standing = if witness && id == voters {
                Standing::Witness
            } else {
                Standing::Voter
            };
            (NodeId(id), Incarnation(0), standing)
        };
        let members = Membership::of((1..=voters).map(member)).expect("a member may lead");
        let batch = 1 + choices.of(4);
        let window = 1 + choices.of(4);
        let keep = choices.of(4) as u64;
        let machines = voters + 1;
        // Lenient: a violation is kept for the report instead of a panic at once.
        let setup = Setup::members(members, u64::from(switches))
            .outsider(machines)
            .lenient()
            .trace(LINES);
        // Leases require check-quorum, which bit 1 switches off.
        let has_leases = switches & 6 == 4;
        let setup = setup.configure(move |config| {
            (config.pre_vote, config.check_quorum) = (switches & 1 == 0, switches & 2 == 0);
            config.lease_reads = has_leases;
            config.snapshot_entries = (switches & 8 != 0).then_some(3);
            (config.max_append_entries, config.inflight_messages) = (batch, window);
            (config.snapshot_keep, config.snapshot_chunk) = (keep, 100);
        });
        Harness {
            cluster: Simulation::new(setup),
            machines,
            has_leases,
            reads: 0,
            commands: 0,
        }
    }

    fn inject(&mut self, choices: &mut Choices<'_>) {
        let strike = choices.of(32);
        let node = NodeId(1 + choices.of(self.machines as usize) as u64);
        let up = self.cluster.is_up(node);
        let queued = self.cluster.queued().len();
        match strike {
            0..=6 => drop(self.cluster.deliver_at(choices.of(queued))),
            7 => self.cluster.drop_at(choices.of(queued)),
            8 => {
                let copy = self.cluster.queued().nth(choices.of(queued)).cloned();
                self.cluster.inject(copy);
            }
            9 => self
                .cluster
                .advance(Duration::from_millis(u64::from(choices.byte()))),
            10 | 11 => drop(self.cluster.stabilize()),
            12 => self.cluster.heal(),
            13 => self.cluster.isolate(node),
            14 => self
                .cluster
                .cut(node, NodeId(1 + choices.of(self.machines as usize) as u64)),
            15 | 16 if !up => self.cluster.restart(node),
            // The remaining faults need a running machine.
            _ if !up => {}
            15 => self.cluster.crash_keeping(node, choices.of(3)),
            16 => self.cluster.hold_disk(node),
            17 => self.cluster.release_disk(node),
            18 => self.cluster.complete_writes(node, 1 + choices.of(2)),
            19 | 20 => self.cluster.campaign(node),
            // A timer that fires alone is a fast clock, beyond the drift that leases tolerate.
            21 if self.has_leases => {}
            21 => self.cluster.tick(node),
            22..=25 => {
                self.commands += 1;
                let _refused =
                    self.cluster
                        .propose(node, 1 + choices.of(2) as u64, self.commands, b"x");
            }
            26 => {
                let successor = choices.maybe(|choices| NodeId(1 + choices.of(4) as u64));
                let _refused = self.cluster.transfer_leadership(node, successor).is_err();
            }
            27 | 28 => drop(self.cluster.change_membership(node, self.change(choices))),
            29 | 30 => {
                self.reads += 1;
                self.cluster.read(node, ReadId(self.reads), choices.coin());
            }
            _ => self
                .cluster
                .compact(node, choices.maybe(|choices| Index(choices.of(8) as u64))),
        }
    }

    /// Draws a membership change among the existing machines.
    fn change(&self, choices: &mut Choices<'_>) -> Change {
        let any = |choices: &mut Choices<'_>| {
            let standing = [
                Standing::Voter,
                Standing::Voter,
                Standing::Learner,
                Standing::Joining,
            ][choices.of(4)];
            (
                NodeId(1 + choices.of(self.machines as usize) as u64),
                Incarnation(0),
                standing,
            )
        };
        let (id, incarnation, standing) = any(choices);
        match choices.of(4) {
            0 => Change::Remove(id),
            1 | 2 => Change::Set(id, incarnation, standing),
            _ => Change::Replace(vec![
                (id, incarnation, standing),
                any(choices),
                any(choices),
            ]),
        }
    }

    /// Heals all links, disks and machines, and checks that the cluster converges.
    fn finish(mut self) -> Result<Answer, Defect> {
        if self.cluster.violation().is_none() {
            self.cluster.heal();
            for id in self.cluster.ids() {
                if self.cluster.is_up(id) {
                    self.cluster.release_disk(id)
                } else {
                    self.cluster.restart(id)
                }
            }
            let settled = self.cluster.settle(LIVENESS_TIME);
            if let (Err(unsettled), None) = (settled, self.cluster.violation()) {
                return Err(Defect::NotConverged(unsettled));
            }
        }
        match self.cluster.violation() {
            Some(violation) => Err(Defect::Violated {
                violation: violation.clone(),
                trace: self.cluster.trace(),
            }),
            None => Ok(Answer::Taken),
        }
    }
}

/// Returns runs without faults as material for mutation: elections, commands, a joining node, a
/// crash, reads and snapshots.
fn sample_runs() -> Vec<Vec<u8>> {
    // Each fault is the number of an arm in `inject`, then a node, then the arm's own choices.
    const CAMPAIGN: u8 = 19;
    const QUIET: [u8; 2] = [10, 0];
    let elected = |header: [u8; 5]| [&header[..], &[CAMPAIGN, 0], &QUIET].concat();
    let shipping = elected([2, 0, 3, 3, 0]);
    let bare = elected([2, 3, 0, 0, 0]);
    let commands = [[22, 0, 0].as_slice(), &QUIET, &[22, 1, 1], &QUIET].concat();
    let newcomer = [[27, 0, 3, 0, 1].as_slice(), &QUIET].concat();
    let swapped = [[27, 0, 3, 0, 3, 1, 0, 2, 0].as_slice(), &QUIET].concat();
    let crash = [
        [15, 1, 0].as_slice(),
        &commands,
        &[31, 0, 0],
        &[15, 1],
        &QUIET,
    ]
    .concat();
    let reads = [[29, 0, 0, 29, 1, 1].as_slice(), &QUIET].concat();
    let successor = [[26, 0, 1, 1].as_slice(), &QUIET].concat();
    [shipping, bare]
        .iter()
        .flat_map(|begin| {
            [
                [begin.as_slice(), &commands, &reads].concat(),
                [begin.as_slice(), &newcomer, &commands, &crash].concat(),
                [begin.as_slice(), &commands, &swapped, &successor, &commands].concat(),
                [
                    begin.as_slice(),
                    &[16, 0],
                    &commands,
                    &[CAMPAIGN, 1],
                    &QUIET,
                    &[17, 0],
                    &QUIET,
                    &crash,
                ]
                .concat(),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::{Counters, Mark};
    use crate::fuzz::Fuzz;

    /// A fuzzer that reaches no deep state finds nothing.
    #[test]
    fn inputs_reach_deep_states_of_a_cluster() {
        let fuzz = Fuzz::new(CLUSTER, 1);
        let mut counters = Counters::default();
        for number in 0..4_000 {
            let input = fuzz.input(number);
            let mut choices = Choices::new(&input);
            let mut harness = Harness::new(&mut choices);
            while !choices.are_made() {
                harness.inject(&mut choices);
            }
            counters.add(harness.cluster.counters());
            harness.finish().unwrap();
        }
        let met: Vec<_> = counters.iter().map(|(name, _)| name).collect();
        for rare in [
            Mark::CommittedItsOwnTerm,
            Mark::InstalledSnapshotInPlaceOfItsLog,
            Mark::LeftJointConfiguration,
            Mark::ReceivedMessageFromUnknownIncarnation,
            Mark::ReadByLease,
            Mark::SentSnapshot,
            Mark::SteppedDownWhenRemoved,
            Mark::SteppedDownWithoutQuorum,
            Mark::TruncatedSeveralEntries,
        ] {
            assert!(
                met.contains(&rare),
                "no input ever {rare}; there were {met:?}"
            );
        }
    }
}
