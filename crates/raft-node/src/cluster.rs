//! Cluster configuration: member identities and node files.
//!
//! Decision: members authenticate each other by the fingerprints of self-signed certificates, which
//! each node file lists. Why: there is no host that could be a certificate authority, and a list of
//! hashes is easy for friends to exchange. Would change if: members could join a running match;
//! then the replicated log must carry the list.
//!
//! Decision: a store keeps the founding membership from the first start on, and a file with another
//! list is refused. Why: two members whose files differ would count different majorities, and
//! commit two entries at one index. Would change if: members were listed in no file at all.

mod generate;
mod identity;
mod member_file;
mod node_file;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use raftian_raft::{Config, Membership, MembershipError, NodeId, Standing};

use crate::address::Address;
use crate::contact::Contact;
use crate::random_ids::{fresh_incarnation, fresh_seed};
use crate::store::Creation;

pub use generate::{NewCluster, default_member_name, generate};
pub use identity::{Fingerprint, Identity, ParseFingerprintError};
pub(crate) use member_file::check_key;
pub use member_file::{KnownMember, MemberFile, identity_in};
pub use node_file::{MAX_FILE, NodeFile};

/// Maximum number of members of a cluster: 9. A majority of nine tolerates four failures, and every
/// further member slows each commit down.
pub const MAX_MEMBERS: usize = 9;

/// Default number of entries between two snapshots: 4,096, a few minutes of a lively match. A log
/// of that length is read within milliseconds at start.
pub const SNAPSHOT_ENTRIES: u64 = 4096;

/// Maximum length of a cluster or member name, in characters: 32. It must fit a table in the game
/// and a line of a log.
pub const MAX_NAME: usize = 32;

/// Limit of entries without a snapshot: 64 MiB. Snapshots are taken after `snapshot_entries`
/// orders, which are short, so only a stalled program reaches the limit, such as one behind a
/// window that the system does not draw.
const MAX_LOG_BYTES: usize = 64 * 1024 * 1024;

/// Silence after which a player's member loses its vote, until it returns.
const VANISH_AFTER: Duration = Duration::from_secs(10);

/// Configuration of one node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Id of this member.
    pub id: NodeId,
    /// Name of this member.
    pub name: String,
    /// Name of the cluster, made unique by a random suffix; recorded in the store, so that files of
    /// two matches never mix.
    pub cluster: String,
    /// Address of its one UDP port.
    pub listen: SocketAddr,
    /// All members, including this one, in order of their ids; one to [`MAX_MEMBERS`].
    pub members: Vec<Member>,
    /// Where the node knows the founding membership from.
    pub founding: Founders,
    /// Addresses of this member that its contact in the log shows. Empty for a member that is
    /// listed in files.
    pub reachable_at: Vec<Address>,
    /// Directory for its store.
    pub data: PathBuf,
    /// File that records how many writes the store has acknowledged (rollback guard). Outside
    /// `data`, so that the loss of the store, or its restoration from a copy, is detected.
    pub mark: PathBuf,
    /// Timeouts of this node.
    pub timing: Timing,
    /// Entries applied between two snapshots; each snapshot drops the entries before it. At least
    /// 1. Each member may have its own.
    pub snapshot_entries: u64,
    /// Its key and certificate.
    pub identity: Identity,
}

/// Where a node knows the founding membership of its cluster from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Founders {
    /// The listed members found the cluster: they agree on their incarnations at their first start.
    Listed,
    /// The whole cluster is created in one process.
    Together(Membership),
    /// It is recorded in the store, and later members are in the log. The
    /// configuration lists members only to be dialled.
    Recorded {
        /// Contents of a new store; `None` to open an existing one only.
        first_start: Option<FirstStart>,
    },
}

/// Contents of a new store of a match that players join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstStart {
    /// The founding membership.
    pub founding: Membership,
    /// Parameters of the store.
    pub creation: Creation,
}

/// Public description of one member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its name, one to [`MAX_NAME`] printable characters.
    pub name: String,
    /// Address at which the other members reach it.
    pub address: Address,
    /// Hash of its certificate, which authenticates it.
    pub fingerprint: Fingerprint,
}

impl Member {
    /// Returns how the member is recognized and reached.
    pub fn contact(&self) -> Contact {
        Contact {
            name: self.name.clone(),
            fingerprint: self.fingerprint,
            key: None,
            addresses: vec![self.address.clone()],
        }
    }
}

