//! Requests of the operator's tools to the member behind the app.

use bevy_ecs::prelude::*;
use raftian_node::cluster::NodeConfig;
use raftian_node::player::LocalMember;
use raftian_node::{NodeControl, Requests};

/// Queue of the requests that tools of this machine send to the member behind the app, through its
/// QUIC port and with its own key. [`MatchExt`](crate::MatchExt) inserts it together with a member
/// of a match that players join, and removes it when that match ends. An app that has tools takes
/// the queue and answers; without one the tools wait in vain.
#[derive(Resource)]
pub struct ToolRequests {
    requests: Option<Requests>,
    config: NodeConfig,
    control: NodeControl,
}

impl ToolRequests {
    pub(super) fn new(requests: Requests, member: &LocalMember) -> Self {
        ToolRequests {
            requests: Some(requests),
            config: member.config().clone(),
            control: member.control().clone(),
        }
    }

    /// Returns the queue. There is one queue: the second call returns `None`.
    pub fn take(&mut self) -> Option<Requests> {
        self.requests.take()
    }

    /// Configuration of the member.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Remote control of its node.
    pub fn control(&self) -> &NodeControl {
        &self.control
    }
}
