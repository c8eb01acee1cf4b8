//! The guide of a lesson: one instruction at a time, beside the map.

use bevy::input_focus::tab_navigation::TabGroup;
use bevy::input_focus::{FocusCause, InputFocus, InputFocusVisible};
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy::ui_widgets::Activate;
use bevy_raft::RaftStatus;

use super::acts::Act;
use super::lessons::{Step, steps};
use super::progress::LessonRun;
use super::view::Machine;
use super::{Lesson, Queued};
use crate::cluster_view::ClusterView;
use crate::crowns::BelowBar;
use crate::language::Wording;
use crate::screens::Screen;
use crate::settings::bindings::KeyWords;
use crate::ui::focus::FocusedFirst;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{button, column, panel, row, small_button, text, write};
use crate::view::fonts::Typeface;

/// Width of the guide with its margin, in pixels of the interface: the map leaves it free.
pub(crate) const ROOM: f32 = 300.0;

/// Height of the strip about consensus, which appears below the bar.
const STRIP: f32 = 44.0;

/// Distance from the edge of the window.
const MARGIN: f32 = 8.0;

/// Layer of the guide, below the lobby and all menus.
const LAYER: i32 = 12;

/// The guide, and the step that it shows.
#[derive(Component)]
struct Guide {
    shown: Option<(Lesson, usize)>,
    /// The button of the step, if it has one.
    first: Option<Entity>,
}

/// The line with the present state.
#[derive(Component)]
struct FactLine;

/// A button of the guide.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum Press {
    Act(Act),
    Again,
    Next,
    Leave,
}

pub(super) fn plugin(app: &mut App) {
    app.add_observer(press).add_systems(
        Update,
        (spawn, fill, focus_again, write_fact)
            .chain()
            .run_if(is_guided.and_then(not(in_state(Screen::Menu)))),
    );
}

/// Whether there is a step to show. Before the match has begun, no button must kill a machine.
fn is_guided(run: Option<Res<LessonRun>>) -> bool {
    run.is_some_and(|run| run.has_begun())
}

/// Shows the guide in every screen of a lesson.
fn spawn(screen: Res<State<Screen>>, guides: Query<(), With<Guide>>, mut commands: Commands) {
    if !guides.is_empty() {
        return;
    }
    let guide = commands.spawn((
        Name::new("Guide"),
        Guide {
            shown: None,
            first: None,
        },
        DespawnOnExit(*screen.get()),
        TabGroup::new(-1),
        GlobalZIndex(LAYER),
        panel(Node {
            position_type: PositionType::Absolute,
            // Between the two cities at the left edge of the board of classic mode, which a small
            // window has there.
            top: percent(30),
            left: px(MARGIN),
            width: px(ROOM - MARGIN),
            ..column(space::NEAR)
        }),
    ));
    if *screen.get() == Screen::Match {
        let guide = guide.id();
        commands.entity(guide).insert(BelowBar(STRIP));
    }
}

/// Shows another step.
fn fill(
    run: Res<LessonRun>,
    font: Res<Typeface>,
    mut guides: Query<(Entity, &mut Guide)>,
    buttons: Query<(), With<Press>>,
    fields: Query<(), With<EditableText>>,
    mut focus: ResMut<InputFocus>,
    mut commands: Commands,
) {
    let present = Some((run.lesson, run.done));
    for (entity, mut shown_guide) in &mut guides {
        if shown_guide.shown == present {
            continue;
        }
        shown_guide.shown = present;
        // A button that is gone must not receive the next Enter.
        if focus.get().is_some_and(|focused| buttons.contains(focused)) {
            focus.clear();
        }
        // Nor may a button take the focus from a field in which the player writes.
        let is_writing = focus.get().is_some_and(|focused| fields.contains(focused));
        let mut first = None;
        let mut guide = commands.entity(entity);
        guide.despawn_children();
        guide.with_children(|guide| {
            spawn_bar(guide, &run);
            let number = run.lesson.number();
            let all = Lesson::ALL.len();
            let lesson = run.lesson;
            let title = wording!(
                "Lesson {number} of {all}: {title}",
                number,
                all,
                title = lesson.title()
            );
            guide.spawn(text(&font, title, size::SMALL, colour::QUIET));
            match run.step() {
                Some(step) => first = spawn_step(guide, &font, &run, step),
                None => first = Some(spawn_end(guide, &font, run.lesson)),
            }
        });
        shown_guide.first = first;
        if let Some(first) = first.filter(|_| !is_writing) {
            commands.entity(first).insert(FocusedFirst);
        }
    }
}

