//! Elections in simulated time, compared with theory.

use super::*;

fn study(sizes: &str, reps: u64, change: impl Fn(&mut Settings)) -> Study {
    let mut study = Study {
        sizes: sizes.parse().unwrap(),
        reps,
        ..Study::default()
    };
    change(&mut study.settings);
    study
}

/// Asserts that every mean is within four standard errors of theory, a bound that chance exceeds
/// once in ten thousand.
fn agrees(study: &Study) {
    for row in study.run(2, &|_| ()).unwrap() {
        let times: Vec<_> = row
            .runs
            .iter()
            .map(|run| run.time.expect("a leader").as_secs_f64() * 1e3)
            .collect();
        let count = times.len() as f64;
        let mean = row.time_ms.unwrap().mean;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let bound = 4.0 * (variance / count).sqrt();
        let off = (mean - row.theory_ms).abs();
        assert!(
            off < bound,
            "{} nodes: {mean} ms, by theory {} ms, at most {bound} apart",
            row.nodes,
            row.theory_ms
        );
    }
}

#[test]
fn first_timeout_becomes_the_first_leader() {
    agrees(&study("1,3,13,53,193", 300, |_| ()));
    let slow = |settings: &mut Settings| {
        settings.timeout = "1s..1200ms".parse().unwrap();
    };
    agrees(&study("5", 300, slow));
}

#[test]
fn polling_delays_the_first_timeout_as_theory_predicts() {
    agrees(&study("3,13,53,193", 300, |settings| {
        settings.poll = "50ms".parse().unwrap()
    }));
}

#[test]
fn crashed_leader_is_replaced_as_theory_predicts() {
    agrees(&study("3,13,53", 300, |settings| {
        settings.crash_leader = true
    }));
}

/// Two timers in one microsecond make two candidates, and the first gets every free vote.
#[test]
fn equal_timeouts_add_elections_but_split_no_vote() {
    let rows = study("101", 100, |settings| {
        settings.timeout = "150ms..151ms".parse().unwrap()
    })
    .run(2, &|_| ())
    .unwrap();
    assert!(
        rows[0].elections.unwrap().max > 1.0,
        "{:?}",
        rows[0].elections
    );
    assert_eq!((rows[0].split_votes, rows[0].unfinished), (0, 0));
}

#[test]
fn pre_vote_takes_no_time_without_message_delay() {
    let times = |pre_vote| {
        let rows = study("3,13,53", 20, |settings| settings.pre_vote = pre_vote)
            .run(2, &|_| ())
            .unwrap();
        rows.iter()
            .flat_map(|row| row.runs.iter().map(|run| run.time))
            .collect::<Vec<_>>()
    };
    assert_eq!(times(true), times(false));
}

#[test]
fn delay_and_loss_split_votes_but_a_leader_is_elected() {
    let rough = |settings: &mut Settings| {
        (settings.delay, settings.loss) = ("0..20ms".parse().unwrap(), "0..10%".parse().unwrap());
    };
    let rows = study("5,33", 40, rough).run(2, &|_| ()).unwrap();
    assert!(rows.iter().all(|row| row.unfinished == 0));
    assert!(
        rows[1].elections.unwrap().mean > 1.5,
        "{:?}",
        rows[1].elections
    );
    assert!(rows[1].time_ms.unwrap().mean > rows[1].theory_ms);
    assert!(rows.iter().map(|row| row.split_votes).sum::<u64>() > 0);
}

#[test]
fn run_without_messages_ends_without_a_leader() {
    let deaf = |settings: &mut Settings| {
        (settings.loss, settings.limit) = ("100%".parse().unwrap(), "2s".parse().unwrap());
    };
    let rows = study("3", 2, deaf).run(1, &|_| ()).unwrap();
    assert_eq!((rows[0].unfinished, rows[0].time_ms), (2, None));
    assert!(rows[0].split_votes > 2 && COLUMNS.json(&rows[0])["time_ms_mean"].is_null());
}

