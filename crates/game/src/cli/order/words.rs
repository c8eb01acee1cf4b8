//! Orders of Crowns and commands of the table, as words of the command line.

use clap::{Args, Subcommand, ValueEnum};
use raftian_realm::crowns::{
    Army, Attack, Building, MAX_BATCH, Order, PactOrder, Phrase, Place, Resource, SEATS, Text,
    TextError, Tile, UnitKind, Words,
};
use raftian_realm::table::{
    Archetype, Command, HANDICAPS, Level, MAX_SPEED, MAX_WINDOW, SetupChange,
};

/// An order of the own seat.
#[derive(Subcommand, Debug)]
pub(in crate::cli) enum CrownsOrder {
    /// Raise a building by one level, now or after the one under construction.
    Build {
        /// The building.
        #[arg(ignore_case = true)]
        building: BuildingName,
    },
    /// Give up the waiting building, or the one under construction; its cost is returned.
    CancelBuild,
    /// Train units.
    Train {
        /// The unit.
        #[arg(ignore_case = true)]
        unit: UnitName,
        /// How many: 1 to 200.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_BATCH)))]
        count: u32,
    },
    /// Send an army to a city, an oasis or the Throne.
    March {
        /// `city:N`, `oasis:N` or `throne`.
        #[arg(value_parser = place)]
        to: Place,
        #[command(flatten)]
        army: ArmyArgs,
        /// Attack a city for loot, instead of assaulting its keep.
        #[arg(long)]
        raid: bool,
    },
    /// Turn a march round that has not arrived.
    TurnBack {
        /// Number of the march; see `raftian table`.
        march: u64,
    },
    /// Call a garrison home.
    CallHome {
        /// `oasis:N` or `throne`.
        #[arg(value_parser = place)]
        place: Place,
    },
    /// Swap an amount of one resource for another.
    Swap {
        /// Resource to give.
        #[arg(ignore_case = true)]
        give: ResourceName,
        /// Amount to give.
        amount: u64,
        /// Resource to receive.
        #[arg(ignore_case = true)]
        receive: ResourceName,
    },
    /// Repair the keep, as long as there is wood.
    Repair {
        /// End the repair instead.
        #[arg(long)]
        stop: bool,
    },
    /// Offer, accept or end a pact with another seat.
    Pact {
        /// The other seat.
        #[arg(value_parser = seat)]
        seat: u8,
        /// The change.
        change: PactName,
    },
    /// Send goods to another seat.
    Give {
        /// That seat.
        #[arg(value_parser = seat)]
        seat: u8,
        /// Wood.
        #[arg(long, default_value_t = 0)]
        wood: u64,
        /// Iron.
        #[arg(long, default_value_t = 0)]
        iron: u64,
        /// Grain.
        #[arg(long, default_value_t = 0)]
        grain: u64,
    },
    /// Send a chat message to all players.
    Say {
        /// Your words, up to 120 characters.
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Say a phrase that every player reads in their own language.
    Phrase {
        /// The phrase.
        phrase: PhraseName,
    },
    /// Point at a tile, counted from the Throne at 0 0.
    #[command(allow_negative_numbers = true)]
    Ping {
        /// Tiles to the east.
        x: i8,
        /// Tiles to the south.
        y: i8,
    },
    /// Give up: the city falls.
    Concede,
}

/// Changes of a setup.
#[derive(Args, Debug)]
pub(in crate::cli) struct SetupArgs {
    /// Number of seats: 2 to 8.
    #[arg(
        long,
        value_parser = clap::value_parser!(u8)
            .range(i64::from(*SEATS.start())..=i64::from(*SEATS.end()))
    )]
    seats: Option<u8>,
    /// Speed of the game clock: 1 to 20.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_SPEED))]
    speed: Option<u64>,
    /// Milliseconds of a fair window, in which it does not matter whose order came first: up to
    /// 1000, 0 for none, or auto for 200 if the members are far apart.
    #[arg(long, value_name = "MS", value_parser = fair_window)]
    fair_window: Option<FairWindow>,
    /// Whether all members are one player, who orders through any of them: true or false.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    sandbox: Option<bool>,
}

