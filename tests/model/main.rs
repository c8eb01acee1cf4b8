//! Every order of events in small clusters of the shipping core: model checking with stateright.
//!
//! A state is a set of real [`Node`](raftian_raft::Node)s with what is on their disks, the messages
//! that may still arrive, and a little memory of what was led, committed and asked. An event is one
//! timer, one message, one command, one write or one crash; whatever a node asks for is done at
//! once, or in events of its own where that is what the configuration is about. Each configuration
//! is explored completely within its bounds, then once more with a planted bug, which must be
//! found: a checker that never caught one has checked nothing.
//!
//! Decision: bounds are small and many, rather than one that is large. Why: states multiply with
//! every bound, and most bugs need little of everything but something of each. Would change if: a
//! bug escaped that one more of some bound would have met; then that bound gets a configuration of
//! its own.
//!
//! Time plays no part, except in the configurations that are about it. What is left out then is
//! left out of the states too, by [`Node::hash_state`](raftian_raft::Node::hash_state).
//!
//! `cargo model` runs it and prints the table. `RAFTIAN_MODEL=figure` runs the configurations with
//! that in their names.

mod action;
mod bounds;
mod cluster;
mod host;
mod key;
mod network;
mod plant;
mod portfolio;
mod properties;
mod sights;
mod story;
mod table;

use stateright::{Checker, HasDiscoveries, Model};

use cluster::Cluster;
use portfolio::{Configuration, FIGURE_8, portfolio};

fn chosen() -> Vec<Configuration> {
    let name = std::env::var("RAFTIAN_MODEL").unwrap_or_default();
    let chosen: Vec<_> = portfolio()
        .into_iter()
        .filter(|configuration| configuration.name.contains(&name))
        .collect();
    assert!(
        !chosen.is_empty(),
        "no configuration has {name:?} in its name"
    );
    chosen
}

#[test]
fn no_order_of_events_breaks_a_property_and_every_planted_bug_is_found() {
    let rows: Vec<_> = chosen().iter().map(table::run).collect();
    println!("\n{}", table::table(&rows));
}

/// Figure 8 (c): the leader of a later term has brought an entry of an earlier one to a majority,
/// and it is not committed, and must not be: another disk holds an entry that may replace it.
#[test]
fn the_model_reaches_the_state_of_figure_8_c() {
    let configuration = portfolio()
        .into_iter()
        .find(|one| one.name == FIGURE_8)
        .expect("it is in the portfolio");
    let mut cluster = Cluster::new(&configuration.bounds, None);
    cluster.seeks = Some(sights::is_figure_8);
    let checker = cluster
        .checker()
        .finish_when(HasDiscoveries::Any)
        .spawn_bfs()
        .join();
    let path = checker
        .discovery(cluster::SOUGHT)
        .expect("figure 8 (c) is within the bounds");
    println!(
        "\nfigure 8 (c), in {} states:\n{}",
        checker.unique_state_count(),
        story::tell(path)
    );
}

/// Not for every day: each bound of each configuration one larger, as far as `RAFTIAN_MODEL_STATES`
/// states go.
#[test]
#[ignore = "takes an hour; RAFTIAN_MODEL and RAFTIAN_MODEL_STATES choose how much of it"]
fn one_more_of_each_bound_breaks_nothing_either() {
    let most = std::env::var("RAFTIAN_MODEL_STATES")
        .map_or(3_000_000, |most| most.parse().expect("a number"));
    for Configuration { name, bounds, .. } in chosen() {
        for (more, bounds) in bounds.one_more_of_each() {
            let explored = table::explore(Cluster::new(&bounds, None), 2, most);
            let (states, seconds) = (explored.states, explored.took.as_secs_f64());
            let whole = if explored.generated < most {
                "complete"
            } else {
                "cut off"
            };
            println!("{name}, one more of {more}: {states} states, {seconds:.1} s, {whole}");
            if let Some((property, story)) = explored.broken {
                panic!("{name}, one more of {more}: {property} is violated by\n{story}");
            }
        }
    }
}
