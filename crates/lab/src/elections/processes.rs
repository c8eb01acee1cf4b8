//! The next leader after one was killed, among real processes: the node that ships, on real disks,
//! over QUIC on the loopback interface.
//!
//! This program starts itself once for each node, with the words before `elections` on its command
//! line and then `elections-node`. A node says on stdout when it stands and when it leads, and ends
//! when its stdin does: whatever becomes of the experiment, no node outlives it.

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
use crate::child_process::{self, Processes};

/// How often a node looks at itself if nobody wakes it.
const GLANCE: Duration = Duration::from_millis(20);

/// What a node said, and when it was heard.
struct Said {
    place: usize,
    stands: bool,
    term: Term,
    at: Instant,
}

/// Starts one cluster, kills its first leader, and measures until the next leads. The seed decides
/// what nodes draw, but not what machine and network make of it.
///
/// # Errors
/// If nodes cannot be started.
pub(super) fn replace_leader(settings: &Settings, size: u64, seed: u64) -> Result<Outcome, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let directory =
        tempfile::tempdir().map_err(|error| format!("no directory for nodes: {error}"))?;
    let (say, heard) = channel();
    let mut nodes = start(settings, size, &mut rng, directory.path(), &say)?;
    drop(say);
    let limit = |since: Instant| since + settings.limit.0;
    let Some(mut leader) = leads(&heard, limit(Instant::now()), Term(0), &mut Vec::new()) else {
        return Ok(Outcome::default());
    };
    let heartbeat = settings.heartbeat.0;
    let beat = Duration::from_micros(rng.random_range(0..heartbeat.as_micros() as u64));
    let settled = Instant::now() + heartbeat * 2 + beat;
    while let Some(newer) = leads(&heard, settled, leader.term, &mut Vec::new()) {
        leader = newer;
    }
    nodes.0[leader.place]
        .kill()
        .map_err(|error| format!("the leader cannot be killed: {error}"))?;
    let (killed, mut stood) = (Instant::now(), Vec::new());
    let next = leads(&heard, limit(killed), leader.term, &mut stood);
    Ok(Outcome {
        time: next
            .as_ref()
            .map(|next| next.at.saturating_duration_since(killed)),
        elections: stood.len() as u64,
        split_votes: split_votes(stood, next.map(|next| next.term)),
        ..Outcome::default()
    })
}

/// The next that leads in a term after `after`, and in which such terms somebody stood until then.
fn leads(
    heard: &Receiver<Said>,
    until: Instant,
    after: Term,
    stood: &mut Vec<Term>,
) -> Option<Said> {
    loop {
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(said) if said.term <= after => {}
            Ok(said) if said.stands => stood.push(said.term),
            Ok(said) => return Some(said),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn start(
    settings: &Settings,
    size: u64,
    rng: &mut ChaCha8Rng,
    directory: &Path,
    say: &Sender<Said>,
) -> Result<Processes, String> {
    let mut nodes = Processes::default();
    for (place, file) in
        child_process::node_files(directory, size as usize, Timing::default(), rng)?
            .iter()
            .enumerate()
    {
        let mut node = child_process::again("elections", "elections-node")?
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
            .map_err(|error| format!("a node cannot be started: {error}"))?;
        let (said, say) = (node.stdout.take(), say.clone());
        nodes.0.push(node);
        thread::spawn(move || said.map(|said| listen(place, BufReader::new(said), &say)));
    }
    Ok(nodes)
}

/// Hears a node until it ends.
fn listen(place: usize, said: impl BufRead, say: &Sender<Said>) {
    for line in said.lines().map_while(Result::ok) {
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
        let said = Said {
            place,
            stands: what == "stands",
            term: Term(term),
            at,
        };
        if say.send(said).is_err() {
            return;
        }
    }
}

/// The life of one node: runs it until stdin ends, and says on stdout in which term it stands or
/// leads, and how many microseconds ago that was: it looks at itself now and then. Until
/// `favourite` has led, whoever leads hands over to it.
///
/// # Errors
/// If it cannot be started, or has stopped.
pub fn live(
    file: &Path,
    settings: &Settings,
    seed: u64,
    mut favourite: Option<NodeId>,
) -> Result<(), String> {
    let settings = |id, founding| settings.config(id, founding, seed);
    let mut node = child_process::start_node(file, settings, Trace::default())?;
    let (wake, woken): (SyncSender<()>, _) = sync_channel(1);
    let waker = move || {
        // Full means that it is awake already.
        let _full = wake.try_send(());
    };
    node.control().set_waker(Arc::new(waker));
    thread::spawn(|| {
        let _end = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let (mut stood, mut led) = (Term(0), Term(0));
    let mut taken = Vec::new();
    loop {
        taken.clear();
        node.take_committed(1024, &mut taken);
        let view = node.view();
        if let Some(reason) = view.stopped {
            return Err(reason.to_string());
        }
        favourite = favourite.filter(|favourite| view.status.leader != Some(*favourite));
        if favourite.is_some() && view.status.role == RoleKind::Leader {
            // Refused or under way, it is asked again at the next glance.
            let _answers = node.take_request_results();
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
                .map_err(|error| error.to_string())?;
        }
        drop(out);
        let _woken_or_late = woken.recv_timeout(GLANCE);
    }
}
