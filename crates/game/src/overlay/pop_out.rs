//! The overlay's own window, which Ctrl+F3 opens and closes.
//!
//! Keys pressed in it belong to the overlay alone: the game does not receive them.

use bevy::camera::RenderTarget;
use bevy::ecs::message::{MessageCursor, MessageUpdateSystems};
use bevy::ecs::schedule::ScheduleLabel;
use bevy::input::keyboard::{KeyboardFocusLost, KeyboardInput};
use bevy::prelude::*;
use bevy::window::{WindowCloseRequested, WindowRef, WindowResolution};
use bevy_egui::{EguiContext, EguiSchedule};

use super::{Sources, faults, panel, theme};

/// The camera of the game, not that of the overlay's own window.
pub(crate) type GameCamera = (With<Camera2d>, Without<PopOutCamera>);

/// Camera of the overlay's own window.
#[derive(Component)]
pub(crate) struct PopOutCamera;

/// The overlay's own window.
#[derive(Component)]
pub(super) struct PopOutWindow;

/// The keys of the overlay's own window.
#[derive(Resource, Default)]
pub(super) struct WindowKeys(pub(super) ButtonInput<KeyCode>);

/// Draws the overlay's own window.
#[derive(ScheduleLabel, Clone, PartialEq, Eq, Hash, Debug)]
struct PopOutPass;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<WindowKeys>()
        // Before the next frame's messages are those of this frame.
        .add_systems(First, separate_keys.before(MessageUpdateSystems))
        .add_systems(
            Update,
            (
                toggle,
                close.run_if(on_message::<WindowCloseRequested>),
                faults::press_keys_of_window.run_if(is_open),
            ),
        )
        .add_systems(PopOutPass, draw);
}

/// Whether the window is open.
pub(super) fn is_open(windows: Query<(), With<PopOutWindow>>) -> bool {
    !windows.is_empty()
}

pub(super) fn is_control_held(keys: &ButtonInput<KeyCode>) -> bool {
    is_held(keys, [KeyCode::ControlLeft, KeyCode::ControlRight])
}

/// Whether one of two keys is held, or was for less than a frame.
pub(super) fn is_held(keys: &ButtonInput<KeyCode>, both: [KeyCode; 2]) -> bool {
    keys.any_pressed(both) || keys.any_just_pressed(both)
}

/// Withholds presses in the window from the game. A release reaches both: a key that was pressed in
/// one window may be released in the other.
fn separate_keys(
    window: Option<Single<Entity, With<PopOutWindow>>>,
    mut keys: ResMut<WindowKeys>,
    mut inputs: ResMut<Messages<KeyboardInput>>,
    mut lost: MessageReader<KeyboardFocusLost>,
    mut unread: Local<MessageCursor<KeyboardInput>>,
) {
    keys.bypass_change_detection().0.clear();
    if lost.read().count() > 0 {
        keys.0.release_all();
    }
    let window = window.map(|window| *window);
    // What was read here in an earlier frame has also been read by the game.
    let new: Vec<_> = unread.read(&inputs).cloned().collect();
    let mut is_withheld = false;
    let mut of_game = Vec::new();
    for input in new {
        if !input.state.is_pressed() {
            keys.0.release(input.key_code);
            of_game.push(input);
        } else if Some(input.window) == window {
            keys.0.press(input.key_code);
            is_withheld = true;
        } else if input.repeat && input.key_code == KeyCode::F3 {
            // It is still held from closing the window.
            is_withheld = true;
        } else {
            of_game.push(input);
        }
    }
    if is_withheld {
        inputs.clear();
        inputs.write_batch(of_game);
        unread.clear(&inputs);
    }
}

fn toggle(
    game_keys: Res<ButtonInput<KeyCode>>,
    own_keys: Res<WindowKeys>,
    windows: Query<Entity, With<PopOutWindow>>,
    cameras: Query<Entity, With<PopOutCamera>>,
    mut commands: Commands,
) {
    let is_asked = [&*game_keys, &own_keys.0]
        .iter()
        .any(|keys| keys.just_pressed(KeyCode::F3) && is_control_held(keys));
    if !is_asked {
        return;
    }
    if windows.is_empty() {
        open(&mut commands);
    }
    for entity in windows.iter().chain(&cameras) {
        commands.entity(entity).despawn();
    }
}

fn open(commands: &mut Commands) {
    let window = commands.spawn((
        PopOutWindow,
        Window {
            title: "raftian: consensus".to_owned(),
            resolution: WindowResolution::new(1200, 740),
            ..default()
        },
    ));
    let target = RenderTarget::Window(WindowRef::Entity(window.id()));
    commands.spawn((
        Name::new("Overlay camera"),
        PopOutCamera,
        Camera2d,
        target,
        EguiSchedule::new(PopOutPass),
    ));
}

/// Closes the window when its frame's button asks for it.
fn close(
    mut closed: MessageReader<WindowCloseRequested>,
    windows: Query<(), With<PopOutWindow>>,
    cameras: Query<Entity, With<PopOutCamera>>,
    mut commands: Commands,
) {
    for closed in closed.read() {
        if windows.contains(closed.window) {
            for entity in cameras.iter().chain([closed.window]) {
                // Bevy closes windows itself where the program does not decide that.
                commands.entity(entity).try_despawn();
            }
        }
    }
}

