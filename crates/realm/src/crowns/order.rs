//! Orders of a seat, and why one is refused.

use serde::{Deserialize, Serialize};

use super::army::Army;
use super::battle::Attack;
use super::map::Tile;
use super::report::Words;
use super::rules::{Resource, Resources, UnitKind};

/// Largest number of units in one order to train.
pub const MAX_BATCH: u32 = 200;

/// Largest number of batches that wait in one barracks.
pub const MAX_BATCHES: usize = 8;

/// Largest number of marches of one seat under way.
pub const MAX_MARCHES: usize = 32;

/// Largest number of caravans of one seat under way.
pub const MAX_CARAVANS: usize = 8;

/// Largest number of orders of one seat that wait for the end of a fair window.
pub const MAX_WAITING: usize = 32;

/// A building of a city.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Building {
    /// Field of a resource: lumber camp, mine or farm.
    Field(Resource),
    /// Trains units.
    Barracks,
    /// Helps defenders.
    Wall,
    /// Room for resources.
    Store,
}

/// A place that an army marches to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Place {
    /// The city of a seat, counted from 0.
    City(u8),
    /// An oasis, counted from 0.
    Oasis(u8),
    /// The Throne.
    Throne,
}

/// A change of a pact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PactOrder {
    /// Offers one, or accepts the offer of the other seat.
    Offer,
    /// Accepts the offer of the other seat.
    Accept,
    /// Withdraws or declines an offer; gives notice of a pact.
    End,
}

/// An order of a seat.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Raises a building by one level: at once, or after the present site.
    Build(Building),
    /// Gives up the waiting building, or else the present site; most of the cost is returned.
    CancelBuild,
    /// Trains units.
    Train(UnitKind, u32),
    /// Sends an army of the city. One that reaches an oasis or the Throne stays there if it wins;
    /// one that attacks a city returns.
    March {
        /// The units.
        army: Army,
        /// Where they march.
        to: Place,
        /// How they attack a city. Oases and the Throne are always assaulted.
        attack: Attack,
    },
    /// Turns a march round that has not arrived.
    TurnBack {
        /// Number of the march.
        march: u64,
    },
    /// Calls a garrison home.
    CallHome(Place),
    /// Swaps an amount of one resource for another.
    Swap {
        /// Resource to give.
        give: Resource,
        /// Amount to give.
        amount: u64,
        /// Resource to receive.
        receive: Resource,
    },
    /// Begins or ends the repair of the keep.
    Repair(bool),
    /// Changes the pact with another seat.
    Pact {
        /// The other seat.
        with: u8,
        /// The change.
        order: PactOrder,
    },
    /// Sends goods to another seat.
    Give {
        /// That seat.
        to: u8,
        /// The goods.
        goods: Resources,
    },
    /// Says something to all players.
    Say(Words),
    /// Points at a tile, for all players.
    Ping(Tile),
    /// Gives up: the city falls.
    Concede,
}

impl Order {
    /// Whether it is a message for the players, which changes nothing else.
    pub fn is_message(&self) -> bool {
        matches!(self, Order::Say(_) | Order::Ping(_))
    }
}

/// Why an order is refused. It changes nothing then but the allowance of its seat.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such seat.
    #[error("there is no such seat")]
    NoSeat,
    /// The order concerns another seat, but names the own one.
    #[error("that is your own seat")]
    OwnSeat,
    /// The match has ended.
    #[error("the match has ended")]
    Ended,
    /// The city has fallen.
    #[error("the city has fallen")]
    Fallen,
    /// Too many orders in a short time.
    #[error("too many orders in a short time; wait a moment")]
    TooFast,
    /// Something is too expensive: this much is missing of the resource.
    #[error("{missing} more {} is needed", .resource.name())]
    TooExpensive {
        /// The resource.
        resource: Resource,
        /// The missing amount.
        missing: u64,
    },
    /// The building has its highest level.
    #[error("it has its highest level")]
    HighestLevel,
    /// Another building waits already.
    #[error("another building waits already")]
    SiteTaken,
    /// Nothing is built.
    #[error("nothing is built")]
    NothingBuilt,
    /// The barracks are too small for this unit.
    #[error("the barracks must have level {0}")]
    SmallBarracks(u8),
    /// A number is zero or too large.
    #[error("the number must be 1 to {0}")]
    Number(u32),
    /// The barracks have enough to do.
    #[error("the barracks have enough to do")]
    BusyBarracks,
    /// The army has fewer units of some kind.
    #[error("the city does not have these units")]
    NoSuchUnits,
    /// The place does not exist.
    #[error("there is no such place")]
    NoSuchPlace,
    /// The city of the place has fallen.
    #[error("that city has fallen")]
    FallenPlace,
    /// Too many marches are under way.
    #[error("{MAX_MARCHES} marches are under way")]
    TooManyMarches,
    /// The march does not exist, is of another seat, or returns already.
    #[error("there is no such march under way")]
    NoSuchMarch,
    /// The seat has no garrison there.
    #[error("there is no garrison of this seat")]
    NoGarrison,
    /// One resource for itself.
    #[error("a resource is not swapped for itself")]
    SameResource,
    /// The amount is worth nothing of the other resource.
    #[error("so little is worth nothing of the other resource")]
    TooLittle,
    /// A gift of nothing.
    #[error("nothing is given; name an amount of wood, iron or grain")]
    NoGoods,
    /// The store has no room.
    #[error("the store has no room for it")]
    NoRoom,
    /// Keeps are no longer repaired.
    #[error("keeps are no longer repaired")]
    SuddenDeath,
    /// The seat has a pact with the one at the place.
    #[error("a pact forbids it; end the pact first")]
    AtPeace,
    /// The pact or offer is there already.
    #[error("it is offered or agreed already")]
    SamePact,
    /// The other seat offers no pact.
    #[error("that seat offers no pact")]
    NoOffer,
    /// There is no pact or offer to end.
    #[error("there is no pact to end")]
    NoPact,
    /// Two cities are left, which have no pacts.
    #[error("the last two cities have no pacts")]
    TwoLeft,
    /// One of the two seats is so close to victory that it has no pacts.
    #[error("a seat so close to victory has no pacts")]
    CloseToVictory,
    /// Too many caravans are under way.
    #[error("{MAX_CARAVANS} caravans are under way")]
    TooManyCaravans,
    /// The map has fewer cities: this many.
    #[error("no such city; this map has 1 to {0}")]
    NoSuchCity(usize),
    /// The map has fewer oases: this many.
    #[error("no such oasis; this map has 1 to {0}")]
    NoSuchOasis(usize),
    /// An army does not march to its own city.
    #[error("this is your own city")]
    OwnCity,
    /// The army has no unit.
    #[error("an army has at least one unit; name some")]
    NoUnits,
    /// The tile is not on the map, which reaches this far from the Throne.
    #[error("the map ends {0} tiles from the Throne")]
    OffMap(u8),
    /// The keep has all its hit points.
    #[error("the keep is whole")]
    WholeKeep,
    /// The pact with the seat at the place runs until this stamp, after its notice.
    #[error("the pact is ending and forbids it until {}", clock(*.0))]
    PactEnding(u64),
}

/// A game clock as minutes and seconds.
fn clock(stamp: u64) -> String {
    let seconds = stamp / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
