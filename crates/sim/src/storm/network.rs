//! Message delivery with loss, repetition, reordering and corruption, and faults aimed at a
//! receiver or a new leader.

use raftian_node::wire;
use raftian_raft::{Node, RoleKind};
use rand::RngExt;

use super::{MAX_REMEMBERED, Run};
use crate::cluster::Host;
use crate::coverage::Mark;

impl Run {
    /// Delivers, drops or repeats one message; sometimes its receiver crashes right after it.
    pub(super) fn deliver(&mut self, number: u64) {
        let queued = self.cluster.queued().len();
        if queued == 0 {
            return;
        }
        let place = if self.chance(self.options.reorder) {
            self.rng.random_range(0..queued)
        } else {
            0
        };
        if self.chance(self.options.lose) {
            self.counters.count(Mark::LostMessage);
            self.cluster.drop_at(place);
            return;
        }
        if self.chance(self.options.corrupt) {
            return self.corrupt(place);
        }
        let repeat = self.chance(self.options.repeat);
        let replay = self.chance(self.options.replay);
        if repeat || self.options.replay > 0.0 {
            let envelope = self
                .cluster
                .queued()
                .nth(place)
                .cloned()
                .expect("the place is in the queue");
            if repeat {
                self.counters.count(Mark::RepeatedMessage);
                self.cluster.inject([envelope.clone()]);
            }
            if self.past.len() < MAX_REMEMBERED {
                self.past.push(envelope);
            } else {
                // A random slot, so that replays reach far back.
                let slot = self.rng.random_range(0..MAX_REMEMBERED);
                self.past[slot] = envelope;
            }
        }
        if replay {
            let old = self.past[self.rng.random_range(0..self.past.len())].clone();
            self.counters.count(Mark::ReplayedOldMessage);
            self.cluster.inject([old]);
        }
        let to = self
            .cluster
            .queued()
            .nth(place)
            .map(|envelope| envelope.to)
            .expect("the place is in the queue");
        let delivered = self.cluster.queued().nth(place).cloned();
        self.cluster.deliver_at(place);
        if let Some(envelope) = delivered.filter(|_| self.options.keeps_requests) {
            self.remember_request(&envelope);
        }
        if self.chance(self.options.crash_after_message)
            && self.is_selected(number)
            && self.cluster.is_up(to)
            && self.may_go_down(to)
        {
            self.faults
                .push((number, format!("{to} crashes right after a message")));
            self.crash(to);
        }
    }

    /// Corrupts bytes of a message in flight and drops it, as QUIC drops a packet that fails
    /// authentication. The decoder must not panic on the bytes.
    fn corrupt(&mut self, place: usize) {
        let envelope = self
            .cluster
            .queued()
            .nth(place)
            .cloned()
            .expect("the place is in the queue");
        let mut frame =
            wire::encode_message(&envelope.message).expect("a simulated message fits a frame");
        for _ in 0..self.rng.random_range(1..4) {
            let at = self.rng.random_range(0..frame.len());
            frame[at] ^= self.rng.random_range(1..=255);
        }
        self.counters.count(Mark::CorruptedMessage);
        let _any_result = wire::decode_message(&frame[wire::LENGTH_BYTES..]);
        self.cluster.drop_at(place);
    }

    /// Cuts off a newly elected leader one way, while old and new leaders overlap.
    pub(super) fn cut_off_fresh_leader(&mut self, number: u64) {
        let leaders = self
            .cluster
            .hosts()
            .filter_map(Host::node)
            .filter(|node| node.role() == RoleKind::Leader);
        let newest = leaders.max_by_key(|node| node.term()).map(Node::id);
        if newest == self.fresh_leader {
            return;
        }
        self.fresh_leader = newest;
        if let Some(leader) = newest
            && self.chance(self.options.cut_fresh_leader)
            && self.is_selected(number)
        {
            self.counters.count(Mark::CutOffFreshLeader);
            let outwards = self.rng.random_bool(0.5);
            for other in self.cluster.ids().filter(|other| *other != leader) {
                if outwards {
                    self.cluster.cut(leader, other)
                } else {
                    self.cluster.cut(other, leader)
                }
            }
            self.faults
                .push((number, format!("{leader}, newly elected, is cut off")));
        }
    }
}
