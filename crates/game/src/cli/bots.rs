//! `raftian bots`: bots that play a member's seat, matches between bots, and tournaments.

mod seat;
mod tournament;

use clap::{Args, Subcommand};
use raftian_bots::story::{Story, seat_name};
use raftian_bots::{Archetype, Bot, Level, play::play};
use raftian_realm::crowns::{EndReason, Rules, SEATS};
use serde::Serialize;

use super::order::words::{ArchetypeName, LevelName};
use super::output::{print, print_json};
use super::{Exit, Failure};
use crate::report_words::{clock, ending};

/// Name and version of the JSON schema of `raftian bots play`.
const PLAY_SCHEMA: &str = "raftian.bots-play/1";

#[derive(Subcommand, Debug)]
pub(super) enum BotsCommand {
    /// Play a match between bots at once, without a network.
    Play(PlayArgs),
    /// Play many matches and measure the balance of the rules.
    Tournament(tournament::TournamentArgs),
    /// Let a bot play the seat of a running member.
    Run(seat::RunArgs),
    /// Let another program play the seat of a running member, by lines on standard input and
    /// output; see docs/bots.md.
    Serve(seat::ServeArgs),
}

#[derive(Args, Debug)]
pub(super) struct PlayArgs {
    /// Seed of the match.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the bots play, one for each seat.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "rush,boom,turtle,balanced"
    )]
    archetypes: Vec<ArchetypeName>,
    /// Strength of the bots.
    #[arg(long, default_value = "captain")]
    level: LevelName,
    /// Print what happens in words.
    #[arg(long)]
    story: bool,
    /// Print one JSON document instead of text.
    #[arg(long, conflicts_with = "story")]
    json: bool,
}

/// Output of `raftian bots play --json`.
#[derive(Serialize)]
struct PlayDocument {
    schema: &'static str,
    ok: bool,
    seed: u64,
    archetypes: Vec<&'static str>,
    /// The seat that won, counted from 1; none after a draw.
    winner: Option<u8>,
    reason: &'static str,
    seconds: u64,
    crowns: Vec<u64>,
    keeps: Vec<u32>,
    orders: Vec<u64>,
}

/// Runs `raftian bots`.
pub(super) fn run(command: &BotsCommand) -> Result<Exit, Failure> {
    match command {
        BotsCommand::Play(args) => run_play(args),
        BotsCommand::Tournament(args) => tournament::run(args),
        BotsCommand::Run(args) => seat::run(args),
        BotsCommand::Serve(args) => seat::serve(args),
    }
}

fn run_play(args: &PlayArgs) -> Result<Exit, Failure> {
    let level = Level::from(args.level);
    let archetypes: Vec<_> = args
        .archetypes
        .iter()
        .map(|name| Archetype::from(*name))
        .collect();
    let names: Vec<_> = archetypes
        .iter()
        .map(|archetype| archetype.name())
        .collect();
    let bots: Vec<_> = archetypes
        .iter()
        .map(|archetype| Bot::new(level, *archetype))
        .collect();
    let mut story = Story::new(&names);
    let rules = Rules::of_this_build();
    let played = play(&bots, args.seed, &rules, |game| {
        if args.story {
            story.watch(game);
        }
    });
    let played = played.map_err(|error| {
        let (least, most) = (SEATS.start(), SEATS.end());
        let text = format!("{error}; name {least} to {most} archetypes");
        Failure::new(Exit::Usage, text)
    })?;
    story.watch(&played.game);
    if args.story {
        print(story.text().trim_end())?;
        return Ok(Exit::Success);
    }
    let game = &played.game;
    let seats = (0..).zip(game.seats());
    let end = game.end();
    let document = PlayDocument {
        schema: PLAY_SCHEMA,
        ok: true,
        seed: args.seed,
        winner: end.and_then(|end| end.winner).map(|seat| seat + 1),
        reason: end.map_or("none", |end| match end.reason {
            EndReason::Crowns => "crowns",
            EndReason::LastKeep => "last-keep",
            EndReason::Time => "time",
            EndReason::Abandoned => "abandoned",
        }),
        seconds: end.map_or(0, |end| end.at / 1_000),
        crowns: seats.clone().map(|(seat, _)| game.crowns(seat)).collect(),
        keeps: seats.map(|(_, own)| own.keep()).collect(),
        orders: played.orders.clone(),
        archetypes: names,
    };
    if args.json {
        print_json(&document)?;
    } else {
        let title = |(seat, kind): (u8, &&str)| format!("{} ({kind})", seat_name(seat));
        let titles: Vec<_> = (0..).zip(&document.archetypes).map(title).collect();
        let result = end.map_or("no end".to_owned(), |end| {
            let winner = end.winner.map(|seat| titles[usize::from(seat)].as_str());
            ending(winner, end.reason)
        });
        let crowns = titles.iter().zip(&document.crowns);
        let crowns: Vec<_> = crowns
            .map(|(title, crowns)| format!("{title} {crowns}"))
            .collect();
        print(&format!(
            "{}  {result}. Crowns: {}.",
            clock(1_000 * document.seconds),
            crowns.join(", "),
        ))?;
    }
    Ok(Exit::Success)
}
