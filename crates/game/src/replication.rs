//! Replicates the realm: committed orders change its state, and nothing else does.

use std::time::Duration;

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{AppliedLog, EntryInfo};
use raftian_raft::Index;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cluster_view::AppliedState;
use crate::projection::{self, City, Health, ProjectionSystems, ReplicatedRealm};
use crate::realm::{Order, Outcome as Effect, Realm};
use crate::table::{self, ReplicatedTable};
use raftian_realm::crowns::Rules;

/// Number of cities in a classic match: the four of the original and one more, so that five players
/// have one each.
pub const CITIES: u8 = 5;

/// Names of everything that is replicated, and the hash of the numbers of Crowns: programs with
/// other ones cannot play the same match.
pub const RULES: &str = "bevy_raft.tick/1 bevy_raft.ticks/1 raftian.command/3 raftian.order/1 \
                         raftian.realm/1 raftian.table/3 snapshots:3 tick-on-demand:250ms \
                         crowns:034d95e0ea0ba561";

/// Shortest time between two ticks of a match of Crowns.
const TICKS: Duration = Duration::from_millis(250);

/// Returns the plugin with the ticks that a match of Crowns needs, and the hash of its numbers.
pub fn configured(plugin: RaftPlugin) -> RaftPlugin {
    let numbers = Rules::of_this_build().hash();
    plugin
        .with_ticks_on_demand(TICKS)
        .with_rules(format!("crowns:{numbers:016x}"))
}

/// An order as a replicated command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlayerOrder(pub Order);

impl ReplicatedCommand for PlayerOrder {
    const NAME: &'static str = "raftian.order/1";
}

impl Default for ReplicatedRealm {
    /// The realm with which a match begins.
    fn default() -> Self {
        ReplicatedRealm(Realm::new_classic(CITIES))
    }
}

impl ReplicatedState for ReplicatedRealm {
    const NAME: &'static str = "raftian.realm/1";

    fn hash(&self) -> u64 {
        self.0.state_hash()
    }
}

/// Effect of the last committed order, for observers of [`Committed<PlayerOrder>`], which are
/// triggered right after it was applied.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct LastEffect(pub Option<(Index, Effect)>);

/// The hash of this machine's replicated state. Updated once a frame, after all entries were
/// applied.
#[derive(Resource, Clone, Copy, Debug)]
pub struct OwnState(pub AppliedState);

impl OwnState {
    /// The state before any entry is applied, which all machines have in common.
    pub fn founding() -> Self {
        OwnState(applied_state(
            &AppliedLog::default(),
            &Realm::new_classic(CITIES),
            &ReplicatedTable::default(),
        ))
    }
}

/// Applies committed orders to the realm and to the entities that show it. Must be added after
/// [`RaftPlugin`].
pub fn plugin(app: &mut App) {
    app.add_plugins((projection::plugin, table::plugin))
        .add_replicated_command::<PlayerOrder>()
        .add_replicated_state::<ReplicatedRealm>()
        .init_resource::<LastEffect>()
        .insert_resource(OwnState::founding())
        .add_systems(ApplyCommitted, apply_orders)
        // A restored realm must show in the same frame.
        .configure_sets(PreUpdate, ProjectionSystems.after(RaftSystems::Apply))
        .add_systems(
            PreUpdate,
            hash_state
                .after(RaftSystems::Apply)
                .run_if(state_may_have_changed),
        );
}

/// Applies one order. The only writer of the realm, and of the health that entities show.
fn apply_orders(
    entry: Res<CommittedEntry>,
    mut realm: ResMut<ReplicatedRealm>,
    mut cities: Query<(&City, &mut Health)>,
    mut last: ResMut<LastEffect>,
) {
    let (Some(PlayerOrder(order)), Some(EntryInfo { index, .. })) = (entry.command(), entry.info())
    else {
        return;
    };
    last.0 = Some((index, realm.0.apply(order)));
    projection::project(&realm.0, &mut cities);
}

fn state_may_have_changed(
    log: Option<Res<AppliedLog>>,
    realm: Option<Res<ReplicatedRealm>>,
) -> bool {
    log.is_some_and(|log| log.is_changed()) && realm.is_some()
}

fn hash_state(
    log: Res<AppliedLog>,
    realm: Res<ReplicatedRealm>,
    table: Res<ReplicatedTable>,
    mut own: ResMut<OwnState>,
) {
    own.0 = applied_state(&log, &realm.0, &table);
}