/// A fair window; none for the automatic one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FairWindow(Option<u64>);

impl SetupArgs {
    /// The changes that are named.
    fn change(&self) -> SetupChange {
        SetupChange {
            seats: self.seats,
            window: self.fair_window.map(|window| window.0),
            speed: self.speed,
            is_sandbox: self.sandbox,
        }
    }
}

/// Units of a march.
#[derive(Args, Debug)]
pub(in crate::cli) struct ArmyArgs {
    /// Number of spears.
    #[arg(long, default_value_t = 0)]
    spears: u32,
    /// Number of axes.
    #[arg(long, default_value_t = 0)]
    axes: u32,
    /// Number of riders.
    #[arg(long, default_value_t = 0)]
    riders: u32,
    /// Number of rams.
    #[arg(long, default_value_t = 0)]
    rams: u32,
}

/// A command of the table.
#[derive(Subcommand, Debug)]
pub(in crate::cli) enum TableOrder {
    /// Take a free seat.
    Sit,
    /// Leave the seat before a match.
    Stand,
    /// Be ready to begin.
    Ready,
    /// Be not ready yet.
    NotReady,
    /// Change what the table agrees on; what is not named stays as it is.
    Setup(SetupArgs),
    /// Change the production of a seat.
    Handicap {
        /// The seat.
        #[arg(value_parser = seat)]
        seat: u8,
        /// Production in percent: 50 to 200.
        #[arg(value_parser = clap::value_parser!(u64).range(HANDICAPS))]
        percent: u64,
    },
    /// Give a free seat to a bot, which this member runs.
    AddBot {
        /// Its strength.
        level: LevelName,
        /// How it plays.
        #[arg(default_value = "balanced")]
        archetype: ArchetypeName,
    },
    /// Remove a bot before a match.
    RemoveBot {
        /// Its seat.
        #[arg(value_parser = seat)]
        seat: u8,
    },
    /// Begin the match.
    Start,
    /// End a match in which only bots play.
    Abandon,
    /// Want another match after this one.
    Rematch {
        /// Do not want it any longer.
        #[arg(long)]
        cancel: bool,
    },
    /// Let a steward keep the city while you are absent, or forbid it.
    Steward {
        /// Whether it may.
        switch: Switch,
    },
}

/// A setting that is on or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(in crate::cli) enum Switch {
    /// It is allowed.
    On,
    /// It is forbidden.
    Off,
}

/// Declares the words for the values of a type of the rules.
macro_rules! words {
    ($(#[doc = $doc:literal] $name:ident for $type:ty {
        $($(#[$attribute:meta])* $word:ident => $value:expr,)*
    })*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, ValueEnum)]
        pub(in crate::cli) enum $name {
            $(
                #[allow(missing_docs, reason = "the words are those of the rules")]
                $(#[$attribute])*
                $word,
            )*
        }

        impl From<$name> for $type {
            fn from(name: $name) -> $type {
                match name {
                    $($name::$word => $value,)*
                }
            }
        }
    )*};
}

