//! Enumerates the crashes of one session.

use raftian_raft::Restored;
use raftian_sim::disk::{Change, CrashStyle, Fate, Operation, Rest, SimDisk};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::repair::Repair;
use crate::session::{Session, open, submit};

/// Maximum number of changes between two syncs for which every subset is tried, 1,024 in all.
const EVERY_SUBSET: usize = 10;

/// Number of random subsets where there are too many to try all, and upper bound of the number of
/// random tears.
const RANDOM: usize = 64;

/// One crash in this many is followed by another crash while the store starts, and by the rest of
/// the session.
const ONE_IN: u32 = 16;

/// One crash in this many is followed by every crash of the start after it.
const ONE_REPAIR_IN: u32 = 200;

/// Number of cases tried, to expose a run that tested nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Crashes.
    crashes: u64,
    /// Crashes after which the write in progress was durable.
    done: u64,
    /// Crashes after which the write in progress was absent.
    undone: u64,
    /// Crashes in which a change was torn.
    torn: u64,
    /// Crashes during the start after a crash.
    second: u64,
    /// Sessions that continued to their end after a crash.
    went_on: u64,
    /// Starts after a crash of which every crash was tried.
    repairs: u64,
    /// Crashes in those starts.
    in_repairs: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        let Counts {
            crashes,
            done,
            undone,
            torn,
            second,
            went_on,
            repairs,
            in_repairs,
        } = other;
        self.crashes += crashes;
        self.done += done;
        self.undone += undone;
        self.torn += torn;
        self.second += second;
        self.went_on += went_on;
        self.repairs += repairs;
        self.in_repairs += in_repairs;
    }

    /// Returns whether every kind of case occurred several times.
    pub(crate) fn tested_something(&self) -> bool {
        let Counts {
            crashes,
            done,
            undone,
            torn,
            second,
            went_on,
            repairs,
            in_repairs,
        } = *self;
        [
            crashes, done, undone, torn, second, went_on, repairs, in_repairs,
        ]
        .iter()
        .all(|count| *count >= 10)
    }
}

/// A point at which power is lost.
struct Point<'a> {
    session: &'a Session,
    /// Number of operations issued before it.
    issued: usize,
    /// Number of writes acknowledged before it.
    confirmed: usize,
    /// Number of writes begun before it.
    submitted: usize,
}

/// Tries every crash of `session`; `seed` determines the samples where not all cases are tried.
pub(crate) fn check(session: &Session, seed: u64) -> Counts {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5EED);
    let mut counts = Counts::default();
    let points: Vec<_> = (0..=session.trace.len())
        .map(|issued| Point::of(session, issued))
        .collect();
    let promises = |issued: usize| points[issued].just_confirmed();
    for_each_crash(
        &session.image,
        &session.trace,
        &promises,
        &mut rng,
        &mut |issued, image, fates, rng| {
            counts.torn += u64::from(fates.iter().any(|fate| matches!(fate, Fate::Torn { .. })));
            points[issued].survive(image, fates, rng, &mut counts);
        },
    );
    counts
}

/// Calls `visit` for each outcome of each crash during `trace`, on a disk that held `durable`, with
/// the number of operations before the crash, the disk, and the fates of the changes since the last
/// sync. `promises` returns whether the store owes more after that many operations than before the
/// last of them.
pub(crate) fn for_each_crash(
    durable: &[u8],
    trace: &[Operation],
    promises: &dyn Fn(usize) -> bool,
    rng: &mut ChaCha8Rng,
    visit: &mut dyn FnMut(usize, Vec<u8>, &[Fate], &mut ChaCha8Rng),
) {
    let mut durable = durable.to_vec();
    let mut synced = 0;
    for issued in 0..=trace.len() {
        if issued > 0 && trace[issued - 1] == Operation::Sync {
            changes(&trace[synced..issued])
                .for_each(|change| change.apply(&mut durable, &Fate::Applied));
            synced = issued;
        }
        let tail: Vec<_> = changes(&trace[synced..issued]).collect();
        for fates in outcomes(&tail, promises(issued), rng) {
            let mut image = durable.clone();
            tail.iter()
                .zip(&fates)
                .for_each(|(change, fate)| change.apply(&mut image, fate));
            visit(issued, image, &fates, rng);
        }
    }
}

