//! Reports: what happened in a match, for the feed of the players and for stories.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::army::Army;
use super::battle::{Attack, BattleResult};
use super::game::End;
use super::map::Tile;
use super::order::{Building, Order, Place, Refusal};
use super::rules::{Resources, UnitKind};

/// Number of reports that a match keeps. A player who returns reads the last ones.
pub const MAX_REPORTS: usize = 128;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Report {
    /// A building reached a level.
    Built {
        /// The seat.
        seat: u8,
        /// The building.
        building: Building,
        /// Its level.
        level: u8,
    },
    /// A battle was fought.
    Battle(BattleReport),
    /// A seat took an oasis or the Throne.
    Taken {
        /// The seat.
        seat: u8,
        /// The place.
        place: Place,
    },
    /// A seat called its garrison home from an oasis or the Throne.
    Left {
        /// The seat.
        seat: u8,
        /// The place.
        place: Place,
    },
    /// A march came home.
    Returned {
        /// The seat.
        seat: u8,
        /// Its units.
        army: Army,
        /// The loot that found room.
        loot: Resources,
    },
    /// A unit starved.
    Starved {
        /// The seat.
        seat: u8,
        /// The unit.
        kind: UnitKind,
    },
    /// A city fell.
    Fell {
        /// The seat.
        seat: u8,
        /// The conqueror; `None` after a concession.
        by: Option<u8>,
    },
    /// An order that waited for the end of a fair window was refused.
    Refused {
        /// The seat.
        seat: u8,
        /// The order.
        order: Order,
        /// The reason.
        refusal: Refusal,
    },
    /// A pact changed.
    Pact {
        /// The seat that changed it.
        seat: u8,
        /// The other one.
        with: u8,
        /// The change.
        change: PactChange,
    },
    /// A gift arrived.
    Gift {
        /// The giver.
        from: u8,
        /// The receiver.
        to: u8,
        /// What found room.
        goods: Resources,
    },
    /// A seat sent a chat message.
    Said {
        /// The seat.
        seat: u8,
        /// Its words.
        words: Words,
    },
    /// A seat points at a tile.
    Pinged {
        /// The seat.
        seat: u8,
        /// The tile.
        tile: Tile,
    },
    /// The match ended.
    Ended(End),
}

/// A battle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BattleReport {
    /// Where.
    pub place: Place,
    /// The attacking seat.
    pub attacker: u8,
    /// The defending seat; `None` for militia and guard.
    pub defender: Option<u8>,
    /// How it attacked.
    pub attack: Attack,
    /// Attackers before it.
    pub attackers: Army,
    /// Defenders before it.
    pub defenders: Army,
    /// Its result.
    pub result: BattleResult,
    /// Loot taken.
    pub loot: Resources,
    /// Hit points that the keep lost.
    pub hit: u32,
}

/// A change of a pact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PactChange {
    /// It was offered.
    Offered,
    /// The offer was withdrawn or declined.
    Declined,
    /// It was accepted.
    Agreed,
    /// Notice was given: it ends at this stamp.
    Ends(u64),
    /// It is over.
    Over,
}

/// Words of a seat.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Words {
    /// One of the phrases.
    Phrase(Phrase),
    /// A text of its own.
    Text(Text),
}

/// A phrase that every player reads in their own language.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Phrase {
    /// "Hello"
    Hello,
    /// "Good luck"
    GoodLuck,
    /// "Well played"
    WellPlayed,
    /// "Thank you"
    Thanks,
    /// "Sorry"
    Sorry,
    /// "Yes"
    Yes,
    /// "No"
    No,
    /// "Help me here"
    Help,
    /// "Attack here"
    Attack,
    /// "I defend this"
    Defend,
    /// "Peace?"
    Peace,
    /// "Beware of the leader"
    Beware,
}

impl Phrase {
    /// All phrases.
    pub const ALL: [Phrase; 12] = [
        Phrase::Hello,
        Phrase::GoodLuck,
        Phrase::WellPlayed,
        Phrase::Thanks,
        Phrase::Sorry,
        Phrase::Yes,
        Phrase::No,
        Phrase::Help,
        Phrase::Attack,
        Phrase::Defend,
        Phrase::Peace,
        Phrase::Beware,
    ];
}

/// A text of a player: one line of 1 to [`Text::MAX`] characters without control characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

/// A text is empty, too long, or has control characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a text has 1 to {} characters in one line", Text::MAX)]
pub struct TextError;

impl Text {
    /// Largest number of characters.
    pub const MAX: usize = 120;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        // Bytes first: the number of characters of a long text takes long to count.
        let is_short = text.len() <= 4 * Text::MAX && text.chars().count() <= Text::MAX;
        if !is_short || text.chars().all(is_invisible) || text.chars().any(is_forbidden) {
            return Err(TextError);
        }
        Ok(Text(text))
    }
}

/// Characters that a text must not consist of alone: it would show nothing.
fn is_invisible(character: char) -> bool {
    let is_mark = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    character.is_whitespace() || is_mark
}

/// Control characters, and those that turn the direction of the text around them.
fn is_forbidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0
    }
}

/// Largest number of reports in the feed that one seat has caused at will: without a limit of its
/// own, a seat could drive out all others with messages or impossible orders.
pub(super) const MAX_OF_SEAT: usize = 16;

/// The last reports, numbered from 0.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Feed {
    next: u64,
    last: VecDeque<Kept>,
}

/// A report with its number and stamp.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    number: u64,
    at: u64,
    report: Report,
}

