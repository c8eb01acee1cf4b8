//! Signed commands: what a dishonest leader appends in another player's name has no effect.
//!
//! The nodes of these clusters have no signer, so they append what they are given.

use bevy_app::App;
use raftian_node::cluster::Identity;
use raftian_node::contact::Contact;
use raftian_node::match_record::MatchRecord;
use raftian_node::signing::{CommandKey, CommandSigner};
use raftian_node::ticket::MatchId;
use raftian_raft::{Change, ClientId};
use serde::{Deserialize, Serialize};

use super::*;
use crate::command::AddReplicatedCommand;
use crate::propose::ProposeExt;
use crate::state::{AddReplicatedState, ReplicatedState};
use crate::test_app::TestCluster;

const MATCH: MatchId = MatchId([5; 16]);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Add(u64);

impl ReplicatedCommand for Add {
    const NAME: &'static str = "test.add/1";
}

/// Replicated state: the numbers that were added, in order.
#[derive(Resource, Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Added(Vec<u64>);

impl ReplicatedState for Added {
    const NAME: &'static str = "test.added/1";
}

/// False commands that were announced: index, member and error.
#[derive(Resource, Default)]
struct Announced(Vec<(Index, NodeId, SignatureError)>);

/// Keys of the commands that were applied, in order.
#[derive(Resource, Default)]
struct Keys(Vec<Option<CommandKey>>);

fn add(entry: Res<CommittedEntry>, mut added: ResMut<Added>, mut keys: ResMut<Keys>) {
    if let Some(Add(number)) = entry.command() {
        added.0.push(*number);
        keys.0.push(entry.info().and_then(|info| info.key));
    }
}

fn note_false(found: On<FalseCommand>, mut announced: ResMut<Announced>) {
    let info = &found.entry;
    announced.0.push((info.index, info.member, found.error));
}

fn record(count: u64) -> MatchRecord {
    MatchRecord {
        id: MATCH,
        name: "test".to_owned(),
        rules: String::new(),
        next_member: count + 1,
        next_invite: 1,
        code: None,
        invites: Vec::new(),
        spectators: Vec::new(),
        ballots: Vec::new(),
    }
}

/// A cluster of players who sign, and their keys.
fn players(count: u64) -> (TestCluster, Vec<Identity>) {
    let identities: Vec<_> = (0..count).map(|_| Identity::generate().unwrap()).collect();
    let record = record(count);
    let contacts = (1..).map(NodeId).zip(&identities).map(|(id, identity)| {
        let contact = Contact {
            name: id.to_string(),
            fingerprint: identity.fingerprint(),
            addresses: Vec::new(),
            key: Some(CommandSigner::new(identity).key()),
        };
        (id, contact.encode().unwrap())
    });
    let recorded = Change::Record {
        contacts: contacts.collect(),
        annex: Some(record.encode().unwrap()),
    };
    let settings = move |config: &mut raftian_raft::Config| {
        config.membership = config.membership.after(&recorded).unwrap();
    };
    let set_up = |app: &mut App| {
        app.add_replicated_command::<Add>()
            .add_replicated_state::<Added>()
            .add_systems(ApplyCommitted, add)
            .init_resource::<Announced>()
            .init_resource::<Keys>()
            .add_observer(note_false);
    };
    let cluster = TestCluster::with_settings(count, settings, set_up);
    (cluster, identities)
}

fn unsigned(app: &App, (client, sequence): (ClientId, u64), number: u64) -> Command {
    let registry = app.world().resource::<CommandRegistry>();
    Command {
        client,
        sequence,
        bytes: registry.encode(&Add(number)).unwrap(),
    }
}

/// A command that the holder of `by` signed as that of a member.
fn signed(by: &Identity, member: u64, command: Command) -> Command {
    let signer = CommandSigner::new(by);
    signer.sign(MATCH, NodeId(member), vec![command]).remove(0)
}

fn applied(app: &App) -> Index {
    app.world().resource::<AppliedLog>().index
}

