//! The panel of the other seats: pacts, gifts and phrases.

use bevy::input_focus::{FocusCause, InputFocus, InputFocusVisible};
use bevy::prelude::*;
use raftian_realm::crowns::{Crowns, Pact, Phrase, Resource};

use super::super::art::Art;
use super::super::control::{Action, GIFT};
use super::super::icons::Icon;
use super::super::perspective::Perspective;
use super::super::words::clock;
use super::top::tint;
use super::{SideMode, image, vote};
use crate::language::{Wording, spoken};
use crate::report_words::{counted_resource, phrase_text};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{
    Caption, column, control, row, small_button, text, unbroken, write as write_text,
};
use crate::view::fonts::Typeface;

/// The rows of one seat.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SeatRows(u8);

/// A text of the panel.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OtherText {
    Name(u8),
    Relation(u8),
    /// Caption of the button that ends a pact, or an offer of one.
    End(u8),
    /// Caption of the button that offers a pact, or accepts one.
    Offer(u8),
}

/// Most seats of a table.
const SEATS: u8 = 8;

pub(super) fn spawn(panel: &mut ChildSpawnerCommands, font: &Typeface, art: &Art) {
    panel.spawn(row(space::WIDE)).with_children(|line| {
        line.spawn(text(
            font,
            wording!("The others"),
            size::LARGE,
            colour::GOLD,
        ));
        line.spawn((Action::Close, small_button(font, wording!("Close Esc"))));
    });
    for seat in 0..SEATS {
        spawn_seat(panel, font, art, seat);
    }
    panel.spawn(text(
        font,
        wording!("A pact forbids attacks on each other and on each other's holdings."),
        size::SMALL,
        colour::QUIET,
    ));
    panel.spawn(text(
        font,
        wording!("Say to all (Enter for words of your own)"),
        size::SMALL,
        colour::QUIET,
    ));
    panel
        .spawn(Node {
            flex_wrap: FlexWrap::Wrap,
            row_gap: space::TIGHT,
            ..row(space::TIGHT)
        })
        .with_children(|phrases| {
            for phrase in Phrase::ALL {
                let caption = small_button(font, Wording::new(move || phrase_text(phrase)));
                phrases.spawn((Action::Say(phrase), caption));
            }
        });
}

fn spawn_seat(panel: &mut ChildSpawnerCommands, font: &Typeface, art: &Art, seat: u8) {
    panel
        .spawn((
            SeatRows(seat),
            Node {
                display: Display::None,
                ..column(space::TIGHT)
            },
        ))
        .with_children(|rows| {
            rows.spawn((
                row(space::NEAR),
                children![
                    image(art, Icon::of_seat(seat), colour::seat(seat), 18.0),
                    (
                        OtherText::Name(seat),
                        unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT)
                    ),
                    (
                        OtherText::Relation(seat),
                        unbroken(font, Wording::EMPTY, size::SMALL, colour::QUIET)
                    ),
                ],
            ));
            rows.spawn(Node {
                flex_wrap: FlexWrap::Wrap,
                row_gap: space::TIGHT,
                ..row(space::TIGHT)
            })
            .with_children(|line| {
                line.spawn(worded(
                    font,
                    Action::OfferPact(seat),
                    OtherText::Offer(seat),
                ));
                line.spawn(worded(font, Action::EndPact(seat), OtherText::End(seat)));
                for resource in Resource::ALL {
                    line.spawn(gift(font, art, seat, resource));
                }
            });
            vote::spawn(rows, font, seat);
        });
}

/// A button whose caption depends on the pact.
fn worded(font: &Typeface, action: Action, words: OtherText) -> impl Bundle {
    (
        action,
        control(Node {
            padding: UiRect::axes(space::NEAR, space::TIGHT),
            ..default()
        }),
        children![(
            Caption,
            words,
            unbroken(font, Wording::EMPTY, size::SMALL, colour::TEXT)
        )],
    )
}

fn gift(font: &Typeface, art: &Art, seat: u8, resource: Resource) -> impl Bundle {
    (
        Action::Gift(seat, resource),
        control(Node {
            padding: UiRect::axes(space::TIGHT, px(2)),
            column_gap: space::TIGHT,
            ..default()
        }),
        spoken(wording!(
            "Give {goods}",
            goods = counted_resource(resource, GIFT)
        )),
        children![
            (
                Caption,
                unbroken(
                    font,
                    Wording::new(|| format!("+{GIFT}")),
                    size::SMALL,
                    colour::TEXT
                )
            ),
            image(art, Icon::of_resource(resource), tint(resource), 16.0),
        ],
    )
}

