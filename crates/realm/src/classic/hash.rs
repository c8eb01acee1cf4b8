//! The state hash. Its encoding is documented at [`Realm::state_hash`] and pinned by a test,
//! because machines of different builds compare it.

use super::Realm;
use sha2::{Digest, Sha256};

/// Mode and version of the canonical encoding.
const DOMAIN: &[u8; 16] = b"raftian/classic1";

pub(super) fn state_hash(realm: &Realm) -> u64 {
    let digest = Sha256::digest(canonical(realm));
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

fn canonical(realm: &Realm) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    // At most five cities exist, so the count fits one byte.
    bytes.push(realm.cities().len() as u8);
    for (city, health) in realm.cities() {
        bytes.push(city.0);
        bytes.extend_from_slice(&health.0.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::{CityId, Order};
    use std::collections::BTreeSet;

    fn attack(realm: &mut Realm, city: u8, times: u8) {
        for _ in 0..times {
            realm.apply(&Order::Attack { city: CityId(city) });
        }
    }

    #[test]
    fn canonical_encoding_is_pinned() {
        let mut realm = Realm::new_classic(2);
        attack(&mut realm, 2, 4);
        assert_eq!(
            canonical(&realm),
            b"raftian/classic1\x02\x01\x00\x00\x00\x64\x02\xff\xff\xff\xec"
        );
    }

    #[test]
    fn hash_is_pinned() {
        assert_eq!(Realm::new_classic(4).state_hash(), 0x65c3_2e51_dc30_fec4);
    }

    #[test]
    fn reachable_states_of_two_cities_have_distinct_hashes() {
        let mut hashes = BTreeSet::new();
        for first in 0..=4 {
            for second in 0..=4 {
                let mut realm = Realm::new_classic(2);
                attack(&mut realm, 1, first);
                attack(&mut realm, 2, second);
                hashes.insert(realm.state_hash());
            }
        }
        assert_eq!(hashes.len(), 25);
    }

    #[test]
    fn orders_on_different_cities_commute() {
        let [mut forwards, mut backwards] = [Realm::new_classic(2), Realm::new_classic(2)];
        let [one, two] = [1, 2].map(|city| Order::Attack { city: CityId(city) });
        forwards.apply(&one);
        forwards.apply(&two);
        backwards.apply(&two);
        backwards.apply(&one);
        assert_eq!(forwards.state_hash(), backwards.state_hash());
    }
}
