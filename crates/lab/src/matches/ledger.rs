//! What became of every order, and whether machines agree on it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use raftian_raft::{ClientId, Moment, Sessions};

/// One order of one player, 64 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The player gave it.
    pub clicked: Moment,
    /// A leader first had it in its log.
    pub proposed: Option<Moment>,
    /// A leader first knew it as committed.
    pub committed: Option<Moment>,
    /// Its effect was seen where it was given: now the player counts on it.
    pub applied: Option<Moment>,
    /// It has had its effect.
    done: bool,
}

/// One run of one player's program.
#[derive(Clone, Debug)]
pub struct Client {
    /// At which machine, counted from 0.
    pub machine: u32,
    /// When the machine crashed or left the match.
    pub ended: Option<Moment>,
    /// Its orders, the first with number 1.
    pub orders: Vec<Order>,
}

/// What Raft and sessions rule out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// A machine's state after so many effects is not that of the machine that got there first.
    Diverged {
        /// Which machine, counted from 0.
        machine: u32,
        /// After how many effects.
        effects: u64,
    },
    /// An order had a second effect.
    Doubled {
        /// Of which client.
        client: u64,
        /// Which of its orders.
        sequence: u64,
    },
    /// A player counts on an order that is in no state.
    Lost {
        /// Of which client.
        client: u64,
        /// Which of its orders.
        sequence: u64,
    },
    /// An order was committed where there is no majority.
    SplitBrain {
        /// By which machine, counted from 0.
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
                    "a player was told of the effect of order {sequence} of client {client}, which has none"
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

/// A side of a cut that is no majority, and since when.
#[derive(Clone, Copy, Debug)]
struct Minority {
    machines: u64,
    since: Moment,
}

/// Every order of a match.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    clients: Vec<Client>,
    /// The state after each effect, as the first machine that got there has it.
    hashes: Vec<u64>,
    /// Orders that had more effects than one.
    pub doubled: u64,
    /// States that differed from the first that got there.
    pub diverged: u64,
    /// Orders that were given on a side without a majority, and committed there.
    pub minority_commits: u64,
    /// The first violation that was seen.
    pub violation: Option<Violation>,
    minority: Option<Minority>,
    last_commit: Moment,
    longest_gap: Duration,
}

impl Ledger {
    /// A new player at a machine.
    pub fn enter(&mut self, machine: u32) -> ClientId {
        self.clients.push(Client {
            machine,
            ended: None,
            orders: Vec::new(),
        });
        ClientId(self.clients.len() as u64)
    }

    /// A player's machine is gone, and all it knew.
    pub fn end(&mut self, client: ClientId, now: Moment) {
        if let Some(client) = self.clients.get_mut((client.0 - 1) as usize) {
            client.ended.get_or_insert(now);
        }
    }

    /// Everybody who ever played.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// All orders.
    pub fn orders(&self) -> impl Iterator<Item = &Order> + '_ {
        self.clients.iter().flat_map(|client| &client.orders)
    }

    /// Effects so far, on the machine that has most.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The next order of a player.
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

    /// What is known of an order; `None` of one that nobody gave.
    #[must_use]
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

    /// A leader has it in its log.
    pub fn proposed(&mut self, client: ClientId, sequence: u64, now: Moment) {
        if let Some(order) = self.order_mut(client, sequence) {
            order.proposed.get_or_insert(now);
        }
    }

    /// A leader knows it as committed.
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
        if let Some(Minority { machines, since }) = self.minority
            && machines >> machine & 1 == 1
            && clicked > since
        {
            self.minority_commits += 1;
            self.violation
                .get_or_insert(Violation::SplitBrain { machine });
        }
    }

    /// A machine's state after an effect, or after a snapshot: `effects` of them, and `hash` is all
    /// of them.
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
            // No machine can be further than one effect ahead of all others.
            None => false,
        };
        if !agrees {
            self.diverged += 1;
            self.violation
                .get_or_insert(Violation::Diverged { machine, effects });
        }
    }

    /// An order has the effect that makes it `effects` of them. Asked of each machine, counted
    /// once.
    pub fn effect(&mut self, client: ClientId, sequence: u64, effects: u64) {
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

    /// The player was told of the effect of his order.
    pub fn told(&mut self, client: ClientId, sequence: u64, now: Moment) {
        if let Some(order) = self.order_mut(client, sequence) {
            order.applied.get_or_insert(now);
        }
    }

    /// Orders that players were told of and that are not in a state with these sessions.
    pub fn lost(&mut self, sessions: &Sessions) -> u64 {
        let known: BTreeMap<ClientId, (u64, Vec<u64>)> = sessions
            .iter()
            .map(|(client, floor, ahead)| (client, (floor, ahead.collect())))
            .collect();
        let mut lost = 0;
        for (number, client) in (1..).zip(&self.clients) {
            let known = known.get(&ClientId(number));
            for (sequence, order) in (1..).zip(&client.orders) {
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

    /// From now on these machines, a set of bits, are on a side without a majority: what is given
    /// there must not be committed there.
    pub fn isolate(&mut self, machines: u64, now: Moment) {
        self.minority = Some(Minority {
            machines,
            since: now,
        });
    }

    /// There is no such side any more.
    pub fn reunite(&mut self) {
        self.minority = None;
    }

    /// Forgets how long nothing was committed before now, but not since when nothing is.
    pub fn watch_gaps(&mut self) {
        self.longest_gap = Duration::ZERO;
    }

    /// The longest time between two orders that were committed one after the other, or from the
    /// last to now.
    #[must_use]
    pub fn longest_gap(&self, now: Moment) -> Duration {
        self.longest_gap.max(now.since(self.last_commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_effect_at_the_same_place_is_seen() {
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
        assert_eq!(ledger.diverged, 2, "a state that nobody can have");
    }

    #[test]
    fn a_second_effect_and_a_missing_one_are_seen() {
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
        (1..=3).for_each(|sequence| ledger.told(client, sequence, Moment(9)));
        assert_eq!(ledger.lost(&sessions), 1);
        assert_eq!(ledger.lost(&Sessions::default()), 3);
    }

    #[test]
    fn an_order_that_a_minority_commits_is_seen() {
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
