//! Parts of sentences.

use raftian_realm::crowns::{Army, Attack, BattleReport, Crowns, Place, Report};

/// Result of a fight in words, after the one who attacked.
pub(super) fn outcome(battle: &BattleReport, looted: u64, keep_left: u32) -> String {
    if !battle.result.is_won {
        return " and is beaten back".to_owned();
    }
    let goods = (looted > 0).then(|| goods_text(looted));
    let hit = hit_text(battle.hit, keep_left);
    match (battle.hit, goods, battle.place, battle.attack) {
        (0, None, Place::City(_), Attack::Assault) => " and wins, but the keep smokes".to_owned(),
        (0, None, Place::City(_), Attack::Raid) => " and wins, but finds no goods".to_owned(),
        (0, None, Place::Oasis(_), _) => " and wins".to_owned(),
        // A winner with survivors takes it, which is another sentence.
        (0, None, Place::Throne, _) => " and leaves it empty".to_owned(),
        (0, Some(goods), Place::City(_), Attack::Assault) => {
            format!(" and carries off {goods}, but the keep smokes")
        }
        (0, Some(goods), ..) => format!(" and carries off {goods}"),
        (_, None, ..) => format!(" and takes {hit}"),
        (_, Some(goods), ..) => format!(" and takes {goods} and {hit}"),
    }
}

/// Points that a keep lost, in words.
pub(super) fn hit_text(hit: u32, left: u32) -> String {
    match left {
        0 => format!("the last {hit} from the keep"),
        1 => format!("{hit} from the keep, one is left"),
        left => format!("{hit} from the keep, {left} are left"),
    }
}

/// Points that are left of the keep at a place: it smokes after a hit, so no other one can follow
/// before the story reads the report.
pub(super) fn keep_left(game: &Crowns, place: Place) -> u32 {
    match place {
        Place::City(seat) => {
            let city = game.seats().get(usize::from(seat));
            city.map_or(0, raftian_realm::crowns::Seat::keep)
        }
        Place::Oasis(_) | Place::Throne => 0,
    }
}

/// An amount of goods in words.
pub(super) fn goods_text(amount: u64) -> String {
    counted(amount, "good")
}

/// Losses in words; `None` without any.
pub(super) fn deaths(lost: Army, side: &str) -> Option<String> {
    let dead = lost.total();
    (dead > 0).then(|| counted(dead, side))
}

/// A number of things whose plural ends in s.
pub(super) fn counted(count: u64, name: &str) -> String {
    match count {
        0 => format!("no {name}s"),
        1 => format!("one {name}"),
        count => format!("{count} {name}s"),
    }
}

pub(super) fn is_throne_battle(report: &Report) -> bool {
    matches!(report, Report::Battle(battle) if battle.place == Place::Throne)
}

pub(super) fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
