//! The transcripts in `tests/scenarios`: each parses, begins with its purpose, and passes.

use std::fs;
use std::path::Path;

use raftian_sim::scenario::{Script, run};

/// Returns every transcript with its path, sorted.
fn transcripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder)
        .expect("the workspace has a folder of scenarios")
        .flatten()
    {
        let name = entry
            .file_name()
            .into_string()
            .expect("scenario names are UTF-8");
        assert!(
            name.ends_with(".scenario"),
            "{name} is in the scenario folder but is not a scenario"
        );
        found.push((
            format!("tests/scenarios/{name}"),
            fs::read_to_string(entry.path()).expect("a scenario is UTF-8 text"),
        ));
    }
    found.sort();
    found
}

#[test]
fn every_scenario_parses() {
    let wrong: Vec<_> = transcripts()
        .iter()
        .filter_map(|(name, text)| Script::parse(name, text).err())
        .map(|error| error.to_string())
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_scenario_passes() {
    let failures: Vec<_> = transcripts()
        .iter()
        .filter_map(|(name, text)| run(&Script::parse(name, text).ok()?, 20).err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_scenario_states_its_purpose_and_expects_something() {
    for (name, text) in transcripts() {
        assert!(
            text.starts_with("# "),
            "{name} does not begin with a comment that states its purpose"
        );
        assert!(text.contains("\nexpect "), "{name} expects nothing");
    }
}

/// Each bug that shipped in another implementation has its own transcript.
#[test]
fn each_of_the_26_bugs_has_a_scenario() {
    let transcripts = transcripts();
    for bug in 1..=26 {
        let start = format!("tests/scenarios/bug_{bug:02}_");
        assert!(
            transcripts.iter().any(|(name, _)| name.starts_with(&start)),
            "bug {bug} has no scenario"
        );
    }
    assert!(transcripts.len() >= 70);
}
