//! A player's part in a match: founds it, joins it, continues it and leaves it.
//!
//! [`found`], [`join`] and [`resume`] prepare a [`Launch`], which starts the node. All of them
//! block, on files and on the network; none needs a runtime.

mod folders;
mod join;
mod local_member;
mod new_match;
mod search;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use raftian_raft::{Config, NodeId};

use crate::address::Address;
use crate::cluster::{ClusterError, FirstStart, MemberFile, check_player_name, identity_in};
use crate::contact::{Contact, MAX_HOSTS, own_addresses};
use crate::match_record::{FoundingError, MatchRecord};
use crate::match_request::Refusal;
use crate::quic::{AskError, QuicOptions};
use crate::random_ids::fresh_incarnation;
use crate::signing::CommandKey;
use crate::store::Creation;
use crate::thread::{NodeHandle, NodeOptions, StartError};
use crate::ticket::TicketError;

pub use folders::{MatchFolders, NoFolder};
pub use join::{Invitation, join};
pub use local_member::{Ended, LocalMember, Progress};
pub use new_match::NewMatch;

/// UDP port of a member that names none, if it is free.
pub const DEFAULT_PORT: u16 = 7777;

/// Maximum number of addresses that a player names; the others of a contact are for those of the
/// machine.
const MAX_NAMED: usize = 4;

/// Id of the founder of a match.
const FOUNDER: NodeId = NodeId(1);

/// A player who takes part in matches.
#[derive(Clone, Debug)]
pub struct Player {
    /// Name in the match, one to [`MAX_NAME`](crate::cluster::MAX_NAME) printable characters;
    /// `None` for the earlier name of a member, or that of the system's user.
    pub name: Option<String>,
    /// Names and versions of the commands and states that the program replicates; see
    /// [`JoinRequest::rules`](crate::match_request::JoinRequest::rules).
    pub rules: String,
    /// Address and UDP port to listen on; `None` for the earlier ones of a member, or
    /// [`DEFAULT_PORT`], or a port that is free.
    pub listen: Option<SocketAddr>,
    /// Further addresses at which other members reach this machine, such as a host name or the
    /// address of a router that forwards the port. If empty, those that were named for the member
    /// before.
    pub addresses: Vec<Address>,
    /// Folders for the files of matches.
    pub folders: MatchFolders,
    /// Directory of the member; `None` for one in `folders`.
    pub directory: Option<PathBuf>,
}

/// Why a player cannot take part in a match.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayerError {
    /// A name cannot be used.
    #[error("the {of} {name:?} cannot be used: {reason}; choose another one")]
    Name {
        /// Whose name it is: "name of the player" or "name of the match".
        of: &'static str,
        /// The name.
        name: String,
        /// Reason.
        reason: String,
    },
    /// The directory holds a match that was not left.
    #[error(
        "{} holds another match, {match_name}, as member {id}; leave that one first, or choose \
         another directory",
        directory.display()
    )]
    Occupied {
        /// The directory.
        directory: PathBuf,
        /// Name of the match.
        match_name: String,
        /// Id of the member.
        id: NodeId,
    },
    /// The directory holds no match.
    #[error("there is no match in {}; found one or join one", directory.display())]
    Empty {
        /// The directory.
        directory: PathBuf,
    },
    /// The member has left its match.
    #[error("{name} has left the match in {}; join again with a ticket", directory.display())]
    Left {
        /// Name of the player.
        name: String,
        /// The directory.
        directory: PathBuf,
    },
    /// The UDP port cannot be opened.
    #[error("cannot listen on UDP {address}: {reason}; choose another address or port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Error of the operating system.
        reason: String,
    },
    /// The system returns no random numbers.
    #[error("{0}")]
    Random(String),
    /// The record of the new match is out of bounds.
    #[error("cannot found the match: {0}")]
    Founding(#[from] FoundingError),
    /// A file of the member cannot be used.
    #[error(transparent)]
    Files(#[from] ClusterError),
    /// The node cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No member can be reached from the address to listen on.
    #[error(
        "the members in the ticket are reached by IPv6 only, but this machine listens on {listen}; \
         listen on [::] or on an IPv6 address"
    )]
    Family {
        /// The address to listen on.
        listen: SocketAddr,
    },
    /// The text is neither a ticket nor a code.
    #[error(transparent)]
    Invitation(#[from] TicketError),
    /// There is no folder for the files of matches.
    #[error(transparent)]
    Folders(#[from] NoFolder),
    /// No member answers.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The match does not admit the player.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The local network cannot be searched.
    #[error("the local network cannot be searched by mDNS: {0}; join with a ticket")]
    Discovery(String),
    /// No match has the code.
    #[error(
        "no match with this code is announced on the local network; check the code, or join with a \
         ticket"
    )]
    UnknownCode,
    /// The match at the address has another code.
    #[error("the match at {0} has another code; check the code and the address")]
    OtherCode(Address),
    /// An address that was named for this machine cannot be reached by others.
    #[error("{address} cannot be an address of this machine: {reason}; name another one")]
    Address {
        /// The address.
        address: Address,
        /// Reason.
        reason: &'static str,
    },
    /// The match speaks another version of the protocol.
    #[error("{name} speaks protocol {theirs}, but this build {own}; use the same build")]
    ForeignProtocol {
        /// Name of the match.
        name: String,
        /// Its wire version.
        theirs: u8,
        /// That of this build.
        own: u8,
    },
    /// A member's reply does not match the request.
    #[error("the member's reply does not match the request; does it run this version?")]
    UnexpectedReply,
}

