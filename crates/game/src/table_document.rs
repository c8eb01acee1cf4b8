//! The table of a match as a document, as part of the status.

use std::collections::BTreeMap;

use bevy_raft::AppliedLog;
use raftian_realm::crowns::{
    Army, Building, Crowns, EndReason, Pact, Place, Resource, Tile, UnitKind,
};
use raftian_realm::table::{Archetype, Chair, Level, MatchSeat, Occupant, PlayerId, Table};
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
    /// Seat of the member's player; none for one who only watches.
    pub own_seat: Option<u8>,
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
    /// Whether a steward keeps the city while the player is absent.
    pub steward: bool,
    /// Whether the player wants another match after this one.
    pub wants_rematch: bool,
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
    /// Game clock at which the Throne opens.
    pub throne_opens_ms: u64,
    /// Game clock from which keeps are not repaired.
    pub sudden_death_ms: u64,
    /// Game clock at which the match ends at the latest.
    pub ends_ms: u64,
    /// Hit points of a whole keep.
    pub full_keep: u32,
    /// The cities, in order of the seats.
    pub cities: Vec<SeatedCityDocument>,
    /// The oases and the Throne.
    pub places: Vec<PlaceDocument>,
    /// The marches under way.
    pub marches: Vec<MarchDocument>,
    /// The pacts between seats, and offers.
    pub pacts: Vec<PactDocument>,
    /// How it ended; none while it is played.
    pub end: Option<EndDocument>,
}

/// The city of a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatedCityDocument {
    /// The seat.
    pub seat: u8,
    /// Name of who plays it, if it is known.
    pub name: Option<String>,
    /// Tiles to the east of the Throne.
    pub x: i8,
    /// Tiles to the south of the Throne.
    pub y: i8,
    /// Game clock until which the keep cannot be hit.
    pub smokes_until_ms: u64,
    /// Hit points of its keep; 0 once it has fallen.
    pub keep: u32,
    /// Whether the keep is repaired.
    pub repairs: bool,
    /// Its crowns.
    pub crowns: u64,
    /// Wood, iron and grain.
    pub stock: [u64; 3],
    /// Their change per minute.
    pub rates: [i64; 3],
    /// Room for each of them.
    pub capacity: u64,
    /// Levels of the fields of wood, iron and grain.
    pub fields: [u8; 3],
    /// Level of the barracks.
    pub barracks: u8,
    /// Level of the wall.
    pub wall: u8,
    /// Level of the store.
    pub store: u8,
    /// Cost of the next level of each building in wood, iron and grain; none at its highest level,
    /// and while another building waits.
    pub costs: BTreeMap<String, Option<[u64; 3]>>,
    /// The building under construction.
    pub site: Option<SiteDocument>,
    /// The building that waits for the one under construction, named as in `site`.
    pub waiting: Option<String>,
    /// Number of batches in training.
    pub batches: usize,
    /// The batches, first the one that is trained now.
    pub training: Vec<BatchDocument>,
    /// Spears, axes, riders and rams at home.
    pub home: [u32; 4],
    /// Spears, axes, riders and rams, all of the seat.
    pub army: [u32; 4],
}

/// Units in training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchDocument {
    /// spear, axe, rider or ram.
    pub unit: UnitKind,
    /// Number of units left.
    pub count: u32,
}

/// A pact, or the offer of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PactDocument {
    /// The two seats.
    pub seats: [u8; 2],
    /// The seat that offers it; none once it is agreed.
    pub offered_by: Option<u8>,
    /// Game clock at which it ends; none without notice.
    pub ends_ms: Option<u64>,
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
    /// crowns, last-keep, time or abandoned.
    pub reason: String,
    /// Game clock.
    pub at_ms: u64,
}

/// Returns the document of a table for the player of the seat `own`, counted from 0.
pub fn of(table: &Table, log: &AppliedLog, own: Option<u8>) -> TableDocument {
    let setup = table.setup();
    let seats = (1..).zip(table.chairs());
    TableDocument {
        playing: table.is_playing(),
        round: table.rounds(),
        speed: setup.speed,
        window_ms: table.window(),
        sandbox: setup.is_sandbox,
        own_seat: own.map(|seat| seat + 1),
        seats: seats
            .map(|(seat, chair)| seat_document(seat, chair, table, log))
            .collect(),
        game: table
            .game()
            .map(|game| game_document(game, &match_names(table, log))),
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
        steward: false,
        wants_rematch: false,
    };
    match &chair.occupant {
        Occupant::Open => open,
        Occupant::Player(player) => SeatDocument {
            kind: "player".to_owned(),
            name: name_of(player.id, log),
            ready: player.is_ready,
            present: player.is_present(),
            wins: table.wins(player.id),
            steward: player.has_steward,
            wants_rematch: player.wants_rematch,
            ..open
        },
        Occupant::Bot(bot) => SeatDocument {
            kind: "bot".to_owned(),
            name: Some(bot_name(bot.level, bot.archetype)),
            ready: true,
            present: log.roster.is_present(raftian_raft::NodeId(bot.member)),
            runs_on: Some(bot.member),
            ..open
        },
    }
}

