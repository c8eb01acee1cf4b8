//! Replacement of a killed leader among real processes: the shipping node on real disks, over QUIC
//! on the loopback interface.
//!
//! This program starts itself once for each node, as `elections-node`. A node reports candidacies
//! and election wins on stdout and exits when its stdin closes, so no node outlives the experiment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use raftian_node::Replica;
use raftian_node::cluster::Timing;
use raftian_node::trace::Trace;
use raftian_raft::{Decision, NodeId, RoleKind, Term};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::cluster::split_votes;
use super::{Outcome, Settings};
use crate::child_process::{self, ProcessError, Processes};

/// Longest interval between status checks without a wake-up.
const GLANCE: Duration = Duration::from_millis(20);

/// A node's report and the time it happened.
struct NodeReport {
    place: usize,
    stands: bool,
    term: Term,
    at: Instant,
}

/// Starts one cluster, kills its first leader, and measures until the next leader is elected. The
/// seed determines the nodes' random draws, but not the timing of machine and network.
///
/// # Errors
/// If nodes cannot be started.
pub(super) fn replace_leader(
    settings: &Settings,
    size: u64,
    seed: u64,
) -> Result<Outcome, ProcessError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let directory = tempfile::tempdir().map_err(|source| ProcessError::TemporaryDirectory {
        users: "nodes",
        source,
    })?;
    let (sender, receiver) = channel();
    let mut nodes = start(settings, size, &mut rng, directory.path(), &sender)?;
    // With this sender `receiver` would not disconnect after all nodes have exited.
    drop(sender);
    let limit = |since: Instant| since + settings.limit.0;
    let Some(mut leader) = leads(&receiver, limit(Instant::now()), Term(0), &mut Vec::new()) else {
        return Ok(Outcome::default());
    };
    let heartbeat = settings.heartbeat.0;
    // A kill at a fixed phase would bias the time since the last heartbeat.
    let beat = Duration::from_micros(rng.random_range(0..heartbeat.as_micros() as u64));
    let settled = Instant::now() + heartbeat * 2 + beat;
    // A newer leader may still replace the first before the cluster settles.
    while let Some(newer) = leads(&receiver, settled, leader.term, &mut Vec::new()) {
        leader = newer;
    }
    nodes.0[leader.place]
        .kill()
        .map_err(|source| ProcessError::Kill {
            process: "the leader".to_owned(),
            source,
        })?;
    let killed = Instant::now();
    let mut stood = Vec::new();
    let next = leads(&receiver, limit(killed), leader.term, &mut stood);
    Ok(Outcome {
        time: next
            .as_ref()
            .map(|next| next.at.saturating_duration_since(killed)),
        elections: stood.len() as u64,
        split_votes: split_votes(stood, next.map(|next| next.term)),
        ..Outcome::default()
    })
}

/// Waits for a leader in a term after `after`, and collects such terms with a candidate.
fn leads(
    receiver: &Receiver<NodeReport>,
    until: Instant,
    after: Term,
    stood: &mut Vec<Term>,
) -> Option<NodeReport> {
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            // A late report of an earlier term.
            Ok(report) if report.term <= after => {}
            Ok(report) if report.stands => stood.push(report.term),
            Ok(report) => return Some(report),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn start(
    settings: &Settings,
    size: u64,
    rng: &mut ChaCha8Rng,
    directory: &Path,
    sender: &Sender<NodeReport>,
) -> Result<Processes, ProcessError> {
    let mut nodes = Processes::default();
    for (place, file) in
        child_process::node_files(directory, size as usize, Timing::default(), rng)?
            .iter()
            .enumerate()
    {
        let mut node = child_process::again("elections-node")?
            .arg(file)
            .args(["--seed", &rng.random::<u64>().to_string()])
            .args([
                "--timeout",
                &settings.timeout.to_string(),
                "--heartbeat",
                &settings.heartbeat.to_string(),
            ])
            .args(["--pre-vote", if settings.pre_vote { "on" } else { "off" }])
            .spawn()
            .map_err(|source| ProcessError::Spawn {
                process: "a node".to_owned(),
                source,
            })?;
        let stdout = node.stdout.take();
        let sender = sender.clone();
        nodes.0.push(node);
        thread::spawn(move || stdout.map(|stdout| listen(place, BufReader::new(stdout), &sender)));
    }
    Ok(nodes)
}

/// Forwards a node's reports until its stdout closes.
fn listen(place: usize, stdout: impl BufRead, sender: &Sender<NodeReport>) {
    for line in stdout.lines().map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        let [what, term, ago] = words[..] else {
            continue;
        };
        let (Ok(term), Ok(ago)) = (term.parse(), ago.parse()) else {
            continue;
        };
        let at = Instant::now()
            .checked_sub(Duration::from_micros(ago))
            .unwrap_or_else(Instant::now);
        let report = NodeReport {
            place,
            stands: what == "stands",
            term: Term(term),
            at,
        };
        if sender.send(report).is_err() {
            return;
        }
    }
}

/// Runs one node until stdin closes, and reports on stdout the term of each candidacy and win, and
/// how many microseconds ago it happened, since events are polled. Until `favourite` has led, every
/// other leader transfers leadership to it.
///
/// # Errors
/// If the node cannot be started, or has stopped.
pub fn live(
    file: &Path,
    settings: &Settings,
    seed: u64,
    mut favourite: Option<NodeId>,
) -> Result<(), ProcessError> {
    let settings = |id, founding| settings.config(id, founding, seed);
    let mut node = child_process::start_node(file, settings, Trace::default())?;
    let (wake, woken): (SyncSender<()>, _) = sync_channel(1);
    let waker = move || {
        // A full channel already holds a wake-up.
        let _full = wake.try_send(());
    };
    node.control().set_waker(Arc::new(waker));
    thread::spawn(|| {
        // Stdin closes when the experiment exits, even if it crashes.
        let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let mut stood = Term(0);
    let mut led = Term(0);
    let mut taken = Vec::new();
    loop {
        taken.clear();
        node.take_committed(1024, &mut taken);
        let view = node.view();
        if let Some(reason) = view.stopped {
            return Err(reason.into());
        }
        // Once the favourite has led, leadership may move freely.
        favourite = favourite.filter(|favourite| view.status.leader != Some(*favourite));
        if favourite.is_some() && view.status.role == RoleKind::Leader {
            // Retried at the next check if refused; a transfer under way is unaffected.
            let _earlier_results = node.take_responses();
            let _refused = node.transfer_leadership(favourite);
        }
        let mut out = std::io::stdout().lock();
        for event in &view.events {
            let what = match event.decision {
                Decision::StoodForElection { .. } if event.term > stood => {
                    stood = event.term;
                    "stands"
                }
                Decision::WonElection { .. } if event.term > led => {
                    led = event.term;
                    "leads"
                }
                _ => continue,
            };
            let ago = view.now.since(event.at).as_micros();
            writeln!(out, "{what} {} {ago}", event.term.0)
                .and_then(|()| out.flush())
                .map_err(ProcessError::Report)?;
        }
        drop(out);
        let _woken_or_late = woken.recv_timeout(GLANCE);
    }
}
