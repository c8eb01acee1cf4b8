//! Initial state of a simulated cluster.

use std::collections::BTreeMap;

use raftian_raft::{
    ClientId, Command, Config, Entry, Incarnation, Index, Membership, NodeId, Payload, Restored,
    Stamp, Term,
};

/// Initial state of a [`Simulation`](super::Simulation): its machines, their settings and disks.
pub struct Setup {
    pub(crate) seed: u64,
    pub(crate) images: BTreeMap<NodeId, Restored>,
    pub(crate) membership: Membership,
    /// Memberships in the files of machines that list others than the rest.
    pub(crate) differing: BTreeMap<NodeId, Membership>,
    pub(crate) changes: Vec<Box<dyn Fn(&mut Config)>>,
    pub(crate) recorded: bool,
    pub(crate) strict: bool,
    pub(crate) real_store: bool,
    pub(crate) codec: bool,
    pub(crate) hash_every: Option<u64>,
    pub(crate) trace: usize,
}

/// Incarnations of one machine: each wiped disk begins the next, and no two machines share one.
const INCARNATIONS: u64 = 1_000;

impl Setup {
    /// Default number of trace lines kept, which a failure prints.
    pub const TRACE: usize = 40;

    /// Creates a cluster of nodes `n1` to `n{size}` with empty disks, determined by one seed.
    pub fn cluster(size: u64, seed: u64) -> Self {
        let membership =
            Membership::new((1..=size).map(NodeId)).expect("a simulated cluster has voters");
        Self::members(membership, seed)
    }

    /// Creates a cluster of these members with empty disks, determined by one seed.
    pub fn members(membership: Membership, seed: u64) -> Self {
        let images = membership
            .members()
            .map(|(id, _)| (id, Restored::default()))
            .collect();
        Setup {
            seed,
            images,
            membership,
            differing: BTreeMap::new(),
            changes: Vec::new(),
            recorded: false,
            real_store: false,
            codec: false,
            hash_every: None,
            strict: true,
            trace: Self::TRACE,
        }
    }

    /// Gives each machine an incarnation of its own, which the others do not know: the founders
    /// agree on them first.
    #[must_use]
    pub fn founders_agree(mut self) -> Self {
        for (id, image) in &mut self.images {
            image.incarnation = Incarnation(id.0 * INCARNATIONS);
        }
        self.configure(|config| config.founders_agree = true)
    }

    /// Gives the file of one machine another list of members than those of the others.
    #[must_use]
    pub fn differing_file(mut self, id: NodeId, membership: Membership) -> Self {
        self.differing.insert(id, membership);
        self
    }

    /// Adds a machine with an empty disk that is not yet a member.
    #[must_use]
    pub fn outsider(mut self, id: u64) -> Self {
        self.images.entry(NodeId(id)).or_default();
        self
    }

    /// Changes the settings of every node.
    #[must_use]
    pub fn configure(mut self, change: impl Fn(&mut Config) + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Gives a node a log of empty entries with these terms, and raises its term to at least the
    /// last of them.
    #[must_use]
    pub fn log(mut self, id: u64, terms: &[u64]) -> Self {
        let image = self.image(id);
        image.entries = terms
            .iter()
            .zip(1..)
            .map(|(term, index)| empty_entry(index, *term))
            .collect();
        let last = terms.last().map_or(Term(0), |term| Term(*term));
        image.hard_state.term = image.hard_state.term.max(last);
        self
    }

    /// Makes the entry at `index` of a node's log a command of a client without any other command.
    #[must_use]
    pub fn command(mut self, id: u64, index: u64, bytes: &[u8]) -> Self {
        let client = ClientId(u64::MAX / 2 + index);
        let command = Command {
            client,
            sequence: 1,
            bytes: bytes.into(),
        };
        let place = usize::try_from(index)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let entry = self
            .image(id)
            .entries
            .get_mut(place)
            .expect("the log has an entry at this index");
        entry.payload = Payload::Command {
            command,
            member: NodeId(id),
        };
        self
    }

    /// Sets the term of a node, in which it has not voted.
    #[must_use]
    pub fn term(mut self, id: u64, term: u64) -> Self {
        let image = self.image(id);
        image.hard_state.term = Term(term);
        image.hard_state.vote = None;
        self
    }

    /// Sets the commit index of a node.
    #[must_use]
    pub fn commit(mut self, id: u64, index: u64) -> Self {
        self.image(id).committed = Index(index);
        self
    }

    /// Sets the node's vote in its term.
    #[must_use]
    pub fn vote(mut self, id: u64, to: u64) -> Self {
        self.image(id).hard_state.vote = Some(NodeId(to));
        self
    }

    /// Keeps a [`Recording`](super::Recording) of every run of every node.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// Gives every machine the real store on a simulated disk of bytes, instead of a store that
    /// keeps values in memory.
    #[must_use]
    pub fn real_store(mut self) -> Self {
        self.real_store = true;
        self
    }

    /// Encodes and decodes every message with the wire codec.
    #[must_use]
    pub fn codec(mut self) -> Self {
        self.codec = true;
        self
    }

    /// Makes every machine's program report the hash of its state at every index that is a multiple
    /// of `entries`.
    #[must_use]
    pub fn hash_every(mut self, entries: u64) -> Self {
        self.hash_every = Some(entries.max(1));
        self
    }

    /// Keeps the first violation for [`Simulation::violation`](super::Simulation::violation)
    /// instead of panicking with it.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Keeps this many lines of trace.
    #[must_use]
    pub fn trace(mut self, lines: usize) -> Self {
        self.trace = lines;
        self
    }

    pub(crate) fn config(&self, id: NodeId, seed: u64) -> Config {
        let listed = self.differing.get(&id).unwrap_or(&self.membership);
        let mut config = Config::new(id, listed.clone(), seed);
        for change in &self.changes {
            change(&mut config);
        }
        config
    }

    fn image(&mut self, id: u64) -> &mut Restored {
        self.images
            .get_mut(&NodeId(id))
            .expect("the cluster has a node with this id")
    }
}

fn empty_entry(index: u64, term: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        stamp: Stamp(0),
        payload: Payload::Empty,
    }
}
