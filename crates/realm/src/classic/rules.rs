//! Rules of classic mode: a hit takes [`DAMAGE`], a city falls at zero, and a fallen city never
//! changes.

use super::{CityId, Health, Outcome};
use std::collections::BTreeMap;
use std::iter;
use std::ops::RangeInclusive;

/// Possible numbers of cities in a classic match.
pub const CITIES: RangeInclusive<u8> = 2..=5;

/// Health of every city at the start of a match.
pub const FULL_HEALTH: Health = Health(100);

/// Hit points taken by one hit. Four hits fell a city: 100, 70, 40, 10, -20.
pub const DAMAGE: i32 = 30;

/// Applies one hit to `city`, if it exists and still stands.
pub(super) fn attack(cities: &mut BTreeMap<CityId, Health>, city: CityId) -> Outcome {
    let Some(health) = cities.get_mut(&city) else {
        return Outcome::NoSuchCity { city };
    };
    let health_before = *health;
    let Some(health_after) = after_hit(health_before) else {
        return Outcome::AlreadyDead { city };
    };
    *health = health_after;
    Outcome::Hit {
        city,
        health_before,
        health_after,
    }
}

/// Health after one more hit; `None` for a fallen city, which never changes.
fn after_hit(health: Health) -> Option<Health> {
    (!health.is_dead()).then(|| Health(health.0 - DAMAGE))
}

/// Returns whether some number of hits leads from full health to `health`.
pub(super) fn is_reachable(health: Health) -> bool {
    iter::successors(Some(FULL_HEALTH), |before| after_hit(*before)).any(|after| after == health)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::{Order, Realm};

    fn attack(realm: &mut Realm, city: u8) -> Outcome {
        realm.apply(&Order::Attack { city: CityId(city) })
    }

    #[test]
    fn four_hits_fell_each_city_and_no_other() {
        for cities in CITIES {
            for target in 1..=cities {
                let mut realm = Realm::new_classic(cities);
                for (before, after) in [(100, 70), (70, 40), (40, 10), (10, -20)] {
                    assert!(!realm.health(CityId(target)).unwrap().is_dead());
                    let expected = Outcome::Hit {
                        city: CityId(target),
                        health_before: Health(before),
                        health_after: Health(after),
                    };
                    assert_eq!(attack(&mut realm, target), expected);
                }
                assert!(realm.health(CityId(target)).unwrap().is_dead());
                assert!(
                    realm
                        .cities()
                        .all(|(city, health)| city == CityId(target) || health == FULL_HEALTH)
                );
            }
        }
    }

    #[test]
    fn fallen_city_never_changes_again() {
        let mut realm = Realm::new_classic(5);
        for _ in 0..4 {
            attack(&mut realm, 3);
        }
        let fallen = realm.clone();
        for _ in 0..100 {
            assert_eq!(
                attack(&mut realm, 3),
                Outcome::AlreadyDead { city: CityId(3) }
            );
            assert_eq!(realm, fallen);
        }
    }

    #[test]
    fn unknown_city_is_refused_and_changes_nothing() {
        for cities in CITIES {
            let fresh = Realm::new_classic(cities);
            for unknown in (0..=u8::MAX).filter(|number| !(1..=cities).contains(number)) {
                let mut realm = fresh.clone();
                assert_eq!(
                    attack(&mut realm, unknown),
                    Outcome::NoSuchCity {
                        city: CityId(unknown)
                    }
                );
                assert_eq!(realm, fresh);
            }
        }
    }

    /// Plays every sequence of up to seven orders over two cities and one that does not exist: 3^7
    /// matches, each step checked.
    #[test]
    fn health_depends_only_on_the_number_of_hits() {
        for mut code in 0..3_u32.pow(7) {
            let mut realm = Realm::new_classic(2);
            let mut hits = [0_i32; 4];
            for _ in 0..7 {
                let target = code % 3 + 1;
                code /= 3;
                attack(&mut realm, target as u8);
                hits[target as usize] += 1;
                for (city, health) in realm.cities() {
                    let counted = hits[usize::from(city.0)].min(4);
                    assert_eq!(health, Health(100 - DAMAGE * counted));
                    assert!(is_reachable(health));
                }
            }
        }
    }

    #[test]
    fn only_five_healths_are_reachable() {
        let reachable: Vec<i32> = (-200..=200)
            .filter(|&health| is_reachable(Health(health)))
            .collect();
        assert_eq!(reachable, [-20, 10, 40, 70, 100]);
        assert!(!is_reachable(Health(i32::MIN)) && !is_reachable(Health(i32::MAX)));
    }
}