/// Timeouts of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Shortest and longest election timeout.
    pub election: (Duration, Duration),
    /// Time between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// Floor and ceiling of election timeouts that follow the measured round trips, in place of
    /// `election`; see [`Config::adaptive_timeout`]. `None` in a node file.
    pub adaptive: Option<(Duration, Duration)>,
}

impl Timing {
    /// Timeouts of a match that players join, where the distance between them is not known:
    /// adaptive ones of 30 ms at least, so that a crash of the leader on a local network is hardly
    /// noticed, and of 500 ms to 1 s on the slowest.
    pub fn of_players() -> Self {
        Timing {
            heartbeat: Duration::from_millis(15),
            adaptive: Some((Duration::from_millis(30), Duration::from_millis(500))),
            ..Timing::default()
        }
    }
}

impl Default for Timing {
    /// 150 to 300 ms and 50 ms: the values of the Raft paper (section 9.3), for machines in one
    /// room or country.
    fn default() -> Self {
        Timing {
            election: (Duration::from_millis(150), Duration::from_millis(300)),
            heartbeat: Duration::from_millis(50),
            adaptive: None,
        }
    }
}

/// Why a cluster or node file cannot be written or used. Each names the file or key, the reason and
/// a remedy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {reason}; check the path and the permissions", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Error of the file system.
        reason: String,
    },
    /// A file or directory cannot be written.
    #[error("cannot write {}: {reason}; check the permissions and the free space", path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Error of the file system.
        reason: String,
    },
    /// The directory for a new cluster is not empty.
    #[error(
        "{} already exists and is not empty; choose another directory, or remove this one if its \
         keys and matches are no longer needed",
        path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The text is not a node file.
    #[error("{} is not a valid node file, correct it: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Error of the parser, with line and column.
        reason: String,
    },
    /// A value in a node file, or of a new cluster, cannot be used.
    #[error("{}: `{key}`: {reason}; {remedy}", path.display())]
    Invalid {
        /// The file, or the directory of a new cluster.
        path: PathBuf,
        /// Key of the value.
        key: String,
        /// Reason why the value is invalid.
        reason: String,
        /// Remedy.
        remedy: &'static str,
    },
    /// A key or certificate cannot be generated.
    #[error("cannot generate a key: {reason}; check the system's source of randomness")]
    Key {
        /// Error of the cryptography library.
        reason: String,
    },
    /// No port can be opened for an embedded node.
    #[error("cannot open a UDP port on {address}: {reason}; end a program that uses many ports")]
    NoPort {
        /// Address of the port.
        address: SocketAddr,
        /// Error of the operating system.
        reason: String,
    },
}

/// One node of a cluster inside this process, with its port already open.
#[derive(Debug)]
pub struct EmbeddedNode {
    /// Configuration; `listen` and the members' addresses are the ports that were opened.
    pub config: NodeConfig,
    /// Open port, for [`QuicOptions`](crate::quic::QuicOptions).
    pub socket: UdpSocket,
}

/// Creates a cluster of `nodes` members in one process: fresh identities, ports on the loopback
/// interface chosen by the system, stores below `directory` in `n1`, `n2` and so on. Writes nothing
/// to disk.
pub fn embedded(
    nodes: usize,
    name: &str,
    directory: &Path,
) -> Result<Vec<EmbeddedNode>, ClusterError> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut parts = Vec::new();
    let mut members = Vec::new();
    // All ports are opened first, since every configuration lists the addresses of all members.
    for id in (1..).take(nodes) {
        let open = || {
            let socket = UdpSocket::bind(loopback)?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = open().map_err(|error: std::io::Error| ClusterError::NoPort {
            address: loopback,
            reason: error.to_string(),
        })?;
        let identity = Identity::generate()?;
        let fingerprint = identity.fingerprint();
        members.push(Member {
            id: NodeId(id),
            name: default_member_name(id),
            address: address.into(),
            fingerprint,
        });
        parts.push((address, socket, identity));
    }
    // After the loop, because the name depends on all fingerprints.
    let cluster = generate::unique_name(name, &members);
    let founders = members
        .iter()
        .map(|member| (member.id, fresh_incarnation(), Standing::Voter));
    let Ok(founding) = Membership::of(founders) else {
        return Err(invalid_size(directory, members.len()));
    };
    let nodes = members
        .iter()
        .zip(parts)
        .map(|(member, (listen, socket, identity))| {
            let config = NodeConfig {
                id: member.id,
                name: member.name.clone(),
                cluster: cluster.clone(),
                listen,
                members: members.clone(),
                founding: Founders::Together(founding.clone()),
                reachable_at: Vec::new(),
                data: directory.join(member.id.to_string()),
                mark: directory.join(format!("{}.mark", member.id)),
                timing: Timing::default(),
                snapshot_entries: SNAPSHOT_ENTRIES,
                identity,
            };
            // Only this check refuses an impossible number of nodes.
            config.validated(directory)?;
            Ok(EmbeddedNode { config, socket })
        });
    nodes.collect()
}