fn changes(trace: &[Operation]) -> impl Iterator<Item = &Change> {
    trace.iter().filter_map(|operation| match operation {
        Operation::Change(change) => Some(change),
        Operation::Sync => None,
    })
}

/// Returns the possible outcomes of `tail`, each once. An outcome that loses the last change equals
/// a crash at the point before, and is skipped unless the store owes more since then (`promised`).
pub(crate) fn outcomes(tail: &[&Change], promised: bool, rng: &mut ChaCha8Rng) -> Vec<Vec<Fate>> {
    let count = tail.len();
    let subset = |survives: &mut dyn FnMut(usize) -> bool| -> Vec<Fate> {
        (0..count)
            .map(|place| {
                if survives(place) {
                    Fate::Applied
                } else {
                    Fate::Lost
                }
            })
            .collect()
    };
    let mut found = Vec::new();
    if count <= EVERY_SUBSET {
        found.extend((0..1_u32 << count).map(|mask| subset(&mut |place| mask >> place & 1 == 1)));
    } else {
        // Too many subsets: the extremes and single exceptions are always tried, others at random.
        found.push(subset(&mut |_| true));
        found.push(subset(&mut |_| false));
        for one in 0..count {
            found.push(subset(&mut |place| place != one));
            found.push(subset(&mut |place| place == one));
        }
        found.extend((0..RANDOM).map(|_| subset(&mut |_| rng.random())));
    }
    if !promised && count > 0 {
        found.retain(|fates| fates[count - 1] == Fate::Applied);
    }
    for (place, change) in tail
        .iter()
        .enumerate()
        .filter(|(_, change)| change.sectors() > 1)
    {
        for tear in tears(change.sectors(), rng) {
            let mut fates = subset(&mut |_| true);
            fates[place] = tear;
            found.push(fates);
        }
    }
    if count > 0 {
        let changes: Vec<_> = tail.iter().map(|change| (*change).clone()).collect();
        found.extend((0..RANDOM / count.max(8)).map(|_| CrashStyle::Torn.fates(&changes, rng)));
    }
    found.sort();
    found.dedup();
    found
}

/// Returns tears of a write: a prefix, a prefix followed by zeros, a suffix, and a random subset.
fn tears(sectors: usize, rng: &mut ChaCha8Rng) -> [Fate; 4] {
    let cut = rng.random_range(1..sectors);
    let torn = |written: Vec<bool>, rest| Fate::Torn { written, rest };
    let before = |cut: usize| (0..sectors).map(|sector| sector < cut).collect();
    [
        torn(before(cut), Rest::Old),
        torn(before(cut), Rest::Zeros),
        torn(
            (0..sectors).map(|sector| sector >= cut).collect(),
            Rest::Old,
        ),
        torn((0..sectors).map(|_| rng.random()).collect(), Rest::Old),
    ]
}

