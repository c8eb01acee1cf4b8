//! The members of the match, as every machine sees them.

use std::time::Duration;

use bevy_ecs::prelude::*;
use raftian_node::NodeControl;
use raftian_node::address::Address;
use raftian_node::contact::Contact;
use raftian_node::match_request::{MatchReply, MatchRequest};
use raftian_raft::{Index, Moment, NodeId, Standing, Status};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use crate::matches;
use crate::status::RaftStatus;

/// Interval at which connections and progress are looked at.
const REFRESH: Duration = Duration::from_millis(250);

/// Interval at which a follower asks the leader for the progress of the members.
const ASK: Duration = Duration::from_secs(1);

/// The members of the match, in order of their ids. Empty without a match.
#[derive(Resource, Clone, PartialEq, Eq, Debug, Default)]
pub struct Members(pub Vec<MemberInfo>);

/// A member of the match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberInfo {
    /// Its id.
    pub id: NodeId,
    /// Its name; `None` if the log does not contain its contact.
    pub name: Option<String>,
    /// Its standing; `None` while it leaves.
    pub standing: Option<Standing>,
    /// Addresses at which it may be reached.
    pub addresses: Vec<Address>,
    /// It is this machine.
    pub is_local: bool,
    /// This machine has a connection with it.
    pub connected: bool,
    /// Number of entries that its log lacks, according to the leader; `None` if not known.
    pub behind: Option<u64>,
}

impl Members {
    /// Returns this machine's member.
    pub fn local(&self) -> Option<&MemberInfo> {
        self.0.iter().find(|member| member.is_local)
    }

    /// Returns the member with this name.
    pub fn by_name(&self, name: &str) -> Option<&MemberInfo> {
        let mut members = self.0.iter();
        members.find(|member| member.name.as_deref() == Some(name))
    }

    /// Returns the member `id`.
    pub fn get(&self, id: NodeId) -> Option<&MemberInfo> {
        self.0.iter().find(|member| member.id == id)
    }
}

/// Source of [`Members`] besides the status.
#[derive(Resource, Default)]
pub(crate) struct MemberProgress {
    refreshed: Option<Moment>,
    /// Index of the membership that was shown.
    shown: Option<Index>,
    asked: Option<Moment>,
    reply: Option<Mutex<Receiver<MatchReply>>>,
    /// Last entries in the members' logs, according to the leader, and its own last entry.
    matched: BTreeMap<NodeId, Index>,
}

/// Updates [`Members`].
pub(crate) fn refresh(world: &mut World) {
    let Some(view) = world.resource::<RaftStatus>().view.as_ref() else {
        if !world.resource::<Members>().0.is_empty() {
            world.insert_resource(Members::default());
            world.insert_resource(MemberProgress::default());
        }
        return;
    };
    let now = view.now;
    let index = view.status.membership_index;
    let progress = world.resource::<MemberProgress>();
    let is_due = progress
        .refreshed
        .is_none_or(|at| now < at || now.since(at) >= REFRESH);
    if !is_due && progress.shown == Some(index) {
        return;
    }
    let status = view.status.clone();
    let control = matches::control(world);
    let mut progress = world.resource_mut::<MemberProgress>();
    progress.refreshed = Some(now);
    progress.shown = Some(index);
    progress.ask(&status, control.as_ref(), now);
    let members = list(&status, control.as_ref(), &progress.matched);
    world.resource_mut::<Members>().set_if_neq(Members(members));
}

impl MemberProgress {
    /// Learns how far the logs of the members are: a leader knows it, a follower asks it.
    fn ask(&mut self, status: &Status, control: Option<&NodeControl>, now: Moment) {
        if status.leader == Some(status.id) {
            self.matched = status
                .peers
                .iter()
                .map(|peer| (peer.id, peer.matched))
                .chain([(status.id, status.last.index)])
                .collect();
            return;
        }
        if status.leader.is_none() {
            self.matched.clear();
        }
        if let Some(reply) = &mut self.reply {
            let reply = reply.get_mut().unwrap_or_else(PoisonError::into_inner);
            match reply.try_recv() {
                Ok(MatchReply::Progress(matched)) => self.matched = matched.into_iter().collect(),
                Err(TryRecvError::Empty) => return,
                Ok(_) | Err(TryRecvError::Closed) => {}
            }
            self.reply = None;
        }
        let is_due = self.asked.is_none_or(|at| now < at || now.since(at) >= ASK);
        if let Some(control) = control.filter(|_| is_due && status.leader.is_some()) {
            self.asked = Some(now);
            self.reply = Some(Mutex::new(control.request(MatchRequest::Progress)));
        }
    }
}

fn list(
    status: &Status,
    control: Option<&NodeControl>,
    matched: &BTreeMap<NodeId, Index>,
) -> Vec<MemberInfo> {
    let newest = matched.values().max().copied();
    let info = |(id, member): (NodeId, &raftian_raft::Member)| {
        let contact = Contact::of(&status.membership, id);
        let link = control.and_then(|control| control.links().peer(id));
        let (name, addresses) = match contact {
            Some(contact) => (Some(contact.name), contact.addresses),
            None => (None, Vec::new()),
        };
        MemberInfo {
            id,
            name,
            standing: member.standing,
            addresses,
            is_local: id == status.id,
            connected: id == status.id || link.is_some_and(|link| link.connected()),
            behind: newest
                .zip(matched.get(&id))
                .map(|(newest, matched)| newest.0.saturating_sub(matched.0)),
        }
    };
    status.membership.members().map(info).collect()
}
