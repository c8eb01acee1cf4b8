//! What an attack would do if it arrived at once: for the players who plan one, and for bots.

use super::Crowns;
use crate::crowns::arithmetic::{ONE, morale};
use crate::crowns::army::Army;
use crate::crowns::battle::{Attack, Battle, BattleResult};
use crate::crowns::order::{Place, Refusal};
use crate::crowns::rules::{Resources, UnitKind};

/// What an attack would do against the defenders of the present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preview {
    /// The battle.
    pub battle: Battle,
    /// Its result.
    pub result: BattleResult,
    /// Milliseconds of the march.
    pub time: u64,
    /// Hit points that the keep would lose.
    pub hit: u32,
    /// Loot that the survivors would take.
    pub loot: Resources,
}

impl Crowns {
    /// Previews the attack of an army, which need not be in the city.
    ///
    /// # Errors
    /// [`Refusal`], if no army marches there.
    pub fn preview(
        &self,
        seat: u8,
        army: Army,
        to: Place,
        attack: Attack,
    ) -> Result<Preview, Refusal> {
        let time = self.march_time(seat, to, &army)?;
        if to == Place::City(seat) {
            return Err(Refusal::OwnCity);
        }
        let battle = self.battle_at(seat, army, to, attack);
        let result = battle.fight(&self.rules);
        let survivors = army.minus(&result.attacker_lost).unwrap_or(Army::NONE);
        let (mut hit, mut loot) = (0, [0; 3]);
        if let Place::City(city) = to
            && result.is_won
        {
            if attack == Attack::Assault {
                hit = self.hit_of(city, &survivors);
            }
            let carry = survivors.carry(&self.rules);
            let stock = self.stock(city);
            loot = stock.map_or([0; 3], |mut stock| {
                stock.loot(carry, self.rules.store.hidden)
            });
        }
        Ok(Preview {
            battle,
            result,
            time,
            hit,
            loot,
        })
    }

    /// The battle of an army of `seat` at a place as it is at present. Nobody defends a place that
    /// does not exist.
    pub fn battle_at(&self, seat: u8, attacker: Army, to: Place, attack: Attack) -> Battle {
        let plain = Battle {
            attack: Attack::Assault,
            attacker,
            defender: Army::NONE,
            base: 0,
            wall: 0,
            morale: ONE,
        };
        if let Place::City(city) = to {
            let Some(defender) = self.seats.get(usize::from(city)) else {
                return plain;
            };
            return Battle {
                attack,
                defender: defender.home,
                base: self.rules.battle.militia,
                wall: defender.levels.wall,
                morale: self.morale(seat, city),
                ..plain
            };
        }
        let base = match to {
            Place::Throne if self.throne.is_guarded => self.rules.throne.guard,
            Place::Throne | Place::City(_) => 0,
            Place::Oasis(_) => self.rules.oasis.militia,
        };
        let holding = self.holding(to);
        let holder = holding.and_then(|holding| holding.holder);
        Battle {
            defender: holding.map_or(Army::NONE, |holding| holding.garrison),
            base,
            morale: holder.map_or(ONE, |holder| self.morale(seat, holder)),
            ..plain
        }
    }

    /// Hit points that the keep of a city loses in an assault with these survivors; 0 without one.
    pub(super) fn hit_of(&self, city: u8, survivors: &Army) -> u32 {
        if survivors.is_empty() {
            return 0;
        }
        let rules = &self.rules.keep;
        let rams = survivors.count(UnitKind::Ram);
        let hit = rules
            .hit
            .saturating_add(rules.hit_per_ram.saturating_mul(rams));
        match self.seats.get(usize::from(city)) {
            Some(own) if self.now >= own.smokes_until => hit.min(rules.max_hit).min(own.keep),
            Some(_) | None => 0,
        }
    }

    /// Factor of the defence of a seat against another one, in Q16.
    pub fn morale(&self, attacker: u8, defender: u8) -> u64 {
        let most = self.rules.battle.max_morale_percent * ONE / 100;
        morale(self.value(attacker), self.value(defender), most)
    }
}
