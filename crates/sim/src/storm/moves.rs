//! Machines that move to other addresses, and record them in the log of their match.

use std::collections::BTreeSet;

use raftian_node::contact::Contact;
use raftian_node::match_record::MatchRecord;
use raftian_node::match_request::MatchRequest;
use raftian_raft::{Change, Member, Membership, NodeId};

use super::{NotConverged, Run};
use crate::cluster::Simulation;
use crate::coverage::Mark;

impl Run {
    /// Moves a machine to another address.
    pub(super) fn move_any(&mut self) -> Option<String> {
        let id = self.any(Simulation::is_up)?;
        self.counters.count(Mark::MovedAddress);
        self.cluster.move_address(id);
        Some(format!("{id} moves to another address"))
    }

    /// Returns the request of a machine that finds another address of its own in the log.
    pub(super) fn request_of_a_moved_machine(
        &mut self,
        leader: NodeId,
        membership: &Membership,
    ) -> Option<(NodeId, MatchRequest)> {
        if !self.options.moves || !self.chance(0.5) {
            return None;
        }
        let moved = |cluster: &Simulation, id: NodeId| {
            let recorded = Contact::of(membership, id)
                .and_then(|contact| contact.addresses.first().map(|address| address.port()));
            let is_other = recorded.is_some_and(|port| port != cluster.port(id));
            cluster.is_up(id) && is_other && cluster.is_connected(leader, id)
        };
        let member = self.any(moved)?;
        let contact = self.contact(member);
        Some((member, MatchRequest::Record { member, contact }))
    }

    /// Moves every member of the core, which records its address each time, then lets all forget
    /// the addresses that they observed: by the log alone the core must elect another leader.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn move_all_in_turn(&mut self, core: &BTreeSet<NodeId>) -> Result<(), NotConverged> {
        let patience = self.options.election_timeout.1 * 80;
        let Some(leader) = self.cluster.newest_leader() else {
            return Ok(());
        };
        let membership = self.cluster.node(leader).membership().clone();
        let is_recorded = |id: &NodeId| Contact::of(&membership, *id).is_some();
        let is_sound = |id: &NodeId| {
            self.cluster.is_up(*id)
                && !self.cluster.is_paused(*id)
                && membership.member(*id).is_some_and(|member| {
                    member.incarnation == self.cluster.host(*id).incarnation()
                })
        };
        let movers: Vec<_> = core.iter().copied().filter(is_sound).collect();
        let is_quorum = membership.is_quorum(|id| movers.contains(&id));
        if MatchRecord::of(&membership).is_none()
            || !movers.iter().all(is_recorded)
            || !is_quorum
            || movers.len() < 2
        {
            return Ok(());
        }
        for id in &movers {
            self.cluster.move_address(*id);
            let Some(leader) = self.cluster.newest_leader() else {
                return Ok(());
            };
            let contact = self.contact(*id).encode().expect("a small contact");
            let record = Change::Record {
                contacts: vec![(*id, contact)],
                annex: None,
            };
            // A leader that stepped down for another reason records nothing.
            if self.cluster.change_membership(leader, record).is_err()
                || self
                    .cluster
                    .settle_among(patience, |id| core.contains(&id))
                    .is_err()
            {
                return Ok(());
            }
        }
        self.counters.count(Mark::MovedAllInTurn);
        self.cluster.forget_addresses();
        let next = movers
            .iter()
            .copied()
            .find(|id| *id != leader && membership.member(*id).is_some_and(Member::may_lead));
        if let (Some(leader), Some(next)) = (self.cluster.newest_leader(), next) {
            let transferred = self.cluster.transfer_leadership(leader, Some(next));
            // The members may have changed since.
            let _refused = transferred.is_err();
        }
        self.cluster.run(self.options.election_timeout.1 * 4);
        match self.cluster.settle_among(patience, |id| core.contains(&id)) {
            Ok(_) => Ok(()),
            Err(unsettled) => Err(NotConverged::NotFound { unsettled }),
        }
    }
}
