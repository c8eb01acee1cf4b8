//! Reply after persisting (figure 2): "Persistent state on all servers: (Updated on stable storage
//! before responding to RPCs)".

use raftian_raft::{AppendResult, Body, Founding, Message, NodeId, SnapshotResult};

use super::{Observation, Violation, last_on};

/// Stateless: compares each message with the sender's disk when it leaves.
#[derive(Debug, Default)]
pub struct DurableBeforePromised;

impl DurableBeforePromised {
    /// Checks the messages that a node sends. A message of an earlier term than the disk's passes:
    /// its state was on the disk, or the message no longer counts.
    ///
    /// # Errors
    /// If a vote, a candidacy or an acknowledgement leaves before it is on disk.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        for (to, message) in seen.sent {
            if let Some(missing) = missing(seen, *to, message) {
                let what = format!(
                    "{} sends {to} {message:?}, but its disk has {missing}",
                    seen.id
                );
                return Err(Violation::new("durable before promised", what));
            }
        }
        Ok(())
    }
}

fn missing(seen: &Observation<'_>, to: NodeId, message: &Message) -> Option<&'static str> {
    let (vote, up_to) = match &message.body {
        Body::RequestVote { .. } => (Some(seen.id), None),
        Body::VoteReply { granted: true } => (Some(to), None),
        Body::AppendReply(reply) => match reply.result {
            AppendResult::Matched { up_to } | AppendResult::Full { up_to } => (None, Some(up_to)),
            AppendResult::Conflict { .. } | AppendResult::Stale => return None,
        },
        // A leader's own entries may leave while its disk writes them (thesis 10.2.1), but it was
        // elected on a durable vote.
        Body::AppendEntries(_) | Body::InstallSnapshot(_) | Body::TimeoutNow => (None, None),
        Body::SnapshotReply(reply) => match reply.result {
            SnapshotResult::Installed => (None, Some(reply.position.index)),
            SnapshotResult::Received(_)
            | SnapshotResult::Stale
            | SnapshotResult::TooLarge { .. }
            | SnapshotResult::TooOld { .. } => return None,
        },
        Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::VoteReply { granted: false }
        | Body::Forward { .. }
        | Body::Read { .. }
        | Body::ReadReply { .. }
        | Body::LostEntries { .. } => return None,
        Body::Founders { incarnations } => {
            let on_disk = match &seen.image.founding {
                Founding::Pending(record) => record,
                Founding::Agreed(_) => return Some("a founding membership"),
            };
            let record = on_disk.iter().map(|(id, known)| (*id, *known));
            let is_equal = record.eq(incarnations.iter().copied());
            return (!is_equal).then_some("another record of the founders");
        }
        Body::Founded { membership } => {
            return match &seen.image.founding {
                Founding::Agreed(on_disk) => {
                    (on_disk != membership).then_some("another founding membership")
                }
                // Of a cluster whose founders agree on nothing, the disk has no record.
                Founding::Pending(record) => (!record.is_empty()).then_some("no founding"),
            };
        }
    };
    let on_disk = seen.image.hard_state;
    if on_disk.term < message.term {
        return Some("an earlier term");
    }
    if on_disk.term > message.term {
        return None;
    }
    if vote.is_some() && on_disk.vote != vote {
        return Some("another vote");
    }
    if up_to.is_some_and(|up_to| up_to > last_on(seen.image)) {
        return Some("fewer entries");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;
    use raftian_raft::{AppendReply, Incarnation, Index, LogPosition, Membership, Term};

    fn send(sample: Sample, body: Body) -> Result<(), Violation> {
        sample
            .sent(2, Message::new(Term(3), body))
            .show(|seen| DurableBeforePromised.check(seen))
    }

    #[test]
    fn founding_that_is_not_on_disk_is_detected() {
        let record = |known| vec![(NodeId(1), Some(Incarnation(7))), (NodeId(2), known)];
        let sent = || Body::Founders {
            incarnations: record(Some(Incarnation(8))),
        };
        let node = |known| Sample::node(1, 0).recorded(record(known));
        assert!(send(node(Some(Incarnation(8))), sent()).is_ok());
        assert!(send(node(None), sent()).is_err());
        let membership = Membership::new([NodeId(1)]).expect("a founder");
        let founded = || Body::Founded {
            membership: membership.clone(),
        };
        assert!(send(Sample::node(1, 0).founded(membership.clone()), founded()).is_ok());
        assert!(send(node(None), founded()).is_err());
    }

    #[test]
    fn vote_that_is_not_on_disk_is_detected() {
        let granted = || Body::VoteReply { granted: true };
        assert!(send(Sample::node(1, 3).on_disk(3, Some(2)), granted()).is_ok());
        assert!(send(Sample::node(1, 3).on_disk(3, None), granted()).is_err());
        assert!(send(Sample::node(1, 3).on_disk(2, Some(2)), granted()).is_err());
        assert!(
            send(Sample::node(1, 4).on_disk(4, None), granted()).is_ok(),
            "the disk is in a later term"
        );
        let request = Body::RequestVote {
            last: LogPosition::default(),
            transfer: false,
            priority: 0,
        };
        assert!(
            send(Sample::node(1, 3).on_disk(3, Some(2)), request).is_err(),
            "a candidate must vote for itself"
        );
    }

    #[test]
    fn acknowledgement_of_entries_not_on_disk_is_detected() {
        let matched = |up_to| {
            Body::AppendReply(AppendReply {
                probe: None,
                result: AppendResult::Matched {
                    up_to: Index(up_to),
                },
                state: None,
            })
        };
        let node = || Sample::node(1, 3).disk(&[1, 2]).on_disk(3, None);
        assert!(send(node(), matched(2)).is_ok());
        assert!(send(node(), matched(3)).is_err());
    }
}
