//! The program itself: keys, streams, signals, exit codes and output.

use crate::cluster::{Cluster, eventually, raftian};
use crate::healths;

#[test]
fn node_with_a_foreign_key_is_refused() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    cluster.terminate(3);
    cluster.leader();
    // It claims to be n3, with a key that the others do not accept.
    cluster.forge_key(3);
    cluster.start(3);
    eventually("its handshakes are refused", || {
        cluster.status(1)["refused_handshakes"].as_u64() > Some(0)
    });
    let committed = cluster.order(1, 2);
    assert_eq!(
        committed["ok"].as_bool(),
        Some(true),
        "the two others are a majority without it"
    );
    let forged = cluster.status(3);
    assert_eq!(
        (forged["leader"].as_u64(), healths(&forged)[1]),
        (None, 100),
        "it learns nothing"
    );
    // The forged key works only for n3's own service, not for another member's.
    let refused = raftian(&["status", "--config", cluster.config(3), "--json"]);
    assert!(refused.status.success(), "its own service accepts it");
    // The status text must distinguish a wrong key from a member that is down.
    eventually("the status text reports the refused key", || {
        let text = raftian(&["status", "--config", cluster.config(1)]);
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        text.lines()
            .any(|line| line.contains("(n3)") && line.contains("refused: there is another key"))
    });
    cluster.kill(3);
    cluster.point_at(3, 1);
    assert_eq!(
        raftian(&["status", "--config", cluster.config(3)])
            .status
            .code(),
        Some(9),
        "another member's service refuses it"
    );
}

/// A full disk, and a pipe whose reader has exited: `2>&1 | head -1`.
#[cfg(target_os = "linux")]
#[test]
fn members_keep_running_when_logs_cannot_be_written() {
    let mut cluster = Cluster::new(3);
    cluster.start(1);
    let full = std::fs::File::create("/dev/full").expect("the device exists");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    cluster.start_with(2, &["node", "--log-level", "debug"], |program| {
        program.stderr(full);
    });
    cluster.start_with(3, &["node", "--log-level", "debug"], |program| {
        program.stderr(writer);
    });
    cluster.order(1, 1);
    // A task that fails to log must not prevent a member from reconnecting.
    cluster.kill(1);
    cluster.order(2, 2);
    cluster.start(1);
    cluster.order(1, 3);
    for id in 2..=3 {
        assert!(cluster.runs(id), "n{id}");
        assert!(
            cluster.status(id)["lost_log_lines"].as_u64() > Some(0),
            "n{id} does not count lost log lines"
        );
    }
}

/// Each request must release its client slot when it is done.
#[test]
fn hundreds_of_status_requests_in_a_row_succeed() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    for number in 0..200 {
        let asked = raftian(&["status", "--config", cluster.config(1)]);
        assert!(asked.status.success(), "request {number}: {asked:?}");
    }
}

/// Standard output is a pipe that is full and never read.
#[cfg(target_os = "linux")]
#[test]
fn member_with_a_full_stdout_pipe_serves_requests() {
    use std::io::Write;
    /// Capacity of a pipe, pipe(7).
    const PIPE_BYTES: usize = 65_536;
    let mut cluster = Cluster::new(1);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer
        .write_all(&[b'x'; PIPE_BYTES])
        .expect("that much fits");
    cluster.start_with(1, &["node"], |program| {
        program.stdout(writer);
    });
    cluster.order(1, 1);
    assert_eq!(cluster.terminate(1), Some(143));
    drop(reader);
}

#[cfg(target_os = "linux")]
#[test]
fn unwritable_stdout_is_an_error_but_a_closed_pipe_is_not() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    let config = cluster.config(1);
    let run = |stdout: std::process::Stdio| {
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_raftian"))
            .args(["status", "--config", config])
            .stdout(stdout)
            .output();
        program.expect("the program can be started")
    };
    let full = run(std::fs::File::create("/dev/full")
        .expect("the device exists")
        .into());
    assert_eq!(full.status.code(), Some(1), "{full:?}");
    assert!(
        String::from_utf8_lossy(&full.stderr).contains("cannot write to standard output"),
        "{full:?}"
    );
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(run(writer.into()).status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn key_that_others_can_read_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    let key = std::path::Path::new(cluster.config(1)).with_file_name("key.pem");
    let warning = || {
        String::from_utf8_lossy(&raftian(&["status", "--config", cluster.config(1)]).stderr)
            .into_owned()
    };
    assert_eq!(warning(), "");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("it is our file");
    assert!(
        warning().contains(&format!("chmod 600 {}", key.display())),
        "{}",
        warning()
    );
}

