//! `raftian bots run` and `raftian bots serve`: programs that play the seat of a running member.

use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

use clap::{Args, Parser};
use raftian_bots::{Archetype, Bot, Level, period};
use raftian_node::cluster::NodeConfig;
use raftian_realm::crowns::{Crowns, Order, Report, Rules};
use raftian_realm::table::Command;
use serde::Serialize;

use crate::admin::{AdminRequest, AdminResponse};
use crate::cli::order::words::{ArchetypeName, CrownsOrder, LevelName};
use crate::cli::output::print_line;
use crate::cli::profile::RunningArgs;
use crate::cli::signals::watch_signals;
use crate::cli::status::{SeenTable, ask, ask_table, unexpected};
use crate::cli::{Exit, Failure};
use crate::report_words::ending;
use crate::table_document::{GameDocument, game_document};
use crate::terminal::note;

/// Name and version of the lines that `raftian bots serve` prints.
const SCHEMA: &str = "raftian.bot/1";

/// Longest wait for one response of the member.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Pause between two looks at a table at which no match is played.
const LOBBY_PAUSE: Duration = Duration::from_millis(500);

/// Seat of the program in a practice match.
const PRACTICE_SEAT: u8 = 0;

/// Largest length of a line of input in bytes.
const MAX_LINE: usize = 4_096;

/// Bytes of a longer line that are shown.
const SHOWN: usize = 64;

/// Largest number of order lines that are taken for one state.
const MAX_LINES: usize = 64;

/// Parses a time between two states.
fn pause(text: &str) -> Result<u64, String> {
    let pause = text.parse().ok();
    let pause = pause.filter(|pause| (100..=60_000).contains(pause));
    pause.ok_or_else(|| "give 100 to 60000 milliseconds".to_owned())
}

#[derive(Args, Debug)]
pub(in crate::cli) struct RunArgs {
    #[command(flatten)]
    member: RunningArgs,
    /// Strength of the bot.
    #[arg(long, default_value = "captain")]
    level: LevelName,
    /// How it plays.
    #[arg(long, default_value = "balanced")]
    archetype: ArchetypeName,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ServeArgs {
    #[command(flatten)]
    member: RunningArgs,
    /// Shortest time between two states, in milliseconds of the game clock.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = pause)]
    every: u64,
    /// Play a match against a bot of this level at once, without a member.
    #[arg(long, value_name = "LEVEL")]
    practice: Option<LevelName>,
    /// Seed of the practice match.
    #[arg(long, default_value_t = 1, requires = "practice")]
    seed: u64,
}

/// One state, as a line of JSON.
#[derive(Serialize)]
struct StateLine<'a> {
    schema: &'static str,
    /// The own seat, counted from 1.
    seat: u8,
    /// Orders of the last answer that were refused.
    refused: &'a [RefusedLine],
    #[serde(flatten)]
    game: GameDocument,
}

/// An order that was refused.
#[derive(Serialize)]
struct RefusedLine {
    order: String,
    reason: String,
}

/// A line of an answer: the words of `raftian order`.
#[derive(Parser, Debug)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct OrderLine {
    #[command(subcommand)]
    order: CrownsOrder,
}

/// Proposes an order; returns why it was refused. Without a majority it waits until interrupted.
fn give(
    config: &NodeConfig,
    order: Order,
    is_interrupted: impl Fn() -> bool,
) -> Result<Option<String>, Failure> {
    let mut request = AdminRequest::Table {
        command: Box::new(Command::Order(order)),
    };
    loop {
        match ask(config, &request, TIMEOUT)? {
            AdminResponse::Performed(performed) => return Ok(performed.refusal),
            AdminResponse::Waiting { .. } if is_interrupted() => return Ok(None),
            AdminResponse::Waiting { ticket } => request = AdminRequest::Outcome { ticket },
            AdminResponse::NotNow { reason } => return Ok(Some(reason)),
            other => return Err(unexpected(&other)),
        }
    }
}

