//! An embedded match without its window: real nodes, real QUIC, and the faults behind the overlay's
//! buttons.

use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy_raft::RaftStatus;
use bevy_raft::prelude::*;
use raftian::cluster_view::{ClusterView, Fault, FaultKind};
use raftian::embedded::{self, Embedded};
use raftian::headless;
use raftian::projection::{City, Health};
use raftian::realm::{CityId, Order};
use raftian::replication::PlayerOrder;
use raftian::seat::Seat;
use raftian_raft::NodeId;

const WAIT: Duration = Duration::from_secs(60);

struct Match {
    app: App,
}

impl Match {
    fn new(nodes: usize) -> Self {
        let (embedded, node) = Embedded::start(nodes).expect("the match must start");
        let mut app = headless::app(Seat::fresh(node));
        app.insert_resource(embedded).add_plugins(embedded::plugin);
        app.finish();
        app.cleanup();
        let mut game = Match { app };
        game.until("a leader is known", |game| game.leader().is_some());
        game
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + WAIT;
        loop {
            self.app.update();
            if done(self) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not within {WAIT:?}: {what}: {:#?}",
                self.view()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn view(&self) -> &ClusterView {
        self.app.world().resource::<ClusterView>()
    }

    fn seat(&self) -> Option<NodeId> {
        self.view().seat
    }

    /// The leader according to the seat, if it runs.
    fn leader(&self) -> Option<NodeId> {
        let leader = self.app.world().resource::<RaftStatus>().leader()?;
        self.view()
            .member(leader)
            .is_some_and(|member| member.up)
            .then_some(leader)
    }

    fn attack(&mut self, city: u8) {
        self.app
            .world_mut()
            .propose(PlayerOrder(Order::Attack { city: CityId(city) }));
    }

    fn fault(&mut self, member: NodeId, kind: FaultKind) {
        self.app.world_mut().trigger(Fault { member, kind });
    }

    fn health(&mut self, city: u8) -> i32 {
        let mut cities = self.app.world_mut().query::<(&City, &Health)>();
        cities
            .iter(self.app.world())
            .find(|(shown, _)| shown.0 == CityId(city))
            .map_or(0, |(_, health)| health.0)
    }

    fn settled(&self) -> bool {
        self.app.world().resource::<RaftStatus>().pending == 0
    }
}

#[test]
fn killing_the_leader_repeatedly_never_ends_the_match() {
    let mut game = Match::new(5);
    let mut health = 100;
    for round in 0..3 {
        let leader = game.leader().expect("a leader is known");
        game.fault(leader, FaultKind::Kill);
        game.attack(3);
        health -= 30;
        game.until("the order is committed without the dead leader", |game| {
            game.health(3) == health
                && game.settled()
                && game.leader().is_some_and(|now| now != leader)
        });
        assert_ne!(
            game.seat(),
            Some(leader),
            "round {round}: the window must leave the dead member's seat"
        );
        game.fault(leader, FaultKind::Restart);
        game.until("the dead member is up again", |game| {
            game.view().member(leader).is_some_and(|member| member.up)
        });
    }
    game.until("all five machines hold the same state", |game| {
        let states: Vec<_> = game
            .view()
            .members
            .iter()
            .filter_map(|member| member.state)
            .collect();
        states.len() == 5 && states.iter().all(|state| *state == states[0])
    });
}

#[test]
fn order_without_a_majority_waits_and_is_applied_once() {
    let mut game = Match::new(3);
    let seat = game.seat().expect("the window has a seat");
    let others: Vec<_> = game
        .view()
        .members
        .iter()
        .map(|member| member.id)
        .filter(|id| *id != seat)
        .collect();
    for other in &others {
        game.fault(*other, FaultKind::Kill);
    }
    game.until("the others are down", |game| {
        others
            .iter()
            .all(|other| game.view().member(*other).is_some_and(|member| !member.up))
    });
    game.attack(1);
    game.until("no leader is left", |game| game.leader().is_none());
    assert_eq!((game.health(1), game.settled()), (100, false));
    for other in &others {
        game.fault(*other, FaultKind::Restart);
    }
    // The window changes its seat while its order is in flight.
    game.fault(others[0], FaultKind::TakeSeat);
    game.until("the order is applied", |game| {
        game.health(1) == 70 && game.settled()
    });
    assert_eq!(game.seat(), Some(others[0]));
    game.attack(1);
    game.until("the next order is applied", |game| {
        game.health(1) == 40 && game.settled()
    });
}

#[test]
fn isolated_seat_reports_no_leader_and_recovers() {
    let mut game = Match::new(3);
    let seat = game.seat().expect("the window has a seat");
    game.fault(seat, FaultKind::Cut(true));
    game.until("the seat knows no leader", |game| game.leader().is_none());
    game.attack(2);
    for _ in 0..50 {
        game.app.update();
        assert_eq!(
            game.health(2),
            100,
            "nothing changes before it is committed"
        );
    }
    game.fault(seat, FaultKind::Cut(false));
    game.until("the order is applied", |game| {
        game.health(2) == 70 && game.settled()
    });
}

#[test]
fn window_outlives_all_members_until_they_restart() {
    let mut game = Match::new(3);
    game.attack(4);
    game.until("the order is applied", |game| {
        game.health(4) == 70 && game.settled()
    });
    let members: Vec<_> = game.view().members.iter().map(|member| member.id).collect();
    for member in &members {
        game.fault(*member, FaultKind::Kill);
    }
    game.until("no member is left", |game| game.seat().is_none());
    assert_eq!(game.health(4), 70, "the last state stays on the screen");
    for member in &members[1..] {
        game.fault(*member, FaultKind::Restart);
    }
    game.until("the match is back", |game| {
        game.leader().is_some() && game.health(4) == 70
    });
    game.attack(4);
    game.until("the match continues", |game| {
        game.health(4) == 40 && game.settled()
    });
}
