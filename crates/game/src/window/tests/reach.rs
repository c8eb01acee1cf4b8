//! Every control is reached with Tab, and with the arrows alone, which is what a gamepad has.

use bevy::input_focus::tab_navigation::{TabGroup, TabIndex};
use bevy::input_focus::{FocusCause, InputFocus};
use bevy::text::EditableText;
use bevy::ui::InteractionDisabled;

use super::*;

const ARROWS: [(KeyCode, Key); 4] = [
    (KeyCode::ArrowUp, Key::ArrowUp),
    (KeyCode::ArrowDown, Key::ArrowDown),
    (KeyCode::ArrowLeft, Key::ArrowLeft),
    (KeyCode::ArrowRight, Key::ArrowRight),
];

impl Shown {
    fn focus(&self) -> Option<Entity> {
        self.app.world().resource::<InputFocus>().get()
    }

    /// Visible controls that can be pressed; those of the nearest modal group, if there is one.
    fn controls(&mut self) -> BTreeSet<Entity> {
        let world = self.app.world_mut();
        let mut groups = world.query::<(Entity, &TabGroup, Option<&GlobalZIndex>)>();
        let modal = groups
            .iter(world)
            .filter(|(_, group, _)| group.modal)
            .max_by_key(|(_, _, layer)| layer.map_or(0, |layer| layer.0))
            .map(|(entity, ..)| entity);
        let mut controls = world.query_filtered::<
            (Entity, &InheritedVisibility, &ComputedNode, &TabIndex),
            Without<InteractionDisabled>,
        >();
        let seen: Vec<_> = controls
            .iter(world)
            .filter(|(_, visibility, node, index)| {
                visibility.get() && !node.is_empty() && index.0 >= 0
            })
            .map(|(entity, ..)| entity)
            .collect();
        let is_inside = |entity: &Entity| {
            let mut above = Some(*entity);
            while let Some(entity) = above {
                if modal.is_none_or(|modal| modal == entity) {
                    return true;
                }
                above = world.get::<ChildOf>(entity).map(ChildOf::parent);
            }
            false
        };
        seen.into_iter().filter(is_inside).collect()
    }

    /// Names of controls, for a message.
    fn named(&self, controls: &BTreeSet<Entity>) -> Vec<String> {
        let world = self.app.world();
        let name = |control: &Entity| {
            let mut below = vec![*control];
            let mut words = Vec::new();
            while let Some(entity) = below.pop() {
                words.extend(world.get::<Text>(entity).map(|text| text.0.clone()));
                below.extend(world.get::<Children>(entity).into_iter().flatten());
            }
            format!("{control} {}", words.join(" "))
        };
        controls.iter().map(name).collect()
    }

    /// Controls that Tab does not reach, and those that the arrows do not reach.
    fn unreachable(&mut self, what: &str, arrows: &[(KeyCode, Key)]) -> Vec<String> {
        let controls = self.controls();
        assert!(!controls.is_empty(), "{what}: no controls");
        let mut by_tab = BTreeSet::new();
        for _ in 0..2 * controls.len() + 2 {
            self.press_once(KeyCode::Tab, Key::Tab);
            by_tab.extend(self.focus());
        }
        let missed: BTreeSet<_> = controls.difference(&by_tab).copied().collect();
        let mut complaints = Vec::new();
        if !missed.is_empty() {
            complaints.push(format!("{what}, Tab: {:?}", self.named(&missed)));
        }
        // A text field keeps the arrows for itself.
        let world = self.app.world();
        let is_field = |control: &Entity| world.get::<EditableText>(*control).is_some();
        let controls: BTreeSet<_> = controls
            .iter()
            .copied()
            .filter(|control| !is_field(control))
            .collect();
        // From nothing, as after a click.
        self.app.world_mut().resource_mut::<InputFocus>().clear();
        self.settle();
        self.press_once(KeyCode::ArrowDown, Key::ArrowDown);
        // On the way are disabled controls, too.
        let mut reached: BTreeSet<_> = self.focus().into_iter().collect();
        let mut next: Vec<_> = reached.iter().copied().collect();
        while let Some(control) = next.pop() {
            for (key, meaning) in arrows {
                let mut focus = self.app.world_mut().resource_mut::<InputFocus>();
                focus.set(control, FocusCause::Navigated);
                self.app.update();
                self.app.update();
                self.press_once(*key, meaning.clone());
                if let Some(found) = self.focus()
                    && reached.insert(found)
                {
                    next.push(found);
                }
            }
        }
        let missed: BTreeSet<_> = controls.difference(&reached).copied().collect();
        if !missed.is_empty() {
            complaints.push(format!("{what}, arrows: {:?}", self.named(&missed)));
        }
        complaints
    }

