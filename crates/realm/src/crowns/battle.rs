//! Battles: an attacker against a place with defenders.
//!
//! The stronger side wins. The winner loses the share `f = (weaker / stronger) ^ 1.5` of each kind;
//! in an assault the loser loses everything, in a raid the winner loses `f / (1 + f)` and the loser
//! `1 / (1 + f)`.

use serde::{Deserialize, Serialize};

use super::arithmetic::{MAX_VALUE, ONE, loss_share, losses, raid_shares};
use super::army::Army;
use super::rules::{Rules, UnitKind};

/// How an army attacks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Attack {
    /// For loot: the survivors of the loser get away.
    Raid,
    /// For the keep: the loser dies.
    Assault,
}

/// Two sides that meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Battle {
    /// How the attacker attacks.
    pub attack: Attack,
    /// The attacker.
    pub attacker: Army,
    /// All defenders together.
    pub defender: Army,
    /// Defence of the place without soldiers: militia or guard.
    pub base: u64,
    /// Level of the wall.
    pub wall: u8,
    /// Factor of the defence, in Q16; see [`morale`](super::arithmetic::morale).
    pub morale: u64,
}

/// Result of a battle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BattleResult {
    /// Whether the attacker won; equal sides are the defender's.
    pub is_won: bool,
    /// Strength of the attacker.
    pub attack: u64,
    /// Strength of the defender.
    pub defence: u64,
    /// Units that the attacker lost.
    pub attacker_lost: Army,
    /// Units that the defender lost.
    pub defender_lost: Army,
}

impl Battle {
    /// Fights it.
    pub fn fight(&self, rules: &Rules) -> BattleResult {
        let (attack, defence) = self.strengths(rules);
        let is_won = attack > defence;
        let (weaker, stronger) = (attack.min(defence), attack.max(defence));
        let share = loss_share(weaker, stronger);
        let (winner, loser) = match self.attack {
            Attack::Raid => raid_shares(share),
            Attack::Assault => (share, ONE),
        };
        let (attackers, defenders) = if is_won {
            (winner, loser)
        } else {
            (loser, winner)
        };
        BattleResult {
            is_won,
            attack,
            defence,
            attacker_lost: self.attacker.map(|count| losses(count, attackers)),
            defender_lost: self.defender.map(|count| losses(count, defenders)),
        }
    }

    /// Strengths of the attacker and of the defender, which decide it. Larger ones than
    /// [`MAX_VALUE`] count as that.
    pub fn strengths(&self, rules: &Rules) -> (u64, u64) {
        let attack = self.attack_strength(rules);
        let defence = self.defence_strength(rules, attack);
        (attack.min(MAX_VALUE), defence.min(MAX_VALUE))
    }

    fn attack_strength(&self, rules: &Rules) -> u64 {
        self.attacker.sum(rules, |unit| unit.attack)
    }

    /// `((foot x A_foot + horse x A_horse) / A + base) x wall x morale`.
    fn defence_strength(&self, rules: &Rules, attack: u64) -> u64 {
        let attack = u128::from(attack);
        let horse = self
            .attacker
            .sum(rules, |unit| if unit.mounted { unit.attack } else { 0 });
        let horse = u128::from(horse);
        let to_foot = u128::from(self.defender.sum(rules, |unit| unit.defence_foot));
        let to_horse = u128::from(self.defender.sum(rules, |unit| unit.defence_horse));
        let mixed = (to_foot * (attack - horse) + to_horse * horse).checked_div(attack);
        let wall = 100 + u128::from(self.wall_left(rules)) * u128::from(rules.wall.defence_percent);
        let plain = mixed.unwrap_or(to_foot) + u128::from(self.base);
        let defence = plain * wall * u128::from(self.morale) / (100 * u128::from(ONE));
        u64::try_from(defence).unwrap_or(u64::MAX)
    }

