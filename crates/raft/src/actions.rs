//! What a step asks the outside world to do, as data.
//!
//! Decision: there is no list of "messages for after the write" here. A message that promises
//! something durable (a vote, an acknowledgement, a candidate's request, which stands on its own
//! vote) stays inside the node until [`Input::Persisted`](crate::Input::Persisted) names its write.
//! Why: whoever performs actions cannot reply before persisting, because he does not have the
//! reply. Would change if: a caller needed to see promises before they may leave.

use alloc::vec::Vec;

use crate::entry::{Command, Entry};
use crate::event::Event;
use crate::membership::MembershipError;
use crate::message::Message;
use crate::reads::ReadAnswer;
use crate::snapshot::{LogStart, Snapshot};
use crate::types::{ClientId, Incarnation, Index, NodeId, Term};

/// Everything a node wants done since it was last asked. No field waits for another: what must wait
/// is not given out yet.
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
    /// A snapshot that takes the place of everything applied so far, to be put in force before
    /// `apply`: at the start of a run, or when a leader had to send one.
    pub restore: Option<Snapshot>,
    /// It is time for a snapshot: answer with `Input::TakeSnapshot` of the state as applied. Asked
    /// for once until answered.
    pub snapshot_due: bool,
    /// Reads that may be answered now, or never.
    pub reads: Vec<ReadAnswer>,
    /// Answers to `Input::ChangeMembership` and `Input::TransferLeadership`, in their order: a
    /// change was appended, a leadership transfer was begun.
    pub request_results: Vec<Result<(), RequestError>>,
    /// Proposals this node could not take. Nothing was appended for them; asking again is safe.
    pub refused: Vec<Refused>,
    /// What was decided and by which rule, for people who watch.
    pub events: Vec<Event>,
}

impl Actions {
    /// Whether there is nothing to do.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.persist.is_none()
            && self.send.is_empty()
            && self.apply.is_empty()
            && self.restore.is_none()
            && !self.snapshot_due
            && self.reads.is_empty()
            && self.request_results.is_empty()
            && self.refused.is_empty()
            && self.events.is_empty()
    }
}

/// Everything a node wants done, as [`Actions`] are, but with the entries looked at where they lie
/// in its log: whoever writes and applies them on the spot need not have copies.
#[derive(Debug)]
pub struct Work<'a> {
    /// As [`Actions::persist`].
    pub persist: Option<Write<&'a [Entry]>>,
    /// As [`Actions::apply`].
    pub apply: &'a [Entry],
    /// Everything else, to be emptied; its `persist` is none and its `apply` empty. Its lists are
    /// used again: what is left in them is offered again with the next work.
    pub others: &'a mut Actions,
}

impl Work<'_> {
    /// Whether there is nothing to do.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.persist.is_none() && self.apply.is_empty() && self.others.is_empty()
    }

    /// A copy, entries included.
    #[must_use]
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

/// What must be on disk before a node may call itself elected, answer a vote or acknowledge entries
/// (figure 2, "updated on stable storage before responding to RPCs").
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Write<Entries = Vec<Entry>> {
    /// Name of this write, counted up by one from 1 in each run of a node.
    pub number: WriteNumber,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// A snapshot to be kept in place of the one on disk, if any.
    pub snapshot: Option<Snapshot>,
    /// Where the log on disk begins from now on: entries up to there are dropped.
    pub start: Option<LogStart>,
    /// Every entry on disk is dropped, before `entries` are appended: a snapshot replaces them, and
    /// they differ from the log it belongs to.
    pub discard: bool,
    /// The node begins this incarnation: see [`Restored::incarnation`].
    pub incarnation: Option<Incarnation>,
    /// Entries to append, without gaps. Whatever the disk holds at or after the first of them is
    /// replaced.
    pub entries: Entries,
}

impl<Entries> Write<Entries> {
    /// The same write with its entries in another shape.
    pub fn map<Others>(self, shape: impl FnOnce(Entries) -> Others) -> Write<Others> {
        let Write {
            number,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            entries,
        } = self;
        Write {
            number,
            hard_state,
            snapshot,
            start,
            discard,
            incarnation,
            entries: shape(entries),
        }
    }
}

/// Name of one write of one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WriteNumber(pub u64);

/// The durable part of a node beside its log (figure 2, "persistent state").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardState {
    /// Latest term the node has seen.
    pub term: Term,
    /// Who got its vote in that term.
    pub vote: Option<NodeId>,
}

/// What a disk gives back at start.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// An index that is known to be committed; 0 says nothing. Saves a node from waiting to be told
    /// again.
    pub committed: Index,
    /// Which life of the node the disk belongs to.
    pub incarnation: Incarnation,
    /// The newest snapshot, if one was ever taken.
    pub snapshot: Option<Snapshot>,
    /// Where the log begins; never after the snapshot.
    pub start: LogStart,
    /// All entries after `start`, without gaps.
    pub entries: Vec<Entry>,
}

/// A proposal this node could not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Whose command.
    pub client: ClientId,
    /// Which command.
    pub sequence: u64,
    /// Why.
    pub reason: RefusalReason,
}

impl Refused {
    pub(crate) fn new(command: &Command, reason: RefusalReason) -> Self {
        Refused {
            client: command.client,
            sequence: command.sequence,
            reason,
        }
    }
}

/// Why a change of the membership, or a leadership transfer, was not begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// This node does not lead.
    #[error("only the leader can do that{}", .0.map_or(alloc::string::String::new(), |id| alloc::format!(": ask {id}")))]
    NotLeader(Option<NodeId>),
    /// The leader has not committed an entry of its own term yet, so it cannot know whether an
    /// earlier change is committed.
    #[error("the leader is too new; try again in a moment")]
    TooNew,
    /// One change at a time (thesis 4.1).
    #[error("an earlier change of the members is not committed yet")]
    ChangeInProgress,
    /// Leadership is being handed over.
    #[error("leadership is being handed over")]
    TransferringLeadership,
    /// The chosen member has not answered for the longest election timeout.
    #[error("{0} does not answer; choose another member, or wait until it is back")]
    Silent(NodeId),
    /// No other member could lead.
    #[error("no other member can take over")]
    NoSuccessor,
    /// The membership cannot become that.
    #[error(transparent)]
    Membership(#[from] MembershipError),
}

/// Why a proposal was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RefusalReason {
    /// No leader is known: an election runs, or this node is cut off.
    #[error("no leader is known")]
    NoLeader,
    /// The leader holds as many uncommitted entries or bytes as it may, or its log is full until
    /// the next snapshot.
    #[error(
        "the leader cannot take more entries now: too many are uncommitted, or its log is full until the next snapshot"
    )]
    Busy,
    /// The leader is handing over to another node.
    #[error("leadership is being handed over")]
    TransferringLeadership,
    /// The command is larger than one entry may be.
    #[error("the command is larger than an entry may be")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Input, Membership, Moment, Node};

    #[test]
    fn anything_to_do_is_something() {
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
                snapshot_due: true,
                ..none()
            },
            Actions {
                reads: alloc::vec![read],
                ..none()
            },
            Actions {
                request_results: alloc::vec![Ok(())],
                ..none()
            },
            Actions {
                refused: alloc::vec![refused],
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
    fn work_is_what_actions_are_and_leaves_nothing_to_do() {
        let membership = Membership::new([NodeId(1)]).unwrap();
        let mut node = Node::new(
            Config::new(NodeId(1), membership, 1),
            Restored::default(),
            Moment(0),
        )
        .unwrap();
        let (mut written, mut applied) = (0, 0);
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