fn draw(
    context: Option<Single<(Entity, &mut EguiContext), With<PopOutCamera>>>,
    mut sources: Sources,
    mut themed: Local<Option<Entity>>,
) {
    let Some(context) = context else { return };
    let (camera, mut context) = context.into_inner();
    let context = context.get_mut();
    if *themed != Some(camera) {
        theme::apply_theme(context);
        *themed = Some(camera);
    }
    sources.show(|screen| panel::fill(context, screen));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::input::keyboard::{Key, NativeKey};
    use bevy::input::{ButtonState, InputPlugin};

    fn app() -> App {
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, InputPlugin))
            .init_resource::<WindowKeys>()
            .add_message::<WindowCloseRequested>()
            .add_systems(First, separate_keys.before(MessageUpdateSystems))
            .add_systems(Update, (toggle, close));
        app
    }

    fn send(app: &mut App, window: Entity, keys: &[KeyCode], state: ButtonState, repeat: bool) {
        for &key_code in keys {
            let input = KeyboardInput {
                key_code,
                logical_key: logical(key_code),
                state,
                text: None,
                repeat,
                window,
            };
            app.world_mut().write_message(input);
        }
        app.update();
    }

    fn logical(key: KeyCode) -> Key {
        match key {
            KeyCode::ControlLeft | KeyCode::ControlRight => Key::Control,
            _ => Key::Unidentified(NativeKey::Unidentified),
        }
    }

    fn press(app: &mut App, window: Entity, keys: &[KeyCode]) {
        send(app, window, keys, ButtonState::Pressed, false);
    }

    fn release(app: &mut App, window: Entity, keys: &[KeyCode]) {
        send(app, window, keys, ButtonState::Released, false);
    }

    fn pressed_in_game(app: &App) -> Vec<KeyCode> {
        let keys = app.world().resource::<ButtonInput<KeyCode>>();
        keys.get_pressed().copied().collect()
    }

    fn windows(app: &mut App) -> Vec<Entity> {
        let mut open = app
            .world_mut()
            .query_filtered::<Entity, With<PopOutWindow>>();
        open.iter(app.world()).collect()
    }

    fn cameras(app: &mut App) -> usize {
        let mut open = app.world_mut().query_filtered::<(), With<PopOutCamera>>();
        open.iter(app.world()).count()
    }

    #[test]
    fn control_and_f3_open_and_close_the_window() {
        let mut app = app();
        let game = app.world_mut().spawn_empty().id();
        press(&mut app, game, &[KeyCode::F3]);
        assert_eq!(windows(&mut app), []);
        release(&mut app, game, &[KeyCode::F3]);
        let keys = [KeyCode::ControlLeft, KeyCode::F3];
        press(&mut app, game, &keys);
        let [window] = windows(&mut app)[..] else {
            panic!("one window");
        };
        assert_eq!(cameras(&mut app), 1);
        // The window has the focus before the keys are released.
        release(&mut app, window, &keys);
        assert_eq!(pressed_in_game(&app), []);
        let meanings = app.world().resource::<ButtonInput<Key>>();
        assert!(!meanings.pressed(Key::Control), "letters are typed again");
        press(&mut app, window, &keys);
        assert_eq!((windows(&mut app), cameras(&mut app)), (vec![], 0));
        send(&mut app, game, &[KeyCode::F3], ButtonState::Pressed, true);
        assert_eq!(pressed_in_game(&app), [], "F3 is held from before");
    }

    #[test]
    fn closed_window_takes_its_camera_along() {
        let mut app = app();
        let game = app.world_mut().spawn_empty().id();
        press(&mut app, game, &[KeyCode::ControlRight, KeyCode::F3]);
        let [window] = windows(&mut app)[..] else {
            panic!("one window");
        };
        for (closed, left) in [(game, 1), (window, 0)] {
            let request = WindowCloseRequested { window: closed };
            app.world_mut().write_message(request);
            app.update();
            assert_eq!((windows(&mut app).len(), cameras(&mut app)), (left, left));
        }
    }

    #[test]
    fn game_does_not_receive_the_keys_of_the_window() {
        let mut app = app();
        let game = app.world_mut().spawn_empty().id();
        let window = app.world_mut().spawn(PopOutWindow).id();
        press(&mut app, window, &[KeyCode::KeyK, KeyCode::KeyP]);
        assert_eq!(pressed_in_game(&app), []);
        let of_window = &app.world().resource::<WindowKeys>().0;
        assert!(of_window.just_pressed(KeyCode::KeyP));
        press(&mut app, game, &[KeyCode::KeyQ]);
        assert_eq!(pressed_in_game(&app), [KeyCode::KeyQ]);
        let of_window = &app.world().resource::<WindowKeys>().0;
        assert!(of_window.pressed(KeyCode::KeyK));
        assert!(!of_window.just_pressed(KeyCode::KeyK) && !of_window.pressed(KeyCode::KeyQ));
        app.world_mut().write_message(KeyboardFocusLost);
        app.update();
        let of_window = &app.world().resource::<WindowKeys>().0;
        assert!(!of_window.pressed(KeyCode::KeyK));
    }

    /// Messages are kept for several frames at high frame rates.
    #[test]
    fn keys_of_both_windows_reach_each_reader_once() {
        let mut app = app();
        let game = app.world_mut().spawn_empty().id();
        let window = app.world_mut().spawn(PopOutWindow).id();
        app.init_resource::<Received>().add_systems(Update, receive);
        press(&mut app, game, &[KeyCode::KeyQ]);
        press(&mut app, window, &[KeyCode::KeyK]);
        press(&mut app, window, &[KeyCode::KeyP]);
        assert_eq!(app.world().resource::<Received>().0, [KeyCode::KeyQ]);
    }

    #[derive(Resource, Default)]
    struct Received(Vec<KeyCode>);

    fn receive(mut inputs: MessageReader<KeyboardInput>, mut received: ResMut<Received>) {
        received.0.extend(inputs.read().map(|input| input.key_code));
    }
}
