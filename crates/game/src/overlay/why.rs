//! The decisions of one member or of all, each with the rule behind it.

use bevy_egui::egui::text::{LayoutJob, TextFormat};
use bevy_egui::egui::{Button, Color32, Frame, Margin, RichText, ScrollArea, Ui};
use raftian_raft::NodeId;

use super::event_log::{LoggedDecision, ago, with_names};
use super::theme::{CHOSEN, FAINT, SMALL, TEXT, WEAK, WELL, digits, heading, term_colour, words};
use super::{Screen, theme};

/// Maximum number of decisions listed.
const LISTED: usize = 80;
const HEIGHT: f32 = 150.0;

pub(super) fn show(ui: &mut Ui, screen: &mut Screen) {
    ui.horizontal_wrapped(|ui| {
        heading(ui, "WHY");
        ui.spacing_mut().item_spacing.x = 4.0;
        chip(ui, "all members", None, screen);
        for member in &screen.view.members {
            chip(ui, &member.name, Some(member.id), screen);
        }
    });
    Frame::NONE
        .fill(WELL)
        .corner_radius(4.0)
        .inner_margin(Margin::symmetric(8, 5))
        .show(ui, |ui| {
            let list = ScrollArea::vertical()
                .id_salt("decisions")
                .max_height(HEIGHT)
                .min_scrolled_height(HEIGHT);
            list.auto_shrink(false).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                let mut logged = screen
                    .history
                    .event_log
                    .newest(screen.selected)
                    .take(LISTED)
                    .peekable();
                if logged.peek().is_none() {
                    let elsewhere = screen
                        .selected
                        .and_then(|id| screen.view.member(id))
                        .is_some_and(|member| member.node.is_none());
                    let why = if elsewhere {
                        "Not visible from here"
                    } else {
                        "No decisions yet"
                    };
                    ui.label(RichText::new(why).color(FAINT));
                }
                for logged in logged {
                    ui.label(sentence(logged, screen));
                }
            });
        });
}

fn chip(ui: &mut Ui, name: &str, who: Option<NodeId>, screen: &mut Screen) {
    let chosen = screen.selected == who;
    let text = RichText::new(name)
        .font(words(SMALL))
        .color(if chosen { TEXT } else { WEAK });
    let fill = if chosen {
        CHOSEN.gamma_multiply(0.4)
    } else {
        Color32::TRANSPARENT
    };
    let button = Button::new(text).fill(fill);
    if ui.add(button).clicked() {
        screen.selected = who;
    }
}

fn sentence(logged: &LoggedDecision, screen: &Screen) -> LayoutJob {
    let mut line = LayoutJob::default();
    let mut write = |text: &str, font, colour: Color32| {
        line.append(text, 0.0, TextFormat::simple(font, colour))
    };
    let ago = ago(screen.now.as_secs_f64() - logged.at);
    write(&format!("{ago:>6}  "), digits(SMALL), FAINT);
    write(
        &format!("{:>3} ", logged.event.term.to_string()),
        digits(SMALL),
        term_colour(logged.event.term),
    );
    write(
        &format!(" {} ", screen.view.name(logged.who)),
        words(theme::SIZE),
        TEXT,
    );
    write(
        &with_names(&logged.event.decision.to_string(), screen.view),
        words(theme::SIZE),
        WEAK,
    );
    write(
        &format!("   {}", logged.event.decision.rule()),
        words(SMALL),
        FAINT,
    );
    line
}
