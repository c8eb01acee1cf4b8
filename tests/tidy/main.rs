//! House rules that the compiler does not check: where nondeterminism and I/O may be used, and
//! which modules may write replicated state.

mod ratchet;

use std::fs;
use std::path::{Path, PathBuf};

/// Line limit of a source file, which is read from top to bottom. Test files are read one test at a
/// time and may be longer.
const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
        .to_owned()
}

/// Every Rust file below `folder` with its text, sorted by path.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .expect("a folder of the workspace")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path
                    .strip_prefix(root())
                    .expect("below the root")
                    .display()
                    .to_string();
                found.push((name, fs::read_to_string(&path).expect("source is text")));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found.sort();
    found
}

/// Lines of code that contain one of `words`, not counting comments and inline test modules.
fn lines_with(sources: &[(String, String)], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources {
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in (1..).zip(code.lines()) {
            let line = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    found
}

#[test]
fn core_uses_no_clock_io_threads_or_unordered_maps() {
    let forbidden = [
        "std::",
        "HashMap",
        "HashSet",
        "Instant",
        "SystemTime",
        "async ",
        "Mutex",
        "thread_rng",
    ];
    assert_eq!(
        lines_with(&sources("crates/raft/src"), &forbidden),
        Vec::<String>::new()
    );
}

#[test]
fn only_the_wire_module_uses_its_encoding() {
    let mut found = lines_with(&sources("crates"), &["bincode::"]);
    found.retain(|line| !line.starts_with("crates/raft-node/src/wire.rs"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn realm_uses_no_bevy_time_rng_floats_or_unordered_maps() {
    let forbidden = [
        "bevy",
        "HashMap",
        "HashSet",
        "f32",
        "f64",
        "std::time",
        "Instant",
        "rand::",
        "crate::view",
    ];
    assert_eq!(
        lines_with(&sources("crates/realm/src"), &forbidden),
        Vec::<String>::new()
    );
}

/// Its dependencies bring neither engine nor clock nor chance.
#[test]
fn realm_depends_on_data_formats_and_hashes_only() {
    let path = root().join("crates/realm/Cargo.toml");
    let text = std::fs::read_to_string(path).expect("the crate of the rules");
    let section = text.split("[dependencies]").nth(1).expect("a section");
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section
        .lines()
        .filter_map(|line| line.split_once(" ="))
        .map(|(name, _)| name);
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["serde", "sha2", "thiserror", "toml"]);
}

#[test]
fn view_and_overlay_never_write_replicated_state() {
    let forbidden = [
        "ResMut<ReplicatedRealm>",
        "&mut Health",
        "AppliedLog>",
        ".apply(",
    ];
    for folder in ["crates/game/src/view", "crates/game/src/overlay"] {
        assert_eq!(
            lines_with(&sources(folder), &forbidden),
            Vec::<String>::new()
        );
    }
}

#[test]
fn consensus_time_is_read_in_one_place() {
    let mut found = lines_with(
        &sources("crates/raft-node/src"),
        &["Instant::now", "SystemTime::now"],
    );
    // The thread sleeps and publishes on wall-clock time, and the links and tools wait for I/O; the
    // driver does neither.
    let allowed = [
        "clock.rs",
        "lan.rs",
        "player/",
        "thread.rs",
        "thread/",
        "random_ids.rs",
        "quic/",
        "quic.rs",
        "store/writer.rs",
        "store/tests/writer_thread.rs",
    ];
    found.retain(|line| {
        !allowed
            .iter()
            .any(|file| line.contains(&format!("crates/raft-node/src/{file}")))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn source_files_stay_below_the_line_limit() {
    let long: Vec<_> = ["crates", "tests", "benches"]
        .iter()
        .flat_map(|folder| sources(folder))
        .filter(|(name, _)| !name.ends_with("/tests.rs") && !name.contains("tests/"))
        .filter(|(_, text)| text.lines().count() > LONGEST_FILE)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn every_dependency_states_its_reason() {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let section = text
        .split("[workspace.dependencies]")
        .nth(1)
        .expect("it lists dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let silent: Vec<_> = section
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#') && !line.contains("path = "))
        .filter(|line| !line.contains(" # "))
        .collect();
    assert_eq!(silent, Vec::<&str>::new());
}

/// The crates that the manifest of `folder` names as dependencies, without those of tests.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = root().join("crates").join(folder).join("Cargo.toml");
    let text = fs::read_to_string(manifest).expect("each crate has a manifest");
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(" = ").next());
    let mut own: Vec<_> = names
        .filter(|name| name.starts_with("raftian") || *name == "bevy_raft")
        .map(|name| match name {
            "raftian" => "game".to_owned(),
            "raftian-node" => "raft-node".to_owned(),
            name => name.trim_start_matches("raftian-").to_owned(),
        })
        .collect();
    own.sort();
    own
}

#[test]
fn architecture_shows_the_dependencies_of_every_crate() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is in the repository");
    let mut shown: Vec<(String, Vec<String>)> = text
        .lines()
        .filter_map(|line| line.split_once("->"))
        .filter(|(name, _)| root().join("crates").join(name.trim()).is_dir())
        .map(|(name, others)| {
            let others = others.split(", ").map(|other| other.trim().to_owned());
            (
                name.trim().to_owned(),
                others.filter(|other| !other.is_empty()).collect(),
            )
        })
        .collect();
    shown.sort();
    let folders = fs::read_dir(root().join("crates"))
        .expect("a folder of the workspace")
        .flatten();
    let mut expected: Vec<_> = folders
        .map(|folder| folder.file_name().to_string_lossy().into_owned())
        .map(|name| (name.clone(), dependencies(&name)))
        .collect();
    expected.sort();
    assert_eq!(shown, expected);
}

/// Rules of figure 2, as the table in `crates/raft/src/lib.rs` calls them.
const FIGURE_2: [&str; 22] = [
    "Persistent state",
    "Volatile state",
    "Volatile state on leaders",
    "AE 1",
    "AE 2",
    "AE 3",
    "AE 4",
    "AE 5",
    "RV 1",
    "RV 2",
    "All servers 1",
    "All servers 2",
    "Followers 1",
    "Followers 2",
    "Candidates 1",
    "Candidates 2",
    "Candidates 3",
    "Candidates 4",
    "Leaders 1",
    "Leaders 2",
    "Leaders 3",
    "Leaders 4",
];

/// A file that no module declares is never compiled, so its checks never run.
#[test]
fn every_invariant_is_checked() {
    let folder = "crates/sim/src/invariants";
    let list = fs::read_to_string(root().join(format!("{folder}.rs"))).expect("it lists them");
    for (name, _) in sources(folder) {
        let property = Path::new(&name)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a file of Rust has a name");
        // Histories for the tests of the others.
        if property != "sample" {
            let call = format!("self.{property}.check(seen)");
            assert!(
                list.contains(&call),
                "{name}: `Invariants::check` lacks {call}"
            );
        }
    }
}

#[test]
fn every_rule_of_the_paper_names_its_file_and_its_test() {
    let core = root().join("crates/raft/src");
    let text = fs::read_to_string(core.join("lib.rs")).expect("the core has a root");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect())
        .filter(|row: &Vec<_>| row.len() == 3 && row[2] != "Test")
        .collect();
    for row in &rows {
        for file in row[1].split(", ").map(|file| file.trim_matches('`')) {
            assert!(core.join(file).is_file(), "{}: there is no {file}", row[0]);
        }
        let transcript = format!("tests/scenarios/{}.scenario", row[2].trim_matches('`'));
        assert!(
            root().join(&transcript).is_file(),
            "{}: there is no {transcript}",
            row[0]
        );
    }
    for rule in FIGURE_2 {
        let is_named = rows
            .iter()
            .any(|row| row[0].split(':').next() == Some(rule));
        assert!(is_named, "the table misses {rule} of figure 2");
    }
}
