//! The life of a match in apps of one process, over QUIC on loopback and with stores on disk.

mod common;

use std::sync::mpsc::{Sender, channel};
use std::thread::ThreadId;
use std::time::Duration;

use bevy_ecs::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{
    ChangeError, Ended, MatchFolders, NodeId, Outbox, RaftNode, Refusal, Rejection, Standing,
    ToolRequests,
};
use raftian_node::driver::{self as node, Driver};
use raftian_node::memory_links::MemoryNetwork;
use raftian_node::quic::QuicOptions;
use raftian_node::store::MemoryStore;
use raftian_node::{InlineNode, NodeHandle, NodeOptions, NodeView, Replica, SubmitError, cluster};
use raftian_raft::{
    Change, Command, Config, Membership, Moment, ReadId, Responses, Restored, StateHash,
    TakenSnapshot,
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use common::{
    Add, PATIENCE, current, everywhere, found, game, join, player, ready, run_until, seen, start,
    state, sum,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Extra;

impl ReplicatedCommand for Extra {
    const NAME: &'static str = "test.extra/1";
}

#[test]
fn match_is_started_joined_and_left() {
    let (home_a, home_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (mut a, mut b) = (player(&home_a), player(&home_b));
    let ticket = found(&mut a, "Ada");
    b.world_mut().join_match(join(&ticket, "Bo"));
    run_until(&mut [&mut a, &mut b], "Bo plays", |apps| {
        state(apps[1]) == MatchState::Running
    });
    b.world_mut().propose(Add(5));
    run_until(&mut [&mut a, &mut b], "Bo's order", |apps| {
        everywhere(apps, &[(2, 5)])
    });
    a.world_mut().propose(Add(7));
    run_until(&mut [&mut a, &mut b], "Ada's order", |apps| {
        everywhere(apps, &[(2, 5), (1, 7)])
    });
    // Both machines see both members, and how far their logs are.
    run_until(&mut [&mut a, &mut b], "presence", |apps| {
        apps.iter().all(|app| {
            let members = &app.world().resource::<Members>().0;
            let names: Vec<_> = members.iter().filter_map(|m| m.name.as_deref()).collect();
            let here = members
                .iter()
                .all(|m| m.connected && m.behind == Some(0) && m.standing == Some(Standing::Voter));
            names == ["Ada", "Bo"] && here && members.iter().filter(|m| m.is_local).count() == 1
        })
    });
    let mut tools = b.world_mut().resource_mut::<ToolRequests>();
    assert_eq!(tools.config().name, "Bo");
    assert!(tools.take().is_some() && tools.take().is_none());
    b.world_mut().leave_match();
    run_until(&mut [&mut a, &mut b], "Bo has left", |apps| {
        state(apps[1]) == MatchState::Left && apps[0].world().resource::<Members>().0.len() == 1
    });
    assert_eq!(current(&b).ended, Some(Ended::Left));
    assert!(!b.world().contains_resource::<RaftNode>());
    assert!(!b.world().contains_resource::<ToolRequests>());
    assert_eq!(sum(&b), &[(2, 5), (1, 7)], "the last state is still shown");
    let states = &seen(&b).states;
    assert!(
        states.ends_with(&[MatchState::Running, MatchState::Leaving, MatchState::Left]),
        "{states:?}"
    );
    a.world_mut().propose(Add(9));
    run_until(&mut [&mut a], "Ada plays on", |apps| {
        everywhere(apps, &[(2, 5), (1, 7), (1, 9)])
    });
    // A match of one player cannot be left: it stays on the disk.
    a.world_mut().leave_match();
    run_until(&mut [&mut a], "Ada has ended", |apps| {
        state(apps[0]) == MatchState::Left
    });
    assert_eq!(current(&a).ended, Some(Ended::Kept));
}

#[test]
fn nothing_of_one_match_reaches_the_next() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    found(&mut app, "Ada");
    app.world_mut().propose(Add(1));
    run_until(&mut [&mut app], "the first order", |apps| {
        everywhere(apps, &[(1, 1)])
    });
    let first = current(&app).id;
    let pending = app.world_mut().propose(Add(2));
    app.world_mut().leave_match();
    run_until(&mut [&mut app], "the end", |apps| {
        state(apps[0]) == MatchState::Left
    });
    // Committed in time or not: the outcome is known before the next match begins.
    assert!(seen(&app).outcomes.iter().any(|(id, _)| *id == pending));
    let client = app.world().resource::<Outbox>().client();
    found(&mut app, "Ada");
    assert_ne!(current(&app).id, first);
    assert_eq!(sum(&app), &[], "the state is the initial one");
    assert_eq!(seen(&app).restored, [0], "it was announced");
    assert_ne!(app.world().resource::<Outbox>().client(), client);
    app.world_mut().propose(Add(3));
    run_until(&mut [&mut app], "an order of the next match", |apps| {
        everywhere(apps, &[(1, 3)])
    });
}

#[test]
fn proposals_and_changes_without_a_match_are_rejected() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    app.update();
    assert_eq!(state(&app), MatchState::Detached);
    let id = app.world_mut().propose(Add(1));
    app.world_mut().change_match(MatchChange::Remove(NodeId(2)));
    app.world_mut().leave_match();
    assert_eq!(
        seen(&app).outcomes,
        [(id, Outcome::Rejected(Rejection::NoMatch))]
    );
    assert_eq!(seen(&app).changes, [Err(ChangeError::NoMatch)]);
    assert_eq!(seen(&app).failures.len(), 1);
}

#[test]
fn other_rules_are_refused_with_the_difference() {
    let (home_a, home_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut a = player(&home_a);
    let ticket = found(&mut a, "Ada");
    let folders = MatchFolders::inside(home_b.path());
    let mut b = game(RaftPlugin::default().with_folders(folders));
    b.add_replicated_command::<Extra>();
    let mut b = ready(b);
    b.world_mut().join_match(join(&ticket, "Bo"));
    run_until(&mut [&mut a, &mut b], "a refusal", |apps| {
        state(apps[1]) == MatchState::Failed
    });
    let failed = current(&b).failure.clone().unwrap();
    assert!(
        matches!(
            failed.kind,
            FailureKind::Refused(Refusal::OtherRules { .. })
        ),
        "{failed:?}"
    );
    let reason = failed.reason;
    assert_eq!(
        reason,
        "this build has test.extra/1, which the match does not have; use the same build"
    );
    assert_eq!(seen(&b).failures, [reason]);
    // The founder's own store with other rules.
    let directory = current(&a).directory.clone().unwrap();
    drop(a);
    b.world_mut().resume_match(&directory);
    run_until(&mut [&mut b], "another refusal", |apps| {
        seen(apps[0]).failures.len() == 2
    });
    let reason = current(&b).failure.clone().unwrap().reason;
    assert!(reason.contains("test.extra/1"), "{reason}");
}

#[test]
fn match_that_cannot_start_says_why_and_another_one_starts() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    app.world_mut().start_match(StartMatch {
        listen: Some(taken.local_addr().unwrap()),
        ..start("Ada")
    });
    run_until(&mut [&mut app], "a failure", |apps| {
        state(apps[0]) == MatchState::Failed
    });
    let failed = current(&app).failure.clone().unwrap();
    assert_eq!(failed.kind, FailureKind::Listen);
    let reason = failed.reason;
    assert!(
        reason.starts_with("cannot listen on UDP 127.0.0.1:"),
        "{reason}"
    );
    app.world_mut().join_match("not a ticket");
    run_until(&mut [&mut app], "another failure", |apps| {
        seen(apps[0]).failures.len() == 2
    });
    assert!(seen(&app).failures[1].starts_with("this is neither a ticket nor a code"));
    found(&mut app, "Ada");
    // One match at a time.
    app.world_mut().start_match(start("Ada"));
    assert_eq!(seen(&app).failures.len(), 3);
    assert_eq!(state(&app), MatchState::Running);
}

#[test]
fn match_is_continued_and_its_past_is_marked_as_such() {
    let home = TempDir::new().unwrap();
    let mut app = player(&home);
    found(&mut app, "Ada");
    for n in 1..=3 {
        app.world_mut().propose(Add(n));
    }
    run_until(&mut [&mut app], "three orders", |apps| {
        sum(apps[0]).len() == 3
    });
    assert_eq!(
        seen(&app).committed,
        [(1, false), (2, false), (3, false)],
        "live"
    );
    let directory = current(&app).directory.clone().unwrap();
    // The program ends without leaving.
    drop(app);
    let mut app = player(&home);
    app.world_mut().resume_match(&directory);
    run_until(&mut [&mut app], "the match goes on", |apps| {
        state(apps[0]) == MatchState::Running
    });
    app.world_mut().propose(Add(4));
    run_until(&mut [&mut app], "a fourth order", |apps| {
        sum(apps[0]).len() == 4
    });
    assert_eq!(
        seen(&app).committed,
        [(1, true), (2, true), (3, true), (4, false)]
    );
}

/// A restarted node delivers its log from the start, including entries that the app has already
/// applied.
#[test]
fn restarted_node_under_a_live_app_resets_the_state() {
    let home = TempDir::new().unwrap();
    let node = cluster::embedded(1, "restart", home.path())
        .unwrap()
        .remove(0);
    let config = node.config;
    let launch = |links| {
        let raft = config.raft_config().unwrap();
        NodeHandle::start(NodeOptions::new(&config, raft, links)).unwrap()
    };
    let mut app = ready(game(RaftPlugin::new(launch(QuicOptions::new(
        node.socket,
        &config,
    )))));
    app.world_mut().propose(Add(1));
    run_until(&mut [&mut app], "an order", |apps| {
        everywhere(apps, &[(1, 1)])
    });
    assert_eq!(state(&app), MatchState::Running);
    drop(app.world_mut().remove_resource::<RaftNode>());
    app.update();
    let again = launch(QuicOptions::bind(&config).unwrap());
    app.world_mut().insert_resource(RaftNode::new(again));
    app.world_mut().propose(Add(2));
    run_until(&mut [&mut app], "the next order", |apps| {
        everywhere(apps, &[(1, 1), (1, 2)])
    });
    assert_eq!(seen(&app).restored, [0]);
}

#[test]
fn members_invite_promote_transfer_and_remove() {
    let (home_a, home_b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (mut a, mut b) = (player(&home_a), player(&home_b));
    found(&mut a, "Ada");
    a.world_mut().change_match(MatchChange::Invite {
        uses: Some(1),
        expires_in: Some(Duration::from_secs(3600)),
    });
    run_until(&mut [&mut a], "an invite", |apps| {
        seen(apps[0]).changes.len() == 1
    });
    let Ok(ChangeDone::Invited { number, ticket }) = seen(&a).changes[0].clone() else {
        panic!("{:?}", seen(&a).changes);
    };
    assert_eq!((number, ticket.invite), (3, 3));
    b.world_mut().join_match(join(&ticket.to_string(), "Bo"));
    run_until(&mut [&mut a, &mut b], "Bo votes", |apps| {
        let bo = apps[0].world().resource::<Members>().get(NodeId(2));
        bo.is_some_and(|bo| bo.standing == Some(Standing::Voter))
    });
    // A follower may request it, too.
    b.world_mut().change_match(MatchChange::Demote(NodeId(2)));
    run_until(&mut [&mut a, &mut b], "Bo has no vote", |apps| {
        seen(apps[1]).changes == [Ok(ChangeDone::Done)]
            && apps.iter().all(|app| {
                let bo = app.world().resource::<Members>().get(NodeId(2));
                bo.is_some_and(|bo| bo.standing == Some(Standing::Learner))
            })
    });
    a.world_mut().change_match(MatchChange::Promote(NodeId(2)));
    run_until(&mut [&mut a, &mut b], "Bo votes again", |apps| {
        let bo = apps[1].world().resource::<Members>().get(NodeId(2));
        bo.is_some_and(|bo| bo.standing == Some(Standing::Voter))
    });
    a.world_mut()
        .change_match(MatchChange::Transfer(Some(NodeId(2))));
    run_until(&mut [&mut a, &mut b], "Bo leads", |apps| {
        seen(apps[0]).changes.last() == Some(&Ok(ChangeDone::Done))
            && apps
                .iter()
                .all(|app| app.world().resource::<RaftStatus>().leader() == Some(NodeId(2)))
    });
    b.world_mut().change_match(MatchChange::Remove(NodeId(1)));
    run_until(&mut [&mut a, &mut b], "Ada is removed", |apps| {
        state(apps[0]) == MatchState::Left && apps[1].world().resource::<Members>().0.len() == 1
    });
    assert_eq!(current(&a).ended, Some(Ended::Removed));
    b.world_mut().propose(Add(1));
    run_until(&mut [&mut b], "Bo plays on", |apps| {
        everywhere(apps, &[(2, 1)])
    });
}

/// A node that records the thread on which it is stopped. Stopping a real one takes up to seconds.
struct Recorder {
    view: NodeView,
    stopped_on: Sender<ThreadId>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ended = self.stopped_on.send(std::thread::current().id()).is_err();
    }
}

impl Replica for Recorder {
    fn pump(&mut self, _clock: &dyn Fn() -> Moment) {}

    fn propose(&mut self, _command: Command) -> Result<(), SubmitError> {
        Ok(())
    }

    fn take_committed(&mut self, _most: usize, _into: &mut Vec<node::Committed>) {}

    fn take_responses(&mut self) -> Responses {
        Responses::default()
    }

    fn take_snapshot(&mut self, _taken: TakenSnapshot) -> Result<(), SubmitError> {
        Ok(())
    }

    fn decline_snapshot(&mut self) -> Result<(), SubmitError> {
        Ok(())
    }

    fn state_hash(&mut self, _state: StateHash) -> Result<(), SubmitError> {
        Ok(())
    }

    fn read(&mut self, _now: Moment, _id: ReadId, _lease: bool) -> Result<(), SubmitError> {
        Ok(())
    }

    fn change_membership(&mut self, _change: Change) -> Result<(), SubmitError> {
        Ok(())
    }

    fn transfer_leadership(&mut self, _to: Option<NodeId>) -> Result<(), SubmitError> {
        Ok(())
    }

    fn give_up(&mut self, _reason: String) {}

    fn view(&self) -> NodeView {
        self.view.clone()
    }
}

#[test]
fn node_is_stopped_on_another_thread() {
    let network = MemoryNetwork::new();
    let membership = Membership::new([NodeId(1)]).unwrap();
    let config = Config::new(NodeId(1), membership, 1);
    let store = MemoryStore::default();
    let links = network.links(NodeId(1));
    let driver = Driver::new(config, Restored::default(), store, links, Moment(0)).unwrap();
    let view = InlineNode::new(driver).view();
    let (stopped_on, stopped) = channel();
    let mut app = ready(game(RaftPlugin::new(Recorder { view, stopped_on })));
    let id = app.world_mut().propose(Add(1));
    app.update();
    app.world_mut().leave_match();
    let thread = stopped.recv_timeout(PATIENCE).unwrap();
    assert_ne!(thread, std::thread::current().id());
    app.update();
    app.update();
    assert_eq!(state(&app), MatchState::Left);
    assert!(matches!(
        &seen(&app).outcomes[..],
        [(known, Outcome::Unknown { reason })] if *known == id && reason == "the match was left"
    ));
}
