//! Outlines around cities, as rectangles on the canvas: a solid one, and one of marching dashes.

use crate::classic_layout::Area;
use bevy::math::Vec2;

/// Length of a dash and of the gap after it. The perimeter of every outline used is a multiple of
/// their sum, so that the march has no seam.
const DASH: f32 = 10.0;
const GAP: f32 = 6.0;
const THICKNESS: f32 = 3.0;

/// A rectangle of an outline: middle and size, on the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) middle: Vec2,
    pub(super) size: Vec2,
}

/// Maximum number of pieces that [`dashes`] returns for an outline of this side: each dash, and a
/// second part of one for each corner.
pub(super) const fn most_pieces(side: i32) -> usize {
    (4 * side) as usize / (DASH + GAP) as usize + 4
}

/// The four sides of a frame of `thickness` inside the edge of `area`, without overlap.
pub(super) fn frame(area: Area, thickness: i32) -> [Area; 4] {
    let Area {
        x,
        y,
        width,
        height,
    } = area;
    // The horizontal sides include the corners, so the vertical ones are shorter.
    let inner = height - 2 * thickness;
    [
        Area {
            x,
            y,
            width,
            height: thickness,
        },
        Area {
            x,
            y: y + height - thickness,
            width,
            height: thickness,
        },
        Area {
            x,
            y: y + thickness,
            width: thickness,
            height: inner,
        },
        Area {
            x: x + width - thickness,
            y: y + thickness,
            width: thickness,
            height: inner,
        },
    ]
}

/// Dashes along the edge of a square area, clockwise from its upper left corner, shifted by `phase`
/// units.
pub(super) fn dashes(area: Area, phase: f32) -> Vec<Piece> {
    let side = area.width as f32;
    let around = 4.0 * side;
    let count = (around / (DASH + GAP)) as usize;
    let mut pieces = Vec::with_capacity(most_pieces(area.width));
    for dash in 0..count {
        let start = (dash as f32 * (DASH + GAP) + phase).rem_euclid(around);
        let end = start + DASH;
        // A dash that extends past the end of its side continues on the next one.
        let corner = ((start / side).floor() + 1.0) * side;
        pieces.push(piece(area, start, end.min(corner)));
        if end > corner {
            pieces.push(piece(area, corner % around, corner % around + end - corner));
        }
    }
    pieces
}

/// The part of the edge between two distances along it, both on one side of the square.
fn piece(area: Area, start: f32, end: f32) -> Piece {
    let [x, y, side] = [area.x, area.y, area.width].map(|units| units as f32);
    let along = (start + end) / 2.0 % side;
    let inset = THICKNESS / 2.0;
    let (from_corner, length) = match (start / side) as u32 {
        0 => (Vec2::new(along, inset), Vec2::X),
        1 => (Vec2::new(side - inset, along), Vec2::Y),
        2 => (Vec2::new(side - along, side - inset), Vec2::X),
        _ => (Vec2::new(inset, side - along), Vec2::Y),
    };
    let size = length * (end - start) + (Vec2::ONE - length) * THICKNESS;
    Piece {
        middle: Vec2::new(x, y) + from_corner,
        size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: Area = Area {
        x: 323,
        y: 173,
        width: 104,
        height: 104,
    };

    #[test]
    fn dashes_stay_within_their_square_at_every_phase() {
        for step in 0..2000 {
            let pieces = dashes(SQUARE, step as f32 * 0.37);
            assert!(pieces.len() <= most_pieces(104));
            for Piece { middle, size } in pieces {
                let low = middle - size / 2.0;
                let high = middle + size / 2.0;
                assert!(size.min_element() >= 0.0);
                assert!(
                    low.x >= 322.99 && low.y >= 172.99 && high.x <= 427.01 && high.y <= 277.01,
                    "{low} {high}"
                );
            }
        }
    }

    #[test]
    fn inked_area_is_the_same_at_every_phase() {
        for step in 0..200 {
            let inked: f32 = dashes(SQUARE, step as f32 * 0.73)
                .iter()
                .map(|piece| piece.size.x * piece.size.y)
                .sum();
            assert!((inked - 26.0 * DASH * THICKNESS).abs() < 0.1, "{inked}");
        }
    }

    #[test]
    fn frame_has_four_sides_that_do_not_overlap() {
        let area = |part: &Area| part.width * part.height;
        let inked: i32 = frame(SQUARE, 2).iter().map(area).sum();
        assert_eq!(inked, 104 * 104 - 100 * 100);
    }
}
