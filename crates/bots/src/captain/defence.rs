//! Reactions of a Captain to attacks that are under way.

use raftian_realm::crowns::{Army, Attack, Order, Place, UnitKind};

use super::Plan;
use crate::outlook::Incoming;

/// Milliseconds before an attack within which an army gets out of its way.
const EVADE: u64 = 4_000;

/// Least value of an army that gets out of the way of an assault.
const WORTH_EVADING: u64 = 250;

impl Plan<'_> {
    pub(super) fn defend(&mut self) {
        self.turn_back_from_defeat();
        let incoming = self.look.incoming(Place::City(self.look.seat));
        for one in incoming {
            let expected = self.look.expected(self.look.seat, one.left);
            let battle = self.look.defence_battle(&one, expected);
            let (attack, defence) = battle.strengths(self.look.game.rules());
            if attack <= defence {
                continue;
            }
            self.call_help(&one);
            let is_close = one.left <= EVADE && one.attack == Attack::Assault;
            let is_hopeless = attack * 100 > defence * 115;
            if is_close && is_hopeless {
                self.evade();
                return;
            }
            self.train_spears();
        }
        self.leave_lost_throne();
    }

    /// Turns back every march that would lose its battle.
    fn turn_back_from_defeat(&mut self) {
        let game = self.look.game;
        let marches = self.look.own_marches();
        let lost = marches
            .filter(|(_, march)| !march.returns)
            .filter(|(_, march)| {
                if self.look.holds(march.place) {
                    return false;
                }
                let seat = self.look.seat;
                let battle = game.battle_at(seat, march.army, march.place, march.attack);
                let (attack, defence) = battle.strengths(game.rules());
                attack <= defence && attack * self.noise < defence * 85
            });
        let lost: Vec<_> = lost.map(|(march, _)| Order::TurnBack { march }).collect();
        self.orders.extend(lost.into_iter().take(2));
    }

    /// Calls the nearest strong garrison of an oasis home if it arrives in time.
    fn call_help(&mut self, incoming: &Incoming) {
        let strong = self.look.own_oases().filter_map(|place| {
            let garrison = self.look.garrison(place);
            let time = self.look.seconds_to(place, &garrison).saturating_mul(1_000);
            let helps = self.look.defence_of(&garrison) > 150 && time + 500 < incoming.left;
            helps.then_some((time, place))
        });
        let nearest = strong.min_by_key(|(time, _)| *time);
        self.orders
            .extend(nearest.map(|(_, place)| Order::CallHome(place)));
    }

    /// Sends the army away from home, to the nearest oasis of its own if there is one. It turns
    /// back once it would lose where it marches.
    fn evade(&mut self) {
        if self.look.value_of(&self.home) < WORTH_EVADING {
            return;
        }
        let key = |place: &Place| {
            let time = self.look.seconds_to(*place, &self.home);
            (!self.look.holds(*place), time)
        };
        let Some(to) = self.look.oases().min_by_key(key) else {
            return;
        };
        self.orders.push(Order::March {
            army: self.home,
            to,
            attack: Attack::Assault,
        });
        self.home = Army::NONE;
    }

    fn train_spears(&mut self) {
        let has_spears = self.style.mix[UnitKind::Spear as usize] > 0;
        if !has_spears || self.look.own.batches().len() > 3 {
            return;
        }
        let cost = self.look.game.rules().unit(UnitKind::Spear).cost;
        let most = (0..3)
            .map(|place| self.stock[place] / cost[place].max(1))
            .min();
        let count = most.unwrap_or(0).min(12);
        if count >= 2 && self.pay(cost.map(|cost| cost * count)) {
            let count = u32::try_from(count).unwrap_or(1);
            self.orders.push(Order::Train(UnitKind::Spear, count));
        }
    }

    /// Leaves the Throne before an attack that would kill the whole garrison.
    fn leave_lost_throne(&mut self) {
        let game = self.look.game;
        if !self.look.holds(Place::Throne) {
            return;
        }
        let garrison = self.look.garrison(Place::Throne);
        let Some(first) = self.look.incoming(Place::Throne).into_iter().next() else {
            return;
        };
        let preview = game.preview(first.seat, first.army, Place::Throne, Attack::Assault);
        let is_lost = preview.is_ok_and(|preview| {
            let result = preview.result;
            result.is_won && result.attack * 100 > result.defence * 130
        });
        if is_lost && first.left <= EVADE && self.look.value_of(&garrison) > WORTH_EVADING {
            self.orders.push(Order::CallHome(Place::Throne));
        }
    }
}
