//! Signed commands: only the holder of a player's key can give orders in the player's name.
//!
//! An entry of the log names the member that submitted its command. In a match that players join,
//! that is not the leader's word alone: each member signs its commands (Ed25519). A leader checks
//! the signature before it appends a forwarded command, and every machine checks it again before it
//! applies the entry, with the key that the log has for that member. To the game the key is the
//! player, so another key under the same member is another player.
//!
//! # Format
//! The commands that a member submits together are the leaves of a hash tree, and its root is
//! signed once. The bytes of each command are then its inclusion proof and itself:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | [`MARK`] |
//! | 64 | signature of the root |
//! | 1 | number of hashes `n`, at most [`MAX_PATH`] |
//! | 1 | bit `i` is set if hash `i` is on the left |
//! | 32 · n | the siblings on the path from the leaf to the root |
//! | rest | the program's command |
//!
//! A leaf hashes the match, the member, the client, the sequence number and the program's command
//! (SHA-256); leaves and inner nodes are hashed with different prefixes, as in RFC 6962, section
//! 2.1.
//!
//! # Decisions
//! **A root is signed, not every command.** Why: each machine verifies every command, and verifying
//! a signature is much slower than hashing. Would change if: machines verified only a sample.
//!
//! **The key is derived from the key of the member's certificate** (HKDF-SHA256). Why: a profile
//! has one secret to keep, and keys that are older than signatures serve as well; one key for two
//! algorithms would be bad practice. Would change if: certificates had Ed25519 keys.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use raftian_raft::{Body, Bytes, Command, Membership, Message, Moment, NodeId};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cluster::Identity;
use crate::contact::contacts;
use crate::match_record::MatchRecord;
use crate::quota::Quotas;
use crate::ticket::MatchId;

/// First bytes of a signed command.
pub const MARK: [u8; 4] = *b"SGN1";

/// Maximum number of siblings on a path to the root. More commands are signed in several
/// batches.
pub const MAX_PATH: usize = 8;

/// Maximum number of bytes that a signature adds to a command.
pub const MAX_OVERHEAD: usize = HEADER + MAX_PATH * HASH;

const SIGNATURE: usize = 64;
const HASH: usize = 32;
const HEADER: usize = MARK.len() + SIGNATURE + 2;

/// Number of roots that a [`Verifier`] remembers: more than are in flight between the leader's
/// check and the application of the entries.
const MAX_REMEMBERED: usize = 1024;

/// Prefix of the signed root: the signature is valid for nothing else.
const CONTEXT: &[u8] = b"raftian commands 1";

/// Prefix of the signature that proves the key of a player who joins.
const JOIN_CONTEXT: &[u8] = b"raftian join 1";

type Hash = [u8; HASH];

/// Ed25519 key with which a member's commands are verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandKey(pub [u8; 32]);

impl CommandKey {
    /// Returns the key of the member with this identity.
    pub fn of(identity: &Identity) -> Self {
        public(&key_pair(identity))
    }

    /// Whether `proof` shows that the holder of this key has made the TLS session with this secret.
    pub fn is_proved(&self, binding: &[u8; 32], proof: &[u8]) -> bool {
        self.has_signed(&[JOIN_CONTEXT, binding].concat(), proof)
    }

    /// Whether the holder of this key signed these bytes.
    pub(crate) fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(bytes, signature).is_ok()
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ed25519:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn key_pair(identity: &Identity) -> Ed25519KeyPair {
    let secret = identity.key().secret_der();
    let mut seed = [0; 32];
    Salt::new(HKDF_SHA256, b"raftian")
        .extract(secret)
        .expand(&[b"commands"], HKDF_SHA256)
        .and_then(|output| output.fill(&mut seed))
        .expect("one SHA-256 block is not too long for HKDF");
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32 bytes are an Ed25519 seed")
}

fn public(pair: &Ed25519KeyPair) -> CommandKey {
    let mut key = [0; 32];
    key.copy_from_slice(pair.public_key().as_ref());
    CommandKey(key)
}

/// Signs the commands of one member.
pub struct CommandSigner {
    pair: Ed25519KeyPair,
}

impl CommandSigner {
    /// Creates the signer of the member with this identity.
    pub fn new(identity: &Identity) -> Self {
        CommandSigner {
            pair: key_pair(identity),
        }
    }

    /// Returns the key with which the others verify.
    pub fn key(&self) -> CommandKey {
        public(&self.pair)
    }

    /// Proves the key to the other side of a TLS session with this secret.
    pub fn prove(&self, binding: &[u8; 32]) -> Vec<u8> {
        self.sign_bytes(&[JOIN_CONTEXT, binding].concat())
    }

