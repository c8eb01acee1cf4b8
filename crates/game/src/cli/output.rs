//! Output of the commands: data on standard output, everything else on standard error. Also parses
//! numbers.

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::{Exit, Failure};
use crate::terminal::LogWriter;

/// Starts the log on standard error, coloured only for a terminal.
///
/// # Errors
/// If `level` is neither a level nor a filter, or a log was started before.
pub fn start_log(level: &str) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("--log-level {level:?}: {error}"))
    };
    if let Some(word) = level
        .split(',')
        .map(str::trim)
        .find(|word| !is_directive(word))
    {
        return Err(usage(&format!(
            "{word:?} is not a log level; use {LEVELS}, or a filter such as raftian_node=debug"
        )));
    }
    let filter = EnvFilter::try_new(filter_of(level)).map_err(|error| usage(&error))?;
    // As defined at no-color.org: any non-empty value disables colours.
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogWriter::default)
        // The default reports a failed write on standard error, and panics if that fails too.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && !no_colour)
        .try_init()
        .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot start the log: {error}")))
}

/// Default level: warnings of this program, and errors of libraries. Library warnings, about the
/// renderer for example, are for developers of the engine.
pub(super) const DEFAULT_LEVEL: &str = "default";

const LEVELS: &str = "off, error, warn, info, debug or trace";

/// Returns whether `word` is a level or contains one. To the filter, a word without a level is the
/// name of a target, so a misspelt level would silence everything else.
fn is_directive(word: &str) -> bool {
    let level = [
        "off",
        "error",
        "warn",
        "info",
        "debug",
        "trace",
        DEFAULT_LEVEL,
    ];
    word.contains('=') || level.iter().any(|level| word.eq_ignore_ascii_case(level))
}

fn filter_of(level: &str) -> String {
    match level {
        DEFAULT_LEVEL => {
            "error,raftian=warn,raftian_node=warn,raftian_raft=warn,bevy_raft=warn".to_owned()
        }
        level => level.to_owned(),
    }
}

/// Prints one line or document to standard output. A closed pipe is not a failure: its reader needs
/// no more.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Unexpected,
            format!("cannot write to standard output: {error}"),
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a document as JSON.
pub(super) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document).map_err(|error| {
        Failure::new(
            Exit::Unexpected,
            format!("cannot serialize the document: {error}"),
        )
    })?;
    print(&text)
}

/// Prints a document as one line of JSON.
pub(super) fn print_line(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document).map_err(|error| {
        Failure::new(
            Exit::Unexpected,
            format!("cannot serialize the document: {error}"),
        )
    })?;
    print(&text)
}

/// Output of `--json` when a command fails.
#[derive(Serialize)]
struct FailureDocument<'a> {
    schema: &'a str,
    ok: bool,
    exit_code: u8,
    error: &'a str,
}

/// Prints a failure also as a document if JSON was requested, and returns it.
pub(super) fn failed(json: bool, schema: &str, failure: Failure) -> Failure {
    failed_as(json.then_some(false), schema, failure)
}

/// As [`failed`], for commands that print one document a line.
pub(super) fn failed_line(json: bool, schema: &str, failure: Failure) -> Failure {
    failed_as(json.then_some(true), schema, failure)
}

/// `is_line` is whether the document is printed on one line; `None` prints none.
fn failed_as(is_line: Option<bool>, schema: &str, failure: Failure) -> Failure {
    let document = FailureDocument {
        schema,
        ok: false,
        exit_code: failure.exit as u8,
        error: &failure.message,
    };
    let printed = match is_line {
        Some(true) => print_line(&document),
        Some(false) => print_json(&document),
        None => Ok(()),
    };
    printed.err().unwrap_or(failure)
}

/// Parses a number of seconds from the command line.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.1 to 3600".to_owned()),
    }
}
