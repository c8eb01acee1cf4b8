//! Matches of one person: five members in this process, one of them behind the window, and bots.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bevy::prelude::*;
use bevy_raft::prelude::*;
use bevy_raft::{AppliedLog, MatchState, RaftNode};
use raftian_realm::table::{Archetype, Command, Level, Setup, Table};

use super::Screen;
use crate::cluster_view::ClusterView;
use crate::crowns::words::sentence;
use crate::embedded::{Embedded, EmbeddedError};
use crate::overlay::History;
use crate::projection::ReplicatedRealm;
use crate::table::{ReplicatedTable, TableCommand, player_of};

/// Members of such a match: five, as in the original.
pub const MEMBERS: usize = 5;

/// Most opponents: with the player they fill the largest table.
pub(crate) const MOST_OPPONENTS: usize = 7;

/// The bots against which the next match is played.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opponents {
    /// Their number, from 1 to 7.
    pub count: usize,
    /// How well they play.
    pub level: Level,
    /// Speed of the match: 1, 2 or 4.
    pub speed: u64,
    /// How all of them play; each differently if `None`.
    pub archetype: Option<Archetype>,
    /// Their production in percent.
    pub production: u64,
}

impl Default for Opponents {
    fn default() -> Self {
        Opponents {
            count: 3,
            level: Level::Recruit,
            speed: 1,
            archetype: None,
            production: 100,
        }
    }
}

/// Directory of the members' disks, for the code that removes it when the window is lost.
#[derive(Resource, Clone, Default)]
pub struct MatchFiles(Arc<Mutex<Option<PathBuf>>>);

impl MatchFiles {
    /// The directory of the present match.
    pub fn get(&self) -> Option<PathBuf> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, directory: Option<PathBuf>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = directory;
    }
}

/// Reason why the last match could not begin, for the menu.
#[derive(Resource, Default)]
pub(crate) struct LastFailure(pub(crate) Option<String>);

/// The bots of the present match.
#[derive(Resource, Default)]
struct Invited(Opponents);

/// The command of the table that this window has proposed and that is not applied yet.
#[derive(Resource, Default)]
struct Preparing(Option<ProposalId>);

pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<Opponents>()
        .init_resource::<MatchFiles>()
        .init_resource::<LastFailure>()
        .init_resource::<Invited>()
        .init_resource::<Preparing>()
        .add_observer(note_outcome)
        .add_systems(OnEnter(Screen::Menu), end)
        .add_systems(
            Update,
            prepare_table.run_if(in_state(Screen::Match).and_then(resource_exists::<Embedded>)),
        );
}

/// Starts the members of a match against the bots that the player has chosen, and shows it.
pub(crate) fn begin(world: &mut World, screen: Screen) {
    let opponents = *world.resource::<Opponents>();
    begin_against(world, screen, opponents);
}

/// Starts the members of a match against these bots, and shows it. Returns whether it has begun;
/// the menu shows the reason otherwise.
pub fn begin_against(world: &mut World, screen: Screen, opponents: Opponents) -> bool {
    let reason = match *world.resource::<State<MatchState>>().get() {
        MatchState::Detached | MatchState::Left | MatchState::Failed => None,
        MatchState::Leaving => Some(text!(
            "The match before is still being left; try again in a moment."
        )),
        MatchState::Starting | MatchState::Joining | MatchState::Running | MatchState::NoQuorum => {
            Some(text!("Another match is being opened; wait for it."))
        }
    };
    if reason.is_some() {
        world.resource_mut::<LastFailure>().0 = reason;
        return false;
    }
    if let Err(error) = start(world) {
        error!(%error, "a match failed to begin");
        world.resource_mut::<LastFailure>().0 = Some(start_failure(&error));
        return false;
    }
    world.resource_mut::<LastFailure>().0 = None;
    world.resource_mut::<Invited>().0 = opponents;
    world.resource_mut::<NextState<Screen>>().set(screen);
    true
}

/// Why the members could not be started, for the menu.
fn start_failure(error: &EmbeddedError) -> String {
    let reason = sentence(&error.to_string());
    text!("start of a match|{reason}", reason)
}

fn start(world: &mut World) -> Result<(), EmbeddedError> {
    let (embedded, node) = Embedded::start(MEMBERS)?;
    let directory = embedded.directory().to_owned();
    world.resource::<MatchFiles>().set(Some(directory));
    world.attach_node(node);
    world.insert_resource(embedded);
    // Terms and indexes begin again, which the overlay must not take for a violation.
    if let Some(mut history) = world.get_resource_mut::<History>() {
        history.forget();
    }
    Ok(())
}