#[test]
fn rows_depend_on_the_seed_and_not_on_the_thread_count() {
    let rough = study("3,13", 30, |settings| {
        settings.delay = "0..20ms".parse().unwrap()
    });
    assert_eq!(
        rough.run(1, &|_| ()).unwrap(),
        rough.run(5, &|_| ()).unwrap()
    );
    assert_ne!(
        rough.run(1, &|_| ()).unwrap(),
        Study {
            seed: 2,
            ..rough.clone()
        }
        .run(1, &|_| ())
        .unwrap()
    );
}

/// Asserts little, because real time depends on the machine.
#[test]
fn nodes_on_threads_elect_a_leader() {
    let study = Study {
        world: World::Threads,
        ..study("1,5", 2, |_| ())
    };
    for row in study.run(2, &|_| ()).unwrap() {
        assert_eq!(row.unfinished, 0, "{row:?}");
        assert!(
            row.time_ms.unwrap().mean >= 150.0 && row.elections.unwrap().mean >= 1.0,
            "{row:?}"
        );
    }
}

#[test]
fn messages_and_steps_grow_with_the_number_of_nodes() {
    let rows = study("53..193/20", 3, |_| ()).run(2, &|_| ()).unwrap();
    let messages = results::messages_growth(&rows).unwrap();
    let steps = results::steps_growth(&rows).unwrap();
    assert!(
        (messages.slope - 2.0).abs() < 0.01,
        "a request and a vote for each: {messages:?}"
    );
    assert!(
        (0.95..1.05).contains(&messages.exponent) && (0.95..1.05).contains(&steps.exponent),
        "{messages:?} {steps:?}"
    );
}

#[test]
fn invalid_study_is_refused_with_a_hint() {
    let refused = |study: Study, hint: &str| {
        let error = study.check().unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    };
    assert_eq!(Study::default().check(), Ok(()));
    refused(
        study("1,3", 1, |settings| settings.crash_leader = true),
        "at least 3 nodes",
    );
    refused(study("3", 0, |_| ()), "not between 1 and");
    refused(study("3,5", u64::MAX, |_| ()), "not between 1 and");
    refused(
        study("3", 1, |settings| {
            settings.timeout = "50..90ms".parse().unwrap()
        }),
        "heartbeat",
    );
    let on_threads = |study: Study| Study {
        world: World::Threads,
        ..study
    };
    refused(
        on_threads(study("3", 1, |settings| settings.crash_leader = true)),
        "remove --crash-leader",
    );
    refused(on_threads(study("1001", 1, |_| ())), "at most 1000");
    let processes = |study: Study| Study {
        world: World::Processes,
        ..study
    };
    refused(processes(study("10", 1, |_| ())), "3 to 9");
    refused(
        processes(study("3", 1, |settings| {
            settings.poll = "50ms".parse().unwrap()
        })),
        "remove --delay",
    );
    refused(
        study("3", 1, |settings| settings.limit = "300ms".parse().unwrap()),
        "--limit",
    );
}

#[test]
fn csv_and_json_match_the_schema() {
    let study = study("3,13", 2, |_| ());
    let rows = study.run(1, &|_| ()).unwrap();
    let csv = results::csv(&rows);
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("cluster_size,run,time_to_leader_s,elections_held,"));
    assert_eq!(
        (lines.len(), lines[4].split(',').take(2).collect::<Vec<_>>()),
        (5, vec!["13", "2"])
    );
    let row = COLUMNS.json(&rows[0]);
    for name in [
        "nodes",
        "time_ms_mean",
        "time_ms_median",
        "time_ms_p95",
        "elections_mean",
        "split_votes",
        "messages_mean",
        "theory_ms",
    ] {
        assert!(row[name].is_number(), "{name} in {row}");
    }
    assert!(
        COLUMNS
            .table(&rows)
            .lines()
            .lines()
            .all(|line| line.len() <= 100)
    );
}
