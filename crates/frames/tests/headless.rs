//! The `frames` program without a display.

use std::process::{Command, Output};

fn frames(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_frames"))
        .args(arguments)
        .output()
        .expect("the program can be started")
}

#[test]
fn headless_frames_are_measured_for_each_node_placement() {
    let output = frames(&[
        "--headless",
        "--dots",
        "10",
        "--heartbeat",
        "50ms",
        "--fps",
        "60",
        "--seconds",
        "1",
        "--rounds",
        "1",
        "--orders",
        "5",
        "--json",
        "--progress",
        "never",
    ]);
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["schema"], "raftian.lab.responsiveness/1");
    let rows = document["rows"].as_array().expect("rows");
    let servers: Vec<_> = rows
        .iter()
        .map(|row| row["server"].as_str().expect("a name"))
        .collect();
    assert_eq!(servers, ["none", "schedule", "thread", "process"]);
    for row in rows {
        // A busy machine may lower the frame rate, so only the cap is an upper bound.
        let fps = row["fps_mean"].as_f64().expect("a number");
        assert!((1.0..=66.0).contains(&fps), "{row}");
        assert!(row["adapter"].is_null(), "nothing draws: {row}");
        let in_window = ["schedule", "thread"].contains(&row["server"].as_str().expect("a name"));
        assert_eq!(row["led"].is_number(), in_window, "{row}");
        assert_eq!(
            row["orders"].as_u64().expect("a number") > 0,
            in_window,
            "{row}"
        );
        assert_eq!(
            row["messages_per_s"]
                .as_f64()
                .is_some_and(|sent| sent > 0.0),
            in_window,
            "{row}"
        );
    }
}

#[test]
fn invalid_scene_is_rejected_with_a_reason() {
    for (scene, code, hint) in [
        ("{}", 2, "the scene cannot be read"),
        (
            r#"{"dots":1,"fps":null,"warm_up":0.0,"seconds":1,"headless":true,"orders":0.0,"seed":1,
                "node":{"file":"/nowhere/node.toml","in_schedule":false}}"#,
            3,
            "/nowhere/node.toml",
        ),
    ] {
        let output = frames(&["window", scene]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}");
        assert!(words.contains(hint), "{words}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn unwritable_stdout_is_an_error() {
    let full = std::fs::File::create("/dev/full").expect("the device exists");
    let output = Command::new(env!("CARGO_BIN_EXE_frames"))
        .args(["--headless", "--dots", "1", "--server", "none"])
        .args(["--seconds", "1", "--rounds", "1", "--progress", "never"])
        .stdout(full)
        .output()
        .expect("the program can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("cannot write to standard output"),
        "{errors}"
    );
}

#[test]
fn misspelt_log_level_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_frames"))
        .args(["window", "{}"])
        .env("RAFTIAN_LOG", "inf")
        .output()
        .expect("the program can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("is not a log level"), "{errors}");
}