impl Point<'_> {
    fn of(session: &Session, issued: usize) -> Point<'_> {
        Point {
            session,
            issued,
            confirmed: session
                .writes
                .iter()
                .filter(|(operations, _)| operations.end <= issued)
                .count(),
            submitted: session
                .writes
                .iter()
                .filter(|(operations, _)| operations.start < issued)
                .count(),
        }
    }

    /// Returns whether the last operation completed a write.
    fn just_confirmed(&self) -> bool {
        self.session
            .writes
            .iter()
            .any(|(operations, _)| operations.end == self.issued)
    }

    /// Opens the store on `image`, which this crash left. It must hold the state after a write that
    /// was begun, with every acknowledged write.
    fn survive(&self, image: Vec<u8>, fates: &[Fate], rng: &mut ChaCha8Rng, counts: &mut Counts) {
        counts.crashes += 1;
        if rng.random_ratio(1, ONE_REPAIR_IN) {
            self.survive_in_repair(image.clone(), fates, rng, counts);
        }
        let copy = rng.random_ratio(1, ONE_IN).then(|| image.clone());
        let mut disk = SimDisk::holding(image);
        let found = open(&disk);
        let Ok((mut store, restored)) = found else {
            self.fail("was refused", &found.map(drop), fates)
        };
        let writes = self
            .number_of(&restored)
            .unwrap_or_else(|| self.fail("holds another state", &restored, fates));
        if self.confirmed < self.submitted {
            counts.done += u64::from(writes == self.submitted);
            counts.undone += u64::from(writes == self.confirmed);
        }
        // The repaired store must also be usable: the rest of the session must succeed on it.
        let Some(image) = copy else { return };
        counts.went_on += 1;
        for (_, write) in &self.session.writes[writes..] {
            submit(&mut store, write);
        }
        disk.crash(rng, CrashStyle::Lost);
        let last = open(&disk).map(|(_, restored)| self.session.states.last() == Some(&restored));
        if last != Ok(true) {
            self.fail("lost writes made after the crash", &last, fates);
        }
        self.survive_another(image, fates, rng, counts);
    }

    /// Checks the same after another power loss at any point of the start on `image`, which repairs
    /// the file.
    fn survive_in_repair(
        &self,
        image: Vec<u8>,
        fates: &[Fate],
        rng: &mut ChaCha8Rng,
        counts: &mut Counts,
    ) {
        counts.repairs += 1;
        let recorded = Repair::record(image);
        let Ok(repair) = recorded else {
            self.fail("was refused", &recorded.map(drop), fates)
        };
        match repair.check(rng) {
            Ok(crashes) => counts.in_repairs += crashes,
            Err(found) => self.fail(
                "holds another state after a crash during its repair",
                &found,
                fates,
            ),
        }
    }

    /// Checks the same after another power loss while the store starts, and one more right after
    /// the next start.
    fn survive_another(
        &self,
        image: Vec<u8>,
        fates: &[Fate],
        rng: &mut ChaCha8Rng,
        counts: &mut Counts,
    ) {
        counts.second += 1;
        let mut disk = SimDisk::holding(image);
        disk.cut_power_after(rng.random_range(0..12));
        let _may_fail = open(&disk).map(drop).is_err();
        for during in [
            "was refused after a crash during its start",
            "was refused after a crash right after its start",
        ] {
            let style = CrashStyle::any(rng);
            disk.crash(rng, style);
            let found = open(&disk).map(|(_, restored)| restored);
            let Ok(given) = found else {
                self.fail(during, &found, fates)
            };
            if self.number_of(&given).is_none() {
                self.fail("holds another state after another crash", &given, fates);
            }
            // The returned state must be durable, because a node relies on it.
            let durable =
                open(&SimDisk::holding(disk.image())).map(|(_, restored)| restored == given);
            if durable != Ok(true) {
                self.fail("returned a state that was not durable", &durable, fates);
            }
        }
    }

    /// Returns after how many writes the store held `restored`, if that is an allowed state.
    fn number_of(&self, restored: &Restored) -> Option<usize> {
        (self.confirmed..=self.submitted).find(|writes| self.session.states[*writes] == *restored)
    }

    fn fail(&self, what: &str, found: &impl std::fmt::Debug, fates: &[Fate]) -> ! {
        let mut found = format!("{found:?}");
        found.truncate(found.floor_char_boundary(2000));
        panic!(
            "crash after {} operations, with {} writes acknowledged and {} begun: \
             the store {what}: {found}; fates of the changes since the last sync: {fates:?}",
            self.issued, self.confirmed, self.submitted
        )
    }
}