    /// Signs bytes that begin with the prefix of their kind.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    /// Signs commands that `member` submits to one match.
    pub fn sign(&self, match_id: MatchId, member: NodeId, commands: Vec<Command>) -> Vec<Command> {
        let mut signed = Vec::with_capacity(commands.len());
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let batch: Vec<_> = commands.by_ref().take(1 << MAX_PATH).collect();
            let leaves = batch
                .iter()
                .map(|command| leaf((match_id, member), command, &command.bytes));
            let levels = levels(leaves.collect());
            let root = levels.last().map_or(&[][..], |top| top.as_flattened());
            let signature = self.pair.sign(&[CONTEXT, root].concat());
            for (index, command) in batch.into_iter().enumerate() {
                signed.push(envelope(command, signature.as_ref(), &levels, index));
            }
        }
        signed
    }
}

impl fmt::Debug for CommandSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSigner")
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}

/// Why a command is not accepted in the name of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// The log has no key for the member.
    #[error("the match has no key of this member")]
    NoKey,
    /// The command has no signature.
    #[error("it is not signed")]
    Unsigned,
    /// The signature is not that of the member, or the command was altered.
    #[error("its signature is not that of this member")]
    Invalid,
}

/// Verifies signed commands, and remembers roots that it has verified: the other commands of the
/// same batch, and the copies in the log of commands that a leader has checked, cost only hashes.
#[derive(Debug, Default)]
pub struct Verifier {
    verified: BTreeSet<Hash>,
    /// The oldest first.
    order: VecDeque<Hash>,
}

impl Verifier {
    /// Returns the program's command inside `command`, if the holder of `key` signed it for this
    /// match, as that of `member`. The answer is the same on every machine.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify<'a>(
        &mut self,
        (match_id, member): (MatchId, NodeId),
        key: Option<CommandKey>,
        command: &'a Command,
    ) -> Result<&'a [u8], SignatureError> {
        let key = key.ok_or(SignatureError::NoKey)?;
        let parts = parts(&command.bytes).ok_or(SignatureError::Unsigned)?;
        let mut hash = leaf((match_id, member), command, parts.content);
        for (level, sibling) in parts.path.iter().enumerate() {
            hash = match parts.sides >> level & 1 {
                1 => inner(sibling, &hash),
                _ => inner(&hash, sibling),
            };
        }
        let digest = Sha256::new()
            .chain_update(key.0)
            .chain_update(parts.signature)
            .chain_update(hash)
            .finalize();
        let digest = Hash::from(digest);
        if !self.verified.contains(&digest) {
            UnparsedPublicKey::new(&ED25519, key.0)
                .verify(&[CONTEXT, &hash].concat(), parts.signature)
                .map_err(|_| SignatureError::Invalid)?;
            self.remember(digest);
        }
        Ok(parts.content)
    }

    fn remember(&mut self, digest: Hash) {
        self.verified.insert(digest);
        self.order.push_back(digest);
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.verified.remove(&oldest);
        }
    }
}

/// Signatures of one node: it signs its own commands, and checks those that others forward.
#[derive(Debug)]
pub(crate) struct Signatures {
    signer: CommandSigner,
    verifier: Verifier,
    own: NodeId,
    /// The match according to its founding, which no later entry changes; `None` if its commands
    /// are not signed.
    match_id: Option<MatchId>,
    keys: BTreeMap<NodeId, CommandKey>,
    quotas: Quotas,
    /// Members about which a warning was logged.
    warned: BTreeSet<NodeId>,
}

impl Signatures {
    pub(crate) fn new(signer: CommandSigner, own: NodeId, founding: &Membership) -> Self {
        Signatures {
            signer,
            verifier: Verifier::default(),
            own,
            match_id: MatchRecord::of(founding).map(|record| record.id),
            keys: BTreeMap::new(),
            quotas: Quotas::default(),
            warned: BTreeSet::new(),
        }
    }

    /// Takes the keys from the newest membership.
    pub(crate) fn follow(&mut self, membership: &Membership) {
        let keys = contacts(membership).into_iter();
        self.keys = keys.filter_map(|(id, c)| Some((id, c.key?))).collect();
        self.quotas.retain(|id| membership.contains(id));
        self.warned.retain(|id| membership.contains(*id));
    }

    /// Signs commands of this node. Returns them as they are, as an error, while the membership has
    /// another key for it: none would be applied.
    pub(crate) fn sign(&self, commands: Vec<Command>) -> Result<Vec<Command>, Vec<Command>> {
        let Some(match_id) = self.match_id else {
            return Ok(commands);
        };
        match self.keys.get(&self.own) {
            Some(key) if *key != self.signer.key() => Err(commands),
            // A node that catches up may not know its own admission yet.
            Some(_) | None => Ok(self.signer.sign(match_id, self.own, commands)),
        }
    }

