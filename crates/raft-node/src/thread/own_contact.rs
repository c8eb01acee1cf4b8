//! The contact that a node records of itself: addresses that it knows, and those at which other
//! members observe it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use raftian_raft::{Membership, NodeId};

use crate::address::Address;
use crate::contact::{Contact, MAX_ADDRESSES, bound};

/// Time between two requests to a member for the address at which it observes this node.
const REQUEST_OBSERVED: Duration = Duration::from_secs(30);

/// Maximum number of observed addresses in the contact.
const MAX_OBSERVED: usize = 2;

/// The contact of a node, with the addresses at which other members observe it.
///
/// Decision: an observed address is recorded if two members report it, or the only other one. It
/// stays until another one takes its place. Why: behind a router that maps every destination to
/// another port, no member could use the address that another one observes, and each report would
/// be an entry of the log. Would change if: such routers were detected by a test of their own.
#[derive(Debug)]
pub(super) struct OwnContact {
    known: Contact,
    /// Addresses at which members observe this node; `None` until the recorded contact was read.
    observed: Option<Vec<Address>>,
    /// The last report of each member.
    reports: BTreeMap<NodeId, SocketAddr>,
    /// When the last of the connected members was asked.
    asked: Option<Instant>,
    requests: usize,
}

impl OwnContact {
    pub(super) fn new(known: Contact) -> Self {
        OwnContact {
            known,
            observed: None,
            reports: BTreeMap::new(),
            asked: None,
            requests: 0,
        }
    }

    /// Returns the member to be asked now, one after the other of `connected`.
    pub(super) fn next_request(&mut self, connected: &[NodeId]) -> Option<NodeId> {
        let is_due = self
            .asked
            .is_none_or(|asked| asked.elapsed() >= REQUEST_OBSERVED);
        let peer = *connected.get(self.requests.checked_rem(connected.len())?)?;
        if !is_due {
            return None;
        }
        self.requests += 1;
        // At first all that are connected are asked in quick succession.
        if self.requests >= connected.len() {
            self.asked = Some(Instant::now());
        }
        Some(peer)
    }

    /// Records the address at which a member observes this node.
    pub(super) fn report(&mut self, member: NodeId, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        self.reports
            .insert(member, SocketAddr::new(ip, address.port()));
    }

    /// Returns the contact to be recorded in place of `recorded`.
    pub(super) fn contact(&mut self, recorded: &Contact, membership: &Membership) -> Contact {
        self.reports
            .retain(|member, _| membership.contains(*member));
        let others = membership.members().len().saturating_sub(1);
        let agreed = self.agreed(others.min(2));
        let known = &self.known.addresses;
        // Addresses that an earlier run recorded; a private one is soon observed again.
        let observed = self.observed.get_or_insert_with(|| {
            let earlier = recorded.addresses.iter();
            let earlier = earlier.filter(|address| address.ip().is_some_and(is_public));
            let earlier = earlier.filter(|address| !known.contains(address));
            earlier.take(MAX_OBSERVED).cloned().collect()
        });
        if !agreed.is_empty() {
            *observed = agreed;
        }
        let mut contact = self.known.clone();
        bound(&mut contact.addresses);
        contact.addresses.truncate(MAX_ADDRESSES - observed.len());
        contact.addresses.extend(observed.iter().cloned());
        contact
    }

    /// Addresses that are not known and that at least `needed` members report.
    fn agreed(&self, needed: usize) -> Vec<Address> {
        let mut votes: BTreeMap<SocketAddr, usize> = BTreeMap::new();
        for address in self.reports.values() {
            *votes.entry(*address).or_default() += 1;
        }
        votes
            .into_iter()
            .filter(|(address, votes)| *votes >= needed && is_routable(address.ip()))
            .map(|(address, _)| Address::Ip(address))
            .filter(|address| !self.known.addresses.contains(address))
            .take(MAX_OBSERVED)
            .collect()
    }
}

/// Whether machines on other networks may use the address.
fn is_public(ip: IpAddr) -> bool {
    let is_private = match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    is_routable(ip) && !is_private
}

