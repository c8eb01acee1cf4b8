//! Directories that cannot be synced.

use redb::backends::FileBackend;

use super::*;

/// The operating system's file system, except that the sync of one directory fails.
struct FailingSync {
    directory: PathBuf,
    error: io::ErrorKind,
}

impl FileSystem for FailingSync {
    type File = FileBackend;

    fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        OsFileSystem.find(path)
    }

    fn open(&self, path: &Path) -> io::Result<FileBackend> {
        OsFileSystem.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<FileBackend> {
        OsFileSystem.create(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.create_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        if directory == self.directory {
            Err(self.error.into())
        } else {
            OsFileSystem.sync_directory(directory)
        }
    }
}

/// Opens a store in `above/data` twice, where the directory `failing` cannot be synced, and returns
/// the results.
fn open_twice(above: &Path, failing: &Path, error: io::ErrorKind) -> [Result<(), StoreError>; 2] {
    let files = FailingSync {
        directory: failing.to_owned(),
        error,
    };
    let file = above.join("data/raft.redb");
    [(); 2].map(|()| {
        RedbStore::open_on(
            &files,
            &file,
            &mark_of(&file),
            NodeId(1),
            CLUSTER,
            Creation::first(Incarnation::default()),
        )
        .map(drop)
    })
}

#[test]
fn foreign_directory_above_the_store_need_not_be_synced() {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem};
    for error in [PermissionDenied, ReadOnlyFilesystem, InvalidInput] {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join("data")).expect("a new directory");
        assert_eq!(
            open_twice(home.path(), home.path(), error),
            [Ok(()), Ok(())]
        );
    }
}

#[test]
fn directory_with_new_names_must_be_synced() {
    let home = tempfile::tempdir().expect("a directory");
    for failing in [home.path().to_owned(), home.path().join("data")] {
        let _absent_at_first = std::fs::remove_dir_all(home.path().join("data"));
        let [created, _] = open_twice(home.path(), &failing, io::ErrorKind::PermissionDenied);
        assert!(
            matches!(created, Err(StoreError::NoAccess { .. })),
            "{failing:?}: {created:?}"
        );
    }
}

#[test]
fn disk_error_above_the_store_is_an_error_at_every_start() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("data")).expect("a new directory");
    for opened in open_twice(home.path(), home.path(), io::ErrorKind::Other) {
        assert!(
            matches!(opened, Err(StoreError::NoAccess { .. })),
            "{opened:?}"
        );
    }
}
