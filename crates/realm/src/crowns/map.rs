//! The map: a square grid with the Throne in the middle, seats around it, and oases near each seat.
//!
//! All seats are images of one under the symmetries of the square, and their oases with them. So
//! every seat has the same distances to the Throne and to its own oases; which symmetry becomes
//! which seat follows from the seed of the match.
//!
//! Decision: seats are placed by symmetry instead of at random. Why: in a game of ten minutes one
//! tile less to the Throne decides more than any order. Would change if: maps had terrain whose
//! value could be measured.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::order::Place;
use super::rules::{OasisRules, Resource};

/// Possible numbers of seats.
pub const SEATS: RangeInclusive<u8> = 2..=8;

/// A tile, counted from the Throne at (0, 0).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tile {
    /// Tiles to the east.
    pub x: i8,
    /// Tiles to the south.
    pub y: i8,
}

/// An oasis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Oasis {
    /// Where it is.
    pub tile: Tile,
    /// What it produces.
    pub resource: Resource,
}

/// Places of a match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Map {
    /// Number of tiles along a side; odd.
    pub side: u8,
    /// The cities, in order of the seats.
    pub seats: Vec<Tile>,
    /// The oases, those of the first seat first.
    pub oases: Vec<Oasis>,
}

/// Why there is no map.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MapError {
    /// The number of seats is outside [`SEATS`].
    #[error("a match has {} to {} seats, not {count}", SEATS.start(), SEATS.end(), count = .0)]
    Seats(u8),
    /// The oases of a seat find no place.
    #[error("the oases of {0} seats find no place at this distance; correct the rules")]
    Oases(u8),
}

/// The eight symmetries of the square.
const SYMMETRIES: [[i8; 4]; 8] = [
    [1, 0, 0, 1],
    [0, -1, 1, 0],
    [-1, 0, 0, -1],
    [0, 1, -1, 0],
    [1, 0, 0, -1],
    [0, 1, 1, 0],
    [-1, 0, 0, 1],
    [0, -1, -1, 0],
];

/// The symmetries that place up to four seats: the rotations.
const ROTATIONS: usize = 4;

impl Tile {
    /// The Throne.
    pub const THRONE: Tile = Tile { x: 0, y: 0 };

    /// Distance of a march in tenths of a tile: a diagonal step costs 1.4.
    pub fn distance(self, other: Tile) -> u64 {
        let dx = u64::from(self.x.abs_diff(other.x));
        let dy = u64::from(self.y.abs_diff(other.y));
        10 * dx.max(dy) + 4 * dx.min(dy)
    }

    fn image(self, [a, b, c, d]: [i8; 4]) -> Tile {
        Tile {
            x: a * self.x + b * self.y,
            y: c * self.x + d * self.y,
        }
    }
}

impl Map {
    /// Places `seats` seats.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn new(seats: u8, oasis: &OasisRules, seed: u64) -> Result<Self, MapError> {
        if !SEATS.contains(&seats) {
            return Err(MapError::Seats(seats));
        }
        let (side, first, all) = match seats {
            ..=4 => (9, Tile { x: 3, y: 0 }, &SYMMETRIES[..ROTATIONS]),
            _ => (11, Tile { x: 4, y: 1 }, &SYMMETRIES[..]),
        };
        let chosen = spread(usize::from(seats), first, all);
        let near = places(first, &chosen, oasis, side / 2).ok_or(MapError::Oases(seats))?;
        // The whole map in one of its eight pictures, and the players in any order.
        let picture = SYMMETRIES[(draw(seed, "picture", 0) % 8) as usize];
        let mut order: Vec<_> = (0..chosen.len()).collect();
        order.sort_by_key(|place| draw(seed, "seat", *place as u64));
        let resources = resources(seed, near.len());
        let mut map = Map {
            side,
            seats: Vec::new(),
            oases: Vec::new(),
        };
        for place in order {
            let symmetry = chosen[place];
            map.seats.push(first.image(symmetry).image(picture));
            for (tile, resource) in near.iter().zip(&resources) {
                map.oases.push(Oasis {
                    tile: tile.image(symmetry).image(picture),
                    resource: *resource,
                });
            }
        }
        Ok(map)
    }

    /// Whether a tile is on the map.
    pub fn contains(&self, tile: Tile) -> bool {
        let reach = self.reach();
        tile.x.unsigned_abs() <= reach && tile.y.unsigned_abs() <= reach
    }

    /// Number of tiles from the Throne to each edge.
    pub fn reach(&self) -> u8 {
        self.side / 2
    }

    /// The tile of a place; `None` if there is no such place.
    pub fn tile(&self, place: Place) -> Option<Tile> {
        match place {
            Place::City(seat) => self.seat(usize::from(seat)),
            Place::Oasis(number) => self.oases.get(usize::from(number)).map(|oasis| oasis.tile),
            Place::Throne => Some(Tile::THRONE),
        }
    }

    /// The city of the seat `seat`, counted from 0.
    pub fn seat(&self, seat: usize) -> Option<Tile> {
        self.seats.get(seat).copied()
    }
}

