//! Runs the bots and stewards that are this member's, and finds members for those of others.
//!
//! A bot decides on a copy of the applied state, brought up to the present, and its orders are
//! proposed like those of players. The number of a decision follows from the game clock, and the
//! table accepts each number once, so a decision made by two members counts once.

use std::collections::BTreeMap;
use std::time::Duration;

use bevy::prelude::*;
use bevy_raft::AppliedLog;
use bevy_raft::prelude::*;
use raftian_bots::{Bot, steward};
use raftian_raft::{Index, NodeId};
use raftian_realm::table::{BOT_SILENCE, Command, Occupant, STEWARD_PAUSE, SeatedBot};

use super::{PresentStamp, ReplicatedTable, TableCommand, player_of, present_game};

/// Milliseconds of stamps after which a member gives a sign of a bot that has nothing to order.
const SIGN_EVERY: u64 = 700;

/// Milliseconds of stamps by which each member waits longer than the one before it to adopt a bot
/// without a sign. The leader is the first.
const ADOPT_IN_TURN: u64 = 250;

/// Silence of a member after which its player counts as absent.
const ABSENT: Duration = Duration::from_secs(10);

/// Milliseconds of stamps between two proposals about the absence of the same player.
const CLAIM_PAUSE: u64 = 1_000;

/// Decisions searched for the next one that is due. A bot that was paused for longer skips some.
const MOST_SKIPPED: u64 = 1 << 20;

/// Decisions of this member in the present match.
#[derive(Resource, Default, Debug)]
struct Decided {
    seed: Option<u64>,
    /// Number of the last decision of each seat's bot made here.
    bots: BTreeMap<u8, u64>,
    /// Game clock of the last decision of each seat's steward.
    stewards: BTreeMap<u8, u64>,
    /// Stamp of the last sign of each bot given here.
    signs: BTreeMap<u8, u64>,
    /// Stamp of the last adoption of each bot proposed here.
    adoptions: BTreeMap<u8, u64>,
    /// Stamp of the last absence of each player proposed here.
    absences: BTreeMap<u8, u64>,
    /// Stamp of the last sign of this member's own player proposed here.
    presence: Option<u64>,
}

/// Round trip of a member from which it is far, and below which it is near again.
const FAR: [Duration; 2] = [Duration::from_millis(40), Duration::from_millis(25)];

/// The bots of this app rest, as those of an app that hangs do.
#[cfg(test)]
#[derive(Resource)]
pub(super) struct Paused;

#[cfg(test)]
fn is_paused(paused: Option<Res<Paused>>) -> bool {
    paused.is_some()
}

#[cfg(not(test))]
fn is_paused() -> bool {
    false
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Decided>();
    app.add_systems(
        Update,
        (measure_distance, note_absences, end_own_absence)
            .run_if(resource_exists::<ReplicatedTable>),
    );
    app.add_systems(
        Update,
        (run_bots, adopt_bots, run_stewards)
            .chain()
            .run_if(resource_exists::<ReplicatedTable>.and_then(is_current))
            .run_if(not(is_paused)),
    );
}

/// Whether this member has applied what was committed before it started, and can commit.
fn is_current(status: Res<RaftStatus>, log: Res<AppliedLog>, table: Res<ReplicatedTable>) -> bool {
    table.0.is_playing() && status.leader().is_some() && log.is_current()
}

fn own_id(status: &RaftStatus) -> Option<NodeId> {
    status.view.as_ref().map(|view| view.status.id)
}

