//! Changes of a match itself: invites, members, leadership.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bevy_ecs::prelude::*;
use raftian_node::fresh_secret;
use raftian_node::match_request::{MatchReply, MatchRequest, Refusal};
use raftian_node::ticket::{Secret, Ticket};
use raftian_raft::{NodeId, Standing};
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use crate::matches;

/// A change of the match. Any member may request it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MatchChange {
    /// Creates an invite; [`ChangeDone::Invited`] has its ticket.
    Invite {
        /// How many players may join with it; `None` for any number.
        uses: Option<u32>,
        /// Time until it expires; `None` for never.
        expires_in: Option<Duration>,
    },
    /// Revokes the invite with this number.
    Revoke(u32),
    /// Removes a member. For another one that is present it is a vote; see
    /// [`raftian_node::ballot`].
    Remove(NodeId),
    /// Gives a member a vote once it keeps up. Only a player may make a spectator a player.
    Promote(NodeId),
    /// Takes a member's vote in elections. For another one that is present it is a vote, as for a
    /// removal.
    Demote(NodeId),
    /// Transfers leadership to a member, or to the best follower.
    Transfer(Option<NodeId>),
}

/// Identifier of a requested change within this program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChangeId(u64);

/// Outcome of a requested change. Triggered once for each, when the change is committed.
#[derive(Event, Clone, PartialEq, Eq, Debug)]
pub struct ChangeOutcome {
    /// The change.
    pub id: ChangeId,
    /// The committed change, or the reason why there is none.
    pub result: Result<ChangeDone, ChangeError>,
}

/// A change that is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChangeDone {
    /// The change took effect. A promoted member gets its vote later, when it keeps up.
    Done,
    /// The invite exists.
    Invited {
        /// Its number.
        number: u32,
        /// Its ticket, to be sent to players.
        ticket: Box<Ticket>,
    },
    /// The change counts as a vote, and further players must agree.
    Voted {
        /// Number of votes.
        votes: usize,
        /// Number of votes that decide.
        needed: usize,
    },
}

/// Why a change did not take effect.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The match does not allow the change.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The app takes part in no match whose members can be changed.
    #[error("there is no match that players join; start or join one")]
    NoMatch,
    /// The node did not answer: it has stopped, or too many requests wait.
    #[error("the node did not answer; the change may still take effect")]
    NoAnswer,
    /// The system returns no random numbers for a secret.
    #[error("{0}")]
    Random(String),
}

/// Changes the match, from `Commands` or from the `World`.
pub trait ChangeExt {
    /// Requests a change; [`ChangeOutcome`] reports the result.
    fn change_match(&mut self, change: MatchChange) -> ChangeId;
}

impl ChangeExt for Commands<'_, '_> {
    fn change_match(&mut self, change: MatchChange) -> ChangeId {
        let id = next_id();
        self.queue(move |world: &mut World| request(world, id, change));
        id
    }
}

impl ChangeExt for World {
    fn change_match(&mut self, change: MatchChange) -> ChangeId {
        let id = next_id();
        request(self, id, change);
        id
    }
}

fn next_id() -> ChangeId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    ChangeId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Requested changes without an outcome. Each gets a reply within a bounded time.
#[derive(Resource, Default)]
pub(crate) struct Requests {
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    id: ChangeId,
    reply: Receiver<MatchReply>,
    /// Secret of the requested invite.
    secret: Option<Secret>,
}

fn request(world: &mut World, id: ChangeId, change: MatchChange) {
    let requested = matches::control(world)
        .ok_or(ChangeError::NoMatch)
        .and_then(|control| Ok((control, to_request(change)?)));
    match requested {
        Ok((control, (request, secret))) => {
            let reply = control.request(request);
            let mut requests = world.resource_mut::<Requests>();
            let waiting = requests
                .waiting
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.push(Waiting { id, reply, secret });
        }
        Err(error) => world.trigger(ChangeOutcome {
            id,
            result: Err(error),
        }),
    }
}

fn to_request(change: MatchChange) -> Result<(MatchRequest, Option<Secret>), ChangeError> {
    let set = |member, standing| MatchRequest::SetStanding { member, standing };
    let request = match change {
        MatchChange::Invite { uses, expires_in } => {
            let secret = Secret(fresh_secret().map_err(ChangeError::Random)?);
            // A time beyond the end of the clock never comes.
            let end = expires_in.and_then(|time| SystemTime::now().checked_add(time));
            let expires =
                end.map(|end| end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
            let key = secret.key();
            let request = MatchRequest::Invite { key, uses, expires };
            return Ok((request, Some(secret)));
        }
        MatchChange::Revoke(number) => MatchRequest::Revoke { number },
        MatchChange::Remove(member) => MatchRequest::Remove { member },
        MatchChange::Promote(member) => set(member, Standing::Joining),
        MatchChange::Demote(member) => set(member, Standing::Learner),
        MatchChange::Transfer(to) => MatchRequest::Transfer { to, from: None },
    };
    Ok((request, None))
}

impl Requests {
    /// Ends all requests, because the match has ended.
    pub(crate) fn abandon(world: &mut World) {
        let mut requests = world.resource_mut::<Requests>();
        let waiting = requests
            .waiting
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for Waiting { id, .. } in std::mem::take(waiting) {
            let result = Err(ChangeError::NoAnswer);
            world.trigger(ChangeOutcome { id, result });
        }
    }
}

/// Run condition: a requested change has no outcome yet.
pub(crate) fn has_requests(requests: Res<Requests>) -> bool {
    let waiting = requests.waiting.lock();
    !waiting.unwrap_or_else(PoisonError::into_inner).is_empty()
}

/// Reports the changes that have a reply.
pub(crate) fn report_changes(world: &mut World) {
    let mut replied = Vec::new();
    let mut requests = world.resource_mut::<Requests>();
    let waiting = requests
        .waiting
        .get_mut()
        .unwrap_or_else(PoisonError::into_inner);
    waiting.retain_mut(|request| match request.reply.try_recv() {
        Err(TryRecvError::Empty) => true,
        reply => {
            replied.push((request.id, reply.ok(), request.secret.take()));
            false
        }
    });
    for (id, reply, secret) in replied {
        let result = match reply {
            Some(MatchReply::Refused(refusal)) => Err(ChangeError::Refused(refusal)),
            Some(MatchReply::Invited(number)) => ticket(world, number, secret),
            Some(MatchReply::Done) => Ok(ChangeDone::Done),
            Some(MatchReply::Voted { votes, needed }) => Ok(ChangeDone::Voted { votes, needed }),
            Some(_) | None => Err(ChangeError::NoAnswer),
        };
        world.trigger(ChangeOutcome { id, result });
    }
}

fn ticket(
    world: &mut World,
    number: u32,
    secret: Option<Secret>,
) -> Result<ChangeDone, ChangeError> {
    let secret = secret.ok_or(ChangeError::NoAnswer)?;
    let membership = matches::control(world)
        .ok_or(ChangeError::NoMatch)?
        .view()
        .status
        .membership;
    let ticket = Ticket::of(&membership, number, secret).ok_or(ChangeError::NoMatch)?;
    Ok(ChangeDone::Invited {
        number,
        ticket: Box::new(ticket),
    })
}
