//! Outcomes of a crash for changes that no sync had made durable.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::change::{Change, Fate, Rest};

/// Treatment of the changes since the last sync in a crash. All styles but the first two are
/// random.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashStyle {
    /// All are lost: the machine had kept them in memory.
    Lost,
    /// All survive: the machine had written its cache back without a sync.
    Applied,
    /// A prefix of them survives, up to one that is torn.
    InOrder,
    /// Each survives or is lost independently.
    AnyOrder,
    /// Each survives, is lost or is torn independently.
    Torn,
}

impl CrashStyle {
    /// Every style.
    pub const ALL: [CrashStyle; 5] = [
        CrashStyle::Lost,
        CrashStyle::Applied,
        CrashStyle::InOrder,
        CrashStyle::AnyOrder,
        CrashStyle::Torn,
    ];

    /// Draws a style.
    pub fn any(rng: &mut ChaCha8Rng) -> CrashStyle {
        Self::ALL[rng.random_range(0..Self::ALL.len())]
    }

    /// Draws the fate of each of `changes`.
    pub fn fates(self, changes: &[Change], rng: &mut ChaCha8Rng) -> Vec<Fate> {
        let cut = rng.random_range(0..=changes.len());
        let fate = |(place, change): (usize, &Change)| match self {
            CrashStyle::Lost => Fate::Lost,
            CrashStyle::Applied => Fate::Applied,
            CrashStyle::InOrder if place < cut => Fate::Applied,
            CrashStyle::InOrder if place == cut => torn(change.sectors(), rng),
            CrashStyle::InOrder => Fate::Lost,
            CrashStyle::AnyOrder => either(rng),
            CrashStyle::Torn if rng.random() => torn(change.sectors(), rng),
            CrashStyle::Torn => either(rng),
        };
        changes.iter().enumerate().map(fate).collect()
    }
}

fn either(rng: &mut ChaCha8Rng) -> Fate {
    if rng.random() {
        Fate::Applied
    } else {
        Fate::Lost
    }
}

/// Draws a tear through `sectors` sectors: a prefix, a suffix or any subset is written.
pub(crate) fn torn(sectors: usize, rng: &mut ChaCha8Rng) -> Fate {
    let cut = rng.random_range(0..=sectors);
    let written = match rng.random_range(0..3) {
        0 => (0..sectors).map(|sector| sector < cut).collect(),
        1 => (0..sectors).map(|sector| sector >= cut).collect(),
        _ => (0..sectors).map(|_| rng.random()).collect(),
    };
    Fate::Torn {
        written,
        rest: if rng.random() { Rest::Old } else { Rest::Zeros },
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn each_style_draws_its_documented_fates_from_the_seed() {
        let changes: Vec<_> = (0..9)
            .map(|n| Change::Write {
                at: n * 4096,
                bytes: vec![1; 4096],
            })
            .collect();
        let mut met = Vec::new();
        for seed in 0..50 {
            for style in CrashStyle::ALL {
                let draw = || style.fates(&changes, &mut ChaCha8Rng::seed_from_u64(seed));
                let fates = draw();
                assert_eq!(fates, draw());
                let is_torn = |fate: &Fate| matches!(fate, Fate::Torn { .. });
                match style {
                    CrashStyle::Lost => assert!(fates.iter().all(|fate| *fate == Fate::Lost)),
                    CrashStyle::Applied => assert!(fates.iter().all(|fate| *fate == Fate::Applied)),
                    CrashStyle::InOrder => {
                        let whole = fates
                            .iter()
                            .take_while(|fate| **fate == Fate::Applied)
                            .count();
                        assert!(fates.iter().skip(whole + 1).all(|fate| *fate == Fate::Lost));
                    }
                    CrashStyle::AnyOrder => assert!(!fates.iter().any(is_torn)),
                    CrashStyle::Torn => {}
                }
                met.extend(fates.into_iter().filter(is_torn));
            }
        }
        for rest in [Rest::Old, Rest::Zeros] {
            for written in [
                [true, true, true, false, false, false, false, false],
                [false; 8],
                [true; 8],
            ] {
                let fate = Fate::Torn {
                    written: written.to_vec(),
                    rest,
                };
                assert!(met.contains(&fate), "{fate:?} was never drawn");
            }
        }
    }
}
