//! A Warlord: tries its marches on a copy of the match before it orders one.
//!
//! It compares the orders of a Captain with each of the best marches, without a march, and with the
//! orders of the other styles, by playing on for a while with Captains on all seats. That takes a
//! fixed number of decisions, no fixed time, so a Warlord decides the same on every machine.

use raftian_realm::crowns::{Crowns, Order, Place};

use crate::captain;
use crate::outlook::Outlook;
use crate::style::Style;
use crate::{Archetype, MAX_ORDERS};

/// Milliseconds that are played on.
const HORIZON: u64 = 60_000;

/// Milliseconds between two decisions on the copy.
const STEP: u64 = 4_000;

/// Largest number of marches that are tried.
const MOST_MARCHES: usize = 4;

/// Resources that a crown is worth.
const CROWN: i64 = 30;

/// Resources that a hit point of a keep is worth.
const KEEP: i64 = 12;

/// Crowns that the Throne will still give to its holder.
const THRONE: u64 = 30;

/// Worth by which orders must be better than those of a Captain.
const MARGIN: i64 = 600;

/// Worth of the victory.
const VICTORY: i64 = 1 << 32;

pub(crate) fn orders(look: &Outlook<'_>, style: &Style) -> Vec<Order> {
    let options = options(look, style);
    let worths = options
        .iter()
        .map(|(style, orders)| worth_of(look, style, orders));
    let mut worths: Vec<_> = worths.collect();
    // The first are those of a Captain. Others must be clearly better, since the future is
    // uncertain.
    if let Some(first) = worths.first_mut() {
        *first += MARGIN;
    }
    let best = (0..options.len()).rev().max_by_key(|place| worths[*place]);
    let best = best.and_then(|best| options.into_iter().nth(best));
    best.map_or_else(Vec::new, |(_, orders)| orders)
}

/// Orders that could be given, with the style in which they are continued.
fn options(look: &Outlook<'_>, style: &Style) -> Vec<(Style, Vec<Order>)> {
    let (plain, marches) = captain::choices(look, style);
    let mut options = vec![(style.clone(), captain::orders(look, style, None))];
    options.extend(marches.into_iter().take(MOST_MARCHES).map(|march| {
        let mut orders = plain.clone();
        orders.truncate(MAX_ORDERS - 1);
        orders.push(march);
        (style.clone(), orders)
    }));
    if look.holds(Place::Throne) {
        let mut orders = plain.clone();
        orders.truncate(MAX_ORDERS - 1);
        orders.push(Order::CallHome(Place::Throne));
        options.push((style.clone(), orders));
    }
    options.push((style.clone(), plain));
    for other in Archetype::ALL.map(Style::of) {
        let orders = captain::orders(look, &other, None);
        let is_new = options.iter().all(|(_, known)| *known != orders);
        if is_new && other != *style {
            options.push((other, orders));
        }
    }
    options
}

/// How the seat stands some time after these orders.
fn worth_of(look: &Outlook<'_>, style: &Style, orders: &[Order]) -> i64 {
    let mut game = look.game.without_reports();
    let began = game.now();
    give(&mut game, look.seat, orders);
    let foes = Style::of(Archetype::Balanced);
    let seats = u8::try_from(game.seats().len()).unwrap_or(u8::MAX);
    for at in (began + STEP..=began + HORIZON).step_by(usize::try_from(STEP).unwrap_or(usize::MAX))
    {
        game.advance(at);
        for seat in 0..seats {
            let style = if seat == look.seat { style } else { &foes };
            let orders = Outlook::new(&game, seat).map(|look| captain::orders(&look, style, None));
            give(&mut game, seat, &orders.unwrap_or_default());
        }
    }
    standing(&game, look.seat)
}

fn give(game: &mut Crowns, seat: u8, orders: &[Order]) {
    let now = game.now();
    for order in orders {
        // One that is refused has no effect, as in the match itself.
        let _may_be_refused = game.order(seat, order, now);
    }
}

/// The worth of a seat, compared with that of the others.
fn standing(game: &Crowns, seat: u8) -> i64 {
    if let Some(end) = game.end() {
        return match end.winner {
            Some(winner) if winner == seat => VICTORY,
            Some(_) => -VICTORY,
            None => 0,
        };
    }
    let own = worth(game, seat);
    let others = (0..).zip(game.seats()).filter(|(other, _)| *other != seat);
    let others: Vec<_> = others.map(|(other, _)| worth(game, other)).collect();
    let count = i64::try_from(others.len()).unwrap_or(1).max(1);
    let mean = others.iter().sum::<i64>() / count;
    let best = others.iter().max().copied().unwrap_or(0);
    own - (mean + best) / 2
}

fn worth(game: &Crowns, seat: u8) -> i64 {
    let Some(own) = game
        .seats()
        .get(usize::from(seat))
        .filter(|own| own.stands())
    else {
        return 0;
    };
    let stock: u64 = game
        .stock(seat)
        .map_or(0, |stock| stock.amounts().iter().sum());
    let goods = game.value(seat) + stock / 2;
    let holds = game
        .holding(Place::Throne)
        .is_some_and(|throne| throne.holder == Some(seat));
    let crowns = game.crowns(seat) + if holds { THRONE } else { 0 };
    let crowns = i64::try_from(crowns).unwrap_or(i64::MAX / CROWN);
    i64::try_from(goods).unwrap_or(i64::MAX) + crowns * CROWN + i64::from(own.keep()) * KEEP
}
