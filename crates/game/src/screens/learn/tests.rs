//! Steps before and after, and whole lessons with real nodes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::time::TimePlugin;
use bevy_raft::RaftStatus;
use bevy_raft::prelude::*;
use raftian_raft::{Index, NodeId, Term};
use raftian_realm::crowns::{Building, Order, Resource as Goods, UnitKind};
use raftian_realm::table::{Archetype, Command, Level, Table};

use super::acts::Act;
use super::lessons::steps;
use super::progress::{self, LessonRun};
use super::view::{Begin, LessonView, Machine, Unchanged};
use super::*;
use crate::cluster_view::{AppliedState, ClusterView};
use crate::embedded;
use crate::headless;
use crate::language::Language;
use crate::language::tests::{Spoken, bare_words};
use crate::realm::{CityId, Order as Hit, Realm};
use crate::replication::PlayerOrder;
use crate::seat::Seat;
use crate::settings::Settings;
use crate::settings::bindings::Bindings;
use crate::table::{ReplicatedTable, TableCommand, command_at};

/// Longest wait for real nodes.
const WAIT: Duration = Duration::from_secs(60);

/// Everything that a view borrows.
struct State {
    realm: Realm,
    table: Table,
    machines: Vec<Machine>,
    led: BTreeMap<NodeId, Term>,
    leader: Option<NodeId>,
    term: Term,
    order: Option<Index>,
    unchanged: Unchanged,
}

impl State {
    /// Five machines, of which the first is behind the window and leads, at entry 10.
    fn new() -> State {
        let machines = (1..=5).map(|id| Machine {
            id: NodeId(id),
            name: format!("n{id}"),
            is_up: true,
            is_cut: false,
            is_paused: false,
            leads: id == 1,
            term: Term(1),
            commit: Index(10),
            state: Some(AppliedState {
                index: Index(10),
                hash: 7,
            }),
        });
        State {
            realm: Realm::new_classic(5),
            table: Table::default(),
            machines: machines.collect(),
            led: BTreeMap::from([(NodeId(1), Term(1))]),
            leader: Some(NodeId(1)),
            term: Term(1),
            order: None,
            unchanged: Unchanged::default(),
        }
    }

    /// A match of Crowns against one bot, which begins at stamp 0.
    fn with_match(mut self) -> State {
        let bot = Command::AddBot {
            level: Level::Recruit,
            archetype: Archetype::Boom,
        };
        for command in [Command::Sit, bot, Command::Start] {
            command_at(&mut self.table, 1, 0, command);
        }
        self
    }

    fn order(&mut self, stamp: u64, order: Order) {
        command_at(&mut self.table, 1, stamp, Command::Order(order));
    }

    fn view<'a>(&'a self, begin: &'a Begin) -> LessonView<'a> {
        LessonView {
            realm: &self.realm,
            game: self.table.game(),
            round: self.table.rounds(),
            own: 0,
            machines: &self.machines,
            seat: Some(NodeId(1)),
            leader: self.leader,
            term: self.term,
            led: &self.led,
            order: self.order,
            unchanged: self.unchanged,
            begin,
        }
    }

    fn begin(&self) -> Begin {
        self.view(&Begin::NONE).begin()
    }

    fn is_done(&self, lesson: Lesson, step: usize, begin: &Begin) -> bool {
        (steps(lesson)[step].is_done)(&self.view(begin))
    }
}

/// Asserts that texts went through the table of the languages.
fn assert_bracketed(texts: &[String]) {
    for text in texts {
        let bare = bare_words(text);
        // Keys, and names of machines.
        let bare = bare.iter().filter(|word| word.len() > 2);
        assert_eq!(bare.count(), 0, "{text:?}");
    }
}

#[test]
fn every_step_is_translated() {
    let _spoken = Spoken::new(Language::Bracketed);
    let keys = Bindings::default();
    let state = State::new().with_match();
    let begin = state.begin();
    let mut cut = State::new().with_match();
    cut.machines[0].is_cut = true;
    cut.leader = None;
    for lesson in Lesson::ALL {
        assert_bracketed(&[lesson.title(), lesson.subject(), lesson.result()]);
        for step in steps(lesson) {
            assert_bracketed(&[(step.instruction)(), (step.hint)(&keys)]);
            assert_bracketed(&step.act.map(Act::caption).into_iter().collect::<Vec<_>>());
            let facts = [&state, &cut].map(|state| (step.fact)(&state.view(&begin)));
            assert!(facts.iter().all(|fact| !fact.is_empty()), "{lesson:?}");
            assert_bracketed(&facts);
        }
    }
}