    fn press_once(&mut self, key: KeyCode, meaning: Key) {
        self.send(key, meaning.clone(), ButtonState::Pressed);
        self.send(key, meaning, ButtonState::Released);
    }
}

#[test]
fn keys_reach_every_control_of_the_menu() {
    let mut shown = Shown::menu();
    let mut complaints = shown.unreachable("menu", &ARROWS);
    shown.app.world_mut().trigger(ShowLessons);
    shown.settle();
    complaints.extend(shown.unreachable("lessons", &ARROWS));
    shown.press(KeyCode::Escape, Key::Escape);
    shown.app.world_mut().trigger(ShowSettings);
    shown.settle();
    for page in 1..=7 {
        // Left and right change a value, or turn to another page.
        let what = format!("settings, page {page}");
        complaints.extend(shown.unreachable(&what, &ARROWS[..2]));
        // Opened again, the focus is on the tab, and the next one is to the right.
        shown.press(KeyCode::Escape, Key::Escape);
        shown.app.world_mut().trigger(ShowSettings);
        shown.settle();
        shown.press(KeyCode::ArrowRight, Key::ArrowRight);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// After a click nothing has the focus, and Tab begins at the first control of the menu in front.
#[test]
fn tab_stays_in_the_menu_over_a_match() {
    let mut shown = Shown::game();
    shown.press(KeyCode::Escape, Key::Escape);
    let menu = shown.controls();
    for _ in 0..menu.len() {
        shown.app.world_mut().resource_mut::<InputFocus>().clear();
        shown.press_once(KeyCode::Tab, Key::Tab);
        let focus = shown.focus().expect("something has the focus");
        assert!(menu.contains(&focus));
    }
}

#[test]
fn escape_leaves_the_field_for_a_code() {
    let mut shown = Shown::menu();
    let world = shown.app.world_mut();
    let mut fields = world.query_filtered::<Entity, With<EditableText>>();
    let field = fields.iter(world).next().expect("a field for the code");
    world
        .resource_mut::<InputFocus>()
        .set(field, FocusCause::Navigated);
    shown.press(KeyCode::Escape, Key::Escape);
    let focus = shown.focus().expect("something has the focus");
    assert!(shown.controls().contains(&focus));
    assert_ne!(focus, field);
}

#[test]
fn keys_reach_every_control_of_a_match() {
    let mut shown = Shown::game();
    let mut complaints = shown.unreachable("city", &ARROWS);
    shown.letter(KeyCode::KeyD);
    complaints.extend(shown.unreachable("others", &ARROWS));
    shown.letter(KeyCode::KeyD);
    shown.letter(KeyCode::KeyA);
    complaints.extend(shown.unreachable("plan", &ARROWS));
    shown.press(KeyCode::Escape, Key::Escape);
    shown.press(KeyCode::Escape, Key::Escape);
    complaints.extend(shown.unreachable("pause", &ARROWS));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn keys_reach_every_control_of_the_lobby() {
    let mut shown = Shown::menu();
    let mut next = shown.app.world_mut().resource_mut::<NextState<Screen>>();
    next.set(Screen::Match);
    shown.settle();
    let complaints = shown.unreachable("lobby", &ARROWS);
    assert!(complaints.is_empty(), "{complaints:#?}");
}
