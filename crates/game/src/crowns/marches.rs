//! Armies under way, and the orders to march that are not committed yet.

use bevy::prelude::*;
use bevy::time::Real;
use raftian_realm::crowns::{Crowns, Place};

use super::CrownsSystems;
use super::art::Art;
use super::composer::Composer;
use super::icons::Icon;
use super::layout::MapLayout;
use super::map::{bar, depth, drawn, erase, icon, label};
use super::orders::PendingOrders;
use super::perspective::Perspective;
use crate::screens::Screen;
use crate::table::projection::March;
use crate::ui::ReducedMotion;
use crate::ui::theme::colour;
use crate::view::fonts::Typeface;

/// The line along which an army marches, and its label.
#[derive(Component, Clone, Copy, Debug)]
enum Along {
    Path(Entity),
    Count(Entity),
}

/// The line of a march that is planned, or on its way to be committed.
#[derive(Component)]
struct Plan;

/// Side of an army's token in tiles.
const TOKEN: f32 = 0.4;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(OnEnter(Screen::Match), spawn_plans)
        .add_systems(
            Update,
            (draw_new, (move_tokens, move_along, show_plans))
                .chain()
                .in_set(CrownsSystems::Draw),
        )
        .add_systems(OnExit(Screen::Match), erase::<March>);
}

fn draw_new(
    mut commands: Commands,
    art: Res<Art>,
    font: Res<Typeface>,
    marches: Query<(Entity, &March), Without<Children>>,
) {
    for (entity, march) in &marches {
        let seat = march.march.seat;
        let tint = colour::seat(seat);
        commands
            .entity(entity)
            .insert(drawn())
            .with_children(|parts| {
                let at = |depth| Vec3::new(0.0, 0.0, depth);
                let dark = Color::srgb(0.06, 0.07, 0.09);
                parts.spawn(icon(&art, Icon::Disc, dark, TOKEN * 1.18, at(0.0)));
                parts.spawn(icon(&art, Icon::Disc, tint, TOKEN, at(0.1)));
                let shape = Icon::of_seat(seat);
                parts.spawn(icon(&art, shape, dark, TOKEN * 0.58, at(0.2)));
            });
        commands.spawn((
            Along::Path(entity),
            DespawnOnExit(Screen::Match),
            bar(tint.with_alpha(0.55), Vec2::ONE, Vec3::ZERO),
        ));
        commands.spawn((
            Along::Count(entity),
            DespawnOnExit(Screen::Match),
            label(&font, 15.0, colour::TEXT),
        ));
    }
}

/// Start and end of a march on the map.
fn ends(march: &March, game: &Crowns, layout: &MapLayout) -> Option<(Vec2, Vec2)> {
    let map = game.map();
    let home = layout.at(map.tile(Place::City(march.march.seat))?);
    let place = layout.at(map.tile(march.march.place)?);
    Some(if march.march.returns {
        (place, home)
    } else {
        (home, place)
    })
}

/// Part of its way that an army has marched at present.
fn part_of_way(march: &raftian_realm::crowns::March, now: u64) -> f32 {
    let whole = march.arrives.saturating_sub(march.leaves).max(1) as f32;
    (now.saturating_sub(march.leaves) as f32 / whole).clamp(0.0, 1.0)
}

fn move_tokens(
    layout: Res<MapLayout>,
    perspective: Res<Perspective>,
    mut marches: Query<(&March, &mut Transform)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    for (march, mut transform) in &mut marches {
        let Some((from, to)) = ends(march, game, &layout) else {
            continue;
        };
        let at = from.lerp(to, part_of_way(&march.march, game.now()));
        transform.set_if_neq(Transform {
            translation: at.extend(depth::MARCH),
            scale: Vec3::new(layout.tile, layout.tile, 1.0),
            ..default()
        });
    }
}

