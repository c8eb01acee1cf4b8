//! Replicates the table: who sits where, and the match of Crowns.
//!
//! [`TableCommand`]s from the log change [`ReplicatedTable`], here and nowhere else. Their effects
//! arrive as [`Reported`] events, and [`projection`] shows the state as entities.

pub mod projection;
mod runner;

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::rand::Rng;
use bevy_raft::{AppliedLog, CATCHING_UP, StateRestored, TickDemand};
use raftian_raft::{Index, Moment, NodeId, Stamp};
use raftian_realm::crowns::{Crowns, Report};
use raftian_realm::table::{Command, Origin, PlayerId, Refusal, Table};
use serde::{Deserialize, Serialize};

/// Longest time in milliseconds of stamps without a tick while a match is played: clients
/// extrapolate no further.
const LONGEST_PAUSE: u64 = 1_000;

/// A command of the table as a replicated command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableCommand {
    /// The command.
    pub command: Command,
    /// Number of matches begun at the table when it was proposed.
    pub round: u32,
}

impl TableCommand {
    /// A command for the table as its sender sees it.
    pub fn new(command: Command, table: &Table) -> Self {
        TableCommand {
            command,
            round: table.rounds(),
        }
    }
}

impl ReplicatedCommand for TableCommand {
    const NAME: &'static str = "raftian.command/3";
}

/// The table of the match this machine takes part in.
#[derive(Resource, Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReplicatedTable(pub Table);

impl ReplicatedState for ReplicatedTable {
    const NAME: &'static str = "raftian.table/3";
}

/// Result of the last command of the log, for observers of [`Committed<TableCommand>`], which are
/// triggered right after it was applied.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct LastVerdict(pub Option<(Index, Result<(), Refusal>)>);

/// Something happened in the match of Crowns: for the feed, sounds and stories. Triggered at most
/// once for each report: of a match that goes on for long between two frames, for the last
/// [`MAX_REPORTS`](raftian_realm::crowns::MAX_REPORTS).
#[derive(Event, Clone, Debug)]
pub struct Reported {
    /// Game clock.
    pub at: u64,
    /// The report.
    pub report: Report,
    /// It happened before this app took part, or while it caught up: there is no news in it.
    pub replayed: bool,
}

/// The match whose reports were seen last, and the number of its next one.
#[derive(Resource, Clone, Copy, Debug, Default)]
struct SeenReports {
    /// Seed of the match, which also differs between matches of other tables.
    seed: Option<u64>,
    next: u64,
}

/// Stamp of the last entry that was applied.
#[derive(Resource, Clone, Copy, Debug, Default)]
struct LastStamp(Stamp);

/// The stamp that an entry would have at present, as far as this machine knows.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct PresentStamp {
    /// Stamp of the last entry, and when this machine saw it on its node's clock.
    last: (Stamp, Moment),
    now: Moment,
}

impl PresentStamp {
    /// The stamp: at most a little beyond that of the last entry, since the clock stands without a
    /// quorum.
    pub fn get(&self) -> u64 {
        let (stamp, at) = self.last;
        let passed = u64::try_from(self.now.since(at).as_millis()).unwrap_or(u64::MAX);
        stamp
            .0
            .saturating_add(passed.min(LONGEST_PAUSE + LONGEST_PAUSE / 2))
    }
}

/// Applies commands of the table, and runs the bots that are this member's. Must be added after
/// [`RaftPlugin`].
pub fn plugin(app: &mut App) {
    app.add_plugins((projection::plugin, runner::plugin))
        .add_replicated_command::<TableCommand>()
        .add_replicated_state::<ReplicatedTable>()
        .init_resource::<LastVerdict>()
        .init_resource::<SeenReports>()
        .init_resource::<LastStamp>()
        .init_resource::<PresentStamp>()
        .add_systems(ApplyCommitted, apply_command)
        .configure_sets(
            PreUpdate,
            projection::TableProjection.after(RaftSystems::Apply),
        )
        .add_observer(restore_stamp)
        .add_systems(PreUpdate, note_present.after(RaftSystems::Apply))
        .add_systems(
            PreUpdate,
            report
                .after(RaftSystems::Apply)
                .run_if(resource_exists_and_changed::<ReplicatedTable>),
        )
        .add_systems(PostUpdate, demand_ticks.before(RaftSystems::Propose));
}

