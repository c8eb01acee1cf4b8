//! Buttons that must be held, for players who press by accident: with the setting
//! `hold_to_confirm`, those to leave the match and to give up the city.

use std::time::Duration;

use bevy::input_focus::{InputFocus, InputFocusVisible};
use bevy::picking::hover::Hovered;
use bevy::prelude::*;
use bevy::time::Real;
use bevy::ui::{InteractionDisabled, Pressed};

use super::CrownsSystems;
use super::control::{Action, Perform};
use super::pause::{IsGivingUp, IsLeaving, IsPaused};
use crate::settings::Settings;
use crate::ui::theme::colour;

/// Time for which a button is held.
const HELD: Duration = Duration::from_millis(800);

/// The button that is held.
#[derive(Resource, Default)]
struct Held {
    button: Option<Entity>,
    since: Duration,
    /// Its action was performed, and it was not released since.
    is_done: bool,
}

/// The line below a held button, which grows.
#[derive(Component)]
struct Progress;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Held>()
        .add_systems(Update, hold.in_set(CrownsSystems::Input));
}

/// Whether an action is performed only by holding its button.
pub(super) fn is_to_be_held(action: Action, settings: &Settings) -> bool {
    settings.accessibility.hold_to_confirm && matches!(action, Action::Menu | Action::Concede)
}

fn hold(
    time: Res<Time<Real>>,
    settings: Res<Settings>,
    paused: Res<IsPaused>,
    keys: Res<ButtonInput<KeyCode>>,
    focus: Res<InputFocus>,
    visible: Res<InputFocusVisible>,
    buttons: Query<(Entity, &Action, Has<Pressed>, Option<&Hovered>), Without<InteractionDisabled>>,
    progress: Query<Entity, With<Progress>>,
    mut lines: Query<&mut Node, With<Progress>>,
    mut held: ResMut<Held>,
    mut leaving: ResMut<IsLeaving>,
    mut giving_up: ResMut<IsGivingUp>,
    mut commands: Commands,
) {
    let is_key_down = visible.0 && keys.any_pressed([KeyCode::Enter, KeyCode::Space]);
    let found = buttons
        .iter()
        .find(|(button, action, is_pressed, hovered)| {
            // A pointer that moves away gives up.
            let is_under_pointer = hovered.is_none_or(|hovered| hovered.get());
            let has_focus = focus.get() == Some(*button);
            paused.0
                && is_to_be_held(**action, &settings)
                && (*is_pressed && is_under_pointer || is_key_down && has_focus)
        });
    let button = found.map(|(button, ..)| button);
    if held.button != button {
        *held = Held {
            button,
            since: time.elapsed(),
            // A new menu may have the focus on such a button while the key is still down.
            is_done: held.is_done && button.is_some(),
        };
        for line in &progress {
            commands.entity(line).despawn();
        }
        if let Some(button) = button {
            commands.entity(button).with_child((
                Progress,
                Node {
                    position_type: PositionType::Absolute,
                    left: px(0),
                    bottom: px(0),
                    height: px(3),
                    ..default()
                },
                BackgroundColor(colour::GOLD),
                Pickable::IGNORE,
            ));
        }
        return;
    }
    let Some((_, &action, ..)) = found else {
        return;
    };
    let length = time.elapsed().saturating_sub(held.since);
    let part = length.as_secs_f32() / HELD.as_secs_f32();
    for mut line in &mut lines {
        line.width = percent(100.0 * part.min(1.0));
    }
    if length < HELD || held.is_done {
        return;
    }
    held.is_done = true;
    // As after a first press.
    match action {
        Action::Menu => leaving.0 = true,
        Action::Concede => giving_up.0 = true,
        _ => {}
    }
    commands.trigger(Perform {
        action,
        is_many: false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Resource, Default)]
    struct Performed(Vec<Action>);

    fn app(hold_to_confirm: bool) -> (App, Entity) {
        let mut app = App::new();
        let mut settings = Settings::default();
        settings.accessibility.hold_to_confirm = hold_to_confirm;
        app.init_resource::<Time<Real>>()
            .init_resource::<ButtonInput<KeyCode>>()
            .init_resource::<InputFocus>()
            .init_resource::<InputFocusVisible>()
            .init_resource::<IsLeaving>()
            .init_resource::<IsGivingUp>()
            .init_resource::<Performed>()
            .insert_resource(IsPaused(true))
            .insert_resource(settings)
            .add_plugins(plugin)
            .add_observer(|perform: On<Perform>, mut performed: ResMut<Performed>| {
                performed.0.push(perform.action);
            });
        let button = app.world_mut().spawn(Action::Concede).id();
        (app, button)
    }

    /// Updates for a while, and returns what has been performed in all.
    fn wait(app: &mut App, millis: u64) -> Vec<Action> {
        for _ in 0..millis / 50 {
            let mut time = app.world_mut().resource_mut::<Time<Real>>();
            time.update_with_duration(Duration::from_millis(50));
            app.update();
        }
        app.world().resource::<Performed>().0.clone()
    }

    #[test]
    fn held_button_acts_once() {
        let (mut app, button) = app(true);
        app.world_mut().entity_mut(button).insert(Pressed);
        assert!(wait(&mut app, 600).is_empty());
        assert_eq!(wait(&mut app, 600), [Action::Concede]);
        assert_eq!(wait(&mut app, 3_000), [Action::Concede]);
        assert!(app.world().resource::<IsGivingUp>().0);
    }

    #[test]
    fn released_button_begins_again() {
        let (mut app, button) = app(true);
        for _ in 0..3 {
            app.world_mut().entity_mut(button).insert(Pressed);
            assert!(wait(&mut app, 600).is_empty());
            app.world_mut().entity_mut(button).remove::<Pressed>();
            assert!(wait(&mut app, 200).is_empty());
            let mut lines = app.world_mut().query::<&Progress>();
            assert_eq!(lines.iter(app.world()).count(), 0);
        }
    }

    #[test]
    fn pointer_that_moves_away_gives_up() {
        let (mut app, button) = app(true);
        let mut button = app.world_mut().entity_mut(button);
        button.insert((Pressed, Hovered(true)));
        let button = button.id();
        assert!(wait(&mut app, 600).is_empty());
        app.world_mut().entity_mut(button).insert(Hovered(false));
        assert!(wait(&mut app, 2_000).is_empty());
    }

    #[test]
    fn key_on_the_focused_button_is_held() {
        let (mut app, button) = app(true);
        let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
        keys.press(KeyCode::Enter);
        assert!(wait(&mut app, 2_000).is_empty(), "nothing has the focus");
        app.world_mut().resource_mut::<InputFocusVisible>().0 = true;
        let mut focus = app.world_mut().resource_mut::<InputFocus>();
        focus.set(button, bevy::input_focus::FocusCause::Navigated);
        assert_eq!(wait(&mut app, 2_000), [Action::Concede]);
    }

    #[test]
    fn without_the_setting_nothing_is_held() {
        let (mut app, button) = app(false);
        app.world_mut().entity_mut(button).insert(Pressed);
        assert!(wait(&mut app, 2_000).is_empty());
    }
}
