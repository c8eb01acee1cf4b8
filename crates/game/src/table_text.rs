//! The table of a match as text: short for `raftian status`, in detail for `raftian table`.

use std::fmt::Write;

use raftian_realm::crowns::{Army, EndReason, Resource};

use crate::report_words::{clock, ending};
use crate::table_document::{
    EndDocument, GameDocument, MarchDocument, PactDocument, PlaceDocument, SeatDocument,
    SeatedCityDocument, TableDocument,
};

/// A label and its value.
type Line = (&'static str, String);

impl TableDocument {
    /// Whether there is something to show: a seat is taken, or a match was played.
    pub fn is_used(&self) -> bool {
        self.game.is_some() || self.seats.iter().any(|seat| seat.kind != "open")
    }

    /// Lines of the status text: labels and values.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(game) = &self.game {
            lines.push(("crowns", self.match_text(game)));
        }
        for seat in &self.seats {
            let mut text = format!("{} {}", seat.seat, seat.kind);
            // Writing to a string cannot fail.
            if let Some(name) = &seat.name {
                let _ = write!(text, " {name}");
            }
            text += &self.remarks(seat);
            if let Some(city) = self.playing_city(seat.seat) {
                let [wood, iron, grain] = city.stock;
                let summary = summary(city);
                let _ = write!(text, ": {summary}, {wood} wood, {iron} iron, {grain} grain");
            }
            lines.push(("seat", text));
        }
        lines
    }

    /// Formats the table in detail: aligned lines about the seats and the match, and about the own
    /// city while a match is played.
    pub fn to_text(&self) -> String {
        let mut lines = vec![("table", self.setup_text())];
        if let Some(game) = &self.game {
            lines.push(("match", self.match_text(game)));
        }
        lines.extend(self.rematch_text().map(|votes| ("rematch", votes)));
        for seat in &self.seats {
            lines.push(("seat", self.seat_text(seat)));
        }
        let ended = self.game.as_ref().filter(|game| game.end.is_some());
        for city in ended.iter().flat_map(|game| &game.cities) {
            let played = format!("{}: {}", self.title(city.seat), summary(city));
            lines.push(("played", played));
        }
        let playing = self.game.as_ref().filter(|game| game.end.is_none());
        if let Some(game) = playing {
            lines.extend(self.city_lines(game));
            let places = game.places.iter();
            lines.extend(places.map(|place| ("place", self.place_text(game, place))));
            let pacts = game.pacts.iter();
            lines.extend(pacts.map(|pact| ("pact", self.pact_text(game, pact))));
        }
        let mut text = String::new();
        for (label, value) in lines {
            let _ = writeln!(text, "{label:<11}{value}");
        }
        text
    }

    fn setup_text(&self) -> String {
        let state = match (self.playing, self.round) {
            (true, round) => format!("match {round} is played"),
            (false, 0) => "no match was played yet".to_owned(),
            (false, round) => format!("match {round} has ended"),
        };
        let window = match self.window_ms {
            0 => "no fair window".to_owned(),
            window => format!("fair window {window} ms"),
        };
        let sandbox = if self.sandbox { ", sandbox" } else { "" };
        format!("{state}; speed {}, {window}{sandbox}", self.speed)
    }

    fn match_text(&self, game: &GameDocument) -> String {
        match &game.end {
            Some(end) => format!("ended after {}: {}", clock(end.at_ms), self.end_text(end)),
            None => {
                let now = clock(game.clock_ms);
                let marches = counted(game.marches.len() as u64, "march", "marches");
                let throne = match game.throne {
                    Some(seat) => format!("the Throne is held by {}", self.title(seat)),
                    None if game.clock_ms < game.throne_opens_ms => {
                        format!("the Throne opens at {}", clock(game.throne_opens_ms))
                    }
                    None => "the Throne is free".to_owned(),
                };
                format!("{now}, {marches}, {throne}, goal {} crowns", game.goal)
            }
        }
    }

    fn end_text(&self, end: &EndDocument) -> String {
        let winner = end.winner.map(|seat| self.title(seat));
        let reason = match end.reason.as_str() {
            "crowns" => EndReason::Crowns,
            "last-keep" => EndReason::LastKeep,
            "abandoned" => EndReason::Abandoned,
            _ => EndReason::Time,
        };
        ending(winner.as_deref(), reason)
    }

    /// Votes for another match; none before the end of one.
    fn rematch_text(&self) -> Option<String> {
        self.game.as_ref()?.end.as_ref()?;
        let players = self.seats.iter().filter(|seat| seat.kind == "player");
        let present: Vec<_> = players.filter(|seat| seat.present).collect();
        let votes = present.iter().filter(|seat| seat.wants_rematch).count();
        Some(format!(
            "{votes} of {} players here want it; it begins with more than half",
            present.len()
        ))
    }

    /// The city of a seat while a match is played.
    fn playing_city(&self, seat: u8) -> Option<&SeatedCityDocument> {
        let playing = self.game.as_ref().filter(|game| game.end.is_none());
        playing.and_then(|game| game.city(seat))
    }

    /// A seat of the match with the name of who plays it.
    fn title(&self, seat: u8) -> String {
        let city = self.game.as_ref().and_then(|game| game.city(seat));
        match city.and_then(|city| city.name.as_ref()) {
            Some(name) => format!("{name} (seat {seat})"),
            None => format!("seat {seat}"),
        }
    }

    /// State of a seat, after its name.
    fn remarks(&self, seat: &SeatDocument) -> String {
        let mut text = String::new();
        if self.own_seat == Some(seat.seat) {
            text += " (you)";
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
        text
    }

    fn seat_text(&self, seat: &SeatDocument) -> String {
        let name = match (&seat.name, seat.kind.as_str()) {
            (Some(name), "bot") => format!("bot {name}"),
            (Some(name), _) => name.clone(),
            (None, kind) => kind.to_owned(),
        };
        let mut text = format!("{} {name}{}", seat.seat, self.remarks(seat));
        if seat.kind == "player" && !seat.steward {
            text += ", no steward";
        }
        if seat.handicap != 100 {
            let _ = write!(text, ", {} % production", seat.handicap);
        }
        if seat.wins > 0 {
            let wins = counted(u64::from(seat.wins), "match", "matches");
            let _ = write!(text, ", {wins} won");
        }
        if let Some(city) = self.playing_city(seat.seat) {
            text += ": ";
            text += &summary(city);
        }
        text
    }

    /// Lines about the own city, the own marches, and those against it.
    fn city_lines(&self, game: &GameDocument) -> Vec<Line> {
        let Some(own) = self.own_seat else {
            return Vec::new();
        };
        let Some(city) = game.city(own) else {
            return Vec::new();
        };
        if city.keep == 0 {
            return vec![("your city", "has fallen".to_owned())];
        }
        let mut lines = vec![
            ("your city", format!("at {} {}", city.x, city.y)),
            ("stock", stock_text(city)),
            ("levels", levels_text(city)),
            ("building", site_text(game, city)),
            ("training", training_text(city)),
            ("keep", keep_text(game, city)),
            ("at home", Army::new(city.home).to_string()),
        ];
        for march in &game.marches {
            if march.seat == own {
                lines.push(("march", self.march_text(game, march)));
            } else if !march.returns && game.is_of(&march.place, own) {
                lines.push(("attack", self.attack_text(game, march)));
            }
        }
        lines
    }

    fn march_text(&self, game: &GameDocument, march: &MarchDocument) -> String {
        let way = if march.returns { "home from" } else { "to" };
        let place = self.target(&march.place);
        let units = Army::new(march.army).to_string();
        let left = game.left(march.arrives_ms);
        format!("{}: {units} {way} {place}, {left} left", march.march)
    }

    fn attack_text(&self, game: &GameDocument, march: &MarchDocument) -> String {
        let units = Army::new(march.army).to_string();
        let place = match self.target(&march.place) {
            _ if march.place.starts_with("city:") => "your city".to_owned(),
            place => place,
        };
        let name = self.title(march.seat);
        let left = game.left(march.arrives_ms);
        format!("{name} with {units} against {place}, {left} left")
    }

    /// A place of a march in words.
    fn target(&self, place: &str) -> String {
        match place.strip_prefix("city:").map(str::parse) {
            Some(Ok(seat)) => self.title(seat),
            _ if place == "throne" => "the Throne".to_owned(),
            _ => place.to_owned(),
        }
    }

    fn place_text(&self, game: &GameDocument, place: &PlaceDocument) -> String {
        let resource = place.resource.map_or("crowns", Resource::name);
        let state = match place.holder {
            Some(holder) => {
                let garrison = Army::new(place.garrison).to_string();
                format!("{} with {garrison}", self.title(holder))
            }
            None if place.resource.is_none() && game.clock_ms < game.throne_opens_ms => {
                format!("opens in {}", game.left(game.throne_opens_ms))
            }
            None => "free".to_owned(),
        };
        let name = &place.place;
        format!("{name} ({resource}) at {} {}: {state}", place.x, place.y)
    }

    fn pact_text(&self, game: &GameDocument, pact: &PactDocument) -> String {
        let [one, other] = pact.seats.map(|seat| self.title(seat));
        let state = match (pact.offered_by, pact.ends_ms) {
            (Some(by), _) => format!("offered by {}", self.title(by)),
            (None, Some(ends)) => format!("ends in {}", game.left(ends)),
            (None, None) => "agreed".to_owned(),
        };
        format!("{one} and {other}: {state}")
    }
}

