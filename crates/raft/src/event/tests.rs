//! Rules and sentences of all decisions.

use alloc::string::ToString;

use super::*;
use crate::types::Incarnation;

/// One decision of each kind, with the source of its rule and words that only its sentence has.
fn all() -> [(Decision, &'static str, &'static str); 43] {
    use Decision::*;
    let a = NodeId(2);
    let index = Index(7);
    let at = |term| LogPosition {
        term: Term(term),
        index: Index(3),
    };
    let refused = |because| RefusedVote {
        candidate: a,
        pre: true,
        because,
    };
    let stepped = |because| SteppedDown { because };
    let behind = VoteRefusal::LogBehind {
        mine: at(2),
        theirs: at(1),
    };
    [
        (AskedForPreVotes, "thesis 9.6", "asks for pre-votes"),
        (
            StoodForElection { transfer: false },
            "Raft 5.2",
            "stands for election",
        ),
        (
            StoodForElection { transfer: true },
            "thesis 3.10",
            "asked by the old leader",
        ),
        (WonElection { votes: 3 }, "Raft 5.2", "3 votes"),
        (
            Voted {
                candidate: a,
                pre: true,
            },
            "thesis 9.6",
            "would vote for n2",
        ),
        (
            Voted {
                candidate: a,
                pre: false,
            },
            "Raft 5.2",
            "votes for n2",
        ),
        (
            RefusedVote {
                candidate: a,
                pre: false,
                because: VoteRefusal::OldTerm,
            },
            "Raft 5.2",
            "n2 a vote: its term",
        ),
        (
            refused(VoteRefusal::OldTerm),
            "Raft 5.2",
            "n2 a pre-vote: its term is over",
        ),
        (
            refused(VoteRefusal::VotedFor(NodeId(3))),
            "Raft 5.2",
            "the vote went to n3",
        ),
        (
            refused(behind),
            "Raft 5.4.1",
            "my last entry t2#3 is newer than its t1#3",
        ),
        (
            refused(VoteRefusal::LeaderAlive(NodeId(3))),
            "thesis 4.2.3",
            "leader n3 is alive",
        ),
        (
            refused(VoteRefusal::JustStarted),
            "thesis 6.4.1",
            "may have granted a leader its lease",
        ),
        (
            refused(VoteRefusal::LowerPriority { mine: 9, theirs: 1 }),
            "Raftian: logs being equal",
            "priority 9",
        ),
        (FollowsLeader { leader: a }, "Raft 5.2", "follows n2"),
        (SawLaterTerm { from: a }, "Raft 5.1", "later term from n2"),
        (
            stepped(StepDown::LostQuorum),
            "thesis 6.2",
            "no majority answers",
        ),
        (
            stepped(StepDown::DiskHangs),
            "Raftian: a leader",
            "disk does not answer",
        ),
        (
            stepped(StepDown::LaterTerm),
            "Raft 5.1",
            "a later term began",
        ),
        (
            stepped(StepDown::Removed),
            "thesis 4.2.2",
            "no longer a voter",
        ),
        (
            stepped(StepDown::Diverged),
            "Raftian: equal logs",
            "a different state at the same",
        ),
        (
            Truncated {
                from: index,
                to: Index(9),
                leader: a,
            },
            "Raft 5.3",
            "#7 to #9, which n2",
        ),
        (
            LogsDiffer {
                follower: a,
                next: index,
            },
            "Raft 5.3",
            "retries n2 from #7",
        ),
        (CommittedOwnTerm { index }, "Raft 5.4.2", "commits #7"),
        (
            TransfersLeadership { to: a },
            "thesis 3.10",
            "transfers leadership to n2",
        ),
        (
            LeadershipTransferFailed { to: a },
            "thesis 3.10",
            "aborts the leadership transfer to n2",
        ),
        (
            ChangesMembers {
                index,
                joint: false,
            },
            "thesis 4.1",
            "the members with #7",
        ),
        (
            ChangesMembers { index, joint: true },
            "Raft 6",
            "the voters with #7",
        ),
        (LeavesJoint { index }, "Raft 6", "leaves the joint"),
        (Promotes { member: a }, "thesis 4.2.1", "promotes n2"),
        (
            RolledBackMembers { index },
            "Raft 6",
            "membership before #7",
        ),
        (
            TookSnapshot {
                index,
                log_after: Index(4),
            },
            "Raft 7",
            "#7; its log begins after #4",
        ),
        (
            SendsSnapshot { follower: a, index },
            "Raft 7",
            "sends n2 a snapshot at #7",
        ),
        (
            InstalledSnapshot {
                leader: a,
                index,
                tail_kept: true,
            },
            "Raft 7",
            "#7 and keeps its log",
        ),
        (
            ConfirmedReads { round: 4, count: 2 },
            "thesis 6.4",
            "round 4, for 2 reads",
        ),
        (ReadByLease, "thesis 6.4.1", "under its lease"),
        (
            UnknownIncarnation {
                peer: a,
                incarnation: Incarnation(5),
            },
            "Raftian: a node that lost",
            "n2 in incarnation 5",
        ),
        (
            LostAcknowledged {
                follower: a,
                acknowledged: Index(9),
                refused: index,
                witness: false,
            },
            "Raft 5.3",
            "must join again",
        ),
        (
            LostAcknowledged {
                follower: a,
                acknowledged: Index(9),
                refused: index,
                witness: true,
            },
            "Raft 5.3",
            "remove it and add it again",
        ),
        (
            BeginsIncarnation {
                leader: a,
                acknowledged: index,
                incarnation: Incarnation(5),
            },
            "Raftian: a node that lost",
            "begins incarnation 5: n2 has its acknowledgement of #7",
        ),
        (
            ReplacesIncarnation {
                member: a,
                incarnation: Incarnation(5),
            },
            "Raftian: a node that lost",
            "n2 join again under",
        ),
        (
            StateDiverged { follower: a, index },
            "Raftian: equal logs",
            "finds n2 in a different state at #7",
        ),
        (
            RepairedState { leader: a, index },
            "Raftian: equal logs",
            "replaces its diverged state by that of n2 at #7",
        ),
        (
            IgnoredInvalidMessage {
                from: a,
                what: "odd",
            },
            "Raftian: a message",
            "from n2: odd",
        ),
    ]
}

#[test]
fn every_decision_has_a_rule_and_a_sentence() {
    for (decision, rule, words) in all() {
        assert!(
            decision.rule().starts_with(rule),
            "{decision:?}: {}",
            decision.rule()
        );
        assert!(
            decision.to_string().contains(words),
            "{decision:?}: {decision}"
        );
    }
}