words! {
    #[doc = "A building."]
    BuildingName for Building {
        Lumber => Building::Field(Resource::Wood),
        Mine => Building::Field(Resource::Iron),
        Farm => Building::Field(Resource::Grain),
        Barracks => Building::Barracks,
        Wall => Building::Wall,
        Store => Building::Store,
    }
    #[doc = "A unit."]
    UnitName for UnitKind {
        #[value(alias = "spears")]
        Spear => UnitKind::Spear,
        #[value(alias = "axes")]
        Axe => UnitKind::Axe,
        #[value(alias = "riders")]
        Rider => UnitKind::Rider,
        #[value(alias = "rams")]
        Ram => UnitKind::Ram,
    }
    #[doc = "A resource."]
    ResourceName for Resource {
        Wood => Resource::Wood,
        Iron => Resource::Iron,
        Grain => Resource::Grain,
    }
    #[doc = "A change of a pact."]
    PactName for PactOrder {
        Offer => PactOrder::Offer,
        Accept => PactOrder::Accept,
        End => PactOrder::End,
    }
    #[doc = "A strength of a bot."]
    LevelName for Level {
        Recruit => Level::Recruit,
        Captain => Level::Captain,
        Warlord => Level::Warlord,
    }
    #[doc = "A way to play."]
    ArchetypeName for Archetype {
        Rush => Archetype::Rush,
        Raid => Archetype::Raid,
        Boom => Archetype::Boom,
        Turtle => Archetype::Turtle,
        Expand => Archetype::Expand,
        Balanced => Archetype::Balanced,
    }
    #[doc = "A phrase."]
    PhraseName for Phrase {
        Hello => Phrase::Hello,
        GoodLuck => Phrase::GoodLuck,
        WellPlayed => Phrase::WellPlayed,
        Thanks => Phrase::Thanks,
        Sorry => Phrase::Sorry,
        Yes => Phrase::Yes,
        No => Phrase::No,
        Help => Phrase::Help,
        Attack => Phrase::Attack,
        Defend => Phrase::Defend,
        Peace => Phrase::Peace,
        Beware => Phrase::Beware,
    }
}

impl CrownsOrder {
    /// The order.
    ///
    /// # Errors
    /// [`TextError`] for words that are too long.
    pub(in crate::cli) fn order(&self) -> Result<Order, TextError> {
        Ok(match *self {
            CrownsOrder::Build { building } => Order::Build(building.into()),
            CrownsOrder::CancelBuild => Order::CancelBuild,
            CrownsOrder::Train { unit, count } => Order::Train(unit.into(), count),
            CrownsOrder::March { to, ref army, raid } => Order::March {
                army: Army::new([army.spears, army.axes, army.riders, army.rams]),
                to,
                attack: if raid { Attack::Raid } else { Attack::Assault },
            },
            CrownsOrder::TurnBack { march } => Order::TurnBack { march },
            CrownsOrder::CallHome { place } => Order::CallHome(place),
            CrownsOrder::Swap {
                give,
                amount,
                receive,
            } => Order::Swap {
                give: give.into(),
                amount,
                receive: receive.into(),
            },
            CrownsOrder::Repair { stop } => Order::Repair(!stop),
            CrownsOrder::Pact { seat, change } => Order::Pact {
                with: seat,
                order: change.into(),
            },
            CrownsOrder::Give {
                seat,
                wood,
                iron,
                grain,
            } => Order::Give {
                to: seat,
                goods: [wood, iron, grain],
            },
            CrownsOrder::Say { ref words } => {
                Order::Say(Words::Text(Text::try_from(words.join(" "))?))
            }
            CrownsOrder::Phrase { phrase } => Order::Say(Words::Phrase(phrase.into())),
            CrownsOrder::Ping { x, y } => Order::Ping(Tile { x, y }),
            CrownsOrder::Concede => Order::Concede,
        })
    }
}

impl TableOrder {
    /// The command.
    pub(in crate::cli) fn command(&self) -> Command {
        match *self {
            TableOrder::Sit => Command::Sit,
            TableOrder::Stand => Command::Stand,
            TableOrder::Ready => Command::Ready(true),
            TableOrder::NotReady => Command::Ready(false),
            TableOrder::Setup(ref changes) => Command::Configure(changes.change()),
            TableOrder::Handicap { seat, percent } => Command::Handicap { seat, percent },
            TableOrder::AddBot { level, archetype } => Command::AddBot {
                level: level.into(),
                archetype: archetype.into(),
            },
            TableOrder::RemoveBot { seat } => Command::RemoveBot { seat },
            TableOrder::Start => Command::Start,
            TableOrder::Abandon => Command::Abandon,
            TableOrder::Rematch { cancel } => Command::Rematch(!cancel),
            TableOrder::Steward { switch } => Command::Steward(switch == Switch::On),
        }
    }
}

/// Parses a seat, counted from 1.
fn seat(text: &str) -> Result<u8, String> {
    let seat: Option<u8> = text.parse().ok();
    seat.and_then(|seat| seat.checked_sub(1))
        .ok_or_else(|| format!("{text:?} is not a seat; they are numbered from 1"))
}

