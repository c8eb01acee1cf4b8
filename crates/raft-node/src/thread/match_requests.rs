//! Requests about the match that wait at a node: answered if it leads, passed on to the leader
//! otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftian_raft::{Change, Index, Membership, NodeId, RoleKind, Standing};
use tokio::sync::{mpsc, oneshot};

use super::checkpoints::CheckpointExchange;
use super::event_loop::NodeDriver;
use super::own_contact::OwnContact;
use super::peers::{committable, connected_peers, peer, present, progress};
use crate::admission::{self, Balance, Step};
use crate::ballot::Circumstances;
use crate::checkpoint::{Checkpoint, Checkpoints, SignedCheckpoint};
use crate::clock::wall_clock;
use crate::contact::{self, Contact};
use crate::match_record::MatchRecord;
use crate::match_request::{
    Admission, Description, JoinerRequest, MatchReply, MatchRequest, Refusal,
};
use crate::quic::{ANSWER_TIMEOUT, PEER_ANSWER_TIMEOUT, PeerRequest, RequestSource};
use crate::wire;

/// Longest time that a request waits here: the asking side gives up a little later.
const WAIT: Duration = PEER_ANSWER_TIMEOUT.saturating_sub(Duration::from_millis(500));

/// Longest time that a request of the program waits here.
const PROGRAM_WAIT: Duration = ANSWER_TIMEOUT.saturating_sub(Duration::from_millis(500));

/// Pause before a request that was passed on in vain is tried again, and between two looks at a
/// request that waits.
const RETRY: Duration = Duration::from_millis(20);

/// Time after which a leader that was asked to transfer leadership tries again.
const TRANSFER_RETRY: Duration = Duration::from_secs(1);

/// Time without a leader after which a node asks its peers for contacts, and between two questions.
/// A member that was away may not know the members that lead now.
const ASK_CONTACTS: Duration = Duration::from_secs(1);

/// Time after which a member that has not become a voter no longer counts as one, so that another
/// one may.
const MAX_JOINING: Duration = Duration::from_secs(60);

/// Pause between two comparisons of contacts with the membership.
const CHECK_CONTACTS: Duration = Duration::from_secs(2);

/// A request and how its reply is returned.
#[derive(Debug)]
struct Waiting {
    request: MatchRequest,
    respond: Respond,
    arrived: Instant,
    deadline: Instant,
    /// Earliest time of the next attempt.
    not_before: Instant,
}

/// Channel for the reply.
#[derive(Debug)]
enum Respond {
    /// The program.
    Program(oneshot::Sender<MatchReply>),
    /// Another member, which passed the request on: it tries the next leader itself.
    Member(NodeId, oneshot::Sender<Vec<u8>>),
    /// A player who asks to join.
    Joiner(oneshot::Sender<Vec<u8>>),
    /// The node itself, which looks at the membership.
    Nobody,
}

impl Respond {
    /// The other member that asks.
    fn member(&self) -> Option<NodeId> {
        match self {
            Respond::Member(id, _) => Some(*id),
            Respond::Program(_) | Respond::Joiner(_) | Respond::Nobody => None,
        }
    }

    fn send(self, reply: MatchReply) {
        // The asking side may be gone.
        let _gone = match self {
            Respond::Program(respond) => respond.send(reply).is_err(),
            Respond::Member(_, respond) | Respond::Joiner(respond) => {
                match wire::encode_value(&reply) {
                    Ok(bytes) => respond.send(bytes).is_err(),
                    Err(error) => {
                        tracing::error!(%error, "a reply cannot be sent");
                        true
                    }
                }
            }
            Respond::Nobody => false,
        };
    }
}

/// Result of a task of the links, for the event loop.
#[derive(Debug)]
enum Returned {
    /// A request that the asked member did not fulfil.
    Unfulfilled(Waiting),
    /// Contacts that a peer knows.
    Contacts(Vec<(NodeId, Contact)>),
    /// Address at which a peer observes this node.
    ObservedAddress(NodeId, SocketAddr),
    /// Checkpoints that a peer knows.
    Checkpoints(NodeId, Vec<SignedCheckpoint>),
}

