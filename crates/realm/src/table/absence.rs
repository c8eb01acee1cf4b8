//! Players who are away: how their absence begins and ends, and its effects.
//!
//! A member that is silent is away, and so is its player. The leader measures that, but any member
//! may claim it, so a claim is not trusted at once: the program of a player who is there answers
//! with [`Command::Present`](super::Command::Present) within a round trip. Only an absence without
//! such an answer lets a steward give orders, and only a long one lets others end the match.

use super::{Chair, Occupant, Origin, PlayerId, Refusal, SeatedPlayer, Table};
use crate::crowns::{Order, Place, Seat, UnitKind};

/// Milliseconds of stamps without an entry of a player after which the player may be noted as
/// absent.
pub const PLAYER_SILENCE: u64 = 10_000;

/// Milliseconds of stamps between the beginning of an absence and the first order of a steward: the
/// time in which the program of a player who is there answers.
pub const STEWARD_DELAY: u64 = 2_000;

/// Milliseconds of stamps of absence after which a player does not keep others from ending the
/// match.
pub const ABANDON_DELAY: u64 = 60_000;

/// Milliseconds of the match between two orders of a steward.
pub const STEWARD_PAUSE: u64 = 2_000;

/// Largest number of spears that a steward trains at once.
pub const STEWARD_BATCH: u32 = 5;

impl Table {
    /// Whether the player has a seat and is absent.
    pub fn is_absent(&self, player: PlayerId) -> bool {
        let seat = self.seat_of(player).map(usize::from);
        let chair = seat.and_then(|seat| self.chairs.get(seat));
        chair.is_some_and(Chair::is_of_absent)
    }

    /// Seats whose stewards may give orders at a stamp: those of players who have been absent for
    /// [`STEWARD_DELAY`] and allow it.
    pub fn stewarded(&self, stamp: u64) -> impl Iterator<Item = u8> + '_ {
        let players = self.players();
        let absent = players.filter(move |(_, player)| {
            player.has_steward && player.is_absent_for(STEWARD_DELAY, stamp)
        });
        absent.map(|(seat, _)| seat)
    }

    /// Notes that a player has joined or has left, with the stamp of the entry.
    pub fn set_present(&mut self, player: PlayerId, is_present: bool, stamp: u64) {
        self.advance(stamp);
        if self.setup.is_sandbox && !is_present {
            // Its player orders through the other members.
            return;
        }
        let player = self.seated_as(player);
        if is_present {
            self.note_sign(player, stamp);
            return;
        }
        let Some(seat) = self.seat_of(player) else {
            return;
        };
        // Before a match a seat is free again at once; during one it waits for its player.
        if !self.is_playing() {
            self.chairs[usize::from(seat)] = Chair::OPEN;
            self.reset_votes();
        } else if let Ok(seated) = self.player_mut(player) {
            seated.seen = stamp;
            seated.absent_since.get_or_insert(stamp);
        }
    }

    /// Notes a sign of a player, which ends an absence.
    pub(super) fn note_sign(&mut self, player: PlayerId, stamp: u64) {
        if let Ok(seated) = self.player_mut(player) {
            seated.absent_since = None;
            seated.seen = stamp;
        }
    }

    /// Answers a sign of a player, which was noted like that of any other command.
    pub(super) fn present(&self, player: PlayerId) -> Result<(), Refusal> {
        self.seat_of(player).map(|_| ()).ok_or(Refusal::NoSeat)
    }

    pub(super) fn note_absent(&mut self, seat: u8, origin: &Origin) -> Result<(), Refusal> {
        let stamp = origin.stamp;
        let seated = self.seated_mut(seat).ok_or(Refusal::NoSuchSeat)?;
        if stamp < seated.seen.saturating_add(PLAYER_SILENCE) {
            return Err(Refusal::PlayerPresent);
        }
        // The first one counts.
        seated.absent_since.get_or_insert(stamp);
        // The others no longer wait for the vote of this player.
        if self.game().is_some_and(|game| game.end().is_some()) {
            return self.count_votes(origin);
        }
        Ok(())
    }

    fn seated_mut(&mut self, seat: u8) -> Option<&mut SeatedPlayer> {
        match &mut self.chairs.get_mut(usize::from(seat))?.occupant {
            Occupant::Player(seated) => Some(seated),
            Occupant::Open | Occupant::Bot(_) => None,
        }
    }

    pub(super) fn abandon(&mut self, stamp: u64) -> Result<(), Refusal> {
        let game = self.game().filter(|game| game.end().is_none());
        let cities = game.ok_or(Refusal::NotPlaying)?.seats();
        let stands = |seat: u8| cities.get(usize::from(seat)).is_some_and(Seat::stands);
        let is_left = self
            .players()
            .any(|(seat, player)| stands(seat) && !player.is_absent_for(ABANDON_DELAY, stamp));
        if is_left {
            return Err(Refusal::PlayersLeft);
        }
        if let Some(playing) = &mut self.playing {
            playing.game.abandon(playing.clock(stamp));
        }
        Ok(())
    }

    pub(super) fn allow_steward(
        &mut self,
        player: PlayerId,
        is_allowed: bool,
    ) -> Result<(), Refusal> {
        self.player_mut(player)?.has_steward = is_allowed;
        Ok(())
    }

    pub(super) fn steward_order(
        &mut self,
        origin: &Origin,
        seat: u8,
        order: &Order,
    ) -> Result<(), Refusal> {
        let game = self.game().filter(|game| game.end().is_none());
        let game = game.ok_or(Refusal::NotPlaying)?;
        let clock = self.clock(origin.stamp).ok_or(Refusal::NotPlaying)?;
        let is_attacked = game.marches().any(|(_, march)| {
            march.place == Place::City(seat) && march.seat != seat && !march.returns
        });
        let is_allowed = match order {
            Order::Train(UnitKind::Spear, 1..=STEWARD_BATCH) | Order::CallHome(_) => is_attacked,
            Order::Repair(true) => true,
            _ => false,
        };
        let seated = self.seated_mut(seat).ok_or(Refusal::NoSteward)?;
        if seated.is_present() || !seated.has_steward {
            return Err(Refusal::NoSteward);
        }
        if !seated.is_absent_for(STEWARD_DELAY, origin.stamp) {
            return Err(Refusal::StewardEarly);
        }
        let rests = seated
            .steward_at
            .is_some_and(|at| clock < at.saturating_add(STEWARD_PAUSE));
        if !is_allowed || rests {
            return Err(Refusal::NotForStewards);
        }
        // One that the rules refuse counts as well.
        seated.steward_at = Some(clock);
        self.order(seat, order, origin.stamp)
    }
}
