//! The ground of the map, and what all that is drawn on it has in common.

use bevy::camera::visibility::RenderLayers;
use bevy::prelude::*;
use bevy::sprite::Text2dShadow;

use super::CrownsSystems;
use super::art::{self, Art};
use super::icons::Icon;
use super::layout::MapLayout;
use super::terrain;
use crate::screens::{CROWNS_LAYER, Screen};
use crate::table::ReplicatedTable;
use crate::view::fonts::Typeface;

/// Drawing depths; larger is nearer.
pub(super) mod depth {
    pub(crate) const GROUND: f32 = 0.0;
    pub(crate) const PATH: f32 = 1.0;
    pub(crate) const SITE: f32 = 2.0;
    pub(crate) const MARCH: f32 = 3.0;
    pub(crate) const LABEL: f32 = 4.0;
    pub(crate) const EFFECT: f32 = 5.0;
}

/// The picture of the ground, for one match.
#[derive(Component)]
struct Ground {
    seed: u64,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        Update,
        (lay_ground, fit_ground).chain().in_set(CrownsSystems::Draw),
    );
}

fn lay_ground(
    table: Res<ReplicatedTable>,
    grounds: Query<(Entity, &Ground)>,
    mut images: ResMut<Assets<Image>>,
    mut commands: Commands,
) {
    let Some((seed, game)) = table.0.seed().zip(table.0.game()) else {
        return;
    };
    if grounds.iter().any(|(_, ground)| ground.seed == seed) {
        return;
    }
    for (ground, _) in &grounds {
        commands.entity(ground).despawn();
    }
    let pixels = terrain::pixels(seed, game.map().side);
    let image = images.add(art::image(terrain::SIDE, pixels));
    commands.spawn((
        Name::new("Ground"),
        Ground { seed },
        DespawnOnExit(Screen::Match),
        Sprite {
            image,
            custom_size: Some(Vec2::ONE),
            ..default()
        },
        Transform::default(),
        RenderLayers::layer(CROWNS_LAYER),
    ));
}

fn fit_ground(layout: Res<MapLayout>, mut grounds: Query<&mut Transform, With<Ground>>) {
    for mut transform in &mut grounds {
        transform.set_if_neq(Transform {
            translation: layout.centre.extend(depth::GROUND),
            scale: Vec3::new(layout.whole(), layout.whole(), 1.0),
            ..default()
        });
    }
}

/// The components of an entity of the projection that is drawn by its children.
pub(super) fn drawn() -> impl Bundle {
    (
        Transform::default(),
        Visibility::default(),
        RenderLayers::layer(CROWNS_LAYER),
    )
}

/// Removes the drawings of entities that live longer than the screen.
pub(super) fn erase<C: Component>(mut commands: Commands, drawn: Query<Entity, With<C>>) {
    for entity in &drawn {
        commands
            .entity(entity)
            .despawn_related::<Children>()
            .remove::<(Transform, Visibility)>();
    }
}

/// A tinted icon, `side` units wide, at `at` from its parent.
pub(super) fn icon(art: &Art, icon: Icon, colour: Color, side: f32, at: Vec3) -> impl Bundle {
    picture(art.icon(icon), colour, side, at)
}

/// A tinted picture, `side` units wide, at `at` from its parent.
pub(super) fn picture(image: Handle<Image>, color: Color, side: f32, at: Vec3) -> impl Bundle {
    (
        Sprite {
            image,
            color,
            custom_size: Some(Vec2::splat(side)),
            ..default()
        },
        Transform::from_translation(at),
        RenderLayers::layer(CROWNS_LAYER),
    )
}

/// A plain rectangle, at `at` from its parent.
pub(super) fn bar(color: Color, size: Vec2, at: Vec3) -> impl Bundle {
    (
        Sprite::from_color(color, size),
        Transform::from_translation(at),
        RenderLayers::layer(CROWNS_LAYER),
    )
}

/// A label of the map. It is no child of what it labels, because a scaled text is not sharp.
pub(super) fn label(font: &Typeface, size: f32, colour: Color) -> impl Bundle {
    (
        Text2d::default(),
        font.at(size),
        TextColor(colour),
        Text2dShadow {
            offset: Vec2::new(1.0, -1.0),
            color: Color::BLACK.with_alpha(0.8),
        },
        TextLayout::no_wrap(),
        RenderLayers::layer(CROWNS_LAYER),
    )
}
