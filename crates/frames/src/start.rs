//! `frames start`: time from the start to the menu, and from there to a match, without a renderer.

use std::time::{Duration, Instant};

use bevy::log::LogPlugin;
use bevy::prelude::*;
use raftian::cli::{Exit, Failure};
use raftian::screens::Screen;
use raftian::screens::practice::{Opponents, begin_against};
use raftian::table::ReplicatedTable;
use raftian::window;
use raftian_lab::terminal::write_out;
use serde::Serialize;

/// Longest wait for a match.
const WAIT: Duration = Duration::from_secs(30);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Times in milliseconds.
#[derive(Serialize)]
struct Report {
    /// Plugins of the engine alone, and its first frame.
    engine_ms: f64,
    /// Plugins of the engine and the game, and its first frame, which shows the menu.
    menu_ms: f64,
    /// Five nodes with new stores and keys.
    nodes_ms: f64,
    /// From there until the match against bots has begun on the player's member.
    match_ms: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let start = Instant::now();
    let mut engine = App::new();
    engine.add_plugins(window::engine_without_display().disable::<LogPlugin>());
    engine.finish();
    engine.cleanup();
    engine.update();
    let engine_ms = millis(start);
    drop(engine);

    let start = Instant::now();
    let mut app = window::without_display();
    app.update();
    let menu_ms = millis(start);

    let start = Instant::now();
    if !begin_against(app.world_mut(), Screen::Match, Opponents::default()) {
        return Err(Failure::new(Exit::Unexpected, "no match could begin"));
    }
    let nodes_ms = millis(start);
    let start = Instant::now();
    while app.world().resource::<ReplicatedTable>().0.game().is_none() {
        if start.elapsed() > WAIT {
            let message = format!("no match has begun within {WAIT:?}");
            return Err(Failure::new(Exit::Unexpected, message));
        }
        app.update();
        std::thread::sleep(Duration::from_millis(1));
    }
    let report = Report {
        engine_ms,
        menu_ms,
        nodes_ms,
        match_ms: millis(start),
    };
    if arguments.json {
        let text = serde_json::to_string(&report).unwrap_or_default();
        write_out(format_args!("{text}\n"));
    } else {
        write_out(format_args!(
            "engine alone, to its first frame {:>8.0} ms\n\
             game, to the menu                {:>8.0} ms\n\
             five nodes                       {:>8.0} ms\n\
             a match against bots             {:>8.0} ms\n",
            report.engine_ms, report.menu_ms, report.nodes_ms, report.match_ms
        ));
    }
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
