//! A running member's service for the operator's tools, for example `raftian status`.
//!
//! The tools connect to the member's own QUIC port and authenticate with the member's own key.
//! Requests and responses are JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{AppliedLog, EntryInfo, Outbox};
use raftian_node::match_request::{MatchReply, MatchRequest};
use raftian_node::quic::ServiceRequest;
use raftian_node::{Requests, fresh_seed};
use raftian_realm::table::{Command as TableOrder, Refusal};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use crate::feed::{self, Feed};
use crate::projection::ReplicatedRealm;
use crate::realm::{CityId, Order, Outcome as Effect};
use crate::replication::{LastEffect, OwnState, PlayerOrder};
use crate::status_document::{self, OwnMember, StatusDocument};
use crate::table::{LastVerdict, PresentStamp, ReplicatedTable, TableCommand, player_of};
use crate::table_document;

/// Longest time for which a response is withheld while an order waits for its commit. After it the
/// tool asks again.
const HOLD: Duration = Duration::from_secs(2);

/// Maximum number of responses withheld at a time. Each occupies one of the
/// [`MAX_CLIENTS`](raftian_node::quic::MAX_CLIENTS) tool connections; beyond this the oldest is
/// answered early, so that connections are left for other requests.
const MAX_HELD: usize = 192;

/// Number of orders remembered for tools that ask again. The oldest is dropped.
const TICKETS: usize = 1024;

/// Bits by which the random number of the first ticket is shifted. Tickets start at a random
/// number, so that a ticket of an earlier run is not mistaken for one of this; the shift makes it
/// small enough for every JSON reader.
const TICKET_SHIFT: u32 = 12;

/// A request of a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum AdminRequest {
    /// Returns the member's status.
    Status,
    /// Proposes an order.
    Order {
        /// The order.
        order: Order,
    },
    /// Proposes a command of the table.
    Table {
        /// The command.
        command: Box<TableOrder>,
    },
    /// Returns the state of the table, for programs that play.
    Game,
    /// Returns the reports of the match.
    Feed {
        /// Number of the match that `since` is of; none for the one that is played.
        round: Option<u32>,
        /// Number of the first report.
        since: u64,
    },
    /// Makes a request about the match.
    Match {
        /// The request.
        request: Box<MatchRequest>,
    },
    /// Leaves the match. A program that only runs the member ends; a window shows its menu.
    Leave,
    /// Returns the outcome of an order proposed before.
    Outcome {
        /// The ticket from the response to the order.
        ticket: u64,
    },
}

/// A response to a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum AdminResponse {
    /// The member's status.
    Status(Box<StatusDocument>),
    /// The order waits for its commit; ask again with this ticket.
    Waiting {
        /// Identifier of the order in this run of the member.
        ticket: u64,
    },
    /// The order is committed and applied.
    Committed(CommittedOrder),
    /// The state of the table.
    Game {
        /// The table in the encoding of snapshots.
        table: Vec<u8>,
        /// The member's own seat, counted from 0.
        seat: Option<u8>,
        /// Game clock of the match at present.
        clock: u64,
    },
    /// Reports of the match.
    Feed {
        /// The reports.
        feed: Feed,
    },
    /// The command of the table is committed and applied.
    Performed(PerformedCommand),
    /// Reply to a request about the match.
    Match {
        /// The reply.
        reply: MatchReply,
    },
    /// The program leaves the match, and stops its node once the others know.
    Leaving,
    /// The request is invalid: asking again does not help.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The member cannot accept the order now; nothing was proposed.
    NotNow {
        /// Why.
        reason: String,
    },
    /// The member does not know the ticket, so the order may have been committed or not.
    UnknownTicket,
}

/// An order's log position and effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedOrder {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Effect as text: "hit" or "already dead"; "applied before" if this member received it with a
    /// snapshot and does not know the effect.
    pub effect: String,
    /// The target's health afterwards.
    pub health: i32,
}

/// Log position and effect of a command of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerformedCommand {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Why the rules refused it; none if it had its effect, or if this member received it with a
    /// snapshot and does not know.
    pub refusal: Option<String>,
}

