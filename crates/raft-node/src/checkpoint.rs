//! Signed checkpoints: each member states what it has applied, and cannot deny it later.
//!
//! Every few hundred entries a member signs the [head](ChainHead) of its history and the hash of its
//! state, and members exchange what they know of each other, not through the leader. So two machines
//! that a leader has shown different histories find out, also if it withholds the orders of one
//! from the other; and a member that signs two histories leaves proof of it.
//!
//! A dispute stops nothing: which side is wrong is for the players to decide, who can
//! [vote](crate::ballot) to remove a member.

use std::collections::{BTreeMap, BTreeSet};

use raftian_raft::{Index, NodeId};
use serde::{Deserialize, Serialize};

use crate::chain::ChainHead;
use crate::signing::{CommandKey, CommandSigner};
use crate::ticket::MatchId;

/// Maximum number of checkpoints that are kept of each member: the newest.
pub const MAX_KEPT: usize = 4;

/// Maximum number of disputes that are kept: the first ones.
pub const MAX_DISPUTES: usize = 16;

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
    /// What it states.
    pub checkpoint: Checkpoint,
    /// Ed25519 signature over the match, the member and the checkpoint.
    pub signature: Vec<u8>,
}

impl SignedCheckpoint {
    /// Signs a checkpoint of `member`.
    pub fn new(
        signer: &CommandSigner,
        match_id: MatchId,
        member: NodeId,
        checkpoint: Checkpoint,
    ) -> Self {
        let signed = signed_bytes(match_id, member, &checkpoint);
        SignedCheckpoint {
            member,
            checkpoint,
            signature: signer.sign_bytes(&signed),
        }
    }

    /// Whether the holder of `key` signed it in this match.
    pub fn is_signed_by(&self, match_id: MatchId, key: &CommandKey) -> bool {
        let signed = signed_bytes(match_id, self.member, &self.checkpoint);
        key.has_signed(&signed, &self.signature)
    }
}

