//! The full panel: its window, its sections and the invariants' lamps.

use bevy_egui::egui::{
    self, Align2, Area, Color32, Context, Id, Order, Rect, RichText, ScrollArea, Sense, Ui,
    UiBuilder, pos2, vec2,
};
use std::time::Duration;

use super::invariants::CheckedProperty;
use super::theme::{BAD, GOOD, GROUND, LINE, TEXT, WEAK, words};
use super::{Screen, event_log, lanes, members, plots, ring, strip, why};

/// Initial space between the panel and the window's edges.
const MARGIN: f32 = 8.0;
/// Initial size of the panel in logical pixels, if the window has room for it.
const SIZE: egui::Vec2 = vec2(1180.0, 674.0);
/// Width of an invariant's lamp, including the space before its text.
const LAMP: f32 = 18.0;
/// Minimum width for sections side by side.
const WIDE: f32 = 720.0;
/// Width of the ring next to the logs, and of the plots next to the decisions.
const RING: f32 = 262.0;
const PLOTS: f32 = 380.0;

pub(super) fn show(context: &Context, screen: &mut Screen) {
    let whole = context.content_rect();
    let free = Rect::from_min_max(pos2(whole.min.x, whole.min.y + strip::HEIGHT), whole.max);
    let size = SIZE
        .min(free.size() - 2.0 * vec2(MARGIN, MARGIN))
        .max(vec2(180.0, 100.0));
    let corner = pos2(free.center().x - size.x / 2.0, free.max.y - size.y - MARGIN);
    let mut window = egui::Window::new(RichText::new("CONSENSUS").font(words(13.0)).color(WEAK))
        .id(Id::new("overlay panel"))
        .default_pos(corner)
        .default_size(size)
        .min_size([180.0, 100.0])
        .constrain_to(free)
        .vscroll(true);
    if has_changed(context, free) {
        // Fix the size while the window changes, because egui keeps the size that a small window
        // forced on the panel.
        window = window
            .anchor(Align2::CENTER_BOTTOM, vec2(0.0, -MARGIN))
            .fixed_size(size);
    }
    window.show(context, |ui| sections(ui, screen));
}

/// Shows the strip and the panel's sections in the whole of a window of their own.
pub(super) fn fill(context: &Context, screen: &mut Screen) {
    let whole = context.content_rect();
    strip::show(context, screen, None);
    let free = Rect::from_min_max(pos2(whole.min.x, whole.min.y + strip::HEIGHT), whole.max);
    Area::new(Id::new("overlay window"))
        .order(Order::Background)
        .fixed_pos(free.min)
        .constrain(false)
        .show(context, |ui| {
            ui.painter().rect_filled(free, 0.0, GROUND);
            let inner = UiBuilder::new().max_rect(free.shrink(MARGIN));
            ui.scope_builder(inner, |ui| {
                ui.set_clip_rect(free);
                ScrollArea::vertical()
                    .auto_shrink(false)
                    .show(ui, |ui| sections(ui, screen));
            });
            ui.advance_cursor_after_rect(free);
        });
}

/// Returns whether the space for the panel differs from that in the last two frames in which it was
/// shown; a size takes two to settle.
fn has_changed(context: &Context, free: Rect) -> bool {
    let id = Id::new("overlay panel room");
    context.data_mut(|data| {
        let (room, frames) = data
            .get_temp::<(Rect, u8)>(id)
            .unwrap_or((Rect::NOTHING, 0));
        let frames = if room == free {
            frames.saturating_sub(1)
        } else {
            2
        };
        data.insert_temp(id, (free, frames));
        frames > 0
    })
}

fn sections(ui: &mut Ui, screen: &mut Screen) {
    ui.set_min_width(ui.available_width());
    properties(ui, screen);
    members::show(ui, screen);
    let wide = ui.available_width() >= WIDE;
    beside(ui, wide, RING, screen, ring::show, lanes::show);
    // The wide section comes first here, so the width of the narrow one is subtracted.
    let first = ui.available_width() - PLOTS - ui.spacing().item_spacing.x;
    beside(ui, wide, first, screen, why::show, plots::show);
}

