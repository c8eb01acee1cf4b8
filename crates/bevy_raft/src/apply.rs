//! Applies committed entries to the replicated state.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bevy_ecs::error::FallbackErrorHandler;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{ScheduleLabel, SingleThreadedExecutor};
use raftian_node::chain::ChainHead;
use raftian_node::driver as node;
use raftian_node::panic_message;
use raftian_node::signing::{SignatureError, Verifier};
use raftian_raft::{
    Bytes, Command, Entry, Index, Membership, NodeId, Payload, Stamp, Term, Verdict,
};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::command::{
    Announcement, AnyCommand, CommandRegistry, EntryInfo, FalseCommand, ProposalId,
    ReplicatedCommand,
};
use crate::node::{AppliedLog, RaftNode};
use crate::propose::{Outbox, Outcome, ProposalOutcome};
use crate::reset;
use crate::roster::{Roster, RosterChange, RosterChanged};
use crate::state::{self, StateRegistry};
use crate::status::RaftStatus;
use crate::ticks::{self, Tick};

/// Maximum number of entries applied in one frame. More than ten thousand a second at 60 frames;
/// the rest stays in the node.
pub const APPLY_BUDGET: usize = 256;

/// Lag in entries at which an app counts as catching up: presentation may want to skip sounds and
/// sparks.
pub const CATCHING_UP: u64 = 64;

/// Runs once per committed command and change of the members, in log order. Its systems are the
/// only writers of replicated state; they read the command from [`CommittedEntry`]. Two systems
/// that touch the same data must be ordered: ambiguity is an error.
#[derive(ScheduleLabel, Clone, PartialEq, Eq, Hash, Debug)]
pub struct ApplyCommitted;

/// The command or change of the members being applied, for systems of [`ApplyCommitted`].
#[derive(Resource, Default)]
pub struct CommittedEntry {
    current: Option<Current>,
}

enum Current {
    Command(EntryInfo, AnyCommand),
    Roster(EntryHeader, RosterChange),
}

/// Index, term and game clock of an entry.
type EntryHeader = (Index, Term, Stamp);

/// Verifier of signed commands.
#[derive(Resource, Default)]
pub(crate) struct CommandVerifier {
    verifier: Verifier,
    /// A false command was logged.
    has_logged: bool,
}

impl CommittedEntry {
    /// The command, if it is a `C`.
    pub fn command<C: ReplicatedCommand>(&self) -> Option<&C> {
        match &self.current {
            Some(Current::Command(_, command)) => command.downcast_ref(),
            Some(Current::Roster(..)) | None => None,
        }
    }

    /// Position and origin of the command; `None` for a change of the members, and outside
    /// [`ApplyCommitted`].
    pub fn info(&self) -> Option<EntryInfo> {
        match &self.current {
            Some(Current::Command(info, _)) => Some(*info),
            Some(Current::Roster(..)) | None => None,
        }
    }

    /// The change, if the entry is one of the members. [`AppliedLog::roster`] is that after it.
    pub fn roster_change(&self) -> Option<&RosterChange> {
        match &self.current {
            Some(Current::Roster(_, change)) => Some(change),
            Some(Current::Command(..)) | None => None,
        }
    }

    /// Index of the entry; `None` outside [`ApplyCommitted`].
    pub fn index(&self) -> Option<Index> {
        self.header().map(|(index, ..)| index)
    }

    /// Game clock at which the leader appended the entry; `None` outside [`ApplyCommitted`].
    pub fn stamp(&self) -> Option<Stamp> {
        self.header().map(|(.., stamp)| stamp)
    }

    fn header(&self) -> Option<EntryHeader> {
        match &self.current {
            Some(Current::Command(info, _)) => Some((info.index, info.term, info.stamp)),
            Some(Current::Roster(header, _)) => Some(*header),
            None => None,
        }
    }

    /// The tick, if the entry is one; see
    /// [`RaftPlugin::with_ticks`](crate::RaftPlugin::with_ticks).
    pub fn tick(&self) -> Option<Tick> {
        self.command::<Tick>().copied()
    }