impl GameDocument {
    fn city(&self, seat: u8) -> Option<&SeatedCityDocument> {
        self.cities.iter().find(|city| city.seat == seat)
    }

    /// Time until a moment of the game clock.
    fn left(&self, at_ms: u64) -> String {
        clock(at_ms.saturating_sub(self.clock_ms))
    }

    /// Whether a place is the city of a seat, or held by it.
    fn is_of(&self, place: &str, seat: u8) -> bool {
        let held = self.places.iter().find(|one| one.place == place);
        match held {
            Some(held) => held.holder == Some(seat),
            None => place == format!("city:{seat}"),
        }
    }
}

/// A number with its noun.
fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
}

fn summary(city: &SeatedCityDocument) -> String {
    if city.keep == 0 {
        return format!("{}, fallen", counted(city.crowns, "crown", "crowns"));
    }
    let army: u64 = city.army.iter().map(|count| u64::from(*count)).sum();
    let crowns = counted(city.crowns, "crown", "crowns");
    let army = counted(army, "unit", "units");
    format!("{crowns}, keep {}, {army}", city.keep)
}

fn stock_text(city: &SeatedCityDocument) -> String {
    let amounts = Resource::ALL.into_iter().zip(city.stock).zip(city.rates);
    let amounts = amounts
        .map(|((resource, amount), rate)| format!("{amount} {} ({rate:+}/min)", resource.name()));
    let amounts: Vec<_> = amounts.collect();
    format!("{}, room for {} each", amounts.join(", "), city.capacity)
}