/// Lays out two sections side by side, the first with a fixed width; one below the other in a
/// narrow panel.
fn beside(
    ui: &mut Ui,
    wide: bool,
    width: f32,
    screen: &mut Screen,
    left: impl FnOnce(&mut Ui, &mut Screen),
    right: impl FnOnce(&mut Ui, &mut Screen),
) {
    if !wide {
        left(ui, screen);
        right(ui, screen);
        return;
    }
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(width);
            left(ui, screen);
        });
        ui.vertical(|ui| right(ui, screen));
    });
}

fn properties(ui: &mut Ui, screen: &Screen) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 14.0;
        for checked in screen.history.invariants.properties() {
            let (lamp, text) = if checked.broken.is_some() {
                (BAD, BAD)
            } else {
                (GOOD, TEXT)
            };
            let galley =
                ui.painter()
                    .layout_no_wrap(checked.property.to_owned(), words(12.0), text);
            // One item, so that a lamp and its text are not separated where the row wraps.
            let size = vec2(LAMP + galley.size().x, galley.size().y.max(LAMP));
            let (area, hovered) = ui.allocate_exact_size(size, Sense::hover());
            let middle = pos2(area.left() + 6.0, area.center().y);
            ui.painter().circle_filled(middle, 4.0, lamp);
            ui.painter()
                .circle_stroke(middle, 5.5, (1.0, lamp.gamma_multiply(0.4)));
            ui.painter().galley(
                pos2(area.left() + LAMP, area.center().y - galley.size().y / 2.0),
                galley,
                text,
            );
            hovered.on_hover_ui(|ui| explain(ui, checked, screen.now));
        }
    });
    let (line, _) = ui.allocate_exact_size(vec2(ui.available_width(), 3.0), Sense::hover());
    ui.painter()
        .hline(line.x_range(), line.center().y, (1.0, LINE));
}

fn explain(ui: &mut Ui, checked: &CheckedProperty, now: Duration) {
    let line = |ui: &mut Ui, text: String, colour: Color32| {
        ui.label(RichText::new(text).color(colour));
    };
    match &checked.broken {
        None => line(ui, "Held in every view so far.".into(), GOOD),
        Some(broken) => {
            let ago = event_log::ago(now.saturating_sub(broken.at).as_secs_f64());
            line(ui, format!("Broken {ago} ago: {}.", broken.what), BAD);
        }
    }
    line(ui, checked.rule.into(), WEAK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_view::ClusterView;
    use crate::overlay::derived::tests::{cluster, node};
    use crate::overlay::{CommitLatency, History};
    use bevy_egui::egui::RawInput;

    /// Returns the panel's area after a few frames in a window of this size.
    fn shown(context: &Context, view: &ClusterView, size: egui::Vec2) -> Rect {
        for _ in 0..6 {
            let history = History::default();
            let latency = CommitLatency::default();
            let mut screen = Screen {
                view,
                history: &history,
                latency: &latency,
                commands: None,
                pending: None,
                now: Duration::ZERO,
                selected: None,
                faults: Vec::new(),
            };
            let input = RawInput {
                screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), size)),
                ..Default::default()
            };
            context
                .run_ui(input, |ui| show(ui.ctx(), &mut screen))
                .textures_delta
                .clear();
        }
        context
            .memory(|memory| memory.area_rect(Id::new("overlay panel")))
            .expect("the panel must be shown")
    }

    #[test]
    fn panel_regains_its_size_after_a_small_window() {
        let view = cluster(vec![node(1, 1), node(2, 1), node(3, 1)]);
        let context = Context::default();
        let large = shown(&context, &view, vec2(1280.0, 800.0));
        assert!(large.width() > 1000.0 && large.height() > 500.0, "{large}");
        for size in [vec2(560.0, 672.0), vec2(300.0, 300.0)] {
            let small = shown(&context, &view, size);
            assert!(
                Rect::from_min_size(pos2(0.0, 0.0), size).contains_rect(small),
                "{small} in {size}"
            );
        }
        assert_eq!(shown(&context, &view, vec2(1280.0, 800.0)), large);
    }
}
