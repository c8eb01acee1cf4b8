//! The visual language of the menus and of Crowns, and the widgets built from it.
//!
//! Everything is drawn with the engine's own interface: its widgets, focus and accessibility tree.
//! Classic mode and the debug overlay have their own looks.

pub(crate) mod contrast;
mod cover;
pub(crate) mod focus;
#[cfg(any(test, feature = "gamepad"))]
mod gamepad;
pub(crate) mod scale;
pub(crate) mod theme;
pub(crate) mod widgets;

use bevy::prelude::*;

/// Whether decorative animations are off, for players who are sensitive to motion.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ReducedMotion(pub(crate) bool);

/// Styles widgets, moves the focus, and scales the interface to the window.
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ReducedMotion>().add_plugins((
        contrast::plugin,
        cover::plugin,
        scale::plugin,
        focus::plugin,
        widgets::plugin,
    ));
    #[cfg(feature = "gamepad")]
    app.add_plugins(gamepad::plugin);
}