/// Whether other machines may use the address.
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

    const LOCAL: &str = "192.168.1.7:7777";

    fn contact(addresses: &[&str]) -> Contact {
        Contact {
            name: "Ada".to_owned(),
            fingerprint: Fingerprint::of(b"Ada"),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            key: None,
        }
    }

    fn own() -> OwnContact {
        OwnContact::new(contact(&[LOCAL]))
    }

    fn of(members: u64) -> Membership {
        Membership::new((1..=members).map(NodeId)).unwrap()
    }

    /// Addresses to be recorded by the first of five members.
    fn recorded(own: &mut OwnContact) -> Vec<String> {
        texts(&own.contact(&contact(&[LOCAL]), &of(5)))
    }

    fn texts(contact: &Contact) -> Vec<String> {
        contact.addresses.iter().map(ToString::to_string).collect()
    }

    fn report(own: &mut OwnContact, member: u64, address: &str) {
        own.report(NodeId(member), address.parse().unwrap());
    }

    #[test]
    fn address_that_two_members_observe_is_recorded_and_stays() {
        let mut own = own();
        report(&mut own, 2, "[::ffff:198.51.100.7]:40000");
        assert_eq!(recorded(&mut own), [LOCAL], "one of four");
        report(&mut own, 3, "198.51.100.7:40001");
        assert_eq!(recorded(&mut own), [LOCAL], "another port for each");
        report(&mut own, 4, "198.51.100.7:40001");
        let both = [LOCAL, "198.51.100.7:40001"];
        assert_eq!(recorded(&mut own), both);
        // Later reports, of members in the same network among them, replace it by another only.
        report(&mut own, 4, LOCAL);
        report(&mut own, 9, "203.0.113.1:1");
        assert_eq!(recorded(&mut own), both);
        for member in [2, 3] {
            report(&mut own, member, "203.0.113.1:1");
        }
        assert_eq!(recorded(&mut own), [LOCAL, "203.0.113.1:1"]);
    }

    #[test]
    fn only_other_member_suffices() {
        let mut own = own();
        report(&mut own, 2, "198.51.100.7:40000");
        let contact = own.contact(&contact(&[LOCAL]), &of(2));
        assert_eq!(texts(&contact), [LOCAL, "198.51.100.7:40000"]);
    }

    #[test]
    fn restart_keeps_what_was_observed_before() {
        let before = contact(&[LOCAL, "192.168.1.3:7777", "198.51.100.7:40000"]);
        let kept = [LOCAL, "198.51.100.7:40000"];
        assert_eq!(texts(&own().contact(&before, &of(5))), kept);
    }

    #[test]
    fn observed_address_has_a_place_among_many() {
        let many: Vec<_> = (1..=MAX_ADDRESSES)
            .map(|last| format!("192.168.1.{last}:7777"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let mut own = OwnContact::new(contact(&many));
        report(&mut own, 2, "198.51.100.7:40000");
        let first = own.contact(&contact(&many), &of(2));
        assert_eq!(first.addresses.len(), MAX_ADDRESSES);
        assert_eq!(texts(&first)[MAX_ADDRESSES - 1], "198.51.100.7:40000");
        assert_eq!(own.contact(&first, &of(2)), first, "nothing more to record");
    }

    #[test]
    fn address_without_use_elsewhere_is_not_recorded() {
        for address in ["127.0.0.1:5", "[fe80::1]:5", "169.254.1.1:5", "[::1]:5"] {
            let mut own = own();
            report(&mut own, 2, address);
            assert_eq!(
                texts(&own.contact(&contact(&[LOCAL]), &of(2))),
                [LOCAL],
                "{address}"
            );
        }
    }

    #[test]
    fn connected_members_are_asked_in_turn() {
        let mut own = own();
        let connected = [NodeId(2), NodeId(3)];
        assert_eq!(own.next_request(&[]), None);
        assert_eq!(own.next_request(&connected), Some(NodeId(2)));
        assert_eq!(own.next_request(&connected), Some(NodeId(3)));
        assert_eq!(own.next_request(&connected), None, "until the next round");
    }
}
