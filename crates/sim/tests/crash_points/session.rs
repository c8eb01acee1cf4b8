//! One session of a store: random writes and their disk operations.

use std::ops::Range;
use std::path::Path;

use raftian_node::store::{CHUNK_BYTES, MemoryStore, RedbStore, Store, StoreError};
use raftian_raft::{
    ClientId, Command, Entry, HardState, Incarnation, Index, LogPosition, Membership, NodeId,
    Payload, Restored, Snapshot, Stamp, Term, Write, WriteNumber,
};
use raftian_sim::disk::{Operation, SimDisk};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Size of written entries and snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// A few entries, snapshots within one chunk.
    Small,
    /// Entries that fill pages, snapshots of a few chunks.
    Large,
}

/// Record of one session.
#[derive(PartialEq, Debug)]
pub(crate) struct Session {
    /// Durable disk before it: a store that was just created.
    pub(crate) image: Vec<u8>,
    /// Its disk operations.
    pub(crate) trace: Vec<Operation>,
    /// Operations of each write.
    pub(crate) writes: Vec<(Range<usize>, Write)>,
    /// State of the store after none, one, … of the writes.
    pub(crate) states: Vec<Restored>,
}

/// Opens the store of every session.
pub(crate) fn open(disk: &SimDisk) -> Result<(RedbStore, Restored), StoreError> {
    RedbStore::with_backend(
        disk.clone(),
        Path::new("disk"),
        NodeId(1),
        "crash-points",
        Incarnation(5),
    )
}

/// Submits `write`, which must succeed.
pub(crate) fn submit(store: &mut impl Store, write: &Write) {
    store.submit(write.clone()).expect("a sound store");
    assert_eq!(store.completed(), Some(Ok(write.number)));
}

impl Session {
    /// Records the session that `seed` determines.
    pub(crate) fn record(seed: u64, size: Size) -> Session {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimDisk::default();
        // A real file gets its name only when it is complete, so no start can see an earlier state.
        drop(open(&disk).expect("a new disk"));
        let image = disk.image();
        disk.record();
        let (mut store, restored) = open(&disk).expect("a sound disk");
        let mut model = MemoryStore::holding(restored.clone());
        let mut session = Session {
            image,
            trace: Vec::new(),
            writes: Vec::new(),
            states: vec![restored],
        };
        for number in 1..=rng.random_range(6..=12) {
            let mut write = draw(&mut rng, WriteNumber(number), model.image(), size);
            write.incarnation = rng.random_ratio(1, 12).then(|| Incarnation(rng.random()));
            let begin = disk.recorded();
            submit(&mut store, &write);
            submit(&mut model, &write);
            session.writes.push((begin..disk.recorded(), write));
            session.states.push(model.restored());
            // Some sessions include starts from a file that was closed in an orderly way.
            if rng.random_ratio(1, 6) {
                drop(store);
                store = open(&disk).expect("a sound disk").0;
            }
        }
        drop(store);
        session.trace = disk.recording();
        session
    }
}

/// Draws a write that a core could submit to a store that holds `held`.
pub(crate) fn draw(
    rng: &mut ChaCha8Rng,
    number: WriteNumber,
    held: &Restored,
    size: Size,
) -> Write {
    let term = Term(held.hard_state.term.0 + 1);
    let start = held.start.position;
    let last = held.entries.last().map_or(start, Entry::position).index;
    let covered = held
        .snapshot
        .as_ref()
        .map_or(Index(0), |snapshot| snapshot.position.index);
    let hard_state = Some(HardState {
        term,
        vote: rng.random_bool(0.5).then_some(NodeId(1)),
    });
    let mut write = Write {
        number,
        hard_state,
        snapshot: None,
        start: None,
        discard: false,
        incarnation: None,
        founding: None,
        entries: Vec::new(),
    };
    match rng.random_range(0..10) {
        0 => {}
        1..=5 => {
            let first = rng.random_range(covered.0.max(last.0.saturating_sub(3))..=last.0) + 1;
            let count = rng.random_range(1..=8);
            write.entries = (first..first + count)
                .map(|index| entry(rng, index, term, size))
                .collect();
        }
        6 | 7 if last > covered => {
            let at = rng.random_range(covered.0 + 1..=last.0);
            let place = usize::try_from(at - start.index.0 - 1).expect("small");
            let snapshot = snapshot(rng, held.entries[place].position(), size);
            let kept_from = rng.random_range(start.index.0..=at);
            // Without a start the snapshot does not compact the log.
            write.start = match usize::try_from(kept_from - start.index.0)
                .expect("small")
                .checked_sub(1)
            {
                None => None,
                Some(place) if held.entries[place].index.0 == at => Some(snapshot.start()),
                Some(place) => Some(raftian_raft::LogStart {
                    position: held.entries[place].position(),
                    stamp: held.entries[place].stamp,
                }),
            };
            write.snapshot = Some(snapshot);
        }
        _ => {
            let at = last.0 + rng.random_range(1..=9);
            let snapshot = snapshot(
                rng,
                LogPosition {
                    term,
                    index: Index(at),
                },
                size,
            );
            write.start = Some(snapshot.start());
            write.snapshot = Some(snapshot);
            write.discard = true;
            let count = rng.random_range(0..=4);
            write.entries = (at + 1..=at + count)
                .map(|index| entry(rng, index, term, size))
                .collect();
        }
    }
    write
}

fn entry(rng: &mut ChaCha8Rng, index: u64, term: Term, size: Size) -> Entry {
    let most = match size {
        Size::Small => 100,
        Size::Large => 6000,
    };
    let bytes = bytes(rng, most);
    let command = Command {
        client: ClientId(7),
        sequence: index,
        bytes: bytes.into(),
    };
    let member = NodeId(1);
    let payload = Payload::Command { command, member };
    Entry {
        term,
        index: Index(index),
        stamp: Stamp(index),
        payload,
    }
}

fn snapshot(rng: &mut ChaCha8Rng, position: LogPosition, size: Size) -> Snapshot {
    let most = match size {
        Size::Small => 5000,
        Size::Large => 3 * CHUNK_BYTES,
    };
    let data = rng.random_ratio(7, 8).then(|| bytes(rng, most).into());
    let membership = Membership::new((1..=rng.random_range(1..=7)).map(NodeId)).expect("a cluster");
    Snapshot {
        position,
        stamp: Stamp(position.index.0),
        membership,
        data,
    }
}

/// Draws up to `most` bytes that differ from sector to sector.
fn bytes(rng: &mut ChaCha8Rng, most: usize) -> Vec<u8> {
    let len = rng.random_range(0..=most);
    let first = rng.random::<u8>();
    (0..len)
        .map(|place| first.wrapping_add((place / 500) as u8))
        .collect()
}
