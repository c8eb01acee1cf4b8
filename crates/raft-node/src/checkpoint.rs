//! Signed checkpoints: each member states what it has applied, and cannot deny it later.
//!
//! Every few hundred entries a member signs the [head](ChainHead) of its history and the hash of
//! its state, and members exchange what they know of each other, not through the leader. So two
//! machines that a leader has shown different histories find out, also if it withholds the orders
//! of one from the other; and a member that signs two histories leaves proof of it.
//!
//! An index is signed once: a member whose state a leader repairs applies entries again, and would
//! otherwise seem to sign two histories. For the same reason a signature names the incarnation of
//! the disk, and the match by the name under which the member plays it.
//!
//! A dispute stops nothing: which side is wrong is for the players to decide, who can
//! [vote](crate::ballot) to remove a member.

use std::collections::{BTreeMap, BTreeSet};

use raftian_raft::{Incarnation, Index, NodeId};
use serde::{Deserialize, Serialize};

use crate::chain::ChainHead;
use crate::signing::{CommandKey, CommandSigner};

/// Maximum number of checkpoints that are kept of each member: the newest.
pub const MAX_KEPT: usize = 4;

/// Maximum number of own checkpoints that are kept: a leader may keep others far behind.
pub const MAX_OWN: usize = 4096;

/// Maximum number of disputes that are kept: more than all members of a match can cause.
pub const MAX_DISPUTES: usize = 128;

/// Maximum number of checkpoints in one list of a member.
pub const MAX_LIST: usize = 256;

/// Prefix of the signature: it is valid for nothing else.
const CONTEXT: &[u8] = b"raftian checkpoint 1";

/// History and state of a member after one entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last entry applied.
    pub index: Index,
    /// The history up to it.
    pub head: ChainHead,
    /// Hash of the state after it.
    pub state: u64,
}

/// A checkpoint that a member has signed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    /// The member.
    pub member: NodeId,
    /// Incarnation of its disk.
    pub incarnation: Incarnation,
    /// The statement.
    pub checkpoint: Checkpoint,
    /// Ed25519 signature over the match and all of that.
    pub signature: Vec<u8>,
}

impl SignedCheckpoint {
    /// Signs a checkpoint of `member` in the match that it plays as `cluster`.
    pub fn new(
        signer: &CommandSigner,
        cluster: &str,
        (member, incarnation): (NodeId, Incarnation),
        checkpoint: Checkpoint,
    ) -> Self {
        let mut signed = SignedCheckpoint {
            member,
            incarnation,
            checkpoint,
            signature: Vec::new(),
        };
        signed.signature = signer.sign_bytes(&signed.signed_bytes(cluster));
        signed
    }

    /// Whether the holder of `key` signed it in the match `cluster`.
    pub fn is_signed_by(&self, cluster: &str, key: &CommandKey) -> bool {
        key.has_signed(&self.signed_bytes(cluster), &self.signature)
    }

    fn signed_bytes(&self, cluster: &str) -> Vec<u8> {
        let Checkpoint { index, head, state } = self.checkpoint;
        [
            CONTEXT,
            &self.member.0.to_be_bytes(),
            &self.incarnation.0.to_be_bytes(),
            &index.0.to_be_bytes(),
            &head.0,
            &state.to_be_bytes(),
            cluster.as_bytes(),
        ]
        .concat()
    }
}

/// Two checkpoints at one index that contradict each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Dispute {
    /// The one that was known first.
    pub one: SignedCheckpoint,
    /// The other one.
    pub other: SignedCheckpoint,
}

/// How two checkpoints contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DisputeKind {
    /// One member signed two histories: it lies, or its disk was changed.
    TwoHistories,
    /// Two members have different histories: a leader has shown them different entries, or one of
    /// them lies.
    Histories,
    /// The same history has led to different states: one of the machines is faulty, or lies.
    States,
}

impl Dispute {
    /// Both checkpoints.
    pub fn both(&self) -> [&SignedCheckpoint; 2] {
        [&self.one, &self.other]
    }

    /// The members, and how they contradict each other.
    fn parties(&self) -> (BTreeSet<NodeId>, DisputeKind) {
        let members = self.both().map(|signed| signed.member);
        (BTreeSet::from(members), self.kind())
    }

    /// How they contradict each other.
    pub fn kind(&self) -> DisputeKind {
        if self.one.checkpoint.head == self.other.checkpoint.head {
            DisputeKind::States
        } else if self.one.member == self.other.member
            && self.one.incarnation == self.other.incarnation
        {
            DisputeKind::TwoHistories
        } else {
            DisputeKind::Histories
        }
    }
}

