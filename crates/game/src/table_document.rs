//! The table of a match as a document, as part of the status.

use std::fmt::Write;

use bevy_raft::AppliedLog;
use raftian_realm::crowns::{Army, Building, Crowns, EndReason, Place, Resource, Tile, UnitKind};
use raftian_realm::table::{Chair, Occupant, PlayerId, SeatedBot, Table};
use serde::{Deserialize, Serialize};

use crate::table::player_of;

/// The table. Seats are numbered from 1; the game clock is in milliseconds of the match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDocument {
    /// Whether a match of Crowns is played.
    pub playing: bool,
    /// Number of matches begun.
    pub round: u32,
    /// Speed of the next match.
    pub speed: u64,
    /// Milliseconds of the fair window of the next match; 0 for none.
    pub window_ms: u64,
    /// Whether all members are one player.
    pub sandbox: bool,
    /// The seats.
    pub seats: Vec<SeatDocument>,
    /// The match; none before the first one.
    pub game: Option<GameDocument>,
}

/// A seat of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatDocument {
    /// Its number.
    pub seat: u8,
    /// open, player or bot.
    pub kind: String,
    /// Name of the player, if it is known, or of the bot.
    pub name: Option<String>,
    /// Whether the player is ready to begin.
    pub ready: bool,
    /// Whether the player, or the member that runs the bot, is a member of the match.
    pub present: bool,
    /// The member that runs the bot.
    pub runs_on: Option<u64>,
    /// Production in percent.
    pub handicap: u64,
    /// Matches won at this table.
    pub wins: u32,
}

/// A match of Crowns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameDocument {
    /// Game clock at the last entry.
    pub clock_ms: u64,
    /// Crowns with which a seat wins.
    pub goal: u64,
    /// Seat that holds the Throne.
    pub throne: Option<u8>,
    /// The cities, in order of the seats.
    pub cities: Vec<SeatedCityDocument>,
    /// The oases and the Throne.
    pub places: Vec<PlaceDocument>,
    /// The marches under way.
    pub marches: Vec<MarchDocument>,
    /// How it ended; none while it is played.
    pub end: Option<EndDocument>,
}

/// The city of a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatedCityDocument {
    /// The seat.
    pub seat: u8,
    /// Tiles to the east of the Throne.
    pub x: i8,
    /// Tiles to the south of the Throne.
    pub y: i8,
    /// Game clock until which the keep cannot be hit.
    pub smokes_until_ms: u64,
    /// Hit points of its keep; 0 once it has fallen.
    pub keep: u32,
    /// Its crowns.
    pub crowns: u64,
    /// Wood, iron and grain.
    pub stock: [u64; 3],
    /// Their change per minute.
    pub rates: [i64; 3],
    /// Levels of the fields of wood, iron and grain.
    pub fields: [u8; 3],
    /// Level of the barracks.
    pub barracks: u8,
    /// Level of the wall.
    pub wall: u8,
    /// Level of the store.
    pub store: u8,
    /// The building under construction.
    pub site: Option<SiteDocument>,
    /// Number of batches in training.
    pub batches: usize,
    /// Spears, axes, riders and rams at home.
    pub home: [u32; 4],
    /// Spears, axes, riders and rams, all of the seat.
    pub army: [u32; 4],
}

/// A building under construction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteDocument {
    /// lumber, mine, farm, barracks, wall or store.
    pub building: String,
    /// Game clock at which it is done.
    pub done_ms: u64,
}

/// An oasis or the Throne.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceDocument {
    /// The place, as `raftian order march` takes it.
    pub place: String,
    /// Tiles to the east of the Throne.
    pub x: i8,
    /// Tiles to the south of the Throne.
    pub y: i8,
    /// The resource that an oasis produces.
    pub resource: Option<Resource>,
    /// The seat that holds it.
    pub holder: Option<u8>,
    /// Spears, axes, riders and rams there.
    pub garrison: [u32; 4],
}

/// A march.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarchDocument {
    /// Its number.
    pub march: u64,
    /// Its seat.
    pub seat: u8,
    /// Where it marches or comes from, as `raftian order march` takes it.
    pub place: String,
    /// Whether it returns home.
    pub returns: bool,
    /// Game clock of its arrival.
    pub arrives_ms: u64,
    /// Spears, axes, riders and rams.
    pub army: [u32; 4],
}

/// How a match ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndDocument {
    /// The seat that won; none after a draw.
    pub winner: Option<u8>,
    /// crowns, last-keep or time.
    pub reason: String,
    /// Game clock.
    pub at_ms: u64,
}

