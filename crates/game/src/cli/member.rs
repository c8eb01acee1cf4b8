//! Runs a member of a match that players join, from its start to its end.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use raftian_node::cluster::{FirstStart, MemberFile, NodeConfig};
use raftian_node::code::Code;
use raftian_node::contact::{contacts, local_addresses};
use raftian_node::match_request::{MatchReply, MatchRequest, Refusal};
use raftian_node::quic::QuicOptions;
use raftian_node::ticket::{MatchId, Secret, Ticket, TicketMember};
use raftian_node::{NodeControl, NodeHandle};
use raftian_raft::{Membership, NodeId, Status};
use serde::Serialize;
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::node::failure;
use super::output::print;
#[cfg(feature = "client")]
use super::play::WindowFlags;
use super::profile::set_current;
use super::signals::{StopRequest, watch_signals};
use super::{Exit, Failure};
use crate::embedded::start_node;
use crate::headless;
use crate::lan::Announcer;
use crate::status_document::OwnMember;
use crate::terminal::note;

/// UDP port of a member that names none, if it is free.
pub(super) const PORT: u16 = 7777;

/// Longest time that a leaving member waits for the commitment of its removal.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two lines about the progress of a member that catches up.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// Pause between two looks at the membership for announcements on the local network.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);

/// Pause between two lines about a member that waits.
const WAITING_PAUSE: Duration = Duration::from_secs(5);

const NO_LEADER: &str = "no leader yet: a majority of the voters must run and reach each other. If \
                         this member was removed, or its disk is new and too few others run, it \
                         waits in vain: join again with a ticket, or see `raftian recover`";

/// Where a member runs.
#[derive(Args, Debug)]
pub(super) struct PlaceArgs {
    /// Run without a window, until interrupted.
    #[arg(long)]
    pub(super) headless: bool,
    /// Directory of the member; the default is in the user's data folder. A member that is in it
    /// already continues.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Address and UDP port to listen on.
    #[arg(long, value_name = "IP:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// Print one JSON document per event instead of text.
    #[arg(long)]
    pub(super) json: bool,
    #[cfg(feature = "client")]
    #[command(flatten)]
    pub(super) window: WindowFlags,
}

impl PlaceArgs {
    /// A member without a window, where it ran before.
    pub(super) fn headless(json: bool) -> Self {
        PlaceArgs {
            headless: true,
            data: None,
            listen: None,
            json,
            #[cfg(feature = "client")]
            window: WindowFlags::default(),
        }
    }
}

/// An event of a running member, for scripts.
#[derive(Serialize, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    /// The member receives the log.
    CatchingUp {
        /// Entries that it has applied.
        applied: u64,
        /// Entries of the leader.
        of: u64,
    },
    /// The member takes part.
    Ready {
        id: u64,
        name: &'a str,
        #[serde(rename = "match")]
        match_id: String,
        listen: SocketAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ticket: Option<String>,
    },
    /// The member cannot take part yet.
    Waiting { reason: &'a str },
    /// The member has left the match.
    Left,
    /// The member was removed from the match.
    Removed,
    /// The member ends; the match is kept on its disk.
    Stopped { reason: &'a str },
}

/// Refuses to begin without the display that a window needs.
pub(super) fn check_display(place: &PlaceArgs) -> Result<(), Failure> {
    if place.headless {
        return Ok(());
    }
    #[cfg(feature = "client")]
    let checked = crate::display::check().map_err(|error| {
        Failure::new(
            Exit::NoDisplay,
            format!("{error}; add --headless to play without a window"),
        )
    });
    #[cfg(not(feature = "client"))]
    let checked = Err(Failure::new(
        Exit::NoDisplay,
        "this build has no window; add --headless",
    ));
    checked
}

/// Opens the port that was asked for, or the last one, or any.
pub(super) fn bind(
    asked: Option<SocketAddr>,
    last: Option<SocketAddr>,
) -> Result<(UdpSocket, SocketAddr), Failure> {
    let cannot = |address: SocketAddr, error: std::io::Error| {
        Failure::new(
            Exit::Network,
            format!(
                "cannot listen on UDP {address}: {error}; choose another address or port with \
                 --listen"
            ),
        )
    };
    let any = |port| {
        [
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ]
    };
    let candidates = match (asked, last) {
        (Some(asked), _) => vec![asked],
        (None, Some(last)) => vec![last, SocketAddr::new(last.ip(), 0)],
        (None, None) => [any(PORT), any(0)].concat(),
    };
    let mut failed = None;
    for address in candidates {
        match UdpSocket::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket))) {
            Ok((bound, socket)) => return Ok((socket, bound)),
            Err(error) => failed = Some(cannot(address, error)),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::new(Exit::Network, "there is no address to listen on")))
}

