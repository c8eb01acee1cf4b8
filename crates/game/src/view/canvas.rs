//! The canvas of classic mode scaled into the window, with a plain frame where the window's shape
//! differs.
//!
//! One unit of [`classic_layout`](crate::classic_layout) is one unit of the 2D world with y
//! flipped: the point (x, y) of the canvas is (x, -y) in the world. The canvas' top left corner
//! always falls on a whole pixel, so at scale 1 each unit is exactly one pixel and at any other
//! scale flat areas stay flat.

use crate::classic_layout::{Area, HEIGHT, Rgb, WIDTH};
use crate::overlay::GameCamera;
use bevy::camera::ScalingMode;
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::prelude::*;
use bevy::window::{Monitor, PrimaryMonitor, PrimaryWindow};

/// Colour of the frame around the canvas.
const FRAME: Rgb = [38, 42, 51];

/// Logical pixels reserved for the desktop: window borders, title bar, panels.
const DESKTOP_MARGIN: Vec2 = Vec2::new(40.0, 96.0);

/// Drawing depths; larger is nearer.
pub(super) mod depth {
    pub(in crate::view) const GROUND: f32 = 0.0;
    pub(in crate::view) const GRID: f32 = 1.0;
    pub(in crate::view) const CITY: f32 = 2.0;
    pub(in crate::view) const OUTLINE: f32 = 3.0;
    pub(in crate::view) const TEXT: f32 = 4.0;
    pub(in crate::view) const SPARK: f32 = 5.0;
    pub(in crate::view) const BANNER: f32 = 6.0;
    pub(in crate::view) const BANNER_TEXT: f32 = 7.0;
}

/// Placement of the canvas in the window. Follows the window's size and its screen's scale factor.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub struct Canvas {
    /// Physical pixels per unit of the canvas.
    pub pixels_per_unit: f32,
    /// Physical pixels per logical pixel.
    pub scale_factor: f32,
    /// Position of the canvas' top left corner in the window, in physical pixels; whole numbers.
    pub origin: Vec2,
    /// Size of the window in physical pixels.
    pub window: Vec2,
}

impl Default for Canvas {
    fn default() -> Self {
        Self::fit(UVec2::new(WIDTH as u32, HEIGHT as u32), 1.0)
    }
}

impl Canvas {
    /// Returns the largest canvas of the right shape in a window of this physical size, centred.
    pub fn fit(window: UVec2, scale_factor: f32) -> Self {
        let window = window.max(UVec2::ONE).as_vec2();
        let units = Vec2::new(WIDTH as f32, HEIGHT as f32);
        let pixels_per_unit = (window / units).min_element();
        // On a whole pixel, so that flat areas stay flat.
        let origin = ((window - units * pixels_per_unit) / 2.0).floor();
        Self {
            pixels_per_unit,
            scale_factor,
            origin,
            window,
        }
    }

    /// Converts a point of the window, in physical pixels, to a unit of the canvas. A point in the
    /// frame is outside the canvas.
    pub fn unit_at(&self, pixel: Vec2) -> IVec2 {
        ((pixel - self.origin) / self.pixels_per_unit)
            .floor()
            .as_ivec2()
    }

    /// Rounds a position in units to the nearest pixel edge.
    pub(super) fn snapped(&self, units: Vec2) -> Vec2 {
        (units * self.pixels_per_unit).round() / self.pixels_per_unit
    }

    /// Units per logical pixel: the scale of the camera, and of everything measured in logical
    /// pixels.
    pub(super) fn units_per_logical_pixel(&self) -> f32 {
        self.scale_factor / self.pixels_per_unit
    }

    fn camera(&self) -> Vec3 {
        let middle = (self.window / 2.0 - self.origin) / self.pixels_per_unit;
        Vec3::new(middle.x, -middle.y, 0.0)
    }
}

/// The system in `PreUpdate` that aims the camera at the canvas.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AimSystems;

/// Colour of the window around the canvas.
pub(crate) fn ground() -> Color {
    rgb(FRAME)
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Canvas>()
        .insert_resource(ClearColor(ground()))
        .add_systems(Startup, spawn_camera)
        .add_systems(
            PreUpdate,
            (
                fit_window_to_monitor.run_if(run_once_with_a_monitor),
                fit_canvas,
                aim_camera.in_set(AimSystems),
            )
                .chain(),
        );
}

/// An opaque colour of the engine with exactly these sRGB bytes.
pub(super) fn rgb([red, green, blue]: Rgb) -> Color {
    Color::srgb_u8(red, green, blue)
}

/// The middle of an area as a position in the world.
pub(super) fn middle(area: Area, depth: f32) -> Vec3 {
    let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(|units| units as f32);
    Vec3::new(x + width / 2.0, -(y + height / 2.0), depth)
}

/// A flat rectangle.
pub(super) fn block(area: Area, colour: Rgb, depth: f32) -> (Sprite, Transform) {
    let size = Vec2::new(area.width as f32, area.height as f32);
    (
        Sprite::from_color(rgb(colour), size),
        Transform::from_translation(middle(area, depth)),
    )
}

