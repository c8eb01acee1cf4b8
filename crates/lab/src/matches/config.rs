//! Settings shared by every match of an experiment.

use std::time::Duration;

use raftian_raft::{Config, Membership, NodeId};
use serde_json::{Map, Value, json};

use super::{MAX_MACHINES, MAX_ORDERS, SNAPSHOT_EVERY, SettingsError};
use crate::elections::values::{Share, Span, Time};
use crate::retries::UNANSWERED_RETRY;

/// Highest rate of orders per second of a player.
pub(super) const FASTEST: f64 = 1000.0;

/// Maximum number of matches of one experiment, each of which keeps at most a few hundred numbers.
pub(super) const MAX_MATCHES: u64 = 100_000;

/// Settings of nodes, links, disks and players.
#[derive(Clone, PartialEq, Debug, clap::Args)]
pub struct Conditions {
    /// Range from which election timeouts are drawn uniformly.
    #[arg(long, value_name = "A..B", default_value_t = Conditions::default().timeout)]
    pub timeout: Span,
    /// Floor and ceiling of election timeouts that follow the measured round trips, in place of
    /// `--timeout`.
    #[arg(long, value_name = "A..B")]
    pub adaptive: Option<Span>,
    /// Time between a leader's heartbeats.
    #[arg(long, value_name = "TIME", default_value_t = Conditions::default().heartbeat)]
    pub heartbeat: Time,
    /// Delay of each message: drawn uniformly from a range, or constant.
    #[arg(long, value_name = "A..B|TIME", default_value_t = Conditions::default().delay)]
    pub delay: Span,
    /// Share of lost messages; a range is drawn from once per match.
    #[arg(long, value_name = "A..B%|SHARE", default_value_t = Conditions::default().loss)]
    pub loss: Share,
    /// Time until a write is durable.
    #[arg(long, value_name = "TIME", default_value_t = Conditions::default().disk)]
    pub disk: Time,
    /// Orders per second of each player, at random times.
    #[arg(long, value_name = "N", default_value_t = Conditions::default().rate)]
    pub rate: f64,
    /// Time after which a player repeats an order that has not taken effect.
    #[arg(long, value_name = "TIME", default_value_t = Conditions::default().patience)]
    pub patience: Time,
    /// Inject a bug that the checks must find.
    #[arg(long, value_name = "BUG", value_enum, hide = true)]
    pub plant: Option<Plant>,
}

/// Injected bugs that the checks must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Plant {
    /// Players are notified of an effect as soon as they click.
    Lost,
    /// A repeated order takes effect twice.
    Doubled,
    /// The first machine applies one order differently.
    Diverged,
}

/// Execution environment of matches.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum World {
    /// In virtual time, on simulated links and disks.
    #[default]
    Virtual,
    /// In real time: each machine is a process with its disk, over QUIC on the loopback interface.
    Processes,
}

/// Number of matches, execution environment and seed.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// Matches of each kind.
    pub reps: u64,
    /// RNG seed; determines everything in virtual time. With real processes it determines random
    /// draws and clicks, but not the timing of the machine.
    pub seed: u64,
    /// Execution environment.
    pub world: World,
    /// Settings shared by all matches.
    pub conditions: Conditions,
}

impl Default for Conditions {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Conditions {
            timeout: Span {
                from: ms(150),
                to: ms(300),
            },
            adaptive: None,
            heartbeat: Time(ms(50)),
            delay: Span {
                from: ms(1),
                to: ms(5),
            },
            loss: Share::default(),
            disk: Time(Duration::from_micros(150)),
            rate: 10.0,
            patience: Time(ms(100)),
            plant: None,
        }
    }
}

impl Conditions {
    /// Validates the settings for a match of `machines` that lasts `time`.
    ///
    /// # Errors
    /// Names the invalid option and its bounds.
    pub fn check(&self, machines: u64, time: Duration) -> Result<(), SettingsError> {
        if machines > MAX_MACHINES {
            return Err(SettingsError::TooManyMachines { machines });
        }
        if !(self.rate > 0.0 && self.rate <= FASTEST) {
            return Err(SettingsError::Rate);
        }
        let orders = self.rate * machines as f64 * time.as_secs_f64();
        if orders > MAX_ORDERS {
            return Err(SettingsError::TooManyOrders { machines, orders });
        }
        if self.patience.0 < Duration::from_millis(1) {
            return Err(SettingsError::Patience);
        }
        if self.disk.0 > Duration::from_secs(10) {
            return Err(SettingsError::Disk);
        }
        if self.loss.to >= 1.0 {
            return Err(SettingsError::Loss);
        }
        let alone = Membership::new([NodeId(1)])?;
        self.config(NodeId(1), alone, 0).validate()?;
        Ok(())
    }

