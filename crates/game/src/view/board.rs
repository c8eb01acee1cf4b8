//! The background of header and footer, the map, its grid, and the cities with their labels.

use super::ViewSystems;
use super::canvas::{Canvas, block, depth, rgb};
use super::fonts::Typeface;
use super::pending::Pending;
use super::text::{Align, CanvasText, write};
use crate::classic_layout::{
    BLACK, FOOTER, GREY, GRID_LINES, HEADER, MAP, WHITE, city_area, city_colour,
};
use crate::language::{ShownLanguage, Wording};
use crate::projection::{City, Health};
use crate::realm::CityId;
use crate::screens::Screen;
use bevy::prelude::*;

/// Distance from a city's lower edge to the middle of its label.
const LABEL_DROP: f32 = 31.0;
const LABEL_SIZE: f32 = 24.0;

/// A line of the grid, `at` units from the map's left or upper edge.
#[derive(Component, Clone, Copy)]
enum GridLine {
    Upright { at: i32 },
    Level { at: i32 },
}

/// The square of a city. Like the label a child of the city's entity, so that both are despawned
/// with it.
#[derive(Component)]
struct Body(CityId);

/// The text line below a city.
#[derive(Component)]
struct Label(CityId);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<ShownLanguage>()
        .add_systems(Startup, lay_out)
        .add_systems(
            Update,
            (
                draw_grid.run_if(resource_changed::<Canvas>.or_else(state_changed::<Screen>)),
                (decorate_cities, (paint_cities, write_labels)).chain(),
            )
                .in_set(ViewSystems::Draw),
        );
}

fn lay_out(mut commands: Commands) {
    for (name, area, colour) in [
        ("Header", HEADER, WHITE),
        ("Map", MAP, GREY),
        ("Footer", FOOTER, WHITE),
    ] {
        commands.spawn((Name::new(name), block(area, colour, depth::GROUND)));
    }
    for line in GRID_LINES
        .into_iter()
        .flat_map(|at| [GridLine::Upright { at }, GridLine::Level { at }])
    {
        commands.spawn((
            Name::new("Grid line"),
            line,
            Sprite::from_color(rgb(BLACK), Vec2::ONE),
        ));
    }
}

/// Draws grid lines one unit wide, but never thinner than a pixel and always on whole pixels:
/// between pixels a line would vanish.
fn draw_grid(canvas: Res<Canvas>, mut lines: Query<(&GridLine, &mut Sprite, &mut Transform)>) {
    let [x, y, side] = [MAP.x, MAP.y, MAP.width].map(|units| units as f32);
    let width = canvas.pixels_per_unit.round().max(1.0) / canvas.pixels_per_unit;
    for (line, mut sprite, mut transform) in &mut lines {
        let (corner, size) = match *line {
            GridLine::Upright { at } => (Vec2::new(x + at as f32, y), Vec2::new(width, side)),
            GridLine::Level { at } => (Vec2::new(x, y + at as f32), Vec2::new(side, width)),
        };
        let middle = canvas.snapped(corner) + size / 2.0;
        sprite.custom_size = Some(size);
        transform.translation = Vec3::new(middle.x, -middle.y, depth::GRID);
    }
}

/// Adds a square and a label to each new city. A city unknown to the layout is not drawn.
fn decorate_cities(
    mut commands: Commands,
    typeface: Res<Typeface>,
    cities: Query<(Entity, &City, &Health), Added<City>>,
) {
    for (entity, city, health) in &cities {
        let Some(area) = city_area(city.0) else {
            continue;
        };
        let below = Vec2::new(
            (area.x + area.width / 2) as f32,
            (area.y + area.height) as f32 + LABEL_DROP,
        );
        let line = CanvasText {
            at: below,
            align: Align::Middle,
            size: LABEL_SIZE,
            depth: depth::TEXT,
        };
        commands
            .entity(entity)
            .insert((Transform::default(), Visibility::default()))
            .with_children(|city_parts| {
                city_parts.spawn((
                    Body(city.0),
                    block(area, city_colour(city.0, (*health).into()), depth::CITY),
                ));
                city_parts.spawn((Label(city.0), line.line(&typeface.0, BLACK, Wording::EMPTY)));
            });
    }
}

