//! `raftian order` and `raftian table`.

pub(super) mod words;

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use raftian_node::cluster::NodeConfig;
use raftian_realm::table::Command;
use serde::Serialize;

use super::output::{failed, print, print_json, seconds};
use super::profile::RunningArgs;
use super::signals::watch_signals;
use super::status::{Unanswered, ask, ask_status, unexpected};
use super::{Exit, Failure};
use crate::admin::{AdminRequest, AdminResponse, CommittedOrder, PerformedCommand};
use crate::realm::{CityId, Order};
use crate::table_document::TableDocument;

/// Name and version of the JSON schema.
const SCHEMA: &str = "raftian.order/1";

/// Name and version of the JSON schema of `raftian table` without a command.
const TABLE_SCHEMA: &str = "raftian.table/1";

/// Longest time for one request, slightly longer than a member withholds a response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout for checking whether an unresponsive member still runs.
const IS_RUNNING_TIMEOUT: Duration = Duration::from_secs(1);

/// Shortest time between two requests about one order.
const MIN_ROUND: Duration = Duration::from_millis(250);

/// Interval at which a waiting order checks for an interrupt.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

const INTERRUPTED: &str = "interrupted. If the member has received the order, it keeps proposing it, so it may still take \
                           effect once; check with `raftian status`";

#[derive(Args, Debug)]
pub(super) struct OrderArgs {
    #[command(flatten)]
    member: RunningArgs,
    #[command(subcommand)]
    order: OrderCommand,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// Longest wait for the commit, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    timeout: f64,
}

#[derive(Subcommand, Debug)]
enum OrderCommand {
    /// Attack a city of classic mode.
    Attack {
        /// The city's number.
        city: u8,
    },
    #[command(flatten)]
    Crowns(words::CrownsOrder),
}

#[derive(Args, Debug)]
pub(super) struct TableArgs {
    #[command(flatten)]
    member: RunningArgs,
    #[command(subcommand)]
    order: Option<words::TableOrder>,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// Longest wait for the commit, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    timeout: f64,
}

/// Output of `raftian order --json`.
#[derive(Serialize)]
struct OrderDocument {
    schema: &'static str,
    ok: bool,
    city: u8,
    #[serde(flatten)]
    committed: CommittedOrder,
}

/// Output of `raftian order --json` and `raftian table --json` for what is not of classic mode.
#[derive(Serialize)]
struct CommandDocument {
    schema: &'static str,
    ok: bool,
    index: u64,
    term: u64,
}

/// Output of `raftian table --json` without a command.
#[derive(Serialize)]
struct TableReply<'a> {
    schema: &'static str,
    ok: bool,
    #[serde(flatten)]
    table: &'a TableDocument,
}

pub(super) fn run(args: &OrderArgs) -> Result<Exit, Failure> {
    let proposer = Proposer {
        member: &args.member,
        timeout: args.timeout,
        json: args.json,
    };
    match &args.order {
        OrderCommand::Attack { city } => proposer.attack(*city),
        OrderCommand::Crowns(order) => {
            let order = order
                .order()
                .map_err(|error| proposer.failed(Failure::new(Exit::Usage, error.to_string())))?;
            proposer.perform(Command::Order(order))
        }
    }
}

/// Runs `raftian table`.
pub(super) fn run_table(args: &TableArgs) -> Result<Exit, Failure> {
    let proposer = Proposer {
        member: &args.member,
        timeout: args.timeout,
        json: args.json,
    };
    match &args.order {
        Some(order) => proposer.perform(order.command()),
        None => show(args).map_err(|failure| failed(args.json, TABLE_SCHEMA, failure)),
    }
}

/// Prints the table.
fn show(args: &TableArgs) -> Result<Exit, Failure> {
    let status = ask_status(&args.member.config()?)?;
    if status.is_witness() {
        return Err(Failure::new(
            Exit::Usage,
            "this member is a witness, which keeps no table; use another member",
        ));
    }
    let Some(table) = &status.table else {
        return Err(Failure::new(Exit::NoQuorum, "there is no table yet"));
    };
    if args.json {
        print_json(&TableReply {
            schema: TABLE_SCHEMA,
            ok: true,
            table,
        })?;
    } else {
        print(table.to_text().trim_end())?;
    }
    Ok(Exit::Success)
}

/// Proposes through a running member and prints the outcome.
struct Proposer<'a> {
    member: &'a RunningArgs,
    timeout: f64,
    json: bool,
}

