//! A follower whose whole disk is put back from a copy, rollback guard included, while the leader that has its
//! acknowledgements lives.

use std::collections::BTreeSet;

use raftian_raft::{NodeId, Standing};

use super::Run;
use crate::simulation::Simulation;

impl Run {
    /// The follower refuses what it had acknowledged, begins another incarnation, joins again under it and is promoted.
    pub(super) fn rejoin_from_an_old_copy(&mut self, leader: NodeId, core: &BTreeSet<NodeId>) {
        let (membership, term) = (self.cluster.node(leader).membership().clone(), self.cluster.node(leader).term());
        let is_spare = |cluster: &Simulation, id: NodeId| {
            let sound = |other: NodeId| {
                let same = membership.member(other).is_some_and(|m| m.incarnation == cluster.host(other).incarnation());
                core.contains(&other) && cluster.is_up(other) && same
            };
            let votes = membership.member(id).is_some_and(|member| member.standing == Some(Standing::Voter));
            id != leader && votes && sound(id) && membership.is_quorum(|other| other != id && sound(other))
        };
        let Some(id) = self.any(is_spare) else { return };
        self.cluster.heal();
        let copy = self.cluster.copy_disk(id);
        let before = self.cluster.host(id).incarnation();
        let heartbeat = self.cluster.host(leader).config().heartbeat;
        for _ in 0..3 {
            if !self.repeat_a_command(leader) {
                return;
            }
            self.cluster.run(heartbeat * 2);
        }
        let acknowledged = |cluster: &Simulation| {
            let peers = cluster.node(leader).status().peers;
            peers.iter().find(|peer| peer.id == id).map_or(0, |peer| peer.matched.0)
        };
        let copied = copy.last().0;
        if !self.cluster.leaders().contains(&leader) || acknowledged(&self.cluster) <= copied {
            return;
        }
        self.cluster.put_back_whole(id, &copy);
        let timeout = self.weather.election_timeout.1;
        let promote_after = self.cluster.host(leader).config().promote_after;
        let mut left = promote_after + timeout * 40;
        while !left.is_zero() {
            self.cluster.run(timeout);
            left = left.saturating_sub(timeout);
            if !self.cluster.leaders().contains(&leader) || self.cluster.node(leader).term() != term {
                // Another leader has no proof that anything was lost.
                return;
            }
            let member = self.cluster.node(leader).membership().member(id).copied();
            if member.is_some_and(|member| member.incarnation != before && member.votes()) {
                return self.tally.count("joined again after an old copy");
            }
        }
        panic!("{id} lost what it had acknowledged, and did not join again\n{}", self.cluster.trace());
    }
}
