//! The buttons in the panel of the others that vote to remove a player from the match.

use std::ops::Range;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy::ui_widgets::Activate;
use bevy_raft::{AppliedLog, ChangeExt, ChangeId, ChangeOutcome, MatchChange, NodeId, RaftStatus};
use raftian_node::ballot::Measure;
use raftian_node::match_record::MatchRecord;
use raftian_node::wall_clock;
use raftian_realm::table::Table;

use super::super::orders::Notice;
use super::SideMode;
use crate::language::Wording;
use crate::table::{ReplicatedTable, player_of};
use crate::ui::theme::{colour, size, space};
use crate::ui::widgets::{Caption, control, unbroken, write as write_text};
use crate::view::fonts::Typeface;

/// The button about the player of one seat.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VoteButton(u8);

/// Caption of a [`VoteButton`].
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VoteCaption(u8);

/// Time after a first press in which a second one counts: not the second one of a double click, nor
/// one of long after.
const CONFIRMED_WITHIN: Range<Duration> = Duration::from_millis(400)..Duration::from_secs(10);

/// The member whose button was pressed once, and when: a vote takes a second press. Of two players
/// either one removes the other at once.
#[derive(Resource, Default)]
pub(super) struct AskedAbout(Option<(NodeId, Duration)>);

/// The vote whose outcome is awaited.
#[derive(Resource, Default)]
pub(super) struct AwaitedVote(Option<ChangeId>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<AskedAbout>()
        .init_resource::<AwaitedVote>()
        .add_observer(press)
        .add_observer(note_outcome);
}

pub(super) fn spawn(rows: &mut ChildSpawnerCommands, font: &Typeface, seat: u8) {
    rows.spawn((
        VoteButton(seat),
        // Hidden itself, not in a row of its own, which would keep its gap.
        control(Node {
            display: Display::None,
            align_self: AlignSelf::FlexStart,
            padding: UiRect::axes(space::NEAR, space::TIGHT),
            ..default()
        }),
        children![(
            Caption,
            VoteCaption(seat),
            unbroken(font, Wording::EMPTY, size::SMALL, colour::TEXT)
        )],
    ));
}

/// The member with which another player sits on `seat`; `None` also in a match whose members are
/// not removed, and for a spectator, which has no vote.
fn member_of(seat: u8, table: &Table, log: &AppliedLog, status: &RaftStatus) -> Option<NodeId> {
    let node = &status.view.as_ref()?.status;
    let record = MatchRecord::of(&node.membership)?;
    if record.spectators.contains(&node.id) {
        return None;
    }
    let members = node.membership.members().map(|(id, _)| id);
    let mut others = members.filter(|id| *id != node.id);
    others.find(|id| table.match_seat_of(player_of(log, *id)) == Some(seat))
}

/// Shows the buttons of other players.
pub(super) fn show(
    mode: Res<SideMode>,
    table: Res<ReplicatedTable>,
    log: Res<AppliedLog>,
    status: Res<RaftStatus>,
    time: Res<Time<Real>>,
    mut asked: ResMut<AskedAbout>,
    mut buttons: Query<(&VoteButton, &mut Node)>,
    mut captions: Query<(&VoteCaption, &mut Text)>,
) {
    if *mode != SideMode::Others {
        asked.0 = None;
        return;
    }
    let in_time = time.elapsed().saturating_sub(CONFIRMED_WITHIN.end);
    asked.0 = asked.0.filter(|(_, since)| *since >= in_time);
    let member = |seat| member_of(seat, &table.0, &log, &status);
    for (button, mut node) in &mut buttons {
        let display = match member(button.0) {
            Some(_) => Display::Flex,
            None => Display::None,
        };
        if node.display != display {
            node.display = display;
        }
    }
    for (caption, mut text) in &mut captions {
        let Some(member) = member(caption.0) else {
            continue;
        };
        let name = log.roster.get(member).and_then(|one| one.name.clone());
        let name = name.unwrap_or_else(|| member.to_string());
        let votes = votes(&status, member);
        let words = match votes {
            _ if asked.0.is_some_and(|(about, _)| about == member) => {
                text!("Really vote against {name}?", name)
            }
            0 => text!("Vote to remove {name}", name),
            _ => text!("Vote to remove {name} ({votes})", name, votes),
        };
        write_text(&mut text, words);
    }
}

/// Number of votes to remove a member.
fn votes(status: &RaftStatus, member: NodeId) -> usize {
    let membership = status.view.as_ref().map(|view| &view.status.membership);
    let record = membership.and_then(MatchRecord::of);
    let ballots = record.into_iter().flat_map(|record| record.ballots);
    let now = wall_clock();
    let mut about = ballots.filter(|ballot| {
        ballot.member == member && ballot.measure == Measure::Remove && ballot.is_open(now)
    });
    about.next().map_or(0, |ballot| ballot.votes.len())
}

fn press(
    activated: On<Activate>,
    buttons: Query<&VoteButton>,
    table: Res<ReplicatedTable>,
    log: Res<AppliedLog>,
    status: Res<RaftStatus>,
    time: Res<Time<Real>>,
    mut asked: ResMut<AskedAbout>,
    mut awaited: ResMut<AwaitedVote>,
    mut commands: Commands,
) {
    let Ok(button) = buttons.get(activated.entity) else {
        return;
    };
    let Some(member) = member_of(button.0, &table.0, &log, &status) else {
        return;
    };
    let now = time.elapsed();
    match asked.0.filter(|(about, _)| *about == member) {
        None => asked.0 = Some((member, now)),
        Some((_, since)) if CONFIRMED_WITHIN.contains(&now.saturating_sub(since)) => {
            asked.0 = None;
            awaited.0 = Some(commands.change_match(MatchChange::Remove(member)));
        }
        Some(_) => {}
    }
}

/// A vote is in the feed; a refusal is not.
fn note_outcome(
    outcome: On<ChangeOutcome>,
    time: Res<Time<Real>>,
    mut awaited: ResMut<AwaitedVote>,
    mut notice: ResMut<Notice>,
) {
    if awaited.0 == Some(outcome.id) {
        awaited.0 = None;
        if let Err(reason) = &outcome.result {
            let words = text!("The vote does not count: {reason}", reason);
            notice.show(words, time.elapsed());
        }
    }
}
