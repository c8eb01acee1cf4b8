//! Enumerates the crashes of one lifetime of a store's files, names included.
//!
//! Each point is tried in two ways. Either power is lost: the next process finds all durable
//! changes and any combination of the others. Or the process is killed: the next one finds every
//! change and continues, and then power is lost.

use std::collections::BTreeSet;
use std::path::Path;

use raftian_node::store::{FileSystem, MemoryStore, Store, StoreError};
use raftian_raft::{Incarnation, Restored, WriteNumber};
use raftian_sim::disk::{Change, Fate, SimFileSystem, Unsynced};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::enumerate::outcomes;
use crate::lifetime::{EARLIER, Lifetime, OWN, fill};
use crate::session::{Size, draw, submit};

/// Incarnation that no store has: an existing store keeps its own, and a lost store is not detected
/// under it.
const OTHER: Incarnation = Incarnation(4);

/// Number of outcomes of contents for each combination of names, in addition to none and all.
const CONTENTS: usize = 6;

/// Maximum number of name changes between two syncs for which every subset is tried; for more, the
/// same number of random subsets is drawn.
const MAX_NAMES: usize = 6;

/// Number of cases tried, to expose a run that tested nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct NameCounts {
    /// Points at which power was lost or the process killed.
    points: u64,
    /// Losses of power that left different files.
    crashes: u64,
    /// Those with unsynced names.
    names: u64,
    /// Losses of power during or after the process that follows a killed one, that left different
    /// files.
    after_kills: u64,
    /// Stores that were removed after a crash and refused as lost.
    lost: u64,
    /// Stores that were emptied after a crash and refused as damaged.
    emptied: u64,
    /// Stores that were rolled back after a crash and refused as outdated.
    outdated: u64,
}

impl NameCounts {
    pub(crate) fn tested_something(&self) -> bool {
        let NameCounts {
            points,
            crashes,
            names,
            after_kills,
            lost,
            emptied,
            outdated,
        } = *self;
        [points, crashes, names, after_kills, lost, emptied, outdated]
            .iter()
            .all(|count| *count >= 10)
    }
}

/// Tries every crash of `lifetime`, and panics at the first that the store does not survive; `seed`
/// determines the samples where not all cases are tried.
pub(crate) fn check(lifetime: &Lifetime, seed: u64) -> NameCounts {
    let mut check = Check {
        lifetime,
        rng: ChaCha8Rng::seed_from_u64(seed ^ 0x5EED),
        seen: BTreeSet::new(),
        counts: NameCounts::default(),
    };
    let points: Vec<_> = (0..=lifetime.files.operations())
        .map(|issued| Point::of(lifetime, issued))
        .collect();
    check.counts.points = points.len() as u64;
    // Losses of power alone come first: they are faster and detect most bugs.
    points.iter().for_each(|point| check.lose_power(*point));
    points.iter().for_each(|point| check.kill(*point));
    check.counts
}

/// Progress of the process that follows a killed one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Progress {
    /// No process was killed.
    Uninterrupted,
    /// It was opening the store.
    Opening,
    /// It had opened the store.
    Opened,
    /// Its write was acknowledged.
    Written,
}

/// A point at which a process ends without closing its store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Point {
    /// Number of operations issued before it.
    issued: usize,
    /// Number of openings that had returned.
    opened: usize,
    /// Number of writes acknowledged before it.
    confirmed: usize,
    /// Number of writes begun before it.
    submitted: usize,
}

impl Point {
    fn of(lifetime: &Lifetime, issued: usize) -> Point {
        let Lifetime { opened, writes, .. } = lifetime;
        Point {
            issued,
            opened: opened
                .iter()
                .filter(|operations| **operations <= issued)
                .count(),
            confirmed: writes
                .iter()
                .filter(|(operations, _)| operations.end <= issued)
                .count(),
            submitted: writes
                .iter()
                .filter(|(operations, _)| operations.start < issued)
                .count(),
        }
    }

    /// Returns the incarnation to open the store with: once an opening has returned, the store
    /// exists and opens with any.
    fn incarnation(self) -> Incarnation {
        if self.opened > 0 { OTHER } else { OWN }
    }
}

struct Check<'a> {
    lifetime: &'a Lifetime,
    rng: ChaCha8Rng,
    /// Digests of the files that crashes left so far, with the obligations of the store.
    seen: BTreeSet<(u64, Point, Progress)>,
    counts: NameCounts,
}

