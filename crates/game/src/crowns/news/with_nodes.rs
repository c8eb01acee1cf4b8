//! Each state of consensus that the player sees, caused by faults of five real nodes.

use std::time::{Duration, Instant};

use bevy::asset::AssetPlugin;
use bevy::time::TimePlugin;
use bevy_raft::prelude::*;
use raftian_raft::Index;

use super::*;
use crate::cluster_view::{Fault, FaultKind};
use crate::crowns::{feed, orders, perspective, presence};
use crate::divergence_report;
use crate::embedded::{self, Embedded};
use crate::headless;
use crate::overlay::CommitLatency;
use crate::projection::ReplicatedRealm;
use crate::realm::{CityId, FULL_HEALTH, Order};
use crate::replication::PlayerOrder;
use crate::report_files::ReportFolder;
use crate::screens::practice;
use crate::seat::Seat;
use crate::settings::Settings;
use crate::table::ReplicatedTable;

/// Longest wait for real nodes.
const WAIT: Duration = Duration::from_secs(60);

/// A match of five real nodes, with the strip and the feed but without a window.
struct Match {
    app: App,
    reports: tempfile::TempDir,
}

impl Match {
    fn new() -> Match {
        let (embedded, node) = Embedded::start(practice::MEMBERS).expect("five members");
        let reports = tempfile::tempdir().expect("a temporary directory");
        let mut app = headless::app(Seat::fresh(node));
        app.add_plugins((TimePlugin, AssetPlugin::default()))
            .init_asset::<Font>()
            .init_resource::<Typeface>()
            .init_resource::<Settings>()
            .init_resource::<CommitLatency>()
            .insert_resource(ReportFolder(Some(reports.path().to_owned())))
            .insert_state(Screen::Match)
            .insert_resource(embedded)
            .configure_sets(
                Update,
                (
                    CrownsSystems::Look,
                    CrownsSystems::Input,
                    CrownsSystems::Draw,
                )
                    .chain(),
            )
            .add_plugins((
                embedded::plugin,
                practice::plugin,
                perspective::plugin,
                orders::plugin,
                feed::plugin,
                presence::plugin,
                divergence_report::plugin,
                plugin,
            ));
        app.finish();
        app.cleanup();
        let mut played = Match { app, reports };
        played.until("the match has begun, and a leader is known", |world| {
            let game = world.resource::<ReplicatedTable>().0.game();
            game.is_some() && world.resource::<Leadership>().leader.is_some()
        });
        played
    }

    fn update(&mut self) {
        self.app.update();
        std::thread::sleep(Duration::from_millis(2));
    }

    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + WAIT;
        loop {
            self.update();
            if done(self.app.world()) {
                return;
            }
            let shown = self.strip();
            let cluster = self.app.world().resource::<ClusterView>();
            assert!(
                Instant::now() < deadline,
                "not within {WAIT:?}: {what}: {shown:?} {cluster:#?}"
            );
        }
    }

    /// The words of the strip; `None` while it is hidden.
    fn strip(&mut self) -> Option<String> {
        let world = self.app.world_mut();
        let node = world.query_filtered::<&Node, With<Strip>>().single(world);
        let is_hidden = node.expect("one strip").display == Display::None;
        let text = world
            .query_filtered::<&Text, With<StripText>>()
            .single(world);
        (!is_hidden).then(|| text.expect("one text").0.clone())
    }

    /// Waits until the strip begins with these words, and returns all of them.
    fn until_strip(&mut self, words: &str) -> String {
        let deadline = Instant::now() + WAIT;
        loop {
            self.update();
            match self.strip() {
                Some(shown) if shown.starts_with(words) => return shown,
                shown => assert!(
                    Instant::now() < deadline,
                    "not within {WAIT:?}: {words:?}, but {shown:?}"
                ),
            }
        }
    }

    fn until_calm(&mut self) {
        let deadline = Instant::now() + WAIT;
        while self.strip().is_some() {
            let shown = self.strip();
            assert!(Instant::now() < deadline, "still shown: {shown:?}");
            self.update();
        }
    }

    fn until_feed(&mut self, words: &str) {
        self.until(&format!("{words:?} is in the feed"), |world| {
            world.resource::<Feed>().contains(words)
        });
    }

    fn fault(&mut self, member: NodeId, kind: FaultKind) {
        self.app.world_mut().trigger(Fault { member, kind });
    }

    fn members(&self) -> Vec<NodeId> {
        let cluster = self.app.world().resource::<ClusterView>();
        cluster.members.iter().map(|member| member.id).collect()
    }

    fn own(&self) -> NodeId {
        let cluster = self.app.world().resource::<ClusterView>();
        cluster.seat.expect("a seat")
    }

    fn leader(&self) -> NodeId {
        let status = self.app.world().resource::<RaftStatus>();
        status.leader().expect("a leader")
    }

    fn name(&self, id: NodeId) -> String {
        self.app.world().resource::<ClusterView>().name(id)
    }

    /// Some members other than the own one.
    fn others(&self, count: usize) -> Vec<NodeId> {
        let own = self.own();
        let others = self.members().into_iter().filter(|id| *id != own);
        others.take(count).collect()
    }
}

