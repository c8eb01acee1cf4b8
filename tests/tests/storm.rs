//! Random storms over the shipping core, then peace. Any property violated, any panic, any peace without rest is a
//! failure, and a failure is one line that replays it.

use std::time::{SystemTime, UNIX_EPOCH};

use raftian_lab::simulation::Tally;
use raftian_lab::storm::Storm;

const EVENTS: usize = 2_000;
const SEEDS: u64 = 300;

/// Prints how to replay a storm, if it fails.
struct Replay(Storm);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Storm { seed, nodes, events } = self.0;
            eprintln!(
                "replay: RAFTIAN_SEED={seed} RAFTIAN_NODES={nodes} RAFTIAN_EVENTS={events} \
                 cargo test -p raftian-tests --test storm -- --exact one_storm_from_the_environment"
            );
        }
    }
}

fn run(storm: Storm) -> Tally {
    let _replay = Replay(storm);
    storm.run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A storm that never met a fault has tested nothing.
fn storms(nodes: u64, must_have_met: &[&str]) {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        tally.add(&run(Storm { seed: seed * 1_000 + nodes, nodes, events: EVENTS }));
    }
    for (name, count) in tally.iter() {
        println!("{count:>8}  {name}");
    }
    for name in must_have_met {
        assert!(tally.of(name) > 0, "no storm over {nodes} nodes ever {name}");
    }
}

const ALWAYS_MET: [&str; 16] = [
    "crashed with writes under way",
    "cut off a fresh leader",
    "found a differing log",
    "gave up handing over",
    "had repeats or empty entries in the log",
    "proposed again",
    "refused a pre-vote",
    "refused a proposal",
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
            let _tally = run(Storm { seed, nodes, events: EVENTS });
        }
    }
}

/// A seed nobody has tried: each run of the tests explores a little further.
#[test]
fn fresh_seeds_survive_storms() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_nanos() as u64;
    for seed in 0..20 {
        let _tally = run(Storm { seed: now.wrapping_add(seed), nodes: 3 + seed % 3, events: EVENTS });
    }
}

/// The storm that RAFTIAN_SEED names, or one of seed 0.
#[test]
fn one_storm_from_the_environment() {
    let seed = number("RAFTIAN_SEED").unwrap_or(0);
    let nodes = number("RAFTIAN_NODES").unwrap_or(3);
    let events = number("RAFTIAN_EVENTS").unwrap_or(EVENTS as u64) as usize;
    let storm = Storm { seed, nodes, events };
    println!("{storm:?}");
    let first = run(storm);
    assert_eq!(first, run(storm), "a seed decides everything");
}
