//! The menu over a match, which goes on meanwhile.

use bevy::prelude::*;

use super::CrownsSystems;
use super::control::Action;
use crate::embedded::Embedded;
use crate::language::Wording;
use crate::screens::Screen;
use crate::settings::Settings;
use crate::settings::bindings::{Bindings, KeyAction, KeyWords};
use crate::status_document::OwnMember;
use crate::table::ReplicatedTable;
use crate::ui::focus::FocusedFirst;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{
    Caption, button, column, control, modal, panel, row, text, unbroken, write,
};
use crate::view::fonts::Typeface;

/// Whether the menu is open.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct IsPaused(pub(super) bool);

/// Whether the player was asked if the city is really given up.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct IsGivingUp(pub(super) bool);

/// The sentence about the match, which may end while the menu is open.
#[derive(Component)]
struct Hint;

/// The caption of the button that gives up the city.
#[derive(Component)]
struct GiveUpCaption;

/// Whether the player has pressed once to leave, and is asked to press again.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct IsLeaving(pub(super) bool);

/// The menu.
#[derive(Component, Clone, Copy, PartialEq, Eq)]
struct PauseMenu {
    /// Whether it asks for a second press.
    leaving: IsLeaving,
    /// Whether buttons are to be held.
    is_held: bool,
}

/// Sentences about the keys.
const KEYS: [fn(&Bindings) -> String; 5] = [
    |keys| {
        let build = [
            KeyAction::BuildWood,
            KeyAction::BuildIron,
            KeyAction::BuildGrain,
            KeyAction::BuildWall,
            KeyAction::BuildBarracks,
            KeyAction::BuildStore,
        ];
        let build = keys.labels(build).join(" ");
        let [cancel, repair] = keys.labels([KeyAction::CancelBuild, KeyAction::Repair]);
        text!(
            "{build} build, {cancel} cancels, {repair} repairs the keep",
            build,
            cancel,
            repair
        )
    },
    |keys| {
        let train = keys.labels(KeyAction::UNITS).join(" ");
        text!("{train} train, with Shift five at once", train)
    },
    |keys| {
        let [next, previous] = keys.labels([KeyAction::NextTarget, KeyAction::PreviousTarget]);
        text!(
            "{next} plans a march; {next} and {previous} turn to other targets, or click on the \
             map",
            next,
            previous
        )
    },
    |keys| {
        let [others, point] = keys.labels([KeyAction::Others, KeyAction::Point]);
        text!(
            "{others} shows the others: pacts and gifts. Enter is for words, {point} points at a \
             tile",
            others,
            point
        )
    },
    |_| text!("F3 shows the machines at work, F11 the full screen"),
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<IsPaused>()
        .init_resource::<IsGivingUp>()
        .init_resource::<IsLeaving>()
        .add_systems(OnEnter(Screen::Match), resume)
        .add_systems(
            Update,
            (show, write_caption, write_hint)
                .chain()
                .in_set(CrownsSystems::Draw),
        );
}

fn resume(mut paused: ResMut<IsPaused>) {
    paused.0 = false;
}

fn show(
    mut commands: Commands,
    font: Res<Typeface>,
    paused: Res<IsPaused>,
    mut leaving: ResMut<IsLeaving>,
    member: Option<Res<OwnMember>>,
    embedded: Option<Res<Embedded>>,
    menus: Query<(Entity, &PauseMenu)>,
    mut giving_up: ResMut<IsGivingUp>,
    settings: Res<Settings>,
) {
    if !paused.0 {
        leaving.set_if_neq(IsLeaving(false));
    }
    let is_held = settings.accessibility.hold_to_confirm;
    // A first press does not count any more.
    if menus.iter().any(|(_, menu)| menu.is_held != is_held) {
        leaving.0 = false;
    }
    let wanted = PauseMenu {
        leaving: *leaving,
        is_held,
    };
    let is_shown = menus.iter().any(|(_, menu)| *menu == wanted);
    if paused.0 == is_shown && menus.count() == usize::from(is_shown) {
        return;
    }
    giving_up.0 = false;
    for (menu, _) in &menus {
        commands.entity(menu).despawn();
    }
    if !paused.0 {
        return;
    }
    let hint = match member {
        _ if leaving.0 => wording!("Press the button once more, or play on."),
        Some(_) => wording!("The match goes on. To leave it, close the window."),
        None => wording!("The match goes on meanwhile: its time belongs to all machines."),
    };
    let leave = match embedded {
        Some(_) => wording!("End the match"),
        None => wording!("Leave the match"),
    };
    let title = if leaving.0 {
        let leave = leave.clone();
        Wording::new(move || format!("{}?", leave.text()))
    } else {
        wording!("Menu")
    };
    let may_leave = member.is_none();
    commands
        .spawn((
            Name::new("Pause menu"),
            wanted,
            DespawnOnExit(Screen::Match),
            modal(30),
        ))
        .with_children(|screen| {
            screen
                .spawn(panel(Node {
                    width: px(620),
                    max_width: percent(100),
                    ..column(space::NEAR)
                }))
                .with_children(|panel| {
                    panel.spawn(text(&font, title, size::HUGE, colour::GOLD));
                    panel.spawn((Hint, text(&font, hint, size::BODY, colour::TEXT)));
                    if is_held {
                        let hold =
                            wording!("Keep a button pressed for a second to leave or to give up.");
                        panel.spawn(text(&font, hold, size::BODY, colour::TEXT));
                    }
                    for keys in KEYS {
                        panel.spawn((
                            KeyWords::new(keys),
                            text(&font, Wording::EMPTY, size::BODY, colour::QUIET),
                        ));
                    }
                    let buttons = Node {
                        flex_wrap: FlexWrap::Wrap,
                        row_gap: space::NEAR,
                        ..row(space::WIDE)
                    };
                    panel.spawn(buttons).with_children(|line| {
                        let mut back =
                            line.spawn((Action::Pause, button(&font, wording!("Play on"))));
                        if !wanted.leaving.0 {
                            back.insert(FocusedFirst);
                        }
                        line.spawn((Action::Settings, button(&font, wording!("Settings"))));
                        line.spawn(give_up_button(&font));
                        if may_leave {
                            let mut leave = line.spawn((Action::Menu, button(&font, leave)));
                            // The focus stays for the second press.
                            if wanted.leaving.0 {
                                leave.insert(FocusedFirst);
                            }
                        }
                    });
                });
        });
}

fn give_up_button(font: &Typeface) -> impl Bundle {
    (
        Action::Concede,
        control(Node {
            padding: UiRect::axes(space::WIDE, space::NEAR),
            ..default()
        }),
        children![(
            Caption,
            GiveUpCaption,
            unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT)
        )],
    )
}

fn write_caption(giving_up: Res<IsGivingUp>, mut captions: Query<&mut Text, With<GiveUpCaption>>) {
    let words = if giving_up.0 {
        text!("Really give up?")
    } else {
        text!("Give up the city")
    };
    for mut caption in &mut captions {
        write(&mut caption, words.clone());
    }
}

fn write_hint(
    table: Res<ReplicatedTable>,
    leaving: Res<IsLeaving>,
    mut hints: Query<&mut Text, With<Hint>>,
) {
    let is_over = table.0.game().is_some_and(|game| game.end().is_some());
    for mut hint in &mut hints {
        if is_over && !leaving.0 {
            write(&mut hint, text!("The match is over."));
        }
    }
}
