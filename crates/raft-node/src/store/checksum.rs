//! Checksum of each stored value, so that a changed or misplaced value is detected even if the
//! database's own checksums are right.

use sha2::{Digest, Sha256};

/// Size of the checksum at the end of a checksummed value: 64 bits of SHA-256, enough against
/// accidental damage.
const CHECKSUM_BYTES: usize = 8;

/// Appends a checksum to `value`; it also covers the `place` that the value is stored at.
pub(super) fn append_checksum(place: &str, mut value: Vec<u8>) -> Vec<u8> {
    let sum = checksum(place, &value);
    value.extend(sum);
    value
}

/// Returns the value inside `checksummed`, or `None` if its checksum for `place` does not match.
pub(super) fn strip_checksum<'a>(place: &str, checksummed: &'a [u8]) -> Option<&'a [u8]> {
    let (value, sum) = checksummed.split_last_chunk::<CHECKSUM_BYTES>()?;
    (checksum(place, value) == *sum).then_some(value)
}

fn checksum(place: &str, value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Sha256::new();
    // The length separates place and value: two splits of the same bytes must not share a checksum.
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
    fn checksummed_value_is_read_only_unchanged_and_in_place() {
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
