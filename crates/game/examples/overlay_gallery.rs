//! The debug overlay over a simulated cluster, to be viewed without a network.
//!
//! `cargo run --example overlay_gallery [PICTURE.png SECONDS]` takes a picture after some seconds
//! and ends. Five members play for some seconds; then Dee dies, Ed is cut off, and Cy, which lost
//! the leader, stands for election, so that no more orders are committed. The buttons and keys of
//! the overlay work, F3 shows and hides it. E shows the view of a program that runs one member
//! only, D makes the states diverge.

#![allow(
    elided_lifetimes_in_paths,
    reason = "system parameters hide their lifetimes by the engine's convention"
)]

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::{AddReplicatedCommand, RaftStatus, ReplicatedCommand};
use raftian::cluster_view::{AppliedState, ClusterView, Fault, FaultKind, MemberView};
use raftian::overlay::{self, CommitLatency, OverlayMode};
use raftian::projection::{self, ReplicatedRealm};
use raftian::realm::{CityId, Order, Realm};
use raftian::replication::PlayerOrder;
use raftian::view::{self, screenshot::ScreenshotPlan};
use raftian_node::NodeView;
use raftian_node::wire;
use raftian_raft::{
    ClientId, Command, Decision, Entry, Event, FlowKind, Incarnation, Index, LogPosition,
    Membership, Moment, NodeId, Payload, PeerStatus, RoleKind, Stamp, Status, StepDown, Term,
    VoteRefusal,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

const NAMES: [&str; 5] = ["Ada", "Bo", "Cy", "Dee", "Ed"];
// Members by position.
const ADA: usize = 0;
const BO: usize = 1;
const CY: usize = 2;
const DEE: usize = 3;
const ED: usize = 4;
/// Delay in milliseconds until an entry of the leader reaches each member.
const DELAYS: [u64; 5] = [9, 0, 23, 41, 120];
/// Number of entries before the window was opened.
const PAST: u64 = 1190;
const HEARTBEAT: u64 = 400;
/// Times at which Dee dies, Ed is cut off, and Cy stands for election, in milliseconds.
const TROUBLE: [u64; 3] = [12_000, 14_000, 16_500];

/// The simulated cluster.
#[derive(Resource)]
struct Made {
    members: [Member; 5],
    /// Milliseconds at which the leader appended each entry after [`PAST`].
    appended: Vec<u64>,
    added: [bool; 3],
    seat: usize,
    embedded: bool,
    diverged: bool,
}

/// One simulated member.
#[derive(Clone, Default)]
struct Member {
    up: bool,
    paused: bool,
    /// Time at which it was cut off.
    cut: Option<u64>,
    last: u64,
    commit: u64,
    events: Vec<Event>,
}

fn main() -> AppExit {
    let mut app = App::new();
    let window = WindowPlugin {
        primary_window: Some(view::window("raftian: overlay gallery")),
        ..default()
    };
    app.insert_resource(OverlayMode::Full)
        .add_plugins((
            DefaultPlugins.set(window),
            projection::plugin,
            view::plugin,
            overlay::plugin,
        ))
        .add_replicated_command::<PlayerOrder>()
        .insert_resource(ReplicatedRealm(Realm::new_classic(5)))
        .insert_resource(Made::new())
        .insert_resource(RaftStatus {
            pending: 1,
            ..default()
        })
        .add_observer(suffer)
        .add_systems(PreUpdate, live);
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

fn id(place: usize) -> NodeId {
    NodeId(place as u64 + 1)
}

impl Made {
    fn new() -> Self {
        let member = Member {
            up: true,
            last: PAST,
            commit: PAST,
            ..default()
        };
        let mut made = Made {
            members: std::array::from_fn(|_| member.clone()),
            appended: vec![],
            added: [false; 3],
            seat: ADA,
            embedded: true,
            diverged: false,
        };
        let [leader, bo] = [NodeId(5), id(BO)];
        made.add_decision(
            ED,
            0,
            6,
            Decision::SteppedDown {
                because: StepDown::LostQuorum,
            },
        );
        made.add_decision(BO, 180, 6, Decision::AskedForPreVotes);
        made.add_decision(
            ADA,
            190,
            6,
            Decision::Voted {
                candidate: bo,
                pre: true,
            },
        );
        let mine = position(6, PAST);
        let theirs = position(6, PAST - 2);
        let because = VoteRefusal::LogBehind { mine, theirs };
        made.add_decision(
            CY,
            200,
            6,
            Decision::RefusedVote {
                candidate: leader,
                pre: true,
                because,
            },
        );
        made.add_decision(BO, 210, 7, Decision::StoodForElection { transfer: false });
        for place in [ADA, CY] {
            made.add_decision(
                place,
                220 + place as u64,
                7,
                Decision::Voted {
                    candidate: bo,
                    pre: false,
                },
            );
        }
        made.add_decision(BO, 230, 7, Decision::WonElection { votes: 3 });
        for place in [ADA, CY, DEE, ED] {
            made.add_decision(
                place,
                240 + place as u64,
                7,
                Decision::FollowsLeader { leader: bo },
            );
        }
        made.add_decision(
            BO,
            260,
            7,
            Decision::LogsDiffer {
                follower: leader,
                next: Index(PAST - 1),
            },
        );
        made.add_decision(
            ED,
            270,
            7,
            Decision::Truncated {
                from: Index(PAST - 1),
                to: Index(PAST),
                leader: bo,
            },
        );
        made.add_decision(
            BO,
            290,
            7,
            Decision::CommittedOwnTerm {
                index: Index(PAST + 1),
            },
        );
        made
    }

    fn add_decision(&mut self, place: usize, ms: u64, term: u64, decision: Decision) {
        self.members[place].events.push(Event {
            at: Moment(ms * 1000),
            term: Term(term),
            decision,
        });
    }

    fn reachable(&self, place: usize) -> bool {
        let member = &self.members[place];
        member.up && !member.paused && member.cut.is_none()
    }

    fn stands(&self, place: usize, now: u64) -> bool {
        place == CY && now >= TROUBLE[2]
    }

    /// Appends due orders, replicates entries, and commits what a majority has.
    fn step(&mut self, now: u64, latency: &mut CommitLatency) {
        let pace = [90, 340, 150, 610, 220, 130, 480][self.appended.len() % 7];
        // Without a majority the players soon stop ordering.
        let pace = if now < TROUBLE[1] { pace } else { pace * 12 };
        if self.appended.last().is_none_or(|last| now >= last + pace) {
            self.appended.push(now);
        }
        let leads = self.reachable(BO);
        for (place, delay) in DELAYS.into_iter().enumerate() {
            if leads && self.reachable(place) && !self.stands(place, now) {
                let came = self
                    .appended
                    .iter()
                    .filter(|&&at| at + delay <= now)
                    .count() as u64;
                self.members[place].last = self.members[place].last.max(PAST + came);
            }
        }
        let mut lasts = self.members.each_ref().map(|member| member.last);
        lasts.sort_unstable();
        let before = self.members[BO].commit;
        let commit = if leads { lasts[2].max(before) } else { before };
        for index in before..commit {
            if let Some(at) = self.appended.get((index - PAST) as usize) {
                latency.record(Duration::from_millis(now - at + 20 + index * 7 % 23));
            }
        }
        for place in 0..NAMES.len() {
            if leads && self.reachable(place) && !self.stands(place, now) {
                let member = &mut self.members[place];
                member.commit = commit.min(member.last).max(member.commit);
            }
        }
    }

    fn trouble(&mut self, now: u64) {
        for (place, begins) in TROUBLE.into_iter().enumerate() {
            if now < begins || std::mem::replace(&mut self.added[place], true) {
                continue;
            }
            match place {
                0 => self.members[DEE].up = false,
                1 => self.members[ED].cut = Some(now),
                _ => {
                    self.add_decision(CY, now - 400, 7, Decision::AskedForPreVotes);
                    self.add_decision(
                        CY,
                        now - 10,
                        8,
                        Decision::StoodForElection { transfer: false },
                    );
                    let because = VoteRefusal::LeaderAlive(id(BO));
                    self.add_decision(
                        ADA,
                        now,
                        7,
                        Decision::RefusedVote {
                            candidate: id(CY),
                            pre: false,
                            because,
                        },
                    );
                    self.add_decision(ED, now + 30, 7, Decision::AskedForPreVotes);
                }
            }
        }
    }

    fn node(&self, place: usize, now: u64) -> NodeView {
        let member = &self.members[place];
        let leads = place == BO;
        let stands = self.stands(place, now);
        let alone = member.cut.is_some_and(|since| now > since + 1500);
        let role = match place {
            _ if leads => RoleKind::Leader,
            _ if stands => RoleKind::Candidate,
            _ if alone => RoleKind::PreCandidate,
            _ => RoleKind::Follower,
        };
        let beat = now - now % HEARTBEAT;
        let deadline = match role {
            RoleKind::Leader => beat + HEARTBEAT,
            RoleKind::Follower => beat + 900 + (beat / HEARTBEAT * 7 + place as u64 * 5) % 11 * 90,
            RoleKind::Candidate | RoleKind::PreCandidate => now - now % 1700 + 1700,
        };
        let status = Status {
            id: id(place),
            term: Term(if stands { 8 } else { 7 }),
            vote: Some(id(if stands { CY } else { BO })),
            role,
            leader: (!stands && !alone).then_some(id(BO)),
            commit: Index(member.commit),
            leader_commit: Index(member.commit),
            has_committed_in_term: true,
            applied: Index(
                member
                    .commit
                    .saturating_sub(u64::from(place == ADA && now % 700 < 200)),
            ),
            last: position(if member.last > PAST { 7 } else { 6 }, member.last),
            durable: Index(member.last),
            stamp: Stamp(now),
            deadline: Moment(deadline * 1000),
            membership: Membership::new((0..NAMES.len()).map(id)).expect("a cluster"),
            membership_index: Index(0),
            snapshot: Index(PAST - PAST % 256),
            log_after: Index(0),
            incarnation: Incarnation::default(),
            awaited_founders: Vec::new(),
            peers: if leads { self.peers(now) } else { vec![] },
        };
        let tail = (member.last.saturating_sub(31)..=member.last)
            .map(|index| self.entry(index))
            .collect();
        NodeView {
            founding: status.membership.clone(),
            status,
            now: Moment(now * 1000),
            tail,
            events: member.events.clone(),
            paused: member.paused,
            cut: member.cut.is_some(),
            stopped: None,
            checkpoints: Default::default(),
        }
    }

    fn peers(&self, now: u64) -> Vec<PeerStatus> {
        let peer = |place: usize| PeerStatus {
            id: id(place),
            matched: Index(self.members[place].last),
            next: Index(self.members[place].last + 1),
            round_trip: Some(Duration::from_micros(
                DELAYS[place] * 2150 + now / 300 % 17 * 40,
            )),
            silent_for: Duration::ZERO,
            flow: FlowKind::Replicate,
            lost: None,
        };
        [ADA, CY, DEE, ED].map(peer).to_vec()
    }

    fn entry(&self, index: u64) -> Entry {
        let payload = if index == PAST + 1 {
            Payload::Empty
        } else {
            let order = Order::Attack {
                city: CityId((index % 5) as u8 + 1),
            };
            let command = Command {
                client: ClientId(0xada0 + index % 3),
                sequence: index,
                bytes: encoded(&order).into(),
            };
            let member = NodeId(index % 3 + 1);
            Payload::Command { command, member }
        };
        Entry {
            term: Term(if index > PAST { 7 } else { 6 }),
            index: Index(index),
            stamp: Stamp(index * 300),
            payload,
        }
    }
}

fn position(term: u64, index: u64) -> LogPosition {
    LogPosition {
        term: Term(term),
        index: Index(index),
    }
}

/// An order as encoded in the log: the four-byte tag of its type, then the order.
fn encoded(order: &Order) -> Vec<u8> {
    let name = Sha256::digest(PlayerOrder::NAME);
    let mut bytes = name[..4].to_vec();
    bytes.extend(wire::encode_value(order).unwrap_or_default());
    bytes
}

fn live(
    time: Res<Time<Real>>,
    keys: Res<ButtonInput<KeyCode>>,
    mut made: ResMut<Made>,
    mut latency: ResMut<CommitLatency>,
    mut view: ResMut<ClusterView>,
) {
    let now = time.elapsed().as_millis() as u64 + 400;
    made.embedded ^= keys.just_pressed(KeyCode::KeyE);
    made.diverged ^= keys.just_pressed(KeyCode::KeyD);
    made.step(now, &mut latency);
    made.trouble(now);
    let member = |place: usize| {
        let node = made.node(place, now);
        let index = node.status.applied;
        let wrong = u64::from(made.diverged && place == CY) << 63;
        let state = AppliedState {
            index,
            hash: index.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ wrong,
        };
        let shown = made.embedded || place == made.seat;
        MemberView {
            id: id(place),
            name: NAMES[place].to_owned(),
            node: shown.then_some(node),
            up: made.members[place].up,
            state: shown.then_some(state),
        }
    };
    *view = ClusterView {
        members: (0..NAMES.len()).map(member).collect(),
        seat: Some(id(made.seat)),
        embedded: made.embedded,
    };
}

fn suffer(fault: On<Fault>, mut made: ResMut<Made>, time: Res<Time<Real>>) {
    let place = fault.member.0 as usize - 1;
    let member = &mut made.members[place];
    match fault.kind {
        FaultKind::Kill => member.up = false,
        FaultKind::Restart => {
            *member = Member {
                up: true,
                last: member.last,
                commit: PAST,
                ..default()
            }
        }
        FaultKind::Pause(paused) => member.paused = paused,
        FaultKind::Cut(cut) => member.cut = cut.then_some(time.elapsed().as_millis() as u64),
        FaultKind::TransferLeadership => info!("{} would transfer leadership", NAMES[place]),
        FaultKind::TakeSeat => made.seat = place,
    }
}