fn levels_text(city: &SeatedCityDocument) -> String {
    let [lumber, mine, farm] = city.fields;
    format!(
        "lumber {lumber}, mine {mine}, farm {farm}, barracks {}, wall {}, store {}",
        city.barracks, city.wall, city.store
    )
}

fn site_text(game: &GameDocument, city: &SeatedCityDocument) -> String {
    let Some(site) = &city.site else {
        return "nothing".to_owned();
    };
    let left = game.left(site.done_ms);
    let next = match &city.waiting {
        Some(next) => format!(", then {next}"),
        None => String::new(),
    };
    format!("{}, {left} left{next}", site.building)
}

fn training_text(city: &SeatedCityDocument) -> String {
    if city.training.is_empty() {
        return "nothing".to_owned();
    }
    let batches = city.training.iter();
    let batches = batches.map(|batch| {
        let count = batch.count;
        format!("{count} {}", batch.unit.counted(count))
    });
    batches.collect::<Vec<_>>().join(", then ")
}

fn keep_text(game: &GameDocument, city: &SeatedCityDocument) -> String {
    let mut text = format!("{} of {}", city.keep, game.full_keep);
    if city.smokes_until_ms > game.clock_ms {
        let left = game.left(city.smokes_until_ms);
        let _ = write!(text, ", smokes for {left} and cannot be hit");
    }
    if city.repairs {
        text += ", is repaired";
    }
    text
}

#[cfg(test)]
mod tests {
    use bevy_raft::AppliedLog;
    use raftian_realm::crowns::{Attack, Building, Order, Place, UnitKind};
    use raftian_realm::table::{Archetype, Command, Level, Setup, Table};

    use super::*;
    use crate::table::command_at as apply;
    use crate::table_document;

