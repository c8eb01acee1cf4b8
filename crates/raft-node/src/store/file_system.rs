//! File-system operations of a store file and its mark.
//!
//! Decision: [`RedbStore::open_on`](super::RedbStore::open_on) takes the file system as an
//! argument. Why: which names survive a loss of power is decided by the order of creation, rename
//! and directory sync, and only a simulated file system can lose every name that was not synced.
//! Would change if: redb created its files durably by itself.

use std::path::Path;
use std::{fs, io};

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend, StorageError};

/// File system below a store. An operation is visible to every later one at once; it is durable
/// after the sync of the file, for contents, or of the directory, for names.
pub trait FileSystem {
    /// An open file; its `sync_data` makes the contents durable and not the name.
    type File: StorageBackend;

    /// Returns the kind of file at `path`, following links; `None` if there is nothing.
    fn find(&self, path: &Path) -> io::Result<Option<Found>>;

    /// Opens the existing file at `path` for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens the file at `path` for reading and writing; creates it, empty, if there is none.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Creates the directory at `path` below an existing one.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Moves a file within its directory, in place of what is at `to`. A crash leaves the old names
    /// or the new ones.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file at `path`.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `directory` durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// Kind of file that a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// A directory.
    Directory,
    /// A file, or something else that can be opened like one.
    File,
}

/// The file system of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    type File = FileBackend;

    fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(Some(Found::Directory)),
            Ok(_) => Ok(Some(Found::File)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &Path) -> io::Result<FileBackend> {
        backend(fs::File::options().read(true).write(true).open(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<FileBackend> {
        backend(
            fs::File::options()
                .read(true)
                .write(true)
                .create(true)
                // An existing file may be a mark, which must be read before it is replaced.
                .truncate(false)
                .open(path)?,
        )
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        fs::File::open(directory)?.sync_all()
    }

    /// No-op: other systems cannot open a directory to flush it.
    #[cfg(not(unix))]
    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn backend(file: fs::File) -> io::Result<FileBackend> {
    FileBackend::new(file).map_err(|error| match error {
        DatabaseError::Storage(StorageError::Io(error)) => error,
        error => io::Error::other(error),
    })
}

/// Creates `directory` and its missing ancestors, durably: a directory is lost with its contents if
/// its name is lost.
pub(super) fn create_directories(files: &impl FileSystem, directory: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for above in directory
        .ancestors()
        .filter(|above| *above != Path::new(""))
    {
        if files.find(above)?.is_some() {
            // Its name is not durable if the process that created it was killed before the sync.
            match files.sync_directory(directory_of(above)) {
                Err(error) if !cannot_have_our_names(&error) => return Err(error),
                _ => break,
            }
        }
        missing.push(above);
    }
    // From the top, each durable before the next: a kill leaves at most one name that is not
    // durable.
    for created in missing.into_iter().rev() {
        match files.create_directory(created) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => files.sync_directory(directory_of(created))?,
        }
    }
    Ok(())
}

/// Returns whether a directory sync that fails with `error` shows that this program cannot have
/// created names there: the directory may not be read, is read-only, or its file system has no
/// directory syncs, such as a system image above a data volume.
fn cannot_have_our_names(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(
        error.kind(),
        PermissionDenied | ReadOnlyFilesystem | InvalidInput | Unsupported
    )
}

/// Returns the directory that contains the name of `path`.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