    /// Returns a generator of random numbers for this entry: the same on every machine, another one
    /// for every entry. Nobody can predict it before the leader has appended the entry; the leader
    /// can, and a leader that cheats can choose among entries. `None` outside [`ApplyCommitted`].
    pub fn rng(&self) -> Option<ChaCha8Rng> {
        let (index, term, stamp) = self.header()?;
        let mut seed = Sha256::new();
        seed.update(b"bevy_raft entry");
        let origin = self
            .info()
            .map_or([0; 3], |info| [info.member.0, info.client.0, info.sequence]);
        for number in [index.0, term.0, stamp.0].into_iter().chain(origin) {
            seed.update(number.to_be_bytes());
        }
        Some(ChaCha8Rng::from_seed(seed.finalize().into()))
    }
}

/// Takes committed entries from the node and applies them.
pub(crate) fn apply_committed(world: &mut World, mut taken: Local<Vec<node::Committed>>) {
    let Some(mut node) = world.get_resource_mut::<RaftNode>() else {
        return;
    };
    taken.clear();
    node.get().take_committed(APPLY_BUDGET, &mut taken);
    let has_taken = !taken.is_empty();
    let has_delivered = node.has_delivered;
    node.has_delivered |= has_taken;
    note_past(world);
    if !has_taken {
        return state::snapshot_if_due(world);
    }
    if !has_delivered {
        begin_log(world);
    }
    if let Some(name) = world.resource::<StateRegistry>().missing(world) {
        taken.clear();
        let reason = format!(
            "the resource of the registered state {name:?} is not in the world; it must not be \
             removed"
        );
        tracing::error!(reason, "stopping this node");
        return world.resource_mut::<RaftNode>().stop(reason);
    }
    for committed in taken.drain(..) {
        // An observer may have left the match.
        if !world.contains_resource::<RaftNode>() {
            break;
        }
        let applied = match committed {
            node::Committed::Entry(entry) => apply_entry(world, &entry),
            node::Committed::Snapshot(snapshot) => state::restore(world, &snapshot),
        };
        if let Err(reason) = applied {
            // Skipping this entry or snapshot would make the state diverge from that of the other
            // machines.
            tracing::error!(
                reason,
                "the committed log cannot be applied; stopping this node"
            );
            if let Some(mut node) = world.get_resource_mut::<RaftNode>() {
                node.stop(reason);
            }
            break;
        }
    }
    taken.clear();
    let applied = world.resource::<AppliedLog>().index;
    // `status::refresh` ran before these entries were applied.
    world.resource_mut::<RaftStatus>().applied = applied;
    state::snapshot_if_due(world);
}

/// Prepares for the first entry that a node delivers: it delivers its log from the beginning, so
/// state and roster must be those of the beginning.
fn begin_log(world: &mut World) {
    if world.resource::<AppliedLog>().index > Index(0) {
        reset::reset_state(world);
        note_past(world);
    }
    if let Some(mut node) = world.get_resource_mut::<RaftNode>() {
        let founding = node.get().view().founding;
        let mut log = world.resource_mut::<AppliedLog>();
        log.roster = Roster::of(&founding);
        log.head = ChainHead::of_founding(&founding);
    }
}

/// Notes where the past ends, once a leader is known.
fn note_past(world: &mut World) {
    let status = world.resource::<RaftStatus>();
    let commit = status
        .view
        .as_ref()
        .filter(|view| status.leader().is_some() && view.status.has_committed_in_term)
        .map(|view| view.status.leader_commit);
    let mut log = world.resource_mut::<AppliedLog>();
    if log.past.is_none() && commit.is_some() {
        log.past = commit;
    }
}

/// Applies one entry.
///
/// # Errors
/// The reason why the node must stop.
fn apply_entry(world: &mut World, entry: &Entry) -> Result<(), String> {
    let index = entry.index;
    let applied = world.resource::<AppliedLog>().index;
    if index != applied.next() {
        return Err(format!(
            "the node delivered {index} after {applied}: AppliedLog is not that of this node. Move \
             both together, or attach a node that has just started"
        ));
    }
    match &entry.payload {
        Payload::Command { command, member } => apply_command(world, entry, command, *member)?,
        Payload::Membership(membership) => apply_membership(world, entry, membership)?,
        // A witness has no app to apply commands.
        Payload::Empty | Payload::Withheld => {}
    }
    let mut log = world.resource_mut::<AppliedLog>();
    log.index = index;
    log.head = log.head.after(entry);
    // A repair moves `index` back, so the highest one is kept separately.
    log.announced = log.announced.max(index);
    state::report_state_hash(world, index);
    Ok(())
}

