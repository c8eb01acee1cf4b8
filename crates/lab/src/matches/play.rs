//! Event loop of a match, and its public operations.

mod faults;
mod work;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use raftian_raft::{Command, Input, Membership, Message, Moment, NodeId, Term};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::ledger::{Ledger, Violation};
use super::machine::{Machine, Player, name, place};
use super::{Conditions, Plant};
use raftian_sim::timed::{Timed, Timeline};

pub use faults::ChangeRequests;

/// Interval of checks in [`Match::settle`].
const SLICE: Duration = Duration::from_millis(10);

/// Cluster, links and players.
pub struct Match {
    conditions: Conditions,
    founders: Membership,
    machines: Vec<Machine>,
    timeline: Timeline<Event>,
    rng: ChaCha8Rng,
    loss: f64,
    /// Unreachable machines of each machine.
    cut: Vec<u64>,
    /// End of the last stall of each machine's link.
    stalled: Vec<Moment>,
    ledger: Ledger,
    /// Won elections: time, term and machine.
    won: Vec<(Moment, Term, usize)>,
    orders: ChangeRequests,
    probe: Option<Probe>,
    chase: Option<Chase>,
    envelopes: Vec<(NodeId, Message)>,
    steps: u64,
}

/// Scheduled event; an event for an earlier run of a machine is discarded.
pub enum Event {
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

/// Waits for the first order not committed at `since` to take effect at one of the machines
/// `among`.
struct Probe {
    since: Moment,
    among: u64,
    seen: Option<Moment>,
}

/// Waits until the machines `waiting` have this many effects.
struct Chase {
    effects: u64,
    waiting: u64,
    done: Option<Moment>,
}

/// Outcome of a match.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Account {
    /// Orders that were given.
    pub clicked: u64,
    /// Orders that took effect where they were given.
    pub applied: u64,
    /// Orders with a notified effect that is in no state: must be 0.
    pub lost: u64,
    /// Orders that took effect more than once: must be 0.
    pub doubled: u64,
    /// Orders given and committed on a side without a majority: must be 0.
    pub minority_commits: u64,
    /// Whether all running machines have the same state, and never had a different one.
    pub equal: bool,
    /// The first violation.
    pub violation: Option<Violation>,
}

impl Account {
    /// Whether all guarantees of Raft and sessions held.
    pub fn is_sound(&self) -> bool {
        self.violation.is_none()
            && self.equal
            && self.lost + self.doubled + self.minority_commits == 0
    }
}

