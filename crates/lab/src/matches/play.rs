//! The loop of a match, and what can be done to it.

mod faults;
mod work;

use std::time::Duration;

use raftian_raft::{Command, Input, Membership, Message, Moment, NodeId, Term};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::ledger::{Ledger, Violation};
use super::machine::{Machine, Player, name, place};
use super::{Conditions, Plant};
use raftian_sim::timed::{EventQueue, Next};

pub use faults::Orders;

/// How often [`Match::settle`] looks.
const SLICE: Duration = Duration::from_millis(10);

/// Cluster, links and players.
pub struct Match {
    conditions: Conditions,
    founders: Membership,
    machines: Vec<Machine>,
    queue: EventQueue<Happening>,
    now: Moment,
    rng: ChaCha8Rng,
    loss: f64,
    /// For each machine, those that it cannot reach.
    cut: Vec<u64>,
    ledger: Ledger,
    /// Elections that were won: when, in which term, by which machine.
    won: Vec<(Moment, Term, usize)>,
    orders: Orders,
    probe: Option<Probe>,
    chase: Option<Chase>,
    envelopes: Vec<(NodeId, Message)>,
    steps: u64,
}

/// What happens at some time; what is meant for one run of a machine does not happen to another.
enum Happening {
    Arrives {
        from: NodeId,
        to: NodeId,
        message: Message,
    },
    Written {
        place: usize,
        run: u64,
    },
    Clicks {
        place: usize,
        run: u64,
    },
    AsksAgain {
        place: usize,
        run: u64,
        sequence: u64,
    },
}

/// Waits for the first order that was not committed `since` then to have its effect at one of some
/// machines.
struct Probe {
    since: Moment,
    among: u64,
    seen: Option<Moment>,
}

/// Waits until some machines have so many effects.
struct Chase {
    effects: u64,
    waiting: u64,
    done: Option<Moment>,
}

/// What came of a match.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Account {
    /// Orders that were given.
    pub clicked: u64,
    /// Those that had their effect where they were given.
    pub applied: u64,
    /// Those whose player was told of an effect that is in no state: must be 0.
    pub lost: u64,
    /// Those with more effects than one: must be 0.
    pub doubled: u64,
    /// Those given and committed on a side without a majority: must be 0.
    pub minority_commits: u64,
    /// All machines that run have the same state, and never had another one.
    pub equal: bool,
    /// The first thing that must not be.
    pub violation: Option<Violation>,
}

impl Account {
    /// Whether everything is as Raft and sessions promise.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violation.is_none()
            && self.equal
            && self.lost + self.doubled + self.minority_commits == 0
    }
}

impl Match {
    /// A match of so many machines that start now, each with a player. Everything follows from
    /// `seed`.
    ///
    /// # Panics
    /// If [`Conditions::check`] was not asked, and would have refused.
    #[must_use]
    pub fn new(conditions: &Conditions, size: u64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let founders = (0..size as usize).map(|place| name(place, 0));
        let founders = Membership::new(founders).expect("a match has machines");
        let loss = conditions.loss.draw(&mut rng);
        let mut ledger = Ledger::default();
        let machine = |place| Machine::new(name(place, 0), Player::new(ledger.enter(place as u32)));
        let mut game = Match {
            conditions: conditions.clone(),
            founders,
            machines: (0..size as usize).map(machine).collect(),
            queue: EventQueue::default(),
            now: Moment(0),
            rng,
            loss,
            cut: vec![0; size as usize],
            ledger,
            won: Vec::new(),
            orders: Orders::default(),
            probe: None,
            chase: None,
            envelopes: Vec::new(),
            steps: 0,
        };
        (0..size as usize).for_each(|place| game.start(place));
        game
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Inputs that nodes took so far: messages, finished writes, orders and timers.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What became of every order.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The machine that leads in the latest term, counted from 0.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leaders = self
            .machines
            .iter()
            .enumerate()
            .filter(|(_, machine)| machine.leads());
        let term = |machine: &Machine| machine.node.as_ref().map(raftian_raft::Node::term);
        leaders
            .max_by_key(|(_, machine)| term(machine))
            .map(|(place, _)| place)
    }

    /// When the next election after `since` was won, by one of some machines, a set of bits.
    #[must_use]
    pub fn won_after(&self, since: Moment, among: u64) -> Option<Moment> {
        let won = self
            .won
            .iter()
            .find(|(at, _, place)| *at > since && among >> place & 1 == 1);
        won.map(|(at, ..)| *at)
    }