#[test]
fn every_lesson_ends_with_a_question() {
    for lesson in Lesson::ALL {
        let steps = steps(lesson);
        assert!(steps.last().is_some_and(|step| step.is_question));
        assert!((3..=5).contains(&steps.len()), "{lesson:?}");
    }
    assert_eq!(Lesson::ALL.map(Lesson::number), [1, 2, 3, 4, 5, 6]);
    assert_eq!(Lesson::Split.next(), None);
    assert_eq!(Lesson::Classic.next(), Some(Lesson::Grow));
}

#[test]
fn no_step_but_the_one_about_the_present_is_done_at_once() {
    for lesson in Lesson::ALL {
        let state = State::new().with_match();
        let begin = state.begin();
        for step in 0..steps(lesson).len() {
            // All machines have the same state before the world is split, too.
            let is_heal = lesson == Lesson::Split && step == 3;
            let is_done = state.is_done(lesson, step, &begin);
            assert_eq!(is_done, is_heal, "{lesson:?} {step}");
        }
    }
}

#[test]
fn hit_counts_once_it_is_committed_and_applied() {
    let mut state = State::new();
    let begin = state.begin();
    let city = CityId(3);
    state.realm.apply(&Hit::Attack { city });
    assert!(!state.is_done(Lesson::Classic, 0, &begin));
    state.order = Some(Index(10));
    assert!(!state.is_done(Lesson::Classic, 0, &begin), "an earlier one");
    state.order = Some(Index(11));
    assert!(state.is_done(Lesson::Classic, 0, &begin));
    let begin = state.begin();
    for hits in 1..=3 {
        assert!(!state.is_done(Lesson::Classic, 4, &begin), "{hits}");
        state.realm.apply(&Hit::Attack { city });
    }
    assert!(state.is_done(Lesson::Classic, 4, &begin));
}

#[test]
fn waiting_order_is_seen_for_a_while() {
    let mut state = State::new();
    let begin = state.begin();
    for machine in &mut state.machines[2..4] {
        machine.is_paused = true;
    }
    assert!(!state.is_done(Lesson::Classic, 1, &begin));
    state.machines[4].is_paused = true;
    assert!(state.is_done(Lesson::Classic, 1, &begin));
    state.unchanged.waiting = Duration::from_millis(1_400);
    assert!(!state.is_done(Lesson::Classic, 2, &begin));
    state.unchanged.waiting = Duration::from_millis(1_600);
    assert!(state.is_done(Lesson::Classic, 2, &begin));
}

#[test]
fn field_counts_when_it_has_its_level() {
    let mut state = State::new().with_match();
    let begin = state.begin();
    state.order(1_000, Order::Build(Building::Field(Goods::Wood)));
    assert!(!state.is_done(Lesson::Grow, 0, &begin), "it is being built");
    state.table.advance(18_000);
    assert!(state.is_done(Lesson::Grow, 0, &begin));
    assert!(!state.is_done(Lesson::Grow, 1, &begin));
}

#[test]
fn trained_axes_and_their_march_count() {
    let mut state = State::new().with_match();
    let begin = state.begin();
    state.order(1_000, Order::Train(UnitKind::Axe, 5));
    state.table.advance(15_000);
    assert!(!state.is_done(Lesson::Fight, 0, &begin));
    state.table.advance(27_000);
    assert!(state.is_done(Lesson::Fight, 0, &begin));
    assert!(state.is_done(Lesson::Throne, 0, &begin));
    let game = state.table.game().expect("a match");
    let army = *game.seats()[0].home();
    let home = game.map().seats[0];
    let oases = (0..).zip(&game.map().oases);
    let near = oases.min_by_key(|(_, oasis)| oasis.tile.distance(home));
    let oasis = near.map(|(number, _)| number).expect("an oasis");
    let march = Order::March {
        army,
        to: raftian_realm::crowns::Place::Oasis(oasis),
        attack: raftian_realm::crowns::Attack::Assault,
    };
    state.order(28_000, march);
    assert!(state.is_done(Lesson::Fight, 1, &begin));
    assert!(!state.is_done(Lesson::Fight, 2, &begin));
    state.table.advance(48_000);
    assert!(state.is_done(Lesson::Fight, 2, &begin));
}

