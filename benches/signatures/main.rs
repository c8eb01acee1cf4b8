//! Cost of signed orders: three nodes in memory, on one core, with and without signatures.
//!
//! Limit: 20,000 signed orders per second through three nodes, in batches of 16. The leader signs its
//! own orders, and each of the three machines verifies them before it applies them and adds them to
//! the hash chain of its history: all of that is in the one core's time. Orders that a follower forwards are limited to far fewer by
//! `raftian_node::quota`.
//!
//! `cargo bench -p raftian-benches --bench signatures [-- --json FILE]`

#[path = "../peers/machine.rs"]
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftian_node::chain::ChainHead;
use raftian_node::cluster::Identity;
use raftian_node::contact::Contact;
use raftian_node::driver::{Committed, Driver};
use raftian_node::match_record::MatchRecord;
use raftian_node::memory_links::{MemoryLinks, MemoryNetwork};
use raftian_node::signing::{CommandKey, CommandSigner, Verifier};
use raftian_node::store::MemoryStore;
use raftian_node::ticket::MatchId;
use raftian_raft::{
    Bytes, Change, ClientId, Command, Config, Membership, Moment, NodeId, Payload, Restored,
    RoleKind,
};
use serde_json::json;

use machine::Machine;

/// Measures signatures of orders.
#[derive(Parser, Debug)]
#[command(name = "signatures")]
struct Options {
    /// Writes the results to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Passed by `cargo bench`; without it, a few orders are committed and the times mean nothing
    #[arg(long, hide = true)]
    bench: bool,
}

const MATCH: MatchId = MatchId([1; 16]);

/// Size of an order in bytes: about that of a march.
const ORDER: usize = 24;

/// Orders that are submitted together.
const BATCHES: [usize; 4] = [1, 4, 16, 256];

/// Runs of each row, of which the fastest counts: others were disturbed.
const RUNS: usize = 3;

