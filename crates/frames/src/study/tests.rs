use super::*;
use crate::report::{self, Row};
use crate::scene::{FrameTimes, NodeSeen, Scene, SceneNode, Seen};

/// A second at `fps` frames, seen twice.
fn seen(fps: u32) -> Seen {
    let mean = 1e3 / f64::from(fps);
    Seen {
        profile: "release".to_owned(),
        log: vec![(1738932175.25, fps), (1738932176.5, fps)],
        frames: u64::from(fps) * 2,
        frame_ms: FrameTimes {
            mean,
            p50: mean,
            p95: mean,
            p99: mean * 2.0,
            max: mean * 3.0,
        },
        ..Seen::default()
    }
}

fn rows(study: &Study, fps: impl Fn(&Cell, u64) -> u32) -> Vec<Row> {
    let cells = study.cells();
    let rounds = |cell| {
        (0..study.rounds)
            .map(|round| seen(fps(cell, round)))
            .collect()
    };
    report::rows(&cells, cells.iter().map(rounds).collect())
}

#[test]
fn cells_without_a_node_ignore_the_heartbeat() {
    let study = Study {
        caps: vec![Cap(None), Cap(Some(60))],
        ..Study::default()
    };
    let cells = study.cells();
    assert_eq!(cells.len(), 2 * 2 * (1 + 3 * 2));
    assert_eq!(
        cells
            .iter()
            .filter(|cell| cell.server == Server::None)
            .count(),
        4
    );
    let names: Vec<_> = cells.iter().map(Cell::log_name).collect();
    for name in [
        "baseline_100.log",
        "threading_1000_3ms.log",
        "multiprocess_100_300ms_60fps.log",
    ] {
        assert!(names.iter().any(|other| other == name), "{name}: {names:?}");
    }
    let unlike: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unlike.len(), cells.len());
}

#[test]
fn election_timeout_follows_a_long_heartbeat() {
    let timing = |ms| {
        Cell {
            heartbeat: Time(Duration::from_millis(ms)),
            ..Study::default().cells()[1]
        }
        .timing()
    };
    let ms = |timing: Timing| (timing.election.0.as_millis(), timing.election.1.as_millis());
    assert_eq!((ms(timing(3)), ms(timing(300))), ((150, 300), (900, 1800)));
}

#[test]
fn cost_is_the_mean_difference_of_the_rounds() {
    let study = Study {
        dots: vec![100],
        rounds: 3,
        ..Study::default()
    };
    // Frames of 10 ms alone; with threads 12, 13 and 14 ms.
    let rows = rows(&study, |cell, round| match cell.server {
        Server::Thread => [83, 77, 71][round as usize],
        _ => 100,
    });
    let of = |server| {
        rows.iter()
            .find(|row| row.cell.server == server)
            .expect("there is one")
    };
    let cost = of(Server::Thread)
        .cost_ms
        .expect("three rounds give an interval");
    let expected = [83.0, 77.0, 71.0].map(|fps: f64| 1e3 / fps - 10.0);
    assert!((cost.mean - expected.iter().sum::<f64>() / 3.0).abs() < 1e-9);
    // Standard deviation of three, over the root of three, times 4.303.
    assert!((cost.off - 2.52).abs() < 0.02, "{cost:?}");
    assert_eq!(
        of(Server::Process)
            .cost_ms
            .map(|cost| (cost.mean, cost.off)),
        Some((0.0, 0.0))
    );
    assert_eq!(of(Server::None).cost_ms, None);
    let once = Study { rounds: 1, ..study };
    assert!(
        super::tests::rows(&once, |_, _| 100)
            .iter()
            .all(|row| row.cost_ms.is_none())
    );
}

#[test]
fn published_values_appear_only_for_matching_cells() {
    let study = Study {
        caps: vec![Cap(None), Cap(Some(60))],
        rounds: 1,
        ..Study::default()
    };
    let rows = rows(&study, |cell, _| if cell.dots == 100 { 1_000 } else { 500 });
    let beside: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row.name(), row.published()?.fps)))
        .collect();
    assert_eq!(beside.len(), 6, "{beside:?}");
    assert!(
        beside.contains(&(
            "1000 dots, node in a thread, heartbeat 3ms".to_owned(),
            157.70
        )),
        "{beside:?}"
    );
    let ratios = report::ratios(&rows);
    assert_eq!(ratios.len(), 5);
    let (_, ours, theirs) = &ratios[0];
    assert!(
        (ours - 0.5).abs() < 1e-9 && (theirs - 0.575).abs() < 1e-3,
        "{ratios:?}"
    );
}

