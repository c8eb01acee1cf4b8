//! Where a Captain marches.

use raftian_realm::crowns::{Army, Attack, Order, Place, UnitKind};

use super::Plan;
use crate::outlook::only;

/// Least gain of a march, in resources.
const LEAST_GAIN: i64 = 60;

/// Seconds for which a Captain hopes to hold the Throne.
const HOLD: u64 = 75;

/// A march that could be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sortie {
    pub(crate) army: Army,
    pub(crate) to: Place,
    pub(crate) attack: Attack,
    /// Gain in resources.
    pub(crate) gain: i64,
}

impl Sortie {
    /// The order.
    pub(crate) fn order(&self) -> Order {
        Order::March {
            army: self.army,
            to: self.to,
            attack: self.attack,
        }
    }
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
    pub(crate) fn marches(&self) -> Vec<Sortie> {
        if self.home.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        self.add_oases(&mut all);
        self.add_throne(&mut all);
        for foe in &self.look.foes {
            self.add_city(*foe, &mut all);
        }
        all
    }

    /// Parts of the army at home that could march.
    fn parts(&self) -> Vec<Army> {
        use UnitKind::{Axe, Ram, Rider, Spear};
        let home = &self.home;
        let attackers = only(home, &[Axe, Rider, Ram]);
        let mut parts = vec![
            only(home, &[Rider]),
            only(home, &[Axe]),
            only(home, &[Axe, Rider]),
            attackers,
            attackers.plus(&only(home, &[Spear]).map(|count| count / 2)),
            *home,
        ];
        parts.sort_by_key(|part| self.look.value_of(part));
        parts.dedup();
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Whether the city is safe enough without an army.
    fn is_safe_without(&self, army: &Army) -> bool {
        let left = self.home.minus(army).unwrap_or(Army::NONE);
        let threat = self.look.threat() * self.noise / 100;
        self.look.defence_of(&left) * 100 >= threat * self.style.safety
    }

    fn add_oases(&self, all: &mut Vec<Sortie>) {
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
            for army in &parts {
                let Some((losses, kills)) = self.won(*army, to, Attack::Assault) else {
                    continue;
                };
                // It produces for some minutes, less if it is far away, and is lost to the foe.
                let minutes = i64::from(self.look.elapsed < 900) * 4;
                let far = i64::try_from(self.look.seconds_to(to, army)).unwrap_or(i64::MAX);
                let worth = i64::try_from(rules.oasis.production).unwrap_or(0) * minutes;
                let worth = worth + if holder.is_some() { worth / 2 } else { 0 };
                all.push(Sortie {
                    army: *army,
                    to,
                    attack: Attack::Assault,
                    gain: worth - losses + kills / 2 - far,
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

    fn add_throne(&self, all: &mut Vec<Sortie>) {
        let game = self.look.game;
        let rules = game.rules();
        let to = Place::Throne;
        let holder = self.look.holder(to);
        let is_foreign = holder.is_some_and(|seat| !self.look.foes.contains(&seat));
        if is_foreign && !self.look.holds(to) {
            return;
        }
        if self.look.holds(to) {
            return self.add_reinforcement(all);
        }
        let is_urgent = holder.is_some_and(|seat| {
            let missing = game.goal().saturating_sub(game.crowns(seat));
            missing <= 90 * rules.throne.crowns
        });
        for army in self.parts() {
            let arrives = self.look.elapsed + self.look.seconds_to(to, &army);
            let is_open = arrives >= rules.throne.opens;
            if !is_open || self.look.goes_to(to) && !is_urgent {
                continue;
            }
            if !is_urgent && !self.is_safe_without(&army) {
                continue;
            }
            let Some((losses, kills)) = self.won(army, to, Attack::Assault) else {
                continue;
            };
            let crowns = if arrives >= rules.throne.late_from {
                rules.throne.late_crowns
            } else {
                rules.throne.crowns
            };
            let worth = crowns * HOLD * self.style.crown * self.style.throne / 100;
            let worth = i64::try_from(worth).unwrap_or(i64::MAX);
            let denied = if holder.is_some() { worth } else { 0 };
            let urgent = if is_urgent { 100_000 } else { 0 };
            // A large garrison holds longer.
            let strength = i64::try_from(self.look.value_of(&army) / 4).unwrap_or(0);
            all.push(Sortie {
                army,
                to,
                attack: Attack::Assault,
                gain: worth + denied + urgent + strength - losses + kills / 2,
            });
        }
    }

    /// More soldiers for the own garrison of the Throne, as long as a foe could take it.
    fn add_reinforcement(&self, all: &mut Vec<Sortie>) {
        let to = Place::Throne;
        let garrison = self.look.garrison(to);
        let rules = self.look.game.rules();
        let defence = |army: &Army| army.sum(rules, |unit| unit.defence_foot.max(1));
        let threat = self.look.threat() * self.noise / 100;
        if defence(&garrison) >= threat || self.look.goes_to(to) {
            return;
        }
        let spears = only(&self.home, &[UnitKind::Spear]);
        for army in [
            spears.map(|count| count / 2),
            spears,
            only(&self.home, &[UnitKind::Spear, UnitKind::Axe]),
        ] {
            if self.look.value_of(&army) < 200 || !self.is_safe_without(&army) {
                continue;
            }
            let gain = i64::try_from(self.look.value_of(&army) / 2).unwrap_or(0);
            all.push(Sortie {
                army,
                to,
                attack: Attack::Assault,
                gain,
            });
        }
    }

    fn add_city(&self, foe: u8, all: &mut Vec<Sortie>) {
        let game = self.look.game;
        let to = Place::City(foe);
        if self.look.goes_to(to) {
            return;
        }
        let Some(other) = game.seats().get(usize::from(foe)) else {
            return;
        };
        for army in self.parts() {
            if !self.is_safe_without(&army) {
                continue;
            }
            for attack in [Attack::Raid, Attack::Assault] {
                let Some((losses, kills)) = self.won(army, to, attack) else {
                    continue;
                };
                let Ok(preview) = game.preview(self.look.seat, army, to, attack) else {
                    continue;
                };
                let smokes = other.smokes_until() > game.now() + preview.time;
                let hit = if attack == Attack::Raid || smokes {
                    0
                } else {
                    let survivors = army.minus(&preview.result.attacker_lost);
                    let rams = survivors.map_or(0, |army| army.count(UnitKind::Ram));
                    let rules = &game.rules().keep;
                    (rules.hit + rules.hit_per_ram * rams)
                        .min(rules.max_hit)
                        .min(other.keep())
                };
                let loot: u64 = preview.loot.iter().sum();
                let end = if hit > 0 && hit >= other.keep() {
                    1_500
                } else {
                    0
                };
                let crowns = u64::from(hit) * self.style.crown;
                let worth = loot * self.style.loot / 100 + crowns + end;
                let worth = i64::try_from(worth).unwrap_or(i64::MAX);
                all.push(Sortie {
                    army,
                    to,
                    attack,
                    gain: worth - losses + kills / 3,
                });
            }
        }
    }

    /// Values that an attack costs and kills; `None` if it is not clearly won.
    fn won(&self, army: Army, to: Place, attack: Attack) -> Option<(i64, i64)> {
        let game = self.look.game;
        let preview = game.preview(self.look.seat, army, to, attack).ok()?;
        let mut battle = preview.battle;
        if let Place::City(city) = to {
            battle.defender = self.look.expected(city, preview.time);
        }
        let result = battle.fight(game.rules());
        let ratio = self.style.ratio * self.noise / 100;
        if !result.is_won || result.attack * 100 < result.defence * ratio {
            return None;
        }
        let value = |army: &Army| i64::try_from(self.look.value_of(army)).unwrap_or(i64::MAX);
        Some((value(&result.attacker_lost), value(&result.defender_lost)))
    }
}
