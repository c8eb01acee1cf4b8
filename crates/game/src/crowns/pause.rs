//! The menu over a match, which goes on meanwhile.

use bevy::prelude::*;

use super::CrownsSystems;
use super::control::Action;
use crate::embedded::Embedded;
use crate::screens::Screen;
use crate::status_document::OwnMember;
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

#[derive(Component)]
struct PauseMenu;

/// The caption of the button that gives up the city.
#[derive(Component)]
struct GiveUpCaption;

const KEYS: [&str; 5] = [
    "Q W E R T Y build, X cancels, F repairs the keep",
    "1 2 3 4 train, with Shift five at once",
    "A plans a march; A and S turn to other targets, or click on the map",
    "D shows the others: pacts and gifts. Enter is for words, V points at a tile",
    "F3 shows the machines at work, F11 the full screen",
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<IsPaused>()
        .init_resource::<IsGivingUp>()
        .add_systems(OnEnter(Screen::Match), resume)
        .add_systems(
            Update,
            (show, write_caption).chain().in_set(CrownsSystems::Draw),
        );
}

fn resume(mut paused: ResMut<IsPaused>) {
    paused.0 = false;
}

fn show(
    mut commands: Commands,
    font: Res<Typeface>,
    paused: Res<IsPaused>,
    member: Option<Res<OwnMember>>,
    embedded: Option<Res<Embedded>>,
    menus: Query<Entity, With<PauseMenu>>,
    mut giving_up: ResMut<IsGivingUp>,
) {
    if paused.0 != menus.is_empty() {
        return;
    }
    giving_up.0 = false;
    for menu in &menus {
        commands.entity(menu).despawn();
    }
    if !paused.0 {
        return;
    }
    let hint = match member {
        Some(_) => "The match goes on. To leave it, close the window.",
        None => "The match goes on meanwhile: its time belongs to all machines.",
    };
    let leave = match embedded {
        Some(_) => "End the match",
        None => "Leave the match",
    };
    let may_leave = member.is_none();
    commands
        .spawn((
            Name::new("Pause menu"),
            PauseMenu,
            DespawnOnExit(Screen::Match),
            modal(30),
        ))
        .with_children(|screen| {
            screen
                .spawn(panel(Node {
                    width: px(620),
                    ..column(space::NEAR)
                }))
                .with_children(|panel| {
                    panel.spawn(text(&font, "Menu", size::HUGE, colour::GOLD));
                    panel.spawn(text(&font, hint, size::BODY, colour::TEXT));
                    for keys in KEYS {
                        panel.spawn(text(&font, keys, size::BODY, colour::QUIET));
                    }
                    panel.spawn(row(space::WIDE)).with_children(|line| {
                        line.spawn((Action::Pause, FocusedFirst, button(&font, "Play on")));
                        line.spawn(give_up_button(&font));
                        if may_leave {
                            line.spawn((Action::Menu, button(&font, leave)));
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
            unbroken(font, "", size::BODY, colour::TEXT)
        )],
    )
}

fn write_caption(giving_up: Res<IsGivingUp>, mut captions: Query<&mut Text, With<GiveUpCaption>>) {
    let words = if giving_up.0 {
        "Really give up?"
    } else {
        "Give up the city"
    };
    for mut caption in &mut captions {
        write(&mut caption, words.to_owned());
    }
}