/// Returns the document of a table.
pub fn of(table: &Table, log: &AppliedLog) -> TableDocument {
    let setup = table.setup();
    let seats = (1..).zip(table.chairs());
    TableDocument {
        playing: table.is_playing(),
        round: table.rounds(),
        speed: setup.speed,
        window_ms: table.window(),
        sandbox: setup.is_sandbox,
        seats: seats
            .map(|(seat, chair)| seat_document(seat, chair, table, log))
            .collect(),
        game: table.game().map(game_document),
    }
}

fn seat_document(seat: u8, chair: &Chair, table: &Table, log: &AppliedLog) -> SeatDocument {
    let open = SeatDocument {
        seat,
        kind: "open".to_owned(),
        name: None,
        ready: false,
        present: false,
        runs_on: None,
        handicap: chair.handicap,
        wins: 0,
    };
    match &chair.occupant {
        Occupant::Open => open,
        Occupant::Player(player) => SeatDocument {
            kind: "player".to_owned(),
            name: name_of(player.id, log),
            ready: player.is_ready,
            present: player.is_present(),
            wins: table.wins(player.id),
            ..open
        },
        Occupant::Bot(bot) => SeatDocument {
            kind: "bot".to_owned(),
            name: Some(bot_name(bot)),
            ready: true,
            present: log.roster.is_present(raftian_raft::NodeId(bot.member)),
            runs_on: Some(bot.member),
            ..open
        },
    }
}

/// Display names of the seats, in order. A name that several seats have is followed by the seat.
pub fn seat_names(table: &Table, log: &AppliedLog) -> Vec<String> {
    let plain = table.chairs().iter().map(|chair| match &chair.occupant {
        Occupant::Open => None,
        Occupant::Player(player) => name_of(player.id, log),
        Occupant::Bot(bot) => Some(bot_name(bot)),
    });
    distinct(&plain.collect::<Vec<_>>())
}

fn bot_name(bot: &SeatedBot) -> String {
    format!("{} {}", bot.level.name(), bot.archetype.name())
}

fn distinct(names: &[Option<String>]) -> Vec<String> {
    let numbered = (1_u16..).zip(names);
    let named = numbered.map(|(seat, name)| match name {
        None => format!("seat {seat}"),
        Some(name)
            if names
                .iter()
                .flatten()
                .filter(|other| *other == name)
                .count()
                > 1 =>
        {
            format!("{name} (seat {seat})")
        }
        Some(name) => name.clone(),
    });
    named.collect()
}

/// Name of a player, if the log knows it.
pub fn name_of(player: PlayerId, log: &AppliedLog) -> Option<String> {
    let present = log.roster.present().chain(log.roster.former());
    let mut own = present.filter(|(id, _)| player_of(log, *id) == player);
    own.next()
        .and_then(|(_, participant)| participant.name.clone())
}

fn counts(army: &Army) -> [u32; 4] {
    UnitKind::ALL.map(|kind| army.count(kind))
}

/// Returns the document of a match.
pub fn game_document(game: &Crowns) -> GameDocument {
    let tile = |place| game.map().tile(place).unwrap_or(Tile::THRONE);
    let city = |(seat, own): (u8, &raftian_realm::crowns::Seat)| SeatedCityDocument {
        seat: seat + 1,
        x: tile(Place::City(seat)).x,
        y: tile(Place::City(seat)).y,
        smokes_until_ms: own.smokes_until(),
        keep: own.keep(),
        crowns: game.crowns(seat),
        stock: game.stock(seat).map_or([0; 3], |stock| stock.amounts()),
        rates: game.rates(seat),
        fields: own.levels().fields,
        barracks: own.levels().barracks,
        wall: own.levels().wall,
        store: own.levels().store,
        site: own.sites().0.map(|site| SiteDocument {
            building: building_text(site.building).to_owned(),
            done_ms: site.done,
        }),
        batches: own.batches().len(),
        home: counts(own.home()),
        army: counts(&game.army_of(seat)),
    };
    let marches = game.marches().map(|(march, one)| MarchDocument {
        march,
        seat: one.seat + 1,
        place: place_text(one.place),
        returns: one.returns,
        arrives_ms: one.arrives,
        army: counts(&one.army),
    });
    let oases = (0..).zip(&game.map().oases);
    let oases = oases.map(|(number, oasis)| (Place::Oasis(number), Some(oasis.resource)));
    let places = oases
        .chain([(Place::Throne, None)])
        .map(|(place, resource)| {
            let holding = game.holding(place).cloned().unwrap_or_default();
            PlaceDocument {
                place: place_text(place),
                x: tile(place).x,
                y: tile(place).y,
                resource,
                holder: holding.holder.map(|seat| seat + 1),
                garrison: counts(&holding.garrison),
            }
        });
    let throne = game.holding(Place::Throne).and_then(|throne| throne.holder);
    GameDocument {
        clock_ms: game.now(),
        goal: game.goal(),
        throne: throne.map(|seat| seat + 1),
        cities: (0..).zip(game.seats()).map(city).collect(),
        places: places.collect(),
        marches: marches.collect(),
        end: game.end().map(|end| EndDocument {
            winner: end.winner.map(|seat| seat + 1),
            reason: match end.reason {
                EndReason::Crowns => "crowns",
                EndReason::LastKeep => "last-keep",
                EndReason::Time => "time",
            }
            .to_owned(),
            at_ms: end.at,
        }),
    }
}

