//! Clients: they call, ask again elsewhere when they hear nothing, sometimes give up, and remember
//! what they heard.

use std::collections::BTreeMap;

use raftian_raft::{NodeId, ReadId};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::cluster::{Host, Simulation};
use crate::counters::Counters;
use crate::linearizability::{Answer, Call, Committed, History, Ticket, Verdict, log_order, wgl};

/// All clients of a storm, and what they heard.
pub(super) struct Clients {
    keys: u32,
    clients: Vec<Client>,
    reads: Vec<Read>,
    /// Names reads, and makes every value a new one.
    counter: u64,
    history: History,
    /// What each machine's state says, brought up to date as it applies.
    machines: BTreeMap<NodeId, Machine>,
    /// Somebody asked since clients last listened.
    asked: bool,
}

#[derive(Default)]
struct Client {
    /// Its updates so far: key and value of each sequence from 1.
    updates: Vec<(u32, u64)>,
    /// The one it waits for: its ticket, and where it was asked last.
    waiting: Option<(Ticket, NodeId)>,
}

/// A read that was not answered yet.
struct Read {
    id: ReadId,
    ticket: Ticket,
    key: u32,
    at: NodeId,
    run: u64,
}

#[derive(Default)]
struct Machine {
    life: (u64, u64),
    seen: usize,
    /// Reads of this run that it was seen to have answered.
    answered: usize,
    lists: BTreeMap<u32, Vec<u64>>,
    /// Index of every update in effect.
    done: BTreeMap<(u64, u64), u64>,
}

impl Machine {
    /// Brings it up to date. Tells whether there is anything that it did not say before.
    fn look_at(&mut self, host: &Host) -> bool {
        let same = self.life == host.life();
        if same && self.seen == host.effects().len() && self.answered == host.reads().len() {
            return false;
        }
        if !same {
            *self = Machine {
                life: host.life(),
                ..Machine::default()
            };
        }
        for (command, index) in host.effects().iter().zip(host.effects_at()).skip(self.seen) {
            let (key, value) = decode(&command.bytes);
            self.lists.entry(key).or_default().push(value);
            self.done
                .insert((command.client.0, command.sequence), index.0);
        }
        (self.seen, self.answered) = (host.effects().len(), host.reads().len());
        true
    }
}

impl Clients {
    pub(super) fn new(clients: u64, keys: u32) -> Self {
        Clients {
            keys: keys.max(1),
            clients: (0..clients.max(1)).map(|_| Client::default()).collect(),
            reads: Vec::new(),
            counter: 0,
            history: History::default(),
            machines: BTreeMap::new(),
            asked: false,
        }
    }

