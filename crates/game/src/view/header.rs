//! The message above the map: the city pressed, for half a second.

use super::ViewSystems;
use super::canvas::depth;
use super::fonts::Typeface;
use super::text::{Align, CanvasText, write};
use crate::classic_layout::{BLACK, HEADER, top_text};
use crate::language::Wording;
use bevy::prelude::*;
use bevy::time::Real;
use std::time::Duration;

/// Time for which a message is shown.
pub const SHOWN_FOR: Duration = Duration::from_millis(500);

const SIZE: f32 = 60.0;

/// Current header text. It is local: it confirms to the player that the press was recognised, not
/// that it had an effect.
#[derive(Resource, Clone, Debug, Default)]
pub struct HeaderText {
    message: Option<(String, Duration)>,
}

impl HeaderText {
    /// Shows a message from `now` on, replacing the earlier one.
    pub fn show(&mut self, text: impl Into<String>, now: Duration) {
        self.message = Some((text.into(), now));
    }

    /// Returns the header text at `now`: the last message, or "Top Text" once it has been shown for
    /// [`SHOWN_FOR`].
    pub fn at(&self, now: Duration) -> String {
        match &self.message {
            Some((text, since)) if now.saturating_sub(*since) < SHOWN_FOR => text.clone(),
            _ => top_text(),
        }
    }
}

#[derive(Component)]
struct HeaderLine;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HeaderText>()
        .add_systems(Startup, spawn_header)
        .add_systems(Update, write_header.in_set(ViewSystems::Draw));
}

fn spawn_header(mut commands: Commands, typeface: Res<Typeface>) {
    let at = Vec2::new((HEADER.width / 2) as f32, (HEADER.height / 2) as f32);
    let line = CanvasText {
        at,
        align: Align::Middle,
        size: SIZE,
        depth: depth::TEXT,
    };
    commands.spawn((
        Name::new("Header text"),
        HeaderLine,
        line.line(&typeface.0, BLACK, Wording::EMPTY),
    ));
}

fn write_header(
    header: Res<HeaderText>,
    time: Res<Time<Real>>,
    mut line: Single<&mut Text2d, With<HeaderLine>>,
) {
    write(&mut line, &header.at(time.elapsed()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_reverts_after_half_a_second() {
        let mut header = HeaderText::default();
        let ms = Duration::from_millis;
        assert_eq!(header.at(ms(0)), "Top Text");
        header.show("Player 3 pressed", ms(1000));
        assert_eq!(header.at(ms(1000)), "Player 3 pressed");
        assert_eq!(header.at(ms(1499)), "Player 3 pressed");
        assert_eq!(header.at(ms(1500)), "Top Text");
    }

    #[test]
    fn new_message_starts_its_own_half_second() {
        let mut header = HeaderText::default();
        let ms = Duration::from_millis;
        header.show("Player 3 pressed", ms(0));
        header.show("Player 3 already dead", ms(400));
        assert_eq!(header.at(ms(899)), "Player 3 already dead");
        assert_eq!(header.at(ms(900)), "Top Text");
    }
}
