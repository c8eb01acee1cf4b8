//! Liveness phase: a quorum is healed, everything else stays broken for good, and the quorum must
//! converge without losing anything.

use std::collections::BTreeSet;

use raftian_raft::{Moment, NodeId, RoleKind};
use rand::RngExt;

use super::memberships::{committed_membership, is_enough};
use super::{Cause, NotConverged, Run};
use crate::coverage::Mark;
use crate::invariants::Violation;

/// Rounds of retried commands before the liveness phase counts as failed.
const MAX_ROUNDS: usize = 2_000;

impl Run {
    /// Runs the liveness phase. Raft needs a majority of servers that can communicate for longer
    /// than an election takes (section 5.6): no more than that is granted.
    ///
    /// # Errors
    /// Fails if the cluster does not converge or a command is lost.
    pub(super) fn liveness_phase(&mut self) -> Result<(), Cause> {
        // A stream that no event uses, so that omitted events do not change the draws here.
        self.rng.set_stream(u64::MAX);
        self.rng.set_word_pos(0);
        self.correct_file();
        let mut core = self.choose_core();
        self.cluster.heal();
        self.cluster.find_addresses();
        for id in self.cluster.ids() {
            if core.contains(&id) {
                self.heal(id);
            } else {
                self.break_for_good(id, &core);
            }
        }
        // A leader whose clock stalls is rightly deposed, so wait until every clock moves again.
        self.cluster.run(self.set_back);
        let patience = self.options.election_timeout.1 * 80;
        let began = self.cluster.now();
        for _ in 0..MAX_ROUNDS {
            let settled = self.cluster.settle_among(patience, |id| core.contains(&id));
            // A sync failure injected earlier may occur only now; the machine must restart.
            let down: Vec<_> = core
                .iter()
                .copied()
                .filter(|id| self.can_start(*id))
                .collect();
            if !down.is_empty() {
                down.iter().for_each(|id| self.cluster.restart(*id));
                continue;
            }
            if settled.is_err()
                && (self.switch_off_removed() || self.may_elect_later(&mut core, began))
            {
                continue;
            }
            let leader = match settled {
                Ok(leader) => leader,
                Err(unsettled) => return Err(NotConverged::Unsettled { core, unsettled }.into()),
            };
            self.clients
                .collect_answers(&self.cluster, &mut self.counters);
            let missing = self.clients.missing(leader);
            for update in &missing {
                if !self.clients.insist(&mut self.cluster, leader, *update) {
                    break;
                }
            }
            if missing.is_empty() {
                if !self.states_agree(leader, &core) {
                    continue;
                }
                self.check_converged(leader, &core)?;
                if self.cluster.leaders().contains(&leader) {
                    self.aimed_phases(leader, &core)?;
                }
                return Ok(());
            }
            // A leadership transfer that the storm interrupted blocks commands until it is aborted.
            self.cluster.run(self.options.election_timeout.1);
        }
        Err(NotConverged::Incomplete { rounds: MAX_ROUNDS }.into())
    }

    /// Chooses machines that suffice for every membership in use, and random additional ones.
    fn choose_core(&mut self) -> BTreeSet<NodeId> {
        let memberships = self.cluster.memberships();
        // A witness stores no contents, so entries that only it acknowledged may exist on any one
        // other machine: with a witness every machine is needed.
        let witnesses = memberships
            .iter()
            .any(|m| m.members().any(|(_, member)| member.is_witness()));
        // Before the cluster is founded every founder is needed, and later one that knows it.
        let all_needed = witnesses || !self.is_founded_among(&self.cluster.ids().collect());
        let mut others: Vec<_> = self.cluster.ids().collect();
        let mut core: BTreeSet<_> = others.iter().copied().collect();
        while !all_needed && !others.is_empty() {
            let without = others.swap_remove(self.rng.random_range(0..others.len()));
            let works =
                |id: NodeId| id != without && core.contains(&id) && !self.wiped.contains(&id);
            let enough = memberships
                .iter()
                .all(|membership| is_enough(membership, works));
            // Not always the minimum, so that larger cores are tested too.
            if enough && self.rng.random_bool(0.7) {
                core.remove(&without);
                if !self.is_founded_among(&core) {
                    core.insert(without);
                }
            }
        }
        core
    }

