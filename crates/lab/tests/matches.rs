//! Output, files and exit codes of `cargo lab failover`, `partition` and `churn`.

use std::process::{Command, Output};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .output()
        .expect("the program is there")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Each experiment, small.
const SMALL: [(&str, &[&str], usize); 3] = [
    ("failover", &["--sizes", "2,3,5", "--reps", "4"], 3),
    ("partition", &["--for", "1s", "--reps", "3"], 6),
    (
        "churn",
        &[
            "--minutes",
            "0.5",
            "--every",
            "2s",
            "--reps",
            "3",
            "--loss",
            "1%",
        ],
        3,
    ),
];

#[test]
fn document_depends_on_the_seed_and_not_on_threads() {
    for (name, arguments, rows) in SMALL {
        let document = |jobs, seed| {
            let arguments = [
                &[name],
                arguments,
                &["--json", "--quiet", "--jobs", jobs, "--seed", seed],
            ]
            .concat();
            let output = lab(&arguments);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{arguments:?}: {}",
                error(&output)
            );
            String::from_utf8(output.stdout).expect("text")
        };
        let first = document("1", "7");
        assert_eq!(first, document("3", "7"), "{name}");
        let (one, other): (Value, Value) = (
            serde_json::from_str(&first).unwrap(),
            serde_json::from_str(&document("1", "8")).unwrap(),
        );
        assert_ne!(one["rows"], other["rows"], "{name}");
        assert_eq!(
            (one["schema"].as_str(), &one["ok"]),
            (Some(&*format!("raftian.lab.{name}/1")), &Value::Bool(true))
        );
        assert_eq!(one["rows"].as_array().map(Vec::len), Some(rows), "{name}");
        for none in ["lost", "doubled", "unequal", "unfinished"] {
            assert_eq!(
                one["quantities"][none].as_f64(),
                Some(0.0),
                "{name}: {none}"
            );
        }
    }
}

#[test]
fn killed_process_restarts_and_no_order_is_lost() {
    let arguments = [
        "failover",
        "--real-processes",
        "3",
        "--reps",
        "1",
        "--down",
        "500ms",
        "--json",
        "--quiet",
    ];
    let output = lab(&[
        &arguments[..],
        &["--assert", "lost==0", "--assert", "doubled==0"],
    ]
    .concat());
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(
        (&document["schema"], &document["ok"]),
        (&"raftian.lab.failover/1".into(), &true.into())
    );
    assert_eq!(
        (&document["params"]["world"], &document["params"]["disk_ms"]),
        (&"processes".into(), &Value::Null)
    );
    let row = &document["rows"][0];
    assert_eq!(
        (&row["machines"], &row["matches"], &row["steps"]),
        (&3.into(), &1.into(), &Value::Null)
    );
    for none in ["lost", "doubled", "unequal", "unfinished"] {
        assert_eq!(row[none], 0, "{row}");
    }
    for some in [
        "stop_ms_mean",
        "leader_ms_mean",
        "theory_leader_ms",
        "catch_up_ms_mean",
        "orders",
    ] {
        assert!(
            row[some].as_f64().is_some_and(|some| some > 0.0),
            "{some}: {row}"
        );
    }
}

#[test]
fn violation_exits_8_and_is_named() {
    for (bug, word) in [
        ("lost", "which has none"),
        ("doubled", "had two effects"),
        ("diverged", "not that of the others"),
    ] {
        let arguments = [
            "failover",
            "--sizes",
            "3",
            "--reps",
            "3",
            "--loss",
            "20%",
            "--plant",
            bug,
            "--assert",
            "lost<=1000",
        ];
        let output = lab(&arguments);
        assert_eq!(output.status.code(), Some(8), "{bug}: {}", error(&output));
        assert!(
            error(&output).contains(word) && error(&output).contains("replay: cargo lab"),
            "{}",
            error(&output)
        );
    }
}

