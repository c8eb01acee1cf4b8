//! Six lessons, each a match of this process with a guide beside the map.
//!
//! A lesson is a list of [`lessons::Step`]s. [`progress`] compares each step with the replicated
//! state and the state of consensus, and only those complete it: no press counts as done.
//! [`guide`] shows the present step, [`page`] lists the lessons, and [`acts`] injects the faults
//! that some steps need, in the same way as the debug overlay.

mod acts;
mod guide;
mod lessons;
mod page;
mod progress;
mod view;

use bevy::prelude::*;
use bevy_raft::MatchState;
use raftian_realm::table::{Archetype, Level};

use super::Screen;
use super::practice::{self, Opponents};
use crate::embedded::Embedded;
use crate::ui::scale::LeastRoom;

pub(crate) use self::guide::ROOM;
pub(crate) use self::page::ShowLessons;
pub(crate) use self::progress::LessonRun;

/// A lesson.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Lesson {
    Classic,
    Grow,
    Fight,
    Throne,
    Leader,
    Split,
}

impl Lesson {
    /// All six, in the order in which they are learned.
    pub(crate) const ALL: [Lesson; 6] = [
        Lesson::Classic,
        Lesson::Grow,
        Lesson::Fight,
        Lesson::Throne,
        Lesson::Leader,
        Lesson::Split,
    ];

    /// Number, counted from 1.
    fn number(self) -> usize {
        self as usize + 1
    }

    /// Name.
    fn title(self) -> String {
        match self {
            Lesson::Classic => text!("Four clicks"),
            Lesson::Grow => text!("Grow"),
            Lesson::Fight => text!("Fight"),
            Lesson::Throne => text!("The Throne"),
            Lesson::Leader => text!("Kill the leader"),
            Lesson::Split => text!("Split the world"),
        }
    }

    /// Subject, for the list.
    fn subject(self) -> String {
        match self {
            Lesson::Classic => text!("The way of a command through five machines, in slow motion."),
            Lesson::Grow => text!("Fields pay for all that follows, and the store must hold it."),
            Lesson::Fight => {
                text!("Plan a march, see its result before it leaves, counter a unit.")
            }
            Lesson::Throne => text!("Take the Throne in the middle, and win crowns by holding it."),
            Lesson::Leader => text!("Take a hammer to the machine that leads, and keep playing."),
            Lesson::Split => {
                text!("Three machines against two: see which side stands still, and heal it.")
            }
        }
    }

    /// Result, shown at the end.
    fn result(self) -> String {
        match self {
            Lesson::Classic => {
                text!(
                    "Four hits. A command counts once a majority has stored it, and then on \
                     every machine, in the same order."
                )
            }
            Lesson::Grow => {
                text!("Fields first: a city that grows early pays for more of everything.")
            }
            Lesson::Fight => {
                text!(
                    "Spears stop riders, riders ride down axes, axes break spears. The plan \
                     shows the result before the army leaves."
                )
            }
            Lesson::Throne => {
                text!("No garrison, no crowns. In a match the first with enough crowns wins.")
            }
            Lesson::Leader => {
                text!(
                    "Three of five still decide. No machine is special: the others elect a \
                     leader, and no committed order is lost."
                )
            }
            Lesson::Split => {
                text!(
                    "Only a majority decides, so there are never two truths. The small side \
                     waited, and then caught up."
                )
            }
        }
    }

    fn screen(self) -> Screen {
        match self {
            Lesson::Classic => Screen::Classic,
            Lesson::Grow | Lesson::Fight | Lesson::Throne | Lesson::Leader | Lesson::Split => {
                Screen::Match
            }
        }
    }

    /// One weak bot, because a match needs two seats, and a faster clock.
    fn opponents(self) -> Opponents {
        Opponents {
            count: 1,
            level: Level::Recruit,
            speed: match self {
                // The Throne opens at 4:00, which is after 24 seconds.
                Lesson::Throne => 10,
                Lesson::Classic | Lesson::Grow | Lesson::Fight | Lesson::Leader | Lesson::Split => {
                    4
                }
            },
            archetype: Some(Archetype::Boom),
            production: 50,
        }
    }

    fn next(self) -> Option<Lesson> {
        Lesson::ALL.get(self.number()).copied()
    }
}

/// The lesson that begins as soon as the match before has ended.
#[derive(Resource, Default)]
struct Queued(Option<Lesson>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Queued>()
        .init_resource::<LeastRoom>()
        .add_plugins((progress::plugin, page::plugin, guide::plugin))
        .add_systems(OnEnter(Screen::Menu), end_lesson)
        .add_systems(OnExit(Screen::Menu), drop_queued)
        .add_systems(Update, make_room)
        .add_systems(
            Update,
            begin_queued.run_if(in_state(Screen::Menu).and_then(is_free)),
        );
}

/// Whether a match can begin.
fn is_free(state: Res<State<MatchState>>, embedded: Option<Res<Embedded>>) -> bool {
    match state.get() {
        MatchState::Detached | MatchState::Left | MatchState::Failed => embedded.is_none(),
        MatchState::Starting
        | MatchState::Joining
        | MatchState::Running
        | MatchState::NoQuorum
        | MatchState::Leaving => false,
    }
}

fn begin_queued(world: &mut World) {
    let Some(lesson) = world.resource_mut::<Queued>().0.take() else {
        return;
    };
    if practice::begin_against(world, lesson.screen(), lesson.opponents()) {
        world.insert_resource(LessonRun::new(lesson));
    }
}

/// A lesson that could not begin before another match did must not follow that one.
/// The guide is beside the map, so that a lesson needs more room.
fn make_room(run: Option<Res<LessonRun>>, mut room: ResMut<LeastRoom>) {
    /// The guide, a map, and the panel of the city.
    const LESSON: LeastRoom = LeastRoom(Vec2::new(960.0, 560.0));
    room.set_if_neq(match run {
        Some(_) => LESSON,
        None => LeastRoom::default(),
    });
}

fn drop_queued(mut queued: ResMut<Queued>) {
    queued.0 = None;
}

/// The menu ends a lesson, and shows the list again unless another one follows.
fn end_lesson(run: Option<Res<LessonRun>>, queued: Res<Queued>, mut commands: Commands) {
    if run.is_none() {
        return;
    }
    commands.remove_resource::<LessonRun>();
    if queued.0.is_none() {
        commands.trigger(ShowLessons);
    }
}

#[cfg(test)]
mod tests;
