//! The `lab` program: documents, exit codes and failed output.

use std::process::{Command, Output, Stdio};

fn lab(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .stdout(stdout)
        .output()
        .expect("the program can be started")
}

#[test]
fn experiments_write_documents_and_set_exit_codes() {
    let elections = [
        "elections",
        "--sizes",
        "3,5",
        "--reps",
        "4",
        "--json",
        "--assert",
    ];
    let unknown = lab(
        &[&elections[..], &["nodes_max<=5"]].concat(),
        Stdio::piped(),
    );
    assert_eq!(unknown.status.code(), Some(2), "there is no such quantity");
    let measured = lab(&elections[..6], Stdio::piped());
    assert_eq!(measured.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&measured.stdout).unwrap();
    assert_eq!(document["schema"], "raftian.lab.elections/1");
    let nodes: Vec<_> = document["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["nodes"].as_u64())
        .collect();
    assert_eq!(nodes, [Some(3), Some(5)]);
    let missed = lab(
        &[
            &elections[..5],
            &["--quiet", "--assert", "max_elections<=0"],
        ]
        .concat(),
        Stdio::piped(),
    );
    let errors = String::from_utf8_lossy(&missed.stderr);
    assert_eq!(missed.status.code(), Some(10), "{errors}");
}

#[cfg(target_os = "linux")]
#[test]
fn unwritable_stdout_is_an_error_but_a_closed_pipe_is_not() {
    let elections = ["elections", "--sizes", "3", "--reps", "1"];
    let full = std::fs::File::create("/dev/full").expect("the device exists");
    let full = lab(&elections, full);
    assert_eq!(full.status.code(), Some(1), "{full:?}");
    assert!(
        String::from_utf8_lossy(&full.stderr).contains("cannot write to standard output"),
        "{full:?}"
    );
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(lab(&elections, writer).status.code(), Some(0));
}
