//! The game's typeface, compiled into the binary so that it runs from any directory.

use bevy::prelude::*;

pub(crate) const RAJDHANI_BOLD: &[u8] =
    include_bytes!("../../../../assets/fonts/Rajdhani-Bold.ttf");

/// The typeface of everything that is drawn. One bold weight: linear blending thins small dark
/// letters on a light ground, so the lighter weights are hard to read in labels.
#[derive(Resource)]
pub(crate) struct Typeface(pub(super) Handle<Font>);

impl Typeface {
    /// The font at this size in logical pixels.
    pub(crate) fn at(&self, size: f32) -> TextFont {
        TextFont::default()
            .with_font(self.0.clone())
            .with_font_size(size)
    }
}

impl FromWorld for Typeface {
    fn from_world(world: &mut World) -> Self {
        Self(
            world
                .resource_mut::<Assets<Font>>()
                .add(Font::from_bytes(RAJDHANI_BOLD.to_vec())),
        )
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Typeface>();
}
