//! Matches in words: who did what when, and how it ended.

use std::collections::BTreeMap;
use std::fmt::Write;

use raftian_realm::crowns::{
    Army, Attack, BattleReport, Building, Crowns, End, EndReason, PactChange, Place, Report,
    UnitKind,
};

/// Names of the seats in stories.
const NAMES: [&str; 8] = ["Asta", "Brand", "Cleo", "Dag", "Edda", "Finn", "Gro", "Hal"];

/// Game clock between two looks at everyone, in milliseconds.
const LOOK: u64 = 300_000;

/// Fights that cost fewer resources than this are only counted; for oases, twice as many.
const LEAST_LOSS: u64 = 250;

/// Writes the story of a match while it is played.
#[derive(Clone, Debug)]
pub struct Story {
    titles: Vec<String>,
    text: String,
    next_report: u64,
    next_look: u64,
    /// Small fights of each seat since the last look.
    skirmishes: BTreeMap<u8, u64>,
    throne: Option<u8>,
}

impl Story {
    /// Creates an empty story. `kinds` are the archetypes of the seats, in order.
    pub fn new(kinds: &[&str]) -> Self {
        let names = NAMES.iter().zip(kinds);
        let titles: Vec<_> = names
            .map(|(name, kind)| format!("{name} ({kind})"))
            .collect();
        let text = match titles.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} and {last} take their seats.\n", others.join(", "))
            }
            _ => String::new(),
        };
        Story {
            titles,
            text,
            next_report: 0,
            next_look: LOOK,
            skirmishes: BTreeMap::new(),
            throne: None,
        }
    }

    /// Adds what has happened since the last call.
    pub fn watch(&mut self, game: &Crowns) {
        let reports: Vec<_> = game.reports_since(self.next_report).collect();
        for (at, report) in reports {
            while at >= self.next_look {
                self.look(game);
            }
            if let Some(sentence) = self.sentence(game, report) {
                self.add(at, &sentence);
            }
        }
        self.next_report = game.next_report();
        while game.now() >= self.next_look && game.end().is_none() {
            self.look(game);
        }
    }

    /// The story so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn add(&mut self, at: u64, sentence: &str) {
        let seconds = at / 1_000;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:>5}  {sentence}", clock(seconds));
    }

    /// The name of a seat without how it plays.
    fn name(&self, seat: u8) -> &'static str {
        NAMES
            .get(usize::from(seat))
            .copied()
            .unwrap_or("Another seat")
    }

    /// Adds a line about the standing of each seat.
    fn look(&mut self, game: &Crowns) {
        let at = self.next_look;
        self.next_look += LOOK;
        let mut seats: Vec<u8> = (0..).zip(game.seats()).map(|(seat, _)| seat).collect();
        seats.sort_by_key(|seat| std::cmp::Reverse((game.crowns(*seat), game.value(*seat))));
        let standing = seats
            .iter()
            .filter(|seat| game.seats()[usize::from(**seat)].stands());
        let parts: Vec<_> = standing
            .map(|seat| {
                let army = game.army_of(*seat);
                let fields: u8 = game.seats()[usize::from(*seat)]
                    .levels()
                    .fields
                    .iter()
                    .sum();
                let skirmishes = match self.skirmishes.get(seat) {
                    None => String::new(),
                    Some(1) => ", one small fight".to_owned(),
                    Some(count) => format!(", {count} small fights"),
                };
                format!(
                    "{} has {} crowns, {} soldiers and {fields} levels of fields{skirmishes}",
                    self.name(*seat),
                    game.crowns(*seat),
                    army.total(),
                )
            })
            .collect();
        self.skirmishes.clear();
        self.add(at, &format!("— {}.", parts.join("; ")));
    }

    fn sentence(&mut self, game: &Crowns, report: &Report) -> Option<String> {
        match report {
            Report::Battle(battle) => self.battle(game, battle),
            Report::Taken { seat, place } => self.taken(*seat, *place),
            Report::Built {
                seat,
                building: Building::Barracks,
                level,
            } => {
                let rules = game.rules();
                let what = if *level == rules.barracks.riders_from {
                    "now trains riders"
                } else if *level == rules.barracks.rams_from {
                    "now builds rams"
                } else {
                    return None;
                };
                Some(format!("{} {what}.", self.name(*seat)))
            }
            Report::Built {
                seat,
                building: Building::Wall,
                level: level @ 3..,
            } => Some(format!(
                "{}'s wall reaches level {level}.",
                self.name(*seat)
            )),
            Report::Fell { seat, by } => Some(match by {
                Some(by) => format!(
                    "The keep of {} falls to {}.",
                    self.name(*seat),
                    self.name(*by)
                ),
                None => format!("{} gives up the city.", self.name(*seat)),
            }),
            Report::Pact { seat, with, change } => {
                let (one, other) = (self.name(*seat), self.name(*with));
                Some(match change {
                    PactChange::Offered => format!("{one} offers {other} a pact."),
                    PactChange::Declined => format!("{one} ends the talk of a pact with {other}."),
                    PactChange::Agreed => format!("{one} and {other} agree on a pact."),
                    PactChange::Ends(_) => format!("{one} gives {other} notice of their pact."),
                    PactChange::Over => format!("The pact of {one} and {other} is over."),
                })
            }
            Report::Gift { from, to, goods } => {
                let total: u64 = goods.iter().sum();
                let (from, to) = (self.name(*from), self.name(*to));
                Some(format!("{to} receives {total} goods from {from}."))
            }
            Report::Ended(end) => Some(self.ending(game, end)),
            Report::Built { .. }
            | Report::Returned { .. }
            | Report::Starved { .. }
            | Report::Refused { .. }
            | Report::Said { .. }
            | Report::Pinged { .. }
            | _ => None,
        }
    }

    fn battle(&mut self, game: &Crowns, battle: &BattleReport) -> Option<String> {
        let rules = game.rules();
        let lost = battle.result.attacker_lost.value(rules);
        let killed = battle.result.defender_lost.value(rules);
        let looted: u64 = battle.loot.iter().sum();
        let least = match battle.place {
            Place::Oasis(_) => 2 * LEAST_LOSS,
            Place::City(_) | Place::Throne => LEAST_LOSS,
        };
        if battle.hit == 0 && lost + killed < least && looted < LEAST_LOSS {
            *self.skirmishes.entry(battle.attacker).or_default() += 1;
            return None;
        }
        let attacker = self.name(battle.attacker);
        let with = army(&battle.attackers);
        let against = self.place(battle.place, battle.defender);
        let verb = match (battle.attack, battle.place) {
            (Attack::Raid, Place::City(_)) => "raids",
            (Attack::Assault, Place::City(_)) => "assaults",
            (_, Place::Throne) => "fights for",
            (_, Place::Oasis(_)) => "attacks",
        };
        let mut text = format!("{attacker} {verb} {against} with {with}");
        if battle.result.is_won {
            let _ = match (battle.hit, looted) {
                (0, 0) => write!(text, " and wins"),
                (0, _) => write!(text, " and carries off {looted} goods"),
                (hit, 0) => write!(text, " and takes {hit} from the keep"),
                (hit, _) => write!(text, ", takes {hit} from the keep and {looted} goods"),
            };
        } else {
            text += " and is beaten back";
        }
        let own = deaths(battle.result.attacker_lost, "attacker");
        let others = deaths(battle.result.defender_lost, "defender");
        let dead: Vec<_> = [own, others].into_iter().flatten().collect();
        if !dead.is_empty() {
            let _ = write!(text, "; the fight costs {}", dead.join(" and "));
        }
        Some(text + ".")
    }

    fn place(&self, place: Place, defender: Option<u8>) -> String {
        match (place, defender) {
            (Place::City(seat), _) => self.name(seat).to_owned(),
            (Place::Throne, Some(seat)) => format!("the Throne against {}", self.name(seat)),
            (Place::Throne, None) => "the Throne".to_owned(),
            (Place::Oasis(_), Some(seat)) => format!("an oasis of {}", self.name(seat)),
            (Place::Oasis(_), None) => "an oasis".to_owned(),
        }
    }

    fn taken(&mut self, seat: u8, place: Place) -> Option<String> {
        if place != Place::Throne {
            return None;
        }
        let before = self.throne.replace(seat);
        let name = self.name(seat);
        Some(match before {
            None => format!("{name} is the first to sit on the Throne."),
            Some(before) if before == seat => format!("{name} sits on the Throne again."),
            Some(before) => format!("{name} takes the Throne, which {} held.", self.name(before)),
        })
    }

    fn ending(&self, game: &Crowns, end: &End) -> String {
        let crowns = |seat: u8| game.crowns(seat);
        let others: Vec<_> = (0..)
            .zip(game.seats())
            .filter(|(seat, _)| Some(*seat) != end.winner)
            .map(|(seat, own)| {
                let fate = if own.stands() { "" } else { ", fallen" };
                format!("{} {}{fate}", self.name(seat), crowns(seat))
            })
            .collect();
        let others = others.join(", ");
        let Some(winner) = end.winner else {
            return format!("It ends in a draw: {others}.");
        };
        let title = self
            .titles
            .get(usize::from(winner))
            .map_or("", String::as_str);
        let own = crowns(winner);
        match end.reason {
            EndReason::Crowns => format!("{title} wins with {own} crowns. The others: {others}."),
            EndReason::LastKeep => format!("{title} wins: the last keep that stands. {others}."),
            EndReason::Time => format!("Time is up. {title} wins with {own} crowns; {others}."),
        }
    }
}

