//! The life of a match in an app: started or joined, played, and left.
//!
//! Everything that blocks runs on threads of its own: opening a store, asking members to join, and
//! stopping a node.

mod session;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;

use bevy_ecs::prelude::*;
use bevy_state::prelude::*;
use raftian_node::address::Address;
use raftian_node::cluster::NodeFile;
use raftian_node::code::Code;
use raftian_node::match_request::{Part, Refusal};
use raftian_node::player::{self, Ended, Player, PlayerError};
use raftian_node::quic::{AskError, QuicOptions};
use raftian_node::ticket::MatchId;
use raftian_node::{NodeHandle, NodeOptions, Replica, StartError};
use raftian_raft::NodeId;

use self::session::open;
use crate::command::CommandRegistry;
use crate::node::RaftNode;
use crate::state::{LAYOUT, StateRegistry};
use crate::ticks::Ticker;

pub use self::tools::ToolRequests;

pub(crate) use self::session::{Session, advance, control, takes_part};

/// Founds a match. [`Default`] founds one that players on the local network find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartMatch {
    /// Name of the player; `None` for that of the system's user.
    pub player: Option<String>,
    /// Name of the match; `None` for one with the name of the player.
    pub match_name: Option<String>,
    /// Whether members announce the match on the local network, where its code finds it.
    pub announced: bool,
    /// Address and UDP port to listen on; `None` for
    /// [`DEFAULT_PORT`](raftian_node::player::DEFAULT_PORT), or any if that is in use.
    pub listen: Option<SocketAddr>,
    /// Further addresses at which other members reach this machine, such as a host name.
    pub addresses: Vec<Address>,
    /// Directory of the member; `None` for one in the program's folder.
    pub directory: Option<PathBuf>,
}

impl Default for StartMatch {
    fn default() -> Self {
        StartMatch {
            player: None,
            match_name: None,
            announced: true,
            listen: None,
            addresses: Vec::new(),
            directory: None,
        }
    }
}

/// Joins a match by a ticket or a code. A `&str` or `String` converts into one without options.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JoinMatch {
    /// The ticket or code as text, or `CODE@HOST:PORT` for the code of a match and the address of
    /// one of its members.
    pub invitation: String,
    /// Name of the player; `None` for that of the system's user.
    pub player: Option<String>,
    /// How this machine takes part.
    pub part: Part,
    /// Address and UDP port to listen on; `None` for
    /// [`DEFAULT_PORT`](raftian_node::player::DEFAULT_PORT), or any if that is in use.
    pub listen: Option<SocketAddr>,
    /// Further addresses at which other members reach this machine, such as a host name.
    pub addresses: Vec<Address>,
    /// Directory of the member; `None` for one in the program's folder.
    pub directory: Option<PathBuf>,
}

impl<T: Into<String>> From<T> for JoinMatch {
    fn from(invitation: T) -> Self {
        JoinMatch {
            invitation: invitation.into(),
            ..JoinMatch::default()
        }
    }
}

/// Begins and ends matches, from `Commands` or from the `World`. An app takes part in one match at
/// a time. Results show in [`MatchState`] and [`CurrentMatch`]; a request that cannot be carried
/// out triggers [`MatchFailed`].
pub trait MatchExt {
    /// Founds a match, of which this machine is the first member.
    fn start_match(&mut self, start: StartMatch);

    /// Asks the members of a match to admit this machine, and takes part. A machine that is a
    /// member already continues.
    fn join_match(&mut self, join: impl Into<JoinMatch>);

    /// Continues as the member in `directory`, after the program has ended without leaving. It is
    /// [`CurrentMatch::directory`] of that time, which a program remembers itself.
    fn resume_match(&mut self, directory: impl Into<PathBuf>);

    /// Takes part in a cluster that was created by `raftian cluster new`, as the member described
    /// by this node file.
    fn open_node_file(&mut self, file: impl Into<PathBuf>);

    /// Attaches a node that the app started itself, as one of a new match: the replicated state is
    /// the initial one.
    fn attach_node(&mut self, node: impl Replica + 'static);

    /// Leaves the match: the others agree to that, and leadership is transferred first. A node that
    /// the app attached itself, or that a node file describes, only stops.
    ///
    /// A program that ends without leaving counts as vanished after 10 s, keeps its place, and
    /// continues by [`MatchExt::resume_match`]. One that is to leave exits in [`MatchState::Left`].
    fn leave_match(&mut self);
}

impl MatchExt for Commands<'_, '_> {
    fn start_match(&mut self, start: StartMatch) {
        self.queue(move |world: &mut World| world.start_match(start));
    }

