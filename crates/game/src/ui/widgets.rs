//! Building blocks of screens and panels.

use bevy::input_focus::tab_navigation::{TabGroup, TabIndex};
use bevy::picking::hover::Hovered;
use bevy::prelude::*;
use bevy::text::{EditableText, TextCursorStyle};
use bevy::ui::auto_directional_navigation::AutoDirectionalNavigation;
use bevy::ui::{InteractionDisabled, Pressed};
use bevy::ui_widgets::{Activate, Button};

use super::theme::{colour, size, space};
use crate::language::{Wording, spoken};
use crate::view::fonts::Typeface;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (finish_taps, paint_buttons).chain());
}

/// The text on a button.
#[derive(Component)]
pub(crate) struct Caption;

/// A line of text.
pub(crate) fn text(font: &Typeface, words: Wording, size: f32, colour: Color) -> impl Bundle {
    (
        Text::new(words.text()),
        words,
        font.at(size),
        TextColor(colour),
        Pickable::IGNORE,
    )
}

/// A line of text that is never broken.
pub(crate) fn unbroken(font: &Typeface, words: Wording, size: f32, colour: Color) -> impl Bundle {
    (text(font, words, size, colour), TextLayout::no_wrap())
}

/// A button with a caption. Add the component that identifies it.
pub(crate) fn button(font: &Typeface, caption: Wording) -> impl Bundle {
    (
        control(Node {
            padding: UiRect::axes(space::WIDE, space::NEAR),
            ..default()
        }),
        spoken(caption.clone()),
        children![(Caption, unbroken(font, caption, size::BODY, colour::TEXT))],
    )
}

/// A small button with a caption, for panels.
pub(crate) fn small_button(font: &Typeface, caption: Wording) -> impl Bundle {
    (
        small_control(),
        spoken(caption.clone()),
        children![(Caption, unbroken(font, caption, size::SMALL, colour::TEXT))],
    )
}

/// The components of a small button.
pub(crate) fn small_control() -> impl Bundle {
    control(Node {
        padding: UiRect::axes(space::NEAR, space::TIGHT),
        justify_content: JustifyContent::Center,
        ..default()
    })
}

/// A text field with a frame. `label` is its name for screen readers.
pub(crate) fn text_field(font: &Typeface, text: EditableText, label: Wording) -> impl Bundle {
    (
        text,
        font.at(size::BODY),
        TextColor(colour::TEXT),
        TextLayout::no_wrap(),
        TextCursorStyle::default(),
        TabIndex(0),
        Node {
            border: UiRect::all(px(1)),
            padding: UiRect::all(space::NEAR),
            ..default()
        },
        BackgroundColor(colour::GROUND),
        BorderColor::all(colour::EDGE),
        Outline::new(px(2), px(2), Color::NONE),
        spoken(label),
    )
}

/// The components of every control that can be pressed.
pub(crate) fn control(node: Node) -> impl Bundle {
    (
        Button,
        Node {
            border: UiRect::all(px(1)),
            border_radius: BorderRadius::all(space::ROUND),
            align_items: AlignItems::Center,
            ..node
        },
        BackgroundColor(colour::CONTROL),
        BorderColor::all(colour::EDGE),
        Outline::new(px(2), px(2), Color::NONE),
        Hovered::default(),
        TabIndex(0),
        AutoDirectionalNavigation::default(),
    )
}

/// A panel.
pub(crate) fn panel(node: Node) -> impl Bundle {
    (
        Node {
            padding: UiRect::all(space::WIDE),
            border: UiRect::all(px(1)),
            border_radius: BorderRadius::all(space::ROUND),
            ..node
        },
        BackgroundColor(colour::PANEL),
        BorderColor::all(colour::EDGE),
    )
}

/// A layer over the whole screen that holds a panel in the middle and receives the focus.
pub(crate) fn modal(layer: i32) -> impl Bundle {
    (
        TabGroup::modal(),
        GlobalZIndex(layer),
        Node {
            position_type: PositionType::Absolute,
            width: percent(100),
            height: percent(100),
            justify_content: JustifyContent::Center,
            align_items: AlignItems::Center,
            ..default()
        },
        BackgroundColor(Color::BLACK.with_alpha(0.55)),
    )
}

/// A column of things.
pub(crate) fn column(gap: Val) -> Node {
    Node {
        flex_direction: FlexDirection::Column,
        row_gap: gap,
        ..default()
    }
}

/// A row of things.
pub(crate) fn row(gap: Val) -> Node {
    Node {
        align_items: AlignItems::Center,
        column_gap: gap,
        ..default()
    }
}

