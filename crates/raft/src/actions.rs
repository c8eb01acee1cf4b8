//! Actions: the writes, messages and entries that a step returns to the caller, as data.
//!
//! Decision: there is no list of messages to send after the write. A message that depends on
//! durable state (a vote, an acknowledgement, a candidate's request, which implies its own vote)
//! stays inside the node until [`Input::Persisted`](crate::Input::Persisted) names its write. Why:
//! the caller cannot reply before persisting, because it does not have the reply. Would change if:
//! a caller needed to see deferred messages before they may leave.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::entry::{Command, Entry};
use crate::event::Event;
use crate::membership::Membership;
use crate::membership::MembershipError;
use crate::message::Message;
use crate::reads::ReadAnswer;
use crate::snapshot::{LogStart, Snapshot};
use crate::types::{ClientId, Incarnation, Index, NodeId, Term};

/// Everything a node requests since the last call. No field has to wait for another: output that
/// must wait is not returned yet.
#[doc(alias = "Ready")]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actions {
    /// One atomic, durable write. Answer with `Input::Persisted(write.number)` once it is on disk.
    /// Writes must reach the disk in the order of their numbers.
    pub persist: Option<Write>,
    /// Messages that may leave now, in order for each receiver.
    pub send: Vec<(NodeId, Message)>,
    /// Committed entries in log order, each exactly once per run. Answer with `Input::Applied` as
    /// they are applied; no more than [`Config::apply_window`](crate::Config) of them are
    /// outstanding.
    pub apply: Vec<Entry>,
    /// A snapshot that replaces everything applied so far and must be restored before `apply`: at
    /// the start of a run, or when a leader had to send one.
    pub restore: Option<Snapshot>,
    /// Responses to the program.
    pub responses: Responses,
    /// Decisions and the rules they follow, for observers.
    pub events: Vec<Event>,
}

impl Actions {
    /// Whether there is nothing to do.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.persist.is_none()
            && self.send.is_empty()
            && self.apply.is_empty()
            && self.restore.is_none()
            && self.responses.is_empty()
            && self.events.is_empty()
    }
}

/// Output of a node for its program in addition to committed entries: answers to its requests, and
/// the request for a snapshot. Every layer between the core and the program passes it on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Responses {
    /// Proposals this node could not accept. Nothing was appended for them; retrying is safe.
    pub refused: Vec<Refused>,
    /// Reads that are confirmed, or that failed.
    pub reads: Vec<ReadAnswer>,
    /// Results of `Input::ChangeMembership` and `Input::TransferLeadership`, in order: `Ok` once
    /// the change is appended or the transfer has begun.
    pub request_results: Vec<Result<(), RequestError>>,
    /// Whether a snapshot is due: answer with `Input::TakeSnapshot` of the applied state. Requested
    /// once until answered.
    pub snapshot_due: bool,
}

impl Responses {
    /// Refusals kept by [`Responses::append`]. The oldest is dropped; its proposer then times out.
    pub const MAX_REFUSED: usize = 4096;

    /// Answers to reads, and results of requests, kept by [`Responses::append`]. The oldest is
    /// dropped; its requester must ask again, and results no longer correspond to requests by
    /// position.
    pub const MAX_ANSWERS: usize = 8192;

    /// Whether there are no responses and no snapshot is due.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.snapshot_due
            && self.reads.is_empty()
            && self.request_results.is_empty()
            && self.refused.is_empty()
    }

    /// Moves all of `newer` to the end and drops the oldest beyond the bounds. The lists of `newer`
    /// keep their memory.
    pub fn append(&mut self, newer: &mut Responses) {
        append_bounded(&mut self.refused, &mut newer.refused, Self::MAX_REFUSED);
        append_bounded(&mut self.reads, &mut newer.reads, Self::MAX_ANSWERS);
        append_bounded(
            &mut self.request_results,
            &mut newer.request_results,
            Self::MAX_ANSWERS,
        );
        self.snapshot_due |= core::mem::take(&mut newer.snapshot_due);
    }
}

fn append_bounded<T>(kept: &mut Vec<T>, newer: &mut Vec<T>, bound: usize) {
    kept.append(newer);
    // Usually nothing: a program takes its responses every frame.
    kept.drain(..kept.len().saturating_sub(bound));
}

/// Borrowed form of [`Actions`]: entries are slices of the log, so a caller that handles them in
/// place copies nothing.
#[derive(Debug)]
pub struct Work<'a> {
    /// Same as [`Actions::persist`].
    pub persist: Option<Write<&'a [Entry]>>,
    /// Same as [`Actions::apply`].
    pub apply: &'a [Entry],
    /// All other actions, to be drained; `persist` is `None` and `apply` is empty. The lists are
    /// reused: elements left in them are returned again with the next work.
    pub others: &'a mut Actions,
}

