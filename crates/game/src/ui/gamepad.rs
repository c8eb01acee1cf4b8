//! Gamepads: a button acts as a key, so that a gamepad does what the keyboard does.
//!
//! Decision: buttons become key presses of the next frame. Why: focus, widgets and the game read
//! keys, and each would need the same second path. Would change if: a gamepad had to do what no key
//! does.

use bevy::ecs::message::MessageUpdateSystems;
use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput, NativeKey};
use bevy::prelude::*;
use bevy::window::PrimaryWindow;

use crate::settings::bindings::{Bindings, KeyAction};

/// Deflection of the left stick from which it counts as a press.
const PRESSED: f32 = 0.6;

/// Deflection below which a pressed stick is released.
const RELEASED: f32 = 0.4;

/// Buttons with the same key in every screen.
const FIXED: [(GamepadButton, KeyCode); 8] = [
    (GamepadButton::DPadUp, KeyCode::ArrowUp),
    (GamepadButton::DPadDown, KeyCode::ArrowDown),
    (GamepadButton::DPadLeft, KeyCode::ArrowLeft),
    (GamepadButton::DPadRight, KeyCode::ArrowRight),
    (GamepadButton::South, KeyCode::Enter),
    (GamepadButton::East, KeyCode::Escape),
    (GamepadButton::Start, KeyCode::Escape),
    (GamepadButton::Select, KeyCode::F3),
];

/// Buttons with the key of an action.
const BOUND: [(GamepadButton, KeyAction); 6] = [
    (GamepadButton::RightTrigger, KeyAction::NextTarget),
    (GamepadButton::LeftTrigger, KeyAction::PreviousTarget),
    (GamepadButton::West, KeyAction::SwitchAttack),
    (GamepadButton::North, KeyAction::CallHome),
    (GamepadButton::LeftTrigger2, KeyAction::Others),
    (GamepadButton::RightTrigger2, KeyAction::Repair),
];

/// The keys that a gamepad holds down.
#[derive(Component, Clone, Debug, Default)]
struct Held {
    /// By its buttons.
    buttons: Vec<(GamepadButton, KeyCode)>,
    /// By its left stick.
    stick: Option<KeyCode>,
}

pub(super) fn plugin(app: &mut App) {
    // Keys written before the messages of the last frame go are read in this frame.
    app.add_systems(First, press.before(MessageUpdateSystems));
}

fn press(
    bindings: Res<Bindings>,
    window: Option<Single<Entity, With<PrimaryWindow>>>,
    mut pads: Query<(Entity, Option<&Gamepad>, Option<&mut Held>), Or<(With<Gamepad>, With<Held>)>>,
    mut inputs: MessageWriter<KeyboardInput>,
    mut commands: Commands,
) {
    let Some(window) = window else { return };
    let mut send = |key_code: KeyCode, state: ButtonState| {
        inputs.write(KeyboardInput {
            key_code,
            logical_key: logical(key_code),
            state,
            text: None,
            repeat: false,
            window: *window,
        });
    };
    for (entity, pad, held) in &mut pads {
        let Some(mut held) = held else {
            commands.entity(entity).insert(Held::default());
            continue;
        };
        let Some(pad) = pad else {
            // It was disconnected.
            for key in held.buttons.iter().map(|(_, key)| *key).chain(held.stick) {
                send(key, ButtonState::Released);
            }
            commands.entity(entity).remove::<Held>();
            continue;
        };
        held.buttons.retain(|(button, key)| {
            let is_held = pad.pressed(*button);
            if !is_held {
                send(*key, ButtonState::Released);
            }
            is_held
        });
        let bound = BOUND.map(|(button, action)| (button, bindings.key(action)));
        for (button, key) in FIXED.into_iter().chain(bound) {
            if pad.just_pressed(button) && !held.buttons.contains(&(button, key)) {
                send(key, ButtonState::Pressed);
                held.buttons.push((button, key));
            }
        }
        let direction = direction(pad.left_stick(), held.stick);
        if held.stick == direction {
            continue;
        }
        if let Some(key) = held.stick {
            send(key, ButtonState::Released);
        }
        if let Some(key) = direction {
            send(key, ButtonState::Pressed);
        }
        held.stick = direction;
    }
}

/// The arrow key of a stick, which had `before`.
fn direction(stick: Vec2, before: Option<KeyCode>) -> Option<KeyCode> {
    let least = if before.is_some() { RELEASED } else { PRESSED };
    if stick.abs().max_element() < least {
        return None;
    }
    let key = match (stick.x.abs() > stick.y.abs(), stick.x > 0.0, stick.y > 0.0) {
        (true, true, _) => KeyCode::ArrowRight,
        (true, false, _) => KeyCode::ArrowLeft,
        (false, _, true) => KeyCode::ArrowUp,
        (false, _, false) => KeyCode::ArrowDown,
    };
    // Between two directions the present one stays until the stick was in the middle.
    before.or(Some(key))
}

