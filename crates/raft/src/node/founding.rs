//! Agreement of the founders on the incarnations of their disks, before a cluster's first term.
//!
//! An id does not identify a disk: a founder whose disk was set up again has forgotten its votes
//! and acknowledgements, and to the others it looks like the one that gave them. So each founder
//! keeps a durable record of the founders' ids and of the first incarnation that it receives from
//! each, and sends the record to all. The cluster is founded once all founders have sent the same
//! complete record, which is the founding membership. A disk that is set up again later learns that
//! membership from the others, finds another incarnation in its place, and does not count until a
//! leader admits it. A node that is no founder learns it in the same way.
//!
//! Two different memberships are never founded while one disk is kept: the founder with that disk
//! recorded one list of founders and one incarnation of each, and for a membership to be founded
//! each disk in it must have recorded the whole of it.
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
use crate::config::ConfigError;
use crate::event::{Decision, OwnDisk};
use crate::log::Log;
use crate::membership::{Membership, Standing};
use crate::message::Body;
use crate::planted::PlantedBug;
use crate::snapshot::LogStart;
use crate::types::{Incarnation, Moment, NodeId};

/// State of the agreement at one node.
#[derive(Clone, Debug)]
pub(super) struct Agreement {
    /// The founders with the first incarnation that this node received from each, its own included.
    record: BTreeMap<NodeId, Option<Incarnation>>,
    /// Other founders whose record is complete and equal to this node's.
    agreeing: BTreeSet<NodeId>,
    /// Alarms raised in this run, since the messages that cause them repeat.
    raised: BTreeSet<(NodeId, Conflict)>,
    /// When the record is sent next.
    next_round: Moment,
}

/// Kind of a conflict with another node that prevents an agreement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Conflict {
    List,
    Disk,
    Record,
}

impl Agreement {
    /// Begins the agreement among `founders`, or continues it with the record on disk.
    ///
    /// # Errors
    /// If the record is of other founders.
    pub(super) fn new(
        (own, incarnation): (NodeId, Incarnation),
        founders: &Membership,
        recorded: BTreeMap<NodeId, Option<Incarnation>>,
        now: Moment,
    ) -> Result<Self, ConfigError> {
        let listed = || founders.members().map(|(id, _)| id);
        if !recorded.is_empty() && !recorded.keys().copied().eq(listed()) {
            return Err(ConfigError::OtherFounders);
        }
        let mut record = recorded;
        for id in listed() {
            record.entry(id).or_default();
        }
        // A node that is no founder only learns the founding from the others.
        if let Some(known) = record.get_mut(&own) {
            *known = Some(incarnation);
        }
        Ok(Agreement {
            record,
            agreeing: BTreeSet::new(),
            raised: BTreeSet::new(),
            next_round: now,
        })
    }

    pub(super) fn next_round(&self) -> Moment {
        self.next_round
    }

    pub(super) fn record(&self) -> Founding {
        Founding::Pending(self.record.clone())
    }

    /// The founders that this node waits for.
    pub(super) fn awaited(&self, own: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.record
            .keys()
            .copied()
            .filter(move |id| *id != own && !self.agreeing.contains(id))
    }

    /// The founding membership, if every incarnation is known.
    fn complete(&self) -> Option<Membership> {
        let members: Option<Vec<_>> = self
            .record
            .iter()
            .map(|(id, incarnation)| Some((*id, (*incarnation)?, Standing::Voter)))
            .collect();
        Membership::of(members?).ok()
    }

    fn founders(&self) -> Vec<NodeId> {
        self.record.keys().copied().collect()
    }

    /// The first founder of which the other record holds another incarnation, with both.
    fn difference(
        &self,
        theirs: &[(NodeId, Option<Incarnation>)],
    ) -> Option<(NodeId, Incarnation, Incarnation)> {
        theirs.iter().find_map(|(id, incarnation)| {
            let theirs = (*incarnation)?;
            let mine = (*self.record.get(id)?)?;
            (mine != theirs).then_some((*id, mine, theirs))
        })
    }
}

/// Leaves out the moment of the next round.
impl Hash for Agreement {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Agreement {
            record,
            agreeing,
            raised,
            next_round: _,
        } = self;
        (record, agreeing, raised).hash(hasher);
    }
}

impl Node {
    /// Whether the cluster of this node is not founded yet: then it neither votes nor acknowledges.
    pub(super) fn is_founding(&self) -> bool {
        self.agreement.is_some()
    }

