//! Situations that random faults hardly ever produce: late messages of an earlier leadership of the
//! same node, reads at a leader just as it is cut off, and, after the liveness phase, a cluster
//! that only one node can lead, a member that joins under a steady stream of commands, and a
//! snapshot transfer slower than the snapshots.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{Body, Change, FlowKind, Membership, NodeId, RoleKind, Standing};
use rand::RngExt;

use super::{NotConverged, Run};
use crate::cluster::{Envelope, Host, Simulation};
use crate::coverage::Mark;

/// Most requests of one leader kept for late delivery.
const MAX_EARLIER: usize = 16;

impl Run {
    /// Keeps a leader's request, to be delivered again when the same node leads a later term.
    pub(super) fn remember_request(&mut self, envelope: &Envelope) {
        if !matches!(
            envelope.message.body,
            Body::AppendEntries(_) | Body::InstallSnapshot(_)
        ) {
            return;
        }
        let kept = self.earlier.entry(envelope.from).or_default();
        if kept.len() < MAX_EARLIER {
            kept.push(envelope.clone());
        } else {
            let slot = self.rng.random_range(0..MAX_EARLIER);
            kept[slot] = envelope.clone();
        }
    }

    /// Delivers a message of an earlier leadership, and its reply, while the same node leads again.
    pub(super) fn replay_earlier_leadership(&mut self) -> Option<String> {
        let leader = self.cluster.newest_leader()?;
        let term = self.cluster.node(leader).term();
        let receives = |id: NodeId| self.cluster.is_up(id) && !self.cluster.is_paused(id);
        let is_late = |envelope: &&Envelope| envelope.message.term < term && receives(envelope.to);
        let late: Vec<_> = self
            .earlier
            .get(&leader)?
            .iter()
            .filter(is_late)
            .cloned()
            .collect();
        if late.is_empty() {
            return None;
        }
        let old = late[self.rng.random_range(0..late.len())].clone();
        let to = old.to;
        self.counters
            .count(Mark::ReceivedLateMessageOfEarlierLeadership);
        let before = self
            .cluster
            .queued()
            .map(|envelope| envelope.serial)
            .max()
            .unwrap_or_default();
        self.cluster.inject([old]);
        self.cluster
            .deliver(|envelope| envelope.serial > before && envelope.to == to);
        self.cluster.deliver(|envelope| {
            envelope.serial > before && envelope.from == to && envelope.to == leader
        });
        Some(format!(
            "{to} receives an old message of {leader}, which leads again"
        ))
    }

    /// Cuts off the leader from all others, or all but one, while clients keep sending requests.
    pub(super) fn cut_off_leader(&mut self) -> Option<String> {
        let leader = self.cluster.newest_leader()?;
        let spared = self
            .any(|_, id| id != leader)
            .filter(|_| self.rng.random_bool(0.3));
        for other in self
            .cluster
            .ids()
            .filter(|other| *other != leader && Some(*other) != spared)
        {
            self.cluster.cut(leader, other);
            self.cluster.cut(other, leader);
        }
        self.counters.count(Mark::CutOffLeader);
        Some(format!(
            "the leader {leader} is cut off from all but {spared:?}"
        ))
    }

    /// Lets another leader's entries replace a leader's entries in memory while its disk hangs, and
    /// a snapshot cover them before anything is written; then the machine crashes and restarts from
    /// its disk.
    pub(super) fn supersede_tail(&mut self) -> Option<String> {
        let old = self.cluster.newest_leader()?;
        if self.cluster.is_paused(old) || self.cluster.is_disk_held(old) {
            return None;
        }
        self.cluster.hold_disk(old);
        for _ in 0..self.rng.random_range(2..4) {
            self.repeat_a_command(old);
        }
        self.cluster.drop_messages(|envelope| envelope.from == old);
        if !self.cluster.is_up(old) {
            return Some(format!("the disk of {old} hangs, and {old} stops"));
        }
        // Paused until the next leader is elected, so that its first messages wait.
        self.cluster.pause(old);
        self.cluster.run(self.options.election_timeout.1 * 3);
        self.cluster.resume(old);
        let new = self.cluster.newest_leader().filter(|new| *new != old);
        if let Some(new) = new {
            let applied = self.cluster.node(new).applied();
            self.cluster.compact(new, Some(applied));
            self.exchange(new, old, 2);
            self.counters.count(Mark::SupersededUnwrittenTail);
        }
        if self.cluster.is_up(old) {
            self.cluster.release_disk(old);
            if self.cluster.is_up(old) && self.may_go_down(old) {
                self.crash(old);
            }
            if !self.cluster.is_up(old) {
                self.cluster.restart(old);
            }
        }
        Some(format!(
            "entries of {new:?} replace the tail of {old} while its disk hangs"
        ))
    }