/// Chooses symmetries so that the seats are spread as evenly as possible: the smallest difference
/// between the largest and the smallest sum of distances to the others, then the largest sum.
fn spread(seats: usize, first: Tile, all: &[[i8; 4]]) -> Vec<[i8; 4]> {
    let sums = |subset: &[[i8; 4]]| -> Vec<u64> {
        let tiles: Vec<_> = subset.iter().map(|one| first.image(*one)).collect();
        let sum = |tile: &Tile| tiles.iter().map(|other| tile.distance(*other)).sum();
        tiles.iter().map(sum).collect()
    };
    let unevenness = |subset: &Vec<[i8; 4]>| {
        let sums = sums(subset);
        let largest = sums.iter().copied().max().unwrap_or(0);
        let smallest = sums.iter().copied().min().unwrap_or(0);
        (largest - smallest, Reverse(sums.iter().sum::<u64>()))
    };
    let subsets = (0_u32..1 << all.len()).filter(|mask| mask.count_ones() as usize == seats);
    let subset = |mask: u32| -> Vec<[i8; 4]> {
        let places = (0..all.len()).filter(|place| mask & 1 << place != 0);
        places.map(|place| all[place]).collect()
    };
    // There is a subset of every size up to that of the group.
    subsets
        .map(subset)
        .min_by_key(unevenness)
        .unwrap_or_default()
}

/// Chooses the places of the oases of the first seat: at the given distance, nearer to it than to
/// any other seat, as far from the Throne as possible.
fn places(first: Tile, chosen: &[[i8; 4]], oasis: &OasisRules, reach: u8) -> Option<Vec<Tile>> {
    let reach = i8::try_from(reach).ok()?;
    let wanted = 10 * u64::from(oasis.distance);
    let seats: BTreeSet<_> = chosen.iter().map(|one| first.image(*one)).collect();
    let mut near: Vec<_> = (-reach..=reach)
        .flat_map(|y| (-reach..=reach).map(move |x| Tile { x, y }))
        .filter(|tile| tile.distance(first) == wanted && !seats.contains(tile))
        .filter(|tile| {
            seats
                .iter()
                .all(|seat| *seat == first || tile.distance(*seat) > wanted)
        })
        .collect();
    near.sort_by_key(|tile| (Reverse(tile.distance(Tile::THRONE)), *tile));
    let mut taken = BTreeSet::from([Tile::THRONE]);
    let mut places = Vec::new();
    for tile in near {
        // The images of two oases must not be the same tile.
        let images: BTreeSet<_> = chosen.iter().map(|one| tile.image(*one)).collect();
        if places.len() < usize::from(oasis.per_seat)
            && images.len() == chosen.len()
            && images.is_disjoint(&taken)
        {
            taken.extend(images);
            places.push(tile);
        }
    }
    (places.len() == usize::from(oasis.per_seat)).then_some(places)
}

/// The resources of the oases of each seat: different ones, as far as there are.
fn resources(seed: u64, count: usize) -> Vec<Resource> {
    let mut all = Resource::ALL.to_vec();
    all.sort_by_key(|resource| draw(seed, "resource", *resource as u64));
    all.into_iter().cycle().take(count).collect()
}

