//! Decisions read from bytes.

/// Byte string consumed one decision at a time. Once it is exhausted, every further byte is zero.
pub(super) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Choices { rest: bytes }
    }

    /// Returns whether every byte has been consumed.
    pub(super) fn are_made(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.rest.split_off_first().copied().unwrap_or_default()
    }

    /// Returns a choice among `count` alternatives, at most 256.
    pub(super) fn of(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// Returns a small number, which hits existing items, one near `u64::MAX`, which provokes
    /// overflow, or an arbitrary one.
    pub(super) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ ..0xE0 => u64::from(small % 12),
            large @ 0xE0..0xF0 => u64::MAX - u64::from(large % 4),
            0xF0.. => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    /// Returns up to `most` bytes.
    pub(super) fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.of(most + 1)).map(|_| self.byte()).collect()
    }

    /// Returns `Some` with probability one half.
    pub(super) fn maybe<T>(&mut self, something: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| something(self))
    }
}
