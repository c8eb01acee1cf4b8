//! The dots: squares of random colours that walk at random.

use bevy::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Width of the map, in pixels.
pub(super) const WIDTH: f32 = 1000.0;
/// Height of the map, in pixels.
pub(super) const HEIGHT: f32 = 1200.0;
/// Side of a dot, in pixels.
const SIDE: f32 = 30.0;
/// Longest step per frame along each axis, in pixels.
const STEP: i32 = 5;

#[derive(Component)]
struct Dot;

#[derive(Resource)]
struct Rng(ChaCha8Rng);

/// Spawns `dots` dots that walk at random. Without a window they have places but are not drawn.
pub(super) fn plugin(app: &mut App, dots: u32, seed: u64, drawn: bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let world = app.world_mut();
    for _ in 0..dots {
        let (x, y) = furthest();
        let place = Transform::from_xyz(rng.random_range(-x..=x), rng.random_range(-y..=y), 0.0);
        let dot = world.spawn((Dot, place)).id();
        let colour = [(); 3].map(|()| rng.random::<u8>());
        if drawn {
            draw(world, dot, colour);
        }
    }
    if drawn {
        world.spawn(Camera2d);
    }
    app.insert_resource(Rng(rng)).add_systems(Update, walk);
}

/// Longest distance of a dot's centre from the map's, along each axis.
fn furthest() -> (f32, f32) {
    ((WIDTH - SIDE) / 2.0, (HEIGHT - SIDE) / 2.0)
}

fn walk(mut rng: ResMut<Rng>, mut dots: Query<&mut Transform, With<Dot>>) {
    let (x, y) = furthest();
    for mut place in &mut dots {
        let mut step = || rng.0.random_range(-STEP..=STEP) as f32;
        let at = &mut place.translation;
        at.x = (at.x + step()).clamp(-x, x);
        at.y = (at.y + step()).clamp(-y, y);
    }
}

fn draw(world: &mut World, dot: Entity, [red, green, blue]: [u8; 3]) {
    let sprite = Sprite::from_color(Color::srgb_u8(red, green, blue), Vec2::splat(SIDE));
    world.entity_mut(dot).insert(sprite);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_walk_a_few_pixels_a_frame_and_stay_on_the_map() {
        let mut app = App::new();
        plugin(&mut app, 50, 7, false);
        let places = |app: &mut App| -> Vec<Vec3> {
            app.world_mut()
                .query_filtered::<&Transform, With<Dot>>()
                .iter(app.world())
                .map(|at| at.translation)
                .collect()
        };
        let mut moved = 0;
        for _ in 0..2_000 {
            let before = places(&mut app);
            app.update();
            let after = places(&mut app);
            let (x, y) = furthest();
            assert!(after.iter().all(|at| at.x.abs() <= x && at.y.abs() <= y));
            for (before, after) in before.iter().zip(&after) {
                let step = (after - before).abs();
                assert!(step.max_element() <= STEP as f32, "{step}");
                moved += usize::from(step.max_element() > 0.0);
            }
        }
        assert!(
            moved > 90_000,
            "of 100,000 steps one in 121 stands still: {moved}"
        );
    }
}
