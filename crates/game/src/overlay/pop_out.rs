//! The overlay's own window, which Ctrl+F3 opens and closes.
//!
//! Keys pressed in it belong to the overlay alone: the game does not receive them.

use bevy::camera::RenderTarget;
use bevy::ecs::message::MessageUpdateSystems;
use bevy::ecs::schedule::ScheduleLabel;
use bevy::input::keyboard::KeyboardInput;
use bevy::prelude::*;
use bevy::window::{WindowCloseRequested, WindowFocused, WindowRef, WindowResolution};
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

/// Takes the keys of the window out of those of the game.
fn separate_keys(
    window: Option<Single<Entity, With<PopOutWindow>>>,
    mut game_keys: ResMut<ButtonInput<KeyCode>>,
    mut keys: ResMut<WindowKeys>,
    mut inputs: ResMut<Messages<KeyboardInput>>,
    mut focused: MessageReader<WindowFocused>,
) {
    keys.bypass_change_detection().0.clear();
    if focused.read().count() > 0 {
        // A key that is held now will be released in the other window.
        game_keys.release_all();
        keys.0.release_all();
    }
    let Some(window) = window else { return };
    let is_own = |input: &KeyboardInput| input.window == *window;
    if !inputs.iter_current_update_messages().any(is_own) {
        return;
    }
    let new: Vec<_> = inputs.iter_current_update_messages().cloned().collect();
    // The older ones have been read.
    inputs.clear();
    for input in new {
        if !is_own(&input) {
            inputs.write(input);
        } else if input.state.is_pressed() {
            keys.0.press(input.key_code);
        } else {
            keys.0.release(input.key_code);
        }
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
            .add_message::<WindowFocused>()
            .add_systems(First, separate_keys.before(MessageUpdateSystems))
            .add_systems(Update, (toggle, close));
        app
    }

    fn press(app: &mut App, window: Entity, keys: &[KeyCode]) {
        for &key_code in keys {
            let input = KeyboardInput {
                key_code,
                logical_key: Key::Unidentified(NativeKey::Unidentified),
                state: ButtonState::Pressed,
                text: None,
                repeat: false,
                window,
            };
            app.world_mut().write_message(input);
        }
        app.update();
    }

    /// Moves the focus to a window.
    fn focus(app: &mut App, window: Entity) {
        let focused = true;
        app.world_mut()
            .write_message(WindowFocused { window, focused });
        app.update();
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
        focus(&mut app, game);
        let keys = [KeyCode::ControlLeft, KeyCode::F3];
        press(&mut app, game, &keys);
        let [window] = windows(&mut app)[..] else {
            panic!("one window");
        };
        assert_eq!(cameras(&mut app), 1);
        focus(&mut app, window);
        press(&mut app, window, &keys);
        assert_eq!((windows(&mut app), cameras(&mut app)), (vec![], 0));
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
        let world = app.world();
        let of_game = world.resource::<ButtonInput<KeyCode>>();
        assert_eq!(of_game.get_pressed().count(), 0);
        assert!(world.resource::<WindowKeys>().0.just_pressed(KeyCode::KeyP));
        press(&mut app, game, &[KeyCode::KeyQ]);
        let world = app.world();
        let of_game = world.resource::<ButtonInput<KeyCode>>();
        assert!(of_game.just_pressed(KeyCode::KeyQ));
        let of_window = &world.resource::<WindowKeys>().0;
        assert!(of_window.pressed(KeyCode::KeyK));
        assert!(!of_window.just_pressed(KeyCode::KeyK) && !of_window.pressed(KeyCode::KeyQ));
        focus(&mut app, game);
        let world = app.world();
        assert!(!world.resource::<WindowKeys>().0.pressed(KeyCode::KeyK));
        let of_game = world.resource::<ButtonInput<KeyCode>>();
        assert!(!of_game.pressed(KeyCode::KeyQ));
    }
}
