//! The `frames` program with a real window. Needs a display, which `.ci/run` provides.

use std::process::{Command, Output};

fn frames(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_frames"))
        .args(arguments)
        .output()
        .expect("the program can be started")
}

#[test]
#[ignore = "needs a display and a Vulkan driver; .ci/run starts both and runs it with --ignored"]
fn window_frames_are_measured_with_a_node_and_logged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().to_str().expect("a temporary path is text");
    let measured = frames(&[
        "--dots",
        "10",
        "--server",
        "none,thread",
        "--heartbeat",
        "3ms",
        "--seconds",
        "1",
        "--rounds",
        "2",
        "--json",
        "--out",
        out,
    ]);
    assert!(measured.status.success(), "{measured:?}");
    let document: serde_json::Value =
        serde_json::from_slice(&measured.stdout).expect("one document");
    let rows = document["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(
            row["adapter"]
                .as_str()
                .is_some_and(|adapter| adapter.contains("Vulkan")),
            "{row}"
        );
        assert!(
            row["fps_mean"].as_f64().is_some_and(|fps| fps > 0.0),
            "{row}"
        );
    }
    assert!(
        rows[1]["cost_ms"].is_number() && rows[1]["led"].is_number(),
        "{}",
        rows[1]
    );
    let log =
        std::fs::read_to_string(directory.path().join("threading_10_3ms.log")).expect("a log");
    assert_eq!(log.lines().count(), 2, "a line for each second: {log}");
    for line in log.lines() {
        let (time, fps) = line
            .strip_prefix("time:")
            .and_then(|line| line.split_once(";fps:"))
            .expect("the format");
        assert!(
            time.parse::<f64>().is_ok() && fps.parse::<u32>().is_ok(),
            "{line}"
        );
    }
    for file in [
        "frame-times-10.svg",
        "responsiveness.html",
        "responsiveness.csv",
    ] {
        assert!(directory.path().join(file).is_file(), "{file}");
    }
}
