//! `cargo lab scenario FILE…`

use std::path::{Path, PathBuf};

use raftian_raft::PlantedBug;

use raftian_sim::scenario::{self, Cause, Script};

use super::Exit;
use crate::terminal::{errln, out, outln};

/// Lines of trace that a failure prints.
const LINES_OF_A_FAILURE: usize = 40;

/// Lines of trace kept for `--trace`.
const LINES_OF_A_TRACE: usize = 1_000_000;

/// Transcripts to run.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Transcripts, or directories of files that end in `.scenario`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Plant a past bug in every node: some transcript must fail. Needs a build with
    /// `--features planted`.
    #[arg(long, value_name = "NAME", value_parser = super::storm::planted)]
    plant: Option<PlantedBug>,
    /// Print nothing about transcripts that pass.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs transcripts and reports those that fail.
pub fn run(arguments: &Arguments) -> Exit {
    let mut worst = Exit::Success;
    let mut count = 0;
    for file in &arguments.files {
        match transcripts(file) {
            Ok(files) => {
                for file in files {
                    count += 1;
                    worst = worst.max(one(&file, arguments));
                }
            }
            Err(error) => {
                errln!("{}: {error}", file.display());
                worst = worst.max(Exit::Configuration);
            }
        }
    }
    if count == 0 && worst == Exit::Success {
        errln!("no .scenario file found: name transcripts, or a directory that contains some");
        worst = Exit::Configuration;
    }
    if !arguments.quiet && count > 1 && worst == Exit::Success {
        outln!("{count} transcripts passed");
    }
    worst
}

/// Returns the file itself, or every transcript of a directory, sorted by name.
fn transcripts(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "scenario")
    });
    files.sort();
    Ok(files)
}

fn one(file: &Path, arguments: &Arguments) -> Exit {
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            errln!("{name}: cannot read: {error}");
            return Exit::Configuration;
        }
    };
    let script = match Script::parse(&name, &text) {
        Ok(script) => script,
        Err(error) => {
            errln!("{error}");
            return Exit::Configuration;
        }
    };
    let lines = if arguments.trace {
        LINES_OF_A_TRACE
    } else {
        LINES_OF_A_FAILURE
    };
    match scenario::run_planted(&script, lines, arguments.plant) {
        Ok(trace) => {
            if arguments.trace {
                out!("{trace}");
            }
            if !arguments.quiet {
                outln!("{name}: ok");
            }
            Exit::Success
        }
        Err(failure) => {
            errln!("{name}:{}: {failure}", failure.line);
            if matches!(failure.cause, Cause::Violated(_)) {
                Exit::Violated
            } else {
                Exit::Failed
            }
        }
    }
}
