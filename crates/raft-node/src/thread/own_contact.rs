//! The contact that a node records of itself: addresses that it knows, and those at which other
//! members see it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use raftian_raft::NodeId;

use crate::address::Address;
use crate::contact::Contact;

/// Time between two questions to members about the address at which they see this node. Each change
/// of the answers may become an entry of the log.
const ASK_OBSERVED: Duration = Duration::from_secs(30);

/// Maximum number of observed addresses in the contact.
const MAX_OBSERVED: usize = 2;

/// The contact of a node, with the addresses at which other members see it.
///
/// Decision: an observed address is recorded if two members report it, or if one does while no
/// other has answered. Why: behind a router that maps every destination to another port, no member
/// could use the address that another one sees. Would change if: such routers were told apart by
/// a test of their own.
#[derive(Debug)]
pub(super) struct OwnContact {
    known: Contact,
    /// The last report of each member.
    reports: BTreeMap<NodeId, SocketAddr>,
    /// When a member was asked last, and how many were.
    asked: Option<Instant>,
    questions: usize,
}

impl OwnContact {
    pub(super) fn new(known: Contact) -> Self {
        OwnContact {
            known,
            reports: BTreeMap::new(),
            asked: None,
            questions: 0,
        }
    }

    /// Returns the member to be asked now, one after the other of `connected`.
    pub(super) fn next_question(&mut self, connected: &[NodeId]) -> Option<NodeId> {
        let is_due = self
            .asked
            .is_none_or(|asked| asked.elapsed() >= ASK_OBSERVED);
        let peer = *connected.get(self.questions.checked_rem(connected.len())?)?;
        if !is_due {
            return None;
        }
        self.questions += 1;
        // All that are connected now are asked in quick succession once.
        if self.questions >= connected.len() {
            self.asked = Some(Instant::now());
        }
        Some(peer)
    }

    /// Records at which address a member sees this node.
    pub(super) fn report(&mut self, member: NodeId, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        self.reports
            .insert(member, SocketAddr::new(ip, address.port()));
    }

    /// Returns the contact to be recorded, while `is_member` holds for the members.
    pub(super) fn contact(&mut self, is_member: impl Fn(NodeId) -> bool) -> Contact {
        self.reports.retain(|member, _| is_member(*member));
        let mut votes: BTreeMap<SocketAddr, usize> = BTreeMap::new();
        for address in self.reports.values() {
            *votes.entry(*address).or_default() += 1;
        }
        let needed = self.reports.len().min(2);
        let is_new = |address: &SocketAddr| {
            is_routable(address.ip()) && !self.known.addresses.contains(&Address::Ip(*address))
        };
        let observed = votes
            .into_iter()
            .filter(|(address, votes)| *votes >= needed && is_new(address))
            .map(|(address, _)| Address::Ip(address))
            .take(MAX_OBSERVED);
        let mut contact = self.known.clone();
        contact.addresses.extend(observed);
        contact
    }
}

/// Whether machines elsewhere may use the address.
fn is_routable(ip: IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_link_local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Fingerprint;

    fn own() -> OwnContact {
        OwnContact::new(Contact {
            name: "Ada".to_owned(),
            fingerprint: Fingerprint::of(b"Ada"),
            addresses: vec!["192.168.1.7:7777".parse().unwrap()],
        })
    }

    fn recorded(own: &mut OwnContact) -> Vec<String> {
        let contact = own.contact(|member| member != NodeId(9));
        contact.addresses.iter().map(ToString::to_string).collect()
    }

    fn report(own: &mut OwnContact, member: u64, address: &str) {
        own.report(NodeId(member), address.parse().unwrap());
    }

    #[test]
    fn address_that_two_members_see_is_recorded() {
        let mut own = own();
        report(&mut own, 2, "[::ffff:198.51.100.7]:40000");
        assert_eq!(
            recorded(&mut own),
            ["192.168.1.7:7777", "198.51.100.7:40000"]
        );
        report(&mut own, 3, "198.51.100.7:40001");
        assert_eq!(
            recorded(&mut own),
            ["192.168.1.7:7777"],
            "another port for each"
        );
        report(&mut own, 4, "198.51.100.7:40001");
        assert_eq!(
            recorded(&mut own),
            ["192.168.1.7:7777", "198.51.100.7:40001"]
        );
        report(&mut own, 2, "198.51.100.7:40001");
        report(&mut own, 3, "192.168.1.7:7777");
        report(&mut own, 9, "203.0.113.1:1");
        assert_eq!(
            recorded(&mut own),
            ["192.168.1.7:7777", "198.51.100.7:40001"]
        );
    }

    #[test]
    fn address_without_use_elsewhere_is_not_recorded() {
        for address in ["127.0.0.1:5", "[fe80::1]:5", "169.254.1.1:5", "[::1]:5"] {
            let mut own = own();
            report(&mut own, 2, address);
            assert_eq!(recorded(&mut own), ["192.168.1.7:7777"], "{address}");
        }
    }

    #[test]
    fn connected_members_are_asked_in_turn() {
        let mut own = own();
        let connected = [NodeId(2), NodeId(3)];
        assert_eq!(own.next_question(&[]), None);
        assert_eq!(own.next_question(&connected), Some(NodeId(2)));
        assert_eq!(own.next_question(&connected), Some(NodeId(3)));
        assert_eq!(own.next_question(&connected), None, "until the next round");
    }
}
