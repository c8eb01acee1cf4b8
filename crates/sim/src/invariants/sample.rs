//! Fabricated observations, for tests that inject violations.

use raftian_raft::{
    ClientId, Command, Entry, Founding, HardState, Incarnation, Index, LogPosition, Membership,
    Message, NodeId, Payload, Restored, RoleKind, Snapshot, Stamp, Term,
};

use super::{Images, Observation};

/// Owned data that an observation borrows.
#[derive(Clone)]
pub(super) struct Sample {
    id: NodeId,
    run: u64,
    term: Term,
    role: RoleKind,
    commit: Index,
    pub(super) log: Vec<Entry>,
    pub(super) applied: Vec<Entry>,
    effects: Vec<Command>,
    image: Restored,
    others: Vec<Restored>,
    sent: Vec<(NodeId, Message)>,
}

impl Sample {
    /// Creates a follower with an empty log and an empty disk.
    pub(super) fn node(id: u64, term: u64) -> Self {
        Sample {
            id: NodeId(id),
            run: 1,
            term: Term(term),
            role: RoleKind::Follower,
            commit: Index(0),
            log: Vec::new(),
            applied: Vec::new(),
            effects: Vec::new(),
            image: Restored::default(),
            others: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn leader(id: u64, term: u64) -> Self {
        Sample {
            role: RoleKind::Leader,
            ..Sample::node(id, term)
        }
    }

    pub(super) fn in_run(mut self, run: u64) -> Self {
        self.run = run;
        self
    }

    pub(super) fn log(mut self, terms: &[u64]) -> Self {
        self.log = entries(terms);
        self
    }

    pub(super) fn stamps(mut self, stamps: &[u64]) -> Self {
        for (entry, stamp) in self.log.iter_mut().zip(stamps) {
            entry.stamp = Stamp(*stamp);
        }
        self
    }

    /// Makes the entry at `index` this command.
    pub(super) fn command(mut self, index: usize, client: u64, sequence: u64, text: &str) -> Self {
        let command = Command {
            client: ClientId(client),
            sequence,
            bytes: text.as_bytes().into(),
        };
        let member = NodeId(1);
        self.log[index - 1].payload = Payload::Command { command, member };
        self
    }

    pub(super) fn commit(mut self, index: u64) -> Self {
        self.commit = Index(index);
        self
    }

    /// Applies the first `count` entries of the log.
    pub(super) fn applied(mut self, count: usize) -> Self {
        self.applied = self.log[..count].to_vec();
        self
    }

    pub(super) fn effects(mut self, commands: &[(u64, u64)]) -> Self {
        let command = |(client, sequence): &(u64, u64)| Command {
            client: ClientId(*client),
            sequence: *sequence,
            bytes: Vec::new().into(),
        };
        self.effects = commands.iter().map(command).collect();
        self
    }

    /// Makes the entry at `index` this membership.
    pub(super) fn membership(mut self, index: usize, membership: Membership) -> Self {
        self.log[index - 1].payload = Payload::Membership(membership);
        self
    }

    /// Adds a snapshot to the disk.
    pub(super) fn snapshot(mut self, term: u64, index: u64, data: &[u8]) -> Self {
        self.image.snapshot = Some(Snapshot {
            position: LogPosition {
                term: Term(term),
                index: Index(index),
            },
            stamp: Stamp(0),
            membership: three(),
            data: Some(data.into()),
        });
        self
    }

    /// Sets the record of the founders on disk.
    pub(super) fn recorded(mut self, record: Vec<(NodeId, Option<Incarnation>)>) -> Self {
        self.image.founding = Founding::Pending(record.into_iter().collect());
        self
    }

    /// Sets the founding membership on disk.
    pub(super) fn founded(mut self, membership: Membership) -> Self {
        self.image.founding = Founding::Agreed(membership);
        self
    }

    /// Sets the log on disk.
    pub(super) fn disk(mut self, terms: &[u64]) -> Self {
        self.image.entries = entries(terms);
        self
    }

    /// Sets the term and vote on disk.
    pub(super) fn on_disk(mut self, term: u64, vote: Option<u64>) -> Self {
        self.image.hard_state = HardState {
            term: Term(term),
            vote: vote.map(NodeId),
        };
        self
    }

    /// Sets the logs on the other disks.
    pub(super) fn others(mut self, logs: &[&[u64]]) -> Self {
        self.others = logs
            .iter()
            .map(|terms| Restored {
                entries: entries(terms),
                ..Restored::default()
            })
            .collect();
        self
    }

    pub(super) fn sent(mut self, to: u64, message: Message) -> Self {
        self.sent.push((NodeId(to), message));
        self
    }

    pub(super) fn show<T>(&self, look: impl FnOnce(&Observation<'_>) -> T) -> T {
        let own = std::iter::once((self.id, &self.image));
        let others = (1..)
            .map(NodeId)
            .filter(|id| *id != self.id)
            .zip(&self.others);
        let images: Vec<_> = own.chain(others).collect();
        let image = |id| {
            images
                .iter()
                .find(|(other, _)| *other == id)
                .map(|(_, image)| *image)
        };
        let membership =
            Membership::new(images.iter().map(|(id, _)| *id)).expect("a sample has a voter");
        look(&Observation {
            id: self.id,
            run: self.run,
            term: self.term,
            role: self.role,
            commit: self.commit,
            start: LogPosition::default(),
            log: &self.log,
            membership: &membership,
            base: &membership,
            restores: 0,
            applied: &self.applied,
            effects: &self.effects,
            image: &self.image,
            images: Images::new(&image),
            sent: &self.sent,
        })
    }
}

fn three() -> Membership {
    Membership::new([1, 2, 3].map(NodeId)).expect("there are voters")
}

fn entries(terms: &[u64]) -> Vec<Entry> {
    let entry = |(term, index): (&u64, u64)| Entry {
        term: Term(*term),
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    };
    terms.iter().zip(1..).map(entry).collect()
}
