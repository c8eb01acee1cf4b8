//! Replicated state as a whole: serialized for snapshots, restored from them, and hashed.

use std::any::Any;
use std::collections::BTreeMap;

use bevy_app::App;
use bevy_ecs::prelude::*;
use raftian_node::SubmitError;
use raftian_node::chain::ChainHead;
use raftian_node::checkpoint::Checkpoint;
use raftian_node::wire::{self, WireError};
use raftian_raft::{Bytes, Index, Snapshot, Stamp, StateHash, TakenSnapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::node::{AppliedLog, RaftNode};
use crate::roster::Roster;
use crate::sessions::{PlayerSessions, SavedSessions};

/// Interval in entries at which the hash of the state is reported to the node. A machine whose
/// state diverged receives the leader's, so this bounds how long it may differ from the others.
pub const STATE_HASH_EVERY: u64 = 256;

/// Layout version of the plugin's snapshot data; its first byte.
pub(crate) const LAYOUT: u8 = 3;

/// A resource changed only by committed commands: systems of
/// [`ApplyCommitted`](crate::ApplyCommitted) write it, everything else reads. Equal on every
/// machine after the same entry.
///
/// Snapshots contain its serde form. That must be the same for equal states, so it must not iterate
/// a hash map; and anything that does not follow from the commands (entities, times, settings of
/// this machine) must not be part of it.
///
/// [`Default`] or [`FromWorld`] makes the state with which every match begins, the same on every
/// machine.
pub trait ReplicatedState: Resource + FromWorld + Serialize + DeserializeOwned {
    /// Name in snapshots, with a version: "game.realm/1". Must change when the serde form or the
    /// meaning changes: a snapshot with another name is refused instead of misread.
    const NAME: &'static str;

    /// Returns a hash of the state, the same for equal states on every machine and build. Defaults
    /// to a hash of the serde form.
    fn hash(&self) -> u64 {
        wire::encode_state(self).map_or(0, |bytes| first_bytes(&Sha256::digest(bytes)))
    }
}

/// Registers replicated state.
pub trait AddReplicatedState {
    /// Adds `S` to the state that snapshots contain and that machines compare. All state changed by
    /// committed commands must be registered, identically on every machine of a match. The plugin
    /// inserts the resource if it is missing, and resets it when a match begins. Without any
    /// registered state the plugin neither takes nor restores snapshots.
    ///
    /// # Panics
    /// If another state has the same name.
    fn add_replicated_state<S: ReplicatedState>(&mut self) -> &mut Self;
}

impl AddReplicatedState for App {
    fn add_replicated_state<S: ReplicatedState>(&mut self) -> &mut Self {
        self.init_resource::<S>();
        self.world_mut()
            .get_resource_or_init::<StateRegistry>()
            .register::<S>();
        self
    }
}

/// A snapshot replaced the replicated state: at a start, after a long absence, or because the state
/// had diverged. Triggered at the snapshot's position between two entries: everything derived from
/// the earlier state must be derived again. No [`Committed`](crate::Committed) is triggered for the
/// commands that the snapshot covers.
#[derive(Event, Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateRestored {
    /// Last entry covered by the restored state.
    pub index: Index,
    /// Game clock of that entry.
    pub stamp: Stamp,
    /// Last entry applied before. It may be a later one: then the entries between are applied
    /// again.
    pub before: Index,
    /// Hash of the state before, which [`StateRestored::before`] had left.
    pub hash_before: Option<u64>,
    /// Hash of the restored state.
    pub hash: Option<u64>,
}

/// The registered states, by name.
#[derive(Resource, Default)]
pub(crate) struct StateRegistry {
    codecs: BTreeMap<&'static str, Codec>,
}

type AnyState = Box<dyn Any>;

/// Type-erased operations on one state.
#[derive(Clone, Copy)]
struct Codec {
    save: fn(&World) -> Option<Result<Vec<u8>, WireError>>,
    read: fn(&[u8]) -> Result<AnyState, WireError>,
    put: fn(&mut World, AnyState),
    hash: fn(&World) -> Option<u64>,
    init: fn(&mut World),
    is_present: fn(&World) -> bool,
}

