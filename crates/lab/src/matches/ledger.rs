//! Outcome of every order, and agreement of machines on it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use raftian_raft::{ClientId, Moment, Sessions};

/// One order of one player, 64 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The player gave the order.
    pub clicked: Moment,
    /// A leader first had the order in its log.
    pub proposed: Option<Moment>,
    /// A leader first knew the order as committed.
    pub committed: Option<Moment>,
    /// The effect was visible at the player's machine; from now on the player relies on it.
    pub applied: Option<Moment>,
    /// Whether the order has taken effect.
    done: bool,
}

/// One run of one player's program.
#[derive(Clone, Debug)]
pub struct Client {
    /// Machine of the player, counted from 0.
    pub machine: u32,
    /// Time at which the machine crashed or left the match.
    pub ended: Option<Moment>,
    /// Orders; the first has sequence number 1.
    pub orders: Vec<Order>,
}

/// Violation of a guarantee of Raft or of client sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// A machine's state differs from that of the first machine with the same number of effects.
    Diverged {
        /// Diverged machine, counted from 0.
        machine: u32,
        /// Number of effects.
        effects: u64,
    },
    /// An order took effect twice.
    Doubled {
        /// Client of the order.
        client: u64,
        /// Sequence number of the order.
        sequence: u64,
    },
    /// A player relies on an order that is in no state.
    Lost {
        /// Client of the order.
        client: u64,
        /// Sequence number of the order.
        sequence: u64,
    },
    /// An order was committed without a majority.
    SplitBrain {
        /// Committing machine, counted from 0.
        machine: u32,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Diverged { machine, effects } => {
                write!(
                    f,
                    "machine {}'s state after {effects} effects is not that of the others",
                    machine + 1
                )
            }
            Violation::Doubled { client, sequence } => {
                write!(f, "order {sequence} of client {client} had two effects")
            }
            Violation::Lost { client, sequence } => {
                write!(
                    f,
                    "a player was notified of the effect of order {sequence} of client {client}, which has none"
                )
            }
            Violation::SplitBrain { machine } => {
                write!(
                    f,
                    "machine {} committed an order without a majority",
                    machine + 1
                )
            }
        }
    }
}

/// Side of a partition without a majority, and since when.
#[derive(Clone, Copy, Debug)]
struct Minority {
    machines: u64,
    since: Moment,
}

/// All orders of a match.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    clients: Vec<Client>,
    /// State hash after each effect, from the first machine that reached it.
    hashes: Vec<u64>,
    /// Orders that took effect more than once.
    pub doubled: u64,
    /// States that differed from the first that reached the same effect.
    pub diverged: u64,
    /// Orders that were given on a side without a majority, and committed there.
    pub minority_commits: u64,
    /// The first violation.
    pub violation: Option<Violation>,
    minority: Option<Minority>,
    last_commit: Moment,
    longest_gap: Duration,
}

impl Ledger {
    /// Registers a new player at a machine.
    pub fn enter(&mut self, machine: u32) -> ClientId {
        self.clients.push(Client {
            machine,
            ended: None,
            orders: Vec::new(),
        });
        ClientId(self.clients.len() as u64)
    }

    /// Ends a player's run; the machine and its memory are gone.
    pub fn end(&mut self, client: ClientId, now: Moment) {
        if let Some(client) = self.clients.get_mut((client.0 - 1) as usize) {
            client.ended.get_or_insert(now);
        }
    }

