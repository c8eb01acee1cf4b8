//! Real world of a cell: nodes on threads of their own with stores on disk, and QUIC through a
//! proxy.

use std::path::Path;
use std::time::Instant;

use raftian_node::cluster::{EmbeddedNode, embedded};
use raftian_node::driver::Committed;
use raftian_node::quic::QuicOptions;
use raftian_node::{NodeHandle, NodeOptions, Replica, SubmitError};
use raftian_raft::{Command, NodeId, Refused, Term};

use super::nodes::{MAX_TAKEN, Nodes, machine};
use super::spans::Timestamps;
use super::{Cell, MeasureError};
use crate::proxy::{Delay, Proxy, Shape};
use crate::report::parallel;

/// Real nodes and the network between them.
pub(super) struct Real {
    nodes: Vec<NodeHandle>,
    // Declared after `nodes`, so that it is dropped after them.
    _proxy: Proxy,
}

impl Real {
    /// Starts the nodes of a cell, with stores below `directory`; their traces record to `moments`.
    pub(super) fn start(
        cell: &Cell,
        seed: u64,
        directory: &Path,
        moments: &Timestamps,
    ) -> Result<Self, MeasureError> {
        let delay = Delay::Fixed(cell.rtt / 2);
        let shape = Shape {
            delay,
            loss: cell.loss,
            ..Shape::default()
        };
        let mut members = embedded(cell.nodes as usize, "latency", directory).map_err(machine)?;
        let proxy =
            Proxy::between(&mut members, shape, parallel::seed(seed, &[0])).map_err(machine)?;
        let mut nodes = Vec::new();
        for (place, EmbeddedNode { config, socket }) in members.into_iter().enumerate() {
            let raft = cell.config(config.id, config.founders().map_err(machine)?, seed);
            std::fs::create_dir_all(&config.data).map_err(|error| {
                MeasureError::Machine(format!("{}: {error}", config.data.display()))
            })?;
            let links = QuicOptions::new(socket, &config);
            let options = NodeOptions::new(&config, raft, links);
            let node = NodeHandle::start_traced(options, moments.trace(place, Instant::now))
                .map_err(machine)?;
            nodes.push(node);
        }
        Ok(Real {
            nodes,
            _proxy: proxy,
        })
    }
}

impl Nodes for Real {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait_until(&mut self, then: Instant) -> Result<(), MeasureError> {
        std::thread::sleep(then.saturating_duration_since(Instant::now()));
        Ok(())
    }

    fn propose(&mut self, place: usize, command: Command) -> Result<(), MeasureError> {
        match self.nodes[place].propose(command) {
            // An order refused as busy is proposed again after the retry time.
            Ok(()) | Err(SubmitError::Busy) => Ok(()),
            Err(SubmitError::Stopped) => Err(MeasureError::Machine(format!(
                "node {} has stopped",
                place + 1
            ))),
        }
    }

    fn take(
        &mut self,
        place: usize,
        into: &mut Vec<Committed>,
    ) -> Result<Vec<Refused>, MeasureError> {
        let node = &mut self.nodes[place];
        node.take_committed(MAX_TAKEN, into);
        Ok(node.take_responses().refused)
    }

    fn leader(&self, place: usize) -> Option<NodeId> {
        let node = &self.nodes[place];
        let connected = node
            .control()
            .links()
            .peers()
            .iter()
            .all(|(_, counters)| counters.connected());
        node.view().status.leader.filter(|_| connected)
    }

    fn term(&self, place: usize) -> Term {
        self.nodes[place].view().status.term
    }

    fn end(self) {
        // An orderly shutdown is not needed.
        self.nodes.iter().for_each(|node| node.control().kill());
    }
}
