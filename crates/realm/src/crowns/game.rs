//! The state of a match of Crowns.
//!
//! Time is the game clock in milliseconds, the stamps of the log. [`Crowns::advance`] performs the
//! scheduled events up to a stamp, and [`Crowns::order`] does that before it applies an order.
//! Events that are due at once come in an order that follows from the seed of the match, so that no
//! seat is always first.

mod arrivals;
mod check;
mod diplomacy;
mod events;
mod orders;
mod preview;
mod seat;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::army::Army;
use super::economy::{Stock, split};
use super::map::{Map, MapError};
use super::order::{Building, Order, Place};
use super::report::{Feed, Report};
use super::rules::{Resource, Resources, Rules};
pub use check::ImpossibleGame;
use diplomacy::Pair;
pub use diplomacy::{Caravan, Pact};
use events::Event;
pub use preview::Preview;
use seat::Waiting;
pub use seat::{Levels, Seat, Site};

/// Milliseconds of a second.
const SECOND: u64 = 1_000;

/// Latest stamp at which a match begins, so that no time of it exceeds 64 bits.
const LATEST_START: u64 = 1 << 62;

/// Latest stamp of an order.
const LATEST_STAMP: u64 = (1 << 63) - 1;

/// Largest fair window in milliseconds of the match.
const MAX_WINDOW: u64 = 20 * SECOND;

/// Largest production of a seat in percent.
const MAX_PRODUCTION: u64 = 400;

/// Place of an event in the schedule: its stamp, a hash of the seed, and its number.
type Due = (u64, u64, u64);

/// A match of Crowns.
///
/// Deserialization refuses a state that would break the rules' own assumptions, see
/// [`ImpossibleGame`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Crowns {
    rules: Rules,
    seed: u64,
    map: Map,
    /// Stamp at which it began, and the present one.
    began: u64,
    now: u64,
    seats: Vec<Seat>,
    oases: Vec<Holding>,
    throne: Throne,
    marches: BTreeMap<u64, March>,
    caravans: BTreeMap<u64, Caravan>,
    pacts: BTreeMap<Pair, Pact>,
    /// Milliseconds of a fair window; 0 for none.
    window: u64,
    /// Orders that wait for the end of their window, by number.
    waiting: BTreeMap<u64, (u8, Order)>,
    schedule: BTreeMap<Due, Event>,
    /// Number of the next march or event.
    next: u64,
    end: Option<End>,
    tally: Tally,
    feed: Feed,
}

/// An oasis, or the garrison of the Throne.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Holding {
    /// The seat that holds it.
    pub holder: Option<u8>,
    /// Its garrison; never empty while it is held.
    pub garrison: Army,
}

/// The Throne.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Throne {
    holding: Holding,
    /// It was not held yet, so its guard defends it.
    is_guarded: bool,
    /// Stamp up to which its crowns were given.
    settled: u64,
    /// Number that makes earlier events about the goal void.
    goal: u64,
}

/// An army under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct March {
    /// Its seat.
    pub seat: u8,
    /// Its units.
    pub army: Army,
    /// Where it marches, or returns from.
    pub place: Place,
    /// How it attacks a city.
    pub attack: super::battle::Attack,
    /// Stamp of its departure.
    pub leaves: u64,
    /// Stamp of its arrival.
    pub arrives: u64,
    /// Whether it returns home.
    pub returns: bool,
    /// Resources that it carries home.
    pub loot: Resources,
}

/// How a match ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// The winner; `None` for a draw.
    pub winner: Option<u8>,
    /// Why.
    pub reason: EndReason,
    /// Stamp.
    pub at: u64,
}

/// Why a match ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EndReason {
    /// A seat had enough crowns.
    Crowns,
    /// One city was left.
    LastKeep,
    /// The time was over.
    Time,
    /// The players left it.
    Abandoned,
}

/// Units and goods that came into the match and left it, for checks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Units at the start, and trained since.
    pub made: u64,
    /// Units killed, starved, or gone with their city.
    pub lost: u64,
    /// Goods lost with the march or caravan that carried them.
    pub lost_goods: Resources,
}

