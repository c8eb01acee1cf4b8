//! `raftian bots tournament`.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raftian_bots::tournament::{self, Bounds, Gate, Results, Settings, Share, TournamentError};
use raftian_realm::crowns::Rules;
use serde::Serialize;

use crate::cli::output::{failed, print, print_json};
use crate::cli::{Exit, Failure};

/// Name and version of the JSON schema.
const SCHEMA: &str = "raftian.bots-tournament/1";

#[derive(Args, Debug)]
pub(in crate::cli) struct TournamentArgs {
    /// Matches of each pair of archetypes; half of them with the seats swapped.
    #[arg(long, default_value_t = Settings::default().games)]
    games: u64,
    /// Matches with three, four and five seats each.
    #[arg(long, default_value_t = Settings::default().tables)]
    tables: u64,
    /// Matches of each unit that is taken away.
    #[arg(long, default_value_t = Settings::default().ablations)]
    ablations: u64,
    /// Matches of each level against the one below.
    #[arg(long, default_value_t = Settings::default().levels)]
    levels: u64,
    /// First seed.
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    /// Rules to play instead of those of this build.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// End with code 10 unless all bounds are kept: those of a file, or those of this build.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    gate: Option<String>,
    /// Write the table of pairs as a picture.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Output of `raftian bots tournament --json`.
#[derive(Serialize)]
struct TournamentDocument<'a> {
    schema: &'static str,
    ok: bool,
    seconds: f64,
    /// Measurements for which no match was played.
    unmeasured: Vec<&'static str>,
    #[serde(flatten)]
    results: &'a Results,
    gates: &'a [Gate],
}

/// Runs a tournament.
pub(in crate::cli) fn run(args: &TournamentArgs) -> Result<Exit, Failure> {
    play(args).map_err(|failure| failed(args.json, SCHEMA, failure))
}

fn play(args: &TournamentArgs) -> Result<Exit, Failure> {
    let rules = match &args.rules {
        None => Rules::of_this_build(),
        Some(path) => Rules::parse(&read(path)?).map_err(|error| invalid(path, &error))?,
    };
    let bounds = match args.gate.as_deref() {
        None | Some("") => Bounds::of_this_build(),
        Some(path) => {
            let path = Path::new(path);
            Bounds::parse(&read(path)?).map_err(|error| invalid(path, &error))?
        }
    };
    let settings = Settings {
        games: args.games,
        tables: args.tables,
        ablations: args.ablations,
        levels: args.levels,
        seed: args.seed,
    };
    let total = settings.matches().map_err(|error| refused(&error))?;
    let unmeasured = settings.unmeasured();
    if args.gate.is_some() && !unmeasured.is_empty() {
        let text = format!(
            "a gate needs all measurements, but no match is played for: {}",
            unmeasured.join(", ")
        );
        return Err(Failure::new(Exit::Failed, text));
    }
    if let Some(path) = &args.svg {
        check_writable(path)?;
    }
    let bar = bar(total);
    let started = Instant::now();
    let results = tournament::run(settings, &rules, |_| bar.inc(1));
    let results = results.map_err(|error| refused(&error))?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let gates = tournament::gates(&results, &bounds);
    if let Some(path) = &args.svg {
        let svg = tournament::heat_map(&results)
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
        std::fs::write(path, svg).map_err(|error| unwritable(path, &error))?;
    }
    // Without `--gate` the bounds are only shown.
    let ok = args.gate.is_none() || gates.iter().all(|gate| gate.holds);
    if args.json {
        print_json(&TournamentDocument {
            schema: SCHEMA,
            ok,
            seconds,
            unmeasured,
            results: &results,
            gates: &gates,
        })?;
    } else {
        print(text(&results, &gates, seconds).trim_end())?;
    }
    Ok(if ok { Exit::Success } else { Exit::Failed })
}

/// A bar on a terminal; nothing elsewhere.
fn bar(count: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr_with_hz(5));
    // The template is constant, and a test of this command would show that it is wrong.
    if let Ok(style) = ProgressStyle::with_template("tournament ▕{bar:30}▏ {pos}/{len}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// Largest file of rules or gates in bytes.
const MAX_FILE: u64 = 1 << 20;

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |reason: String| {
        let text = format!("cannot read {}: {reason}", path.display());
        Failure::new(Exit::Configuration, text)
    };
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it has more than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn refused(error: &TournamentError) -> Failure {
    Failure::new(Exit::Configuration, error.to_string())
}

/// Refuses a path that cannot be written, before the matches are played. Creates the file.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let opened = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    match opened {
        Ok(_) => Ok(()),
        Err(error) => Err(unwritable(path, &error)),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let text = format!("cannot write {}: {error}", path.display());
    Failure::new(Exit::Configuration, text)
}

