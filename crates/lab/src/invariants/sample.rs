//! Made-up observations, for planting violations.

use raftian_raft::{
    ClientId, Command, Entry, HardState, Index, Message, NodeId, Payload, Restored, RoleKind, Stamp, Term,
};

use super::Observation;

/// What an observation borrows, owned.
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
    /// A follower with an empty log and an empty disk.
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
        Sample { role: RoleKind::Leader, ..Sample::node(id, term) }
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
        self.log[index - 1].payload =
            Payload::Command(Command { client: ClientId(client), sequence, bytes: text.as_bytes().into() });
        self
    }

    pub(super) fn commit(mut self, index: u64) -> Self {
        self.commit = Index(index);
        self
    }

    /// The first `count` entries of the log are applied.
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

    /// The log on disk.
    pub(super) fn disk(mut self, terms: &[u64]) -> Self {
        self.image.entries = entries(terms);
        self
    }

    /// Term and vote on disk.
    pub(super) fn on_disk(mut self, term: u64, vote: Option<u64>) -> Self {
        self.image.hard_state = HardState { term: Term(term), vote: vote.map(NodeId) };
        self
    }

    /// The logs on the other disks.
    pub(super) fn others(mut self, logs: &[&[u64]]) -> Self {
        self.others = logs.iter().map(|terms| Restored { entries: entries(terms), ..Restored::default() }).collect();
        self
    }

    pub(super) fn sent(mut self, to: u64, message: Message) -> Self {
        self.sent.push((NodeId(to), message));
        self
    }

    pub(super) fn show<T>(&self, look: impl FnOnce(&Observation<'_>) -> T) -> T {
        let images: Vec<_> = std::iter::once(&self.image).chain(&self.others).collect();
        look(&Observation {
            id: self.id,
            run: self.run,
            term: self.term,
            role: self.role,
            commit: self.commit,
            log: &self.log,
            applied: &self.applied,
            effects: &self.effects,
            image: &self.image,
            images: &images,
            sent: &self.sent,
        })
    }
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
