//! The panels around the map: what the player has, can do, and what the others have.

mod city;
mod others;
mod plan;
mod top;
mod vote;

use bevy::input_focus::tab_navigation::TabGroup;
use bevy::prelude::*;
use bevy::ui_widgets::ScrollArea;

use super::CrownsSystems;
use super::art::Art;
use super::composer::Composer;
use super::icons::Icon;
use super::layout::{BelowBar, RIGHT, TOP, TopBar};
use crate::language::{Wording, spoken};
use crate::screens::Screen;
use crate::settings::bindings::{KeyAction, KeyWords};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{Caption, column, small_control, unbroken};
use crate::view::fonts::Typeface;

/// Content of the panel right of the map.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum SideMode {
    /// The player's own city.
    #[default]
    City,
    /// The plan of a march.
    Plan,
    /// The other seats.
    Others,
}

/// The mode in which a panel is shown.
#[derive(Component)]
struct ShownIn(SideMode);

pub(super) fn plugin(app: &mut App) {
    vote::plugin(app);
    app.init_resource::<SideMode>()
        .add_systems(OnEnter(Screen::Match), (reset, spawn))
        .add_systems(Update, follow_composer.in_set(CrownsSystems::Look))
        .add_systems(
            Update,
            (
                top::write,
                top::show_rivals,
                city::write,
                city::fill_bars,
                city::show_rows,
                plan::write,
                others::write,
                others::show_seats,
                vote::show,
                (show_side, others::focus_first).chain(),
            )
                .in_set(CrownsSystems::Draw),
        );
}

fn reset(mut mode: ResMut<SideMode>) {
    *mode = SideMode::default();
}

/// The plan is shown as long as it has a target.
fn follow_composer(composer: Res<Composer>, mut mode: ResMut<SideMode>) {
    match (composer.target, *mode) {
        (Some(_), SideMode::City | SideMode::Others) => *mode = SideMode::Plan,
        (None, SideMode::Plan) => *mode = SideMode::City,
        (Some(_), SideMode::Plan) | (None, SideMode::City | SideMode::Others) => {}
    }
}

/// Shows one panel and hides the others: a covered control must not get the focus.
fn show_side(mode: Res<SideMode>, mut panels: Query<(&mut Node, &ShownIn)>) {
    for (mut panel, shown_in) in &mut panels {
        let display = if shown_in.0 == *mode {
            Display::Flex
        } else {
            Display::None
        };
        if panel.display != display {
            panel.display = display;
        }
    }
}

fn spawn(mut commands: Commands, font: Res<Typeface>, art: Res<Art>) {
    let place = |node: Node| {
        (
            DespawnOnExit(Screen::Match),
            Node {
                position_type: PositionType::Absolute,
                ..node
            },
            BackgroundColor(colour::PANEL),
            BorderColor::all(colour::EDGE),
        )
    };
    commands
        .spawn((
            Name::new("Top bar"),
            TopBar,
            place(Node {
                top: px(0),
                left: px(0),
                right: px(0),
                min_height: px(TOP),
                border: UiRect::bottom(px(1)),
                padding: UiRect::axes(space::WIDE, space::TIGHT),
                align_items: AlignItems::Center,
                flex_wrap: FlexWrap::Wrap,
                column_gap: space::FAR,
                row_gap: space::TIGHT,
                ..default()
            }),
        ))
        .with_children(|bar| top::spawn(bar, &font, &art));
    commands
        .spawn((
            Name::new("City panel"),
            ShownIn(SideMode::City),
            BelowBar(0.0),
            ScrollArea,
            TabGroup::new(0),
            place(Node {
                top: px(TOP),
                right: px(0),
                bottom: px(0),
                width: px(RIGHT),
                border: UiRect::left(px(1)),
                padding: UiRect::all(space::WIDE),
                overflow: Overflow::scroll_y(),
                ..column(space::TIGHT)
            }),
        ))
        .with_children(|panel| city::spawn(panel, &font, &art));
    commands
        .spawn((
            Name::new("Plan"),
            ShownIn(SideMode::Plan),
            BelowBar(0.0),
            ScrollArea,
            TabGroup::new(1),
            place(Node {
                top: px(TOP),
                right: px(0),
                bottom: px(0),
                width: px(RIGHT),
                border: UiRect::left(px(1)),
                padding: UiRect::all(space::WIDE),
                overflow: Overflow::scroll_y(),
                display: Display::None,
                ..column(space::WIDE)
            }),
        ))
        .with_children(|panel| plan::spawn(panel, &font, &art));
    commands
        .spawn((
            Name::new("Others"),
            ShownIn(SideMode::Others),
            BelowBar(0.0),
            ScrollArea,
            TabGroup::new(2),
            place(Node {
                top: px(TOP),
                right: px(0),
                bottom: px(0),
                width: px(RIGHT),
                border: UiRect::left(px(1)),
                padding: UiRect::all(space::WIDE),
                overflow: Overflow::scroll_y(),
                display: Display::None,
                ..column(space::NEAR)
            }),
        ))
        .with_children(|panel| others::spawn(panel, &font, &art));
}

/// A small button with a caption and the key of its action.
fn key_button(font: &Typeface, caption: Wording, key: KeyAction) -> impl Bundle {
    (
        small_control(),
        spoken(caption.clone()),
        children![(
            Caption,
            KeyWords::after(caption, key),
            unbroken(font, Wording::EMPTY, size::SMALL, colour::TEXT)
        )],
    )
}

/// A small picture in a panel.
fn image(art: &Art, icon: Icon, colour: Color, side: f32) -> impl Bundle {
    (
        Node {
            width: px(side),
            height: px(side),
            flex_shrink: 0.0,
            ..default()
        },
        ImageNode {
            image: art.icon(icon),
            color: colour,
            ..default()
        },
        Pickable::IGNORE,
    )
}
