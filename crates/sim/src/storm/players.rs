//! Players who join by invites, return, leave and change their standing, by the rules of admission
//! that live leaders follow.
//!
//! A machine keeps its id when it is admitted again, unlike a live player, who gets another one.

use raftian_node::admission::{self, Step};
use raftian_node::cluster::Fingerprint;
use raftian_node::contact::Contact;
use raftian_node::match_record::{Invite, MatchRecord};
use raftian_node::match_request::{Admission, MatchReply, MatchRequest, Part};
use raftian_node::ticket::MatchId;
use raftian_raft::{Bytes, Change, Membership, NodeId, Standing};
use rand::RngExt;

use super::Run;
use crate::coverage::Mark;

/// Most players who may use one invite.
const MAX_USES: u32 = 3;

impl Run {
    /// Makes a request about the match at a leader.
    pub(super) fn ask_about_match(&mut self) -> Option<String> {
        let leader = *self.cluster.leaders().first()?;
        let node = self.cluster.node(leader);
        let (membership, founding) = (node.membership().clone(), node.config().membership.clone());
        let Some(record) = MatchRecord::of(&membership) else {
            return self.open_match(leader);
        };
        let (machine, request) = self.draw_request(&membership, &record)?;
        let step = admission::next_step(leader, &founding, &membership, &request, 0);
        let done = match step {
            Step::Change(change) => self.begin(leader, machine, &membership, change)?,
            Step::Transfer(to) => {
                let begun = self.cluster.transfer_leadership(leader, to);
                format!("a transfer to {to:?}: {begun:?}")
            }
            Step::Reply(reply) => {
                let mark = match &reply {
                    MatchReply::Refused(_) => Some(Mark::WasRefusedByMatch),
                    MatchReply::Admitted(_) => Some(Mark::ReturnedToMatch),
                    _ => None,
                };
                mark.into_iter().for_each(|mark| self.counters.count(mark));
                format!("{reply:?}")
            }
        };
        Some(format!("{leader} is asked {request:?}: {done}"))
    }

    /// Records a match, which players may join from then on.
    fn open_match(&mut self, leader: NodeId) -> Option<String> {
        let record = MatchRecord {
            id: MatchId([1; 16]),
            name: "storm".to_owned(),
            rules: String::new(),
            next_member: 1,
            next_invite: 1,
            code: None,
            invites: Vec::new(),
            spectators: Vec::new(),
        };
        let change = Change::Record {
            contacts: Vec::new(),
            annex: Some(record.encode().expect("a small record")),
        };
        let begun = self.cluster.change_membership(leader, change);
        Some(format!("{leader} is asked to record a match: {begun:?}"))
    }

    /// Draws a request, and the machine that makes it or that it is about.
    fn draw_request(
        &mut self,
        membership: &Membership,
        record: &MatchRecord,
    ) -> Option<(NodeId, MatchRequest)> {
        let machine = self.any(|_, _| true)?;
        let number = self.rng.random_range(0..=record.next_invite);
        let request = match self.rng.random_range(0..8) {
            0 | 1 => MatchRequest::Invite {
                // Two requests with the same key are one, made twice.
                key: [self.rng.random_range(0..8); 32],
                uses: Some(self.rng.random_range(1..=MAX_USES)),
                expires: None,
            },
            2 => MatchRequest::Revoke { number },
            3 => MatchRequest::Remove { member: machine },
            4 => MatchRequest::SetStanding {
                member: machine,
                standing: [Standing::Learner, Standing::Joining][self.rng.random_range(0..2)],
            },
            _ => {
                let newest = record.invites.last();
                let invite = newest.map_or(number, |Invite { number, .. }| *number);
                let part = [Part::Player, Part::Player, Part::Spectator];
                MatchRequest::Admit(Admission {
                    invite,
                    contact: contact(machine),
                    incarnation: self.cluster.host(machine).incarnation(),
                    part: part[self.rng.random_range(0..part.len())],
                    clock: 0,
                })
            }
        };
        // The key of a member that was there before the match is not recorded.
        let is_founder = membership.contains(machine) && membership.contact(machine).is_none();
        let admits = matches!(request, MatchRequest::Admit(_));
        (!(is_founder && admits)).then_some((machine, request))
    }

    /// Requests the change that fulfils a request, unless the cluster cannot bear it.
    fn begin(
        &mut self,
        leader: NodeId,
        machine: NodeId,
        membership: &Membership,
        change: Change,
    ) -> Option<String> {
        let change = match change {
            Change::Add {
                incarnation,
                standing,
                contact,
                annex,
                ..
            } => Change::Add {
                id: machine,
                incarnation,
                standing,
                contact,
                annex,
            },
            change => change,
        };
        let is_record = matches!(change, Change::Record { .. });
        if !is_record && !self.can_bear(leader, &change) {
            return None;
        }
        let begun = self.cluster.change_membership(leader, change.clone());
        if begun.is_ok() {
            let had = MatchRecord::of(membership).map_or(0, |record| record.invites.len());
            match &change {
                Change::Add { .. } => self.counters.count(Mark::JoinedByInvite),
                Change::Record { annex, .. } => self.counters.count(
                    if annex.as_ref().is_some_and(|annex| invites(annex) < had) {
                        Mark::RevokedInvite
                    } else {
                        Mark::RecordedInvite
                    },
                ),
                _ => {}
            }
        }
        Some(format!("{change:?}: {begun:?}"))
    }
}

fn invites(annex: &Bytes) -> usize {
    raftian_node::wire::decode_value::<MatchRecord>(annex).map_or(0, |record| record.invites.len())
}

/// How a machine's player is recognized.
fn contact(machine: NodeId) -> Contact {
    Contact {
        name: format!("player {}", machine.0),
        fingerprint: Fingerprint::of(&machine.0.to_be_bytes()),
        addresses: Vec::new(),
    }
}
