//! Arrivals of marches.

use super::events::Event;
use super::{Crowns, March, SECOND};
use crate::crowns::army::Army;
use crate::crowns::battle::{Attack, BattleResult};
use crate::crowns::order::Place;
use crate::crowns::report::{BattleReport, Report};
use crate::crowns::rules::{Resource, UnitKind, UnitRules};

impl Crowns {
    pub(super) fn arrived(&mut self, number: u64) {
        let now = self.now;
        let march = self
            .marches
            .get(&number)
            .filter(|march| march.arrives == now);
        let Some(march) = march.cloned() else {
            return;
        };
        self.settle(march.seat);
        if march.returns {
            self.marches.remove(&number);
            self.come_home(&march);
            return;
        }
        let holder = match march.place {
            Place::City(city) => Some(city),
            place => self.holding(place).and_then(|place| place.holder),
        };
        let at_peace = holder.is_some_and(|holder| self.are_at_peace(march.seat, holder));
        match march.place {
            // The pact was made while it was under way.
            _ if at_peace => self.return_home(number, march.clone()),
            Place::City(city) => self.attack_city(number, &march, city),
            Place::Throne if self.now < self.stamp_of(self.rules.throne.opens) => {
                self.return_home(number, march.clone());
            }
            Place::Oasis(_) | Place::Throne => {
                self.marches.remove(&number);
                self.take_holding(&march);
            }
        }
        self.plan_starvation(march.seat);
    }

    fn come_home(&mut self, march: &March) {
        let capacity = self.capacity(march.seat);
        let own = self.seat_mut(march.seat);
        own.home = own.home.plus(&march.army);
        let loot = own.stock.add(march.loot, capacity);
        self.report(Report::Returned {
            seat: march.seat,
            army: march.army,
            loot,
        });
        self.plan_starvation(march.seat);
    }

    /// Sends what is left of a march home.
    fn return_home(&mut self, number: u64, march: March) {
        let time = self.march_time(march.seat, march.place, &march.army);
        let Ok(time) = time else {
            // Its last units were lost.
            self.marches.remove(&number);
            self.tally.lose(march.loot);
            return;
        };
        let arrives = self.now + time;
        let returning = March {
            leaves: self.now,
            arrives,
            returns: true,
            ..march
        };
        self.marches.insert(number, returning);
        self.plan(arrives, Event::Arrived { march: number });
    }

    fn attack_city(&mut self, number: u64, march: &March, city: u8) {
        if !self.seats[usize::from(city)].stands() {
            self.return_home(number, march.clone());
            return;
        }
        self.settle(city);
        let battle = self.battle_at(march.seat, march.army, march.place, march.attack);
        let home = battle.defender;
        let result = battle.fight(&self.rules);
        let left = self.survivors(march.army, result.attacker_lost);
        let defenders = self.survivors(home, result.defender_lost);
        self.seat_mut(city).home = defenders;
        let mut returning = March {
            army: left,
            ..march.clone()
        };
        let mut hit = 0;
        if result.is_won {
            let (carry, hidden) = (left.carry(&self.rules), self.rules.store.hidden);
            returning.loot = self.seat_mut(city).stock.loot(carry, hidden);
            if march.attack == Attack::Assault {
                hit = self.hit_keep(march.seat, city, &left);
            }
        }
        self.report(Report::Battle(BattleReport {
            place: march.place,
            attacker: march.seat,
            defender: Some(city),
            attack: march.attack,
            attackers: march.army,
            defenders: home,
            result,
            loot: returning.loot,
            hit,
        }));
        self.salvage(city, &result);
        self.return_home(number, returning);
        if self.seats[usize::from(city)].stands() {
            self.plan_starvation(city);
        } else {
            self.fall(city, Some(march.seat));
        }
        self.settle_crowns();
        self.end_by_crowns();
        self.end_by_keeps();
    }

    /// Hits the keep of a city after an assault that was won, and breaks its wall. Returns the hit
    /// points that it lost.
    fn hit_keep(&mut self, attacker: u8, city: u8, survivors: &Army) -> u32 {
        let hit = self.hit_of(city, survivors);
        let smoke = self.rules.keep.smoke * SECOND;
        let now = self.now;
        let own = self.seat_mut(city);
        if survivors.count(UnitKind::Ram) > 0 {
            own.levels.wall = own.levels.wall.saturating_sub(1);
        }
        // A hit without effect leaves no smoke.
        if hit == 0 {
            return 0;
        }
        own.keep -= hit;
        own.smokes_until = now + smoke;
        self.seat_mut(attacker).crowns += u64::from(hit);
        hit
    }