/// The member's service for its operator's tools.
#[derive(Resource)]
pub struct AdminService {
    requests: Requests,
    member: OwnMember,
    started: Instant,
    next_ticket: u64,
    orders: BTreeMap<u64, TrackedOrder>,
    /// Requests whose response is withheld, with ticket and deadline.
    held: Vec<(u64, Instant, ServiceRequest)>,
    /// Requests about the match that the node has not replied to. Bounded by the tools' connections
    /// ([`MAX_CLIENTS`](raftian_node::quic::MAX_CLIENTS)).
    asked: Vec<(Receiver<MatchReply>, ServiceRequest)>,
    /// A tool asked the member to leave.
    leave: Arc<AtomicBool>,
}

struct TrackedOrder {
    proposal: ProposalId,
    /// The target of an order of classic mode; none for a command of the table.
    city: Option<CityId>,
    answer: Option<AdminResponse>,
}

impl AdminService {
    /// A service that answers `requests` to `member`.
    pub fn new(requests: Requests, member: OwnMember) -> Self {
        AdminService {
            requests,
            member,
            started: Instant::now(),
            next_ticket: fresh_seed() >> TICKET_SHIFT,
            orders: BTreeMap::new(),
            held: Vec::new(),
            asked: Vec::new(),
            leave: Arc::default(),
        }
    }

    /// Withholds the response to an order until its outcome is known.
    fn track(&mut self, proposal: ProposalId, city: Option<CityId>, request: ServiceRequest) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let order = TrackedOrder {
            proposal,
            city,
            answer: None,
        };
        self.orders.insert(ticket, order);
        while self.orders.len() > TICKETS {
            self.orders.pop_first();
        }
        self.held.push((ticket, Instant::now() + HOLD, request));
    }

    /// Returns a flag that is set when a tool asks the member to leave the match.
    pub fn leave_request(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.leave)
    }
}

/// Answers the tools while there is an [`AdminService`].
pub fn plugin(app: &mut App) {
    app.add_systems(
        PreUpdate,
        (take_requests, answer_held, answer_asked)
            .chain()
            .after(RaftSystems::Apply)
            .run_if(resource_exists::<AdminService>),
    )
    .add_observer(note_outcome);
}