#[test]
fn interrupted_leader_transfers_leadership_and_exits_143() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let follower = leader % 3 + 1;
    let term = cluster.status(follower)["term"]
        .as_u64()
        .expect("a status has a term");
    assert_eq!(cluster.terminate(leader), Some(143));
    eventually("another member leads", || {
        let status = cluster.status(follower);
        status["leader"].as_u64().is_some_and(|now| now != leader)
            && status["term"].as_u64() > Some(term)
    });
}

#[test]
fn invalid_usage_exits_with_its_code_and_a_hint() {
    let cluster = Cluster::new(1);
    let cases: [(&[&str], i32, &str); 8] = [
        (&["status", "--config", cluster.config(1)], 4, "running"),
        (
            &["status", "--config", "/nowhere/node.toml"],
            3,
            "/nowhere/node.toml",
        ),
        (
            &["order", "--config", cluster.config(1), "attack", "seven"],
            2,
            "invalid value",
        ),
        (&["frobnicate"], 2, "unrecognized"),
        (
            &["cluster", "new", cluster.directory(), "--nodes", "3"],
            3,
            "not empty",
        ),
        (
            &["node", "--config", cluster.config(1), "--log-level", "=="],
            2,
            "--log-level",
        ),
        (
            &["node", "--config", cluster.config(1), "--log-level", "wran"],
            2,
            "\"wran\" is not a log level",
        ),
        (
            &["node", "--config", cluster.config(1)],
            4,
            "another program uses it",
        ),
    ];
    // Occupies the member's port for the last case.
    let port = std::net::UdpSocket::bind(cluster.address(1)).expect("the port is free");
    for (arguments, code, word) in cases {
        let output = raftian(arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        assert!(
            words.contains(word),
            "{arguments:?} should mention {word:?}: {words}"
        );
    }
    drop(port);
}

#[test]
fn status_text_names_the_leader_and_the_cities() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let output = raftian(&["status", "--config", cluster.config(leader)]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains(&format!("(n{leader})")) && text.contains("P5 100 hp"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn members_are_listed_with_their_disks_and_links() {
    let mut cluster = Cluster::new(3);
    cluster.start(1);
    let text = |cluster: &Cluster| {
        let output = raftian(&["members", "--config", cluster.config(1)]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(text(&cluster).contains("not founded yet"));
    cluster.start(2);
    cluster.start(3);
    let leader = cluster.leader();
    let list = || {
        let output = raftian(&["members", "--config", cluster.config(1), "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("a document")
    };
    eventually("all are connected", || {
        let document = list();
        let members = document["members"].as_array().cloned().unwrap_or_default();
        members.len() == 3 && members.iter().all(|member| member["connected"] == true)
    });
    let document = list();
    assert_eq!(document["schema"], "raftian.members/1");
    let members = document["members"].as_array().expect("a list");
    let mut incarnations = std::collections::BTreeSet::new();
    for (id, member) in (1_u64..).zip(members) {
        assert_eq!(
            (member["id"].as_u64(), &member["kind"]),
            (Some(id), &"voter".into())
        );
        assert_eq!(member["leads"] == true, id == leader, "{member}");
        assert_eq!(member["addresses"][0], cluster.address(id));
        let fingerprint = member["fingerprint"].as_str().expect("a hash");
        assert!(fingerprint.starts_with("sha256:"), "{fingerprint}");
        incarnations.insert(member["incarnation"].as_u64());
    }
    assert_eq!(incarnations.len(), 3, "each disk has its own");
    assert!(text(&cluster).contains(", leads"));
}