/// Losses in words; `None` without any.
fn deaths(lost: Army, side: &str) -> Option<String> {
    match lost.total() {
        0 => None,
        1 => Some(format!("one {side}")),
        count => Some(format!("{count} {side}s")),
    }
}

/// An army in words.
fn army(army: &Army) -> String {
    let parts: Vec<_> = army
        .units()
        .map(|(kind, count)| {
            let name = match (kind, count) {
                (UnitKind::Spear, 1) => "spear",
                (UnitKind::Spear, _) => "spears",
                (UnitKind::Axe, 1) => "axe",
                (UnitKind::Axe, _) => "axes",
                (UnitKind::Rider, 1) => "rider",
                (UnitKind::Rider, _) => "riders",
                (UnitKind::Ram, 1) => "ram",
                (UnitKind::Ram, _) => "rams",
            };
            format!("{count} {name}")
        })
        .collect();
    match parts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => parts.concat(),
    }
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Archetype, Bot, Level, play::play};
    use raftian_realm::crowns::Rules;

    #[test]
    fn story_names_the_winner_and_is_the_same_each_time() {
        let bots = [Archetype::Rush, Archetype::Boom].map(|kind| Bot::new(Level::Captain, kind));
        let tell = || {
            let mut story = Story::new(&["rush", "boom"]);
            let rules = Rules::of_this_build();
            let played = play(&bots, 3, &rules, |game| story.watch(game)).unwrap();
            story.watch(&played.game);
            (story.text().to_owned(), played.game.end().unwrap())
        };
        let (text, end) = tell();
        let winner = ["Asta (rush)", "Brand (boom)"][usize::from(end.winner.unwrap())];
        let last = text.lines().last().unwrap();
        assert!(last.contains(winner) && last.contains("wins"), "{text}");
        assert!(text.lines().count() > 10, "{text}");
        assert_eq!(tell().0, text);
    }

    #[test]
    fn armies_are_listed_in_words() {
        assert_eq!(army(&Army::new([1, 0, 2, 0])), "1 spear and 2 riders");
        assert_eq!(army(&Army::new([0, 9, 0, 0])), "9 axes");
        assert_eq!(
            army(&Army::new([2, 3, 4, 1])),
            "2 spears, 3 axes, 4 riders and 1 ram"
        );
        assert_eq!(clock(605), "10:05");
    }
}
