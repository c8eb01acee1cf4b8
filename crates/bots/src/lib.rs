//! Bots: players of Crowns that are programs.
//!
//! [`Bot::orders`] is a pure function of the state of a match, the seat and a seed, so that a bot
//! runs on any machine of a match and continues on another one. Two machines that run the same bot
//! by mistake give the same orders.
//!
//! * [`Level`]: three strengths. A Recruit follows a list and often attacks at random; a Captain
//!   follows priorities; a Warlord tries its orders on a copy of the match first.
//! * [`Style`]: a way to play in numbers; six archetypes, which a tournament compares.
//! * [`story`]: such a match in words.
//! * [`tournament`]: many of them, to measure the balance of the rules.
//! * [`play`]: matches between bots without a log, as fast as the machine allows.
//!
//! Decision: a bot keeps no memory between two decisions. Why: a machine that takes over a bot
//! needs the state of the match alone, and snapshots need no part for bots. Would change if: bots
//! had plans that the state does not show.

mod captain;
mod outlook;
pub mod play;
mod recruit;
mod steward;
pub mod story;
mod style;
pub mod tournament;
mod warlord;

use raftian_realm::crowns::{Crowns, Order};
pub use raftian_realm::table::{Archetype, Level};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
pub use style::Style;

use outlook::Outlook;

/// Milliseconds between two decisions of a bot.
pub fn period(level: Level) -> u64 {
    match level {
        Level::Recruit => 5_000,
        Level::Captain => 1_500,
        Level::Warlord => 1_000,
    }
}

/// A bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bot {
    /// Its strength.
    pub level: Level,
    /// Its way to play.
    pub style: Style,
}

impl Bot {
    /// Creates a bot of an archetype.
    pub fn new(level: Level, archetype: Archetype) -> Self {
        Bot {
            level,
            style: Style::of(archetype),
        }
    }

    /// Returns its orders at the present stamp of the match, in the order in which they are to be
    /// applied. At most [`MAX_ORDERS`].
    pub fn orders(&self, game: &Crowns, seat: u8, seed: u64) -> Vec<Order> {
        let Some(look) = Outlook::new(game, seat) else {
            return Vec::new();
        };
        let mut rng = rng_of(seed, seat, game.elapsed());
        let mut orders = match self.level {
            Level::Recruit => recruit::orders(&look, &mut rng),
            Level::Captain => captain::orders(&look, &self.style, Some(&mut rng)),
            Level::Warlord => warlord::orders(&look, &self.style),
        };
        orders.truncate(MAX_ORDERS);
        orders
    }

    /// Milliseconds of the match at which the decision number `decision` of a seat is due.
    pub fn due(&self, seat: u8, seed: u64, decision: u64) -> u64 {
        let period = period(self.level);
        let jitter = rng_of(seed, seat, u64::MAX - decision).random_range(0..period / 2);
        decision * period + jitter
    }
}

/// Largest number of orders of one decision.
pub const MAX_ORDERS: usize = 6;

const _: () = assert!(MAX_ORDERS <= raftian_realm::table::MAX_BOT_ORDERS);

/// Returns the orders of a steward, which keeps the city of an absent player: it trains spears,
/// calls armies home from danger and repairs the keep.
pub fn steward(game: &Crowns, seat: u8) -> Vec<Order> {
    Outlook::new(game, seat).map_or_else(Vec::new, |look| steward::orders(&look))
}

/// A generator for one decision.
fn rng_of(seed: u64, seat: u8, at: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&at.to_le_bytes());
    bytes[16] = seat;
    ChaCha8Rng::from_seed(bytes)
}

#[cfg(test)]
mod tests;