    /// The signer of this node and the keys of the members; `None` in a match without signatures.
    pub(crate) fn keys(&self) -> Option<(&CommandSigner, &BTreeMap<NodeId, CommandKey>)> {
        self.match_id.map(|_| (&self.signer, &self.keys))
    }

    /// Removes forwarded commands that `from` did not sign, or that exceed its quota at `now`.
    pub(crate) fn check(&mut self, from: NodeId, message: &mut Message, now: Moment) {
        let Body::Forward { commands } = &mut message.body else {
            return;
        };
        let Some(match_id) = self.match_id else {
            return;
        };
        let key = self.keys.get(&from).copied();
        let mut reason = None;
        commands.retain(|command| {
            // First, because it costs less.
            if !self.quotas.admit(from, command, now) {
                reason = Some("it forwards more commands than its quota".to_owned());
                return false;
            }
            let verified = self.verifier.verify((match_id, from), key, command);
            if let Err(error) = verified {
                reason = Some(error.to_string());
            }
            verified.is_ok()
        });
        if let Some(reason) = reason
            && self.warned.insert(from)
        {
            tracing::error!(%from, reason, "commands of a member are not accepted");
        }
    }
}

/// Returns the program's command inside the bytes of a command, signed or not, without verifying
/// it: for showing it.
pub fn content(bytes: &[u8]) -> &[u8] {
    parts(bytes).map_or(bytes, |parts| parts.content)
}

/// Parts of a signed command.
struct Parts<'a> {
    signature: &'a [u8; SIGNATURE],
    sides: u8,
    path: &'a [Hash],
    content: &'a [u8],
}

/// Splits the bytes of a signed command; `None` for anything else.
fn parts(bytes: &[u8]) -> Option<Parts<'_>> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (signature, rest) = rest.split_first_chunk()?;
    let ([count, sides], rest) = rest.split_first_chunk()?;
    let count = usize::from(*count);
    if count > MAX_PATH || u32::from(*sides) >> count != 0 {
        return None;
    }
    let (path, content) = rest.split_at_checked(count * HASH)?;
    let (path, _) = path.as_chunks();
    Some(Parts {
        signature,
        sides: *sides,
        path,
        content,
    })
}

fn envelope(command: Command, signature: &[u8], levels: &[Vec<Hash>], index: usize) -> Command {
    let mut path = Vec::new();
    let mut sides = 0_u8;
    let mut index = index;
    for level in levels {
        // The last node of an odd level has no sibling.
        if let Some(sibling) = level.get(index ^ 1) {
            sides |= u8::from(index % 2 == 1) << (path.len() / HASH);
            path.extend_from_slice(sibling);
        }
        index /= 2;
    }
    let mut bytes = Vec::with_capacity(HEADER + path.len() + command.bytes.len());
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(signature);
    bytes.push(u8::try_from(path.len() / HASH).unwrap_or(u8::MAX));
    bytes.push(sides);
    bytes.extend_from_slice(&path);
    bytes.extend_from_slice(&command.bytes);
    Command {
        bytes: Bytes::from(bytes),
        ..command
    }
}

/// Levels of the hash tree over these leaves, up to its root.
fn levels(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = vec![leaves];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        let above = level.chunks(2).map(|pair| match pair {
            [left, right] => inner(left, right),
            // Promoted unchanged.
            alone => alone[0],
        });
        levels.push(above.collect());
    }
    levels
}