/// The requests that wait at one node.
#[derive(Debug)]
pub(super) struct MatchRequests {
    /// Bounded by the connections: each has a limit of requests, and every request expires.
    waiting: Vec<Waiting>,
    /// Unbounded because a full queue would lose requests. It holds no more than were passed
    /// on, and those are bounded like `waiting`.
    returned: mpsc::UnboundedReceiver<Returned>,
    return_to: mpsc::UnboundedSender<Returned>,
    /// The node's own contact, if it is to be recorded.
    contact: Option<OwnContact>,
    /// When leadership was last transferred for a request.
    transferred: Option<Instant>,
    /// When contacts were last compared with the membership.
    checked: Option<Instant>,
    /// Last time at which a leader was known, or contacts were asked for.
    led: Instant,
    /// Number of peers asked for contacts.
    asked: usize,
    /// Since when this node has seen each member that is to become a voter.
    joining: BTreeMap<NodeId, Instant>,
    checkpoints: CheckpointExchange,
}

impl MatchRequests {
    pub(super) fn new(contact: Option<Contact>, checkpoints: CheckpointExchange) -> Self {
        let (return_to, returned) = mpsc::unbounded_channel();
        MatchRequests {
            waiting: Vec::new(),
            returned,
            return_to,
            contact: contact.map(OwnContact::new),
            transferred: None,
            checked: None,
            led: Instant::now(),
            asked: 0,
            joining: BTreeMap::new(),
            checkpoints,
        }
    }

    /// Signs and keeps a checkpoint of the program.
    pub(super) fn checkpoint(&mut self, driver: &NodeDriver, checkpoint: Checkpoint) {
        self.checkpoints.sign(driver, checkpoint);
    }

    /// The checkpoints of the members that this node knows.
    pub(super) fn known_checkpoints(&self) -> Arc<Checkpoints> {
        self.checkpoints.known()
    }

    /// Adds a request of the program.
    pub(super) fn add(&mut self, request: MatchRequest, respond: oneshot::Sender<MatchReply>) {
        self.push(request, Respond::Program(respond));
    }

    fn push(&mut self, request: MatchRequest, respond: Respond) {
        let now = Instant::now();
        let wait = match respond {
            // The program answers an operator's tool in time.
            Respond::Program(_) => PROGRAM_WAIT,
            Respond::Member(..) | Respond::Joiner(_) | Respond::Nobody => WAIT,
        };
        self.waiting.push(Waiting {
            request,
            respond,
            arrived: now,
            deadline: now + wait,
            not_before: now,
        });
    }