/// A building as `raftian order build` takes it.
fn building_text(building: Building) -> &'static str {
    match building {
        Building::Field(Resource::Wood) => "lumber",
        Building::Field(Resource::Iron) => "mine",
        Building::Field(Resource::Grain) => "farm",
        Building::Barracks => "barracks",
        Building::Wall => "wall",
        Building::Store => "store",
    }
}

/// A place as `raftian order march` takes it: `throne`, `city:2`, `oasis:5`.
pub fn place_text(place: Place) -> String {
    match place {
        Place::City(seat) => format!("city:{}", u16::from(seat) + 1),
        Place::Oasis(number) => format!("oasis:{}", u16::from(number) + 1),
        Place::Throne => "throne".to_owned(),
    }
}

impl TableDocument {
    /// Whether there is something to show: a seat is taken, or a match was played.
    pub fn is_used(&self) -> bool {
        self.game.is_some() || self.seats.iter().any(|seat| seat.kind != "open")
    }

    /// Lines of the status text: labels and values.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(game) = &self.game {
            lines.push(("crowns", game.text()));
        }
        for seat in &self.seats {
            let mut text = format!("{} {}", seat.seat, seat.kind);
            // Writing to a string cannot fail.
            if let Some(name) = &seat.name {
                let _ = write!(text, " {name}");
            }
            if let Some(member) = seat.runs_on {
                let _ = write!(text, " on n{member}");
            }
            if seat.kind == "player" && !seat.present {
                text += ", away";
            }
            if !self.playing && seat.kind == "player" && seat.ready {
                text += ", ready";
            }
            let city = self.game.as_ref().and_then(|game| game.city(seat.seat));
            if let Some(city) = city {
                let [wood, iron, grain] = city.stock;
                let army: u32 = city.army.iter().sum();
                let _ = write!(
                    text,
                    ": {} crowns, keep {}, {army} units, {wood} wood, {iron} iron, {grain} grain",
                    city.crowns, city.keep
                );
            }
            lines.push(("seat", text));
        }
        lines
    }
}

impl GameDocument {
    fn city(&self, seat: u8) -> Option<&SeatedCityDocument> {
        self.cities.iter().find(|city| city.seat == seat)
    }

    fn text(&self) -> String {
        match &self.end {
            Some(end) => {
                let winner = end
                    .winner
                    .map_or("a draw".to_owned(), |seat| format!("seat {seat} won"));
                format!(
                    "ended after {}: {winner} ({})",
                    minutes(end.at_ms),
                    end.reason
                )
            }
            None => {
                let throne = self
                    .throne
                    .map_or("free".to_owned(), |seat| format!("held by seat {seat}"));
                let clock = minutes(self.clock_ms);
                let marches = match self.marches.len() {
                    1 => "1 march".to_owned(),
                    count => format!("{count} marches"),
                };
                format!(
                    "{clock}, {marches}, the Throne is {throne}, goal {}",
                    self.goal
                )
            }
        }
    }
}

fn minutes(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_of_one_name_are_numbered() {
        let names = [
            Some("Ann"),
            None,
            Some("captain rush"),
            Some("captain rush"),
        ];
        let names = names.map(|name| name.map(str::to_owned));
        assert_eq!(
            distinct(&names),
            [
                "Ann",
                "seat 2",
                "captain rush (seat 3)",
                "captain rush (seat 4)"
            ]
        );
    }
}