/// A member that is about to start.
#[derive(Debug)]
pub struct Launch {
    directory: PathBuf,
    file: MemberFile,
    first_start: Option<FirstStart>,
    socket: UdpSocket,
    rules: String,
}

/// Prepares to found a match. One that is `announced` is found on the local network by its code.
/// The name of the match defaults to one with that of the player.
///
/// # Errors
/// [`PlayerError`]. The member's directory may contain a key then, and nothing else.
pub fn found(
    player: &Player,
    match_name: Option<&str>,
    announced: bool,
) -> Result<Launch, PlayerError> {
    let name = player.name.clone().unwrap_or_else(default_name);
    check_name("name of the player", &name)?;
    let match_name = match_name.map_or_else(|| default_match_name(&name), str::to_owned);
    check_name("name of the match", &match_name)?;
    check_addresses(&player.addresses)?;
    let new = NewMatch::draw(announced)?;
    let directory = match &player.directory {
        Some(directory) => directory.clone(),
        None => player.folders.directory(new.id),
    };
    if let Some(file) = MemberFile::find(&directory)?.filter(|file| !file.left) {
        return Err(occupied(directory, &file));
    }
    let (socket, listen) = bind(player.listen, None)?;
    let identity = identity_in(&directory)?;
    let incarnation = fresh_incarnation();
    let contact = Contact {
        name: name.clone(),
        fingerprint: identity.fingerprint(),
        key: Some(CommandKey::of(&identity)),
        addresses: own_addresses(&player.addresses, listen),
    };
    let names = (match_name.as_str(), player.rules.as_str());
    let founding = new.membership(names, (FOUNDER, incarnation), &contact)?;
    let guard = player.folders.guard(new.id, FOUNDER);
    let mut file = MemberFile::new(
        (new.id, match_name),
        (FOUNDER, name),
        listen,
        guard,
        Vec::new(),
    );
    file.addresses = player.addresses.clone();
    file.invite = Some(new.ticket_invite());
    file.code = new.code;
    Ok(Launch {
        directory,
        file,
        first_start: Some(FirstStart {
            founding,
            creation: Creation::first(incarnation),
        }),
        socket,
        rules: player.rules.clone(),
    })
}

/// Prepares to continue as the member in `directory`.
///
/// # Errors
/// [`PlayerError`].
pub fn resume(player: &Player, directory: &Path) -> Result<Launch, PlayerError> {
    check_addresses(&player.addresses)?;
    let Some(mut file) = MemberFile::find(directory)? else {
        return Err(PlayerError::Empty {
            directory: directory.to_owned(),
        });
    };
    if file.left {
        return Err(PlayerError::Left {
            name: file.name,
            directory: directory.to_owned(),
        });
    }
    let (socket, listen) = bind(player.listen, Some(&file))?;
    file.set_listen(listen, player.listen.is_some());
    if !player.addresses.is_empty() {
        file.addresses = player.addresses.clone();
    }
    Ok(Launch {
        directory: directory.to_owned(),
        file,
        first_start: None,
        socket,
        rules: player.rules.clone(),
    })
}