    /// Puts the record on disk before it is sent; founds the cluster at once if this node is its
    /// only founder.
    pub(super) fn begin_founding(&mut self) {
        if let Some(agreement) = &self.agreement {
            self.disk.set_founding(agreement.record());
        }
        self.found_if_agreed();
    }

    /// Sends this node's record to all other founders, if it is on disk; its write is followed by
    /// another round.
    pub(super) fn send_record(&mut self) {
        let next_round = self.now.after(self.config.heartbeat);
        let is_durable = self.disk.is_founding_durable();
        let Some(agreement) = &mut self.agreement else {
            return;
        };
        agreement.next_round = next_round;
        if !is_durable {
            return;
        }
        let incarnations: Vec<_> = agreement
            .record
            .iter()
            .map(|(id, incarnation)| (*id, *incarnation))
            .collect();
        for (founder, _) in &incarnations {
            if *founder != self.config.id {
                let incarnations = incarnations.clone();
                self.send(*founder, Body::Founders { incarnations });
            }
        }
    }

    /// Handles the record of another node. A node whose cluster is founded answers with the
    /// founding membership, which the sender may have lost with its disk.
    pub(super) fn on_founders(
        &mut self,
        from: NodeId,
        sender: Incarnation,
        theirs: &[(NodeId, Option<Incarnation>)],
    ) {
        if theirs.len() > Membership::MAX_MEMBERS {
            return self.ignore(from, "it lists more founders than a cluster has members");
        }
        let Some(agreement) = &mut self.agreement else {
            // The sender repeats its record, so an answer that is not durable yet is left out.
            if self.disk.is_founding_durable() {
                let membership = self.config.membership.clone();
                self.send(from, Body::Founded { membership });
            }
            return;
        };
        let their_founders = theirs.iter().map(|(id, _)| *id);
        if !agreement.record.keys().copied().eq(their_founders.clone()) {
            let decision = Decision::FoundersDiffer {
                from,
                founded: false,
                mine: agreement.founders(),
                theirs: their_founders.collect(),
            };
            return self.raise_once(from, Conflict::List, decision);
        }
        let known = match agreement.record.get_mut(&from) {
            // It is no founder, and there is nothing to learn from this node yet.
            None => return,
            Some(known) => known,
        };
        match *known {
            Some(known) if known != sender => {
                let decision = Decision::FounderReplaced {
                    founder: from,
                    known,
                    found: sender,
                };
                return self.raise_once(from, Conflict::Disk, decision);
            }
            Some(_) => {}
            None => {
                *known = Some(sender);
                // The next round follows once it is on disk.
                self.disk.set_founding(agreement.record());
            }
        }
        if let Some((founder, mine, theirs)) = agreement.difference(theirs) {
            let decision = Decision::RecordsDiffer {
                from,
                founder,
                mine,
                theirs,
            };
            return self.raise_once(from, Conflict::Record, decision);
        }
        let is_complete = agreement.complete().is_some() && theirs.iter().all(|(_, i)| i.is_some());
        if is_complete || self.config.has_planted(PlantedBug::FoundsWithoutAgreement) {
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
        if !agreement.record.keys().copied().eq(founders()) {
            let decision = Decision::FoundersDiffer {
                from,
                founded: true,
                mine: agreement.founders(),
                theirs: founders().collect(),
            };
            return self.raise_once(from, Conflict::List, decision);
        }
        let own = match membership.member(self.config.id) {
            None => OwnDisk::NoFounder,
            Some(member) if member.incarnation != self.incarnation => OwnDisk::Replaced,
            Some(_) if agreement.complete().as_ref() == Some(&membership) => OwnDisk::Founder,
            Some(_) => {
                // This disk is older than its own record: it was restored from a copy, and may have
                // lost a vote as well.
                let incarnation = self.draw_incarnation();
                self.disk.begin_incarnation(incarnation);
                OwnDisk::Replaced
            }
        };
        self.note(Decision::AdoptsFounding { from, own });
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

    /// From here on the node acts. Each message that it sends depends on a later write than the one
    /// with the founding membership, or implies no durable state.
    fn found(&mut self, membership: Membership) {
        self.agreement = None;
        self.disk.set_founding(Founding::Agreed(membership.clone()));
        self.log = Log::after(LogStart::default(), membership.clone());
        self.config.membership = membership;
        self.wait_for_leader();
    }

    /// Raises an alarm about `node` once in this run, because its messages repeat.
    fn raise_once(&mut self, node: NodeId, conflict: Conflict, decision: Decision) {
        let is_new = self
            .agreement
            .as_mut()
            .is_some_and(|agreement| agreement.raised.insert((node, conflict)));
        if is_new {
            self.note(decision);
        }
    }
}