#[test]
fn stop_matches_theory_and_can_be_bounded() {
    let bounds = [
        "leader_off_percent_max<12",
        "stop_ms_p95<700",
        "lost==0",
        "doubled==0",
        "unfinished==0",
    ];
    let mut arguments = vec![
        "failover", "--sizes", "3,5", "--reps", "80", "--delay", "2ms", "--quiet",
    ];
    bounds
        .iter()
        .for_each(|bound| arguments.extend(["--assert", bound]));
    let output = lab(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let output = lab(&[
        "failover",
        "--sizes",
        "3",
        "--reps",
        "2",
        "--assert",
        "stop_ms_max<1",
    ]);
    assert_eq!(output.status.code(), Some(10), "{}", error(&output));
    assert!(
        error(&output).contains("failed: asked stop_ms_max<1, measured"),
        "{}",
        error(&output)
    );
}

#[test]
fn invalid_option_exits_2_with_a_hint() {
    for (arguments, hint) in [
        (&["failover", "--assert", "speed<=3"][..], "stop_ms_max"),
        (&["failover", "--sizes", "1"], "at least 2"),
        (&["failover", "--sizes", "65"], "at most 64"),
        (&["failover", "--reps", "0"], "between 1 and"),
        (&["failover", "--rate", "0"], "--rate"),
        (
            &["failover", "--rate", "1000", "--down", "1000s"],
            "lower --rate",
        ),
        (&["failover", "--patience", "0"], "--patience"),
        (&["failover", "--loss", "100%"], "below 100%"),
        (&["failover", "--timeout", "40..60ms"], "heartbeat"),
        (&["failover", "--who", "nobody"], "possible values"),
        (&["failover", "--real-processes", "2"], "3..=9"),
        (&["failover", "--real-processes", "10"], "3..=9"),
        (
            &["failover", "--real-processes", "3", "--delay", "5ms"],
            "cannot be used with",
        ),
        (
            &["failover", "--real-processes", "3", "--sizes", "3"],
            "cannot be used with",
        ),
        (
            &[
                "failover",
                "--real-processes",
                "9",
                "--rate",
                "1000",
                "--down",
                "3s",
            ],
            "lower --rate",
        ),
        (&["partition", "--shape", "star"], "one-way-in"),
        (&["partition", "--machines", "2"], "at least 3"),
        (&["partition", "--for", "2"], "write 2ms"),
        (&["partition", "--for", "10ms"], "--for"),
        (&["churn", "--every", "1ms"], "--every"),
        (&["churn", "--machines", "2"], "at least 3"),
        (&["churn", "--minutes", "0"], "--minutes"),
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

#[test]
fn tables_fit_and_reports_are_complete() {
    for (name, arguments, rows) in SMALL {
        let folder = tempfile::tempdir().expect("a folder");
        let output = lab(&[
            &[name],
            arguments,
            &["--out", &folder.path().to_string_lossy()],
        ]
        .concat());
        assert_eq!(output.status.code(), Some(0), "{}", error(&output));
        let table = String::from_utf8(output.stdout).expect("text");
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(
            widest.is_some_and(|widest| widest <= 120),
            "{name}: {table}"
        );
        let head = table.lines().nth(2).map(|line| line.chars().count());
        assert!(head.is_some_and(|head| head <= 100), "{name}: {table}");
        let read = |ending: &str| {
            std::fs::read(folder.path().join(format!("{name}.{ending}"))).expect("a file")
        };
        let lines = String::from_utf8(read("csv"))
            .expect("text")
            .lines()
            .count();
        assert!(lines > rows, "{name}: {lines} lines");
        assert!(
            String::from_utf8(read("html"))
                .expect("text")
                .matches("<svg")
                .count()
                >= 1,
            "{name}"
        );
        assert!(
            serde_json::from_slice::<Value>(&read("json")).is_ok(),
            "{name}"
        );
    }
}

#[cfg(unix)]
#[test]
fn chaos_accounts_for_every_order() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("chaos.json");
    let path = file.to_str().expect("a temporary path is text");
    let seed = "7";
    let played = lab(&[
        "chaos",
        "--minutes",
        "0.1",
        "--machines",
        "3",
        "--seed",
        seed,
        "--json",
        path,
    ]);
    assert!(played.status.success(), "seed {seed}: {played:?}");
    let text = std::fs::read_to_string(file).expect("the file is written");
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(
        (&document["lost"], &document["doubled"]),
        (&0.into(), &0.into())
    );
    assert_eq!(document["equal_states"], true);
    assert_eq!(document["faults"].as_array().map(Vec::len), Some(10));
    assert!(document["acknowledged"].as_u64() > Some(6), "{document}");
}

#[test]
fn chaos_of_no_length_is_a_usage_error() {
    let refused = lab(&["chaos", "--minutes", "0"]);
    assert_eq!(refused.status.code(), Some(2), "{}", error(&refused));
}
