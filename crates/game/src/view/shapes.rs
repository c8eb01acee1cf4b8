//! Small white pictures drawn by arithmetic, to be tinted: a crown and a rectangle with round
//! corners.

use bevy::asset::RenderAssetUsages;
use bevy::image::ImageSampler;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};

/// Radius of the round corners, in units and in pixels of the picture.
const RADIUS: u32 = 14;
/// Size of the crown's picture: larger than it is ever shown at ordinary scales.
const CROWN: UVec2 = UVec2::new(136, 104);
/// Samples per pixel and direction, so that slanted edges come out smooth.
const SAMPLES: u32 = 4;

/// The pictures.
#[derive(Resource)]
pub(super) struct Shapes {
    /// A crown, 17 wide to 13 high.
    pub(super) crown: Handle<Image>,
    rounded: Handle<Image>,
}

impl Shapes {
    /// A rectangle with round corners of any size above twice the radius.
    pub(super) fn rounded(&self, size: Vec2, color: Color) -> Sprite {
        let slicer = TextureSlicer {
            border: BorderRect::all(RADIUS as f32),
            ..default()
        };
        let image_mode = SpriteImageMode::Sliced(slicer);
        Sprite {
            image: self.rounded.clone(),
            color,
            custom_size: Some(size),
            image_mode,
            ..default()
        }
    }
}

impl FromWorld for Shapes {
    fn from_world(world: &mut World) -> Self {
        let mut images = world.resource_mut::<Assets<Image>>();
        let crown = images.add(picture(CROWN, |point| in_crown(point / CROWN.as_vec2())));
        let side = 2 * RADIUS + 2;
        let rounded = images.add(picture(UVec2::splat(side), move |point| {
            in_rounded(point, side as f32)
        }));
        Self { crown, rounded }
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Shapes>();
}

/// A white picture, opaque where `inside` holds.
fn picture(size: UVec2, inside: impl Fn(Vec2) -> bool) -> Image {
    let mut bytes = Vec::with_capacity((size.x * size.y * 4) as usize);
    for y in 0..size.y {
        for x in 0..size.x {
            let samples =
                (0..SAMPLES * SAMPLES).map(|sample| UVec2::new(sample % SAMPLES, sample / SAMPLES));
            let hits = samples
                .filter(|sample| {
                    inside(UVec2::new(x, y).as_vec2() + (sample.as_vec2() + 0.5) / SAMPLES as f32)
                })
                .count() as u32;
            bytes.extend([255, 255, 255, (hits * 255 / (SAMPLES * SAMPLES)) as u8]);
        }
    }
    let extent = Extent3d {
        width: size.x,
        height: size.y,
        depth_or_array_layers: 1,
    };
    let format = TextureFormat::Rgba8UnormSrgb;
    let mut image = Image::new(
        extent,
        TextureDimension::D2,
        bytes,
        format,
        RenderAssetUsages::RENDER_WORLD,
    );
    image.sampler = ImageSampler::linear();
    image
}

fn in_rounded(point: Vec2, side: f32) -> bool {
    let radius = RADIUS as f32;
    point.distance(point.clamp(Vec2::splat(radius), Vec2::splat(side - radius))) <= radius
}

/// Five points with a pearl on each of the outer three, on a band. Coordinates from 0 to 1, y
/// downwards.
fn in_crown(point: Vec2) -> bool {
    const PEARL: f32 = 0.075;
    let pearls = [
        Vec2::new(0.08, 0.26),
        Vec2::new(0.5, 0.1),
        Vec2::new(0.92, 0.26),
    ];
    // Pictures are wider than high; a pearl is round.
    let round = Vec2::new(1.0, CROWN.y as f32 / CROWN.x as f32);
    if pearls
        .iter()
        .any(|pearl| ((point - *pearl) * round).length() <= PEARL)
    {
        return true;
    }
    if point.y >= 0.84 {
        return point.y <= 0.97 && (0.15..=0.85).contains(&point.x);
    }
    // The upper edge zigzags: peak, valley, peak, valley, peak. The sides lean inwards to the band.
    let edge = [
        (0.08, 0.3),
        (0.3, 0.58),
        (0.5, 0.16),
        (0.7, 0.58),
        (0.92, 0.3),
    ];
    let top = edge
        .windows(2)
        .find(|pair| (pair[0].0..=pair[1].0).contains(&point.x))
        .map(|pair| {
            let part = (point.x - pair[0].0) / (pair[1].0 - pair[0].0);
            pair[0].1 + part * (pair[1].1 - pair[0].1)
        });
    let lean = 0.08 + (point.y - 0.3).max(0.0) * 0.14;
    top.is_some_and(|top| point.y >= top)
        && point.y <= 0.77
        && (lean..=1.0 - lean).contains(&point.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crown_is_symmetric_and_stays_in_its_picture() {
        for step in 0..=100 {
            for row in 0..=100 {
                let [x, y] = [step, row].map(|count| count as f32 / 100.0);
                // A hair off the lattice, so that rounding on an edge cannot decide.
                let point = Vec2::new(x + 0.0013, y + 0.0007);
                assert_eq!(
                    in_crown(point),
                    in_crown(Vec2::new(1.0 - point.x, point.y)),
                    "{point}"
                );
            }
        }
        assert!(
            in_crown(Vec2::new(0.5, 0.5))
                && !in_crown(Vec2::new(0.3, 0.4))
                && !in_crown(Vec2::new(0.5, 0.99))
        );
    }

    #[test]
    fn a_picture_is_opaque_inside_and_clear_outside() {
        let image = picture(UVec2::new(2, 1), |point| point.x < 1.0);
        assert_eq!(
            image.data.as_deref(),
            Some(&[255, 255, 255, 255, 255, 255, 255, 0][..])
        );
    }
}
