//! Positions and colours of classic mode: integer arithmetic on a canvas of 1000×1200 units.
//!
//! Coordinates start at the top left and grow to the right and downwards. A unit is one pixel of
//! the original window; the view scales the whole canvas. This module does not depend on the
//! engine, so the look of classic mode is tested without a window.

use crate::realm::{CityId, Health};

/// Width of the canvas.
pub const WIDTH: i32 = 1000;
/// Height of the canvas.
pub const HEIGHT: i32 = 1200;
/// The white strip with the message.
pub const HEADER: Area = Area {
    x: 0,
    y: 0,
    width: WIDTH,
    height: 100,
};
/// The grey map with the grid and the cities.
pub const MAP: Area = Area {
    x: 0,
    y: 100,
    width: WIDTH,
    height: 1000,
};
/// The white strip below the map.
pub const FOOTER: Area = Area {
    x: 0,
    y: 1100,
    width: WIDTH,
    height: 100,
};

/// Side of a grid cell; the map has 4×4 cells.
pub const CELL: i32 = 250;
/// Offsets from the map's left and top edge of the grid's three lines in each direction.
pub const GRID_LINES: [i32; 3] = [CELL, 2 * CELL, 3 * CELL];
/// Side of a city, which is centred in its cell.
pub const CITY_SIDE: i32 = 80;

/// Colour of the header and the footer.
pub const WHITE: Rgb = [255, 255, 255];
/// Colour of the map.
pub const GREY: Rgb = [125, 125, 125];
/// Colour of the grid and of all classic text.
pub const BLACK: Rgb = [0, 0, 0];

/// An opaque sRGB colour: red, green, blue.
pub type Rgb = [u8; 3];

/// A rectangle on the canvas; its right and bottom edges belong to the neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Extent to the right.
    pub width: i32,
    /// Extent downwards.
    pub height: i32,
}

impl Area {
    /// Whether a point lies in the area.
    pub const fn contains(self, x: i32, y: i32) -> bool {
        x >= self.x && y >= self.y && x < self.x + self.width && y < self.y + self.height
    }

    /// The area grown by `margin` on each side.
    pub const fn grown(self, margin: i32) -> Self {
        Self {
            x: self.x - margin,
            y: self.y - margin,
            width: self.width + 2 * margin,
            height: self.height + 2 * margin,
        }
    }
}

/// Header text until a city is pressed.
pub fn top_text() -> String {
    text!("Top Text")
}

/// Fixed footer text.
pub fn bottom_text() -> String {
    text!("Bottom Text")
}

/// Header text after a standing city was pressed.
pub fn pressed_text(city: CityId) -> String {
    text!("Player {number} pressed", number = city.0)
}

/// Header text after a fallen city was pressed.
pub fn already_dead_text(city: CityId) -> String {
    text!("Player {number} already dead", number = city.0)
}

/// Grid cell (column, row) and full colour of a city; `None` for a number outside 1 to 5.
const fn place(city: CityId) -> Option<((i32, i32), Rgb)> {
    match city.0 {
        1 => Some(((2, 2), [255, 0, 0])),
        2 => Some(((3, 0), [0, 255, 0])),
        3 => Some(((1, 0), [0, 0, 255])),
        4 => Some(((0, 3), [255, 255, 0])),
        5 => Some(((0, 0), [255, 0, 255])),
        _ => None,
    }
}

/// Area of a city; `None` for a number outside 1 to 5.
pub const fn city_area(city: CityId) -> Option<Area> {
    let Some(((column, row), _)) = place(city) else {
        return None;
    };
    let inset = (CELL - CITY_SIDE) / 2;
    Some(Area {
        x: MAP.x + column * CELL + inset,
        y: MAP.y + row * CELL + inset,
        width: CITY_SIDE,
        height: CITY_SIDE,
    })
}

/// Returns the city of 1 to 5 that covers a point, whether or not the match has it.
pub fn city_at(x: i32, y: i32) -> Option<CityId> {
    (1..=5)
        .map(CityId)
        .find(|&city| city_area(city).is_some_and(|area| area.contains(x, y)))
}

/// Colour of a city: it fades towards white with every hit, and a fallen one is darkened.
///
/// The colour is that of the original's translucent square on a white ground, computed here and
/// drawn opaque: blue is (0,0,255), (65,65,255), (105,105,255), (155,155,255) and, fallen,
/// (33,33,55). A number outside 1 to 5 is drawn black.
pub fn city_colour(city: CityId, health: Health) -> Rgb {
    let Some((_, full)) = place(city) else {
        return BLACK;
    };
    let faded = over(full, fading_alpha(health), WHITE);
    if health.is_dead() {
        over(BLACK, DEAD_ALPHA, faded)
    } else {
        faded
    }
}

