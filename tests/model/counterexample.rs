//! Counterexamples: the events that lead to a state, one per line, in the scenario language where
//! it has a command for the event.

use std::fmt::Write;

use raftian_sim::cluster::Kind;
use stateright::Path;

use crate::action::Action;
use crate::cluster::World;
use crate::host::Host;

/// Formats the events of `path`, and the state of every node at its end.
pub(crate) fn transcript(path: Path<World, Action>) -> String {
    let mut transcript = String::new();
    for (world, action) in path.into_vec() {
        match action {
            Some(action) => line(&mut transcript, &world, action),
            None => ending(&mut transcript, &world),
        }
    }
    transcript
}

fn line(transcript: &mut String, world: &World, action: Action) {
    let read = world.spent.reads + 1;
    let written = match action {
        Action::Campaign(id) => writeln!(transcript, "campaign {id}"),
        Action::Deliver(place) => {
            let envelope = world.network.get(place);
            let from = envelope.from;
            let to = envelope.to;
            let kind = Kind::of(&envelope.message).name();
            writeln!(
                transcript,
                "{:<40}# {envelope}",
                format!("deliver {from}->{to} {kind}")
            )
        }
        Action::Propose(id) => {
            writeln!(transcript, "propose {id} \"{}\"", world.spent.proposals + 1)
        }
        Action::Heartbeat(id) => writeln!(transcript, "tick {id}"),
        Action::Write(id) => writeln!(transcript, "release-disk {id} 1"),
        Action::Crash(id, 0) => writeln!(transcript, "crash {id}\nrestart {id}"),
        Action::Crash(id, kept) => {
            writeln!(
                transcript,
                "release-disk {id} {kept}\ncrash {id}\nrestart {id}"
            )
        }
        Action::Wipe(id) => writeln!(transcript, "wipe {id}"),
        Action::Snapshot(id) => {
            let applied = world
                .hosts
                .iter()
                .find(|host| host.id() == id)
                .map_or(0, |host| host.node.applied().0);
            writeln!(transcript, "compact {id} {applied}")
        }
        Action::Change(id) => writeln!(transcript, "member {id} …"),
        Action::Read(id) => writeln!(transcript, "read {id} as r{read}"),
        Action::TransferLeadership(id, to) => writeln!(transcript, "transfer {id} {to}"),
        Action::Tick(Some(id)) => writeln!(transcript, "# the clock of {id} advances"),
        Action::Tick(None) => writeln!(transcript, "# all clocks advance"),
    };
    written.expect("writing to a string cannot fail");
}

fn ending(transcript: &mut String, world: &World) {
    for host in &world.hosts {
        let id = host.id();
        let role = host.node.role();
        let term = host.node.term();
        let commit = host.node.commit();
        writeln!(
            transcript,
            "# {id} {role} {term}, commit {commit}, log {}",
            log(host)
        )
        .expect("writing to a string cannot fail");
    }
    if let Some(broken) = &world.broken {
        writeln!(
            transcript,
            "# {} is violated: {}",
            broken.property, broken.what
        )
        .expect("writing to a string cannot fail");
    }
}

/// Terms of the entries in the node's log.
fn log(host: &Host) -> String {
    let start = host.node.log_start().position.index;
    let terms = host
        .node
        .entries_from(start.next())
        .iter()
        .map(|entry| entry.term.0.to_string());
    let before = (start.0 > 0).then(|| format!("(up to {start})"));
    before
        .into_iter()
        .chain(terms)
        .collect::<Vec<_>>()
        .join(" ")
}
