//! The screen of Crowns: the map, its panels, and the player's orders.
//!
//! Everything here reads the replicated table and its projection; orders leave as proposals, in
//! [`orders`], and nothing changes before they are committed.

pub(crate) mod art;
mod captions;
mod chat;
mod composer;
mod control;
mod effects;
mod feed;
mod hold;
mod icons;
mod input;
mod invitation;
mod layout;
mod lobby;
mod map;
mod marches;
mod news;
mod orders;
mod panels;
mod pause;
mod perspective;
mod presence;
mod sites;
mod sounds;
mod summary;
pub(crate) mod terrain;
mod tooltips;
pub(crate) mod words;

use bevy::prelude::*;

pub(crate) use self::layout::BelowBar;

use crate::screens::Screen;

/// Order of the systems in `Update` while the screen is shown.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CrownsSystems {
    /// Brings the view of the match up to the present.
    Look,
    /// Turns keys and pointer into orders.
    Input,
    /// Draws map and panels.
    Draw,
}

/// Adds the screen of Crowns.
pub(crate) fn plugin(app: &mut App) {
    app.configure_sets(
        Update,
        (
            CrownsSystems::Look,
            CrownsSystems::Input,
            CrownsSystems::Draw,
        )
            .chain()
            .run_if(in_state(Screen::Match)),
    )
    .add_plugins((
        art::plugin,
        perspective::plugin,
        layout::plugin,
        orders::plugin,
        composer::plugin,
        presence::plugin,
        tooltips::plugin,
        control::plugin,
        input::plugin,
    ))
    .add_plugins((
        map::plugin,
        sites::plugin,
        marches::plugin,
        effects::plugin,
        panels::plugin,
        feed::plugin,
        news::plugin,
        lobby::plugin,
        pause::plugin,
        hold::plugin,
        summary::plugin,
        chat::plugin,
        invitation::plugin,
        sounds::plugin,
        captions::plugin,
    ));
}

/// Shows the match from a seat, without a node whose player sits there.
#[cfg(test)]
pub(crate) fn show_from(world: &mut World, seat: u8) {
    world.resource_mut::<perspective::Perspective>().own = Some(seat);
}

#[cfg(test)]
mod tests;
