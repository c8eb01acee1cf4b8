//! Runs a member of a match that players join, from its start to its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use raftian_node::NodeHandle;
use raftian_node::address::Address;
use raftian_node::player::{Ended, Launch, LocalMember, MatchFolders, Player, Progress};
use serde::Serialize;

use super::node::failure;
use super::output::print;
#[cfg(feature = "client")]
use super::play::WindowFlags;
use super::profile::{folders, set_current};
use super::signals::{StopRequest, watch_signals};
use super::{Exit, Failure};
use crate::headless;
use crate::replication::RULES;
use crate::status_document::OwnMember;
use crate::terminal::note;

/// Pause between two lines about the progress of a member that catches up.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// Pause between two lines about a member that waits.
const WAITING_PAUSE: Duration = Duration::from_secs(5);

const NO_LEADER: &str = "no leader yet: a majority of the voters must run and reach each other. If \
                         this member was removed, or its disk is new and too few others run, it \
                         waits in vain: join again with a ticket, or see `raftian recover`";

const NO_QUORUM: &str = "the match stands still: too few of its voters are connected. It goes on \
                         when one of them returns; see `raftian members`";

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
    /// Further address at which other machines reach this one, such as a host name or that of a
    /// router that forwards the port; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) address: Vec<Address>,
    /// Print one JSON document per event instead of text.
    #[arg(long)]
    pub(super) json: bool,
    #[cfg(feature = "client")]
    #[command(flatten)]
    pub(super) window: WindowFlags,
}

impl PlaceArgs {
    /// A member in a window, where it ran before.
    #[cfg(feature = "client")]
    pub(super) fn in_window(window: &WindowFlags) -> Self {
        PlaceArgs {
            headless: false,
            data: None,
            listen: None,
            address: Vec::new(),
            json: false,
            window: window.clone(),
        }
    }

