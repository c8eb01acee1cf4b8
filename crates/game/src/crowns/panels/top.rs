//! The bar above the map: clock, stock, crowns of all seats.

use bevy::prelude::*;
use bevy_raft::RaftStatus;
use raftian_realm::crowns::{Place, Resource};

use super::super::art::Art;
use super::super::icons::Icon;
use super::super::perspective::Perspective;
use super::super::tooltips::Tooltip;
use super::super::words::clock;
use super::image;
use crate::cluster_view::ClusterView;
use crate::language::Wording;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{column, row, unbroken, write as write_text};
use crate::view::fonts::Typeface;

/// A text of the bar.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TopText {
    Clock,
    Amount(Resource),
    Rate(Resource),
    Goal,
    Leader,
    Crowns(u8),
    Name(u8),
}

/// The part of the bar about one seat.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rival(u8);

pub(super) fn spawn(bar: &mut ChildSpawnerCommands, font: &Typeface, art: &Art) {
    bar.spawn((
        Node {
            width: px(76),
            ..default()
        },
        children![(
            TopText::Clock,
            unbroken(font, Wording::EMPTY, 32.0, colour::TEXT)
        )],
    ));
    for resource in Resource::ALL {
        bar.spawn((
            Tooltip::Resource(resource),
            Node {
                width: px(136),
                ..row(space::NEAR)
            },
            children![
                image(art, Icon::of_resource(resource), tint(resource), 30.0),
                (
                    column(px(0)),
                    children![
                        (
                            TopText::Amount(resource),
                            unbroken(font, Wording::EMPTY, size::LARGE, colour::TEXT)
                        ),
                        (
                            TopText::Rate(resource),
                            unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET)
                        ),
                    ]
                ),
            ],
        ));
    }
    bar.spawn((
        Node {
            flex_grow: 1.0,
            justify_content: JustifyContent::FlexEnd,
            flex_wrap: FlexWrap::Wrap,
            row_gap: space::TIGHT,
            ..row(space::WIDE)
        },
        Name::new("Crowns"),
    ))
    .with_children(|rivals| {
        for seat in 0..8 {
            rivals.spawn((
                Rival(seat),
                Node {
                    display: Display::None,
                    ..row(space::TIGHT)
                },
                children![
                    image(art, Icon::of_seat(seat), colour::seat(seat), 22.0),
                    (
                        column(px(0)),
                        children![
                            (
                                TopText::Crowns(seat),
                                unbroken(font, Wording::EMPTY, size::LARGE, colour::TEXT)
                            ),
                            (
                                TopText::Name(seat),
                                unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET)
                            ),
                        ]
                    ),
                ],
            ));
        }
        rivals.spawn((
            Tooltip::Crowns,
            column(px(0)),
            children![
                (
                    TopText::Goal,
                    unbroken(font, Wording::EMPTY, size::SMALL, colour::GOLD)
                ),
                (
                    TopText::Leader,
                    unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET)
                ),
            ],
        ));
    });
}

/// Colour of the picture of a resource.
pub(super) fn tint(resource: Resource) -> Color {
    match resource {
        Resource::Wood => Color::srgb(0.8, 0.58, 0.36),
        Resource::Iron => Color::srgb(0.68, 0.76, 0.84),
        Resource::Grain => Color::srgb(0.93, 0.79, 0.36),
    }
}

pub(super) fn write(
    perspective: Res<Perspective>,
    status: Res<RaftStatus>,
    cluster: Res<ClusterView>,
    mut texts: Query<(&TopText, &mut Text, &mut TextColor)>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    let own = perspective.own.unwrap_or(u8::MAX);
    let amounts = game.stock(own).map_or([0; 3], |stock| stock.amounts());
    let rates = game.rates(own);
    let throne = game.holding(Place::Throne).and_then(|throne| throne.holder);
    for (part, mut text, mut ink) in &mut texts {
        let (words, shown) = match *part {
            TopText::Clock => (clock(game.elapsed()), colour::TEXT),
            TopText::Amount(resource) => {
                let amount = amounts[resource as usize];
                let is_full = amount >= game.capacity(own);
                let shown = if is_full { colour::BAD } else { colour::TEXT };
                (amount.to_string(), shown)
            }
            TopText::Rate(resource) => {
                let rate = rates[resource as usize];
                let shown = if rate < 0 { colour::BAD } else { colour::QUIET };
                (text!("{rate} / min", rate = format!("{rate:+}")), shown)
            }
            TopText::Goal => (text!("goal {goal}", goal = game.goal()), colour::GOLD),
            TopText::Leader => {
                let leader = status.leader();
                let name = match leader {
                    Some(leader) => cluster.name(leader),
                    None => text!("leader|none"),
                };
                (text!("leader {name}", name), colour::QUIET)
            }
            TopText::Crowns(seat) => {
                let holds = throne == Some(seat);
                let shown = if holds { colour::GOLD } else { colour::TEXT };
                (game.crowns(seat).to_string(), shown)
            }
            TopText::Name(seat) => {
                let stands = game
                    .seats()
                    .get(usize::from(seat))
                    .is_some_and(raftian_realm::crowns::Seat::stands);
                let shown = if stands {
                    colour::QUIET
                } else {
                    colour::DISABLED
                };
                (perspective.name(seat), shown)
            }
        };
        write_text(&mut text, words);
        ink.set_if_neq(TextColor(shown));
    }
}

pub(super) fn show_rivals(perspective: Res<Perspective>, mut rivals: Query<(&Rival, &mut Node)>) {
    let seats = perspective
        .game
        .as_ref()
        .map_or(0, |game| game.seats().len());
    for (rival, mut node) in &mut rivals {
        let display = if usize::from(rival.0) < seats {
            Display::Flex
        } else {
            Display::None
        };
        if node.display != display {
            node.display = display;
        }
    }
}