#[test]
fn log_has_the_original_studys_format() {
    let study = Study {
        dots: vec![100],
        servers: vec![Server::None],
        rounds: 1,
        ..Study::default()
    };
    let log = rows(&study, |_, _| 485)[0].log();
    assert_eq!(
        log,
        "time:1738932175.25;fps:485\ntime:1738932176.5;fps:485\n"
    );
}

#[test]
fn invalid_study_is_refused_with_its_option() {
    let wrong = [
        (
            Study {
                dots: vec![0],
                ..Study::default()
            },
            "--dots",
        ),
        (
            Study {
                seconds: 0,
                ..Study::default()
            },
            "--seconds",
        ),
        (
            Study {
                rounds: 1_001,
                ..Study::default()
            },
            "--rounds",
        ),
        (
            Study {
                orders: -1.0,
                ..Study::default()
            },
            "--orders",
        ),
        (
            Study {
                heartbeats: List(vec![Time(Duration::from_micros(500))]),
                ..Study::default()
            },
            "--heartbeat",
        ),
        (
            Study {
                heartbeats: List(vec![Time(Duration::from_secs(11))]),
                ..Study::default()
            },
            "--heartbeat",
        ),
    ];
    for (study, option) in wrong {
        assert!(
            study
                .check()
                .is_err_and(|error| error.to_string().contains(option)),
            "{study:?}"
        );
    }
    assert!(
        "0".parse::<Cap>().is_err()
            && "1001".parse::<Cap>().is_err()
            && "fast".parse::<Cap>().is_err()
    );
    assert_eq!(
        ("60".parse(), "uncapped".parse()),
        (Ok(Cap(Some(60))), Ok(Cap(None)))
    );
}

#[test]
fn scene_and_measurements_survive_serialization() {
    let node = SceneNode {
        file: "n1/node.toml".into(),
        in_schedule: true,
    };
    let scene = Scene {
        dots: 7,
        fps: Some(60),
        warm_up: 2.0,
        seconds: 5,
        headless: false,
        orders: 2.0,
        seed: u64::MAX,
        node: Some(node),
    };
    let json = serde_json::to_string(&scene).expect("it serializes");
    assert_eq!(
        serde_json::from_str::<Scene>(&json).expect("it deserializes"),
        scene
    );
    assert!(serde_json::from_str::<Scene>("{\"dots\":7}").is_err());
    let node = Some(NodeSeen {
        led: 0.5,
        terms: 1,
        messages_per_s: 1333.25,
    });
    let seen = Seen {
        node,
        adapter: Some("a name".to_owned()),
        ..seen(60)
    };
    let json = serde_json::to_string(&seen).expect("it serializes");
    assert_eq!(
        serde_json::from_str::<Seen>(&json).expect("it deserializes"),
        seen
    );
}

#[test]
fn rows_fill_every_column_and_quantity() {
    let study = Study {
        rounds: 2,
        ..Study::default()
    };
    let mut rows = rows(&study, |_, _| 100);
    let node = NodeSeen {
        led: 0.75,
        terms: 2,
        messages_per_s: 1.0,
    };
    for row in rows
        .iter_mut()
        .filter(|row| row.cell.server == Server::Thread)
    {
        row.rounds
            .iter_mut()
            .for_each(|seen| (seen.node, seen.unseen) = (Some(node), 1));
    }
    let measurements = report::COLUMNS.measurements(&rows);
    assert_eq!(measurements.table.rows.len(), 14);
    let quantities: std::collections::BTreeMap<_, _> =
        measurements.quantities.into_iter().collect();
    assert_eq!(quantities.len(), 5);
    assert!(
        quantities.values().all(|value| value.is_finite()),
        "{quantities:?}"
    );
    // Four rows with threads, of two rounds each.
    assert_eq!((quantities["unseen"], quantities["min_led"]), (8.0, 0.75));
    assert!(
        crate::charts::all(&study, &rows)
            .iter()
            .all(|(_, chart)| chart.svg().is_ok())
    );
}
