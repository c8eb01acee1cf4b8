//! What random faults hardly ever meet, brought about on purpose: late messages of an earlier
//! leadership of the same node, reads asked of a leader in the moment it is cut off, and, after the
//! liveness phase, a cluster that only one node can lead, a member that joins under a steady stream
//! of commands, and a snapshot transfer slower than the snapshots.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{Body, Change, FlowKind, Membership, NodeId, RoleKind, Standing};
use rand::RngExt;

use super::Run;
use crate::cluster::{Envelope, Host, Simulation};

/// Requests of one leader that are kept to arrive late.
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

    /// A message of an earlier leadership arrives while the same node leads again, and so does its
    /// answer.
    pub(super) fn replay_earlier_leadership(&mut self) -> Option<String> {
        let leader = self.cluster.newest_leader()?;
        let term = self.cluster.node(leader).term();
        let hears = |id: NodeId| self.cluster.is_up(id) && !self.cluster.is_paused(id);
        let is_late = |envelope: &&Envelope| envelope.message.term < term && hears(envelope.to);
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
        self.tally
            .count("received a late message of an earlier leadership");
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

    /// The leader is cut off from all others, or from all but one, while clients go on asking it.
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
        self.tally.count("cut off a leader in office");
        Some(format!(
            "{leader}, which leads, is cut off from all but {spared:?}"
        ))
    }

    /// A leader's entries are on their way to its hung disk when another leader's take their place
    /// in memory, and a snapshot covers those before anything is written; then the machine crashes
    /// and starts from what its disk holds.
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
        // What the next leader sends first reaches it when it goes on.
        self.cluster.pause(old);
        self.cluster.run(self.options.election_timeout.1 * 3);
        self.cluster.resume(old);
        let new = self.cluster.newest_leader().filter(|new| *new != old);
        if let Some(new) = new {
            let applied = self.cluster.node(new).applied();
            self.cluster.compact(new, Some(applied));
            self.exchange(new, old, 2);
            self.tally
                .count("superseded a tail that was not written yet");
        }
        if self.cluster.is_up(old) {
            self.cluster.release_disk(old);
            if self.cluster.is_up(old) {
                self.crash(old);
            }
            self.cluster.restart(old);
        }
        Some(format!(
            "the tail of {old} gives way to {new:?} while its disk hangs"
        ))
    }

    /// The next timers of `leader` fire, and everything between the two arrives.
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

    /// A machine that was cut off has come to a later term. Those that follow the leader learn of
    /// that term by its answers to what they sent long ago, and then it asks for their votes, while
    /// the leader answers reads.
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
        self.tally
            .count("learned of a later term behind the leader");
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
                &mut self.tally,
            );
        }
        Some(format!(
            "{ahead}, in a later term, asks for votes behind the back of {leader}"
        ))
    }

    /// Delivers what matches, and what that causes, until nothing does.
    pub(super) fn deliver_all(&mut self, matches: impl Fn(&Envelope) -> bool) {
        for _ in 0..Simulation::MAX_DELIVERIES {
            if !self.cluster.deliver_one(&matches) {
                return;
            }
        }
    }

    /// Phases after peace, each in some of the storms.
    pub(super) fn aimed_phases(&mut self, leader: NodeId, core: &BTreeSet<NodeId>) {
        let harmless = self.strangers_are_harmless();
        let membership = self.cluster.node(leader).membership().clone();
        let has_witness = membership.members().any(|(_, member)| member.is_witness());
        let astray = self
            .cluster
            .ids()
            .any(|id| self.cluster.host(id).is_astray());
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
            return;
        }
        match self.rng.random_range(0..5) {
            0 => self.join_under_load(leader),
            1 => self.transfer_under_load(leader, core),
            2 => self.only_one_can_lead(&membership, core),
            3 => self.rejoin_from_an_old_copy(leader, core),
            _ => self.ask_deposed_leader_beside_an_old_copy(leader, core),
        }
    }

    /// One more command of a client that has asked for it before: it moves the log and changes
    /// nothing else.
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

    /// A member joins while commands arrive without a pause. It is always a little behind, and
    /// keeps up: so it is promoted (thesis 4.2.1).
    fn join_under_load(&mut self, leader: NodeId) {
        let membership = self.cluster.node(leader).membership().clone();
        let joins = |cluster: &Simulation, id: NodeId| {
            cluster.is_up(id) && membership.member(id).is_none() && !cluster.host(id).is_damaged()
        };
        let Some(id) = self.any(joins) else { return };
        let (life, config) = (
            self.cluster.host(id).incarnation(),
            self.cluster.host(leader).config().clone(),
        );
        self.cluster.heal();
        if self
            .cluster
            .change_membership(leader, Change::Set(id, life, Standing::Learner))
            .is_err()
        {
            return;
        }
        let patience = self.options.election_timeout.1;
        if self
            .cluster
            .settle_among(patience * 80, |other| other == id || other == leader)
            .is_err()
        {
            return;
        }
        let delay = config.heartbeat / 4;
        self.cluster.delay(leader, id, delay);
        self.cluster.delay(id, leader, delay);
        if self
            .cluster
            .change_membership(leader, Change::Set(id, life, Standing::Joining))
            .is_err()
        {
            return self.cluster.clear_delays();
        }
        let (pause, mut left) = (delay * 3, config.promote_after + patience * 10);
        while !left.is_zero() && self.repeat_a_command(leader) {
            self.cluster.run(pause);
            left = left.saturating_sub(pause);
            if self.cluster.node(leader).membership().votes(id) {
                self.tally.count("promoted a member under load");
                return self.cluster.clear_delays();
            }
        }
        self.cluster.clear_delays();
        assert!(
            !left.is_zero() || !self.cluster.leaders().contains(&leader),
            "{id} joined and kept up for {patience:?} ten times over, and was not promoted\n{}",
            self.cluster.trace()
        );
    }

    /// A follower needs a snapshot whose transfer takes longer than the leader needs for the next
    /// one.
    fn transfer_under_load(&mut self, leader: NodeId, core: &BTreeSet<NodeId>) {
        let config = self.cluster.host(leader).config().clone();
        let (membership, keep) = (
            self.cluster.node(leader).membership().clone(),
            config.snapshot_keep,
        );
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
            return;
        };
        self.cluster.crash(id);
        for _ in 0..keep * 12 {
            if !self.repeat_a_command(leader) {
                return;
            }
            self.cluster.stabilize();
        }
        // Long enough that the leader does not wait for it any more.
        self.cluster.run(self.options.election_timeout.1 * 4);
        self.cluster.compact(leader, None);
        if !self.cluster.leaders().contains(&leader) || !self.can_start(id) {
            return;
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
        let pause = (delay * 2).mul_f64(rounds as f64 / (2 * keep) as f64);
        if pause < Duration::from_micros(20) {
            return self.cluster.clear_delays();
        }
        self.cluster.restart(id);
        for number in 0..keep * 6 {
            if !self.repeat_a_command(leader) || !self.cluster.leaders().contains(&leader) {
                return self.cluster.clear_delays();
            }
            self.cluster.run(pause);
            if number % (keep / 2) == 0 {
                self.cluster.compact(leader, None);
            }
            let peers = self.cluster.node(leader).status().peers;
            let peer = peers.iter().find(|peer| peer.id == id);
            if peer.is_none_or(|peer| peer.flow == FlowKind::Replicate && peer.matched.0 > 0) {
                self.tally.count("finished a slow transfer under load");
                return self.cluster.clear_delays();
            }
        }
        panic!(
            "the transfer of a snapshot to {id} never ended\n{}",
            self.cluster.trace()
        );
    }

    /// As many voters as make a quorum, of which one hears all others and those hear only it: it
    /// must come to lead, whatever anybody prefers.
    fn only_one_can_lead(&mut self, membership: &Membership, core: &BTreeSet<NodeId>) {
        let sound = |id: &NodeId| {
            let member = membership.member(*id);
            let same = member
                .is_some_and(|member| member.incarnation == self.cluster.host(*id).incarnation());
            membership.votes(*id) && core.contains(id) && self.cluster.is_up(*id) && same
        };
        let mut voters: Vec<_> = self.cluster.ids().filter(sound).collect();
        let quorum = membership.voters().count() / 2 + 1;
        if voters.len() < quorum || quorum < 3 {
            return;
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
                return self
                    .tally
                    .count("elected the only node that hears a quorum");
            }
        }
        panic!(
            "{hub} hears {group:?} and does not lead\n{}",
            self.cluster.trace()
        );
    }
}

impl Simulation {
    /// The leader of the latest term.
    pub(super) fn newest_leader(&self) -> Option<NodeId> {
        let leaders = self
            .hosts()
            .filter_map(Host::node)
            .filter(|node| node.role() == RoleKind::Leader);
        leaders.max_by_key(|node| node.term()).map(|node| node.id())
    }
}