/// Activates buttons that a pointer has pressed and released in the frame in which it arrived, as by
/// a tap on a screen or a trackpad: picking sends the press to what is under the pointer, but click
/// and release to what was there in the frame before.
fn finish_taps(
    pressed: Query<Entity, (With<Button>, With<Pressed>)>,
    mouse: Res<ButtonInput<MouseButton>>,
    touches: Res<Touches>,
    mut commands: Commands,
) {
    let is_held = mouse.get_pressed().next().is_some() || touches.iter().next().is_some();
    if is_held {
        return;
    }
    for entity in &pressed {
        commands.entity(entity).remove::<Pressed>();
        commands.trigger(Activate { entity });
    }
}

type ButtonState<'a> = (
    &'a Hovered,
    Has<Pressed>,
    Has<InteractionDisabled>,
    &'a mut BackgroundColor,
    &'a Children,
);

fn paint_buttons(
    mut buttons: Query<ButtonState, With<Button>>,
    mut captions: Query<&mut TextColor, With<Caption>>,
) {
    for (hovered, is_pressed, is_disabled, mut ground, children) in &mut buttons {
        let shown = match (is_disabled, is_pressed, hovered.0) {
            (true, ..) => colour::PANEL,
            (false, true, _) => colour::CONTROL_PRESSED,
            (false, false, true) => colour::CONTROL_HOVERED,
            (false, false, false) => colour::CONTROL,
        };
        ground.set_if_neq(BackgroundColor(shown));
        let ink = if is_disabled {
            colour::DISABLED
        } else {
            colour::TEXT
        };
        let mut captions = captions.iter_many_mut(children);
        while let Some(mut caption) = captions.fetch_next() {
            caption.set_if_neq(TextColor(ink));
        }
    }
}

/// Writes into a text only if the words are new, because any access triggers a new layout.
pub(crate) fn write(text: &mut Mut<'_, Text>, words: String) {
    if text.0 != words {
        text.0 = words;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bevy::camera::NormalizedRenderTarget;
    use bevy::picking::backend::HitData;
    use bevy::picking::pointer::{Location, PointerButton, PointerId};
    use bevy::ui_widgets::ButtonPlugin;

    use super::*;

    #[derive(Resource, Default)]
    struct Activations(usize);

    fn app() -> (App, Entity) {
        let mut app = App::new();
        app.add_plugins(ButtonPlugin)
            .init_resource::<Activations>()
            .init_resource::<ButtonInput<MouseButton>>()
            .init_resource::<Touches>()
            .add_systems(Update, finish_taps)
            .add_observer(|_: On<Activate>, mut count: ResMut<Activations>| count.0 += 1);
        let button = app.world_mut().spawn(Button).id();
        (app, button)
    }

    fn event<E: std::fmt::Debug + Clone + Reflect>(event: E, button: Entity) -> Pointer<E> {
        let location = Location {
            target: NormalizedRenderTarget::None {
                width: 1,
                height: 1,
            },
            position: Vec2::ZERO,
        };
        Pointer::new(PointerId::Mouse, location, event, button)
    }

    fn press(button: Entity) -> Pointer<Press> {
        let press = Press {
            button: PointerButton::Primary,
            hit: HitData::new(button, 0.0, None, None),
            count: 1,
        };
        event(press, button)
    }

    #[test]
    fn tap_without_a_release_activates_once() {
        let (mut app, button) = app();
        app.world_mut().trigger(press(button));
        app.update();
        app.update();
        assert_eq!(app.world().resource::<Activations>().0, 1);
        assert!(!app.world().entity(button).contains::<Pressed>());
    }

    #[test]
    fn click_over_two_frames_activates_once() {
        let (mut app, button) = app();
        let mut mouse = app.world_mut().resource_mut::<ButtonInput<MouseButton>>();
        mouse.press(MouseButton::Left);
        app.world_mut().trigger(press(button));
        app.update();
        assert_eq!(app.world().resource::<Activations>().0, 0, "it is held");
        let mut mouse = app.world_mut().resource_mut::<ButtonInput<MouseButton>>();
        mouse.release(MouseButton::Left);
        let hit = HitData::new(button, 0.0, None, None);
        let click = Click {
            button: PointerButton::Primary,
            hit: hit.clone(),
            duration: Duration::ZERO,
            count: 1,
        };
        let release = Release {
            button: PointerButton::Primary,
            hit,
        };
        app.world_mut().trigger(event(click, button));
        app.world_mut().trigger(event(release, button));
        app.update();
        assert_eq!(app.world().resource::<Activations>().0, 1);
        assert!(!app.world().entity(button).contains::<Pressed>());
    }
}