impl Tally {
    fn lose(&mut self, goods: Resources) {
        for (lost, amount) in self.lost_goods.iter_mut().zip(goods) {
            *lost += amount;
        }
    }
}

impl Crowns {
    /// Begins a match of `seats` seats at the stamp `now`. A stamp after the year 146 million
    /// counts as the last one before.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn new(seats: u8, seed: u64, rules: Rules, now: u64) -> Result<Self, MapError> {
        let map = Map::new(seats, &rules.oasis, seed)?;
        let now = now.min(LATEST_START);
        let start = &rules.start;
        let home = Army::new([start.spears, 0, 0, 0]);
        let seat = Seat {
            levels: Levels {
                fields: [start.fields; 3],
                barracks: start.barracks,
                wall: start.wall,
                store: start.store,
            },
            stock: Stock::new([start.wood, start.iron, start.grain], now),
            home,
            keep: start.keep,
            smokes_until: now,
            repairs: None,
            crowns: 0,
            production: 100,
            site: None,
            waiting: None,
            batches: VecDeque::new(),
            allowance: rules.limit.burst * SECOND.div_ceil(rules.limit.per_second),
            allowed_at: now,
            starving: None,
            starved_at: now,
        };
        let oases = vec![Holding::default(); map.oases.len()];
        let mut game = Crowns {
            seed,
            began: now,
            now,
            seats: vec![seat; usize::from(seats)],
            oases,
            throne: Throne {
                holding: Holding::default(),
                is_guarded: true,
                settled: now,
                goal: 0,
            },
            marches: BTreeMap::new(),
            caravans: BTreeMap::new(),
            pacts: BTreeMap::new(),
            window: 0,
            waiting: BTreeMap::new(),
            schedule: BTreeMap::new(),
            next: 0,
            end: None,
            tally: Tally {
                made: home.total() * u64::from(seats),
                lost: 0,
                lost_goods: [0; 3],
            },
            feed: Feed::default(),
            map,
            rules,
        };
        let end = game.stamp_of(game.rules.goal.end);
        game.plan(end, Event::TimeOver);
        (0..seats).for_each(|seat| game.plan_starvation(seat));
        Ok(game)
    }

    /// Makes orders wait for the end of the window of this many milliseconds in which they came; the
    /// order of the seats in a window does not depend on whose orders came first. For
    /// players whose machines are far from the leader's. Called before the first order.
    #[must_use]
    pub fn with_fair_window(mut self, window: u64) -> Self {
        self.window = window.min(MAX_WINDOW);
        self
    }

    /// Changes what the fields of a seat produce to this many percent: a handicap. Called before
    /// the first order.
    #[must_use]
    pub fn with_production(mut self, seat: u8, percent: u64) -> Self {
        if let Some(own) = self.seats.get_mut(usize::from(seat)) {
            own.production = percent.min(MAX_PRODUCTION);
            self.plan_starvation(seat);
        }
        self
    }

    /// Returns a copy without reports, for planning.
    pub fn without_reports(&self) -> Self {
        let mut copy = self.clone();
        copy.feed.clear();
        copy
    }

    /// Number of the next report.
    pub fn next_report(&self) -> u64 {
        self.feed.next()
    }

    /// The reports from number `from` on with their stamps, as far as they are among the last
    /// [`MAX_REPORTS`](super::MAX_REPORTS), and among the last 16 that their seat caused at will.
    pub fn reports_since(&self, from: u64) -> impl Iterator<Item = (u64, &Report)> + '_ {
        self.numbered_reports_since(from)
            .map(|(_, at, report)| (at, report))
    }

    /// As [`reports_since`](Self::reports_since), with the numbers of the reports before the
    /// stamps.
    pub fn numbered_reports_since(
        &self,
        from: u64,
    ) -> impl Iterator<Item = (u64, u64, &Report)> + '_ {
        self.feed.since(from)
    }

    /// Gives crowns to a seat, for tests of what a victory changes.
    #[cfg(test)]
    pub(crate) fn give_crowns(&mut self, seat: u8, crowns: u64) {
        self.seat_mut(seat).crowns += crowns;
    }

    /// Its numbers.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Its map.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// The present stamp; after the end, that of the end.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Milliseconds since it began, up to its end.
    pub fn elapsed(&self) -> u64 {
        self.now - self.began
    }

    /// How it ended; `None` while it is played.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The seats, in order.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The present stock of a seat; `None` without such a seat.
    pub fn stock(&self, seat: u8) -> Option<Stock> {
        let mut stock = self.seats.get(usize::from(seat))?.stock.clone();
        stock.settle(self.now, self.rates(seat), self.capacity(seat));
        Some(stock)
    }

    /// The marches under way, by number.
    pub fn marches(&self) -> impl ExactSizeIterator<Item = (u64, &March)> + '_ {
        self.marches.iter().map(|(number, march)| (*number, march))
    }

    /// What is held at an oasis or the Throne; `None` for a city, and a place that does not exist.
    pub fn holding(&self, place: Place) -> Option<&Holding> {
        match place {
            Place::City(_) => None,
            Place::Oasis(number) => self.oases.get(usize::from(number)),
            Place::Throne => Some(&self.throne.holding),
        }
    }

    /// Stamp of the next event; `None` if nothing is due any more. The clock needs an entry then.
    pub fn next_event(&self) -> Option<u64> {
        self.schedule.keys().next().map(|(due, ..)| *due)
    }

    /// Units that came into the match and left it.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// A fingerprint of the whole state, equal for equal states on all machines with one build: the
    /// first eight bytes of the SHA-256 of its text form, big-endian.
    pub fn state_hash(&self) -> u64 {
        let text = format!("{self:?}");
        first_bytes(&Sha256::digest(text))
    }

    /// Number of all units of a seat, at home and away.
    pub fn army_of(&self, seat: u8) -> Army {
        let home = self
            .seats
            .get(usize::from(seat))
            .map_or(Army::NONE, |seat| seat.home);
        let held = self.oases.iter().chain([&self.throne.holding]);
        let held = held.filter(|holding| holding.holder == Some(seat));
        let away = self.marches.values().filter(|march| march.seat == seat);
        held.map(|holding| holding.garrison)
            .chain(away.map(|march| march.army))
            .fold(home, |all, army| all.plus(&army))
    }

    /// Production of a seat per minute, upkeep taken from its grain.
    pub fn rates(&self, seat: u8) -> [i64; 3] {
        let Some(own) = self.seats.get(usize::from(seat)).filter(|own| own.stands()) else {
            return [0; 3];
        };
        let production = &self.rules.fields.production;
        let mut rates: [i64; 3] = std::array::from_fn(|place| {
            let level = usize::from(own.levels.fields[place]);
            let full = production.get(level).copied().unwrap_or(0);
            signed(full * own.production / 100)
        });
        for (oasis, holding) in self.map.oases.iter().zip(&self.oases) {
            if holding.holder == Some(seat) {
                rates[oasis.resource as usize] += signed(self.rules.oasis.production);
            }
        }
        rates[Resource::Grain as usize] -= signed(self.army_of(seat).upkeep(&self.rules));
        rates
    }

    /// Room of a seat for each resource.
    pub fn capacity(&self, seat: u8) -> u64 {
        let own = self.seats.get(usize::from(seat));
        let level = own.map_or(0, |own| own.levels.store);
        let place = usize::from(level).saturating_sub(1);
        self.rules.store.capacity.get(place).copied().unwrap_or(0)
    }

    /// Value of the army and buildings of a seat, for morale.
    pub fn value(&self, seat: u8) -> u64 {
        let Some(Seat { levels, .. }) = self.seats.get(usize::from(seat)) else {
            return 0;
        };
        let spent =
            |costs: &[u64], levels: u8| -> u64 { costs.iter().take(usize::from(levels)).sum() };
        let fields = levels
            .fields
            .map(|level| spent(&self.rules.fields.cost, level));
        fields.iter().sum::<u64>()
            + spent(&self.rules.barracks.cost, levels.barracks.saturating_sub(1))
            + spent(&self.rules.wall.cost, levels.wall)
            + spent(&self.rules.store.cost, levels.store.saturating_sub(1))
            + self.army_of(seat).value(&self.rules)
    }

    /// Cost of the next level of a building, after those that are under way; `None` at its highest
    /// level, and while another building waits.
    pub fn building_cost(&self, seat: u8, building: Building) -> Option<Resources> {
        let own = self.seats.get(usize::from(seat))?;
        let planned = own.site.filter(|site| site.building == building);
        let next = self.next_level(&own.levels, building, u8::from(planned.is_some()));
        next.filter(|_| own.waiting.is_none()).map(|(cost, _)| cost)
    }

    /// Whether the guard of the Throne still defends it.
    pub fn is_throne_guarded(&self) -> bool {
        self.throne.is_guarded
    }

    /// Crowns of a seat at present, those of the Throne included; 0 without such a seat.
    pub fn crowns(&self, seat: u8) -> u64 {
        let own = self.seats.get(usize::from(seat));
        let crowns = own.map_or(0, |own| own.crowns);
        if self.end.is_none() && self.throne.holding.holder == Some(seat) {
            crowns + self.crowns_since_settled().0
        } else {
            crowns
        }
    }

    /// Cost and level of the next step of a building; `None` at its highest level. `planned` steps
    /// of it are under way.
    fn next_level(
        &self,
        levels: &Levels,
        building: Building,
        planned: u8,
    ) -> Option<(Resources, u8)> {
        let rules = &self.rules;
        let (least, costs, shares) = match building {
            Building::Field(_) => (0, &rules.fields.cost, rules.fields.split),
            Building::Barracks => (1, &rules.barracks.cost, rules.barracks.split),
            Building::Wall => (0, &rules.wall.cost, rules.wall.split),
            Building::Store => (1, &rules.store.cost, rules.store.split),
        };
        let level = levels.of(building) + planned;
        let cost = costs.get(usize::from(level.saturating_sub(least)))?;
        Some((split(*cost, shares), level + 1))
    }

    /// Whether keeps are no longer repaired.
    pub fn is_sudden_death(&self) -> bool {
        self.now >= self.stamp_of(self.rules.goal.sudden_death)
    }

    /// Stamp of a second of the match.
    fn stamp_of(&self, second: u64) -> u64 {
        self.began + second * SECOND
    }

    /// Crowns with which a seat wins.
    pub fn goal(&self) -> u64 {
        if self.seats.len() == 2 {
            self.rules.goal.crowns_of_two
        } else {
            self.rules.goal.crowns
        }
    }

    /// Brings the stock of a seat up to the present. Called before its rates change.
    fn settle(&mut self, seat: u8) {
        let (rates, capacity) = (self.rates(seat), self.capacity(seat));
        let now = self.now;
        self.seats[usize::from(seat)]
            .stock
            .settle(now, rates, capacity);
    }

    fn report(&mut self, report: Report) {
        self.feed.push(self.now, report);
    }

    fn seat_mut(&mut self, seat: u8) -> &mut Seat {
        &mut self.seats[usize::from(seat)]
    }

    fn new_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Plans an event. Nothing happens any more once the match has ended.
    fn plan(&mut self, due: u64, event: Event) -> Option<Due> {
        if self.end.is_some() {
            return None;
        }
        let number = self.new_number();
        let place = self.place(due, &number.to_be_bytes());
        self.schedule.insert((due, place, number), event);
        Some((due, place, number))
    }

    /// Plans an event of a seat so that those which are due at once keep their order, and the order
    /// of the seats follows from the seed alone.
    fn plan_in_order(&mut self, due: u64, seat: u8, event: Event) {
        let number = self.new_number();
        let place = self.place(due, &[seat]);
        self.schedule.insert((due, place, number), event);
    }

    /// Place among the events that are due at once.
    fn place(&self, due: u64, what: &[u8]) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(due.to_be_bytes());
        hash.update(what);
        first_bytes(&hash.finalize())
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn first_bytes(digest: &[u8]) -> u64 {
    digest
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests;
