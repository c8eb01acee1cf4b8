//! The strip: one line about our own seat at the top of the window.

use bevy_egui::egui::{
    Area, Color32, Context, Frame, Id, Margin, Order, Rect, RichText, Ui, UiBuilder, pos2,
};
use raftian_raft::RoleKind;

use super::Screen;
use super::derived::{
    Condition, condition, leader, live_node, median_round_trip, milliseconds, short_hash,
};
use super::icons;
use super::theme::{BAD, FAINT, GOOD, STRIP, TEXT, WARN, WEAK, digits, term_colour, words};

/// Minimum width for all details; a narrower strip omits some.
const WIDE: f32 = 640.0;
/// Height of the strip in logical pixels.
pub(crate) const HEIGHT: f32 = 24.0;

/// Shows the strip at a place, or at the top edge of the window.
pub(super) fn show(context: &Context, screen: &Screen, place: Option<bevy::math::Rect>) {
    let whole = context.content_rect();
    let top = Rect::from_min_max(whole.min, pos2(whole.max.x, whole.min.y + HEIGHT));
    let area = place.map_or(top, |place| {
        Rect::from_min_max(
            pos2(place.min.x, place.min.y),
            pos2(place.max.x, place.max.y),
        )
    });
    Area::new(Id::new("overlay strip"))
        .order(Order::Middle)
        .fixed_pos(area.min)
        .constrain(false)
        .show(context, |ui| {
            ui.painter().rect_filled(area, 0.0, STRIP);
            let inner = area.shrink2(bevy_egui::egui::vec2(10.0, 0.0));
            ui.scope_builder(UiBuilder::new().max_rect(inner), |ui| {
                ui.set_clip_rect(area);
                ui.horizontal_centered(|ui| line(ui, screen));
            });
            // The whole strip captures the mouse, so that no click passes through it to the game.
            ui.advance_cursor_after_rect(area);
        });
}

fn line(ui: &mut Ui, screen: &Screen) {
    let wide = ui.available_width() >= WIDE;
    ui.spacing_mut().item_spacing.x = 7.0;
    ui.label(
        RichText::new(if wide { "CONSENSUS" } else { "F3" })
            .font(words(12.0))
            .color(WEAK),
    );
    let view = screen.view;
    let Some(member) = view.seat.and_then(|seat| view.member(seat)) else {
        dot(ui);
        ui.label(RichText::new("no seat").color(FAINT));
        return;
    };
    let Some(node) = live_node(member) else {
        dot(ui);
        ui.label(
            RichText::new(format!("{} is {}", member.name, condition(member).word())).color(BAD),
        );
        return;
    };
    let status = &node.status;
    dot(ui);
    let role_colour = if status.role == RoleKind::Leader {
        GOOD
    } else {
        TEXT
    };
    word(ui, status.role.name(), role_colour);
    match condition(member) {
        Condition::Up => {}
        trouble => word(ui, trouble.word(), WARN),
    }
    dot(ui);
    weak(ui, "term");
    number(ui, &status.term.0.to_string(), term_colour(status.term));
    dot(ui);
    weak(ui, "leader");
    match leader(view) {
        Some(id) => word(ui, &view.name(id), TEXT),
        None => word(ui, "none", WARN),
    }
    dot(ui);
    weak(ui, "commit");
    number(ui, &status.commit.to_string(), TEXT);
    let applied = member.state.map_or(status.applied, |state| state.index);
    // A lag is shown even in a narrow strip.
    if wide || applied < status.commit {
        weak(ui, "applied");
        number(
            ui,
            &applied.to_string(),
            if applied < status.commit { WARN } else { TEXT },
        );
    }
    if let Some(trip) = median_round_trip(node).filter(|_| wide && status.role == RoleKind::Leader)
    {
        dot(ui);
        weak(ui, "rtt");
        number(ui, &format!("{} ms", milliseconds(trip)), TEXT);
    }
    dot(ui);
    weak(ui, "state");
    if let Some(state) = member.state.filter(|_| wide) {
        number(ui, &short_hash(state.hash), TEXT);
    }
    if view.states_agree() {
        icons::inline(ui, 13.0, |painter, middle| {
            icons::tick(painter, middle, 11.0, GOOD)
        });
    } else {
        icons::inline(ui, 13.0, |painter, middle| {
            icons::cross(painter, middle, 12.0, BAD)
        });
        ui.label(RichText::new("DIVERGED").color(BAD).strong());
    }
    if let Some(pending) = screen.pending {
        dot(ui);
        weak(ui, "pending");
        number(
            ui,
            &pending.to_string(),
            if pending > 0 { WARN } else { TEXT },
        );
    }
    if !screen.history.all_hold() {
        dot(ui);
        Frame::NONE
            .fill(BAD)
            .corner_radius(3.0)
            .inner_margin(Margin::symmetric(5, 0))
            .show(ui, |ui| {
                ui.label(
                    RichText::new("INVARIANT BROKEN")
                        .font(words(11.0))
                        .color(Color32::BLACK),
                );
            });
    }
}

fn dot(ui: &mut Ui) {
    ui.label(RichText::new("·").color(WEAK));
}

fn weak(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).color(WEAK));
}

fn word(ui: &mut Ui, text: &str, colour: Color32) {
    ui.label(RichText::new(text).color(colour));
}

fn number(ui: &mut Ui, text: &str, colour: Color32) {
    ui.label(RichText::new(text).font(digits(12.0)).color(colour));
}
