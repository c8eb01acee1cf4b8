//! A Captain: priorities, in order: danger, growth, soldiers, marches.

mod defence;
mod growth;
mod marches;
mod training;

use raftian_realm::crowns::{Army, Order, Pact, PactOrder, Place, Resource, Resources};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::outlook::Outlook;
use crate::style::Style;
use marches::Expedition;

/// Error of a Captain's estimates, in percent.
const NOISE: u64 = 15;

/// Most by which a Captain's taste for a unit changes from one decision to the next, in percent.
const WHIM: u64 = 40;

/// Marches to one place among the choices.
const MARCHES_PER_PLACE: usize = 1;

/// Returns the orders of a Captain. Its estimates have errors, unless `rng` is `None`.
pub(crate) fn orders(
    look: &Outlook<'_>,
    style: &Style,
    rng: Option<&mut ChaCha8Rng>,
) -> Vec<Order> {
    let mut plan = Plan::new(look, style, rng);
    plan.prepare();
    plan.march();
    plan.orders
}

/// Returns the orders of a Captain without a march, and the marches that it could order, the best
/// first. Its estimates have no errors.
pub(crate) fn choices(look: &Outlook<'_>, style: &Style) -> (Vec<Order>, Vec<Order>) {
    let mut plan = Plan::new(look, style, None);
    plan.prepare();
    let mut marches = plan.marches();
    marches.sort_by_key(|march| std::cmp::Reverse(march.gain));
    // Several armies could march to each place: only the best ones of each.
    let mut chosen: Vec<Expedition> = Vec::new();
    for march in marches {
        let known = chosen.iter().filter(|known| known.to == march.to);
        if known.count() < MARCHES_PER_PLACE {
            chosen.push(march);
        }
    }
    let marches = chosen.iter().map(Expedition::order).collect();
    (plan.orders, marches)
}

/// Decisions of one moment, and what they leave.
pub(crate) struct Plan<'a> {
    pub(crate) look: &'a Outlook<'a>,
    pub(crate) style: &'a Style,
    pub(crate) orders: Vec<Order>,
    /// Stock after the orders.
    pub(crate) stock: Resources,
    /// Part of the stock that is saved for a building.
    pub(crate) reserve: Resources,
    /// Units at home after the orders.
    pub(crate) home: Army,
    /// Strength of the strongest army that a foe could send.
    pub(crate) threat: u64,
    /// Factor of the estimated strength of others, in percent.
    pub(crate) noise: u64,
    /// How much each unit is wanted at this moment, in percent.
    pub(crate) taste: [u64; 4],
}

impl<'a> Plan<'a> {
    fn new(look: &'a Outlook<'a>, style: &'a Style, rng: Option<&mut ChaCha8Rng>) -> Self {
        let mut rng = rng;
        let mut percent = |error: u64| {
            let rng = rng.as_deref_mut();
            rng.map_or(100, |rng| rng.random_range(100 - error..=100 + error))
        };
        Plan {
            look,
            style,
            orders: Vec::new(),
            stock: look.stock,
            reserve: [0; 3],
            home: *look.own.home(),
            threat: look.threat(),
            noise: percent(NOISE),
            taste: std::array::from_fn(|_| percent(WHIM)),
        }
    }

    /// Decides everything but a march.
    fn prepare(&mut self) {
        self.answer_pacts();
        self.defend();
        self.grow();
        self.train();
    }

    /// Accepts the pact of a weaker seat while a third one leads, and declines others. Gives notice to
    /// a partner who leads or holds the Throne.
    fn answer_pacts(&mut self) {
        let game = self.look.game;
        let own = game.crowns(self.look.seat);
        let holder = self.look.holder(Place::Throne);
        let seats = (0..).zip(game.seats()).map(|(seat, _)| seat);
        let partners = seats.filter(|seat| game.pact(self.look.seat, *seat) == Some(Pact::Agreed));
        for with in partners {
            if game.crowns(with) > own || holder == Some(with) {
                let order = PactOrder::End;
                self.orders.push(Order::Pact { with, order });
            }
        }
        let Some(pact) = self.look.foes.iter().copied().find(|foe| {
            let pact = game.pact(self.look.seat, *foe);
            pact == Some(Pact::Offered { by: *foe })
        }) else {
            return;
        };
        let leads = |seat: u8| game.crowns(seat) > own.max(game.crowns(pact));
        let has_rival = self.look.foes.iter().any(|foe| *foe != pact && leads(*foe));
        let order = if has_rival && holder != Some(pact) {
            PactOrder::Accept
        } else {
            PactOrder::End
        };
        self.orders.push(Order::Pact { with: pact, order });
    }

    /// Pays for an order; returns false and changes nothing if something is missing.
    pub(crate) fn pay(&mut self, cost: Resources) -> bool {
        let left = self.stock.iter().zip(cost);
        if left.clone().any(|(have, cost)| *have < cost) {
            return false;
        }
        self.stock = std::array::from_fn(|place| self.stock[place] - cost[place]);
        true
    }

    /// Swaps what is plentiful for the one resource that a purchase lacks. Returns whether it was
    /// enough.
    pub(crate) fn swap_for(&mut self, cost: Resources) -> bool {
        let missing = |place: usize| cost[place].saturating_sub(self.stock[place]);
        let lacking: Vec<_> = (0..3).filter(|place| missing(*place) > 0).collect();
        let [place] = lacking[..] else {
            return false;
        };
        let market = &self.look.game.rules().market;
        // A little more than the price, since what is received is rounded down.
        let amount = (missing(place) * market.give).div_ceil(market.receive.max(1)) + market.give;
        let spare = |other: usize| self.stock[other].saturating_sub(cost[other]);
        let richest = (0..3)
            .filter(|other| *other != place)
            .max_by_key(|other| spare(*other));
        let Some(other) = richest.filter(|other| spare(*other) > amount + 20) else {
            return false;
        };
        self.orders.push(Order::Swap {
            give: Resource::ALL[other],
            amount,
            receive: Resource::ALL[place],
        });
        self.stock[other] -= amount;
        self.stock[place] += amount * market.receive / market.give.max(1);
        true
    }
}