#[test]
fn dead_leader_counts_when_another_one_leads_a_later_term() {
    let mut state = State::new();
    let begin = state.begin();
    state.machines[0].is_up = false;
    assert!(!state.is_done(Lesson::Leader, 0, &begin), "still known");
    state.leader = Some(NodeId(2));
    assert!(!state.is_done(Lesson::Leader, 0, &begin), "the same term");
    state.term = Term(2);
    assert!(state.is_done(Lesson::Leader, 0, &begin));
    let begin = state.begin();
    assert!(!state.is_done(Lesson::Leader, 1, &begin), "no order yet");
    state.order = Some(Index(11));
    assert!(state.is_done(Lesson::Leader, 1, &begin));
    // The death of a machine that never led proves nothing.
    state.machines[4].is_up = false;
    state.term = Term(3);
    assert!(!state.is_done(Lesson::Leader, 2, &begin));
}

#[test]
fn split_counts_when_both_sides_show_it() {
    let mut state = State::new();
    let begin = state.begin();
    state.machines[0].is_cut = true;
    state.machines[4].is_cut = true;
    assert!(!state.is_done(Lesson::Split, 0, &begin), "still led");
    state.leader = None;
    assert!(!state.is_done(Lesson::Split, 0, &begin), "no other leader");
    state.machines[1].leads = true;
    assert!(state.is_done(Lesson::Split, 0, &begin));
    state.unchanged.applied = Duration::from_secs(6);
    assert!(!state.is_done(Lesson::Split, 1, &begin), "no difference");
    state.machines[1].state = Some(AppliedState {
        index: Index(12),
        hash: 8,
    });
    assert!(state.is_done(Lesson::Split, 1, &begin));
    assert!(!state.is_done(Lesson::Split, 2, &begin), "the small side");
    let begin = state.begin();
    for machine in &mut state.machines {
        machine.is_cut = false;
    }
    assert!(!state.is_done(Lesson::Split, 3, &begin), "states differ");
    for machine in &mut state.machines {
        machine.state = Some(AppliedState {
            index: Index(13),
            hash: 9,
        });
    }
    assert!(state.is_done(Lesson::Split, 3, &begin));
}

/// Members that an act changes.
fn members(act: Act, state: &State) -> Vec<u64> {
    let faults = act.faults(&state.machines, Some(NodeId(1)), state.leader);
    faults.iter().map(|fault| fault.member.0).collect()
}

#[test]
fn acts_leave_a_majority_and_change_each_machine_once() {
    let mut state = State::new();
    assert_eq!(members(Act::PauseThree, &state), [2, 3, 4]);
    assert_eq!(members(Act::Split, &state), [1, 5]);
    assert_eq!(members(Act::KillLeader, &state), [1]);
    for act in [Act::WakeOne, Act::ChangeSide, Act::Heal] {
        assert!(members(act, &state).is_empty(), "{act:?}");
    }
    state.machines[0].is_cut = true;
    state.machines[1].is_paused = true;
    assert_eq!(members(Act::Heal, &state), [1, 2]);
    assert_eq!(members(Act::WakeOne, &state), [2]);
    assert_eq!(members(Act::ChangeSide, &state), [2]);
    assert_eq!(members(Act::Split, &state), [5]);
    let mut state = State::new();
    state.machines[3].is_up = false;
    state.machines[4].is_up = false;
    let killed = members(Act::KillLeader, &state);
    assert!(killed.is_empty(), "three are needed: {killed:?}");
}

/// A lesson with real nodes, without a window.
struct Played {
    app: App,
}

impl Played {
    fn new(lesson: Lesson) -> Played {
        let (embedded, node) = Embedded::start(practice::MEMBERS).expect("five members");
        let mut app = headless::app(Seat::fresh(node));
        app.add_plugins(TimePlugin)
            .insert_state(lesson.screen())
            .insert_resource(embedded)
            .add_plugins((embedded::plugin, practice::plugin, progress::plugin))
            .insert_resource(lesson.opponents())
            .init_resource::<Settings>()
            .insert_resource(LessonRun::new(lesson));
        app.finish();
        app.cleanup();
        let mut played = Played { app };
        played.until("the table is laid", |world| {
            lesson == Lesson::Classic || world.resource::<ReplicatedTable>().0.game().is_some()
        });
        played.until("a leader is known", |world| {
            world.resource::<RaftStatus>().leader().is_some()
        });
        played.update_for(Duration::from_millis(100));
        played
    }