    /// Returns whether a core without a leader may elect one later: with one more machine, which is
    /// granted here because no node of the core can win an election; or in more time, because
    /// candidates without pre-vote depose each other.
    fn may_elect_later(&mut self, core: &mut BTreeSet<NodeId>, began: Moment) -> bool {
        let leads = |id: &NodeId| {
            self.cluster
                .host(*id)
                .node()
                .is_some_and(|node| node.role() == RoleKind::Leader)
        };
        if core.iter().any(leads) {
            return false;
        }
        if !self.cluster.has_electable(core) {
            return self.grant_another(core);
        }
        let Some(first) = core.first() else {
            return false;
        };
        !self.cluster.host(*first).config().pre_vote
            && self.cluster.now().since(began) < self.options.duel_patience()
    }

    /// Heals one broken machine and adds it to the core; returns false if there is none.
    fn grant_another(&mut self, core: &mut BTreeSet<NodeId>) -> bool {
        let is_spare = |id: &NodeId| !core.contains(id) && !self.switched_off.contains(id);
        let mut spare: Vec<_> = self.cluster.ids().filter(is_spare).collect();
        // A machine whose disk was lost may hold the newest log since, if it still runs.
        if spare.iter().any(|id| !self.wiped.contains(id)) {
            spare.retain(|id| !self.wiped.contains(id));
        } else {
            spare.retain(|id| self.cluster.is_up(*id));
        }
        if spare.is_empty() {
            return false;
        }
        let id = spare[self.rng.random_range(0..spare.len())];
        self.counters
            .count(Mark::GrantedAnotherMachineBecauseNoMemberWasElectable);
        for other in core.iter() {
            self.cluster.mend(id, *other);
            self.cluster.mend(*other, id);
        }
        // One with a damaged disk could not start again.
        if self.cluster.host(id).is_damaged() {
            self.cluster.spare_disk(id);
        }
        self.heal(id);
        core.insert(id);
        true
    }

    fn heal(&mut self, id: NodeId) {
        if self.cluster.is_paused(id) {
            self.cluster.resume(id);
        }
        self.cluster.fill_disk(id, false);
        if self.cluster.is_up(id) {
            self.cluster.release_disk(id);
        }
        if self.can_start(id) {
            self.cluster.restart(id);
        }
    }

    /// Returns whether a machine that is not a member, or receives nothing, cannot depose a leader:
    /// that takes pre-vote and check-quorum (thesis 4.2.3).
    pub(super) fn outsiders_are_harmless(&self) -> bool {
        self.cluster.ids().next().is_some_and(|id| {
            let config = self.cluster.host(id).config();
            config.pre_vote && config.check_quorum
        })
    }

    /// Switches off removed machines that have not learned of their removal, as an operator must
    /// where they disturb the others. Returns whether there was one.
    fn switch_off_removed(&mut self) -> bool {
        let up: Vec<_> = self
            .cluster
            .ids()
            .filter(|id| self.cluster.is_up(*id))
            .collect();
        let newest = up.iter().max_by_key(|id| self.cluster.node(**id).commit());
        let Some(members) = newest.map(|id| committed_membership(self.cluster.node(*id)).clone())
        else {
            return false;
        };
        // A machine that votes by an uncommitted change may be needed to commit it.
        let votes = |id: NodeId| {
            up.iter()
                .any(|other| self.cluster.node(*other).membership().votes(id))
        };
        let removed: Vec<_> = up
            .iter()
            .copied()
            .filter(|id| !members.contains(*id) && !votes(*id))
            .collect();
        if self.outsiders_are_harmless() || removed.is_empty() {
            return false;
        }
        self.counters.count(Mark::HadRemovedMachinesSwitchedOff);
        for id in &removed {
            self.cluster.crash(*id);
            self.switched_off.insert(*id);
        }
        true
    }

    /// Returns whether a machine is down and its disk is not known to be damaged.
    pub(super) fn can_start(&self, id: NodeId) -> bool {
        !self.cluster.is_up(id)
            && !self.cluster.host(id).is_damaged()
            && !self.switched_off.contains(&id)
    }

    fn break_for_good(&mut self, id: NodeId, core: &BTreeSet<NodeId>) {
        // A machine that can send but not receive stands for election forever; only pre-vote and
        // check-quorum together keep it from deposing leaders.
        let harmless = self.outsiders_are_harmless();
        match self.rng.random_range(0..4) {
            0 if self.cluster.is_up(id) => {
                self.crash(id);
                self.counters.count(Mark::LeftMachineDownForGood);
            }
            1 => {
                self.counters
                    .count(Mark::LeftMachineThatReceivesButCannotSend);
                core.iter().for_each(|other| self.cluster.cut(id, *other));
            }
            2 if harmless => {
                self.counters
                    .count(Mark::LeftMachineThatSendsButCannotReceive);
                core.iter().for_each(|other| self.cluster.cut(*other, id));
            }
            _ => {
                self.counters.count(Mark::LeftMachineCutOffForGood);
                self.cluster.isolate(id);
            }
        }
    }

