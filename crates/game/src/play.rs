//! The player's side of a match: clicks become proposals, and their outcomes are shown.

use std::collections::BTreeMap;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy::window::PrimaryWindow;
use bevy_raft::prelude::*;

use crate::cluster_view::ClusterView;
use crate::crowns::words;
use crate::overlay::latency::CommitLatency;
use crate::realm::{CityId, Order};
use crate::replication::PlayerOrder;
use crate::view::footer::FooterFacts;
use crate::view::input::CityClicked;
use crate::view::pending::Pending;

/// This player's pending orders: their targets and the times of the clicks.
#[derive(Resource, Default)]
struct Waiting(BTreeMap<ProposalId, (CityId, Duration)>);

/// Reason and time of the last rejection.
#[derive(Resource, Default)]
struct Rejected(Option<(String, Duration)>);

/// Time for which a rejection is shown.
const NOTICE_SHOWN_FOR: Duration = Duration::from_secs(4);

/// Proposes orders for clicks. Requires an up-to-date [`ClusterView`].
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Waiting>()
        .init_resource::<Rejected>()
        .add_observer(propose_attack)
        .add_observer(settle)
        .add_systems(
            PreUpdate,
            (update_footer, name_window).after(RaftSystems::Apply),
        );
}

fn propose_attack(
    clicked: On<CityClicked>,
    time: Res<Time<Real>>,
    mut commands: Commands,
    mut waiting: ResMut<Waiting>,
    mut pending: ResMut<Pending>,
) {
    let proposal = commands.propose(PlayerOrder(Order::Attack { city: clicked.city }));
    waiting.0.insert(proposal, (clicked.city, time.elapsed()));
    pending.add(clicked.city);
}

fn settle(
    outcome: On<ProposalOutcome>,
    time: Res<Time<Real>>,
    mut waiting: ResMut<Waiting>,
    mut pending: ResMut<Pending>,
    mut latency: ResMut<CommitLatency>,
    mut rejected: ResMut<Rejected>,
) {
    // Other code proposes too: `raftian order` uses this app's outbox.
    let Some((city, clicked)) = waiting.0.remove(&outcome.id) else {
        return;
    };
    pending.settle(city);
    match &outcome.outcome {
        Outcome::Committed(_) => latency.record(time.elapsed().saturating_sub(clicked)),
        Outcome::Rejected(rejection) => {
            rejected.0 = Some((words::rejected(rejection), time.elapsed()))
        }
        Outcome::Unknown { reason } => {
            rejected.0 = Some((words::unknown_effect(reason), time.elapsed()));
        }
    }
}

fn update_footer(
    status: Res<RaftStatus>,
    cluster: Res<ClusterView>,
    rejected: Res<Rejected>,
    time: Res<Time<Real>>,
    mut facts: ResMut<FooterFacts>,
) {
    let rejection = rejected
        .0
        .as_ref()
        .filter(|(_, at)| time.elapsed().saturating_sub(*at) < NOTICE_SHOWN_FOR);
    let stopped = status.view.as_ref().and_then(|view| view.stopped.clone());
    // There is room for one notice only: the most fundamental problem wins.
    let notice = match (cluster.seat, &status.view) {
        (None, _) => Some(text!("every node is down: start one in the overlay (F3)")),
        (_, Some(view)) if view.paused => {
            Some(text!("your node is paused: resume it in the overlay (F3)"))
        }
        (_, Some(view)) if view.cut => Some(text!(
            "your node is cut off: mend its links in the overlay (F3)"
        )),
        _ => stopped
            .map(|reason| text!("your node has stopped: {reason}", reason))
            .or_else(|| rejection.map(|(reason, _)| reason.clone())),
    };
    let newest = FooterFacts {
        me: cluster
            .seat
            .map(|id| format!("{} ({id})", cluster.name(id)))
            .unwrap_or_default(),
        leader: status.leader().map(|leader| cluster.name(leader)),
        term: status.term().0,
        quorum: status.leader().is_some(),
        notice,
    };
    facts.set_if_neq(newest);
}

/// Sets the window's title to the name of the member behind it, as in the original.
fn name_window(cluster: Res<ClusterView>, mut windows: Query<&mut Window, With<PrimaryWindow>>) {
    let Some(seat) = cluster.seat else { return };
    let name = cluster.name(seat);
    for mut window in &mut windows {
        // Any mutable access would mark the window as changed.
        if window.title != name {
            window.title.clone_from(&name);
        }
    }
}