/// Waits for a match with a seat; returns `None` when interrupted.
fn wait_for_match(
    config: &NodeConfig,
    is_interrupted: impl Fn() -> bool,
) -> Result<Option<(SeenTable, u8)>, Failure> {
    let mut is_noted = false;
    loop {
        if is_interrupted() {
            return Ok(None);
        }
        let seen = ask_table(config)?;
        match seen.seat {
            Some(seat) if seen.table.is_playing() => return Ok(Some((seen, seat))),
            Some(_) if !is_noted => {
                note("raftian: waiting for a match to begin at the table");
                is_noted = true;
            }
            Some(_) => {}
            None => {
                return Err(Failure::new(
                    Exit::Usage,
                    "this member has no seat; take one with `raftian table sit`",
                ));
            }
        }
        std::thread::sleep(LOBBY_PAUSE);
    }
}

/// Runs a bot at the seat of a member until the match ends.
pub(in crate::cli) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let config = args.member.config()?;
    let stop = watch_signals()?;
    let bot = Bot::new(Level::from(args.level), Archetype::from(args.archetype));
    let is_interrupted = || stop.is_made();
    let Some((mut seen, seat)) = wait_for_match(&config, is_interrupted)? else {
        return Ok(stop.exit());
    };
    let round = seen.table.rounds();
    let speed = seen.table.setup().speed.max(1);
    let pause = Duration::from_millis(period(bot.level) / speed);
    while seen.table.is_playing() && seen.table.rounds() == round {
        if stop.is_made() {
            return Ok(stop.exit());
        }
        let began = Instant::now();
        if let (Some(game), Some(seed)) = (seen.table.game(), seen.table.seed()) {
            let mut present = game.without_reports();
            present.advance(seen.clock);
            for order in bot.orders(&present, seat, seed) {
                give(&config, order, is_interrupted)?;
                if stop.is_made() {
                    return Ok(stop.exit());
                }
            }
        }
        std::thread::sleep(pause.saturating_sub(began.elapsed()));
        seen = ask_table(&config)?;
    }
    if seen.table.rounds() == round {
        return print_end(seen.table.game(), seat);
    }
    crate::cli::output::print("the match has ended, and another one is played at this table")?;
    Ok(Exit::Success)
}

fn print_end(game: Option<&Crowns>, seat: u8) -> Result<Exit, Failure> {
    let end = game.and_then(Crowns::end);
    let text = end.map_or("it was abandoned".to_owned(), |end| {
        let winner = end.winner.map(|winner| match winner == seat {
            true => "this seat".to_owned(),
            false => format!("seat {}", u16::from(winner) + 1),
        });
        ending(winner.as_deref(), end.reason)
    });
    crate::cli::output::print(&format!("the match has ended: {text}"))?;
    Ok(Exit::Success)
}

/// Lets another program play a seat: a state for each of its answers.
pub(in crate::cli) fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    let mut program = Program::new();
    match args.practice {
        Some(level) => practice(args, level.into(), &mut program),
        None => serve_member(args, &mut program),
    }
}

fn serve_member(args: &ServeArgs, program: &mut Program) -> Result<Exit, Failure> {
    let config = args.member.config()?;
    let stop = watch_signals()?;
    let is_interrupted = || stop.is_made();
    let Some((mut seen, seat)) = wait_for_match(&config, is_interrupted)? else {
        return Ok(stop.exit());
    };
    let mut next_report = seen.table.game().map_or(0, Crowns::next_report);
    let speed = seen.table.setup().speed.max(1);
    let every = Duration::from_millis(args.every / speed);
    let round = seen.table.rounds();
    while let Some(game) = seen.table.game().filter(|_| seen.table.rounds() == round) {
        let began = Instant::now();
        let has_ended = game.end().is_some();
        let mut present = game.clone();
        present.advance(seen.clock);
        program.note_reported(game, seat, next_report);
        next_report = game.next_report();
        let Some(orders) = program.answer(&present, seat)? else {
            break;
        };
        if has_ended {
            break;
        }
        for (line, order) in orders {
            let refusal = give(&config, order.clone(), is_interrupted)?;
            if stop.is_made() {
                return Ok(stop.exit());
            }
            match refusal {
                Some(_) => program.note(line, refusal),
                None => program.given.push((line, order)),
            }
        }
        std::thread::sleep(every.saturating_sub(began.elapsed()));
        seen = ask_table(&config)?;
    }
    Ok(Exit::Success)
}

