//! The page without a window: its keys and presses, and what they change.

use bevy::asset::AssetPlugin;
use bevy::input_focus::{InputFocusPlugin, InputFocusVisible};
use bevy::state::app::StatesPlugin;
use bevy::ui_widgets::Activate;

use super::*;
use crate::settings::bindings::KeyAction;

/// An app with the menu and the open page.
fn app() -> App {
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins,
        StatesPlugin,
        AssetPlugin::default(),
        InputFocusPlugin,
    ))
    .init_asset::<Font>()
    .init_resource::<Typeface>()
    .init_resource::<ButtonInput<KeyCode>>()
    .init_resource::<InputFocusVisible>()
    .init_resource::<Settings>()
    .init_resource::<SettingsNotice>()
    .insert_state(Screen::Menu)
    .add_plugins(plugin);
    app.update();
    app.world_mut().trigger(ShowSettings);
    app.update();
    app
}

fn count_pages(app: &mut App) -> usize {
    let world = app.world_mut();
    world.query::<&Page>().iter(world).count()
}

/// Presses a key, and returns whether it is left for other systems.
fn press(app: &mut App, key: KeyCode) -> bool {
    let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
    keys.reset_all();
    keys.press(key);
    app.update();
    let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
    let is_left = keys.just_pressed(key);
    keys.reset_all();
    is_left
}

/// The control of a part that is shown.
fn control_of(app: &mut App, part: Part) -> Entity {
    let world = app.world_mut();
    let mut parts = world.query::<(Entity, &Part)>();
    let found = parts.iter(world).find(|(_, other)| **other == part);
    found.expect("the part is shown").0
}

fn focus(app: &mut App, part: Part) {
    let control = control_of(app, part);
    let mut focus = app.world_mut().resource_mut::<InputFocus>();
    focus.set(control, FocusCause::Navigated);
}

/// Presses the button of a part.
fn activate(app: &mut App, part: Part) {
    let entity = control_of(app, part);
    app.world_mut().trigger(Activate { entity });
    app.update();
}

fn settings(app: &App) -> &Settings {
    app.world().resource::<Settings>()
}

fn notice(app: &App) -> &str {
    &app.world().resource::<PageNotice>().0
}

#[test]
fn right_key_turns_through_all_groups_and_their_rows() {
    let mut app = app();
    for group in Group::ALL {
        let tab = control_of(&mut app, Part::Tab(group));
        assert_eq!(app.world().resource::<InputFocus>().get(), Some(tab));
        for row in group.rows().into_iter().filter(|row| *row != Row::Player) {
            control_of(&mut app, Part::Row(row));
        }
        assert!(!press(&mut app, KeyCode::ArrowRight), "the page takes it");
    }
    assert_eq!(app.world().resource::<ShownGroup>().0, Group::Profile);
}

#[test]
fn left_and_right_change_the_focused_row() {
    let mut app = app();
    activate(&mut app, Part::Tab(Group::Accessibility));
    focus(&mut app, Part::Row(Row::Scale));
    press(&mut app, KeyCode::ArrowRight);
    press(&mut app, KeyCode::ArrowRight);
    press(&mut app, KeyCode::ArrowLeft);
    assert_eq!(settings(&app).accessibility.scale, 125);
    activate(&mut app, Part::Step(Row::Scale, Step::Up));
    assert_eq!(settings(&app).accessibility.scale, 150);
    activate(&mut app, Part::Row(Row::ReducedMotion));
    assert!(settings(&app).accessibility.reduced_motion);
}

#[test]
fn escape_closes_the_page_and_is_left_to_nothing_else() {
    let mut app = app();
    assert!(!press(&mut app, KeyCode::Escape));
    assert_eq!(count_pages(&mut app), 0);
    assert!(press(&mut app, KeyCode::Escape), "without the page it is");
}

#[test]
fn closing_returns_the_focus() {
    let mut app = app();
    press(&mut app, KeyCode::Escape);
    let button = app.world_mut().spawn_empty().id();
    let mut focus = app.world_mut().resource_mut::<InputFocus>();
    focus.set(button, FocusCause::Navigated);
    for _ in 0..2 {
        app.world_mut().trigger(ShowSettings);
        app.update();
    }
    assert_eq!(count_pages(&mut app), 1, "one page at a time");
    assert_ne!(app.world().resource::<InputFocus>().get(), Some(button));
    activate(&mut app, Part::Close);
    assert_eq!(app.world().resource::<InputFocus>().get(), Some(button));
}

#[test]
fn page_goes_with_the_screen_below_it() {
    let mut app = app();
    app.world_mut()
        .resource_mut::<NextState<Screen>>()
        .set(Screen::Match);
    app.update();
    assert_eq!(count_pages(&mut app), 0);
}

#[test]
fn next_key_is_bound_and_a_key_in_use_is_swapped() {
    let mut app = app();
    activate(&mut app, Part::Tab(Group::Controls));
    let row = Part::Row(Row::Key(KeyAction::Repair));
    activate(&mut app, row);
    assert!(!press(&mut app, KeyCode::Tab), "a fixed key");
    assert!(notice(&app).starts_with("Tab has a fixed meaning"));
    assert_eq!(*settings(&app), Settings::default());
    assert!(!press(&mut app, KeyCode::KeyQ), "the action still waits");
    let keys = &settings(&app).controls;
    assert_eq!(keys.key(KeyAction::Repair), KeyCode::KeyQ);
    assert_eq!(keys.key(KeyAction::BuildWood), KeyCode::KeyF);
    assert_eq!(notice(&app), "\"Build: wood field\" now has F.");
    let control = control_of(&mut app, row);
    assert_eq!(app.world().resource::<InputFocus>().get(), Some(control));
    assert!(press(&mut app, KeyCode::KeyG), "no action waits any more");
    assert_eq!(
        settings(&app).controls.key(KeyAction::Repair),
        KeyCode::KeyQ
    );
    activate(&mut app, Part::Row(Row::UsualKeys));
    assert_eq!(*settings(&app), Settings::default());
}

#[test]
fn escape_keeps_the_old_key_and_the_page() {
    let mut app = app();
    activate(&mut app, Part::Tab(Group::Controls));
    activate(&mut app, Part::Row(Row::Key(KeyAction::Repair)));
    assert!(!press(&mut app, KeyCode::Escape));
    assert_eq!(*settings(&app), Settings::default());
    assert_eq!(count_pages(&mut app), 1);
    assert!(press(&mut app, KeyCode::KeyG), "no action waits any more");
}

#[test]
fn name_that_cannot_be_used_is_refused_with_the_reason() {
    let mut app = app();
    for (typed, taken) in [("Ada", "Ada"), ("a\u{7}", "Ada"), ("", ""), (" Bo ", "Bo")] {
        let world = app.world_mut();
        let mut fields = world.query_filtered::<&mut EditableText, With<NameField>>();
        let mut field = fields.single_mut(world).expect("one field");
        field.editor_mut().set_text(typed);
        app.update();
        assert_eq!(settings(&app).profile.player, taken, "{typed:?}");
        assert_eq!(notice(&app).is_empty(), typed != "a\u{7}");
    }
}