/// Applies one entry. The only writer of the table.
fn apply_command(
    entry: Res<CommittedEntry>,
    log: Res<AppliedLog>,
    mut table: ResMut<ReplicatedTable>,
    mut verdict: ResMut<LastVerdict>,
    mut last: ResMut<LastStamp>,
) {
    let Some(stamp) = entry.stamp() else {
        return;
    };
    last.0 = stamp;
    if let Some(change) = entry.roster_change() {
        for id in change.joined.iter().chain(&change.left) {
            let player = player_of(&log, *id);
            let mut present = log.roster.present();
            let is_present = present.any(|(other, _)| player_of(&log, other) == player);
            table.0.set_present(player, is_present, stamp.0);
        }
        return;
    }
    if let Some(TableCommand { command, round }) = entry.command()
        && let Some(info) = entry.info()
        && let Some(mut rng) = entry.rng()
    {
        let origin = Origin {
            player: player_of(&log, info.member),
            member: info.member.0,
            stamp: stamp.0,
            random: rng.next_u64(),
            round: *round,
        };
        verdict.0 = Some((info.index, table.0.apply(command, &origin)));
    } else if entry.tick().is_some() {
        table.0.advance(stamp.0);
    }
}

/// Identity of the player behind a member: the beginning of the key that signs the player's orders,
/// or the member's number in a cluster that was created from files.
pub fn player_of(log: &AppliedLog, member: NodeId) -> PlayerId {
    let key = log.roster.get(member).and_then(|one| one.key);
    let mut id = [0; 16];
    match key {
        Some(key) => id.copy_from_slice(&key.0[..16]),
        None => id[8..].copy_from_slice(&member.0.to_be_bytes()),
    }
    PlayerId(id)
}

/// The match brought up to the present of the game clock, without its reports.
pub(crate) fn present_game(table: &Table, stamp: &PresentStamp) -> Option<Crowns> {
    let mut game = table.game()?.without_reports();
    game.advance(table.clock(stamp.get())?);
    Some(game)
}

fn note_present(status: Res<RaftStatus>, last: Res<LastStamp>, mut present: ResMut<PresentStamp>) {
    let Some(view) = &status.view else {
        return;
    };
    // A node that starts again has another clock.
    if present.last.0 != last.0 || view.now < present.now {
        present.last = (last.0, view.now);
    }
    present.now = view.now;
}

/// Requests a tick when something is due in the match.
fn demand_ticks(
    table: Res<ReplicatedTable>,
    last: Res<LastStamp>,
    demand: Option<ResMut<TickDemand>>,
) {
    let Some(mut demand) = demand else {
        return;
    };
    let next = table.0.next_event();
    let next = next.map(|due| Stamp(due.min(last.0.0 + LONGEST_PAUSE)));
    demand.set_if_neq(TickDemand(next));
}

/// Continues the clock from a restored snapshot.
fn restore_stamp(restored: On<StateRestored>, mut last: ResMut<LastStamp>) {
    last.0 = restored.stamp;
}

/// Triggers the reports that are new.
fn report(
    table: Res<ReplicatedTable>,
    log: Res<AppliedLog>,
    status: Res<RaftStatus>,
    mut seen: ResMut<SeenReports>,
    mut commands: Commands,
) {
    let Some(game) = table.0.game() else {
        return;
    };
    let seed = table.0.seed();
    if seen.seed != seed {
        *seen = SeenReports { seed, next: 0 };
    }
    let commit = status
        .view
        .as_ref()
        .map_or(log.index, |view| view.status.commit);
    let replayed = log.is_past() || commit.0.saturating_sub(log.index.0) > CATCHING_UP;
    for (at, report) in game.reports_since(seen.next) {
        commands.trigger(Reported {
            at,
            report: report.clone(),
            replayed,
        });
    }
    // After a repair the same entries are applied again.
    seen.next = seen.next.max(game.next_report());
}

/// Performs a command of a player at a stamp, for tests of code that reads tables.
///
/// # Panics
/// If the table refuses it.
#[cfg(test)]
pub(crate) fn command_at(table: &mut Table, player: u8, stamp: u64, command: Command) {
    let origin = Origin {
        player: PlayerId([player; 16]),
        member: u64::from(player),
        stamp,
        random: 7,
        round: table.rounds(),
    };
    let applied = table.apply(&command, &origin);
    applied.expect("the command is allowed");
}

#[cfg(test)]
mod tests;
