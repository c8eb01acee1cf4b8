//! Lifetime of a store's files: created, opened, written to, closed, and opened again.

use std::io;
use std::ops::Range;
use std::path::Path;

use raftian_node::store::{Creation, FileSystem, Found, MemoryStore, RedbStore, StoreError};
use raftian_raft::{Incarnation, NodeId, Restored, Write, WriteNumber};
use raftian_sim::disk::{SimFile, SimFileSystem};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use redb::StorageBackend;

use crate::session::{Size, draw, submit};

/// Numbers of writes before and after the store is closed for the first time.
const WRITES: [u64; 2] = [3, 2];

/// Incarnation of the store in each lifetime.
pub(crate) const OWN: Incarnation = Incarnation(3);

/// Incarnation of the lost store, if there was one.
pub(crate) const EARLIER: Incarnation = Incarnation(2);

/// Paths of a store and its mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paths {
    pub(crate) store: &'static str,
    pub(crate) mark: &'static str,
}

/// Paths in separate directories, which do not exist yet.
pub(crate) const APART: Paths = Paths {
    store: "/game/data/n1.redb",
    mark: "/game/keys/n1.mark",
};

/// Paths in one directory, which exists.
pub(crate) const TOGETHER: Paths = Paths {
    store: "/n1.redb",
    mark: "/n1.mark",
};

impl Paths {
    pub(crate) fn open(
        self,
        files: &impl FileSystem,
        incarnation: Incarnation,
    ) -> Result<(RedbStore, Restored), StoreError> {
        let store = Path::new(self.store);
        let mark = Path::new(self.mark);
        let creation = Creation {
            incarnation,
            replaces_lost: incarnation != Incarnation::default(),
        };
        RedbStore::open_on(files, store, mark, NodeId(1), "crash-points", creation)
    }

    /// Creates a file system on which a store of [`EARLIER`] was lost and the creation of another
    /// one was interrupted.
    pub(crate) fn with_a_lost_store(self) -> SimFileSystem {
        let files = SimFileSystem::default();
        let (mut store, restored) = self.open(&files, EARLIER).expect("a new store");
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        submit(
            &mut store,
            &draw(&mut rng, WriteNumber(1), &restored, Size::Small),
        );
        drop(store);
        let unfinished = files
            .create(Path::new(&format!("{}.new", self.store)))
            .expect("a new file");
        fill(&unfinished, &[7; 4096]);
        files
            .remove(Path::new(self.store))
            .expect("the store exists");
        files
            .sync_directory(Path::new(self.store).parent().expect("a directory"))
            .expect("a sync");
        files.crashed(files.operations(), &[])
    }
}

/// Record of one lifetime.
pub(crate) struct Lifetime {
    pub(crate) paths: Paths,
    pub(crate) files: SimFileSystem,
    /// Number of operations before the first and the second opening returned.
    pub(crate) opened: [usize; 2],
    /// Operations of each write.
    pub(crate) writes: Vec<(Range<usize>, Write)>,
    /// State of the store after none, one, … of the writes.
    pub(crate) states: Vec<Restored>,
    /// The store file after the first write.
    pub(crate) outdated: Vec<u8>,
}

impl Lifetime {
    /// Opens, writes and closes a store twice on `files`, with `fault` injected between the two.
    pub(crate) fn record(paths: Paths, files: SimFileSystem, fault: Fault, seed: u64) -> Lifetime {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let faulty = FaultyFileSystem {
            files: files.clone(),
            fault,
        };
        let mut lifetime = Lifetime {
            paths,
            files,
            opened: [0; 2],
            writes: Vec::new(),
            states: Vec::new(),
            outdated: Vec::new(),
        };
        let mut model = MemoryStore::new();
        for (time, count) in WRITES.into_iter().enumerate() {
            let (mut store, restored) = paths.open(&faulty, OWN).expect("a sound file system");
            lifetime.opened[time] = lifetime.files.operations();
            if time == 0 {
                model = MemoryStore::holding(restored.clone());
                lifetime.states.push(restored);
            }
            for _ in 0..count {
                let number = WriteNumber(lifetime.states.len() as u64);
                let write = draw(&mut rng, number, model.image(), Size::Small);
                let begin = lifetime.files.operations();
                submit(&mut store, &write);
                submit(&mut model, &write);
                lifetime
                    .writes
                    .push((begin..lifetime.files.operations(), write));
                lifetime.states.push(model.restored());
                if lifetime.writes.len() == 1 {
                    lifetime.outdated = contents(&lifetime.files, paths.store);
                }
            }
        }
        lifetime
    }
}

/// Replaces the contents of `file`.
pub(crate) fn fill(file: &SimFile, bytes: &[u8]) {
    file.set_len(bytes.len() as u64).expect("room");
    file.write(0, bytes).expect("room");
    file.sync_data().expect("a sync");
}

fn contents(files: &SimFileSystem, path: &str) -> Vec<u8> {
    let file = files.open(Path::new(path)).expect("the file exists");
    let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
    file.read(0, &mut bytes).expect("a read");
    bytes
}

/// A planted bug: a sync that is skipped and must be detected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Nothing,
    /// Skips syncs of this directory.
    Directory(&'static str),
    /// Skips syncs of every file with this path suffix.
    Contents(&'static str),
}

struct FaultyFileSystem {
    files: SimFileSystem,
    fault: Fault,
}

impl FaultyFileSystem {
    fn faulty(&self, path: &Path, file: SimFile) -> FaultyFile {
        let ignores_syncs = match self.fault {
            Fault::Contents(end) => path.to_string_lossy().ends_with(end),
            Fault::Nothing | Fault::Directory(_) => false,
        };
        FaultyFile {
            file,
            ignores_syncs,
        }
    }
}

impl FileSystem for FaultyFileSystem {
    type File = FaultyFile;

    fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        self.files.find(path)
    }

    fn open(&self, path: &Path) -> io::Result<FaultyFile> {
        Ok(self.faulty(path, self.files.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        Ok(self.faulty(path, self.files.create(path)?))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.files.create_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        match self.fault {
            Fault::Directory(ignored) if Path::new(ignored) == directory => Ok(()),
            _ => self.files.sync_directory(directory),
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: SimFile,
    ignores_syncs: bool,
}

impl StorageBackend for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.ignores_syncs {
            Ok(())
        } else {
            self.file.sync_data()
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}