fn signed_bytes(match_id: MatchId, member: NodeId, checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { index, head, state } = checkpoint;
    [
        CONTEXT,
        &match_id.0,
        &member.0.to_be_bytes(),
        &index.0.to_be_bytes(),
        &head.0,
        &state.to_be_bytes(),
    ]
    .concat()
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

    /// How they contradict each other.
    pub fn kind(&self) -> DisputeKind {
        if self.one.checkpoint.head == self.other.checkpoint.head {
            DisputeKind::States
        } else if self.one.member == self.other.member {
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
    disputes: Vec<Dispute>,
}

impl Checkpoints {
    /// Whether `signed` says nothing new.
    pub fn knows(&self, signed: &SignedCheckpoint) -> bool {
        let known = self.known.get(&signed.member);
        let is_kept = known.and_then(|known| known.get(&signed.checkpoint.index)) == Some(signed);
        let mut disputed = self.disputes.iter().flat_map(|dispute| dispute.both());
        is_kept || disputed.any(|one| one == signed)
    }

    /// Adds a checkpoint whose signature was verified, and compares it with others at its index:
    /// with that of the same member, and with that of `own`, the machine that compares.
    pub fn add(&mut self, own: NodeId, signed: SignedCheckpoint) {
        let index = signed.checkpoint.index;
        let is_compared =
            |member: &NodeId| *member == signed.member || *member == own || signed.member == own;
        let others = self.known.iter().filter(|(member, _)| is_compared(member));
        let others = others.filter_map(|(_, known)| known.get(&index));
        let disputes: Vec<_> = others
            .filter(|other| other.checkpoint != signed.checkpoint)
            .map(|other| Dispute {
                one: other.clone(),
                other: signed.clone(),
            })
            .collect();
        for dispute in disputes {
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
    pub fn add_all(&mut self, own: NodeId, all: Vec<SignedCheckpoint>) {
        let mut first: BTreeMap<(NodeId, Index), &SignedCheckpoint> = BTreeMap::new();
        let mut proofs = Vec::new();
        for signed in &all {
            let one = *first
                .entry((signed.member, signed.checkpoint.index))
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
            self.add(own, signed);
        }
    }

    /// Keeps the first disputes, at most one of each kind between two members.
    fn note(&mut self, dispute: Dispute) {
        let parties = |dispute: &Dispute| {
            let members = [dispute.one.member, dispute.other.member];
            (BTreeSet::from(members), dispute.kind())
        };
        let is_known = self
            .disputes
            .iter()
            .any(|known| parties(known) == parties(&dispute));
        if !is_known && self.disputes.len() < MAX_DISPUTES {
            tracing::error!(
                index = dispute.one.checkpoint.index.0,
                one = %dispute.one.member,
                other = %dispute.other.member,
                kind = ?dispute.kind(),
                "signed checkpoints contradict each other"
            );
            self.disputes.push(dispute);
        }
    }

    /// Forgets the checkpoints of members for which `is_member` is false. Disputes are kept.
    pub fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.known.retain(|member, _| is_member(*member));
    }

    /// The checkpoints to pass on: those that are kept, and the proofs that a member signed two
    /// histories.
    pub fn to_pass_on(&self) -> Vec<SignedCheckpoint> {
        let kept = self.known.values().flat_map(BTreeMap::values);
        let proofs = self.disputes.iter();
        let proofs = proofs.filter(|dispute| dispute.kind() == DisputeKind::TwoHistories);
        let proofs = proofs.flat_map(Dispute::both);
        kept.chain(proofs).cloned().collect()
    }

    /// The newest checkpoint of `member`.
    pub fn newest(&self, member: NodeId) -> Option<&Checkpoint> {
        let (_, newest) = self.known.get(&member)?.last_key_value()?;
        Some(&newest.checkpoint)
    }

    /// The last index at which `member` has stated the same history and state as `own`.
    pub fn agreed(&self, own: NodeId, member: NodeId) -> Option<Index> {
        let own = self.known.get(&own)?;
        let known = self.known.get(&member)?.values().rev();
        let mut agreed = known.filter(|signed| {
            let same = own.get(&signed.checkpoint.index);
            same.is_some_and(|same| same.checkpoint == signed.checkpoint)
        });
        agreed.next().map(|signed| signed.checkpoint.index)
    }

    /// Contradictions that were found, the first ones.
    pub fn disputes(&self) -> &[Dispute] {
        &self.disputes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Identity;

    const MATCH: MatchId = MatchId([7; 16]);
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
            checkpoint,
            signature: Vec::new(),
        }
    }

    /// Kinds of the disputes after these checkpoints of members.
    fn disputes(added: &[(u64, Checkpoint)]) -> Vec<DisputeKind> {
        let mut checkpoints = Checkpoints::default();
        for (member, checkpoint) in added {
            checkpoints.add(OWN, signed(*member, *checkpoint));
        }
        checkpoints.disputes().iter().map(Dispute::kind).collect()
    }

    #[test]
    fn signature_is_that_of_one_member_in_one_match_over_one_checkpoint() {
        let signer = CommandSigner::new(&Identity::generate().unwrap());
        let key = signer.key();
        let good = SignedCheckpoint::new(&signer, MATCH, NodeId(2), checkpoint(256, 1, 5));
        assert!(good.is_signed_by(MATCH, &key));
        assert!(!good.is_signed_by(MatchId([8; 16]), &key));
        let other = CommandSigner::new(&Identity::generate().unwrap());
        assert!(!good.is_signed_by(MATCH, &other.key()));
        let altered = [
            SignedCheckpoint {
                member: NodeId(3),
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
        let (one, other) = (checkpoint(256, 1, 5), checkpoint(256, 2, 6));
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
        let (one, other) = (checkpoint(256, 1, 5), checkpoint(256, 2, 6));
        // Which of the two is right is known once the own checkpoint is.
        assert_eq!(disputes(&[(2, one), (3, other)]), []);
        let found = disputes(&[(2, one), (3, other), (1, one)]);
        assert_eq!(found, [DisputeKind::Histories]);
    }

    #[test]
    fn proof_of_two_histories_is_passed_on() {
        let mut first = Checkpoints::default();
        for head in [1, 2] {
            first.add(OWN, signed(2, checkpoint(256, head, 5)));
        }
        let mut second = Checkpoints::default();
        for index in [1000, 1001, 1002, 1003] {
            second.add(NodeId(3), signed(2, checkpoint(index, 1, 5)));
        }
        let received = first.to_pass_on();
        assert!(received.iter().all(|one| !second.knows(one)));
        second.add_all(NodeId(3), received.clone());
        let found = second.disputes();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind(), DisputeKind::TwoHistories);
        assert_eq!(second.newest(NodeId(2)).unwrap().index, Index(1003));
        // Received again, it is nothing new.
        assert!(received.iter().all(|one| second.knows(one)));
    }

    #[test]
    fn agreement_is_the_last_common_index() {
        let mut checkpoints = Checkpoints::default();
        for (member, checkpoint) in [
            (1, checkpoint(256, 1, 5)),
            (1, checkpoint(512, 2, 6)),
            (2, checkpoint(256, 1, 5)),
            (2, checkpoint(768, 3, 7)),
            (3, checkpoint(512, 2, 0)),
        ] {
            checkpoints.add(OWN, signed(member, checkpoint));
        }
        assert_eq!(checkpoints.agreed(OWN, NodeId(2)), Some(Index(256)));
        assert_eq!(checkpoints.agreed(OWN, NodeId(3)), None);
        assert_eq!(checkpoints.agreed(OWN, NodeId(4)), None);
        let newest = checkpoints.newest(NodeId(2));
        assert_eq!(newest.map(|newest| newest.index), Some(Index(768)));
    }

    #[test]
    fn flood_of_checkpoints_is_bounded_and_disputes_are_kept() {
        let mut checkpoints = Checkpoints::default();
        for index in 1..=100 {
            for head in 1..=2 {
                checkpoints.add(OWN, signed(2, checkpoint(index, head, 5)));
            }
        }
        let kept: usize = checkpoints.known.values().map(BTreeMap::len).sum();
        assert_eq!(kept, MAX_KEPT);
        assert_eq!(checkpoints.disputes().len(), 1);
        checkpoints.retain(|member| member == OWN);
        assert!(checkpoints.known.is_empty());
        assert_eq!(checkpoints.disputes().len(), 1);
        // A removed member and its successors cannot push out the first disputes.
        for member in 2..100 {
            for head in 1..=2 {
                checkpoints.add(OWN, signed(member, checkpoint(7, head, 5)));
            }
        }
        assert_eq!(checkpoints.disputes().len(), MAX_DISPUTES);
    }
}
