//! Reports about copies that diverged.
//!
//! A machine whose state differs from that of the others receives theirs and plays on. Why it
//! differed is a fault of this program or of the machine, and the state that would show it is
//! replaced: a file keeps what is known about it.

use std::path::PathBuf;

use bevy::prelude::*;
use bevy_raft::CommandRegistry;
use bevy_raft::prelude::*;
use raftian_node::wire::WIRE_VERSION;
use raftian_raft::{Decision, Entry, Moment, NodeId, Payload};
use serde::Serialize;

use crate::report_files::ReportFolder;

/// Schema of the file.
const SCHEMA: &str = "raftian.divergence/1";

/// Beginning of the name of a report's file.
const KIND: &str = "divergence";

/// This machine's copy had diverged and was repaired.
#[derive(Event, Clone, Debug)]
pub struct CopyRepaired {
    /// Last entry that the replaced copy had applied.
    pub index: u64,
    /// The report's file, if it was written.
    pub report: Option<PathBuf>,
}

/// What is known about a copy that diverged.
#[derive(Serialize)]
struct DivergenceReport {
    schema: &'static str,
    /// Version of this program.
    program: &'static str,
    /// Version of the protocol between members.
    wire: u8,
    /// Id of this member.
    member: Option<u64>,
    /// The copy that was replaced.
    replaced: StateCopy,
    /// The copy of the others, from which this machine goes on.
    received: StateCopy,
    /// The last entries of the log after the repair, oldest first.
    entries: Vec<LoggedEntry>,
}

/// A copy of the state, by its hash in hexadecimal after an entry.
#[derive(Serialize)]
struct StateCopy {
    index: u64,
    hash: Option<String>,
}

#[derive(Serialize)]
struct LoggedEntry {
    index: u64,
    term: u64,
    stamp_ms: u64,
    contents: String,
}

/// Writes a report for each repair, and triggers [`CopyRepaired`]. Requires [`ReportFolder`].
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ReportFolder>()
        .init_resource::<Repairs>()
        .add_observer(note_restored)
        .add_systems(PreUpdate, follow.after(RaftSystems::Apply));
}

/// The last restored state, and the repairs that are known.
#[derive(Resource, Default)]
struct Repairs {
    restored: Option<StateRestored>,
    /// When the last one was, on the node's clock.
    seen: Option<(NodeId, Moment)>,
}

fn note_restored(restored: On<StateRestored>, mut repairs: ResMut<Repairs>) {
    repairs.restored = Some(*restored.event());
}

/// Reports repairs of the node once their state is that of this app.
fn follow(
    status: Res<RaftStatus>,
    registry: Res<CommandRegistry>,
    folder: Res<ReportFolder>,
    mut repairs: ResMut<Repairs>,
    mut commands: Commands,
) {
    let Some((view, restored)) = status.view.as_ref().zip(repairs.restored) else {
        return;
    };
    let own = view.status.id;
    let repaired = view
        .events
        .iter()
        .rev()
        .find_map(|event| match event.decision {
            Decision::RepairedState { index, .. } if index == restored.index => Some(event.at),
            _ => None,
        });
    let Some(at) = repaired.filter(|at| repairs.seen != Some((own, *at))) else {
        return;
    };
    repairs.seen = Some((own, at));
    // The leader may send the same snapshot again.
    repairs.restored = None;
    if restored.before == restored.index && restored.hash_before == restored.hash {
        return;
    }
    let report = report(restored, &status, &registry);
    let file = folder.write(KIND, &report.name(), &report);
    let index = restored.before.0;
    match &file {
        Some(file) => error!(index, report = %file.display(), "this copy had diverged"),
        None => error!(index, "this copy had diverged"),
    }
    commands.trigger(CopyRepaired {
        index,
        report: file,
    });
}

fn report(
    restored: StateRestored,
    status: &RaftStatus,
    registry: &CommandRegistry,
) -> DivergenceReport {
    let copy = |index: u64, hash: Option<u64>| StateCopy {
        index,
        hash: hash.map(|hash| format!("{hash:016x}")),
    };
    let view = status.view.as_ref();
    let tail = view.map_or(&[][..], |view| &view.tail);
    DivergenceReport {
        schema: SCHEMA,
        program: env!("CARGO_PKG_VERSION"),
        wire: WIRE_VERSION,
        member: view.map(|view| view.status.id.0),
        replaced: copy(restored.before.0, restored.hash_before),
        received: copy(restored.index.0, restored.hash),
        entries: tail.iter().map(|entry| logged(entry, registry)).collect(),
    }
}

fn logged(entry: &Entry, registry: &CommandRegistry) -> LoggedEntry {
    let contents = match &entry.payload {
        Payload::Command { command, member } => {
            format!("{} of {member}", registry.describe(&command.bytes))
        }
        Payload::Empty => "empty".to_owned(),
        Payload::Membership(_) => "membership".to_owned(),
        Payload::Withheld => "withheld".to_owned(),
    };
    LoggedEntry {
        index: entry.index.0,
        term: entry.term.0,
        stamp_ms: entry.stamp.0,
        contents,
    }
}

impl DivergenceReport {
    /// Name by which its file differs from those of others.
    fn name(&self) -> String {
        let hash = self.replaced.hash.as_deref().unwrap_or("unknown");
        format!("{}-{hash}", self.replaced.index)
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Index, Stamp};

    use super::*;

    fn of(before: u64) -> DivergenceReport {
        let restored = StateRestored {
            index: Index(256),
            stamp: Stamp(7),
            before: Index(before),
            hash_before: Some(0xbad),
            hash: Some(0x900d),
        };
        report(
            restored,
            &RaftStatus::default(),
            &CommandRegistry::default(),
        )
    }

    #[test]
    fn report_names_the_entry_both_hashes_and_the_versions() {
        let home = tempfile::tempdir().unwrap();
        let folder = ReportFolder(Some(home.path().to_owned()));
        let report = of(300);
        let file = folder.write(KIND, &report.name(), &report).unwrap();
        let bytes = std::fs::read(file).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(report["schema"], SCHEMA);
        assert_eq!(report["replaced"]["index"], 300);
        assert_eq!(report["replaced"]["hash"], "0000000000000bad");
        assert_eq!(report["received"]["index"], 256);
        assert_eq!(report["received"]["hash"], "000000000000900d");
        assert_eq!(report["program"], env!("CARGO_PKG_VERSION"));
        assert_eq!(report["wire"], WIRE_VERSION);
    }
}
