//! Reasons why a command of the table is refused.

use serde::{Deserialize, Serialize};

use super::{
    ABANDON_DELAY, HANDICAPS, MAX_SPEED, MAX_WINDOW, PLAYER_SILENCE, STEWARD_DELAY, STEWARD_PAUSE,
};
use crate::crowns::{self, SEATS};

/// Why a command is refused. It changes nothing then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The player has a seat already.
    #[error("you have a seat already")]
    HasSeat,
    /// The player has no seat.
    #[error("you have no seat; take one before a match with `raftian table sit`")]
    NoSeat,
    /// There is no such seat.
    #[error("the table has no such seat; see `raftian table`")]
    NoSuchSeat,
    /// All seats are taken.
    #[error("all seats are taken; change their number with `raftian table setup --seats`")]
    Full,
    /// A match is played.
    #[error("a match is played; wait for its end, or end one of bots with `raftian table abandon`")]
    Playing,
    /// No match is played.
    #[error("no match is played")]
    NotPlaying,
    /// It was meant for the match before this one.
    #[error("another match has begun since then; look at it first")]
    OtherMatch,
    /// The player took a seat after the match, and had none in it.
    #[error("you had no seat in the last match; wait for the next one")]
    NotInMatch,
    /// The number of seats is out of bounds.
    #[error("a match has {} to {} seats", SEATS.start(), SEATS.end())]
    Seats,
    /// The fair window is too long.
    #[error("a fair window has up to {MAX_WINDOW} ms")]
    Window,
    /// The speed is out of bounds.
    #[error("a match has a speed of 1 to {MAX_SPEED}")]
    Speed,
    /// A present player has a seat, so the table cannot become a sandbox, or an ordinary one.
    #[error("a sandbox begins and ends only while no player has a seat")]
    Sandbox,
    /// There are more players and bots than seats would be left.
    #[error("more seats are taken than that; remove bots first")]
    TooFewSeats,
    /// The handicap is out of bounds.
    #[error("a handicap is {} to {} percent", HANDICAPS.start(), HANDICAPS.end())]
    Handicap,
    /// There is no bot at this seat.
    #[error("there is no bot at this seat")]
    NoBot,
    /// Fewer than two seats are taken.
    #[error("a match needs two players or bots")]
    Alone,
    /// A player is not ready.
    #[error("not all players are ready; see `raftian table`")]
    NotReady,
    /// Another member runs the bot.
    #[error("another member runs this bot")]
    NotYourBot,
    /// The decision was made before, or is not due.
    #[error("this decision of the bot was made already, or is not due")]
    OldDecision,
    /// A bot may not give such an order, or so many.
    #[error(
        "a bot builds, trains, marches and trades; it gives no gifts, messages and concessions"
    )]
    NotForBots,
    /// The bot was alive a moment ago.
    #[error("the member that runs this bot gave a sign of it a moment ago")]
    BotAlive,
    /// The player was there a moment ago.
    #[error(
        "the player gave a sign less than {} s ago; note an absence after that",
        seconds(PLAYER_SILENCE)
    )]
    PlayerPresent,
    /// A player with a city is in the match, or has been absent for less than [`ABANDON_DELAY`].
    #[error(
        "a player with a city is in the match, or was less than {} s ago; concede, or wait until \
        each of them has been away that long",
        seconds(ABANDON_DELAY)
    )]
    PlayersLeft,
    /// The seat has no steward, or its player is present.
    #[error("this seat needs no steward: its player is there, or has forbidden it")]
    NoSteward,
    /// The player has been absent for less than [`STEWARD_DELAY`].
    #[error(
        "the player may be there; a steward gives orders after {} s of absence",
        seconds(STEWARD_DELAY)
    )]
    StewardEarly,
    /// A steward may not give this order.
    #[error(
        "a steward trains a few spears and calls armies home before an attack, and repairs; one \
        order in {} s of the match",
        seconds(STEWARD_PAUSE)
    )]
    NotForStewards,
    /// The match is still played.
    #[error("a match is being played; ask for another one after its end")]
    NotEnded,
    /// No match was played to its end.
    #[error("no match was played; begin one with `raftian table start`")]
    NotPlayed,
    /// The order is refused.
    #[error(transparent)]
    Order(#[from] crowns::Refusal),
}

/// Whole seconds of milliseconds.
fn seconds(millis: u64) -> u64 {
    millis / 1_000
}
