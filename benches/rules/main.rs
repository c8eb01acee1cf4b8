//! Speed of the rules of Crowns and of its bots, on one core unless stated otherwise.
//!
//! Limits: a match of 20 minutes of four Captains in 20 ms; 10,000 matches of a tournament in two
//! minutes on two cores; an order in 5 us at the 99th percentile with eight seats; a table in a
//! snapshot in 64 KiB.
//!
//! `cargo bench -p raftian-benches --bench rules [-- --json FILE]`

#[path = "../peers/machine.rs"]
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use raftian_bots::tournament::{self, Settings};
use raftian_bots::{Archetype, Bot, Level, play::play};
use raftian_realm::crowns::{Crowns, Rules};
use raftian_realm::table::{Command, Origin, PlayerId, Setup, Table};
use serde_json::json;

use machine::Machine;

/// Measures the rules of Crowns.
#[derive(Parser, Debug)]
#[command(name = "rules")]
struct Options {
    /// Writes the results to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Plays only a few matches
    #[arg(long)]
    quick: bool,
    /// Passed by `cargo bench`; without it, one match per row is played and the times mean nothing
    #[arg(long, hide = true)]
    bench: bool,
}

/// Milliseconds of the longest match.
const LONGEST: f64 = 1_200_000.0;

/// Decisions of a bot per minute of the game clock at an eight-seat table, one step each.
const STEP: u64 = 1_500;

fn main() -> ExitCode {
    let options = Options::parse();
    let machine = Machine::here();
    let matches: u64 = match (options.bench, options.quick) {
        (false, _) => 1,
        (true, true) => 20,
        (true, false) => 200,
    };
    println!("rules of Crowns, {matches} matches, {}", machine.line());
    let four = four_captains(matches);
    let (p50, p99, orders, snapshot) = eight_seats(matches.div_ceil(10));
    let per_match = tournament_match(matches);
    println!(
        "match of 20 minutes of four Captains: {:.2} ms, limit 20",
        millis(four)
    );
    println!(
        "order with eight seats: p50 {:.2} us, p99 {:.2} us of {orders}, limit 5",
        micros(p50),
        micros(p99)
    );
    println!("largest table in a snapshot: {snapshot} bytes, limit 65536");
    let ten_thousand = per_match.as_secs_f64() * 10_000.0;
    println!("10,000 matches of a tournament on all cores: {ten_thousand:.0} s, limit 120");
    println!("{}", machine.verdict());
    let document = json!({
        "schema": "raftian.bench-rules/1",
        "matches": matches,
        "machine": machine.json(),
        "four_captains_ms": millis(four),
        "order_p50_us": micros(p50),
        "order_p99_us": micros(p99),
        "snapshot_bytes": snapshot,
        "ten_thousand_matches_s": ten_thousand,
    });
    match options
        .json
        .map(|path| std::fs::write(path, document.to_string()))
    {
        Some(Err(error)) => {
            eprintln!("cannot write the results: {error}");
            ExitCode::FAILURE
        }
        Some(Ok(())) | None => ExitCode::SUCCESS,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Mean time of a match of four Captains, extrapolated to 20 minutes of the game clock.
fn four_captains(matches: u64) -> Duration {
    let rules = Rules::of_this_build();
    let kinds = [
        Archetype::Rush,
        Archetype::Boom,
        Archetype::Turtle,
        Archetype::Balanced,
    ];
    let bots = kinds.map(|kind| Bot::new(Level::Captain, kind));
    let mut clock = 0.0;
    let began = Instant::now();
    for seed in 0..matches {
        let played = play(&bots, seed, &rules, |_| ()).expect("four seats have a map");
        clock += played.game.end().map_or(LONGEST, |end| end.at as f64);
    }
    began.elapsed().mul_f64(LONGEST / clock)
}

/// Median and 99th percentile of the time of an order with eight seats, the number of orders, and
/// the largest encoded table.
fn eight_seats(matches: u64) -> (Duration, Duration, usize, usize) {
    let (mut times, mut largest) = (Vec::new(), 0);
    for seed in 0..matches {
        let mut table = table_of_eight(seed);
        let mut stamp = 0;
        while table.is_playing() {
            stamp += STEP;
            table.advance(stamp);
            for seat in 0..8 {
                let kind = Archetype::ALL[usize::from(seat) % Archetype::ALL.len()];
                let bot = Bot::new(Level::Captain, kind);
                let orders = table
                    .game()
                    .map(|game: &Crowns| bot.orders(game, seat, seed));
                for order in orders.unwrap_or_default() {
                    let command = Command::Order(order);
                    let from = origin(&table, seat, stamp, seed);
                    let began = Instant::now();
                    let _may_be_refused = table.apply(&command, &from);
                    times.push(began.elapsed());
                }
            }
            if stamp.is_multiple_of(60_000) {
                let bytes = raftian_node::wire::encode_state(&table).expect("a small table");
                largest = largest.max(bytes.len());
            }
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    (at(50), at(99), times.len(), largest)
}

fn origin(table: &Table, seat: u8, stamp: u64, random: u64) -> Origin {
    Origin {
        player: PlayerId([seat; 16]),
        member: u64::from(seat),
        stamp,
        random,
        round: table.rounds(),
    }
}

fn table_of_eight(seed: u64) -> Table {
    let mut table = Table::default();
    let setup = Setup {
        seats: 8,
        ..Setup::default()
    };
    let mut commands = vec![(0, Command::Sit), (0, Command::Configure(setup.into()))];
    commands.extend((1..8).map(|seat| (seat, Command::Sit)));
    commands.extend((1..8).map(|seat| (seat, Command::Ready(true))));
    commands.push((0, Command::Start));
    for (seat, command) in commands {
        let from = origin(&table, seat, 0, seed);
        let done = table.apply(&command, &from);
        done.expect("eight players agree");
    }
    table
}

/// Mean time of a match of a tournament on all cores.
fn tournament_match(matches: u64) -> Duration {
    let settings = Settings {
        games: matches,
        tables: matches,
        ablations: matches,
        levels: matches / 2,
        seed: 1,
    };
    let began = Instant::now();
    let results = tournament::run(settings, &Rules::of_this_build(), |_| ());
    let results = results.expect("some hundred matches with maps");
    began.elapsed().div_f64(results.matches as f64)
}
