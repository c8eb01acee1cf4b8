//! Simulated clients: they send updates and reads, retry at other nodes, sometimes give up, and
//! record results in a history.

use std::collections::BTreeMap;

use raftian_node::wire;
use raftian_raft::{Bytes, NodeId, ReadId};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::Cause;
use crate::cluster::{Game, GameOrder, Host, Simulation, UPDATE_BYTES};
use crate::coverage::{Counters, Mark};
use crate::linearizability::{Answer, Call, Committed, History, Ticket, Verdict, log_order, wgl};

/// All clients of a storm and their history.
pub(super) struct Clients {
    keys: u32,
    clients: Vec<Client>,
    reads: Vec<Read>,
    /// Source of read ids and unique values.
    counter: u64,
    history: History,
    /// State of each machine, updated as it applies entries.
    machines: BTreeMap<NodeId, Machine>,
    /// Whether a client sent a request since results were last collected.
    asked: bool,
    /// Draws the orders of the game, if updates carry some.
    orders: Option<ChaCha8Rng>,
}

#[derive(Default)]
struct Client {
    /// Updates so far, by sequence number, from 1.
    updates: Vec<Bytes>,
    /// Pending update: its ticket, and the node asked last.
    waiting: Option<(Ticket, NodeId)>,
}

/// A pending read.
struct Read {
    id: ReadId,
    ticket: Ticket,
    key: u32,
    at: NodeId,
    run: u64,
}

#[derive(Default)]
struct Machine {
    version: (u64, u64),
    seen: usize,
    /// Number of reads answered in this run.
    answered: usize,
    lists: BTreeMap<u32, Vec<u64>>,
    /// Index of every applied update, by client and sequence number.
    done: BTreeMap<(u64, u64), u64>,
}