fn run_bots(
    status: Res<RaftStatus>,
    table: Res<ReplicatedTable>,
    stamp: Res<PresentStamp>,
    mut decided: ResMut<Decided>,
    mut commands: Commands,
) {
    let Some(own) = own_id(&status) else {
        return;
    };
    let Some(seed) = table.0.seed() else {
        return;
    };
    if decided.seed != Some(seed) {
        *decided = Decided {
            seed: Some(seed),
            ..Decided::default()
        };
    }
    let Some(clock) = table.0.clock(stamp.get()) else {
        return;
    };
    let mut present = None;
    for (seat, seated) in table.0.bots().filter(|(_, bot)| bot.member == own.0) {
        let bot = bot_of(&seated);
        let before = decided.bots.get(&seat).copied().unwrap_or(0);
        let before = before.max(seated.decision);
        let mut orders = Vec::new();
        if let Some(decision) = due_decision(&bot, seat, seed, before, clock) {
            decided.bots.insert(seat, decision);
            present = present.or_else(|| present_game(&table.0, &stamp));
            orders = present
                .as_ref()
                .map_or_else(Vec::new, |game| bot.orders(game, seat, seed));
            if !orders.is_empty() {
                let orders = orders.clone();
                commands.propose(TableCommand::new(
                    Command::BotOrders {
                        seat,
                        decision,
                        orders,
                    },
                    &table.0,
                ));
            }
        }
        let signed = decided
            .signs
            .get(&seat)
            .copied()
            .unwrap_or(0)
            .max(seated.seen);
        if !orders.is_empty() {
            decided.signs.insert(seat, stamp.get());
        } else if stamp.get() >= signed + SIGN_EVERY {
            decided.signs.insert(seat, stamp.get());
            commands.propose(TableCommand::new(Command::BotAlive { seat }, &table.0));
        }
    }
}

fn bot_of(seated: &SeatedBot) -> Bot {
    Bot::new(seated.level, seated.archetype)
}

/// Number of the last decision that is due and was not made.
fn due_decision(bot: &Bot, seat: u8, seed: u64, before: u64, clock: u64) -> Option<u64> {
    // Each decision is due within its own period.
    let newest = (clock / raftian_bots::period(bot.level)).min(MOST_SKIPPED);
    let decision = [newest, newest.saturating_sub(1)]
        .into_iter()
        .find(|decision| bot.due(seat, seed, *decision) <= clock)?;
    (decision > before).then_some(decision)
}

/// At the leader: notes whether the members are far apart, before a match.
fn measure_distance(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    table: Res<ReplicatedTable>,
    mut proposed: Local<Option<(Index, bool)>>,
    mut commands: Commands,
) {
    let Some(view) = status
        .view
        .as_ref()
        .filter(|_| status.leads() && log.is_current())
    else {
        return;
    };
    let is_used = table
        .0
        .chairs()
        .iter()
        .any(|chair| chair.occupant != Occupant::Open);
    if table.0.is_playing() || !is_used {
        return;
    }
    let trips = view.status.peers.iter().filter_map(|peer| peer.round_trip);
    let Some(longest) = trips.max() else {
        return;
    };
    let is_far = is_far(longest, table.0.is_far());
    // One proposal for each change; an entry later its effect is known.
    let is_waiting = *proposed == Some((log.index, is_far));
    if is_far != table.0.is_far() && !is_waiting {
        *proposed = Some((log.index, is_far));
        commands.propose(TableCommand::new(Command::Distance(is_far), &table.0));
    }
}

/// Whether a member with this round trip is far; it stays so until it is clearly near.
fn is_far(trip: Duration, was: bool) -> bool {
    let [far, near] = FAR;
    if was { trip > near } else { trip >= far }
}

/// Adopts bots without a sign: the leader first, then the other members in turn, in case that its app
/// does not run.
fn adopt_bots(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    table: Res<ReplicatedTable>,
    stamp: Res<PresentStamp>,
    mut decided: ResMut<Decided>,
    mut commands: Commands,
) {
    let Some(view) = &status.view else {
        return;
    };
    let own = view.status.id;
    let is_witness = view.status.membership.member(own);
    if is_witness.is_some_and(raftian_raft::Member::is_witness) {
        return;
    }
    let members = log.roster.present().map(|(id, _)| id);
    let before = members.filter(|id| *id <= own).count();
    let turn = if status.leads() { 0 } else { before };
    let turn = u64::try_from(turn).unwrap_or(u64::MAX);
    let patience = BOT_SILENCE + ADOPT_IN_TURN.saturating_mul(turn);
    let now = stamp.get();
    for (seat, bot) in table.0.bots().filter(|(_, bot)| bot.member != own.0) {
        let proposed = decided.adoptions.get(&seat).copied();
        let is_proposed = proposed.is_some_and(|at| now < at + BOT_SILENCE);
        if now >= bot.seen.saturating_add(patience) && !is_proposed {
            decided.adoptions.insert(seat, now);
            tracing::info!(seat, "this member runs the bot from now on");
            commands.propose(TableCommand::new(Command::AdoptBot { seat }, &table.0));
        }
    }
}

