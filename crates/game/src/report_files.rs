//! Files about faults that a player may send to others: a folder of JSON documents, bounded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bevy::prelude::*;
use serde::Serialize;

/// Name of the folder of the reports.
pub const REPORTS: &str = "reports";

/// Maximum number of reports of one kind in the folder: a faulty machine or member repeats itself.
const MAX_REPORTS: usize = 16;

/// Folder of the reports; `None` if there is none, and faults are only logged.
#[derive(Resource, Clone, Debug, Default)]
pub struct ReportFolder(pub Option<PathBuf>);

impl ReportFolder {
    /// Writes a report as `KIND-NAME.json` and returns its file; `None` if there is no folder. An
    /// existing file is kept. A failure is only logged.
    pub(crate) fn write(&self, kind: &str, name: &str, report: &impl Serialize) -> Option<PathBuf> {
        let folder = self.0.as_deref()?;
        let failed = |error: &io::Error| error!(%error, kind, "no report is written");
        write(folder, kind, name, report).inspect_err(failed).ok()
    }
}

fn write(folder: &Path, kind: &str, name: &str, report: &impl Serialize) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{kind}-{name}.json"));
    if file.exists() {
        return Ok(file);
    }
    let names = fs::read_dir(folder)?.flatten().map(|file| file.file_name());
    let reports = names.filter(|name| name.to_string_lossy().starts_with(kind));
    if reports.count() >= MAX_REPORTS {
        let full = format!(
            "{} holds {MAX_REPORTS} reports of this kind; send or remove them",
            folder.display()
        );
        return Err(io::Error::other(full));
    }
    // Renamed when complete: an existing file is never written again.
    let partial = folder.join(".partial");
    fs::write(&partial, serde_json::to_vec_pretty(report)?)?;
    fs::rename(partial, &file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_reports_of_a_kind_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let folder = ReportFolder(Some(home.path().join(REPORTS)));
        let write = |kind: &str, number: usize| folder.write(kind, &number.to_string(), &number);
        let written = (0..40).filter(|number| write("one", *number).is_some());
        assert_eq!(written.count(), MAX_REPORTS);
        assert!(write("other", 1).is_some());
        assert!(write("one", 0).is_some(), "the same report again");
        assert_eq!(ReportFolder(None).write("one", "1", &1), None);
    }
}
