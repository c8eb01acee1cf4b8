//! Operations of an experiment on a match: crashes, cuts, and membership changes.

use std::time::Duration;

use raftian_node::store::MemoryStore;
use raftian_raft::{Change, Incarnation, Input, Membership, NodeId, Standing};
use rand::RngExt;

use super::Match;
use crate::matches::machine::{Player, name};

/// Leaders' answers to membership change requests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ChangeRequests {
    /// Requested changes that were begun.
    pub made: u64,
    /// Requests that were refused; the requester retries.
    pub refused: u64,
    /// Joining nodes that became voters after keeping up for a while.
    pub promoted: u64,
}

impl Match {
    /// Starts a machine and its player from the machine's disk.
    pub(super) fn start(&mut self, place: usize) {
        let seed = self.rng.random();
        let machine = &mut self.machines[place];
        let config = self
            .conditions
            .config(machine.id, self.founders.clone(), seed);
        let node = raftian_raft::Node::new(config, machine.store.restored(), self.timeline.now());
        machine.node = Some(
            node.expect("the conditions were checked, and a disk gives back what was written"),
        );
        machine.player.clicks = true;
        // A restored node may have actions before its first input.
        while self.perform(place) {}
        self.plan(place);
        self.plan_click(place);
    }

    /// All machines, as a bit set.
    pub fn all_machines(&self) -> u64 {
        u64::MAX >> (64 - self.machines.len())
    }

    /// Number of machines.
    pub fn size(&self) -> usize {
        self.machines.len()
    }

    /// Whether a machine runs.
    pub fn is_up(&self, place: usize) -> bool {
        self.machines[place].node.is_some()
    }

    /// Crashes a machine: memory and unfinished writes are lost.
    pub fn crash(&mut self, place: usize) {
        let machine = &mut self.machines[place];
        machine.forget();
        self.timeline.cancel(place);
        self.ledger.end(machine.player.client, self.timeline.now());
    }

    /// Restarts a crashed machine from its disk.
    pub fn restart(&mut self, place: usize) {
        if self.is_up(place) {
            return;
        }
        let machine = &mut self.machines[place];
        machine.run += 1;
        machine.player = Player::new(self.ledger.enter(place as u32));
        self.start(place);
    }

    /// Stops new orders of a machine's player, before the machine leaves.
    pub fn stop_clicking(&mut self, place: usize) {
        self.machines[place].player.clicks = false;
    }

    /// Replaces a machine that left for good by one with an empty disk. Returns its id, which is
    /// not a member yet.
    pub fn arrive_new(&mut self, place: usize) -> NodeId {
        self.crash(place);
        let machine = &mut self.machines[place];
        machine.store = MemoryStore::new();
        // The old id was removed from the cluster and is not reused.
        machine.id = name(place, (machine.id.0 - 1) / super::super::MAX_MACHINES + 1);
        let id = machine.id;
        self.restart(place);
        id
    }

    /// Drops all messages from one set of machines to the other, including those in flight.
    pub fn cut(&mut self, from: u64, to: u64) {
        for (place, cut) in self
            .cut
            .iter_mut()
            .enumerate()
            .filter(|(place, _)| from >> place & 1 == 1)
        {
            // A machine always reaches itself.
            *cut |= to & !(1 << place);
        }
    }

    /// Delays all messages from and to a machine until `time` has passed, as a radio link does that
    /// is busy elsewhere.
    pub fn stall(&mut self, place: usize, time: Duration) {
        self.stalled[place] = self.now().after(time);
    }

    /// Heals all links.
    pub fn heal(&mut self) {
        self.cut.fill(0);
        self.ledger.reunite();
    }

    /// Marks machines that must not commit orders given at them from now on.
    pub fn isolate(&mut self, machines: u64) {
        self.ledger.isolate(machines, self.timeline.now());
    }

    /// Current node id of a machine.
    pub fn id(&self, place: usize) -> NodeId {
        self.machines[place].id
    }

    /// Asks the leader, if there is one, to remove a member.
    pub fn ask_to_remove(&mut self, id: NodeId) {
        self.change(Change::Remove(id));
    }

    /// Asks the leader, if there is one, to add a member that becomes a voter after keeping up for
    /// a while.
    pub fn ask_to_add(&mut self, id: NodeId) {
        self.change(Change::Set(id, Incarnation::default(), Standing::Joining));
    }

    fn change(&mut self, change: Change) {
        if let Some(leader) = self.leader() {
            self.step(leader, Input::ChangeMembership(change));
        }
    }

    /// Leaders' answers so far.
    pub fn orders(&self) -> ChangeRequests {
        self.orders
    }

    /// Committed members as known by the leader; `None` without a leader, or during a change.
    pub fn members(&self) -> Option<Membership> {
        let status = self.machines[self.leader()?].node.as_ref()?.status();
        (status.membership_index <= status.commit).then_some(status.membership)
    }
}
