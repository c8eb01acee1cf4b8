//! Cities, oases and the Throne on the map.

use bevy::prelude::*;
use bevy::time::Real;
use raftian_realm::crowns::{Crowns, Place};

use super::CrownsSystems;
use super::art::Art;
use super::composer::Composer;
use super::icons::Icon;
use super::input::HoveredPlace;
use super::layout::MapLayout;
use super::map::{bar, depth, drawn, erase, icon, label, picture};
use super::perspective::Perspective;
use super::presence::AwaySeats;
use super::words::clock;
use crate::screens::Screen;
use crate::table::projection::{Garrison, Holder, Keep, Site};
use crate::ui::ReducedMotion;
use crate::ui::theme::colour;
use crate::view::fonts::Typeface;

/// Part of the drawing of a place that changes.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The ring in the colour of the holder.
    Ring,
    /// The ring of a chosen or hovered place.
    Choice,
    /// The picture of a keep.
    Building,
    /// The shape of the holder.
    Badge,
    /// The filled part of the keep's bar.
    Keep,
    /// The bar behind it.
    KeepGround,
    /// The smoke over a hit keep.
    Smoke,
    /// The light around the Throne.
    Glow,
}

/// A label of a place: below it the name, above it the garrison.
#[derive(Component, Clone, Copy, Debug)]
struct SiteLabel {
    place: Place,
    is_name: bool,
}

/// Length of a keep's bar in tiles.
const BAR: f32 = 0.74;

/// Colour of what no one holds.
const FREE: Color = Color::srgb(0.86, 0.84, 0.76);

/// Colour of walls.
const STONE: Color = Color::srgb(0.93, 0.9, 0.83);

const DARK: Color = Color::srgb(0.09, 0.11, 0.13);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<AwaySeats>();
    app.add_systems(
        Update,
        (draw_new, (place_sites, paint, write_labels))
            .chain()
            .in_set(CrownsSystems::Draw),
    )
    .add_systems(OnExit(Screen::Match), erase::<Site>);
}

/// Draws each place that has no drawing yet.
fn draw_new(
    mut commands: Commands,
    art: Res<Art>,
    font: Res<Typeface>,
    perspective: Res<Perspective>,
    sites: Query<(Entity, &Site), Without<Children>>,
    labels: Query<(Entity, &SiteLabel)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    for (entity, site) in &sites {
        // Those of the match before.
        for (label, of) in &labels {
            if of.place == site.0 {
                commands.entity(label).despawn();
            }
        }
        commands
            .entity(entity)
            .insert(drawn())
            .with_children(|parts| match site.0 {
                Place::City(seat) => draw_city(parts, &art, seat),
                Place::Oasis(_) => draw_oasis(parts, &art, game, site.0),
                Place::Throne => draw_throne(parts, &art),
            });
        for is_name in [true, false] {
            let size = if is_name { 17.0 } else { 16.0 };
            commands.spawn((
                SiteLabel {
                    place: site.0,
                    is_name,
                },
                DespawnOnExit(Screen::Match),
                label(&font, size, colour::TEXT),
            ));
        }
    }
}

fn draw_city(parts: &mut ChildSpawnerCommands, art: &Art, seat: u8) {
    let tint = colour::seat(seat);
    parts.spawn(picture(
        art.glow.clone(),
        Color::BLACK.with_alpha(0.55),
        1.35,
        Vec3::new(0.03, -0.05, 0.0),
    ));
    parts.spawn((
        Part::Choice,
        icon(art, Icon::ThinRing, Color::NONE, 1.08, z(0.1)),
    ));
    parts.spawn(icon(art, Icon::Disc, DARK.with_alpha(0.88), 0.88, z(0.2)));
    parts.spawn((Part::Ring, icon(art, Icon::Ring, tint, 0.9, z(0.3))));
    parts.spawn((
        Part::Building,
        icon(art, Icon::Keep, STONE, 0.46, Vec3::new(0.0, 0.07, 0.4)),
    ));
    parts.spawn((
        Part::Smoke,
        picture(
            art.glow.clone(),
            Color::NONE,
            0.6,
            Vec3::new(0.06, 0.3, 0.5),
        ),
    ));
    parts.spawn(icon(
        art,
        Icon::Disc,
        DARK,
        0.36,
        Vec3::new(0.32, -0.3, 0.6),
    ));
    parts.spawn((
        Part::Badge,
        icon(
            art,
            Icon::of_seat(seat),
            tint,
            0.25,
            Vec3::new(0.32, -0.3, 0.7),
        ),
    ));
    parts.spawn((
        Part::KeepGround,
        bar(DARK, Vec2::new(BAR + 0.04, 0.11), Vec3::new(0.0, -0.5, 0.6)),
    ));
    parts.spawn((
        Part::Keep,
        bar(tint, Vec2::new(BAR, 0.07), Vec3::new(0.0, -0.5, 0.7)),
    ));
}

