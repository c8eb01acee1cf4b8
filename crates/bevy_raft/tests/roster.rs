//! Joins and leaves as replicated code sees them, over QUIC on loopback.

mod common;

use bevy_app::App;
use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{AppliedLog, MatchFolders, NodeId, Part};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use common::{found, game, join, ready, run_until, state};

/// Replicated state: index and name of every join and leave.
#[derive(Resource, Default, Debug, PartialEq, Eq, Clone, Serialize, Deserialize)]
struct Guests(Vec<(u64, String, bool)>);

impl ReplicatedState for Guests {
    const NAME: &'static str = "test.guests/1";
}

fn note_guests(entry: Res<CommittedEntry>, log: Res<AppliedLog>, mut guests: ResMut<Guests>) {
    let (Some(change), Some(index)) = (entry.roster_change(), entry.index()) else {
        return;
    };
    let joined = change.joined.iter().map(|id| (id, true));
    let left = change.left.iter().map(|id| (id, false));
    for (id, is_join) in joined.chain(left) {
        let name = log.roster.get(*id).and_then(|member| member.name.clone());
        guests.0.push((index.0, name.unwrap_or_default(), is_join));
    }
}

/// Changes of the members that this app announced.
#[derive(Resource, Default)]
struct Announced(Vec<RosterChanged>);

fn player(home: &TempDir) -> App {
    let folders = MatchFolders::inside(home.path());
    let mut app = game(RaftPlugin::default().with_folders(folders));
    app.add_replicated_state::<Guests>()
        .add_systems(ApplyCommitted, note_guests)
        .init_resource::<Announced>()
        .add_observer(
            |changed: On<RosterChanged>, mut announced: ResMut<Announced>| {
                announced.0.push(changed.clone());
            },
        );
    ready(app)
}

fn guests(app: &App) -> Vec<(&str, bool)> {
    let guests = &app.world().resource::<Guests>().0;
    guests
        .iter()
        .map(|(_, name, is_join)| (name.as_str(), *is_join))
        .collect()
}

fn log(app: &App) -> &AppliedLog {
    app.world().resource::<AppliedLog>()
}

#[test]
fn replicated_code_sees_joins_and_leaves_at_the_same_entry() {
    let homes: Vec<_> = (0..3).map(|_| TempDir::new().unwrap()).collect();
    let [mut a, mut b, mut c] = [player(&homes[0]), player(&homes[1]), player(&homes[2])];
    let ticket = found(&mut a, "Ada");
    b.world_mut().join_match(join(&ticket, "Bo"));
    run_until(&mut [&mut a, &mut b], "Bo plays", |apps| {
        state(apps[1]) == MatchState::Running
    });
    let bo = log(&a).roster.get(NodeId(2)).cloned().unwrap();
    assert_eq!((bo.name.as_deref(), bo.part), (Some("Bo"), Part::Player));
    b.world_mut().leave_match();
    run_until(&mut [&mut a, &mut b], "Bo has left", |apps| {
        state(apps[1]) == MatchState::Left && !log(apps[0]).roster.is_present(NodeId(2))
    });
    assert_eq!(log(&a).roster.get(NodeId(2)), Some(&bo), "as a former one");
    c.world_mut().join_match(JoinMatch {
        part: Part::Spectator,
        ..join(&ticket, "Cy")
    });
    b.world_mut().join_match(join(&ticket, "Bo"));
    let story = [("Bo", true), ("Bo", false)];
    run_until(&mut [&mut a, &mut b, &mut c], "both joined", |apps| {
        apps.iter().all(|app| {
            guests(app).len() == 4
                && guests(app).starts_with(&story)
                && log(app).index == log(apps[0]).index
        })
    });
    let (a_guests, c_guests) = (
        a.world().resource::<Guests>(),
        c.world().resource::<Guests>(),
    );
    assert_eq!(a_guests, c_guests, "also at the one that joined last");
    assert_eq!(log(&a).roster, log(&c).roster);
    // The key identifies a player that has joined again under another id.
    let again = log(&a).roster.find(bo.fingerprint.unwrap()).unwrap();
    assert_ne!(again, NodeId(2));
    let parts: Vec<_> = log(&a)
        .roster
        .present()
        .map(|(_, member)| (member.name.clone().unwrap_or_default(), member.part))
        .collect();
    assert!(
        parts.contains(&("Cy".to_owned(), Part::Spectator)),
        "{parts:?}"
    );
    let announced = |app: &App| app.world().resource::<Announced>().0.clone();
    assert_eq!(announced(&a).len(), 4);
    assert!(announced(&a).iter().all(|changed| !changed.replayed));
    assert!(announced(&c)[..2].iter().all(|changed| changed.replayed));
}
