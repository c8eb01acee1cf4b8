//! A table: who sits where, the match of Crowns that is played, and the next one.
//!
//! [`Table::apply`] performs the commands of players and of the members that run bots. A command
//! comes with its [`Origin`], which the log knows: no player can give orders for the seat of
//! another, and a bot is run by one member at a time.
//!
//! The game clock of a match begins at 0 and runs with the stamps of the log, times the speed of
//! the match.

mod absence;
mod check;
mod commands;
mod refusal;
mod setup;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::crowns::{self, Crowns};

pub use absence::{ABANDON_DELAY, PLAYER_SILENCE, STEWARD_BATCH, STEWARD_DELAY, STEWARD_PAUSE};
pub use check::ImpossibleTable;
pub use refusal::Refusal;
pub use setup::{Setup, SetupChange};

/// Largest fair window in milliseconds.
pub const MAX_WINDOW: u64 = 1_000;

/// Fair window of a match whose members are far apart, in milliseconds.
pub const FAR_WINDOW: u64 = 200;

/// Largest speed of a match.
pub const MAX_SPEED: u64 = 20;

/// Latest time of a match on its clock.
const MAX_CLOCK: u64 = 1 << 62;

/// Possible handicaps: production of a seat in percent.
pub const HANDICAPS: std::ops::RangeInclusive<u64> = 50..=200;

/// Milliseconds of stamps without a sign of a bot after which another member may run it.
pub const BOT_SILENCE: u64 = 2_000;

/// Shortest time between two decisions of a bot, in milliseconds of the match.
const SHORTEST_DECISION: u64 = 1_000;

/// Largest number of orders in one decision of a bot.
pub const MAX_BOT_ORDERS: usize = 8;

/// Identity of a player, the same after they have left and returned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PlayerId(pub [u8; 16]);

impl PlayerId {
    /// The one player of a [sandbox](Setup::is_sandbox).
    pub const SANDBOX: PlayerId = PlayerId([0; 16]);
}

/// Where a command comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The player.
    pub player: PlayerId,
    /// The member of the log through which it came.
    pub member: u64,
    /// Stamp of the entry.
    pub stamp: u64,
    /// A number that no player could choose.
    pub random: u64,
    /// Number of matches begun at the table as the sender saw it. A command that arrives after
    /// another match has begun was meant for the one before.
    pub round: u32,
}

/// Strength of a bot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For beginners: a fixed list, long pauses, random attacks.
    Recruit,
    /// Priorities: safety, a mix against the enemy's, oases, the Throne, gain minus loss.
    Captain,
    /// A Captain that tries its orders on a copy of the match first.
    Warlord,
}

impl Level {
    /// All three, the weakest first.
    pub const ALL: [Level; 3] = [Level::Recruit, Level::Captain, Level::Warlord];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Recruit => "recruit",
            Level::Captain => "captain",
            Level::Warlord => "warlord",
        }
    }
}

/// Six ways to play.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archetype {
    /// Assaults keeps early.
    Rush,
    /// Loots with riders.
    Raid,
    /// Grows first.
    Boom,
    /// Sits behind walls and spears, and goes for the Throne.
    Turtle,
    /// Takes oases, also those of others.
    Expand,
    /// A little of all.
    Balanced,
}

impl Archetype {
    /// All six.
    pub const ALL: [Archetype; 6] = [
        Archetype::Rush,
        Archetype::Raid,
        Archetype::Boom,
        Archetype::Turtle,
        Archetype::Expand,
        Archetype::Balanced,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Archetype::Rush => "rush",
            Archetype::Raid => "raid",
            Archetype::Boom => "boom",
            Archetype::Turtle => "turtle",
            Archetype::Expand => "expand",
            Archetype::Balanced => "balanced",
        }
    }
}

/// A command of a player, or of a member that runs bots.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Takes an open seat, or without one that of an absent player.
    Sit,
    /// Leaves the seat before a match.
    Stand,
    /// Is ready to begin, or not yet.
    Ready(bool),
    /// Changes what the table agrees on.
    Configure(SetupChange),
    /// Changes the production of a seat, in percent.
    Handicap {
        /// The seat.
        seat: u8,
        /// The percentage.
        percent: u64,
    },
    /// Gives a seat to a bot, which the sender runs: an open one, or without one that of an absent
    /// player.
    AddBot {
        /// Its strength.
        level: Level,
        /// How it plays.
        archetype: Archetype,
    },
    /// Removes a bot before a match.
    RemoveBot {
        /// Its seat.
        seat: u8,
    },
    /// Begins the match.
    Start,
    /// An order of the player's seat in the match, which is not the one at the table if others have
    /// sat down since its end.
    Order(crowns::Order),
    /// The orders of a bot, from the member that runs it.
    BotOrders {
        /// Its seat.
        seat: u8,
        /// Number of the decision.
        decision: u64,
        /// The orders.
        orders: Vec<crowns::Order>,
    },
    /// A sign that the member runs a bot which has nothing to order.
    BotAlive {
        /// Its seat.
        seat: u8,
    },
    /// The sender runs a bot from now on, because its member has given no sign of it for
    /// [`BOT_SILENCE`].
    AdoptBot {
        /// Its seat.
        seat: u8,
    },
    /// Notes that a player is absent who has given no sign for [`PLAYER_SILENCE`]. The next command
    /// of the player ends the absence. Any member may send it, so the absence has few effects at
    /// once: see [`STEWARD_DELAY`] and [`ABANDON_DELAY`].
    NoteAbsent {
        /// The seat.
        seat: u8,
    },
    /// A sign of the player, whose program sends it while the player is noted as absent. It changes
    /// nothing but that.
    Present,
    /// Ends a match in which only bots play: each player with a city has been absent for
    /// [`ABANDON_DELAY`].
    Abandon,
    /// Allows a steward to keep the city while the player is absent, or forbids it.
    Steward(bool),
    /// An order of a steward for a player who has been absent for [`STEWARD_DELAY`].
    StewardOrder {
        /// The seat.
        seat: u8,
        /// The order.
        order: crowns::Order,
    },
    /// Notes that the members are far apart, or no longer; from the leader, which measures it.
    Distance(bool),
    /// Wants another match after this one, or no longer.
    Rematch(bool),
}