    /// A table with two players and a bot, as the first of them sees it.
    fn table() -> Table {
        let mut table = Table::default();
        apply(&mut table, 1, 0, Command::Sit);
        let setup = Setup {
            seats: 3,
            ..Setup::default()
        };
        apply(&mut table, 1, 0, Command::Configure(setup.into()));
        let bot = Command::AddBot {
            level: Level::Captain,
            archetype: Archetype::Rush,
        };
        apply(&mut table, 1, 0, bot);
        apply(&mut table, 2, 0, Command::Sit);
        apply(&mut table, 2, 0, Command::Ready(true));
        table
    }

    fn document(table: &Table) -> TableDocument {
        let mut document = table_document::of(table, &AppliedLog::default(), Some(0));
        for (seat, name) in [(0, "Ada"), (2, "Bo")] {
            document.seats[seat].name = Some(name.to_owned());
            if let Some(game) = &mut document.game {
                game.cities[seat].name = Some(name.to_owned());
            }
        }
        document
    }

    fn march(seat_of_target: u8, spears: u32) -> Command {
        Command::Order(Order::March {
            army: Army::new([spears, 0, 0, 0]),
            to: Place::City(seat_of_target),
            attack: Attack::Raid,
        })
    }

    #[test]
    fn table_before_a_match_shows_the_seats() {
        let text = document(&table()).to_text();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "table      no match was played yet; speed 1, no fair window",
                "seat       1 Ada (you)",
                "seat       2 bot captain rush on n1",
                "seat       3 Bo, ready",
            ]
        );
    }

    #[test]
    fn table_during_a_match_shows_the_own_city_and_marches_with_the_time_left() {
        let mut table = table();
        apply(&mut table, 1, 0, Command::Start);
        apply(
            &mut table,
            1,
            0,
            Command::Order(Order::Build(Building::Wall)),
        );
        let train = Order::Train(UnitKind::Axe, 1);
        apply(&mut table, 1, 0, Command::Order(train));
        apply(&mut table, 1, 0, march(2, 1));
        apply(&mut table, 2, 1_000, march(0, 3));
        let text = document(&table).to_text();
        for part in [
            "match      0:01, 2 marches, the Throne opens at 4:00, goal 320 crowns\n",
            "seat       1 Ada (you): 0 crowns, keep 100, 4 units\n",
            "128 wood (+240/min), ",
            ", room for 600 each\n",
            "levels     lumber 1, mine 1, farm 1, barracks 1, wall 0, store 1\n",
            "building   wall, 0:07 left\n",
            "training   1 axe\n",
            "keep       100 of 100\n",
            "at home    3 spears\n",
            ": 1 spear to Bo (seat 3), ",
            "attack     Bo (seat 3) with 3 spears against your city, 0:42 left\n",
            "place      throne (crowns) at 0 0: opens in 3:59\n",
            "place      oasis:1 (",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn ended_match_names_the_winner_the_reason_and_the_votes() {
        let mut table = table();
        apply(&mut table, 2, 0, Command::RemoveBot { seat: 1 });
        apply(&mut table, 2, 0, Command::Ready(true));
        apply(&mut table, 1, 0, Command::Start);
        apply(&mut table, 1, 5_000, Command::Order(Order::Concede));
        apply(&mut table, 1, 6_000, Command::Rematch(true));
        let mut document = table_document::of(&table, &AppliedLog::default(), Some(1));
        document.seats[1].name = Some("Bo".to_owned());
        document.game.as_mut().unwrap().cities[1].name = Some("Bo".to_owned());
        let text = document.to_text();
        let ended = "ended after 0:05: Bo (seat 2) won: the last keep that stands";
        for part in [
            ended,
            "rematch    1 of 2 players here want it; it begins with more than half\n",
            "seat       1 player\n",
            "seat       2 Bo (you), 1 match won\n",
            "played     seat 1: 0 crowns, fallen\n",
            "played     Bo (seat 2): 0 crowns, keep 100, 4 units\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        let lines = document.lines();
        assert_eq!(lines[0], ("crowns", ended.to_owned()));
        assert_eq!(lines[2].1, "2 player Bo (you)");
    }

    #[test]
    fn one_unit_is_not_units() {
        assert_eq!(counted(1, "unit", "units"), "1 unit");
        assert_eq!(counted(0, "unit", "units"), "0 units");
    }
}
