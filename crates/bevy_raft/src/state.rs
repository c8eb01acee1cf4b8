//! Replicated state as a whole: written down for snapshots, read back from them, and hashed.

use std::any::Any;
use std::collections::BTreeMap;

use bevy_app::App;
use bevy_ecs::prelude::*;
use raftian_node::SubmitError;
use raftian_node::wire::{self, WireError};
use raftian_raft::{Bytes, ClientId, Index, Sessions, Snapshot, Stamp, StateHash, TakenSnapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plugin::{AppliedLog, RaftNode};

/// The node is told the hash of the state after every entry whose index is a multiple of this. A
/// machine whose state went astray gets the leader's, so that is how long it may show something
/// else than the others.
pub const STATE_HASH_EVERY: u64 = 256;

/// Version of the layout of what this plugin writes into snapshots, which leads it.
const LAYOUT: u8 = 1;

/// A resource that committed commands change, and nothing else does: systems of
/// [`ApplyCommitted`](crate::ApplyCommitted) write it, everything else reads. Equal on every
/// machine after the same entry.
///
/// Its serde form is what snapshots hold. It must be the same for equal states, so it must not
/// iterate a hash map; and whatever does not follow from the commands (entities, times, settings of
/// this machine) does not belong into it.
pub trait ReplicatedState: Resource + Serialize + DeserializeOwned {
    /// Its name in snapshots, with a version: "game.realm/1". Change it when the serde form or the
    /// meaning changes: a snapshot that holds another name is refused instead of misread.
    const NAME: &'static str;

    /// A hash that tells states apart, the same for equal states on every machine and build. By
    /// default of the serde form.
    fn hash(&self) -> u64 {
        wire::encode_state(self).map_or(0, |bytes| first_bytes(&Sha256::digest(bytes)))
    }
}

/// Registers replicated state.
pub trait AddReplicatedState {
    /// Makes `S` part of the state that snapshots hold and that machines compare. Everything that
    /// committed commands change must be registered, alike on every machine of a match, and be in
    /// the world before the first of them is applied. Without any registered state the plugin takes
    /// no snapshots and restores none.
    ///
    /// # Panics
    /// If another state has the same name.
    fn add_replicated_state<S: ReplicatedState>(&mut self) -> &mut Self;
}

impl AddReplicatedState for App {
    fn add_replicated_state<S: ReplicatedState>(&mut self) -> &mut Self {
        self.world_mut()
            .get_resource_or_init::<StateRegistry>()
            .register::<S>();
        self
    }
}

/// A snapshot took the place of the replicated state, at a start, after a long absence, or because
/// the state had gone astray. Triggered in the place where the snapshot stands between entries:
/// whatever was derived from the state before must be derived anew. No
/// [`Committed`](crate::Committed) is triggered for the commands that the snapshot stands for.
#[derive(Event, Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateRestored {
    /// The last entry that the state now comes from.
    pub index: Index,
    /// Game clock of that entry.
    pub stamp: Stamp,
    /// The last entry that was applied before. It may be a later one: then the entries between are
    /// applied again.
    pub before: Index,
}

/// The replicated state this program knows, by name.
#[derive(Resource, Default)]
pub(crate) struct StateRegistry {
    codecs: BTreeMap<&'static str, Codec>,
}

type AnyState = Box<dyn Any>;

/// What is done with one state, by functions that know its type.
#[derive(Clone, Copy)]
struct Codec {
    save: fn(&World) -> Option<Result<Vec<u8>, WireError>>,
    read: fn(&[u8]) -> Result<AnyState, WireError>,
    put: fn(&mut World, AnyState),
    hash: fn(&World) -> Option<u64>,
}

impl StateRegistry {
    fn register<S: ReplicatedState>(&mut self) {
        let codec = Codec {
            save: |world| world.get_resource::<S>().map(wire::encode_state),
            read: |bytes| Ok(Box::new(wire::decode_state::<S>(bytes)?)),
            put: |world, state| {
                if let Ok(state) = state.downcast::<S>() {
                    world.insert_resource(*state);
                }
            },
            hash: |world| world.get_resource::<S>().map(S::hash),
        };
        assert!(
            self.codecs.insert(S::NAME, codec).is_none(),
            "two states are called {:?}: rename one",
            S::NAME
        );
    }
}

/// What a snapshot holds.
#[derive(Serialize, Deserialize)]
struct Saved {
    sessions: Vec<(ClientId, u64, Vec<u64>)>,
    states: Vec<(String, Bytes)>,
}

/// Why a state cannot be written down, or a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
enum StateError {
    #[error(
        "the app registered no state; call add_replicated_state, or leave Config::snapshot_entries unset"
    )]
    NothingRegistered,
    #[error("the resource behind the state {0:?} is not in the world")]
    Missing(&'static str),
    #[error("the state {0:?}: {1}")]
    Encoding(String, WireError),
    #[error("{0}")]
    Envelope(WireError),
    #[error("it has layout {0:?}, this build reads {LAYOUT}")]
    Layout(Option<u8>),
    #[error(
        "it holds the states {found:?}, this app registered {expected:?}; all machines must run the same build"
    )]
    OtherStates {
        found: Vec<String>,
        expected: Vec<&'static str>,
    },
    #[error("its sessions cannot be: {0}")]
    Sessions(&'static str),
}

