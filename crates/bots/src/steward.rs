//! A steward for an absent player: it may only train spears, call armies home and repair, so that
//! it never spends what the player saved for a plan.

use raftian_realm::crowns::{Order, Place, UnitKind};

use crate::outlook::Outlook;

/// Spears of one order.
const BATCH: u64 = 5;

pub(crate) fn orders(look: &Outlook<'_>) -> Vec<Order> {
    let mut orders = Vec::new();
    let game = look.game;
    let full = game.rules().start.keep;
    if look.own.keep() < full && !look.own.is_repaired() && !game.is_sudden_death() {
        orders.push(Order::Repair(true));
    }
    let incoming = look.incoming(Place::City(look.seat));
    let lost = incoming.iter().find(|one| {
        let expected = look.expected(look.seat, one.left);
        look.defence_battle(one, expected)
            .fight(game.rules())
            .is_won
    });
    if let Some(lost) = lost {
        let near = look
            .own_oases()
            .chain(look.holds(Place::Throne).then_some(Place::Throne));
        let near = near
            .filter(|place| look.seconds_to(*place, &look.garrison(*place)) * 1_000 < lost.left);
        orders.extend(near.map(Order::CallHome));
        let cost = game.rules().unit(UnitKind::Spear).cost;
        let most = (0..3)
            .map(|place| look.stock[place] / cost[place].max(1))
            .min();
        let count = most.unwrap_or(0).min(BATCH);
        if count > 0 && look.own.batches().len() < 2 {
            let count = u32::try_from(count).unwrap_or(1);
            orders.push(Order::Train(UnitKind::Spear, count));
        }
    }
    orders
}