fn take_requests(
    mut service: ResMut<AdminService>,
    mut commands: Commands,
    status: Res<RaftStatus>,
    outbox: Res<Outbox>,
    own: Res<OwnState>,
    (log, table, present): (
        Res<AppliedLog>,
        Option<Res<ReplicatedTable>>,
        Res<PresentStamp>,
    ),
    realm: Option<Res<ReplicatedRealm>>,
) {
    while let Some(request) = service.requests.try_next() {
        match serde_json::from_slice(&request.body) {
            Err(error) => reply(
                request,
                &AdminResponse::Refused {
                    reason: format!("the request cannot be read: {error}"),
                },
            ),
            Ok(AdminRequest::Status) => {
                let uptime = service.started.elapsed();
                let realm = realm.as_ref().map(|realm| &realm.0);
                let table = table.as_deref().map(|table| {
                    table_document::of(&table.0, &log, own_seat(table, &log, &status))
                });
                let pending = outbox.pending().len();
                match status_document::of(
                    &service.member,
                    &status,
                    own.0,
                    pending,
                    realm,
                    table,
                    uptime,
                ) {
                    Some(document) => reply(request, &AdminResponse::Status(Box::new(document))),
                    None => reply(
                        request,
                        &AdminResponse::NotNow {
                            reason: "the member is not ready yet".to_owned(),
                        },
                    ),
                }
            }
            Ok(AdminRequest::Order { order }) => {
                let witness = is_witness(&status).then(|| WITNESS.to_owned());
                let refusal = |realm| witness.or_else(|| unknown_city(realm, order));
                match realm.as_deref().map(refusal) {
                    None => reply(request, &no_match()),
                    Some(Some(reason)) => reply(request, &AdminResponse::Refused { reason }),
                    Some(None) => {
                        let proposal = commands.propose(PlayerOrder(order));
                        let Order::Attack { city } = order;
                        service.track(proposal, Some(city), request);
                    }
                }
            }
            Ok(AdminRequest::Table { .. }) if is_witness(&status) => reply(
                request,
                &AdminResponse::Refused {
                    reason: WITNESS.to_owned(),
                },
            ),
            Ok(AdminRequest::Table { command }) if command.is_of_member() => reply(
                request,
                &AdminResponse::Refused {
                    reason: "members send this command themselves; give an order of your seat"
                        .to_owned(),
                },
            ),
            Ok(AdminRequest::Table { command }) => {
                let Some(table) = table.as_deref() else {
                    reply(request, &no_match());
                    continue;
                };
                let proposal = commands.propose(TableCommand::new(*command, &table.0));
                service.track(proposal, None, request);
            }
            Ok(AdminRequest::Game) => {
                let game = table
                    .as_deref()
                    .map(|table| game(table, &log, &status, *present));
                reply(request, &game.unwrap_or_else(no_match));
            }
            Ok(AdminRequest::Feed { round, since }) => {
                let feed = table.as_deref().map(|table| {
                    let names = table_document::seat_names(&table.0, &log);
                    let own = own_id(&status).map(|own| player_of(&log, own));
                    let own = own.and_then(|own| table.0.match_seat_of(own));
                    let feed = feed::of(&table.0, &names, own, round, since);
                    AdminResponse::Feed { feed }
                });
                reply(request, &feed.unwrap_or_else(no_match));
            }
            Ok(AdminRequest::Match { request: about }) => {
                let reply = service.member.control.request(*about);
                service.asked.push((reply, request));
            }
            Ok(AdminRequest::Leave) => {
                service.leave.store(true, Ordering::Release);
                reply(request, &AdminResponse::Leaving);
            }
            Ok(AdminRequest::Outcome { ticket }) => {
                service.held.push((ticket, Instant::now() + HOLD, request))
            }
        }
    }
}

fn no_match() -> AdminResponse {
    AdminResponse::NotNow {
        reason: "there is no match yet".to_owned(),
    }
}

fn game(
    table: &ReplicatedTable,
    log: &AppliedLog,
    status: &RaftStatus,
    present: PresentStamp,
) -> AdminResponse {
    let Ok(bytes) = raftian_node::wire::encode_state(&table.0) else {
        return no_match();
    };
    AdminResponse::Game {
        table: bytes,
        seat: own_seat(table, log, status),
        clock: table.0.clock(present.get()).unwrap_or(0),
    }
}

/// The seat of this member's player, counted from 0.
fn own_seat(table: &ReplicatedTable, log: &AppliedLog, status: &RaftStatus) -> Option<u8> {
    table.0.seat_of(player_of(log, own_id(status)?))
}

fn own_id(status: &RaftStatus) -> Option<raftian_raft::NodeId> {
    Some(status.view.as_ref()?.status.id)
}

/// Answers the requests whose outcome is known and those whose deadline has passed.
fn answer_held(mut service: ResMut<AdminService>) {
    let now = Instant::now();
    let held = std::mem::take(&mut service.held);
    let too_many = held.len().saturating_sub(MAX_HELD);
    for (place, (ticket, deadline, request)) in held.into_iter().enumerate() {
        match service.orders.get(&ticket).map(|order| &order.answer) {
            None => reply(request, &AdminResponse::UnknownTicket),
            Some(Some(answer)) => reply(request, answer),
            // `held` is in order of arrival, so the surplus ones at its front are the oldest.
            Some(None) if now >= deadline || place < too_many => {
                reply(request, &AdminResponse::Waiting { ticket })
            }
            Some(None) => service.held.push((ticket, deadline, request)),
        }
    }
}

