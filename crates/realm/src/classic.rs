//! Classic mode: a match of two to five cities without owners. Machines compare
//! [`Realm::state_hash`] to check that they agree.

mod hash;
mod rules;

pub use rules::{CITIES, DAMAGE, FULL_HEALTH};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of a city, counted from 1 as on the screen: "Player 1" is city 1.
///
/// The number may come from a peer and need not exist in this realm, so every use must look it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CityId(pub u8);

/// Hit points of a city. A city stands while they are above zero; the last hit may leave less than
/// zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Health(pub i32);

impl Health {
    /// Returns whether the city has fallen: no hit points are left.
    pub const fn is_dead(self) -> bool {
        self.0 <= 0
    }
}

/// A player's order. It changes nothing until it is committed and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// Hits a city once. Classic mode has no ownership: any player may hit any city.
    Attack {
        /// The target.
        city: CityId,
    },
}

/// Effect of a committed order. Equal on every machine, because it follows from the realm and the
/// order alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The city lost hit points.
    Hit {
        /// The target.
        city: CityId,
        /// Health before the hit; always above zero.
        health_before: Health,
        /// Health after the hit; the city fell if this [is dead](Health::is_dead).
        health_after: Health,
    },
    /// The city had already fallen: nothing changed. Two players may order the last hit at once;
    /// the log decides who was first.
    AlreadyDead {
        /// The target.
        city: CityId,
    },
    /// The realm has no such city: nothing changed.
    NoSuchCity {
        /// The target named in the order.
        city: CityId,
    },
}

/// The replicated state of one match in classic mode.
///
/// A snapshot of a match is a serialized realm. Deserialization refuses a value that the rules
/// cannot produce, see [`ImpossibleRealm`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<CityId, Health>",
    into = "BTreeMap<CityId, Health>"
)]
pub struct Realm {
    cities: BTreeMap<CityId, Health>,
}

impl Realm {
    /// Creates a classic match with `cities` cities, numbered from 1, all at full health.
    ///
    /// A number outside [`CITIES`] is clamped.
    pub fn new_classic(cities: u8) -> Self {
        let last = cities.clamp(*CITIES.start(), *CITIES.end());
        Self {
            cities: (1..=last)
                .map(|number| (CityId(number), FULL_HEALTH))
                .collect(),
        }
    }

    /// Applies one committed order and returns its effect. Total: an invalid order changes nothing.
    pub fn apply(&mut self, order: &Order) -> Outcome {
        match *order {
            Order::Attack { city } => rules::attack(&mut self.cities, city),
        }
    }

    /// Health of a city, or `None` if the realm has no such city.
    pub fn health(&self, city: CityId) -> Option<Health> {
        self.cities.get(&city).copied()
    }

    /// Every city with its health, by ascending number.
    pub fn cities(&self) -> impl ExactSizeIterator<Item = (CityId, Health)> + '_ {
        self.cities.iter().map(|(&city, &health)| (city, health))
    }

    /// A fingerprint of the whole state: the first eight bytes, big-endian, of the SHA-256 of the
    /// realm's canonical encoding.
    ///
    /// Equal realms have equal hashes on every machine and build. The canonical encoding is, byte
    /// by byte:
    ///
    /// | bytes | content |
    /// |---|---|
    /// | 16 | ASCII `raftian/classic1`, the mode and the version of this encoding |
    /// | 1 | number of cities |
    /// | 5 each | per city, by ascending number: the number (`u8`), then its health (`i32`, big-endian, two's complement) |
    pub fn state_hash(&self) -> u64 {
        hash::state_hash(self)
    }
}

/// Reason why stored data is not a realm of classic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleRealm {
    /// The number of cities is outside [`CITIES`].
    #[error("a classic realm has {} to {} cities, not {count}", CITIES.start(), CITIES.end(), count = .0)]
    CityCount(usize),
    /// The cities are not numbered 1, 2, 3 and so on.
    #[error("city {} is missing from the realm", .0.0)]
    MissingCity(CityId),
    /// The health cannot be reached from full health by any number of hits.
    #[error("city {} cannot have {} hit points", .0.0, .1.0)]
    Health(CityId, Health),
}

impl TryFrom<BTreeMap<CityId, Health>> for Realm {
    type Error = ImpossibleRealm;

    fn try_from(cities: BTreeMap<CityId, Health>) -> Result<Self, ImpossibleRealm> {
        let count = cities.len();
        let Some(last) = u8::try_from(count)
            .ok()
            .filter(|count| CITIES.contains(count))
        else {
            return Err(ImpossibleRealm::CityCount(count));
        };
        // If cities 1 to `last` are present, the count leaves no room for others.
        for city in (1..=last).map(CityId) {
            let health = *cities
                .get(&city)
                .ok_or(ImpossibleRealm::MissingCity(city))?;
            if !rules::is_reachable(health) {
                return Err(ImpossibleRealm::Health(city, health));
            }
        }
        Ok(Self { cities })
    }
}

impl From<Realm> for BTreeMap<CityId, Health> {
    fn from(realm: Realm) -> Self {
        realm.cities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_cities_is_bounded() {
        for (asked, given) in [(0, 2), (2, 2), (4, 4), (5, 5), (255, 5)] {
            assert_eq!(Realm::new_classic(asked).cities().len(), given);
        }
    }

    #[test]
    fn stored_realm_is_restored_equal() {
        let mut realm = Realm::new_classic(4);
        for city in [1, 3, 3, 4, 4, 4, 4] {
            realm.apply(&Order::Attack { city: CityId(city) });
        }
        let stored = BTreeMap::from(realm.clone());
        assert_eq!(Realm::try_from(stored), Ok(realm));
    }

    #[test]
    fn stored_realm_outside_the_rules_is_refused() {
        let stored = |cities: &[(u8, i32)]| {
            let cities: BTreeMap<_, _> = cities
                .iter()
                .map(|&(city, health)| (CityId(city), Health(health)))
                .collect();
            Realm::try_from(cities)
        };
        assert_eq!(stored(&[(1, 100)]), Err(ImpossibleRealm::CityCount(1)));
        assert_eq!(
            stored(&[(1, 100), (3, 100)]),
            Err(ImpossibleRealm::MissingCity(CityId(2)))
        );
        assert_eq!(
            stored(&[(1, 100), (2, 99)]),
            Err(ImpossibleRealm::Health(CityId(2), Health(99)))
        );
        assert!(stored(&[(1, 100), (2, -20)]).is_ok());
    }
}