    /// Levels of the wall that the rams do not cancel.
    fn wall_left(&self, rules: &Rules) -> u64 {
        let rams = self.attacker.count(UnitKind::Ram);
        let cancelled = u64::from(rams / rules.battle.rams_per_wall_level.max(1));
        u64::from(self.wall).saturating_sub(cancelled)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(attacker: [u32; 4], defender: [u32; 4]) -> Battle {
        Battle {
            attack: Attack::Assault,
            attacker: Army::new(attacker),
            defender: Army::new(defender),
            base: 0,
            wall: 0,
            morale: ONE,
        }
    }

    fn fight(battle: Battle) -> BattleResult {
        battle.fight(&Rules::of_tests())
    }

    #[test]
    fn four_perfect_assaults_need_no_more_than_an_empty_city() {
        let empty = Battle {
            base: 60,
            ..field([0, 10, 0, 0], [0; 4])
        };
        let result = fight(empty);
        assert!(result.is_won);
        assert_eq!((result.attack, result.defence), (400, 60));
        // (60 / 400) ^ 1.5 = 0.058 of ten axes.
        assert_eq!(result.attacker_lost, Army::new([0, 1, 0, 0]));
    }

    /// Cost for cost: 42 axes, 60 spears and 26 riders cost about 3,570.
    #[test]
    fn each_unit_has_one_that_stops_it() {
        let axes_beat_spears = fight(field([0, 42, 0, 0], [60, 0, 0, 0]));
        assert!(axes_beat_spears.is_won);
        let spears_beat_riders = fight(field([0, 0, 26, 0], [60, 0, 0, 0]));
        assert!(!spears_beat_riders.is_won);
        let riders_beat_axes = fight(field([0, 0, 26, 0], [0, 42, 0, 0]));
        assert!(riders_beat_axes.is_won);
        let walled = Battle {
            wall: 3,
            ..field([0, 42, 0, 0], [60, 0, 0, 0])
        };
        assert!(!fight(walled).is_won, "a wall turns it round");
        let with_rams = Battle {
            attacker: Army::new([0, 42, 0, 6]),
            ..walled
        };
        assert!(fight(with_rams).is_won, "and rams turn it back");
    }

    #[test]
    fn loser_of_a_raid_gets_away() {
        let raid = Battle {
            attack: Attack::Raid,
            ..field([0, 0, 200, 0], [0, 200, 0, 0])
        };
        let result = fight(raid);
        assert!(result.is_won);
        let left = raid.defender.minus(&result.defender_lost).unwrap();
        assert!(!left.is_empty());
        let assault = fight(Battle {
            attack: Attack::Assault,
            ..raid
        });
        assert_eq!(assault.defender_lost, raid.defender);
        assert!(result.attacker_lost.total() < assault.attacker_lost.total());
    }

    #[test]
    fn defence_is_that_of_the_units_against_the_mix_of_the_attack() {
        let mixed = Battle {
            base: 60,
            wall: 4,
            morale: 5 * ONE / 4,
            ..field([0, 30, 20, 3], [40, 10, 5, 2])
        };
        // 1,170 against the 1,215 on foot and 1,830 against the 1,320 on horseback are 1,513. Three
        // rams cancel one level of the wall: 130 % of 1,573, and 125 % of that.
        assert_eq!(mixed.strengths(&Rules::of_tests()), (2_535, 2_556));
        assert!(!fight(mixed).is_won);
    }

    #[test]
    fn equal_sides_are_the_defenders_and_both_die() {
        let equal = Battle {
            base: 400,
            ..field([0, 10, 0, 0], [0; 4])
        };
        let result = fight(equal);
        assert!(!result.is_won);
        assert_eq!(result.attacker_lost, Army::new([0, 10, 0, 0]));
    }

    fn army() -> impl Strategy<Value = Army> {
        prop::array::uniform4(0_u32..2_000).prop_map(Army::new)
    }

    fn battle() -> impl Strategy<Value = Battle> {
        let attack = prop_oneof![Just(Attack::Raid), Just(Attack::Assault)];
        (
            attack,
            army(),
            army(),
            0_u64..1_000,
            0_u8..6,
            ONE..=3 * ONE / 2,
        )
            .prop_map(|(attack, attacker, defender, base, wall, morale)| Battle {
                attack,
                attacker,
                defender,
                base,
                wall,
                morale,
            })
    }

    proptest! {
        #[test]
        fn nobody_loses_more_than_there_is(battle in battle()) {
            let result = fight(battle);
            prop_assert!(battle.attacker.minus(&result.attacker_lost).is_some());
            prop_assert!(battle.defender.minus(&result.defender_lost).is_some());
            if battle.attack == Attack::Assault {
                let (side, lost) = if result.is_won {
                    (battle.defender, result.defender_lost)
                } else {
                    (battle.attacker, result.attacker_lost)
                };
                prop_assert_eq!(side, lost, "the loser dies");
            }
        }

        #[test]
        fn wall_and_morale_only_help_the_defender(battle in battle()) {
            let bare = fight(Battle { wall: 0, morale: ONE, ..battle });
            let result = fight(battle);
            prop_assert!(result.defence >= bare.defence);
            prop_assert!(bare.is_won || !result.is_won);
        }

        /// Nothing depends on who is who but the side.
        #[test]
        fn same_battle_has_the_same_result(battle in battle()) {
            prop_assert_eq!(fight(battle), fight(battle));
        }

        #[test]
        fn more_attackers_never_make_a_victory_a_defeat(battle in battle(), more in 0_u32..100) {
            // More of the same kinds, in proportion, so that the mix of the attack stays.
            let doubled = Battle { attacker: battle.attacker.map(|count| count * (1 + more)), ..battle };
            prop_assert!(!fight(battle).is_won || fight(doubled).is_won);
        }
    }
}