/// Spawns the camera. The colours of classic mode are exact bytes, so nothing between a sprite and
/// the screen may change them. Blending stays linear, the engine's default: egui panels can be
/// drawn into no other kind of target.
fn spawn_camera(mut commands: Commands) {
    commands.spawn((
        Name::new("Canvas camera"),
        Camera2d,
        Projection::Orthographic(OrthographicProjection {
            scaling_mode: ScalingMode::WindowSize,
            ..OrthographicProjection::default_2d()
        }),
        Tonemapping::None,
        DebandDither::Disabled,
        Msaa::Off,
    ));
}

fn fit_canvas(mut canvas: ResMut<Canvas>, window: Single<&Window, With<PrimaryWindow>>) {
    let resolution = &window.resolution;
    canvas.set_if_neq(Canvas::fit(
        resolution.physical_size(),
        resolution.scale_factor(),
    ));
}

fn aim_camera(canvas: Res<Canvas>, camera: Single<(&mut Projection, &mut Transform), GameCamera>) {
    let (projection, mut transform) = camera.into_inner();
    transform.set_if_neq(Transform::from_translation(canvas.camera()));
    set_scale(projection, canvas.units_per_logical_pixel());
}

/// Sets the units of the world per logical pixel.
pub(crate) fn set_scale(mut projection: Mut<'_, Projection>, scale: f32) {
    let Projection::Orthographic(now) = &*projection else {
        return;
    };
    if now.scale != scale
        && let Projection::Orthographic(orthographic) = &mut *projection
    {
        orthographic.scale = scale;
    }
}

/// Returns the factor, at most 1, by which the classic window must be scaled to fit the screen.
fn part_that_fits(screen: Vec2) -> f32 {
    let free = (screen - DESKTOP_MARGIN) / Vec2::new(WIDTH as f32, HEIGHT as f32);
    free.min_element().clamp(0.25, 1.0)
}

/// Returns true once, as soon as a screen is known to the engine.
fn run_once_with_a_monitor(monitors: Query<(), With<Monitor>>, mut done: Local<bool>) -> bool {
    let now = !*done && !monitors.is_empty();
    *done |= now;
    now
}

fn fit_window_to_monitor(
    mut window: Single<&mut Window, With<PrimaryWindow>>,
    monitors: Query<(&Monitor, Has<PrimaryMonitor>)>,
) {
    let Some((monitor, _)) = monitors.iter().max_by_key(|(_, primary)| *primary) else {
        return;
    };
    let part = part_that_fits(monitor.physical_size().as_vec2() / monitor.scale_factor as f32);
    // A window opened in another size was requested by the user.
    if part < 1.0 && window.resolution.size() == Vec2::new(WIDTH as f32, HEIGHT as f32) {
        window.resolution.set(
            (WIDTH as f32 * part).floor(),
            (HEIGHT as f32 * part).floor(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_window_shows_one_unit_per_pixel() {
        let canvas = Canvas::default();
        assert_eq!((canvas.pixels_per_unit, canvas.origin), (1.0, Vec2::ZERO));
        assert_eq!(canvas.camera(), Vec3::new(500.0, -600.0, 0.0));
        assert_eq!(
            canvas.unit_at(Vec2::new(335.0, 185.9)),
            IVec2::new(335, 185)
        );
    }

    #[test]
    fn window_of_another_shape_frames_the_whole_canvas() {
        for (window, scale, origin) in [
            ((2000, 1200), 1.0, (500.0, 0.0)),
            ((500, 801), 0.5, (0.0, 100.0)),
        ] {
            let canvas = Canvas::fit(window.into(), 1.0);
            assert_eq!(
                (canvas.pixels_per_unit, canvas.origin),
                (scale, origin.into())
            );
            assert_eq!(canvas.unit_at(canvas.origin), IVec2::ZERO);
            assert_eq!(
                canvas.unit_at(canvas.origin + Vec2::new(999.5, 1199.5) * scale),
                IVec2::new(999, 1199)
            );
        }
    }

    #[test]
    fn frame_is_outside_the_canvas() {
        let canvas = Canvas::fit(UVec2::new(2000, 1200), 1.0);
        assert!(canvas.unit_at(Vec2::new(499.0, 10.0)).x < 0);
        assert!(canvas.unit_at(Vec2::new(1500.0, 10.0)).x >= WIDTH);
    }

    #[test]
    fn empty_window_still_has_a_canvas() {
        assert!(Canvas::fit(UVec2::ZERO, 1.0).pixels_per_unit > 0.0);
    }

    #[test]
    fn window_shrinks_only_on_a_small_screen() {
        assert_eq!(part_that_fits(Vec2::new(2560.0, 1440.0)), 1.0);
        let part = part_that_fits(Vec2::new(1920.0, 1080.0));
        assert!((0.8..0.83).contains(&part), "{part}");
        assert_eq!(part_that_fits(Vec2::ZERO), 0.25);
    }
}
