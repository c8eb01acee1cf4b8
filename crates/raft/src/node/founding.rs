//! Agreement of the founders on the incarnations of their disks, before a cluster's first term.
//!
//! Founders that know each other by id alone must not act on that: a founder whose disk was set up
//! again has forgotten its votes and acknowledgements, and to the others it looks like the one that
//! gave them. So each founder records durably the first incarnation that it receives from every
//! other one, and sends its record to all. The cluster is founded once all founders have sent the
//! same complete record, which is the founding membership. A disk that is set up again later learns
//! that membership from the others, finds another incarnation in its place, and does not count
//! until a leader admits it. A node that is no founder learns it in the same way.
//!
//! Two different memberships are never founded while one disk is kept: the founder with that disk
//! recorded one incarnation of each other founder, and for a membership to be founded each disk in
//! it must have recorded the whole of it.
//!
//! Decision: every founder must take part. Why: with a majority, a disk that is set up again and a
//! founder that starts late could found a second time, without the founder that holds the first
//! membership. Would change if: founders were added by the log from one founder on, as a match that
//! is joined by invitation does; then no agreement is needed at all.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use super::Node;
use crate::actions::Founding;
use crate::event::Decision;
use crate::log::Log;
use crate::membership::{Membership, Standing};
use crate::message::Body;
use crate::planted::PlantedBug;
use crate::snapshot::LogStart;
use crate::types::{Incarnation, Moment, NodeId};

/// State of the agreement at one founder.
#[derive(Clone, Debug)]
pub(super) struct Agreement {
    /// The founders with the first incarnation that this node received from each, its own included.
    incarnations: BTreeMap<NodeId, Option<Incarnation>>,
    /// Other founders whose record is complete and equal to this node's.
    agreeing: BTreeSet<NodeId>,
    /// Founders about which an alarm was raised, since their messages repeat.
    reported: BTreeSet<NodeId>,
    /// When the record is sent next.
    next_round: Moment,
}

impl Agreement {
    /// Begins or continues the agreement among `founders` with what is on disk.
    pub(super) fn new(
        own: (NodeId, Incarnation),
        founders: &Membership,
        recorded: &BTreeMap<NodeId, Incarnation>,
        now: Moment,
    ) -> Self {
        let mut incarnations: BTreeMap<_, _> = founders
            .members()
            .map(|(id, _)| (id, recorded.get(&id).copied()))
            .collect();
        // A node that is no founder only learns the founding from the others.
        if let Some(known) = incarnations.get_mut(&own.0) {
            *known = Some(own.1);
        }
        Agreement {
            incarnations,
            agreeing: BTreeSet::new(),
            reported: BTreeSet::new(),
            next_round: now,
        }
    }

    pub(super) fn next_round(&self) -> Moment {
        self.next_round
    }

    /// The founders that this node waits for.
    pub(super) fn awaited(&self, own: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.incarnations
            .keys()
            .copied()
            .filter(move |id| *id != own && !self.agreeing.contains(id))
    }

    /// The founding membership, if every incarnation is known.
    fn complete(&self) -> Option<Membership> {
        let members: Option<Vec<_>> = self
            .incarnations
            .iter()
            .map(|(id, incarnation)| Some((*id, (*incarnation)?, Standing::Voter)))
            .collect();
        Membership::of(members?).ok()
    }

    fn record(&self) -> BTreeMap<NodeId, Incarnation> {
        let known =
            |(id, incarnation): (&NodeId, &Option<Incarnation>)| Some((*id, (*incarnation)?));
        self.incarnations.iter().filter_map(known).collect()
    }
}

/// Leaves out the moment of the next round.
impl Hash for Agreement {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Agreement {
            incarnations,
            agreeing,
            reported,
            next_round: _,
        } = self;
        (incarnations, agreeing, reported).hash(hasher);
    }
}

impl Node {
    /// Whether the cluster of this node is not founded yet: then it neither votes nor acknowledges.
    pub(super) fn is_founding(&self) -> bool {
        self.agreement.is_some()
    }

    /// Founds the cluster at once if this node is its only founder.
    pub(super) fn begin_founding(&mut self) {
        self.found_if_agreed();
    }