    /// All players of the match, including former ones.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// All orders.
    pub fn orders(&self) -> impl Iterator<Item = &Order> + '_ {
        self.clients.iter().flat_map(|client| &client.orders)
    }

    /// Number of effects on the most advanced machine.
    pub fn effects(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// Records a player's next order, and returns its sequence number.
    pub fn click(&mut self, client: ClientId, now: Moment) -> u64 {
        let orders = &mut self.clients[(client.0 - 1) as usize].orders;
        orders.push(Order {
            clicked: now,
            proposed: None,
            committed: None,
            applied: None,
            done: false,
        });
        orders.len() as u64
    }

    /// Record of an order; `None` if it was never given.
    pub fn order(&self, client: ClientId, sequence: u64) -> Option<&Order> {
        self.clients
            .get(client.0.checked_sub(1)? as usize)?
            .orders
            .get(sequence.checked_sub(1)? as usize)
    }

    fn order_mut(&mut self, client: ClientId, sequence: u64) -> Option<&mut Order> {
        self.clients
            .get_mut(client.0.checked_sub(1)? as usize)?
            .orders
            .get_mut(sequence.checked_sub(1)? as usize)
    }

    /// Records that a leader has the order in its log.
    pub fn proposed(&mut self, client: ClientId, sequence: u64, now: Moment) {
        if let Some(order) = self.order_mut(client, sequence) {
            order.proposed.get_or_insert(now);
        }
    }

    /// Records that a leader knows the order as committed.
    pub fn committed(&mut self, client: ClientId, sequence: u64, machine: u32, now: Moment) {
        let Some(order) = self
            .order_mut(client, sequence)
            .filter(|order| order.committed.is_none())
        else {
            return;
        };
        order.committed = Some(now);
        let clicked = order.clicked;
        self.longest_gap = self.longest_gap.max(now.since(self.last_commit));
        self.last_commit = now;
        // An older order may have reached a majority before the cut.
        if let Some(Minority { machines, since }) = self.minority
            && machines >> machine & 1 == 1
            && clicked > since
        {
            self.minority_commits += 1;
            self.violation
                .get_or_insert(Violation::SplitBrain { machine });
        }
    }

    /// Records a machine's state after an effect or a snapshot: the number of effects, and the hash
    /// of all of them.
    pub fn reached(&mut self, machine: u32, effects: u64, hash: u64) {
        let Some(place) = effects.checked_sub(1) else {
            return;
        };
        let agrees = match self.hashes.get(place as usize) {
            Some(first) => *first == hash,
            None if place == self.effects() => {
                self.hashes.push(hash);
                true
            }
            // No machine can be more than one effect ahead of all others.
            None => false,
        };
        if !agrees {
            self.diverged += 1;
            self.violation
                .get_or_insert(Violation::Diverged { machine, effects });
        }
    }

    /// Records the effect number `effects`. Called for each machine, counted once.
    pub fn effect(&mut self, client: ClientId, sequence: u64, effects: u64) {
        // Another machine has already counted this effect.
        if effects != self.effects() + 1 {
            return;
        }
        let Some(order) = self.order_mut(client, sequence) else {
            return;
        };
        if std::mem::replace(&mut order.done, true) {
            self.doubled += 1;
            self.violation.get_or_insert(Violation::Doubled {
                client: client.0,
                sequence,
            });
        }
    }

    /// Records that the player was notified of the effect.
    pub fn notified(&mut self, client: ClientId, sequence: u64, now: Moment) {
        if let Some(order) = self.order_mut(client, sequence) {
            order.applied.get_or_insert(now);
        }
    }

    /// Counts orders that players were notified of but that are in no state with these sessions.
    pub fn lost(&mut self, sessions: &Sessions) -> u64 {
        let known: BTreeMap<ClientId, (u64, Vec<u64>)> = sessions
            .iter()
            .map(|(client, floor, ahead)| (client, (floor, ahead.collect())))
            .collect();
        let mut lost = 0;
        for (number, client) in (1..).zip(&self.clients) {
            let known = known.get(&ClientId(number));
            for (sequence, order) in (1..).zip(&client.orders) {
                // All sequence numbers up to the floor have been applied.
                let held = known
                    .is_some_and(|(floor, ahead)| sequence <= *floor || ahead.contains(&sequence));
                if order.applied.is_some() && !held {
                    lost += 1;
                    self.violation.get_or_insert(Violation::Lost {
                        client: number,
                        sequence,
                    });
                }
            }
        }
        lost
    }

    /// Marks these machines, a bit set, as a side without a majority: orders given there from now
    /// on must not be committed there.
    pub fn isolate(&mut self, machines: u64, now: Moment) {
        self.minority = Some(Minority {
            machines,
            since: now,
        });
    }

    /// Removes that mark.
    pub fn reunite(&mut self) {
        self.minority = None;
    }

    /// Resets the longest gap, but not the start of the current one.
    pub fn watch_gaps(&mut self) {
        self.longest_gap = Duration::ZERO;
    }

    /// Longest time between two consecutive commits of orders, or from the last commit to `now`.
    pub fn longest_gap(&self, now: Moment) -> Duration {
        self.longest_gap.max(now.since(self.last_commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diverged_effect_is_a_violation() {
        let mut ledger = Ledger::default();
        for (machine, effects, hash) in [(0, 1, 11), (1, 1, 11), (1, 2, 22), (0, 2, 22)] {
            ledger.reached(machine, effects, hash);
        }
        assert_eq!(
            (ledger.diverged, &ledger.violation, ledger.effects()),
            (0, &None, 2)
        );
        ledger.reached(2, 1, 12);
        assert_eq!(
            ledger.violation,
            Some(Violation::Diverged {
                machine: 2,
                effects: 1
            })
        );
        ledger.reached(2, 9, 99);
        assert_eq!(ledger.diverged, 2, "a state more than one effect ahead");
    }

    #[test]
    fn second_effect_and_missing_effect_are_violations() {
        let mut ledger = Ledger::default();
        let client = ledger.enter(0);
        for sequence in 1..=3 {
            assert_eq!(ledger.click(client, Moment(sequence)), sequence);
        }
        for (effects, sequence) in [(1, 1), (2, 2), (3, 1)] {
            for machine in 0..2 {
                ledger.effect(client, sequence, effects);
                ledger.reached(machine, effects, effects);
            }
        }
        assert_eq!(ledger.doubled, 1);
        let mut sessions = Sessions::default();
        for sequence in 1..=2 {
            let _admitted = sessions.admit(client, sequence);
        }
        (1..=3).for_each(|sequence| ledger.notified(client, sequence, Moment(9)));
        assert_eq!(ledger.lost(&sessions), 1);
        assert_eq!(ledger.lost(&Sessions::default()), 3);
    }

    #[test]
    fn order_committed_by_a_minority_is_a_violation() {
        let mut ledger = Ledger::default();
        let client = ledger.enter(0);
        ledger.click(client, Moment(5));
        ledger.isolate(0b1, Moment(10));
        ledger.click(client, Moment(15));
        ledger.click(client, Moment(16));
        ledger.committed(client, 1, 0, Moment(20));
        ledger.committed(client, 2, 1, Moment(30));
        assert_eq!(
            ledger.minority_commits, 0,
            "an older order, and another machine"
        );
        ledger.committed(client, 3, 0, Moment(50));
        assert_eq!(ledger.violation, Some(Violation::SplitBrain { machine: 0 }));
        assert_eq!(ledger.longest_gap(Moment(60)), Duration::from_micros(20));
    }
}