/// At the leader: notes players as absent whose members are silent, also between two matches, which
/// they would hold up.
fn note_absences(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    table: Res<ReplicatedTable>,
    stamp: Res<PresentStamp>,
    mut decided: ResMut<Decided>,
    mut commands: Commands,
) {
    let Some(view) = status
        .view
        .as_ref()
        .filter(|_| status.leads() && log.is_current())
    else {
        return;
    };
    let now = stamp.get();
    for (seat, player) in table.0.players().filter(|(_, player)| player.is_present()) {
        let members = log.roster.present().map(|(id, _)| id);
        let mut own = members.filter(|id| player_of(&log, *id) == player.id);
        let Some(member) = own.next().filter(|member| *member != view.status.id) else {
            continue;
        };
        let peer = view.status.peers.iter().find(|peer| peer.id == member);
        let is_silent = peer.is_some_and(|peer| peer.silent_for >= ABSENT);
        let proposed = decided.absences.get(&seat).copied();
        let is_proposed = proposed.is_some_and(|at| now < at + CLAIM_PAUSE);
        if is_silent && !is_proposed {
            decided.absences.insert(seat, now);
            commands.propose(TableCommand::new(Command::NoteAbsent { seat }, &table.0));
        }
    }
}

/// Ends an absence of this member's own player: one that was noted before the member started again,
/// or without a reason.
fn end_own_absence(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    table: Res<ReplicatedTable>,
    stamp: Res<PresentStamp>,
    mut decided: ResMut<Decided>,
    mut commands: Commands,
) {
    let own = own_id(&status).filter(|_| status.leader().is_some() && log.is_current());
    // A member that leaves the match is absent for a reason.
    let own = own.filter(|own| log.roster.is_present(*own));
    let Some(own) = own.filter(|own| table.0.is_absent(player_of(&log, *own))) else {
        return;
    };
    let now = stamp.get();
    let is_proposed = decided.presence.is_some_and(|at| now < at + CLAIM_PAUSE);
    if !is_proposed {
        decided.presence = Some(now);
        tracing::info!(member = own.0, "the player of this member is not absent");
        commands.propose(TableCommand::new(Command::Present, &table.0));
    }
}

/// At the leader: keeps the cities of absent players.
fn run_stewards(
    status: Res<RaftStatus>,
    table: Res<ReplicatedTable>,
    stamp: Res<PresentStamp>,
    mut decided: ResMut<Decided>,
    mut commands: Commands,
) {
    let Some(clock) = table.0.clock(stamp.get()).filter(|_| status.leads()) else {
        return;
    };
    for seat in table.0.stewarded(stamp.get()) {
        let before = decided.stewards.get(&seat).copied();
        if before.is_some_and(|before| clock < before + STEWARD_PAUSE) {
            continue;
        }
        decided.stewards.insert(seat, clock);
        let Some(game) = present_game(&table.0, &stamp) else {
            return;
        };
        // One at a time, as the table allows them.
        if let Some(order) = steward(&game, seat).into_iter().next() {
            commands.propose(TableCommand::new(
                Command::StewardOrder { seat, order },
                &table.0,
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_does_not_change_with_every_measurement() {
        let far = |millis, was| is_far(Duration::from_millis(millis), was);
        assert_eq!(
            [10, 30, 39, 40].map(|trip| far(trip, false)),
            [false, false, false, true]
        );
        assert_eq!(
            [10, 25, 26, 40].map(|trip| far(trip, true)),
            [false, false, true, true]
        );
    }

    /// A decision is due once, a bot that was paused goes on with the newest one, and one that was
    /// made elsewhere is not repeated.
    #[test]
    fn each_decision_is_due_once() {
        let bot = Bot::new(raftian_bots::Level::Captain, raftian_bots::Archetype::Rush);
        let mut made = Vec::new();
        for clock in (0..60_000).step_by(100) {
            let before = made.last().copied().unwrap_or(0);
            made.extend(due_decision(&bot, 1, 7, before, clock));
        }
        let expected: Vec<u64> = (1..40).collect();
        assert!(made == expected || made == expected[..38], "{made:?}");
        assert_eq!(due_decision(&bot, 1, 7, 39, 60_000), None);
        let late = due_decision(&bot, 1, 7, 3, 600_000);
        assert!(late.is_some_and(|decision| decision >= 399), "{late:?}");
    }
}
