//! Lets a leader read by lease while a follower without a measured round trip campaigns against it.

use std::collections::BTreeSet;

use raftian_raft::{NodeId, ReadId};

use super::Run;
use crate::cluster::{Envelope, Kind, Simulation};
use crate::coverage::Mark;

impl Run {
    /// Cuts a new leader off after its first round of requests. One of the followers that
    /// acknowledged it, and so granted its lease, has not learned a round trip yet, and every
    /// member that it can reach has heard from no leader for longer than leader stickiness lasts.
    /// Only its own election timeout, and its refusal to campaign under a lease that it granted,
    /// keep a second leader from committing while the first one still reads by lease.
    pub(super) fn read_by_lease_while_another_is_elected(&mut self, core: &BTreeSet<NodeId>) {
        self.cluster.heal();
        let patience = self.options.election_timeout.1 * 80;
        let Ok(hub) = self.cluster.settle_among(patience, |id| core.contains(&id)) else {
            return;
        };
        let config = self.cluster.host(hub).config().clone();
        let (Some((stickiness, _)), true) = (config.adaptive_timeout, config.lease_reads) else {
            return;
        };
        let membership = self.cluster.node(hub).membership().clone();
        let votes = |cluster: &Simulation, id: NodeId| {
            let same = membership
                .member(id)
                .is_some_and(|member| member.incarnation == cluster.host(id).incarnation());
            let works = cluster.is_up(id) && !cluster.is_paused(id) && !cluster.is_disk_held(id);
            works && membership.votes(id) && same
        };
        let Some(old) = self.any(|cluster, id| id != hub && votes(cluster, id)) else {
            return;
        };
        let mut first = BTreeSet::from([hub, old]);
        let mut second = BTreeSet::from([hub]);
        for id in self.cluster.ids().filter(|id| votes(&self.cluster, *id)) {
            if !membership.is_quorum(|other| first.contains(&other)) {
                first.insert(id);
            } else if !first.contains(&id) {
                second.insert(id);
            }
        }
        // Only the hub may be in both quorums: any other member of the first would refuse to vote.
        let enough = |group: &BTreeSet<NodeId>| membership.is_quorum(|id| group.contains(&id));
        if !enough(&first) || !enough(&second) {
            return;
        }
        let within = |group: &BTreeSet<NodeId>, envelope: &Envelope| {
            group.contains(&envelope.from) && group.contains(&envelope.to)
        };
        let connected: Vec<_> = first.iter().copied().collect();
        self.cluster.partition(&[&connected]);
        self.cluster.run(stickiness * 2);
        if !self.cluster.leaders().contains(&hub)
            || self.cluster.transfer_leadership(hub, Some(old)).is_err()
        {
            return;
        }
        self.deliver_all(|envelope| {
            within(&first, envelope) && !(envelope.from == old && envelope.is(Kind::Append))
        });
        self.cluster.deliver(|envelope| within(&first, envelope));
        self.cluster.cut(old, hub);
        self.deliver_all(|envelope| within(&first, envelope));
        if self.cluster.newest_leader() != Some(old) {
            return;
        }
        self.counters
            .count(Mark::CutOffLeaderBeforeItMeasuredRoundTrip);
        let connected: Vec<_> = second.iter().copied().collect();
        self.cluster.heal();
        self.cluster.partition(&[&connected]);
        for round in 0..12 {
            self.cluster.run(stickiness / 10);
            if !self.cluster.is_up(old) || !self.cluster.leaders().contains(&old) {
                return;
            }
            if let Some(new) = self.cluster.newest_leader().filter(|new| *new != old) {
                self.repeat_a_command(new);
                self.deliver_all(|envelope| within(&second, envelope));
            }
            self.cluster.read(old, ReadId(u64::MAX / 2 - round), true);
        }
    }
}