impl Check<'_> {
    /// Returns whether the files that a crash at `point` left are new for these obligations.
    fn is_new(&mut self, files: &SimFileSystem, point: Point, progress: Progress) -> bool {
        // The number of operations is left out: it makes no difference to the store.
        self.seen
            .insert((files.digest(), Point { issued: 0, ..point }, progress))
    }

    fn lose_power(&mut self, point: Point) {
        let unsynced = self.lifetime.files.unsynced(point.issued);
        for fates in fates(&unsynced, CONTENTS, &mut self.rng) {
            let left = self.lifetime.files.crashed(point.issued, &fates);
            if self.is_new(&left, point, Progress::Uninterrupted) {
                self.counts.crashes += 1;
                self.counts.names += u64::from(unsynced.contains(&Unsynced::Names));
                self.survive(&left, point, &fates);
                self.guard(&left, point, &fates);
            }
        }
    }

    /// Checks that the store holds every acknowledged write and performs the next one durably.
    fn survive(&mut self, left: &SimFileSystem, point: Point, fates: &[Fate]) {
        let files = left.after(0);
        let restored = self.open(&files, point, fates);
        let (owed, written) = self.write_on(&files, restored, point, fates);
        let again = files.crashed(written, &[]);
        let found = self
            .lifetime
            .paths
            .open(&again, OTHER)
            .map(|(_, restored)| restored);
        if found.as_ref() != Ok(&owed) {
            fail(
                "lost a write that was acknowledged after it",
                point,
                &found,
                fates,
            );
        }
    }

    /// Kills the process at `point`; another one opens the store and writes, and power is lost
    /// meanwhile.
    fn kill(&mut self, point: Point) {
        let files = self.lifetime.files.after(point.issued);
        let restored = self.open(&files, point, &[]);
        let reopened = files.operations();
        let (owed, written) = self.write_on(&files, restored.clone(), point, &[]);
        for issued in point.issued..=written {
            // Here either all unsynced contents survive or none, so a point in the middle of
            // contents adds nothing; partial survival is tried without a kill.
            if issued < written && files.changes_contents(issued) {
                continue;
            }
            let unsynced = files.unsynced(issued);
            for fates in fates(&unsynced, 0, &mut self.rng) {
                let left = files.crashed(issued, &fates);
                let progress = match issued {
                    _ if issued == written => Progress::Written,
                    _ if issued >= reopened => Progress::Opened,
                    _ => Progress::Opening,
                };
                if !self.is_new(&left, point, progress) {
                    continue;
                }
                self.counts.after_kills += 1;
                let incarnation = if progress == Progress::Opening {
                    point.incarnation()
                } else {
                    OTHER
                };
                let found = self
                    .lifetime
                    .paths
                    .open(&left, incarnation)
                    .map(|(_, restored)| restored);
                let is_sound = match (&found, progress) {
                    (Ok(found), Progress::Written) => *found == owed,
                    (Ok(found), Progress::Opened) => *found == restored || *found == owed,
                    (Ok(found), _) => self.number_of(found, point).is_some(),
                    (Err(_), _) => false,
                };
                if !is_sound {
                    let what = format!(
                        "holds another state after a power loss {} operations after a kill",
                        issued - point.issued
                    );
                    fail(&what, point, &found, &fates);
                }
            }
        }
    }

    /// Checks that a store that is removed, emptied or rolled back after the crash is refused
    /// instead of being accepted as new or newest.
    fn guard(&mut self, left: &SimFileSystem, point: Point, fates: &[Fate]) {
        let paths = self.lifetime.paths;
        let store = Path::new(paths.store);
        let mark = Path::new(paths.mark);
        let is_there = |path| left.find(path).is_ok_and(|found| found.is_some());
        if !is_there(store) {
            // Only the mark of the earlier store can have survived, and it must forbid that store's
            // incarnation.
            if is_there(mark) {
                let found = paths.open(&left.after(0), EARLIER).map(drop);
                self.counts.lost += 1;
                let is_refused = matches!(found, Err(StoreError::Lost { .. }));
                expect(is_refused, "recreates a lost store", point, &found, fates);
            }
            return;
        }
        let files = left.after(0);
        files.remove(store).expect("the store exists");
        let found = paths.open(&files, OWN).map(|(_, restored)| restored);
        // Before the first acknowledged write, a new store in place of a lost one loses nothing.
        match &found {
            Err(StoreError::Lost { .. }) => self.counts.lost += 1,
            Ok(restored) if point.confirmed == 0 && *restored == self.lifetime.states[0] => {}
            _ => fail("accepts a lost store as a new one", point, &found, fates),
        }
        let files = left.after(0);
        fill(&files.open(store).expect("the store exists"), &[]);
        let found = paths.open(&files, OWN).map(drop);
        self.counts.emptied += 1;
        expect(
            matches!(found, Err(StoreError::Damaged { .. })),
            "accepts an emptied store",
            point,
            &found,
            fates,
        );
        if point.opened == 2 {
            let files = left.after(0);
            fill(
                &files.open(store).expect("the store exists"),
                &self.lifetime.outdated,
            );
            let found = paths.open(&files, OWN).map(drop);
            self.counts.outdated += 1;
            let is_refused = matches!(found, Err(StoreError::Outdated { found: 1, .. }));
            expect(
                is_refused,
                "accepts an outdated store",
                point,
                &found,
                fates,
            );
        }
    }

    /// Opens the store, which must hold the state after a write that was begun, with every
    /// acknowledged write.
    fn open(&self, files: &SimFileSystem, point: Point, fates: &[Fate]) -> Restored {
        let found = self
            .lifetime
            .paths
            .open(files, point.incarnation())
            .map(|(_, restored)| restored);
        match found {
            Ok(restored) if self.number_of(&restored, point).is_some() => restored,
            _ => fail("holds another state", point, &found, fates),
        }
    }

    /// Opens the store, which holds `restored`, once more and writes to it. Returns the resulting
    /// state and the number of operations before the store is closed.
    fn write_on(
        &mut self,
        files: &SimFileSystem,
        restored: Restored,
        point: Point,
        fates: &[Fate],
    ) -> (Restored, usize) {
        let number = WriteNumber(self.lifetime.states.len() as u64);
        let write = draw(&mut self.rng, number, &restored, Size::Small);
        let mut owed = MemoryStore::holding(restored);
        submit(&mut owed, &write);
        let written = self
            .lifetime
            .paths
            .open(files, OTHER)
            .and_then(|(mut store, _)| {
                store.submit(write)?;
                Ok(files.operations())
            });
        match written {
            Ok(written) => (owed.restored(), written),
            Err(_) => fail("cannot be written to", point, &written, fates),
        }
    }

    /// Returns after how many writes the store held `restored`, if that is an allowed state.
    fn number_of(&self, restored: &Restored, point: Point) -> Option<usize> {
        (point.confirmed..=point.submitted)
            .find(|writes| self.lifetime.states[*writes] == *restored)
    }
}

