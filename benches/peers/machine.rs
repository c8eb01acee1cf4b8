//! The machine of a measurement, and the share of it that other processes used.

use raftian_lab::report::environment::Environment;
use serde_json::{Value, json};

/// Largest share of the machine used by other processes at which the numbers are trusted.
const QUIET: f64 = 0.05;

/// The machine, and its CPU times at the start of the measurement.
pub(crate) struct Machine {
    environment: Environment,
    began: Option<Ticks>,
}

/// CPU times, in ticks of the system.
#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    /// Not idle, in any process.
    busy: u64,
    /// Used by this process.
    own: u64,
}

impl Machine {
    /// Describes this machine and starts the measurement.
    pub(crate) fn here() -> Self {
        Machine {
            environment: Environment::here(),
            began: Ticks::now(),
        }
    }

    /// Share of all processors used so far by other processes, or by other machines on the same
    /// host. `None` where the system does not report it.
    pub(crate) fn others(&self) -> Option<f64> {
        let began = self.began?;
        let now = Ticks::now()?;
        let others = (now.busy - began.busy).saturating_sub(now.own - began.own);
        Some(others as f64 / (now.all - began.all).max(1) as f64)
    }

    /// One-line verdict on the load of the machine, for the end of a measurement.
    pub(crate) fn verdict(&self) -> String {
        match self.others() {
            None => "the load by other processes is not known on this system".to_owned(),
            Some(share) if share <= QUIET => {
                format!("other processes used {:.0} % of the machine", share * 100.0)
            }
            Some(share) => format!(
                "other processes used {:.0} % of the machine: do not trust these numbers; \
                 systems with two threads suffer most",
                share * 100.0
            ),
        }
    }

    /// One-line description of the machine.
    pub(crate) fn line(&self) -> String {
        let Environment { cores, cpu, .. } = &self.environment;
        format!("{cores} cores of {cpu}")
    }

    /// The machine and its load as JSON.
    pub(crate) fn json(&self) -> Value {
        let Environment {
            cores,
            cpu,
            os,
            arch,
            ..
        } = &self.environment;
        json!({
            "cores": cores,
            "cpu": cpu,
            "os": os,
            "arch": arch,
            "others_share": self.others().map(|share| (share * 1000.0).round() / 1000.0),
        })
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let of_all = std::fs::read_to_string("/proc/stat").ok()?;
        let line = of_all.lines().next()?.strip_prefix("cpu ")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is included in user.
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|number| number.parse().ok())
            .collect();
        let all: u64 = ticks.iter().sum();
        let of_this = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name is in parentheses and may contain anything. Fields 14 and 15 are
        // utime and stime.
        let mut fields = of_this.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut own = || fields.next()?.parse::<u64>().ok();
        Some(Ticks {
            all,
            busy: all - ticks.get(3)? - ticks.get(4)?,
            own: own()? + own()?,
        })
    }
}