/// Everything that a snapshot must hold, as of what was applied last.
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
    let sessions = world.resource::<AppliedLog>().sessions.iter();
    let saved = Saved {
        sessions: sessions
            .map(|(client, floor, ahead)| (client, floor, ahead.collect()))
            .collect(),
        states: registry
            .codecs
            .iter()
            .map(state)
            .collect::<Result<_, _>>()?,
    };
    wire::encode_state(&(LAYOUT, saved)).map_err(StateError::Envelope)
}

/// Reads all of a snapshot before anything is changed.
fn read(
    registry: &StateRegistry,
    bytes: &[u8],
) -> Result<(Sessions, Vec<(Codec, AnyState)>), StateError> {
    let layout = bytes.first().copied();
    if layout != Some(LAYOUT) {
        return Err(StateError::Layout(layout));
    }
    let (_, saved): (u8, Saved) = wire::decode_state(bytes).map_err(StateError::Envelope)?;
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
    Ok((
        Sessions::restore(saved.sessions).map_err(StateError::Sessions)?,
        states,
    ))
}

/// Puts a snapshot in the place of the state. An error changes nothing; the app must not go on with
/// its node then.
pub(crate) fn restore(world: &mut World, snapshot: &Snapshot) -> Result<(), String> {
    let index = snapshot.position.index;
    let unreadable = |error: StateError| format!("the snapshot at {index} cannot be read: {error}");
    let bytes = snapshot.data.as_deref().unwrap_or_default();
    let (sessions, states) = read(world.resource::<StateRegistry>(), bytes).map_err(unreadable)?;
    for (codec, state) in states {
        (codec.put)(world, state);
    }
    let mut log = world.resource_mut::<AppliedLog>();
    let before = std::mem::replace(&mut log.index, index);
    log.sessions = sessions;
    log.announced = log.announced.max(index);
    tracing::info!(%index, %before, bytes = bytes.len(), "restored the state from a snapshot");
    world.trigger(StateRestored {
        index,
        stamp: snapshot.stamp,
        before,
    });
    Ok(())
}

/// Gives the node a snapshot if it asked for one. What cannot be given now is given in a later
/// frame.
pub(crate) fn snapshot_if_due(world: &mut World) {
    let Some(mut node) = world.get_resource_mut::<RaftNode>() else {
        return;
    };
    node.snapshot_wanted |= node.get().snapshot_due();
    let index = world.resource::<AppliedLog>().index;
    if !world.resource::<RaftNode>().snapshot_wanted || index == Index(0) {
        return;
    }
    let saved = save(world);
    let mut node = world.resource_mut::<RaftNode>();
    node.snapshot_wanted = false;
    match saved {
        Ok(bytes) => {
            let taken = TakenSnapshot {
                index,
                data: bytes.into(),
                compact_to: None,
            };
            node.snapshot_wanted = node.get().take_snapshot(taken) == Err(SubmitError::Busy);
        }
        // The log stays as long as it is, and the node asks again later: better than to end a
        // match.
        Err(error) => {
            tracing::error!(%index, %error, "the state cannot be written down for a snapshot; it is tried again");
            node.snapshot_wanted = node.get().decline_snapshot() == Err(SubmitError::Busy);
        }
    }
}

/// Tells the node the hash of the state, if the entry just applied is one at which machines compare
/// it.
pub(crate) fn report_state_hash(world: &mut World, index: Index) {
    if index.0.is_multiple_of(STATE_HASH_EVERY)
        && let Some(hash) = hash(world)
        && let Some(mut node) = world.get_resource_mut::<RaftNode>()
        && let Err(error) = node.get().state_hash(StateHash { index, hash })
    {
        tracing::debug!(%index, %error, "this state is not compared");
    }
}

/// The hash of sessions and all states; `None` if nothing is registered, or not all of it is there.
fn hash(world: &World) -> Option<u64> {
    let registry = world.resource::<StateRegistry>();
    if registry.codecs.is_empty() {
        return None;
    }
    let mut hasher = Sha256::new();
    let mut number = |number: u64| hasher.update(number.to_be_bytes());
    for (client, floor, ahead) in world.resource::<AppliedLog>().sessions.iter() {
        let ahead: Vec<u64> = ahead.collect();
        [client.0, floor, ahead.len() as u64]
            .into_iter()
            .chain(ahead)
            .for_each(&mut number);
    }
    for codec in registry.codecs.values() {
        number((codec.hash)(world)?);
    }
    Some(first_bytes(&hasher.finalize()))
}

fn first_bytes(digest: &[u8]) -> u64 {
    digest
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}