/// Applies a membership to the roster. The core handles everything else about it.
fn apply_membership(
    world: &mut World,
    entry: &Entry,
    membership: &Membership,
) -> Result<(), String> {
    let mut log = world.resource_mut::<AppliedLog>();
    let AppliedLog {
        roster, sessions, ..
    } = &mut *log;
    let change = roster.update(membership);
    sessions.retain(|key| roster.knows(key));
    if change.is_empty() {
        return Ok(());
    }
    let Entry {
        index, term, stamp, ..
    } = *entry;
    let current = Current::Roster((index, term, stamp), change.clone());
    world.resource_mut::<CommittedEntry>().current = Some(current);
    let ran = run_schedule(world);
    world.resource_mut::<CommittedEntry>().current = None;
    ran.map_err(|panic| {
        format!(
            "a system of ApplyCommitted panicked at entry {index}, a change of the members: {panic}"
        )
    })?;
    if let Some((catching_up, is_past)) = announcement_of(world, index) {
        world.trigger(RosterChanged {
            change,
            index,
            term,
            stamp,
            catching_up,
            replayed: is_past,
        });
    }
    Ok(())
}

/// Returns whether many entries wait behind this one, and whether it is of the past; `None` if it
/// was announced before.
fn announcement_of(world: &World, index: Index) -> Option<(bool, bool)> {
    let log = world.resource::<AppliedLog>();
    if index <= log.announced {
        return None;
    }
    let view = world.resource::<RaftStatus>().view.as_ref();
    let commit = view.map_or(Index(0), |view| view.status.commit);
    let catching_up = commit.0.saturating_sub(index.0) > CATCHING_UP;
    Some((catching_up, log.past.is_none_or(|past| index <= past)))
}

fn apply_command(
    world: &mut World,
    entry: &Entry,
    command: &Command,
    member: NodeId,
) -> Result<(), String> {
    let Command {
        client,
        sequence,
        bytes,
    } = command;
    let mut info = EntryInfo {
        index: entry.index,
        term: entry.term,
        stamp: entry.stamp,
        member,
        key: None,
        client: *client,
        sequence: *sequence,
    };
    let verified = world.resource_scope(|world, mut verifier: Mut<CommandVerifier>| {
        let log = world.resource::<AppliedLog>();
        log.roster.verify(&mut verifier.verifier, member, command)
    });
    let (bytes, key) = match verified {
        Ok(verified) => verified,
        Err(error) => {
            refuse(world, info, error, bytes);
            return Ok(());
        }
    };
    info.key = key;
    let mut log = world.resource_mut::<AppliedLog>();
    let verdict = log.sessions.admit(key, *client, *sequence);
    let view = world.resource::<RaftStatus>().view.as_ref();
    let node = view.map(|view| (view.status.id, view.now));
    let roster = &world.resource::<AppliedLog>().roster;
    let is_own = node.is_none_or(|(own, _)| roster.is_same_player(member, own));
    // Settled even for a repeat: the first copy may have arrived inside a snapshot.
    let mut outbox = world.resource_mut::<Outbox>();
    let proposal = is_own
        .then(|| outbox.committed(*client, *sequence, node))
        .flatten();
    if verdict == Verdict::Repeat {
        // Ours and still pending: the command is part of a restored snapshot, or was applied by the
        // app from which this one took over its state.
        return settle(world, proposal, info);
    }
    let decoded = world.resource::<CommandRegistry>().decode(bytes);
    match decoded {
        Ok((codec, command)) => {
            // A tick that is not the next one has no effect, on any machine.
            let is_stale = command
                .downcast_ref::<Tick>()
                .is_some_and(|tick| !ticks::count(world, *tick, member));
            if is_stale {
                return settle(world, proposal, info);
            }
            world.resource_mut::<CommittedEntry>().current = Some(Current::Command(info, command));
            let ran = run_schedule(world);
            // `CommittedEntry` must be empty outside the schedule.
            let taken = world.resource_mut::<CommittedEntry>().current.take();
            if let Err(panic) = ran {
                let command = world.resource::<CommandRegistry>().describe(bytes);
                let reason = format!(
                    "a system of ApplyCommitted panicked at entry {}, command {command}: {panic}",
                    info.index
                );
                if let Some(id) = proposal {
                    let reason = reason.clone();
                    let outcome = Outcome::Unknown { reason };
                    world.trigger(ProposalOutcome { id, outcome });
                }
                return Err(reason);
            }
            if let Some(Current::Command(info, command)) = taken
                && let Some((catching_up, is_past)) = announcement_of(world, info.index)
            {
                let announcement = Announcement {
                    entry: info,
                    proposal,
                    catching_up,
                    // An order of this app cannot be older than its part in the match.
                    replayed: proposal.is_none() && is_past,
                };
                (codec.announce)(world, &command, announcement);
            }
        }
        // The bytes are the same on every machine, so every machine of this build skips them.
        Err(reason) => {
            tracing::error!(
                index = entry.index.0,
                client = client.0,
                sequence,
                reason,
                "skipping a committed command that cannot be decoded"
            )
        }
    }
    settle(world, proposal, info)
}

