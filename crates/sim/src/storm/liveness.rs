//! Peace: a quorum is healed, and everything else stays broken for good. There the cluster must
//! come to rest with nothing lost.

use std::collections::BTreeSet;

use raftian_raft::{Moment, NodeId, RoleKind};
use rand::RngExt;

use super::Run;
use super::memberships::{committed_membership, is_enough};

/// How often commands are asked for again before peace counts as failed.
const MAX_ROUNDS: usize = 2_000;

impl Run {
    /// "Raft … depends on … a majority of servers" that can talk to each other for long enough
    /// (section 5.6): no more than that is granted.
    ///
    /// # Panics
    /// If there is no rest, or something is lost.
    pub(super) fn peace(&mut self) {
        self.rng.set_stream(u64::MAX);
        self.rng.set_word_pos(0);
        let mut core = self.choose_core();
        self.cluster.heal();
        for id in self.cluster.ids() {
            if core.contains(&id) {
                self.heal(id);
            } else {
                self.break_for_good(id, &core);
            }
        }
        // A leader whose clock stands still is deposed, and rightly.
        self.cluster.run(self.set_back);
        let (patience, began) = (self.options.election_timeout.1 * 80, self.cluster.now());
        for _ in 0..MAX_ROUNDS {
            let settled = self.cluster.settle_among(patience, |id| core.contains(&id));
            // A sync that was made to fail before peace may strike only now; the machine starts
            // again.
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
                Err(error) => panic!("no peace in {core:?}: {error}"),
            };
            self.clients.hear(&self.cluster, &mut self.tally);
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
                self.all_is_well(leader, &core);
                if self.cluster.leaders().contains(&leader) {
                    self.aimed_phases(leader, &core);
                }
                return;
            }
            // A leadership transfer that the storm broke off refuses commands until it is given up.
            self.cluster.run(self.options.election_timeout.1);
        }
        panic!(
            "commands are still missing, or states still differ:\n{}",
            self.cluster.trace()
        );
    }

    /// Machines that are enough for every membership that a node goes by; random ones beside them.
    fn choose_core(&mut self) -> BTreeSet<NodeId> {
        let memberships = self.cluster.memberships();
        // What only a witness remembers nobody can give back, so with one everybody is needed.
        let witnesses = memberships
            .iter()
            .any(|m| m.members().any(|(_, member)| member.is_witness()));
        let mut others: Vec<_> = self.cluster.ids().collect();
        let mut core: BTreeSet<_> = others.iter().copied().collect();
        while !witnesses && !others.is_empty() {
            let without = others.swap_remove(self.rng.random_range(0..others.len()));
            let works =
                |id: NodeId| id != without && core.contains(&id) && !self.wiped.contains(&id);
            let enough = memberships
                .iter()
                .all(|membership| is_enough(membership, works));
            if enough && self.rng.random_bool(0.7) {
                core.remove(&without);
            }
        }
        core
    }

    /// Whether a core without a leader may elect one later: with one more machine, which is granted
    /// here because nobody in the core can win an election; or in more time, because candidates
    /// without pre-vote depose each other.
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

    /// Heals one machine that was broken for good, and joins it to the core. False if there is
    /// none.
    fn grant_another(&mut self, core: &mut BTreeSet<NodeId>) -> bool {
        let can_help = |id: NodeId| !self.wiped.contains(&id) && !self.switched_off.contains(&id);
        let spare: Vec<_> = self
            .cluster
            .ids()
            .filter(|id| !core.contains(id) && can_help(*id))
            .collect();
        if spare.is_empty() {
            return false;
        }
        let id = spare[self.rng.random_range(0..spare.len())];
        self.tally
            .count("granted another machine, as nobody could be elected");
        for other in core.iter() {
            self.cluster.mend(id, *other);
            self.cluster.mend(*other, id);
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

    /// Whether a machine that is no member, or hears nobody, deposes no leader: that takes pre-vote
    /// and check-quorum (thesis 4.2.3).
    pub(super) fn strangers_are_harmless(&self) -> bool {
        self.cluster.ids().next().is_some_and(|id| {
            let config = self.cluster.host(id).config();
            config.pre_vote && config.check_quorum
        })
    }

    /// Where removed machines that do not know it disturb the others, their operator has to switch
    /// them off. Tells whether there was one to be switched off.
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
        if self.strangers_are_harmless() || removed.is_empty() {
            return false;
        }
        self.tally.count("had removed machines switched off");
        for id in &removed {
            self.cluster.crash(*id);
            self.switched_off.insert(*id);
        }
        true
    }

    /// Whether a machine is down and its disk not known to be damaged.
    pub(super) fn can_start(&self, id: NodeId) -> bool {
        !self.cluster.is_up(id)
            && !self.cluster.host(id).is_damaged()
            && !self.switched_off.contains(&id)
    }

    fn break_for_good(&mut self, id: NodeId, core: &BTreeSet<NodeId>) {
        // A machine that is heard but does not hear stands for election for ever; only pre-vote and
        // check-quorum together keep it from deposing others.
        let harmless = self.strangers_are_harmless();
        match self.rng.random_range(0..4) {
            0 if self.cluster.is_up(id) => {
                self.crash(id);
                self.tally.count("left a machine down for good");
            }
            1 => {
                self.tally
                    .count("left a machine that hears and is not heard");
                core.iter().for_each(|other| self.cluster.cut(id, *other));
            }
            2 if harmless => {
                self.tally
                    .count("left a machine that is heard and does not hear");
                core.iter().for_each(|other| self.cluster.cut(*other, id));
            }
            _ => {
                self.tally.count("left a machine cut off for good");
                self.cluster.isolate(id);
            }
        }
    }

    /// Whether no state of the core differs from one that most voters have. If one does, a command
    /// comes once more, which changes nothing, until hashes are compared again.
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
        let (client, sequence) = (command.client.0, command.sequence);
        let _refused = self
            .cluster
            .propose(leader, client, sequence, &command.bytes);
        false
    }

    fn all_is_well(&mut self, leader: NodeId, core: &BTreeSet<NodeId>) {
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
            assert_eq!(
                host.effects().len() as u64,
                asked,
                "every command takes effect once at {id}"
            );
            assert_eq!(
                host.effects(),
                first.effects(),
                "{id} and {leader} saw the same commands in the same order"
            );
            assert_eq!(
                host.applied(),
                first.applied(),
                "{id} and {leader} applied the same entries"
            );
        }
        self.states_follow_from_log();
        assert_eq!(
            self.cluster.tally().of("ignored nonsense"),
            0,
            "no node takes another's message for nonsense"
        );
        self.stays(leader);
        self.clients.judge(&self.cluster, leader, &mut self.tally);
    }

    /// States that agree may all be wrong; the committed log decides.
    fn states_follow_from_log(&self) {
        if let Err(violation) = self.cluster.check_states_follow_from_log() {
            panic!("{violation}\n{}", self.cluster.trace());
        }
    }

    /// Where nothing goes wrong any more nobody deposes a leader; not even a node that was removed
    /// and does not know it, as long as pre-vote and check-quorum are on (thesis 4.2.3).
    fn stays(&mut self, leader: NodeId) {
        let config = self.cluster.host(leader).config();
        // A leader whose state went astray goes as soon as a majority turns out to have another.
        let astray = self
            .cluster
            .ids()
            .any(|id| self.cluster.host(id).is_astray());
        if !(config.pre_vote && config.check_quorum) || astray {
            return;
        }
        let term = self.cluster.node(leader).term();
        self.cluster.run(self.options.election_timeout.1 * 20);
        if self.cluster.host(leader).stopped().is_some() {
            // A sync that was made to fail before peace has struck only now.
            return;
        }
        let leads = self.cluster.is_up(leader) && self.cluster.node(leader).term() == term;
        let leads = leads && self.cluster.leaders().contains(&leader);
        assert!(
            leads,
            "{leader} led {term} in peace and does not any more\n{}",
            self.cluster.trace()
        );
    }
}
