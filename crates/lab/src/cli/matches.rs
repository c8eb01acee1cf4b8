//! Shared part of the experiments on matches: validate, run, report.

use std::time::Instant;

use super::{Exit, check, write_findings};
use crate::matches::{SettingsError, StudyError};
use crate::report::findings::Findings;
use crate::report::output::Output;
use crate::terminal::errln;

/// Validates the options and plays `matches` matches. `play` returns the findings and the number of
/// steps, or 0 if they were not counted. A violation outranks every other exit code.
pub(super) fn run(
    output: &Output,
    (name, matches): (&'static str, u64),
    quantities: &[&'static str],
    checked: Result<(), SettingsError>,
    play: impl FnOnce(usize, &(dyn Fn(u64) + Sync)) -> Result<(Findings, u64), StudyError>,
) -> Exit {
    if let Err(exit) = check(checked, output, quantities) {
        return exit;
    }
    let progress = output.progress(name, matches);
    let began = Instant::now();
    let played = play(output.threads(), &|size| progress.advance(size));
    progress.finish();
    let (findings, steps) = match played {
        Ok(played) => played,
        Err(error) => {
            errln!("{error}");
            return Exit::Unexpected;
        }
    };
    if !output.quiet {
        let seconds = began.elapsed().as_secs_f64();
        let count = steps as f64 / 1e6;
        let speed = format!(
            ", {count:.1} million steps: {:.1} million/s",
            count / seconds
        );
        errln!(
            "{matches} matches in {seconds:.2} s{}",
            if steps == 0 { String::new() } else { speed }
        );
    }
    let violation = findings.violation.clone();
    let command = findings.command.clone();
    let exit = write_findings(output, findings);
    match violation {
        Some(violation) => {
            errln!("{violation}\nreplay: {command}");
            Exit::Violated
        }
        None => exit,
    }
}