impl Work<'_> {
    /// Whether there is nothing to do.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.persist.is_none() && self.apply.is_empty() && self.others.is_empty()
    }

    /// Copies the work, entries included.
    pub fn to_actions(&self) -> Actions {
        Actions {
            persist: self
                .persist
                .clone()
                .map(|write| write.map(<[Entry]>::to_vec)),
            apply: self.apply.to_vec(),
            ..self.others.clone()
        }
    }
}

/// One durable write: state that must be on disk before a node may count itself elected, answer a
/// vote request or acknowledge entries (figure 2, "updated on stable storage before responding to
/// RPCs").
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Write<Entries = Vec<Entry>> {
    /// Number of this write, counted up from 1 in each run of a node.
    pub number: WriteNumber,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// New snapshot, if any; it replaces the one on disk.
    pub snapshot: Option<Snapshot>,
    /// New start of the log on disk: entries up to it are dropped.
    pub start: Option<LogStart>,
    /// Whether every entry on disk is dropped before `entries` are appended: a snapshot replaces
    /// them, and they differ from the log it belongs to.
    pub discard: bool,
    /// Incarnation that begins with this write: see [`Restored::incarnation`].
    pub incarnation: Option<Incarnation>,
    /// State of the founding from this write on: see [`Restored::founding`].
    pub founding: Option<Founding>,
    /// Entries to append, without gaps. They replace all entries on disk at or after the first of
    /// them.
    pub entries: Entries,
}

impl<Entries> Write<Entries> {
    /// Converts the entries with `shape` and keeps the rest.
    pub fn map<Others>(self, shape: impl FnOnce(Entries) -> Others) -> Write<Others> {
        let Write {
            number,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            founding,
            entries,
        } = self;
        Write {
            number,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            founding,
            entries: shape(entries),
        }
    }
}

/// Number of a write, unique within one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WriteNumber(pub u64);

/// Durable state of a node in addition to its log (figure 2, "persistent state").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardState {
    /// Latest term the node has seen.
    pub term: Term,
    /// Candidate that received its vote in that term.
    pub vote: Option<NodeId>,
}

/// State read from the disk at start.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// Index known to be committed, 0 if none is. Saves a node from waiting for a leader's commit
    /// index.
    pub committed: Index,
    /// Incarnation of the node that the disk belongs to.
    pub incarnation: Incarnation,
    /// State of the founding of its cluster.
    pub founding: Founding,
    /// The newest snapshot, if one was ever taken.
    pub snapshot: Option<Snapshot>,
    /// Start of the log; never after the snapshot.
    pub start: LogStart,
    /// All entries after `start`, without gaps.
    pub entries: Vec<Entry>,
}

/// State of the founding on a node's disk. Used only with
/// [`Config::founders_agree`](crate::Config::founders_agree).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Founding {
    /// The cluster is not founded yet, as far as this node knows: its record of the founders, with
    /// the first incarnation received from each. Empty on a disk that was never used.
    Pending(BTreeMap<NodeId, Option<Incarnation>>),
    /// The founding membership, in force before any membership in the log.
    Agreed(Membership),
}

impl Default for Founding {
    fn default() -> Self {
        Founding::Pending(BTreeMap::new())
    }
}

/// A proposal this node could not accept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Client that proposed the command.
    pub client: ClientId,
    /// Sequence number of the command.
    pub sequence: u64,
    /// Reason.
    pub reason: RefusalReason,
}

impl Refused {
    /// Refusal of a command.
    pub fn new(command: &Command, reason: RefusalReason) -> Self {
        Refused {
            client: command.client,
            sequence: command.sequence,
            reason,
        }
    }
}

/// Reason why a membership change or a leadership transfer was not begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// This node does not lead.
    #[error(
        "this node does not lead; {}",
        .0.map_or("retry once a leader is elected".into(), |id| alloc::format!("send it to {id}"))
    )]
    NotLeader(Option<NodeId>),
    /// The leader has not committed an entry of its own term yet, so it cannot know whether an
    /// earlier change is committed.
    #[error("the leader has not committed an entry of its own term yet; retry shortly")]
    TooNew,
    /// One change at a time (thesis 4.1).
    #[error("an earlier membership change is not committed yet; retry once it is")]
    ChangeInProgress,
    /// A leadership transfer is in progress.
    #[error("a leadership transfer is in progress; retry shortly")]
    TransferringLeadership,
    /// The leader is at its limit of uncommitted entries or bytes.
    #[error("too many entries are uncommitted; retry once a majority has written them")]
    Busy,
    /// The chosen member has not answered for the longest election timeout.
    #[error("{0} does not answer; choose another member, or wait until it is back")]
    Silent(NodeId),
    /// No other member could lead.
    #[error("no other member can take over; start or add another voter")]
    NoSuccessor,
    /// The requested membership is invalid.
    #[error(transparent)]
    Membership(#[from] MembershipError),
}

