//! Addresses at which members are reached: an IP address or a host name, with a UDP port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

/// Maximum length of a host name in bytes (RFC 1035, section 2.3.4).
pub const MAX_HOST_NAME: usize = 253;

/// Longest time to wait for the addresses of a host name.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum number of IP addresses that are tried of one host name.
pub const MAX_RESOLVED: usize = 4;

/// Address at which a member may be reached.
///
/// Decision: a host name is resolved for every attempt to connect. Why: a name of dynamic DNS is
/// what stays when the address changes. Would change if: resolvers were slower than the pause
/// between two attempts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name and a port.
    Host(HostName, u16),
}

/// Name of a host in lower case, valid as a DNS name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostName(String);

/// Error of parsing a text that is no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0:?} is not an IP address or host name with a port, such as 192.168.1.7:7777, \
     [2001:db8::7]:7777 or play.example.org:7777"
)]
pub struct ParseAddressError(String);

impl Address {
    /// The IP address and port; `None` for a host name.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Address::Ip(socket) => Some(*socket),
            Address::Host(..) => None,
        }
    }

    /// The IP address; `None` for a host name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket().map(|socket| socket.ip())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            Address::Ip(socket) => socket.port(),
            Address::Host(_, port) => *port,
        }
    }

    /// Returns why no machine can be reached at the address; `None` if one may be. A host name is
    /// not resolved.
    pub fn problem(&self) -> Option<&'static str> {
        // An IPv4 address may be written in IPv6 form.
        let ip = self.ip().map(|ip| ip.to_canonical());
        if self.port() == 0 {
            Some("the port is 0")
        } else if ip.is_some_and(|ip| ip.is_multicast()) {
            Some("it is a multicast address")
        } else if ip == Some(IpAddr::V4(Ipv4Addr::BROADCAST)) {
            Some("it is the broadcast address")
        } else if ip.is_some_and(|ip| ip.is_unspecified()) {
            Some("it stands for all addresses of a machine")
        } else {
            None
        }
    }

    /// Returns the addresses of a host name, at most [`MAX_RESOLVED`]; an IP address returns
    /// itself. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If the name is not resolved within [`RESOLVE_TIMEOUT`], with the reason.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        match self {
            Address::Ip(socket) => Ok(vec![*socket]),
            Address::Host(HostName(name), port) => {
                let lookup = tokio::net::lookup_host((name.as_str(), *port));
                let found = timeout(RESOLVE_TIMEOUT, lookup).await;
                let found: Vec<_> = found
                    .map_err(|_| format!("{name} cannot be resolved: no name server answers"))?
                    .map_err(|error| format!("{name} cannot be resolved: {error}"))?
                    .take(MAX_RESOLVED)
                    .collect();
                if found.is_empty() {
                    return Err(format!("{name} has no address"));
                }
                Ok(found)
            }
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Self {
        Address::Ip(socket)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(socket) => write!(f, "{socket}"),
            Address::Host(HostName(name), port) => write!(f, "{name}:{port}"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(socket) = text.parse() {
            return Ok(Address::Ip(socket));
        }
        // A name that is out of bounds must not be repeated in full.
        let invalid = || ParseAddressError(text.chars().take(80).collect());
        let (name, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        match (HostName::new(name), port) {
            (Some(name), Some(port)) => Ok(Address::Host(name, port)),
            _ => Err(invalid()),
        }
    }
}

impl HostName {
    /// Creates a name; `None` if it is no host name (RFC 1123, section 2.1).
    pub fn new(name: &str) -> Option<Self> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        // The last label of a name is never a number, so that no mistyped IP address is one.
        let last = name.rsplit('.').next()?;
        let is_name = name.len() <= MAX_HOST_NAME
            && name.split('.').all(is_label)
            && !last.bytes().all(|b| b.is_ascii_digit());
        is_name.then(|| HostName(name.to_ascii_lowercase()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "192.168.1.7:7777",
            "[2001:db8::7]:1",
            "play.example.org:7777",
            "nas:9",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let upper: Address = "Play.Example.ORG:7777".parse().unwrap();
        assert_eq!(upper.to_string(), "play.example.org:7777");
        assert_eq!((upper.port(), upper.socket()), (7777, None));
    }

    #[test]
    fn other_texts_are_no_addresses() {
        let long = format!("{}:1", "a".repeat(64));
        let longer = format!("{}a:1", "a.".repeat(127));
        for text in [
            "",
            "nas",
            "nas:",
            "nas:0",
            "nas:70000",
            ":7777",
            "-nas:1",
            "nas-:1",
            "a..b:1",
            "192.168.1:7777",
            "192.168.1.300:7777",
            "2001:db8::7:7777x",
            "na s:1",
            &long,
            &longer,
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn address_that_no_machine_has_is_named() {
        for (text, part) in [
            ("0.0.0.0:7777", "stands for all addresses"),
            ("[::]:7777", "stands for all addresses"),
            ("192.168.1.7:0", "port is 0"),
            ("[::ffff:224.0.0.9]:7777", "multicast"),
            ("255.255.255.255:7777", "broadcast"),
        ] {
            let address: Address = text.parse().unwrap();
            assert!(address.problem().unwrap().contains(part), "{text}");
        }
        for text in ["127.0.0.1:7777", "nas:7777", "[2001:db8::7]:7777"] {
            assert_eq!(text.parse::<Address>().unwrap().problem(), None, "{text}");
        }
    }

    #[tokio::test]
    async fn host_name_is_resolved() {
        let local: Address = "localhost:7".parse().unwrap();
        let found = local.resolve().await.unwrap();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 7)
        );
        let none: Address = "no-such-host.invalid:7".parse().unwrap();
        let reason = none.resolve().await.unwrap_err();
        assert!(reason.starts_with("no-such-host.invalid "), "{reason}");
    }
}