impl Report {
    /// The seat that can cause such reports as often as it gives orders.
    fn caused_at_will(&self) -> Option<u8> {
        match self {
            Report::Refused { seat, .. }
            | Report::Said { seat, .. }
            | Report::Pinged { seat, .. }
            | Report::Pact {
                seat,
                change: PactChange::Offered | PactChange::Declined,
                ..
            } => Some(*seat),
            Report::Built { .. }
            | Report::Battle(_)
            | Report::Taken { .. }
            | Report::Left { .. }
            | Report::Returned { .. }
            | Report::Starved { .. }
            | Report::Fell { .. }
            | Report::Pact { .. }
            | Report::Gift { .. }
            | Report::Ended(_) => None,
        }
    }
}

impl Feed {
    /// Adds a report of the stamp `at`. The oldest one goes if there are too many, or too many that
    /// the same seat has caused at will.
    pub(super) fn push(&mut self, at: u64, report: Report) {
        if let Some(seat) = report.caused_at_will() {
            let own = (0..self.last.len())
                .filter(|place| self.last[*place].report.caused_at_will() == Some(seat));
            let own: Vec<_> = own.collect();
            if own.len() >= MAX_OF_SEAT {
                self.last.remove(own[0]);
            }
        }
        if self.last.len() >= MAX_REPORTS {
            self.last.pop_front();
        }
        let number = self.next;
        self.last.push_back(Kept { number, at, report });
        self.next += 1;
    }

    /// Number of the next report.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reports from number `from` on, with their numbers and stamps. Those that are gone are left
    /// out.
    pub(super) fn since(&self, from: u64) -> impl Iterator<Item = (u64, u64, &Report)> + '_ {
        let first = self.last.partition_point(|kept| kept.number < from);
        let kept = self.last.range(first..);
        kept.map(|kept| (kept.number, kept.at, &kept.report))
    }

    /// Whether a stored feed is one.
    pub(super) fn is_possible(&self) -> bool {
        let numbers: Vec<_> = self.last.iter().map(|kept| kept.number).collect();
        self.last.len() <= MAX_REPORTS
            && numbers.is_sorted_by(|one, next| one < next)
            && numbers.last().is_none_or(|last| *last < self.next)
            && self.next < 1 << 56
    }

    /// Forgets the reports; for a copy of the state that is only for planning.
    pub(super) fn clear(&mut self) {
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_short_line() {
        let text = |text: &str| Text::try_from(text.to_owned());
        assert_eq!(text("à demain").unwrap().as_str(), "à demain");
        assert!(text(&"é".repeat(120)).is_ok());
        for wrong in [
            "",
            "  ",
            "two\nlines",
            "\u{1b}[2J",
            "\u{202e}turned",
            "\u{200f}\u{200f}",
            "\u{3164} \u{2060}",
            &"a".repeat(121),
        ] {
            assert_eq!(text(wrong), Err(TextError), "{wrong:?}");
        }
    }

    #[test]
    fn feed_keeps_the_last_reports() {
        let mut feed = Feed::default();
        for number in 0..200 {
            let report = Report::Fell { seat: 0, by: None };
            feed.push(number, report);
        }
        assert_eq!(feed.next(), 200);
        let stamps = |from| -> Vec<u64> { feed.since(from).map(|(_, at, _)| at).collect() };
        assert_eq!(stamps(198), [198, 199]);
        assert_eq!(stamps(0).len(), MAX_REPORTS);
        assert_eq!(stamps(0)[0], 200 - 128);
        assert_eq!(stamps(200), [0; 0]);
        assert_eq!(stamps(u64::MAX), [0; 0]);
        feed.clear();
        assert_eq!((feed.since(0).count(), feed.next()), (0, 200));
    }

    /// A seat that orders nonsense without end does not drive out what happened to the others.
    #[test]
    fn seat_has_a_share_of_the_feed() {
        let mut feed = Feed::default();
        feed.push(1, Report::Fell { seat: 1, by: None });
        let pings = |seat| Report::Pinged {
            seat,
            tile: Tile { x: 0, y: 0 },
        };
        feed.push(2, pings(1));
        for at in 0..500 {
            feed.push(10 + at, pings(0));
        }
        let kept: Vec<_> = feed.since(0).map(|(number, at, _)| (number, at)).collect();
        assert_eq!(kept.len(), 2 + MAX_OF_SEAT);
        assert_eq!(kept[..3], [(0, 1), (1, 2), (486, 494)]);
        assert_eq!(feed.since(487).count(), MAX_OF_SEAT - 1);
        assert!(feed.is_possible());
        feed.last.swap(0, 1);
        assert!(!feed.is_possible());
    }

    #[test]
    fn stored_feed_has_rising_numbers_below_the_next_one() {
        let mut feed = Feed::default();
        for at in 0..3 {
            feed.push(at, Report::Fell { seat: 0, by: None });
        }
        assert!(feed.is_possible());
        let mut twins = feed.clone();
        twins.last[1].number = twins.last[0].number;
        assert!(!twins.is_possible(), "two reports with one number");
        let mut late = feed.clone();
        late.last[2].number = late.next;
        assert!(!late.is_possible(), "the number of the next report");
        feed.next = (1 << 56) - 1;
        assert!(feed.is_possible());
        feed.next += 1;
        assert!(!feed.is_possible(), "the next number is out of bounds");
    }

    #[test]
    fn text_is_stored_as_its_characters() {
        let text = Text::try_from("à demain".to_owned()).unwrap();
        let bytes = postcard::to_stdvec(&text).unwrap();
        assert_eq!(postcard::from_bytes::<String>(&bytes).unwrap(), "à demain");
        assert_eq!(postcard::from_bytes::<Text>(&bytes).unwrap(), text);
    }
}
