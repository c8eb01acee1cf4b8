//! The feed of a match: its last reports as sentences, for `raftian feed`.

use raftian_realm::crowns::Report;
use raftian_realm::table::Table;
use serde::{Deserialize, Serialize};

use crate::report_words::sentence;

/// Reports of one match. Those that the table no longer keeps are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Number of the match at its table, counted from 1; 0 before the first one.
    pub round: u32,
    /// Number of the next report, from which a reader continues.
    pub next: u64,
    /// The reports, the oldest first.
    pub reports: Vec<FeedLine>,
}

/// A report of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedLine {
    /// Its number in the match, counted from 0.
    pub number: u64,
    /// Game clock, in milliseconds.
    pub at_ms: u64,
    /// One sentence.
    pub text: String,
}

/// Returns the reports of the match from number `since` on; all of them if `since` is of another
/// match, with the number `round`. `names` are those of the seats, in order. An order that was
/// refused is only for its own seat, which is `own`.
pub fn of(
    table: &Table,
    names: &[String],
    own: Option<u8>,
    round: Option<u32>,
    since: u64,
) -> Feed {
    let Some(game) = table.game() else {
        return Feed {
            round: table.rounds(),
            ..Feed::default()
        };
    };
    let is_other = round.is_some_and(|round| round != table.rounds());
    let since = if is_other { 0 } else { since };
    let next = game.next_report();
    let count = u64::try_from(game.reports_since(since).count()).unwrap_or(u64::MAX);
    let numbers = next.saturating_sub(count)..;
    let reports = numbers.zip(game.reports_since(since));
    let reports = reports.filter_map(|(number, (at_ms, report))| {
        let is_of_other = matches!(report, Report::Refused { seat, .. } if Some(*seat) != own);
        let text = sentence(report, &|seat| name_in(names, seat), game.rules())
            .filter(|_| !is_of_other)?;
        Some(FeedLine {
            number,
            at_ms,
            text,
        })
    });
    Feed {
        round: table.rounds(),
        next,
        reports: reports.collect(),
    }
}

/// Display name of a seat, counted from 0.
fn name_in(names: &[String], seat: u8) -> String {
    match names.get(usize::from(seat)) {
        Some(name) => name.clone(),
        None => format!("seat {}", u16::from(seat) + 1),
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::{Order, Phrase, Resource, Words};
    use raftian_realm::table::{Command, Setup};

    use super::*;
    use crate::table::command_at as apply;

    /// A match of two players with a fair window, in which each seat swaps wood that it does not
    /// have and then greets.
    fn table() -> Table {
        let mut table = Table::default();
        apply(&mut table, 1, 0, Command::Sit);
        let setup = Setup {
            seats: 2,
            window: Some(100),
            ..Setup::default()
        };
        apply(&mut table, 1, 0, Command::Configure(setup.into()));
        apply(&mut table, 2, 0, Command::Sit);
        apply(&mut table, 2, 0, Command::Ready(true));
        apply(&mut table, 1, 0, Command::Start);
        let too_much = Order::Swap {
            give: Resource::Wood,
            amount: 900,
            receive: Resource::Iron,
        };
        let hello = Order::Say(Words::Phrase(Phrase::Hello));
        for player in [1, 2] {
            apply(&mut table, player, 10, Command::Order(too_much.clone()));
        }
        for player in [1, 2] {
            apply(&mut table, player, 1_500, Command::Order(hello.clone()));
        }
        table
    }

    fn texts(feed: &Feed) -> Vec<&str> {
        feed.reports.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn own_order_that_a_fair_window_refused_is_in_the_feed() {
        let names = ["Ann", "Bo"].map(str::to_owned);
        let feed = of(&table(), &names, Some(1), None, 0);
        assert_eq!(
            texts(&feed),
            [
                "The order of Bo to swap 900 wood for iron was refused: 700 more wood is needed.",
                "Ann: Hello",
                "Bo: Hello",
            ]
        );
        assert_eq!((feed.round, feed.next), (1, 4));
        let spectators = of(&table(), &names, None, None, 0);
        assert_eq!(texts(&spectators), ["Ann: Hello", "Bo: Hello"]);
    }

    #[test]
    fn reader_continues_within_a_match_and_begins_again_with_the_next() {
        let table = table();
        let rest = of(&table, &[], None, Some(1), 3);
        assert_eq!(texts(&rest), ["seat 2: Hello"]);
        assert_eq!((rest.reports[0].number, rest.reports[0].at_ms), (3, 1_500));
        assert!(of(&table, &[], None, None, 4).reports.is_empty());
        let other = of(&table, &[], None, Some(7), 4);
        assert_eq!(other.reports.len(), 2, "it has read another match");
        assert_eq!(of(&Table::default(), &[], None, None, 0), Feed::default());
    }
}