impl Match {
    /// Starts a match of `size` machines, each with a player. `seed` determines everything.
    ///
    /// # Panics
    /// If [`Conditions::check`] would refuse the settings.
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
            timeline: Timeline::new(size as usize),
            rng,
            loss,
            cut: vec![0; size as usize],
            stalled: vec![Moment(0); size as usize],
            ledger,
            won: Vec::new(),
            orders: ChangeRequests::default(),
            probe: None,
            chase: None,
            envelopes: Vec::new(),
            steps: 0,
        };
        (0..size as usize).for_each(|place| game.start(place));
        game
    }

    /// Current time.
    pub fn now(&self) -> Moment {
        self.timeline.now()
    }

    /// Inputs that nodes processed so far: messages, completed writes, orders and timers.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Record of every order.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Leader of the latest term, counted from 0.
    pub fn leader(&self) -> Option<usize> {
        // A deposed leader may not have stepped down yet, so several machines can lead.
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

    /// Number of elections won so far.
    pub fn elections(&self) -> usize {
        self.won.len()
    }

    /// Time of the first election after `since` won by a machine in `among`, a bit set.
    pub fn won_after(&self, since: Moment, among: u64) -> Option<Moment> {
        let won = self
            .won
            .iter()
            .find(|(at, _, place)| *at > since && among >> place & 1 == 1);
        won.map(|(at, ..)| *at)
    }

    /// Runs the match for `time`.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now().after(time));
    }

    /// Runs the match until `limit`.
    pub fn run_until(&mut self, limit: Moment) {
        let ControlFlow::Continue(()) = Timed::run_until(self, limit);
    }

    /// Stops new orders, and waits until each has taken effect on every running machine. Returns
    /// the time that took; `None` if it exceeds `limit`.
    pub fn settle(&mut self, limit: Duration) -> Option<Duration> {
        let began = self.now();
        self.machines
            .iter_mut()
            .for_each(|machine| machine.player.clicks = false);
        while !self.is_settled() {
            if self.now().since(began) >= limit {
                return None;
            }
            self.run_for(SLICE);
        }
        Some(self.now().since(began))
    }

    fn is_settled(&self) -> bool {
        let effects = self.ledger.effects();
        let mut running = self
            .machines
            .iter()
            .filter(|machine| machine.node.is_some());
        running.all(|machine| machine.player.pending.is_empty() && machine.state.count == effects)
    }

    /// Outcome so far. Equality of states is meaningful only for a settled match.
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
        // One distinct value remains if all machines agree.
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

    /// Starts waiting for the first order that is not committed yet to take effect at one of the
    /// machines `among`.
    pub fn watch_for_progress(&mut self, among: u64) {
        self.probe = Some(Probe {
            since: self.now(),
            among,
            seen: None,
        });
        self.ledger.watch_gaps();
    }

    /// Duration of that wait, once it is over.
    pub fn progress(&self) -> Option<Duration> {
        self.probe
            .as_ref()
            .and_then(|probe| Some(probe.seen?.since(probe.since)))
    }

    /// Starts waiting until the machines `among` have applied every effect that exists now.
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
            done: (waiting == 0).then_some(self.now()),
        });
    }

    /// Time at which that wait ended.
    pub fn equality(&self) -> Option<Moment> {
        self.chase.as_ref().and_then(|chase| chase.done)
    }

    fn is_run(&self, place: usize, run: u64) -> bool {
        self.machines[place].run == run
    }

    fn arrive(&mut self, from: NodeId, to: NodeId, message: Message) {
        // A stall that began while the message was in flight.
        let resumed = self.stalled[place(to)].max(self.stalled[place(from)]);
        let wait = resumed.since(self.now());
        if !wait.is_zero() {
            self.timeline
                .schedule(wait, Event::Arrives { from, to, message });
            return;
        }
        // The receiver may have been replaced, or the link cut, while the message was in flight.
        if self.machines[place(to)].id == to && self.cut[place(from)] >> place(to) & 1 == 0 {
            self.step(place(to), Input::Receive { from, message });
        }
    }

    fn written(&mut self, place: usize) {
        if let Some(number) = self.machines[place].written() {
            self.step(place, Input::Persisted(number));
        }
    }

    /// The player gives an order, and schedules the next.
    fn click(&mut self, place: usize) {
        let player = &mut self.machines[place].player;
        if !player.clicks {
            return;
        }
        let client = player.client;
        let next = self.ledger.clients()[(client.0 - 1) as usize].orders.len() as u64 + 1;
        if player.has_room(next) {
            let sequence = self.ledger.click(client, self.timeline.now());
            player.pending.insert(sequence);
            self.ask(place, sequence);
            if self.conditions.plant == Some(Plant::Lost) {
                self.machines[place].player.pending.remove(&sequence);
                self.ledger.notified(client, sequence, self.now());
            }
        }
        self.plan_click(place);
    }

    fn plan_click(&mut self, place: usize) {
        let chance: f64 = self.rng.random_range(f64::MIN_POSITIVE..1.0);
        // Exponential gaps make the clicks a Poisson process.
        let gap = Duration::from_secs_f64((-chance.ln() / self.conditions.rate).min(3600.0));
        self.put(
            gap,
            Event::Clicks {
                place,
                run: self.machines[place].run,
            },
        );
    }

    /// Proposes an order without an effect to the node, and schedules a repetition.
    fn ask(&mut self, place: usize, sequence: u64) {
        let Machine { player, run, .. } = &self.machines[place];
        // The effect arrived after this repetition was scheduled.
        if !player.pending.contains(&sequence) {
            return;
        }
        let client = player.client;
        let run = *run;
        // Never read: effects depend only on client and sequence number.
        let bytes: Vec<u8> = [client.0, sequence]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        self.put(
            self.conditions.patience.0,
            Event::AsksAgain {
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

    fn put(&mut self, delay: Duration, event: Event) {
        assert!(
            self.timeline.schedule(delay, event),
            "the timeline has room for the machines' own events"
        );
    }
}

impl Timed for Match {
    type Event = Event;
    type Break = Infallible;

    fn timeline(&mut self) -> &mut Timeline<Event> {
        &mut self.timeline
    }

    fn wake(&mut self, place: usize) -> ControlFlow<Infallible> {
        match &self.machines[place].node {
            // The deadline may have moved since the wake-up was planned.
            Some(node) if node.wake_at() <= self.now() => self.step(place, Input::Wake),
            Some(_) | None => self.plan(place),
        }
        ControlFlow::Continue(())
    }

    fn handle(&mut self, event: Event) -> ControlFlow<Infallible> {
        match event {
            Event::Arrives { from, to, message } => self.arrive(from, to, message),
            Event::Written { place, run } if self.is_run(place, run) => self.written(place),
            Event::Clicks { place, run } if self.is_run(place, run) => self.click(place),
            Event::AsksAgain {
                place,
                run,
                sequence,
            } if self.is_run(place, run) => self.ask(place, sequence),
            Event::Written { .. } | Event::Clicks { .. } | Event::AsksAgain { .. } => {}
        }
        ControlFlow::Continue(())
    }
}