/// Reports a command that its member did not sign. It has no effect and uses no sequence number, so
/// the member's own command is still applied.
fn refuse(world: &mut World, info: EntryInfo, error: SignatureError, bytes: &Bytes) {
    if let Some((_, replayed)) = announcement_of(world, info.index) {
        let mut verifier = world.resource_mut::<CommandVerifier>();
        // A leader that appends one may append thousands.
        if !std::mem::replace(&mut verifier.has_logged, true) {
            tracing::error!(
                index = info.index.0,
                term = info.term.0,
                member = %info.member,
                %error,
                "a leader appended a false command, which is skipped, as are all others"
            );
        }
        world.trigger(FalseCommand {
            entry: info,
            error,
            bytes: bytes.clone(),
            replayed,
        });
    }
}

/// Reports that this app's proposal is committed.
fn settle(world: &mut World, proposal: Option<ProposalId>, info: EntryInfo) -> Result<(), String> {
    if let Some(id) = proposal {
        world.trigger(ProposalOutcome {
            id,
            outcome: Outcome::Committed(info),
        });
    }
    Ok(())
}

/// Runs [`ApplyCommitted`] and returns the message of a panic. An error returned by a system counts
/// as a panic, whichever error handler the app has: a partly applied command would make the state
/// diverge.
fn run_schedule(world: &mut World) -> Result<(), String> {
    // The app's own handler might ignore errors.
    let handler = world.remove_resource::<FallbackErrorHandler>();
    world.insert_resource(FallbackErrorHandler(bevy_ecs::error::panic));
    let ran = world.schedule_scope(ApplyCommitted, |world, schedule| {
        build(world, schedule)?;
        catch_unwind(AssertUnwindSafe(|| schedule.run(world))).map_err(|panic| {
            // The executor remembers which systems ran, and their commands would be applied with
            // the next entry: that of another match.
            let _panicked =
                catch_unwind(AssertUnwindSafe(|| schedule.apply_deferred(world))).is_err();
            schedule.set_executor(SingleThreadedExecutor::new());
            panic_message(&*panic)
        })
    });
    // The other schedules keep the app's handler.
    match handler {
        Some(handler) => world.insert_resource(handler),
        None => drop(world.remove_resource::<FallbackErrorHandler>()),
    }
    ran
}

/// Builds [`ApplyCommitted`] if systems were added; returns what is wrong with their order.
pub(crate) fn build(world: &mut World, schedule: &mut Schedule) -> Result<(), String> {
    match schedule.initialize(world) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "the systems of ApplyCommitted have no definite order; order them with before(), \
             after() or chain(). {}",
            error.to_string(schedule.graph(), world)
        )),
    }
}

#[cfg(test)]
mod tests;
