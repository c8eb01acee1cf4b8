//! The real program: separate processes, sockets, disks and kill signals.

mod cluster;
mod crowns;
mod matches;
mod orders;
mod player;
mod programs;
mod promise;
mod stores;

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
