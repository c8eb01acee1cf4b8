//! The real program: separate processes, sockets, disks and kill signals.

mod cluster;

use cluster::{Cluster, eventually, raftian};

/// Health of each of the five cities, from a status document.
fn healths(status: &serde_json::Value) -> Vec<i64> {
    let cities = status["cities"]
        .as_array()
        .expect("a status lists the cities");
    cities
        .iter()
        .map(|city| city["health"].as_i64().expect("a city has health"))
        .collect()
}

#[test]
fn orders_survive_a_killed_leader_and_members_converge() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let follower = leader % 3 + 1;
    let other = follower % 3 + 1;

    // An order proposed at a follower is committed and applied by all.
    let first = cluster.order(follower, 3);
    assert_eq!(
        (first["ok"].as_bool(), first["effect"].as_str()),
        (Some(true), Some("hit"))
    );
    for id in 1..=3 {
        eventually("the order is applied", || {
            healths(&cluster.status(id)) == [100, 100, 70, 100, 100]
        });
    }

    // After `kill -9` of the leader, the next order commits in a later term.
    cluster.kill(leader);
    let second = cluster.order(follower, 3);
    assert!(
        second["term"].as_u64() > first["term"].as_u64(),
        "a new leader leads a later term: {first} {second}"
    );
    assert!(second["index"].as_u64() > first["index"].as_u64());
    eventually("the survivors agree", || {
        let (a, b) = (cluster.status(follower), cluster.status(other));
        healths(&a)[2] == 40 && a["state_hash"] == b["state_hash"] && a["applied"] == b["applied"]
    });

    // The killed member restarts from its disk and misses nothing.
    cluster.start(leader);
    cluster.order(leader, 1);
    eventually("all three members have equal state", || {
        let statuses: Vec<_> = (1..=3).map(|id| cluster.status(id)).collect();
        let wanted = [70, 100, 40, 100, 100];
        statuses.iter().all(|status| {
            healths(status) == wanted
                && status["state_hash"] == statuses[0]["state_hash"]
                && status["applied"] == statuses[0]["applied"]
        })
    });
}

#[test]
fn cluster_keeps_committed_orders_across_a_power_loss() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    for city in [1, 2, 2, 3, 3, 3, 5, 5, 5, 5] {
        cluster.order(2, city);
    }
    let before = cluster.status(2);
    for id in 1..=3 {
        cluster.kill(id);
    }
    cluster.start_all();
    for id in 1..=3 {
        eventually("every order is restored", || {
            healths(&cluster.status(id)) == [70, 40, 10, 100, -20]
        });
    }
    assert!(cluster.status(1)["applied"].as_u64() >= before["applied"].as_u64());
}

#[test]
fn member_down_for_long_catches_up_by_snapshot() {
    let mut cluster = Cluster::new(3);
    cluster.snapshot_every(5);
    cluster.start_all();
    cluster.order(1, 2);
    let dead = cluster.leader() % 3 + 1;
    let other = dead % 3 + 1;
    cluster.kill(dead);
    let cities = [1, 1, 3].into_iter().chain([4; 22]);
    for city in cities {
        cluster.order(other, city);
    }
    eventually("the entries it needs are dropped", || {
        cluster.status(other)["log_after"].as_u64() > Some(10)
    });
    cluster.start(dead);
    let wanted = [40, 70, 70, -20, 100];
    eventually("it shows the same cities as the others", || {
        healths(&cluster.status(dead)) == wanted
    });
    let status = cluster.status(dead);
    assert!(
        status["snapshot"].as_u64() > Some(10) && status["log_after"].as_u64() > Some(10),
        "{status}"
    );
    eventually("all three members have equal state", || {
        let states: Vec<_> = (1..=3)
            .map(|id| cluster.status(id))
            .map(|s| (s["applied"].clone(), s["state_hash"].clone()))
            .collect();
        states.iter().all(|state| *state == states[0])
    });
    let standings = status["membership"]["members"]
        .as_array()
        .expect("it lists the members")
        .clone();
    assert!(
        standings.len() == 3 && standings.iter().all(|member| member["standing"] == "voter"),
        "{standings:?}"
    );

    // Every member also restarts from its own snapshot.
    (1..=3).for_each(|id| cluster.kill(id));
    cluster.start_all();
    cluster.order(dead, 5);
    for id in 1..=3 {
        eventually("every order is restored", || {
            healths(&cluster.status(id)) == [40, 70, 70, -20, 70]
        });
    }
    let text = raftian(&["status", "--config", cluster.config(dead)]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("the log begins after #") && text.contains("members    n1; n2; n3"),
        "{text}"
    );
}

