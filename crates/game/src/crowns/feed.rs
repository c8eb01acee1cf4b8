//! The feed below the map: what has happened, the newest last.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::RaftSystems;
use raftian_realm::crowns::{Place, Report};

use super::CrownsSystems;
use super::layout::{BOTTOM, FeedHeight, RIGHT};
use super::orders::{Notice, PendingOrders};
use super::perspective::Perspective;
use super::words::clock;
use crate::language::Wording;
use crate::report_words::sentence;
use crate::screens::Screen;
use crate::table::{ReplicatedTable, Reported};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{column, row, text, write};
use crate::view::fonts::Typeface;

/// Lines that are kept.
const KEPT: usize = 64;

/// Lines that are shown.
const SHOWN: usize = 5;

/// Age in seconds from which an order that is not committed yet is mentioned.
const LATE: f32 = 0.25;

/// How important a line is to the player.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// It concerns others.
    Quiet,
    /// It concerns the player's own city or armies.
    Own,
    /// It is about the members of the match.
    Consensus,
}

/// A line of the feed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    /// Game clock.
    at: u64,
    words: String,
    tone: Tone,
}

/// The lines of the feed.
#[derive(Resource, Default)]
pub(super) struct Feed(VecDeque<Line>);

impl Feed {
    /// Adds a line.
    pub(super) fn add(&mut self, at: u64, words: impl Into<String>, tone: Tone) {
        while self.0.len() >= KEPT {
            self.0.pop_front();
        }
        let words = words.into();
        self.0.push_back(Line { at, words, tone });
    }

    /// Whether a line contains these words.
    #[cfg(test)]
    pub(super) fn contains(&self, words: &str) -> bool {
        self.0.iter().any(|line| line.words.contains(words))
    }
}

/// A text of the feed.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
enum FeedText {
    Clock(usize),
    Words(usize),
    Notice,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Feed>()
        .add_observer(note)
        .add_systems(OnEnter(Screen::Match), (clear, spawn))
        .add_systems(
            PreUpdate,
            clear_for_new_match
                .after(RaftSystems::Apply)
                .run_if(resource_changed::<ReplicatedTable>),
        )
        .add_systems(Update, show.in_set(CrownsSystems::Draw));
}

/// The feed of the match before ends with it.
fn clear_for_new_match(
    table: Res<ReplicatedTable>,
    mut shown: Local<Option<u64>>,
    mut feed: ResMut<Feed>,
) {
    let seed = table.0.seed();
    if *shown != seed {
        *shown = seed;
        feed.0.clear();
    }
}

fn clear(mut feed: ResMut<Feed>) {
    feed.0.clear();
}

fn note(reported: On<Reported>, perspective: Res<Perspective>, mut feed: ResMut<Feed>) {
    let Some(game) = &perspective.game else {
        return;
    };
    let report = &reported.report;
    let own = perspective.own;
    let concerns = concerned(report).into_iter().flatten();
    let is_own = own.is_some_and(|own| concerns.into_iter().any(|seat| seat == own));
    // Others' fields and quiet returns are no news.
    let is_private = matches!(
        report,
        Report::Built { .. }
            | Report::Returned { .. }
            | Report::Starved { .. }
            | Report::Refused { .. }
    );
    if is_private && !is_own {
        return;
    }
    let name = |seat: u8| perspective.name(seat);
    if let Some(words) = sentence(report, &name, game.rules()) {
        let tone = if is_own { Tone::Own } else { Tone::Quiet };
        feed.add(reported.at, words, tone);
    }
}

/// The seats that a report is about.
fn concerned(report: &Report) -> [Option<u8>; 2] {
    match report {
        Report::Battle(battle) => {
            let city = match battle.place {
                Place::City(seat) => Some(seat),
                Place::Oasis(_) | Place::Throne => battle.defender,
            };
            [Some(battle.attacker), city]
        }
        Report::Gift { from, to, .. } => [Some(*from), Some(*to)],
        Report::Pact { seat, with, .. } => [Some(*seat), Some(*with)],
        Report::Fell { seat, by } => [Some(*seat), *by],
        Report::Built { seat, .. }
        | Report::Taken { seat, .. }
        | Report::Left { seat, .. }
        | Report::Returned { seat, .. }
        | Report::Starved { seat, .. }
        | Report::Refused { seat, .. } => [Some(*seat), None],
        _ => [None, None],
    }
}

