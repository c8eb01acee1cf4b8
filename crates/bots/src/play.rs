//! Matches between bots without a log: the orders are applied at once.

use raftian_realm::crowns::{Crowns, MapError, Rules};
use rand::RngExt;

use crate::{Bot, rng_of};

/// Plays a match to its end. `watch` sees it before each decision.
///
/// # Errors
/// [`MapError`], for a number of bots that has no map.
pub fn play(
    bots: &[Bot],
    seed: u64,
    rules: &Rules,
    mut watch: impl FnMut(&Crowns),
) -> Result<Played, MapError> {
    let seats = u8::try_from(bots.len()).unwrap_or(u8::MAX);
    let mut game = Crowns::new(seats, seed, rules.clone(), 0)?;
    let mut decisions = vec![0; bots.len()];
    let mut orders = vec![0; bots.len()];
    while game.end().is_none() {
        let next = (0..seats).zip(bots).map(|(seat, bot)| {
            let due = bot.due(seat, seed, decisions[usize::from(seat)]);
            // Of two decisions at once, neither seat is always the first.
            (due, rng_of(seed, seat, due).random::<u64>(), seat)
        });
        let Some((due, _, seat)) = next.min() else {
            break;
        };
        game.advance(due);
        watch(&game);
        decisions[usize::from(seat)] += 1;
        for order in bots[usize::from(seat)].orders(&game, seat, seed) {
            orders[usize::from(seat)] += u64::from(game.order(seat, &order, due).is_ok());
        }
    }
    Ok(Played { game, orders })
}

/// A match that was played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// The match at its end.
    pub game: Crowns,
    /// Orders of each seat that were not refused.
    pub orders: Vec<u64>,
}