impl StateRegistry {
    fn register<S: ReplicatedState>(&mut self) {
        let codec = Codec {
            save: |world| world.get_resource::<S>().map(wire::encode_state),
            read: |bytes| Ok(Box::new(wire::decode_state::<S>(bytes)?)),
            put: |world, state| {
                // The value was read by this codec, so the type always matches.
                if let Ok(state) = state.downcast::<S>() {
                    world.insert_resource(*state);
                }
            },
            hash: |world| world.get_resource::<S>().map(S::hash),
            init: |world| {
                let initial = S::from_world(world);
                world.insert_resource(initial);
            },
            is_present: World::contains_resource::<S>,
        };
        assert!(
            self.codecs.insert(S::NAME, codec).is_none(),
            "two states have the name {:?}: rename one",
            S::NAME
        );
    }

    /// Names of the states, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.codecs.keys().copied()
    }

    /// Whether a state is registered.
    pub(crate) fn is_used(&self) -> bool {
        !self.codecs.is_empty()
    }

    /// Functions that set the states to those with which a match begins.
    pub(crate) fn initializers(&self) -> Vec<fn(&mut World)> {
        self.codecs.values().map(|codec| codec.init).collect()
    }

    /// Name of a registered state that is not in the world.
    pub(crate) fn missing(&self, world: &World) -> Option<&'static str> {
        let mut missing = self
            .codecs
            .iter()
            .filter(|(_, codec)| !(codec.is_present)(world));
        missing.next().map(|(name, _)| *name)
    }
}

/// Content of a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    sessions: SavedSessions,
    roster: Roster,
    head: ChainHead,
    states: Vec<(String, Bytes)>,
}

/// Decoded content of a snapshot.
struct Restored {
    sessions: PlayerSessions,
    roster: Roster,
    head: ChainHead,
    states: Vec<(Codec, AnyState)>,
}

/// Reason why a state cannot be serialized, or a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
enum StateError {
    #[error(
        "the app registered no state; call add_replicated_state, or leave Config::snapshot_entries unset"
    )]
    NothingRegistered,
    #[error("the resource of the state {0:?} is not in the world")]
    Missing(&'static str),
    #[error("the state {0:?}: {1}")]
    Encoding(String, WireError),
    #[error("{0}")]
    Envelope(WireError),
    #[error("it has layout {0:?}, but this build reads {LAYOUT}")]
    Layout(Option<u8>),
    #[error(
        "it contains the states {found:?}, but this app registered {expected:?}; \
         all machines must run the same build"
    )]
    OtherStates {
        found: Vec<String>,
        expected: Vec<&'static str>,
    },
    #[error("its sessions are invalid: {0}")]
    Sessions(&'static str),
}

/// Serializes the content of a snapshot as of the last applied entry.
fn save(world: &World) -> Result<Vec<u8>, StateError> {
    let registry = world.resource::<StateRegistry>();
    if registry.codecs.is_empty() {
        return Err(StateError::NothingRegistered);
    }
    let state = |(name, codec): (&&'static str, &Codec)| match (codec.save)(world) {
        None => Err(StateError::Missing(name)),
        Some(Err(error)) => Err(StateError::Encoding((*name).to_owned(), error)),
        Some(Ok(bytes)) => Ok(((*name).to_owned(), Bytes::from(bytes))),
    };
    let log = world.resource::<AppliedLog>();
    let saved = Saved {
        sessions: log.sessions.save(),
        roster: log.roster.clone(),
        head: log.head,
        states: registry
            .codecs
            .iter()
            .map(state)
            .collect::<Result<_, _>>()?,
    };
    wire::encode_state(&(LAYOUT, saved)).map_err(StateError::Envelope)
}

/// Decodes a whole snapshot before anything is changed.
fn read(registry: &StateRegistry, bytes: &[u8]) -> Result<Restored, StateError> {
    // Checked before decoding, because data of another layout may not decode at all.
    let layout = bytes.first().copied();
    if layout != Some(LAYOUT) {
        return Err(StateError::Layout(layout));
    }
    let (_, saved): (u8, Saved) = wire::decode_state(bytes).map_err(StateError::Envelope)?;
    // Both sides are in order of names.
    if !saved
        .states
        .iter()
        .map(|(name, _)| name.as_str())
        .eq(registry.codecs.keys().copied())
    {
        let found = saved.states.into_iter().map(|(name, _)| name).collect();
        return Err(StateError::OtherStates {
            found,
            expected: registry.codecs.keys().copied().collect(),
        });
    }
    let state = |((name, bytes), codec): ((String, Bytes), &Codec)| match (codec.read)(&bytes) {
        Ok(state) => Ok((*codec, state)),
        Err(error) => Err(StateError::Encoding(name, error)),
    };
    let states = saved
        .states
        .into_iter()
        .zip(registry.codecs.values())
        .map(state)
        .collect::<Result<_, _>>()?;
    Ok(Restored {
        sessions: PlayerSessions::restore(saved.sessions).map_err(StateError::Sessions)?,
        roster: saved.roster,
        head: saved.head,
        states,
    })
}

