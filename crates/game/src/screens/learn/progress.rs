//! The progress of a lesson, which follows from replicated state and consensus alone.

use std::collections::BTreeMap;

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::RaftStatus;
use bevy_raft::prelude::*;
use raftian_raft::{Index, NodeId, Term};
use raftian_realm::crowns::Crowns;
use raftian_realm::table::{Command, MatchSeat};

use super::Lesson;
use super::lessons::{Step, steps};
use super::view::{Begin, LessonView, Machine, Steady, Unchanged, damage};
use crate::cluster_view::ClusterView;
use crate::projection::ReplicatedRealm;
use crate::replication::PlayerOrder;
use crate::screens::Screen;
use crate::settings::Settings;
use crate::table::{LastVerdict, ReplicatedTable, TableCommand};

/// The lesson that is played.
#[derive(Resource, Debug)]
pub(crate) struct LessonRun {
    pub(super) lesson: Lesson,
    /// Steps that are done.
    pub(super) done: usize,
    /// State at the begin of the present step; `None` before the match has begun.
    begin: Option<Begin>,
    /// Machines that have led since the lesson began, with their last terms.
    led: BTreeMap<NodeId, Term>,
    /// The last order of the player that was committed and accepted.
    order: Option<Index>,
    waiting: Steady<(bool, i32)>,
    applied: Steady<Index>,
    crowns: Steady<(bool, u64)>,
    /// The state of the present step in one line.
    pub(super) fact: String,
}

impl LessonRun {
    pub(super) fn new(lesson: Lesson) -> Self {
        LessonRun {
            lesson,
            done: 0,
            begin: None,
            led: BTreeMap::new(),
            order: None,
            waiting: Steady::default(),
            applied: Steady::default(),
            crowns: Steady::default(),
            fact: String::new(),
        }
    }

    /// Whether the match of the lesson has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begin.is_some()
    }

    /// The present step; `None` at the end.
    pub(super) fn step(&self) -> Option<&'static Step> {
        steps(self.lesson).get(self.done)
    }
}

pub(super) fn plugin(app: &mut App) {
    app.add_observer(note_order)
        .add_observer(note_hit)
        .add_systems(Update, follow.run_if(resource_exists::<LessonRun>));
}

/// Notes an order of the player in Crowns. All machines of a lesson are one player, and bots have
/// commands of their own.
fn note_order(
    committed: On<Committed<TableCommand>>,
    verdict: Res<LastVerdict>,
    run: Option<ResMut<LessonRun>>,
) {
    let Some(mut run) = run else { return };
    let index = committed.entry.index;
    let is_accepted = verdict.0 == Some((index, Ok(())));
    if let Command::Order(order) = &committed.command.command
        && is_accepted
        && !order.is_message()
    {
        run.order = run.order.max(Some(index));
    }
}

/// Notes a hit in classic mode.
fn note_hit(committed: On<Committed<PlayerOrder>>, run: Option<ResMut<LessonRun>>) {
    if let Some(mut run) = run {
        run.order = run.order.max(Some(committed.entry.index));
    }
}

fn follow(
    screen: Res<State<Screen>>,
    realm: Res<ReplicatedRealm>,
    table: Res<ReplicatedTable>,
    cluster: Res<ClusterView>,
    status: Res<RaftStatus>,
    time: Res<Time<Real>>,
    mut run: ResMut<LessonRun>,
    mut settings: ResMut<Settings>,
) {
    let game = table.0.game();
    let is_shown = *screen.get() == run.lesson.screen();
    let has_begun = game.is_some() || run.lesson == Lesson::Classic;
    if !is_shown || cluster.members.is_empty() {
        return;
    }
    let machines = Machine::all(&cluster);
    let run = &mut *run;
    // Also while the table is laid: the overlay can kill a leader then.
    if let Some(leader) = status.leader() {
        run.led.insert(leader, status.term());
    }
    if !has_begun {
        return;
    }
    let mut seats = (0..).zip(table.0.match_seats());
    let own = seats.find(|(_, seat)| matches!(seat, MatchSeat::Player(_)));
    let mut view = LessonView {
        realm: &realm.0,
        game,
        round: table.0.rounds(),
        own: own.map_or(0, |(seat, _)| seat),
        machines: &machines,
        seat: cluster.seat,
        leader: status.leader(),
        term: status.term(),
        led: &run.led,
        order: run.order,
        unchanged: Unchanged::default(),
        begin: &Begin::NONE,
    };
    if run
        .begin
        .as_ref()
        .is_none_or(|begin| begin.round != view.round)
    {
        // An election is not part of the lesson before it begins.
        if view.leader.is_none() {
            return;
        }
        run.begin = Some(view.begin());
    }
    let Some(begin) = &run.begin else { return };
    view.begin = begin;
    let now = time.elapsed();
    let is_waiting = status.pending > 0;
    let unchanged = run.waiting.note((is_waiting, damage(&realm.0)), now);
    view.unchanged = Unchanged {
        waiting: if is_waiting { unchanged } else { default() },
        applied: run.applied.note(status.applied, now),
        crowns: run.crowns.note(crowns(&view, game), now),
    };
    let Some(step) = steps(run.lesson).get(run.done) else {
        return;
    };
    let fact = (step.fact)(&view);
    if (step.is_done)(&view) {
        let next = view.begin();
        run.begin = Some(next);
        run.done += 1;
        if run.done == steps(run.lesson).len() && !settings.lessons.is_done(run.lesson) {
            settings.lessons.finish(run.lesson);
        }
    }
    run.fact = fact;
}

/// Whether the player holds the Throne, and the player's crowns.
fn crowns(view: &LessonView, game: Option<&Crowns>) -> (bool, u64) {
    let holds = view.holds(raftian_realm::crowns::Place::Throne);
    (holds, game.map_or(0, |game| game.crowns(view.own)))
}