    fn join_match(&mut self, join: impl Into<JoinMatch>) {
        let join = join.into();
        self.queue(move |world: &mut World| world.join_match(join));
    }

    fn resume_match(&mut self, directory: impl Into<PathBuf>) {
        let directory = directory.into();
        self.queue(move |world: &mut World| world.resume_match(directory));
    }

    fn open_node_file(&mut self, file: impl Into<PathBuf>) {
        let file = file.into();
        self.queue(move |world: &mut World| world.open_node_file(file));
    }

    fn attach_node(&mut self, node: impl Replica + 'static) {
        self.queue(move |world: &mut World| world.attach_node(node));
    }

    fn leave_match(&mut self) {
        self.queue(|world: &mut World| world.leave_match());
    }
}

impl MatchExt for World {
    fn start_match(&mut self, start: StartMatch) {
        let prepare = move |mut player: Player| {
            player.name = start.player;
            player.listen = start.listen;
            player.addresses = start.addresses;
            player.directory = start.directory;
            player::found(&player, start.match_name.as_deref(), start.announced)
        };
        open(self, move |player, adjust| {
            let (node, member) = prepare(player)?.start(adjust)?;
            Ok((node, Some(member)))
        });
    }

    fn join_match(&mut self, join: impl Into<JoinMatch>) {
        let join = join.into();
        open(self, move |mut player, adjust| {
            player.name = join.player;
            player.listen = join.listen;
            player.addresses = join.addresses;
            player.directory = join.directory;
            let invitation = join.invitation.parse().map_err(PlayerError::Invitation)?;
            let launch = player::join(&player, &invitation, join.part)?;
            let (node, member) = launch.start(adjust)?;
            Ok((node, Some(member)))
        });
    }

    fn resume_match(&mut self, directory: impl Into<PathBuf>) {
        let directory = directory.into();
        open(self, move |player, adjust| {
            let (node, member) = player::resume(&player, &directory)?.start(adjust)?;
            Ok((node, Some(member)))
        });
    }

    fn open_node_file(&mut self, file: impl Into<PathBuf>) {
        let file = file.into();
        open(self, move |_, adjust| {
            let config = NodeFile::read(&file)?;
            let mut raft = config
                .raft_config()
                .map_err(|error| StartError::Thread(error.to_string()))?;
            adjust(&mut raft);
            let links = QuicOptions::bind(&config).map_err(StartError::Links)?;
            Ok((
                NodeHandle::start(NodeOptions::new(&config, raft, links))?,
                None,
            ))
        });
    }

    fn attach_node(&mut self, node: impl Replica + 'static) {
        session::attach_own(self, RaftNode::new(node));
    }

    fn leave_match(&mut self) {
        session::leave(self);
    }
}

/// State of the app's part in a match. [`CurrentMatch`] has the details.
///
/// `Detached`, `Left` or `Failed` → `Starting` → `Joining` → `Running` ⇄ `NoQuorum` → `Leaving` →
/// `Left`. `Running` is entered again after each `NoQuorum`, such as when a leader leaves. `Failed`
/// follows any state; [`MatchFailed`] is triggered as well, also for a request that changes no
/// state.
#[derive(States, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MatchState {
    /// It takes part in none and never did.
    #[default]
    Detached,
    /// The store is opened, or members are asked to admit this machine.
    Starting,
    /// The node runs and receives what has happened so far; see [`CurrentMatch::progress`].
    Joining,
    /// Commands are committed.
    Running,
    /// Too few members are connected: nothing is committed until some return.
    NoQuorum,
    /// The others are asked to agree that this machine leaves.
    Leaving,
    /// The part in the match has ended; see [`CurrentMatch::ended`].
    Left,
    /// The match could not be entered, or its node has stopped; see [`CurrentMatch::failure`].
    Failed,
}

/// The match that the app takes part in, or took part in last.
#[derive(Resource, Clone, Debug, Default)]
pub struct CurrentMatch {
    /// Id of the match; `None` without one, and for one that was created from files.
    pub id: Option<MatchId>,
    /// Name of the match.
    pub name: String,
    /// Name of the player.
    pub player: String,
    /// Id of this machine's member.
    pub member: Option<NodeId>,
    /// Directory of this machine's member, for [`MatchExt::resume_match`].
    pub directory: Option<PathBuf>,
    /// Code with which players on the local network join, at its founder.
    pub code: Option<Code>,
    /// Ticket with which players join, at its founder. It names the members that can be reached.
    /// Other members get one by [`MatchChange::Invite`](crate::MatchChange::Invite).
    pub ticket: Option<String>,
    /// Entries that were applied, and entries to apply, while the machine joins.
    pub progress: Option<(u64, u64)>,
    /// How the part in the match ended.
    pub ended: Option<Ended>,
    /// Why the match could not be entered, or was lost.
    pub failure: Option<MatchFailed>,
}