    /// Fires the next timers of `leader` and delivers everything between the two nodes.
    pub(super) fn exchange(&mut self, leader: NodeId, follower: NodeId, times: usize) {
        for _ in 0..times {
            if self.cluster.is_up(leader) && !self.cluster.is_paused(leader) {
                self.cluster.tick(leader);
            }
            self.deliver_all(|envelope| {
                envelope.between(leader.0, follower.0) || envelope.between(follower.0, leader.0)
            });
        }
    }

    /// Lets a machine that was cut off reach a later term. Followers learn of that term from its
    /// replies to their old messages, and then it requests their votes while the leader answers
    /// reads.
    pub(super) fn later_term_behind_the_leader(&mut self) -> Option<String> {
        let leader = self.cluster.newest_leader()?;
        let able = |cluster: &Simulation, id: NodeId| {
            id != leader && cluster.is_up(id) && !cluster.is_paused(id) && !cluster.is_disk_held(id)
        };
        let ahead = self.any(able)?;
        self.cluster.heal();
        self.cluster.isolate(ahead);
        self.cluster.run(self.options.election_timeout.1 * 2);
        // Returned as a fault: it has changed the cluster, so a replay needs it.
        let was_cut_off = Some(format!("{ahead} is cut off for two election timeouts"));
        if !self.cluster.leaders().contains(&leader) || !self.cluster.is_up(ahead) {
            return was_cut_off;
        }
        self.cluster.heal();
        self.cluster.cut(leader, ahead);
        self.cluster.cut(ahead, leader);
        self.cluster.drop_messages(|_| true);
        let kept: Vec<_> = self
            .earlier
            .iter()
            .filter(|(from, _)| able(&self.cluster, **from))
            .collect();
        let old: Vec<_> = kept
            .into_iter()
            .filter_map(|(_, sent)| sent.iter().find(|envelope| envelope.to == ahead).cloned())
            .collect();
        if old.is_empty() {
            return was_cut_off;
        }
        self.counters.count(Mark::LearnedOfLaterTermBehindLeader);
        let among_others = |envelope: &Envelope| envelope.from != leader && envelope.to != leader;
        self.cluster.inject(old);
        self.deliver_all(among_others);
        for _ in 0..2 {
            if self.cluster.is_up(ahead) {
                self.cluster.campaign(ahead);
                self.deliver_all(among_others);
            }
        }
        if self.cluster.is_up(ahead) {
            self.repeat_a_command(ahead);
            self.deliver_all(among_others);
        }
        for _ in 0..3 {
            self.clients.read(
                &mut self.cluster,
                &mut self.rng,
                self.options.lease_reads,
                &mut self.counters,
            );
        }
        Some(format!(
            "{ahead}, in a later term, requests votes from all but {leader}"
        ))
    }

    /// Delivers matching messages, including those they cause, until none is left.
    pub(super) fn deliver_all(&mut self, matches: impl Fn(&Envelope) -> bool) {
        for _ in 0..Simulation::MAX_DELIVERIES {
            if !self.cluster.deliver_one(&matches) {
                return;
            }
        }
    }

    /// Runs one of the aimed phases after the liveness phase, if the storm's settings allow it.
    ///
    /// # Errors
    /// Fails if the cluster does not make the progress that the phase checks.
    pub(super) fn aimed_phases(
        &mut self,
        leader: NodeId,
        core: &BTreeSet<NodeId>,
    ) -> Result<(), NotConverged> {
        let harmless = self.outsiders_are_harmless();
        let membership = self.cluster.node(leader).membership().clone();
        let has_witness = membership.members().any(|(_, member)| member.is_witness());
        let astray = self
            .cluster
            .ids()
            .any(|id| self.cluster.host(id).is_diverged());
        let may_fail = self
            .cluster
            .ids()
            .any(|id| self.cluster.host(id).disk_may_fail());
        if !harmless
            || has_witness
            || astray
            || may_fail
            || self.options.has_bad_clocks()
            || membership.is_joint()
        {
            return Ok(());
        }
        let phase = self.rng.random_range(0..5);
        match phase {
            0 => self.join_under_load(leader)?,
            1 => self.transfer_under_load(leader, core)?,
            2 => self.only_one_can_lead(&membership, core)?,
            3 => self.rejoin_from_an_old_copy(leader, core)?,
            _ => self.ask_deposed_leader_beside_an_old_copy(leader, core),
        }
        // The last two restore old disks. A member that lost its vote may elect a second leader.
        if phase < 3 {
            self.read_by_lease_while_another_is_elected(core);
            self.move_all_in_turn(core)?;
        }
        Ok(())
    }