    /// Sends this node's record to all other founders, once it is on disk.
    pub(super) fn send_record(&mut self) {
        let next_round = self.now.after(self.config.heartbeat);
        let Some(agreement) = &mut self.agreement else {
            return;
        };
        agreement.next_round = next_round;
        let incarnations: Vec<_> = agreement
            .incarnations
            .iter()
            .map(|(id, incarnation)| (*id, *incarnation))
            .collect();
        for (founder, _) in &incarnations {
            if *founder != self.config.id {
                let incarnations = incarnations.clone();
                self.send_after_persist(*founder, Body::Founders { incarnations });
            }
        }
    }

    /// Handles the record of another founder. A node whose cluster is founded answers with the
    /// founding membership, which the sender may have lost with its disk.
    pub(super) fn on_founders(
        &mut self,
        from: NodeId,
        sender: Incarnation,
        theirs: &[(NodeId, Option<Incarnation>)],
    ) {
        let any_record_counts = self.config.has_planted(PlantedBug::FoundsWithoutAgreement);
        let Some(agreement) = &mut self.agreement else {
            let membership = self.config.membership.clone();
            return self.send_after_persist(from, Body::Founded { membership });
        };
        if !agreement
            .incarnations
            .keys()
            .eq(theirs.iter().map(|(id, _)| id))
        {
            let mine = agreement.incarnations.keys().copied().collect();
            let theirs = theirs.iter().map(|(id, _)| *id).collect();
            return self.report_once(from, Decision::FoundersDiffer { from, mine, theirs });
        }
        let Some(known) = agreement.incarnations.get_mut(&from) else {
            // It is no founder, and there is nothing to learn from this node yet.
            return;
        };
        match *known {
            Some(known) if known != sender => {
                let decision = Decision::FounderReplaced {
                    founder: from,
                    known,
                    found: sender,
                };
                return self.report_once(from, decision);
            }
            Some(_) => {}
            None => {
                *known = Some(sender);
                let record = agreement.record();
                self.disk.set_founding(Founding::Pending(record));
                // At once, so that founding takes few rounds.
                self.send_record();
            }
        }
        let Some(agreement) = &mut self.agreement else {
            return;
        };
        let is_equal = agreement
            .incarnations
            .iter()
            .map(|(id, incarnation)| (*id, *incarnation))
            .eq(theirs.iter().copied());
        if (is_equal && agreement.complete().is_some()) || any_record_counts {
            agreement.agreeing.insert(from);
        }
        self.found_if_agreed();
    }

    /// Adopts the founding membership of a cluster that is founded already.
    pub(super) fn on_founded(&mut self, from: NodeId, membership: Membership) {
        let Some(agreement) = &self.agreement else {
            return;
        };
        let founders = || membership.members().map(|(id, _)| id);
        if !agreement.incarnations.keys().copied().eq(founders()) {
            let mine = agreement.incarnations.keys().copied().collect();
            let theirs = founders().collect();
            return self.report_once(from, Decision::FoundersDiffer { from, mine, theirs });
        }
        let is_own = membership
            .member(self.config.id)
            .is_some_and(|member| member.incarnation == self.incarnation);
        // With this node's incarnation it was founded by this node's record, among others.
        if is_own && agreement.complete().as_ref() != Some(&membership) {
            return self.ignore(from, "this node never recorded that founding membership");
        }
        self.note(Decision::AdoptsFounding { from, is_own });
        self.found(membership);
    }

    fn found_if_agreed(&mut self) {
        let Some(agreement) = &self.agreement else {
            return;
        };
        if agreement.awaited(self.config.id).next().is_some() {
            return;
        }
        let Some(membership) = agreement.complete() else {
            return;
        };
        self.note(Decision::Founds {
            founders: membership.members().len(),
        });
        self.found(membership);
    }

    /// From here on the node acts. Everything that it sends depends on a later write than the one
    /// with the founding membership, or implies no durable state.
    fn found(&mut self, membership: Membership) {
        self.agreement = None;
        self.disk.set_founding(Founding::Agreed(membership.clone()));
        self.log = Log::after(LogStart::default(), membership.clone());
        self.config.membership = membership;
        self.wait_for_leader();
    }

    /// Notes an alarm about `founder` once in this run, because its messages repeat.
    fn report_once(&mut self, founder: NodeId, decision: Decision) {
        let is_new = self
            .agreement
            .as_mut()
            .is_some_and(|agreement| agreement.reported.insert(founder));
        if is_new {
            self.note(decision);
        }
    }
}