fn invalid_size(file: &Path, members: usize) -> ClusterError {
    ClusterError::Invalid {
        path: file.to_owned(),
        key: "member".to_owned(),
        reason: format!("there are {members} members"),
        remedy: "list between 1 and 9 members, this node included",
    }
}

impl NodeConfig {
    /// Returns the member with the id `id`.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Returns the path of the store.
    pub fn store(&self) -> PathBuf {
        self.data.join("raft.redb")
    }

    /// Returns the founding membership as far as it is known without the store: all listed members,
    /// each with a vote, if they have not agreed on their incarnations yet.
    ///
    /// # Errors
    /// Fails if there are no members.
    pub fn founders(&self) -> Result<Membership, MembershipError> {
        match &self.founding {
            Founders::Together(founding)
            | Founders::Recorded {
                first_start: Some(FirstStart { founding, .. }),
            } => Ok(founding.clone()),
            Founders::Listed | Founders::Recorded { first_start: None } => {
                Membership::new(self.members.iter().map(|member| member.id))
            }
        }
    }

    /// Returns the settings of the consensus core for this member.
    ///
    /// # Errors
    /// If the cluster has no members.
    pub fn raft_config(&self) -> Result<Config, MembershipError> {
        let mut raft = Config::new(self.id, self.founders()?, fresh_seed());
        raft.election_timeout = self.timing.election;
        raft.heartbeat = self.timing.heartbeat;
        raft.adaptive_timeout = self.timing.adaptive;
        raft.snapshot_entries = Some(self.snapshot_entries);
        raft.max_log_bytes = Some(MAX_LOG_BYTES);
        // Who belongs to a match that was created from files is its operator's decision.
        if matches!(self.founding, Founders::Recorded { .. }) {
            raft.vanish_after = Some(VANISH_AFTER);
        }
        // The log kept behind a snapshot is no longer than the distance between two snapshots.
        raft.snapshot_keep = raft.snapshot_keep.min(self.snapshot_entries);
        Ok(raft)
    }

