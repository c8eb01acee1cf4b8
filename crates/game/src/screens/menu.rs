//! The main menu.

use bevy::input_focus::tab_navigation::TabGroup;
use bevy::input_focus::{FocusCause, InputFocus};
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy::ui_widgets::{Activate, ScrollArea};
use bevy::window::{PrimaryWindow, WindowCloseRequested};
use bevy_raft::{CurrentMatch, MatchExt, MatchState, Part};
use raftian_realm::table::Level;

use super::Screen;
use super::learn::{Lesson, ShowLessons};
use super::nearby::{self, Announced, Nearby};
use super::practice::{self, LastFailure, MOST_OPPONENTS, Opponents};
use super::settings::ShowSettings;
use crate::cli::StoppedMatch;
use crate::crowns::{art, terrain};
use crate::language::Wording;
use crate::settings::bindings::{Bindings, KeyAction, KeyWords};
use crate::settings::{Settings, SettingsNotice};
use crate::ui::focus::FocusedFirst;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{
    Caption, button, column, control, panel, row, text, text_field, unbroken, write,
};
use crate::view::fonts::Typeface;

/// A control of the menu.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    Play,
    Opponents,
    Level,
    Speed,
    /// Continues the match that was not left.
    Continue,
    /// A match on the local network.
    Nearby(usize),
    /// Founds a match that others join.
    Found,
    /// Opens the field for a code.
    Join,
    /// Joins by what is in the field.
    JoinNow,
    /// Joins as a spectator by what is in the field.
    WatchNow,
    /// Opens the list of lessons.
    Learn,
    Classic,
    Settings,
    Quit,
}

/// A text of the menu that changes.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Opponents,
    Level,
    Speed,
    Learn,
    State,
    Failure,
    /// The next step after a match on the local network was chosen.
    Nearby,
}

/// The row with the field for a code.
#[derive(Component)]
struct JoinRow;

/// The field for a code.
#[derive(Component)]
struct CodeField;

/// The match on the local network that was chosen.
#[derive(Resource, Default)]
struct Chosen(Option<Announced>);

/// Longest invitation: a ticket of many members.
const MAX_INVITATION: usize = 4_096;

/// Seed of the landscape behind the menu.
const BACKDROP: u64 = 4;

/// How a match goes, in the order in which a player needs it.
const ADVICE: [(fn() -> String, fn(&Bindings) -> String); 5] = [
    (
        || text!("advice|Grow"),
        |keys| {
            let fields = [
                KeyAction::BuildWood,
                KeyAction::BuildIron,
                KeyAction::BuildGrain,
            ];
            let [wood, iron, grain] = keys.labels(fields);
            text!(
                "Build fields with {wood}, {iron} and {grain}: they pay for all that follows.",
                wood,
                iron,
                grain
            )
        },
    ),
    (
        || text!("advice|Train"),
        |keys| {
            let [spear, axe, rider, ram] = keys.labels(KeyAction::UNITS);
            text!(
                "{spear} spear, {axe} axe, {rider} rider, {ram} ram. Spears stop riders, riders \
                 ride down axes, axes break spears.",
                spear,
                axe,
                rider,
                ram
            )
        },
    ),
    (
        || text!("advice|Take"),
        |keys| {
            let march = keys.label(KeyAction::NextTarget);
            text!(
                "Send an army to an oasis near your city with {march}, and leave it there: it \
             produces.",
                march
            )
        },
    ),
    (
        || text!("advice|Rule"),
        |_| text!("From 4:00 who holds the Throne in the middle gets a crown a second."),
    ),
    (
        || text!("advice|Win"),
        |_| {
            text!(
                "The first with enough crowns wins. Each point taken from a keep is a crown, too."
            )
        },
    ),
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Unfinished>()
        .init_resource::<Chosen>()
        .add_systems(OnEnter(Screen::Menu), spawn)
        .add_systems(Update, write_lines.run_if(in_state(Screen::Menu)))
        // The letters of this frame are in the field by then.
        .add_systems(
            Last,
            (submit_field, close_field).run_if(in_state(Screen::Menu)),
        )
        .add_observer(activate);
}

/// A match of this player that was not left, for example because the machine lost its power.
#[derive(Resource, Default)]
pub(crate) struct Unfinished(pub(crate) Option<StoppedMatch>);

