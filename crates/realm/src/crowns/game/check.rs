//! Refuses a stored match that the rules cannot work with: from then on every index is in bounds
//! and no sum exceeds its type.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::events::Event;
use super::{Crowns, Due, LATEST_STAMP, LATEST_START, MAX_PRODUCTION, MAX_WINDOW};
use crate::crowns::map::Map;
use crate::crowns::order::{MAX_BATCH, MAX_BATCHES, Place};
use crate::crowns::rules::RulesError;

/// Largest amount, count or number in a stored match. A match of the longest length with the
/// largest numbers of the rules stays far below.
pub(super) const MAX: u64 = 1 << 56;

/// Largest number of units of one kind in an army of a stored match. A city begins with a million
/// at most, and barracks train some thousands.
pub(super) const MAX_UNITS: u32 = 1 << 21;

/// Largest number of marches, caravans, waiting orders or events in a stored match.
/// An event that is void stays until it is due, some minutes at most.
pub(super) const MAX_ITEMS: usize = 1 << 16;

/// Largest amount of goods that a stored match has in one place, so that its parts do not exceed their
/// type.
pub(super) const MAX_GOODS: u64 = 1 << 36;

/// Reason why stored data is not a match.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImpossibleGame {
    /// The rules are not valid.
    #[error("the rules of the stored match: {0}")]
    Rules(#[from] RulesError),
    /// The map is not that of the seed.
    #[error("the map of the stored match is not that of its seed")]
    Map,
    /// Something belongs to a seat or place that does not exist.
    #[error("the stored match names a {0} that does not exist")]
    Missing(&'static str),
    /// A number is out of bounds.
    #[error("{0} of the stored match is out of bounds")]
    Number(&'static str),
}

impl Crowns {
    pub(super) fn check(&self) -> Result<(), ImpossibleGame> {
        self.rules.check()?;
        let seats = u8::try_from(self.seats.len()).map_err(|_| ImpossibleGame::Map)?;
        if Map::new(seats, &self.rules.oasis, self.seed).as_ref() != Ok(&self.map)
            || self.oases.len() != self.map.oases.len()
        {
            return Err(ImpossibleGame::Map);
        }
        self.check_numbers()?;
        self.check_seats()?;
        self.check_places()
    }

    fn check_numbers(&self) -> Result<(), ImpossibleGame> {
        let is_clock = self.began <= LATEST_START && self.now >= self.began && self.now < 1 << 63;
        let has_passed = self.end.is_some_and(|end| end.at != self.now);
        if !is_clock || has_passed || self.window > MAX_WINDOW || self.throne.settled > self.now {
            return Err(ImpossibleGame::Number("the clock"));
        }
        let lengths = [
            self.marches.len(),
            self.caravans.len(),
            self.waiting.len(),
            self.schedule.len(),
        ];
        if lengths.iter().any(|length| *length > MAX_ITEMS) || !self.feed.is_possible() {
            return Err(ImpossibleGame::Number("the length of a list"));
        }
        let goods = self.tally.lost_goods.iter().copied();
        let carried = self.marches.values().flat_map(|march| march.loot);
        let given = self.caravans.values().flat_map(|caravan| caravan.goods);
        let homes = self.seats.iter().map(|own| own.home);
        let held = self.oases.iter().chain([&self.throne.holding]);
        let away = self.marches.values().map(|march| march.army);
        let mut armies = homes
            .chain(held.map(|holding| holding.garrison))
            .chain(away);
        if armies.any(|army| army.units().any(|(_, count)| count > MAX_UNITS)) {
            return Err(ImpossibleGame::Number("an army"));
        }
        let numbers = [
            self.next,
            self.throne.goal,
            self.tally.made,
            self.tally.lost,
        ];
        let sites = self.seats.iter().filter_map(|own| own.site);
        let waiting = self.seats.iter().filter_map(|own| own.waiting);
        let paid = sites
            .map(|site| site.cost)
            .chain(waiting.map(|waiting| waiting.cost));
        let mut all_goods = goods.chain(carried).chain(given).chain(paid.flatten());
        if all_goods.any(|amount| amount > MAX_GOODS) {
            return Err(ImpossibleGame::Number("an amount of goods"));
        }
        if numbers.iter().any(|number| *number > MAX) || self.tally.lost > self.tally.made {
            return Err(ImpossibleGame::Number("an amount"));
        }
        Ok(())
    }

    fn check_seats(&self) -> Result<(), ImpossibleGame> {
        // Players talk after the end, when the clock of the match stands still.
        let last_order = self.end.map_or(self.now, |_| LATEST_STAMP);
        for own in &self.seats {
            let levels = own.levels();
            let rules = &self.rules;
            let is_level = levels
                .fields
                .iter()
                .all(|level| usize::from(*level) <= rules.fields.cost.len())
                && usize::from(levels.wall) <= rules.wall.cost.len()
                && (1..=rules.barracks.cost.len() + 1).contains(&usize::from(levels.barracks))
                && (1..=rules.store.cost.len() + 1).contains(&usize::from(levels.store));
            if !is_level {
                return Err(ImpossibleGame::Number("a level"));
            }
            let batches = own.batches.iter().map(|(_, count)| *count);
            let is_small = own.keep <= rules.start.keep
                && own.crowns <= MAX
                && own.production <= MAX_PRODUCTION
                && own.allowed_at <= last_order
                && own.allowance <= MAX
                && own.starved_at <= self.now
                && own.stock.is_below(MAX, self.now)
                && own.batches.len() <= MAX_BATCHES
                && batches
                    .clone()
                    .all(|count| (1..=MAX_BATCH).contains(&count));
            if !is_small {
                return Err(ImpossibleGame::Number("a number of a seat"));
            }
        }
        Ok(())
    }

    /// Whether a journey has begun and ends some day.
    fn is_timed(&self, leaves: u64, arrives: u64) -> bool {
        (leaves..=self.now.saturating_add(MAX)).contains(&arrives) && leaves <= self.now
    }

    fn check_places(&self) -> Result<(), ImpossibleGame> {
        let is_seat = |seat: u8| usize::from(seat) < self.seats.len();
        let is_place = |place: Place| self.map.tile(place).is_some();
        let holdings = self.oases.iter().chain([&self.throne.holding]);
        for holding in holdings {
            let is_held = holding.holder.is_some_and(is_seat);
            if holding.holder.is_some() && !is_held || is_held == holding.garrison.is_empty() {
                return Err(ImpossibleGame::Missing("holder"));
            }
        }
        for march in self.marches.values() {
            let is_timed = self.is_timed(march.leaves, march.arrives);
            if !is_seat(march.seat) || !is_place(march.place) || march.army.is_empty() || !is_timed
            {
                return Err(ImpossibleGame::Missing("march"));
            }
        }
        for caravan in self.caravans.values() {
            let is_timed = self.is_timed(caravan.leaves, caravan.arrives);
            if !is_seat(caravan.from) || !is_seat(caravan.to) || !is_timed {
                return Err(ImpossibleGame::Missing("caravan"));
            }
        }
        let mut pairs = self.pacts.keys();
        if pairs.any(|(one, other)| one >= other || !is_seat(*other)) {
            return Err(ImpossibleGame::Missing("pact"));
        }
        if self.waiting.values().any(|(seat, _)| !is_seat(*seat)) {
            return Err(ImpossibleGame::Missing("seat of an order"));
        }
        if self.end.is_some_and(|end| !end.winner.is_none_or(is_seat)) {
            return Err(ImpossibleGame::Missing("winner"));
        }
        let mut events = self.schedule.iter();
        let is_event = |(due, event): (&Due, &Event)| {
            due.0 <= self.now.saturating_add(MAX) && event.seats().all(is_seat)
        };
        if !events.all(is_event) {
            return Err(ImpossibleGame::Missing("event"));
        }
        Ok(())
    }
}

impl Serialize for Crowns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Crowns::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Crowns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let game = Crowns::deserialize(deserializer)?;
        game.check().map_err(D::Error::custom)?;
        Ok(game)
    }
}
