//! The lobby: who sits at the table before a match.

use bevy::input_focus::tab_navigation::TabGroup;
use bevy::prelude::*;
use bevy::ui_widgets::ScrollArea;
use bevy_raft::CurrentMatch;
use raftian_realm::table::{Archetype, Chair, Level, Occupant};

use super::CrownsSystems;
use super::control::Action;
use super::invitation::copy_button;
use super::layout::{AboveFeed, BelowBar};
use super::perspective::Perspective;
use crate::embedded::Embedded;
use crate::language::Wording;
use crate::screens::Screen;
use crate::table::ReplicatedTable;
use crate::ui::focus::FocusedFirst;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{button, column, panel, row, text, unbroken, write};
use crate::view::fonts::Typeface;

/// The whole lobby.
#[derive(Component)]
struct Lobby;

/// A text of the lobby.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum LobbyText {
    Heading,
    Seat(u8),
    Code,
    Advice,
}

/// Most seats of a table.
const SEATS: u8 = 8;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        Update,
        (show, write_texts).chain().in_set(CrownsSystems::Draw),
    );
}

/// Shows the lobby while no match was begun.
fn show(
    mut commands: Commands,
    font: Res<Typeface>,
    table: Res<ReplicatedTable>,
    embedded: Option<Res<Embedded>>,
    current: Res<CurrentMatch>,
    lobbies: Query<Entity, With<Lobby>>,
) {
    let is_wanted = table.0.game().is_none();
    if is_wanted != lobbies.is_empty() {
        return;
    }
    for lobby in &lobbies {
        commands.entity(lobby).despawn();
    }
    if !is_wanted {
        return;
    }
    let is_embedded = embedded.is_some();
    let has_ticket = current.ticket.is_some();
    commands
        .spawn((
            Name::new("Lobby"),
            Lobby,
            BelowBar(0.0),
            AboveFeed(0.0),
            ScrollArea,
            DespawnOnExit(Screen::Match),
            TabGroup::modal(),
            GlobalZIndex(15),
            Node {
                position_type: PositionType::Absolute,
                width: percent(100),
                align_items: AlignItems::Center,
                overflow: Overflow::scroll_y(),
                ..column(px(0))
            },
            BackgroundColor(colour::GROUND),
        ))
        .with_children(|screen| {
            screen
                .spawn(panel(Node {
                    width: px(640),
                    max_width: percent(100),
                    // In the middle, but not above the top.
                    margin: UiRect::vertical(Val::Auto),
                    ..column(space::NEAR)
                }))
                .with_children(|panel| fill(panel, &font, is_embedded, has_ticket));
        });
}

fn fill(panel: &mut ChildSpawnerCommands, font: &Typeface, is_embedded: bool, has_ticket: bool) {
    panel.spawn((
        LobbyText::Heading,
        text(font, Wording::EMPTY, size::HUGE, colour::GOLD),
    ));
    if is_embedded {
        panel.spawn(text(
            font,
            wording!("Five machines elect a leader, and the table is laid."),
            size::BODY,
            colour::QUIET,
        ));
        return;
    }
    for seat in 0..SEATS {
        panel.spawn((
            LobbyText::Seat(seat),
            unbroken(
                font,
                Wording::EMPTY,
                size::BODY,
                colour::seat(seat).mix(&colour::TEXT, 0.4),
            ),
        ));
    }
    panel.spawn(row(space::NEAR)).with_children(|line| {
        line.spawn((
            Action::Sit,
            FocusedFirst,
            button(font, wording!("Take a seat")),
        ));
        line.spawn((Action::Stand, button(font, wording!("Leave the seat"))));
        line.spawn((Action::Ready, button(font, wording!("Ready"))));
        line.spawn((Action::Start, button(font, wording!("Start"))));
    });
    panel.spawn(row(space::NEAR)).with_children(|line| {
        line.spawn(text(
            font,
            wording!("Add a bot:"),
            size::BODY,
            colour::QUIET,
        ));
        for level in Level::ALL {
            line.spawn((Action::AddBot(level), {
                let level = Wording::new(move || level_name(level));
                button(font, level)
            }));
        }
        line.spawn((Action::RemoveBot, button(font, wording!("Remove one"))));
    });
    panel.spawn((
        LobbyText::Code,
        text(font, Wording::EMPTY, size::BODY, colour::TEXT),
    ));
    if has_ticket {
        panel.spawn(row(space::NEAR)).with_children(|line| {
            line.spawn(copy_button(font));
            line.spawn((
                Action::ShowTicket,
                button(font, wording!("Show it as a picture")),
            ));
        });
    }
    panel.spawn((
        LobbyText::Advice,
        text(font, Wording::EMPTY, size::BODY, colour::QUIET),
    ));
}

/// Name of a level, as on buttons.
fn level_name(level: Level) -> String {
    match level {
        Level::Recruit => text!("Recruit"),
        Level::Captain => text!("Captain"),
        Level::Warlord => text!("Warlord"),
    }
}