/// Returns one machine's state at the last applied index: everything that applying the log changes.
/// The hash is the first eight bytes of a SHA-256 over the hashes of realm, table and roster and
/// every session (key, client, floor, count and sequences above it), all as big-endian 64-bit
/// numbers.
pub fn applied_state(log: &AppliedLog, realm: &Realm, table: &ReplicatedTable) -> AppliedState {
    let mut hasher = Sha256::new();
    hasher.update(realm.state_hash().to_be_bytes());
    hasher.update(table.hash().to_be_bytes());
    hasher.update(log.roster.hash().to_be_bytes());
    log.sessions
        .each_number(|number| hasher.update(number.to_be_bytes()));
    let digest = hasher.finalize();
    let hash = u64::from_be_bytes(
        digest[..8]
            .try_into()
            .expect("a SHA-256 digest must have 32 bytes"),
    );
    AppliedState {
        index: log.index,
        hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::CityId;
    use bevy_raft::test_app::TestCluster;
    use raftian_raft::{Config, NodeId};

    /// Golden bytes: the tag of the command, then the order as it was before it had a type of its
    /// own.
    #[test]
    fn order_on_the_wire_is_pinned() {
        let order = Order::Attack { city: CityId(3) };
        let bytes = raftian_node::wire::encode_value(&PlayerOrder(order)).unwrap();
        assert_eq!(bytes, [0, 3]);
        assert_eq!(raftian_node::wire::encode_value(&order).unwrap(), bytes);
    }

    fn health(app: &mut App, city: u8) -> i32 {
        let mut cities = app.world_mut().query::<(&City, &Health)>();
        cities
            .iter(app.world())
            .find(|(shown, _)| shown.0 == CityId(city))
            .map_or(0, |(_, health)| health.0)
    }

    #[test]
    fn rules_name_everything_that_is_replicated() {
        let cluster = TestCluster::with_plugin(
            1,
            |_| {},
            configured,
            |app| {
                app.add_plugins(plugin);
            },
        );
        assert_eq!(bevy_raft::rules(cluster.apps()[0].world()), RULES);
    }

    /// Members at the same index are compared from the first frame on.
    #[test]
    fn state_of_a_new_machine_is_hashed_before_any_entry() {
        let mut cluster = TestCluster::new(1, |app| {
            app.add_plugins(plugin);
        });
        let app = cluster.app(1);
        let log = app.world().resource::<AppliedLog>();
        let realm = app.world().resource::<ReplicatedRealm>();
        assert_eq!(
            app.world().resource::<OwnState>().0,
            applied_state(log, &realm.0, &ReplicatedTable::default())
        );
    }

    #[test]
    fn order_lowers_the_health_shown_on_every_machine() {
        let mut cluster = TestCluster::new(3, |app| {
            app.add_plugins(plugin);
        });
        cluster.elect();
        for _ in 0..5 {
            cluster
                .app(2)
                .world_mut()
                .propose(PlayerOrder(Order::Attack { city: CityId(3) }));
        }
        cluster
            .app(1)
            .world_mut()
            .propose(PlayerOrder(Order::Attack { city: CityId(1) }));
        cluster.run_until(|apps| {
            apps.iter()
                .all(|app| app.world().resource::<AppliedLog>().index.0 == 7)
        });
        cluster.frame();
        let mut states = Vec::new();
        for id in 1..=3 {
            let app = cluster.app(id);
            assert_eq!(
                [health(app, 1), health(app, 2), health(app, 3)],
                [70, 100, -20]
            );
            states.push(app.world().resource::<OwnState>().0);
        }
        assert!(
            states
                .iter()
                .all(|state| *state == states[0] && state.index.0 == 7)
        );
    }

    /// The entities are derived from the realm, so they must also follow it when a snapshot
    /// replaces it.
    #[test]
    fn lagging_machine_shows_the_health_from_its_snapshot() {
        let settings = |config: &mut Config| {
            (config.snapshot_entries, config.snapshot_keep) = (Some(10), 1);
        };
        let mut cluster = TestCluster::with_settings(3, settings, |app| {
            app.add_plugins(plugin);
        });
        let leader = cluster.elect();
        let away = leader % 3 + 1;
        cluster.frame();
        assert_eq!(health(cluster.app(away), 2), 100);
        cluster.network().isolate(NodeId(away));
        for city in [2, 2, 3, 4, 4, 4, 4].into_iter().chain([5; 30]) {
            cluster
                .app(leader)
                .world_mut()
                .propose(PlayerOrder(Order::Attack { city: CityId(city) }));
        }
        let view = |app: &App| app.world().resource::<RaftStatus>().view.clone();
        cluster.run_until(|apps| {
            view(&apps[leader as usize - 1]).is_some_and(|view| view.status.log_after.0 > 7)
        });
        cluster.network().heal();
        cluster.run_until(|apps| {
            let mut indexes = apps
                .iter()
                .map(|app| app.world().resource::<AppliedLog>().index);
            indexes.all(|index| index.0 >= 38)
        });
        cluster.frame();
        assert!(
            view(cluster.app(away)).is_some_and(|view| view.status.log_after.0 > 7),
            "the health came with a snapshot"
        );
        for id in 1..=3 {
            assert_eq!(
                (1..=5)
                    .map(|city| health(cluster.app(id), city))
                    .collect::<Vec<_>>(),
                [100, 40, 70, -20, -20]
            );
        }
    }

    #[test]
    fn hash_covers_the_realm_and_the_sessions() {
        let mut realm = Realm::new_classic(CITIES);
        let mut log = AppliedLog::default();
        let before = applied_state(&log, &realm, &ReplicatedTable::default()).hash;
        realm.apply(&Order::Attack { city: CityId(1) });
        let hit = applied_state(&log, &realm, &ReplicatedTable::default()).hash;
        log.sessions.admit(None, raftian_raft::ClientId(1), 1);
        let remembered = applied_state(&log, &realm, &ReplicatedTable::default()).hash;
        assert!(before != hit && hit != remembered);
    }
}