/// A match in this process: the program against one bot.
fn practice(args: &ServeArgs, level: Level, program: &mut Program) -> Result<Exit, Failure> {
    let rules = Rules::of_this_build();
    let mut game = Crowns::new(2, args.seed, rules, 0)
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    let foe = PRACTICE_SEAT + 1;
    let bot = Bot::new(level, Archetype::Balanced);
    let mut next = 0;
    let mut decision = 0;
    loop {
        game.advance(next);
        let Some(orders) = program.answer(&game, PRACTICE_SEAT)? else {
            return Ok(Exit::Success);
        };
        if game.end().is_some() {
            return Ok(Exit::Success);
        }
        for (line, order) in orders {
            let done = game.order(PRACTICE_SEAT, &order, next);
            program.note(line, done.err().map(|refusal| refusal.to_string()));
        }
        next += args.every;
        while bot.due(foe, args.seed, decision) <= next {
            let due = bot.due(foe, args.seed, decision);
            game.advance(due);
            for order in bot.orders(&game, foe, args.seed) {
                let _may_be_refused = game.order(foe, &order, due);
            }
            decision += 1;
        }
    }
}

/// The reason of a line that is not an order: the message of the parser in one line, without its
/// hints on usage. Missing arguments and possible values are on lines of their own there.
fn reason_of(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty() && !line.starts_with("tip:"));
    let mut reason = String::new();
    for line in lines {
        if reason.ends_with(':') {
            reason.push(' ');
        } else if !reason.is_empty() {
            reason += "; ";
        }
        reason += line;
    }
    reason.trim_start_matches("error: ").to_owned()
}

/// The program at standard input and output.
struct Program {
    input: std::io::StdinLock<'static>,
    refused: Vec<RefusedLine>,
    /// Lines of the last answer that were taken, with their orders. In a match with a fair window
    /// they are carried out, or refused, at its end.
    given: Vec<(String, Order)>,
}

/// One line of input, without its end.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(String),
    /// It has more than [`MAX_LINE`] bytes; its beginning.
    TooLong(String),
    End,
}

