//! Remote control of a running node.

use std::net::SocketAddr;
use std::sync::Arc;

use raftian_raft::NodeId;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Shared, lock};
use crate::cluster::Fingerprint;
use crate::match_request::{MatchReply, MatchRequest};
use crate::quic::LinkCounters;
use crate::view::{NodeView, Stopped};

/// Remote control of a running node, usable from any thread: observe, pause, isolate or stop it.
#[derive(Clone, Debug)]
pub struct NodeControl {
    pub(super) commands: mpsc::Sender<ControlCommand>,
    pub(super) view: watch::Receiver<NodeView>,
    pub(super) links: Arc<LinkCounters>,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) enum ControlCommand {
    Pause(bool),
    Cut(bool),
    TransferLeadership(Option<NodeId>),
    /// A request about the match, and the channel for its reply.
    Match(Box<MatchRequest>, oneshot::Sender<MatchReply>),
    /// Addresses at which the members with these certificates may be reached as well.
    AddAddresses(Vec<(Fingerprint, Vec<SocketAddr>)>),
    /// Stop at once, without closing the links.
    Kill,
    /// Transfer leadership, close the links, stop.
    Stop,
}

#[derive(Default)]
pub(super) struct Waker(pub(super) Option<Arc<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Waker"
        } else {
            "no waker"
        })
    }
}

impl NodeControl {
    /// Returns the most recently published view of the node.
    pub fn view(&self) -> NodeView {
        let mut view = self.view.borrow().clone();
        // After a stop or a kill the thread ends without publishing a reason.
        if self.commands.is_closed() && view.stopped.is_none() {
            view.stopped = Some(Stopped::Ended);
        }
        view
    }

    /// Sets the callback that the node's thread calls after publishing updates, in place of the one
    /// before: at once for committed entries, within 5 ms for anything else. It must not block.
    pub fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        lock(&self.shared.waker).0 = Some(waker);
    }

    /// Returns the counters of the node's links.
    pub fn links(&self) -> &LinkCounters {
        &self.links
    }

    /// Returns whether the node runs, paused or not.
    pub fn is_running(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Pauses or resumes the node. A paused node keeps its memory, and its peers count it as
    /// failed.
    pub fn pause(&self, paused: bool) {
        self.send(ControlCommand::Pause(paused));
    }

    /// Cuts the node's links to all peers, or restores them.
    pub fn cut(&self, cut: bool) {
        self.send(ControlCommand::Cut(cut));
    }

    /// Requests a leadership transfer to `to`, or to the best follower.
    pub fn transfer_leadership(&self, to: Option<NodeId>) {
        self.send(ControlCommand::TransferLeadership(to));
    }

    /// Adds addresses at which members may be reached, such as those that they announce on the
    /// local network. They replace earlier ones that were added.
    pub fn add_addresses(&self, found: Vec<(Fingerprint, Vec<SocketAddr>)>) {
        self.send(ControlCommand::AddAddresses(found));
    }

    /// Makes a request about the match, at the leader if this node does not lead. The reply arrives
    /// within [`PEER_ANSWER_TIMEOUT`](crate::quic::PEER_ANSWER_TIMEOUT); the channel is closed
    /// without one if the node stops.
    pub fn request(&self, request: MatchRequest) -> oneshot::Receiver<MatchReply> {
        let (respond, reply) = oneshot::channel();
        self.send(ControlCommand::Match(Box::new(request), respond));
        reply
    }

    /// Stops the node gracefully, as [`NodeHandle::stop`](crate::NodeHandle::stop) does, but
    /// returns at once; [`NodeControl::is_running`] shows when it has stopped.
    pub fn stop(&self) {
        self.send(ControlCommand::Stop);
    }

    /// Stops the node at once, without notifying its peers. Only writes that its disk has already
    /// received are finished.
    pub fn kill(&self) {
        self.send(ControlCommand::Kill);
    }

    fn send(&self, command: ControlCommand) {
        // Never waits: the caller may be a frame of the game.
        if self.commands.try_send(command).is_err() {
            tracing::warn!("control command dropped: the node has stopped or its queue is full");
        }
    }
}