/// Gives the focus back to the button of the step once nothing else has it, for example after a
/// message was sent. Not while the player uses the pointer, which shows no focus: then Enter is for
/// the match.
fn focus_again(
    guides: Query<&Guide>,
    buttons: Query<(), With<Press>>,
    groups: Query<&TabGroup>,
    is_visible: Res<InputFocusVisible>,
    mut focus: ResMut<InputFocus>,
) {
    if !is_visible.0 || groups.iter().any(|group| group.modal) {
        return;
    }
    let firsts = guides.iter().filter_map(|guide| guide.first);
    let first = firsts.filter(|first| buttons.contains(*first)).last();
    if let Some(first) = first.filter(|_| focus.get().is_none()) {
        focus.set(first, FocusCause::Navigated);
    }
}

/// A bar with a part for each step, of which those that are done are golden.
fn spawn_bar(guide: &mut ChildSpawnerCommands, run: &LessonRun) {
    guide.spawn(row(space::TIGHT)).with_children(|bar| {
        for step in 0..steps(run.lesson).len() {
            let shown = if step < run.done {
                colour::GOLD
            } else {
                colour::EDGE
            };
            bar.spawn((
                Node {
                    height: px(6),
                    flex_grow: 1.0,
                    ..default()
                },
                BackgroundColor(shown),
            ));
        }
    });
}

/// Returns the button that the step needs.
fn spawn_step(
    guide: &mut ChildSpawnerCommands,
    font: &Typeface,
    run: &LessonRun,
    step: &Step,
) -> Option<Entity> {
    let number = run.done + 1;
    let all = steps(run.lesson).len();
    let progress = if step.is_question {
        wording!("Step {number} of {all}: a question", number, all)
    } else {
        wording!("Step {number} of {all}", number, all)
    };
    guide.spawn(text(font, progress, size::BODY, colour::GOLD));
    guide.spawn(text(
        font,
        Wording::new(step.instruction),
        size::BODY,
        colour::TEXT,
    ));
    guide.spawn((
        KeyWords::new(step.hint),
        text(font, Wording::EMPTY, size::SMALL, colour::QUIET),
    ));
    guide.spawn((
        FactLine,
        text(font, Wording::EMPTY, size::SMALL, colour::GOOD),
    ));
    let act = step.act.map(|act| {
        let caption = button(font, Wording::new(move || act.caption()));
        guide.spawn((Press::Act(act), caption)).id()
    });
    guide.spawn(buttons()).with_children(|line| {
        line.spawn((Press::Again, small_button(font, wording!("Start again"))));
        line.spawn((
            Press::Leave,
            small_button(font, wording!("Leave the lesson")),
        ));
    });
    act
}

/// Returns the button that leads on.
fn spawn_end(guide: &mut ChildSpawnerCommands, font: &Typeface, lesson: Lesson) -> Entity {
    guide.spawn(text(font, wording!("Done"), size::BODY, colour::GOLD));
    let result = Wording::new(move || lesson.result());
    guide.spawn(text(font, result, size::BODY, colour::TEXT));
    if lesson.next().is_none() {
        return guide
            .spawn((Press::Leave, button(font, wording!("To the list"))))
            .id();
    }
    let next = guide
        .spawn((Press::Next, button(font, wording!("Next lesson"))))
        .id();
    guide.spawn(buttons()).with_children(|line| {
        line.spawn((
            Press::Leave,
            small_button(font, wording!("Leave the lesson")),
        ));
    });
    next
}

/// A row of buttons that wraps.
fn buttons() -> Node {
    Node {
        flex_wrap: FlexWrap::Wrap,
        row_gap: space::TIGHT,
        ..row(space::TIGHT)
    }
}

fn write_fact(run: Res<LessonRun>, mut lines: Query<&mut Text, With<FactLine>>) {
    for mut line in &mut lines {
        write(&mut line, run.fact.clone());
    }
}

fn press(
    activated: On<Activate>,
    presses: Query<&Press>,
    run: Option<Res<LessonRun>>,
    cluster: Res<ClusterView>,
    status: Res<RaftStatus>,
    visible: Res<InputFocusVisible>,
    mut focus: ResMut<InputFocus>,
    mut queued: ResMut<Queued>,
    mut next: ResMut<NextState<Screen>>,
    mut commands: Commands,
) {
    let (Ok(press), Some(run)) = (presses.get(activated.entity), run) else {
        return;
    };
    // A button that was clicked must not receive the next Enter.
    if !visible.0 {
        focus.clear();
    }
    match press {
        Press::Act(act) => {
            let machines = Machine::all(&cluster);
            for fault in act.faults(&machines, cluster.seat, status.leader()) {
                commands.trigger(fault);
            }
            return;
        }
        Press::Again => queued.0 = Some(run.lesson),
        Press::Next => queued.0 = run.lesson.next(),
        Press::Leave => queued.0 = None,
    }
    next.set(Screen::Menu);
}