fn invalid(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Configuration, format!("{}: {error}", path.display()))
}

fn text(results: &Results, gates: &[Gate], seconds: f64) -> String {
    let mut text = format!(
        "{} matches in {seconds:.1} s, rules {}\n",
        results.matches, results.rules
    );
    // Writing to a string cannot fail.
    for name in results.settings.unmeasured() {
        let _ = writeln!(text, "not measured: {name}");
    }
    let _ = pairs(&mut text, results);
    let _ = others(&mut text, results);
    let broken = gates.iter().filter(|gate| !gate.holds).count();
    let _ = writeln!(text, "\n{} gates, {broken} not kept", gates.len());
    for gate in gates {
        let mark = if gate.holds { "ok " } else { "NOT" };
        let Gate {
            name,
            value,
            least,
            most,
            ..
        } = gate;
        let value = number(*value);
        let _ = writeln!(text, "{mark} {name:<40} {value}  ({least} to {most})");
    }
    text
}

fn pairs(text: &mut String, results: &Results) -> std::fmt::Result {
    if results.settings.games == 0 {
        return Ok(());
    }
    write!(text, "\n{:<10}", "row wins")?;
    for name in results.archetypes {
        write!(text, "{name:>9}")?;
    }
    writeln!(text, "{:>9}{:>7}", "mean", "Nash")?;
    for (row, name) in results.archetypes.iter().enumerate() {
        write!(text, "{name:<10}")?;
        for share in &results.pairs[row] {
            let share = share.map_or("–".to_owned(), |share| format!("{:.2}", share.rate()));
            write!(text, "{share:>9}")?;
        }
        writeln!(text, "{:9.2}{:7.2}", results.means[row], results.nash[row])?;
    }
    writeln!(
        text,
        "Each number is the share of matches that the archetype of its row wins against that of \
         its column; Nash is how often a player who cannot be exploited chooses the row."
    )?;
    let widest = results.pairs.iter().flatten().flatten();
    let widest = widest
        .map(|share| (share.high - share.low) / 2.0)
        .fold(0.0, f64::max);
    writeln!(
        text,
        "The interval of a share holds its true value in 95 of 100 cases (Wilson): ±{widest:.2} at \
         most."
    )
}

fn others(text: &mut String, results: &Results) -> std::fmt::Result {
    for (count, shares) in &results.tables {
        let shares = results.archetypes.iter().zip(shares);
        let shares: Vec<_> = shares
            .map(|(name, share)| format!("{name} {share:.2}"))
            .collect();
        writeln!(
            text,
            "{count} seats, wins per fair share: {}",
            shares.join(", ")
        )?;
    }
    for (count, length) in &results.lengths {
        let minutes = [length.p5, length.p50, length.p95];
        let minutes = minutes.map(|seconds| format!("{}:{:02}", seconds / 60, seconds % 60));
        writeln!(
            text,
            "{count} seats, length p5/p50/p95: {}",
            minutes.join(" / ")
        )?;
    }
    for (unit, share) in &results.ablations {
        writeln!(
            text,
            "without {}: {}",
            format!("{unit:?}").to_lowercase(),
            interval(share)
        )?;
    }
    for (level, share) in &results.levels {
        writeln!(
            text,
            "{} against the level below: {}",
            level.name(),
            interval(share)
        )?;
    }
    if results.settings.games > 0 {
        let conquests = interval(&results.conquests);
        writeln!(text, "matches of two won by conquest: {conquests}")?;
    }
    Ok(())
}

/// A measured value; a share of nothing has none.
fn number(value: f64) -> String {
    if value.is_finite() {
        format!("{value:6.3}")
    } else {
        "unknown".to_owned()
    }
}

fn interval(share: &Share) -> String {
    if share.games == 0 {
        return "not measured".to_owned();
    }
    let Share {
        rate, low, high, ..
    } = share;
    format!("{rate:.2} ({low:.2} to {high:.2})")
}