fn paint_cities(
    cities: Query<(&City, &Health), Changed<Health>>,
    mut bodies: Query<(&Body, &mut Sprite)>,
) {
    for (city, health) in &cities {
        for (_, mut sprite) in bodies.iter_mut().filter(|(body, _)| body.0 == city.0) {
            sprite.color = rgb(city_colour(city.0, (*health).into()));
        }
    }
}

fn write_labels(
    pending: Res<Pending>,
    language: Res<ShownLanguage>,
    cities: Query<(&City, Ref<Health>)>,
    mut labels: Query<(&Label, &mut Text2d)>,
) {
    for (city, health) in &cities {
        if pending.is_changed() || language.is_changed() || health.is_changed() {
            let words = label(city.0, *health, pending.count(city.0));
            labels
                .iter_mut()
                .filter(|(label, _)| label.0 == city.0)
                .for_each(|(_, mut text)| write(&mut text, &words));
        }
    }
}

fn label(city: CityId, health: Health, waiting: u32) -> String {
    let state = if health.is_dead() {
        text!("fallen")
    } else {
        text!("{points} hp", points = health.0)
    };
    match waiting {
        0 => text!("P{number} · {state}", number = city.0, state),
        waiting => text!(
            "P{number} · {state} · {waiting} waiting",
            number = city.0,
            state,
            waiting
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::language::tests::Spoken;
    use crate::projection::{self, ReplicatedRealm};
    use crate::realm::{Order, Realm};

    fn app() -> App {
        let mut app = App::new();
        app.add_plugins((projection::plugin, plugin))
            .insert_resource(Typeface(Handle::default()))
            .init_resource::<Canvas>()
            .init_resource::<Pending>()
            .insert_resource(ReplicatedRealm(Realm::new_classic(4)));
        app.update();
        app
    }

    fn colour(app: &mut App, city: u8) -> [u8; 3] {
        let mut bodies = app.world_mut().query::<(&Body, &Sprite)>();
        let (_, sprite) = bodies
            .iter(app.world())
            .find(|(body, _)| body.0.0 == city)
            .unwrap();
        sprite.color.to_srgba().to_u8_array_no_alpha()
    }

    #[test]
    fn committed_hit_changes_the_colour_of_that_city_only() {
        let mut app = app();
        for expected in [
            [65, 65, 255],
            [105, 105, 255],
            [155, 155, 255],
            [33, 33, 55],
            [33, 33, 55],
        ] {
            app.world_mut()
                .resource_mut::<ReplicatedRealm>()
                .0
                .apply(&Order::Attack { city: CityId(3) });
            app.update();
            assert_eq!(colour(&mut app, 3), expected);
            assert_eq!(colour(&mut app, 1), [255, 0, 0]);
        }
    }

    #[test]
    fn new_match_removes_the_old_squares() {
        let mut app = app();
        app.insert_resource(ReplicatedRealm(Realm::new_classic(2)));
        app.update();
        let mut bodies = app.world_mut().query::<&Body>();
        assert_eq!(bodies.iter(app.world()).count(), 2);
        let mut labels = app.world_mut().query::<&Label>();
        assert_eq!(labels.iter(app.world()).count(), 2);
    }

    #[test]
    fn grid_lines_are_one_pixel_wide_at_half_size() {
        let mut app = app();
        app.insert_resource(Canvas::fit(UVec2::new(500, 600), 1.0));
        app.update();
        let mut lines = app.world_mut().query_filtered::<&Sprite, With<GridLine>>();
        let sizes: Vec<Vec2> = lines
            .iter(app.world())
            .filter_map(|sprite| sprite.custom_size)
            .collect();
        assert_eq!(sizes.len(), 6);
        assert!(sizes.iter().all(|size| size.min_element() == 2.0));
    }

    #[test]
    fn label_names_the_city_its_health_and_pending_orders() {
        assert_eq!(label(CityId(3), Health(70), 0), "P3 · 70 hp");
        assert_eq!(label(CityId(3), Health(70), 2), "P3 · 70 hp · 2 waiting");
        assert_eq!(label(CityId(3), Health(-20), 0), "P3 · fallen");
        let _spoken = Spoken::new(Language::Italian);
        let waiting = label(CityId(3), Health(70), 2);
        assert_eq!(waiting, "G3 · 70 pv · 2 in attesa");
    }
}
