//! The end of a match: who won and why, crowns over time, and how consensus did.

use std::time::Duration;

use bevy::input_focus::tab_navigation::TabGroup;
use bevy::prelude::*;
use raftian_realm::crowns::{Crowns, EndReason};

use super::CrownsSystems;
use super::art;
use super::chat::IsChatting;
use super::control::Action;
use super::news::Leadership;
use super::perspective::Perspective;
use super::words::clock;
use crate::cluster_view::ClusterView;
use crate::language::Wording;
use crate::overlay::latency::CommitLatency;
use crate::report_words::ending;
use crate::screens::Screen;
use crate::table::ReplicatedTable;
use crate::ui::focus::FocusedFirst;
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{button, column, modal, panel, row, text};
use crate::view::fonts::Typeface;

/// Time of the match between two samples of the crowns.
const SAMPLE: u64 = 5_000;

/// Side of the chart in pixels.
const CHART: u32 = 256;

/// Crowns of all seats over time.
#[derive(Resource, Default)]
struct History {
    seed: Option<u64>,
    /// Number of the first sample: a player who came later has none before.
    first: u64,
    samples: Vec<[u64; 8]>,
}

/// The panel, for the match with this seed.
#[derive(Component)]
struct Summary {
    seed: Option<u64>,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<History>()
        .add_systems(Update, (sample, show).chain().in_set(CrownsSystems::Draw));
}

fn sample(
    table: Res<ReplicatedTable>,
    perspective: Res<Perspective>,
    mut history: ResMut<History>,
) {
    let Some(game) = &perspective.game else {
        return;
    };
    if history.seed != table.0.seed() {
        *history = History {
            seed: table.0.seed(),
            first: game.elapsed() / SAMPLE,
            samples: Vec::new(),
        };
    }
    let due = (history.first + history.samples.len() as u64) * SAMPLE;
    if game.end().is_none() && game.elapsed() >= due {
        let crowns = std::array::from_fn(|seat| game.crowns(seat as u8));
        history.samples.push(crowns);
    }
}

fn show(
    mut commands: Commands,
    font: Res<Typeface>,
    table: Res<ReplicatedTable>,
    perspective: Res<Perspective>,
    history: Res<History>,
    leadership: Res<Leadership>,
    cluster: Res<ClusterView>,
    latency: Res<CommitLatency>,
    chatting: Res<IsChatting>,
    modals: Query<&TabGroup>,
    mut images: ResMut<Assets<Image>>,
    panels: Query<(Entity, &Summary)>,
) {
    let committed = table.0.game();
    let ended = committed.filter(|game| game.end().is_some());
    let is_shown = panels
        .iter()
        .any(|(_, summary)| ended.is_some() && summary.seed == table.0.seed());
    if is_shown {
        return;
    }
    for (panel, _) in &panels {
        commands.entity(panel).despawn();
    }
    let Some(game) = ended else { return };
    let chart = images.add(art::image(CHART, chart(&history.samples, game)));
    let consensus = consensus_lines(&leadership, &cluster, &latency);
    // A player who writes, or is in a menu, must not press the button by accident.
    let takes_focus = !chatting.0 && !modals.iter().any(|group| group.modal);
    let again = |line: &mut ChildSpawnerCommands| {
        let mut again = line.spawn((Action::Rematch, button(&font, wording!("Play again"))));
        if takes_focus {
            again.insert(FocusedFirst);
        }
    };
    commands
        .spawn((
            Name::new("Summary"),
            Summary {
                seed: table.0.seed(),
            },
            DespawnOnExit(Screen::Match),
            modal(20),
        ))
        .with_children(|screen| {
            screen
                .spawn(panel(Node {
                    width: px(760),
                    ..column(space::WIDE)
                }))
                .with_children(|panel| {
                    fill(panel, &font, game, &perspective, chart, &consensus);
                    panel.spawn(row(space::WIDE)).with_children(|line| {
                        again(line);
                        line.spawn((Action::Menu, button(&font, wording!("Main menu"))));
                    });
                });
        });
}

