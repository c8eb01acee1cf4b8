//! The ticket of the match, for players elsewhere: copied, or as a picture that another machine
//! reads.

use std::time::Duration;

use bevy::clipboard::Clipboard;
use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::CurrentMatch;
use qrcodegen::{QrCode, QrCodeEcc};

use super::CrownsSystems;
use super::art;
use super::control::{Action, Perform};
use super::orders::Notice;
use super::words::sentence;
use crate::language::{Wording, spoken};
use crate::screens::Screen;
use crate::ui::focus::FocusedFirst;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{Caption, button, column, control, modal, panel, text, unbroken, write};
use crate::view::fonts::Typeface;

/// Time for which a button confirms that the ticket was copied.
const CONFIRMED_FOR: Duration = Duration::from_secs(3);

/// Pixels of a module of the picture.
const MODULE: u32 = 6;

/// Modules of the white edge, without which readers do not find the picture (ISO/IEC 18004).
const QUIET_ZONE: u32 = 4;

/// Whether the picture of the ticket is shown.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ShowsTicket(pub(super) bool);

/// When the ticket was copied.
#[derive(Resource, Default)]
struct Copied(Option<Duration>);

/// The picture and what belongs to it.
#[derive(Component)]
struct TicketPanel;

/// The caption of the button that copies.
#[derive(Component)]
struct CopyCaption;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<ShowsTicket>()
        .init_resource::<Copied>()
        .add_observer(perform)
        .add_systems(OnEnter(Screen::Match), hide)
        .add_systems(Update, (show, write_caption).in_set(CrownsSystems::Draw));
}

fn hide(mut shows: ResMut<ShowsTicket>) {
    shows.0 = false;
}

/// The button that copies the ticket.
pub(super) fn copy_button(font: &Typeface) -> impl Bundle {
    (
        Action::CopyTicket,
        control(Node {
            padding: UiRect::axes(space::WIDE, space::NEAR),
            ..default()
        }),
        spoken(wording!("Copy the ticket")),
        children![(
            Caption,
            CopyCaption,
            unbroken(font, Wording::EMPTY, size::BODY, colour::TEXT)
        )],
    )
}

fn perform(
    perform: On<Perform>,
    current: Res<CurrentMatch>,
    time: Res<Time<Real>>,
    clipboard: Option<ResMut<Clipboard>>,
    mut copied: ResMut<Copied>,
    mut shows: ResMut<ShowsTicket>,
    mut notice: ResMut<Notice>,
) {
    match perform.action {
        Action::ShowTicket => shows.0 = !shows.0,
        Action::CopyTicket => {
            let Some(ticket) = &current.ticket else {
                return;
            };
            let now = time.elapsed();
            let set = clipboard.map(|mut clipboard| clipboard.set_text(ticket.to_string()));
            match set {
                Some(Ok(())) => copied.0 = Some(now),
                Some(Err(error)) => notice.show(clipboard_failure(&error.to_string()), now),
                None => notice.show(text!("This window has no clipboard."), now),
            }
        }
        _ => {}
    }
}

/// Why the ticket was not copied.
fn clipboard_failure(error: &str) -> String {
    let reason = sentence(error);
    text!("clipboard|{reason}", reason)
}

fn write_caption(
    copied: Res<Copied>,
    time: Res<Time<Real>>,
    mut captions: Query<&mut Text, With<CopyCaption>>,
) {
    let age = copied.0.map(|at| time.elapsed().saturating_sub(at));
    let words = match age {
        Some(age) if age < CONFIRMED_FOR => text!("The ticket is copied"),
        _ => text!("Copy the ticket"),
    };
    for mut caption in &mut captions {
        write(&mut caption, words.clone());
    }
}

fn show(
    shows: Res<ShowsTicket>,
    current: Res<CurrentMatch>,
    font: Res<Typeface>,
    panels: Query<Entity, With<TicketPanel>>,
    mut images: ResMut<Assets<Image>>,
    mut commands: Commands,
) {
    let ticket = current.ticket.as_ref().filter(|_| shows.0);
    if ticket.is_some() != panels.is_empty() {
        return;
    }
    for panel in &panels {
        commands.entity(panel).despawn();
    }
    let Some(ticket) = ticket else { return };
    let picture = picture(&ticket.to_string());
    commands
        .spawn((
            Name::new("Ticket"),
            TicketPanel,
            DespawnOnExit(Screen::Match),
            modal(25),
        ))
        .with_children(|screen| {
            let node = Node {
                align_items: AlignItems::Center,
                ..column(space::WIDE)
            };
            screen.spawn(panel(node)).with_children(|panel| {
                match picture {
                    Some((side, pixels)) => {
                        panel.spawn((
                            Node {
                                width: px(440),
                                height: px(440),
                                ..default()
                            },
                            ImageNode::new(images.add(art::image(side, pixels))),
                        ));
                    }
                    None => {
                        let words = wording!("The ticket is too long for a picture.");
                        panel.spawn(text(&font, words, size::BODY, colour::TEXT));
                    }
                }
                panel.spawn(text(
                    &font,
                    wording!("Whoever has the ticket can join. Send it to those you know."),
                    size::BODY,
                    colour::QUIET,
                ));
                panel.spawn((
                    Action::ShowTicket,
                    FocusedFirst,
                    button(&font, wording!("Close")),
                ));
            });
        });
}

/// The picture of a text: its side in pixels, and four bytes for each of them; `None` if the text
/// is too long.
fn picture(text: &str) -> Option<(u32, Vec<u8>)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let modules = u32::try_from(code.size()).ok()?;
    let side = (modules + 2 * QUIET_ZONE) * MODULE;
    let mut pixels = Vec::with_capacity((side * side * 4) as usize);
    for y in 0..side {
        for x in 0..side {
            // Outside of the code every module is light.
            let [x, y] = [x, y].map(|at| (at / MODULE) as i32 - QUIET_ZONE as i32);
            let light = if code.get_module(x, y) { 0 } else { 255 };
            pixels.extend([light, light, light, 255]);
        }
    }
    Some((side, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_has_the_modules_of_the_code_and_a_white_edge() {
        let text = "ALCUU4Z3NTNIQ6OM2CN7B7ODM6AAAAAA";
        let code = QrCode::encode_text(text, QrCodeEcc::Low).unwrap();
        let (side, pixels) = picture(text).unwrap();
        assert_eq!(pixels.len(), (side * side * 4) as usize);
        let is_dark = |x: u32, y: u32| pixels[((y * side + x) * 4) as usize] == 0;
        for at in 0..side {
            for edge in [0, QUIET_ZONE * MODULE - 1, side - 1] {
                assert!(!is_dark(at, edge) && !is_dark(edge, at));
            }
        }
        let middle = |module: i32| (module as u32 + QUIET_ZONE) * MODULE + MODULE / 2;
        for y in 0..code.size() {
            for x in 0..code.size() {
                assert_eq!(is_dark(middle(x), middle(y)), code.get_module(x, y));
            }
        }
        assert_eq!(picture(&"A".repeat(10_000)), None);
    }
}
