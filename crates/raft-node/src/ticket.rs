//! Tickets: one line of text that lets a player join a running match through any member it names.
//!
//! # Format
//! Base32 (RFC 4648, without padding; case, blanks and dashes do not matter) of these bytes,
//! numbers big-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version, [`VERSION`] |
//! | 16 | match id |
//! | 4 | number of the invite |
//! | 16 | secret of the invite |
//! | 1 | number of members, each: |
//! | 16 | start of the member's fingerprint |
//! | 1 | number of its addresses, each: |
//! | 1 + 4 or 16 + 2 | 4 or 6, IP address, UDP port |
//! | 1 + 1 + length + 2 | 1, length of a host name, host name, UDP port |
//! | 4 | start of the SHA-256 of all bytes before |
//!
//! Decision: a fingerprint is cut to 128 bits. Why: no second key with the same start can be found,
//! and five members with an address each fit a line that a chat does not break. Would change if:
//! tickets had to last longer than a match.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use raftian_raft::Membership;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::address::{Address, HostName};
use crate::cluster::Fingerprint;
use crate::contact::contacts;
use crate::match_record::MatchRecord;

/// Version of the format.
pub const VERSION: u8 = 2;

/// Maximum length of a ticket in characters. Addresses beyond it are left out when it is written.
pub const MAX_TICKET: usize = 400;

/// Maximum number of members in a ticket.
pub const MAX_MEMBERS: usize = 9;

/// Bytes of a fingerprint in a ticket.
const PREFIX: usize = 16;

/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// Identity of a match, drawn at random by its founder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MatchId(pub [u8; 16]);

/// Secret of an invite. Debug output does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub [u8; 16]);

/// A parsed ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The match.
    pub match_id: MatchId,
    /// Number of the invite in the match.
    pub invite: u32,
    /// Secret of the invite.
    pub secret: Secret,
    /// Members of the match when the ticket was written, at most [`MAX_MEMBERS`].
    pub members: Vec<TicketMember>,
}

/// A member as a ticket names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TicketMember {
    /// Start of the fingerprint of its certificate.
    pub fingerprint: [u8; PREFIX],
    /// Addresses at which it may be reached, the best first.
    pub addresses: Vec<Address>,
}

/// Why a text is not a ticket that this build can use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The text contains characters that no ticket has, or is too short.
    #[error(
        "this is neither a ticket nor a code such as RAFT-7K3Q-2MXT, nor the address HOST:PORT of a \
         member; copy the whole line of the ticket"
    )]
    NotATicket,
    /// The text after a code and `@` is no address.
    #[error("after the code and @ an address is expected, such as 192.168.1.7:7777")]
    NotAnAddress,
    /// The checksum does not match: characters are missing or changed.
    #[error("the ticket is incomplete or mistyped; copy the whole line again")]
    Damaged,
    /// The ticket was written by a build with another format.
    #[error("the ticket has format {found}, but this build reads {VERSION}; use the same build")]
    ForeignVersion {
        /// Version of the ticket.
        found: u8,
    },
}

impl Ticket {
    /// Returns a ticket with the invite `number` for the match with this membership; `None` if
    /// players cannot join it.
    pub fn of(membership: &Membership, number: u32, secret: Secret) -> Option<Self> {
        let members = contacts(membership)
            .into_iter()
            .map(|(_, contact)| TicketMember::new(&contact.fingerprint, contact.addresses));
        Some(Ticket {
            match_id: MatchRecord::of(membership)?.id,
            invite: number,
            secret,
            members: members.collect(),
        })
    }
}

impl TicketMember {
    /// Whether `fingerprint` is the one of this member.
    pub fn is(&self, fingerprint: &Fingerprint) -> bool {
        fingerprint.bytes()[..PREFIX] == self.fingerprint
    }

    /// Returns it without its host names, unless it has no other address.
    fn by_ip(&self) -> Self {
        let mut member = self.clone();
        if member
            .addresses
            .iter()
            .any(|address| address.ip().is_some())
        {
            member.addresses.retain(|address| address.ip().is_some());
        }
        member
    }

    /// Names the member with this fingerprint.
    pub fn new(fingerprint: &Fingerprint, addresses: Vec<Address>) -> Self {
        let mut prefix = [0; PREFIX];
        prefix.copy_from_slice(&fingerprint.bytes()[..PREFIX]);
        TicketMember {
            fingerprint: prefix,
            addresses,
        }
    }
}