/// A match could not be entered or left as requested, or its node has stopped.
#[derive(Event, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct MatchFailed {
    /// Kind of the failure, for programs.
    pub kind: FailureKind,
    /// Reason and remedy, for players.
    pub reason: String,
}

/// Kind of a [`MatchFailed`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FailureKind {
    /// The app takes part in a match already.
    TakesPart,
    /// The app takes part in no match.
    NoMatch,
    /// A name, or the text of a ticket or code, cannot be used.
    Input,
    /// The match does not admit this machine.
    Refused(Refusal),
    /// No member of the match answers, or no match has the code.
    Unreachable,
    /// The match speaks another version of the protocol.
    Version,
    /// The address and port to listen on cannot be used.
    Listen,
    /// The member's directory holds no match, another one, or files or settings that cannot be
    /// used.
    Files,
    /// The node has stopped.
    Stopped,
    /// The operating system refused a thread or random numbers, or the program panicked.
    System,
}

impl MatchFailed {
    pub(crate) fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        MatchFailed {
            kind,
            reason: reason.into(),
        }
    }
}

impl From<PlayerError> for MatchFailed {
    fn from(error: PlayerError) -> Self {
        let reason = error.to_string();
        let kind = match error {
            PlayerError::Name { .. }
            | PlayerError::Address { .. }
            | PlayerError::Invitation(_)
            | PlayerError::OtherCode(_) => FailureKind::Input,
            PlayerError::Refused(refusal) => FailureKind::Refused(refusal),
            PlayerError::Ask(AskError::ForeignProtocol)
            | PlayerError::ForeignProtocol { .. }
            | PlayerError::UnexpectedReply => FailureKind::Version,
            PlayerError::Ask(AskError::Local(_)) | PlayerError::Random(_) => FailureKind::System,
            PlayerError::Ask(_) | PlayerError::Discovery(_) | PlayerError::UnknownCode => {
                FailureKind::Unreachable
            }
            PlayerError::Listen { .. }
            | PlayerError::Family { .. }
            | PlayerError::Start(StartError::Links(_)) => FailureKind::Listen,
            PlayerError::Start(StartError::Thread(_)) => FailureKind::System,
            // What is left is about the files of the member.
            _ => FailureKind::Files,
        };
        MatchFailed::new(kind, reason)
    }
}

/// Text that the app adds to its rules.
#[derive(Resource, Default)]
pub(crate) struct OwnRules(pub(crate) Option<String>);

/// Returns the names of all commands and states that this app registered, the version of this
/// plugin's snapshots, the interval of the ticks, and what
/// [`RaftPlugin::with_rules`](crate::RaftPlugin::with_rules) adds. The members of a match have the
/// same ones: a player whose names differ is refused with both lists.
pub fn rules(world: &World) -> String {
    let commands = world.resource::<CommandRegistry>().names();
    let states = world.resource::<StateRegistry>().names();
    let mut names: Vec<_> = commands.chain(states).collect();
    names.sort_unstable();
    let mut rules = names.join(" ");
    rules += &format!(" snapshots:{LAYOUT}");
    if let Some(ticker) = world.get_resource::<Ticker>() {
        let kind = if ticker.is_on_demand() {
            "tick-on-demand"
        } else {
            "tick"
        };
        rules += &format!(" {kind}:{:?}", ticker.interval());
    }
    if let Some(own) = world
        .get_resource::<OwnRules>()
        .and_then(|own| own.0.as_ref())
    {
        rules += &format!(" {own}");
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_kind_that_a_program_reacts_to() {
        let address: Address = "192.168.1.7:7777".parse().unwrap();
        let kind = |error: PlayerError| MatchFailed::from(error).kind;
        let full = Refusal::Full(8);
        assert_eq!(kind(full.clone().into()), FailureKind::Refused(full));
        assert_eq!(kind(PlayerError::UnknownCode), FailureKind::Unreachable);
        assert_eq!(kind(AskError::NoAnswer.into()), FailureKind::Unreachable);
        assert_eq!(kind(AskError::ForeignProtocol.into()), FailureKind::Version);
        let local = AskError::Local("no port".to_owned());
        assert_eq!(kind(local.into()), FailureKind::System);
        assert_eq!(kind(PlayerError::OtherCode(address)), FailureKind::Input);
        let thread = StartError::Thread("none".to_owned());
        assert_eq!(kind(thread.into()), FailureKind::System);
        let empty = PlayerError::Empty {
            directory: PathBuf::new(),
        };
        assert_eq!(kind(empty), FailureKind::Files);
    }
}
