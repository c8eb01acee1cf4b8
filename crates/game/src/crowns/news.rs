//! The state of consensus in words: nothing while it works, and more the longer it does not.

use std::mem;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::{CATCHING_UP, RaftStatus};
use raftian_raft::NodeId;

use super::CrownsSystems;
use super::feed::{Feed, Tone};
use super::layout::BelowBar;
use super::perspective::Perspective;
use super::words::clock;
use crate::audio::{Cue, Play};
use crate::cluster_view::{ClusterView, MemberView};
use crate::language::Wording;
use crate::screens::Screen;
use crate::table::ReplicatedTable;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{text, write};
use crate::view::fonts::Typeface;

/// Time without a leader after which an election is mentioned.
const MENTIONED_AFTER: Duration = Duration::from_millis(400);

/// Time without a leader after which it is explained who is missing.
const EXPLAINED_AFTER: Duration = Duration::from_secs(3);

/// Who leads, and since when there is no leader.
#[derive(Resource, Default)]
pub(super) struct Leadership {
    /// The match.
    seed: Option<u64>,
    leader: Option<NodeId>,
    lost_at: Option<Duration>,
    /// The loss was announced by a cue, so the next leader is, too.
    is_announced: bool,
    /// Leaders since the match began, with the time of the match since which each leads.
    pub(super) terms: Vec<(u64, NodeId)>,
    /// Longest time without a leader.
    pub(super) longest: Duration,
}

impl Leadership {
    /// Begins anew with another match, in which the present leader is the first.
    fn follow_match(&mut self, seed: Option<u64>) {
        if self.seed != seed {
            self.seed = seed;
            self.terms = self.leader.map(|leader| (0, leader)).into_iter().collect();
            self.longest = Duration::ZERO;
        }
    }

    /// Notes that there is no leader. Returns true once, after [`EXPLAINED_AFTER`]: shorter
    /// elections are no news to the ear.
    fn lose(&mut self, now: Duration) -> bool {
        let lost_at = *self.lost_at.get_or_insert(now);
        let is_late = now.saturating_sub(lost_at) > EXPLAINED_AFTER;
        let is_new = is_late && self.leader.is_some() && !self.is_announced;
        self.is_announced |= is_new;
        is_new
    }
}

/// The state of consensus as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    /// It works, or a leader is missing only since a moment.
    Calm,
    /// A leader is chosen.
    Election,
    /// This machine was away, and applies what it has missed.
    CatchingUp,
    /// Too few members are there.
    NoQuorum,
    /// This machine is cut off from the others.
    CutOff,
    /// This machine is paused.
    Paused,
    /// No member runs.
    Down,
}

#[derive(Component)]
struct Strip;

#[derive(Component)]
struct StripText;

/// A veil over the map.
#[derive(Component)]
struct Frost;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Leadership>()
        .add_systems(OnEnter(Screen::Match), (reset, spawn))
        .add_systems(
            Update,
            (follow_leader, show).chain().in_set(CrownsSystems::Draw),
        );
}

fn reset(mut leadership: ResMut<Leadership>) {
    *leadership = Leadership::default();
}

fn spawn(mut commands: Commands, font: Res<Typeface>) {
    commands.spawn((
        Frost,
        DespawnOnExit(Screen::Match),
        Node {
            position_type: PositionType::Absolute,
            width: percent(100),
            height: percent(100),
            border: UiRect::all(px(14)),
            ..default()
        },
        BackgroundColor(Color::NONE),
        BorderColor::all(Color::NONE),
        Pickable::IGNORE,
        GlobalZIndex(5),
    ));
    commands.spawn((
        Strip,
        BelowBar(0.0),
        DespawnOnExit(Screen::Match),
        Node {
            position_type: PositionType::Absolute,
            left: px(0),
            right: px(0),
            padding: UiRect::axes(space::WIDE, space::NEAR),
            justify_content: JustifyContent::Center,
            display: Display::None,
            ..default()
        },
        BackgroundColor(colour::CONTROL),
        Pickable::IGNORE,
        GlobalZIndex(10),
        children![(
            StripText,
            text(&font, Wording::EMPTY, size::BODY, colour::TEXT)
        )],
    ));
}