/// A number that follows from the seed and looks random.
fn draw(seed: u64, purpose: &str, number: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(b"raftian/map");
    hash.update(seed.to_be_bytes());
    hash.update(purpose);
    hash.update(number.to_be_bytes());
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crowns::Rules;

    fn map(seats: u8, seed: u64) -> Map {
        Map::new(seats, &Rules::of_this_build().oasis, seed).unwrap()
    }

    /// "Equal distance to the Throne and to the nearest oasis for all seats."
    fn assert_fair(map: &Map) {
        let distances: BTreeSet<_> = map
            .seats
            .iter()
            .map(|seat| seat.distance(Tile::THRONE))
            .collect();
        assert_eq!(distances.len(), 1, "to the Throne: {map:?}");
        let oases: BTreeSet<Vec<u64>> = map
            .seats
            .iter()
            .map(|seat| {
                let mut all: Vec<_> = map
                    .oases
                    .iter()
                    .map(|oasis| oasis.tile.distance(*seat))
                    .collect();
                all.sort_unstable();
                all.truncate(2);
                all
            })
            .collect();
        assert_eq!(
            oases,
            BTreeSet::from([vec![20, 20]]),
            "to the nearest oases: {map:?}"
        );
        // Each oasis is nearer to its own seat than to any other one.
        let per_seat = map.oases.len() / map.seats.len();
        for (number, oasis) in map.oases.iter().enumerate() {
            for (seat, tile) in map.seats.iter().enumerate() {
                let is_near = oasis.tile.distance(*tile) <= 20;
                assert_eq!(is_near, seat == number / per_seat, "{map:?}");
            }
        }
    }

    fn assert_apart(map: &Map) {
        let reach = i16::from(map.side / 2);
        let tiles: Vec<_> = map
            .seats
            .iter()
            .copied()
            .chain(map.oases.iter().map(|oasis| oasis.tile))
            .chain([Tile::THRONE])
            .collect();
        let distinct: BTreeSet<_> = tiles.iter().collect();
        assert_eq!(distinct.len(), tiles.len(), "two on one tile: {map:?}");
        let is_inside =
            |tile: &Tile| i16::from(tile.x).abs() <= reach && i16::from(tile.y).abs() <= reach;
        assert!(tiles.iter().all(is_inside), "outside: {map:?}");
    }

    #[test]
    fn two_seats_are_six_tiles_apart() {
        let map = map(2, 1);
        assert_eq!(map.seats[0].distance(map.seats[1]), 60);
        assert_eq!(map.side, 9);
        assert_eq!(Tile { x: 3, y: 1 }.distance(Tile::THRONE), 34);
    }

    #[test]
    fn number_of_seats_is_bounded() {
        let oasis = Rules::of_this_build().oasis;
        for seats in [0, 1, 9, 255] {
            assert_eq!(Map::new(seats, &oasis, 1), Err(MapError::Seats(seats)));
        }
        let crowded = OasisRules {
            per_seat: 200,
            ..oasis
        };
        assert_eq!(Map::new(2, &crowded, 1), Err(MapError::Oases(2)));
    }

    /// The distances of each seat to all others: the smallest difference of their sums, and the
    /// largest sum of all.
    #[test]
    fn seats_are_spread_as_evenly_as_possible() {
        for (seats, difference, total) in [
            (2, 0, 120),
            (3, 18, 288),
            (4, 0, 576),
            (5, 28, 1_224),
            (6, 24, 1_872),
            (7, 68, 2_544),
            (8, 0, 3_392),
        ] {
            let tiles = map(seats, 1).seats;
            let mut sums: Vec<u64> = Vec::new();
            for tile in &tiles {
                sums.push(tiles.iter().map(|other| tile.distance(*other)).sum());
            }
            sums.sort_unstable();
            assert_eq!(sums[sums.len() - 1] - sums[0], difference, "{seats} seats");
            assert_eq!(sums.iter().sum::<u64>(), total, "{seats} seats");
        }
    }

    /// Three tiles from a seat are (3, 3) and (3, -3), where one of four seats has two neighbours.
    #[test]
    fn oasis_is_not_as_near_to_another_seat() {
        let far = OasisRules {
            per_seat: 1,
            distance: 3,
            ..Rules::of_this_build().oasis
        };
        assert!(Map::new(2, &far, 1).is_ok());
        assert_eq!(Map::new(4, &far, 1), Err(MapError::Oases(4)));
    }

    #[test]
    fn every_seat_and_picture_occurs() {
        let maps: BTreeSet<_> = (0..200).map(|seed| map(4, seed).seats).collect();
        assert_eq!(maps.len(), 24, "every order of four seats");
        let resources: BTreeSet<_> = (0..50).map(|seed| map(2, seed).oases[0].resource).collect();
        assert_eq!(resources.len(), 3);
    }

    proptest! {
        #[test]
        fn all_seats_are_equal(seats in SEATS, seed in any::<u64>()) {
            let map = map(seats, seed);
            prop_assert_eq!(map.seats.len(), usize::from(seats));
            prop_assert_eq!(map.oases.len(), 2 * usize::from(seats));
            assert_fair(&map);
            assert_apart(&map);
            let per_seat: BTreeSet<Vec<_>> = map
                .oases
                .chunks(2)
                .map(|oases| oases.iter().map(|oasis| oasis.resource).collect())
                .collect();
            prop_assert_eq!(per_seat.len(), 1, "every seat has oases of the same resources");
        }
    }
}
