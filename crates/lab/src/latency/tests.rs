use super::*;

fn short(nodes: u64, origins: Vec<Origin>) -> Study {
    let only = |rate| List(vec![Rate(rate)]);
    Study {
        nodes: Sizes(vec![nodes]),
        rtts: "10ms".parse().unwrap(),
        losses: "0".parse().unwrap(),
        rates: only(20.0),
        origins,
        seconds: 0.5,
        ..Study::default()
    }
}

#[test]
fn one_value_varies_at_a_time_unless_full_is_set() {
    let study = Study::default();
    assert_eq!(
        (study.cells().len(), study.grid().len()),
        (1 + 3 + 3 + 2 + 2, 4 * 4 * 3 * 3)
    );
    let centre = study.centre();
    assert_eq!(
        (
            centre.nodes,
            centre.rtt.as_millis(),
            centre.loss,
            centre.rate
        ),
        (3, 20, 0.0, 10.0)
    );
    let full = Study {
        full: true,
        ..study
    };
    assert_eq!(full.cells(), full.grid());
    let elsewhere = Study {
        nodes: Sizes(vec![5, 8]),
        rtts: "80,200ms".parse().unwrap(),
        ..full
    };
    assert_eq!(
        (elsewhere.centre().nodes, elsewhere.centre().rtt.as_millis()),
        (5, 80)
    );
}

#[test]
fn theory_has_one_round_trip_at_leader_and_two_at_follower() {
    let cell = Study::default().centre();
    let frame = 1e3 / 60.0 / 2.0;
    assert!((cell.theory_ms(Origin::Leader, 2.0) - (20.0 + 2.0 + frame)).abs() < 1e-9);
    assert!((cell.theory_ms(Origin::Follower, 2.0) - (40.0 + 2.0 + frame)).abs() < 1e-9);
}

#[test]
fn invalid_study_is_refused_with_its_option() {
    let study = Study::default();
    assert_eq!(study.check(), Ok(()));
    for (wrong, option) in [
        (
            Study {
                nodes: Sizes(vec![1]),
                ..study.clone()
            },
            "--nodes",
        ),
        (
            Study {
                nodes: Sizes(vec![9]),
                ..study.clone()
            },
            "--nodes",
        ),
        (
            Study {
                rtts: "2s".parse().unwrap(),
                ..study.clone()
            },
            "--rtt",
        ),
        (
            Study {
                losses: "60%".parse().unwrap(),
                ..study.clone()
            },
            "--loss",
        ),
        (
            Study {
                losses: "0..5%".parse().unwrap(),
                ..study.clone()
            },
            "--loss",
        ),
        (
            Study {
                fps: f64::NAN,
                ..study.clone()
            },
            "--fps",
        ),
        (
            Study {
                seconds: 0.0,
                ..study.clone()
            },
            "--seconds",
        ),
        (
            Study {
                rates: List(vec![Rate(1e3)]),
                seconds: 1e3,
                ..study
            },
            "--seconds",
        ),
    ] {
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.contains(option), "{error}, expected {option}");
    }
}

#[test]
fn real_orders_are_all_displayed_and_their_parts_add_up() {
    let study = short(3, vec![Origin::Leader, Origin::Follower]);
    let rows = study
        .measure(&study.centre(), &std::env::temp_dir())
        .unwrap();
    assert_eq!(
        rows.iter().map(|row| row.origin).collect::<Vec<_>>(),
        study.origins
    );
    for row in &rows {
        assert_eq!((row.measured.orders.len(), row.measured.lost), (10, 0));
        for parts in &row.measured.orders {
            let trips = if row.origin == Origin::Leader { 1 } else { 2 };
            assert!(
                parts.network + parts.disk >= Duration::from_millis(10) * trips,
                "faster than the network: {parts:?}"
            );
            let sum: f64 = parts.millis().iter().sum();
            assert!((sum - parts.total().as_secs_f64() * 1e3).abs() < 1e-6);
        }
        let (json, mean): (Value, f64) = (results::COLUMNS.json(row), row.parts_ms().iter().sum());
        assert!(
            (json["mean_ms"].as_f64().unwrap() - mean).abs() < 0.01,
            "{json}"
        );
    }
    let quantities = results::COLUMNS.quantities(&rows);
    assert!(
        quantities.contains(&("orders", 20.0)) && quantities.contains(&("lost", 0.0)),
        "{quantities:?}"
    );
    assert!(
        results::COLUMNS
            .table(&rows)
            .lines()
            .lines()
            .all(|line| line.chars().count() <= 100)
    );
    assert_eq!(results::csv(&rows).lines().count(), 1 + 20);
    for (name, chart) in charts::all(&study, &rows) {
        assert!(chart.svg().is_ok(), "{name}");
    }
}

#[test]
fn virtual_order_takes_exactly_the_lower_bound() {
    let write = Time(Duration::from_micros(700));
    let study = Study {
        world: World::Virtual(write),
        seconds: 5.0,
        ..short(5, vec![Origin::Leader, Origin::Follower])
    };
    let rows = study
        .measure(&study.centre(), &std::env::temp_dir())
        .unwrap();
    for row in &rows {
        assert_eq!(
            (
                row.measured.orders.len(),
                row.measured.lost,
                row.measured.again
            ),
            (100, 0, 0)
        );
        assert!((row.measured.write_ms - 0.7).abs() < 1e-9);
        let trips = if row.origin == Origin::Leader { 1 } else { 2 };
        let mut undisturbed = 0;
        for parts in &row.measured.orders {
            // Clicks have nanosecond resolution, the simulated world microseconds.
            assert!(
                parts.queue < Duration::from_micros(1) && parts.apply.is_zero(),
                "{parts:?}"
            );
            assert!(parts.frame <= Duration::from_micros(16_668), "{parts:?}");
            let way = Duration::from_millis(10) * trips + write.0;
            assert!(
                parts.network + parts.disk >= way,
                "faster than the network: {parts:?}"
            );
            undisturbed += usize::from(parts.network + parts.disk == way && parts.disk == write.0);
        }
        assert!(
            undisturbed > 80,
            "only {undisturbed} orders overlapped no other"
        );
    }
}

#[test]
fn virtual_order_survives_a_lost_message() {
    let lossy = Study {
        losses: "20%".parse().unwrap(),
        seconds: 10.0,
        ..short(3, vec![Origin::Follower])
    };
    let study = Study {
        world: World::Virtual(WRITE),
        ..lossy
    };
    let rows = study
        .measure(&study.centre(), &std::env::temp_dir())
        .unwrap();
    assert_eq!(
        (rows[0].measured.orders.len(), rows[0].measured.lost),
        (200, 0)
    );
    assert!(
        rows[0].measured.again > 10,
        "only {} were proposed again",
        rows[0].measured.again
    );
}
