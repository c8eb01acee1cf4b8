//! The store on a damaged disk: it restores what was written or fails to open.

use std::path::Path;
use std::sync::OnceLock;

use raftian_node::store::{MemoryStore, RedbStore, Store, StoreError};
use raftian_raft::{
    ClientId, Command, Entry, HardState, Incarnation, Index, LogPosition, Membership, NodeId,
    Payload, Restored, Snapshot, Stamp, Term, Write, WriteNumber,
};

use super::choices::Choices;
use super::{Answer, Defect, Target};
use crate::disk::{SECTOR, SimDisk};

pub(super) const STORE: Target = Target {
    name: "store",
    about: "never panics; a damaged disk is refused or restores exactly what was written",
    longest: 96,
    takes_anything: true,
    corpus: || vec![Vec::new()],
    check: |bytes| {
        let mut choices = Choices::new(bytes);
        let Past { images, states } = past();
        // Half of the disks are of a node that shut down, half of one that lost power.
        let (newest, clean) = if choices.coin() {
            (images.len() - 1, true)
        } else {
            (choices.of(images.len() - 1), false)
        };
        let mut image = images[newest].clone();
        while !choices.are_made() {
            damage(&mut choices, &mut image, images);
        }
        match open(&SimDisk::holding(image)) {
            Err(_) => Ok(Answer::Refused),
            Ok((_, restored)) if restored == states[newest] => Ok(Answer::Taken),
            // Damage to the newest write of a node that lost power is indistinguishable from a torn
            // write, which is rolled back.
            Ok((_, restored)) if !clean && newest > 0 && restored == states[newest - 1] => {
                Ok(Answer::Taken)
            }
            Ok((_, restored)) => {
                let earlier = states.iter().rposition(|state| *state == restored);
                Err(Defect::WrongState {
                    written: earlier.map(|at| (at, newest)),
                    restored: format!("{restored:?}"),
                })
            }
        }
    },
};

/// History of a store: its disk image and restored state after each write and after shutdown.
struct Past {
    images: Vec<Vec<u8>>,
    states: Vec<Restored>,
}

fn past() -> &'static Past {
    static PAST: OnceLock<Past> = OnceLock::new();
    PAST.get_or_init(|| {
        let disk = SimDisk::default();
        let (mut store, created) = open(&disk).expect("a new disk");
        let mut model = MemoryStore::holding(created);
        let mut images = vec![disk.image()];
        let mut states = vec![model.restored()];
        for write in writes() {
            store.submit(write.clone()).expect("a sound disk");
            model.submit(write).expect("the same write");
            images.push(disk.image());
            states.push(model.restored());
        }
        // A clean shutdown writes to the disk once more.
        drop(store);
        images.push(disk.image());
        states.push(model.restored());
        Past { images, states }
    })
}

fn open(disk: &SimDisk) -> Result<(RedbStore, Restored), StoreError> {
    RedbStore::with_backend(
        disk.clone(),
        Path::new("disk"),
        NodeId(1),
        "fuzz",
        Incarnation(5),
    )
}

/// Returns writes of votes, entries, a tail that a later leader replaced, and snapshots that
/// truncate the log.
fn writes() -> Vec<Write> {
    let entry = |index: u64, term: u64| {
        let command = Command {
            client: ClientId(7),
            sequence: index,
            bytes: vec![index as u8; 40].into(),
        };
        Entry {
            term: Term(term),
            index: Index(index),
            stamp: Stamp(index),
            payload: Payload::Command {
                command,
                member: NodeId(1),
            },
        }
    };
    let snapshot = |index: u64, term: u64, size: usize| Snapshot {
        position: LogPosition {
            term: Term(term),
            index: Index(index),
        },
        stamp: Stamp(index),
        membership: Membership::new([1, 2, 3].map(NodeId)).expect("there are voters"),
        data: Some(
            (0..size)
                .map(|at| (at / 100) as u8)
                .collect::<Vec<_>>()
                .into(),
        ),
    };
    let plain = |number, term, vote, entries: Vec<Entry>| Write {
        number: WriteNumber(number),
        hard_state: Some(HardState {
            term: Term(term),
            vote: Some(NodeId(vote)),
        }),
        snapshot: None,
        start: None,
        discard: false,
        incarnation: None,
        founding: None,
        entries,
    };
    let cut = |write: Write, snapshot: Snapshot, discard| {
        let start = Some(snapshot.start());
        Write {
            snapshot: Some(snapshot),
            start,
            discard,
            ..write
        }
    };
    vec![
        plain(1, 1, 2, Vec::new()),
        plain(2, 1, 2, (1..=20).map(|index| entry(index, 1)).collect()),
        plain(3, 3, 1, (18..=30).map(|index| entry(index, 3)).collect()),
        cut(
            plain(4, 3, 1, vec![entry(31, 3)]),
            snapshot(25, 3, 3_000),
            false,
        ),
        plain(5, 4, 3, (32..=60).map(|index| entry(index, 4)).collect()),
        cut(
            plain(6, 6, 1, vec![entry(81, 6)]),
            snapshot(80, 5, 900),
            true,
        ),
        plain(7, 7, 1, (82..=90).map(|index| entry(index, 7)).collect()),
    ]
}

/// Damages the disk once, within the bytes that were ever written; most of the image is unused.
fn damage(choices: &mut Choices<'_>, image: &mut Vec<u8>, images: &[Vec<u8>]) {
    let used = image
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(1, |last| last + 1);
    // Three bytes address 16 MiB.
    let number = usize::from(choices.byte()) << 16
        | usize::from(choices.byte()) << 8
        | usize::from(choices.byte());
    // The small header is hit as often as everything else.
    let at = if choices.coin() {
        number % 320.min(used)
    } else {
        number % used
    };
    let sector = at / SECTOR * SECTOR..(at / SECTOR * SECTOR + SECTOR).min(image.len());
    match choices.of(8) {
        0..=2 => image[at] ^= 1 << choices.of(8),
        3 => image[at] = choices.byte(),
        4 => image[sector].fill(0),
        5 => {
            // A lost write: the sector keeps older content.
            let older = &images[choices.of(images.len())];
            if let Some(old) = older.get(sector.clone()) {
                image[sector].copy_from_slice(old);
            }
        }
        6 => {
            // A misdirected write.
            let to = (choices.of(256) * SECTOR) % (image.len() - sector.len() + 1);
            image.copy_within(sector, to);
        }
        _ => image.truncate(at.max(1)),
    }
}