fn draw_oasis(parts: &mut ChildSpawnerCommands, art: &Art, game: &Crowns, place: Place) {
    let Place::Oasis(number) = place else { return };
    let Some(oasis) = game.map().oases.get(usize::from(number)) else {
        return;
    };
    let water = Color::srgb(0.17, 0.36, 0.44);
    parts.spawn(picture(
        art.glow.clone(),
        Color::srgba(0.2, 0.5, 0.45, 0.55),
        1.2,
        z(0.0),
    ));
    parts.spawn((
        Part::Choice,
        icon(art, Icon::ThinRing, Color::NONE, 0.86, z(0.1)),
    ));
    parts.spawn(icon(art, Icon::Disc, water, 0.6, z(0.2)));
    parts.spawn((Part::Ring, icon(art, Icon::Ring, FREE, 0.64, z(0.3))));
    parts.spawn(icon(
        art,
        Icon::of_resource(oasis.resource),
        STONE,
        0.34,
        z(0.4),
    ));
    parts.spawn((
        Part::Badge,
        icon(
            art,
            Icon::Disc,
            Color::NONE,
            0.22,
            Vec3::new(0.26, -0.24, 0.7),
        ),
    ));
}

fn draw_throne(parts: &mut ChildSpawnerCommands, art: &Art) {
    parts.spawn((
        Part::Glow,
        picture(art.glow.clone(), Color::NONE, 2.4, z(0.0)),
    ));
    parts.spawn((
        Part::Choice,
        icon(art, Icon::ThinRing, Color::NONE, 1.12, z(0.1)),
    ));
    parts.spawn(icon(art, Icon::Disc, DARK.with_alpha(0.92), 0.9, z(0.2)));
    parts.spawn((Part::Ring, icon(art, Icon::Ring, FREE, 0.94, z(0.3))));
    parts.spawn(icon(
        art,
        Icon::Crown,
        colour::GOLD,
        0.56,
        Vec3::new(0.0, 0.02, 0.4),
    ));
    parts.spawn((
        Part::Badge,
        icon(
            art,
            Icon::Disc,
            Color::NONE,
            0.28,
            Vec3::new(0.34, -0.32, 0.7),
        ),
    ));
}

fn z(depth: f32) -> Vec3 {
    Vec3::new(0.0, 0.0, depth)
}

fn place_sites(
    layout: Res<MapLayout>,
    perspective: Res<Perspective>,
    mut sites: Query<(&Site, &mut Transform)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    for (site, mut transform) in &mut sites {
        let Some(tile) = game.map().tile(site.0) else {
            continue;
        };
        transform.set_if_neq(Transform {
            translation: layout.at(tile).extend(depth::SITE),
            // The depths of the parts stay within those of all places.
            scale: Vec3::new(layout.tile, layout.tile, 1.0),
            ..default()
        });
    }
}

type SiteParts<'a> = (
    &'a Site,
    &'a Garrison,
    Option<&'a Holder>,
    Option<&'a Keep>,
    &'a Children,
);