/// Returns the outcomes of `unsynced`: every combination of names, each with none of the contents,
/// with all of them, and with up to `contents` of their other outcomes.
fn fates(unsynced: &[Unsynced], contents: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<Fate>> {
    let changes: Vec<&Change> = unsynced
        .iter()
        .filter_map(|change| match change {
            Unsynced::Contents(change) => Some(change),
            Unsynced::Names => None,
        })
        .collect();
    let names = unsynced.len() - changes.len();
    let mut found = Vec::new();
    let mut others = if contents == 0 {
        Vec::new()
    } else {
        outcomes(&changes, true, rng)
    };
    for subset in 0..1_u32 << names.min(MAX_NAMES) {
        let survivors = if names <= MAX_NAMES {
            subset
        } else {
            rng.random()
        };
        let mut of_contents = vec![
            vec![Fate::Lost; changes.len()],
            vec![Fate::Applied; changes.len()],
        ];
        for _ in 0..contents.min(others.len()) {
            of_contents.push(others.swap_remove(rng.random_range(0..others.len())));
        }
        found.extend(
            of_contents
                .iter()
                .map(|contents| merged(unsynced, survivors, contents)),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// Merges the fates of all changes: those of names from the bits of `names`, those of contents from
/// `contents`.
fn merged(unsynced: &[Unsynced], mut names: u32, contents: &[Fate]) -> Vec<Fate> {
    let mut contents = contents.iter();
    let mut fates = Vec::new();
    for change in unsynced {
        fates.push(match change {
            Unsynced::Contents(_) => contents.next().expect("one fate per change").clone(),
            Unsynced::Names => {
                let survives = names & 1 == 1;
                names >>= 1;
                if survives { Fate::Applied } else { Fate::Lost }
            }
        });
    }
    fates
}

fn expect(holds: bool, what: &str, point: Point, found: &impl std::fmt::Debug, fates: &[Fate]) {
    if !holds {
        fail(what, point, found, fates);
    }
}

fn fail(what: &str, point: Point, found: &impl std::fmt::Debug, fates: &[Fate]) -> ! {
    let mut found = format!("{found:?}");
    found.truncate(found.floor_char_boundary(2000));
    panic!(
        "after a crash, the store {what}: {found}; {point:?}, \
         fates of the unsynced changes: {fates:?}"
    )
}
