//! The match as this player sees it at present.

use bevy::prelude::*;
use bevy_raft::AppliedLog;
use bevy_raft::prelude::*;
use raftian_bots::story::NAMES;
use raftian_realm::crowns::{Crowns, Place, Seat};
use raftian_realm::table::{Chair, MatchSeat, PlayerId, Table};

use super::CrownsSystems;
use crate::cluster_view::ClusterView;
use crate::report_words::resource_words;
use crate::settings::Settings;
use crate::table::{PresentStamp, ReplicatedTable, player_of, present_game};
use crate::table_document::name_of;

/// The match as this player sees it at present.
#[derive(Resource, Default)]
pub(super) struct Perspective {
    /// The player's seat; `None` for a spectator.
    pub(super) own: Option<u8>,
    /// Names of the seats.
    pub(super) names: Vec<String>,
    /// The match brought up to the present of the game clock. Events that no entry of the log has
    /// reached yet are shown as they will probably be.
    pub(super) game: Option<Crowns>,
}

impl Perspective {
    /// Name of a seat.
    pub(super) fn name(&self, seat: u8) -> String {
        let name = self.names.get(usize::from(seat)).cloned();
        name.unwrap_or_else(|| text!("seat {number}", number = u16::from(seat) + 1))
    }

    /// The player's own city, while it stands and the match is played.
    pub(super) fn city(&self) -> Option<(u8, &Crowns, &Seat)> {
        let own = self.own?;
        let game = self.game.as_ref().filter(|game| game.end().is_none())?;
        let seat = game.seats().get(usize::from(own))?;
        seat.stands().then_some((own, game, seat))
    }

    /// Name of a place.
    pub(super) fn place(&self, place: Place) -> String {
        match place {
            Place::City(seat) => self.name(seat),
            Place::Oasis(number) => {
                let oases = self.game.as_ref().map(|game| &game.map().oases);
                let oasis = oases.and_then(|oases| oases.get(usize::from(number)));
                let number = u16::from(number) + 1;
                match oasis {
                    Some(oasis) => {
                        let resource = resource_words(oasis.resource);
                        text!("{resource} oasis {number}", resource, number)
                    }
                    None => text!("oasis {number}", number),
                }
            }
            Place::Throne => text!("the Throne"),
        }
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Perspective>()
        .add_systems(Update, look.in_set(CrownsSystems::Look));
}

fn look(
    table: Res<ReplicatedTable>,
    log: Res<AppliedLog>,
    stamp: Res<PresentStamp>,
    status: Res<RaftStatus>,
    settings: Res<Settings>,
    cluster: Res<ClusterView>,
    mut perspective: ResMut<Perspective>,
) {
    perspective.game = present_game(&table.0, &stamp);
    if !table.is_changed() && !perspective.names.is_empty() {
        return;
    }
    let own = status.id().map(|id| player_of(&log, id));
    perspective.own = own.and_then(|own| match table.0.game() {
        Some(_) => table.0.match_seat_of(own),
        None => table.0.seat_of(own),
    });
    perspective.names = names(&table.0, &log, &settings, &cluster, own);
}

/// Names of all seats: those of players, and for bots one of a list.
fn names(
    table: &Table,
    log: &AppliedLog,
    settings: &Settings,
    cluster: &ClusterView,
    own: Option<PlayerId>,
) -> Vec<String> {
    let players: Vec<_> = match table.game() {
        Some(_) => table.match_seats().iter().map(MatchSeat::player).collect(),
        None => table.chairs().iter().map(Chair::player).collect(),
    };
    let seats = players.into_iter().zip(NAMES.iter().cycle());
    seats
        .map(|(player, name)| match player {
            Some(player) => name_of(player, log).unwrap_or_else(|| {
                // The log has no names of members that come from files.
                let mut members = cluster.members.iter();
                let member = members.find(|member| player_of(log, member.id) == player);
                match member {
                    Some(member) if Some(player) != own => member.name.clone(),
                    _ => settings.player().unwrap_or_else(own_name),
                }
            }),
            None => (*name).to_owned(),
        })
        .collect()
}

/// Name of the user of this machine, for matches of one person.
fn own_name() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("USERNAME"));
    let mut letters = user
        .unwrap_or_default()
        .chars()
        .take(16)
        .collect::<String>();
    letters.retain(|letter| !letter.is_control());
    if letters.is_empty() {
        return text!("Player");
    }
    letters
}
