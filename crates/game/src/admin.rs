//! What a running member does for its operator's tools: `raftian status` and `raftian order`.
//!
//! The tools ask over the member's own QUIC port, and are let in by the member's own key. Questions
//! and answers are JSON.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{EntryInfo, Outbox};
use raftian_node::cluster::NodeConfig;
use raftian_node::quic::ServiceRequest;
use raftian_node::{NodeControl, Requests, fresh_seed};
use serde::{Deserialize, Serialize};

use crate::projection::ReplicatedRealm;
use crate::realm::{CityId, Order, Outcome as Effect};
use crate::replication::{LastEffect, OwnState};
use crate::status_document::{self, StatusDocument};

/// Longest time that an answer is held back while an order waits for its commit. Then the tool asks
/// again.
const HOLD: Duration = Duration::from_secs(2);

/// Answers held back at a time. Each holds a place of the tools, of which there are
/// [`MAX_CLIENTS`](raftian_node::quic::MAX_CLIENTS); beyond this the oldest is answered before its
/// time, so that places are left for other questions.
const MAX_HELD: usize = 192;

/// Orders remembered for tools that ask again. The oldest is forgotten.
const TICKETS: usize = 1024;

/// Tickets start at a random number, so that one of an earlier run is not taken for one of this. It
/// is small enough for every reader of JSON.
const TICKET_SHIFT: u32 = 12;

/// A question of a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum AdminRequest {
    /// How the member is.
    Status,
    /// Propose an order.
    Order {
        /// The order.
        order: Order,
    },
    /// What became of an order proposed before.
    Outcome {
        /// The ticket of its answer.
        ticket: u64,
    },
}

/// An answer to a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum AdminResponse {
    /// How the member is.
    Status(Box<StatusDocument>),
    /// The order waits for its commit; ask for this ticket.
    Waiting {
        /// Name of the order in this run of the member.
        ticket: u64,
    },
    /// The order is committed and applied.
    Committed(CommittedOrder),
    /// The question makes no sense: asking again will not help.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The member cannot take it now; nothing was proposed.
    NotNow {
        /// Why.
        reason: String,
    },
    /// The member knows nothing of the order, so it may have been committed or not.
    UnknownTicket,
}

/// An order's place in the log and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedOrder {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// What it did, in words: "hit" or "already dead"; "applied before" if this member got it with
    /// a snapshot and cannot tell.
    pub effect: String,
    /// The target's health afterwards.
    pub health: i32,
}

/// The member's service for its operator's tools.
#[derive(Resource)]
pub struct AdminService {
    requests: Requests,
    started: Instant,
    next_ticket: u64,
    orders: BTreeMap<u64, TrackedOrder>,
    /// Requests whose answer is held back, and until when.
    held: Vec<(u64, Instant, ServiceRequest)>,
}

struct TrackedOrder {
    proposal: ProposalId,
    city: CityId,
    answer: Option<AdminResponse>,
}

/// Who this member is, for its status document.
#[derive(Resource, Clone, Debug)]
pub struct OwnMember {
    /// Its configuration.
    pub config: NodeConfig,
    /// Its node.
    pub control: NodeControl,
}

impl AdminService {
    /// A service that answers `requests`.
    #[must_use]
    pub fn new(requests: Requests) -> Self {
        AdminService {
            requests,
            started: Instant::now(),
            next_ticket: fresh_seed() >> TICKET_SHIFT,
            orders: BTreeMap::new(),
            held: Vec::new(),
        }
    }
}

/// Answers the tools. Needs [`AdminService`] and [`OwnMember`].
pub fn plugin(app: &mut App) {
    app.add_systems(
        PreUpdate,
        (take_requests, answer_held)
            .chain()
            .after(RaftSystems::Apply)
            .run_if(resource_exists::<AdminService>),
    )
    .add_observer(note_outcome);
}

fn take_requests(
    mut service: ResMut<AdminService>,
    mut commands: Commands,
    member: Res<OwnMember>,
    status: Res<RaftStatus>,
    outbox: Res<Outbox>,
    own: Res<OwnState>,
    realm: Option<Res<ReplicatedRealm>>,
) {
    while let Some(request) = service.requests.try_next() {
        match serde_json::from_slice(&request.body) {
            Err(error) => reply(
                request,
                &AdminResponse::Refused {
                    reason: format!("the question cannot be read: {error}"),
                },
            ),
            Ok(AdminRequest::Status) => {
                let uptime = service.started.elapsed();
                let realm = realm.as_ref().map(|realm| &realm.0);
                let pending = outbox.pending().len();
                match status_document::of(&member, &status, own.0, pending, realm, uptime) {
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
                match realm.as_ref().map(|realm| unknown_city(realm, order)) {
                    None => reply(
                        request,
                        &AdminResponse::NotNow {
                            reason: "there is no match yet".to_owned(),
                        },
                    ),
                    Some(Some(reason)) => reply(request, &AdminResponse::Refused { reason }),
                    Some(None) => {
                        let ticket = service.next_ticket;
                        service.next_ticket += 1;
                        let proposal = commands.propose(order);
                        let Order::Attack { city } = order;
                        service.orders.insert(
                            ticket,
                            TrackedOrder {
                                proposal,
                                city,
                                answer: None,
                            },
                        );
                        while service.orders.len() > TICKETS {
                            service.orders.pop_first();
                        }
                        service.held.push((ticket, Instant::now() + HOLD, request));
                    }
                }
            }
            Ok(AdminRequest::Outcome { ticket }) => {
                service.held.push((ticket, Instant::now() + HOLD, request))
            }
        }
    }
}

/// Answers what has its answer, and what has waited long enough.
fn answer_held(mut service: ResMut<AdminService>) {
    let now = Instant::now();
    let held = std::mem::take(&mut service.held);
    let too_many = held.len().saturating_sub(MAX_HELD);
    for (place, (ticket, deadline, request)) in held.into_iter().enumerate() {
        match service.orders.get(&ticket).map(|order| &order.answer) {
            None => reply(request, &AdminResponse::UnknownTicket),
            Some(Some(answer)) => reply(request, answer),
            Some(None) if now >= deadline || place < too_many => {
                reply(request, &AdminResponse::Waiting { ticket })
            }
            Some(None) => service.held.push((ticket, deadline, request)),
        }
    }
}

fn note_outcome(
    outcome: On<ProposalOutcome>,
    service: Option<ResMut<AdminService>>,
    last: Option<Res<LastEffect>>,
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
        Outcome::Unknown { .. } => AdminResponse::UnknownTicket,
        Outcome::Committed(facts) => AdminResponse::Committed(committed(
            *facts,
            order.city,
            last.and_then(|last| last.0),
            realm.as_deref(),
        )),
    });
}

/// The outcome is triggered right after its order was applied, so the last effect is the order's
/// own, unless the order was applied as part of a snapshot.
fn committed(
    facts: EntryInfo,
    city: CityId,
    last: Option<(raftian_raft::Index, Effect)>,
    realm: Option<&ReplicatedRealm>,
) -> CommittedOrder {
    let effect = last
        .filter(|(index, _)| *index == facts.index)
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
        index: facts.index.0,
        term: facts.term.0,
        effect: effect.to_owned(),
        health,
    }
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
        Err(error) => error!(%error, "an answer to a tool cannot be written"),
    }
}