impl fmt::Display for Ticket {
    /// Writes the ticket as one line of at most [`MAX_TICKET`] characters. To fit, the last
    /// addresses of each member are left out, then host names, and then the last members. Members
    /// without an address, and those beyond [`MAX_MEMBERS`], are left out as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reachable = self.members.iter().filter(|one| !one.addresses.is_empty());
        let members: Vec<_> = reachable.take(MAX_MEMBERS).cloned().collect();
        let most = members.iter().map(|member| member.addresses.len()).max();
        let most = most.unwrap_or(0).max(1);
        let ips: Vec<_> = members.iter().map(TicketMember::by_ip).collect();
        // A member without an address is of no use, so rather fewer members are named. One address
        // of each is its IP address, which reaches it also where its name leads elsewhere.
        let mut texts = (0..=members.len()).rev().flat_map(|count| {
            let named = (2..=most).rev().map(|most| (&members, most));
            let shorter = named.chain((1..=most).rev().map(|most| (&ips, most)));
            shorter.map(move |(members, most)| {
                BASE32_NOPAD.encode(&self.bytes(&members[..count], most))
            })
        });
        let text = texts.find(|text| text.len() <= MAX_TICKET);
        // Without any member it fits.
        f.write_str(&text.ok_or(fmt::Error)?)
    }
}

impl Ticket {
    /// Bytes of the ticket with at most `most` addresses per member.
    fn bytes(&self, members: &[TicketMember], most: usize) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.match_id.0);
        bytes.extend(self.invite.to_be_bytes());
        bytes.extend(self.secret.0);
        bytes.push(count(members.len()));
        for member in members {
            bytes.extend(member.fingerprint);
            let addresses = &member.addresses[..member.addresses.len().min(most)];
            bytes.push(count(addresses.len()));
            for address in addresses {
                match address {
                    Address::Ip(socket) => match socket.ip().to_canonical() {
                        IpAddr::V4(ip) => {
                            bytes.push(4);
                            bytes.extend(ip.octets());
                        }
                        IpAddr::V6(ip) => {
                            bytes.push(6);
                            bytes.extend(ip.octets());
                        }
                    },
                    Address::Host(name, _) => {
                        let name = name.as_str().as_bytes();
                        bytes.extend([1, count(name.len())]);
                        bytes.extend(name);
                    }
                }
                bytes.extend(address.port().to_be_bytes());
            }
        }
        let checksum = Sha256::digest(&bytes);
        bytes.extend(&checksum[..CHECKSUM]);
        bytes
    }
}

/// The count as a byte; the callers have bounded it.
fn count(items: usize) -> u8 {
    u8::try_from(items).unwrap_or(u8::MAX)
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let mut plain = String::new();
        for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            // No ticket is longer, and a pasted file must not be read whole.
            if plain.len() == MAX_TICKET {
                return Err(TicketError::NotATicket);
            }
            plain.push(character.to_ascii_uppercase());
        }
        let bytes = BASE32_NOPAD
            .decode(plain.as_bytes())
            .map_err(|_| TicketError::NotATicket)?;
        let (&found, _) = bytes.split_first().ok_or(TicketError::NotATicket)?;
        let (content, checksum) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or(TicketError::NotATicket)?;
        if Sha256::digest(content)[..CHECKSUM] != *checksum {
            return Err(TicketError::Damaged);
        }
        // After the checksum, so that a mistyped first character is not taken for a version.
        if found != VERSION {
            return Err(TicketError::ForeignVersion { found });
        }
        let mut rest = Rest(&content[1..]);
        let ticket = rest.ticket().ok_or(TicketError::Damaged)?;
        if rest.0.is_empty() {
            Ok(ticket)
        } else {
            Err(TicketError::Damaged)
        }
    }
}

/// Bytes that are not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn ticket(&mut self) -> Option<Ticket> {
        let match_id = MatchId(self.take()?);
        let invite = u32::from_be_bytes(self.take()?);
        let secret = Secret(self.take()?);
        let [count] = self.take()?;
        if usize::from(count) > MAX_MEMBERS {
            return None;
        }
        let members = (0..count).map(|_| self.member()).collect::<Option<_>>()?;
        Some(Ticket {
            match_id,
            invite,
            secret,
            members,
        })
    }

    fn member(&mut self) -> Option<TicketMember> {
        let fingerprint = self.take()?;
        let [count] = self.take()?;
        let addresses = (0..count).map(|_| self.address()).collect::<Option<_>>()?;
        Some(TicketMember {
            fingerprint,
            addresses,
        })
    }

    fn address(&mut self) -> Option<Address> {
        let ip = match self.take()? {
            [4] => IpAddr::V4(Ipv4Addr::from(self.take::<4>()?)),
            [6] => IpAddr::V6(Ipv6Addr::from(self.take::<16>()?)),
            [1] => return self.host(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(self.take()?)).into())
    }

    fn host(&mut self) -> Option<Address> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        let name = HostName::new(std::str::from_utf8(name).ok()?)?;
        let port = u16::from_be_bytes(self.take()?);
        (port != 0).then_some(Address::Host(name, port))
    }
}

