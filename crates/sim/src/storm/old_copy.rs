//! Restores a follower's whole disk from a copy, including the rollback guard, while the leader
//! that holds its acknowledgements keeps running.

use std::collections::BTreeSet;

use raftian_raft::{NodeId, ReadId, Standing};
use rand::RngExt;

use super::{NotConverged, Run};
use crate::cluster::{Envelope, Simulation};
use crate::coverage::Mark;

impl Run {
    /// Checks that the follower refuses the entries it had acknowledged, starts a new incarnation,
    /// rejoins under it and is promoted.
    pub(super) fn rejoin_from_an_old_copy(
        &mut self,
        leader: NodeId,
        core: &BTreeSet<NodeId>,
    ) -> Result<(), NotConverged> {
        let membership = self.cluster.node(leader).membership().clone();
        let term = self.cluster.node(leader).term();
        let is_spare = |cluster: &Simulation, id: NodeId| {
            let sound = |other: NodeId| {
                let same = membership
                    .member(other)
                    .is_some_and(|m| m.incarnation == cluster.host(other).incarnation());
                core.contains(&other) && cluster.is_up(other) && same
            };
            let votes = membership
                .member(id)
                .is_some_and(|member| member.standing == Some(Standing::Voter));
            id != leader
                && votes
                && sound(id)
                && membership.is_quorum(|other| other != id && sound(other))
        };
        let Some(id) = self.any(is_spare) else {
            return Ok(());
        };
        self.cluster.heal();
        let copy = self.cluster.copy_disk(id);
        let before = self.cluster.host(id).incarnation();
        let heartbeat = self.cluster.host(leader).config().heartbeat;
        // The follower acknowledges entries that the copy does not have.
        for _ in 0..3 {
            if !self.repeat_a_command(leader) {
                return Ok(());
            }
            self.cluster.run(heartbeat * 2);
        }
        let acknowledged = |cluster: &Simulation| {
            let peers = cluster.node(leader).status().peers;
            peers
                .iter()
                .find(|peer| peer.id == id)
                .map_or(0, |peer| peer.matched.0)
        };
        let copied = copy.last().0;
        if !self.cluster.leaders().contains(&leader) || acknowledged(&self.cluster) <= copied {
            return Ok(());
        }
        self.cluster.put_back_whole(id, &copy);
        let timeout = self.options.election_timeout.1;
        let promote_after = self.cluster.host(leader).config().promote_after;
        let mut left = promote_after + timeout * 40;
        while !left.is_zero() {
            self.cluster.run(timeout);
            left = left.saturating_sub(timeout);
            if !self.cluster.leaders().contains(&leader) || self.cluster.node(leader).term() != term
            {
                // A new leader has no proof that entries were lost.
                return Ok(());
            }
            let member = self.cluster.node(leader).membership().member(id).copied();
            if member.is_some_and(|member| member.incarnation != before && member.votes()) {
                self.counters.count(Mark::RejoinedAfterItsDiskWasRestored);
                return Ok(());
            }
        }
        Err(NotConverged::NotRejoined { id })
    }

    /// Lets the leader reach a single follower whose disk was rolled back to before it acknowledged
    /// the newest entries and voted for another leader. That leader has committed since, so neither
    /// a read nor a lease may be confirmed.
    pub(super) fn ask_deposed_leader_beside_an_old_copy(
        &mut self,
        old: NodeId,
        core: &BTreeSet<NodeId>,
    ) {
        let membership = self.cluster.node(old).membership().clone();
        let sound = |cluster: &Simulation, id: NodeId| {
            let same = membership
                .member(id)
                .is_some_and(|m| m.incarnation == cluster.host(id).incarnation());
            core.contains(&id) && cluster.is_up(id) && membership.votes(id) && same
        };
        let others = |id: NodeId| id != old && sound(&self.cluster, id);
        // The follower must be part of both leaders' quorums.
        if membership.voters().count() != 3 || !membership.is_quorum(others) {
            return;
        }
        let Some(follower) = self.any(|cluster, id| id != old && sound(cluster, id)) else {
            return;
        };
        let Some(new) = self.any(|cluster, id| id != old && id != follower && sound(cluster, id))
        else {
            return;
        };
        let config = self.cluster.host(old).config().clone();
        self.cluster.heal();
        let copy = self.cluster.copy_disk(follower);
        for _ in 0..3 {
            self.repeat_a_command(old);
            self.cluster.run(config.heartbeat * 2);
        }
        if self.rng.random_bool(0.5) {
            // The old leader compacts entries that the follower needs and has to send a snapshot.
            self.cluster.cut(old, follower);
            self.cluster.cut(follower, old);
            for _ in 0..12 {
                self.repeat_a_command(old);
                self.cluster.run(config.heartbeat / 4);
            }
            let applied = self.cluster.node(old).applied();
            self.cluster.compact(old, Some(applied));
            self.cluster.run(config.heartbeat * 2);
        }
        self.cluster.isolate(old);
        self.repeat_a_command(old);
        // Followers must accept another candidate by now, but the old leader must not have stepped
        // down for lack of a quorum yet.
        self.cluster
            .run(self.options.election_timeout.0 + config.heartbeat / 10);
        if !self.cluster.is_up(new) {
            return;
        }
        self.cluster.campaign(new);
        let among = |envelope: &Envelope| envelope.from != old && envelope.to != old;
        self.deliver_all(among);
        self.repeat_a_command(new);
        self.deliver_all(among);
        let newest = self.cluster.newest_leader();
        if newest != Some(new) || self.cluster.node(new).commit() <= self.cluster.node(old).commit()
        {
            return;
        }
        self.cluster.put_back_whole(follower, &copy);
        self.cluster.heal();
        self.cluster.partition(&[&[old, follower]]);
        if !self.cluster.leaders().contains(&old) || !self.cluster.is_up(follower) {
            return;
        }
        self.counters
            .count(Mark::AskedDeposedLeaderNextToRestoredDisk);
        for round in 0..2 {
            // No timer may fire: the follower lost its vote with its disk, so it could elect the
            // old leader in the new leader's term.
            self.cluster.read(
                old,
                ReadId(u64::MAX - round),
                round > 0 && config.lease_reads,
            );
            let between = |envelope: &Envelope| {
                envelope.between(old.0, follower.0) || envelope.between(follower.0, old.0)
            };
            self.deliver_all(between);
        }
    }
}