fn last(app: &App) -> Option<Index> {
    let view = app.world().resource::<RaftStatus>().view.as_ref();
    view.map(|view| view.status.last.index)
}

fn annex(app: &App) -> Option<Bytes> {
    let view = app.world().resource::<RaftStatus>().view.as_ref();
    view.map(|view| view.status.membership.annex().clone())
}

fn name_of(app: &App, id: u64) -> Option<&str> {
    let roster = &app.world().resource::<AppliedLog>().roster;
    roster.get(NodeId(id))?.name.as_deref()
}

fn added(app: &App) -> &[u64] {
    &app.world().resource::<Added>().0
}

fn pending(cluster: &mut TestCluster, id: u64) -> usize {
    cluster.app(id).world().resource::<Outbox>().own_pending()
}

fn key(identities: &[Identity], id: u64) -> &Identity {
    &identities[id as usize - 1]
}

/// Submits a command to the node of an app, and waits until it is applied everywhere.
fn commit(cluster: &mut TestCluster, at: u64, command: Command) {
    cluster.run_until(|apps| apps.iter().all(|app| last(app) == Some(applied(app))));
    let before = applied(&cluster.apps()[0]);
    let mut node = cluster.app(at).world_mut().resource_mut::<RaftNode>();
    node.get().propose(command).unwrap();
    cluster.run_until(|apps| {
        let first = applied(&apps[0]);
        first > before && apps.iter().all(|app| applied(app) == first)
    });
}

#[test]
fn command_that_its_member_did_not_sign_has_no_effect_anywhere() {
    let (mut cluster, identities) = players(3);
    let leader = cluster.elect();
    let other = if leader == 1 { 2 } else { 1 };
    let client = ClientId(77);
    let name = (client, 1);
    let false_one = unsigned(&cluster.apps()[0], name, 1);
    commit(&mut cluster, leader, false_one);
    let false_one = signed(
        key(&identities, other),
        other,
        unsigned(&cluster.apps()[0], name, 2),
    );
    commit(&mut cluster, leader, false_one);
    // Neither has used up the sequence number.
    let true_one = signed(
        key(&identities, leader),
        leader,
        unsigned(&cluster.apps()[0], name, 3),
    );
    commit(&mut cluster, leader, true_one.clone());
    commit(&mut cluster, leader, true_one);
    for app in cluster.apps() {
        assert_eq!(app.world().resource::<Added>().0, [3]);
        let announced = &app.world().resource::<Announced>().0;
        let seen: Vec<_> = announced
            .iter()
            .map(|(_, id, error)| (id.0, *error))
            .collect();
        let expected = [SignatureError::Unsigned, SignatureError::Invalid];
        assert_eq!(seen, expected.map(|error| (leader, error)));
        assert_eq!(
            *announced,
            cluster.apps()[0].world().resource::<Announced>().0
        );
    }
}

#[test]
fn member_cannot_use_up_the_sequence_numbers_of_another() {
    let (mut cluster, identities) = players(3);
    let leader = cluster.elect();
    let victim = if leader == 1 { 2 } else { 1 };
    let client = cluster.app(victim).world().resource::<Outbox>().client();
    // Sequence 1: what the node submits is not signed, so it stays pending.
    cluster.app(victim).world_mut().propose(Add(10));
    let squat = unsigned(&cluster.apps()[0], (client, 1), 20);
    commit(
        &mut cluster,
        leader,
        signed(key(&identities, leader), leader, squat),
    );
    assert_eq!(
        pending(&mut cluster, victim),
        1,
        "it is no outcome of the victim's"
    );
    let own = unsigned(&cluster.apps()[0], (client, 1), 10);
    commit(
        &mut cluster,
        victim,
        signed(key(&identities, victim), victim, own),
    );
    cluster.run_until(|apps| apps.iter().all(|app| added(app) == [20, 10]));
    assert_eq!(pending(&mut cluster, victim), 0);
}