/// Opacity of the black square over a fallen city.
const DEAD_ALPHA: u8 = 200;

/// Opacity of a city's own colour. A fallen city keeps the opacity of the weakest standing one
/// under its dark cover.
const fn fading_alpha(health: Health) -> u8 {
    match health.0 {
        90.. => 255,
        60..90 => 190,
        30..60 => 150,
        _ => 100,
    }
}

/// `top` with opacity `alpha` over an opaque `ground`, each channel rounded to the nearest integer.
fn over(top: Rgb, alpha: u8, ground: Rgb) -> Rgb {
    let alpha = u32::from(alpha);
    std::array::from_fn(|channel| {
        let sum = u32::from(top[channel]) * alpha + u32::from(ground[channel]) * (255 - alpha);
        // A weighted mean of two bytes is a byte.
        ((sum + 127) / 255) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [CityId; 5] = [CityId(1), CityId(2), CityId(3), CityId(4), CityId(5)];

    #[test]
    fn cities_stand_where_the_original_put_them() {
        let corners = ALL.map(|city| city_area(city).map(|area| (area.x, area.y)));
        assert_eq!(
            corners,
            [(585, 685), (835, 185), (335, 185), (85, 935), (85, 185)].map(Some)
        );
        assert!(ALL.iter().all(|&city| {
            city_area(city).is_some_and(|area| (area.width, area.height) == (80, 80))
        }));
    }

    #[test]
    fn three_areas_cover_the_canvas() {
        assert_eq!(HEADER.height + MAP.height + FOOTER.height, HEIGHT);
        assert_eq!(
            (MAP.y, FOOTER.y),
            (HEADER.height, HEADER.height + MAP.height)
        );
    }

    #[test]
    fn hit_test_includes_the_first_pixel_and_excludes_the_end() {
        for city in ALL {
            let Area { x, y, .. } = city_area(city).unwrap();
            assert_eq!(city_at(x, y), Some(city));
            assert_eq!(city_at(x + 79, y + 79), Some(city));
            for (x, y) in [(x - 1, y), (x, y - 1), (x + 80, y), (x, y + 80)] {
                assert_eq!(city_at(x, y), None);
            }
        }
    }

    #[test]
    fn blue_fades_and_falls_in_the_colours_of_the_original() {
        let colours = [100, 70, 40, 10, -20].map(|health| city_colour(CityId(3), Health(health)));
        assert_eq!(
            colours,
            [
                [0, 0, 255],
                [65, 65, 255],
                [105, 105, 255],
                [155, 155, 255],
                [33, 33, 55]
            ]
        );
    }

    #[test]
    fn every_city_fades_by_the_same_steps() {
        for (city, lit) in ALL.into_iter().zip([0b001, 0b010, 0b100, 0b011, 0b101]) {
            for (health, dark, light) in [
                (100, 0, 255),
                (70, 65, 255),
                (40, 105, 255),
                (10, 155, 255),
                (-20, 33, 55),
            ] {
                let expected: Rgb =
                    std::array::from_fn(
                        |channel| if lit >> channel & 1 == 1 { light } else { dark },
                    );
                assert_eq!(
                    city_colour(city, Health(health)),
                    expected,
                    "{city:?} at {health}"
                );
            }
        }
    }

    #[test]
    fn fading_changes_at_the_original_thresholds() {
        let alphas = [90, 89, 60, 59, 30, 29, 1, 0].map(|health| fading_alpha(Health(health)));
        assert_eq!(alphas, [255, 190, 190, 150, 150, 100, 100, 100]);
    }

    #[test]
    fn header_texts_match_the_original() {
        assert_eq!([top_text(), bottom_text()], ["Top Text", "Bottom Text"]);
        assert_eq!(pressed_text(CityId(3)), "Player 3 pressed");
        assert_eq!(already_dead_text(CityId(3)), "Player 3 already dead");
    }

    #[test]
    fn unknown_city_has_no_place() {
        for number in [0, 6, 255] {
            assert_eq!(city_area(CityId(number)), None);
            assert_eq!(city_colour(CityId(number), Health(100)), BLACK);
        }
    }
}
