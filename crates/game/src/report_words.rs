//! Reports of a match in words, one sentence each: for the feed of the players.

mod names;

use raftian_realm::crowns::{
    Army, Attack, BattleReport, Building, EndReason, Order, PactChange, PactOrder, Place, Refusal,
    Report, Resources, Rules, Tile, Words,
};

#[cfg(feature = "client")]
pub(crate) use self::names::unit_words;
use self::names::{amounts, list};
pub(crate) use self::names::{army_words, counted_resource, counted_unit, resource_words};
pub use self::names::{building_words, clock, goods, phrase_text};
use crate::refusal_words::order_refusal_words;

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
            text!(
                "{name} took {place}.",
                name = name(*seat),
                place = place_words(*place, name)
            )
        }
        Report::Left { seat, place } => {
            text!(
                "{name} left {place}.",
                name = name(*seat),
                place = place_words(*place, name)
            )
        }
        Report::Returned { army, .. } if army.is_empty() => return None,
        Report::Returned { seat, army, loot } => {
            let name = name(*seat);
            let army = army_words(army);
            match *loot {
                [0, 0, 0] => text!("{army} of {name} returned home.", army, name),
                loot => text!(
                    "{army} of {name} returned home with {loot}.",
                    army,
                    name,
                    loot = goods(loot)
                ),
            }
        }
        Report::Starved { seat, kind } => {
            text!(
                "{unit} of {name} starved: there is no grain.",
                unit = counted_unit(*kind, 1),
                name = name(*seat)
            )
        }
        Report::Fell { seat, by: Some(by) } => {
            text!(
                "The city of {name} fell to {by}.",
                name = name(*seat),
                by = name(*by)
            )
        }
        Report::Fell { seat, by: None } => text!("{name} gave up the city.", name = name(*seat)),
        Report::Refused {
            seat,
            order,
            refusal,
        } => refused(&name(*seat), order, *refusal, name),
        Report::Pact { seat, with, change } => pact(&name(*seat), &name(*with), *change),
        Report::Gift { from, to, goods } => gift(&name(*from), &name(*to), *goods),
        Report::Said { seat, words } => format!("{}: {}", name(*seat), message(words)),
        Report::Pinged { seat, tile } => {
            text!(
                "{name} pointed at {place}.",
                name = name(*seat),
                place = tile_words(*tile)
            )
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
        (Some(winner), EndReason::Crowns) => text!("{winner} won: enough crowns", winner),
        (Some(winner), EndReason::LastKeep) => {
            text!("{winner} won: the last keep that stands", winner)
        }
        (Some(winner), EndReason::Time) => {
            text!(
                "{winner} won: time is up, with the most crowns and keep points",
                winner
            )
        }
        (None, EndReason::Crowns) => text!("Draw: several have enough crowns"),
        (None, EndReason::LastKeep) => text!("Draw: no keep stands"),
        (_, EndReason::Abandoned) => text!("Its players left it"),
        (None, EndReason::Time) => text!("Draw: time is up, with equal crowns and keep points"),
    }
}

fn place_words(place: Place, name: &dyn Fn(u8) -> String) -> String {
    match place {
        Place::City(seat) => text!("the city of {name}", name = name(seat)),
        Place::Oasis(number) => text!("place|oasis {number}", number = u16::from(number) + 1),
        Place::Throne => text!("the Throne"),
    }
}

fn tile_words(tile: Tile) -> String {
    let x = (tile.x != 0).then(|| {
        let tiles = tile.x.unsigned_abs();
        if tile.x > 0 {
            text!("{tiles} east", tiles)
        } else {
            text!("{tiles} west", tiles)
        }
    });
    let y = (tile.y != 0).then(|| {
        let tiles = tile.y.unsigned_abs();
        if tile.y > 0 {
            text!("{tiles} south", tiles)
        } else {
            text!("{tiles} north", tiles)
        }
    });
    match list([x, y].into_iter().flatten().collect()) {
        Some(way) => text!("the tile {way} of the Throne", way),
        None => text!("the Throne"),
    }
}

fn built(name: &str, building: Building, level: u8, rules: &Rules) -> String {
    match building {
        Building::Barracks if level == rules.barracks.riders_from => text!(
            "{name} built level {level} of the barracks, which now train riders.",
            name,
            level
        ),
        Building::Barracks if level == rules.barracks.rams_from => text!(
            "{name} built level {level} of the barracks, which now build rams.",
            name,
            level
        ),
        building => text!(
            "{name} built level {level} of the {building}.",
            name,
            level,
            building = building_words(building)
        ),
    }
}

fn battle(battle: &BattleReport, name: &dyn Fn(u8) -> String) -> String {
    let attacker = name(battle.attacker);
    let defender = battle.defender.map(name);
    let verb = match (battle.attack, battle.place) {
        (Attack::Raid, Place::City(_)) => text!("raided"),
        (Attack::Assault, Place::City(_)) => text!("assaulted"),
        (_, Place::Oasis(_) | Place::Throne) => text!("attacked"),
    };
    let place = place_words(battle.place, name);
    let against = match (battle.place, &defender) {
        (Place::City(_), _) => String::new(),
        (Place::Oasis(_) | Place::Throne, Some(defender)) => {
            text!(" against {defender}", defender)
        }
        (Place::Oasis(_), None) => text!(" against its militia"),
        (Place::Throne, None) => text!(" against its guard"),
    };
    let army = army_words(&battle.attackers);
    let result = result_words(battle);
    let losses = losses(battle, &attacker, defender.as_deref());
    text!(
        "{attacker} {verb} {place}{against} with {army} and {result}; {losses}.",
        attacker,
        verb,
        place,
        against,
        army,
        result,
        losses
    )
}

