//! Reports of a match in words, one sentence each: for the feed of the players.

use raftian_realm::crowns::{
    Army, Attack, BattleReport, Building, EndReason, Order, PactChange, PactOrder, Phrase, Place,
    Refusal, Report, Resource, Resources, Rules, Tile, Words,
};

/// Returns a report as one sentence; `None` for a report that players do not need. `name` gives
/// the display name of a seat, counted from 0.
pub fn sentence(report: &Report, name: &dyn Fn(u8) -> String, rules: &Rules) -> Option<String> {
    Some(match report {
        Report::Built {
            seat,
            building,
            level,
        } => built(&name(*seat), *building, *level, rules),
        Report::Battle(report) => battle(report, name),
        Report::Taken { seat, place } => {
            format!("{} took {}.", name(*seat), place_words(*place, name))
        }
        Report::Left { seat, place } => {
            format!("{} left {}.", name(*seat), place_words(*place, name))
        }
        Report::Returned { army, .. } if army.is_empty() => return None,
        Report::Returned { seat, army, loot } => {
            let loot = match *loot {
                [0, 0, 0] => String::new(),
                loot => format!(" with {}", goods(loot)),
            };
            format!("{} of {} returned home{loot}.", army, name(*seat))
        }
        Report::Starved { seat, kind } => {
            let unit = kind.counted(1);
            format!("1 {unit} of {} starved: there is no grain.", name(*seat))
        }
        Report::Fell { seat, by: Some(by) } => {
            format!("The city of {} fell to {}.", name(*seat), name(*by))
        }
        Report::Fell { seat, by: None } => format!("{} gave up the city.", name(*seat)),
        Report::Refused {
            seat,
            order,
            refusal,
        } => refused(&name(*seat), order, *refusal, name),
        Report::Pact { seat, with, change } => pact(&name(*seat), &name(*with), *change),
        Report::Gift { from, to, goods } => gift(&name(*from), &name(*to), *goods),
        Report::Said { seat, words } => format!("{}: {}", name(*seat), message(words)),
        Report::Pinged { seat, tile } => {
            format!("{} pointed at {}.", name(*seat), tile_words(*tile))
        }
        Report::Ended(end) => {
            let winner = end.winner.map(name);
            ending(winner.as_deref(), end.reason) + "."
        }
        _ => return None,
    })
}

/// Returns the end of a match in words, without a full stop; `winner` is a display name, `None`
/// after a draw.
pub fn ending(winner: Option<&str>, reason: EndReason) -> String {
    match (winner, reason) {
        (Some(winner), EndReason::Crowns) => format!("{winner} won: enough crowns"),
        (Some(winner), EndReason::LastKeep) => format!("{winner} won: the last keep that stands"),
        (Some(winner), EndReason::Time) => {
            format!("{winner} won: time is up, with the most crowns and keep points")
        }
        (None, EndReason::Crowns) => "Draw: several have enough crowns".to_owned(),
        (None, EndReason::LastKeep) => "Draw: no keep stands".to_owned(),
        (_, EndReason::Abandoned) => "Its players left it".to_owned(),
        (None, EndReason::Time) => "Draw: time is up, with equal crowns and keep points".to_owned(),
    }
}

/// Returns a time of the game clock in milliseconds as minutes and seconds, `m:ss`.
pub fn clock(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Returns goods in words, for example "20 wood and 5 grain"; "nothing" for none.
pub fn goods(goods: Resources) -> String {
    list(amounts(goods)).unwrap_or_else(|| "nothing".to_owned())
}

fn amounts(goods: Resources) -> Vec<String> {
    let amounts = Resource::ALL.into_iter().zip(goods);
    let parts = amounts
        .filter(|(_, amount)| *amount > 0)
        .map(|(resource, amount)| format!("{amount} {}", resource.name()));
    parts.collect()
}

/// Returns the name of a building in words.
pub fn building_words(building: Building) -> &'static str {
    match building {
        Building::Field(Resource::Wood) => "lumber camp",
        Building::Field(Resource::Iron) => "mine",
        Building::Field(Resource::Grain) => "farm",
        Building::Barracks => "barracks",
        Building::Wall => "wall",
        Building::Store => "store",
    }
}

/// Returns the text of a phrase.
pub fn phrase_text(phrase: Phrase) -> &'static str {
    match phrase {
        Phrase::Hello => "Hello",
        Phrase::GoodLuck => "Good luck",
        Phrase::WellPlayed => "Well played",
        Phrase::Thanks => "Thank you",
        Phrase::Sorry => "Sorry",
        Phrase::Yes => "Yes",
        Phrase::No => "No",
        Phrase::Help => "Help me here",
        Phrase::Attack => "Attack here",
        Phrase::Defend => "I defend this",
        Phrase::Peace => "Peace?",
        Phrase::Beware => "Beware of the leader",
    }
}

