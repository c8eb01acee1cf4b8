//! Keys and pointer: a press on the map chooses a place, and keys perform actions.

use bevy::input_focus::{InputFocus, InputFocusVisible};
use bevy::picking::hover::Hovered;
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy::ui::ContentSize;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;
use raftian_realm::crowns::{Building, Place, Resource, Tile, UnitKind};

use super::CrownsSystems;
use super::chat::IsChatting;
use super::composer::Composer;
use super::control::{Action, Perform};
use super::invitation::ShowsTicket;
use super::layout::MapLayout;
use super::panels::SideMode;
use super::pause::IsPaused;
use super::perspective::Perspective;
use crate::overlay::OverlayMode;
use crate::screens::Screen;
use crate::settings::bindings::{Bindings, KeyAction};

/// The place under the pointer.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct HoveredPlace(pub(super) Option<Place>);

/// The tile under the pointer.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct HoveredTile(pub(super) Option<Tile>);

/// The node behind all panels, which receives presses on the map.
#[derive(Component)]
struct MapArea;

/// Actions with a key while no plan is open.
const KEYS: [(KeyAction, Action); 15] = [
    (
        KeyAction::BuildWood,
        Action::Build(Building::Field(Resource::Wood)),
    ),
    (
        KeyAction::BuildIron,
        Action::Build(Building::Field(Resource::Iron)),
    ),
    (
        KeyAction::BuildGrain,
        Action::Build(Building::Field(Resource::Grain)),
    ),
    (KeyAction::BuildWall, Action::Build(Building::Wall)),
    (KeyAction::BuildBarracks, Action::Build(Building::Barracks)),
    (KeyAction::BuildStore, Action::Build(Building::Store)),
    (KeyAction::CancelBuild, Action::CancelBuild),
    (KeyAction::Spear, Action::Train(UnitKind::Spear)),
    (KeyAction::Axe, Action::Train(UnitKind::Axe)),
    (KeyAction::Rider, Action::Train(UnitKind::Rider)),
    (KeyAction::Ram, Action::Train(UnitKind::Ram)),
    (KeyAction::Repair, Action::Repair),
    (KeyAction::NextTarget, Action::Attack),
    (KeyAction::Others, Action::Others),
    (KeyAction::Point, Action::Ping),
];

/// Actions with a key while a plan is open, in addition or in place of the others.
const PLAN_KEYS: [(KeyAction, Action); 7] = [
    (KeyAction::Spear, Action::More(UnitKind::Spear)),
    (KeyAction::Axe, Action::More(UnitKind::Axe)),
    (KeyAction::Rider, Action::More(UnitKind::Rider)),
    (KeyAction::Ram, Action::More(UnitKind::Ram)),
    (KeyAction::PreviousTarget, Action::PreviousTarget),
    (KeyAction::SwitchAttack, Action::SwitchAttack),
    (KeyAction::CallHome, Action::CallHome),
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HoveredPlace>()
        .init_resource::<HoveredTile>()
        .add_systems(OnEnter(Screen::Match), spawn_area)
        .add_systems(
            Update,
            (find_hovered, release_focus, press_keys)
                .chain()
                .in_set(CrownsSystems::Input),
        );
}

fn spawn_area(mut commands: Commands) {
    commands
        .spawn((
            Name::new("Map area"),
            MapArea,
            DespawnOnExit(Screen::Match),
            Node {
                position_type: PositionType::Absolute,
                width: percent(100),
                height: percent(100),
                ..default()
            },
            ContentSize::default(),
            Hovered::default(),
            GlobalZIndex(-1),
        ))
        .observe(press);
}

/// Converts a point of the window, in logical pixels from its top left, to one of the world.
fn world_point(window: &Window, point: Vec2) -> Vec2 {
    let middle = window.resolution.size() / 2.0;
    Vec2::new(point.x - middle.x, middle.y - point.y)
}

/// The place on the tile at a point of the world.
fn place_at(perspective: &Perspective, layout: &MapLayout, point: Vec2) -> Option<Place> {
    let tile = layout.tile_at(point)?;
    let game = perspective.game.as_ref()?;
    let map = game.map();
    let cities = (0..)
        .zip(&map.seats)
        .map(|(seat, at)| (Place::City(seat), *at));
    let oases = (0..).zip(&map.oases);
    let oases = oases.map(|(number, oasis)| (Place::Oasis(number), oasis.tile));
    let all = cities
        .chain(oases)
        .chain([(Place::Throne, raftian_realm::crowns::Tile::THRONE)]);
    all.filter(|(_, at)| *at == tile)
        .map(|(place, _)| place)
        .next()
}

fn press(
    press: On<Pointer<Press>>,
    window: Single<&Window, With<PrimaryWindow>>,
    perspective: Res<Perspective>,
    layout: Res<MapLayout>,
    mut composer: ResMut<Composer>,
    mut focus: ResMut<InputFocus>,
) {
    focus.clear();
    let point = world_point(&window, press.pointer_location.position);
    match place_at(&perspective, &layout, point) {
        Some(place) if perspective.own.map(Place::City) != Some(place) => {
            composer.open(&perspective, place);
        }
        Some(_) | None => composer.close(),
    }
}

