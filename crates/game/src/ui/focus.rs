//! Keyboard focus: Tab and the arrow keys move it, and a frame shows it.

use bevy::input_focus::directional_navigation::DirectionalNavigationPlugin;
use bevy::input_focus::tab_navigation::{
    NavAction, TabGroup, TabIndex, TabNavigation, TabNavigationPlugin,
};
use bevy::input_focus::{FocusCause, InputFocus, InputFocusVisible};
use bevy::math::CompassOctant;
use bevy::prelude::*;
use bevy::ui::UiSystems;
use bevy::ui::auto_directional_navigation::AutoDirectionalNavigator;
use bevy::ui_widgets::ScrollIntoView;

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
        .add_systems(
            Update,
            (
                focus_first,
                follow_tab,
                move_within_modal.run_if(has_modal),
                move_focus.run_if(not(has_modal)),
                frame_focused,
            )
                .chain(),
        )
        .add_systems(
            PostUpdate,
            show_focused
                .after(UiSystems::PostLayout)
                .run_if(resource_changed::<InputFocus>),
        );
}

/// Scrolls to the focused control, if it is in something that scrolls.
fn show_focused(
    focus: Res<InputFocus>,
    controls: Query<(), With<TabIndex>>,
    mut commands: Commands,
) {
    if let Some(entity) = focus.get()
        && controls.contains(entity)
    {
        commands.trigger(ScrollIntoView { entity });
    }
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

/// Controls, and whether they are shown.
type Controls<'w, 's> =
    Query<'w, 's, (&'static ComputedNode, &'static InheritedVisibility), With<TabIndex>>;

fn is_shown(controls: &Controls, control: Entity) -> bool {
    controls
        .get(control)
        .is_ok_and(|(node, visibility)| !node.is_empty() && visibility.get())
}

/// Goes on from a control that is not shown, such as one of a panel behind another.
fn skip_hidden(
    controls: &Controls,
    navigation: &TabNavigation,
    action: NavAction,
    focus: &mut InputFocus,
) {
    for _ in 0..controls.iter().count() {
        match focus.get() {
            Some(control) if !is_shown(controls, control) => {}
            _ => return,
        }
        let Ok(next) = navigation.navigate(focus, action) else {
            return;
        };
        focus.set(next, FocusCause::Navigated);
    }
}

/// The modal group in front of all others.
fn front_modal(groups: &Query<(Entity, &TabGroup, Option<&GlobalZIndex>)>) -> Option<Entity> {
    let modals = groups.iter().filter(|(_, group, _)| group.modal);
    let front = modals.max_by_key(|(_, _, layer)| layer.map_or(0, |layer| layer.0));
    front.map(|(modal, ..)| modal)
}

fn is_inside(modal: Entity, focus: &InputFocus, parents: &Query<&ChildOf>) -> bool {
    focus
        .get()
        .is_some_and(|control| parents.iter_ancestors(control).any(|above| above == modal))
}

/// Tab stays within the modal group in front, and passes over controls that are not shown.
fn follow_tab(
    keys: Res<ButtonInput<KeyCode>>,
    groups: Query<(Entity, &TabGroup, Option<&GlobalZIndex>)>,
    parents: Query<&ChildOf>,
    controls: Controls,
    navigation: TabNavigation,
    mut focus: ResMut<InputFocus>,
) {
    if !keys.just_pressed(KeyCode::Tab) {
        return;
    }
    let is_back = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    let action = if is_back {
        NavAction::Previous
    } else {
        NavAction::Next
    };
    if let Some(modal) = front_modal(&groups)
        && !is_inside(modal, &focus, &parents)
    {
        match navigation.initialize(modal, action) {
            Ok(next) => focus.set(next, FocusCause::Navigated),
            Err(_) => focus.clear(),
        }
    }
    skip_hidden(&controls, &navigation, action, &mut focus);
}

/// Whether a modal group covers the rest of the screen.
fn has_modal(groups: Query<&TabGroup>) -> bool {
    groups.iter().any(|group| group.modal)
}

/// The arrow keys stay within the nearest modal group: what it covers cannot be seen.
fn move_within_modal(
    keys: Res<ButtonInput<KeyCode>>,
    groups: Query<(Entity, &TabGroup, Option<&GlobalZIndex>)>,
    parents: Query<&ChildOf>,
    navigation: TabNavigation,
    mut focus: ResMut<InputFocus>,
    mut visible: ResMut<InputFocusVisible>,
) {
    let Some(modal) = front_modal(&groups) else {
        return;
    };
    for (key, direction) in ARROWS {
        if !keys.just_pressed(key) {
            continue;
        }
        let action = match direction {
            CompassOctant::South | CompassOctant::East => NavAction::Next,
            _ => NavAction::Previous,
        };
        let next = if is_inside(modal, &focus, &parents) {
            navigation.navigate(&focus, action)
        } else {
            navigation.initialize(modal, action)
        };
        if let Ok(next) = next {
            focus.set(next, FocusCause::Navigated);
            visible.0 = true;
        }
    }
}

/// The arrows move the focus to the next control in their direction, and to the first one if
/// nothing that is shown has it.
fn move_focus(
    keys: Res<ButtonInput<KeyCode>>,
    controls: Controls,
    navigation: TabNavigation,
    mut visible: ResMut<InputFocusVisible>,
    mut focuses: ParamSet<(AutoDirectionalNavigator, ResMut<InputFocus>)>,
) {
    for (key, direction) in ARROWS {
        if !keys.just_pressed(key) {
            continue;
        }
        visible.0 = true;
        let focused = focuses.p1().get();
        if focused.is_some_and(|control| is_shown(&controls, control)) {
            // At the edge there is nothing in that direction.
            let _at_the_edge = focuses.p0().navigate(direction).is_err();
            continue;
        }
        let mut focus = focuses.p1();
        focus.clear();
        if let Ok(first) = navigation.navigate(&focus, NavAction::First) {
            focus.set(first, FocusCause::Navigated);
            skip_hidden(&controls, &navigation, NavAction::Next, &mut focus);
        }
    }
}

fn frame_focused(
    focus: Res<InputFocus>,
    visible: Res<InputFocusVisible>,
    mut controls: Query<(Entity, &mut Outline), With<TabIndex>>,
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

#[cfg(test)]
mod tests {
    use bevy::input_focus::InputFocusPlugin;

    use super::*;

    /// A control below, and a modal group of two above it.
    #[test]
    fn arrows_stay_within_a_modal_group() {
        let mut app = App::new();
        app.add_plugins(InputFocusPlugin)
            .init_resource::<ButtonInput<KeyCode>>()
            .add_systems(Update, move_within_modal.run_if(has_modal));
        let world = app.world_mut();
        let below = world.spawn((TabGroup::new(0), GlobalZIndex(10))).id();
        let covered = world.spawn((TabIndex(0), ChildOf(below))).id();
        let modal = world.spawn((TabGroup::modal(), GlobalZIndex(20))).id();
        let [first, second] = [0, 1].map(|_| world.spawn((TabIndex(0), ChildOf(modal))).id());
        let mut focus = world.resource_mut::<InputFocus>();
        focus.set(covered, FocusCause::Navigated);
        for expected in [first, second, first] {
            let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
            keys.reset_all();
            keys.press(KeyCode::ArrowRight);
            app.update();
            let focused = app.world().resource::<InputFocus>().get();
            assert_eq!(focused, Some(expected));
        }
    }
}