/// Notes changes of the leader in the feed.
fn follow_leader(
    status: Res<RaftStatus>,
    cluster: Res<ClusterView>,
    perspective: Res<Perspective>,
    table: Res<ReplicatedTable>,
    time: Res<Time<Real>>,
    mut leadership: ResMut<Leadership>,
    mut feed: ResMut<Feed>,
    mut commands: Commands,
) {
    let now = time.elapsed();
    leadership.follow_match(table.0.seed());
    let Some(leader) = status.leader() else {
        if leadership.lose(now) {
            commands.trigger(Play(Cue::QuorumLost));
        }
        return;
    };
    if mem::take(&mut leadership.is_announced) {
        commands.trigger(Play(Cue::QuorumBack));
    }
    let without = leadership.lost_at.take().map(|at| now.saturating_sub(at));
    let pause = without.unwrap_or_default();
    if leadership.leader.is_some() {
        leadership.longest = leadership.longest.max(pause);
    }
    if leadership.leader == Some(leader) {
        return;
    }
    let before = leadership.leader.replace(leader);
    let at = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    leadership.terms.push((at, leader));
    let Some(before) = before else { return };
    let [from, to] = [before, leader].map(|id| cluster.name(id));
    let words = match pause.as_millis() {
        0 => text!("Leadership passed from {from} to {to}.", from, to),
        pause => {
            text!(
                "Leadership passed from {from} to {to}, after {pause} ms without a leader.",
                from,
                to,
                pause
            )
        }
    };
    feed.add(at, words, Tone::Consensus);
}

/// Whether a member takes part, as far as known here.
fn is_here(member: &MemberView) -> bool {
    let is_off = member
        .node
        .as_ref()
        .is_some_and(|node| node.paused || node.cut || node.stopped.is_some());
    member.up && !is_off
}

fn mood(status: &RaftStatus, cluster: &ClusterView, without: Option<Duration>) -> Mood {
    let Some(view) = &status.view else {
        return Mood::Down;
    };
    if view.stopped.is_some() {
        return Mood::Down;
    }
    if view.paused {
        return Mood::Paused;
    }
    let Some(without) = without else {
        let behind = view.status.commit.0.saturating_sub(status.applied.0);
        return match behind > CATCHING_UP {
            true => Mood::CatchingUp,
            false => Mood::Calm,
        };
    };
    let here = cluster.members.iter().filter(|one| is_here(one)).count();
    let has_quorum = here * 2 > cluster.members.len();
    if without < MENTIONED_AFTER {
        Mood::Calm
    } else if view.cut {
        Mood::CutOff
    } else if without < EXPLAINED_AFTER || has_quorum {
        Mood::Election
    } else {
        Mood::NoQuorum
    }
}

/// The sentence of a mood.
fn sentence(
    mood: Mood,
    status: &RaftStatus,
    cluster: &ClusterView,
    clock_now: &str,
    without: Duration,
) -> String {
    match mood {
        Mood::Calm => String::new(),
        Mood::Election => text!(
            "Choosing a new leader... (term {term})",
            term = status.term().0
        ),
        Mood::CatchingUp => {
            let commit = status.view.as_ref().map_or(0, |view| view.status.commit.0);
            text!(
                "Catching up: {applied} of {of}",
                applied = status.applied.0,
                of = commit
            )
        }
        Mood::NoQuorum => {
            let names = |is_wanted: bool| {
                let members = cluster.members.iter();
                let wanted = members.filter(|one| is_here(one) == is_wanted);
                wanted.map(|one| one.name.clone()).collect::<Vec<_>>()
            };
            let [here, missing] = [true, false].map(names);
            text!(
                "Waiting for a majority: {count} of {all} are here ({here}). Missing: {missing}. \
                 Time is stopped; no one can act.",
                count = here.len(),
                all = cluster.members.len(),
                here = here.join(", "),
                missing = missing.join(", ")
            )
        }
        Mood::CutOff => text!(
            "You are cut off. You see {time}, {seconds} s ago. The others may be playing on.",
            time = clock_now,
            seconds = without.as_secs()
        ),
        Mood::Paused => text!("Your machine is paused. Resume it in the overlay (F3)."),
        Mood::Down if cluster.embedded => {
            text!("All machines are down. Start one in the overlay (F3).")
        }
        Mood::Down => text!("Your node has stopped. The others may be playing on."),
    }
}

