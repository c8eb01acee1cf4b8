//! The realm as entities, which the engine's systems read instead of the replicated state.
//!
//! [`ReplicatedRealm`] is the replicated state, and only the code that applies committed orders
//! writes it. For each of its cities there is one entity with [`City`] and [`Health`]. The code
//! that applies an order calls [`project`] in the same schedule run; code that replaces the realm
//! in another way (a snapshot, a new match) need not: the plugin detects the change and updates the
//! entities before the next `Update`. Data never flows back from an entity to the realm.

use crate::realm::{self, CityId, Realm};
use bevy::prelude::*;
use serde::{Deserialize, Serialize};

/// The replicated state of the match this machine takes part in. Absent while there is no match.
/// Its serde form is part of snapshots.
#[derive(Resource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicatedRealm(pub Realm);

/// Marks the entity of a city. The number never changes; the entity of a city that leaves the realm
/// is despawned.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(immutable)]
#[require(Health)]
pub struct City(pub CityId);

/// Hit points of a city as last projected. It [changes](Changed) only when its value does.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health(pub i32);

impl Health {
    /// Returns whether the city has fallen.
    pub const fn is_dead(self) -> bool {
        realm::Health(self.0).is_dead()
    }
}

impl From<realm::Health> for Health {
    fn from(health: realm::Health) -> Self {
        Self(health.0)
    }
}

impl From<Health> for realm::Health {
    fn from(health: Health) -> Self {
        Self(health.0)
    }
}

/// The systems in `PreUpdate` that bring the entities in line with a changed [`ReplicatedRealm`].
///
/// Code that applies orders in `PreUpdate` must run before this set; orders applied later appear
/// one frame later, unless that code calls [`project`] itself.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProjectionSystems;

/// Maintains one entity per city of [`ReplicatedRealm`]. Requires no window and no renderer.
pub fn plugin(app: &mut App) {
    app.add_systems(
        PreUpdate,
        (spawn_cities, project_changes)
            .chain()
            .in_set(ProjectionSystems)
            .run_if(resource_exists_and_changed::<ReplicatedRealm>),
    )
    .add_systems(
        PreUpdate,
        despawn_cities
            .in_set(ProjectionSystems)
            .run_if(resource_removed::<ReplicatedRealm>),
    );
}

/// Spawns an entity for each city without one and despawns those whose city is no longer in the
/// realm. Idempotent.
pub fn spawn_cities(
    mut commands: Commands,
    realm: Res<ReplicatedRealm>,
    cities: Query<(Entity, &City)>,
) {
    for (entity, city) in &cities {
        if realm.0.health(city.0).is_none() {
            commands.entity(entity).despawn();
        }
    }
    for (city, health) in realm.0.cities() {
        if cities.iter().all(|(_, existing)| existing.0 != city) {
            let name = Name::new(format!("City {}", city.0));
            commands.spawn((name, City(city), Health::from(health)));
        }
    }
}

/// Writes the realm's health into the cities' entities.
pub fn project(realm: &Realm, cities: &mut Query<(&City, &mut Health)>) {
    for (city, mut shown) in cities {
        if let Some(health) = realm.health(city.0) {
            // Writing an equal value would mark the city as changed and redraw it.
            shown.set_if_neq(health.into());
        }
    }
}

fn project_changes(realm: Res<ReplicatedRealm>, mut cities: Query<(&City, &mut Health)>) {
    project(&realm.0, &mut cities);
}

fn despawn_cities(mut commands: Commands, cities: Query<Entity, With<City>>) {
    for entity in &cities {
        commands.entity(entity).despawn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::Order;

    fn app(cities: u8) -> App {
        let mut app = App::new();
        app.add_plugins(plugin)
            .insert_resource(ReplicatedRealm(Realm::new_classic(cities)));
        app.update();
        app
    }

    fn shown(app: &mut App) -> Vec<(u8, i32)> {
        let mut cities = app.world_mut().query::<(&City, &Health)>();
        let mut shown: Vec<_> = cities
            .iter(app.world())
            .map(|(city, health)| (city.0.0, health.0))
            .collect();
        shown.sort_unstable();
        shown
    }

    #[test]
    fn realm_changes_never_duplicate_city_entities() {
        let mut app = app(4);
        for _ in 0..3 {
            app.world_mut()
                .resource_mut::<ReplicatedRealm>()
                .set_changed();
            app.update();
            assert_eq!(shown(&mut app), [(1, 100), (2, 100), (3, 100), (4, 100)]);
        }
    }

    #[test]
    fn applied_order_changes_only_its_target_entity() {
        let mut app = app(3);
        app.world_mut()
            .resource_mut::<ReplicatedRealm>()
            .0
            .apply(&Order::Attack { city: CityId(2) });
        let before = app.world_mut().change_tick();
        app.update();
        assert_eq!(shown(&mut app), [(1, 100), (2, 70), (3, 100)]);
        let mut cities = app.world_mut().query::<(&City, Ref<Health>)>();
        let after = app.world_mut().change_tick();
        let touched: Vec<_> = cities
            .iter(app.world())
            .filter(|(_, health)| health.last_changed().is_newer_than(before, after))
            .collect();
        assert_eq!(
            touched.iter().map(|(city, _)| city.0).collect::<Vec<_>>(),
            [CityId(2)]
        );
    }

    #[test]
    fn new_match_with_fewer_cities_removes_the_others() {
        let mut app = app(5);
        app.insert_resource(ReplicatedRealm(Realm::new_classic(2)));
        app.update();
        assert_eq!(shown(&mut app), [(1, 100), (2, 100)]);
        app.world_mut().remove_resource::<ReplicatedRealm>();
        app.update();
        assert_eq!(shown(&mut app), []);
    }
}