#[test]
fn fallen_city_takes_orders_without_effect() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    for _ in 0..4 {
        assert_eq!(cluster.order(1, 4)["effect"], "hit");
    }
    let fifth = cluster.order(1, 4);
    assert_eq!(
        (fifth["effect"].as_str(), fifth["health"].as_i64()),
        (Some("already dead"), Some(-20))
    );
}

#[test]
fn node_with_a_foreign_key_is_refused() {
    let mut cluster = Cluster::new(3);
    cluster.start(1);
    cluster.start(2);
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

#[test]
fn order_without_a_majority_times_out_with_exit_code_5() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    cluster.order(1, 1);
    cluster.kill(2);
    cluster.kill(3);
    let asked = raftian(&[
        "order",
        "--config",
        cluster.config(1),
        "attack",
        "1",
        "--timeout",
        "1",
        "--json",
    ]);
    assert_eq!(asked.status.code(), Some(5), "{asked:?}");
    let document: serde_json::Value =
        serde_json::from_slice(&asked.stdout).expect("a failure is a document too");
    assert_eq!(
        (document["ok"].as_bool(), document["schema"].as_str()),
        (Some(false), Some("raftian.order/1"))
    );
    assert_eq!(
        healths(&cluster.status(1)),
        [70, 100, 100, 100, 100],
        "nothing changes before it is committed"
    );
    // A timed-out order may still take effect once, later.
    cluster.start(2);
    eventually("the order takes effect once", || {
        healths(&cluster.status(1))[0] == 40
    });
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

#[cfg(unix)]
#[test]
fn interrupted_order_warns_that_it_may_take_effect() {
    let mut cluster = Cluster::new(3);
    // Alone, n1 cannot commit, so the order stays pending.
    cluster.start(1);
    let order = std::process::Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args([
            "order",
            "--config",
            cluster.config(1),
            "attack",
            "1",
            "--timeout",
            "60",
            "--json",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program can be started");
    eventually("the order waits at its member", || {
        cluster.status(1)["pending"].as_u64() == Some(1)
    });
    let sent = std::process::Command::new("kill")
        .args(["-INT", &order.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = order.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert!(
        String::from_utf8_lossy(&ended.stderr).contains("may still take effect"),
        "{ended:?}"
    );
    let document: serde_json::Value =
        serde_json::from_slice(&ended.stdout).expect("a failure is a document too");
    assert_eq!(
        (document["ok"].as_bool(), document["exit_code"].as_u64()),
        (Some(false), Some(130))
    );
    (2..=3).for_each(|id| cluster.start(id));
    eventually("it takes effect once", || {
        healths(&cluster.status(1))[0] == 70
    });
}

/// The member receives the order and stops before it replies, so the order may still be committed.
#[cfg(unix)]
#[test]
fn order_to_an_unresponsive_member_has_unknown_outcome() {
    let mut cluster = Cluster::new(3);
    // Alone, n1 cannot commit, so the order stays pending.
    cluster.start(1);
    let order = std::process::Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args([
            "order",
            "--config",
            cluster.config(1),
            "attack",
            "4",
            "--timeout",
            "5",
        ])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program can be started");
    eventually("the order waits at its member", || {
        cluster.status(1)["pending"].as_u64() == Some(1)
    });
    cluster.signal(1, "STOP");
    let ended = order.wait_with_output().expect("it ends");
    cluster.signal(1, "CONT");
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    assert!(
        String::from_utf8_lossy(&ended.stderr).contains("may have been committed or not"),
        "{ended:?}"
    );
    (2..=3).for_each(|id| cluster.start(id));
    eventually("it takes effect once", || {
        healths(&cluster.status(1))[3] == 70
    });
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
fn unknown_city_is_refused_before_it_is_proposed() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    let before = cluster.status(1)["last_index"].as_u64();
    let output = raftian(&["order", "--config", cluster.config(1), "attack", "9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no city 9"));
    assert_eq!(cluster.status(1)["last_index"].as_u64(), before);
}

#[test]
fn damaged_store_is_named_and_refused() {
    let mut cluster = Cluster::new(1);
    cluster.start_all();
    cluster.order(1, 1);
    cluster.terminate(1);
    let store = cluster.store(1);
    let mut bytes = std::fs::read(&store).expect("the store is a file");
    for byte in bytes.iter_mut().skip(4096) {
        *byte ^= 0x5a;
    }
    std::fs::write(&store, bytes).expect("the store can be written");
    let output = raftian(&["node", "--config", cluster.config(1)]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{words}");
    assert!(
        words.contains("raft.redb") && words.contains("damaged"),
        "{words}"
    );
}

/// A vote or an acknowledged order must not be lost with the disk that stored it: the member
/// refuses to start, and the others continue.
#[test]
fn member_with_a_lost_or_older_store_refuses_to_start() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let stray = leader % 3 + 1;
    cluster.order(leader, 1);
    cluster.kill(stray);
    let store = cluster.store(stray);
    let copy = std::fs::read(&store).expect("the store is a file");
    cluster.start(stray);
    cluster.order(leader, 2);
    let target = cluster.status(leader)["last_index"].as_u64();
    eventually("the member has the order too", || {
        cluster.status(stray)["last_index"].as_u64() >= target
    });
    cluster.kill(stray);
    let newest = std::fs::read(&store).expect("the store is a file");

    let refused = |word: &str| {
        let output = raftian(&["node", "--config", cluster.config(stray)]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{words}");
        assert!(
            words.contains("raft.redb") && words.contains("raft.mark") && words.contains(word),
            "{words}"
        );
    };
    std::fs::write(&store, copy).expect("the store can be written");
    refused("older");
    std::fs::remove_dir_all(store.parent().expect("it is in a directory"))
        .expect("it can be removed");
    refused("gone");
    cluster.order(leader, 3);

    // With its newest store restored, the member may start again.
    std::fs::create_dir(store.parent().expect("it was in a directory")).expect("it can be created");
    std::fs::write(&store, newest).expect("the store can be written");
    cluster.start(stray);
    cluster.order(stray, 4);
}

/// The machine itself cannot detect that both store and mark are old, but the leader remembers
/// later acknowledgements of the member.
#[test]
fn member_restored_from_a_backup_joins_again() {
    let mut cluster = Cluster::new(3);
    cluster.start_all();
    let leader = cluster.leader();
    let restored = leader % 3 + 1;
    let other = restored % 3 + 1;
    cluster.order(leader, 1);
    cluster.terminate(restored);
    let backup = cluster.back_up(restored);
    cluster.start(restored);
    for city in [2, 3, 4, 5] {
        cluster.order(leader, city);
    }
    let committed = cluster.status(leader)["commit"].as_u64();
    eventually("the member has acknowledged them", || {
        cluster.status(restored)["last_index"].as_u64() >= committed
    });
    cluster.terminate(restored);
    cluster.put_back(restored, &backup);
    cluster.start(restored);
    let standing = || {
        let members = cluster.status(leader)["membership"]["members"].clone();
        let member = members
            .as_array()?
            .iter()
            .find(|member| member["id"] == restored)?
            .clone();
        Some((
            member["standing"].as_str()?.to_owned(),
            member["incarnation"].as_u64()?,
        ))
    };
    eventually("it votes again under another incarnation", || {
        standing().is_some_and(|(standing, incarnation)| standing == "voter" && incarnation != 0)
    });
    // With `other` down, a commit needs the restored member's acknowledgement.
    cluster.kill(other);
    let order = cluster.order(leader, 1);
    assert_eq!(
        order["effect"].as_str(),
        Some("hit"),
        "two of three are a majority: {order}"
    );
    eventually("the restored member applies the order", || {
        healths(&cluster.status(restored)) == [40, 70, 70, 70, 70]
    });
}

/// Two of three machines are restored from backups and commit another history without the third.
/// The third has committed orders that the others lack, and must not rejoin them.
#[test]
fn node_with_contradicted_committed_orders_stops() {
    let mut cluster = Cluster::new(3);
    // A restart keeps only the snapshot's commit index, so the third member needs a snapshot.
    cluster.snapshot_every(8);
    cluster.start_all();
    for id in 1..=3 {
        cluster.terminate(id);
    }
    let backups = [1, 2].map(|id| cluster.back_up(id));
    cluster.start_all();
    for city in 1..=5 {
        (0..4).for_each(|_| drop(cluster.order(3, city)));
    }
    eventually("a snapshot covers some of them", || {
        cluster.status(3)["snapshot"].as_u64() >= Some(8)
    });
    for id in 1..=3 {
        cluster.terminate(id);
    }
    for (id, backup) in (1..).zip(&backups) {
        cluster.put_back(id, backup);
    }
    // Two restarts, so that the other history is in later terms.
    for _ in 0..2 {
        (1..=2).for_each(|id| cluster.start(id));
        cluster.leader();
        for id in 1..=2 {
            cluster.terminate(id);
        }
    }
    (1..=2).for_each(|id| cluster.start(id));
    cluster.order(1, 1);
    let output = cluster.run_to_its_end(3);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{words}");
    assert!(
        words.contains("is committed here") && words.contains(" leads with t"),
        "{words}"
    );
    cluster.order(2, 2);
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
