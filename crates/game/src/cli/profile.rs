//! Places of a user's matches on this machine.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Args;
use raftian_node::cluster::{MAX_NAME, MemberFile, NodeConfig, NodeFile};
use raftian_node::player::MatchFolders;

use super::{Exit, Failure};

/// Name of this program's folder in the user's folders.
const PROGRAM: &str = "raftian";

/// File that names the directory of the match that was started last.
const CURRENT: &str = "current";

/// File of the player's settings.
#[cfg(feature = "client")]
const SETTINGS: &str = "settings.toml";

/// Folder of the matches in the user's folder for data.
const MATCHES: &str = "matches";

/// Selects a running member.
#[derive(Args, Debug)]
pub(super) struct RunningArgs {
    /// The member's node file, as written by `raftian cluster new`.
    #[arg(long, value_name = "FILE", conflicts_with = "data", global = true)]
    pub(super) config: Option<PathBuf>,
    /// The directory of a member that was started with `raftian start` or `raftian join`; the
    /// default is the one that was started last.
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data: Option<PathBuf>,
}

impl RunningArgs {
    /// Returns the member's configuration.
    pub(super) fn config(&self) -> Result<NodeConfig, Failure> {
        if let Some(file) = &self.config {
            return Ok(NodeFile::read(file)?);
        }
        let directory = self.directory()?;
        let file = member_in(&directory)?;
        Ok(file.config(&directory, Vec::new(), None)?)
    }

    /// Returns the member's directory.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(directory) => Ok(directory.clone()),
            None => current().ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    "no match was started here; name the member with --data DIR, or with --config \
                     FILE for one that was created by `raftian cluster new`",
                )
            }),
        }
    }
}

/// Returns the file of the member in `directory`.
pub(super) fn member_in(directory: &Path) -> Result<MemberFile, Failure> {
    MemberFile::find(directory)?.ok_or_else(|| {
        Failure::new(
            Exit::Configuration,
            format!(
                "there is no match in {}; begin one with `raftian start --data`, or `raftian join`",
                directory.display()
            ),
        )
    })
}

/// The profile that the command line selects.
static PROFILE: OnceLock<String> = OnceLock::new();

/// Parses the name of a profile, which becomes that of a folder.
pub(super) fn profile_name(text: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if (1..=MAX_NAME).contains(&text.len()) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a profile is named by 1 to {MAX_NAME} letters, digits, - and _"
        ))
    }
}

/// Selects a profile for this process.
pub(super) fn select(profile: String) {
    // The command line is parsed once.
    let _selected_before = PROFILE.set(profile).is_err();
}

/// Folder of the selected profile in each of the user's folders.
fn profile_folder() -> String {
    match PROFILE.get() {
        Some(profile) => format!("{PROGRAM}/profiles/{profile}"),
        None => PROGRAM.to_owned(),
    }
}

/// File of the settings of the selected profile; `None` if the system names no folder for it.
#[cfg(feature = "client")]
pub(super) fn settings_file() -> Option<PathBuf> {
    use etcetera::base_strategy::{BaseStrategy, choose_base_strategy};

    let user = choose_base_strategy().ok()?;
    let folder = user.config_dir().join(profile_folder());
    Some(folder.join(SETTINGS))
}

/// Folders of the matches of the selected profile.
pub(super) fn folders() -> Result<MatchFolders, Failure> {
    MatchFolders::of_user(&profile_folder())
        .map_err(|error| Failure::new(Exit::Configuration, format!("{error} with --data DIR")))
}

/// A match of this profile that was not left.
#[derive(Clone, Debug)]
pub struct StoppedMatch {
    /// Its name.
    pub name: String,
    /// Directory of its member.
    pub directory: PathBuf,
}

/// The match of the selected profile that was started last among those which were not left and
/// whose member does not run; `None` without one.
pub(super) fn stopped_match() -> Option<StoppedMatch> {
    let folder = folders().ok()?.data().join(MATCHES);
    // Unreadable folders and files are those of other programs or builds.
    let directories = fs::read_dir(folder).into_iter().flatten().flatten();
    let directories = directories.map(|entry| entry.path()).chain(current());
    let stopped = directories.filter_map(|directory| {
        let file = MemberFile::find(&directory).ok().flatten()?;
        if file.left || is_running(&file) {
            return None;
        }
        let started = fs::metadata(directory.join(MemberFile::NAME)).ok()?;
        let name = file.match_name;
        Some((started.modified().ok()?, StoppedMatch { name, directory }))
    });
    let newest = stopped.max_by_key(|(started, _)| *started);
    newest.map(|(_, stopped)| stopped)
}

/// Whether the port of a member is taken, by the member or by another program.
fn is_running(file: &MemberFile) -> bool {
    UdpSocket::bind(file.listen).is_err()
}

/// Remembers the directory of the match that was started last in this profile.
pub(crate) fn set_current(directory: &Path) {
    let Some(file) = current_file() else { return };
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let parent = file.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(parent)
        .and_then(|()| fs::write(&file, absolute.to_string_lossy().as_bytes()));
    // Only a convenience of later commands.
    if let Err(error) = written {
        tracing::warn!(file = %file.display(), %error, "the match is not remembered");
    }
}

fn current() -> Option<PathBuf> {
    let text = fs::read_to_string(current_file()?).ok()?;
    Some(PathBuf::from(text.trim()))
}

fn current_file() -> Option<PathBuf> {
    Some(folders().ok()?.data().join(CURRENT))
}