impl Proposer<'_> {
    fn attack(&self, city: u8) -> Result<Exit, Failure> {
        let request = AdminRequest::Order {
            order: Order::Attack { city: CityId(city) },
        };
        let committed = match self.propose(request)? {
            AdminResponse::Committed(committed) => committed,
            other => return Err(self.failed(unexpected(&other))),
        };
        if self.json {
            print_json(&OrderDocument {
                schema: SCHEMA,
                ok: true,
                city,
                committed,
            })?;
            return Ok(Exit::Success);
        }
        let CommittedOrder {
            index,
            term,
            effect,
            health,
        } = committed;
        let text = format!(
            "committed at index {index} in term {term}: P{city} {effect}, {health} hp left"
        );
        report(index, &text)
    }

    fn perform(&self, command: Command) -> Result<Exit, Failure> {
        let request = AdminRequest::Table {
            command: Box::new(command),
        };
        let performed = match self.propose(request)? {
            AdminResponse::Performed(performed) => performed,
            other => return Err(self.failed(unexpected(&other))),
        };
        let PerformedCommand {
            index,
            term,
            refusal,
        } = performed;
        if let Some(refusal) = refusal {
            let text = format!("committed at index {index}, and refused by the rules: {refusal}");
            return Err(self.failed(Failure::new(Exit::Usage, text)));
        }
        if self.json {
            print_json(&CommandDocument {
                schema: SCHEMA,
                ok: true,
                index,
                term,
            })?;
            return Ok(Exit::Success);
        }
        report(index, &format!("committed at index {index} in term {term}"))
    }

    fn failed(&self, failure: Failure) -> Failure {
        failed(self.json, SCHEMA, failure)
    }

    fn propose(&self, request: AdminRequest) -> Result<AdminResponse, Failure> {
        let answered = propose_until_interrupted(self.member, self.timeout, request);
        answered.map_err(|failure| self.failed(failure))
    }
}

/// Prints the outcome of an order that is committed, whether or not the text arrives.
fn report(index: u64, text: &str) -> Result<Exit, Failure> {
    print(text).map_err(|failure| {
        let message = format!(
            "the order was committed at index {index}, but {}",
            failure.message
        );
        Failure::new(failure.exit, message)
    })?;
    Ok(Exit::Success)
}

/// Proposes on a separate thread, so that an interrupt ends the wait.
fn propose_until_interrupted(
    member: &RunningArgs,
    timeout: f64,
    request: AdminRequest,
) -> Result<AdminResponse, Failure> {
    let config = member.config()?;
    let stop_request = watch_signals()?;
    let (report, result) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || report.send(propose(&config, timeout, request)));
    loop {
        match result.recv_timeout(INTERRUPT_POLL) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) if stop_request.is_made() => {
                return Err(Failure::new(stop_request.exit(), INTERRUPTED));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(
                    Exit::Unexpected,
                    "the proposing thread ended without a result",
                ));
            }
        }
    }
}

fn propose(
    config: &NodeConfig,
    timeout: f64,
    mut question: AdminRequest,
) -> Result<AdminResponse, Failure> {
    let deadline = Instant::now() + Duration::from_secs_f64(timeout);
    let mut proposed = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if proposed && left.is_zero() {
            return Err(too_late(timeout));
        }
        let asked_at = Instant::now();
        // A member with many waiting orders answers early, so pause: another request may get
        // through shortly after.
        let pause = || std::thread::sleep(MIN_ROUND.saturating_sub(asked_at.elapsed()).min(left));
        match ask(
            config,
            &question,
            // At least 200 ms, so that a request near the deadline has time for its response.
            left.clamp(Duration::from_millis(200), REQUEST_TIMEOUT),
        ) {
            Ok(done @ (AdminResponse::Committed(_) | AdminResponse::Performed(_))) => {
                return Ok(done);
            }
            Ok(AdminResponse::Waiting { ticket }) => {
                proposed = true;
                question = AdminRequest::Outcome { ticket };
                pause();
            }
            Ok(AdminResponse::UnknownTicket) => {
                return Err(unknown("the member has restarted since"));
            }
            Ok(other) => return Err(unexpected(&other)),
            Err(Unanswered {
                failure,
                may_have_arrived: false,
            }) if !proposed => return Err(failure),
            Err(Unanswered { failure, .. }) => {
                let in_time = Instant::now() < deadline;
                match is_running(config) {
                    // The member withholds its response as long as it can; our own deadline came
                    // first.
                    true if !in_time => return Err(too_late(timeout)),
                    true if proposed => {
                        tracing::debug!(failure.message, "requesting the order's outcome again");
                        pause();
                    }
                    true | false => return Err(unknown(&failure.message)),
                }
            }
        }
    }
}

/// Failure for an order that may have been committed or not.
fn unknown(reason: &str) -> Failure {
    Failure::new(
        Exit::NoQuorum,
        format!(
            "the order may have been committed or not: {reason}. Check with `raftian status` before ordering it again, \
             which would be another order"
        ),
    )
}

fn is_running(config: &NodeConfig) -> bool {
    matches!(
        ask(config, &AdminRequest::Status, IS_RUNNING_TIMEOUT),
        Ok(AdminResponse::Status(_))
    )
}

fn too_late(timeout: f64) -> Failure {
    Failure::new(
        Exit::NoQuorum,
        format!(
            "the order was not committed within {timeout} s: the member reaches no majority. It keeps proposing the order, \
             so it may still take effect once, later; check with `raftian status`"
        ),
    )
}
