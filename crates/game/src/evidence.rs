//! Reports of orders with an invalid signature.
//!
//! Such an order is in the log only if the leader of its term appended it unchecked. Every machine
//! skips it and writes the entry to a file. The file is not proof to a third party, because entries
//! are not signed by the leader.

use std::path::PathBuf;

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{FalseCommand, NodeId, Roster};
use serde::Serialize;

use crate::report_files::ReportFolder;

/// Schema of the file.
const SCHEMA: &str = "raftian.evidence/1";

/// Beginning of the name of a file.
const KIND: &str = "evidence";

/// The log holds an order that its player did not give.
#[derive(Event, Clone, Debug)]
pub struct FalseOrder {
    /// Index of its entry.
    pub index: u64,
    /// Member in whose name it is.
    pub member: NodeId,
    /// The leader that appended it, as far as this machine knows.
    pub leader: Option<NodeId>,
    /// The file, if it was written.
    pub report: Option<PathBuf>,
    /// It was committed before this machine took part.
    pub replayed: bool,
}

/// A false order, with everything that its signature covers.
#[derive(Serialize)]
struct Evidence {
    schema: &'static str,
    fault: String,
    /// Id of the match.
    match_id: Option<String>,
    index: u64,
    term: u64,
    stamp_ms: u64,
    /// The leader of the term.
    leader: Option<Named>,
    /// The member in whose name the order is.
    member: Named,
    /// Ed25519 key of that member's orders, in hexadecimal.
    key: Option<String>,
    client: u64,
    sequence: u64,
    /// The bytes of the entry, in hexadecimal.
    bytes: String,
}

#[derive(Serialize)]
struct Named {
    id: u64,
    name: Option<String>,
}

impl Named {
    fn of(roster: &Roster, id: NodeId) -> Self {
        let member = roster.get(id);
        Named {
            id: id.0,
            name: member.and_then(|member| member.name.clone()),
        }
    }
}

/// Writes a file for each false order, and triggers [`FalseOrder`].
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ReportFolder>().add_observer(note);
}

fn note(
    found: On<FalseCommand>,
    log: Res<AppliedLog>,
    status: Res<RaftStatus>,
    folder: Res<ReportFolder>,
    mut commands: Commands,
) {
    let info = found.entry;
    let view = status.view.as_ref();
    let leader = view
        .filter(|view| view.status.term == info.term)
        .and_then(|view| view.status.leader);
    let key = log.roster.get(info.member).and_then(|member| member.key);
    let evidence = Evidence {
        schema: SCHEMA,
        fault: format!(
            "an order in the name of a member was committed, but {}",
            found.error
        ),
        match_id: log.roster.signed_match().map(|id| id.to_string()),
        index: info.index.0,
        term: info.term.0,
        stamp_ms: info.stamp.0,
        leader: leader.map(|leader| Named::of(&log.roster, leader)),
        member: Named::of(&log.roster, info.member),
        key: key.map(|key| hex(&key.0)),
        client: info.client.0,
        sequence: info.sequence,
        bytes: hex(&found.bytes),
    };
    let match_id = evidence.match_id.as_deref().unwrap_or("match");
    let name = format!("{match_id}-{}-{}", info.term.0, info.index.0);
    commands.trigger(FalseOrder {
        index: info.index.0,
        member: info.member,
        leader,
        report: folder.write(KIND, &name, &evidence),
        replayed: found.replayed,
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use bevy_raft::{ClientId, EntryInfo, Index, SignatureError, Stamp, Term};

    use super::*;

    #[derive(Resource, Default)]
    struct Found(Vec<FalseOrder>);

    #[test]
    fn order_with_an_invalid_signature_is_kept_in_a_file() {
        let home = tempfile::tempdir().unwrap();
        let mut app = App::new();
        app.init_resource::<AppliedLog>()
            .init_resource::<RaftStatus>()
            .init_resource::<Found>()
            .insert_resource(ReportFolder(Some(home.path().to_owned())))
            .add_plugins(plugin)
            .add_observer(|found: On<FalseOrder>, mut all: ResMut<Found>| {
                all.0.push(found.clone());
            });
        let entry = EntryInfo {
            index: Index(7),
            term: Term(3),
            stamp: Stamp(9),
            member: NodeId(2),
            key: None,
            client: ClientId(5),
            sequence: 1,
        };
        for _ in 0..2 {
            app.world_mut().trigger(FalseCommand {
                entry,
                error: SignatureError::Unsigned,
                bytes: vec![0xab, 1].into(),
                replayed: false,
            });
            app.update();
        }
        let found = &app.world().resource::<Found>().0;
        assert_eq!((found.len(), found[0].index), (2, 7));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
        let file = found[0].report.as_ref().unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(report["schema"], SCHEMA);
        assert_eq!(report["bytes"], "ab01");
        assert_eq!(report["member"]["id"], 2);
        assert!(report["fault"].as_str().unwrap().contains("not signed"));
    }
}
