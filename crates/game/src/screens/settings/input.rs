//! Keys and presses on the page.

use bevy::input::InputSystems;
use bevy::input_focus::{FocusCause, InputFocus, InputFocusSystems, InputFocusVisible};
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy::ui_widgets::Activate;
use raftian_node::cluster::check_player_name;

use super::rows::{Row, Step};
use super::{NameField, Page, PageNotice, Part, ShownGroup};
use crate::settings::Settings;
use crate::settings::bindings::KeyAction;

/// The action that gets the next key.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Capture(pub(super) Option<KeyAction>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Capture>()
        .add_observer(activate)
        .add_systems(
            PreUpdate,
            // Before controls receive the keys, and before any other system reads them: the page
            // takes those that it uses.
            (capture_key, press_keys)
                .chain()
                .after(InputSystems)
                .before(InputFocusSystems::Dispatch)
                .run_if(any_with_component::<Page>),
        )
        .add_systems(
            Update,
            (read_name, keep_waiting).run_if(any_with_component::<Page>),
        );
}

/// Gives the next key to the action that waits for one.
fn capture_key(
    mut keys: ResMut<ButtonInput<KeyCode>>,
    mut capture: ResMut<Capture>,
    mut settings: ResMut<Settings>,
    mut notice: ResMut<PageNotice>,
    mut focus: ResMut<InputFocus>,
    parts: Query<(Entity, &Part)>,
) {
    let Some(action) = capture.0 else { return };
    let Some(key) = keys.get_just_pressed().next().copied() else {
        return;
    };
    keys.clear();
    let mut controls = settings.controls.clone();
    notice.0 = match controls.bind(action, key) {
        _ if key == KeyCode::Escape => String::new(),
        // The action still waits.
        Err(refused) => {
            notice.0 = refused.to_string();
            return;
        }
        Ok(None) => String::new(),
        Ok(Some(other)) => text!(
            "\"{action}\" now has {key}.",
            action = other.title(),
            key = controls.label(other)
        ),
    };
    if key != KeyCode::Escape {
        settings.controls = controls;
    }
    capture.0 = None;
    let row = parts
        .iter()
        .find(|(_, part)| **part == Part::Row(Row::Key(action)));
    if let Some((row, _)) = row {
        focus.set(row, FocusCause::Navigated);
    }
}

/// No control gets the focus while an action waits for a key, which may be Tab.
fn keep_waiting(capture: Res<Capture>, mut focus: ResMut<InputFocus>) {
    if capture.0.is_some() && focus.get().is_some() {
        focus.clear();
    }
}

fn press_keys(
    mut keys: ResMut<ButtonInput<KeyCode>>,
    mut settings: ResMut<Settings>,
    mut shown: ResMut<ShownGroup>,
    mut focus: ResMut<InputFocus>,
    mut visible: ResMut<InputFocusVisible>,
    parts: Query<(Entity, &Part)>,
    fields: Query<(), With<NameField>>,
    pages: Query<(Entity, &Page)>,
    mut commands: Commands,
) {
    if keys.clear_just_pressed(KeyCode::Escape) {
        close(&pages, &mut focus, &mut commands);
        return;
    }
    let Some(focused) = focus.get() else { return };
    for (key, step) in [
        (KeyCode::ArrowLeft, Step::Down),
        (KeyCode::ArrowRight, Step::Up),
    ] {
        if !keys.just_pressed(key) {
            continue;
        }
        match parts.get(focused) {
            Ok((_, Part::Row(row))) => change(&mut settings, *row, step),
            Ok((_, Part::Tab(_))) => {
                let group = shown.0.beside(step);
                shown.0 = group;
                let tab = parts.iter().find(|(_, part)| **part == Part::Tab(group));
                if let Some((tab, _)) = tab {
                    focus.set(tab, FocusCause::Navigated);
                }
            }
            // The field moves its cursor.
            Err(_) if fields.contains(focused) => {}
            Ok((_, Part::Step(..) | Part::Close)) | Err(_) => continue,
        }
        visible.0 = true;
        keys.clear_just_pressed(key);
    }
}

fn close(pages: &Query<(Entity, &Page)>, focus: &mut InputFocus, commands: &mut Commands) {
    for (entity, page) in pages {
        commands.entity(entity).despawn();
        match page.returns_to {
            Some(control) => focus.set(control, FocusCause::Navigated),
            None => focus.clear(),
        }
    }
}

/// Changes a setting, if that is another value.
fn change(settings: &mut ResMut<Settings>, row: Row, step: Step) {
    let mut changed = Settings::clone(settings);
    row.change(&mut changed, step);
    settings.set_if_neq(changed);
}

fn activate(
    activated: On<Activate>,
    parts: Query<&Part>,
    pages: Query<(Entity, &Page)>,
    mut settings: ResMut<Settings>,
    mut notice: ResMut<PageNotice>,
    mut shown: ResMut<ShownGroup>,
    mut capture: ResMut<Capture>,
    mut focus: ResMut<InputFocus>,
    mut commands: Commands,
) {
    let Ok(part) = parts.get(activated.entity) else {
        return;
    };
    notice.0.clear();
    capture.0 = None;
    match *part {
        Part::Tab(group) => {
            shown.set_if_neq(ShownGroup(group));
        }
        Part::Row(Row::Key(action)) => {
            notice.0 = text!("Press the new key. Escape keeps the old one.");
            capture.0 = Some(action);
            // No control must receive the key.
            focus.clear();
        }
        Part::Row(row) => change(&mut settings, row, Step::Around),
        Part::Step(row, step) => change(&mut settings, row, step),
        Part::Close => close(&pages, &mut focus, &mut commands),
    }
}

/// Takes the name in the field, or shows why it cannot be one.
fn read_name(
    fields: Query<&EditableText, (With<NameField>, Changed<EditableText>)>,
    mut settings: ResMut<Settings>,
    mut notice: ResMut<PageNotice>,
) {
    for field in &fields {
        let name = field.value().to_string();
        let name = name.trim();
        if settings.profile.player == name {
            continue;
        }
        match check_player_name(name) {
            Err(reason) if !name.is_empty() => notice.0 = text!("No name: {reason}.", reason),
            Ok(()) | Err(_) => {
                notice.0.clear();
                name.clone_into(&mut settings.profile.player);
            }
        }
    }
}
