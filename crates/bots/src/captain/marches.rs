//! Where a Captain marches.

use raftian_realm::crowns::{Army, Attack, Battle, Order, Place, UnitKind};

use super::Plan;
use crate::outlook::only;

/// Least gain of a march, in resources.
const LEAST_GAIN: i64 = 60;

/// Seconds for which a Captain hopes to hold the Throne, with a weak and a strong garrison.
const SHORT_HOLD: u64 = 20;
const LONG_HOLD: u64 = 120;

/// Seconds of absence that cost as much as the loss of the army.
const WHOLE_ABSENCE: u64 = 1_000;

/// Gain of a march without which a foe wins.
const URGENT: i64 = 100_000;

/// A march that could be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expedition {
    pub(crate) army: Army,
    pub(crate) to: Place,
    pub(crate) attack: Attack,
    /// Gain in resources.
    pub(crate) gain: i64,
}

impl Expedition {
    /// The order.
    pub(crate) fn order(&self) -> Order {
        Order::March {
            army: self.army,
            to: self.to,
            attack: self.attack,
        }
    }
}

/// A place that could be attacked, as it is for every army of a decision.
struct Target {
    to: Place,
    /// The battle there without an attacker.
    battle: Battle,
    /// Strength of an attack compared with the defence, from which it is made.
    ratio: u64,
}

/// A battle that would be won.
struct Won {
    /// Value of the own units that it costs.
    lost: i64,
    /// Value of the units that it kills.
    killed: i64,
    /// The own units that are left.
    left: Army,
}