/// A way in which bots play.
fn archetype_name(archetype: Archetype) -> String {
    match archetype {
        Archetype::Rush => text!("rush"),
        Archetype::Raid => text!("style|raid"),
        Archetype::Boom => text!("boom"),
        Archetype::Turtle => text!("turtle"),
        Archetype::Expand => text!("expand"),
        Archetype::Balanced => text!("balanced"),
    }
}

fn write_texts(
    table: Res<ReplicatedTable>,
    perspective: Res<Perspective>,
    current: Res<CurrentMatch>,
    mut texts: Query<(&LobbyText, &mut Text)>,
) {
    let chairs = table.0.chairs();
    for (part, mut text) in &mut texts {
        let words = match *part {
            LobbyText::Heading if table.0.setup().is_sandbox => {
                text!("A sandbox: all members are one player")
            }
            LobbyText::Heading => text!("The match begins soon"),
            LobbyText::Seat(seat) => chairs
                .get(usize::from(seat))
                .map_or_else(String::new, |chair| seat_text(chair, seat, &perspective)),
            LobbyText::Code => code_text(&current),
            LobbyText::Advice => advice(chairs, perspective.own),
        };
        write(&mut text, words);
    }
}

/// How others join, at the founder.
fn code_text(current: &CurrentMatch) -> String {
    match &current.code {
        Some(code) => text!(
            "Others on this network join with {code}. Those elsewhere join with the ticket.",
            code
        ),
        None if current.ticket.is_some() => text!("Others join with the ticket."),
        None => String::new(),
    }
}

fn seat_text(chair: &Chair, seat: u8, perspective: &Perspective) -> String {
    let number = seat + 1;
    match &chair.occupant {
        Occupant::Open => text!("{number}  open", number),
        Occupant::Bot(bot) => {
            let [name, level] = [perspective.name(seat), level_name(bot.level)];
            let style = archetype_name(bot.archetype);
            format!("{number}  {name}: {level}, {style}")
        }
        Occupant::Player(player) => {
            let name = perspective.name(seat);
            let is_own = perspective.own == Some(seat);
            let state = match (player.is_present(), player.is_ready) {
                (false, _) => text!("away"),
                (true, true) => text!("ready"),
                (true, false) => text!("not ready"),
            };
            if is_own {
                return text!("{number}  {name} (you): {state}", number, name, state);
            }
            format!("{number}  {name}: {state}")
        }
    }
}

/// The next step on the way to a match, for the player of a seat.
fn advice(chairs: &[Chair], own: Option<u8>) -> String {
    let taken = chairs
        .iter()
        .filter(|chair| chair.occupant != Occupant::Open)
        .count();
    let waiting = (0..)
        .zip(chairs)
        .filter(|(seat, chair)| match &chair.occupant {
            Occupant::Player(player) => {
                own != Some(*seat) && !player.is_ready && player.absent_since.is_none()
            }
            Occupant::Bot(_) | Occupant::Open => false,
        })
        .count();
    match (taken, waiting) {
        _ if own.is_none() && taken < chairs.len() => {
            text!("Take a seat, and add bots or wait for others.")
        }
        (0, _) => text!("Take a seat, and add bots or wait for others."),
        (1, _) => text!("Add a bot, or wait for others: a match needs two."),
        (_, 0) => text!("Start when you like. Open seats go."),
        (_, 1) => text!("One player is not ready yet. Open seats go at the start."),
        (_, waiting) => text!(
            "{waiting} players are not ready yet. Open seats go at the start.",
            waiting
        ),
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::table::{Command, Origin, PlayerId, Table};

    use super::*;

    #[test]
    fn lobby_names_the_next_step() {
        let mut table = Table::default();
        let origin = Origin {
            player: PlayerId([1; 16]),
            member: 1,
            stamp: 0,
            random: 1,
            round: 0,
        };
        assert!(advice(table.chairs(), Some(0)).starts_with("Take a seat"));
        assert_eq!(table.apply(&Command::Sit, &origin), Ok(()));
        assert!(advice(table.chairs(), Some(0)).starts_with("Add a bot"));
        let bot = Command::AddBot {
            level: Level::Captain,
            archetype: Archetype::Rush,
        };
        assert_eq!(table.apply(&bot, &origin), Ok(()));
        assert!(advice(table.chairs(), Some(0)).starts_with("Start"));
        assert!(advice(table.chairs(), None).starts_with("Take a seat"));
        assert!(advice(table.chairs(), Some(2)).starts_with("One player is not ready"));
        let perspective = Perspective {
            own: Some(0),
            names: vec!["Ada".to_owned(), "Brand".to_owned()],
            game: None,
        };
        let lines: Vec<_> = (0..)
            .zip(table.chairs())
            .map(|(seat, chair)| seat_text(chair, seat, &perspective))
            .collect();
        assert_eq!(lines[0], "1  Ada (you): not ready");
        assert_eq!(lines[1], "2  Brand: Captain, rush");
        assert_eq!(lines[2], "3  open");
    }
}
