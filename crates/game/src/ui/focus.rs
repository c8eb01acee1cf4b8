//! Keyboard focus: Tab and the arrow keys move it, and a frame shows it.

use bevy::input_focus::directional_navigation::DirectionalNavigationPlugin;
use bevy::input_focus::tab_navigation::TabNavigationPlugin;
use bevy::input_focus::{FocusCause, InputFocus, InputFocusVisible};
use bevy::math::CompassOctant;
use bevy::prelude::*;
use bevy::ui::auto_directional_navigation::AutoDirectionalNavigator;
use bevy::ui_widgets::Button;

use super::theme::colour;

/// A control that has the focus when it appears.
#[derive(Component)]
pub(crate) struct FocusedFirst;

const ARROWS: [(KeyCode, CompassOctant); 4] = [
    (KeyCode::ArrowUp, CompassOctant::North),
    (KeyCode::ArrowDown, CompassOctant::South),
    (KeyCode::ArrowLeft, CompassOctant::West),
    (KeyCode::ArrowRight, CompassOctant::East),
];

pub(super) fn plugin(app: &mut App) {
    app.add_plugins((TabNavigationPlugin, DirectionalNavigationPlugin))
        .add_systems(Update, (focus_first, move_focus, frame_focused).chain());
}

fn focus_first(
    appeared: Query<Entity, Added<FocusedFirst>>,
    mut focus: ResMut<InputFocus>,
    mut visible: ResMut<InputFocusVisible>,
) {
    if let Some(first) = appeared.iter().next() {
        focus.set(first, FocusCause::Navigated);
        visible.0 = true;
    }
}

fn move_focus(
    keys: Res<ButtonInput<KeyCode>>,
    mut visible: ResMut<InputFocusVisible>,
    mut navigator: AutoDirectionalNavigator,
) {
    for (key, direction) in ARROWS {
        if keys.just_pressed(key) {
            visible.0 = true;
            // At the edge there is nothing in that direction.
            let _at_the_edge = navigator.navigate(direction).is_err();
        }
    }
}

fn frame_focused(
    focus: Res<InputFocus>,
    visible: Res<InputFocusVisible>,
    mut controls: Query<(Entity, &mut Outline), With<Button>>,
) {
    for (control, mut outline) in &mut controls {
        let is_focused = visible.0 && focus.get() == Some(control);
        let colour = if is_focused {
            colour::FOCUS
        } else {
            Color::NONE
        };
        if outline.color != colour {
            outline.color = colour;
        }
    }
}
