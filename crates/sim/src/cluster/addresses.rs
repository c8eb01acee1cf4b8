//! Addresses of machines that move, and what each machine knows of them.
//!
//! A pair of machines is connected if one of them knows the present address of the other: from the
//! contact in its membership, or from the last message that it received. Without a contact in the
//! membership the address at the start is known, as in the file of a member.

use std::cell::RefCell;
use std::collections::BTreeMap;

use raftian_node::contact::Contact;
use raftian_raft::{Index, Moment, NodeId, Term};

use super::Simulation;
use super::trace::Line;

/// Port of a machine that has not moved.
pub const FIRST_PORT: u16 = 1;

/// Addresses of all machines.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// Port of each machine that has moved, and when it moved last.
    moved: BTreeMap<NodeId, (u16, Moment)>,
    /// Port at which a machine last received from another.
    observed: BTreeMap<(NodeId, NodeId), u16>,
    contacts: RefCell<BTreeMap<NodeId, Contacts>>,
}

/// Recorded ports in the membership of one machine, decoded once per membership.
#[derive(Debug, Default)]
struct Contacts {
    of: (u64, Term, Index),
    ports: BTreeMap<NodeId, u16>,
}

impl Simulation {
    /// Moves a machine to another address, which no other machine knows; messages in flight to the
    /// old one are lost.
    pub fn move_address(&mut self, id: NodeId) {
        let port = self.port(id).saturating_add(1);
        self.addresses.moved.insert(id, (port, self.now));
        self.links.take(|envelope| envelope.to == id);
        self.trace.push(self.now, Line::Did(id, "has moved"));
    }

    /// Returns the port of a machine's address.
    pub fn port(&self, id: NodeId) -> u16 {
        let moved = self.addresses.moved.get(&id);
        moved.map_or(FIRST_PORT, |(port, _)| *port)
    }

    /// Makes every machine know the present addresses of all others, as a search of the local
    /// network does.
    pub fn find_addresses(&mut self) {
        for viewer in self.ids() {
            for peer in self.ids() {
                let port = self.port(peer);
                self.addresses.observed.insert((viewer, peer), port);
            }
        }
    }

    /// Makes every machine forget the addresses that are not recorded in its log.
    pub fn forget_addresses(&mut self) {
        self.addresses.observed.clear();
    }

    /// Records that a message arrived from the address that its sender had then.
    pub(super) fn observe_address(&mut self, viewer: NodeId, from: NodeId, sent: Moment) {
        let moved = self.addresses.moved.get(&from);
        // Without a move every address is known.
        if let Some((port, since)) = moved
            && sent >= *since
        {
            let port = *port;
            self.addresses.observed.insert((viewer, from), port);
        }
    }

    /// Returns whether one of two machines knows the address of the other.
    pub fn is_connected(&self, one: NodeId, other: NodeId) -> bool {
        self.addresses.moved.is_empty() || self.knows(one, other) || self.knows(other, one)
    }

    fn knows(&self, viewer: NodeId, peer: NodeId) -> bool {
        let port = self.port(peer);
        let observed = self.addresses.observed.get(&(viewer, peer));
        observed == Some(&port) || self.recorded_port(viewer, peer) == port
    }

    /// Returns the port of `peer` in the membership of `viewer`.
    fn recorded_port(&self, viewer: NodeId, peer: NodeId) -> u16 {
        let host = self.host(viewer);
        let Some(node) = host.node() else {
            return FIRST_PORT;
        };
        let mut all = self.addresses.contacts.borrow_mut();
        let contacts = all.entry(viewer).or_default();
        let of = (host.run, node.term(), node.membership_index());
        if contacts.of != of {
            contacts.of = of;
            contacts.ports = ports(node.membership());
        }
        contacts.ports.get(&peer).copied().unwrap_or(FIRST_PORT)
    }
}

fn ports(membership: &raftian_raft::Membership) -> BTreeMap<NodeId, u16> {
    let contacts = raftian_node::contact::contacts(membership).into_iter();
    let port =
        |(id, Contact { addresses, .. }): (NodeId, Contact)| Some((id, addresses.first()?.port()));
    contacts.filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use raftian_node::cluster::Fingerprint;
    use raftian_raft::Change;

    use super::*;
    use crate::cluster::Setup;

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

    fn record(cluster: &mut Simulation, leader: NodeId, id: NodeId) {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], cluster.port(id)));
        let contact = Contact {
            name: format!("n{}", id.0),
            fingerprint: Fingerprint::of(&id.0.to_be_bytes()),
            addresses: vec![address.into()],
            key: None,
        };
        let record = Change::Record {
            contacts: vec![(id, contact.encode().unwrap())],
            annex: None,
        };
        cluster.change_membership(leader, record).unwrap();
        cluster.settle(PATIENCE).unwrap();
    }

    #[test]
    fn machine_that_moved_is_known_once_it_has_sent() {
        let mut cluster = Simulation::new(Setup::cluster(3, 1));
        let leader = cluster.settle(PATIENCE).unwrap();
        let others: Vec<_> = cluster.ids().filter(|id| *id != leader).collect();
        let [a, b] = others[..] else {
            panic!("three machines")
        };
        cluster.move_address(a);
        assert!(!cluster.knows(leader, a) && cluster.is_connected(leader, a));
        // Both have moved, and no message has passed between them since.
        cluster.move_address(b);
        assert!(!cluster.is_connected(a, b));
        assert_eq!(cluster.settle(PATIENCE).unwrap(), leader);
        cluster.propose(leader, 1, 1, b"x").unwrap();
        cluster.settle(PATIENCE).unwrap();
        assert!(cluster.knows(leader, a) && cluster.knows(leader, b));
        assert!(!cluster.is_connected(a, b), "they have not met");
        cluster.find_addresses();
        assert!(cluster.is_connected(a, b));
        cluster.forget_addresses();
        assert!(!cluster.is_connected(a, b), "no log has their addresses");
    }

    #[test]
    fn recorded_addresses_survive_what_is_forgotten() {
        let mut cluster = Simulation::new(Setup::cluster(3, 1));
        let leader = cluster.settle(PATIENCE).unwrap();
        for id in cluster.ids() {
            cluster.move_address(id);
            record(&mut cluster, leader, id);
        }
        cluster.forget_addresses();
        let ids: Vec<_> = cluster.ids().collect();
        assert!(
            ids.iter()
                .all(|a| ids.iter().all(|b| cluster.knows(*a, *b)))
        );
        let other = ids.into_iter().find(|id| *id != leader).unwrap();
        cluster.transfer_leadership(leader, Some(other)).unwrap();
        cluster.run(PATIENCE);
        assert_eq!(cluster.settle(PATIENCE).unwrap(), other);
    }
}
