//! The file of settings: read once at the start, written half a second after a change and at the
//! end.
//!
//! Decision: a file that cannot be used is renamed. Why: a player who edits it by hand must not
//! lose the edit to the next save, and a broken file must not keep the game from starting. Would
//! change if: files were edited by the page only.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bevy::app::AppExit;
use bevy::prelude::*;
use bevy::time::Real;
use bevy::window::ExitSystems;

use super::bindings::Bindings;
use super::{SCHEMA, Settings, SettingsNotice};
use crate::language::{Language, Wording};
use crate::terminal::note;

/// Largest file that is read. The largest that is written has about one KiB.
const MAX_BYTES: u64 = 64 * 1024;

/// Files that are set aside under names of their own; the last one is replaced by further ones.
const MAX_SET_ASIDE: usize = 100;

/// Time from the last change to the write: a held key changes a value many times.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// The table of the keys.
const CONTROLS: &str = "controls";

/// The file of settings, and its contents.
#[derive(Resource, Default, Debug)]
pub(crate) struct SettingsFile {
    /// `None` if settings are not saved.
    path: Option<PathBuf>,
    /// Settings of other builds, which are kept.
    unknown: toml::Table,
    /// The settings that the file has.
    saved: Settings,
    /// Time of the next write.
    due: Option<Duration>,
}

/// Settings that were read, with sentences about all that could not be used.
#[derive(Default)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    notes: Vec<Wording>,
    pub(super) file: SettingsFile,
    /// Whether the file names a language.
    has_language: bool,
}

/// Reason why a file cannot be used.
#[derive(thiserror::Error, Debug)]
enum FileError {
    #[error("{}", text!("it cannot be read: {error}", error = .0))]
    Unreadable(#[from] io::Error),
    #[error("{}", text!("it has more than {most} bytes", most = MAX_BYTES))]
    TooLarge,
    #[error("{}", text!("it is not text in UTF-8"))]
    NotText,
    #[error("{}", text!("line {line}: {reason}", line, reason))]
    Invalid { line: usize, reason: String },
    #[error("{}", text!("it has schema {schema}, and this build reads up to {most}", schema = .0, most = SCHEMA))]
    LaterSchema(i64),
}

impl Loaded {
    /// Reads the file at `path`, if there is one. A file that cannot be used is set aside. Every
    /// sentence is also printed.
    pub(crate) fn read(path: Option<&Path>) -> Loaded {
        let Some(path) = path else {
            return Loaded::default();
        };
        let mut loaded = Loaded::of(path);
        loaded.file.saved = loaded.settings.clone();
        // The language is not set yet: the terminal has English.
        for sentence in loaded.sentences() {
            note(&format!("raftian: {}: {sentence}", path.display()));
        }
        loaded
    }

    /// The sentences in the present language.
    pub(super) fn sentences(&self) -> Vec<String> {
        self.notes.iter().map(Wording::text).collect()
    }

    /// Sets the language if the file names none.
    pub(crate) fn with_usual_language(mut self, language: Language) -> Loaded {
        if !self.has_language {
            self.settings.profile.language = language;
            // No change of the player that would have to be written.
            self.file.saved.profile.language = language;
        }
        self
    }

    fn of(path: &Path) -> Loaded {
        let error = match read_text(path).and_then(|text| parse(text.as_deref().unwrap_or(""))) {
            Ok(mut loaded) => {
                loaded.file.path = Some(path.to_owned());
                return loaded;
            }
            Err(error) => error,
        };
        let mut loaded = Loaded::default();
        let sentence = match set_aside(path) {
            Ok(other) => {
                loaded.file.path = Some(path.to_owned());
                let name = other.file_name().unwrap_or_default().display().to_string();
                wording!(
                    "The file of settings cannot be used: {error}. It is now {name}, and all \
                     settings are the defaults.",
                    error,
                    name
                )
            }
            // A save would destroy the file.
            Err(reason) => wording!(
                "The file of settings cannot be used: {error}. All settings are the defaults, and \
                 changes are not saved, because it cannot be renamed: {reason}.",
                error,
                reason
            ),
        };
        loaded.notes.push(sentence);
        loaded
    }
}

/// The text of a file; `None` if there is no file.
fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText)?;
    Ok(Some(text))
}

