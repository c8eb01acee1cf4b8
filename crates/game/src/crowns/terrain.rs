//! The ground of the map: a picture that follows from the seed of the match.

use bevy::math::{Vec2, Vec3};

/// Side of the picture in pixels.
pub(crate) const SIDE: u32 = 512;

/// Colours by height, in linear steps from the lowest to the highest.
const RAMP: [Vec3; 5] = [
    Vec3::new(46.0, 82.0, 86.0),
    Vec3::new(74.0, 104.0, 70.0),
    Vec3::new(104.0, 126.0, 78.0),
    Vec3::new(140.0, 142.0, 92.0),
    Vec3::new(156.0, 140.0, 108.0),
];

/// Darkness of the lines between tiles.
const GRID: f32 = 0.1;

/// Pixels of a map of `tiles` tiles a side, four bytes each.
pub(crate) fn pixels(seed: u64, tiles: u8) -> Vec<u8> {
    let tile = SIDE as f32 / f32::from(tiles);
    let mut bytes = Vec::with_capacity((SIDE * SIDE * 4) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let point = Vec2::new(x as f32, y as f32);
            let place = point / tile;
            let here = height(seed, place);
            let slope = height(seed, place + Vec2::splat(0.06)) - here;
            let light = (1.0 + slope * 3.4).clamp(0.8, 1.2);
            let colour = ramp(here) * light * grid(place, tile);
            bytes.extend(colour.to_array().map(|part| part.clamp(0.0, 255.0) as u8));
            bytes.push((edge(point) * 255.0) as u8);
        }
    }
    bytes
}

/// Brightness that draws the lines between tiles.
fn grid(place: Vec2, tile: f32) -> f32 {
    let nearest = (place - place.round()).abs() * tile;
    let line = (1.2 - nearest.min_element()).clamp(0.0, 1.0);
    1.0 - GRID * line
}

/// Opacity: the corners are round.
fn edge(point: Vec2) -> f32 {
    const RADIUS: f32 = 18.0;
    let side = SIDE as f32 - 1.0;
    let inner = point.clamp(Vec2::splat(RADIUS), Vec2::splat(side - RADIUS));
    (RADIUS + 0.5 - point.distance(inner)).clamp(0.0, 1.0)
}

fn ramp(height: f32) -> Vec3 {
    let place = height.clamp(0.0, 0.999) * (RAMP.len() - 1) as f32;
    let below = place as usize;
    RAMP[below].lerp(RAMP[below + 1], place.fract())
}

/// Height from 0 to 1: four octaves of value noise.
fn height(seed: u64, place: Vec2) -> f32 {
    let mut sum = 0.0;
    let mut weight = 0.5;
    let mut place = place * 0.55;
    for octave in 0..4 {
        sum += weight * noise(seed.wrapping_add(octave), place);
        weight *= 0.5;
        place *= 2.1;
    }
    // The middle of the range is the most frequent by far.
    ((sum - 0.5) * 1.9 + 0.45).clamp(0.0, 1.0)
}

/// Smooth noise from 0 to 1, between random values at whole points.
fn noise(seed: u64, place: Vec2) -> f32 {
    let corner = place.floor();
    let part = place - corner;
    let smooth = part * part * (Vec2::splat(3.0) - 2.0 * part);
    let [x, y] = [corner.x as i64, corner.y as i64];
    let row = |y: i64| {
        let [left, right] = [value(seed, x, y), value(seed, x + 1, y)];
        left + (right - left) * smooth.x
    };
    let [upper, lower] = [row(y), row(y + 1)];
    upper + (lower - upper) * smooth.y
}

/// A random value from 0 to 1 for a whole point (SplitMix64).
fn value(seed: u64, x: i64, y: i64) -> f32 {
    let mut state = seed
        .wrapping_add(x.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(y.cast_unsigned().wrapping_mul(0xC2B2_AE3D_27D4_EB4F));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (state ^ (state >> 31)) as f32 / u64::MAX as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ground_follows_from_the_seed() {
        let one = pixels(1, 9);
        assert_eq!(one.len(), (SIDE * SIDE * 4) as usize);
        assert_eq!(one, pixels(1, 9));
        assert_ne!(one, pixels(2, 9));
        let [corner, middle] = [3, (SIDE * SIDE * 2 + SIDE * 2 + 3) as usize];
        assert_eq!(
            [one[corner], one[middle]],
            [0, 255],
            "only corners are clear"
        );
    }
}
