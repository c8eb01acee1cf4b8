//! The screens of the window, and the matches that they begin and end.

pub(crate) mod learn;
pub(crate) mod menu;
mod nearby;
pub mod practice;
pub(crate) mod settings;
pub(crate) mod with_others;

use bevy::camera::visibility::RenderLayers;
use bevy::prelude::*;
use bevy_egui::input::EguiWantsInput;

use crate::embedded::Embedded;
use crate::overlay::GameCamera;
use crate::ui::theme::colour;

/// A screen of the window.
#[derive(States, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Screen {
    /// The main menu.
    #[default]
    Menu,
    /// The board of classic mode.
    Classic,
    /// The map of Crowns.
    Match,
}

/// Layer of everything that Crowns draws; classic mode draws on the first layer.
pub(crate) const CROWNS_LAYER: usize = 1;

/// Adds the screens. The app begins with `first`.
pub(crate) fn plugin(app: &mut App, first: Screen) {
    app.insert_state(first)
        .add_plugins((
            menu::plugin,
            nearby::plugin,
            learn::plugin,
            practice::plugin,
            settings::plugin,
            with_others::plugin,
        ))
        .add_systems(OnEnter(Screen::Classic), (show::<0>, classic_ground))
        .add_systems(OnEnter(Screen::Menu), (show::<CROWNS_LAYER>, ground))
        .add_systems(OnEnter(Screen::Match), (show::<CROWNS_LAYER>, ground))
        .add_systems(
            Update,
            leave_classic.run_if(in_state(Screen::Classic).and_then(resource_exists::<Embedded>)),
        )
        // The camera exists from the first frame on, after the first screen was entered.
        .add_systems(PostStartup, show_first);
}

/// Escape leads from a classic match of this process to the menu, which ends it.
fn leave_classic(
    keys: Res<ButtonInput<KeyCode>>,
    egui: Option<Res<EguiWantsInput>>,
    mut next: ResMut<NextState<Screen>>,
) {
    let is_typing = egui.is_some_and(|egui| egui.wants_any_keyboard_input());
    if keys.just_pressed(KeyCode::Escape) && !is_typing {
        next.set(Screen::Menu);
    }
}

/// Lets the camera draw one layer.
fn show<const LAYER: usize>(mut commands: Commands, cameras: Query<Entity, GameCamera>) {
    for camera in &cameras {
        commands.entity(camera).insert(RenderLayers::layer(LAYER));
    }
}

fn show_first(
    screen: Res<State<Screen>>,
    mut commands: Commands,
    cameras: Query<Entity, GameCamera>,
) {
    let layer = match screen.get() {
        Screen::Classic => 0,
        Screen::Menu | Screen::Match => CROWNS_LAYER,
    };
    for camera in &cameras {
        commands.entity(camera).insert(RenderLayers::layer(layer));
    }
}

fn ground(mut clear: ResMut<ClearColor>) {
    clear.0 = colour::GROUND;
}

fn classic_ground(mut clear: ResMut<ClearColor>) {
    clear.0 = crate::view::canvas::ground();
}

#[cfg(test)]
mod tests;
