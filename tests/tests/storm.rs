//! Random storms over the shipping core, then peace. Any property violated, any panic, any peace
//! without rest is a failure, and a failure is one line that replays it.

use std::time::{SystemTime, UNIX_EPOCH};

use raftian_lab::simulation::Tally;
use raftian_lab::storm::{Machines, Storm, minimise};

const SEEDS: u64 = 300;

/// Runs a storm. A wreck is told with the few faults it takes, and the command that replays it.
fn run(storm: Storm) -> Tally {
    match storm.run() {
        Ok(report) => report.tally,
        Err(wreck) => {
            let (small, wreck) = minimise(&storm, wreck);
            panic!(
                "{}\n{:#?}\nreplay: {}",
                wreck.what,
                wreck.faults,
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

/// A storm that never met a fault has tested nothing.
fn storms(nodes: u64, must_have_met: &[&str]) {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        tally.add(&run(storm(seed * 1_000 + nodes, nodes)));
    }
    for (name, count) in tally.iter() {
        println!("{count:>8}  {name}");
    }
    for name in must_have_met {
        assert!(
            tally.of(name) > 0,
            "no storm over {nodes} nodes ever {name}"
        );
    }
}

const ALWAYS_MET: [&str; 16] = [
    "called again",
    "crashed with writes under way",
    "cut off a fresh leader",
    "found a differing log",
    "gave up handing over",
    "installed a snapshot in place of its log",
    "left a joint configuration",
    "refused a pre-vote",
    "refused a vote",
    "repeated a message",
    "stepped down in a later term",
    "stepped down with a hung disk",
    "stepped down without quorum",
    "stood for election when asked to",
    "truncated one entry",
    "truncated several entries",
];

#[test]
fn three_nodes_survive_storms_and_do_every_command_exactly_once() {
    storms(3, &ALWAYS_MET);
}

#[test]
fn five_nodes_survive_storms_and_do_every_command_exactly_once() {
    storms(5, &ALWAYS_MET);
}

/// Even sizes and a single voter have majorities of their own kind.
#[test]
fn clusters_of_every_size_survive_storms() {
    for nodes in [1, 2, 4, 6, 7] {
        for seed in 0..20 {
            let _tally = run(storm(seed, nodes));
        }
    }
}

/// Seeds that once failed, with the voters at the beginning.
const PAST_SEEDS: [(u64, u64); 5] = [
    // An acknowledgement was on its way when an old copy of the store behind it was put back.
    (30_242, 5),
    // The newest log was at a learner that did not know yet that it was to vote, and the voter that
    // did know was down.
    (1_795_888_488_717_402_922, 3),
    // A machine with a rotten disk joined, became a voter by itself, and could not start again.
    (1_795_872_403_036_684_549, 3),
    // A learner had the newest log, without the entry that makes it a voter, and the leader with
    // that entry lost its disk.
    (1_795_899_197_536_628_177, 3),
    // The leader's state differed from that of the only voter of an uncommitted configuration, and
    // only the leader could win.
    (1_795_901_244_121_836_058, 3),
];

#[test]
fn seeds_that_once_failed_succeed() {
    for (seed, nodes) in PAST_SEEDS {
        let _tally = run(storm(seed, nodes));
    }
    // A removed machine was switched off that an uncommitted change needed.
    let _tally = run(Storm {
        machines: Machines::Bare,
        ..storm(1_795_902_473_029_973_868, 3)
    });
}

/// A seed nobody has tried: each run of the tests explores a little further.
#[test]
fn fresh_seeds_survive_storms() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is after 1970")
        .as_nanos() as u64;
    for seed in 0..20 {
        let _tally = run(storm(now.wrapping_add(seed), 3 + seed % 3));
    }
}

/// Two runs of a seed do the same, in every particular.
#[test]
fn a_seed_decides_everything() {
    for seed in 0..5 {
        let storm = Storm {
            machines: [Machines::Drawn, Machines::Everything][(seed % 2) as usize],
            ..Storm::of(seed)
        };
        assert_eq!(storm.run(), storm.run());
    }
}

/// Messages as bytes, and the store that ships on a disk that tears.
#[test]
fn the_real_store_and_the_wire_survive_storms_too() {
    for seed in 0..20 {
        let _tally = run(Storm {
            machines: Machines::Everything,
            ..storm(seed, 3)
        });
    }
}
