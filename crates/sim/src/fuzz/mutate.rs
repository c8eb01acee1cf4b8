//! Random inputs and mutations of valid ones.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Most mutations of one input: with more, nothing of the valid input remains.
const MAX_CHANGES: u32 = 8;

/// Bytes with a special meaning in the formats: range limits, tags, and bincode's prefixes of
/// longer integers.
const TELLING: [u8; 14] = [0, 1, 2, 3, 7, 15, 16, 127, 128, 250, 251, 252, 253, 255];

/// Returns random bytes. Half of the time their length is uniform, otherwise its order of magnitude
/// is.
pub(super) fn by_chance(rng: &mut ChaCha8Rng, longest: usize) -> Vec<u8> {
    let octave = if rng.random_bool(0.5) {
        usize::BITS - 1
    } else {
        rng.random_range(0..=longest.max(1).ilog2())
    };
    let length = rng.random_range(0..=(1usize << octave).min(longest));
    (0..length).map(|_| rng.random()).collect()
}

/// Returns a valid input with a few mutations.
pub(super) fn mutated(rng: &mut ChaCha8Rng, corpus: &[Vec<u8>], longest: usize) -> Vec<u8> {
    let any = |rng: &mut ChaCha8Rng| corpus[rng.random_range(0..corpus.len())].clone();
    let mut bytes = any(rng);
    // One mutation is as likely as eight: many at once rarely get past a checksum or a count.
    for _ in 0..1 << rng.random_range(0..=MAX_CHANGES.ilog2()) {
        match rng.random_range(0..9) {
            0 | 1 => flip(rng, &mut bytes),
            2 => set(rng, &mut bytes),
            3 => contradiction(rng, &mut bytes),
            4 => bytes.truncate(place(rng, bytes.len())),
            5 => drop(cut(rng, &mut bytes)),
            6 => repeat(rng, &mut bytes),
            7 => grow(rng, &mut bytes),
            _ => {
                let other = any(rng);
                splice(rng, &mut bytes, &other);
            }
        }
    }
    bytes.truncate(longest);
    bytes
}

fn place(rng: &mut ChaCha8Rng, length: usize) -> usize {
    rng.random_range(0..=length)
}

/// Returns a random range of the bytes, mostly a short one.
fn part(rng: &mut ChaCha8Rng, length: usize) -> std::ops::Range<usize> {
    let start = place(rng, length);
    // Uniform in the order of magnitude: long ranges would destroy the input's structure.
    let octave = rng.random_range(0..=(length - start).max(1).ilog2());
    start..start + rng.random_range(0..=(1usize << octave).min(length - start))
}

fn flip(rng: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let at = place(rng, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.random_range(0..8);
    }
}

fn set(rng: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let at = place(rng, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte = TELLING[rng.random_range(0..TELLING.len())];
    }
}

/// Overwrites or inserts an integer, such as a false length, in bincode's variable or in a fixed
/// width.
fn contradiction(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let value: u64 = match rng.random_range(0..3) {
        0 => rng.random_range(0..300),
        1 => u64::MAX >> rng.random_range(0..64),
        _ => 1 << rng.random_range(0..64),
    };
    let contradiction = value.to_le_bytes();
    let contradiction: Vec<u8> = match rng.random_range(0..5) {
        0 => [&[251], &contradiction[..2]].concat(),
        1 => [&[252], &contradiction[..4]].concat(),
        2 => [&[253], &contradiction[..]].concat(),
        3 => contradiction[..4].to_vec(),
        _ => contradiction.to_vec(),
    };
    let at = place(rng, bytes.len());
    let end = if rng.random_bool(0.5) {
        at + 1
    } else {
        at + contradiction.len()
    };
    bytes.splice(at..end.min(bytes.len()), contradiction);
}

fn cut(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) -> Vec<u8> {
    let part = part(rng, bytes.len());
    bytes.drain(part).collect()
}

fn repeat(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let repeated = bytes[part(rng, bytes.len())].to_vec();
    let at = place(rng, bytes.len());
    bytes.splice(at..at, repeated);
}

fn grow(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let new = by_chance(rng, 16);
    let at = place(rng, bytes.len());
    bytes.splice(at..at, new);
}

/// Joins the head of one input to the tail of another, or replaces a range by a range of the other.
fn splice(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    if rng.random_bool(0.5) {
        bytes.truncate(place(rng, bytes.len()));
        bytes.extend_from_slice(&other[place(rng, other.len())..]);
    } else {
        let taken = part(rng, bytes.len());
        let given = part(rng, other.len());
        bytes.splice(taken, other[given].iter().copied());
    }
}