/// Replaces the state by a snapshot. On an error nothing has changed, and the app must stop its
/// node.
pub(crate) fn restore(world: &mut World, snapshot: &Snapshot) -> Result<(), String> {
    let index = snapshot.position.index;
    let unreadable = |error: StateError| format!("the snapshot at {index} cannot be read: {error}");
    let bytes = snapshot.data.as_deref().unwrap_or_default();
    let restored = read(world.resource::<StateRegistry>(), bytes).map_err(unreadable)?;
    // Everything was decoded above, so nothing can fail from here on.
    let hash_before = hash(world);
    for (codec, state) in restored.states {
        (codec.put)(world, state);
    }
    let mut log = world.resource_mut::<AppliedLog>();
    let before = std::mem::replace(&mut log.index, index);
    log.sessions = restored.sessions;
    log.roster = restored.roster;
    log.head = restored.head;
    // The commands in the snapshot count as announced: a repair must not announce them later.
    log.announced = log.announced.max(index);
    tracing::info!(%index, %before, bytes = bytes.len(), "restored the state from a snapshot");
    let restored = StateRestored {
        index,
        stamp: snapshot.stamp,
        before,
        hash_before,
        hash: hash(world),
    };
    world.trigger(restored);
    Ok(())
}

/// Passes a snapshot to the node if it requested one. If that is not possible now, a later frame
/// tries again.
pub(crate) fn snapshot_if_due(world: &mut World) {
    let Some(mut node) = world.get_resource_mut::<RaftNode>() else {
        return;
    };
    // The node requests a snapshot once, so the request stays until it can be served.
    let due = node.responses().snapshot_due;
    let index = world.resource::<AppliedLog>().index;
    if !due || index == Index(0) {
        return;
    }
    let saved = save(world);
    let mut node = world.resource_mut::<RaftNode>();
    // Set again below only if the queue is full: a stopped node needs no snapshot.
    node.responses().snapshot_due = false;
    match saved {
        Ok(bytes) => {
            let taken = TakenSnapshot {
                index,
                data: bytes.into(),
                compact_to: None,
            };
            let busy = node.get().take_snapshot(taken) == Err(SubmitError::Busy);
            node.responses().snapshot_due |= busy;
        }
        // The log keeps growing and the node asks again later, which is better than ending a match.
        Err(error) => {
            tracing::error!(%index, %error, "the state cannot be serialized for a snapshot; trying again later");
            let busy = node.get().decline_snapshot() == Err(SubmitError::Busy);
            node.responses().snapshot_due |= busy;
        }
    }
}

/// Reports history and state to the node, if the entry just applied is one at which machines
/// compare them.
pub(crate) fn report_state_hash(world: &mut World, index: Index) {
    if !index.0.is_multiple_of(STATE_HASH_EVERY) {
        return;
    }
    let Some(hash) = hash(world) else { return };
    let head = world.resource::<AppliedLog>().head;
    let Some(mut node) = world.get_resource_mut::<RaftNode>() else {
        return;
    };
    let checkpoint = Checkpoint {
        index,
        head,
        state: hash,
    };
    let node = node.get();
    let reported = node.state_hash(StateHash { index, hash });
    if let Err(error) = reported.and_then(|()| node.checkpoint(checkpoint)) {
        tracing::debug!(%index, %error, "the state hash was not reported");
    }
}

/// Returns the hash of the history, the sessions, the roster and all states; `None` if nothing is
/// registered or a registered resource is missing.
fn hash(world: &World) -> Option<u64> {
    let registry = world.resource::<StateRegistry>();
    if registry.codecs.is_empty() {
        return None;
    }
    let mut hasher = Sha256::new();
    let mut number = |number: u64| hasher.update(number.to_be_bytes());
    world
        .resource::<AppliedLog>()
        .sessions
        .each_number(&mut number);
    for codec in registry.codecs.values() {
        number((codec.hash)(world)?);
    }
    let log = world.resource::<AppliedLog>();
    hasher.update(log.roster.hash().to_be_bytes());
    hasher.update(log.head.0);
    Some(first_bytes(&hasher.finalize()))
}

pub(crate) fn first_bytes(digest: &[u8]) -> u64 {
    digest
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}
