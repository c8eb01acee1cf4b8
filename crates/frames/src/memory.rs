//! `frames memory`: memory of the game over a long time, without a renderer.
//!
//! Bots play one match after the other, each with five members of its own, as a player does who
//! wants another one. The slope is that of a line through the memory at the ends of matches in the
//! second half of the time: within a match, log and history grow, and are dropped with it, and at
//! the beginning the allocator keeps what threads of ended nodes have used.

use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy_raft::MatchState;
use raftian::cli::{Exit, Failure};
use raftian::screens::Screen;
use raftian::screens::practice::{Opponents, begin_against};
use raftian::table::ReplicatedTable;
use raftian::window;
use raftian_lab::terminal::write_out;
use raftian_realm::table::Level;
use serde::Serialize;

/// Time of a frame.
const FRAME: Duration = Duration::from_micros(16_667);

/// Time between two lines of the table.
const SAMPLE: Duration = Duration::from_secs(60);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Length in minutes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=24 * 60))]
    minutes: u32,
    /// Speed of the matches: 1, 2 or 4.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=4))]
    speed: u64,
    /// Seconds after which a match is left, even if it has not ended.
    #[arg(long)]
    leave_after: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Memory at one time.
#[derive(Serialize, Clone, Copy)]
struct Sample {
    minutes: f64,
    /// Resident memory in MiB.
    resident_mib: f64,
    /// Matches that have ended or were left.
    ended: u32,
}

#[derive(Serialize)]
struct Report {
    samples: Vec<Sample>,
    /// Memory at the end of each match.
    ends: Vec<Sample>,
    /// Slope of a line through the later half of `ends` in MiB an hour; none with fewer than three.
    slope_mib_per_hour: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let length = Duration::from_secs(60) * arguments.minutes;
    let opponents = Opponents {
        count: 7,
        level: Level::Captain,
        speed: arguments.speed,
        ..Opponents::default()
    };
    let mut app = window::without_display();
    let mut report = Report {
        samples: Vec::new(),
        ends: Vec::new(),
        slope_mib_per_hour: None,
    };
    let start = Instant::now();
    let mut next = SAMPLE;
    let mut frame = start;
    let mut begun = start;
    let most = arguments
        .leave_after
        .map(|seconds| Duration::from_secs(seconds.into()));
    while start.elapsed() < length {
        app.update();
        frame += FRAME;
        std::thread::sleep(frame.saturating_duration_since(Instant::now()));
        let sample = Sample {
            minutes: start.elapsed().as_secs_f64() / 60.0,
            resident_mib: resident_mib()?,
            ended: report.ends.len() as u32,
        };
        if start.elapsed() >= next {
            next += SAMPLE;
            report.samples.push(sample);
            if !arguments.json {
                write_out(format_args!(
                    "{:>4.0} min{:>10.1} MiB{:>6} matches\n",
                    sample.minutes, sample.resident_mib, sample.ended
                ));
            }
        }
        let is_long = most.is_some_and(|most| begun.elapsed() >= most);
        if has_ended(app.world(), is_long) {
            report.ends.push(Sample {
                ended: sample.ended + 1,
                ..sample
            });
            // Back to the menu, which leaves the match.
            app.world_mut()
                .resource_mut::<NextState<Screen>>()
                .set(Screen::Menu);
            app.update();
        } else if is_free(app.world()) {
            begun = Instant::now();
            if !begin_against(app.world_mut(), Screen::Match, opponents) {
                return Err(Failure::new(Exit::Unexpected, "no match could begin"));
            }
        }
    }
    let half = f64::from(arguments.minutes) / 2.0;
    let later = report.ends.iter().filter(|end| end.minutes >= half);
    report.slope_mib_per_hour = slope(&later.copied().collect::<Vec<_>>());
    if arguments.json {
        let text = serde_json::to_string(&report).unwrap_or_default();
        write_out(format_args!("{text}\n"));
    } else if let Some(slope) = report.slope_mib_per_hour {
        write_out(format_args!(
            "{slope:+.1} MiB an hour at the ends of matches, in the second half\n"
        ));
    } else {
        write_out(format_args!("too few matches have ended for a slope\n"));
    }
    Ok(())
}

/// Whether a match has ended, or is played and takes too long.
fn has_ended(world: &World, is_long: bool) -> bool {
    let game = world.resource::<ReplicatedTable>().0.game();
    *world.resource::<State<Screen>>().get() == Screen::Match
        && game.is_some_and(|game| is_long || game.end().is_some())
}

/// Whether the menu is shown and the last match was left.
fn is_free(world: &World) -> bool {
    let state = world.resource::<State<MatchState>>().get();
    *world.resource::<State<Screen>>().get() == Screen::Menu
        && matches!(state, MatchState::Detached | MatchState::Left)
}

/// Resident memory of this process in MiB.
fn resident_mib() -> Result<f64, Failure> {
    let read = std::fs::read_to_string("/proc/self/status").ok();
    let kib = read.as_deref().and_then(|status| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    });
    kib.map(|kib| kib / 1024.0).ok_or_else(|| {
        let reason =
            "the memory of a process is read from /proc, which is not here: run it on Linux";
        Failure::new(Exit::Unexpected, reason)
    })
}

/// Slope in MiB an hour of the line with the least squares.
fn slope(samples: &[Sample]) -> Option<f64> {
    if samples.len() < 3 {
        return None;
    }
    let count = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let time = mean(|sample| sample.minutes / 60.0);
    let memory = mean(|sample| sample.resident_mib);
    let off = |sample: &Sample| sample.minutes / 60.0 - time;
    let products = samples
        .iter()
        .map(|sample| off(sample) * (sample.resident_mib - memory));
    let squares = samples.iter().map(|sample| off(sample).powi(2));
    Some(products.sum::<f64>() / squares.sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_is_that_of_a_line() {
        let sample = |at: u32| Sample {
            minutes: f64::from(at) * 6.0,
            resident_mib: 100.0 + f64::from(at),
            ended: at,
        };
        let samples: Vec<_> = (0..10).map(sample).collect();
        let found = slope(&samples).expect("enough samples");
        assert!((found - 10.0).abs() < 1e-9, "{found}");
        assert_eq!(slope(&samples[..2]), None);
    }
}