/// A seat of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chair {
    /// Who plays it.
    pub occupant: Occupant,
    /// Its production in percent.
    pub handicap: u64,
}

impl Chair {
    const OPEN: Chair = Chair {
        occupant: Occupant::Open,
        handicap: 100,
    };

    /// Its player; `None` for an open seat or a bot.
    pub fn player(&self) -> Option<PlayerId> {
        self.match_seat()?.player()
    }

    /// Who would play it in a match that begins; `None` for an open one.
    fn match_seat(&self) -> Option<MatchSeat> {
        match &self.occupant {
            Occupant::Player(seated) => Some(MatchSeat::Player(seated.id)),
            Occupant::Bot(bot) => Some(MatchSeat::Bot(bot.level, bot.archetype)),
            Occupant::Open => None,
        }
    }

    /// Whether its player is absent.
    fn is_of_absent(&self) -> bool {
        match &self.occupant {
            Occupant::Player(seated) => !seated.is_present(),
            Occupant::Open | Occupant::Bot(_) => false,
        }
    }
}

/// Who plays a seat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Occupant {
    /// No one yet.
    Open,
    /// A player.
    Player(SeatedPlayer),
    /// A bot.
    Bot(SeatedBot),
}

/// A player at a seat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeatedPlayer {
    /// The player.
    pub id: PlayerId,
    /// Whether the player wants to begin.
    pub is_ready: bool,
    /// Stamp since which the player is absent: not a member of the match, or noted as absent;
    /// `None` for a player who is there.
    pub absent_since: Option<u64>,
    /// Stamp of the player's last command.
    pub seen: u64,
    /// Time of the match of the last order of a steward.
    pub steward_at: Option<u64>,
    /// Whether a steward keeps the city while the player is absent.
    pub has_steward: bool,
    /// Whether the player wants another match.
    pub wants_rematch: bool,
}

impl SeatedPlayer {
    /// Whether the player is there.
    pub fn is_present(&self) -> bool {
        self.absent_since.is_none()
    }

    /// Whether the player has been absent for this many milliseconds of stamps.
    fn is_absent_for(&self, delay: u64, stamp: u64) -> bool {
        let since = self.absent_since;
        since.is_some_and(|since| stamp >= since.saturating_add(delay))
    }
}

/// A bot at a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeatedBot {
    /// Its strength.
    pub level: Level,
    /// How it plays.
    pub archetype: Archetype,
    /// The member that runs it.
    pub member: u64,
    /// Number of its last decision.
    pub decision: u64,
    /// Stamp of the last sign of it.
    pub seen: u64,
}

/// A match of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Playing {
    game: Crowns,
    /// Who plays its seats. They stay when the seats of the table are taken by others after the
    /// match.
    seats: Vec<MatchSeat>,
    /// Stamp at which it began.
    began: u64,
    speed: u64,
    /// Seed of the bots.
    seed: u64,
}

/// Who plays a seat of a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MatchSeat {
    /// A player.
    Player(PlayerId),
    /// A bot.
    Bot(Level, Archetype),
}

impl MatchSeat {
    /// The player; `None` for a bot.
    pub fn player(&self) -> Option<PlayerId> {
        match self {
            MatchSeat::Player(player) => Some(*player),
            MatchSeat::Bot(..) => None,
        }
    }
}

impl Playing {
    /// The game clock at a stamp.
    fn clock(&self, stamp: u64) -> u64 {
        let clock = stamp.saturating_sub(self.began).saturating_mul(self.speed);
        // An absurd stamp ends the match and nothing else.
        clock.min(MAX_CLOCK)
    }
}

/// A table.
///
/// Deserialization refuses a state that would break the rules' own assumptions, see
/// [`ImpossibleTable`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Table {
    setup: Setup,
    /// Whether the members are far apart.
    is_far: bool,
    chairs: Vec<Chair>,
    playing: Option<Playing>,
    /// Matches begun.
    rounds: u32,
    /// Matches won by players, for the next ones at the same table.
    wins: BTreeMap<PlayerId, u32>,
}

