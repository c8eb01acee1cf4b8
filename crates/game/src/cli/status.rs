//! `raftian status`.

use std::time::Duration;

use clap::Args;
use raftian_node::cluster::{NodeConfig, NodeFile};
use raftian_node::quic::client::request_blocking;

use super::output::{failed, print, print_json};
use super::{Exit, Failure, MemberArgs};
use crate::service::{Answer, Question};
use crate::status_document::SCHEMA;

/// How long a member may take to tell how it is.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    member: MemberArgs,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let status = || {
        let config = NodeFile::read(&args.member.config)?;
        match ask(&config, &Question::Status, PATIENCE)? {
            Answer::Status(document) => Ok(document),
            other => Err(unexpected(&other)),
        }
    };
    let document = status().map_err(|failure| failed(args.json, SCHEMA, failure))?;
    if args.json {
        print_json(&document)?;
    } else {
        print(document.to_text().trim_end())?;
    }
    Ok(Exit::Success)
}

/// Asks the running member of this configuration.
pub(super) fn ask(config: &NodeConfig, question: &Question, patience: Duration) -> Result<Answer, Failure> {
    let body = serde_json::to_vec(question).map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    let answer = request_blocking(config, body, patience)?;
    serde_json::from_slice(&answer).map_err(|error| {
        Failure::new(Exit::Version, format!("the member's answer cannot be read ({error}); is it of this version?"))
    })
}

/// An answer to another question than the one asked.
pub(super) fn unexpected(answer: &Answer) -> Failure {
    match answer {
        Answer::Refused { reason } => Failure::new(Exit::Usage, reason.clone()),
        Answer::NotNow { reason } => Failure::new(Exit::NoQuorum, format!("the member cannot take it now: {reason}")),
        Answer::UnknownTicket | Answer::Status(_) | Answer::Waiting { .. } | Answer::Committed(_) => {
            Failure::new(Exit::Version, "the member answers another question; is it of this version?")
        }
    }
}