/// The path shows what is left of the way; a label shows how many march.
fn move_along(
    mut commands: Commands,
    layout: Res<MapLayout>,
    perspective: Res<Perspective>,
    marches: Query<(&March, &Transform), Without<Along>>,
    mut along: Query<(Entity, &Along, &mut Transform, Option<&mut Text2d>)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    for (entity, along, mut transform, text) in &mut along {
        let (Along::Path(of) | Along::Count(of)) = *along;
        let Ok((march, token)) = marches.get(of) else {
            commands.entity(entity).despawn();
            continue;
        };
        let at = token.translation.truncate();
        match text {
            None => {
                if let Some((_, to)) = ends(march, game, &layout) {
                    transform.set_if_neq(line(at, to, (layout.tile * 0.05).max(2.0)));
                }
            }
            Some(mut text) => {
                let words = march.march.army.total().to_string();
                if text.0 != words {
                    text.0 = words;
                }
                let above = at + Vec2::new(0.0, layout.tile * 0.34);
                let place = above.round().extend(depth::LABEL);
                transform.set_if_neq(Transform::from_translation(place));
            }
        }
    }
}

/// Stretches a square of one unit to a line.
fn line(from: Vec2, to: Vec2, width: f32) -> Transform {
    let way = to - from;
    Transform {
        translation: from.midpoint(to).extend(depth::PATH),
        rotation: Quat::from_rotation_z(way.to_angle()),
        scale: Vec3::new(way.length().max(0.1), width, 1.0),
    }
}

/// One line for the open plan, and some for orders on their way.
fn spawn_plans(mut commands: Commands) {
    for _ in 0..4 {
        commands.spawn((
            Plan,
            DespawnOnExit(Screen::Match),
            bar(Color::NONE, Vec2::ONE, Vec3::ZERO),
        ));
    }
}

fn show_plans(
    time: Res<Time<Real>>,
    layout: Res<MapLayout>,
    perspective: Res<Perspective>,
    composer: Res<Composer>,
    pending: Res<PendingOrders>,
    motion: Res<ReducedMotion>,
    mut plans: Query<(&mut Sprite, &mut Transform), With<Plan>>,
) {
    let city = perspective.city();
    let home = city.and_then(|(own, game, _)| game.map().tile(Place::City(own)));
    let planned = composer.target.into_iter().map(|place| (place, false));
    let sent = pending.marches().map(|place| (place, true));
    let mut shown = planned.chain(sent);
    let blink = if motion.0 {
        0.5
    } else {
        0.5 + 0.3 * (time.elapsed_secs_wrapped() * 6.0).sin()
    };
    for (mut sprite, mut transform) in &mut plans {
        let line_of = city.zip(home).and_then(|((_, game, _), home)| {
            let (place, is_sent) = shown.next()?;
            let to = game.map().tile(place)?;
            Some((layout.at(home), layout.at(to), is_sent))
        });
        let Some((from, to, is_sent)) = line_of else {
            sprite.color = Color::NONE;
            continue;
        };
        let opacity = if is_sent { blink } else { 0.8 };
        sprite.color = colour::FOCUS.with_alpha(opacity);
        *transform = line(from, to, 2.5);
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{Army, Attack};

    use super::*;

    #[test]
    fn army_is_where_the_clock_has_it() {
        let march = raftian_realm::crowns::March {
            seat: 0,
            army: Army::new([1, 0, 0, 0]),
            place: Place::Throne,
            attack: Attack::Assault,
            leaves: 1_000,
            arrives: 3_000,
            returns: false,
            loot: [0; 3],
        };
        let part = |now| part_of_way(&march, now);
        assert_eq!([part(0), part(1_000), part(2_500)], [0.0, 0.0, 0.75]);
        assert_eq!(part(9_000), 1.0, "it waits for the entry of its arrival");
    }

    #[test]
    fn line_reaches_from_end_to_end() {
        let line = line(Vec2::new(1.0, 1.0), Vec2::new(1.0, 5.0), 2.0);
        assert_eq!(line.translation.truncate(), Vec2::new(1.0, 3.0));
        let end = line.transform_point(Vec3::new(0.5, 0.0, 0.0));
        assert!(end.truncate().distance(Vec2::new(1.0, 5.0)) < 1e-4, "{end}");
    }
}