/// Ends the match of this process, if there is one.
pub(super) fn end(world: &mut World) {
    if world.remove_resource::<Embedded>().is_none() {
        return;
    }
    if world.contains_resource::<RaftNode>() {
        world.leave_match();
    }
    world.resource::<MatchFiles>().set(None);
    world.insert_resource(ReplicatedRealm::default());
    world.insert_resource(ReplicatedTable::default());
    world.insert_resource(ClusterView::default());
}

/// Seats the player and the bots, and begins. Each step is taken when the one before is applied.
fn prepare_table(
    status: Res<RaftStatus>,
    log: Res<AppliedLog>,
    table: Res<ReplicatedTable>,
    opponents: Res<Invited>,
    mut preparing: ResMut<Preparing>,
    mut commands: Commands,
) {
    let is_ready = status.leader().is_some() && log.is_current();
    if preparing.0.is_some() || !is_ready || table.0.game().is_some() {
        return;
    }
    let Some(own) = status.id() else { return };
    let has_seat = table.0.seat_of(player_of(&log, own)).is_some();
    let step = next_step(&table.0, has_seat, opponents.0);
    preparing.0 = Some(commands.propose(TableCommand::new(step, &table.0)));
}

/// The next command on the way to a match against these opponents.
fn next_step(table: &Table, has_seat: bool, opponents: Opponents) -> Command {
    let seats = u8::try_from(opponents.count + 1).unwrap_or(u8::MAX);
    let setup = table.setup();
    if !setup.is_sandbox || setup.seats != seats {
        let setup = Setup {
            seats,
            speed: opponents.speed,
            is_sandbox: true,
            ..Setup::default()
        };
        return Command::Configure(setup.into());
    }
    if !has_seat {
        return Command::Sit;
    }
    let bots = table.bots().count();
    if bots < opponents.count {
        // Neighbours play differently.
        let archetype = Archetype::ALL[(bots * 5 + 5) % Archetype::ALL.len()];
        return Command::AddBot {
            level: opponents.level,
            archetype: opponents.archetype.unwrap_or(archetype),
        };
    }
    let percent = opponents.production;
    let mut bots = table.bots().map(|(seat, _)| seat);
    let other = bots.find(|seat| table.chairs()[usize::from(*seat)].handicap != percent);
    if let Some(seat) = other {
        return Command::Handicap { seat, percent };
    }
    Command::Start
}

fn note_outcome(outcome: On<ProposalOutcome>, mut preparing: ResMut<Preparing>) {
    if preparing.0 == Some(outcome.id) {
        preparing.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use raftian_realm::table::{Origin, PlayerId};

    use super::*;

    #[test]
    fn no_match_begins_while_another_is_opened() {
        for state in [
            MatchState::Starting,
            MatchState::Joining,
            MatchState::Leaving,
        ] {
            let mut world = World::new();
            world.insert_resource(State::new(state));
            world.init_resource::<LastFailure>();
            world.init_resource::<MatchFiles>();
            let opponents = Opponents::default();
            assert!(!begin_against(&mut world, Screen::Match, opponents));
            assert!(world.resource::<LastFailure>().0.is_some(), "{state:?}");
            assert!(!world.contains_resource::<Embedded>(), "{state:?}");
        }
    }

    /// For every number of opponents the steps lead to a match.
    #[test]
    fn steps_lead_to_a_match() {
        for count in 1..=MOST_OPPONENTS {
            let level = Level::Captain;
            let opponents = Opponents {
                count,
                level,
                speed: 2,
                production: 50,
                ..Opponents::default()
            };
            let mut table = Table::default();
            let origin = Origin {
                player: PlayerId([7; 16]),
                member: 1,
                stamp: 0,
                random: 5,
                round: 0,
            };
            for _ in 0..2 * count + 3 {
                let has_seat = table.seat_of(origin.player).is_some();
                let step = next_step(&table, has_seat, opponents);
                assert_eq!(table.apply(&step, &origin), Ok(()), "{count}: {step:?}");
            }
            assert!(table.is_playing(), "{count}");
            assert_eq!(table.chairs().len(), count + 1);
            assert_eq!(table.setup().speed, 2);
            assert_eq!(table.seat_of(origin.player), Some(0));
        }
    }
}