/// A member that is about to run.
pub(super) struct Launch {
    pub(super) directory: PathBuf,
    pub(super) file: MemberFile,
    pub(super) first_start: Option<FirstStart>,
    pub(super) socket: UdpSocket,
}

/// Runs the member until it is interrupted, asked to leave, or its window is closed.
pub(super) fn run(launch: Launch, place: &PlaceArgs, log_level: &str) -> Result<Exit, Failure> {
    let Launch {
        directory,
        mut file,
        first_start,
        socket,
    } = launch;
    let stop_request = watch_signals()?;
    let config = file.config(&directory, local_addresses(file.listen), first_start)?;
    let node = start_node(&config, QuicOptions::new(socket, &config))?;
    // After the start: a member that runs already must keep its file.
    file.write(&directory)?;
    set_current(&directory);
    let control = node.control();
    let member = OwnMember {
        config: config.clone(),
        control: control.clone(),
    };
    let session = Arc::new(Mutex::new(Session {
        reporter: Reporter::new(&config, &file, place.json),
        announcer: announcer(&config),
        announced: None,
        leaving: Leaving::default(),
        control,
    }));
    let in_loop = Arc::clone(&session);
    let asked = stop_request.clone();
    let step = move |leave: bool| lock(&in_loop).step(leave || asked.is_made());
    let exit = if place.headless {
        headless::run(node, member, step).map_err(failure)?;
        stop_request.exit()
    } else {
        run_in_window(
            node,
            member,
            step,
            &directory,
            place,
            log_level,
            &stop_request,
        )?
    };
    let mut session = lock(&session);
    let is_removed = session.control.links().is_removed() && session.leaving.outcome.is_none();
    if is_removed {
        file.left = true;
        file.write(&directory)?;
        session.reporter.end(&Event::Removed, &directory)?;
        return Err(Failure::new(
            Exit::Refused,
            "this member was removed from the match; join again with a ticket",
        ));
    }
    let ending = match session.leaving.outcome.take() {
        Some(MatchReply::Done) => {
            file.left = true;
            file.write(&directory)?;
            Event::Left
        }
        Some(MatchReply::Refused(Refusal::LastVoter)) => Event::Stopped {
            reason: "nobody else has a vote, so the match is kept on this disk",
        },
        None if session.leaving.reply.is_none() => Event::Stopped {
            reason: "the window has ended without leaving; this member counts as vanished",
        },
        _ => Event::Stopped {
            reason: "too few members answered to agree that this one leaves; it counts as vanished",
        },
    };
    session.reporter.end(&ending, &directory)?;
    Ok(exit)
}

/// Prepares the announcements of a member. The match works without them.
fn announcer(config: &NodeConfig) -> Option<Announcer> {
    match Announcer::new(config.identity.fingerprint(), config.listen) {
        Ok(announcer) => Some(announcer),
        Err(error) => {
            tracing::warn!(%error, "the match is not announced on the local network");
            None
        }
    }
}

#[cfg(feature = "client")]
fn run_in_window(
    node: NodeHandle,
    member: OwnMember,
    step: impl FnMut(bool) -> bool + Send + Sync + 'static,
    directory: &Path,
    place: &PlaceArgs,
    log_level: &str,
    stop_request: &StopRequest,
) -> Result<Exit, Failure> {
    let arguments = ["--data".into(), directory.into()];
    super::play::run_player(
        node,
        member,
        step,
        arguments,
        &place.window,
        log_level,
        stop_request,
    )
}

#[cfg(not(feature = "client"))]
fn run_in_window(
    _node: NodeHandle,
    _member: OwnMember,
    _step: impl FnMut(bool) -> bool,
    _directory: &Path,
    _place: &PlaceArgs,
    _log_level: &str,
    _stop_request: &StopRequest,
) -> Result<Exit, Failure> {
    Err(Failure::new(
        Exit::NoDisplay,
        "this build has no window; add --headless",
    ))
}

/// A running member, as its loop looks after it.
struct Session {
    reporter: Reporter,
    announcer: Option<Announcer>,
    announced: Option<Instant>,
    leaving: Leaving,
    control: NodeControl,
}