    /// Proposes an applied command again: it extends the log and changes nothing else.
    pub(super) fn repeat_a_command(&mut self, leader: NodeId) -> bool {
        if !self.cluster.is_up(leader) {
            return false;
        }
        let Some(command) = self.cluster.host(leader).effects().last().cloned() else {
            return false;
        };
        self.cluster
            .propose(leader, command.client.0, command.sequence, &command.bytes)
            .is_ok()
    }

    /// Checks that a member that joins under a steady stream of commands is promoted: it is always
    /// slightly behind but keeps up (thesis 4.2.1).
    fn join_under_load(&mut self, leader: NodeId) -> Result<(), NotConverged> {
        let membership = self.cluster.node(leader).membership().clone();
        let joins = |cluster: &Simulation, id: NodeId| {
            cluster.is_up(id) && membership.member(id).is_none() && !cluster.host(id).is_damaged()
        };
        let Some(id) = self.any(joins) else {
            return Ok(());
        };
        let incarnation = self.cluster.host(id).incarnation();
        let config = self.cluster.host(leader).config().clone();
        // Without retained entries a follower that is one command behind needs a snapshot, and the
        // leader may take the next one before that one has arrived.
        if config.snapshot_keep == 0 {
            return Ok(());
        }
        self.cluster.heal();
        if self
            .cluster
            // As a learner first: only keeping up under load is tested, not the initial catch-up.
            .change_membership(leader, Change::Set(id, incarnation, Standing::Learner))
            .is_err()
        {
            return Ok(());
        }
        let patience = self.options.election_timeout.1;
        if self
            .cluster
            .settle_among(patience * 80, |other| other == id || other == leader)
            .is_err()
        {
            return Ok(());
        }
        let delay = config.heartbeat / 4;
        self.cluster.delay(leader, id, delay);
        self.cluster.delay(id, leader, delay);
        if self
            .cluster
            .change_membership(leader, Change::Set(id, incarnation, Standing::Joining))
            .is_err()
        {
            self.cluster.clear_delays();
            return Ok(());
        }
        let pause = delay * 3;
        let mut left = config.promote_after + patience * 10;
        while !left.is_zero() && self.repeat_a_command(leader) {
            self.cluster.run(pause);
            left = left.saturating_sub(pause);
            if self.cluster.node(leader).membership().votes(id) {
                self.counters.count(Mark::PromotedMemberUnderLoad);
                self.cluster.clear_delays();
                return Ok(());
            }
        }
        self.cluster.clear_delays();
        if left.is_zero() && self.cluster.leaders().contains(&leader) {
            return Err(NotConverged::NotPromoted { id, patience });
        }
        Ok(())
    }

