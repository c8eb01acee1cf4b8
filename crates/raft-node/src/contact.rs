//! Contacts: how a member is recognized and reached, replicated with the membership.

use std::net::{Ipv4Addr, SocketAddr};

use raftian_raft::{Bytes, Membership, NodeId};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::cluster::{Fingerprint, MAX_NAME};
use crate::signing::CommandKey;
use crate::wire::{self, WireError};

/// Maximum number of addresses of one member.
pub const MAX_ADDRESSES: usize = 8;

/// Maximum number of host names among the addresses of one member.
pub const MAX_HOSTS: usize = 2;

/// How a member is recognized and reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// Its name, one to [`MAX_NAME`] printable characters.
    pub name: String,
    /// Hash of its certificate, which authenticates it.
    pub fingerprint: Fingerprint,
    /// Addresses at which it may be reached, the best first, at most [`MAX_ADDRESSES`], of which
    /// [`MAX_HOSTS`] are host names.
    pub addresses: Vec<Address>,
    /// Key with which its commands are verified; `None` for a member of a cluster that was created
    /// from files.
    pub key: Option<CommandKey>,
}

impl Contact {
    /// Encodes the contact for [`Change::Add`](raftian_raft::Change::Add) and
    /// [`Change::Record`](raftian_raft::Change::Record). Addresses beyond the bounds are left
    /// out.
    ///
    /// # Errors
    /// None for a contact within its bounds.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        let mut contact = self.clone();
        bound(&mut contact.addresses);
        wire::encode_value(&contact).map(Bytes::from)
    }

    /// Returns the contact of the member `id`. `None` if it has none that this build can read, or
    /// one that exceeds its bounds.
    pub fn of(membership: &Membership, id: NodeId) -> Option<Self> {
        let contact: Contact = wire::decode_value(membership.contact(id)?).ok()?;
        let hosts = contact
            .addresses
            .iter()
            .filter(|a| a.ip().is_none())
            .count();
        let is_within_bounds = contact.addresses.len() <= MAX_ADDRESSES
            && hosts <= MAX_HOSTS
            && !contact.name.is_empty()
            && contact.name.chars().count() <= MAX_NAME;
        is_within_bounds.then_some(contact)
    }

    /// Returns the member with this certificate.
    pub fn find(membership: &Membership, fingerprint: Fingerprint) -> Option<NodeId> {
        contacts(membership)
            .into_iter()
            .find(|(_, contact)| contact.fingerprint == fingerprint)
            .map(|(id, _)| id)
    }
}

/// Leaves out the last addresses beyond [`MAX_ADDRESSES`] and [`MAX_HOSTS`].
pub(crate) fn bound(addresses: &mut Vec<Address>) {
    let mut hosts = 0;
    addresses.retain(|address| {
        hosts += usize::from(address.ip().is_none());
        address.ip().is_some() || hosts <= MAX_HOSTS
    });
    addresses.truncate(MAX_ADDRESSES);
}

/// Returns the addresses of a member whose port is bound to `listen`: those that its player names,
/// such as a host name or the address of a router that forwards the port, and then those of this
/// machine.
pub fn own_addresses(named: &[Address], listen: SocketAddr) -> Vec<Address> {
    let mut addresses = Vec::new();
    let local = local_addresses(listen).into_iter().map(Address::Ip);
    for address in named.iter().cloned().chain(local) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    bound(&mut addresses);
    addresses
}

/// Returns the addresses at which a port that is bound to `listen` may be reached: `listen` itself,
/// or those of this machine's interfaces if it is bound to all of them. Loopback addresses are
/// returned only if there are no others.
pub fn local_addresses(listen: SocketAddr) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine are not known");
        Vec::new()
    });
    let mut addresses: Vec<_> = interfaces
        .iter()
        .filter(|interface| !interface.is_link_local())
        .map(if_addrs::Interface::ip)
        .filter(|ip| listen.is_ipv6() || ip.is_ipv4())
        .collect();
    if addresses.iter().any(|ip| !ip.is_loopback()) {
        addresses.retain(|ip| !ip.is_loopback());
    }
    // Home networks reach each other by IPv4 more often.
    addresses.sort_by_key(|ip| (ip.is_ipv6(), *ip));
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
        .into_iter()
        .map(|ip| SocketAddr::new(ip, listen.port()))
        .collect()
}

/// Returns the contacts of the members.
pub fn contacts(membership: &Membership) -> Vec<(NodeId, Contact)> {
    membership
        .members()
        .filter_map(|(id, _)| Some((id, Contact::of(membership, id)?)))
        .collect()
}

/// Whether another member than `own` has the key of this contact: both would be the same player.
pub(crate) fn has_key_of_another(
    membership: &Membership,
    contact: &Contact,
    own: Option<NodeId>,
) -> bool {
    let others = contacts(membership);
    let mut others = others.iter().filter(|(id, _)| Some(*id) != own);
    contact.key.is_some() && others.any(|(_, other)| other.key == contact.key)
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Change, Membership};

    use super::*;

    fn contact(name: &str, addresses: usize) -> Contact {
        let long = "a".repeat(63);
        let address = |port| match port {
            1..=4 => format!("{long}.{long}.{long}.{}:{port}", &long[..61])
                .parse()
                .unwrap(),
            _ => Address::Ip(SocketAddr::from((
                [
                    0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
                ],
                port,
            ))),
        };
        Contact {
            name: name.to_owned(),
            fingerprint: Fingerprint::of(name.as_bytes()),
            key: Some(CommandKey([0xff; 32])),
            addresses: (1..).take(addresses).map(address).collect(),
        }
    }

    fn recorded(bytes: Bytes) -> Membership {
        let record = Change::Record {
            contacts: vec![(NodeId(1), bytes)],
            annex: None,
        };
        Membership::new([NodeId(1)])
            .unwrap()
            .after(&record)
            .unwrap()
    }

    #[test]
    fn largest_contact_fits_its_bound() {
        let largest = contact(&"\u{10348}".repeat(MAX_NAME), 2 * MAX_ADDRESSES);
        let bytes = largest.encode().unwrap();
        assert!(bytes.len() <= Membership::MAX_CONTACT, "{}", bytes.len());
        let read = Contact::of(&recorded(bytes), NodeId(1)).unwrap();
        assert_eq!(read.addresses[..2], largest.addresses[..2]);
        assert_eq!(read.addresses[2..], largest.addresses[4..10]);
    }

    #[test]
    fn contact_out_of_bounds_or_unreadable_is_none() {
        let unnamed = contact("", 1).encode().unwrap();
        let too_long = contact(&"a".repeat(MAX_NAME + 1), 1).encode().unwrap();
        let mut three = contact("Ada", 3);
        three
            .addresses
            .iter_mut()
            .for_each(|address| *address = "nas:1".parse().unwrap());
        let many_hosts = wire::encode_value(&three).unwrap().into();
        for bytes in [unnamed, too_long, many_hosts, Bytes::from(&[7, 7][..])] {
            assert_eq!(Contact::of(&recorded(bytes), NodeId(1)), None);
        }
    }

    #[test]
    fn member_is_found_by_its_certificate() {
        let ada = contact("Ada", 1);
        let membership = recorded(ada.encode().unwrap());
        assert_eq!(Contact::find(&membership, ada.fingerprint), Some(NodeId(1)));
        assert_eq!(Contact::find(&membership, Fingerprint::of(b"Bo")), None);
    }
}
