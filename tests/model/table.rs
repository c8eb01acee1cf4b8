//! Runs configurations and formats the results as a table.

use std::fmt::Write;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::cluster::Cluster;
use crate::configurations::Configuration;
use crate::counterexample;
use crate::injected_bug::InjectedBug;

/// Limit of states that one configuration may generate. A configuration that reaches it has bounds
/// too large for a regular test run.
pub(crate) const MAX_STATES: usize = 4_000_000;

/// Result of one exploration.
pub(crate) struct Explored {
    /// Distinct states.
    pub(crate) states: usize,
    /// Generated states, most of them duplicates.
    pub(crate) generated: usize,
    /// Largest number of events from the initial state.
    pub(crate) depth: usize,
    pub(crate) took: Duration,
    /// The violated property, and a shortest counterexample.
    pub(crate) broken: Option<(&'static str, String)>,
}

/// Explores breadth first, until a property is violated, `most` states are generated, or all states
/// are visited.
pub(crate) fn explore(cluster: Cluster, threads: usize, most: usize) -> Explored {
    let began = Instant::now();
    let checker = cluster.checker().threads(threads).target_state_count(most);
    let checker = checker
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let took = began.elapsed();
    let broken = checker
        .discoveries()
        .into_iter()
        .next()
        .map(|(property, path)| (property, counterexample::transcript(path)));
    Explored {
        states: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
        took,
        broken,
    }
}

/// Results of one configuration, without and with planted bugs.
pub(crate) struct Row {
    pub(crate) configuration: &'static str,
    pub(crate) sound: Explored,
    pub(crate) planted: Vec<(InjectedBug, Explored)>,
}

/// Explores a configuration without bugs, and once more with each of its planted bugs.
///
/// # Panics
/// If a property is violated, the bounds are too large, a coverage mark is not reached, or a
/// planted bug is not found.
pub(crate) fn run(configuration: &Configuration) -> Row {
    let Configuration {
        name,
        bounds,
        must_meet,
        plants,
    } = configuration;
    let cluster = Cluster::new(bounds, None);
    let coverage = cluster.coverage.clone();
    let sound = explore(cluster, 2, MAX_STATES);
    if let Some((property, transcript)) = &sound.broken {
        panic!("{name}: {property} is violated by:\n{transcript}");
    }
    assert!(
        sound.generated < MAX_STATES,
        "{name}: more than {MAX_STATES} states"
    );
    for mark in *must_meet {
        assert!(coverage.met(*mark), "{name}: never reached {mark:?}");
    }
    println!(
        "{name}: {} states, {:.1} s",
        sound.states,
        sound.took.as_secs_f64()
    );
    let planted = plants.iter().map(|bug| {
        let found = explore(Cluster::new(bounds, Some(*bug)), 1, MAX_STATES);
        assert!(
            found.broken.is_some(),
            "{name}: no property detects that {}",
            bug.name()
        );
        println!(
            "{name}, {}: found in {} states, {:.1} s",
            bug.name(),
            found.states,
            found.took.as_secs_f64()
        );
        (*bug, found)
    });
    Row {
        configuration: name,
        sound,
        planted: planted.collect(),
    }
}

/// Formats all rows and their total.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut put = |line: String| {
        writeln!(text, "{}", line.trim_end()).expect("writing to a string cannot fail")
    };
    put(format!(
        "{:<30} {:>9} {:>10} {:>6} {:>8}   {:<44} {:>8} {:>8}  {}",
        "configuration",
        "states",
        "generated",
        "depth",
        "seconds",
        "planted bug",
        "found in",
        "seconds",
        "by"
    ));
    for Row {
        configuration,
        sound,
        planted,
    } in rows
    {
        let mut left = format!(
            "{configuration:<30} {:>9} {:>10} {:>6} {:>8.1}",
            sound.states,
            sound.generated,
            sound.depth,
            sound.took.as_secs_f64()
        );
        for (bug, found) in planted {
            let by = found
                .broken
                .as_ref()
                .map_or("nothing", |(property, _)| property);
            let name = bug.name();
            let seconds = found.took.as_secs_f64();
            put(format!(
                "{left:<67}   {name:<44} {:>8} {seconds:>8.1}  {by}",
                found.states
            ));
            left.clear();
        }
    }
    let all =
        |count: fn(&Explored) -> usize| rows.iter().map(|row| count(&row.sound)).sum::<usize>();
    let took = rows.iter().flat_map(|row| {
        row.planted
            .iter()
            .map(|(_, found)| found)
            .chain([&row.sound])
    });
    let took: Duration = took.map(|explored| explored.took).sum();
    put(format!(
        "{:<30} {:>9} {:>10} {:>6} {:>8.1}   with the planted bugs",
        "all",
        all(|explored| explored.states),
        all(|explored| explored.generated),
        "",
        took.as_secs_f64()
    ));
    text
}
