//! Where the map is in the window.

use bevy::prelude::*;
use bevy::window::PrimaryWindow;
use raftian_realm::crowns::{Map, Tile};

use super::CrownsSystems;
use super::perspective::Perspective;
use crate::overlay::{GameCamera, STRIP_HEIGHT, StripPlace};
use crate::screens::Screen;
use crate::screens::learn::{LessonRun, ROOM};
use crate::view::canvas::set_scale;

/// Height of the bar above the map, in pixels of the interface.
pub(crate) const TOP: f32 = 64.0;

/// Width of the panel right of the map.
pub(super) const RIGHT: f32 = 372.0;

/// Height of the feed below the map.
pub(super) const BOTTOM: f32 = 150.0;

/// Distance between the map and what is around it.
const MARGIN: f32 = 12.0;

/// Where the map is, in logical pixels from the middle of the window, y upwards.
#[derive(Resource, Clone, Copy, PartialEq, Debug)]
pub(super) struct MapLayout {
    /// The Throne.
    pub(super) centre: Vec2,
    /// Side of a tile.
    pub(super) tile: f32,
    /// Tiles along a side of the map.
    pub(super) side: u8,
}

impl Default for MapLayout {
    fn default() -> Self {
        MapLayout {
            centre: Vec2::ZERO,
            tile: 60.0,
            side: 9,
        }
    }
}

impl MapLayout {
    /// The largest map in a window of this size with an interface of this scale, right of `left`
    /// pixels of the interface.
    fn fit(window: Vec2, scale: f32, side: u8, left: f32) -> Self {
        let [top, right, bottom, left] = [TOP, RIGHT, BOTTOM, left].map(|part| part * scale);
        let free =
            (window - Vec2::new(left + right, top + bottom) - 2.0 * MARGIN).max(Vec2::splat(60.0));
        let tile = (free.min_element() / f32::from(side)).floor().max(1.0);
        MapLayout {
            centre: Vec2::new((left - right) / 2.0, (bottom - top) / 2.0).round(),
            tile,
            side,
        }
    }

    /// The middle of a tile.
    pub(super) fn at(&self, tile: Tile) -> Vec2 {
        self.centre + Vec2::new(f32::from(tile.x), -f32::from(tile.y)) * self.tile
    }

    /// The tile at a point, which may be outside the map.
    pub(super) fn tile_at(&self, point: Vec2) -> Option<Tile> {
        let [x, y] = ((point - self.centre) / self.tile).round().to_array();
        let reach = f32::from(self.side / 2);
        (x.abs() <= reach && y.abs() <= reach).then_some(Tile {
            x: x as i8,
            y: -y as i8,
        })
    }

    /// Side of the whole map.
    pub(super) fn whole(&self) -> f32 {
        self.tile * f32::from(self.side)
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<MapLayout>()
        .add_systems(OnEnter(Screen::Match), aim_camera)
        .add_systems(OnExit(Screen::Match), return_strip)
        .add_systems(
            Update,
            (fit, aim_camera, place_strip).in_set(CrownsSystems::Look),
        );
}

fn fit(
    perspective: Res<Perspective>,
    scale: Res<UiScale>,
    lesson: Option<Res<LessonRun>>,
    window: Single<&Window, With<PrimaryWindow>>,
    mut layout: ResMut<MapLayout>,
) {
    let side = perspective.game.as_ref().map(|game| map_side(game.map()));
    let side = side.unwrap_or(layout.side);
    let left = if lesson.is_some() { ROOM } else { 0.0 };
    let size = window.resolution.size();
    layout.set_if_neq(MapLayout::fit(size, scale.0, side, left));
}

fn map_side(map: &Map) -> u8 {
    map.side
}

/// Moves the strip of the overlay from the clock to the edge between map and feed.
fn place_strip(
    scale: Res<UiScale>,
    window: Single<&Window, With<PrimaryWindow>>,
    mut place: ResMut<StripPlace>,
) {
    let size = window.resolution.size();
    let bottom = size.y - BOTTOM * scale.0;
    let right = (size.x - RIGHT * scale.0).max(0.0);
    let area = Rect::new(0.0, bottom - STRIP_HEIGHT, right, bottom);
    place.set_if_neq(StripPlace(Some(area)));
}

fn return_strip(mut place: ResMut<StripPlace>) {
    place.0 = None;
}

/// One unit of the world is one logical pixel, so that text on the map is sharp.
fn aim_camera(camera: Option<Single<(&mut Projection, &mut Transform), GameCamera>>) {
    let Some(camera) = camera else { return };
    let (projection, mut transform) = camera.into_inner();
    transform.set_if_neq(Transform::IDENTITY);
    set_scale(projection, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_fills_the_free_part_of_the_window() {
        let layout = MapLayout::fit(Vec2::new(1280.0, 800.0), 1.0, 9, 0.0);
        assert!((60.0..=66.0).contains(&layout.tile), "{layout:?}");
        let half = layout.whole() / 2.0;
        assert!(layout.centre.y + half + TOP <= 400.0, "{layout:?}");
        assert!(layout.centre.y - half - BOTTOM >= -400.0, "{layout:?}");
        assert!(layout.centre.x + half + RIGHT <= 640.0, "{layout:?}");
    }

    #[test]
    fn points_of_the_map_belong_to_tiles() {
        let layout = MapLayout::fit(Vec2::new(800.0, 600.0), 0.65, 11, 0.0);
        for tile in [
            Tile { x: 0, y: 0 },
            Tile { x: -5, y: 5 },
            Tile { x: 3, y: -2 },
        ] {
            let nearly_next = Vec2::splat(layout.tile * 0.49);
            assert_eq!(layout.tile_at(layout.at(tile)), Some(tile));
            assert_eq!(layout.tile_at(layout.at(tile) + nearly_next), Some(tile));
        }
        let outside = layout.at(Tile { x: 5, y: 0 }) + Vec2::new(layout.tile, 0.0);
        assert_eq!(layout.tile_at(outside), None);
    }
}