/// Joins parts as "a, b and c"; `None` without any.
fn list(mut parts: Vec<String>) -> Option<String> {
    let last = parts.pop()?;
    Some(match parts.is_empty() {
        true => last,
        false => format!("{} and {last}", parts.join(", ")),
    })
}

fn place_words(place: Place, name: &dyn Fn(u8) -> String) -> String {
    match place {
        Place::City(seat) => format!("the city of {}", name(seat)),
        Place::Oasis(number) => format!("oasis {}", u16::from(number) + 1),
        Place::Throne => "the Throne".to_owned(),
    }
}

fn tile_words(tile: Tile) -> String {
    let x = (tile.x != 0).then(|| {
        let side = if tile.x > 0 { "east" } else { "west" };
        format!("{} {side}", tile.x.unsigned_abs())
    });
    let y = (tile.y != 0).then(|| {
        let side = if tile.y > 0 { "south" } else { "north" };
        format!("{} {side}", tile.y.unsigned_abs())
    });
    match list([x, y].into_iter().flatten().collect()) {
        Some(way) => format!("the tile {way} of the Throne"),
        None => "the Throne".to_owned(),
    }
}

fn built(name: &str, building: Building, level: u8, rules: &Rules) -> String {
    let trains = match building {
        Building::Barracks if level == rules.barracks.riders_from => ", which now train riders",
        Building::Barracks if level == rules.barracks.rams_from => ", which now build rams",
        _ => "",
    };
    let building = building_words(building);
    format!("{name} built level {level} of the {building}{trains}.")
}

fn battle(battle: &BattleReport, name: &dyn Fn(u8) -> String) -> String {
    let attacker = name(battle.attacker);
    let defender = battle.defender.map(name);
    let verb = match (battle.attack, battle.place) {
        (Attack::Raid, Place::City(_)) => "raided",
        (Attack::Assault, Place::City(_)) => "assaulted",
        (_, Place::Oasis(_) | Place::Throne) => "attacked",
    };
    let place = place_words(battle.place, name);
    let against = match (battle.place, &defender) {
        (Place::City(_), _) => String::new(),
        (Place::Oasis(_) | Place::Throne, Some(defender)) => format!(" against {defender}"),
        (Place::Oasis(_), None) => " against its militia".to_owned(),
        (Place::Throne, None) => " against its guard".to_owned(),
    };
    let with = battle.attackers;
    let result = result_words(battle);
    let losses = losses(battle, &attacker, defender.as_deref());
    format!("{attacker} {verb} {place}{against} with {with} and {result}; {losses}.")
}

fn result_words(battle: &BattleReport) -> String {
    if !battle.result.is_won {
        return "was beaten back".to_owned();
    }
    let points = match battle.hit {
        0 => None,
        1 => Some("1 keep point".to_owned()),
        hit => Some(format!("{hit} keep points")),
    };
    let gains = points.into_iter().chain(amounts(battle.loot));
    let gains = list(gains.collect());
    let gains = gains.map_or(String::new(), |gains| format!(", taking {gains}"));
    let is_city = matches!(battle.place, Place::City(_));
    // A keep that was not hit in an assault that was won still smokes from an earlier hit.
    let but = match (is_city, battle.attack) {
        (true, Attack::Assault) if battle.hit == 0 => ", but the keep still smokes",
        (false, _) if battle.result.attacker_lost == battle.attackers => {
            ", but no attacker survived"
        }
        _ => "",
    };
    format!("won{gains}{but}")
}

/// The losses of both sides; militia and guard are not counted.
fn losses(battle: &BattleReport, attacker: &str, defender: Option<&str>) -> String {
    let own = lost_units(&battle.result.attacker_lost);
    match defender {
        None => format!("losses: {attacker} {own}"),
        Some(defender) => {
            let others = lost_units(&battle.result.defender_lost);
            format!("losses: {attacker} {own}, {defender} {others}")
        }
    }
}

fn lost_units(army: &Army) -> String {
    if army.is_empty() {
        "none".to_owned()
    } else {
        army.to_string()
    }
}

fn pact(name: &str, with: &str, change: PactChange) -> String {
    match change {
        PactChange::Offered => format!("{name} offered {with} a pact."),
        PactChange::Declined => format!("{name} withdrew or declined a pact with {with}."),
        PactChange::Agreed => format!("{name} accepted a pact with {with}."),
        PactChange::Ends(at) => {
            let at = clock(at);
            format!("{name} gave notice of the pact with {with}, which ends at {at}.")
        }
        PactChange::Over => format!("The pact or offer between {name} and {with} ended."),
    }
}