impl fmt::Display for MatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<MatchId> for String {
    fn from(id: MatchId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for MatchId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(MatchId)
            .ok_or("a match id has 32 hexadecimal digits")
    }
}

impl fmt::Debug for MatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u8, addresses: &[&str]) -> TicketMember {
        let fingerprint = Fingerprint::of(&[number]);
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        TicketMember::new(&fingerprint, addresses.collect())
    }

    fn ticket(members: Vec<TicketMember>) -> Ticket {
        Ticket {
            match_id: MatchId([1; 16]),
            invite: 7,
            secret: Secret([2; 16]),
            members,
        }
    }

    #[test]
    fn ticket_survives_a_chat() {
        let ticket = ticket(vec![
            member(1, &["192.168.1.20:7777", "[2001:db8::7]:7777"]),
            member(2, &["10.0.0.1:2", "play.example.org:7777"]),
        ]);
        let text = ticket.to_string();
        assert_eq!(text.parse(), Ok(ticket.clone()));
        let broken_up = format!(" {}\n  {}-", &text[..40].to_lowercase(), &text[40..]);
        assert_eq!(broken_up.parse(), Ok(ticket));
    }

    #[test]
    fn ticket_of_many_members_drops_their_last_addresses() {
        let three = ["[2001:db8::1]:1", "10.0.0.1:2", "[2001:db8::3]:3"];
        let five = ticket((1..=5).map(|number| member(number, &three)).collect());
        let text = five.to_string();
        assert!(text.len() <= MAX_TICKET, "{}", text.len());
        let read: Ticket = text.parse().expect("a ticket");
        assert_eq!(read.members.len(), 5);
        for (read, written) in read.members.iter().zip(&five.members) {
            assert_eq!(read.addresses, written.addresses[..1]);
        }
        let crowd = ticket((0..20).map(|number| member(number, &three)).collect());
        let read: Ticket = crowd.to_string().parse().expect("a ticket");
        let named = &read.members;
        assert!((5..=MAX_MEMBERS).contains(&named.len()), "{}", named.len());
        assert!(named.iter().all(|member| member.addresses.len() == 1));
    }

    #[test]
    fn ticket_keeps_an_ip_address_where_host_names_are_long() {
        let long = format!(
            "{}.example.org:7777",
            ["a".repeat(60).as_str(); 3].join(".")
        );
        let one = ticket(vec![member(1, &[&long, "10.0.0.1:2"])]);
        let read: Ticket = one.to_string().parse().expect("a ticket");
        assert_eq!(read.members, [member(1, &["10.0.0.1:2"])]);
        let names = ["host-with-thirty-one-letters.org:7777", "10.0.0.1:2"];
        let four = ticket((1..=4).map(|number| member(number, &names)).collect());
        let read: Ticket = four.to_string().parse().expect("a ticket");
        assert_eq!(read.members.len(), 4);
        let by_ip = |member: &TicketMember| member.addresses.iter().any(|a| a.ip().is_some());
        assert!(read.members.iter().all(by_ip));
        let nameless = ticket(vec![member(1, &["play.example.org:7777"])]);
        assert_eq!(nameless.to_string().parse(), Ok(nameless));
    }

    #[test]
    fn every_mistyped_character_is_detected() {
        let text = ticket(vec![member(1, &["10.0.0.1:2"])]).to_string();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let mistyped = String::from_utf8(bytes).expect("letters");
            assert!(mistyped.parse::<Ticket>().is_err(), "at {place}");
            assert!(text[..place].parse::<Ticket>().is_err(), "cut at {place}");
        }
    }

    #[test]
    fn other_texts_and_versions_are_named() {
        for text in ["", "RAFT-7K3Q-9MXT", "192.168.1.20:7777", &"A".repeat(401)] {
            let error = text.parse::<Ticket>().expect_err("it is no ticket");
            assert_ne!(error, TicketError::ForeignVersion { found: 0 }, "{text}");
        }
        let mut bytes = ticket(Vec::new()).bytes(&[], 0);
        bytes.truncate(bytes.len() - CHECKSUM);
        bytes[0] = 3;
        let checksum = Sha256::digest(&bytes);
        bytes.extend(&checksum[..CHECKSUM]);
        let later = BASE32_NOPAD.encode(&bytes);
        assert_eq!(
            later.parse::<Ticket>(),
            Err(TicketError::ForeignVersion { found: 3 })
        );
    }

    #[test]
    fn secret_is_not_shown() {
        let shown = format!("{:?}", ticket(Vec::new()));
        assert!(shown.contains("Secret(..)"), "{shown}");
    }
}
