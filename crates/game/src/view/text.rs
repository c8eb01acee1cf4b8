//! Canvas text that is sharp at every scale.
//!
//! The engine rasterises glyphs for the window's scale factor and the camera stretches them. Here
//! glyphs are rasterised at the size at which they appear, and a text starts on a whole pixel.

use super::canvas::{Canvas, rgb};
use crate::classic_layout::Rgb;
use crate::language::Wording;
use bevy::prelude::*;
use bevy::sprite::{Anchor, update_text2d_layout};
use bevy::text::TextLayoutInfo;

/// Part of a line that is at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
}

/// One line of text on the canvas.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[require(Text2d, Anchor::TOP_LEFT)]
pub(super) struct CanvasText {
    /// Position on the canvas: horizontally according to `align`, vertically the middle of the
    /// line.
    pub(super) at: Vec2,
    pub(super) align: Align,
    /// Font size in units.
    pub(super) size: f32,
    pub(super) depth: f32,
}

impl CanvasText {
    /// The components of a line of text.
    pub(super) fn line(self, font: &Handle<Font>, colour: Rgb, words: Wording) -> impl Bundle {
        let font = TextFont::default().with_font(font.clone());
        (
            self,
            Text2d::new(words.text()),
            words,
            font,
            TextColor(rgb(colour)),
            TextLayout::no_wrap(),
        )
    }

    fn top_left(&self, size: Vec2) -> Vec2 {
        let before = match self.align {
            Align::Left => 0.0,
            Align::Middle => 0.5,
            Align::Right => 1.0,
        };
        self.at - size * Vec2::new(before, 0.5)
    }
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        PostUpdate,
        (
            size_glyphs.before(update_text2d_layout),
            place_texts
                .after(update_text2d_layout)
                .before(TransformSystems::Propagate),
        ),
    );
}

/// Sets `words` as the text, but only if they are new, because any access triggers a new layout.
pub(super) fn write(text: &mut Mut<'_, Text2d>, words: &str) {
    if text.0 != words {
        words.clone_into(&mut text.0);
    }
}

fn size_glyphs(canvas: Res<Canvas>, mut texts: Query<(Ref<CanvasText>, &mut TextFont)>) {
    for (text, mut font) in &mut texts {
        if canvas.is_changed() || text.is_changed() {
            // At least one pixel: a smaller font cannot be rasterised.
            let logical_pixels =
                (text.size / canvas.units_per_logical_pixel()).max(1.0 / canvas.scale_factor);
            font.font_size = FontSize::Px(logical_pixels);
        }
    }
}

fn place_texts(
    canvas: Res<Canvas>,
    mut texts: Query<(Ref<CanvasText>, Ref<TextLayoutInfo>, &mut Transform)>,
) {
    let units = canvas.units_per_logical_pixel();
    for (text, layout, mut transform) in &mut texts {
        if canvas.is_changed() || text.is_changed() || layout.is_changed() {
            let corner = canvas.snapped(text.top_left(layout.size * units));
            transform.translation = Vec3::new(corner.x, -corner.y, text.depth);
            transform.scale = Vec3::new(units, units, 1.0);
        }
    }
}

/// Returns at most `limit` characters of a name chosen by another player, with an ellipsis where it
/// was cut. Line breaks and other control characters are removed, because a name must not draw
/// outside its line.
pub(super) fn shortened(name: &str, limit: usize) -> String {
    let mut visible = name.chars().filter(|character| !character.is_control());
    let mut short: String = visible.by_ref().take(limit).collect();
    if visible.next().is_some() {
        // The ellipsis counts towards the limit.
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_the_limit_and_stay_on_one_line() {
        assert_eq!(shortened("raftian", 7), "raftian");
        assert_eq!(shortened("raftians", 7), "raftia…");
        assert_eq!(shortened("a\nb\u{1b}c", 7), "abc");
        assert_eq!(shortened("", 7), "");
    }

    #[test]
    fn line_is_placed_by_its_alignment() {
        let line = |align| CanvasText {
            at: Vec2::new(500.0, 50.0),
            align,
            size: 60.0,
            depth: 0.0,
        };
        let size = Vec2::new(200.0, 60.0);
        assert_eq!(line(Align::Left).top_left(size), Vec2::new(500.0, 20.0));
        assert_eq!(line(Align::Middle).top_left(size), Vec2::new(400.0, 20.0));
        assert_eq!(line(Align::Right).top_left(size), Vec2::new(300.0, 20.0));
    }
}
