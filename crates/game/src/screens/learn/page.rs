//! The list of lessons, over the menu.

use bevy::input::InputSystems;
use bevy::input_focus::tab_navigation::TabIndex;
use bevy::input_focus::{FocusCause, InputFocus, InputFocusSystems, InputFocusVisible};
use bevy::prelude::*;
use bevy::ui_widgets::{Activate, ScrollArea};

use super::{Lesson, Queued};
use crate::language::{Wording, spoken};
use crate::screens::Screen;
use crate::settings::Settings;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{
    Caption, column, control, modal, panel, row, small_button, text, unbroken,
};
use crate::view::fonts::Typeface;

/// Opens the list.
#[derive(Event)]
pub(crate) struct ShowLessons;

/// Frames until the list opens: the menu below it gets the focus first.
#[derive(Resource, Default)]
struct OpensIn(Option<u8>);

/// The list.
#[derive(Component)]
struct Page {
    /// The control that had the focus, and has it again at the end.
    returns_to: Option<Entity>,
}

/// A control of the list.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Lesson(Lesson),
    Close,
}

/// Layer of the list, above the menu.
const LAYER: i32 = 35;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<OpensIn>()
        .add_observer(|_show: On<ShowLessons>, mut opens: ResMut<OpensIn>| opens.0 = Some(1))
        .add_observer(activate)
        .add_systems(Update, open.run_if(in_state(Screen::Menu)))
        .add_systems(
            PreUpdate,
            // Before controls receive the key.
            close_by_key
                .after(InputSystems)
                .before(InputFocusSystems::Dispatch)
                .run_if(any_with_component::<Page>),
        );
}

fn open(
    mut opens: ResMut<OpensIn>,
    settings: Res<Settings>,
    font: Res<Typeface>,
    pages: Query<(), With<Page>>,
    mut focus: ResMut<InputFocus>,
    mut visible: ResMut<InputFocusVisible>,
    mut commands: Commands,
) {
    let Some(frames) = opens.0 else { return };
    opens.0 = frames.checked_sub(1);
    if opens.0.is_some() || !pages.is_empty() {
        return;
    }
    let returns_to = focus.get();
    let mut first = None;
    commands
        .spawn((
            Name::new("Lessons"),
            Page { returns_to },
            DespawnOnExit(Screen::Menu),
            modal(LAYER),
        ))
        .with_children(|page| {
            page.spawn(panel(Node {
                width: px(680),
                max_width: percent(100),
                max_height: percent(100),
                ..column(space::NEAR)
            }))
            .with_children(|panel| first = spawn_list(panel, &font, &settings));
        });
    if let Some(first) = first {
        focus.set(first, FocusCause::Navigated);
        visible.0 = true;
    }
}

/// Returns the first lesson that is not done, or the first one.
fn spawn_list(
    panel: &mut ChildSpawnerCommands,
    font: &Typeface,
    settings: &Settings,
) -> Option<Entity> {
    let fixed = Node {
        flex_shrink: 0.0,
        ..default()
    };
    panel
        .spawn(Node {
            justify_content: JustifyContent::SpaceBetween,
            flex_shrink: 0.0,
            ..row(space::WIDE)
        })
        .with_children(|line| {
            line.spawn(text(font, wording!("Learn"), size::LARGE, colour::GOLD));
            line.spawn((Part::Close, small_button(font, wording!("Close Esc"))))
                // The keys have Escape instead.
                .insert(TabIndex(-1));
        });
    let about = wording!(
        "Each lesson is a real match of five machines in this program, and takes about a minute. \
         Bots are weak and time runs faster. You end it by doing."
    );
    panel.spawn((fixed.clone(), text(font, about, size::SMALL, colour::QUIET)));
    let mut lessons = Vec::new();
    panel
        .spawn((
            ScrollArea,
            Node {
                overflow: Overflow::scroll_y(),
                flex_shrink: 1.0,
                min_height: px(0),
                // Room for the frame around the focused lesson.
                padding: UiRect::all(space::TIGHT),
                ..column(space::NEAR)
            },
        ))
        .with_children(|list| {
            for lesson in Lesson::ALL {
                let is_done = settings.lessons.is_done(lesson);
                lessons.push((is_done, spawn_lesson(list, font, lesson, is_done)));
            }
        });
    let keys = wording!("Up and down choose, Enter begins, Escape closes.");
    panel.spawn((fixed, text(font, keys, size::SMALL, colour::QUIET)));
    let open = lessons.iter().find(|(is_done, _)| !is_done);
    open.or(lessons.first()).map(|(_, entity)| *entity)
}

fn spawn_lesson(
    list: &mut ChildSpawnerCommands,
    font: &Typeface,
    lesson: Lesson,
    is_done: bool,
) -> Entity {
    let mark = Wording::new(move || {
        if is_done {
            text!("lesson|done")
        } else {
            String::new()
        }
    });
    let title = Wording::new(move || format!("{}  {}", lesson.number(), lesson.title()));
    let subject = Wording::new(move || lesson.subject());
    let label = [&title, &subject, &mark].map(Wording::clone);
    let label = Wording::new(move || {
        let [title, subject, mark] = label.each_ref().map(Wording::text);
        format!("{title}. {subject} {mark}")
    });
    list.spawn((
        Part::Lesson(lesson),
        control(Node {
            padding: UiRect::axes(space::WIDE, space::NEAR),
            justify_content: JustifyContent::SpaceBetween,
            column_gap: space::WIDE,
            flex_shrink: 0.0,
            ..default()
        }),
        spoken(label),
        children![
            (
                Node {
                    flex_shrink: 1.0,
                    ..column(px(2))
                },
                Pickable::IGNORE,
                children![
                    (Caption, text(font, title, size::BODY, colour::TEXT)),
                    text(font, subject, size::SMALL, colour::QUIET),
                ],
            ),
            unbroken(font, mark, size::BODY, colour::GOOD),
        ],
    ))
    .id()
}

fn close_by_key(
    mut keys: ResMut<ButtonInput<KeyCode>>,
    pages: Query<(Entity, &Page)>,
    mut focus: ResMut<InputFocus>,
    mut commands: Commands,
) {
    if keys.clear_just_pressed(KeyCode::Escape) {
        close(&pages, &mut focus, &mut commands);
    }
}

fn close(pages: &Query<(Entity, &Page)>, focus: &mut InputFocus, commands: &mut Commands) {
    for (entity, page) in pages {
        commands.entity(entity).despawn();
        match page.returns_to {
            Some(control) => focus.set(control, FocusCause::Navigated),
            None => focus.clear(),
        }
    }
}

fn activate(
    activated: On<Activate>,
    parts: Query<&Part>,
    pages: Query<(Entity, &Page)>,
    mut queued: ResMut<Queued>,
    mut focus: ResMut<InputFocus>,
    mut commands: Commands,
) {
    match parts.get(activated.entity) {
        Ok(Part::Lesson(lesson)) => {
            queued.0 = Some(*lesson);
            close(&pages, &mut focus, &mut commands);
        }
        Ok(Part::Close) => close(&pages, &mut focus, &mut commands),
        Err(_) => {}
    }
}