/// Display names of the seats of the match, in order. A name that several seats have is followed by
/// the seat.
pub fn seat_names(table: &Table, log: &AppliedLog) -> Vec<String> {
    distinct(&match_names(table, log))
}

/// Names of who plays the seats of the match, as far as they are known: not those of others who
/// have sat down since its end.
fn match_names(table: &Table, log: &AppliedLog) -> Vec<Option<String>> {
    let seats = table.match_seats().iter();
    let names = seats.map(|seat| match *seat {
        MatchSeat::Player(player) => name_of(player, log),
        MatchSeat::Bot(level, archetype) => Some(bot_name(level, archetype)),
    });
    names.collect()
}

fn bot_name(level: Level, archetype: Archetype) -> String {
    format!("{} {}", level.name(), archetype.name())
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

/// Returns the document of a match. `names` are those of who plays its seats, as far as they are
/// known.
pub fn game_document(game: &Crowns, names: &[Option<String>]) -> GameDocument {
    let tile = |place| game.map().tile(place).unwrap_or(Tile::THRONE);
    let city = |(seat, own): (u8, &raftian_realm::crowns::Seat)| SeatedCityDocument {
        seat: seat + 1,
        name: names.get(usize::from(seat)).cloned().flatten(),
        x: tile(Place::City(seat)).x,
        y: tile(Place::City(seat)).y,
        smokes_until_ms: own.smokes_until(),
        keep: own.keep(),
        repairs: own.is_repaired(),
        crowns: game.crowns(seat),
        stock: game.stock(seat).map_or([0; 3], |stock| stock.amounts()),
        rates: game.rates(seat),
        capacity: game.capacity(seat),
        fields: own.levels().fields,
        barracks: own.levels().barracks,
        wall: own.levels().wall,
        store: own.levels().store,
        costs: BUILDINGS
            .map(|one| (building_text(one).to_owned(), game.building_cost(seat, one)))
            .into(),
        site: own.sites().0.map(|site| SiteDocument {
            building: building_text(site.building).to_owned(),
            done_ms: site.done,
        }),
        waiting: own.sites().1.map(|one| building_text(one).to_owned()),
        batches: own.batches().len(),
        training: own
            .batches()
            .map(|(unit, count)| BatchDocument { unit, count })
            .collect(),
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
    let rules = game.rules();
    let throne = game.holding(Place::Throne).and_then(|throne| throne.holder);
    GameDocument {
        clock_ms: game.now(),
        goal: game.goal(),
        throne: throne.map(|seat| seat + 1),
        throne_opens_ms: 1_000 * rules.throne.opens,
        sudden_death_ms: 1_000 * rules.goal.sudden_death,
        ends_ms: 1_000 * rules.goal.end,
        full_keep: rules.start.keep,
        cities: (0..).zip(game.seats()).map(city).collect(),
        places: places.collect(),
        marches: marches.collect(),
        pacts: pacts(game),
        end: game.end().map(|end| EndDocument {
            winner: end.winner.map(|seat| seat + 1),
            reason: match end.reason {
                EndReason::Crowns => "crowns",
                EndReason::LastKeep => "last-keep",
                EndReason::Time => "time",
                EndReason::Abandoned => "abandoned",
            }
            .to_owned(),
            at_ms: end.at,
        }),
    }
}

fn pacts(game: &Crowns) -> Vec<PactDocument> {
    let count = u8::try_from(game.seats().len()).unwrap_or(u8::MAX);
    let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
    let pacts = pairs.filter_map(|(one, other)| {
        let (offered_by, ends_ms) = match game.pact(one, other)? {
            Pact::Offered { by } => (Some(by + 1), None),
            Pact::Agreed => (None, None),
            Pact::Ends(at) => (None, Some(at)),
        };
        Some(PactDocument {
            seats: [one + 1, other + 1],
            offered_by,
            ends_ms,
        })
    });
    pacts.collect()
}

/// All buildings.
const BUILDINGS: [Building; 6] = [
    Building::Field(Resource::Wood),
    Building::Field(Resource::Iron),
    Building::Field(Resource::Grain),
    Building::Barracks,
    Building::Wall,
    Building::Store,
];

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

    #[test]
    fn city_has_the_costs_of_its_buildings() {
        let rules = raftian_realm::crowns::Rules::of_this_build();
        let mut game = Crowns::new(2, 1, rules, 0).expect("two seats have a map");
        let costs = &game_document(&game, &[]).cities[0].costs;
        assert_eq!(costs["farm"], Some([140, 84, 56]));
        assert_eq!(costs.len(), 6);
        for _ in 0..2 {
            let wall = raftian_realm::crowns::Order::Build(Building::Wall);
            let stamp = game.now() + 60_000;
            assert_eq!(game.order(0, &wall, stamp), Ok(()));
            assert_eq!(game.order(0, &wall, stamp), Ok(()));
            let document = game_document(&game, &[]);
            assert_eq!(document.cities[0].costs["farm"], None);
        }
    }
}
