//! Refuses a stored table that the rules cannot work with.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Chair, HANDICAPS, MAX_PLAYERS, MatchSeat, Table};
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
    /// Two seats of the table or of its match have the same player.
    #[error("two seats of the stored table have the same player")]
    SamePlayer,
    /// The players of the match are not those of its seats.
    #[error("the players of the stored match do not sit at its seats")]
    MatchPlayers,
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
    pub(super) fn check(&self) -> Result<(), ImpossibleTable> {
        let seats = usize::from(self.setup.seats);
        let playing = self.playing.as_ref();
        let players = playing.map(|playing| playing.game.seats().len());
        // After a match seats become free and are taken again.
        let fits = !self.is_playing() || players == Some(self.chairs.len());
        if self.setup.check().is_err() || self.chairs.len() != seats || !fits {
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
        let chairs: Vec<_> = self.chairs.iter().filter_map(Chair::match_seat).collect();
        let played = self.match_seats();
        if has_twins(&chairs) || has_twins(played) {
            return Err(ImpossibleTable::SamePlayer);
        }
        let seats = self.game().map_or(0, |game| game.seats().len());
        if played.len() != seats || self.is_playing() && played != chairs {
            return Err(ImpossibleTable::MatchPlayers);
        }
        Ok(())
    }
}

/// Whether a player has two seats.
fn has_twins(seats: &[MatchSeat]) -> bool {
    let seated: Vec<_> = seats.iter().filter_map(MatchSeat::player).collect();
    let distinct: BTreeSet<_> = seated.iter().collect();
    distinct.len() < seated.len()
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