impl Session {
    /// Reports progress, and leaves when asked; returns whether the member may end.
    fn step(&mut self, asked: bool) -> bool {
        self.reporter.report(&self.control);
        if self.control.links().is_removed() {
            // The others may close the connections before their reply arrives.
            if self.leaving.reply.is_some() {
                self.leaving.outcome = Some(MatchReply::Done);
            }
            return true;
        }
        let is_due = self
            .announced
            .is_none_or(|announced| announced.elapsed() >= ANNOUNCE_PAUSE);
        if let Some(announcer) = self.announcer.as_mut().filter(|_| is_due) {
            self.announced = Some(Instant::now());
            announcer.announce(&self.control.view().status.membership);
        }
        let own = self.reporter.config.id;
        asked && self.leaving.is_complete(&self.control, own)
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A removal of the own member in progress.
#[derive(Default)]
struct Leaving {
    reply: Option<(Instant, Receiver<MatchReply>)>,
    outcome: Option<MatchReply>,
}

impl Leaving {
    /// Begins to leave; returns whether the member may end.
    fn is_complete(&mut self, control: &NodeControl, own: NodeId) -> bool {
        let (since, reply) = self.reply.get_or_insert_with(|| {
            let remove = MatchRequest::Remove { member: own };
            (Instant::now(), control.request(remove))
        });
        if self.outcome.is_some() {
            return true;
        }
        match reply.try_recv() {
            Ok(outcome) => {
                self.outcome = Some(outcome);
                true
            }
            Err(TryRecvError::Empty) => since.elapsed() >= LEAVE_TIMEOUT,
            Err(TryRecvError::Closed) => true,
        }
    }
}

/// Reports the progress of a member on standard output.
struct Reporter {
    config: NodeConfig,
    match_id: MatchId,
    match_name: String,
    /// Invites of the founder.
    code: Option<Code>,
    invite: Option<(u32, Secret)>,
    json: bool,
    is_ready: bool,
    reported: Instant,
}

impl Reporter {
    fn new(config: &NodeConfig, file: &MemberFile, json: bool) -> Self {
        Reporter {
            config: config.clone(),
            match_id: file.match_id,
            match_name: file.match_name.clone(),
            code: file.code,
            invite: file.invite.clone(),
            json,
            is_ready: false,
            reported: Instant::now(),
        }
    }

    fn report(&mut self, control: &NodeControl) {
        if self.is_ready {
            return;
        }
        let status = control.view().status;
        let is_member = status.membership.contains(self.config.id);
        let is_current = status.applied >= status.commit && status.leader.is_some();
        if is_member && is_current {
            self.is_ready = true;
            self.print_ready(&status);
        } else if status.leader.is_some() && self.reported.elapsed() >= PROGRESS_PAUSE {
            self.reported = Instant::now();
            let (applied, of) = (status.applied.0, status.commit.0);
            self.print(
                &Event::CatchingUp { applied, of },
                &format!("catching up {applied} of {of}"),
            );
        } else if self.reported.elapsed() >= WAITING_PAUSE {
            self.reported = Instant::now();
            self.print(&Event::Waiting { reason: NO_LEADER }, NO_LEADER);
        }
    }

    fn print_ready(&self, status: &Status) {
        let ticket = self.invite.as_ref().map(|(number, secret)| {
            ticket(self.match_id, *number, secret, &status.membership).to_string()
        });
        let listen = self.config.listen;
        let mut text = format!(
            "{} (n{}) plays {}, on UDP {listen}",
            self.config.name, self.config.id.0, self.match_name
        );
        if let Some(code) = self.code {
            text += &format!("\non this network: raftian join {code}");
        }
        if let Some(ticket) = &ticket {
            text += &format!("\nelsewhere: raftian join {ticket}");
        }
        let ready = Event::Ready {
            id: self.config.id.0,
            name: &self.config.name,
            match_id: self.match_id.to_string(),
            listen,
            code: self.code.map(|code| code.to_string()),
            ticket,
        };
        self.print(&ready, &text);
    }

    /// Prints an event as JSON or as text.
    fn print(&self, event: &Event<'_>, text: &str) {
        let line = if self.json {
            serde_json::to_string(event).unwrap_or_default()
        } else {
            text.to_owned()
        };
        // On its own thread: standard output may be a pipe that is full and never read, and must
        // not block the match.
        std::thread::spawn(move || {
            let _unread = print(&line).is_err();
        });
    }

    /// Reports the end of the member.
    fn end(&self, event: &Event<'_>, directory: &Path) -> Result<(), Failure> {
        if self.json {
            return print(&serde_json::to_string(event).unwrap_or_default());
        }
        match event {
            Event::Stopped { reason } => note(&format!(
                "{reason}; continue with `raftian node --data {}`",
                directory.display()
            )),
            // Reported as a failure.
            Event::Removed => {}
            _ => note(&format!("{} has left the match", self.config.name)),
        }
        Ok(())
    }
}

/// Returns a ticket with the members that can be reached.
pub(super) fn ticket(
    match_id: MatchId,
    invite: u32,
    secret: &Secret,
    membership: &Membership,
) -> Ticket {
    let members = contacts(membership)
        .into_iter()
        .map(|(_, contact)| TicketMember::new(&contact.fingerprint, contact.addresses));
    Ticket {
        match_id,
        invite,
        secret: secret.clone(),
        members: members.collect(),
    }
}

/// Name of a player who gives none: that of the user.
pub(super) fn default_name() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("USERNAME"));
    user.ok()
        .filter(|name| raftian_node::cluster::check_player_name(name).is_ok())
        .unwrap_or_else(|| "player".to_owned())
}
