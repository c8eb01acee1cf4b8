//! The field for a message to all players, which opens over the feed.

use bevy::input_focus::{FocusCause, InputFocus};
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy::time::Real;
use raftian_realm::crowns::{Order, Text as Message, Words};
use raftian_realm::table::Command;

use super::CrownsSystems;
use super::layout::AboveFeed;
use super::orders::{Give, Notice};
use crate::screens::Screen;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{column, row, text_field, unbroken};
use crate::view::fonts::Typeface;

/// Whether the field is open.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct IsChatting(pub(super) bool);

/// The line with the field.
#[derive(Component)]
struct ChatLine;

/// The field.
#[derive(Component)]
struct ChatField;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<IsChatting>()
        .add_systems(OnEnter(Screen::Match), (close, spawn))
        .add_systems(Update, show.in_set(CrownsSystems::Draw))
        // The letters of this frame are in the field by then.
        .add_systems(Last, finish.run_if(in_state(Screen::Match)));
}

fn close(mut chatting: ResMut<IsChatting>) {
    chatting.0 = false;
}

fn spawn(mut commands: Commands, font: Res<Typeface>) {
    commands
        .spawn((
            Name::new("Chat"),
            AboveFeed(8.0),
            ChatLine,
            DespawnOnExit(Screen::Match),
            GlobalZIndex(12),
            Node {
                position_type: PositionType::Absolute,
                left: space::WIDE,
                padding: UiRect::all(space::NEAR),
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(space::ROUND),
                display: Display::None,
                ..column(space::TIGHT)
            },
            BackgroundColor(colour::PANEL),
            BorderColor::all(colour::EDGE),
        ))
        .with_children(|lines| {
            lines.spawn(row(space::NEAR)).with_children(|line| {
                line.spawn(unbroken(&font, wording!("Say:"), size::BODY, colour::QUIET));
                let message = EditableText {
                    visible_width: Some(44.0),
                    max_characters: Some(Message::MAX),
                    ..default()
                };
                line.spawn((
                    ChatField,
                    text_field(&font, message, wording!("Message to all players")),
                ));
            });
            lines.spawn(unbroken(
                &font,
                wording!("Enter sends, Esc closes"),
                size::SMALL,
                colour::QUIET,
            ));
        });
}

fn show(
    chatting: Res<IsChatting>,
    mut line: Single<&mut Node, With<ChatLine>>,
    field: Single<(Entity, &mut EditableText), With<ChatField>>,
    mut focus: ResMut<InputFocus>,
) {
    let display = if chatting.0 {
        Display::Flex
    } else {
        Display::None
    };
    if line.display == display {
        return;
    }
    line.display = display;
    let (entity, mut text) = field.into_inner();
    text.clear();
    if chatting.0 {
        focus.set(entity, FocusCause::Navigated);
    } else if focus.get() == Some(entity) {
        focus.clear();
    }
}

/// Enter sends the message, Escape drops it.
fn finish(
    keys: Res<ButtonInput<KeyCode>>,
    focus: Res<InputFocus>,
    field: Single<(Entity, &EditableText), With<ChatField>>,
    time: Res<Time<Real>>,
    mut was_open: Local<bool>,
    mut chatting: ResMut<IsChatting>,
    mut notice: ResMut<Notice>,
    mut commands: Commands,
) {
    let (entity, text) = *field;
    // The Enter that opened the field does not send.
    let was_open = std::mem::replace(&mut *was_open, chatting.0);
    if !was_open || !chatting.0 {
        return;
    }
    // A click elsewhere closes it, too: without the focus it receives no keys.
    if keys.just_pressed(KeyCode::Escape) || focus.get() != Some(entity) {
        chatting.0 = false;
        return;
    }
    let is_sent = keys.any_just_pressed([KeyCode::Enter, KeyCode::NumpadEnter]);
    if !is_sent || text.is_composing() {
        return;
    }
    chatting.0 = false;
    let words = text.value().to_string().trim().to_owned();
    if words.is_empty() {
        return;
    }
    match Message::try_from(words) {
        Ok(message) => {
            let say = Order::Say(Words::Text(message));
            commands.trigger(Give(Command::Order(say)));
        }
        Err(_) => notice.show(
            text!(
                "A message has 1 to {most} characters in one line.",
                most = Message::MAX
            ),
            time.elapsed(),
        ),
    }
}
