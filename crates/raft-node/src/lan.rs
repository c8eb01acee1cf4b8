//! Matches on the local network: members announce them by mDNS (RFC 6762, RFC 6763).
//!
//! An announcement is no proof of anything: whoever joins by it proves its invite to the member,
//! and the member proves the key that was announced.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::admission;
use crate::cluster::Fingerprint;
use crate::code::Hint;
use crate::match_record::MatchRecord;
use crate::ticket::MatchId;
use crate::wire::WIRE_VERSION;
use mdns_sd::{IfKind, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use raftian_raft::Membership;

/// Type of the service.
const SERVICE: &str = "_raftian._udp.local.";

/// Time to wait for further members of a match after the first.
const GRACE: Duration = Duration::from_millis(500);

/// Announces one member of a match. The announcement ends when this value is dropped.
pub struct Announcer {
    daemon: ServiceDaemon,
    fingerprint: Fingerprint,
    listen: SocketAddr,
    announced: Option<BTreeMap<String, String>>,
}

/// A match that a member announces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LanMatch {
    /// Its id.
    pub match_id: MatchId,
    /// Its name.
    pub name: String,
    /// Number of its players.
    pub players: usize,
    /// Wire version of its members.
    pub protocol: u8,
    /// Hint of its code and the number of the code's invite, if it has a code.
    pub code: Option<(Hint, u32)>,
    /// Certificate of the member that announces it.
    pub fingerprint: Fingerprint,
    /// Addresses of that member.
    pub addresses: Vec<SocketAddr>,
}

impl Announcer {
    /// Prepares the announcements of the member with this certificate. One whose port can be
    /// reached from this machine only is announced on this machine only.
    ///
    /// # Errors
    /// If mDNS cannot be used, with the reason.
    pub fn new(fingerprint: Fingerprint, listen: SocketAddr) -> Result<Self, String> {
        let daemon = ServiceDaemon::new().map_err(|error| error.to_string())?;
        if listen.ip().is_loopback() {
            daemon
                .disable_interface(IfKind::All)
                .and_then(|()| daemon.enable_interface(IfKind::LoopbackV4))
                .map_err(|error| error.to_string())?;
        }
        Ok(Announcer {
            daemon,
            fingerprint,
            listen,
            announced: None,
        })
    }

    /// Announces the match as `membership` describes it. No-op if nothing changed.
    pub fn announce(&mut self, membership: &Membership) {
        // A match without a code is not for the local network.
        let record = MatchRecord::of(membership).filter(|record| record.code.is_some());
        let Some(record) = record else { return };
        let properties = properties(&record, membership, self.fingerprint);
        if self.announced.as_ref() == Some(&properties) {
            return;
        }
        let fingerprint = short(self.fingerprint);
        let host = format!("raftian-{fingerprint}.local.");
        let pairs: Vec<_> = properties.iter().collect();
        let is_loopback = self.listen.ip().is_loopback();
        let address = if is_loopback { "127.0.0.1" } else { "" };
        let info = ServiceInfo::new(
            SERVICE,
            &fingerprint,
            &host,
            address,
            self.listen.port(),
            &pairs[..],
        );
        let info = info.map(|info| {
            if is_loopback {
                info
            } else {
                info.enable_addr_auto()
            }
        });
        let registered = info.and_then(|info| self.daemon.register(info));
        if let Err(error) = registered {
            tracing::warn!(%error, "the match is not announced on the local network");
        }
        self.announced = Some(properties);
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        // The daemon may have ended already.
        let _ended = self.daemon.shutdown().is_err();
    }
}

/// Name of a member's service: the start of its fingerprint.
fn short(fingerprint: Fingerprint) -> String {
    let digits = fingerprint.bytes()[..6].iter();
    digits.map(|byte| format!("{byte:02x}")).collect()
}

fn properties(
    record: &MatchRecord,
    membership: &Membership,
    fingerprint: Fingerprint,
) -> BTreeMap<String, String> {
    let players = admission::players(membership, record).count();
    let mut properties = BTreeMap::from([
        ("match".to_owned(), record.id.to_string()),
        ("name".to_owned(), record.name.clone()),
        ("players".to_owned(), players.to_string()),
        ("protocol".to_owned(), WIRE_VERSION.to_string()),
        ("fingerprint".to_owned(), fingerprint.to_string()),
    ]);
    if let Some((Hint(hint), invite)) = record.code {
        let hint = u32::from_be_bytes(hint);
        properties.insert("code".to_owned(), format!("{hint:08x}-{invite}"));
    }
    properties
}

/// Listens to announcements for `time`, or for half a second after one for which `is_wanted`
/// returns true. Announcements that this build cannot read are left out.
///
/// # Errors
/// If mDNS cannot be used, with the reason.
pub fn browse(
    time: Duration,
    is_wanted: impl Fn(&LanMatch) -> bool,
) -> Result<Vec<LanMatch>, String> {
    let daemon = ServiceDaemon::new().map_err(|error| error.to_string())?;
    let events = daemon.browse(SERVICE).map_err(|error| error.to_string())?;
    // Members that listen on this machine only announce themselves there.
    daemon
        .enable_interface(IfKind::LoopbackV4)
        .map_err(|error| error.to_string())?;
    let mut deadline = Instant::now() + time;
    let mut found = BTreeMap::new();
    while let Ok(event) = events.recv_deadline(deadline) {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                if let Some(announced) = read(&service) {
                    if is_wanted(&announced) {
                        deadline = deadline.min(Instant::now() + GRACE);
                    }
                    found.insert(service.fullname.clone(), announced);
                }
            }
            ServiceEvent::ServiceRemoved(_, fullname) => drop(found.remove(&fullname)),
            _ => {}
        }
    }
    let _ended = daemon.shutdown().is_err();
    Ok(found.into_values().collect())
}

fn read(service: &ResolvedService) -> Option<LanMatch> {
    let property = |key| service.get_property_val_str(key);
    let code = property("code").and_then(|code| {
        let (hint, invite) = code.split_once('-')?;
        let hint = u32::from_str_radix(hint, 16).ok()?;
        Some((Hint(hint.to_be_bytes()), invite.parse().ok()?))
    });
    let mut addresses: Vec<_> = service
        .addresses
        .iter()
        .map(mdns_sd::ScopedIp::to_ip_addr)
        .filter(|ip| !is_link_local(*ip))
        .map(|ip| SocketAddr::new(ip, service.port))
        .collect();
    addresses.sort();
    let name = property("name")?;
    crate::cluster::check_player_name(name).ok()?;
    Some(LanMatch {
        match_id: MatchId::try_from(property("match")?.to_owned()).ok()?,
        name: name.to_owned(),
        players: property("players")?.parse().ok()?,
        protocol: property("protocol")?.parse().ok()?,
        code,
        fingerprint: property("fingerprint")?.parse().ok()?,
        addresses,
    })
}

/// Such an address is useless without its interface, which a ticket cannot name.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