impl Launch {
    /// Directory of the member.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts the member's node, with the settings of a match as `adjust` changes them.
    ///
    /// # Errors
    /// If the node does not start, its match is played by other rules, or the member's file cannot
    /// be written. Then nothing runs.
    pub fn start(
        self,
        adjust: impl FnOnce(&mut Config),
    ) -> Result<(NodeHandle, LocalMember), PlayerError> {
        let addresses = own_addresses(&self.file.addresses, self.file.listen);
        let config = self
            .file
            .config(&self.directory, addresses, self.first_start)?;
        let mut raft = config
            .raft_config()
            .map_err(|error| StartError::Thread(error.to_string()))?;
        adjust(&mut raft);
        let links = QuicOptions::new(self.socket, &config);
        let node = NodeHandle::start(NodeOptions::new(&config, raft, links))?;
        let membership = node.control().view().status.membership;
        if let Some(record) = MatchRecord::of(&membership)
            && record.rules != self.rules
        {
            return Err(PlayerError::Refused(Refusal::OtherRules {
                theirs: record.rules,
                own: self.rules,
            }));
        }
        // After the start: a member that runs already must keep its file.
        self.file.write(&self.directory)?;
        let member = LocalMember::new(self.directory, self.file, config, node.control());
        Ok((node, member))
    }
}

/// Refuses named addresses that no other machine can use, and more than a contact has room for.
fn check_addresses(addresses: &[Address]) -> Result<(), PlayerError> {
    let hosts = addresses.iter().filter(|address| address.ip().is_none());
    if let Some(excess) = hosts
        .skip(MAX_HOSTS)
        .chain(addresses.iter().skip(MAX_NAMED))
        .next()
    {
        return Err(PlayerError::Address {
            address: excess.clone(),
            reason: "at most four addresses are recorded, and two of them host names",
        });
    }
    let refused = addresses
        .iter()
        .find_map(|address| Some((address.clone(), address.problem()?)));
    match refused {
        Some((address, reason)) => Err(PlayerError::Address { address, reason }),
        None => Ok(()),
    }
}

fn check_name(of: &'static str, name: &str) -> Result<(), PlayerError> {
    check_player_name(name).map_err(|reason| PlayerError::Name {
        of,
        name: name.to_owned(),
        reason,
    })
}

fn occupied(directory: PathBuf, file: &MemberFile) -> PlayerError {
    PlayerError::Occupied {
        directory,
        match_name: file.match_name.clone(),
        id: NodeId(file.id),
    }
}

/// Name of a player who gives none: that of the system's user.
pub fn default_name() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("USERNAME"));
    user.ok()
        .filter(|name| check_player_name(name).is_ok())
        .unwrap_or_else(|| "player".to_owned())
}

fn default_match_name(player: &str) -> String {
    let long = format!("{player}'s match");
    if check_player_name(&long).is_ok() {
        long
    } else {
        "match".to_owned()
    }
}

/// Opens the port that was asked for, or the last one, or any.
fn bind(
    asked: Option<SocketAddr>,
    last: Option<&MemberFile>,
) -> Result<(UdpSocket, SocketAddr), PlayerError> {
    let any = |port| {
        [
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ]
    };
    let candidates = match (asked, last) {
        (Some(asked), _) => vec![asked],
        (None, Some(last)) => {
            let first = last.first_listen.unwrap_or(last.listen);
            vec![first, last.listen, SocketAddr::new(first.ip(), 0)]
        }
        (None, None) => [any(DEFAULT_PORT), any(0)].concat(),
    };
    let mut refused = None;
    for address in candidates {
        match UdpSocket::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket))) {
            Ok((bound, socket)) => return Ok((socket, bound)),
            Err(error) => refused = Some((address, error.to_string())),
        }
    }
    let none = (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), String::new());
    let (address, reason) = refused.unwrap_or(none);
    Err(PlayerError::Listen { address, reason })
}