    /// Configuration of a node; `seed` is the node's own.
    pub(super) fn config(&self, id: NodeId, founders: Membership, seed: u64) -> Config {
        Config {
            election_timeout: (self.timeout.from, self.timeout.to),
            adaptive_timeout: self.adaptive.map(|range| (range.from, range.to)),
            heartbeat: self.heartbeat.0,
            snapshot_entries: Some(SNAPSHOT_EVERY),
            ..Config::new(id, founders, seed)
        }
    }

    /// The same settings for real processes: links and disks are the machine's own, and players use
    /// the game's retry times.
    pub fn of_processes(&self) -> Self {
        let delay = Span::default();
        let loss = Share::default();
        let disk = Time::default();
        Conditions {
            delay,
            loss,
            disk,
            patience: Time(UNANSWERED_RETRY),
            plant: None,
            ..self.clone()
        }
    }

    fn options(&self, world: World) -> String {
        let Conditions {
            timeout,
            adaptive,
            heartbeat,
            delay,
            loss,
            disk,
            rate,
            patience,
            plant,
        } = self;
        let adaptive = adaptive.map_or(String::new(), |range| format!(" --adaptive {range}"));
        if world == World::Processes {
            return format!("--timeout {timeout}{adaptive} --heartbeat {heartbeat} --rate {rate}");
        }
        let plant = match plant {
            Some(Plant::Lost) => " --plant lost",
            Some(Plant::Doubled) => " --plant doubled",
            Some(Plant::Diverged) => " --plant diverged",
            None => "",
        };
        format!(
            "--timeout {timeout}{adaptive} --heartbeat {heartbeat} --delay {delay} --loss {loss} --disk {disk} \
             --rate {rate} --patience {patience}{plant}"
        )
    }
}

impl Series {
    /// Validates the number of matches for `kinds` kinds of match.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub fn check(&self, kinds: usize) -> Result<(), SettingsError> {
        let matches = (kinds as u64).checked_mul(self.reps);
        match matches.filter(|matches| (1..=MAX_MATCHES).contains(matches)) {
            Some(_) => Ok(()),
            None => Err(SettingsError::Matches {
                kinds,
                reps: self.reps,
            }),
        }
    }

    /// Equivalent command line options.
    pub fn options(&self) -> String {
        format!(
            "--reps {} --seed {} {}",
            self.reps,
            self.seed,
            self.conditions.options(self.world)
        )
    }

    /// Parameters as JSON; those of simulated links and disks are `null` with real processes.
    pub fn json(&self) -> Map<String, Value> {
        let Conditions {
            timeout,
            adaptive,
            heartbeat,
            delay,
            loss,
            disk,
            rate,
            patience,
            plant,
        } = &self.conditions;
        let ms = |duration: Duration| duration.as_micros() as f64 / 1e3;
        let mut value = json!({
            "reps": self.reps, "seed": self.seed, "world": self.world.name(),
            "timeout_ms": [ms(timeout.from), ms(timeout.to)],
            "adaptive_ms": adaptive.map(|range| [ms(range.from), ms(range.to)]), "heartbeat_ms": ms(heartbeat.0),
            "delay_ms": [ms(delay.from), ms(delay.to)], "loss": [loss.from, loss.to], "disk_ms": ms(disk.0),
            "rate": rate, "patience_ms": ms(patience.0), "plant": plant.map(|plant| format!("{plant:?}")),
        });
        if self.world == World::Processes {
            ["delay_ms", "loss", "disk_ms"]
                .into_iter()
                .for_each(|given| value[given] = Value::Null);
        }
        match value {
            Value::Object(object) => object,
            _ => Map::new(),
        }
    }

    /// Parameters as text.
    pub fn info(&self) -> Vec<(String, String)> {
        let Conditions {
            timeout,
            adaptive,
            heartbeat,
            delay,
            loss,
            disk,
            rate,
            patience,
            ..
        } = &self.conditions;
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let mut facts = vec![
            fact("matches of each kind", self.reps.to_string()),
            fact(
                "seed",
                format!(
                    "{}; each match's seed is derived from it, the kind and the match number",
                    self.seed
                ),
            ),
            fact(
                "election timeout",
                adaptive.map_or(timeout.to_string(), |range| {
                    format!("follows the round trips, {range}")
                }),
            ),
            fact("heartbeat", heartbeat.to_string()),
            fact(
                "orders of each player",
                format!("{rate} per second, at random times; repeated after {patience}"),
            ),
        ];
        match self.world {
            World::Virtual => facts.extend([
                fact("message delay", delay.to_string()),
                fact("lost messages", loss.to_string()),
                fact("write time", disk.to_string()),
            ]),
            World::Processes => facts.extend([
                fact(
                    "links",
                    "QUIC on the loopback interface, between processes".to_owned(),
                ),
                fact(
                    "disks",
                    "one store per process in the system's temporary directory".to_owned(),
                ),
            ]),
        }
        facts
    }
}

impl World {
    /// Name in documents.
    pub fn name(self) -> &'static str {
        match self {
            World::Virtual => "virtual",
            World::Processes => "processes",
        }
    }
}
