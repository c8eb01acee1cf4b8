//! Keys and pointer: a press on the map chooses a place, and keys perform actions.

use bevy::input_focus::{InputFocus, InputFocusVisible};
use bevy::picking::hover::Hovered;
use bevy::prelude::*;
use bevy::ui::ContentSize;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;
use raftian_realm::crowns::{Building, Place, Resource, Tile, UnitKind};

use super::CrownsSystems;
use super::chat::IsChatting;
use super::composer::Composer;
use super::control::{Action, Perform};
use super::layout::MapLayout;
use super::panels::SideMode;
use super::pause::IsPaused;
use super::perspective::Perspective;
use crate::overlay::OverlayMode;
use crate::screens::Screen;

/// The place under the pointer.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct HoveredPlace(pub(super) Option<Place>);

/// The tile under the pointer.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct HoveredTile(pub(super) Option<Tile>);

/// The node behind all panels, which receives presses on the map.
#[derive(Component)]
struct MapArea;

/// Keys with their actions while no plan is open, as shown on the buttons.
pub(super) const KEYS: [(KeyCode, Action); 16] = [
    (
        KeyCode::KeyQ,
        Action::Build(Building::Field(Resource::Wood)),
    ),
    (
        KeyCode::KeyW,
        Action::Build(Building::Field(Resource::Iron)),
    ),
    (
        KeyCode::KeyE,
        Action::Build(Building::Field(Resource::Grain)),
    ),
    (KeyCode::KeyR, Action::Build(Building::Wall)),
    (KeyCode::KeyT, Action::Build(Building::Barracks)),
    (KeyCode::KeyY, Action::Build(Building::Store)),
    (KeyCode::KeyX, Action::CancelBuild),
    (KeyCode::Digit1, Action::Train(UnitKind::Spear)),
    (KeyCode::Digit2, Action::Train(UnitKind::Axe)),
    (KeyCode::Digit3, Action::Train(UnitKind::Rider)),
    (KeyCode::Digit4, Action::Train(UnitKind::Ram)),
    (KeyCode::KeyF, Action::Repair),
    (KeyCode::KeyA, Action::Attack),
    (KeyCode::KeyD, Action::Others),
    (KeyCode::KeyV, Action::Ping),
    (KeyCode::Enter, Action::Chat),
];

/// Keys with their actions while a plan is open.
pub(super) const PLAN_KEYS: [(KeyCode, Action); 8] = [
    (KeyCode::Digit1, Action::More(UnitKind::Spear)),
    (KeyCode::Digit2, Action::More(UnitKind::Axe)),
    (KeyCode::Digit3, Action::More(UnitKind::Rider)),
    (KeyCode::Digit4, Action::More(UnitKind::Ram)),
    (KeyCode::KeyS, Action::PreviousTarget),
    (KeyCode::KeyZ, Action::SwitchAttack),
    (KeyCode::KeyC, Action::CallHome),
    (KeyCode::Enter, Action::Send),
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HoveredPlace>()
        .init_resource::<HoveredTile>()
        .add_systems(OnEnter(Screen::Match), spawn_area)
        .add_systems(
            Update,
            (find_hovered, press_keys).in_set(CrownsSystems::Input),
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

fn press_keys(
    keys: Res<ButtonInput<KeyCode>>,
    egui: Option<Res<EguiWantsInput>>,
    overlay: Res<OverlayMode>,
    focus: Res<InputFocus>,
    visible: Res<InputFocusVisible>,
    composer: Res<Composer>,
    side: Res<SideMode>,
    chatting: Res<IsChatting>,
    paused: Res<IsPaused>,
    perspective: Res<Perspective>,
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
        let action = if is_open || *side == SideMode::Others {
            Action::Close
        } else {
            Action::Pause
        };
        commands.trigger(Perform { action, is_many });
    }
    if paused.0 {
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
    let plan = PLAN_KEYS.iter().filter(|_| is_open);
    let plan_keys: Vec<_> = plan.clone().map(|(key, _)| *key).collect();
    let others = KEYS.iter().filter(|(key, _)| !plan_keys.contains(key));
    for (key, action) in plan.chain(others) {
        if !keys.just_pressed(*key) || (has_focus && *key == KeyCode::Enter) {
            continue;
        }
        // With Shift a key of the plan takes units away.
        let action = match *action {
            Action::More(kind) if is_many => Action::Fewer(kind),
            action => action,
        };
        let is_many = is_many && !matches!(action, Action::Fewer(_));
        commands.trigger(Perform { action, is_many });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_has_one_meaning() {
        for keys in [KEYS.as_slice(), PLAN_KEYS.as_slice()] {
            let distinct: BTreeSet<_> = keys.iter().map(|(key, _)| *key).collect();
            assert_eq!(distinct.len(), keys.len());
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
