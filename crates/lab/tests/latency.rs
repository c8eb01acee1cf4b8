//! Output, files and exit codes of `cargo lab latency`. No time is judged here.

use std::process::{Command, Output};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.arg("latency")
        .args(arguments)
        .output()
        .expect("the program is there")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn report_names_measured_and_omitted_combinations() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("report");
    let output = lab(&[
        "--nodes=2,3",
        "--rtt=0,10ms",
        "--loss=0",
        "--rate=20",
        "--seconds=0.3",
        "--json",
        "--quiet",
        "--out",
        &out.to_string_lossy(),
        "--assert=lost<=0",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(
        (&document["schema"], &document["ok"]),
        (&"raftian.lab.latency/1".into(), &true.into())
    );
    assert_eq!(
        (
            &document["combinations"]["measured"],
            &document["combinations"]["of"]
        ),
        (&3.into(), &4.into())
    );
    let rows = document["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3 * 2, "each at the leader and at a follower");
    for row in rows {
        assert_eq!(
            (&row["orders"], &row["lost"]),
            (&6.into(), &0.into()),
            "{row}"
        );
        let parts = ["queue_ms", "network_ms", "disk_ms", "apply_ms", "frame_ms"];
        let sum: f64 = parts
            .iter()
            .map(|part| row[part].as_f64().expect("a number"))
            .sum();
        assert!(
            (sum - row["mean_ms"].as_f64().expect("a number")).abs() < 0.01,
            "{row}"
        );
        assert!(
            row["p50_ms"].as_f64() <= row["max_ms"].as_f64() && row["theory_ms"].is_number(),
            "{row}"
        );
    }
    let read = |name: &str| {
        std::fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for chart in [
        "latency-by-round-trip",
        "parts-by-round-trip",
        "parts-by-nodes",
    ] {
        assert!(read(&format!("{chart}.svg")).starts_with(b"<svg"));
    }
    assert_eq!(
        String::from_utf8(read("latency.csv"))
            .expect("text")
            .lines()
            .count(),
        1 + 6 * 6
    );
    let html = String::from_utf8(read("latency.html")).expect("text");
    assert!(html.contains("--full measures all") && html.contains("3 of 4 combinations"));
}

#[test]
fn virtual_document_depends_on_the_seed_and_not_on_threads() {
    let document = |jobs: &str, seed: &str| {
        let arguments = [
            "--simulated",
            "--full",
            "--nodes=3,8",
            "--seconds=1",
            "--json",
            "--quiet",
            "--assert=lost<=0",
        ];
        let output = lab(&[&arguments[..], &["--jobs", jobs, "--seed", seed]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", error(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let first = document("1", "7");
    assert_eq!(first, document("3", "7"));
    let (one, other): (Value, Value) = (
        serde_json::from_str(&first).unwrap(),
        serde_json::from_str(&document("1", "8")).unwrap(),
    );
    assert_ne!(one["rows"], other["rows"]);
    assert_eq!(
        (&one["schema"], &one["ok"]),
        (&"raftian.lab.latency/1".into(), &true.into())
    );
    assert_eq!(
        (&one["params"]["world"], &one["params"]["write_ms"]),
        (&"virtual".into(), &1.0.into())
    );
    assert_eq!(
        one["rows"].as_array().map(Vec::len),
        Some(2 * 4 * 3 * 3 * 2)
    );
}

#[test]
fn failed_threshold_exits_10() {
    let cell = [
        "--nodes=2",
        "--rtt=10ms",
        "--loss=0",
        "--rate=20",
        "--seconds=0.2",
        "--quiet",
    ];
    let output = lab(&[&cell[..], &["--assert=p50_ms<10"]].concat());
    assert_eq!(output.status.code(), Some(10), "{}", error(&output));
    assert!(
        error(&output).contains("failed: asked p50_ms<10"),
        "{}",
        error(&output)
    );
}

#[test]
fn invalid_option_exits_2_with_a_hint() {
    for (arguments, hint) in [
        (&["--assert=speed<=3"][..], "p50_ms"),
        (&["--nodes=9"], "2 to 8"),
        (&["--rtt=20"], "write 20ms"),
        (&["--loss=0.1"], "percents"),
        (&["--rate=0"], "0.1 to 1000"),
        (&["--fps=0"], "1 to 1000"),
        (&["--write=1ms"], "--simulated"),
        (&["--simulated", "--write=2s"], "at most 1s"),
        (&["--simulated", "--write=2"], "write 2ms"),
        (&["--simulated", "--data=/tmp"], "cannot be used with"),
    ] {
        let output = lab(arguments);
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
