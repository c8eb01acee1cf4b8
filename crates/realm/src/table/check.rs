//! Refuses a stored table that the rules cannot work with.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{HANDICAPS, MAX_PLAYERS, Occupant, Table};
use crate::crowns::{ImpossibleGame, Rules};

/// Reason why stored data is not a table.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImpossibleTable {
    /// The setup is out of bounds, or the seats do not fit it.
    #[error("the seats of the stored table do not fit its setup")]
    Seats,
    /// A seat has a handicap out of bounds.
    #[error("a seat of the stored table has an impossible handicap")]
    Handicap,
    /// Two seats have the same player.
    #[error("two seats of the stored table have the same player")]
    SamePlayer,
    /// Too many players are remembered.
    #[error("the stored table has too many players")]
    Players,
    /// The match was played by other rules.
    #[error("the stored match has other rules than this build; use the same build")]
    Rules,
    /// The match is impossible.
    #[error(transparent)]
    Game(#[from] ImpossibleGame),
}

impl Table {
    fn check(&self) -> Result<(), ImpossibleTable> {
        let seats = usize::from(self.setup.seats);
        let playing = self.playing.as_ref();
        let players = playing.map(|playing| playing.game.seats().len());
        // After a match seats become free and are taken again.
        let fits = !self.is_playing() || players == Some(self.chairs.len());
        if !Self::is_possible(&self.setup) || self.chairs.len() != seats || !fits {
            return Err(ImpossibleTable::Seats);
        }
        if playing.is_some_and(|playing| !(1..=super::MAX_SPEED).contains(&playing.speed)) {
            return Err(ImpossibleTable::Seats);
        }
        if self
            .chairs
            .iter()
            .any(|chair| !HANDICAPS.contains(&chair.handicap))
        {
            return Err(ImpossibleTable::Handicap);
        }
        if playing.is_some_and(|playing| playing.began > super::MAX_CLOCK) {
            return Err(ImpossibleTable::Seats);
        }
        if playing.is_some_and(|playing| *playing.game.rules() != Rules::of_this_build()) {
            return Err(ImpossibleTable::Rules);
        }
        if self.wins.len() > MAX_PLAYERS {
            return Err(ImpossibleTable::Players);
        }
        let mut players: Vec<_> = self.chairs.iter().collect::<Vec<_>>();
        players.retain(|chair| matches!(chair.occupant, Occupant::Player(_)));
        for (place, chair) in players.iter().enumerate() {
            let Occupant::Player(seated) = &chair.occupant else {
                continue;
            };
            let is_twin = |other: &&super::Chair| match &other.occupant {
                Occupant::Player(other) => other.id == seated.id,
                Occupant::Open | Occupant::Bot(_) => false,
            };
            if players[place + 1..].iter().any(is_twin) {
                return Err(ImpossibleTable::SamePlayer);
            }
        }
        Ok(())
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Table::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        table.check().map_err(D::Error::custom)?;
        Ok(table)
    }
}