fn fill(
    panel: &mut ChildSpawnerCommands,
    font: &Typeface,
    game: &Crowns,
    perspective: &Perspective,
    chart: Handle<Image>,
    consensus: &[Wording],
) {
    let winner = game.end().and_then(|end| end.winner);
    let is_own = winner.is_some() && winner == perspective.own;
    let reason = game.end().map_or(EndReason::Time, |end| end.reason);
    let title = match (winner, is_own) {
        (_, true) => wording!("Victory"),
        (Some(winner), false) => {
            let name = perspective.name(winner);
            wording!("{name} wins", name)
        }
        (None, _) if reason == EndReason::Abandoned => wording!("The match is over"),
        (None, _) => wording!("A draw"),
    };
    let at = game.end().map_or(0, |end| end.at);
    let name = winner.map(|winner| perspective.name(winner));
    let why = wording!(
        "{end}, after {time}.",
        end = ending(name.as_deref(), reason),
        time = clock(at)
    );
    panel.spawn(text(font, title, size::HUGE, colour::GOLD));
    panel.spawn(text(font, why, size::BODY, colour::QUIET));
    panel
        .spawn(Node {
            align_items: AlignItems::FlexStart,
            ..row(space::FAR)
        })
        .with_children(|blocks| {
            blocks.spawn(column(space::TIGHT)).with_children(|list| {
                for seat in ranking(game) {
                    list.spawn(text(
                        font,
                        standing(game, perspective, seat),
                        size::BODY,
                        colour::seat(seat).mix(&colour::TEXT, 0.35),
                    ));
                }
            });
            blocks
                .spawn(column(space::TIGHT))
                .with_children(|chart_block| {
                    chart_block.spawn(text(
                        font,
                        wording!("Crowns over time"),
                        size::SMALL,
                        colour::QUIET,
                    ));
                    chart_block.spawn((
                        Node {
                            width: px(300),
                            height: px(150),
                            ..default()
                        },
                        ImageNode {
                            image: chart.clone(),
                            image_mode: NodeImageMode::Stretch,
                            ..default()
                        },
                    ));
                });
        });
    panel.spawn(column(px(2))).with_children(|lines| {
        lines.spawn(text(
            font,
            wording!("Behind the match"),
            size::SMALL,
            colour::QUIET,
        ));
        for line in consensus {
            lines.spawn(text(font, line.clone(), size::BODY, colour::TEXT));
        }
    });
}

/// The seats, the one with the most crowns first.
fn ranking(game: &Crowns) -> Vec<u8> {
    let winner = game.end().and_then(|end| end.winner);
    let mut seats: Vec<u8> = (0..).zip(game.seats()).map(|(seat, _)| seat).collect();
    seats.sort_by_key(|seat| {
        let is_winner = Some(*seat) == winner;
        std::cmp::Reverse((is_winner, game.crowns(*seat)))
    });
    seats
}

fn standing(game: &Crowns, perspective: &Perspective, seat: u8) -> Wording {
    let keep = game
        .seats()
        .get(usize::from(seat))
        .map_or(0, |own| own.keep());
    let name = perspective.name(seat);
    let crowns = game.crowns(seat);
    let army = game.army_of(seat).total();
    Wording::new(move || {
        let fate = match keep {
            0 => text!("fallen"),
            keep => text!("keep {keep}", keep),
        };
        text!(
            "{name}: {crowns} crowns, {fate}, {army} units",
            name,
            crowns,
            fate,
            army
        )
    })
}

/// Leaders, stops and latencies of the match.
fn consensus_lines(
    leadership: &Leadership,
    cluster: &ClusterView,
    latency: &CommitLatency,
) -> Vec<Wording> {
    let mut lines = Vec::new();
    let leaders = leadership.terms.iter();
    let leaders = leaders.map(|(at, leader)| (cluster.name(*leader), clock(*at)));
    let leaders: Vec<_> = leaders.collect();
    if !leaders.is_empty() {
        lines.push(wording!(
            "Leaders: {leaders}.",
            leaders = leaders_text(&leaders)
        ));
    }
    if leadership.longest > Duration::ZERO {
        let longest = leadership.longest.as_millis();
        lines.push(wording!(
            "Longest time without a leader: {longest} ms.",
            longest
        ));
    }
    let mut samples: Vec<_> = latency.samples().collect();
    samples.sort_unstable();
    if let (Some(median), Some(p95)) = (quantile(&samples, 50), quantile(&samples, 95)) {
        let count = samples.len();
        let [median, p95] =
            [median, p95].map(|latency| format!("{:.1}", latency.as_secs_f64() * 1e3));
        lines.push(wording!(
            "Your last {count} orders took {median} ms from press to commit (median), {p95} ms at \
             p95.",
            count,
            median,
            p95
        ));
    }
    lines
}