#[test]
fn key_that_a_leader_records_for_another_member_is_another_player() {
    let (mut cluster, identities) = players(3);
    let leader = cluster.elect();
    let victim = if leader == 1 { 2 } else { 1 };
    let thief = Identity::generate().unwrap();
    let contact = Contact {
        name: "victim".to_owned(),
        fingerprint: identities[victim as usize - 1].fingerprint(),
        addresses: Vec::new(),
        key: Some(CommandSigner::new(&thief).key()),
    };
    cluster.change_members(Change::Record {
        contacts: vec![(NodeId(victim), contact.encode().unwrap())],
        annex: None,
    });
    cluster.run_until(|apps| {
        let mut apps = apps.iter();
        apps.all(|app| name_of(app, victim) == Some("victim"))
    });
    let forged = unsigned(&cluster.apps()[0], (ClientId(1), 1), 5);
    commit(&mut cluster, victim, signed(&thief, victim, forged));
    let own = unsigned(&cluster.apps()[0], (ClientId(1), 1), 6);
    let own = signed(&identities[victim as usize - 1], victim, own);
    commit(&mut cluster, victim, own);
    let thief = CommandSigner::new(&thief).key();
    for app in cluster.apps() {
        // The thief's order is applied, but as that of the thief's key; the victim's is not.
        assert_eq!(app.world().resource::<Added>().0, [5]);
        assert_eq!(app.world().resource::<Keys>().0, [Some(thief)]);
    }
}

#[test]
fn nothing_that_a_leader_records_ends_signatures() {
    let (mut cluster, _) = players(3);
    let leader = cluster.elect();
    let other_match = MatchRecord {
        id: MatchId([6; 16]),
        ..record(3)
    };
    let annexes = [other_match.encode().unwrap(), Bytes::from(&[1, 2, 3][..])];
    for other in annexes {
        let member = NodeId(leader);
        let record = Change::Record {
            contacts: vec![(member, Bytes::from(&[9][..]))],
            annex: Some(other),
        };
        cluster.change_members(record);
        cluster.run_until(|apps| apps.iter().all(|app| annex(app) == annex(&apps[0])));
        let forged = unsigned(&cluster.apps()[0], (ClientId(1), 1), 5);
        commit(&mut cluster, leader, forged);
    }
    for app in cluster.apps() {
        assert_eq!(app.world().resource::<Added>().0, [0; 0]);
        assert_eq!(app.world().resource::<Announced>().0.len(), 2);
    }
}

#[test]
fn order_of_a_member_that_has_left_is_not_applied() {
    let (mut cluster, identities) = players(3);
    let leader = cluster.elect();
    let gone = if leader == 1 { 2 } else { 1 };
    let of_gone = unsigned(&cluster.apps()[0], (ClientId(1), 1), 5);
    let of_gone = signed(&identities[gone as usize - 1], gone, of_gone);
    commit(&mut cluster, gone, of_gone);
    let rest: Vec<_> = (1..=3).filter(|id| *id != gone).collect();
    let voters = rest.iter().map(|id| {
        let id = NodeId(*id);
        (
            id,
            raftian_raft::Incarnation::default(),
            raftian_raft::Standing::Voter,
        )
    });
    cluster.change_members(Change::Replace(voters.collect()));
    let at = leader as usize - 1;
    cluster.run_until(|apps| {
        let roster = &apps[at].world().resource::<AppliedLog>().roster;
        !roster.is_present(NodeId(gone))
    });
    let log = cluster.apps()[at].world().resource::<AppliedLog>();
    let command = unsigned(&cluster.apps()[at], (ClientId(1), 2), 6);
    let command = signed(&identities[gone as usize - 1], gone, command);
    let verified = log
        .roster
        .verify(&mut Verifier::default(), NodeId(gone), &command);
    assert_eq!(verified, Err(SignatureError::NoKey));
    assert_eq!(cluster.apps()[at].world().resource::<Added>().0, [5]);
}
