//! Colours, fonts and sizes: dark, calm, and one colour per term.

use std::sync::Arc;

use bevy_egui::egui::epaint::text::TextWrapping;
use bevy_egui::egui::text::LayoutJob;
use bevy_egui::egui::{
    self, Align2, Color32, Context, CornerRadius, FontFamily, FontId, Galley, Margin, Painter,
    Pos2, RichText, Shadow, Stroke, TextStyle, Theme, Ui, vec2,
};
use raftian_raft::Term;

/// Background of the panel.
pub(super) const GROUND: Color32 = Color32::from_rgb(21, 24, 30);
/// Background of pictures inside the panel.
pub(super) const WELL: Color32 = Color32::from_rgb(14, 16, 20);
/// Background of the strip, which lets the game shine through.
pub(super) const STRIP: Color32 = Color32::from_rgba_premultiplied(18, 21, 26, 250);
/// Thin lines and borders.
pub(super) const LINE: Color32 = Color32::from_rgb(52, 58, 69);
/// Primary text.
pub(super) const TEXT: Color32 = Color32::from_rgb(218, 222, 230);
/// Secondary text.
pub(super) const WEAK: Color32 = Color32::from_rgb(142, 150, 164);
/// Absent or inactive things.
pub(super) const FAINT: Color32 = Color32::from_rgb(88, 95, 108);
/// Healthy state.
pub(super) const GOOD: Color32 = Color32::from_rgb(110, 200, 140);
/// Violations and failures.
pub(super) const BAD: Color32 = Color32::from_rgb(240, 92, 92);
/// Warnings.
pub(super) const WARN: Color32 = Color32::from_rgb(236, 186, 92);
/// Selection.
pub(super) const CHOSEN: Color32 = Color32::from_rgb(120, 170, 235);

/// Size of most text in logical pixels.
pub(super) const SIZE: f32 = 13.0;
/// Size of labels and hints.
pub(super) const SMALL: f32 = 11.0;

/// RaftScope's colours of terms, familiar to those who learned Raft there.
const TERMS: [Color32; 6] = [
    Color32::from_rgb(0x66, 0xc2, 0xa5),
    Color32::from_rgb(0xfc, 0x8d, 0x62),
    Color32::from_rgb(0x8d, 0xa0, 0xcb),
    Color32::from_rgb(0xe7, 0x8a, 0xc3),
    Color32::from_rgb(0xa6, 0xd8, 0x54),
    Color32::from_rgb(0xff, 0xd9, 0x2f),
];

/// The colour of a term.
pub(super) fn term_colour(term: Term) -> Color32 {
    TERMS[(term.0 % TERMS.len() as u64) as usize]
}

/// Font for prose.
pub(super) fn words(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

/// Monospaced font for columns of numbers.
pub(super) fn digits(size: f32) -> FontId {
    FontId::new(size, FontFamily::Monospace)
}

/// Lays out one line of text, truncated with an ellipsis at `width`.
pub(super) fn fitted(
    painter: &Painter,
    text: &str,
    font: FontId,
    colour: Color32,
    width: f32,
) -> Arc<Galley> {
    let mut job = LayoutJob::simple_singleline(text.to_owned(), font, colour);
    job.wrap = TextWrapping::truncate_at_width(width.max(0.0));
    painter.layout_job(job)
}

/// Paints one fitted line, aligned at a point, and returns its area.
pub(super) fn put(
    painter: &Painter,
    at: Pos2,
    align: Align2,
    text: &str,
    font: FontId,
    colour: Color32,
    width: f32,
) -> egui::Rect {
    let galley = fitted(painter, text, font, colour, width);
    let area = align.anchor_size(at, galley.size());
    painter.galley(area.min, galley, colour);
    area
}

/// Title of a section.
pub(super) fn heading(ui: &mut Ui, title: &str) {
    ui.label(RichText::new(title).font(words(SMALL)).color(WEAK));
}

/// Applies the overlay's theme. Nothing else in the program uses egui.
pub(super) fn apply_theme(context: &Context) {
    context.set_theme(Theme::Dark);
    context.all_styles_mut(|style| {
        style.text_styles.insert(TextStyle::Body, words(SIZE));
        style.text_styles.insert(TextStyle::Button, words(12.0));
        style.text_styles.insert(TextStyle::Heading, words(14.0));
        style.text_styles.insert(TextStyle::Small, words(SMALL));
        style.text_styles.insert(TextStyle::Monospace, digits(12.0));
        style.spacing.item_spacing = vec2(8.0, 4.0);
        style.spacing.button_padding = vec2(5.0, 1.0);
        style.spacing.interact_size.y = 18.0;
        style.spacing.window_margin = Margin::symmetric(10, 8);
        style.spacing.tooltip_width = 420.0;
        style.interaction.selectable_labels = false;
        style.interaction.tooltip_delay = 0.15;

        let visuals = &mut style.visuals;
        visuals.window_fill = GROUND;
        visuals.panel_fill = GROUND;
        visuals.extreme_bg_color = WELL;
        visuals.window_stroke = Stroke::new(1.0, LINE);
        visuals.window_corner_radius = CornerRadius::same(6);
        visuals.window_shadow = Shadow {
            offset: [0, 4],
            blur: 16,
            spread: 0,
            color: Color32::from_black_alpha(110),
        };
        visuals.popup_shadow = Shadow {
            offset: [0, 2],
            blur: 8,
            spread: 0,
            color: Color32::from_black_alpha(110),
        };
        visuals.selection.bg_fill = CHOSEN.gamma_multiply(0.35);
        visuals.selection.stroke = Stroke::new(1.0, TEXT);
        let widgets = &mut visuals.widgets;
        widgets.noninteractive.fg_stroke.color = TEXT;
        widgets.noninteractive.bg_stroke.color = LINE;
        widgets.open.weak_bg_fill = Color32::from_rgb(30, 34, 42);
        widgets.inactive.fg_stroke.color = TEXT;
        widgets.inactive.weak_bg_fill = Color32::from_rgb(44, 50, 61);
        widgets.hovered.weak_bg_fill = Color32::from_rgb(60, 68, 82);
        widgets.hovered.bg_stroke = Stroke::new(1.0, WEAK);
        widgets.active.weak_bg_fill = Color32::from_rgb(76, 86, 104);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_cycle_through_six_colours() {
        assert_eq!(term_colour(Term(7)), Color32::from_rgb(0xfc, 0x8d, 0x62));
        assert_eq!(term_colour(Term(1)), term_colour(Term(7)));
        assert_ne!(term_colour(Term(7)), term_colour(Term(8)));
        assert_eq!(term_colour(Term(u64::MAX)), term_colour(Term(3)));
    }
}