impl Default for Table {
    fn default() -> Self {
        let setup = Setup::default();
        Table {
            chairs: vec![Chair::OPEN; usize::from(setup.seats)],
            setup,
            is_far: false,
            playing: None,
            rounds: 0,
            wins: BTreeMap::new(),
        }
    }
}

/// Largest number of players who are remembered as winners.
const MAX_PLAYERS: usize = 256;

impl Table {
    /// What the table agrees on.
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// Whether the members are far apart.
    pub fn is_far(&self) -> bool {
        self.is_far
    }

    /// Milliseconds of the fair window of the next match.
    pub fn window(&self) -> u64 {
        let automatic = if self.is_far { FAR_WINDOW } else { 0 };
        self.setup.window.unwrap_or(automatic)
    }

    /// The seats, in order.
    pub fn chairs(&self) -> &[Chair] {
        &self.chairs
    }

    /// The match that is played, or was played last.
    pub fn game(&self) -> Option<&Crowns> {
        self.playing.as_ref().map(|playing| &playing.game)
    }

    /// Who plays the seats of the match, as they sat when it began. Empty without a match.
    pub fn match_seats(&self) -> &[MatchSeat] {
        let playing = self.playing.as_ref();
        playing.map_or(&[], |playing| &playing.seats)
    }

    /// The seat of a player in the match, which is not the one at the table if others have sat
    /// down since its end.
    pub fn match_seat_of(&self, player: PlayerId) -> Option<u8> {
        let player = self.seated_as(player);
        let mut seats = (0..).zip(self.match_seats());
        let own = seats.find(|(_, seat)| seat.player() == Some(player));
        own.map(|(seat, _)| seat)
    }

    /// Seed of the bots of this match.
    pub fn seed(&self) -> Option<u64> {
        self.playing.as_ref().map(|playing| playing.seed)
    }

    /// Whether a match is played at present.
    pub fn is_playing(&self) -> bool {
        self.game().is_some_and(|game| game.end().is_none())
    }

    /// Number of matches begun.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Number of matches that a player has won here.
    pub fn wins(&self, player: PlayerId) -> u32 {
        self.wins.get(&player).copied().unwrap_or(0)
    }

    /// The seat of a player.
    pub fn seat_of(&self, player: PlayerId) -> Option<u8> {
        let player = self.seated_as(player);
        let chairs = (0..).zip(&self.chairs);
        let mut own = chairs.filter(|(_, chair)| match &chair.occupant {
            Occupant::Player(seated) => seated.id == player,
            Occupant::Open | Occupant::Bot(_) => false,
        });
        own.next().map(|(seat, _)| seat)
    }

    /// Identity under which a player has a seat: the same for all in a sandbox.
    fn seated_as(&self, player: PlayerId) -> PlayerId {
        if self.setup.is_sandbox {
            PlayerId::SANDBOX
        } else {
            player
        }
    }

    /// The players with their seats.
    pub fn players(&self) -> impl Iterator<Item = (u8, &SeatedPlayer)> + '_ {
        (0..)
            .zip(&self.chairs)
            .filter_map(|(seat, chair)| match &chair.occupant {
                Occupant::Player(player) => Some((seat, player)),
                Occupant::Open | Occupant::Bot(_) => None,
            })
    }

    /// The bots with their seats.
    pub fn bots(&self) -> impl Iterator<Item = (u8, SeatedBot)> + '_ {
        (0..)
            .zip(&self.chairs)
            .filter_map(|(seat, chair)| match chair.occupant {
                Occupant::Bot(bot) => Some((seat, bot)),
                Occupant::Open | Occupant::Player(_) => None,
            })
    }

    /// Stamp at which the clock of the match is needed next; `None` while no match is played.
    pub fn next_event(&self) -> Option<u64> {
        let playing = self
            .playing
            .as_ref()
            .filter(|playing| playing.game.end().is_none())?;
        let due = playing.game.next_event()?;
        Some(
            playing
                .began
                .saturating_add(due.div_ceil(playing.speed.max(1))),
        )
    }

    /// The game clock of the match at a stamp, up to its end; `None` without a match.
    pub fn clock(&self, stamp: u64) -> Option<u64> {
        let playing = self.playing.as_ref()?;
        let end = playing.game.end().map_or(MAX_CLOCK, |end| end.at);
        Some(playing.clock(stamp).min(end))
    }

    /// Performs what is due in the match up to a stamp.
    pub fn advance(&mut self, stamp: u64) {
        let Some(playing) = &mut self.playing else {
            return;
        };
        let was_played = playing.game.end().is_none();
        playing.game.advance(playing.clock(stamp));
        let winner = playing.game.end().and_then(|end| end.winner);
        if was_played && let Some(winner) = winner {
            self.note_win(winner);
        }
    }

    fn note_win(&mut self, seat: u8) {
        let winner = self.match_seats().get(usize::from(seat));
        let Some(winner) = winner.and_then(MatchSeat::player) else {
            return;
        };
        if self.wins.len() < MAX_PLAYERS || self.wins.contains_key(&winner) {
            *self.wins.entry(winner).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests;
