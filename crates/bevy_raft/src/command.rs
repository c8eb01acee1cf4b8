//! Replicated commands and their names on the wire.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;

use bevy_app::App;
use bevy_ecs::prelude::*;
use raftian_node::signing::{self, CommandKey, SignatureError};
use raftian_node::wire::{self, WireError};
use raftian_raft::{Bytes, ClientId, Index, NodeId, Stamp, Term};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// A command that every machine applies. It must have the same effect on each: refer to things by
/// stable ids, never by `Entity`, and leave out floats, time and randomness.
pub trait ReplicatedCommand:
    Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
    /// Name on the wire, with a version: "game.attack/1". Must change when the meaning changes.
    const NAME: &'static str;
}

/// Identifier of a proposal within this program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProposalId(pub(crate) u64);

/// Log position and origin of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryInfo {
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// Game clock at which its leader appended it.
    pub stamp: Stamp,
    /// Member that proposed it. In a match that players join, it has signed the command. In a
    /// cluster that was created from files, the leader knows it from the connection, and a
    /// dishonest leader can forge it.
    pub member: NodeId,
    /// Key that signed it; `None` in a cluster that was created from files. Rights of a player
    /// belong to the key: a leader that lies may record another one for a member, but cannot sign
    /// with this one.
    pub key: Option<CommandKey>,
    /// Client that proposed it: one run of a program.
    pub client: ClientId,
    /// Sequence number of the command within its client.
    pub sequence: u64,
}

/// A command was applied on this machine: for sound, light and flying numbers. Triggered after
/// [`ApplyCommitted`](crate::ApplyCommitted) ran for it; the order of several observers is
/// arbitrary, so they must not write replicated state. Triggered at most once in a match: not for a
/// command that is part of a snapshot, and not for one that is reapplied after a repair. Only a
/// node that starts again under a live app triggers it for the past again, as `replayed`; see
/// [`StateRestored`](crate::StateRestored).
#[derive(Event, Clone, Debug)]
pub struct Committed<C: ReplicatedCommand> {
    /// The command.
    pub command: C,
    /// Its log position and origin.
    pub entry: EntryInfo,
    /// Its proposal, if this app made it.
    pub proposal: Option<ProposalId>,
    /// More than [`CATCHING_UP`](crate::CATCHING_UP) entries wait to be applied.
    pub catching_up: bool,
    /// The command was committed before this app took part, or before its node started: there is
    /// no news in it for a player.
    pub replayed: bool,
}

/// A committed entry holds a command that its member did not sign: it is skipped on every machine.
/// Only a leader can append such an entry, and a leader of this build does not. Triggered once for
/// each.
#[derive(Event, Clone, PartialEq, Eq, Debug)]
pub struct FalseCommand {
    /// Log position, and the member in whose name the command was appended.
    pub entry: EntryInfo,
    /// Reason.
    pub error: SignatureError,
    /// The command as in the log.
    pub bytes: Bytes,
    /// The entry was committed before this app took part, or before its node started.
    pub replayed: bool,
}

/// Registers replicated commands.
pub trait AddReplicatedCommand {
    /// Allows `C` to be proposed and applied. All machines of a match must register the same
    /// commands.
    ///
    /// # Panics
    /// If another command has the same name or the same tag.
    fn add_replicated_command<C: ReplicatedCommand>(&mut self) -> &mut Self;
}

impl AddReplicatedCommand for App {
    fn add_replicated_command<C: ReplicatedCommand>(&mut self) -> &mut Self {
        self.world_mut()
            .get_resource_or_init::<CommandRegistry>()
            .register::<C>();
        self
    }
}

/// The registered commands, by tag.
#[derive(Resource, Default)]
pub struct CommandRegistry {
    codecs: BTreeMap<u32, Codec>,
}

pub(crate) type AnyCommand = Box<dyn Any + Send + Sync>;

/// Type-erased operations on commands of one type.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    name: &'static str,
    decode: fn(&[u8]) -> Result<AnyCommand, WireError>,
    describe: fn(&[u8]) -> Option<String>,
    pub(crate) announce: fn(&mut World, &AnyCommand, Announcement),
}

/// Data of a [`Committed`] besides the command.
#[derive(Clone, Copy)]
pub(crate) struct Announcement {
    pub(crate) entry: EntryInfo,
    pub(crate) proposal: Option<ProposalId>,
    pub(crate) catching_up: bool,
    pub(crate) replayed: bool,
}

/// Length of the tag before an encoded command, in bytes.
const TAG_BYTES: usize = 4;

impl CommandRegistry {
    fn register<C: ReplicatedCommand>(&mut self) {
        let codec = Codec {
            name: C::NAME,
            decode: |bytes| Ok(Box::new(wire::decode_value::<C>(bytes)?)),
            describe: |bytes| {
                wire::decode_value::<C>(bytes)
                    .ok()
                    .map(|command| format!("{command:?}"))
            },
            announce: |world, command, announcement| {
                // The codec was found by `C`'s tag, so the type always matches.
                if let Some(command) = command.downcast_ref::<C>() {
                    world.trigger(Committed {
                        command: command.clone(),
                        entry: announcement.entry,
                        proposal: announcement.proposal,
                        catching_up: announcement.catching_up,
                        replayed: announcement.replayed,
                    });
                }
            },
        };
        assert!(
            tag(C::NAME).to_le_bytes() != signing::MARK,
            "the tag of {:?} is that of a signature: rename the command",
            C::NAME
        );
        // Also catches a command that is registered twice.
        if let Some(other) = self.codecs.insert(tag(C::NAME), codec) {
            panic!(
                "the commands {:?} and {:?} have the same tag: rename one",
                other.name,
                C::NAME
            );
        }
    }

    /// Returns the command in its debug form, or why it cannot be read. A signature is not
    /// verified.
    pub fn describe(&self, bytes: &[u8]) -> String {
        let unknown = || "(a command this program does not know)".to_owned();
        self.find(signing::content(bytes))
            .map_or_else(unknown, |(codec, rest)| {
                (codec.describe)(rest)
                    .unwrap_or_else(|| format!("({} with damaged content)", codec.name))
            })
    }

    pub(crate) fn encode<C: ReplicatedCommand>(&self, command: &C) -> Result<Bytes, WireError> {
        let mut bytes = tag(C::NAME).to_le_bytes().to_vec();
        bytes.extend(wire::encode_value(command)?);
        Ok(bytes.into())
    }

    /// Names of the commands.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.codecs.values().map(|codec| codec.name)
    }

    pub(crate) fn knows<C: ReplicatedCommand>(&self) -> bool {
        self.codecs.contains_key(&tag(C::NAME))
    }

    /// Returns the codec and the decoded command, or what is wrong with the bytes.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<(Codec, AnyCommand), String> {
        let (codec, rest) = self
            .find(bytes)
            .ok_or("no registered command has its tag")?;
        match (codec.decode)(rest) {
            Ok(command) => Ok((codec, command)),
            Err(error) => Err(format!("{}: {error}", codec.name)),
        }
    }

    fn find<'a>(&self, bytes: &'a [u8]) -> Option<(Codec, &'a [u8])> {
        let (tag, rest) = bytes.split_first_chunk::<TAG_BYTES>()?;
        Some((*self.codecs.get(&u32::from_le_bytes(*tag))?, rest))
    }
}

/// Returns the first bytes of the name's SHA-256: stable across builds, and independent of the
/// order of registration.
fn tag(name: &str) -> u32 {
    let digest = Sha256::digest(name);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}
