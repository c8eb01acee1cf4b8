//! Remote control of a running node.

use std::sync::Arc;

use raftian_raft::NodeId;
use tokio::sync::{mpsc, watch};

use super::{Shared, lock};
use crate::quic::LinkCounters;
use crate::view::{NodeView, Stopped};

/// Remote control of a running node, for anybody: look at it, pause it, cut it off, stop it.
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
    /// Stop at once, without a word.
    Kill,
    /// Hand over, close, stop.
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
    /// What the node looked like a moment ago.
    #[must_use]
    pub fn view(&self) -> NodeView {
        let mut view = self.view.borrow().clone();
        if self.commands.is_closed() && view.stopped.is_none() {
            view.stopped = Some(Stopped::Ended);
        }
        view
    }

    /// Calls `waker` from the node's thread whenever it showed something new, at once for entries
    /// to take and within a heartbeat for a request; instead of the waker set before. It must not
    /// block.
    pub fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        lock(&self.shared.waker).0 = Some(waker);
    }

    /// Counts of its links.
    #[must_use]
    pub fn links(&self) -> &LinkCounters {
        &self.links
    }

    /// Whether it runs, paused or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Pauses or resumes it: a paused node keeps its memory, and everybody else thinks it dead.
    pub fn pause(&self, paused: bool) {
        self.send(ControlCommand::Pause(paused));
    }

    /// Cuts it off from all others, or mends that.
    pub fn cut(&self, cut: bool) {
        self.send(ControlCommand::Cut(cut));
    }

    /// Lets it hand leadership over, to `to` or to the best follower.
    pub fn transfer_leadership(&self, to: Option<NodeId>) {
        self.send(ControlCommand::TransferLeadership(to));
    }

    /// Stops it in an orderly way, as [`NodeHandle::stop`](crate::NodeHandle::stop) does, but
    /// returns at once; [`NodeControl::is_running`] shows when it has stopped.
    pub fn stop(&self) {
        self.send(ControlCommand::Stop);
    }

    /// Stops it at once, without a word to anybody. Only writes that its disk was already given are
    /// finished.
    pub fn kill(&self) {
        self.send(ControlCommand::Kill);
    }

    fn send(&self, command: ControlCommand) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!("a node took no order: it has stopped, or too many wait");
        }
    }
}