pub(super) fn write(perspective: Res<Perspective>, mut texts: Query<(&OtherText, &mut Text)>) {
    let Some(game) = &perspective.game else {
        return;
    };
    let own = perspective.own;
    let pact = |seat| own.and_then(|own| game.pact(own, seat));
    for (part, mut text) in &mut texts {
        let words = match *part {
            OtherText::Name(seat) => perspective.name(seat),
            OtherText::Relation(seat) => {
                own.map_or_else(String::new, |own| relation(game, own, seat))
            }
            OtherText::Offer(seat) => match pact(seat) {
                Some(Pact::Offered { by }) if by == seat => text!("Accept the pact"),
                _ => text!("Offer a pact"),
            },
            OtherText::End(seat) => match pact(seat) {
                Some(Pact::Offered { by }) if Some(by) == own => text!("Withdraw"),
                Some(Pact::Offered { .. }) => text!("Decline"),
                _ => text!("End it"),
            },
        };
        write_text(&mut text, words);
    }
}

/// How another seat stands to the own one.
fn relation(game: &Crowns, own: u8, seat: u8) -> String {
    match game.pact(own, seat) {
        None => text!("no pact"),
        Some(Pact::Offered { by }) if by == own => text!("you offer a pact"),
        Some(Pact::Offered { .. }) => text!("offers you a pact"),
        Some(Pact::Agreed) => text!("pact"),
        Some(Pact::Ends(end)) => {
            let left = clock(end.saturating_sub(game.now()) + 999);
            text!("pact, over in {left}", left)
        }
    }
}

/// Shows the seats that stand, except the own one.
pub(super) fn show_seats(perspective: Res<Perspective>, mut rows: Query<(&SeatRows, &mut Node)>) {
    for (rows, mut node) in &mut rows {
        let seats = perspective.game.as_ref().map(Crowns::seats);
        let seat = seats.and_then(|seats| seats.get(usize::from(rows.0)));
        let stands = seat.is_some_and(raftian_realm::crowns::Seat::stands);
        let display = if stands && perspective.own != Some(rows.0) {
            Display::Flex
        } else {
            Display::None
        };
        if node.display != display {
            node.display = display;
        }
    }
}

/// The first button gets the focus when the panel opens, so that the arrow keys lead on from it.
pub(super) fn focus_first(
    mode: Res<SideMode>,
    perspective: Res<Perspective>,
    buttons: Query<(Entity, &Action)>,
    mut focus: ResMut<InputFocus>,
    mut visible: ResMut<InputFocusVisible>,
    mut was_open: Local<bool>,
) {
    let is_open = *mode == SideMode::Others;
    if is_open == std::mem::replace(&mut *was_open, is_open) {
        return;
    }
    if !is_open {
        focus.clear();
        return;
    }
    let seats = perspective.game.as_ref().map(Crowns::seats);
    let others = (0..).zip(seats.into_iter().flatten());
    let first = others
        .filter(|(seat, other)| other.stands() && perspective.own != Some(*seat))
        .map(|(seat, _)| Action::OfferPact(seat))
        .next();
    let button = buttons.iter().find(|(_, action)| Some(**action) == first);
    if let Some((button, _)) = button {
        focus.set(button, FocusCause::Navigated);
        visible.0 = true;
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{Order, PactOrder, Rules};

    use super::*;

    #[test]
    fn relation_names_the_side_that_offers_and_the_end() {
        let mut game = Crowns::new(3, 1, Rules::of_this_build(), 0).unwrap();
        let pact = |with, order| Order::Pact { with, order };
        assert_eq!(relation(&game, 0, 1), "no pact");
        assert_eq!(game.order(1, &pact(0, PactOrder::Offer), 1_000), Ok(()));
        assert_eq!(relation(&game, 0, 1), "offers you a pact");
        assert_eq!(relation(&game, 1, 0), "you offer a pact");
        assert_eq!(game.order(0, &pact(1, PactOrder::Accept), 2_000), Ok(()));
        assert_eq!(relation(&game, 0, 1), "pact");
        assert_eq!(game.order(0, &pact(1, PactOrder::End), 3_000), Ok(()));
        let notice = game.rules().pact.notice;
        let left = clock(notice * 1_000);
        assert_eq!(relation(&game, 0, 1), text!("pact, over in {left}", left));
    }
}
