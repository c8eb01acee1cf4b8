//! Every crash of one session.

use raftian_raft::Restored;
use raftian_sim::disk::{Change, CrashStyle, Fate, Operation, Rest, SimDisk};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::repair::Repair;
use crate::session::{Session, open, submit};

/// Most changes between two syncs of which every subset is tried: two to the power of ten of them.
const EVERY_SUBSET: usize = 10;

/// How many random subsets are tried where there are too many to try all, and how many random tears
/// of everything.
const RANDOM: usize = 64;

/// Of how many crashes one is followed by another crash while the store starts, and by the rest of
/// the session.
const ONE_IN: u32 = 16;

/// Of how many crashes one is followed by every crash of the start after it.
const ONE_REPAIR_IN: u32 = 200;

/// What was tried, so that a run that tested nothing shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Crashes.
    crashes: u64,
    /// Those after which the write under way was done.
    done: u64,
    /// Those after which it was not.
    undone: u64,
    /// Those in which a change was torn.
    torn: u64,
    /// Crashes during the start after a crash.
    second: u64,
    /// Sessions that went on after a crash to their end.
    went_on: u64,
    /// Starts after a crash of which every crash was tried.
    repairs: u64,
    /// Crashes in those.
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

    /// Whether everything was met several times.
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

/// A moment at which power is lost.
struct Point<'a> {
    session: &'a Session,
    /// Operations that were issued before.
    issued: usize,
    /// Writes that were confirmed before.
    confirmed: usize,
    /// Writes that were begun before.
    submitted: usize,
}

/// Tries every crash of `session`; `seed` decides what cannot be tried in full.
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

/// Calls `visit` with what each crash during `trace`, on a disk that held `durable`, can leave: the
/// number of operations before the crash, the disk, and the fates of the changes since the last
/// sync. `promises` returns whether more is owed after that many operations than before the last of
/// them.
pub(crate) fn for_each_crash(
    durable: &[u8],
    trace: &[Operation],
    promises: &dyn Fn(usize) -> bool,
    rng: &mut ChaCha8Rng,
    visit: &mut dyn FnMut(usize, Vec<u8>, &[Fate], &mut ChaCha8Rng),
) {
    let (mut durable, mut synced) = (durable.to_vec(), 0);
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

/// What may become of `tail`, each outcome once. Where its last change is lost, the crash is one of
/// the point before, and not tried again unless more is `promised` by now.
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

/// A write torn after some sectors, before some, with holes, and with zeros where nothing was
/// written.
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

    /// Whether the last operation completed a write.
    fn just_confirmed(&self) -> bool {
        self.session
            .writes
            .iter()
            .any(|(operations, _)| operations.end == self.issued)
    }

    /// The store over `image`, which this crash left, must be as after a write that was begun, and
    /// have all that were confirmed.
    fn survive(&self, image: Vec<u8>, fates: &[Fate], rng: &mut ChaCha8Rng, counts: &mut Counts) {
        counts.crashes += 1;
        if rng.random_ratio(1, ONE_REPAIR_IN) {
            self.survive_in_repair(image.clone(), fates, rng, counts);
        }
        let copy = rng.random_ratio(1, ONE_IN).then(|| image.clone());
        let mut disk = SimDisk::holding(image);
        let found = open(&disk);
        let Ok((mut store, restored)) = found else {
            self.fail("is refused", &found.map(drop), fates)
        };
        let writes = self
            .number_of(&restored)
            .unwrap_or_else(|| self.fail("holds something else", &restored, fates));
        if self.confirmed < self.submitted {
            counts.done += u64::from(writes == self.submitted);
            counts.undone += u64::from(writes == self.confirmed);
        }
        let Some(image) = copy else { return };
        counts.went_on += 1;
        for (_, write) in &self.session.writes[writes..] {
            submit(&mut store, write);
        }
        disk.crash(rng, CrashStyle::Lost);
        let last = open(&disk).map(|(_, restored)| self.session.states.last() == Some(&restored));
        if last != Ok(true) {
            self.fail(
                "does not hold what was written after the crash",
                &last,
                fates,
            );
        }
        self.survive_another(image, fates, rng, counts);
    }

    /// The same if power is lost again at any point of the start over `image`, which repairs it.
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
            self.fail("is refused", &recorded.map(drop), fates)
        };
        match repair.check(rng) {
            Ok(crashes) => counts.in_repairs += crashes,
            Err(found) => self.fail(
                "is something else after a crash in its repair",
                &found,
                fates,
            ),
        }
    }

    /// The same if power is lost again while the store starts, and once more right behind that.
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
        for during in ["during its start is refused", "behind its start is refused"] {
            let style = CrashStyle::any(rng);
            disk.crash(rng, style);
            let found = open(&disk).map(|(_, restored)| restored);
            let Ok(given) = found else {
                self.fail(during, &found, fates)
            };
            if self.number_of(&given).is_none() {
                self.fail("after another crash holds something else", &given, fates);
            }
            // Whatever it gave back is durable, because a node stands on it.
            let durable =
                open(&SimDisk::holding(disk.image())).map(|(_, restored)| restored == given);
            if durable != Ok(true) {
                self.fail("gave back what was not durable", &durable, fates);
            }
        }
    }

    /// After how many writes the store held `restored`, if that may be.
    fn number_of(&self, restored: &Restored) -> Option<usize> {
        (self.confirmed..=self.submitted).find(|writes| self.session.states[*writes] == *restored)
    }

    fn fail(&self, what: &str, found: &impl std::fmt::Debug, fates: &[Fate]) -> ! {
        let mut found = format!("{found:?}");
        found.truncate(found.floor_char_boundary(2000));
        panic!(
            "after {} operations, with {} writes confirmed and {} begun, what a crash left {what}: {found}; \
             the changes since the last sync met {fates:?}",
            self.issued, self.confirmed, self.submitted
        )
    }
}
