//! Matches in words: who did what when, and how it ended.

mod words;

use std::collections::BTreeMap;
use std::fmt::Write;

use raftian_realm::crowns::{
    Attack, BattleReport, Building, Crowns, End, EndReason, PactChange, Place, Report,
};

use self::words::{clock, counted, deaths, goods_text, is_throne_battle, keep_left, outcome};

/// Names of the seats in stories, and of bots on the map.
pub const NAMES: [&str; 8] = ["Asta", "Brand", "Cleo", "Dag", "Edda", "Finn", "Gro", "Hal"];

/// Game clock between two looks at everyone, in milliseconds.
const LOOK: u64 = 300_000;

/// Fights that cost fewer resources than this are only counted; for oases, twice as many.
const LEAST_LOSS: u64 = 250;

/// Smallest number of consecutive changes of the Throne's holder that become one line.
const QUARREL: usize = 4;

/// Returns the name of a seat in stories, without how it plays; seats are counted from 0.
pub fn seat_name(seat: u8) -> &'static str {
    let name = NAMES.get(usize::from(seat)).copied();
    name.unwrap_or("Another seat")
}

/// Writes the story of a match while it is played.
#[derive(Clone, Debug)]
pub struct Story {
    titles: Vec<String>,
    text: String,
    next_report: u64,
    next_look: u64,
    /// Number of the moments that were written; see [`Story::next_moment`].
    moments: usize,
    /// Small fights of each seat since the last look.
    skirmishes: BTreeMap<u8, u64>,
    /// The seat that took the Throne last.
    throne: Option<u8>,
    /// The seat from which the Throne was won in the last fight for it.
    beaten: Option<u8>,
    /// The seat that held the Throne after the last call of `watch`.
    holder: Option<u8>,
    /// Since when the Throne is empty.
    vacancy: Option<Vacancy>,
    /// A won fight for the Throne; whether the winner sits on it is the next report.
    won: Option<Fight>,
    /// Changes of the Throne's holder since the last line about anything else.
    changes: Vec<Change>,
    leader: Option<Lead>,
}

/// A fight for the Throne.
#[derive(Clone, Debug)]
struct Fight {
    at: u64,
    seat: u8,
    sentence: String,
    with: String,
    cost: String,
    dead: u64,
}

/// A new holder of the Throne.
#[derive(Clone, Debug)]
struct Change {
    at: u64,
    seat: u8,
    sentence: String,
    dead: u64,
}

/// A Throne that was held and is empty.
#[derive(Clone, Copy, Debug)]
struct Vacancy {
    since: u64,
    /// The seat that called its garrison home; `None` after a fight without survivors and after
    /// the fall of the holder.
    left_by: Option<u8>,
}

