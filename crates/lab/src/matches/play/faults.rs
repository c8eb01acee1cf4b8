//! What an experiment does to a match: crashes, cuts, and changes of the members.

use raftian_node::store::MemoryStore;
use raftian_raft::{Change, Incarnation, Input, Membership, NodeId, Standing};
use rand::RngExt;

use super::Match;
use crate::matches::machine::{Player, name};

/// What leaders answered when they were told to change the members.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Orders {
    /// Changes that were begun because they were asked for.
    pub made: u64,
    /// Changes that were refused; whoever asked asks again.
    pub refused: u64,
    /// Newcomers that were made voters after they had kept up for a while.
    pub promoted: u64,
}

impl Match {
    /// A machine starts from its disk, and with it its player.
    pub(super) fn start(&mut self, place: usize) {
        let seed = self.rng.random();
        let machine = &mut self.machines[place];
        let config = self
            .conditions
            .config(machine.id, self.founders.clone(), seed);
        let node = raftian_raft::Node::new(config, machine.store.restored(), self.now);
        machine.node = Some(
            node.expect("the conditions were checked, and a disk gives back what was written"),
        );
        machine.player.clicks = true;
        while self.perform(place) {}
        self.plan(place);
        self.plan_click(place);
    }

    /// Every machine, as a set of bits.
    #[must_use]
    pub fn everybody(&self) -> u64 {
        u64::MAX >> (64 - self.machines.len())
    }

    /// How many machines there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.machines.len()
    }

    /// Whether a machine runs.
    #[must_use]
    pub fn is_up(&self, place: usize) -> bool {
        self.machines[place].node.is_some()
    }

    /// A machine ends at once: memory and unfinished writes are lost.
    pub fn crash(&mut self, place: usize) {
        let machine = &mut self.machines[place];
        machine.forget();
        self.ledger.end(machine.player.client, self.now);
    }

    /// A machine that crashed starts again from its disk.
    pub fn restart(&mut self, place: usize) {
        if self.is_up(place) {
            return;
        }
        let machine = &mut self.machines[place];
        machine.run += 1;
        machine.player = Player::new(self.ledger.enter(place as u32));
        self.start(place);
    }

    /// The player of a machine gives no new orders, because it is about to leave.
    pub fn stop_clicking(&mut self, place: usize) {
        self.machines[place].player.clicks = false;
    }

    /// A newcomer with an empty disk takes the place of one that left for good. Gives its name; it
    /// is no member yet.
    pub fn arrive_new(&mut self, place: usize) -> NodeId {
        self.crash(place);
        let machine = &mut self.machines[place];
        machine.store = MemoryStore::new();
        machine.id = name(place, (machine.id.0 - 1) / super::super::MAX_MACHINES + 1);
        let id = machine.id;
        self.restart(place);
        id
    }

    /// Nothing from one set of machines reaches the other any more; what is on its way is lost too.
    pub fn cut(&mut self, from: u64, to: u64) {
        for (place, cut) in self
            .cut
            .iter_mut()
            .enumerate()
            .filter(|(place, _)| from >> place & 1 == 1)
        {
            *cut |= to & !(1 << place);
        }
    }

    /// Everybody reaches everybody again.
    pub fn heal(&mut self) {
        self.cut.fill(0);
        self.ledger.reunite();
    }

    /// What is given from now on at these machines must not be committed by them.
    pub fn isolate(&mut self, machines: u64) {
        self.ledger.isolate(machines, self.now);
    }

    /// Who a machine is at the moment.
    #[must_use]
    pub fn id(&self, place: usize) -> NodeId {
        self.machines[place].id
    }

    /// Tells the leader, if there is one, to remove a member.
    pub fn ask_to_remove(&mut self, id: NodeId) {
        self.change(Change::Remove(id));
    }

    /// Tells the leader, if there is one, to add a member that becomes a voter when it has kept up
    /// for a while.
    pub fn ask_to_add(&mut self, id: NodeId) {
        self.change(Change::Set(id, Incarnation::default(), Standing::Joining));
    }

    fn change(&mut self, change: Change) {
        if let Some(leader) = self.leader() {
            self.step(leader, Input::ChangeMembership(change));
        }
    }

    /// What leaders answered so far.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders
    }

    /// The members that the leader knows as committed; `None` without a leader, or while they
    /// change.
    #[must_use]
    pub fn members(&self) -> Option<Membership> {
        let status = self.machines[self.leader()?].node.as_ref()?.status();
        (status.membership_index <= status.commit).then_some(status.membership)
    }
}