    /// Checks that a snapshot transfer ends although the leader takes new snapshots faster than it
    /// transfers one.
    fn transfer_under_load(
        &mut self,
        leader: NodeId,
        core: &BTreeSet<NodeId>,
    ) -> Result<(), NotConverged> {
        let config = self.cluster.host(leader).config().clone();
        let membership = self.cluster.node(leader).membership().clone();
        let keep = config.snapshot_keep;
        let is_spare = |cluster: &Simulation, id: NodeId| {
            let same = |member: &raftian_raft::Member| {
                member.incarnation == cluster.host(id).incarnation()
            };
            id != leader
                && core.contains(&id)
                && cluster.is_up(id)
                && membership
                    .member(id)
                    .is_some_and(|member| member.votes() && same(member))
                && membership
                    .is_quorum(|other| other != id && core.contains(&other) && cluster.is_up(other))
        };
        let Some(id) = self.any(is_spare).filter(|_| keep >= 8) else {
            return Ok(());
        };
        self.cluster.crash(id);
        // Compaction retains at most ten times `snapshot_keep`, so the follower needs a snapshot.
        for _ in 0..keep * 12 {
            if !self.repeat_a_command(leader) {
                return Ok(());
            }
            self.cluster.stabilize();
        }
        // Longer than the leader retains entries for a silent follower.
        self.cluster.run(self.options.election_timeout.1 * 4);
        self.cluster.compact(leader, None);
        if !self.cluster.leaders().contains(&leader) || !self.can_start(id) {
            return Ok(());
        }
        let delay = config.heartbeat / 2;
        self.cluster.delay(leader, id, delay);
        self.cluster.delay(id, leader, delay);
        let size = self
            .cluster
            .node(leader)
            .snapshot()
            .map_or(0, |snapshot| snapshot.len() as u64);
        let rounds = size / config.snapshot_chunk as u64 / config.snapshot_inflight + 2;
        // A transfer lasts about `2 * keep` commands, and every `keep / 2` of them a new snapshot
        // is taken.
        let pause = (delay * 2).mul_f64(rounds as f64 / (2 * keep) as f64);
        if pause < Duration::from_micros(20) {
            self.cluster.clear_delays();
            return Ok(());
        }
        self.cluster.restart(id);
        for number in 0..keep * 6 {
            if !self.repeat_a_command(leader) || !self.cluster.leaders().contains(&leader) {
                self.cluster.clear_delays();
                return Ok(());
            }
            self.cluster.run(pause);
            if number % (keep / 2) == 0 {
                self.cluster.compact(leader, None);
            }
            let peers = self.cluster.node(leader).status().peers;
            let peer = peers.iter().find(|peer| peer.id == id);
            if peer.is_none_or(|peer| peer.flow == FlowKind::Replicate && peer.matched.0 > 0) {
                self.counters.count(Mark::FinishedSlowTransferUnderLoad);
                self.cluster.clear_delays();
                return Ok(());
            }
        }
        Err(NotConverged::EndlessTransfer { id })
    }

    /// Reduces the cluster to a quorum in a star: one hub reaches all others, and they reach only
    /// the hub, which must become leader regardless of priorities.
    fn only_one_can_lead(
        &mut self,
        membership: &Membership,
        core: &BTreeSet<NodeId>,
    ) -> Result<(), NotConverged> {
        let sound = |id: &NodeId| {
            let member = membership.member(*id);
            let same = member
                .is_some_and(|member| member.incarnation == self.cluster.host(*id).incarnation());
            membership.votes(*id) && core.contains(id) && self.cluster.is_up(*id) && same
        };
        let mut voters: Vec<_> = self.cluster.ids().filter(sound).collect();
        let quorum = membership.voters().count() / 2 + 1;
        let may_demote = core
            .iter()
            .any(|id| self.cluster.host(*id).config().vanish_after.is_some());
        // In a quorum of two, either node could lead; so could they once a silent voter is demoted.
        if voters.len() < quorum || quorum < 3 || may_demote {
            return Ok(());
        }
        let mut group = Vec::new();
        while group.len() < quorum {
            group.push(voters.swap_remove(self.rng.random_range(0..voters.len())));
        }
        let hub = group[0];
        for id in self.cluster.ids() {
            if !group.contains(&id) {
                self.cluster.isolate(id);
            }
        }
        for from in &group[1..] {
            for to in group[1..].iter().filter(|to| *to != from) {
                self.cluster.cut(*from, *to);
            }
        }
        let timeout = self.options.election_timeout.1;
        for _ in 0..80 {
            self.cluster.run(timeout);
            let node = self.cluster.node(hub);
            if node.role() == RoleKind::Leader && node.commit() == node.last().index {
                self.counters.count(Mark::ElectedOnlyNodeConnectedToQuorum);
                return Ok(());
            }
        }
        Err(NotConverged::NotElected { hub, group })
    }
}

impl Simulation {
    /// Returns the leader of the latest term.
    pub(super) fn newest_leader(&self) -> Option<NodeId> {
        let leaders = self
            .hosts()
            .filter_map(Host::node)
            .filter(|node| node.role() == RoleKind::Leader);
        leaders.max_by_key(|node| node.term()).map(|node| node.id())
    }
}