/// Names of leaders with the times from which they led.
fn leaders_text(leaders: &[(String, String)]) -> String {
    let leaders = leaders.iter();
    let leaders: Vec<_> = leaders
        .map(|(name, time)| text!("{name} from {time}", name, time))
        .collect();
    leaders.join(", ")
}

/// The sample that this many percent do not exceed, of sorted ones.
fn quantile(samples: &[Duration], percent: usize) -> Option<Duration> {
    let last = samples.len().checked_sub(1)?;
    samples.get(last * percent / 100).copied()
}

/// The crowns of all seats over time as lines, four bytes a pixel.
fn chart(samples: &[[u64; 8]], game: &Crowns) -> Vec<u8> {
    let ground = colour::GROUND.to_srgba().to_u8_array();
    let side = CHART as usize;
    let mut pixels: Vec<[u8; 4]> = vec![ground; side * side];
    let most = samples.iter().flatten().copied().max().unwrap_or(0);
    let most = most.max(game.goal()) as f32 * 1.05;
    let last = samples.len().saturating_sub(1).max(1) as f32;
    let row_of = |crowns: f32| {
        let height = (CHART - 5) as f32;
        (height - crowns / most * height + 2.0) as usize
    };
    let goal = colour::GOLD.with_alpha(0.6).to_srgba().to_u8_array();
    for column in (0..side).filter(|column| column % 8 < 4) {
        pixels[row_of(game.goal() as f32) * side + column] = goal;
    }
    for (seat, _) in game.seats().iter().enumerate() {
        let ink = colour::seat(seat as u8).to_srgba().to_u8_array();
        let mut before = None;
        for column in 0..side {
            let place = column as f32 / (side - 1) as f32 * last;
            // Of a single sample there is a level line.
            let sample = |at: usize| {
                let sample = samples.get(at).or(samples.last());
                sample.map_or(0, |crowns| crowns[seat]) as f32
            };
            let [low, high] = [place.floor(), place.ceil()].map(|at| sample(at as usize));
            let row = row_of(low + (high - low) * place.fract()).min(side - 2);
            let [from, to] = [before.unwrap_or(row), row];
            for row in from.min(to)..=from.max(to) + 1 {
                pixels[row * side + column] = ink;
            }
            before = Some(row);
        }
    }
    pixels.concat()
}

#[cfg(test)]
mod tests {
    use raftian_realm::crowns::Rules;

    use super::*;

    #[test]
    fn chart_has_a_line_for_each_seat() {
        let game = Crowns::new(3, 1, Rules::of_this_build(), 0).unwrap();
        let mut samples = Vec::new();
        for sample in 0..50 {
            samples.push(std::array::from_fn(|seat| sample * (seat as u64 + 1)));
        }
        let pixels = chart(&samples, &game);
        assert_eq!(pixels.len(), (CHART * CHART * 4) as usize);
        for seat in 0..3 {
            let ink = colour::seat(seat).to_srgba().to_u8_array();
            let drawn = pixels.chunks(4).filter(|pixel| *pixel == ink).count();
            assert!(drawn > 200, "seat {seat}: {drawn}");
        }
        assert_eq!(chart(&[], &game).len(), pixels.len());
    }

    #[test]
    fn quantiles_are_samples() {
        let samples: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&samples, 50), Some(Duration::from_millis(50)));
        assert_eq!(quantile(&samples, 95), Some(Duration::from_millis(95)));
        assert_eq!(quantile(&[], 50), None);
    }
}