fn find_hovered(
    window: Single<&Window, With<PrimaryWindow>>,
    area: Single<&Hovered, With<MapArea>>,
    perspective: Res<Perspective>,
    layout: Res<MapLayout>,
    mut hovered: ResMut<HoveredPlace>,
    mut tile: ResMut<HoveredTile>,
) {
    let cursor = window.cursor_position().filter(|_| area.0);
    let point = cursor.map(|point| world_point(&window, point));
    let place = point.and_then(|point| place_at(&perspective, &layout, point));
    hovered.set_if_neq(HoveredPlace(place));
    tile.set_if_neq(HoveredTile(point.and_then(|point| layout.tile_at(point))));
}

/// The actions that have a key at present, each key with one of them.
fn actions(is_planning: bool) -> impl Iterator<Item = (KeyAction, Action)> {
    let plan = PLAN_KEYS.into_iter().filter(move |_| is_planning);
    let others = KEYS.into_iter().filter(move |(key, _)| {
        let is_taken = PLAN_KEYS.iter().any(|(taken, _)| taken == key);
        !is_planning || !is_taken
    });
    plan.chain(others)
}

/// A button that was clicked, but did not act, must not receive the next Enter.
fn release_focus(
    buttons: Res<ButtonInput<MouseButton>>,
    touches: Option<Res<Touches>>,
    visible: Res<InputFocusVisible>,
    fields: Query<(), With<EditableText>>,
    mut focus: ResMut<InputFocus>,
) {
    let is_released = buttons.just_released(MouseButton::Left)
        || touches.is_some_and(|touches| touches.any_just_released());
    let Some(focused) = focus.get() else { return };
    if is_released && !visible.0 && !fields.contains(focused) {
        focus.clear();
    }
}

fn press_keys(
    keys: Res<ButtonInput<KeyCode>>,
    egui: Option<Res<EguiWantsInput>>,
    overlay: Res<OverlayMode>,
    focus: Res<InputFocus>,
    visible: Res<InputFocusVisible>,
    composer: Res<Composer>,
    side: Res<SideMode>,
    chatting: Res<IsChatting>,
    shows_ticket: Res<ShowsTicket>,
    paused: Res<IsPaused>,
    perspective: Res<Perspective>,
    bindings: Res<Bindings>,
    mut commands: Commands,
) {
    // The overlay, or a focused text field, receives the keys instead.
    let is_typing = egui.is_some_and(|egui| egui.wants_any_keyboard_input());
    if is_typing || chatting.0 || *overlay == OverlayMode::Full {
        return;
    }
    let is_many = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    let is_open = composer.target.is_some();
    if keys.just_pressed(KeyCode::Escape) {
        let action = if shows_ticket.0 {
            Action::ShowTicket
        } else if is_open || *side == SideMode::Others {
            Action::Close
        } else {
            Action::Pause
        };
        commands.trigger(Perform { action, is_many });
    }
    if paused.0 {
        return;
    }
    // The lobby has buttons only.
    if perspective.game.is_none() {
        return;
    }
    // Enter activates a focused button itself.
    let has_focus = visible.0 && focus.get().is_some();
    let has_ended = perspective
        .game
        .as_ref()
        .is_some_and(|game| game.end().is_some());
    if has_ended {
        if keys.just_pressed(KeyCode::Enter) && !has_focus {
            let action = Action::Rematch;
            commands.trigger(Perform { action, is_many });
        }
        return;
    }
    if keys.just_pressed(KeyCode::Enter) && !has_focus {
        let action = if is_open { Action::Send } else { Action::Chat };
        commands.trigger(Perform { action, is_many });
    }
    for (key, action) in actions(is_open) {
        if !keys.just_pressed(bindings.key(key)) {
            continue;
        }
        // With Shift a key of the plan takes units away.
        let action = match action {
            Action::More(kind) if is_many => Action::Fewer(kind),
            action => action,
        };
        let is_many = is_many && !matches!(action, Action::Fewer(_));
        commands.trigger(Perform { action, is_many });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_meaning() {
        for (is_planning, count) in [(false, KEYS.len()), (true, KEYS.len() + 3)] {
            let all: Vec<_> = actions(is_planning).map(|(key, _)| key).collect();
            assert_eq!(all.len(), count);
            for key in &all {
                let same = all.iter().filter(|other| *other == key);
                assert_eq!(same.count(), 1, "{key:?}");
            }
        }
    }

    #[test]
    fn every_action_with_a_key_is_performed() {
        for key in KeyAction::all() {
            assert!(actions(true).any(|(other, _)| other == key), "{key:?}");
        }
    }

    #[test]
    fn points_of_the_window_become_points_of_the_world() {
        let window = Window {
            resolution: (1280, 800).into(),
            ..default()
        };
        assert_eq!(world_point(&window, Vec2::new(640.0, 400.0)), Vec2::ZERO);
        let corner = world_point(&window, Vec2::ZERO);
        assert_eq!(corner, Vec2::new(-640.0, 400.0));
    }
}
