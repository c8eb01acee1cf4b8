//! Scenario files: any text is parsed or refused, and a parsed script prints as itself.

use super::{Answer, Defect, Target};
use crate::scenario::{self, Script, script::Step};

pub(super) const SCENARIO: Target = Target {
    name: "scenario",
    about: "never panics; a parsed script prints as itself and, if short, runs",
    longest: 8192,
    takes_anything: false,
    corpus: || statements().map(String::into_bytes).collect(),
    check: |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(script) = Script::parse("fuzz", &text) else {
            return Ok(Answer::Refused);
        };
        let printed = script.to_string();
        let again = Script::parse("fuzz", &printed).map_err(Defect::NotParsed)?;
        if again.to_string() != printed || again.steps.len() != script.steps.len() {
            return Err(Defect::OtherScript(printed));
        }
        if is_short(&script) {
            // A failed expectation is normal here; only a panic is a finding.
            let _failure = scenario::run(&script, 1);
        }
        Ok(Answer::Taken)
    },
};

/// Returns the documented grammar in groups of lines, each with a `cluster` line, and once as a
/// whole. Groups that refer to names of other groups do not parse alone and are left out.
fn statements() -> impl Iterator<Item = String> {
    let documentation = include_str!("../scenario.rs");
    let block = documentation
        .split("//! ```text\n")
        .nth(1)
        .unwrap_or_default();
    let block = block.split("//! ```").next().unwrap_or_default();
    let lines: Vec<_> = block
        .lines()
        .map(|line| line.trim_start_matches("//!").trim().to_string())
        .collect();
    let cluster = lines.first().cloned().unwrap_or_default();
    let groups = lines[1..]
        .split(String::is_empty)
        .flat_map(|paragraph| paragraph.chunks(7));
    let groups: Vec<_> = groups
        .map(|group| format!("{cluster}\n{}\n", group.join("\n")))
        .collect();
    let stand_alone = groups
        .into_iter()
        .filter(|group| Script::parse("fuzz", group).is_ok());
    stand_alone.chain([lines.join("\n")])
}

/// Returns whether the script runs in negligible time.
fn is_short(script: &Script) -> bool {
    let long = std::time::Duration::from_secs(2);
    let machines =
        script.cluster.voters + script.cluster.learners.len() as u64 + script.joiners.len() as u64;
    machines <= 12
        && script.steps.len() <= 40
        && script.presets.len() <= 20
        && script.steps.iter().all(|step| match &step.what {
            Step::Advance(by)
            | Step::Run(by)
            | Step::Settle(by)
            | Step::Until { within: by, .. } => *by <= long,
            _ => true,
        })
}