fn paint(
    time: Res<Time<Real>>,
    art: Res<Art>,
    perspective: Res<Perspective>,
    composer: Res<Composer>,
    hovered: Res<HoveredPlace>,
    motion: Res<ReducedMotion>,
    away: Res<AwaySeats>,
    sites: Query<SiteParts>,
    mut parts: Query<(&Part, &mut Sprite, &mut Transform)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    let pulse = if motion.0 {
        0.5
    } else {
        0.5 + 0.5 * (time.elapsed_secs_wrapped() * 2.0).sin()
    };
    // The cities of players who cannot be reached blink once a second.
    let blink = match motion.0 {
        true => 0.4,
        false => 0.6 + 0.4 * (time.elapsed_secs_wrapped() * std::f32::consts::TAU).cos(),
    };
    for (site, _, holder, keep, children) in &sites {
        let place = site.0;
        let is_away = matches!(place, Place::City(seat) if away.0.contains(&seat));
        let held = match place {
            Place::City(seat) => Some(seat),
            Place::Oasis(_) | Place::Throne => holder.and_then(|holder| holder.0),
        };
        let is_fallen = keep.is_some_and(|keep| keep.0 == 0);
        let mut parts = parts.iter_many_mut(children);
        while let Some((part, mut sprite, mut transform)) = parts.fetch_next() {
            let tint = held.map_or(FREE, colour::seat);
            let shown = match part {
                Part::Ring if is_fallen => colour::DISABLED,
                Part::Ring => tint,
                Part::Choice if composer.target == Some(place) => colour::FOCUS,
                Part::Choice if hovered.0 == Some(place) => Color::WHITE.with_alpha(0.75),
                Part::Choice if perspective.own.map(Place::City) == Some(place) => {
                    Color::WHITE.with_alpha(0.35)
                }
                Part::Choice => Color::NONE,
                Part::Building if is_fallen => colour::DISABLED,
                Part::Building if is_away => STONE.with_alpha(blink),
                Part::Building => STONE,
                Part::Badge if held.is_none() || is_fallen => Color::NONE,
                Part::Badge if is_away => tint.with_alpha(blink),
                Part::Badge => tint,
                Part::Keep | Part::KeepGround if is_fallen => Color::NONE,
                Part::Keep => tint,
                Part::KeepGround => DARK,
                Part::Smoke if smokes(game, place) => {
                    Color::srgba(0.85, 0.85, 0.85, 0.35 + 0.3 * pulse)
                }
                Part::Smoke => Color::NONE,
                Part::Glow => glow(game, held, pulse),
            };
            if sprite.color != shown {
                sprite.color = shown;
            }
            match part {
                Part::Keep => {
                    let full = game.rules().start.keep.max(1);
                    let filled = keep.map_or(0, |keep| keep.0) as f32 / full as f32;
                    let length = BAR * filled.clamp(0.0, 1.0);
                    sprite.custom_size = Some(Vec2::new(length, 0.07));
                    transform.translation.x = (length - BAR) / 2.0;
                }
                Part::Building => {
                    let picture = if is_fallen { Icon::Ruin } else { Icon::Keep };
                    set_image(&mut sprite, art.icon(picture));
                }
                Part::Badge => {
                    if let Some(seat) = held {
                        set_image(&mut sprite, art.icon(Icon::of_seat(seat)));
                    }
                }
                Part::Ring | Part::Choice | Part::KeepGround | Part::Smoke | Part::Glow => {}
            }
        }
    }
}

fn set_image(sprite: &mut Mut<'_, Sprite>, image: Handle<Image>) {
    if sprite.image != image {
        sprite.image = image;
    }
}

fn smokes(game: &Crowns, place: Place) -> bool {
    let Place::City(seat) = place else {
        return false;
    };
    let city = game.seats().get(usize::from(seat));
    city.is_some_and(|city| city.stands() && game.now() < city.smokes_until())
}

/// Light around the Throne: gold once it is open, in the colour of its holder when it is held.
fn glow(game: &Crowns, holder: Option<u8>, pulse: f32) -> Color {
    let is_open = game.elapsed() >= game.rules().throne.opens * 1_000;
    match holder {
        _ if !is_open => Color::BLACK.with_alpha(0.4),
        None => colour::GOLD.with_alpha(0.25 + 0.2 * pulse),
        Some(seat) => colour::seat(seat).with_alpha(0.5 + 0.25 * pulse),
    }
}

fn write_labels(
    layout: Res<MapLayout>,
    perspective: Res<Perspective>,
    sites: Query<(&Site, &Garrison)>,
    mut labels: Query<(
        Entity,
        &SiteLabel,
        &mut Text2d,
        &mut Transform,
        &mut TextFont,
    )>,
    mut commands: Commands,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    for (entity, label, mut text, mut transform, mut font) in &mut labels {
        let Some(tile) = game.map().tile(label.place) else {
            // It is of the match before, which had more places.
            commands.entity(entity).despawn();
            continue;
        };
        let garrison = sites.iter().find(|(site, _)| site.0 == label.place);
        let count = garrison.map_or(0, |(_, garrison)| garrison.0.total());
        let words = match (label.place, label.is_name) {
            (Place::City(seat), true) => perspective.name(seat),
            (Place::Throne, true) => throne_label(game),
            (Place::Oasis(number), true) => (u16::from(number) + 1).to_string(),
            (_, false) if count == 0 => String::new(),
            (_, false) => count.to_string(),
        };
        if text.0 != words {
            text.0 = words;
        }
        let size = if label.is_name { 0.25 } else { 0.24 };
        let size = (layout.tile * size).clamp(11.0, 40.0).round();
        if font.font_size != FontSize::Px(size) {
            font.font_size = FontSize::Px(size);
        }
        let aside = if label.is_name {
            Vec2::new(0.0, -0.68)
        } else {
            Vec2::new(-0.36, 0.36)
        };
        let at = (layout.at(tile) + aside * layout.tile).round();
        transform.set_if_neq(Transform::from_translation(at.extend(depth::LABEL)));
    }
}

fn throne_label(game: &Crowns) -> String {
    let opens = game.rules().throne.opens * 1_000;
    let elapsed = game.elapsed();
    if elapsed < opens {
        return text!("opens in {time}", time = clock(opens - elapsed));
    }
    if game.is_throne_guarded() {
        return text!("guarded");
    }
    String::new()
}