/// Reason why a proposal was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// No leader is known: an election runs, or this node is cut off.
    #[error("no leader is known; retry after the election")]
    NoLeader,
    /// The leader is at its limit of uncommitted entries or bytes, or its log is full until the
    /// next snapshot.
    #[error(
        "the leader cannot accept more entries now: too many are uncommitted, or its log is full \
         until the next snapshot; retry shortly"
    )]
    Busy,
    /// The leader is transferring leadership to another node.
    #[error("a leadership transfer is in progress; retry shortly")]
    TransferringLeadership,
    /// The command exceeds [`Config::max_command_bytes`](crate::Config::max_command_bytes).
    #[error("the command is larger than max_command_bytes; send a smaller one")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Input, Membership, Moment, Node};

    #[test]
    fn actions_with_any_field_set_are_not_empty() {
        assert!(Actions::default().is_empty());
        let snapshot = Snapshot {
            position: crate::LogPosition::default(),
            stamp: crate::Stamp(0),
            membership: Membership::new([NodeId(1)]).unwrap(),
            data: None,
        };
        let entry = Entry {
            term: crate::Term(1),
            index: Index(1),
            stamp: crate::Stamp(0),
            payload: crate::Payload::Empty,
        };
        let write = Write {
            number: WriteNumber(1),
            hard_state: None,
            snapshot: None,
            start: None,
            discard: false,
            incarnation: None,
            founding: None,
            entries: Vec::new(),
        };
        let message = Message::new(crate::Term(1), crate::Body::TimeoutNow);
        let read = ReadAnswer {
            id: crate::ReadId(1),
            result: Ok(Index(1)),
        };
        let refused = Refused {
            client: crate::ClientId(1),
            sequence: 1,
            reason: RefusalReason::TooLarge,
        };
        let decision = crate::Decision::ReadByLease;
        let event = Event {
            at: Moment(0),
            term: crate::Term(1),
            decision,
        };
        let none = Actions::default;
        let all = [
            Actions {
                persist: Some(write),
                ..none()
            },
            Actions {
                send: alloc::vec![(NodeId(2), message)],
                ..none()
            },
            Actions {
                apply: alloc::vec![entry],
                ..none()
            },
            Actions {
                restore: Some(snapshot),
                ..none()
            },
            Actions {
                responses: Responses {
                    snapshot_due: true,
                    ..Responses::default()
                },
                ..none()
            },
            Actions {
                responses: Responses {
                    reads: alloc::vec![read],
                    ..Responses::default()
                },
                ..none()
            },
            Actions {
                responses: Responses {
                    request_results: alloc::vec![Ok(())],
                    ..Responses::default()
                },
                ..none()
            },
            Actions {
                responses: Responses {
                    refused: alloc::vec![refused],
                    ..Responses::default()
                },
                ..none()
            },
            Actions {
                events: alloc::vec![event],
                ..none()
            },
        ];
        for something in all {
            assert!(!something.is_empty(), "{something:?}");
        }
    }

    #[test]
    fn appended_responses_keep_the_newest_within_their_bounds() {
        let answer = |id| ReadAnswer {
            id: crate::ReadId(id),
            result: Ok(Index(id)),
        };
        let mut kept = Responses {
            reads: alloc::vec![answer(1)],
            ..Responses::default()
        };
        let mut newer = Responses {
            reads: (2..=Responses::MAX_ANSWERS as u64 + 1)
                .map(answer)
                .collect(),
            snapshot_due: true,
            ..Responses::default()
        };
        kept.append(&mut newer);
        assert_eq!(newer, Responses::default());
        assert_eq!(kept.reads.len(), Responses::MAX_ANSWERS);
        assert_eq!((kept.reads[0], kept.snapshot_due), (answer(2), true));
        kept.append(&mut newer);
        assert!(kept.snapshot_due, "a request stays until it is answered");
    }

    #[test]
    fn work_equals_actions_and_leaves_nothing_to_do() {
        let membership = Membership::new([NodeId(1)]).unwrap();
        let mut node = Node::new(
            Config::new(NodeId(1), membership, 1),
            Restored::default(),
            Moment(0),
        )
        .unwrap();
        let mut written = 0;
        let mut applied = 0;
        node.step(Moment(0), Input::Campaign);
        while node.has_work() {
            let copied = node.clone().take_actions();
            let work = node.work();
            assert_eq!(work.is_empty(), copied.is_empty());
            assert_eq!(work.to_actions(), copied);
            *work.others = Actions::default();
            assert!(node.work().is_empty() && !node.has_work());
            if let Some(write) = copied.persist {
                written += write.entries.len();
                node.step(Moment(0), Input::Persisted(write.number));
            }
            if let Some(last) = copied.apply.last() {
                applied += copied.apply.len();
                node.step(Moment(0), Input::Applied(last.index));
            }
        }
        assert_eq!((written, applied), (1, 1), "the empty entry of its term");
    }
}
