//! Inputs made of valid ones.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Most changes of one input: more, and nothing is left of what was valid.
const MOST_CHANGES: u32 = 8;

/// Bytes that formats treat apart: ends of ranges, tags, and the marks of bincode's longer integers.
const TELLING: [u8; 14] = [0, 1, 2, 3, 7, 15, 16, 127, 128, 250, 251, 252, 253, 255];

/// Bytes of nothing but chance: of any length, or, every other time, of a length whose number of digits is any.
pub(super) fn by_chance(dice: &mut ChaCha8Rng, longest: usize) -> Vec<u8> {
    let octave = if dice.random_bool(0.5) { usize::BITS - 1 } else { dice.random_range(0..=longest.max(1).ilog2()) };
    let length = dice.random_range(0..=(1usize << octave).min(longest));
    (0..length).map(|_| dice.random()).collect()
}

/// A valid input with a few things wrong.
pub(super) fn mutated(dice: &mut ChaCha8Rng, corpus: &[Vec<u8>], longest: usize) -> Vec<u8> {
    let any = |dice: &mut ChaCha8Rng| corpus[dice.random_range(0..corpus.len())].clone();
    let mut bytes = any(dice);
    // One change is as likely as eight: a checksum or a count notices many.
    for _ in 0..1 << dice.random_range(0..=MOST_CHANGES.ilog2()) {
        match dice.random_range(0..9) {
            0 | 1 => flip(dice, &mut bytes),
            2 => set(dice, &mut bytes),
            3 => lie(dice, &mut bytes),
            4 => bytes.truncate(place(dice, bytes.len())),
            5 => drop(cut(dice, &mut bytes)),
            6 => repeat(dice, &mut bytes),
            7 => grow(dice, &mut bytes),
            _ => {
                let other = any(dice);
                splice(dice, &mut bytes, &other);
            }
        }
    }
    bytes.truncate(longest);
    bytes
}

fn place(dice: &mut ChaCha8Rng, length: usize) -> usize {
    dice.random_range(0..=length)
}

/// A part of the bytes, mostly a short one.
fn part(dice: &mut ChaCha8Rng, length: usize) -> std::ops::Range<usize> {
    let start = place(dice, length);
    let octave = dice.random_range(0..=(length - start).max(1).ilog2());
    start..start + dice.random_range(0..=(1usize << octave).min(length - start))
}

fn flip(dice: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let at = place(dice, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << dice.random_range(0..8);
    }
}

fn set(dice: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let at = place(dice, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte = TELLING[dice.random_range(0..TELLING.len())];
    }
}

/// An integer in place of whatever is there, as a length that is not true: of bincode's variable length, or of a fixed one.
fn lie(dice: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let value: u64 = match dice.random_range(0..3) {
        0 => dice.random_range(0..300),
        1 => u64::MAX >> dice.random_range(0..64),
        _ => 1 << dice.random_range(0..64),
    };
    let lie = value.to_le_bytes();
    let lie: Vec<u8> = match dice.random_range(0..5) {
        0 => [&[251], &lie[..2]].concat(),
        1 => [&[252], &lie[..4]].concat(),
        2 => [&[253], &lie[..]].concat(),
        3 => lie[..4].to_vec(),
        _ => lie.to_vec(),
    };
    let at = place(dice, bytes.len());
    let end = if dice.random_bool(0.5) { at + 1 } else { at + lie.len() };
    bytes.splice(at..end.min(bytes.len()), lie);
}

fn cut(dice: &mut ChaCha8Rng, bytes: &mut Vec<u8>) -> Vec<u8> {
    let part = part(dice, bytes.len());
    bytes.drain(part).collect()
}

fn repeat(dice: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let repeated = bytes[part(dice, bytes.len())].to_vec();
    let at = place(dice, bytes.len());
    bytes.splice(at..at, repeated);
}

fn grow(dice: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let new = by_chance(dice, 16);
    let at = place(dice, bytes.len());
    bytes.splice(at..at, new);
}

/// The beginning of one and the end of the other, or a part of the other in the middle.
fn splice(dice: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    if dice.random_bool(0.5) {
        bytes.truncate(place(dice, bytes.len()));
        bytes.extend_from_slice(&other[place(dice, other.len())..]);
    } else {
        let taken = part(dice, bytes.len());
        let given = part(dice, other.len());
        bytes.splice(taken, other[given].iter().copied());
    }
}
