//! `raftian discover`: lists the matches on the local network.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use raftian_node::lan::{LanMatch, browse};
use raftian_node::player::PlayerError;
use raftian_node::wire::WIRE_VERSION;
use serde::Serialize;

use super::output::{failed, print, print_json, seconds};
use super::{Exit, Failure};

/// Name and version of the JSON schema.
const SCHEMA: &str = "raftian.discover/1";

#[derive(Args, Debug)]
pub(super) struct DiscoverArgs {
    /// How long to listen, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    timeout: f64,
    /// Print the list again and again, until interrupted.
    #[arg(long)]
    watch: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Output of `raftian discover --json`.
#[derive(Serialize)]
struct DiscoverDocument {
    schema: &'static str,
    ok: bool,
    matches: Vec<MatchDocument>,
}

/// One match, which several members may announce.
#[derive(Serialize)]
struct MatchDocument {
    #[serde(rename = "match")]
    match_id: String,
    name: String,
    players: usize,
    /// Wire version of its members.
    protocol: u8,
    /// Number of members that announce it.
    announced_by: usize,
}

pub(super) fn run(args: &DiscoverArgs) -> Result<Exit, Failure> {
    loop {
        let document = discover(args).map_err(|failure| failed(args.json, SCHEMA, failure))?;
        if args.json {
            print_json(&document)?;
        } else {
            print(document.to_text().trim_end())?;
        }
        if !args.watch {
            return Ok(Exit::Success);
        }
    }
}

fn discover(args: &DiscoverArgs) -> Result<DiscoverDocument, Failure> {
    let time = Duration::from_secs_f64(args.timeout);
    let found = browse(time, |_| false).map_err(PlayerError::Discovery)?;
    let mut matches: BTreeMap<_, Vec<LanMatch>> = BTreeMap::new();
    for announced in found {
        matches
            .entry(announced.match_id)
            .or_default()
            .push(announced);
    }
    let documents = matches.values().filter_map(|announced| {
        // A member that is behind announces fewer players.
        let newest = announced.iter().max_by_key(|announced| announced.players)?;
        Some(MatchDocument {
            match_id: newest.match_id.to_string(),
            name: newest.name.clone(),
            players: newest.players,
            protocol: newest.protocol,
            announced_by: announced.len(),
        })
    });
    Ok(DiscoverDocument {
        schema: SCHEMA,
        ok: true,
        matches: documents.collect(),
    })
}

impl DiscoverDocument {
    fn to_text(&self) -> String {
        if self.matches.is_empty() {
            return "no match is announced on the local network; found one with `raftian start`"
                .to_owned();
        }
        let names = self.matches.iter().map(|found| found.name.chars().count());
        let width = names.max().unwrap_or(0);
        let mut text = String::new();
        for found in &self.matches {
            let players = if found.players == 1 {
                "player"
            } else {
                "players"
            };
            let protocol = if found.protocol == WIRE_VERSION {
                String::new()
            } else {
                format!(
                    ", speaks protocol {}, but this build {WIRE_VERSION}",
                    found.protocol
                )
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  {} {players}{protocol}",
                found.name, found.players
            );
        }
        text
    }
}