fn spawn(
    mut commands: Commands,
    font: Res<Typeface>,
    unfinished: Res<Unfinished>,
    mut chosen: ResMut<Chosen>,
    mut images: ResMut<Assets<Image>>,
) {
    chosen.0 = None;
    let pixels = terrain::pixels(BACKDROP, 9);
    commands.spawn((
        Name::new("Backdrop"),
        DespawnOnExit(Screen::Menu),
        Node {
            position_type: PositionType::Absolute,
            // The picture has round corners and lines at its edge, which are outside the window.
            top: percent(-10),
            left: percent(-10),
            width: percent(120),
            height: percent(120),
            ..default()
        },
        ImageNode {
            image: images.add(art::image(terrain::SIDE, pixels)),
            color: Color::WHITE.with_alpha(0.2),
            image_mode: NodeImageMode::Stretch,
            ..default()
        },
        GlobalZIndex(-1),
    ));
    commands
        .spawn((
            Name::new("Menu"),
            DespawnOnExit(Screen::Menu),
            TabGroup::new(0),
            // In large letters the menu is higher than the window.
            ScrollArea,
            Node {
                width: percent(100),
                height: percent(100),
                align_items: AlignItems::Center,
                overflow: Overflow::scroll_y(),
                ..column(space::FAR)
            },
        ))
        .with_children(|screen| {
            // Margins put it in the middle, but unlike an alignment not above the window.
            let title = Node {
                margin: UiRect::top(Val::Auto),
                ..column(space::TIGHT)
            };
            screen.spawn(title).with_children(|title| {
                title.spawn(text(
                    &font,
                    Wording::Same("RAFTIAN"),
                    size::TITLE,
                    colour::GOLD,
                ));
                title.spawn(text(
                    &font,
                    wording!("A strategy game without a host. Whoever leaves, the rest play on."),
                    size::LARGE,
                    colour::QUIET,
                ));
                // At the top, where they are seen in a menu that scrolls.
                title.spawn((
                    Line::State,
                    text(&font, Wording::EMPTY, size::BODY, colour::TEXT),
                ));
                title.spawn((
                    Node {
                        max_width: px(990),
                        ..default()
                    },
                    Line::Failure,
                    text(&font, Wording::EMPTY, size::BODY, colour::BAD),
                ));
            });
            screen
                .spawn(Node {
                    align_items: AlignItems::FlexStart,
                    justify_content: JustifyContent::Center,
                    flex_wrap: FlexWrap::Wrap,
                    row_gap: space::WIDE,
                    ..row(space::FAR)
                })
                .with_children(|blocks| {
                    let list = Node {
                        width: px(400),
                        max_width: percent(100),
                        ..column(space::NEAR)
                    };
                    blocks.spawn(list).with_children(|entries| {
                        spawn_entries(entries, &font, unfinished.0.as_ref());
                    });
                    let side = Node {
                        width: px(560),
                        max_width: percent(100),
                        ..column(space::WIDE)
                    };
                    blocks.spawn(side).with_children(|side| {
                        side.spawn(panel(Node {
                            width: percent(100),
                            ..column(space::NEAR)
                        }))
                        .with_children(|advice| spawn_advice(advice, &font));
                        nearby::spawn(side, &font);
                    });
                });
            screen.spawn((
                Node {
                    margin: UiRect::bottom(Val::Auto),
                    ..default()
                },
                text(
                    &font,
                    wording!(
                        "Arrows and Enter choose   F3 shows the five machines at work   F11 full \
                     screen"
                    ),
                    size::SMALL,
                    colour::QUIET,
                ),
            ));
        });
}

fn spawn_entries(
    entries: &mut ChildSpawnerCommands,
    font: &Typeface,
    unfinished: Option<&StoppedMatch>,
) {
    entries.spawn((
        Entry::Play,
        FocusedFirst,
        button(font, wording!("Play now")),
    ));
    for (entry, line) in [
        (Entry::Opponents, Line::Opponents),
        (Entry::Level, Line::Level),
        (Entry::Speed, Line::Speed),
    ] {
        entries.spawn((entry, choice(font, line)));
    }
    if let Some(stopped) = unfinished {
        let name = stopped.name.clone();
        let caption = wording!("Continue {name}", name);
        entries.spawn((Entry::Continue, button(font, caption)));
    }
    entries.spawn((
        Entry::Found,
        button(font, wording!("Start a match with others")),
    ));
    entries.spawn((Entry::Join, button(font, wording!("Join a match"))));
    entries
        .spawn((
            JoinRow,
            Node {
                display: Display::None,
                ..column(space::TIGHT)
            },
        ))
        .with_children(|rows| {
            rows.spawn(text(
                font,
                wording!("Code or ticket of a match"),
                size::SMALL,
                colour::QUIET,
            ));
            rows.spawn(row(space::NEAR))
                .with_children(|line| spawn_field(line, font));
        });
    entries.spawn((Entry::Learn, choice(font, Line::Learn)));
    entries.spawn((
        Entry::Classic,
        button(font, wording!("Classic: click to attack")),
    ));
    entries.spawn((Entry::Settings, button(font, wording!("Settings"))));
    entries.spawn((Entry::Quit, button(font, wording!("Quit"))));
}