fn leaf((match_id, member): (MatchId, NodeId), command: &Command, content: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(match_id.0)
        .chain_update(member.0.to_be_bytes())
        .chain_update(command.client.0.to_be_bytes())
        .chain_update(command.sequence.to_be_bytes())
        .chain_update(content)
        .finalize()
        .into()
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raftian_raft::ClientId;

    use super::*;

    const MATCH: MatchId = MatchId([7; 16]);
    const MEMBER: NodeId = NodeId(4);
    const AT: (MatchId, NodeId) = (MATCH, MEMBER);

    fn identity() -> Identity {
        Identity::generate().unwrap()
    }

    fn commands(count: u64) -> Vec<Command> {
        let command = |sequence| Command {
            client: ClientId(9),
            sequence,
            bytes: Bytes::from(format!("command {sequence}").into_bytes()),
        };
        (1..=count).map(command).collect()
    }

    #[test]
    fn every_command_of_a_batch_is_verified_alone() {
        let signer = CommandSigner::new(&identity());
        for count in [1, 2, 3, 5, 8, 255, 256, 257, 700] {
            let plain = commands(count);
            let signed = signer.sign(MATCH, MEMBER, plain.clone());
            assert_eq!(signed.len(), plain.len());
            for (plain, signed) in plain.iter().zip(&signed) {
                let mut verifier = Verifier::default();
                let opened = verifier.verify(AT, Some(signer.key()), signed);
                assert_eq!(opened, Ok(&plain.bytes[..]), "{count}");
                assert_eq!(content(&signed.bytes), &plain.bytes[..]);
                assert!(signed.bytes.len() <= plain.bytes.len() + MAX_OVERHEAD);
            }
        }
    }

    #[test]
    fn command_is_bound_to_match_player_client_and_sequence() {
        let signer = CommandSigner::new(&identity());
        let own = Some(signer.key());
        let signed = signer.sign(MATCH, MEMBER, commands(3)).remove(1);
        let mut verifier = Verifier::default();
        assert!(verifier.verify(AT, own, &signed).is_ok());
        let invalid = Err(SignatureError::Invalid);
        assert_eq!(
            verifier.verify((MatchId([8; 16]), MEMBER), own, &signed),
            invalid
        );
        assert_eq!(verifier.verify((MATCH, NodeId(5)), own, &signed), invalid);
        let other = Some(CommandKey::of(&identity()));
        assert_eq!(verifier.verify(AT, other, &signed), invalid);
        let client = Command {
            client: ClientId(10),
            ..signed.clone()
        };
        assert_eq!(verifier.verify(AT, own, &client), invalid);
        let sequence = Command {
            sequence: 3,
            ..signed.clone()
        };
        assert_eq!(verifier.verify(AT, own, &sequence), invalid);
        let no_key = Err(SignatureError::NoKey);
        assert_eq!(verifier.verify(AT, None, &signed), no_key);
        let unsigned = Err(SignatureError::Unsigned);
        assert_eq!(verifier.verify(AT, own, &commands(1)[0]), unsigned);
    }

    #[test]
    fn altered_byte_is_noticed_everywhere() {
        let signer = CommandSigner::new(&identity());
        let signed = signer.sign(MATCH, MEMBER, commands(5)).remove(2);
        let mut verifier = Verifier::default();
        let own = Some(signer.key());
        assert!(verifier.verify(AT, own, &signed).is_ok());
        for place in 0..signed.bytes.len() {
            let mut bytes = signed.bytes.to_vec();
            bytes[place] ^= 1;
            let altered = Command {
                bytes: bytes.into(),
                ..signed
            };
            assert!(verifier.verify(AT, own, &altered).is_err(), "{place}");
        }
    }

    #[test]
    fn key_follows_from_the_identity_in_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let made = crate::cluster::identity_in(directory.path()).unwrap();
        let read = crate::cluster::identity_in(directory.path()).unwrap();
        assert_eq!(CommandKey::of(&made), CommandKey::of(&read));
        assert_ne!(CommandKey::of(&made), CommandKey::of(&identity()));
    }

    #[test]
    fn proof_of_a_key_is_valid_for_one_session() {
        let signer = CommandSigner::new(&identity());
        let proof = signer.prove(&[1; 32]);
        assert!(signer.key().is_proved(&[1; 32], &proof));
        assert!(!signer.key().is_proved(&[2; 32], &proof));
        assert!(!CommandKey::of(&identity()).is_proved(&[1; 32], &proof));
        assert!(!signer.key().is_proved(&[1; 32], &[]));
    }

    #[test]
    fn verifier_forgets_the_oldest() {
        let signer = CommandSigner::new(&identity());
        let mut verifier = Verifier::default();
        for _ in 0..2 {
            for sequence in 1..=MAX_REMEMBERED as u64 + 10 {
                let command = commands(1).remove(0);
                let signed = signer.sign(
                    MATCH,
                    MEMBER,
                    vec![Command {
                        sequence,
                        ..command
                    }],
                );
                assert!(verifier.verify(AT, Some(signer.key()), &signed[0]).is_ok());
            }
        }
        assert_eq!(verifier.order.len(), MAX_REMEMBERED);
        assert_eq!(verifier.verified.len(), MAX_REMEMBERED);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
            marked: bool,
        ) {
            if marked {
                bytes.splice(0..0, MARK);
            }
            let command = Command {
                client: ClientId(1),
                sequence: 1,
                bytes: bytes.into(),
            };
            let key = Some(CommandKey([3; 32]));
            prop_assert!(Verifier::default().verify(AT, key, &command).is_err());
        }
    }
}
