//! `frames board`: time of a frame with a full board, without a renderer.
//!
//! Decision: whole frames of four apps are compared, in turns. Why: layout and text of the engine
//! run because of what the game changes, and belong to its cost. With the feature `trace` the time
//! of the game's own systems is shown as well. Would change if: the engine reported the time of
//! each system without that feature.

use std::time::{Duration, Instant};

use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy_raft::MatchExt;
use raftian::cli::Failure;
use raftian::embedded::Embedded;
use raftian::screens::Screen;
use raftian::screens::practice::MEMBERS;
use raftian::table::ReplicatedTable;
use raftian::window;
use raftian_lab::report::statistics::quantile;
use raftian_lab::terminal::write_out;
use raftian_realm::crowns::{Army, Attack, Order, Place, UnitKind};
use raftian_realm::table::{Command, Origin, PlayerId, Refusal, SetupChange, Table};
use serde::Serialize;

use crate::own_systems::OwnSystems;

/// Seats of the board.
const SEATS: u8 = 8;

/// Marches on it.
const MARCHES: usize = 200;

/// Frames of one app before the next one's turn.
const TURN: usize = 30;

/// Frames at the beginning that are not measured: the interface is laid out in them.
const WARM_UP: usize = 60;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Frames of each app that are measured.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(100..))]
    frames: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Quantiles of one app.
#[derive(Serialize)]
struct Row {
    app: &'static str,
    frame: Quantiles,
    /// Time of the game's own systems in a frame, on all threads; only with the feature `trace`.
    own: Option<Quantiles>,
}

/// Quantiles in microseconds.
#[derive(Serialize)]
struct Quantiles {
    p50_us: f64,
    p95_us: f64,
    p99_us: f64,
}

impl Quantiles {
    fn of(times: impl Iterator<Item = Duration>) -> Option<Quantiles> {
        let mut micros: Vec<_> = times.map(|time| time.as_secs_f64() * 1e6).collect();
        micros.sort_by(f64::total_cmp);
        Some(Quantiles {
            p50_us: quantile(&micros, 50)?,
            p95_us: quantile(&micros, 95)?,
            p99_us: quantile(&micros, 99)?,
        })
    }
}

/// A frame: its time, and that of own systems.
type Frame = (Duration, Option<Duration>);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let own = OwnSystems::observe();
    let (embedded, node) = Embedded::start(MEMBERS)?;
    let mut apps = [
        ("engine", engine()),
        ("menu", shown(Screen::Menu)),
        ("board", shown(Screen::Match)),
        ("board and node", shown(Screen::Match)),
    ];
    apps[3].1.world_mut().attach_node(node);
    for (_, app) in &mut apps {
        update(app, &own, WARM_UP);
    }
    // The state begins anew with a node, so it is replaced after that.
    for (_, app) in &mut apps[2..] {
        app.insert_resource(ReplicatedTable(table()));
        update(app, &own, WARM_UP);
        let sprites = app.world_mut().query::<&Sprite>().iter(app.world()).count();
        // A march is a token of several sprites, and a line.
        assert!(sprites > 2 * MARCHES, "only {sprites} sprites are shown");
    }
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..(arguments.frames as usize).div_ceil(TURN) {
        for ((_, app), times) in apps.iter_mut().zip(&mut times) {
            times.extend(update(app, &own, TURN));
        }
    }
    drop(embedded);
    let rows = apps.iter().zip(&times).filter_map(|((app, _), frames)| {
        Some(Row {
            app,
            frame: Quantiles::of(frames.iter().map(|frame| frame.0))?,
            own: Quantiles::of(frames.iter().filter_map(|frame| frame.1)),
        })
    });
    print(&rows.collect::<Vec<_>>(), arguments.json);
    Ok(())
}

fn print(rows: &[Row], json: bool) {
    if json {
        let text = serde_json::to_string(rows).unwrap_or_default();
        return write_out(format_args!("{text}\n"));
    }
    write_out(format_args!(
        "{:<16}{:>10}{:>10}{:>10}{:>14}{:>10}{:>10}\n",
        "us per frame", "p50", "p95", "p99", "own: p50", "p95", "p99"
    ));
    for Row { app, frame, own } in rows {
        write_out(format_args!(
            "{app:<16}{:>10.0}{:>10.0}{:>10.0}",
            frame.p50_us, frame.p95_us, frame.p99_us
        ));
        match own {
            Some(own) => write_out(format_args!(
                "{:>14.0}{:>10.0}{:>10.0}\n",
                own.p50_us, own.p95_us, own.p99_us
            )),
            None => write_out(format_args!("{:>14}\n", "-")),
        }
    }
    if rows.iter().all(|row| row.own.is_none()) {
        write_out(format_args!(
            "own systems: only in a build with `--features trace`\n"
        ));
    }
}

/// The engine alone.
fn engine() -> App {
    let mut app = App::new();
    app.add_plugins(window::engine_without_display().disable::<LogPlugin>());
    app.finish();
    app.cleanup();
    app
}

/// The window's app on a screen.
fn shown(screen: Screen) -> App {
    let mut app = window::without_display();
    app.world_mut()
        .resource_mut::<NextState<Screen>>()
        .set(screen);
    app
}

/// The next frames.
fn update(app: &mut App, own: &OwnSystems, frames: usize) -> Vec<Frame> {
    own.take();
    let timed = (0..frames).map(|_| {
        let start = Instant::now();
        app.update();
        (start.elapsed(), own.take())
    });
    timed.collect()
}

/// A table whose match has [`SEATS`] seats and [`MARCHES`] marches.
fn table() -> Table {
    let mut table = Table::default();
    let mut stamp = 1_000;
    let configure = Command::Configure(SetupChange {
        seats: Some(SEATS),
        window: Some(Some(0)),
        ..SetupChange::default()
    });
    expect(&mut table, 0, &Command::Sit, stamp);
    expect(&mut table, 0, &configure, stamp);
    for seat in 1..SEATS {
        expect(&mut table, seat, &Command::Sit, stamp);
    }
    for seat in 0..SEATS {
        expect(&mut table, seat, &Command::Ready(true), stamp);
    }
    expect(&mut table, 0, &Command::Start, stamp);
    // Units are trained as resources and places in the city allow.
    for _ in 0..30 {
        stamp += 20_000;
        for seat in 0..SEATS {
            let train = Command::Order(Order::Train(UnitKind::Spear, 1));
            for _ in 0..MARCHES {
                if send(&mut table, seat, &train, stamp).is_err() {
                    break;
                }
            }
        }
    }
    for round in 0..MARCHES / usize::from(SEATS) {
        for seat in 0..SEATS {
            let order = Order::March {
                army: Army::new([1, 0, 0, 0]),
                to: Place::City((seat + SEATS / 2) % SEATS),
                attack: Attack::Raid,
            };
            let at = stamp + 200 * round as u64;
            expect(&mut table, seat, &Command::Order(order), at);
        }
    }
    let marches = table.game().map_or(0, |game| game.marches().count());
    assert_eq!(marches, MARCHES, "all are on the way");
    table
}

fn expect(table: &mut Table, seat: u8, command: &Command, stamp: u64) {
    if let Err(refusal) = send(table, seat, command, stamp) {
        panic!("seat {seat}: {command:?}: {refusal}");
    }
}

fn send(table: &mut Table, seat: u8, command: &Command, stamp: u64) -> Result<(), Refusal> {
    let origin = Origin {
        player: PlayerId([seat + 1; 16]),
        member: u64::from(seat) + 1,
        stamp,
        random: 7,
        round: table.rounds(),
    };
    table.apply(command, &origin)
}
