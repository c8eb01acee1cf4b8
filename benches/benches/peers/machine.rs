//! What the numbers were measured on, and how much of it others had.

use serde_json::{Value, json};

/// Above this share of the machine in other hands, the numbers are not worth keeping.
const QUIET: f64 = 0.05;

/// The machine, and its clocks when the measuring began.
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    began: Option<Ticks>,
}

/// Time that processors spent, in the system's ticks.
#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    /// Not idle, by whomever.
    busy: u64,
    /// By this process.
    own: u64,
}

impl Machine {
    /// The machine this runs on, from now.
    pub(crate) fn here() -> Self {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: named.map_or_else(
                || std::env::consts::ARCH.to_owned(),
                |(_, name)| name.trim().to_owned(),
            ),
            began: Ticks::now(),
        }
    }

    /// Share of all processors that other processes, or other machines on the same host, have had
    /// so far. `None` where the system does not tell.
    pub(crate) fn others(&self) -> Option<f64> {
        let (began, now) = (self.began?, Ticks::now()?);
        let others = (now.busy - began.busy).saturating_sub(now.own - began.own);
        Some(others as f64 / (now.all - began.all).max(1) as f64)
    }

    /// For people, when all is measured.
    pub(crate) fn verdict(&self) -> String {
        match self.others() {
            None => "how busy the machine was besides is not known here".to_owned(),
            Some(share) if share <= QUIET => {
                format!("others had {:.0} % of the machine", share * 100.0)
            }
            Some(share) => format!(
                "others had {:.0} % of the machine: do not trust these numbers; systems with two threads suffer most",
                share * 100.0
            ),
        }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        format!("{} cores of {}", self.cores, self.cpu)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.cpu,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "others_share": self.others().map(|share| (share * 1000.0).round() / 1000.0),
        })
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let of_all = std::fs::read_to_string("/proc/stat").ok()?;
        let line = of_all.lines().next()?.strip_prefix("cpu ")?;
        // user, nice, system, idle, waiting for disks, two kinds of interrupts, stolen; guests are
        // counted as users.
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|number| number.parse().ok())
            .collect();
        let all: u64 = ticks.iter().sum();
        let of_this = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name is in parentheses and may contain anything.
        let mut fields = of_this.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut own = || fields.next()?.parse::<u64>().ok();
        Some(Ticks {
            all,
            busy: all - ticks.get(3)? - ticks.get(4)?,
            own: own()? + own()?,
        })
    }
}