/// The meaning of a key, which widgets read.
fn logical(key: KeyCode) -> Key {
    match key {
        KeyCode::ArrowUp => Key::ArrowUp,
        KeyCode::ArrowDown => Key::ArrowDown,
        KeyCode::ArrowLeft => Key::ArrowLeft,
        KeyCode::ArrowRight => Key::ArrowRight,
        KeyCode::Enter => Key::Enter,
        KeyCode::Escape => Key::Escape,
        KeyCode::F3 => Key::F3,
        _ => Key::Unidentified(NativeKey::Unidentified),
    }
}

#[cfg(test)]
mod tests {
    use bevy::input::InputPlugin;
    use bevy::input::gamepad::{
        GamepadConnection, GamepadConnectionEvent, RawGamepadAxisChangedEvent,
        RawGamepadButtonChangedEvent, RawGamepadEvent,
    };

    use super::*;

    fn app() -> (App, Entity) {
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, InputPlugin, plugin))
            .init_resource::<Bindings>();
        app.world_mut().spawn(PrimaryWindow);
        let pad = app.world_mut().spawn_empty().id();
        let connection = GamepadConnection::Connected {
            name: "pad".to_owned(),
            vendor_id: None,
            product_id: None,
        };
        let connected = GamepadConnectionEvent::new(pad, connection);
        app.world_mut().write_message(connected);
        app.update();
        app.update();
        (app, pad)
    }

    fn set_button(app: &mut App, pad: Entity, button: GamepadButton, value: f32) {
        let changed = RawGamepadButtonChangedEvent::new(pad, button, value);
        app.world_mut()
            .write_message(RawGamepadEvent::Button(changed));
        app.update();
        app.update();
    }

    fn set_stick(app: &mut App, pad: Entity, axis: GamepadAxis, value: f32) {
        let changed = RawGamepadAxisChangedEvent::new(pad, axis, value);
        app.world_mut()
            .write_message(RawGamepadEvent::Axis(changed));
        app.update();
        app.update();
    }

    fn pressed(app: &App) -> Vec<KeyCode> {
        let keys = app.world().resource::<ButtonInput<KeyCode>>();
        keys.get_pressed().copied().collect()
    }

    #[test]
    fn buttons_act_as_keys() {
        let (mut app, pad) = app();
        for (button, key) in FIXED {
            set_button(&mut app, pad, button, 1.0);
            assert_eq!(pressed(&app), [key], "{button:?}");
            set_button(&mut app, pad, button, 0.0);
            assert_eq!(pressed(&app), [], "{button:?}");
        }
    }

    #[test]
    fn disconnected_gamepad_holds_no_key() {
        let (mut app, pad) = app();
        set_button(&mut app, pad, GamepadButton::South, 1.0);
        set_stick(&mut app, pad, GamepadAxis::LeftStickY, 1.0);
        assert_eq!(pressed(&app).len(), 2);
        let gone = GamepadConnectionEvent::new(pad, GamepadConnection::Disconnected);
        app.world_mut().write_message(gone);
        app.update();
        app.update();
        assert_eq!(pressed(&app), []);
    }

    #[test]
    fn shoulder_buttons_follow_the_bindings() {
        let (mut app, pad) = app();
        let mut bindings = app.world_mut().resource_mut::<Bindings>();
        assert!(bindings.bind(KeyAction::NextTarget, KeyCode::KeyP).is_ok());
        set_button(&mut app, pad, GamepadButton::RightTrigger, 1.0);
        assert_eq!(pressed(&app), [KeyCode::KeyP]);
    }

    #[test]
    fn stick_presses_one_arrow_at_a_time() {
        let (mut app, pad) = app();
        set_stick(&mut app, pad, GamepadAxis::LeftStickY, 0.3);
        assert_eq!(pressed(&app), []);
        set_stick(&mut app, pad, GamepadAxis::LeftStickY, 0.9);
        assert_eq!(pressed(&app), [KeyCode::ArrowUp]);
        set_stick(&mut app, pad, GamepadAxis::LeftStickX, 1.0);
        assert_eq!(pressed(&app), [KeyCode::ArrowUp]);
        set_stick(&mut app, pad, GamepadAxis::LeftStickX, 0.0);
        set_stick(&mut app, pad, GamepadAxis::LeftStickY, 0.5);
        assert_eq!(pressed(&app), [KeyCode::ArrowUp], "not released yet");
        set_stick(&mut app, pad, GamepadAxis::LeftStickY, 0.0);
        assert_eq!(pressed(&app), []);
    }
}
