//! A storm: a seed decides what happens to a cluster, then peace comes and everything must be well.
//!
//! Each seed draws its own mix of faults and settings (a swarm): uniform faults alone miss the interesting corners.
//! Some faults wait for their moment: a crash right after the message just handled, a cut right after an election.

mod weather;

use std::time::Duration;

use raftian_raft::NodeId;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::simulation::{Setup, Simulation, Tally};
use weather::Weather;

/// One storm, named by its seed.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Decides everything.
    pub seed: u64,
    /// Size of the cluster.
    pub nodes: u64,
    /// How many things happen before peace.
    pub events: usize,
}

/// Most messages on their way in a storm; beyond them the oldest is lost, as in a full buffer.
const MOST_QUEUED: usize = 256;

/// Clients that propose; each command of each must take effect exactly once.
const CLIENTS: u64 = 4;

impl Storm {
    /// Runs the storm, then the peace after it. Gives back what happened how often.
    ///
    /// # Panics
    /// If a property of [`crate::invariants`] is violated, a node panics, or peace does not end with one leader, equal
    /// logs, and every command in effect exactly once. The message ends with what happened last.
    #[must_use]
    pub fn run(&self) -> Tally {
        let mut dice = weather::dice(self.seed);
        let weather = Weather::draw(&mut dice);
        let setup = Setup::cluster(self.nodes, self.seed).configure({
            let weather = weather.clone();
            move |config| weather.configure(config)
        });
        let mut run = Run {
            cluster: Simulation::new(setup),
            dice,
            weather,
            proposed: vec![0; CLIENTS as usize],
            fresh_leader: None,
            tally: Tally::default(),
        };
        for _ in 0..self.events {
            run.event();
        }
        run.peace();
        run.tally.add(run.cluster.tally());
        run.tally
    }
}

struct Run {
    cluster: Simulation,
    dice: ChaCha8Rng,
    weather: Weather,
    /// How many commands each client has proposed.
    proposed: Vec<u64>,
    fresh_leader: Option<NodeId>,
    tally: Tally,
}

impl Run {
    /// One thing happens, and a little time passes.
    fn event(&mut self) {
        let pace = self.weather.pace.as_micros() as u64;
        let passes = self.dice.random_range(0..=2 * pace);
        self.cluster.advance(Duration::from_micros(passes));
        while self.cluster.queued().len() > MOST_QUEUED {
            let oldest = self.cluster.queued().next().map(|envelope| envelope.serial);
            self.cluster.drop_messages(|envelope| Some(envelope.serial) == oldest);
        }
        let roll = self.dice.random_range(0.0..1.0);
        match self.weather.pick(roll) {
            weather::Event::Deliver => self.deliver(),
            weather::Event::Propose => self.propose(),
            weather::Event::Cut => self.cut(),
            weather::Event::Heal => self.cluster.heal(),
            weather::Event::Crash => self.crash_any(),
            weather::Event::Restart => self.restart_any(),
            weather::Event::HoldDisk => self.hold_any(),
            weather::Event::ReleaseDisk => self.release_any(),
            weather::Event::HandOver => self.hand_over(),
            weather::Event::Campaign => self.campaign(),
        }
        self.cut_off_fresh_leader();
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.dice.random_bool(probability)
    }

    fn any(&mut self, which: impl Fn(&Simulation, NodeId) -> bool) -> Option<NodeId> {
        let ids: Vec<_> = self.cluster.ids().filter(|id| which(&self.cluster, *id)).collect();
        (!ids.is_empty()).then(|| ids[self.dice.random_range(0..ids.len())])
    }

    /// One message arrives, is lost, or is repeated; sometimes it is the last that its receiver hears.
    fn deliver(&mut self) {
        let queued = self.cluster.queued().len();
        if queued == 0 {
            return;
        }
        let place = if self.chance(self.weather.reorder) { self.dice.random_range(0..queued) } else { 0 };
        let envelope = self.cluster.queued().nth(place).cloned().expect("the place is in the queue");
        if self.chance(self.weather.lose) {
            self.cluster.drop_messages(|other| other.serial == envelope.serial);
            return;
        }
        let to = envelope.to;
        if self.chance(self.weather.repeat) {
            self.tally.count("repeated a message");
            self.cluster.inject([envelope]);
        }
        self.cluster.deliver_at(place);
        if self.chance(self.weather.crash_after_message) && self.cluster.is_up(to) {
            self.crash(to);
        }
    }

    /// A new command, or an old one again because its proposer heard nothing, at any node.
    fn propose(&mut self) {
        let Some(at) = self.any(Simulation::is_up) else { return };
        let client = self.dice.random_range(0..CLIENTS);
        let newest = self.proposed[client as usize];
        let again = newest > 0 && self.chance(0.3);
        let sequence = if again { self.dice.random_range(1..=newest) } else { newest + 1 };
        self.proposed[client as usize] = newest.max(sequence);
        self.tally.count(if again { "proposed again" } else { "proposed" });
        if self.cluster.propose(at, client + 1, sequence, &text(client + 1, sequence)).is_err() {
            self.tally.count("refused a proposal");
        }
    }

