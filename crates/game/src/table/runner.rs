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
use raftian_realm::crowns::Crowns;
use raftian_realm::table::{Command, Occupant, SeatedBot, Table};

use super::{PresentStamp, ReplicatedTable, TableCommand};

/// Silence of a member after which the leader gives its bots to others.
const VANISHED: Duration = Duration::from_secs(2);

/// Game clock between two decisions of a steward, in milliseconds.
const STEWARD_EVERY: u64 = 2_000;

/// Decisions searched for the next one that is due. A bot that was paused for longer skips some.
const MOST_SKIPPED: u64 = 1 << 20;

/// Decisions of this member in the present match.
#[derive(Resource, Default, Debug)]
struct Decided {
    round: u32,
    /// Number of the last decision of each seat's bot made here.
    bots: BTreeMap<u8, u64>,
    /// Game clock of the last decision of each seat's steward.
    stewards: BTreeMap<u8, u64>,
    /// Adoptions proposed here that are not applied yet, with the frame's clock.
    adoptions: BTreeMap<u8, u64>,
}

/// Round trip of a member from which it is far, and below which it is near again.
const FAR: [Duration; 2] = [Duration::from_millis(40), Duration::from_millis(25)];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Decided>();
    app.add_systems(
        Update,
        measure_distance.run_if(resource_exists::<ReplicatedTable>),
    );
    app.add_systems(
        Update,
        (run_bots, adopt_bots, run_stewards)
            .chain()
            .run_if(resource_exists::<ReplicatedTable>.and_then(is_current)),
    );
}

/// Whether this member has applied what was committed before it started, and can commit.
fn is_current(status: Res<RaftStatus>, log: Res<AppliedLog>, table: Res<ReplicatedTable>) -> bool {
    table.0.is_playing() && status.leader().is_some() && log.is_current()
}

fn own_id(status: &RaftStatus) -> Option<NodeId> {
    status.view.as_ref().map(|view| view.status.id)
}

/// The match at the present of the game clock.
fn present(table: &Table, stamp: &PresentStamp) -> Option<Crowns> {
    let mut game = table.game()?.without_reports();
    game.advance(table.clock(stamp.get())?);
    Some(game)
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
    if decided.round != table.0.rounds() {
        *decided = Decided {
            round: table.0.rounds(),
            ..Decided::default()
        };
    }
    let Some(clock) = table.0.clock(stamp.get()) else {
        return;
    };
    let mut present_game = None;
    for (seat, seated) in table.0.bots().filter(|(_, bot)| bot.member == own.0) {
        let bot = bot_of(&seated);
        let before = decided
            .bots
            .get(&seat)
            .copied()
            .unwrap_or(0)
            .max(seated.decision);
        let Some(decision) = due_decision(&bot, seat, seed, before, clock) else {
            continue;
        };
        decided.bots.insert(seat, decision);
        if present_game.is_none() {
            present_game = present(&table.0, &stamp);
        }
        let orders = present_game
            .as_ref()
            .map(|game| bot.orders(game, seat, seed));
        let orders = orders.unwrap_or_default();
        if !orders.is_empty() {
            commands.propose(TableCommand(Command::BotOrders {
                seat,
                decision,
                orders,
            }));
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
        commands.propose(TableCommand(Command::Distance(is_far)));
    }
}

/// Whether a member with this round trip is far; it stays so until it is clearly near.
fn is_far(trip: Duration, was: bool) -> bool {
    let [far, near] = FAR;
    if was { trip > near } else { trip >= far }
}

/// At the leader: gives the bots of members that have vanished to others.
fn adopt_bots(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    table: Res<ReplicatedTable>,
    stamp: Res<PresentStamp>,
    mut decided: ResMut<Decided>,
    mut commands: Commands,
) {
    let Some(view) = status.view.as_ref().filter(|_| status.leads()) else {
        return;
    };
    let is_live = |member: NodeId| {
        let peer = view.status.peers.iter().find(|peer| peer.id == member);
        let is_heard = peer.is_some_and(|peer| peer.silent_for < VANISHED);
        log.roster.is_present(member) && (member == view.status.id || is_heard)
    };
    let is_witness = |member: NodeId| {
        let standing = view.status.membership.member(member);
        standing.is_some_and(raftian_raft::Member::is_witness)
    };
    let now = stamp.get();
    let mut counts: BTreeMap<u64, usize> = log
        .roster
        .present()
        .map(|(id, _)| id)
        .filter(|id| is_live(*id) && !is_witness(*id))
        .map(|id| (id.0, 0))
        .collect();
    for (_, bot) in table.0.bots() {
        if let Some(count) = counts.get_mut(&bot.member) {
            *count += 1;
        }
    }
    for (seat, bot) in table.0.bots() {
        let is_proposed = decided
            .adoptions
            .get(&seat)
            .is_some_and(|at| now < *at + 1_000);
        if counts.contains_key(&bot.member) || is_proposed {
            continue;
        }
        let fewest = counts.iter_mut().min_by_key(|(_, count)| **count);
        let Some((member, count)) = fewest else {
            return;
        };
        *count += 1;
        decided.adoptions.insert(seat, now);
        let member = *member;
        tracing::info!(seat, member, "another member runs the bot from now on");
        commands.propose(TableCommand(Command::AdoptBot { seat, member }));
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
    for seat in table.0.stewarded() {
        let before = decided.stewards.get(&seat).copied();
        if before.is_some_and(|before| clock < before + STEWARD_EVERY) {
            continue;
        }
        decided.stewards.insert(seat, clock);
        let Some(game) = present(&table.0, &stamp) else {
            return;
        };
        for order in steward(&game, seat) {
            commands.propose(TableCommand(Command::StewardOrder { seat, order }));
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