    /// Returns whether no state of the core differs from the state of a quorum. If one does, a
    /// command is repeated, which changes no state but makes the nodes compare hashes again.
    fn states_agree(&mut self, leader: NodeId, core: &BTreeSet<NodeId>) -> bool {
        let membership = self.cluster.node(leader).membership().clone();
        let has_state = |id: NodeId| {
            let member = membership
                .member(id)
                .filter(|member| !member.is_witness() && core.contains(&id));
            member.is_some_and(|member| {
                self.cluster.is_up(id) && self.cluster.host(id).incarnation() == member.incarnation
            })
        };
        let states: Vec<_> = self.cluster.ids().filter(|id| has_state(*id)).collect();
        let hash = |id: NodeId| self.cluster.host(id).state_hash();
        let most = |one: &&NodeId| {
            membership.is_quorum(|id| states.contains(&id) && hash(id) == hash(**one))
        };
        let Some(right) = states.iter().find(most).map(|id| hash(*id)) else {
            return true;
        };
        if states.iter().all(|id| hash(*id) == right) {
            return true;
        }
        let Some(command) = self.cluster.host(leader).effects().last().cloned() else {
            return true;
        };
        let client = command.client.0;
        let sequence = command.sequence;
        let _refused = self
            .cluster
            .propose(leader, client, sequence, &command.bytes);
        false
    }

    /// Checks that every member of the core has applied every command exactly once and in one
    /// order, and that the history of the clients is linearizable.
    fn check_converged(&mut self, leader: NodeId, core: &BTreeSet<NodeId>) -> Result<(), Cause> {
        let asked = self.clients.asked();
        let first = self.cluster.host(leader);
        let membership = self.cluster.node(leader).membership().clone();
        for (id, member) in membership.members().filter(|(id, _)| core.contains(id)) {
            let host = self.cluster.host(id);
            if member.is_witness()
                || host.incarnation() != member.incarnation
                || !self.cluster.is_up(id)
            {
                continue;
            }
            let effects = host.effects().len() as u64;
            if effects != asked {
                let what = format!("{id} applied {effects} of {asked} commands");
                return Err(Violation::new("every command takes effect once", what).into());
            }
            if host.effects() != first.effects() {
                let what = format!("{id} and {leader} applied commands in different orders");
                return Err(Violation::new("machines agree", what).into());
            }
            if host.applied() != first.applied() {
                let what = format!("{id} and {leader} applied different entries");
                return Err(Violation::new("machines agree", what).into());
            }
        }
        // States that agree with each other may still all be wrong.
        self.cluster.check_states_follow_from_log()?;
        if self.cluster.counters().of(Mark::IgnoredInvalidMessage) > 0 {
            let what = "a node ignored a message of another node as invalid";
            return Err(Violation::new("nodes send valid messages", what).into());
        }
        self.check_leader_stays(leader)?;
        self.clients
            .check_history(&self.cluster, leader, &mut self.counters)
    }

    /// Checks that without faults no node deposes the leader, not even a removed one that has not
    /// learned of its removal, as long as pre-vote and check-quorum are on (thesis 4.2.3).
    fn check_leader_stays(&mut self, leader: NodeId) -> Result<(), NotConverged> {
        let config = self.cluster.host(leader).config();
        // A leader whose state diverged steps down once a majority reports another state.
        let astray = self
            .cluster
            .ids()
            .any(|id| self.cluster.host(id).is_diverged());
        if !(config.pre_vote && config.check_quorum) || astray {
            return Ok(());
        }
        let term = self.cluster.node(leader).term();
        self.cluster.run(self.options.election_timeout.1 * 20);
        if self.cluster.host(leader).stopped().is_some() {
            // A sync failure injected earlier occurred only now.
            return Ok(());
        }
        let leads = self.cluster.is_up(leader) && self.cluster.node(leader).term() == term;
        let leads = leads && self.cluster.leaders().contains(&leader);
        if leads {
            Ok(())
        } else {
            Err(NotConverged::Deposed { leader, term })
        }
    }
}
