//! Evidence of members that lie: orders with an invalid signature, and signed checkpoints that
//! contradict each other.
//!
//! A false order is in the log only if the leader of its term appended it unchecked. Every machine
//! skips it and writes the entry to a file. That file is not proof to a third party, because entries
//! are not signed by the leader. Two checkpoints are: each has the signature of its member.

use std::path::PathBuf;
use std::sync::Arc;

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{DisputeKind, FalseCommand, HistoryDisputed, NodeId, Roster, SignedCheckpoint};
use raftian_node::checkpoint::Checkpoints;
use serde::Serialize;

use crate::report_files::ReportFolder;

/// Schema of the file.
const SCHEMA: &str = "raftian.evidence/1";

/// Beginning of the name of a file about a false order.
const KIND: &str = "evidence";

/// Beginning of the name of a file about two checkpoints. They are counted apart: a leader may let
/// any number of false orders through.
const CHECKPOINTS_KIND: &str = "contradiction";

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

/// Two signed checkpoints contradict each other.
#[derive(Event, Clone, Debug)]
pub struct HistoriesContradict {
    /// How they do.
    pub kind: DisputeKind,
    /// The last entry that both cover.
    pub index: u64,
    /// The members that signed them, the same one for [`DisputeKind::TwoHistories`].
    pub members: [NodeId; 2],
    /// The file, if it was written.
    pub report: Option<PathBuf>,
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

/// Two checkpoints at one index, with everything that their signatures cover.
#[derive(Serialize)]
struct Contradiction {
    schema: &'static str,
    fault: &'static str,
    /// Id of the match.
    match_id: Option<String>,
    index: u64,
    checkpoints: [Signed; 2],
}

/// A signed checkpoint; numbers without another remark are in hexadecimal.
#[derive(Serialize)]
struct Signed {
    member: Named,
    /// Ed25519 key of the member.
    key: Option<String>,
    /// Incarnation of the member's disk, in decimal.
    incarnation: u64,
    /// Hash of the history.
    head: String,
    /// Hash of the state.
    state: String,
    signature: String,
}

impl Signed {
    fn of(roster: &Roster, checkpoints: &Checkpoints, signed: &SignedCheckpoint) -> Self {
        // A leader may have recorded another one since.
        let verified = checkpoints.key(signed.member).copied();
        let recorded = roster.get(signed.member).and_then(|member| member.key);
        let key = verified.or(recorded);
        Signed {
            member: Named::of(roster, signed.member),
            key: key.map(|key| hex(&key.0)),
            incarnation: signed.incarnation.0,
            head: signed.checkpoint.head.to_string(),
            state: format!("{:016x}", signed.checkpoint.state),
            signature: hex(&signed.signature),
        }
    }
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

/// Writes a file for each false order and each contradiction, and triggers [`FalseOrder`] and
/// [`HistoriesContradict`].
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ReportFolder>()
        .add_observer(note)
        .add_observer(note_dispute);
}

fn note_dispute(
    found: On<HistoryDisputed>,
    log: Res<AppliedLog>,
    status: Res<RaftStatus>,
    folder: Res<ReportFolder>,
    mut commands: Commands,
) {
    let view = status.view.as_ref();
    let checkpoints = view.map(|view| Arc::clone(&view.checkpoints));
    let checkpoints = checkpoints.unwrap_or_default();
    let dispute = &found.dispute;
    let both = [&dispute.one, &dispute.other];
    let members = both.map(|signed| signed.member);
    let index = dispute.one.checkpoint.index.0;
    let kind = dispute.kind();
    let evidence = Contradiction {
        schema: SCHEMA,
        fault: match kind {
            DisputeKind::TwoHistories => "a member signed two histories",
            DisputeKind::Histories => "two members signed different histories",
            DisputeKind::States => "two members signed different states after the same history",
        },
        match_id: log.roster.signed_match().map(|id| id.to_string()),
        index,
        checkpoints: both.map(|signed| Signed::of(&log.roster, &checkpoints, signed)),
    };
    let match_id = evidence.match_id.as_deref().unwrap_or("match");
    let [one, other] = members.map(|member| member.0);
    let kind_name = match kind {
        DisputeKind::TwoHistories => "two-histories",
        DisputeKind::Histories => "histories",
        DisputeKind::States => "states",
    };
    let name = format!("{match_id}-{kind_name}-{index}-{one}-{other}");
    commands.trigger(HistoriesContradict {
        kind,
        index,
        members,
        report: folder.write(CHECKPOINTS_KIND, &name, &evidence),
    });
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
    use bevy_raft::{
        ChainHead, Checkpoint, ClientId, Dispute, EntryInfo, Index, SignatureError, Stamp, Term,
    };

    use raftian_raft::Incarnation;

    use super::*;

    #[derive(Resource, Default)]
    struct Contradictions(Vec<HistoriesContradict>);

    #[test]
    fn contradicting_checkpoints_are_kept_with_their_signatures() {
        let home = tempfile::tempdir().unwrap();
        let mut app = App::new();
        app.init_resource::<AppliedLog>()
            .init_resource::<RaftStatus>()
            .init_resource::<Contradictions>()
            .insert_resource(ReportFolder(Some(home.path().to_owned())))
            .add_plugins(plugin)
            .add_observer(
                |found: On<HistoriesContradict>, mut all: ResMut<Contradictions>| {
                    all.0.push(found.clone());
                },
            );
        let signed = |member, head| SignedCheckpoint {
            member: NodeId(member),
            incarnation: Incarnation(1),
            checkpoint: Checkpoint {
                index: Index(256),
                head: ChainHead([head; 32]),
                state: 1,
            },
            signature: vec![head],
        };
        for other in [2, 1] {
            let dispute = Dispute {
                one: signed(1, 3),
                other: signed(other, 4),
            };
            app.world_mut().trigger(HistoryDisputed { dispute });
            app.update();
        }
        let found = &app.world().resource::<Contradictions>().0;
        let kinds: Vec<_> = found.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [DisputeKind::Histories, DisputeKind::TwoHistories]);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2);
        let file = found[0].report.as_ref().unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(report["index"], 256);
        assert_eq!(report["checkpoints"][1]["member"]["id"], 2);
        assert_eq!(report["checkpoints"][1]["head"], "04".repeat(32));
        assert_eq!(report["checkpoints"][0]["signature"], "03");
    }

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
