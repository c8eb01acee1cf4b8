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

/// Least height of the bar above the map, in pixels of the interface.
pub(super) const TOP: f32 = 64.0;

/// Width of the panel right of the map.
pub(super) const RIGHT: f32 = 372.0;

/// Largest height of the feed below the map.
pub(super) const BOTTOM: f32 = 150.0;

/// Least height of the feed, and the part of the window from which on it is higher.
const SMALL_FEED: (f32, f32) = (84.0, 0.18);

/// Distance between the map and what is around it.
const MARGIN: f32 = 12.0;

/// Heights of the bar above the map and of the feed below it, in pixels of the interface. The bar
/// takes further lines where its parts do not fit into one, and the feed is lower in a low window.
#[derive(Resource, Clone, Copy, PartialEq, Debug)]
pub(super) struct Edges {
    pub(super) top: f32,
    pub(super) bottom: f32,
}

impl Default for Edges {
    fn default() -> Self {
        Edges {
            top: TOP,
            bottom: BOTTOM,
        }
    }
}

/// The bar above the map.
#[derive(Component)]
pub(super) struct TopBar;

/// Begins this far below the bar.
#[derive(Component)]
pub(crate) struct BelowBar(pub(crate) f32);

/// Ends this far above the feed.
#[derive(Component)]
pub(super) struct AboveFeed(pub(super) f32);

/// Is as high as the feed.
#[derive(Component)]
pub(super) struct FeedHeight;

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
    /// The largest map in a window of this size with an interface of this scale, between `edges` and
    /// right of `left` pixels of the interface.
    fn fit(window: Vec2, scale: f32, side: u8, edges: Edges, left: f32) -> Self {
        let Edges { top, bottom } = edges;
        let [top, right, bottom, left] = [top, RIGHT, bottom, left].map(|part| part * scale);
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
        .init_resource::<Edges>()
        .add_systems(OnEnter(Screen::Match), aim_camera)
        .add_systems(OnExit(Screen::Match), return_strip)
        .add_systems(
            Update,
            (
                (measure, fit, place_strip).chain().after(aim_camera),
                aim_camera,
            )
                .in_set(CrownsSystems::Look),
        )
        .add_systems(Update, place.in_set(CrownsSystems::Draw));
}

/// Measures the bar as it was laid out last, and the room for the feed.
fn measure(
    scale: Res<UiScale>,
    window: Single<&Window, With<PrimaryWindow>>,
    bar: Option<Single<&ComputedNode, With<TopBar>>>,
    mut edges: ResMut<Edges>,
) {
    let bar = bar.map_or(TOP, |bar| bar.size().y * bar.inverse_scale_factor());
    let (least, part) = SMALL_FEED;
    let height = window.resolution.height() / scale.0.max(f32::EPSILON);
    edges.set_if_neq(Edges {
        top: bar.max(TOP),
        bottom: (height * part).clamp(least, BOTTOM),
    });
}

/// Moves what is below the bar and above the feed.
fn place(
    edges: Res<Edges>,
    mut below: Query<(&BelowBar, &mut Node), (Without<AboveFeed>, Without<FeedHeight>)>,
    mut above: Query<(&AboveFeed, Option<&BelowBar>, &mut Node), Without<FeedHeight>>,
    mut feed: Query<&mut Node, With<FeedHeight>>,
) {
    for (offset, mut node) in &mut below {
        let top = px(edges.top + offset.0);
        if node.top != top {
            node.top = top;
        }
    }
    for (offset, below, mut node) in &mut above {
        let top = below.map_or(node.top, |offset| px(edges.top + offset.0));
        let bottom = px(edges.bottom + offset.0);
        if (node.top, node.bottom) != (top, bottom) {
            (node.top, node.bottom) = (top, bottom);
        }
    }
    for mut node in &mut feed {
        let height = px(edges.bottom);
        if node.height != height {
            node.height = height;
        }
    }
}

fn fit(
    perspective: Res<Perspective>,
    scale: Res<UiScale>,
    lesson: Option<Res<LessonRun>>,
    edges: Res<Edges>,
    window: Single<&Window, With<PrimaryWindow>>,
    mut layout: ResMut<MapLayout>,
) {
    let side = perspective.game.as_ref().map(|game| map_side(game.map()));
    let side = side.unwrap_or(layout.side);
    let left = if lesson.is_some() { ROOM } else { 0.0 };
    let size = window.resolution.size();
    layout.set_if_neq(MapLayout::fit(size, scale.0, side, *edges, left));
}

fn map_side(map: &Map) -> u8 {
    map.side
}

/// Moves the strip of the overlay from the clock to the edge between map and feed.
fn place_strip(
    scale: Res<UiScale>,
    edges: Res<Edges>,
    window: Single<&Window, With<PrimaryWindow>>,
    mut place: ResMut<StripPlace>,
) {
    let size = window.resolution.size();
    let bottom = size.y - edges.bottom * scale.0;
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
        let layout = MapLayout::fit(Vec2::new(1280.0, 800.0), 1.0, 9, Edges::default(), 0.0);
        assert!((60.0..=66.0).contains(&layout.tile), "{layout:?}");
        let half = layout.whole() / 2.0;
        assert!(layout.centre.y + half + TOP <= 400.0, "{layout:?}");
        assert!(layout.centre.y - half - BOTTOM >= -400.0, "{layout:?}");
        assert!(layout.centre.x + half + RIGHT <= 640.0, "{layout:?}");
    }

    #[test]
    fn points_of_the_map_belong_to_tiles() {
        let layout = MapLayout::fit(Vec2::new(800.0, 600.0), 0.65, 11, Edges::default(), 0.0);
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