fn show(
    status: Res<RaftStatus>,
    cluster: Res<ClusterView>,
    perspective: Res<Perspective>,
    leadership: Res<Leadership>,
    time: Res<Time<Real>>,
    mut strip: Single<(&mut Node, &mut BackgroundColor), With<Strip>>,
    mut words: Single<(&mut Text, &mut TextColor), With<StripText>>,
    mut frost: Single<(&mut BackgroundColor, &mut BorderColor), (With<Frost>, Without<Strip>)>,
) {
    let lost_at = leadership.lost_at.filter(|_| leadership.leader.is_some());
    let without = lost_at.map(|at| time.elapsed().saturating_sub(at));
    let mood = mood(&status, &cluster, without);
    let now = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    let without = without.unwrap_or_default();
    write(
        &mut words.0,
        sentence(mood, &status, &cluster, &clock(now), without),
    );
    let (ground, ink) = match mood {
        Mood::Calm | Mood::Election | Mood::CatchingUp => (colour::CONTROL, colour::QUIET),
        Mood::NoQuorum | Mood::Down | Mood::Paused => (Color::srgb(0.36, 0.24, 0.02), colour::TEXT),
        Mood::CutOff => (Color::srgb(0.12, 0.27, 0.38), colour::TEXT),
    };
    strip.1.set_if_neq(BackgroundColor(ground));
    words.1.set_if_neq(TextColor(ink));
    let display = if mood == Mood::Calm {
        Display::None
    } else {
        Display::Flex
    };
    if strip.0.display != display {
        strip.0.display = display;
    }
    let (veil, edge) = match mood {
        Mood::CutOff | Mood::Paused | Mood::Down => (
            Color::srgba(0.75, 0.85, 0.95, 0.16),
            Color::srgba(0.82, 0.93, 1.0, 0.5),
        ),
        Mood::NoQuorum => (Color::srgba(0.0, 0.0, 0.0, 0.25), Color::NONE),
        Mood::Calm | Mood::Election | Mood::CatchingUp => (Color::NONE, Color::NONE),
    };
    frost.0.set_if_neq(BackgroundColor(veil));
    frost.1.set_if_neq(BorderColor::all(edge));
}

#[cfg(test)]
mod with_nodes;

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(up: [bool; 5]) -> ClusterView {
        let members = (1..).zip(up).map(|(id, up)| MemberView {
            id: NodeId(id),
            name: format!("m{id}"),
            node: None,
            up,
            state: None,
        });
        ClusterView {
            members: members.collect(),
            seat: Some(NodeId(1)),
            embedded: true,
        }
    }

    #[test]
    fn missing_members_are_named() {
        let cluster = cluster([true, false, true, false, false]);
        let words = sentence(
            Mood::NoQuorum,
            &RaftStatus::default(),
            &cluster,
            "7:42",
            Duration::from_secs(4),
        );
        assert_eq!(
            words,
            "Waiting for a majority: 2 of 5 are here (m1, m3). Missing: m2, m4, m5. Time is \
             stopped; no one can act."
        );
    }

    #[test]
    fn lost_leader_is_announced_once_and_late() {
        let mut leadership = Leadership::default();
        let minute = Duration::from_secs(60);
        assert!(!leadership.lose(Duration::ZERO));
        assert!(!leadership.lose(minute), "there has been no leader yet");
        leadership = Leadership {
            leader: Some(NodeId(1)),
            ..Leadership::default()
        };
        assert!(!leadership.lose(minute));
        assert!(!leadership.lose(minute + EXPLAINED_AFTER));
        let late = minute + EXPLAINED_AFTER + Duration::from_millis(1);
        assert!(leadership.lose(late));
        assert!(!leadership.lose(late + minute));
    }

    #[test]
    fn next_match_begins_with_its_leader_alone() {
        let mut leadership = Leadership {
            seed: Some(1),
            leader: Some(NodeId(2)),
            terms: vec![(0, NodeId(1)), (90_000, NodeId(2))],
            longest: Duration::from_millis(300),
            ..Leadership::default()
        };
        leadership.follow_match(Some(1));
        assert_eq!(leadership.terms.len(), 2);
        leadership.follow_match(Some(2));
        assert_eq!(leadership.terms, [(0, NodeId(2))]);
        assert_eq!(leadership.longest, Duration::ZERO);
    }

    #[test]
    fn no_node_is_not_an_election() {
        let cluster = cluster([false; 5]);
        let status = RaftStatus::default();
        assert_eq!(mood(&status, &cluster, None), Mood::Down);
        let words = sentence(Mood::Down, &status, &cluster, "0:00", Duration::ZERO);
        assert!(words.contains("F3"), "{words}");
    }
}
