//! `raftian status`.

use std::time::{Duration, Instant};

use clap::Args;
use raftian_node::cluster::NodeConfig;
use raftian_node::match_request::MatchReply;
use raftian_node::quic::client::{ClientError, request_blocking};
use raftian_realm::table::Table;

use super::exit::exit_of;
use super::output::{failed, print, print_json};
use super::profile::RunningArgs;
use super::{Exit, Failure};
use crate::admin::{AdminRequest, AdminResponse};
use crate::status_document::{SCHEMA, StatusDocument};

/// Timeout for a status request.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause before retrying a request to a busy member.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Shortest time left for the pause and another attempt.
const MIN_RETRY_TIME: Duration = Duration::from_millis(250);

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    member: RunningArgs,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let config = args.member.config();
    let document = config
        .and_then(|config| ask_status(&config))
        .map_err(|failure| failed(args.json, SCHEMA, failure))?;
    if args.json {
        print_json(&document)?;
    } else {
        print(document.to_text().trim_end())?;
    }
    Ok(Exit::Success)
}

/// Returns the status of the running member of this configuration.
pub(super) fn ask_status(config: &NodeConfig) -> Result<Box<StatusDocument>, Failure> {
    match ask(config, &AdminRequest::Status, STATUS_TIMEOUT)? {
        AdminResponse::Status(document) => Ok(document),
        other => Err(unexpected(&other)),
    }
}

/// The table of a running member, and the own seat at it.
pub(super) struct SeenTable {
    pub(super) table: Table,
    /// The own seat, counted from 0.
    pub(super) seat: Option<u8>,
    /// Game clock at present.
    pub(super) clock: u64,
}

/// Returns the table of the running member of this configuration.
pub(super) fn ask_table(config: &NodeConfig) -> Result<SeenTable, Failure> {
    match ask(config, &AdminRequest::Game, STATUS_TIMEOUT)? {
        AdminResponse::Game { table, seat, clock } => {
            let table = raftian_node::wire::decode_state(&table).map_err(|error| {
                let text = format!("cannot read the table ({error}); does it run this version?");
                Failure::new(Exit::Version, text)
            })?;
            Ok(SeenTable { table, seat, clock })
        }
        other => Err(unexpected(&other)),
    }
}

/// A request without a response.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    /// The member may have received the request.
    pub(super) may_have_arrived: bool,
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.failure
    }
}

impl From<ClientError> for Unanswered {
    fn from(error: ClientError) -> Self {
        Unanswered {
            may_have_arrived: error.may_have_arrived(),
            failure: error.into(),
        }
    }
}

/// Sends a request to the running member of this configuration, and retries while it is busy. Takes
/// no longer than `timeout`.
pub(super) fn ask(
    config: &NodeConfig,
    question: &AdminRequest,
    timeout: Duration,
) -> Result<AdminResponse, Unanswered> {
    let deadline = Instant::now() + timeout;
    let body = serde_json::to_vec(question).map_err(|error| Unanswered {
        failure: Failure::new(Exit::Unexpected, error.to_string()),
        may_have_arrived: false,
    })?;
    let answer = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match request_blocking(config, body.clone(), left) {
            // An attempt without time would report a busy member as unreachable.
            Err(ClientError::Busy) if Instant::now() + MIN_RETRY_TIME < deadline => {
                std::thread::sleep(BUSY_PAUSE);
            }
            answer => break answer?,
        }
    };
    serde_json::from_slice(&answer).map_err(|error| {
        let message =
            format!("cannot read the member's response ({error}); does it run this version?");
        Unanswered {
            failure: Failure::new(Exit::Version, message),
            may_have_arrived: true,
        }
    })
}

/// Failure for a response of another kind than the request expects.
pub(super) fn unexpected(answer: &AdminResponse) -> Failure {
    match answer {
        AdminResponse::Refused { reason } => Failure::new(Exit::Usage, reason.clone()),
        AdminResponse::NotNow { reason } => Failure::new(
            Exit::NoQuorum,
            format!("the member cannot accept the order now: {reason}"),
        ),
        AdminResponse::Match {
            reply: MatchReply::Refused(refusal),
        } => Failure::new(exit_of(refusal), refusal.to_string()),
        AdminResponse::UnknownTicket
        | AdminResponse::Match { .. }
        | AdminResponse::Leaving
        | AdminResponse::Status(_)
        | AdminResponse::Waiting { .. }
        | AdminResponse::Performed(_)
        | AdminResponse::Game { .. }
        | AdminResponse::Feed { .. }
        | AdminResponse::Committed(_) => Failure::new(
            Exit::Version,
            "the member's response does not match the request; does it run this version?",
        ),
    }
}