/// The settings in a text.
fn parse(text: &str) -> Result<Loaded, FileError> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| invalid(text, &error))?;
    // Before the rest, because the layout of a later schema is unknown.
    if let Some(toml::Value::Integer(schema)) = table.get("schema")
        && *schema > SCHEMA
    {
        return Err(FileError::LaterSchema(*schema));
    }
    let mut settings: Settings = toml::from_str(text).map_err(|error| invalid(text, &error))?;
    let profile = table.get("profile").and_then(toml::Value::as_table);
    let has_language = profile.is_some_and(|profile| profile.contains_key("language"));
    settings.schema = SCHEMA;
    let mut notes = Vec::new();
    if let Some(toml::Value::Table(keys)) = table.get_mut(CONTROLS) {
        settings.controls = Bindings::take_from(keys, &mut notes);
    }
    let unknown = without(table, &table_of(&settings));
    for name in names(&unknown) {
        notes.push(wording!(
            "`{name}` is no setting of this build, and has no effect.",
            name
        ));
    }
    notes.extend(settings.clamp());
    let file = SettingsFile {
        unknown,
        ..SettingsFile::default()
    };
    Ok(Loaded {
        settings,
        notes,
        file,
        has_language,
    })
}

fn invalid(text: &str, error: &toml::de::Error) -> FileError {
    let begin = error.span().map_or(0, |span| span.start);
    let before = text.get(..begin).unwrap_or_default();
    FileError::Invalid {
        line: before.matches('\n').count() + 1,
        reason: error.message().to_owned(),
    }
}

/// The settings as the file has them.
fn table_of(settings: &Settings) -> toml::Table {
    let mut table = toml::Table::try_from(settings).expect("settings are tables of plain values");
    let keys = settings.controls.to_table();
    table.insert(CONTROLS.to_owned(), toml::Value::Table(keys));
    table
}

/// The entries of a table that another one lacks.
fn without(table: toml::Table, known: &toml::Table) -> toml::Table {
    let mut left = toml::Table::new();
    for (name, value) in table {
        match (known.get(&name), value) {
            (None, value) => {
                left.insert(name, value);
            }
            (Some(toml::Value::Table(known)), toml::Value::Table(inner)) => {
                let inner = without(inner, known);
                if !inner.is_empty() {
                    left.insert(name, toml::Value::Table(inner));
                }
            }
            (Some(_), _) => {}
        }
    }
    left
}

/// Names of the values in a table of settings, with those of their groups.
fn names(table: &toml::Table) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(group) => {
                names.extend(group.keys().map(|inner| format!("{name}.{inner}")));
            }
            _ => names.push(name.clone()),
        }
    }
    names
}

/// Adds the entries of `unknown` to a table.
fn merge(table: &mut toml::Table, unknown: &toml::Table) {
    for (name, value) in unknown {
        match (table.get_mut(name), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(inner)) => merge(known, inner),
            (Some(_), _) => {}
            (None, value) => {
                table.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Renames a file that cannot be used, and returns its new path.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let broken = (1..MAX_SET_ASIDE).map(|number| match number {
        1 => suffixed(path, ".broken"),
        number => suffixed(path, &format!(".broken.{number}")),
    });
    let free = broken
        .into_iter()
        .find(|broken| fs::symlink_metadata(broken).is_err());
    let free = free.unwrap_or_else(|| suffixed(path, &format!(".broken.{MAX_SET_ASIDE}")));
    fs::rename(path, &free)?;
    Ok(free)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes the settings, and those of other builds.
fn save(path: &Path, settings: &Settings, unknown: &toml::Table) -> io::Result<()> {
    let mut table = table_of(settings);
    merge(&mut table, unknown);
    let text = toml::to_string(&table).map_err(io::Error::other)?;
    // A link keeps pointing to the file.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    replace(&target, |file| file.write_all(text.as_bytes()))
}

/// Replaces a file by what `write` writes, in one step: until then the old file stays.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    write(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Last, save_changes.after(ExitSystems));
}

fn save_changes(
    settings: Res<Settings>,
    time: Res<Time<Real>>,
    mut file: ResMut<SettingsFile>,
    mut notice: ResMut<SettingsNotice>,
    exits: MessageReader<AppExit>,
) {
    let now = time.elapsed();
    if settings.is_changed() && *settings != file.saved {
        file.due = Some(now + QUIET_TIME);
    }
    let is_due = file.due.is_some_and(|due| now >= due || !exits.is_empty());
    if !is_due {
        return;
    }
    file.due = None;
    let Some(path) = &file.path else { return };
    if let Err(error) = save(path, &settings, &file.unknown) {
        note(&format!(
            "raftian: {}: The settings cannot be saved: {error}.",
            path.display()
        ));
        notice.0 = text!("The settings cannot be saved: {error}.", error);
    }
    // A failed write is tried again with the next change.
    file.saved = settings.clone();
}

#[cfg(test)]
mod tests;