#[test]
fn missing_majority_is_named_until_it_is_back() {
    let mut played = Match::new();
    assert_eq!(played.strip(), None, "nothing while it works");
    let mut paused = played.others(3);
    let leader = played.leader();
    if leader != played.own() && !paused.contains(&leader) {
        paused[0] = leader;
    }
    for &member in &paused {
        played.fault(member, FaultKind::Pause(true));
    }
    let words = played.until_strip("Choosing a new leader... (term ");
    assert!(words.ends_with(')'), "{words}");
    let words = played.until_strip("Waiting for a majority: 2 of 5 are here (");
    let (_, missing) = words.split_once("Missing: ").expect("who is missing");
    for &member in &paused {
        assert!(missing.contains(&played.name(member)), "{words}");
    }
    assert!(!missing.contains(&played.name(played.own())), "{words}");
    for &member in &paused {
        played.fault(member, FaultKind::Pause(false));
    }
    played.until_calm();
}

#[test]
fn killed_leader_is_followed_by_a_line_in_the_feed() {
    let mut played = Match::new();
    let before = played.leader();
    played.fault(before, FaultKind::Kill);
    played.until_feed(&format!(
        "Leadership passed from {} to ",
        played.name(before)
    ));
    played.until_feed(&format!("{} cannot be reached.", played.name(before)));
    played.fault(before, FaultKind::Restart);
    played.until_feed(&format!("{} is back.", played.name(before)));
    played.until_calm();
}

#[test]
fn machine_that_is_cut_off_sees_the_past_behind_frost() {
    let mut played = Match::new();
    let own = played.own();
    played.fault(own, FaultKind::Cut(true));
    let words = played.until_strip("You are cut off. You see ");
    assert!(words.ends_with("The others may be playing on."), "{words}");
    let world = played.app.world_mut();
    let frost = world
        .query_filtered::<&BackgroundColor, With<Frost>>()
        .single(world);
    assert_ne!(frost.expect("one veil").0, Color::NONE);
    played.fault(own, FaultKind::Cut(false));
    played.until_calm();
}

#[test]
fn paused_machine_and_dead_cluster_name_the_way_out() {
    let mut played = Match::new();
    let own = played.own();
    played.fault(own, FaultKind::Pause(true));
    played.until_strip("Your machine is paused.");
    played.fault(own, FaultKind::Pause(false));
    played.until_calm();
    for member in played.members() {
        played.fault(member, FaultKind::Kill);
    }
    played.until_strip("All machines are down.");
}

#[test]
fn diverged_copy_is_repaired_and_reported() {
    let mut played = Match::new();
    let own = played.own();
    if played.leader() == own {
        played.fault(own, FaultKind::TransferLeadership);
        played.until("another one leads", |world| {
            world
                .resource::<RaftStatus>()
                .leader()
                .is_some_and(|leader| leader != own)
        });
    }
    let world = played.app.world_mut();
    let hit = Order::Attack { city: CityId(2) };
    world.resource_mut::<ReplicatedRealm>().0.apply(&hit);
    let begin = world.resource::<RaftStatus>().applied;
    // States are compared at certain entries.
    let end = Index(begin.0 + 2 * bevy_raft::STATE_HASH_EVERY);
    let deadline = Instant::now() + WAIT;
    while played.app.world().resource::<RaftStatus>().applied < end {
        assert!(Instant::now() < deadline, "not applied: {end}");
        let pending = played.app.world().resource::<RaftStatus>().pending;
        if pending < 16 {
            let order = Order::Attack { city: CityId(1) };
            played.app.world_mut().propose(PlayerOrder(order));
        }
        played.update();
    }
    played.until_feed("This copy, up to #");
    let reports = std::fs::read_dir(played.reports.path()).expect("a directory");
    assert_eq!(reports.count(), 1);
    let realm = &played.app.world().resource::<ReplicatedRealm>().0;
    assert_eq!(realm.health(CityId(2)), Some(FULL_HEALTH));
}
