//! Where words go: data to standard output, everything else to standard error. And how numbers come in.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::{Exit, Failure};

/// Starts the log on standard error, coloured only for a terminal.
pub(super) fn start_log(level: &str) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("--log-level {level:?}: {error}"));
    // The renderer's own warnings about software adapters and missing devices are for developers of the engine.
    let filter = EnvFilter::try_new(format!("wgpu_hal=error,wgpu_core=error,naga=error,{level}"))
        .map_err(|error| usage(&error))?;
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_colour)
        .try_init()
        .map_err(|error| Failure::new(Exit::Unexpected, format!("the log cannot be started: {error}")))
}

/// Prints one line or document to standard output. A reader that went away is no failure.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err();
}

/// Prints a document as JSON.
pub(super) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(Exit::Unexpected, format!("the document cannot be written: {error}")))?;
    print(&text);
    Ok(())
}

/// What `--json` prints when a command fails.
#[derive(Serialize)]
struct FailureDocument<'a> {
    schema: &'a str,
    ok: bool,
    exit_code: u8,
    error: &'a str,
}

/// Prints a failure as a document too, if JSON was asked for, and passes it on.
pub(super) fn failed(json: bool, schema: &str, failure: Failure) -> Failure {
    if json {
        let document = FailureDocument { schema, ok: false, exit_code: failure.exit as u8, error: &failure.message };
        if let Err(worse) = print_json(&document) {
            return worse;
        }
    }
    failure
}

/// A number of seconds from the command line.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.1 to 3600".to_owned()),
    }
}
