//! Powers in integers: the same result on every machine and build.
//!
//! Fractions are in Q16, that is in units of 1/65,536.

/// One in Q16.
pub const ONE: u64 = 1 << 16;

/// Maximum argument of [`morale`] and [`loss_share`]: far above the value of any army.
pub const MAX_VALUE: u64 = 1 << 40;

/// Share of the winner's units that a battle costs, in Q16: `(weaker / stronger) ^ 1.5`, at most
/// one.
///
/// Off by less than [`LOSS_ERROR`] from the exact value. Arguments above [`MAX_VALUE`] count as
/// that; without a stronger side nothing is lost.
pub fn loss_share(weaker: u64, stronger: u64) -> u64 {
    let stronger = u128::from(stronger.min(MAX_VALUE));
    let weaker = u128::from(weaker).min(stronger);
    // In Q32, so that the truncations below do not add up to a unit of the result.
    let Some(ratio) = (weaker << 32).checked_div(stronger) else {
        return 0;
    };
    // Below one the root is that of 64 bits, which is faster.
    let root = match u64::try_from(ratio << 32) {
        Ok(ratio) => u128::from(ratio.isqrt()),
        Err(_) => return ONE,
    };
    u64::try_from((ratio * root) >> 48).unwrap_or(ONE)
}

/// Largest error of [`loss_share`], in Q16.
pub const LOSS_ERROR: u64 = 1;

/// The units lost of `count` at this share, rounded to the nearest.
pub fn losses(count: u32, share: u64) -> u32 {
    let lost = (u64::from(count) * share.min(ONE) + ONE / 2) >> 16;
    // No more than there are, since the share is at most one.
    u32::try_from(lost).unwrap_or(count)
}

/// Shares of a raid, from the share of an assault: the attacker loses `f / (1 + f)` and the
/// defender `1 / (1 + f)`, in Q16, where `f` is the share of the winner.
pub fn raid_shares(share: u64) -> (u64, u64) {
    let share = share.min(ONE);
    let smaller = (share << 16) / (ONE + share);
    (smaller, ONE - smaller)
}

/// Factor of a defence whose owner is weaker than the attacker, in Q16: `(attacker / defender) ^
/// 0.25`, at least one and at most `most`.
///
/// Off by at most [`MORALE_ERROR`] from the exact value. A defender without value gets `most`.
pub fn morale(attacker: u64, defender: u64, most: u64) -> u64 {
    let attacker = u128::from(attacker.min(MAX_VALUE));
    let defender = u128::from(defender.min(MAX_VALUE));
    let Some(ratio) = (attacker << 32).checked_div(defender) else {
        return most;
    };
    if attacker <= defender {
        return ONE;
    }
    let root = ((ratio << 32).isqrt() << 32).isqrt() >> 16;
    u64::try_from(root)
        .unwrap_or(most)
        .clamp(ONE, most.max(ONE))
}

/// Largest error of [`morale`], in Q16.
pub const MORALE_ERROR: u64 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether `share / 2^16` is within the error of `(weaker / stronger) ^ 1.5`: the squares are
    /// compared as exact integers.
    fn is_power_of_three_halves(share: u64, weaker: u64, stronger: u64) -> bool {
        let exact = u128::from(weaker).pow(3) << 32;
        let square = |share: u64| u128::from(share).pow(2) * u128::from(stronger).pow(3);
        square(share.saturating_sub(LOSS_ERROR)) <= exact && exact <= square(share + LOSS_ERROR)
    }

    /// Whether `factor / 2^16` is within the error of `(attacker / defender) ^ 0.25`.
    fn is_fourth_root(factor: u64, attacker: u64, defender: u64) -> bool {
        let exact = u128::from(attacker) << 64;
        let power = |factor: u64| u128::from(factor).pow(4) * u128::from(defender);
        power(factor - MORALE_ERROR) <= exact && exact <= power(factor + MORALE_ERROR)
    }

    #[test]
    fn small_ratios_match_exact_rationals() {
        for stronger in 1..300 {
            for weaker in 0..=stronger {
                let share = loss_share(weaker, stronger);
                assert!(
                    is_power_of_three_halves(share, weaker, stronger),
                    "{weaker}:{stronger}"
                );
            }
        }
        for defender in 1..200 {
            for attacker in defender..5 * defender {
                let factor = morale(attacker, defender, 2 * ONE);
                assert!(
                    is_fourth_root(factor, attacker, defender),
                    "{attacker}:{defender}"
                );
            }
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(loss_share(1, 1), ONE);
        assert_eq!(loss_share(0, 5), 0);
        assert_eq!(loss_share(7, 0), 0, "there was no battle");
        assert_eq!(
            loss_share(9, 4),
            ONE,
            "the arguments are in the wrong order"
        );
        // (1/4) ^ 1.5 = 1/8.
        assert_eq!(loss_share(1, 4), ONE / 8);
        assert_eq!(losses(9, ONE / 2), 5, "half of nine, rounded up");
        assert_eq!(losses(u32::MAX, ONE), u32::MAX);
        assert_eq!(raid_shares(0), (0, ONE));
        assert_eq!(raid_shares(ONE), (ONE / 2, ONE / 2));
        assert_eq!(
            morale(1, 2, 2 * ONE),
            ONE,
            "the stronger defender gets nothing"
        );
        assert_eq!(morale(16, 1, 3 * ONE), 2 * ONE);
        assert_eq!(morale(16, 1, 3 * ONE / 2), 3 * ONE / 2, "at most");
        assert_eq!(morale(16, 0, 3 * ONE / 2), 3 * ONE / 2);
    }

    proptest! {
        #[test]
        fn any_ratio_matches_exact_rationals(weaker in 0_u64..1 << 28, more in 0_u64..1 << 28) {
            let stronger = weaker + more.max(1);
            prop_assert!(is_power_of_three_halves(
                loss_share(weaker, stronger),
                weaker,
                stronger,
            ));
            let attacker = stronger.min(weaker.saturating_mul(5));
            if weaker > 0 {
                prop_assert!(is_fourth_root(morale(attacker, weaker, 2 * ONE), attacker, weaker));
            }
        }

        #[test]
        fn shares_never_exceed_one(a in any::<u64>(), b in any::<u64>(), count in any::<u32>()) {
            let share = loss_share(a, b);
            let (attacker, defender) = raid_shares(share);
            prop_assert!(share <= ONE && attacker <= ONE / 2 && attacker + defender == ONE);
            prop_assert!(losses(count, share) <= count);
            prop_assert!((ONE..=2 * ONE).contains(&morale(a, b, 2 * ONE)));
        }

        #[test]
        fn more_defence_costs_the_attacker_more(a in 1_u64..1 << 30, b in 1_u64..1 << 30, c in 1_u64..1 << 30) {
            let mut sorted = [a, b, c];
            sorted.sort_unstable();
            let [weaker, middle, stronger] = sorted;
            prop_assert!(loss_share(weaker, stronger) <= loss_share(middle, stronger));
            prop_assert!(loss_share(weaker, stronger) <= loss_share(weaker, middle));
        }
    }
}
