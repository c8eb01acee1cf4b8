//! Orders: committed once, surviving crashes, and reported for what they are.

use crate::cluster::{Cluster, eventually, raftian};
use crate::healths;

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
        let a = cluster.status(follower);
        let b = cluster.status(other);
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
