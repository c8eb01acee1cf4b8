//! One change to a disk, and its possible outcomes in a crash.

/// Unit of atomic disk writes: 512 bytes, the smallest sector in use. redb keeps data that must not
/// be torn within one sector.
pub const SECTOR: usize = 512;

/// One requested change to a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Writes bytes at an offset.
    Write {
        /// Offset of the first byte.
        at: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Changes the length; added bytes are zero.
    Resize(usize),
}

/// Outcome of a change that no sync had made durable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// The change did not take effect.
    Lost,
    /// The change took effect.
    Applied,
    /// Some of its sectors were written. A write within one sector and a change of the length
    /// cannot be torn: they take effect if the first element of `written` is `true`.
    Torn {
        /// For each sector that it touches, whether it was written.
        written: Vec<bool>,
        /// Contents of the other sectors.
        rest: Rest,
    },
}

/// Contents of the sectors that a torn write did not write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rest {
    /// The previous contents.
    Old,
    /// Zeros, as in a block that was allocated but never written.
    Zeros,
}

impl Change {
    /// Returns how many sectors it touches; a change of the length counts as one.
    pub fn sectors(&self) -> usize {
        match self {
            Change::Write { at, bytes } if !bytes.is_empty() => {
                (at + bytes.len() - 1) / SECTOR - at / SECTOR + 1
            }
            Change::Write { .. } | Change::Resize(_) => 1,
        }
    }

    /// Applies the part of this change that `fate` leaves to `image`. Bytes beyond the end of the
    /// image are dropped: the change of the length that made room for them was lost.
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
                let mut at = *at;
                let mut bytes = bytes.as_slice();
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

    /// Returns one byte of each sector of the image.
    fn glance(image: &[u8]) -> Vec<u8> {
        image
            .chunks(SECTOR)
            .map(|sector| sector[SECTOR / 2])
            .collect()
    }

    #[test]
    fn torn_write_leaves_whole_sectors() {
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
    fn change_within_one_sector_is_never_torn() {
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
    fn bytes_beyond_a_lost_resize_are_dropped() {
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
