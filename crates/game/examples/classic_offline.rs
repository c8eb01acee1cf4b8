//! Classic mode on one machine without consensus: a click is applied at once. Shows what the view
//! needs from a game.
//!
//! `cargo run --example classic_offline [PICTURE.png SECONDS]` takes a picture after some seconds
//! and ends; R starts again.

use bevy::prelude::*;
use raftian::projection::{self, ReplicatedRealm};
use raftian::realm::{Order, Realm};
use raftian::view::{
    self, footer::FooterFacts, input::CityClicked, pending::Pending, screenshot::ScreenshotPlan,
};
use std::time::Duration;

const CITIES: u8 = 5;

fn main() -> AppExit {
    let mut app = App::new();
    let window = WindowPlugin {
        primary_window: Some(view::window("raftian")),
        ..default()
    };
    app.add_plugins((DefaultPlugins.set(window), projection::plugin, view::plugin))
        .insert_resource(ReplicatedRealm(Realm::new_classic(CITIES)))
        .insert_resource(FooterFacts {
            me: "raftian (n1)".into(),
            leader: Some("raftian".into()),
            term: 1,
            ..default()
        })
        .add_observer(attack)
        .add_systems(Update, keys);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [file, seconds] = arguments.as_slice() {
        let after = Duration::from_secs(seconds.parse().unwrap_or(2));
        app.insert_resource(ScreenshotPlan {
            file: file.into(),
            after,
            closes_window: false,
        });
    }
    app.run()
}

/// With consensus this would propose the order, and applying it would be left to the committed log.
fn attack(clicked: On<CityClicked>, mut realm: ResMut<ReplicatedRealm>) {
    realm.0.apply(&Order::Attack { city: clicked.city });
}

/// R: a new match. P: an order that waits for the first standing city, or none. Q: the majority is
/// lost, or back.
fn keys(
    keys: Res<ButtonInput<KeyCode>>,
    mut realm: ResMut<ReplicatedRealm>,
    mut pending: ResMut<Pending>,
    mut facts: ResMut<FooterFacts>,
) {
    if keys.just_pressed(KeyCode::KeyR) {
        realm.0 = Realm::new_classic(CITIES);
    }
    if keys.just_pressed(KeyCode::KeyP) {
        match realm.0.cities().find(|(_, health)| !health.is_dead()) {
            Some((city, _)) => pending.add(city),
            None => pending.clear(),
        }
    }
    if keys.just_pressed(KeyCode::KeyQ) {
        facts.quorum = !facts.quorum;
        facts.leader = facts.quorum.then(|| "raftian".into());
    }
}
