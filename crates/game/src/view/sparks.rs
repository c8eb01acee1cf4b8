//! Sparks where a hit was committed. Cosmetic: they depend on the health that is shown, and nothing
//! depends on them.

use super::ViewSystems;
use super::canvas::{depth, middle, rgb};
use crate::classic_layout::{CITY_SIDE, WHITE, city_area, city_colour};
use crate::projection::{City, Health};
use crate::realm::{self, CityId};
use crate::ui::ReducedMotion;
use bevy::prelude::*;
use bevy::time::Real;
use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::time::Duration;

const LIFETIME: Duration = Duration::from_millis(450);
/// The white flash over the city is shorter: the player wants to see the new colour.
const FLASH: Duration = Duration::from_millis(140);
/// Number of sparks of a hit, and of the hit that fells a city. At most one shower per city and
/// frame.
const SPARKS: u32 = 12;
const SPARKS_OF_A_FALL: u32 = 28;
/// Distance in units that a spark flies.
const REACH: f32 = 74.0;
const SIZE: f32 = 9.0;
/// Angle between successive sparks, which never repeats: an even spread without an RNG.
const GOLDEN_ANGLE: f32 = 0.381_966 * TAU;

/// A square that flies off and fades.
#[derive(Component)]
struct Spark {
    from: Vec3,
    way: Vec2,
    born: Duration,
    lifetime: Duration,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<ReducedMotion>()
        .add_systems(Update, (ignite, burn).chain().in_set(ViewSystems::Draw));
}

/// Spawns a shower for each city that lost health since the last run. A city seen for the first
/// time gets none, nor does a new match.
fn ignite(
    mut commands: Commands,
    time: Res<Time<Real>>,
    motion: Res<ReducedMotion>,
    mut seen: Local<BTreeMap<CityId, Health>>,
    cities: Query<(&City, &Health), Changed<Health>>,
) {
    for (city, &health) in &cities {
        let before = seen.insert(city.0, health);
        // Health rises only with a new match, which must not spark.
        if before.is_some_and(|before| before.0 > health.0) && !motion.0 {
            shower(&mut commands, city.0, health, time.elapsed());
        }
    }
}

fn shower(commands: &mut Commands, city: CityId, health: Health, born: Duration) {
    let Some(area) = city_area(city) else { return };
    let from = middle(area, depth::SPARK);
    let full = rgb(city_colour(city, realm::FULL_HEALTH));
    let count = if health.is_dead() {
        SPARKS_OF_A_FALL
    } else {
        SPARKS
    };
    for spark in 0..count {
        let direction = Vec2::from_angle(spark as f32 * GOLDEN_ANGLE);
        let reach = REACH * (0.55 + 0.45 * (spark % 3) as f32 / 2.0);
        let sprite = Sprite::from_color(
            if spark % 2 == 0 { full } else { rgb(WHITE) },
            Vec2::splat(SIZE),
        );
        let from = from + (direction * (CITY_SIDE / 2) as f32).extend(0.0);
        let turned = Transform::from_translation(from)
            .with_rotation(Quat::from_rotation_z(direction.to_angle()));
        commands.spawn((
            Spark {
                from,
                way: direction * reach,
                born,
                lifetime: LIFETIME,
            },
            sprite,
            turned,
        ));
    }
    let flash = Sprite::from_color(rgb(WHITE), Vec2::splat(CITY_SIDE as f32));
    commands.spawn((
        Spark {
            from,
            way: Vec2::ZERO,
            born,
            lifetime: FLASH,
        },
        flash,
        Transform::from_translation(from),
    ));
}

fn burn(
    mut commands: Commands,
    time: Res<Time<Real>>,
    mut sparks: Query<(Entity, &Spark, &mut Sprite, &mut Transform)>,
) {
    for (entity, spark, mut sprite, mut transform) in &mut sparks {
        let age =
            time.elapsed().saturating_sub(spark.born).as_secs_f32() / spark.lifetime.as_secs_f32();
        if age >= 1.0 {
            commands.entity(entity).despawn();
            continue;
        }
        // Fast at first, then slower: (1 - age)^2 is left of the way.
        let left = (1.0 - age) * (1.0 - age);
        transform.translation = spark.from + (spark.way * (1.0 - left)).extend(0.0);
        sprite.color.set_alpha(0.9 * left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::time::{TimePlugin, TimeUpdateStrategy};

    fn app() -> (App, Entity) {
        let mut app = App::new();
        app.add_plugins((TimePlugin, plugin))
            .insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(
                100,
            )));
        let city = app.world_mut().spawn((City(CityId(3)), Health(100))).id();
        app.update();
        (app, city)
    }

    fn sparks(app: &mut App) -> usize {
        app.update();
        app.world_mut().query::<&Spark>().iter(app.world()).count()
    }

    #[test]
    fn sparks_of_a_hit_burn_out() {
        let (mut app, city) = app();
        assert_eq!(sparks(&mut app), 0);
        app.world_mut().entity_mut(city).insert(Health(70));
        assert_eq!(sparks(&mut app), SPARKS as usize + 1);
        (0..6).for_each(|_| app.update());
        assert_eq!(sparks(&mut app), 0);
    }

    #[test]
    fn reduced_motion_leaves_sparks_out() {
        let (mut app, city) = app();
        app.insert_resource(ReducedMotion(true));
        app.world_mut().entity_mut(city).insert(Health(70));
        assert_eq!(sparks(&mut app), 0);
    }

    #[test]
    fn new_match_does_not_spark() {
        let (mut app, city) = app();
        app.world_mut().entity_mut(city).insert(Health(-20));
        (0..8).for_each(|_| app.update());
        app.world_mut().entity_mut(city).insert(Health(100));
        assert_eq!(sparks(&mut app), 0);
    }
}