/// The field for the code of a match, with its button.
fn spawn_field(line: &mut ChildSpawnerCommands, font: &Typeface) {
    let code = EditableText {
        visible_width: Some(19.0),
        max_characters: Some(MAX_INVITATION),
        ..default()
    };
    line.spawn((
        CodeField,
        text_field(font, code, wording!("Code or ticket of a match")),
    ));
    line.spawn((Entry::JoinNow, button(font, wording!("Join"))));
    line.spawn((Entry::WatchNow, button(font, wording!("Watch"))));
}

/// A button whose caption is the present choice.
fn choice(font: &Typeface, line: Line) -> impl Bundle {
    (
        control(Node {
            padding: UiRect::axes(space::WIDE, space::NEAR),
            ..default()
        }),
        children![(
            Caption,
            line,
            unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT)
        )],
    )
}

fn spawn_advice(advice: &mut ChildSpawnerCommands, font: &Typeface) {
    advice.spawn(text(
        font,
        wording!("How a match goes"),
        size::LARGE,
        colour::TEXT,
    ));
    for (word, sentence) in ADVICE {
        advice
            .spawn(Node {
                align_items: AlignItems::FlexStart,
                ..row(space::WIDE)
            })
            .with_children(|line| {
                line.spawn((
                    Node {
                        width: px(56),
                        flex_shrink: 0.0,
                        ..default()
                    },
                    children![text(font, Wording::new(word), size::BODY, colour::GOLD)],
                ));
                line.spawn((
                    Node {
                        flex_shrink: 1.0,
                        ..default()
                    },
                    KeyWords::new(sentence),
                    text(font, Wording::EMPTY, size::BODY, colour::QUIET),
                ));
            });
    }
}

fn write_lines(
    opponents: Res<Opponents>,
    failure: Res<LastFailure>,
    notice: Res<SettingsNotice>,
    settings: Res<Settings>,
    state: Res<State<MatchState>>,
    current: Res<CurrentMatch>,
    chosen: Res<Chosen>,
    mut lines: Query<(&Line, &mut Text)>,
) {
    for (line, mut text) in &mut lines {
        let words = match line {
            Line::Opponents => match opponents.count {
                1 => text!("Opponents: one bot"),
                count => text!("Opponents: {count} bots", count),
            },
            Line::Level => match opponents.level {
                Level::Recruit => text!("Level: Recruits, for a first match"),
                Level::Captain => text!("Level: Captains, who play well"),
                Level::Warlord => text!("Level: Warlords, who think ahead"),
            },
            Line::Speed => match opponents.speed {
                1 => text!("Speed: 10 to 20 minutes"),
                speed => text!("Speed: {speed} times as fast", speed),
            },
            Line::Learn => {
                let [done, all] = [settings.lessons.count(), Lesson::ALL.len()];
                text!("Learn: {done} of {all} lessons done", done, all)
            }
            Line::Nearby => chosen
                .0
                .as_ref()
                .map_or_else(String::new, Announced::advice),
            Line::State => state_text(*state.get(), current.progress),
            Line::Failure => failure.0.clone().unwrap_or_else(|| notice.0.clone()),
        };
        write(&mut text, words);
    }
}

/// The way into a match, or out of one.
fn state_text(state: MatchState, progress: Option<(u64, u64)>) -> String {
    match (state, progress) {
        (MatchState::Starting, _) => text!("Opening the match..."),
        (MatchState::Joining, Some((applied, of))) => {
            text!("Catching up: {applied} of {of}", applied, of)
        }
        (MatchState::Joining, None) => text!("Waiting for the members of the match..."),
        (MatchState::Leaving, _) => text!("Leaving the match..."),
        (
            MatchState::Detached
            | MatchState::Running
            | MatchState::NoQuorum
            | MatchState::Left
            | MatchState::Failed,
            _,
        ) => String::new(),
    }
}

