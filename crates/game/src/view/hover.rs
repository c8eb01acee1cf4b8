//! A dark outline around the city under the mouse.

use super::ViewSystems;
use super::canvas::{block, depth};
use super::input::Hovered;
use super::outline::frame;
use crate::classic_layout::{BLACK, city_area};
use crate::projection::City;
use crate::realm::CityId;
use bevy::prelude::*;

/// Distance from the city to the outer edge of the outline.
const MARGIN: i32 = 6;
const THICKNESS: i32 = 3;

#[derive(Component)]
struct Highlight(CityId);

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        Update,
        (spawn_highlights, show_highlight)
            .chain()
            .in_set(ViewSystems::Draw),
    );
}

fn spawn_highlights(mut commands: Commands, cities: Query<(Entity, &City), Added<City>>) {
    for (entity, city) in &cities {
        let Some(area) = city_area(city.0) else {
            continue;
        };
        commands.entity(entity).with_children(|city_parts| {
            city_parts
                .spawn((Highlight(city.0), Transform::default(), Visibility::Hidden))
                .with_children(|highlight| {
                    for side in frame(area.grown(MARGIN), THICKNESS) {
                        highlight.spawn(block(side, BLACK, depth::OUTLINE));
                    }
                });
        });
    }
}

fn show_highlight(hovered: Res<Hovered>, mut highlights: Query<(&Highlight, &mut Visibility)>) {
    for (highlight, mut visibility) in &mut highlights {
        let below_mouse = hovered.0 == Some(highlight.0);
        visibility.set_if_neq(if below_mouse {
            Visibility::Inherited
        } else {
            Visibility::Hidden
        });
    }
}
