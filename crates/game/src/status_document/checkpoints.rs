//! Signed checkpoints of the members in the status document.

use raftian_node::checkpoint::{Checkpoints, Dispute, DisputeKind};
use raftian_raft::NodeId;
use serde::{Deserialize, Serialize};

/// Signed checkpoints of the members, and those that contradict each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointsDocument {
    /// The newest checkpoint of each member that has signed one.
    pub members: Vec<CheckpointDocument>,
    /// Contradictions that this member has found since its start, the first ones.
    pub disputes: Vec<DisputeDocument>,
}

/// The newest checkpoint of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointDocument {
    /// Id of the member.
    pub id: u64,
    /// The last entry that it covers.
    pub index: u64,
    /// Hash of the history up to that entry, 64 hexadecimal digits.
    pub head: String,
    /// Hash of the state after it, sixteen hexadecimal digits.
    pub state: String,
    /// The last entry at which it had the same history and state as the member that reports; none
    /// if their checkpoints have no entry in common.
    pub agreed: Option<u64>,
}

/// Two checkpoints that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeDocument {
    /// `two-histories` of one member, `histories` or `states` of two.
    pub kind: String,
    /// The last entry that both cover.
    pub index: u64,
    /// Ids of the two members, which are the same for `two-histories`.
    pub members: [u64; 2],
}

impl CheckpointsDocument {
    /// The checkpoints that the member `own` knows.
    pub(super) fn of(checkpoints: &Checkpoints, own: NodeId, members: &[NodeId]) -> Self {
        let newest = members.iter().filter_map(|id| {
            let newest_own = checkpoints.newest_own().filter(|_| *id == own);
            let newest = newest_own.or_else(|| checkpoints.newest(*id))?;
            let agreed = match newest_own {
                Some(newest) => Some(newest.index),
                None => checkpoints.agreed(*id),
            };
            Some(CheckpointDocument {
                id: id.0,
                index: newest.index.0,
                head: newest.head.to_string(),
                state: format!("{:016x}", newest.state),
                agreed: agreed.map(|index| index.0),
            })
        });
        CheckpointsDocument {
            members: newest.collect(),
            disputes: checkpoints.disputes().iter().map(dispute).collect(),
        }
    }

    /// Lines of the text form: agreement, then one per dispute.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut agreed: Vec<_> = self
            .members
            .iter()
            .filter_map(|member| Some((member.agreed?, member.id)))
            .collect();
        agreed.sort_unstable();
        let agreed: Vec<_> = agreed
            .iter()
            .map(|(index, id)| format!("n{id} up to #{index}"))
            .collect();
        let mut lines = Vec::new();
        if !agreed.is_empty() {
            lines.push(("signed", format!("same history: {}", agreed.join(", "))));
        }
        lines.extend(self.disputes.iter().map(|one| ("disputed", one.text())));
        lines
    }
}

fn dispute(dispute: &Dispute) -> DisputeDocument {
    let kind = match dispute.kind() {
        DisputeKind::TwoHistories => "two-histories",
        DisputeKind::Histories => "histories",
        DisputeKind::States => "states",
    };
    DisputeDocument {
        kind: kind.to_owned(),
        index: dispute.one.checkpoint.index.0,
        members: [dispute.one.member.0, dispute.other.member.0],
    }
}

impl DisputeDocument {
    fn text(&self) -> String {
        let [one, other] = self.members;
        let index = self.index;
        match self.kind.as_str() {
            "two-histories" => format!("n{one} signed two histories up to #{index}"),
            "histories" => format!("n{one} and n{other} have different histories up to #{index}"),
            _ => format!("n{one} and n{other} have different states after #{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use raftian_node::chain::ChainHead;
    use raftian_node::checkpoint::{Checkpoint, SignedCheckpoint};
    use raftian_raft::{Incarnation, Index};

    use super::*;

    #[test]
    fn agreement_and_disputes_are_reported() {
        let mut checkpoints = Checkpoints::default();
        let members = [1, 2, 3].map(NodeId);
        for (member, index, head) in [(1, 256, 1), (2, 256, 1), (3, 256, 2), (2, 512, 3)] {
            let signed = SignedCheckpoint {
                member: NodeId(member),
                incarnation: Incarnation(1),
                checkpoint: Checkpoint {
                    index: Index(index),
                    head: ChainHead([head; 32]),
                    state: 10,
                },
                signature: Vec::new(),
            };
            match member {
                1 => checkpoints.add_own(signed),
                _ => checkpoints.add(signed),
            }
        }
        let document = CheckpointsDocument::of(&checkpoints, NodeId(1), &members);
        let seen = document.members.iter();
        let seen: Vec<_> = seen.map(|one| (one.id, one.index, one.agreed)).collect();
        assert_eq!(
            seen,
            [(1, 256, Some(256)), (2, 512, Some(256)), (3, 256, None)]
        );
        assert_eq!(document.members[0].state, "000000000000000a");
        assert_eq!(document.members[0].head, "01".repeat(32));
        assert_eq!(
            document.lines(),
            [
                (
                    "signed",
                    "same history: n1 up to #256, n2 up to #256".to_owned()
                ),
                (
                    "disputed",
                    "n1 and n3 have different histories up to #256".to_owned()
                ),
            ]
        );
        assert_eq!(CheckpointsDocument::default().lines(), []);
    }
}
