//! Randomized storms on the shipping core, each followed by a liveness phase. A violated property,
//! a panic or a liveness phase that does not converge is a failure, reported with one line that
//! replays it.

use std::time::{SystemTime, UNIX_EPOCH};

use raftian_sim::coverage::{Counters, Mark};
use raftian_sim::storm::{Machines, Storm, shrink};

const SEEDS: u64 = 300;

/// Runs a storm; a failure is reported with the minimal faults that cause it and the command that
/// replays it.
fn run(storm: Storm) -> Counters {
    match storm.run() {
        Ok(report) => report.counters,
        Err(failure) => {
            let (small, failure) = shrink(&storm, failure);
            panic!(
                "{failure}\n{:#?}\nreplay: {}",
                failure.faults,
                small.replay()
            );
        }
    }
}

fn storm(seed: u64, nodes: u64) -> Storm {
    Storm {
        nodes,
        ..Storm::of(seed)
    }
}

/// Runs [`SEEDS`] storms and fails if any of `must_have_met` never occurred: a storm without faults
/// tests nothing.
fn storms(nodes: u64, must_have_met: &[Mark]) {
    let mut counters = Counters::default();
    for seed in 0..SEEDS {
        counters.add(&run(storm(seed * 1_000 + nodes, nodes)));
    }
    for (mark, count) in counters.iter() {
        println!("{count:>8}  {mark}");
    }
    for mark in must_have_met {
        assert!(
            counters.of(*mark) > 0,
            "no storm over {nodes} nodes ever {mark}"
        );
    }
}

const ALWAYS_MET: [Mark; 18] = [
    Mark::RetriedCall,
    Mark::CrashedWithWritesUnderWay,
    Mark::CutOffFreshLeader,
    Mark::FoundDifferingLog,
    Mark::AbortedLeadershipTransfer,
    Mark::InstalledSnapshotInPlaceOfItsLog,
    Mark::LeftJointConfiguration,
    Mark::RecordedContacts,
    Mark::RecordedContactsDuringChange,
    Mark::RefusedPreVote,
    Mark::RefusedVote,
    Mark::RepeatedMessage,
    Mark::SteppedDownInLaterTerm,
    Mark::SteppedDownWithHungDisk,
    Mark::SteppedDownWithoutQuorum,
    Mark::StoodForElectionInTransfer,
    Mark::TruncatedOneEntry,
    Mark::TruncatedSeveralEntries,
];

#[test]
fn three_nodes_apply_commands_exactly_once_in_storms() {
    storms(3, &ALWAYS_MET);
}

#[test]
fn five_nodes_apply_commands_exactly_once_in_storms() {
    storms(5, &ALWAYS_MET);
}

/// Even cluster sizes and a single voter are special cases of the majority.
#[test]
fn clusters_of_every_size_survive_storms() {
    for nodes in [1, 2, 4, 6, 7] {
        for seed in 0..20 {
            let _counters = run(storm(seed, nodes));
        }
    }
}

/// Seeds that once failed, each with its initial number of voters.
const PAST_SEEDS: [(u64, u64); 9] = [
    // An acknowledgement was in flight when the sender's store was replaced by an older copy.
    (30_242, 5),
    // The newest log was on a learner that had not yet received its promotion to voter, and the
    // voter that had received it was down.
    (1_795_888_488_717_402_922, 3),
    // A machine with a corrupt disk joined, became a voter automatically, and could not restart.
    (1_795_872_403_036_684_549, 3),
    // A learner had the newest log, without the entry that makes it a voter, and the leader with
    // that entry lost its disk.
    (1_795_899_197_536_628_177, 3),
    // The leader's state had diverged from that of the only voter of an uncommitted configuration,
    // and only the leader could win an election.
    (1_795_901_244_121_836_058, 3),
    // A member that joined under load needed a snapshot for each command: the leader retained no
    // entries.
    (1_795_928_289_667_902_285, 6),
    // A leader without a vote appended another membership, which only a witness had besides it.
    (7_002_003, 4),
    // A machine whose disk had rotted unnoticed held the newest log, and was not granted to the
    // rest.
    (15_997, 3),
    // The only other voter failed on a disk that had rotted unnoticed.
    (62_518, 3),
];

#[test]
fn seeds_that_once_failed_succeed() {
    for (seed, nodes) in PAST_SEEDS {
        let _counters = run(storm(seed, nodes));
    }
    // A removed machine was switched off while an uncommitted change still needed it.
    let _counters = run(Storm {
        machines: Machines::Bare,
        ..storm(1_795_902_473_029_973_868, 3)
    });
}

/// Untried seeds, taken from the clock: each run of the tests explores a little further.
#[test]
fn fresh_seeds_survive_storms() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is after 1970")
        .as_nanos() as u64;
    for seed in 0..20 {
        let _counters = run(storm(now.wrapping_add(seed), 3 + seed % 3));
    }
}

/// Two runs of one seed return equal reports.
#[test]
fn same_seed_reproduces_the_storm() {
    for seed in 0..5 {
        let storm = Storm {
            machines: [Machines::Drawn, Machines::Everything][(seed % 2) as usize],
            ..Storm::of(seed)
        };
        assert_eq!(storm.run(), storm.run());
    }
}

/// Storms with encoded messages, and with the shipping store on a disk that tears writes.
#[test]
fn real_store_and_wire_survive_storms() {
    for seed in 0..20 {
        let _counters = run(Storm {
            machines: Machines::Everything,
            ..storm(seed, 3)
        });
    }
}
