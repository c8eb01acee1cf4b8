//! Ways to play, in numbers.

use raftian_realm::table::Archetype;
use serde::{Deserialize, Serialize};

/// Numbers of a way to play. Times are seconds of the match, shares are percent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Style {
    /// Seconds between two levels of fields.
    pub field_every: u64,
    /// Level up to which fields grow.
    pub most_fields: u8,
    /// When the barracks should reach level 2 and up.
    pub barracks: [u64; 4],
    /// When the first level of the wall is due.
    pub wall_from: u64,
    /// Seconds between two levels of the wall.
    pub wall_every: u64,
    /// Level up to which the wall grows.
    pub most_wall: u8,
    /// Shares of spears, axes, riders and rams in the value of the army; 0 for a kind that is never
    /// trained.
    pub mix: [u64; 4],
    /// Defence that stays at home, compared with the strongest army of a foe.
    pub safety: u64,
    /// Strength of an attack compared with the defence, from which it is made.
    pub ratio: u64,
    /// Worth of loot compared with what it costs.
    pub loot: u64,
    /// Resources that a crown is worth.
    pub crown: u64,
    /// Worth of the Throne compared with its crowns.
    pub throne: u64,
    /// Number of oases to hold.
    pub oases: usize,
}

impl Style {
    /// Returns the numbers of an archetype.
    pub fn of(archetype: Archetype) -> Style {
        let balanced = Style {
            field_every: 24,
            most_fields: 3,
            barracks: [115, 260, 540, 900],
            wall_from: 240,
            wall_every: 120,
            most_wall: 3,
            mix: [35, 30, 20, 15],
            safety: 30,
            ratio: 140,
            loot: 100,
            crown: 26,
            throne: 100,
            oases: 2,
        };
        match archetype {
            Archetype::Rush => Style {
                field_every: 50,
                most_fields: 2,
                barracks: [95, 120, 420, 700],
                wall_from: 600,
                most_wall: 1,
                mix: [16, 55, 5, 20],
                safety: 22,
                ratio: 125,
                loot: 160,
                crown: 30,
                oases: 1,
                throne: 100,
                ..balanced
            },
            Archetype::Raid => Style {
                field_every: 40,
                barracks: [30, 225, 480, 900],
                wall_every: 140,
                most_wall: 1,
                mix: [25, 10, 60, 5],
                safety: 30,
                ratio: 135,
                loot: 170,
                crown: 26,
                throne: 85,
                ..balanced
            },
            Archetype::Boom => Style {
                field_every: 16,
                most_fields: 4,
                barracks: [240, 400, 600, 900],
                wall_from: 330,
                mix: [20, 45, 20, 17],
                safety: 55,
                ratio: 105,
                loot: 100,
                crown: 19,
                wall_every: 70,
                ..balanced
            },
            Archetype::Turtle => Style {
                field_every: 20,
                barracks: [120, 260, 540, 900],
                wall_from: 65,
                wall_every: 110,
                most_wall: 5,
                mix: [47, 30, 5, 10],
                safety: 50,
                ratio: 130,
                loot: 100,
                crown: 30,
                ..balanced
            },
            Archetype::Expand => Style {
                field_every: 32,
                barracks: [100, 260, 540, 900],
                mix: [35, 35, 20, 10],
                safety: 45,
                loot: 100,
                crown: 30,
                oases: 5,
                ratio: 135,
                ..balanced
            },
            Archetype::Balanced => balanced,
        }
    }
}