/// Parses a fair window.
fn fair_window(text: &str) -> Result<FairWindow, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(FairWindow(None));
    }
    let window = text.parse().ok().filter(|window| *window <= MAX_WINDOW);
    match window {
        Some(window) => Ok(FairWindow(Some(window))),
        None => Err(format!("give 0 to {MAX_WINDOW} milliseconds, or auto")),
    }
}

/// Parses a place, in lower or upper case.
fn place(text: &str) -> Result<Place, String> {
    let wrong = || format!("{text:?} is not a place; write throne, city:N or oasis:N");
    let text = text.to_ascii_lowercase();
    if text == "throne" {
        return Ok(Place::Throne);
    }
    let (kind, number) = text.split_once(':').ok_or_else(wrong)?;
    let number = seat(number).map_err(|_| wrong())?;
    match kind {
        "city" => Ok(Place::City(number)),
        "oasis" => Ok(Place::Oasis(number)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use raftian_realm::table::Setup;

    use super::*;
    use crate::table_document::place_text;

    #[derive(Parser, Debug)]
    #[command(no_binary_name = true)]
    struct OrderLine {
        #[command(subcommand)]
        order: CrownsOrder,
    }

    #[derive(Parser, Debug)]
    #[command(no_binary_name = true)]
    struct TableLine {
        #[command(subcommand)]
        order: TableOrder,
    }

    fn order(line: &str) -> Result<Order, String> {
        let parsed = OrderLine::try_parse_from(line.split_whitespace());
        let parsed = parsed.map_err(|error| error.to_string())?;
        parsed.order.order().map_err(|error| error.to_string())
    }

    fn table(line: &str) -> Result<Command, String> {
        let parsed = TableLine::try_parse_from(line.split_whitespace());
        let parsed = parsed.map_err(|error| error.to_string())?;
        Ok(parsed.order.command())
    }

    #[test]
    fn setup_keeps_what_is_not_named() {
        let present = Setup {
            seats: 3,
            window: Some(50),
            speed: 7,
            is_sandbox: true,
        };
        let changed = |line| match table(line) {
            Ok(Command::Configure(change)) => change.applied_to(present),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(changed("setup"), present);
        assert_eq!(
            changed("setup --speed 9"),
            Setup {
                speed: 9,
                ..present
            }
        );
        let automatic = changed("setup --fair-window auto --sandbox false");
        assert_eq!((automatic.window, automatic.is_sandbox), (None, false));
        assert_eq!((automatic.seats, automatic.speed), (3, 7));
    }

    #[test]
    fn number_out_of_bounds_names_its_bounds_only() {
        for (line, bounds) in [
            ("setup --seats 9", "2..=8"),
            ("setup --speed 0", "1..=20"),
            ("setup --fair-window 1001", "0 to 1000"),
            ("handicap 1 201", "50..=200"),
        ] {
            let error = table(line).unwrap_err();
            assert!(error.contains(bounds), "{line}: {error}");
        }
        let error = order("train axe 0").unwrap_err();
        assert!(error.contains("1..=200"), "{error}");
    }

    #[test]
    fn units_are_read_in_any_case_and_number() {
        let axes = Ok(Order::Train(UnitKind::Axe, 2));
        for line in ["train axe 2", "train Axes 2", "train AXE 2"] {
            assert_eq!(order(line), axes, "{line}");
        }
        assert_eq!(table("steward off"), Ok(Command::Steward(false)));
        let error = table("steward maybe").unwrap_err();
        assert!(error.contains("[possible values: on, off]"), "{error}");
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for one in [Place::Throne, Place::City(0), Place::Oasis(15)] {
            assert_eq!(place(&place_text(one)), Ok(one));
        }
        assert_eq!(place("Throne"), Ok(Place::Throne));
        assert_eq!(place("OASIS:2"), Ok(Place::Oasis(1)));
        for wrong in [
            "",
            "thrones",
            "city",
            "city:0",
            "city:x",
            "oasis:-1",
            "keep:1",
            "oasis:999",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
