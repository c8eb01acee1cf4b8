//! Turns a press on a city into an event.
//!
//! A press is a left mouse button or a finger going down inside a city's square, or a number key.
//! The position at the time of the press decides: the pointer may have come from a panel, and may
//! have moved on, within the same frame. Nothing is proposed here; see [`CityClicked`].

use super::ViewSystems;
use super::canvas::Canvas;
use super::header::HeaderText;
use crate::classic_layout::{already_dead_text, city_at, pressed_text};
use crate::projection::{City, Health};
use crate::realm::CityId;
use bevy::ecs::system::SystemParam;
use bevy::input::ButtonState;
use bevy::input::touch::TouchPhase;
use bevy::prelude::*;
use bevy::time::Real;
use bevy::window::{PrimaryWindow, WindowEvent};
use bevy_egui::egui::{self, Order};
use bevy_egui::input::EguiWantsInput;
use bevy_egui::{EguiContext, PrimaryEguiContext};

/// The player pressed a standing city and thereby requests an attack on it.
#[derive(Event, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityClicked {
    /// The target.
    pub city: CityId,
}

/// The player pressed a city that has fallen as far as this machine knows: no order is requested.
#[derive(Event, Clone, Copy, Debug, PartialEq, Eq)]
pub struct CityRefused {
    /// The city pressed.
    pub city: CityId,
}

/// The city of this match under the mouse, if any.
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
    app.init_resource::<Hovered>().add_systems(
        Update,
        (find_hovered, press_cities)
            .chain()
            .in_set(ViewSystems::Input),
    );
}

/// The map with the panels over it, for hit tests.
#[derive(SystemParam)]
struct Map<'w, 's> {
    canvas: Res<'w, Canvas>,
    window: Single<'w, 's, &'static Window, With<PrimaryWindow>>,
    panels: Query<'w, 's, &'static mut EguiContext, With<PrimaryEguiContext>>,
    cities: Query<'w, 's, &'static City>,
}

impl Map<'_, '_> {
    /// Returns the city of this match at a position in logical pixels, unless a panel covers it.
    fn city_at(&mut self, place: Vec2) -> Option<CityId> {
        if self
            .panels
            .iter_mut()
            .any(|mut context| is_covered(context.get_mut(), place))
        {
            return None;
        }
        let unit = self.canvas.unit_at(place * self.window.scale_factor());
        city_at(unit.x, unit.y).filter(|city| self.cities.iter().any(|known| known.0 == *city))
    }
}

/// Returns whether a panel covers this position of the window.
pub(crate) fn is_covered(context: &egui::Context, place: Vec2) -> bool {
    // egui measures in points, which its zoom scales.
    let zoom = context.zoom_factor();
    let layer = context.layer_id_at(egui::pos2(place.x / zoom, place.y / zoom));
    layer.is_some_and(|layer| layer.order != Order::Background)
}

fn find_hovered(mut map: Map, mut hovered: ResMut<Hovered>) {
    let below = map
        .window
        .cursor_position()
        .and_then(|place| map.city_at(place));
    hovered.set_if_neq(Hovered(below));
}

/// Returns the positions, in logical pixels, at which the left button or a finger went down in a
/// window. `pointer` is the pointer's earlier position in it.
fn presses(
    events: &mut MessageReader<WindowEvent>,
    window: Entity,
    pointer: &mut Option<Vec2>,
) -> Vec<Vec2> {
    let mut pressed = Vec::new();
    for event in events.read() {
        match event {
            WindowEvent::CursorMoved(moved) => {
                *pointer = (moved.window == window).then_some(moved.position);
            }
            WindowEvent::CursorLeft(left) if left.window == window => *pointer = None,
            WindowEvent::MouseButtonInput(button)
                if button.window == window
                    && button.button == MouseButton::Left
                    && button.state == ButtonState::Pressed =>
            {
                pressed.extend(*pointer);
            }
            WindowEvent::TouchInput(touch)
                if touch.window == window && touch.phase == TouchPhase::Started =>
            {
                pressed.push(touch.position)
            }
            _ => {}
        }
    }
    pressed
}

