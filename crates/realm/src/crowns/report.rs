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
        if text.trim().is_empty() || !is_short || text.chars().any(is_forbidden) {
            return Err(TextError);
        }
        Ok(Text(text))
    }
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

/// The last reports, numbered from 0.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Feed {
    next: u64,
    last: VecDeque<(u64, Report)>,
}

impl Feed {
    /// Adds a report of the stamp `at`. The oldest one goes if there are too many.
    pub(super) fn push(&mut self, at: u64, report: Report) {
        if self.last.len() >= MAX_REPORTS {
            self.last.pop_front();
        }
        self.last.push_back((at, report));
        self.next += 1;
    }

    /// Number of the next report.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reports from number `from` on, with their stamps. Those that are gone are left out.
    pub(super) fn since(&self, from: u64) -> impl Iterator<Item = (u64, &Report)> + '_ {
        let kept = u64::try_from(self.last.len()).unwrap_or(u64::MAX);
        let first = self.next.saturating_sub(kept);
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        self.last
            .iter()
            .skip(skipped)
            .map(|(at, report)| (*at, report))
    }

    /// Whether a stored feed is one.
    pub(super) fn is_possible(&self) -> bool {
        let kept = u64::try_from(self.last.len()).unwrap_or(u64::MAX);
        self.last.len() <= MAX_REPORTS && kept <= self.next && self.next < 1 << 56
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
        let stamps = |from| -> Vec<u64> { feed.since(from).map(|(at, _)| at).collect() };
        assert_eq!(stamps(198), [198, 199]);
        assert_eq!(stamps(0).len(), MAX_REPORTS);
        assert_eq!(stamps(0)[0], 200 - 128);
        assert_eq!(stamps(200), [0; 0]);
        assert_eq!(stamps(u64::MAX), [0; 0]);
        feed.clear();
        assert_eq!((feed.since(0).count(), feed.next()), (0, 200));
    }
}