fn gift(from: &str, to: &str, received: Resources) -> String {
    match received {
        [0, 0, 0] => format!("A gift of {from} reached {to}, whose store had no room for it."),
        received => format!("{to} received {} from {from}.", goods(received)),
    }
}

fn message(words: &Words) -> &str {
    match words {
        Words::Phrase(phrase) => phrase_text(*phrase),
        Words::Text(text) => text.as_str(),
    }
}

fn refused(seat: &str, order: &Order, refusal: Refusal, name: &dyn Fn(u8) -> String) -> String {
    let order = order_words(order, name);
    format!("The order of {seat} to {order} was refused: {refusal}.")
}

/// An order as a verb and its object.
fn order_words(order: &Order, name: &dyn Fn(u8) -> String) -> String {
    match order {
        Order::Build(building) => format!("build the {}", building_words(*building)),
        Order::CancelBuild => "cancel a building".to_owned(),
        Order::Train(kind, count) => format!("train {count} {}", kind.counted(*count)),
        Order::March { army, to, attack } => {
            let verb = match (attack, to) {
                (Attack::Raid, Place::City(_)) => "raid",
                (Attack::Assault, Place::City(_)) => "assault",
                (_, Place::Oasis(_) | Place::Throne) => "march to",
            };
            format!("{verb} {} with {}", place_words(*to, name), army)
        }
        Order::TurnBack { march } => format!("turn back march {march}"),
        Order::CallHome(place) => format!("call home from {}", place_words(*place, name)),
        Order::Swap {
            give,
            amount,
            receive,
        } => format!("swap {amount} {} for {}", give.name(), receive.name()),
        Order::Repair(true) => "repair the keep".to_owned(),
        Order::Repair(false) => "end the repair of the keep".to_owned(),
        Order::Pact { with, order } => {
            let verb = match order {
                PactOrder::Offer => "offer",
                PactOrder::Accept => "accept",
                PactOrder::End => "end",
            };
            format!("{verb} a pact with {}", name(*with))
        }
        Order::Give { to, goods: given } => format!("give {} to {}", goods(*given), name(*to)),
        Order::Say(words) => format!("say {:?}", message(words)),
        Order::Ping(tile) => format!("point at {}", tile_words(*tile)),
        Order::Concede => "concede".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{BattleResult, End, Text, UnitKind};

    use super::*;

    fn name(seat: u8) -> String {
        ["Ann", "Bo", "Cy"][usize::from(seat)].to_owned()
    }

    fn text(report: &Report) -> String {
        sentence(report, &name, &Rules::of_this_build()).expect("players need it")
    }

    fn fight(place: Place, defender: Option<u8>, is_won: bool) -> BattleReport {
        BattleReport {
            place,
            attacker: 0,
            defender,
            attack: Attack::Assault,
            attackers: Army::new([0, 12, 0, 1]),
            defenders: Army::new([8, 0, 0, 0]),
            result: BattleResult {
                is_won,
                attack: 485,
                defence: 200,
                attacker_lost: Army::new([0, 3, 0, 0]),
                defender_lost: Army::new([8, 0, 0, 0]),
            },
            loot: [0; 3],
            hit: 0,
        }
    }

    #[test]
    fn battle_names_both_sides_the_result_and_the_losses() {
        let won = BattleReport {
            hit: 20,
            loot: [40, 0, 7],
            ..fight(Place::City(1), Some(1), true)
        };
        assert_eq!(
            text(&Report::Battle(won.clone())),
            "Ann assaulted the city of Bo with 12 axes and 1 ram and won, taking 20 keep points, \
             40 wood and 7 grain; losses: Ann 3 axes, Bo 8 spears."
        );
        let smoking = fight(Place::City(1), Some(1), true);
        assert!(text(&Report::Battle(smoking)).contains("won, but the keep still smokes;"));
        let raid = BattleReport {
            attack: Attack::Raid,
            hit: 0,
            loot: [0; 3],
            ..won
        };
        assert!(text(&Report::Battle(raid)).contains("raided the city of Bo with"));
        let mut lost = fight(Place::Throne, Some(2), false);
        lost.result.defender_lost = Army::NONE;
        assert_eq!(
            text(&Report::Battle(lost)),
            "Ann attacked the Throne against Cy with 12 axes and 1 ram and was beaten back; \
             losses: Ann 3 axes, Cy none."
        );
    }

    #[test]
    fn militia_has_no_losses_and_a_place_without_survivors_is_not_taken() {
        let mut alone = fight(Place::Oasis(2), None, true);
        alone.result.attacker_lost = alone.attackers;
        assert_eq!(
            text(&Report::Battle(alone)),
            "Ann attacked oasis 3 against its militia with 12 axes and 1 ram and won, but no \
             attacker survived; losses: Ann 12 axes and 1 ram."
        );
    }

    fn built(building: Building, level: u8) -> String {
        text(&Report::Built {
            seat: 0,
            building,
            level,
        })
    }

    fn returned(army: Army, loot: Resources) -> Report {
        Report::Returned {
            seat: 1,
            army,
            loot,
        }
    }

    #[test]
    fn events_of_a_city_are_sentences() {
        let farm = Building::Field(Resource::Grain);
        assert_eq!(built(farm, 2), "Ann built level 2 of the farm.");
        assert_eq!(
            built(Building::Barracks, 2),
            "Ann built level 2 of the barracks, which now train riders."
        );
        assert_eq!(
            text(&returned(Army::new([0, 0, 5, 0]), [10, 20, 30])),
            "5 riders of Bo returned home with 10 wood, 20 iron and 30 grain."
        );
        let without_units = returned(Army::NONE, [0; 3]);
        let rules = Rules::of_this_build();
        assert_eq!(sentence(&without_units, &name, &rules), None);
        let starved = Report::Starved {
            seat: 2,
            kind: UnitKind::Axe,
        };
        assert_eq!(text(&starved), "1 axe of Cy starved: there is no grain.");
        let taken = Report::Taken {
            seat: 0,
            place: Place::Oasis(0),
        };
        assert_eq!(text(&taken), "Ann took oasis 1.");
        let by = Some(0);
        let fell = text(&Report::Fell { seat: 1, by });
        assert_eq!(fell, "The city of Bo fell to Ann.");
        let conceded = text(&Report::Fell { seat: 1, by: None });
        assert_eq!(conceded, "Bo gave up the city.");
    }

    fn refusal(order: Order, refusal: Refusal) -> String {
        text(&Report::Refused {
            seat: 0,
            order,
            refusal,
        })
    }

    #[test]
    fn refused_order_comes_with_its_reason() {
        assert_eq!(
            refusal(Order::Train(UnitKind::Rider, 2), Refusal::SmallBarracks(2)),
            "The order of Ann to train 2 riders was refused: the barracks must have level 2."
        );
        let march = Order::March {
            army: Army::new([1, 0, 0, 0]),
            to: Place::City(1),
            attack: Attack::Raid,
        };
        assert_eq!(
            refusal(march, Refusal::FallenPlace),
            "The order of Ann to raid the city of Bo with 1 spear was refused: that city has \
             fallen."
        );
    }

    fn ping(x: i8, y: i8) -> String {
        let tile = Tile { x, y };
        text(&Report::Pinged { seat: 1, tile })
    }

    fn pact_report(change: PactChange) -> String {
        text(&Report::Pact {
            seat: 0,
            with: 1,
            change,
        })
    }

    fn gift_report(goods: Resources) -> String {
        text(&Report::Gift {
            from: 0,
            to: 1,
            goods,
        })
    }

    #[test]
    fn messages_pings_pacts_and_gifts_name_the_players() {
        let words = Words::Phrase(Phrase::GoodLuck);
        assert_eq!(text(&Report::Said { seat: 0, words }), "Ann: Good luck");
        let words = Words::Text(Text::try_from("hi, all".to_owned()).expect("a text"));
        assert_eq!(text(&Report::Said { seat: 0, words }), "Ann: hi, all");
        assert_eq!(ping(0, 0), "Bo pointed at the Throne.");
        assert_eq!(
            ping(-1, 2),
            "Bo pointed at the tile 1 west and 2 south of the Throne."
        );
        assert_eq!(pact_report(PactChange::Offered), "Ann offered Bo a pact.");
        assert_eq!(
            pact_report(PactChange::Ends(630_000)),
            "Ann gave notice of the pact with Bo, which ends at 10:30."
        );
        assert_eq!(gift_report([5, 0, 0]), "Bo received 5 wood from Ann.");
        assert!(gift_report([0; 3]).contains("no room"));
    }

    fn end_report(winner: Option<u8>, reason: EndReason) -> String {
        let at = 600_000;
        text(&Report::Ended(End { winner, reason, at }))
    }

    #[test]
    fn ending_names_the_winner_and_the_reason() {
        let crowns = end_report(Some(1), EndReason::Crowns);
        assert_eq!(crowns, "Bo won: enough crowns.");
        let draw = end_report(None, EndReason::LastKeep);
        assert_eq!(draw, "Draw: no keep stands.");
        assert!(end_report(Some(0), EndReason::Time).contains("time is up"));
    }
}
