//! A press on a city becomes an event.
//!
//! A press is a left mouse button going down inside a city's square, or a number key. Nothing is proposed here:
//! whoever proposes orders observes [`CityClicked`].

use super::ViewSystems;
use super::canvas::Canvas;
use super::header::HeaderText;
use crate::classic_layout::{already_dead_text, city_at, pressed_text};
use crate::projection::{City, Health};
use crate::realm::CityId;
use bevy::prelude::*;
use bevy::time::Real;
use bevy::window::PrimaryWindow;
use bevy_egui::input::EguiWantsInput;

/// The player pressed a standing city: an order to attack it is asked for.
#[derive(Event, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityClicked {
    /// The target.
    pub city: CityId,
}

/// The player pressed a city that has fallen as far as this machine knows: no order is asked for.
#[derive(Event, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityRefused {
    /// What was pressed.
    pub city: CityId,
}

/// The city of this match below the mouse, if any.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hovered(pub Option<CityId>);

/// Keys that press a city, by its number.
const KEYS: [[KeyCode; 2]; 5] = [
    [KeyCode::Digit1, KeyCode::Numpad1],
    [KeyCode::Digit2, KeyCode::Numpad2],
    [KeyCode::Digit3, KeyCode::Numpad3],
    [KeyCode::Digit4, KeyCode::Numpad4],
    [KeyCode::Digit5, KeyCode::Numpad5],
];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Hovered>().add_systems(Update, (find_hovered, press_cities).chain().in_set(ViewSystems::Input));
}

fn find_hovered(
    canvas: Res<Canvas>,
    window: Single<&Window, With<PrimaryWindow>>,
    egui: Option<Res<EguiWantsInput>>,
    cities: Query<&City>,
    mut hovered: ResMut<Hovered>,
) {
    // A panel over the map takes the mouse.
    let free = !egui.is_some_and(|egui| egui.wants_any_pointer_input());
    let pointer = window.physical_cursor_position().filter(|_| free);
    let below = pointer.map(|pixel| canvas.unit_at(pixel)).and_then(|unit| city_at(unit.x, unit.y));
    hovered.set_if_neq(Hovered(below.filter(|&city| cities.iter().any(|known| known.0 == city))));
}

fn press_cities(
    mut commands: Commands,
    mouse: Res<ButtonInput<MouseButton>>,
    keys: Res<ButtonInput<KeyCode>>,
    egui: Option<Res<EguiWantsInput>>,
    hovered: Res<Hovered>,
    time: Res<Time<Real>>,
    cities: Query<(&City, &Health)>,
    mut header: ResMut<HeaderText>,
) {
    let clicked = hovered.0.filter(|_| mouse.just_pressed(MouseButton::Left));
    // A text field takes the keys.
    let free = !egui.is_some_and(|egui| egui.wants_any_keyboard_input());
    let typed = (1..).zip(KEYS).filter(|(_, keys_of_city)| free && keys.any_just_pressed(*keys_of_city));
    for pressed in typed.map(|(number, _)| CityId(number)).chain(clicked) {
        let Some((_, health)) = cities.iter().find(|(city, _)| city.0 == pressed) else { continue };
        if health.is_dead() {
            header.show(already_dead_text(pressed), time.elapsed());
            commands.trigger(CityRefused { city: pressed });
        } else {
            header.show(pressed_text(pressed), time.elapsed());
            commands.trigger(CityClicked { city: pressed });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::math::DVec2;
    use bevy::window::WindowResolution;

    #[derive(Resource, Default)]
    struct Seen(Vec<(&'static str, u8)>);

    /// A match of cities 1 and 2 with health 100 and 3 fallen, in a window of half the classic size.
    fn app() -> App {
        let mut app = App::new();
        app.add_plugins(plugin)
            .init_resource::<Time<Real>>()
            .init_resource::<ButtonInput<MouseButton>>()
            .init_resource::<ButtonInput<KeyCode>>()
            .init_resource::<HeaderText>()
            .init_resource::<Seen>()
            .insert_resource(Canvas::fit(UVec2::new(500, 600), 1.0))
            .add_observer(|clicked: On<CityClicked>, mut seen: ResMut<Seen>| seen.0.push(("clicked", clicked.city.0)))
            .add_observer(|refused: On<CityRefused>, mut seen: ResMut<Seen>| seen.0.push(("refused", refused.city.0)));
        app.world_mut().spawn((Window { resolution: WindowResolution::new(500, 600), ..default() }, PrimaryWindow));
        for (city, health) in [(1, 100), (2, 100), (3, -20)] {
            app.world_mut().spawn((City(CityId(city)), Health(health)));
        }
        app
    }

    /// Presses the left button over a unit of the canvas and gives the events and the header that follow.
    fn click(app: &mut App, x: f64, y: f64) -> (Vec<(&'static str, u8)>, String) {
        let mut windows = app.world_mut().query::<&mut Window>();
        let mut window = windows.single_mut(app.world_mut()).unwrap();
        window.set_physical_cursor_position(Some(DVec2::new(x / 2.0, y / 2.0)));
        app.world_mut().resource_mut::<ButtonInput<MouseButton>>().press(MouseButton::Left);
        app.update();
        app.world_mut().resource_mut::<ButtonInput<MouseButton>>().reset_all();
        let seen = std::mem::take(&mut app.world_mut().resource_mut::<Seen>().0);
        (seen, app.world().resource::<HeaderText>().at(default()).to_owned())
    }

    #[test]
    fn a_click_on_a_standing_city_asks_for_an_attack() {
        let mut app = app();
        assert_eq!(click(&mut app, 625.0, 725.0), (vec![("clicked", 1)], "Player 1 pressed".into()));
        assert_eq!(click(&mut app, 835.0, 185.0), (vec![("clicked", 2)], "Player 2 pressed".into()));
        assert_eq!(app.world().resource::<Hovered>().0, Some(CityId(2)));
    }

    #[test]
    fn a_click_on_a_fallen_city_is_refused() {
        assert_eq!(click(&mut app(), 375.0, 225.0), (vec![("refused", 3)], "Player 3 already dead".into()));
    }

    #[test]
    fn a_click_beside_every_city_or_on_one_that_is_not_in_the_match_does_nothing() {
        for (x, y) in [(500.0, 600.0), (583.0, 700.0), (100.0, 950.0)] {
            assert_eq!(click(&mut app(), x, y), (vec![], "Top Text".into()));
        }
    }

    #[test]
    fn a_number_key_presses_its_city() {
        let mut app = app();
        let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
        keys.press(KeyCode::Digit2);
        keys.press(KeyCode::Numpad3);
        keys.press(KeyCode::Digit5);
        app.update();
        assert_eq!(app.world().resource::<Seen>().0, [("clicked", 2), ("refused", 3)]);
    }
}
