//! Reports about copies that diverged.
//!
//! A machine whose state differs from that of the others receives theirs and plays on. Why it
//! differed is a fault of this program or of the machine, and the state that would show it is
//! replaced: a file keeps what is known about it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bevy::prelude::*;
use bevy_raft::CommandRegistry;
use bevy_raft::prelude::*;
use raftian_node::wire::WIRE_VERSION;
use raftian_raft::{Decision, Entry, Moment, NodeId, Payload};
use serde::Serialize;

/// Name of the folder of the reports.
pub const REPORTS: &str = "reports";

/// Schema of the file.
const SCHEMA: &str = "raftian.divergence/1";

/// Most reports in the folder. A machine with faulty memory diverges again and again.
const MAX_REPORTS: usize = 16;

/// Beginning of the name of a report's file.
const PREFIX: &str = "divergence-";

/// Folder of the reports; `None` if there is none, and repairs are only logged.
#[derive(Resource, Clone, Debug, Default)]
pub struct ReportFolder(pub Option<PathBuf>);

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
    let file = folder.0.as_deref().and_then(|folder| {
        let written = write(folder, &report);
        let failed = |error: &io::Error| error!(%error, "the divergence is not reported in a file");
        written.inspect_err(failed).ok()
    });
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

/// Writes a report, and returns its file.
fn write(folder: &Path, report: &DivergenceReport) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let names = fs::read_dir(folder)?.flatten().map(|file| file.file_name());
    let reports = names.filter(|name| name.to_string_lossy().starts_with(PREFIX));
    if reports.count() >= MAX_REPORTS {
        let full = format!(
            "{} holds {MAX_REPORTS} reports; send or remove them",
            folder.display()
        );
        return Err(io::Error::other(full));
    }
    let hash = report.replaced.hash.as_deref().unwrap_or("unknown");
    let name = format!("{PREFIX}{}-{hash}.json", report.replaced.index);
    let file = folder.join(name);
    fs::write(&file, serde_json::to_vec_pretty(report)?)?;
    Ok(file)
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
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), &of(300)).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(report["schema"], SCHEMA);
        assert_eq!(report["replaced"]["index"], 300);
        assert_eq!(report["replaced"]["hash"], "0000000000000bad");
        assert_eq!(report["received"]["index"], 256);
        assert_eq!(report["received"]["hash"], "000000000000900d");
        assert_eq!(report["program"], env!("CARGO_PKG_VERSION"));
        assert_eq!(report["wire"], WIRE_VERSION);
    }

    #[test]
    fn number_of_reports_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let written = (300..340).filter(|before| write(folder.path(), &of(*before)).is_ok());
        assert_eq!(written.count(), MAX_REPORTS);
    }
}
