//! The panels around the map: what the player has, can do, and what the others have.

mod city;
mod plan;
mod top;

use bevy::input_focus::tab_navigation::TabGroup;
use bevy::prelude::*;

use super::CrownsSystems;
use super::art::Art;
use super::icons::Icon;
use super::layout::{RIGHT, TOP};
use crate::screens::Screen;
use crate::ui::theme::{colour, space};
use crate::ui::widgets::column;
use crate::view::fonts::Typeface;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(OnEnter(Screen::Match), spawn).add_systems(
        Update,
        (
            top::write,
            top::show_rivals,
            city::write,
            city::fill_bars,
            city::show_rows,
            plan::write,
            plan::show,
        )
            .in_set(CrownsSystems::Draw),
    );
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
            place(Node {
                top: px(0),
                left: px(0),
                right: px(0),
                height: px(TOP),
                border: UiRect::bottom(px(1)),
                padding: UiRect::horizontal(space::WIDE),
                align_items: AlignItems::Center,
                column_gap: space::FAR,
                overflow: Overflow::clip(),
                ..default()
            }),
        ))
        .with_children(|bar| top::spawn(bar, &font, &art));
    commands
        .spawn((
            Name::new("City panel"),
            plan::CityPanel,
            TabGroup::new(0),
            place(Node {
                top: px(TOP),
                right: px(0),
                bottom: px(0),
                width: px(RIGHT),
                border: UiRect::left(px(1)),
                padding: UiRect::all(space::WIDE),
                overflow: Overflow::clip(),
                ..column(space::TIGHT)
            }),
        ))
        .with_children(|panel| city::spawn(panel, &font, &art));
    commands
        .spawn((
            Name::new("Plan"),
            plan::PlanPanel,
            TabGroup::new(1),
            place(Node {
                top: px(TOP),
                right: px(0),
                bottom: px(0),
                width: px(RIGHT),
                border: UiRect::left(px(1)),
                padding: UiRect::all(space::WIDE),
                display: Display::None,
                ..column(space::WIDE)
            }),
        ))
        .with_children(|panel| plan::spawn(panel, &font, &art));
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
