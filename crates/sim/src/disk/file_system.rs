//! A simulated file system, which loses unsynced names and unsynced contents in a crash.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_node::store::{FileSystem, Found};
use redb::StorageBackend;

use super::change::{Change, Fate};
use super::media::Operation;

/// A handle to a simulated file system of files and directories; clones share it. Relative paths
/// begin at its root.
///
/// It records every operation, so that [`SimFileSystem::crashed`] can return the files that a power
/// loss after any number of them would leave. Names and contents are independent: a file sync makes
/// no name durable, and a directory sync makes no contents durable. The names that one operation
/// changes survive together or not at all; those of different operations survive in any
/// combination, even within one directory, where journals keep the order but POSIX guarantees
/// nothing.
///
/// The record grows with every operation: it is meant for sessions of a few thousand.
#[derive(Clone, Debug, Default)]
pub struct SimFileSystem {
    state: Arc<Mutex<State>>,
}

/// A change that no sync has made durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsynced {
    /// Names in one directory; their fate is [`Fate::Lost`] or [`Fate::Applied`].
    Names,
    /// Contents of one file.
    Contents(Change),
}

impl SimFileSystem {
    /// Returns the number of operations that changed or synced something.
    pub fn operations(&self) -> usize {
        self.lock().record.len()
    }

    /// Returns whether the recorded operation after the first `operations` changes contents.
    pub fn changes_contents(&self, operations: usize) -> bool {
        let state = self.lock();
        let next = state.record.get(operations);
        matches!(
            next,
            Some(Step::Contents {
                operation: Operation::Change(_),
                ..
            })
        )
    }

    /// Returns the file system after the first `operations`, as the next process finds it when the
    /// previous one was killed: nothing is lost, and nothing more is durable.
    pub fn after(&self, operations: usize) -> SimFileSystem {
        let state = self.lock();
        let record = state.record[..operations].to_vec();
        let mut view = state.base.clone();
        record
            .iter()
            .for_each(|step| step.apply(&mut view, &Fate::Applied));
        SimFileSystem::with(State {
            base: state.base.clone(),
            view,
            record,
            created: state.created,
        })
    }

    /// Returns the changes among the first `operations` that were not durable after them, in order.
    pub fn unsynced(&self, operations: usize) -> Vec<Unsynced> {
        let state = self.lock();
        let (_, unsynced) = state.durable(operations);
        unsynced
            .into_iter()
            .filter_map(|step| match step {
                Step::Names { .. } => Some(Unsynced::Names),
                Step::Contents {
                    operation: Operation::Change(change),
                    ..
                } => Some(Unsynced::Contents(change.clone())),
                Step::Contents {
                    operation: Operation::Sync,
                    ..
                }
                | Step::SyncNames { .. } => None,
            })
            .collect()
    }

    /// Returns the file system that a power loss after the first `operations` leaves. `fates` are
    /// the outcomes of [`SimFileSystem::unsynced`]; changes without one are lost.
    pub fn crashed(&self, operations: usize, fates: &[Fate]) -> SimFileSystem {
        let state = self.lock();
        let (mut base, unsynced) = state.durable(operations);
        unsynced
            .iter()
            .zip(fates)
            .for_each(|(step, fate)| step.apply(&mut base, fate));
        base.drop_unreachable();
        SimFileSystem::with(State {
            view: base.clone(),
            base,
            record: Vec::new(),
            created: state.created,
        })
    }