/// The newest checkpoints of the members, as far as one of them knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checkpoints {
    known: BTreeMap<NodeId, BTreeMap<Index, SignedCheckpoint>>,
    /// Those of the machine that compares.
    own: BTreeMap<Index, SignedCheckpoint>,
    /// The first key of each member: a leader may record another one for it.
    keys: BTreeMap<NodeId, CommandKey>,
    disputes: Vec<Dispute>,
}

impl Checkpoints {
    /// Whether exactly this checkpoint is known already.
    pub fn knows(&self, signed: &SignedCheckpoint) -> bool {
        let index = &signed.checkpoint.index;
        let known = self.known.get(&signed.member);
        let is_kept = known.and_then(|known| known.get(index)) == Some(signed);
        let is_own = self.own.get(index) == Some(signed);
        let mut disputed = self.disputes.iter().flat_map(|dispute| dispute.both());
        is_kept || is_own || disputed.any(|one| one == signed)
    }

    /// The newest own checkpoint.
    pub fn newest_own(&self) -> Option<&Checkpoint> {
        let (_, newest) = self.own.last_key_value()?;
        Some(&newest.checkpoint)
    }

    /// Adds a checkpoint of the machine that compares, which must be newer than its others.
    pub fn add_own(&mut self, signed: SignedCheckpoint) {
        let others = self.known.values();
        let others = others.filter_map(|known| known.get(&signed.checkpoint.index));
        for dispute in contradictions(others, &signed) {
            self.note(dispute);
        }
        self.own.insert(signed.checkpoint.index, signed);
        if self.own.len() > MAX_OWN {
            self.own.pop_first();
        }
    }

    /// Adds a checkpoint whose signature was verified, and compares it with others at its index:
    /// with the own one and with that of the same member.
    pub fn add(&mut self, signed: SignedCheckpoint) {
        let index = signed.checkpoint.index;
        let same = self.known.get(&signed.member);
        let same = same.and_then(|known| known.get(&index));
        let others = self.own.get(&index).into_iter().chain(same);
        for dispute in contradictions(others, &signed) {
            self.note(dispute);
        }
        let known = self.known.entry(signed.member).or_default();
        known.insert(index, signed);
        if known.len() > MAX_KEPT {
            known.pop_first();
        }
    }

    /// Adds checkpoints that another member passed on and whose signatures were verified. They may
    /// prove that a member signed two histories, also at an index from which none is kept.
    pub fn add_all(&mut self, all: Vec<SignedCheckpoint>) {
        let mut first: BTreeMap<_, &SignedCheckpoint> = BTreeMap::new();
        let mut proofs = Vec::new();
        for signed in &all {
            let one = *first
                .entry((signed.member, signed.incarnation, signed.checkpoint.index))
                .or_insert(signed);
            if one.checkpoint.head != signed.checkpoint.head {
                proofs.push(Dispute {
                    one: one.clone(),
                    other: signed.clone(),
                });
            }
        }
        for proof in proofs {
            self.note(proof);
        }
        for signed in all {
            self.add(signed);
        }
    }

    /// Keeps the first dispute of each kind between two members.
    fn note(&mut self, dispute: Dispute) {
        let is_known = self
            .disputes
            .iter()
            .any(|known| known.parties() == dispute.parties());
        if is_known {
            return;
        }
        tracing::error!(
            index = dispute.one.checkpoint.index.0,
            one = %dispute.one.member,
            other = %dispute.other.member,
            kind = ?dispute.kind(),
            "signed checkpoints contradict each other"
        );
        if self.disputes.len() < MAX_DISPUTES {
            self.disputes.push(dispute);
        }
    }

    /// Follows the members, with their keys: forgets the checkpoints of those who are none.
    /// Disputes are kept.
    pub fn follow(&mut self, members: &BTreeMap<NodeId, CommandKey>) {
        self.known.retain(|member, _| members.contains_key(member));
        self.keys.retain(|member, _| members.contains_key(member));
        for (member, key) in members {
            self.keys.entry(*member).or_insert(*key);
        }
    }

    /// The key with which the checkpoints of `member` are verified.
    pub fn key(&self, member: NodeId) -> Option<&CommandKey> {
        self.keys.get(&member)
    }

    /// The checkpoints to pass on: the newest own ones, the proofs that a member signed two
    /// histories, and those of others.
    pub fn to_pass_on(&self) -> Vec<SignedCheckpoint> {
        let own = self.own.values().rev().take(MAX_KEPT);
        let proofs = self.disputes.iter();
        let proofs = proofs.filter(|dispute| dispute.kind() == DisputeKind::TwoHistories);
        let proofs = proofs.flat_map(Dispute::both);
        let others = self.known.values().flat_map(BTreeMap::values);
        let all = own.chain(proofs).chain(others);
        all.take(MAX_LIST).cloned().collect()
    }