impl Machine {
    /// Updates the copy from `host` and returns whether anything changed.
    fn look_at(&mut self, host: &Host) -> bool {
        let same = self.version == host.state_version();
        if same && self.seen == host.effects().len() && self.answered == host.reads().len() {
            return false;
        }
        if !same {
            *self = Machine {
                version: host.state_version(),
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
    /// Clients of a storm. With `orders` their updates carry orders of the game.
    pub(super) fn new(clients: u64, keys: u32, orders: Option<ChaCha8Rng>) -> Self {
        Clients {
            keys: keys.max(1),
            clients: (0..clients.max(1)).map(|_| Client::default()).collect(),
            reads: Vec::new(),
            counter: 0,
            history: History::default(),
            machines: BTreeMap::new(),
            asked: false,
            orders,
        }
    }

    /// Returns the number of updates ever requested.
    pub(super) fn asked(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.updates.len() as u64)
            .sum()
    }

    /// Sends a new update of a random client, or retries its last one at another node.
    pub(super) fn call(
        &mut self,
        cluster: &mut Simulation,
        rng: &mut ChaCha8Rng,
        again: bool,
        counters: &mut Counters,
    ) {
        let Some(at) = any_up(cluster, rng) else {
            return;
        };
        let number = rng.random_range(0..self.clients.len());
        let client = &mut self.clients[number];
        let gives_up = rng.random_bool(0.2);
        // A client has at most one pending update, so a new one abandons the last.
        if client.waiting.is_none() || (gives_up && !again) {
            if client.waiting.is_some() {
                counters.count(Mark::GaveUpCall);
            }
            let key = rng.random_range(0..self.keys);
            let value = self.counter;
            self.counter += 1;
            let mut bytes = key.to_le_bytes().to_vec();
            bytes.extend(value.to_le_bytes());
            if let Some(rng) = &mut self.orders {
                let blank = Game::default();
                let game = cluster.host(at).game().unwrap_or(&blank);
                let orders = game.draw(rng, number as u64 + 1, at);
                note_orders(game, &orders, counters);
                bytes.extend(wire::encode_value(&orders).expect("orders are small"));
            }
            client.updates.push(bytes.into());
            let sequence = client.updates.len() as u64;
            client.waiting = Some((
                self.history
                    .invoke(number as u64 + 1, sequence, key, Call::Append(value)),
                at,
            ));
            counters.count(Mark::Called);
        } else {
            counters.count(Mark::RetriedCall);
        }
        if let Some((_, asked)) = &mut client.waiting {
            *asked = at;
        }
        self.asked = true;
        let sequence = client.updates.len() as u64;
        if propose(cluster, at, number, client, sequence).is_err() {
            counters.count(Mark::WasRefusedCall);
        }
    }

    /// Sends a read of a random client to some node.
    pub(super) fn read(
        &mut self,
        cluster: &mut Simulation,
        rng: &mut ChaCha8Rng,
        lease: bool,
        counters: &mut Counters,
    ) {
        // Half of the reads go to a deposed leader, if there is one: a stale answer would come from
        // there.
        let deposed = deposed_leader(cluster).filter(|_| rng.random_bool(0.5));
        let Some(at) = deposed.or_else(|| any_up(cluster, rng)) else {
            return;
        };
        if deposed.is_some() {
            counters.count(Mark::AskedDeposedLeaderForRead);
        }
        let key = rng.random_range(0..self.keys);
        let client = rng.random_range(0..self.clients.len());
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
        counters.count(if lease {
            Mark::ReadWithLease
        } else {
            Mark::Read
        });
        cluster.read(at, id, lease);
    }

    /// Collects results of updates and reads from the nodes that the clients asked.
    pub(super) fn collect_answers(&mut self, cluster: &Simulation, counters: &mut Counters) {
        let mut news = std::mem::take(&mut self.asked);
        if self.machines.is_empty() {
            self.machines = cluster.ids().map(|id| (id, Machine::default())).collect();
        }
        // Both iterate in order of ids.
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
                counters.count(Mark::ReceivedUpdateResult);
            }
        }
        let history = &mut self.history;
        let machines = &self.machines;
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
                    counters.count(Mark::ReceivedReadResult);
                    false
                }
                // A refused or lost read has no result and no effect, so the history may omit it.
                Some(Err(_)) => {
                    counters.count(Mark::WasRefusedRead);
                    false
                }
                // A restart loses pending reads.
                None => host.run() == read.run,
            }
        });
    }

    /// Returns client and sequence number of every update that this node has not applied.
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

    /// Proposes an update again; returns false if it is refused.
    pub(super) fn insist(
        &self,
        cluster: &mut Simulation,
        at: NodeId,
        (number, sequence): (usize, u64),
    ) -> bool {
        propose(cluster, at, number, &self.clients[number], sequence).is_ok()
    }

    /// Checks the history against the complete log of a node.
    ///
    /// # Errors
    /// Fails if the history is not linearizable.
    pub(super) fn check_history(
        &self,
        cluster: &Simulation,
        at: NodeId,
        counters: &mut Counters,
    ) -> Result<(), Cause> {
        let host = cluster.host(at);
        let log: Vec<_> = host
            .effects()
            .iter()
            .zip(host.effects_at())
            .map(|(command, index)| {
                let (key, value) = decode(&command.bytes);
                let client = command.client.0;
                let sequence = command.sequence;
                Committed {
                    index: index.0,
                    client,
                    sequence,
                    key,
                    call: Call::Append(value),
                }
            })
            .collect();
        // Two independent checkers: the first trusts the order of the log, the second sees only the
        // clients' history.
        log_order::check(&self.history, &log)
            .map_err(|error| Cause::ContradictsLog(Box::new(error)))?;
        match wgl::check(&self.history, wgl::STATES_PER_KEY) {
            Verdict::Linearizable => counters.count(Mark::WasFoundLinearizableByWglSearch),
            Verdict::Undecided { .. } => counters.count(Mark::WasLeftUndecidedByWglSearch),
            Verdict::Violated(stuck) => return Err(Cause::NotLinearizable(Box::new(stuck))),
        }
        Ok(())
    }
}

fn any_up(cluster: &Simulation, rng: &mut ChaCha8Rng) -> Option<NodeId> {
    let up: Vec<_> = cluster
        .ids()
        .filter(|id| cluster.is_up(*id) && !cluster.is_paused(*id))
        .collect();
    (!up.is_empty()).then(|| up[rng.random_range(0..up.len())])
}

/// Returns a node in the leader role while another one leads a later term.
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
    let bytes = &client.updates[sequence as usize - 1];
    cluster
        .propose(at, number as u64 + 1, sequence, bytes)
        .map_err(drop)
}

/// Counts what the orders of an update are about.
fn note_orders(game: &Game, orders: &[GameOrder], counters: &mut Counters) {
    let is_of_crowns = |order: &GameOrder| matches!(order, GameOrder::Table(..));
    if !orders.iter().any(is_of_crowns) {
        return;
    }
    counters.count(Mark::OrderedInCrowns);
    match game.table().game().map(|game| game.end()) {
        None => {}
        Some(None) => counters.count(Mark::PlayedCrowns),
        Some(Some(_)) => counters.count(Mark::EndedCrowns),
    }
}

/// Decodes key and value of an update.
fn decode(bytes: &[u8]) -> (u32, u64) {
    let (key, value) = bytes[..UPDATE_BYTES].split_at(4);
    let key = key.try_into().expect("four bytes");
    let value = value
        .try_into()
        .expect("an update has at least twelve bytes");
    (u32::from_le_bytes(key), u64::from_le_bytes(value))
}