/// Escape in the field closes it.
fn close_field(
    keys: Res<ButtonInput<KeyCode>>,
    entries: Query<(Entity, &Entry)>,
    fields: Query<(), With<CodeField>>,
    mut rows: Query<&mut Node, With<JoinRow>>,
    mut focus: ResMut<InputFocus>,
) {
    let is_in_field = focus.get().is_some_and(|focused| fields.contains(focused));
    if !is_in_field || !keys.just_pressed(KeyCode::Escape) {
        return;
    }
    for mut row in &mut rows {
        row.display = Display::None;
    }
    let entry = entries.iter().find(|(_, entry)| **entry == Entry::Join);
    if let Some((entry, _)) = entry {
        focus.set(entry, FocusCause::Navigated);
    }
}

/// Enter in the field joins as a player.
fn submit_field(
    keys: Res<ButtonInput<KeyCode>>,
    focus: Res<InputFocus>,
    field: Query<(Entity, &EditableText), With<CodeField>>,
    settings: Res<Settings>,
    mut failure: ResMut<LastFailure>,
    mut commands: Commands,
) {
    if !keys.any_just_pressed([KeyCode::Enter, KeyCode::NumpadEnter]) {
        return;
    }
    for (entity, text) in &field {
        if focus.get() == Some(entity) {
            failure.0 = None;
            join(&mut commands, &settings, text, Part::Player);
        }
    }
}

fn join(commands: &mut Commands, settings: &Settings, field: &EditableText, part: Part) {
    let invitation = field.value().to_string().trim().to_owned();
    if !invitation.is_empty() {
        commands.join_match(settings.join_match(invitation, part));
    }
}

fn activate(
    activated: On<Activate>,
    entries: Query<&Entry>,
    fields: Query<(Entity, &EditableText), With<CodeField>>,
    mut rows: Query<&mut Node, With<JoinRow>>,
    mut focus: ResMut<InputFocus>,
    settings: Res<Settings>,
    nearby: Res<Nearby>,
    mut chosen: ResMut<Chosen>,
    unfinished: Res<Unfinished>,
    mut notice: ResMut<SettingsNotice>,
    mut failure: ResMut<LastFailure>,
    mut opponents: ResMut<Opponents>,
    windows: Query<Entity, With<PrimaryWindow>>,
    mut commands: Commands,
    mut close: MessageWriter<WindowCloseRequested>,
    mut exit: MessageWriter<AppExit>,
) {
    let Ok(entry) = entries.get(activated.entity) else {
        return;
    };
    failure.0 = None;
    notice.0.clear();
    match entry {
        Entry::Found => commands.start_match(settings.start_match()),
        Entry::Continue => {
            if let Some(stopped) = &unfinished.0 {
                commands.resume_match(stopped.directory.clone());
            }
        }
        Entry::Join | Entry::Nearby(_) => {
            chosen.0 = match entry {
                Entry::Nearby(row) => nearby.row(*row),
                _ => None,
            };
            for mut row in &mut rows {
                row.display = Display::Flex;
            }
            if let Some((field, _)) = fields.iter().next() {
                focus.set(field, FocusCause::Navigated);
            }
        }
        Entry::JoinNow => {
            for (_, field) in &fields {
                join(&mut commands, &settings, field, Part::Player);
            }
        }
        Entry::WatchNow => {
            for (_, field) in &fields {
                join(&mut commands, &settings, field, Part::Spectator);
            }
        }
        Entry::Learn => commands.trigger(ShowLessons),
        Entry::Play => commands.queue(|world: &mut World| practice::begin(world, Screen::Match)),
        Entry::Classic => {
            commands.queue(|world: &mut World| practice::begin(world, Screen::Classic));
        }
        Entry::Opponents => opponents.count = opponents.count % MOST_OPPONENTS + 1,
        Entry::Level => opponents.level = next_level(opponents.level),
        Entry::Speed => opponents.speed = next_speed(opponents.speed),
        Entry::Settings => commands.trigger(ShowSettings),
        // A match that is left or opened is left first.
        Entry::Quit => match windows.iter().next() {
            Some(window) => {
                close.write(WindowCloseRequested { window });
            }
            None => {
                exit.write(AppExit::Success);
            }
        },
    }
}

fn next_speed(speed: u64) -> u64 {
    match speed {
        1 => 2,
        2 => 4,
        _ => 1,
    }
}

fn next_level(level: Level) -> Level {
    match level {
        Level::Recruit => Level::Captain,
        Level::Captain => Level::Warlord,
        Level::Warlord => Level::Recruit,
    }
}