    /// Gives a defender a share of what the killed attackers cost.
    fn salvage(&mut self, city: u8, result: &BattleResult) {
        let percent = self.rules.battle.salvage_percent;
        let salvage = Resource::ALL.map(|resource| {
            let cost = |unit: &UnitRules| unit.cost[resource as usize];
            result.attacker_lost.sum(&self.rules, cost) * percent / 100
        });
        let capacity = self.capacity(city);
        self.seat_mut(city).stock.gain(salvage, capacity);
    }

    /// Joins the garrison of an oasis or the Throne, or fights for it.
    fn take_holding(&mut self, march: &March) {
        let Some(holding) = self.holding(march.place).cloned() else {
            return;
        };
        if holding.holder == Some(march.seat) {
            let together = holding.garrison.plus(&march.army);
            self.set_holding(march.place, holding.holder, together);
            return;
        }
        let battle = self.battle_at(march.seat, march.army, march.place, march.attack);
        let base = battle.base;
        let result = battle.fight(&self.rules);
        let attackers = self.survivors(march.army, result.attacker_lost);
        let defenders = self.survivors(holding.garrison, result.defender_lost);
        let is_empty = base == 0 && holding.garrison.is_empty();
        if !is_empty {
            self.report(Report::Battle(BattleReport {
                place: march.place,
                attacker: march.seat,
                defender: holding.holder,
                attack: Attack::Assault,
                attackers: march.army,
                defenders: holding.garrison,
                result,
                loot: [0; 3],
                hit: 0,
            }));
        }
        if result.is_won {
            let (seat, place) = (march.seat, march.place);
            if !attackers.is_empty() {
                self.report(Report::Taken { seat, place });
            }
            self.throne.is_guarded &= march.place != Place::Throne;
            self.set_holding(march.place, Some(march.seat), attackers);
        } else {
            self.set_holding(march.place, holding.holder, defenders);
        }
    }

    /// Changes who holds an oasis or the Throne. A holding without a garrison has no holder.
    pub(super) fn set_holding(&mut self, place: Place, holder: Option<u8>, garrison: Army) {
        let new = super::Holding {
            holder: holder.filter(|_| !garrison.is_empty()),
            garrison,
        };
        let Some(old) = self.holding(place).map(|holding| holding.holder) else {
            return;
        };
        let seats: Vec<_> = old.into_iter().chain(new.holder).collect();
        seats.iter().for_each(|seat| self.settle(*seat));
        let is_other = old != new.holder;
        match place {
            Place::Oasis(number) => self.oases[usize::from(number)] = new,
            Place::Throne => {
                self.settle_crowns();
                self.throne.holding = new;
                if is_other {
                    self.throne.settled = self.now;
                    self.plan_goal();
                }
            }
            Place::City(_) => {}
        }
        seats.iter().for_each(|seat| self.plan_starvation(*seat));
    }

    /// Ends a city: its units are gone, and what they held is free.
    pub(super) fn fall(&mut self, seat: u8, by: Option<u8>) {
        self.tally.lost += self.army_of(seat).total();
        let own = self.seat_mut(seat);
        own.keep = 0;
        own.home = Army::NONE;
        own.site = None;
        own.waiting = None;
        own.batches.clear();
        own.repairs = None;
        let own_marches = self.marches.extract_if(.., |_, march| march.seat == seat);
        let loot: Vec<_> = own_marches.map(|(_, march)| march.loot).collect();
        loot.into_iter().for_each(|loot| self.tally.lose(loot));
        // A seat that gives up does not leave the Throne to a friend.
        self.throne.is_guarded |= by.is_none() && self.throne.holding.holder == Some(seat);
        let places: Vec<_> = self.places().collect();
        for place in places {
            if self
                .holding(place)
                .is_some_and(|holding| holding.holder == Some(seat))
            {
                self.set_holding(place, None, Army::NONE);
            }
        }
        self.plan_starvation(seat);
        self.report(Report::Fell { seat, by });
        self.end_pacts();
    }

    /// The units of `army` that are left, and counts the others as lost.
    fn survivors(&mut self, army: Army, lost: Army) -> Army {
        self.tally.lost += lost.total();
        army.minus(&lost).unwrap_or(Army::NONE)
    }
}