fn main() -> ExitCode {
    let options = Options::parse();
    let machine = Machine::here();
    println!(
        "signed orders through three nodes on one core, {}",
        machine.line()
    );
    println!(
        "{:>6} {:>12} {:>12} {:>7} {:>14}",
        "batch", "plain/s", "signed/s", "ratio", "bytes more"
    );
    let mut rows = Vec::new();
    for batch in BATCHES {
        let orders = match (options.bench, batch) {
            (false, _) => 2 * batch,
            (true, 1) => 2_000,
            (true, _) => 20_000_usize.next_multiple_of(batch),
        };
        let fastest = |is_signed| {
            let runs = (0..RUNS).map(|_| Cluster::new(is_signed).commit(orders, batch));
            runs.min_by_key(|run| run.took).expect("there are runs")
        };
        let (plain, signed) = (fastest(false), fastest(true));
        let rate = |run: &Run| orders as f64 / run.took.as_secs_f64();
        let more = (signed.bytes - plain.bytes) as f64 / orders as f64;
        println!(
            "{batch:>6} {:>12.0} {:>12.0} {:>7.2} {more:>14.1}",
            rate(&plain),
            rate(&signed),
            rate(&signed) / rate(&plain),
        );
        rows.push(json!({
            "batch": batch,
            "orders": orders,
            "plain_per_s": rate(&plain),
            "signed_per_s": rate(&signed),
            "bytes_more": more,
        }));
    }
    println!("{}", machine.verdict());
    let document = json!({
        "schema": "raftian.bench-signatures/1",
        "machine": machine.json(),
        "rows": rows,
    });
    if let Some(file) = options.json
        && let Err(error) = std::fs::write(&file, document.to_string())
    {
        eprintln!("cannot write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Time for the orders of one row, and the bytes of all entries.
struct Run {
    took: Duration,
    bytes: usize,
}

/// A machine: its node, and what its program knows about signatures.
struct Member {
    driver: Driver<MemoryStore, MemoryLinks>,
    verifier: Verifier,
    head: ChainHead,
    applied: usize,
    bytes: usize,
}

/// Three nodes on a clock that is moved by hand.
struct Cluster {
    machines: Vec<Member>,
    keys: Vec<CommandKey>,
    is_signed: bool,
    now: Moment,
}

impl Cluster {
    fn new(is_signed: bool) -> Self {
        let identities: Vec<_> = (0..3)
            .map(|_| Identity::generate().expect("an identity"))
            .collect();
        let keys: Vec<_> = identities.iter().map(CommandKey::of).collect();
        let membership = membership(&keys, is_signed);
        let network = MemoryNetwork::new();
        let machines = (1..).map(NodeId).zip(&identities).map(|(id, identity)| {
            let config = Config::new(id, membership.clone(), id.0);
            let links = network.links(id);
            let mut driver = Driver::new(
                config,
                Restored::default(),
                MemoryStore::new(),
                links,
                Moment(0),
            )
            .expect("valid settings");
            driver.set_signer(CommandSigner::new(identity));
            Member {
                driver,
                verifier: Verifier::default(),
                head: ChainHead::default(),
                applied: 0,
                bytes: 0,
            }
        });
        let mut cluster = Cluster {
            machines: machines.collect(),
            keys,
            is_signed,
            now: Moment(0),
        };
        while cluster.leader().is_none() {
            cluster.turn(Duration::from_millis(1));
        }
        cluster
    }

    /// The machine that leads.
    fn leader(&self) -> Option<usize> {
        let mut machines = self.machines.iter();
        machines.position(|one| one.driver.node().role() == RoleKind::Leader)
    }

    /// Runs every node once, and applies what it delivers.
    fn turn(&mut self, step: Duration) {
        self.now = self.now.after(step);
        let now = self.now;
        let mut committed = Vec::new();
        for machine in &mut self.machines {
            machine.driver.pump(|| now).expect("memory never fails");
            machine.driver.take_committed(usize::MAX, &mut committed);
            for item in committed.drain(..) {
                let Committed::Entry(entry) = item else {
                    continue;
                };
                if self.is_signed {
                    machine.head = machine.head.after(&entry);
                }
                let Payload::Command { command, member } = &entry.payload else {
                    continue;
                };
                machine.applied += 1;
                machine.bytes += entry.size();
                if self.is_signed {
                    let key = self.keys[member.0 as usize - 1];
                    let verified = machine
                        .verifier
                        .verify((MATCH, *member), Some(key), command);
                    verified.expect("every order is signed");
                }
            }
        }
    }

    fn commit(mut self, orders: usize, batch: usize) -> Run {
        let leader = self.leader().expect("one was elected");
        let begun = Instant::now();
        for first in (1..=orders as u64).step_by(batch) {
            let order = |sequence| Command {
                client: ClientId(1),
                sequence,
                bytes: Bytes::from(vec![sequence as u8; ORDER]),
            };
            let commands = (first..).take(batch).map(order).collect();
            self.machines[leader].driver.propose(commands);
            let expected = first as usize - 1 + batch;
            while self.machines.iter().any(|one| one.applied < expected) {
                self.turn(Duration::from_micros(10));
            }
        }
        Run {
            took: begun.elapsed(),
            bytes: self.machines[0].bytes,
        }
    }
}

fn membership(keys: &[CommandKey], is_signed: bool) -> Membership {
    let record = MatchRecord {
        id: MATCH,
        name: "bench".to_owned(),
        rules: String::new(),
        next_member: 4,
        next_invite: 1,
        code: None,
        invites: Vec::new(),
        spectators: Vec::new(),
        ballots: Vec::new(),
    };
    let contact = |(id, key): (NodeId, &CommandKey)| {
        let contact = Contact {
            name: id.to_string(),
            fingerprint: raftian_node::cluster::Fingerprint::of(&key.0),
            addresses: Vec::new(),
            key: Some(*key),
        };
        (id, contact.encode().expect("within its bounds"))
    };
    let recorded = Change::Record {
        contacts: (1..).map(NodeId).zip(keys).map(contact).collect(),
        annex: is_signed.then(|| record.encode().expect("within its bounds")),
    };
    let members = Membership::new((1..=3).map(NodeId)).expect("three members");
    members.after(&recorded).expect("a record")
}
