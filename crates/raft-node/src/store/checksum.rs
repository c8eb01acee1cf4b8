//! A checksum around each stored value, so that a value which is not what was written, or not where
//! it was written, is noticed whatever the database below believes.

use sha2::{Digest, Sha256};

/// Bytes of the checksum at the end of a checksummed value: 64 bits of SHA-256, enough against
/// accidents.
const CHECKSUM_BYTES: usize = 8;

/// `value` followed by its checksum, which also covers the `place` it is stored at.
pub(super) fn append_checksum(place: &str, mut value: Vec<u8>) -> Vec<u8> {
    let sum = checksum(place, &value);
    value.extend(sum);
    value
}

/// The value inside `checksummed`, or `None` if it is not what was checksummed for `place`.
pub(super) fn strip_checksum<'a>(place: &str, checksummed: &'a [u8]) -> Option<&'a [u8]> {
    let (value, sum) = checksummed.split_last_chunk::<CHECKSUM_BYTES>()?;
    (checksum(place, value) == *sum).then_some(value)
}

fn checksum(place: &str, value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    hash.update(u64::try_from(place.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(place);
    hash.update(value);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&hash.finalize()[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_unchanged_and_at_its_place() {
        let checksummed = append_checksum("entry #7", vec![1, 2, 3]);
        assert_eq!(
            strip_checksum("entry #7", &checksummed),
            Some(&[1, 2, 3][..])
        );
        assert_eq!(strip_checksum("entry #8", &checksummed), None);
        for byte in 0..checksummed.len() {
            for bit in 0..8 {
                let mut flipped = checksummed.clone();
                flipped[byte] ^= 1 << bit;
                assert_eq!(strip_checksum("entry #7", &flipped), None);
            }
            assert_eq!(strip_checksum("entry #7", &checksummed[..byte]), None);
        }
    }
}
