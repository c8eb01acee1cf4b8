//! Pending orders, and the marching dashes around their target cities.

use super::ViewSystems;
use super::canvas::{depth, rgb};
use super::outline::{dashes, most_pieces};
use crate::classic_layout::{CITY_SIDE, WHITE, city_area};
use crate::projection::City;
use crate::realm::CityId;
use crate::ui::ReducedMotion;
use bevy::prelude::*;
use bevy::time::Real;
use std::collections::BTreeMap;

/// Distance of the dashes from the city.
const MARGIN: i32 = 12;
/// Speed of the dashes in units per second.
const SPEED: f32 = 48.0;

/// Number of this player's pending orders, per city. Filled by the code that proposes orders:
/// nothing else changes on the screen until an order is committed.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    counts: BTreeMap<CityId, u32>,
}

impl Pending {
    /// Adds a pending order for `city`.
    pub fn add(&mut self, city: CityId) {
        let count = self.counts.entry(city).or_default();
        *count = count.saturating_add(1);
    }

    /// Removes a pending order for `city`, which was committed, refused or abandoned. Does nothing
    /// if none is pending.
    pub fn settle(&mut self, city: CityId) {
        if let Some(count) = self.counts.get_mut(&city) {
            // Never underflows: an entry is removed at zero.
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&city);
            }
        }
    }

    /// Number of pending orders for `city`.
    pub fn count(&self, city: CityId) -> u32 {
        self.counts.get(&city).copied().unwrap_or(0)
    }

    /// Removes all pending orders, as at the start of a new match.
    pub fn clear(&mut self) {
        self.counts.clear();
    }
}

/// The dashes of one city; each of its children is one piece.
#[derive(Component)]
struct Dashes(CityId);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Pending>()
        .init_resource::<ReducedMotion>()
        .add_systems(
            Update,
            (spawn_dashes, show_dashes, march)
                .chain()
                .in_set(ViewSystems::Draw),
        );
}

fn spawn_dashes(mut commands: Commands, cities: Query<(Entity, &City), Added<City>>) {
    for (entity, city) in &cities {
        commands
            .spawn((
                Dashes(city.0),
                Transform::default(),
                Visibility::Hidden,
                ChildOf(entity),
            ))
            .with_children(|dashes| {
                for _ in 0..most_pieces(CITY_SIDE + 2 * MARGIN) {
                    dashes.spawn(Sprite::from_color(rgb(WHITE), Vec2::ZERO));
                }
            });
    }
}

fn show_dashes(pending: Res<Pending>, mut outlines: Query<(&Dashes, &mut Visibility)>) {
    for (dashes, mut visibility) in &mut outlines {
        let waiting = pending.count(dashes.0) > 0;
        visibility.set_if_neq(if waiting {
            Visibility::Inherited
        } else {
            Visibility::Hidden
        });
    }
}

fn march(
    time: Res<Time<Real>>,
    pending: Res<Pending>,
    motion: Res<ReducedMotion>,
    outlines: Query<(&Dashes, &Children)>,
    mut pieces: Query<(&mut Sprite, &mut Transform)>,
) {
    let speed = if motion.0 { 0.0 } else { SPEED };
    let phase = time.elapsed_secs_wrapped() * speed;
    for (outline, children) in outlines
        .iter()
        .filter(|(outline, _)| pending.count(outline.0) > 0)
    {
        let Some(area) = city_area(outline.0) else {
            continue;
        };
        let mut drawn = dashes(area.grown(MARGIN), phase).into_iter();
        for &child in children {
            let Ok((mut sprite, mut transform)) = pieces.get_mut(child) else {
                continue;
            };
            let piece = drawn.next();
            sprite.custom_size = Some(piece.map_or(Vec2::ZERO, |piece| piece.size));
            if let Some(piece) = piece {
                transform.translation = Vec3::new(piece.middle.x, -piece.middle.y, depth::OUTLINE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_orders_are_counted_per_city() {
        let mut pending = Pending::default();
        pending.add(CityId(3));
        pending.add(CityId(3));
        pending.add(CityId(1));
        pending.settle(CityId(3));
        assert_eq!([1, 2, 3].map(|city| pending.count(CityId(city))), [1, 0, 1]);
        pending.clear();
        assert_eq!(pending, Pending::default());
    }

    #[test]
    fn settling_without_a_pending_order_changes_nothing() {
        let mut pending = Pending::default();
        pending.settle(CityId(3));
        assert_eq!(pending, Pending::default());
    }

    #[test]
    fn dashes_show_only_while_an_order_is_pending() {
        let mut app = App::new();
        app.init_resource::<Time<Real>>().add_plugins(plugin);
        app.world_mut().spawn(City(CityId(2)));
        let shown = |app: &mut App| {
            app.update();
            let mut outlines = app
                .world_mut()
                .query_filtered::<&Visibility, With<Dashes>>();
            *outlines.single(app.world()).unwrap() == Visibility::Inherited
        };
        assert!(!shown(&mut app));
        app.world_mut().resource_mut::<Pending>().add(CityId(2));
        assert!(shown(&mut app));
        app.world_mut().resource_mut::<Pending>().settle(CityId(2));
        assert!(!shown(&mut app));
    }
}
