//! Inputs made of valid ones.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Most changes of one input: more, and nothing is left of what was valid.
const MAX_CHANGES: u32 = 8;

/// Bytes that formats treat apart: ends of ranges, tags, and the marks of bincode's longer
/// integers.
const TELLING: [u8; 14] = [0, 1, 2, 3, 7, 15, 16, 127, 128, 250, 251, 252, 253, 255];

/// Bytes of nothing but chance: of any length, or, every other time, of a length whose number of
/// digits is any.
pub(super) fn by_chance(rng: &mut ChaCha8Rng, longest: usize) -> Vec<u8> {
    let octave = if rng.random_bool(0.5) {
        usize::BITS - 1
    } else {
        rng.random_range(0..=longest.max(1).ilog2())
    };
    let length = rng.random_range(0..=(1usize << octave).min(longest));
    (0..length).map(|_| rng.random()).collect()
}

/// A valid input with a few things wrong.
pub(super) fn mutated(rng: &mut ChaCha8Rng, corpus: &[Vec<u8>], longest: usize) -> Vec<u8> {
    let any = |rng: &mut ChaCha8Rng| corpus[rng.random_range(0..corpus.len())].clone();
    let mut bytes = any(rng);
    // One change is as likely as eight: a checksum or a count notices many.
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

/// A part of the bytes, mostly a short one.
fn part(rng: &mut ChaCha8Rng, length: usize) -> std::ops::Range<usize> {
    let start = place(rng, length);
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

/// An integer in place of whatever is there, as a length that is not true: of bincode's variable
/// length, or of a fixed one.
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

/// The beginning of one and the end of the other, or a part of the other in the middle.
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