    /// How many updates were ever asked for.
    pub(super) fn asked(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.updates.len() as u64)
            .sum()
    }

    /// A client asks for an update, or asks for its last one again at another node.
    pub(super) fn call(
        &mut self,
        cluster: &mut Simulation,
        rng: &mut ChaCha8Rng,
        again: bool,
        tally: &mut Counters,
    ) {
        let Some(at) = any_up(cluster, rng) else {
            return;
        };
        let number = rng.random_range(0..self.clients.len());
        let client = &mut self.clients[number];
        let gives_up = rng.random_bool(0.2);
        if client.waiting.is_none() || (gives_up && !again) {
            if client.waiting.is_some() {
                tally.count("gave up a call");
            }
            let (key, value) = (rng.random_range(0..self.keys), self.counter);
            self.counter += 1;
            client.updates.push((key, value));
            let sequence = client.updates.len() as u64;
            client.waiting = Some((
                self.history
                    .invoke(number as u64 + 1, sequence, key, Call::Append(value)),
                at,
            ));
            tally.count("called");
        } else {
            tally.count("called again");
        }
        if let Some((_, asked)) = &mut client.waiting {
            *asked = at;
        }
        self.asked = true;
        let sequence = client.updates.len() as u64;
        if propose(cluster, at, number, client, sequence).is_err() {
            tally.count("was refused a call");
        }
    }

    /// A client reads at some node.
    pub(super) fn read(
        &mut self,
        cluster: &mut Simulation,
        rng: &mut ChaCha8Rng,
        lease: bool,
        tally: &mut Counters,
    ) {
        // Half of the reads are asked where a stale answer would come from, if there is such a
        // leader.
        let deposed = deposed_leader(cluster).filter(|_| rng.random_bool(0.5));
        let Some(at) = deposed.or_else(|| any_up(cluster, rng)) else {
            return;
        };
        if deposed.is_some() {
            tally.count("asked a deposed leader for a read");
        }
        let (key, client) = (
            rng.random_range(0..self.keys),
            rng.random_range(0..self.clients.len()),
        );
        self.counter += 1;
        let id = ReadId(self.counter);
        let ticket = self.history.invoke(client as u64 + 1, 0, key, Call::Read);
        self.reads.push(Read {
            id,
            ticket,
            key,
            at,
            run: cluster.host(at).run(),
        });
        self.asked = true;
        tally.count(if lease { "read with a lease" } else { "read" });
        cluster.read(at, id, lease);
    }

    /// Clients hear what the nodes they asked have applied, and what was read there.
    pub(super) fn hear(&mut self, cluster: &Simulation, tally: &mut Counters) {
        let mut news = std::mem::take(&mut self.asked);
        if self.machines.is_empty() {
            self.machines = cluster.ids().map(|id| (id, Machine::default())).collect();
        }
        for (machine, host) in self.machines.values_mut().zip(cluster.hosts()) {
            news |= machine.look_at(host);
        }
        if !news {
            return;
        }
        for (number, client) in self.clients.iter_mut().enumerate() {
            if let Some((ticket, at)) = client.waiting
                && let Some(index) = self.machines[&at]
                    .done
                    .get(&(number as u64 + 1, client.updates.len() as u64))
            {
                self.history
                    .answer(ticket, Answer::Written { index: *index });
                client.waiting = None;
                tally.count("heard of an update");
            }
        }
        let (history, machines) = (&mut self.history, &self.machines);
        self.reads.retain(|read| {
            let host = cluster.host(read.at);
            match host.reads().get(&read.id) {
                Some(Ok(_)) => {
                    let list = machines[&read.at]
                        .lists
                        .get(&read.key)
                        .cloned()
                        .unwrap_or_default();
                    let index = host.applied().len() as u64;
                    history.answer(read.ticket, Answer::Value { list, index });
                    tally.count("heard of a read");
                    false
                }
                // A client that is refused, or whose node restarted, does not know; a read leaves
                // nothing behind.
                Some(Err(_)) => {
                    tally.count("was refused a read");
                    false
                }
                None => host.run() == read.run,
            }
        });
    }

    /// Updates that are not in effect at this node: which client's, and which of them.
    pub(super) fn missing(&self, at: NodeId) -> Vec<(usize, u64)> {
        let done = self.machines.get(&at).map(|machine| &machine.done);
        let all = self.clients.iter().enumerate();
        let all = all.flat_map(|(number, client)| {
            (1..=client.updates.len() as u64).map(move |s| (number, s))
        });
        all.filter(|(number, sequence)| {
            done.is_none_or(|done| !done.contains_key(&(*number as u64 + 1, *sequence)))
        })
        .collect()
    }

    /// Asks for an update again. False if it is refused.
    pub(super) fn insist(
        &self,
        cluster: &mut Simulation,
        at: NodeId,
        (number, sequence): (usize, u64),
    ) -> bool {
        propose(cluster, at, number, &self.clients[number], sequence).is_ok()
    }

    /// Holds what clients heard against the log of a node that has everything.
    ///
    /// # Panics
    /// If one copy of the data could not have shown it.
    pub(super) fn judge(&self, cluster: &Simulation, at: NodeId, tally: &mut Counters) {
        let host = cluster.host(at);
        let log: Vec<_> = host
            .effects()
            .iter()
            .zip(host.effects_at())
            .map(|(command, index)| {
                let (key, value) = decode(&command.bytes);
                let (client, sequence) = (command.client.0, command.sequence);
                Committed {
                    index: index.0,
                    client,
                    sequence,
                    key,
                    call: Call::Append(value),
                }
            })
            .collect();
        if let Err(contradiction) = log_order::check(&self.history, &log) {
            panic!(
                "the history is not linearizable: {contradiction}\n{}",
                cluster.trace()
            );
        }
        match wgl::check(&self.history, wgl::STATES_PER_KEY) {
            Verdict::Linearizable => tally.count("was found linearizable by clients alone"),
            Verdict::Undecided { .. } => tally.count("was left undecided by the black box"),
            Verdict::Violated(stuck) => panic!(
                "the history is not linearizable: {stuck}\n{}",
                cluster.trace()
            ),
        }
    }
}

fn any_up(cluster: &Simulation, rng: &mut ChaCha8Rng) -> Option<NodeId> {
    let up: Vec<_> = cluster
        .ids()
        .filter(|id| cluster.is_up(*id) && !cluster.is_paused(*id))
        .collect();
    (!up.is_empty()).then(|| up[rng.random_range(0..up.len())])
}

/// A node that believes to lead while another one leads a later term.
fn deposed_leader(cluster: &Simulation) -> Option<NodeId> {
    let newest = cluster.newest_leader()?;
    cluster
        .leaders()
        .into_iter()
        .find(|id| *id != newest && !cluster.is_paused(*id))
}

fn propose(
    cluster: &mut Simulation,
    at: NodeId,
    number: usize,
    client: &Client,
    sequence: u64,
) -> Result<(), ()> {
    if !cluster.is_up(at) {
        return Err(());
    }
    let (key, value) = client.updates[sequence as usize - 1];
    let mut bytes = key.to_le_bytes().to_vec();
    bytes.extend(value.to_le_bytes());
    cluster
        .propose(at, number as u64 + 1, sequence, &bytes)
        .map_err(drop)
}

/// Key and value of an update.
fn decode(bytes: &[u8]) -> (u32, u64) {
    let (key, value) = bytes.split_at(4);
    let (key, value) = (
        key.try_into().expect("four bytes"),
        value.try_into().expect("an update has twelve bytes"),
    );
    (u32::from_le_bytes(key), u64::from_le_bytes(value))
}
