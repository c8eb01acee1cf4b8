//! Output, files and exit codes of `cargo lab elections`.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.arg("elections")
        .args(arguments)
        .output()
        .expect("the program is there")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn document_depends_on_the_seed_and_not_on_threads() {
    let document = |jobs, seed| {
        let output = lab(&[
            "--sizes", "3,13", "--reps", "9", "--delay", "0..20ms", "--json", "--jobs", jobs,
            "--seed", seed,
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", error(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(document("1", "7"), document("3", "7"));
    assert_ne!(document("1", "7"), document("1", "8"));
    let document: Value = serde_json::from_str(&document("1", "7")).expect("one document");
    assert_eq!(document["schema"], "raftian.lab.elections/1");
    assert_eq!(
        (&document["ok"], document["rows"].as_array().map(Vec::len)),
        (&Value::Bool(true), Some(2))
    );
    assert!(document["params"]["sizes"].is_array() && document["environment"]["cores"].is_number());
}

#[test]
fn failed_threshold_exits_10_with_the_measured_value() {
    let output = lab(&[
        "--sizes",
        "3",
        "--assert",
        "max_elections<=3",
        "--assert",
        "max_time_ms<1",
    ]);
    assert_eq!(output.status.code(), Some(10));
    assert!(
        error(&output).contains("holds: asked max_elections<=3, measured 1"),
        "{}",
        error(&output)
    );
    assert!(
        error(&output).contains("failed: asked max_time_ms<1, measured 2"),
        "{}",
        error(&output)
    );
    assert_eq!(
        lab(&["--sizes", "3", "--assert", "max_elections<=3"])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn invalid_option_exits_2_with_a_hint() {
    for (arguments, hint) in [
        (["--assert", "speed<=3"], "max_elections"),
        (["--assert", "max_elections"], "NAME<=NUMBER"),
        (["--sizes", "9..3"], "write 3..9"),
        (["--delay", "20"], "write 20ms"),
        (["--loss", "0.1"], "percents"),
        (["--timeout", "50..90ms"], "heartbeat"),
        (["--limit", "1ms"], "--limit"),
    ] {
        let output = lab(&arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            error(&output)
        );
        assert!(
            error(&output).contains(hint),
            "{arguments:?}: {}",
            error(&output)
        );
    }
}

#[test]
fn clusters_without_messages_exit_5() {
    let output = lab(&["--sizes", "3", "--loss", "100%", "--limit", "1s", "--json"]);
    assert_eq!(output.status.code(), Some(5));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(
        (&document["ok"], &document["rows"][0]["unfinished"]),
        (&Value::Bool(false), &Value::from(3))
    );
}

#[test]
fn killed_leader_process_is_replaced() {
    let output = lab(&["--real-processes", "3", "--reps", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let row = &document["rows"][0];
    assert!(
        row["time_ms_mean"].as_f64().is_some_and(|time| time > 0.0)
            && row["messages_mean"].is_null(),
        "{row}"
    );
    assert_eq!(
        (&row["nodes"], &document["params"]["crash_leader"]),
        (&Value::from(3), &Value::Bool(true))
    );
}

#[test]
fn report_is_self_contained() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("report");
    let output = lab(&[
        "--sizes",
        "3..33/10",
        "--out",
        &folder.to_string_lossy(),
        "--quiet",
    ]);
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(0), 0),
        "{}",
        error(&output)
    );
    let read = |name: &str| {
        std::fs::read(Path::new(&folder).join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let html = String::from_utf8(read("elections.html")).expect("text");
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside} in the report");
    }
    assert_eq!(html.matches("<svg").count(), 3);
    assert!(html.contains("cargo lab elections --sizes 3..33/10 --reps 3 --seed 1"));
    for chart in ["elections-held", "time-to-elect", "time-and-elections"] {
        assert!(read(&format!("{chart}.svg")).starts_with(b"<svg"));
        #[cfg(feature = "png")]
        assert!(read(&format!("{chart}.png")).starts_with(b"\x89PNG"));
    }
    assert_eq!(
        String::from_utf8(read("elections.csv"))
            .expect("text")
            .lines()
            .count(),
        1 + 4 * 3
    );
    assert!(serde_json::from_slice::<Value>(&read("elections.json")).is_ok());
}