    /// Validates the values of the configuration, beyond its syntax; errors name `file`.
    fn validated(&self, file: &Path) -> Result<(), ClusterError> {
        let invalid = |key: &str, reason: String, remedy| {
            Err(ClusterError::Invalid {
                path: file.to_owned(),
                key: key.to_owned(),
                reason,
                remedy,
            })
        };
        check_name("cluster", &self.cluster, MAX_NAME + generate::UNIQUE_END).or_else(
            |reason| {
                invalid(
                    "cluster",
                    reason,
                    "copy the line from the file of another member",
                )
            },
        )?;
        if self.members.is_empty() || self.members.len() > MAX_MEMBERS {
            return Err(invalid_size(file, self.members.len()));
        }
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        let mut fingerprints = BTreeSet::new();
        for member in &self.members {
            let key = format!("member {}", member.id.0);
            if !ids.insert(member.id) {
                return invalid(
                    &key,
                    "two members have this id".to_owned(),
                    "give each member its own `id`",
                );
            }
            if !fingerprints.insert(member.fingerprint) {
                let reason = "another member has the same fingerprint".to_owned();
                return invalid(&key, reason, "give each node its own key and certificate");
            }
            check_name("name", &member.name, MAX_NAME)
                .or_else(|reason| invalid(&key, reason, "choose another `name`"))?;
            let socket = member.address.socket();
            if let Some(problem) = member.address.problem() {
                let reason = format!("no member can be reached at {}: {problem}", member.address);
                return invalid(
                    &key,
                    reason,
                    "write the address and port at which the others reach it",
                );
            }
            if !addresses.insert(&member.address) {
                let reason = format!("another member has the address {} too", member.address);
                return invalid(&key, reason, "give each member its own address and port");
            }
            // The reverse is possible: a socket on [::] reaches both families.
            if self.listen.is_ipv4() && socket.is_some_and(|socket| socket.is_ipv6()) {
                let reason = format!("{} cannot be reached from {}", member.address, self.listen);
                return invalid(
                    &key,
                    reason,
                    "use IPv4 addresses for all members, or listen on [::]",
                );
            }
            // This node's own address is checked below, where it is known to be listed.
            if self.listen.ip().is_loopback()
                && member.address.ip().is_some_and(|ip| !ip.is_loopback())
                && member.id != self.id
            {
                let reason = format!("{} cannot be reached from {}", member.address, self.listen);
                return invalid(
                    "listen",
                    reason,
                    "listen on the address at which the others reach it, or on 0.0.0.0",
                );
            }
        }
        let Some(own) = self.member(self.id) else {
            let reason = format!("no member has the id {}", self.id.0);
            return invalid("id", reason, "use the id of one of the members");
        };
        // A node may listen on all addresses.
        let listen = Address::Ip(self.listen).problem();
        if let Some(problem) = listen.filter(|_| {
            !self.listen.ip().to_canonical().is_unspecified() || self.listen.port() == 0
        }) {
            let reason = format!("no node can listen on {}: {problem}", self.listen);
            return invalid(
                "listen",
                reason,
                "write an address of this machine, or 0.0.0.0 for all, and a port",
            );
        }
        let own_ip = own.address.ip();
        if self.listen.ip().is_loopback() && own_ip.is_some_and(|ip| !ip.is_loopback()) {
            let reason = format!(
                "{} is reachable only from this machine, not at {}",
                self.listen, own.address
            );
            return invalid(
                "listen",
                reason,
                "listen on the address at which the others reach it, or on 0.0.0.0",
            );
        }
        if own.fingerprint != self.identity.fingerprint() {
            let reason = format!(
                "it is {}, but member {} is {}",
                self.identity.fingerprint(),
                self.id.0,
                own.fingerprint
            );
            let remedy = "use the certificate that belongs to this member, or correct its \
                          `fingerprint` in every file";
            return invalid("certificate", reason, remedy);
        }
        if self.snapshot_entries == 0 {
            let remedy = "use 4096, or leave the line out";
            return invalid("snapshot_entries", "it is 0".to_owned(), remedy);
        }
        self.timing
            .validated()
            .or_else(|(key, reason, remedy)| invalid(key, reason, remedy))
    }
}

impl Timing {
    fn validated(&self) -> Result<(), (&'static str, String, &'static str)> {
        let (shortest, longest) = self.election;
        if self.heartbeat.is_zero() {
            return Err((
                "timing.heartbeat_ms",
                "it is 0".to_owned(),
                "use 50, or a fifth of the shortest election timeout",
            ));
        }
        if shortest < self.heartbeat.saturating_mul(2) {
            let reason = format!(
                "{shortest:?} is less than two heartbeats of {:?}",
                self.heartbeat
            );
            return Err((
                "timing.election_ms",
                reason,
                "one lost heartbeat must not start an election; raise it",
            ));
        }
        if shortest >= longest {
            let reason = format!("{shortest:?} is not before {longest:?}");
            return Err((
                "timing.election_ms",
                reason,
                "write the shorter time first; the range must leave room for random timeouts",
            ));
        }
        Ok(())
    }
}

/// Validates the name of a player or match, of one to [`MAX_NAME`] printable characters.
///
/// # Errors
/// The reason why it cannot be used.
pub fn check_player_name(name: &str) -> Result<(), String> {
    check_name("name", name, MAX_NAME)
}

/// Control characters, invisible ones, and those that turn the direction of the text around them.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// Validates a name of one to `longest` printable characters.
fn check_name(what: &str, name: &str, longest: usize) -> Result<(), String> {
    match name.chars().count() {
        0 => Err(format!("the {what} is empty")),
        count if count > longest => Err(format!(
            "the {what} has {count} characters, more than {longest}"
        )),
        _ if name.chars().any(is_unprintable) => {
            Err(format!("the {what} has characters that cannot be printed"))
        }
        _ if name.trim() != name => Err(format!("the {what} begins or ends with a space")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
