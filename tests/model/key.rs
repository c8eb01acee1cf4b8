//! Hashes that identify states and messages.

use std::hash::{Hash, Hasher};

/// Hash of `value`, equal in every run. A model has millions of states and no adversary that looks
/// for collisions, so the hash costs one multiplication per word.
pub(crate) fn key(value: &impl Hash) -> u64 {
    let mut hasher = Folding::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Folds each word into the hash by a full-width multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Folding(u64);

impl Default for Folding {
    fn default() -> Self {
        Folding(0x243F_6A88_85A3_08D3)
    }
}

impl Hasher for Folding {
    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (wide as u64 ^ (wide >> 64) as u64).rotate_left(23);
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