    fn cut(&mut self) {
        let Some(id) = self.any(|_, _| true) else { return };
        self.tally.count("cut");
        match self.dice.random_range(0..3) {
            0 => self.cluster.isolate(id),
            1 => {
                let Some(other) = self.any(|_, other| other != id) else { return };
                self.cluster.cut(id, other);
            }
            _ => {
                let (left, right): (Vec<_>, Vec<_>) = self.cluster.ids().partition(|_| self.dice.random_bool(0.5));
                self.cluster.partition(&[&left, &right]);
            }
        }
    }

    fn crash_any(&mut self) {
        if let Some(id) = self.any(Simulation::is_up) {
            self.crash(id);
        }
    }

    /// The crash may fall before, between or after the writes under way.
    fn crash(&mut self, id: NodeId) {
        let under_way = self.cluster.host(id).writes_under_way();
        let kept = self.dice.random_range(0..=under_way);
        self.tally.count(if under_way > 0 { "crashed with writes under way" } else { "crashed" });
        self.cluster.crash_keeping(id, kept);
    }

    fn restart_any(&mut self) {
        if let Some(id) = self.any(|cluster, id| !cluster.is_up(id)) {
            self.cluster.restart(id);
        }
    }

    fn hold_any(&mut self) {
        if let Some(id) = self.any(Simulation::is_up) {
            self.cluster.hold_disk(id);
        }
    }

    fn release_any(&mut self) {
        let Some(id) = self.any(|cluster, id| cluster.is_up(id) && cluster.is_disk_held(id)) else { return };
        match self.dice.random_range(0..3) {
            0 => self.cluster.release_disk(id),
            count => self.cluster.complete_writes(id, count),
        }
    }

    fn hand_over(&mut self) {
        let leaders = self.cluster.leaders();
        let to = self.any(|_, _| true);
        if let Some(leader) = leaders.first() {
            let to = to.filter(|_| self.dice.random_bool(0.5));
            let _refused = self.cluster.hand_over(*leader, to);
        }
    }

    fn campaign(&mut self) {
        if let Some(id) = self.any(Simulation::is_up) {
            self.cluster.campaign(id);
        }
    }

    /// A leader that was just elected is cut off one way: the moment at which old and new leaders overlap.
    fn cut_off_fresh_leader(&mut self) {
        let newest = self.cluster.leaders().into_iter().max_by_key(|id| self.cluster.node(*id).term());
        if newest == self.fresh_leader {
            return;
        }
        self.fresh_leader = newest;
        if let Some(leader) = newest
            && self.chance(self.weather.cut_fresh_leader)
        {
            self.tally.count("cut off a fresh leader");
            let outwards = self.dice.random_bool(0.5);
            for other in self.cluster.ids().filter(|other| *other != leader) {
                if outwards { self.cluster.cut(leader, other) } else { self.cluster.cut(other, leader) }
            }
        }
    }

    /// Everything is mended; clients ask again until they hear. "Raft … depends on … a majority of servers" being up
    /// for long enough.
    fn peace(&mut self) {
        self.cluster.heal();
        for id in self.cluster.ids() {
            if self.cluster.is_up(id) {
                self.cluster.release_disk(id);
            } else {
                self.cluster.restart(id);
            }
        }
        let patience = self.weather.election_timeout.1 * 40;
        for _ in 0..=self.proposed.iter().sum::<u64>() {
            let leader = self.cluster.settle(patience).unwrap_or_else(|error| panic!("no peace: {error}"));
            let missing = self.missing(leader);
            for (client, sequence) in &missing {
                if self.cluster.propose(leader, *client, *sequence, &text(*client, *sequence)).is_err() {
                    break;
                }
            }
            if missing.is_empty() {
                return self.all_is_well(leader);
            }
            // A hand-over that the storm broke off refuses commands until it is given up.
            self.cluster.run(self.weather.election_timeout.1);
        }
        panic!("commands are still missing:\n{}", self.cluster.trace());
    }

    fn missing(&self, at: NodeId) -> Vec<(u64, u64)> {
        let effects = self.cluster.host(at).effects();
        let done: std::collections::BTreeSet<_> = effects.iter().map(|c| (c.client.0, c.sequence)).collect();
        let all = (1..).zip(&self.proposed).flat_map(|(client, newest)| (1..=*newest).map(move |s| (client, s)));
        all.filter(|command| !done.contains(command)).collect()
    }

    fn all_is_well(&mut self, leader: NodeId) {
        let proposed: u64 = self.proposed.iter().sum();
        for id in self.cluster.ids() {
            let (host, first) = (self.cluster.host(id), self.cluster.host(leader));
            assert_eq!(host.effects().len() as u64, proposed, "every command takes effect once at {id}");
            assert_eq!(host.effects(), first.effects(), "{id} and {leader} saw the same commands in the same order");
            assert_eq!(host.applied(), first.applied(), "{id} and {leader} have equal logs");
            assert_eq!(host.image().entries, first.image().entries, "the disks of {id} and {leader} hold equal logs");
        }
        assert_eq!(self.cluster.tally().of("ignored nonsense"), 0, "no node takes another's message for nonsense");
        let repeats = self.cluster.host(leader).applied().len() as u64 - proposed;
        if repeats > 0 {
            self.tally.count("had repeats or empty entries in the log");
        }
    }
}

fn text(client: u64, sequence: u64) -> Vec<u8> {
    format!("c{client}#{sequence}").into_bytes()
}
