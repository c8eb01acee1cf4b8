//! The transcripts in `tests/scenarios`: every one parses, says what it is about, and goes as it
//! says.

use std::fs;
use std::path::Path;

use raftian_sim::scenario::{Script, run};

/// Every transcript with its name, in order.
fn transcripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder)
        .expect("the workspace has scenarios")
        .flatten()
    {
        let name = entry
            .file_name()
            .into_string()
            .expect("names of scenarios are plain");
        assert!(
            name.ends_with(".scenario"),
            "{name} lies in the folder of the scenarios and is none"
        );
        found.push((
            format!("tests/scenarios/{name}"),
            fs::read_to_string(entry.path()).expect("a scenario is text"),
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
fn every_scenario_goes_as_it_says() {
    let failures: Vec<_> = transcripts()
        .iter()
        .filter_map(|(name, text)| run(&Script::parse(name, text).ok()?, 20).err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_scenario_begins_with_what_it_tells_and_looks_at_something() {
    for (name, text) in transcripts() {
        assert!(
            text.starts_with("# "),
            "{name} does not begin with a comment that says why"
        );
        assert!(text.contains("\nexpect "), "{name} expects nothing");
    }
}

/// Each of the bugs that shipped elsewhere has a transcript of its own.
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