fn spawn(mut commands: Commands, font: Res<Typeface>) {
    commands
        .spawn((
            Name::new("Feed"),
            FeedHeight,
            DespawnOnExit(Screen::Match),
            Node {
                position_type: PositionType::Absolute,
                left: px(0),
                right: px(RIGHT),
                bottom: px(0),
                height: px(BOTTOM),
                padding: UiRect::axes(space::WIDE, space::NEAR),
                border: UiRect::top(px(1)),
                justify_content: JustifyContent::FlexEnd,
                overflow: Overflow::clip(),
                ..column(px(1))
            },
            BackgroundColor(colour::PANEL),
            BorderColor::all(colour::EDGE),
        ))
        .with_children(|feed| {
            for line in 0..SHOWN {
                let entry = Node {
                    align_items: AlignItems::FlexStart,
                    flex_shrink: 0.0,
                    ..row(space::NEAR)
                };
                feed.spawn(entry).with_children(|parts| {
                    parts.spawn((
                        Node {
                            width: px(44),
                            flex_shrink: 0.0,
                            ..default()
                        },
                        children![(
                            FeedText::Clock(line),
                            text(&font, Wording::EMPTY, size::SMALL, colour::QUIET)
                        )],
                    ));
                    parts.spawn((
                        FeedText::Words(line),
                        text(&font, Wording::EMPTY, size::SMALL, colour::TEXT),
                    ));
                });
            }
            feed.spawn((
                FeedText::Notice,
                text(&font, Wording::EMPTY, size::BODY, colour::BAD),
            ));
        });
}

fn show(
    feed: Res<Feed>,
    notice: Res<Notice>,
    pending: Res<PendingOrders>,
    time: Res<Time<Real>>,
    mut texts: Query<(&FeedText, &mut Text, &mut TextColor)>,
) {
    let first = feed.0.len().saturating_sub(SHOWN);
    for (part, mut text, mut ink) in &mut texts {
        let (words, shown) = match *part {
            FeedText::Clock(line) | FeedText::Words(line) => {
                let line = feed.0.get(first + line);
                let shown = match line.map(|line| line.tone) {
                    Some(Tone::Own) => colour::TEXT,
                    Some(Tone::Consensus) => colour::GOLD,
                    Some(Tone::Quiet) | None => colour::QUIET,
                };
                let words = match part {
                    FeedText::Clock(_) => line.map(|line| clock(line.at)),
                    FeedText::Words(_) | FeedText::Notice => line.map(|line| line.words.clone()),
                };
                (words.unwrap_or_default(), shown)
            }
            FeedText::Notice => notice_text(&notice, &pending, &time),
        };
        write(&mut text, words);
        ink.set_if_neq(TextColor(shown));
    }
}

/// A refusal, or how long the oldest order has been on its way.
fn notice_text(notice: &Notice, pending: &PendingOrders, time: &Time<Real>) -> (String, Color) {
    let now = time.elapsed();
    if let Some(words) = notice.at(now) {
        return (words.to_owned(), colour::BAD);
    }
    let oldest = pending
        .0
        .first()
        .map(|order| now.saturating_sub(order.since));
    match oldest.filter(|age| age.as_secs_f32() > LATE) {
        Some(age) => {
            let words = waiting_text(pending.0.len(), age);
            (words, colour::QUIET)
        }
        None => (String::new(), colour::QUIET),
    }
}

/// How long orders have been on their way.
fn waiting_text(count: usize, age: Duration) -> String {
    let age = format!("{:.1}", age.as_secs_f32());
    match count {
        1 => text!("One order is on the way to a majority for {age} s", age),
        count => text!(
            "{count} orders are on the way to a majority for {age} s",
            count,
            age
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_keeps_the_newest_lines() {
        let mut feed = Feed::default();
        for at in 0..100 {
            feed.add(at, "something", Tone::Quiet);
        }
        assert_eq!(feed.0.len(), KEPT);
        assert_eq!(feed.0.back().map(|line| line.at), Some(99));
    }
}