/// Reads a line of bounded length, and skips the rest of a longer one.
fn read_line(input: &mut impl BufRead) -> std::io::Result<Line> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(Line::End);
    }
    let is_whole = bytes.ends_with(b"\n");
    if bytes.len() > MAX_LINE && !is_whole {
        input.skip_until(b'\n')?;
        bytes.truncate(SHOWN);
        return Ok(Line::TooLong(String::from_utf8_lossy(&bytes).into_owned()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
    Ok(Line::Text(text.trim_end_matches(['\n', '\r']).to_owned()))
}

impl Program {
    fn new() -> Self {
        Program {
            input: std::io::stdin().lock(),
            refused: Vec::new(),
            given: Vec::new(),
        }
    }

    /// Prints a state and reads the orders up to an empty line; `None` at the end of the input.
    fn answer(&mut self, game: &Crowns, seat: u8) -> Result<Option<Vec<(String, Order)>>, Failure> {
        print_line(&StateLine {
            schema: SCHEMA,
            seat: seat + 1,
            refused: &self.refused,
            game: game_document(game, &[]),
        })?;
        self.refused.clear();
        self.given.clear();
        let mut orders = Vec::new();
        loop {
            let line = read_line(&mut self.input).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot read the orders: {error}"))
            })?;
            let line = match line {
                Line::End => return Ok(None),
                Line::TooLong(beginning) => {
                    let reason = format!("an order has {MAX_LINE} bytes at most");
                    self.note(beginning, Some(reason));
                    continue;
                }
                Line::Text(line) => line,
            };
            if line.trim().is_empty() {
                break;
            }
            if orders.len() >= MAX_LINES {
                self.note(
                    line,
                    Some(format!("a state is answered by {MAX_LINES} orders at most")),
                );
                continue;
            }
            match OrderLine::try_parse_from(line.split_whitespace()) {
                Ok(parsed) => match parsed.order.order() {
                    Ok(order) => orders.push((line, order)),
                    Err(error) => self.note(line, Some(error.to_string())),
                },
                Err(error) => self.note(line, Some(reason_of(&error.to_string()))),
            }
        }
        Ok(Some(orders))
    }

    /// Keeps the refusals that the match has reported since a report, for the next state.
    fn note_reported(&mut self, game: &Crowns, own: u8, since: u64) {
        for (_, report) in game.reports_since(since) {
            let Report::Refused {
                seat,
                order,
                refusal,
            } = report
            else {
                continue;
            };
            let given = self.given.iter().position(|(_, given)| given == order);
            if let Some(place) = given.filter(|_| *seat == own) {
                let (line, _) = self.given.remove(place);
                self.note(line, Some(refusal.to_string()));
            }
        }
    }

    /// Keeps a refusal for the next state.
    fn note(&mut self, order: String, refusal: Option<String>) {
        if self.refused.len() >= MAX_LINES {
            return;
        }
        let refused = refusal.map(|reason| RefusedLine { order, reason });
        self.refused.extend(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(line: &str) -> String {
        let parsed = OrderLine::try_parse_from(line.split_whitespace());
        reason_of(&parsed.unwrap_err().to_string())
    }

    #[test]
    fn line_without_an_end_is_cut() {
        let mut bytes = b"build wall\r\n".to_vec();
        bytes.extend([b'x'; 100_000]);
        bytes.extend(b"\n\nsay hello");
        let mut input = bytes.as_slice();
        let text = |text: &str| Line::Text(text.to_owned());
        assert_eq!(read_line(&mut input).unwrap(), text("build wall"));
        let cut = Line::TooLong("x".repeat(SHOWN));
        assert_eq!(read_line(&mut input).unwrap(), cut);
        assert_eq!(read_line(&mut input).unwrap(), text(""));
        assert_eq!(read_line(&mut input).unwrap(), text("say hello"));
        assert_eq!(read_line(&mut input).unwrap(), Line::End);
        assert!(read_line(&mut [0xff, b'\n'].as_slice()).is_err());
    }

    /// In a match with a fair window an order is refused at the end of the window.
    #[test]
    fn refusal_at_the_end_of_a_window_is_in_the_next_state() {
        let rules = Rules::of_this_build();
        let mut game = Crowns::new(2, 1, rules, 0).unwrap().with_fair_window(200);
        let order = Order::Train(raftian_realm::crowns::UnitKind::Rider, 1);
        for seat in [0, 1] {
            assert_eq!(game.order(seat, &order, 1_000), Ok(()));
        }
        game.advance(2_000);
        let mut program = Program::new();
        program.given = vec![("train rider 1".to_owned(), order)];
        program.note_reported(&game, 0, 0);
        let refused: Vec<_> = program.refused.iter().map(|one| &one.order).collect();
        assert_eq!(refused, ["train rider 1"]);
        assert!(program.refused[0].reason.contains("level"));
    }

    #[test]
    fn reason_keeps_missing_arguments_and_possible_values() {
        assert_eq!(
            reason("train axe"),
            "the following required arguments were not provided: <COUNT>"
        );
        assert_eq!(
            reason("build castle"),
            "invalid value 'castle' for '<BUILDING>'; \
             [possible values: lumber, mine, farm, barracks, wall, store]"
        );
        assert!(reason("order 66").starts_with("unrecognized subcommand 'order'"));
    }
}
