//! `raftian feed`.

use std::time::Duration;

use clap::Args;
use raftian_node::cluster::NodeConfig;
use serde::Serialize;

use super::output::{failed_line, print, print_line};
use super::profile::RunningArgs;
use super::signals::watch_signals;
use super::status::{ask, unexpected};
use super::{Exit, Failure};
use crate::admin::{AdminRequest, AdminResponse};
use crate::feed::Feed;
use crate::report_words::clock;
use crate::terminal::note;

/// Name and version of the lines that `raftian feed --json` prints.
const SCHEMA: &str = "raftian.feed/1";

/// Longest wait for one response of the member.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Time between two requests of `--follow`.
const POLL: Duration = Duration::from_millis(300);

#[derive(Args, Debug)]
pub(super) struct FeedArgs {
    #[command(flatten)]
    member: RunningArgs,
    /// Keep printing what happens until the member ends.
    #[arg(long)]
    follow: bool,
    /// Number of the first report; a match keeps the last 128.
    #[arg(long, value_name = "N", default_value_t = 0)]
    since: u64,
    /// Print one line of JSON for each report.
    #[arg(long)]
    json: bool,
}

/// A line of `raftian feed --json`.
#[derive(Serialize)]
struct LineDocument<'a> {
    schema: &'static str,
    /// Number of the match at its table.
    round: u32,
    number: u64,
    at_ms: u64,
    text: &'a str,
}

pub(super) fn run(args: &FeedArgs) -> Result<Exit, Failure> {
    read(args).map_err(|failure| failed_line(args.json, SCHEMA, failure))
}

fn read(args: &FeedArgs) -> Result<Exit, Failure> {
    let config = args.member.config()?;
    let stop = watch_signals()?;
    let mut feed = request(&config, None, args.since)?;
    write(args.json, &feed)?;
    if !args.follow {
        return Ok(Exit::Success);
    }
    loop {
        std::thread::sleep(POLL);
        if stop.is_made() {
            return Ok(stop.exit());
        }
        let next = match request(&config, Some(feed.round), feed.next) {
            Ok(next) => next,
            Err(failure) if failure.exit == Exit::Network => {
                note(&format!("the member has ended: {}", failure.message));
                return Ok(Exit::Success);
            }
            Err(failure) => return Err(failure),
        };
        if !args.json && feed.round != 0 && next.round != feed.round {
            print(&format!("A new match begins: number {}.", next.round))?;
        }
        write(args.json, &next)?;
        feed = next;
    }
}

fn request(config: &NodeConfig, round: Option<u32>, since: u64) -> Result<Feed, Failure> {
    match ask(config, &AdminRequest::Feed { round, since }, TIMEOUT)? {
        AdminResponse::Feed { feed } => Ok(feed),
        other => Err(unexpected(&other)),
    }
}

fn write(json: bool, feed: &Feed) -> Result<(), Failure> {
    for line in &feed.reports {
        if json {
            print_line(&LineDocument {
                schema: SCHEMA,
                round: feed.round,
                number: line.number,
                at_ms: line.at_ms,
                text: &line.text,
            })?;
        } else {
            print(&format!("{:>5}  {}", clock(line.at_ms), line.text))?;
        }
    }
    Ok(())
}
