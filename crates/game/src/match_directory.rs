//! The directory of an embedded match.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// Name prefix of these directories.
const PREFIX: &str = "raftian-match-";

/// File that a running match holds a lock on.
const LOCK: &str = "lock";

/// A directory that is removed when this value is dropped, or by the next match if this process was
/// killed.
#[derive(Debug)]
pub(crate) struct MatchDirectory {
    directory: TempDir,
    /// Held until the process ends, also by a crash.
    _lock: File,
}

impl MatchDirectory {
    /// Creates a directory in `parent` and removes those of matches whose process was killed.
    ///
    /// # Errors
    /// If the directory or its lock cannot be created.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // The lock gets its name only once it is held, so that no other match finds it unlocked.
        let starting = directory.path().join("starting");
        let named = directory.path().join(LOCK);
        let lock = File::create(&starting)?;
        lock.try_lock()?;
        fs::rename(starting, named)?;
        Ok(MatchDirectory {
            directory,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes the directories of killed matches: those whose lock file is not held by any process. A
/// directory without a lock file is left alone, even if its name has the prefix.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
    {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_abandoned(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "removed the directory of a killed match")
                }
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "cannot remove an abandoned directory")
                }
            }
        }
    }
}

fn is_abandoned(directory: &Path) -> bool {
    let lock = directory.join(LOCK);
    // Open regular files only: opening a pipe would wait for its writer.
    let is_file = fs::symlink_metadata(&lock).is_ok_and(|metadata| metadata.is_file());
    is_file && File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_killed_matches_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let running = MatchDirectory::create(parent.path()).unwrap();
        let killed = parent.path().join("raftian-match-killed");
        fs::create_dir_all(killed.join("n1")).unwrap();
        File::create(killed.join(LOCK)).unwrap();
        // A player's own directory may have such a name, with arbitrary content.
        let own = parent.path().join("raftian-match-mine");
        fs::create_dir_all(own.join(LOCK)).unwrap();
        let second = MatchDirectory::create(parent.path()).unwrap();
        let exists = [running.path(), second.path(), &killed, &own].map(Path::exists);
        assert_eq!(exists, [true, true, false, true]);
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