fn press_cities(
    mut commands: Commands,
    mut events: MessageReader<WindowEvent>,
    mut pointer: Local<Option<Vec2>>,
    window: Single<Entity, With<PrimaryWindow>>,
    mut map: Map,
    keys: Res<ButtonInput<KeyCode>>,
    egui: Option<Res<EguiWantsInput>>,
    time: Res<Time<Real>>,
    cities: Query<(&City, &Health)>,
    mut header: ResMut<HeaderText>,
) {
    let clicked: Vec<_> = presses(&mut events, *window, &mut pointer)
        .into_iter()
        .filter_map(|place| map.city_at(place))
        .collect();
    // A focused text field receives the keys instead.
    let free = !egui.is_some_and(|egui| egui.wants_any_keyboard_input());
    let typed = (1..)
        .zip(KEYS)
        .filter(|(_, keys_of_city)| free && keys.any_just_pressed(*keys_of_city));
    for pressed in typed.map(|(number, _)| CityId(number)).chain(clicked) {
        let Some((_, health)) = cities.iter().find(|(city, _)| city.0 == pressed) else {
            continue;
        };
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
    use bevy::input::mouse::MouseButtonInput;
    use bevy::input::touch::TouchInput;
    use bevy::math::DVec2;
    use bevy::window::{CursorMoved, WindowResolution};
    use bevy_egui::egui::{Area, Id, RawInput, pos2, vec2};

    #[derive(Resource, Default)]
    struct Seen(Vec<(&'static str, u8)>);

    /// A match of cities 1 and 2 with health 100 and 3 fallen, in a window of half the classic
    /// size.
    fn app() -> App {
        let mut app = App::new();
        app.add_plugins(plugin)
            .init_resource::<Time<Real>>()
            .init_resource::<ButtonInput<KeyCode>>()
            .add_message::<WindowEvent>()
            .init_resource::<HeaderText>()
            .init_resource::<Seen>()
            .insert_resource(Canvas::fit(UVec2::new(500, 600), 1.0))
            .add_observer(|clicked: On<CityClicked>, mut seen: ResMut<Seen>| {
                seen.0.push(("clicked", clicked.city.0))
            })
            .add_observer(|refused: On<CityRefused>, mut seen: ResMut<Seen>| {
                seen.0.push(("refused", refused.city.0))
            });
        app.world_mut().spawn((
            Window {
                resolution: WindowResolution::new(500, 600),
                ..default()
            },
            PrimaryWindow,
        ));
        for (city, health) in [(1, 100), (2, 100), (3, -20)] {
            app.world_mut().spawn((City(CityId(city)), Health(health)));
        }
        app
    }

    fn moved(window: Entity, x: f64, y: f64) -> WindowEvent {
        let position = Vec2::new(x as f32 / 2.0, y as f32 / 2.0);
        WindowEvent::CursorMoved(CursorMoved {
            window,
            position,
            delta: None,
        })
    }

    fn button(window: Entity, state: ButtonState) -> WindowEvent {
        WindowEvent::MouseButtonInput(MouseButtonInput {
            button: MouseButton::Left,
            state,
            window,
        })
    }

    /// Moves the pointer over a unit of the canvas, presses the left button there, and returns the
    /// resulting events and header.
    fn click(app: &mut App, x: f64, y: f64) -> (Vec<(&'static str, u8)>, String) {
        let mut windows = app.world_mut().query::<(Entity, &mut Window)>();
        let (window, mut settings) = windows.single_mut(app.world_mut()).unwrap();
        settings.set_physical_cursor_position(Some(DVec2::new(x / 2.0, y / 2.0)));
        app.world_mut().write_message(moved(window, x, y));
        app.world_mut()
            .write_message(button(window, ButtonState::Pressed));
        app.world_mut()
            .write_message(button(window, ButtonState::Released));
        app.update();
        let seen = std::mem::take(&mut app.world_mut().resource_mut::<Seen>().0);
        (
            seen,
            app.world()
                .resource::<HeaderText>()
                .at(default())
                .to_owned(),
        )
    }

    #[test]
    fn click_on_a_standing_city_requests_an_attack() {
        let mut app = app();
        assert_eq!(
            click(&mut app, 625.0, 725.0),
            (vec![("clicked", 1)], "Player 1 pressed".into())
        );
        assert_eq!(
            click(&mut app, 835.0, 185.0),
            (vec![("clicked", 2)], "Player 2 pressed".into())
        );
        assert_eq!(app.world().resource::<Hovered>().0, Some(CityId(2)));
    }

    #[test]
    fn click_on_a_fallen_city_is_refused() {
        assert_eq!(
            click(&mut app(), 375.0, 225.0),
            (vec![("refused", 3)], "Player 3 already dead".into())
        );
    }

    #[test]
    fn click_outside_the_cities_of_the_match_does_nothing() {
        for (x, y) in [(500.0, 600.0), (583.0, 700.0), (100.0, 950.0)] {
            assert_eq!(click(&mut app(), x, y), (vec![], "Top Text".into()));
        }
    }

    #[test]
    fn press_counts_where_it_was_made_despite_later_movement() {
        let mut app = app();
        let window = app
            .world_mut()
            .query::<(Entity, &Window)>()
            .single(app.world())
            .unwrap()
            .0;
        for event in [
            moved(window, 835.0, 185.0),
            button(window, ButtonState::Pressed),
            button(window, ButtonState::Released),
            moved(window, 500.0, 600.0),
        ] {
            app.world_mut().write_message(event);
        }
        app.update();
        assert_eq!(app.world().resource::<Seen>().0, [("clicked", 2)]);
        assert_eq!(app.world().resource::<Hovered>().0, None);
    }

    #[test]
    fn finger_presses_a_city() {
        let mut app = app();
        let window = app
            .world_mut()
            .query::<(Entity, &Window)>()
            .single(app.world())
            .unwrap()
            .0;
        for phase in [TouchPhase::Started, TouchPhase::Moved, TouchPhase::Ended] {
            let touch = TouchInput {
                phase,
                position: Vec2::new(312.5, 362.5),
                window,
                force: None,
                id: 1,
            };
            app.world_mut()
                .write_message(WindowEvent::TouchInput(touch));
        }
        app.update();
        assert_eq!(app.world().resource::<Seen>().0, [("clicked", 1)]);
    }

    /// The panel was under the pointer only in the last frame; a touch screen moves the pointer and
    /// presses within one frame.
    #[test]
    fn panel_captures_presses_only_inside_its_area() {
        let mut app = app();
        let context = egui::Context::default();
        for _ in 0..2 {
            let input = RawInput {
                screen_rect: Some(egui::Rect::from_min_size(
                    pos2(0.0, 0.0),
                    vec2(500.0, 600.0),
                )),
                ..default()
            };
            let mut output = context.run_ui(input, |ui| {
                // Over city 2, next to city 1.
                let area = Area::new(Id::new("panel")).fixed_pos(pos2(380.0, 50.0));
                area.show(ui.ctx(), |ui| ui.allocate_space(vec2(100.0, 100.0)));
            });
            output.textures_delta.clear();
        }
        let mut shown = EguiContext::default();
        *shown.get_mut() = context;
        app.world_mut().spawn((shown, PrimaryEguiContext));
        assert_eq!(click(&mut app, 835.0, 185.0).0, []);
        assert_eq!(click(&mut app, 625.0, 725.0).0, [("clicked", 1)]);
        assert_eq!(click(&mut app, 835.0, 185.0).0, []);
    }

    #[test]
    fn number_key_presses_its_city() {
        let mut app = app();
        let mut keys = app.world_mut().resource_mut::<ButtonInput<KeyCode>>();
        keys.press(KeyCode::Digit2);
        keys.press(KeyCode::Numpad3);
        keys.press(KeyCode::Digit5);
        app.update();
        assert_eq!(
            app.world().resource::<Seen>().0,
            [("clicked", 2), ("refused", 3)]
        );
    }
}