    /// The newest checkpoint of `member`, another one than the machine that compares.
    pub fn newest(&self, member: NodeId) -> Option<&Checkpoint> {
        let (_, newest) = self.known.get(&member)?.last_key_value()?;
        Some(&newest.checkpoint)
    }

    /// The last index at which `member` has stated the same history and state as the machine that
    /// compares.
    pub fn agreed(&self, member: NodeId) -> Option<Index> {
        let known = self.known.get(&member)?.values().rev();
        let mut agreed = known.filter(|signed| {
            let same = self.own.get(&signed.checkpoint.index);
            same.is_some_and(|same| same.checkpoint == signed.checkpoint)
        });
        agreed.next().map(|signed| signed.checkpoint.index)
    }

    /// Contradictions that were found, the first ones.
    pub fn disputes(&self) -> &[Dispute] {
        &self.disputes
    }
}

/// The contradictions of a checkpoint with others at its index.
fn contradictions<'a>(
    others: impl Iterator<Item = &'a SignedCheckpoint>,
    signed: &SignedCheckpoint,
) -> Vec<Dispute> {
    let others = others.filter(|other| other.checkpoint != signed.checkpoint);
    let disputes = others.map(|other| Dispute {
        one: other.clone(),
        other: signed.clone(),
    });
    disputes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Identity;

    const MATCH: &str = "a match";
    const OWN: NodeId = NodeId(1);

    fn checkpoint(index: u64, head: u8, state: u64) -> Checkpoint {
        Checkpoint {
            index: Index(index),
            head: ChainHead([head; 32]),
            state,
        }
    }

    fn signed(member: u64, checkpoint: Checkpoint) -> SignedCheckpoint {
        SignedCheckpoint {
            member: NodeId(member),
            incarnation: Incarnation(1),
            checkpoint,
            signature: Vec::new(),
        }
    }

    /// The machine n1 after these checkpoints of members.
    fn known(added: &[(u64, Checkpoint)]) -> Checkpoints {
        let mut checkpoints = Checkpoints::default();
        for (member, checkpoint) in added {
            let signed = signed(*member, *checkpoint);
            match signed.member {
                OWN => checkpoints.add_own(signed),
                _ => checkpoints.add(signed),
            }
        }
        checkpoints
    }

    fn disputes(added: &[(u64, Checkpoint)]) -> Vec<DisputeKind> {
        let checkpoints = known(added);
        checkpoints.disputes().iter().map(Dispute::kind).collect()
    }

    #[test]
    fn signature_is_that_of_one_member_in_one_match_over_one_checkpoint() {
        let signer = CommandSigner::new(&Identity::generate().unwrap());
        let key = signer.key();
        let member = (NodeId(2), Incarnation(1));
        let good = SignedCheckpoint::new(&signer, MATCH, member, checkpoint(256, 1, 5));
        assert!(good.is_signed_by(MATCH, &key));
        assert!(!good.is_signed_by("another match", &key));
        let other = CommandSigner::new(&Identity::generate().unwrap());
        assert!(!good.is_signed_by(MATCH, &other.key()));
        let altered = [
            SignedCheckpoint {
                member: NodeId(3),
                ..good.clone()
            },
            SignedCheckpoint {
                incarnation: Incarnation(2),
                ..good.clone()
            },
            SignedCheckpoint {
                checkpoint: checkpoint(512, 1, 5),
                ..good.clone()
            },
            SignedCheckpoint {
                checkpoint: checkpoint(256, 2, 5),
                ..good.clone()
            },
            SignedCheckpoint {
                checkpoint: checkpoint(256, 1, 6),
                ..good.clone()
            },
            SignedCheckpoint {
                signature: Vec::new(),
                ..good.clone()
            },
        ];
        for false_one in altered {
            assert!(!false_one.is_signed_by(MATCH, &key), "{false_one:?}");
        }
    }

    #[test]
    fn contradictions_are_found_in_either_order() {
        let one = checkpoint(256, 1, 5);
        let other = checkpoint(256, 2, 6);
        let other_state = checkpoint(256, 1, 6);
        assert_eq!(disputes(&[(1, one), (2, one), (3, one)]), []);
        assert_eq!(disputes(&[(1, one), (2, checkpoint(512, 2, 6))]), []);
        for (first, second) in [(1, 2), (2, 1)] {
            let histories = disputes(&[(first, one), (second, other)]);
            assert_eq!(histories, [DisputeKind::Histories]);
            let states = disputes(&[(first, one), (second, other_state)]);
            assert_eq!(states, [DisputeKind::States]);
        }
        assert_eq!(
            disputes(&[(2, one), (2, other)]),
            [DisputeKind::TwoHistories]
        );
    }

    #[test]
    fn others_are_compared_with_the_own_checkpoint_only() {
        let one = checkpoint(256, 1, 5);
        let other = checkpoint(256, 2, 6);
        // Which of the two is right is known once the own checkpoint is.
        assert_eq!(disputes(&[(2, one), (3, other)]), []);
        let found = disputes(&[(2, one), (3, other), (1, one)]);
        assert_eq!(found, [DisputeKind::Histories]);
    }

    #[test]
    fn member_with_another_disk_has_not_signed_two_histories() {
        let mut checkpoints = known(&[(2, checkpoint(256, 1, 5))]);
        checkpoints.add(SignedCheckpoint {
            incarnation: Incarnation(2),
            ..signed(2, checkpoint(256, 2, 5))
        });
        let kinds = checkpoints.disputes().iter().map(Dispute::kind);
        assert_eq!(kinds.collect::<Vec<_>>(), [DisputeKind::Histories]);
    }

    #[test]
    fn member_that_is_kept_far_behind_is_compared_too() {
        let mut ahead: Vec<_> = (1..1000)
            .map(|number| (1, checkpoint(256 * number, 1, 5)))
            .collect();
        ahead.push((2, checkpoint(512, 2, 5)));
        assert_eq!(disputes(&ahead), [DisputeKind::Histories]);
    }

    #[test]
    fn first_key_of_a_member_stays() {
        let mut checkpoints = Checkpoints::default();
        let [first, later] = [1, 2].map(|byte| CommandKey([byte; 32]));
        checkpoints.follow(&BTreeMap::from([(NodeId(2), first)]));
        checkpoints.follow(&BTreeMap::from([(NodeId(2), later)]));
        assert_eq!(checkpoints.key(NodeId(2)), Some(&first));
        checkpoints.follow(&BTreeMap::new());
        assert_eq!(checkpoints.key(NodeId(2)), None);
    }

    #[test]
    fn proof_of_two_histories_is_passed_on() {
        let first = known(&[(2, checkpoint(256, 1, 5)), (2, checkpoint(256, 2, 5))]);
        let later = [1000, 1001, 1002, 1003].map(|index| (2, checkpoint(index, 1, 5)));
        let mut second = known(&later);
        let received = first.to_pass_on();
        assert!(received.iter().all(|one| !second.knows(one)));
        second.add_all(received.clone());
        let found = second.disputes();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind(), DisputeKind::TwoHistories);
        assert_eq!(second.newest(NodeId(2)).unwrap().index, Index(1003));
        // Received again, it is nothing new.
        assert!(received.iter().all(|one| second.knows(one)));
    }

    #[test]
    fn agreement_is_the_last_common_index() {
        let checkpoints = known(&[
            (1, checkpoint(256, 1, 5)),
            (1, checkpoint(512, 2, 6)),
            (2, checkpoint(256, 1, 5)),
            (2, checkpoint(768, 3, 7)),
            (3, checkpoint(512, 2, 0)),
        ]);
        assert_eq!(checkpoints.agreed(NodeId(2)), Some(Index(256)));
        assert_eq!(checkpoints.agreed(NodeId(3)), None);
        assert_eq!(checkpoints.agreed(NodeId(4)), None);
        let newest = checkpoints.newest(NodeId(2));
        assert_eq!(newest.map(|newest| newest.index), Some(Index(768)));
    }

    #[test]
    fn flood_of_checkpoints_is_bounded_and_disputes_are_kept() {
        let mut checkpoints = known(&[(1, checkpoint(7, 9, 5))]);
        for index in 1..=100 {
            for head in 1..=2 {
                checkpoints.add(signed(2, checkpoint(index, head, 5)));
            }
        }
        let kept: usize = checkpoints.known.values().map(BTreeMap::len).sum();
        assert_eq!(kept, MAX_KEPT);
        // Of the two histories, and of another history than the own one.
        assert_eq!(checkpoints.disputes().len(), 2);
        checkpoints.follow(&BTreeMap::new());
        assert!(checkpoints.known.is_empty());
        assert_eq!(checkpoints.disputes().len(), 2);
        for member in 2..200 {
            for head in 1..=2 {
                checkpoints.add(signed(member, checkpoint(7, head, 5)));
            }
        }
        assert_eq!(checkpoints.disputes().len(), MAX_DISPUTES);
        assert_eq!(checkpoints.to_pass_on().len(), MAX_LIST);
    }
}