/// Answers the requests about the match that the node has replied to.
fn answer_asked(mut service: ResMut<AdminService>) {
    for (mut receiver, request) in std::mem::take(&mut service.asked) {
        match receiver.try_recv() {
            Ok(answer) => reply(request, &AdminResponse::Match { reply: answer }),
            Err(TryRecvError::Empty) => service.asked.push((receiver, request)),
            Err(TryRecvError::Closed) => reply(
                request,
                &AdminResponse::NotNow {
                    reason: "the node has stopped".to_owned(),
                },
            ),
        }
    }
}

fn note_outcome(
    outcome: On<ProposalOutcome>,
    service: Option<ResMut<AdminService>>,
    last: Option<Res<LastEffect>>,
    verdict: Option<Res<LastVerdict>>,
    realm: Option<Res<ReplicatedRealm>>,
) {
    let Some(mut service) = service else { return };
    let Some(order) = service
        .orders
        .values_mut()
        .find(|order| order.proposal == outcome.id)
    else {
        return;
    };
    order.answer = Some(match &outcome.outcome {
        Outcome::Rejected(rejection) => AdminResponse::NotNow {
            reason: rejection.to_string(),
        },
        // Both mean to the tool that the order may have been committed or not.
        Outcome::Unknown { .. } => AdminResponse::UnknownTicket,
        Outcome::Committed(info) => match order.city {
            Some(city) => AdminResponse::Committed(committed(
                *info,
                city,
                last.and_then(|last| last.0),
                realm.as_deref(),
            )),
            None => AdminResponse::Performed(performed(*info, verdict.and_then(|last| last.0))),
        },
    });
}

/// Describes a command of the table, as [`committed`] does for an order.
fn performed(
    info: EntryInfo,
    last: Option<(raftian_raft::Index, Result<(), Refusal>)>,
) -> PerformedCommand {
    let verdict = last.filter(|(index, _)| *index == info.index);
    let refusal = verdict.and_then(|(_, verdict)| verdict.err());
    PerformedCommand {
        index: info.index.0,
        term: info.term.0,
        refusal: refusal.map(|refusal| refusal.to_string()),
    }
}

/// Describes a committed order. The outcome is triggered right after its order was applied, so the
/// last effect is the order's own, unless the order was applied as part of a snapshot.
fn committed(
    info: EntryInfo,
    city: CityId,
    last: Option<(raftian_raft::Index, Effect)>,
    realm: Option<&ReplicatedRealm>,
) -> CommittedOrder {
    let effect = last
        .filter(|(index, _)| *index == info.index)
        .map(|(_, effect)| effect);
    let health = || {
        realm
            .and_then(|realm| realm.0.health(city))
            .map_or(0, |health| health.0)
    };
    let (effect, health) = match effect {
        Some(Effect::Hit { health_after, .. }) => ("hit", health_after.0),
        Some(Effect::AlreadyDead { .. }) => ("already dead", health()),
        Some(Effect::NoSuchCity { .. }) => ("none", 0),
        None => ("applied before", health()),
    };
    CommittedOrder {
        index: info.index.0,
        term: info.term.0,
        effect: effect.to_owned(),
        health,
    }
}

/// Refusal of an order through a witness, which would never apply it.
const WITNESS: &str = "this member is a witness, which gives no orders; use another member";

fn is_witness(status: &RaftStatus) -> bool {
    let view = status.view.as_ref().map(|view| &view.status);
    view.and_then(|status| status.membership.member(status.id))
        .is_some_and(raftian_raft::Member::is_witness)
}

fn unknown_city(realm: &ReplicatedRealm, order: Order) -> Option<String> {
    let Order::Attack { city } = order;
    let known: Vec<String> = realm
        .0
        .cities()
        .map(|(CityId(number), _)| number.to_string())
        .collect();
    (realm.0.health(city).is_none()).then(|| {
        format!(
            "there is no city {}; choose one of {}",
            city.0,
            known.join(", ")
        )
    })
}

fn reply(request: ServiceRequest, answer: &AdminResponse) {
    match serde_json::to_vec(answer) {
        Ok(bytes) => request.answer(bytes),
        Err(error) => error!(%error, "cannot serialize a response to a tool"),
    }
}