/// The seat with the most crowns.
#[derive(Clone, Copy, Debug)]
struct Lead {
    seat: u8,
    since: u64,
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
            moments: 0,
            skirmishes: BTreeMap::new(),
            throne: None,
            beaten: None,
            holder: None,
            vacancy: None,
            won: None,
            changes: Vec::new(),
            leader: None,
        }
    }

    /// Adds what has happened since the last call.
    pub fn watch(&mut self, game: &Crowns) {
        let reports: Vec<_> = game.reports_since(self.next_report).collect();
        let is_fought = reports.iter().any(|(_, report)| is_throne_battle(report));
        for (at, report) in reports {
            self.pass_time(game, at);
            self.hear(game, at, report);
        }
        self.next_report = game.next_report();
        self.follow_throne(game, is_fought);
        self.follow(game);
        if game.end().is_none() {
            self.pass_time(game, game.now());
        }
    }

    /// Adds the lines that are due up to a stamp without a report.
    fn pass_time(&mut self, game: &Crowns, to: u64) {
        loop {
            let moment = self.next_moment(game).filter(|(at, _)| *at <= to);
            match moment {
                Some((at, text)) if at <= self.next_look => {
                    self.moments += 1;
                    self.add_won();
                    self.add(at, text);
                }
                _ if self.next_look <= to => self.look(game),
                _ => return,
            }
        }
    }

    /// The next of the moments at which the rules change, with its stamp; matches begin at 0.
    fn next_moment(&self, game: &Crowns) -> Option<(u64, &'static str)> {
        let rules = game.rules();
        let mut moments = [
            (rules.throne.opens, "The Throne opens."),
            (rules.goal.sudden_death, "Keeps are no longer repaired."),
        ];
        moments.sort_unstable();
        let (second, text) = moments.get(self.moments)?;
        Some((second * 1_000, text))
    }

    /// The story so far. News of the Throne are added with the next other event, since several
    /// of them may become one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn hear(&mut self, game: &Crowns, at: u64, report: &Report) {
        if let Report::Taken {
            seat,
            place: Place::Throne,
        } = report
        {
            let won = self.won.take_if(|fight| fight.seat == *seat);
            let beaten = self.beaten.take();
            self.add_won();
            self.taken(*seat, at, beaten, won);
            return;
        }
        self.beaten = None;
        self.add_won();
        if let Report::Battle(battle) = report {
            self.battle(game, at, battle);
        } else if let Some(sentence) = self.sentence(game, report) {
            self.add(at, &sentence);
        }
    }

    /// Keeps who leads by crowns. With equal crowns the lead stays where it was.
    fn follow(&mut self, game: &Crowns) {
        let most = (0..)
            .zip(game.seats())
            .map(|(seat, _)| (game.crowns(seat), std::cmp::Reverse(seat)))
            .max();
        let Some((crowns, std::cmp::Reverse(seat))) = most else {
            return;
        };
        let leads = self
            .leader
            .is_some_and(|lead| game.crowns(lead.seat) == crowns);
        if crowns > 0 && !leads {
            let since = game.now();
            self.leader = Some(Lead { seat, since });
        }
    }

    /// Keeps since when the Throne is empty.
    fn follow_throne(&mut self, game: &Crowns, is_fought: bool) {
        let holding = game.holding(Place::Throne);
        let before = self.holder;
        self.holder = holding.and_then(|holding| holding.holder);
        let Some(before) = before.filter(|_| self.holder.is_none()) else {
            return;
        };
        let stands = game.seats()[usize::from(before)].stands();
        self.vacancy = Some(Vacancy {
            since: game.now(),
            left_by: (stands && !is_fought).then_some(before),
        });
    }

    /// Adds a won fight for the Throne after which its winner does not hold it.
    fn add_won(&mut self) {
        if let Some(fight) = self.won.take() {
            self.add(fight.at, &fight.sentence);
        }
    }

    /// Writes the pending changes of the Throne's holder.
    fn add_changes(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return;
        };
        let mut holders: Vec<_> = changes.iter().map(|one| self.name(one.seat)).collect();
        // One that left and came back.
        holders.dedup();
        if holders.len() < QUARREL {
            for change in &changes {
                self.write(change.at, &change.sentence);
            }
            return;
        }
        let dead: u64 = changes.iter().map(|one| one.dead).sum();
        let cost = match dead {
            0 => String::new(),
            1 => ", for one life".to_owned(),
            dead => format!(", for {dead} lives"),
        };
        let line = format!(
            "The Throne changes hands {} times until {}{cost}: {}.",
            holders.len(),
            clock(last.at / 1_000),
            holders.join(", "),
        );
        self.write(first.at, &line);
    }

    fn add(&mut self, at: u64, sentence: &str) {
        self.add_changes();
        self.write(at, sentence);
    }

    fn write(&mut self, at: u64, sentence: &str) {
        let seconds = at / 1_000;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:>5}  {sentence}", clock(seconds));
    }

    /// The name of a seat without how it plays.
    fn name(&self, seat: u8) -> &'static str {
        seat_name(seat)
    }

    /// Adds a line about the standing of each seat.
    fn look(&mut self, game: &Crowns) {
        let at = self.next_look;
        self.next_look += LOOK;
        self.add_won();
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
                let crowns = counted(game.crowns(*seat), "crown");
                let soldiers = counted(army.total(), "soldier");
                let fields = counted(u64::from(fields), "level");
                format!(
                    "{} has {crowns}, {soldiers} and {fields} of fields{skirmishes}",
                    self.name(*seat),
                )
            })
            .collect();
        self.skirmishes.clear();
        let fallen: Vec<_> = seats
            .iter()
            .filter(|seat| !game.seats()[usize::from(**seat)].stands())
            .map(|seat| {
                let crowns = counted(game.crowns(*seat), "crown");
                format!("{} with {crowns}", self.name(*seat))
            })
            .collect();
        let fallen = match fallen.as_slice() {
            [] => String::new(),
            fallen => format!(". Fallen: {}", fallen.join(", ")),
        };
        self.add(at, &format!("— {}{fallen}.", parts.join("; ")));
    }

    fn sentence(&mut self, game: &Crowns, report: &Report) -> Option<String> {
        match report {
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
                let goods = goods_text(goods.iter().sum());
                let (from, to) = (self.name(*from), self.name(*to));
                Some(format!("{to} receives {goods} from {from}."))
            }
            Report::Ended(end) => Some(self.ending(game, end)),
            Report::Built { .. }
            | Report::Battle(_)
            | Report::Taken { .. }
            | Report::Left { .. }
            | Report::Returned { .. }
            | Report::Starved { .. }
            | Report::Refused { .. }
            | Report::Said { .. }
            | Report::Pinged { .. }
            | _ => None,
        }
    }

    fn battle(&mut self, game: &Crowns, at: u64, battle: &BattleReport) {
        if battle.place == Place::Throne && battle.result.is_won {
            self.beaten = battle.defender;
        }
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
            return;
        }
        let attacker = self.name(battle.attacker);
        let with = battle.attackers.to_string();
        let against = self.place(battle.place, battle.defender);
        let verb = match (battle.attack, battle.place) {
            (Attack::Raid, Place::City(_)) => "raids",
            (Attack::Assault, Place::City(_)) => "assaults",
            (_, Place::Throne) => "fights for",
            (_, Place::Oasis(_)) => "attacks",
        };
        let mut text = format!("{attacker} {verb} {against} with {with}");
        text += &outcome(battle, looted, keep_left(game, battle.place));
        let own = deaths(battle.result.attacker_lost, "attacker");
        let others = deaths(battle.result.defender_lost, "defender");
        let dead: Vec<_> = [own, others].into_iter().flatten().collect();
        let cost = match dead.as_slice() {
            [] => String::new(),
            dead => format!("; the fight costs {}", dead.join(" and ")),
        };
        let sentence = format!("{text}{cost}.");
        if battle.place == Place::Throne && battle.result.is_won {
            self.won = Some(Fight {
                at,
                seat: battle.attacker,
                sentence,
                with,
                cost,
                dead: battle.result.attacker_lost.total() + battle.result.defender_lost.total(),
            });
        } else {
            self.add(at, &sentence);
        }
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

    /// Adds a new holder of the Throne, after a fight that is worth telling or without one.
    /// It was empty unless a seat was `beaten`.
    fn taken(&mut self, seat: u8, at: u64, beaten: Option<u8>, won: Option<Fight>) {
        let before = self.throne.replace(seat);
        let vacancy = self.vacancy.take();
        let name = self.name(seat);
        let taken = match before {
            None => format!("{name} is the first to sit on the Throne"),
            Some(before) if before == seat => format!("{name} sits on the Throne again"),
            Some(_) => match (beaten, vacancy) {
                (Some(beaten), _) => format!("{name} takes the Throne from {}", self.name(beaten)),
                (None, None) => format!("{name} takes the empty Throne"),
                (None, Some(Vacancy { since, left_by })) => {
                    let since = clock(since / 1_000);
                    match left_by {
                        Some(left) => {
                            let left = self.name(left);
                            format!("{name} takes the Throne, which {left} left at {since}")
                        }
                        None => format!("{name} takes the Throne, empty since {since}"),
                    }
                }
            },
        };
        let (sentence, dead) = match won {
            Some(fight) => {
                let Fight { with, cost, .. } = fight;
                (format!("{taken} with {with}{cost}."), fight.dead)
            }
            None => (taken + ".", 0),
        };
        if before.is_none() {
            self.add(at, &sentence);
            return;
        }
        self.changes.push(Change {
            at,
            seat,
            sentence,
            dead,
        });
    }

    fn ending(&self, game: &Crowns, end: &End) -> String {
        let crowns = |seat: u8| game.crowns(seat);
        let others: Vec<_> = (0..)
            .zip(game.seats())
            .filter(|(seat, _)| Some(*seat) != end.winner)
            .map(|(seat, own)| {
                let fate = if own.stands() { "" } else { " (fallen)" };
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
        let lead = match self.leader {
            Some(lead) if lead.seat == winner => {
                format!(", ahead since {}", clock(lead.since / 1_000))
            }
            _ => String::new(),
        };
        match end.reason {
            EndReason::Crowns => {
                format!("{title} wins with {own} crowns{lead}. The others: {others}.")
            }
            EndReason::LastKeep => {
                format!(
                    "{title} wins with {own} crowns: the last keep that stands. The others: \
                     {others}."
                )
            }
            EndReason::Abandoned => format!("The players left: {others}."),
            EndReason::Time => {
                format!("Time is up. {title} wins with {own} crowns. The others: {others}.")
            }
        }
    }
}

#[cfg(test)]
mod tests;