impl Plan<'_> {
    /// Orders the best march, if one is worth it.
    pub(super) fn march(&mut self) {
        let best = self.marches().into_iter().max_by_key(|march| march.gain);
        let Some(best) = best.filter(|best| best.gain >= LEAST_GAIN) else {
            return;
        };
        self.orders.push(best.order());
        self.home = self.home.minus(&best.army).unwrap_or(self.home);
    }

    /// All marches that are not plainly wrong.
    pub(crate) fn marches(&self) -> Vec<Expedition> {
        if self.home.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        self.add_oases(&mut all);
        self.add_throne(&mut all);
        let mut parts = self.assault_parts();
        parts.retain(|army| self.is_safe_without(army));
        for foe in &self.look.foes {
            self.add_city(*foe, &parts, &mut all);
        }
        all
    }

    /// Parts of the army at home that could march for loot or for a garrison. Rams stay: they are
    /// slow, and break nothing there.
    fn parts(&self) -> Vec<Army> {
        use UnitKind::{Axe, Rider, Spear};
        let home = &self.home;
        let attackers = only(home, &[Axe, Rider]);
        let spears = only(home, &[Spear]);
        let parts = vec![
            only(home, &[Rider]).map(|count| count / 2),
            only(home, &[Rider]),
            only(home, &[Axe]).map(|count| count / 3),
            only(home, &[Axe]).map(|count| count * 2 / 3),
            only(home, &[Axe]),
            attackers,
            attackers.plus(&spears.map(|count| count / 2)),
            attackers.plus(&spears),
        ];
        self.distinct(parts)
    }

    /// Parts of the army at home that could assault a city: the same ones, also with all rams.
    fn assault_parts(&self) -> Vec<Army> {
        let rams = only(&self.home, &[UnitKind::Ram]);
        let mut parts = self.parts();
        let with_rams: Vec<_> = parts.iter().map(|part| part.plus(&rams)).collect();
        parts.extend(with_rams);
        self.distinct(parts)
    }

    /// Different parts with units, the cheapest one first.
    fn distinct(&self, mut parts: Vec<Army>) -> Vec<Army> {
        parts.sort_by_key(|part| self.look.value_of(part));
        parts.dedup();
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Whether the city is safe enough without an army.
    fn is_safe_without(&self, army: &Army) -> bool {
        let left = self.home.minus(army).unwrap_or(Army::NONE);
        let threat = self.threat * self.noise / 100;
        self.look.defence_of(&left) * 100 >= threat * self.style.safety
    }

    fn add_oases(&self, all: &mut Vec<Expedition>) {
        let held = self.look.own_oases().count();
        let under_way = self.look.oases().filter(|place| self.look.goes_to(*place));
        if held + under_way.count() >= self.style.oases {
            return;
        }
        let rules = self.look.game.rules();
        let parts = self.small_parts();
        for to in self.look.oases() {
            let holder = self.look.holder(to);
            let is_foreign = holder.is_some_and(|seat| !self.look.foes.contains(&seat));
            if is_foreign || self.look.holds(to) || self.look.goes_to(to) {
                continue;
            }
            let target = self.target(to);
            for army in &parts {
                let Some(battle) = self.battle(*army, &target) else {
                    continue;
                };
                let battle = self.won(&battle);
                // It produces for some minutes, less if it is far away, and is lost to the foe.
                let minutes = i64::from(self.look.elapsed < 900) * 4;
                let far = i64::try_from(self.look.seconds_to(to, army)).unwrap_or(i64::MAX);
                let worth = i64::try_from(rules.oasis.production).unwrap_or(0) * minutes;
                let worth = worth + if holder.is_some() { worth / 2 } else { 0 };
                all.push(Expedition {
                    army: *army,
                    to,
                    attack: Attack::Assault,
                    gain: worth - battle.lost + battle.killed / 2 - far,
                });
            }
        }
    }

    /// Small groups of one kind, for oases.
    fn small_parts(&self) -> Vec<Army> {
        let mut parts = Vec::new();
        for kind in [UnitKind::Axe, UnitKind::Rider, UnitKind::Spear] {
            for count in [2, 4, 6, 10, 16] {
                let group = crate::outlook::units(kind, count);
                if self.home.minus(&group).is_some() {
                    parts.push(group);
                }
            }
        }
        parts
    }

    fn add_throne(&self, all: &mut Vec<Expedition>) {
        let to = Place::Throne;
        let holder = self.look.holder(to);
        if self.look.holds(to) {
            return self.add_reinforcement(all);
        }
        if holder.is_some_and(|seat| !self.look.foes.contains(&seat)) {
            return;
        }
        let is_urgent = self.look.is_urgent();
        if self.look.goes_to(to) && !is_urgent {
            return;
        }
        let target = self.target(to);
        for army in self.parts() {
            let arrives = self.look.elapsed + self.look.seconds_to(to, &army);
            let is_open = arrives >= self.look.game.rules().throne.opens;
            if !is_open || !is_urgent && !self.is_safe_without(&army) {
                continue;
            }
            let Some(battle) = self.battle(army, &target) else {
                continue;
            };
            let battle = self.won(&battle);
            let worth = self.worth_of_throne(&battle.left, arrives);
            let denied = if holder.is_some() { worth } else { 0 };
            let urgent = if is_urgent { URGENT } else { 0 };
            all.push(Expedition {
                army,
                to,
                attack: Attack::Assault,
                gain: worth + denied + urgent + battle.killed / 2 - battle.lost,
            });
        }
    }

    /// Worth of the Throne with a garrison: the longer the better it stands against the foes.
    fn worth_of_throne(&self, garrison: &Army, arrives: u64) -> i64 {
        let rules = self.look.game.rules();
        let defence = garrison.sum(rules, |unit| unit.defence_foot);
        let threat = self.threat.max(1);
        let hold = (defence * LONG_HOLD / threat).clamp(SHORT_HOLD, LONG_HOLD);
        let crowns = if arrives >= rules.throne.late_from {
            rules.throne.late_crowns
        } else {
            rules.throne.crowns
        };
        let worth = crowns * hold * self.style.crown * self.style.throne / 100;
        signed(worth)
    }

    /// More soldiers for the own garrison of the Throne, as long as a foe could take it.
    fn add_reinforcement(&self, all: &mut Vec<Expedition>) {
        use UnitKind::{Axe, Rider, Spear};
        let to = Place::Throne;
        let garrison = self.look.garrison(to);
        let rules = self.look.game.rules();
        let defence = |army: &Army| army.sum(rules, |unit| unit.defence_foot);
        let threat = self.threat * self.noise / 100;
        if defence(&garrison) * 100 >= threat * 130 || self.look.goes_to(to) {
            return;
        }
        let first = self.look.incoming(to).into_iter().next();
        let spears = only(&self.home, &[Spear]);
        for army in [
            spears.map(|count| count / 2),
            spears,
            only(&self.home, &[Spear, Axe]),
            only(&self.home, &[Spear, Axe, Rider]),
        ] {
            // What comes too late dies alone, or finds nothing to help.
            let time = self.look.seconds_to(to, &army).saturating_mul(1_000);
            let is_late = first.as_ref().is_some_and(|first| first.left < time);
            let is_small = self.look.value_of(&army) < 200;
            if is_small || is_late || !self.is_safe_without(&army) {
                continue;
            }
            let gain = i64::try_from(self.look.value_of(&army) / 2).unwrap_or(0);
            all.push(Expedition {
                army,
                to,
                attack: Attack::Assault,
                gain,
            });
        }
    }

    fn add_city(&self, foe: u8, parts: &[Army], all: &mut Vec<Expedition>) {
        let to = Place::City(foe);
        if parts.is_empty() || self.look.goes_to(to) {
            return;
        }
        let target = self.target(to);
        let open = self.open_stock(foe);
        for army in parts {
            let Some(battle) = self.battle(*army, &target) else {
                continue;
            };
            let away = self.cost_of_absence(army, to);
            for attack in [Attack::Raid, Attack::Assault] {
                let battle = self.won(&Battle { attack, ..battle });
                let loot = open.min(battle.left.carry(self.look.game.rules()));
                let mut worth = loot * self.style.loot / 100;
                if attack == Attack::Assault {
                    worth += self.worth_of_hit(foe, army, &battle);
                }
                all.push(Expedition {
                    army: *army,
                    to,
                    attack,
                    gain: signed(worth) + battle.killed / 3 - battle.lost - away,
                });
            }
        }
    }

    /// What can be looted from a city.
    fn open_stock(&self, city: u8) -> u64 {
        let game = self.look.game;
        let hidden = game.rules().store.hidden;
        let stock = game.stock(city).map_or([0; 3], |stock| stock.amounts());
        stock.iter().map(|have| have.saturating_sub(hidden)).sum()
    }

    /// What it costs that an army is away: a part of its value that grows with the time.
    fn cost_of_absence(&self, army: &Army, to: Place) -> i64 {
        let seconds = self.look.seconds_to(to, army).saturating_mul(2);
        let cost = self.look.value_of(army).saturating_mul(seconds) / WHOLE_ABSENCE;
        signed(cost)
    }

    /// Worth of a hit to the keep.
    fn worth_of_hit(&self, foe: u8, army: &Army, battle: &Won) -> u64 {
        let game = self.look.game;
        let rules = game.rules();
        let Some(other) = game.seats().get(usize::from(foe)) else {
            return 0;
        };
        let seconds = self.look.seconds_to(Place::City(foe), army);
        let arrives = game.now().saturating_add(seconds.saturating_mul(1_000));
        if other.smokes_until() > arrives || battle.left.is_empty() {
            return 0;
        }
        let rams = battle.left.count(UnitKind::Ram);
        let more = rules.keep.hit_per_ram.saturating_mul(rams);
        let hit = rules.keep.hit.saturating_add(more);
        let hit = hit.min(rules.keep.max_hit).min(other.keep());
        // The weaker the keep, the closer its fall.
        let missing = u64::from(rules.start.keep.saturating_sub(other.keep()));
        let mut worth = u64::from(hit) * self.style.crown * (100 + missing) / 100;
        if game.crowns(self.look.seat) + u64::from(hit) >= game.goal() {
            worth += 100_000;
        }
        if hit >= other.keep() {
            worth += if self.look.foes.len() == 1 {
                100_000
            } else {
                1_500
            };
        }
        worth
    }

    /// Looks at a place once for all armies.
    fn target(&self, to: Place) -> Target {
        let game = self.look.game;
        let is_urgent = to == Place::Throne && self.look.is_urgent();
        Target {
            to,
            battle: game.battle_at(self.look.seat, Army::NONE, to, Attack::Assault),
            ratio: if is_urgent {
                100
            } else {
                self.style.ratio * self.noise / 100
            },
        }
    }

    /// The battle of an army when it arrives; `None` if it is not clearly won.
    fn battle(&self, army: Army, target: &Target) -> Option<Battle> {
        let rules = self.look.game.rules();
        // Most are too weak whoever is there.
        if self.look.attack_of(&army) * 100 < target.battle.base * target.ratio {
            return None;
        }
        let time = self.look.game.march_time(self.look.seat, target.to, &army);
        let time = time.ok()?;
        let battle = Battle {
            attacker: army,
            defender: match target.to {
                Place::City(city) => self.look.expected(city, time),
                Place::Oasis(_) | Place::Throne => self.look.expected_at(target.to, time),
            },
            ..target.battle
        };
        let (attack, defence) = battle.strengths(rules);
        let is_clear = attack > defence && attack * 100 >= defence * target.ratio;
        is_clear.then_some(battle)
    }

    /// What a battle that is won costs and kills.
    fn won(&self, battle: &Battle) -> Won {
        let result = battle.fight(self.look.game.rules());
        let value = |army: &Army| signed(self.look.value_of(army));
        let left = battle.attacker.minus(&result.attacker_lost);
        Won {
            lost: value(&result.attacker_lost),
            killed: value(&result.defender_lost),
            left: left.unwrap_or(Army::NONE),
        }
    }
}

/// A number that may become negative.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