fn result_words(battle: &BattleReport) -> String {
    if !battle.result.is_won {
        return text!("was beaten back");
    }
    let points = match battle.hit {
        0 => None,
        1 => Some(text!("1 keep point")),
        hit => Some(text!("{points} keep points", points = hit)),
    };
    let gains = points.into_iter().chain(amounts(battle.loot));
    let gains = list(gains.collect());
    let gains = gains.map_or(String::new(), |gains| text!(", taking {gains}", gains));
    let is_city = matches!(battle.place, Place::City(_));
    // A keep that was not hit in an assault that was won still smokes from an earlier hit.
    let but = match (is_city, battle.attack) {
        (true, Attack::Assault) if battle.hit == 0 => {
            text!(", but the keep still smokes")
        }
        (false, _) if battle.result.attacker_lost == battle.attackers => {
            text!(", but no attacker survived")
        }
        _ => String::new(),
    };
    text!("won{gains}{but}", gains, but)
}

/// The losses of both sides; militia and guard are not counted.
fn losses(battle: &BattleReport, attacker: &str, defender: Option<&str>) -> String {
    let own = lost_units(&battle.result.attacker_lost);
    match defender {
        None => text!("losses: {attacker} {own}", attacker, own),
        Some(defender) => {
            let others = lost_units(&battle.result.defender_lost);
            text!(
                "losses: {attacker} {own}, {defender} {others}",
                attacker,
                own,
                defender,
                others
            )
        }
    }
}

fn lost_units(army: &Army) -> String {
    if army.is_empty() {
        text!("losses|none")
    } else {
        army_words(army)
    }
}

fn pact(name: &str, with: &str, change: PactChange) -> String {
    match change {
        PactChange::Offered => text!("{name} offered {with} a pact.", name, with),
        PactChange::Declined => text!(
            "{name} withdrew or declined a pact with {with}.",
            name,
            with
        ),
        PactChange::Agreed => text!("{name} accepted a pact with {with}.", name, with),
        PactChange::Ends(at) => {
            let at = clock(at);
            text!(
                "{name} gave notice of the pact with {with}, which ends at {at}.",
                name,
                with,
                at
            )
        }
        PactChange::Over => text!(
            "The pact or offer between {name} and {with} ended.",
            name,
            with
        ),
    }
}

fn gift(from: &str, to: &str, received: Resources) -> String {
    match received {
        [0, 0, 0] => text!(
            "A gift of {from} reached {to}, whose store had no room for it.",
            from,
            to
        ),
        received => text!(
            "{to} received {goods} from {from}.",
            to,
            goods = goods(received),
            from
        ),
    }
}

fn message(words: &Words) -> String {
    match words {
        Words::Phrase(phrase) => phrase_text(*phrase),
        Words::Text(text) => text.as_str().to_owned(),
    }
}

fn refused(seat: &str, order: &Order, refusal: Refusal, name: &dyn Fn(u8) -> String) -> String {
    let order = order_words(order, name);
    let reason = order_refusal_words(&refusal);
    text!(
        "The order of {name} to {order} was refused: {reason}.",
        name = seat,
        order,
        reason
    )
}

/// An order as a verb and its object.
fn order_words(order: &Order, name: &dyn Fn(u8) -> String) -> String {
    match order {
        Order::Build(building) => {
            text!("build the {building}", building = building_words(*building))
        }
        Order::CancelBuild => text!("cancel a building"),
        Order::Train(kind, count) => {
            text!("train {units}", units = counted_unit(*kind, *count))
        }
        Order::March { army, to, attack } => {
            let place = place_words(*to, name);
            let army = army_words(army);
            match (attack, to) {
                (Attack::Raid, Place::City(_)) => {
                    text!("raid {place} with {army}", place, army)
                }
                (Attack::Assault, Place::City(_)) => {
                    text!("assault {place} with {army}", place, army)
                }
                (_, Place::Oasis(_) | Place::Throne) => {
                    text!("march to {place} with {army}", place, army)
                }
            }
        }
        Order::TurnBack { march } => text!("turn back march {march}", march),
        Order::CallHome(place) => {
            text!("call home from {place}", place = place_words(*place, name))
        }
        Order::Swap {
            give,
            amount,
            receive,
        } => text!(
            "swap {goods} for {resource}",
            goods = counted_resource(*give, *amount),
            resource = resource_words(*receive)
        ),
        Order::Repair(true) => text!("repair the keep"),
        Order::Repair(false) => text!("end the repair of the keep"),
        Order::Pact { with, order } => {
            let with = name(*with);
            match order {
                PactOrder::Offer => text!("offer a pact with {with}", with),
                PactOrder::Accept => text!("accept a pact with {with}", with),
                PactOrder::End => text!("end a pact with {with}", with),
            }
        }
        Order::Give { to, goods: given } => text!(
            "give {goods} to {name}",
            goods = goods(*given),
            name = name(*to)
        ),
        Order::Say(words) => text!("say {words}", words = format!("{:?}", message(words))),
        Order::Ping(tile) => text!("point at {place}", place = tile_words(*tile)),
        Order::Concede => text!("concede"),
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{BattleResult, End, Phrase, Resource, Text, UnitKind};

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