    /// Returns a hash of all names and contents that a process sees.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.lock().view.hash(&mut hasher);
        hasher.finish()
    }

    fn with(state: State) -> SimFileSystem {
        SimFileSystem {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSystem for SimFileSystem {
    type File = SimFile;

    fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        match self.lock().view.entry(path) {
            Ok(Entry::Directory(_)) => Ok(Some(Found::Directory)),
            Ok(Entry::File(_)) => Ok(Some(Found::File)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        match self.lock().view.entry(path)? {
            Entry::File(file) => Ok(SimFile {
                files: self.clone(),
                file,
            }),
            Entry::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        if self.find(path)?.is_none() {
            let mut state = self.lock();
            let (directory, name) = state.view.parent(path)?;
            let created = Entry::File(state.new_id());
            state.perform(Step::Names {
                directory,
                changes: vec![(name, Some(created))],
            });
        }
        self.open(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        if self.find(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut state = self.lock();
        let (directory, name) = state.view.parent(path)?;
        let created = Entry::Directory(state.new_id());
        state.perform(Step::Names {
            directory,
            changes: vec![(name, Some(created))],
        });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let moved = state.view.entry(from)?;
        let (directory, old) = state.view.parent(from)?;
        let (target, new) = state.view.parent(to)?;
        // Only renames within one directory are modelled.
        if directory != target {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        state.perform(Step::Names {
            directory,
            changes: vec![(old, None), (new, Some(moved))],
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if let Entry::Directory(_) = state.view.entry(path)? {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (directory, name) = state.view.parent(path)?;
        state.perform(Step::Names {
            directory,
            changes: vec![(name, None)],
        });
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.lock();
        match state.view.entry(directory)? {
            Entry::Directory(directory) => state.perform(Step::SyncNames { directory }),
            Entry::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
        }
        Ok(())
    }
}

/// An open file of a [`SimFileSystem`]. It outlives its name.
#[derive(Debug)]
pub struct SimFile {
    files: SimFileSystem,
    file: u64,
}

impl SimFile {
    fn perform(&self, operation: Operation) {
        self.files.lock().perform(Step::Contents {
            file: self.file,
            operation,
        });
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.files.lock().view.contents(self.file).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.files.lock();
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let found = at
            .checked_add(out.len())
            .and_then(|end| state.view.contents(self.file).get(at..end));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.perform(Operation::Change(Change::Resize(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.perform(Operation::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        if at
            .checked_add(data.len())
            .is_none_or(|end| end as u64 > self.len().unwrap_or(0))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "write beyond the end of the file",
            ));
        }
        self.perform(Operation::Change(Change::Write {
            at,
            bytes: data.to_vec(),
        }));
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    /// Durable tree before the recorded operations.
    base: Tree,
    /// Tree that a process sees.
    view: Tree,
    record: Vec<Step>,
    /// Number of files and directories created so far; they are numbered from 1, the root is 0.
    created: u64,
}

impl State {
    fn new_id(&mut self) -> u64 {
        self.created += 1;
        self.created
    }

    fn perform(&mut self, step: Step) {
        step.apply(&mut self.view, &Fate::Applied);
        self.record.push(step);
    }

    /// Returns the durable tree after the first `operations`, and the changes that are not durable.
    fn durable(&self, operations: usize) -> (Tree, Vec<&Step>) {
        let mut durable = self.base.clone();
        let mut unsynced = Vec::new();
        for step in &self.record[..operations] {
            match step {
                Step::Names { .. }
                | Step::Contents {
                    operation: Operation::Change(_),
                    ..
                } => unsynced.push(step),
                Step::SyncNames { .. }
                | Step::Contents {
                    operation: Operation::Sync,
                    ..
                } => {
                    unsynced.retain(|change| {
                        let synced = step.covers(change);
                        if synced {
                            change.apply(&mut durable, &Fate::Applied);
                        }
                        !synced
                    });
                }
            }
        }
        (durable, unsynced)
    }
}

/// One operation.
#[derive(Clone, Debug)]
enum Step {
    /// Names in one directory that change together.
    Names {
        directory: u64,
        changes: Vec<(OsString, Option<Entry>)>,
    },
    SyncNames {
        directory: u64,
    },
    Contents {
        file: u64,
        operation: Operation,
    },
}

impl Step {
    /// Applies the part of this change that `fate` leaves to `tree`. A sync has no visible effect.
    fn apply(&self, tree: &mut Tree, fate: &Fate) {
        match self {
            Step::Names { directory, changes } if *fate == Fate::Applied => {
                let names = tree.directories.entry(*directory).or_default();
                for (name, entry) in changes {
                    match entry {
                        Some(entry) => names.insert(name.clone(), *entry),
                        None => names.remove(name),
                    };
                }
            }
            Step::Contents {
                file,
                operation: Operation::Change(change),
            } => {
                change.apply(tree.files.entry(*file).or_default(), fate);
            }
            Step::Names { .. }
            | Step::SyncNames { .. }
            | Step::Contents {
                operation: Operation::Sync,
                ..
            } => {}
        }
    }

    /// Returns whether this sync makes `change` durable.
    fn covers(&self, change: &Step) -> bool {
        match (self, change) {
            (
                Step::SyncNames { directory },
                Step::Names {
                    directory: changed, ..
                },
            ) => directory == changed,
            (Step::Contents { file, .. }, Step::Contents { file: changed, .. }) => file == changed,
            _ => false,
        }
    }
}

/// Target of a name, by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Entry {
    Directory(u64),
    File(u64),
}

/// Names and contents. A directory or file that is not listed is empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Tree {
    directories: BTreeMap<u64, BTreeMap<OsString, Entry>>,
    files: BTreeMap<u64, Vec<u8>>,
}

impl Tree {
    fn contents(&self, file: u64) -> &[u8] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    fn entry(&self, path: &Path) -> io::Result<Entry> {
        let mut entry = Entry::Directory(0);
        for component in path.components() {
            if let Component::Normal(name) = component {
                let Entry::Directory(directory) = entry else {
                    return Err(io::ErrorKind::NotADirectory.into());
                };
                let named = self
                    .directories
                    .get(&directory)
                    .and_then(|names| names.get(name));
                entry = *named.ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(entry)
    }

    /// Returns the directory that has, or could have, the name of `path`, and that name.
    fn parent(&self, path: &Path) -> io::Result<(u64, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        match self.entry(path.parent().unwrap_or(Path::new("")))? {
            Entry::Directory(directory) => Ok((directory, name.to_owned())),
            Entry::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Drops unreachable files and directories, so that trees with equal paths are equal.
    fn drop_unreachable(&mut self) {
        let mut directories = BTreeSet::new();
        let mut files = BTreeSet::new();
        let mut open = vec![0];
        while let Some(directory) = open.pop() {
            directories.insert(directory);
            for entry in self
                .directories
                .get(&directory)
                .into_iter()
                .flat_map(BTreeMap::values)
            {
                match entry {
                    Entry::Directory(below) => open.push(*below),
                    Entry::File(file) => drop(files.insert(*file)),
                }
            }
        }
        self.directories
            .retain(|directory, _| directories.contains(directory));
        self.files.retain(|file, _| files.contains(file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates and fills `/a/b`, then syncs the file or directories in `synced`.
    fn created(synced: &[&str]) -> SimFileSystem {
        let files = SimFileSystem::default();
        files
            .create_directory(Path::new("/a"))
            .expect("a new directory");
        let file = files.create(Path::new("/a/b")).expect("a new file");
        file.set_len(3).expect("room");
        file.write(0, &[1, 2, 3]).expect("room");
        for what in synced {
            match *what {
                "file" => file.sync_data().expect("a sync"),
                directory => files.sync_directory(Path::new(directory)).expect("a sync"),
            }
        }
        files
    }

    fn contents(files: &SimFileSystem, path: &str) -> Option<Vec<u8>> {
        let file = files.open(Path::new(path)).ok()?;
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
        file.read(0, &mut bytes).expect("a read");
        Some(bytes)
    }

    fn after_crash(files: &SimFileSystem) -> Option<Vec<u8>> {
        contents(&files.crashed(files.operations(), &[]), "/a/b")
    }

    #[test]
    fn file_survives_if_its_contents_and_every_parent_are_synced() {
        assert_eq!(after_crash(&created(&[])), None);
        assert_eq!(after_crash(&created(&["file"])), None);
        assert_eq!(after_crash(&created(&["file", "/a"])), None);
        assert_eq!(after_crash(&created(&["file", "/"])), None);
        assert_eq!(after_crash(&created(&["/", "/a"])), Some(vec![]));
        assert_eq!(
            after_crash(&created(&["/", "/a", "file"])),
            Some(vec![1, 2, 3])
        );
    }

    #[test]
    fn kill_loses_nothing_and_makes_nothing_durable() {
        let files = created(&[]);
        let next = files.after(files.operations());
        assert_eq!(contents(&next, "/a/b"), Some(vec![1, 2, 3]));
        assert_eq!(contents(&files.after(2), "/a/b"), Some(vec![]));
        assert_eq!(contents(&files.after(1), "/a/b"), None);
        for directory in ["/", "/a"] {
            next.sync_directory(Path::new(directory)).expect("a sync");
        }
        assert_eq!(
            after_crash(&next),
            Some(vec![]),
            "a directory sync covers names created by the previous process"
        );
    }

    #[test]
    fn unsynced_rename_leaves_the_old_names_or_the_new_ones() {
        let files = created(&["/", "/a", "file"]);
        files.create(Path::new("/a/c")).expect("a new file");
        files
            .rename(Path::new("/a/c"), Path::new("/a/b"))
            .expect("a rename");
        assert_eq!(files.find(Path::new("/a/c")).expect("readable"), None);
        let steps = files.operations();
        assert_eq!(files.unsynced(steps), [Unsynced::Names, Unsynced::Names]);
        let left = |fates: [Fate; 2]| {
            let crashed = files.crashed(steps, &fates);
            (contents(&crashed, "/a/b"), contents(&crashed, "/a/c"))
        };
        let old = Some(vec![1, 2, 3]);
        assert_eq!(left([Fate::Lost, Fate::Lost]), (old.clone(), None));
        assert_eq!(left([Fate::Applied, Fate::Lost]), (old, Some(vec![])));
        assert_eq!(left([Fate::Applied, Fate::Applied]), (Some(vec![]), None));
        assert_eq!(left([Fate::Lost, Fate::Applied]), (Some(vec![]), None));
    }

    #[test]
    fn trees_with_equal_paths_have_equal_digests() {
        let files = created(&["file"]);
        let empty = SimFileSystem::default();
        assert_eq!(
            files.crashed(files.operations(), &[]).digest(),
            empty.crashed(0, &[]).digest()
        );
        assert_ne!(files.digest(), files.after(2).digest());
    }
}