    /// Answers, passes on or keeps every request. Returns the number of requests to the core whose
    /// results belong to this value, and when to look again.
    pub(super) fn serve(&mut self, driver: &mut NodeDriver) -> (usize, Option<Instant>) {
        self.take_arrivals(driver);
        let mut requested = 0;
        let is_due = self
            .checked
            .is_none_or(|checked| checked.elapsed() >= CHECK_CONTACTS);
        if is_due {
            self.checked = Some(Instant::now());
            self.request_observed_address(driver);
            self.exchange_checkpoints(driver);
            self.record_own_contact(driver);
            drop_former_members(driver);
            requested += usize::from(self.balance(driver));
        }
        self.ask_for_contacts(driver);
        let now = Instant::now();
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.not_before > now {
                self.waiting.push(waiting);
            } else if waiting.deadline <= now {
                waiting.respond.send(MatchReply::Refused(Refusal::NoQuorum));
            } else if driver.node().role() == RoleKind::Leader {
                requested += usize::from(self.lead(driver, waiting, now));
            } else {
                self.pass_on(driver, waiting);
            }
        }
        let again = (!self.waiting.is_empty()).then(|| now + RETRY);
        (requested, again)
    }

    fn take_arrivals(&mut self, driver: &mut NodeDriver) {
        while let Some(request) = driver.links_mut().next_peer_request() {
            self.receive(driver, request);
        }
        while let Ok(returned) = self.returned.try_recv() {
            match returned {
                Returned::Unfulfilled(waiting) => self.waiting.push(waiting),
                Returned::Contacts(contacts) => {
                    for (id, contact) in contacts {
                        // A contact in the membership is newer.
                        if Contact::of(driver.node().membership(), id).is_none()
                            && let Err(error) = driver.links_mut().list(id, contact)
                        {
                            tracing::error!(member = %id, %error, "cannot connect to a member");
                        }
                    }
                }
                Returned::Checkpoints(peer, list) => self.checkpoints.take(driver, peer, list),
                Returned::ObservedAddress(peer, address) => {
                    if let Some(contact) = &mut self.contact {
                        contact.report(peer, address);
                    }
                }
            }
        }
    }

    fn receive(&mut self, driver: &NodeDriver, request: PeerRequest) {
        let PeerRequest {
            from,
            body,
            respond,
        } = request;
        match from {
            RequestSource::Member(id) => match wire::decode_value::<MatchRequest>(&body) {
                // A member that was removed while this node was away may still be connected.
                Ok(request)
                    if request != MatchRequest::Contacts
                        && !driver.node().membership().contains(id) =>
                {
                    Respond::Member(id, respond).send(MatchReply::Refused(Refusal::NotAMember));
                }
                Ok(MatchRequest::Record { member, .. }) if member != id => {
                    let reason = format!("{id} cannot change the contact of {member}");
                    Respond::Member(id, respond)
                        .send(MatchReply::Refused(Refusal::Impossible(reason)));
                }
                Ok(MatchRequest::ObservedAddress) => {
                    let address = driver.links().observed_address(id);
                    Respond::Member(id, respond).send(MatchReply::ObservedAddress(address));
                }
                Ok(MatchRequest::Checkpoints(list)) => {
                    let reply = self.checkpoints.answer(driver, id, list);
                    Respond::Member(id, respond).send(reply);
                }
                Ok(request) => self.push(request, Respond::Member(id, respond)),
                Err(error) => Respond::Member(id, respond).send(unreadable(&error)),
            },
            RequestSource::Joiner {
                fingerprint,
                address,
                binding,
            } => {
                let respond = Respond::Joiner(respond);
                let membership = driver.node().membership();
                let join = match wire::decode_value::<JoinerRequest>(&body) {
                    Ok(JoinerRequest::Join(join)) => join,
                    Ok(JoinerRequest::Describe) => return respond.send(describe(membership)),
                    Err(error) => return respond.send(unreadable(&error)),
                };
                let checked = admission::check(membership, &join, (fingerprint, &binding));
                if let Err(refusal) = checked {
                    tracing::info!(%address, name = ?join.name, %refusal, "a player was not admitted");
                    return respond.send(MatchReply::Refused(refusal));
                }
                let admission = Admission::of(join, fingerprint);
                self.push(MatchRequest::Admit(admission), respond);
            }
        }
    }

    /// Takes the next step of this leader about a request; returns whether the core was asked for
    /// something.
    fn lead(&mut self, driver: &mut NodeDriver, mut waiting: Waiting, now: Instant) -> bool {
        let node = driver.node();
        let own = node.id();
        if waiting.request == MatchRequest::Progress {
            waiting.respond.send(MatchReply::Progress(progress(node)));
            return false;
        }
        if let MatchRequest::Transfer { from, .. } = &mut waiting.request {
            from.get_or_insert(own);
        }
        let is_settled = node.commit() >= node.membership_index() && !node.membership().is_joint();
        let founding = &node.config().membership;
        let membership = node.membership();
        let circumstances = Circumstances {
            by: waiting.respond.member().unwrap_or(own),
            present: &present(node),
            now: wall_clock(),
        };
        let request = &waiting.request;
        let step = admission::next_step(own, founding, membership, request, &circumstances);
        match step {
            Step::Reply(reply @ MatchReply::Refused(_)) => {
                waiting.respond.send(reply);
                false
            }
            // A leader of an earlier term may still believe that it leads, but it commits nothing.
            Step::Reply(reply) if is_settled && node.commit() > Index(0) => {
                waiting.respond.send(reply);
                false
            }
            Step::Reply(_) => {
                self.waiting.push(waiting);
                false
            }
            Step::Change(change) => {
                // Contacts and the annex change no majority, so they need not wait.
                let may_change = is_settled || matches!(change, Change::Record { .. });
                let change = match committable(node, change, now - waiting.arrived) {
                    Ok(change) => change.filter(|_| may_change),
                    Err(error) => {
                        let refusal = Refusal::Impossible(error.to_string());
                        waiting.respond.send(MatchReply::Refused(refusal));
                        return false;
                    }
                };
                self.waiting.push(Waiting {
                    not_before: now + RETRY,
                    ..waiting
                });
                let is_due = change.is_some();
                if let Some(change) = change {
                    driver.change_membership(change);
                }
                is_due
            }
            Step::Transfer(to) => {
                self.waiting.push(waiting);
                let is_due = self
                    .transferred
                    .is_none_or(|transferred| now >= transferred + TRANSFER_RETRY);
                if is_due {
                    self.transferred = Some(now);
                    driver.transfer_leadership(to);
                }
                is_due
            }
        }
    }

    /// Passes a request on to the leader, if one is known.
    fn pass_on(&mut self, driver: &mut NodeDriver, waiting: Waiting) {
        if waiting.request == MatchRequest::Contacts {
            let contacts = contact::contacts(driver.node().membership());
            return waiting.respond.send(MatchReply::Contacts(contacts));
        }
        if let Respond::Member(..) = &waiting.respond {
            return waiting.respond.send(MatchReply::NotLeader);
        }
        let Some(leader) = driver.node().leader() else {
            return self.waiting.push(waiting);
        };
        let body = match wire::encode_value(&waiting.request) {
            Ok(body) => body,
            Err(error) => return waiting.respond.send(unreadable(&error)),
        };
        let return_to = self.return_to.clone();
        driver.links_mut().request(leader, body, move |answer| {
            let reply = answer.and_then(|bytes| wire::decode_value::<MatchReply>(&bytes).ok());
            match reply {
                Some(MatchReply::NotLeader) | None => {
                    let not_before = Instant::now() + RETRY;
                    let unfulfilled = Returned::Unfulfilled(Waiting {
                        not_before,
                        ..waiting
                    });
                    // The node may have stopped.
                    let _stopped = return_to.send(unfulfilled).is_err();
                }
                Some(reply) => waiting.respond.send(reply),
            }
        });
    }

    /// Records the node's own contact if the membership has another one.
    fn record_own_contact(&mut self, driver: &NodeDriver) {
        let Some(contact) = &mut self.contact else {
            return;
        };
        let node = driver.node();
        // Without a contact this node is no member here yet.
        let Some(recorded) = Contact::of(node.membership(), node.id()) else {
            return;
        };
        let contact = contact.contact(&recorded, node.membership());
        if recorded == contact {
            return;
        }
        let request = MatchRequest::Record {
            member: node.id(),
            contact,
        };
        self.push(request, Respond::Nobody);
    }

    /// Requests from a peer the address at which it observes this node.
    fn request_observed_address(&mut self, driver: &mut NodeDriver) {
        let Some(contact) = &mut self.contact else {
            return;
        };
        let connected = connected_peers(driver);
        let Some(peer) = contact.next_request(&connected) else {
            return;
        };
        let Ok(body) = wire::encode_value(&MatchRequest::ObservedAddress) else {
            return;
        };
        let return_to = self.return_to.clone();
        driver.links_mut().request(peer, body, move |answer| {
            let reply = answer.and_then(|bytes| wire::decode_value::<MatchReply>(&bytes).ok());
            if let Some(MatchReply::ObservedAddress(Some(address))) = reply {
                let _stopped = return_to
                    .send(Returned::ObservedAddress(peer, address))
                    .is_err();
            }
        });
    }

    /// Exchanges checkpoints with the next peer.
    fn exchange_checkpoints(&mut self, driver: &mut NodeDriver) {
        let Some((peer, request)) = self.checkpoints.next_request(driver) else {
            return;
        };
        let Ok(body) = wire::encode_value(&request) else {
            return;
        };
        let return_to = self.return_to.clone();
        driver.links_mut().request(peer, body, move |answer| {
            let reply = answer.and_then(|bytes| wire::decode_value::<MatchReply>(&bytes).ok());
            if let Some(MatchReply::Checkpoints(list)) = reply {
                let _stopped = return_to.send(Returned::Checkpoints(peer, list)).is_err();
            }
        });
    }

    /// Gives a vote to a player who waits for one, or takes one, if this leader finds too few or
    /// too many; returns whether the core was asked for that.
    fn balance(&mut self, driver: &mut NodeDriver) -> bool {
        let node = driver.node();
        let status = node.status();
        let membership = &status.membership;
        let now = Instant::now();
        self.joining.retain(|id, _| {
            membership
                .member(*id)
                .is_some_and(|member| member.standing == Some(Standing::Joining))
        });
        for (id, member) in membership.members() {
            if member.standing == Some(Standing::Joining) {
                self.joining.entry(id).or_insert(now);
            }
        }
        let is_settled = status.commit >= status.membership_index && !membership.is_joint();
        let Some(vanish_after) = node.config().vanish_after else {
            return false;
        };
        if status.role != RoleKind::Leader || !is_settled {
            return false;
        }
        let step = admission::next_vote(
            status.id,
            membership,
            |id| {
                let is_slow = self
                    .joining
                    .get(&id)
                    .is_some_and(|since| since.elapsed() >= MAX_JOINING);
                let answers = peer(&status, id).is_some_and(|peer| peer.silent_for < vanish_after);
                id == status.id || (answers && !is_slow)
            },
            |id| peer(&status, id).map_or(0, |peer| peer.matched.0),
        );
        match step {
            None => return false,
            Some(Balance::Change(change)) => driver.change_membership(change),
            Some(Balance::Transfer(to)) => driver.transfer_leadership(Some(to)),
        }
        true
    }

    /// Asks one peer after the other for contacts while no leader is known.
    fn ask_for_contacts(&mut self, driver: &mut NodeDriver) {
        let node = driver.node();
        if node.leader().is_some() || MatchRecord::of(node.membership()).is_none() {
            self.led = Instant::now();
        }
        if self.led.elapsed() < ASK_CONTACTS {
            return;
        }
        self.led = Instant::now();
        let peers = connected_peers(driver);
        let Some(peer) = peers.get(self.asked % peers.len().max(1)) else {
            return;
        };
        self.asked += 1;
        let Ok(body) = wire::encode_value(&MatchRequest::Contacts) else {
            return;
        };
        let return_to = self.return_to.clone();
        driver.links_mut().request(*peer, body, move |answer| {
            let reply = answer.and_then(|bytes| wire::decode_value::<MatchReply>(&bytes).ok());
            if let Some(MatchReply::Contacts(contacts)) = reply {
                let _stopped = return_to.send(Returned::Contacts(contacts)).is_err();
            }
        });
    }
}

/// Describes the match, if it has a code that was not revoked; any other one is joined by tickets
/// only.
fn describe(membership: &Membership) -> MatchReply {
    let Some(record) = MatchRecord::of(membership) else {
        return MatchReply::Refused(Refusal::NotJoinable);
    };
    let invite = record.code.and_then(|(_, number)| record.invite(number));
    match invite {
        Some(invite) => MatchReply::Described(Description {
            match_id: record.id,
            invite: invite.number,
            name: record.name,
        }),
        None => MatchReply::Refused(Refusal::NoCode),
    }
}

/// Disconnects from members that were known from elsewhere and are none, once this node follows a
/// member as its leader.
fn drop_former_members(driver: &mut NodeDriver) {
    let node = driver.node();
    let membership = node.membership().clone();
    let follows_member = node
        .leader()
        .is_some_and(|leader| membership.contains(leader));
    if follows_member && membership.contains(node.id()) && !membership.annex().is_empty() {
        driver.links_mut().retain_listed(&membership);
    }
}

fn unreadable(error: &wire::WireError) -> MatchReply {
    MatchReply::Refused(Refusal::Unreadable(error.to_string()))
}