    /// A member without a window, where it ran before.
    pub(super) fn headless(json: bool) -> Self {
        PlaceArgs {
            headless: true,
            data: None,
            listen: None,
            address: Vec::new(),
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
    /// The member cannot take part yet, or no longer.
    Waiting { reason: &'a str },
    /// The member takes part again.
    Resumed,
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

/// Returns the player of this machine's user, with the member's directory if it was named.
pub(super) fn player(name: Option<String>, place: &PlaceArgs) -> Result<Player, Failure> {
    let folders = match (&place.data, folders()) {
        (_, Ok(folders)) => folders,
        // A member whose directory is named needs no other folders.
        (Some(directory), Err(_)) => MatchFolders::inside(directory.parent().unwrap_or(directory)),
        (None, Err(failure)) => return Err(failure),
    };
    Ok(Player {
        name,
        rules: RULES.to_owned(),
        listen: place.listen,
        addresses: place.address.clone(),
        folders,
        directory: place.data.clone(),
    })
}

/// Runs the member until it is interrupted, asked to leave, or its window is closed.
pub(super) fn run(launch: Launch, place: &PlaceArgs, log_level: &str) -> Result<Exit, Failure> {
    let stop_request = watch_signals()?;
    let (node, member) = launch.start(|_| {})?;
    let directory = member.directory().to_owned();
    set_current(&directory);
    let own = OwnMember {
        config: member.config().clone(),
        control: member.control().clone(),
    };
    let session = Arc::new(Mutex::new(Session {
        reporter: Reporter::new(place.json),
        member,
        is_asked: false,
    }));
    let in_loop = Arc::clone(&session);
    let asked = stop_request.clone();
    let step = move |leave: bool| lock(&in_loop).step(leave || asked.is_made());
    let exit = if place.headless {
        headless::run(node, own, step).map_err(failure)?;
        stop_request.exit()
    } else {
        run_in_window(node, own, step, &directory, place, log_level, &stop_request)?
    };
    let mut session = lock(&session);
    let ended = session.member.poll();
    session.member.record_end()?;
    let ending = match ended {
        Some(Ended::Removed) => {
            session.reporter.end(&Event::Removed, &session.member)?;
            return Err(Failure::new(
                Exit::Refused,
                "this member was removed from the match; join again with a ticket",
            ));
        }
        Some(Ended::Left) => Event::Left,
        Some(Ended::Kept) => Event::Stopped {
            reason: "nobody else has a vote, so the match is kept on this disk",
        },
        None if !session.is_asked => Event::Stopped {
            reason: "the window has ended without leaving; this member counts as vanished",
        },
        Some(Ended::NotAgreed) | None => Event::Stopped {
            reason: "too few members answered to confirm that this one has left; if it has not, it \
                     counts as vanished",
        },
    };
    session.reporter.end(&ending, &session.member)?;
    Ok(exit)
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
    member: LocalMember,
    is_asked: bool,
}

impl Session {
    /// Reports progress, and leaves when asked; returns whether the member may end.
    fn step(&mut self, asked: bool) -> bool {
        self.reporter.report(&mut self.member);
        if asked {
            self.is_asked = true;
            self.member.leave();
        }
        self.member.poll().is_some()
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports the progress of a member on standard output.
struct Reporter {
    json: bool,
    is_ready: bool,
    /// A line about a wait was printed after the member was ready.
    is_waiting: bool,
    /// Last report, or the last moment at which a ready member had a leader.
    reported: Instant,
}

impl Reporter {
    fn new(json: bool) -> Self {
        Reporter {
            json,
            is_ready: false,
            is_waiting: false,
            reported: Instant::now(),
        }
    }

    fn report(&mut self, member: &mut LocalMember) {
        if self.is_ready {
            return self.report_quorum(member);
        }
        match member.progress() {
            Progress::Ready => {
                self.is_ready = true;
                self.print_ready(member);
            }
            Progress::CatchingUp { applied, of } if self.reported.elapsed() >= PROGRESS_PAUSE => {
                self.reported = Instant::now();
                self.print(
                    &Event::CatchingUp { applied, of },
                    &format!("catching up {applied} of {of}"),
                );
            }
            Progress::Waiting if self.reported.elapsed() >= WAITING_PAUSE => {
                self.reported = Instant::now();
                self.print(&Event::Waiting { reason: NO_LEADER }, NO_LEADER);
            }
            Progress::CatchingUp { .. } | Progress::Waiting => {}
        }
    }

    /// Reports a longer loss of the quorum, and its end.
    fn report_quorum(&mut self, member: &LocalMember) {
        if member.control().view().status.leader.is_none() {
            if !self.is_waiting && self.reported.elapsed() >= WAITING_PAUSE {
                self.is_waiting = true;
                self.print(&Event::Waiting { reason: NO_QUORUM }, NO_QUORUM);
            }
            return;
        }
        self.reported = Instant::now();
        if self.is_waiting {
            self.is_waiting = false;
            self.print(&Event::Resumed, "the match goes on");
        }
    }

    fn print_ready(&self, member: &LocalMember) {
        let (config, file) = (member.config(), member.file());
        let ticket = member.ticket().map(|ticket| ticket.to_string());
        let listen = config.listen;
        let mut text = format!(
            "{} (n{}) plays {}, on UDP {listen}",
            config.name, config.id.0, file.match_name
        );
        if let Some(code) = file.code {
            text += &format!("\non this network: raftian join {code}");
        }
        if let Some(ticket) = &ticket {
            text += &format!("\nelsewhere: raftian join {ticket}");
        }
        let ready = Event::Ready {
            id: config.id.0,
            name: &config.name,
            match_id: file.match_id.to_string(),
            listen,
            code: file.code.map(|code| code.to_string()),
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
    fn end(&self, event: &Event<'_>, member: &LocalMember) -> Result<(), Failure> {
        if self.json {
            return print(&serde_json::to_string(event).unwrap_or_default());
        }
        match event {
            Event::Stopped { reason } => note(&format!(
                "{reason}; continue with `raftian node --data {}`",
                member.directory().display()
            )),
            // Reported as a failure.
            Event::Removed => {}
            _ => note(&format!("{} has left the match", member.config().name)),
        }
        Ok(())
    }
}