    fn until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + WAIT;
        loop {
            self.app.update();
            if done(self.app.world()) {
                return;
            }
            let world = self.app.world();
            assert!(
                Instant::now() < deadline,
                "not within {WAIT:?}: {what}: {:?} {:#?}",
                world.resource::<LessonRun>(),
                world.resource::<ClusterView>()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn update_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.app.update();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn done(&self) -> usize {
        self.app.world().resource::<LessonRun>().done
    }

    fn act(&mut self, act: Act) {
        let world = self.app.world_mut();
        let cluster = world.resource::<ClusterView>();
        let leader = world.resource::<RaftStatus>().leader();
        let faults = act.faults(&Machine::all(cluster), cluster.seat, leader);
        assert!(!faults.is_empty(), "{act:?} does something");
        for fault in faults {
            world.trigger(fault);
        }
    }

    fn train_spear(&mut self) {
        let world = self.app.world_mut();
        let order = Command::Order(Order::Train(UnitKind::Spear, 1));
        let command = TableCommand::new(order, &world.resource::<ReplicatedTable>().0);
        world.propose(command);
    }

    fn hit(&mut self, city: u8) {
        let city = CityId(city);
        self.app
            .world_mut()
            .propose(PlayerOrder(Hit::Attack { city }));
    }

    fn until_done(&mut self, steps: usize) {
        self.until(&format!("{steps} steps are done"), |world| {
            world.resource::<LessonRun>().done >= steps
        });
        assert_eq!(self.done(), steps);
    }

    fn is_finished(&self, lesson: Lesson) -> bool {
        let settings = self.app.world().resource::<Settings>();
        settings.lessons.is_done(lesson)
    }
}

/// An order that is pending is no reason to go on, and three machines are.
#[test]
fn lesson_of_four_clicks_follows_the_commits_of_real_nodes() {
    let mut played = Played::new(Lesson::Classic);
    assert_eq!(played.done(), 0);
    played.hit(2);
    played.until_done(1);
    played.act(Act::PauseThree);
    played.until_done(2);
    played.update_for(Duration::from_secs(2));
    assert_eq!(played.done(), 2, "nothing waits yet");
    played.hit(2);
    played.until_done(3);
    played.act(Act::WakeOne);
    played.until_done(4);
    played.hit(2);
    played.update_for(Duration::from_millis(300));
    assert_eq!(played.done(), 4, "three hits do not suffice");
    played.hit(2);
    played.until_done(5);
    assert!(played.is_finished(Lesson::Classic));
}

#[test]
fn lesson_of_the_leader_follows_the_elections_of_real_nodes() {
    let mut played = Played::new(Lesson::Leader);
    played.train_spear();
    played.update_for(Duration::from_millis(500));
    assert_eq!(played.done(), 0, "an order is no dead leader");
    played.act(Act::KillLeader);
    played.until_done(1);
    played.update_for(Duration::from_millis(300));
    assert_eq!(played.done(), 1, "the order from before does not count");
    played.train_spear();
    played.until_done(2);
    played.act(Act::KillLeader);
    played.until_done(3);
    assert!(!played.is_finished(Lesson::Leader));
    played.train_spear();
    played.until_done(4);
    assert!(played.is_finished(Lesson::Leader));
}

#[test]
fn lesson_of_the_split_follows_both_sides_of_real_nodes() {
    let mut played = Played::new(Lesson::Split);
    assert_eq!(played.done(), 0);
    played.act(Act::Split);
    played.until_done(1);
    played.until_done(2);
    played.train_spear();
    played.update_for(Duration::from_millis(500));
    assert_eq!(played.done(), 2, "the small side commits nothing");
    played.act(Act::ChangeSide);
    played.until_done(3);
    played.update_for(Duration::from_millis(500));
    assert_eq!(played.done(), 3, "the two sides differ");
    played.act(Act::Heal);
    played.until_done(4);
    assert!(played.is_finished(Lesson::Split));
}
