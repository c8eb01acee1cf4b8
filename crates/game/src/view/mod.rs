//! The window of classic mode: draws the ECS projection, and turns clicks into events.
//!
//! The view reads [`City`](crate::projection::City) and [`Health`](crate::projection::Health) and
//! writes neither. A player's press leaves as [`CityClicked`](input::CityClicked); the code that
//! proposes orders observes it, updates [`Pending`](pending::Pending) and
//! [`FooterFacts`](footer::FooterFacts), and need not know how anything is drawn.
//!
//! All positions are on the canvas of [`classic_layout`](crate::classic_layout), which [`canvas`]
//! scales into the window.

mod banner;
mod board;
pub mod canvas;
pub(crate) mod fonts;
pub mod footer;
pub mod header;
mod hover;
pub mod input;
mod outline;
pub mod pending;
pub mod screenshot;
mod shapes;
mod sparks;
mod text;

use crate::classic_layout::{HEIGHT, WIDTH};
use crate::screens::Screen;
use bevy::prelude::*;
use bevy::window::WindowResolution;

/// Order of the view's systems in `Update`.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewSystems {
    /// Turns mouse and keys into events, the header's message and the hovered city.
    Input,
    /// Draws entities from the current state.
    Draw,
}

/// Draws classic mode on its [`Screen`], and reads the player's input. Requires `DefaultPlugins` and
/// [`projection::plugin`](crate::projection::plugin).
pub fn plugin(app: &mut App) {
    let is_shown = in_state(Screen::Classic);
    app.configure_sets(
        Update,
        (ViewSystems::Input, ViewSystems::Draw)
            .chain()
            .run_if(is_shown.clone()),
    )
    .configure_sets(PreUpdate, canvas::AimSystems.run_if(is_shown))
    .add_plugins((
        canvas::plugin,
        fonts::plugin,
        shapes::plugin,
        text::plugin,
        board::plugin,
        header::plugin,
        footer::plugin,
        banner::plugin,
        input::plugin,
        hover::plugin,
        pending::plugin,
        sparks::plugin,
        screenshot::plugin,
    ));
}

/// The window of classic mode: 1000×1200 logical pixels, resizable, reduced at start to fit a
/// smaller screen.
pub fn window(title: impl Into<String>) -> Window {
    Window {
        title: title.into(),
        name: Some("raftian".into()),
        resolution: WindowResolution::new(WIDTH as u32, HEIGHT as u32),
        resize_constraints: WindowResizeConstraints {
            min_width: 250.0,
            min_height: 300.0,
            ..default()
        },
        ..default()
    }
}
