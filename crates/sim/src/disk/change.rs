//! One change to a disk, and what may become of it in a crash.

/// Bytes that a disk writes whole or not at all: 512, the smallest sector in use. redb keeps what
/// must not be torn within one.
pub const SECTOR: usize = 512;

/// One change that was asked of a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Bytes at an offset.
    Write {
        /// Where the first of them goes.
        at: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Another length; what is new is zero.
    Resize(usize),
}

/// What became of a change that no sync had made durable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// It did not happen.
    Lost,
    /// It happened.
    Applied,
    /// Some of its sectors were written. A change within one sector, and one of the length, cannot
    /// be torn: it happens if the first is `true`.
    Torn {
        /// For each sector that it touches, whether it was written.
        written: Vec<bool>,
        /// What the others hold.
        rest: Rest,
    },
}

/// What a torn write leaves where it did not write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rest {
    /// What was there before.
    Old,
    /// Zeros, as of a block that was given out but never filled.
    Zeros,
}

impl Change {
    /// How many sectors it touches; a change of the length counts as one.
    #[must_use]
    pub fn sectors(&self) -> usize {
        match self {
            Change::Write { at, bytes } if !bytes.is_empty() => {
                (at + bytes.len() - 1) / SECTOR - at / SECTOR + 1
            }
            Change::Write { .. } | Change::Resize(_) => 1,
        }
    }

    /// Does to `image` what `fate` leaves of this change. Bytes beyond the end of the image are cut
    /// off: the change of the length that made room for them was lost.
    pub fn apply(&self, image: &mut Vec<u8>, fate: &Fate) {
        match (self, fate) {
            (_, Fate::Lost) => {}
            (Change::Resize(len), Fate::Applied) => image.resize(*len, 0),
            (Change::Write { at, bytes }, Fate::Applied) => put(image, *at, bytes),
            (_, Fate::Torn { written, .. }) if self.sectors() == 1 => {
                if written.first() == Some(&true) {
                    self.apply(image, &Fate::Applied);
                }
            }
            (Change::Resize(_), Fate::Torn { .. }) => {}
            (Change::Write { at, bytes }, Fate::Torn { written, rest }) => {
                let (mut at, mut bytes) = (*at, bytes.as_slice());
                for number in 0..self.sectors() {
                    let (sector, others) = bytes.split_at(bytes.len().min(SECTOR - at % SECTOR));
                    if written.get(number) == Some(&true) {
                        put(image, at, sector);
                    } else if *rest == Rest::Zeros {
                        put(image, at, &vec![0; sector.len()]);
                    }
                    at += sector.len();
                    bytes = others;
                }
            }
        }
    }
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    let at = at.min(image.len());
    let end = (at + bytes.len()).min(image.len());
    image[at..end].copy_from_slice(&bytes[..end - at]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(change: &Change, fate: &Fate) -> Vec<u8> {
        let mut image = vec![1; 4 * SECTOR];
        change.apply(&mut image, fate);
        image
    }

    /// One byte of each sector of the image.
    fn glance(image: &[u8]) -> Vec<u8> {
        image
            .chunks(SECTOR)
            .map(|sector| sector[SECTOR / 2])
            .collect()
    }

    #[test]
    fn a_torn_write_leaves_whole_sectors() {
        let change = Change::Write {
            at: 100,
            bytes: vec![7; 3 * SECTOR],
        };
        assert_eq!(change.sectors(), 4);
        let torn = |written: [bool; 4], rest| {
            after(
                &change,
                &Fate::Torn {
                    written: written.to_vec(),
                    rest,
                },
            )
        };
        let image = torn([true, false, true, false], Rest::Old);
        assert_eq!(glance(&image), [7, 1, 7, 1]);
        assert_eq!(
            (image[99], image[100], image[SECTOR - 1], image[SECTOR]),
            (1, 7, 7, 1)
        );
        let image = torn([false, true, false, true], Rest::Zeros);
        assert_eq!(glance(&image), [0, 7, 0, 1]);
        assert_eq!(
            (
                image[99],
                image[100],
                image[3 * SECTOR + 99],
                image[3 * SECTOR + 100]
            ),
            (1, 0, 7, 1)
        );
    }

    #[test]
    fn what_lies_in_one_sector_is_not_torn() {
        let change = Change::Write {
            at: 3,
            bytes: vec![7; 320],
        };
        let zeros = |written| Fate::Torn {
            written: vec![written],
            rest: Rest::Zeros,
        };
        assert_eq!(after(&change, &zeros(true)), after(&change, &Fate::Applied));
        assert_eq!(after(&change, &zeros(false)), after(&change, &Fate::Lost));
        assert_eq!(after(&Change::Resize(9), &zeros(false)).len(), 4 * SECTOR);
        assert_eq!(after(&Change::Resize(9), &zeros(true)).len(), 9);
    }

    #[test]
    fn bytes_beyond_a_length_that_was_lost_are_cut_off() {
        let change = Change::Write {
            at: 4 * SECTOR - 1,
            bytes: vec![7; SECTOR],
        };
        let image = after(&change, &Fate::Applied);
        assert_eq!(
            (image.len(), image[4 * SECTOR - 2], image[4 * SECTOR - 1]),
            (4 * SECTOR, 1, 7)
        );
        assert_eq!(
            after(
                &Change::Write {
                    at: 9 * SECTOR,
                    bytes: vec![7]
                },
                &Fate::Applied
            ),
            vec![1; 4 * SECTOR]
        );
    }
}