    /// Lets so much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now.after(time));
    }

    /// Lets time pass until then.
    pub fn run_until(&mut self, limit: Moment) {
        while let Some((at, next)) = self.queue.next_until(limit) {
            self.now = at;
            match next {
                Next::Wake(place) => self.look(place as usize, at),
                Next::Delivery(Happening::Arrives { from, to, message }) => {
                    self.arrive(from, to, message)
                }
                Next::Delivery(Happening::Written { place, run }) if self.is_run(place, run) => {
                    self.written(place)
                }
                Next::Delivery(Happening::Clicks { place, run }) if self.is_run(place, run) => {
                    self.click(place)
                }
                Next::Delivery(Happening::AsksAgain {
                    place,
                    run,
                    sequence,
                }) if self.is_run(place, run) => {
                    self.ask(place, sequence);
                }
                Next::Delivery(
                    Happening::Written { .. }
                    | Happening::Clicks { .. }
                    | Happening::AsksAgain { .. },
                ) => {}
            }
        }
        self.now = self.now.max(limit);
    }

    /// Lets players give no more orders, and waits until each has had its effect on every machine
    /// that runs. Gives the time that took; `None` if it was not so within `limit`.
    pub fn settle(&mut self, limit: Duration) -> Option<Duration> {
        let began = self.now;
        self.machines
            .iter_mut()
            .for_each(|machine| machine.player.clicks = false);
        while !self.is_settled() {
            if self.now.since(began) >= limit {
                return None;
            }
            self.run_for(SLICE);
        }
        Some(self.now.since(began))
    }

    fn is_settled(&self) -> bool {
        let effects = self.ledger.effects();
        let mut running = self
            .machines
            .iter()
            .filter(|machine| machine.node.is_some());
        running.all(|machine| machine.player.pending.is_empty() && machine.state.count == effects)
    }

    /// What came of it so far. Whether states are equal can be told of a settled match only.
    #[must_use]
    pub fn account(&mut self) -> Account {
        let Match {
            machines, ledger, ..
        } = self;
        let running = || machines.iter().filter(|machine| machine.node.is_some());
        let lost = running()
            .map(|machine| ledger.lost(&machine.state.sessions))
            .max()
            .unwrap_or_default();
        let mut states: Vec<_> = running()
            .map(|machine| (machine.state.count, machine.state.hash))
            .collect();
        states.dedup();
        Account {
            clicked: ledger.orders().count() as u64,
            applied: ledger
                .orders()
                .filter(|order| order.applied.is_some())
                .count() as u64,
            lost,
            doubled: ledger.doubled,
            minority_commits: ledger.minority_commits,
            equal: states.len() == 1 && ledger.diverged == 0,
            violation: ledger.violation.clone(),
        }
    }

    /// From now on waits for the first order that is not committed yet to have its effect at one of
    /// some machines.
    pub fn watch_for_progress(&mut self, among: u64) {
        self.probe = Some(Probe {
            since: self.now,
            among,
            seen: None,
        });
        self.ledger.watch_gaps();
    }

    /// How long that took, if it has happened.
    #[must_use]
    pub fn progress(&self) -> Option<Duration> {
        self.probe
            .as_ref()
            .and_then(|probe| Some(probe.seen?.since(probe.since)))
    }

    /// From now on waits until some machines have had every effect that there is by now.
    pub fn watch_for_equality(&mut self, among: u64) {
        let effects = self.ledger.effects();
        let behind =
            |place: &usize| among >> place & 1 == 1 && self.machines[*place].state.count < effects;
        let waiting = (0..self.machines.len())
            .filter(behind)
            .fold(0, |waiting, place| waiting | 1 << place);
        self.chase = Some(Chase {
            effects,
            waiting,
            done: (waiting == 0).then_some(self.now),
        });
    }

    /// When that was so.
    #[must_use]
    pub fn equality(&self) -> Option<Moment> {
        self.chase.as_ref().and_then(|chase| chase.done)
    }

    fn is_run(&self, place: usize, run: u64) -> bool {
        self.machines[place].run == run
    }

    fn look(&mut self, place: usize, at: Moment) {
        let machine = &mut self.machines[place];
        if machine.looks != at {
            return;
        }
        machine.looks = Moment(u64::MAX);
        match &machine.node {
            Some(node) if node.wake_at() <= at => self.step(place, Input::Wake),
            Some(_) | None => self.plan(place),
        }
    }

    fn arrive(&mut self, from: NodeId, to: NodeId, message: Message) {
        if self.machines[place(to)].id == to && self.cut[place(from)] >> place(to) & 1 == 0 {
            self.step(place(to), Input::Receive { from, message });
        }
    }

    fn written(&mut self, place: usize) {
        if let Some(number) = self.machines[place].written() {
            self.step(place, Input::Persisted(number));
        }
    }

    /// The player gives an order, and will give another one some time.
    fn click(&mut self, place: usize) {
        let player = &mut self.machines[place].player;
        if !player.clicks {
            return;
        }
        let client = player.client;
        let next = self.ledger.clients()[(client.0 - 1) as usize].orders.len() as u64 + 1;
        if player.has_room(next) {
            let sequence = self.ledger.click(client, self.now);
            player.pending.insert(sequence);
            self.ask(place, sequence);
            if self.conditions.plant == Some(Plant::Lost) {
                self.machines[place].player.pending.remove(&sequence);
                self.ledger.told(client, sequence, self.now);
            }
        }
        self.plan_click(place);
    }

    fn plan_click(&mut self, place: usize) {
        let chance: f64 = self.rng.random_range(f64::MIN_POSITIVE..1.0);
        let gap = Duration::from_secs_f64((-chance.ln() / self.conditions.rate).min(3600.0));
        self.put(
            self.now.after(gap),
            Happening::Clicks {
                place,
                run: self.machines[place].run,
            },
        );
    }

    /// Gives the node an order that has had no effect yet, and plans to do so again.
    fn ask(&mut self, place: usize, sequence: u64) {
        let Machine { player, run, .. } = &self.machines[place];
        if !player.pending.contains(&sequence) {
            return;
        }
        let (client, run) = (player.client, *run);
        let bytes: Vec<u8> = [client.0, sequence]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        self.put(
            self.now.after(self.conditions.patience.0),
            Happening::AsksAgain {
                place,
                run,
                sequence,
            },
        );
        self.step(
            place,
            Input::Propose(vec![Command {
                client,
                sequence,
                bytes: bytes.into(),
            }]),
        );
    }

    fn put(&mut self, at: Moment, what: Happening) {
        assert!(
            self.queue.send(at, what),
            "what happens to the machines of a match has room in its queue"
        );
    }
}
