//! The panel in which a march is planned.

use bevy::prelude::*;
use raftian_realm::crowns::UnitKind;

use super::super::art::Art;
use super::super::composer::{Composer, forecast};
use super::super::control::{Action, attack_name};
use super::super::icons::Icon;
use super::super::perspective::Perspective;
use super::{image, key_button};
use crate::language::Wording;
use crate::settings::bindings::{KeyAction, KeyWords};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{button, column, row, small_button, text, unbroken, write as write_text};
use crate::view::fonts::Typeface;

/// A text of the panel.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PlanText {
    Target,
    Count(UnitKind),
    Attack,
    Forecast(usize),
}

/// Lines of the forecast.
const LINES: usize = 4;

pub(super) fn spawn(panel: &mut ChildSpawnerCommands, font: &Typeface, art: &Art) {
    panel.spawn((
        PlanText::Target,
        text(font, Wording::EMPTY, size::LARGE, colour::GOLD),
    ));
    panel.spawn((
        row(space::TIGHT),
        children![
            (
                Action::PreviousTarget,
                key_button(font, wording!("Previous"), KeyAction::PreviousTarget)
            ),
            (
                Action::Attack,
                key_button(font, wording!("Next"), KeyAction::NextTarget)
            ),
            (Action::Close, small_button(font, wording!("Close Esc"))),
        ],
    ));
    panel.spawn(column(space::NEAR)).with_children(|units| {
        for (kind, key) in UnitKind::ALL.into_iter().zip(KeyAction::UNITS) {
            units.spawn(row(space::NEAR)).with_children(|line| {
                line.spawn((
                    KeyWords::of(key),
                    text(font, Wording::EMPTY, size::SMALL, colour::GOLD),
                ));
                line.spawn(image(art, Icon::of_unit(kind), colour::TEXT, 30.0));
                line.spawn((
                    Node {
                        width: px(110),
                        ..default()
                    },
                    children![(
                        PlanText::Count(kind),
                        unbroken(font, Wording::EMPTY, size::LARGE, colour::TEXT)
                    )],
                ));
                line.spawn((Action::Fewer(kind), small_button(font, Wording::Same("-"))));
                line.spawn((Action::More(kind), small_button(font, Wording::Same("+"))));
                line.spawn((Action::All(kind), small_button(font, wording!("units|all"))));
            });
        }
    });
    panel.spawn(row(space::NEAR)).with_children(|line| {
        line.spawn((
            Action::SwitchAttack,
            key_button(font, wording!("Switch"), KeyAction::SwitchAttack),
        ));
        line.spawn((
            PlanText::Attack,
            text(font, Wording::EMPTY, size::BODY, colour::QUIET),
        ));
    });
    panel.spawn(column(space::TIGHT)).with_children(|lines| {
        for line in 0..LINES {
            lines.spawn((
                PlanText::Forecast(line),
                text(font, Wording::EMPTY, size::BODY, colour::TEXT),
            ));
        }
    });
    panel.spawn((
        row(space::NEAR),
        children![
            (Action::Send, button(font, wording!("March Enter"))),
            (
                Action::CallHome,
                key_button(font, wording!("Call home"), KeyAction::CallHome)
            ),
        ],
    ));
}

pub(super) fn write(
    perspective: Res<Perspective>,
    composer: Res<Composer>,
    mut texts: Query<(&PlanText, &mut Text)>,
) {
    let Some(target) = composer.target else {
        return;
    };
    let lines = forecast(&composer, &perspective);
    let at_home = perspective.city().map(|(_, _, city)| *city.home());
    for (part, mut text) in &mut texts {
        let words = match *part {
            PlanText::Target => text!("March to {place}", place = perspective.place(target)),
            PlanText::Count(kind) => {
                let all = at_home.map_or(0, |home| home.count(kind));
                text!("{count} of {all}", count = composer.count(kind), all)
            }
            PlanText::Attack if composer.attacks_city() => attack_name(composer.attack),
            PlanText::Attack => String::new(),
            PlanText::Forecast(line) => lines.get(line).cloned().unwrap_or_default(),
        };
        write_text(&mut text, words);
    }
}
