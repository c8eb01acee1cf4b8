//! Players who join by invites, return, leave and change their standing, by the rules of admission
//! that live leaders follow.
//!
//! A machine keeps its id when it is admitted again, unlike a live player, who gets another one. So
//! some players have two machines with the same key, of which one may be a member at a time.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use raftian_node::address::Address;
use raftian_node::admission::{self, Balance, Step};
use raftian_node::ballot::Circumstances;
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
        if self.chance(0.2) {
            return self.balance_votes(leader, &membership);
        }
        let moved = self.request_of_a_moved_machine(leader, &membership);
        let (machine, request) = match moved {
            Some(request) => request,
            None => self.draw_request(&membership, &record)?,
        };
        let is_new_disk = self.is_new_disk(&membership, &request);
        let present: BTreeSet<_> = membership.members().map(|(id, _)| id).collect();
        // Half of the requests against a machine are its own; the others are votes.
        let by = match self.chance(0.5) {
            true => machine,
            false => self.any(|_, _| true).unwrap_or(machine),
        };
        let circumstances = Circumstances {
            by,
            present: &present,
            now: 0,
        };
        let step = admission::next_step(leader, &founding, &membership, &request, &circumstances);
        let done = match step {
            Step::Change(change) => {
                let is_record = matches!(change, Change::Record { .. });
                if is_record && matches!(request, MatchRequest::Remove { .. }) {
                    self.counters.count(Mark::VotedOnMember);
                }
                self.begin(leader, machine, &membership, change)?
            }
            Step::Transfer(to) => {
                let begun = self.cluster.transfer_leadership(leader, to);
                format!("a transfer to {to:?}: {begun:?}")
            }
            Step::Reply(reply) => {
                let mark = match &reply {
                    MatchReply::Refused(_) => Some(Mark::WasRefusedByMatch),
                    MatchReply::Admitted(_) if is_new_disk => {
                        Some(Mark::ReturnedToMatchWithNewDisk)
                    }
                    MatchReply::Admitted(_) => Some(Mark::ReturnedToMatch),
                    _ => None,
                };
                mark.into_iter().for_each(|mark| self.counters.count(mark));
                format!("{reply:?}")
            }
        };
        Some(format!("{leader} is asked {request:?}: {done}"))
    }

    /// Takes the leader's next step towards the wanted voters.
    fn balance_votes(&mut self, leader: NodeId, membership: &Membership) -> Option<String> {
        let status = self.cluster.node(leader).status();
        let peer = |id| status.peers.iter().find(|peer| peer.id == id);
        let patience = self.options.election_timeout.1 * 4;
        let step = admission::next_vote(
            leader,
            membership,
            |id| id == leader || peer(id).is_some_and(|peer| peer.silent_for < patience),
            |id| peer(id).map_or(0, |peer| peer.matched.0),
        );
        let done = match step? {
            Balance::Change(change) => {
                let done = self.begin(leader, leader, membership, change)?;
                self.counters.count(Mark::BalancedVotes);
                done
            }
            Balance::Transfer(to) => {
                self.counters.count(Mark::TransferredFromSpectator);
                let begun = self.cluster.transfer_leadership(leader, Some(to));
                format!("a transfer to {to}: {begun:?}")
            }
        };
        Some(format!("{leader} balances the votes: {done}"))
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
            ballots: Vec::new(),
        };
        // Machines that move have their addresses in the log, one for each player.
        let members = self.cluster.node(leader).membership().members();
        let second = self.options.shared_key.map(|(_, second)| second);
        let members: Vec<_> = members.map(|(id, _)| id).collect();
        let contacts = members
            .into_iter()
            .filter(|id| self.options.moves && Some(*id) != second);
        let contacts = contacts.map(|id| {
            let contact = self.contact(id).encode();
            (id, contact.expect("a small contact"))
        });
        let change = Change::Record {
            contacts: contacts.collect(),
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
        if let Some(request) = self.request_of_two_machines(membership, record) {
            return Some(request);
        }
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
                    contact: self.contact(machine),
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

    /// Sometimes removes the first machine of a player with two, and lets the player return on the
    /// second one.
    fn request_of_two_machines(
        &mut self,
        membership: &Membership,
        record: &MatchRecord,
    ) -> Option<(NodeId, MatchRequest)> {
        let (first, second) = self.options.shared_key?;
        if !self.admitted.contains(&first) || self.chance(0.7) {
            return None;
        }
        if membership.contains(first) {
            return Some((first, MatchRequest::Remove { member: first }));
        }
        let usable = |invite: &&Invite| invite.uses_left != Some(0);
        let admission = Admission {
            invite: record.invites.iter().find(usable)?.number,
            contact: self.contact(second),
            incarnation: self.cluster.host(second).incarnation(),
            part: Part::Player,
            clock: 0,
        };
        Some((second, MatchRequest::Admit(admission)))
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
                Change::Add { .. } => {
                    self.counters.count(Mark::JoinedByInvite);
                    if self.options.shared_key.is_some_and(|(first, second)| {
                        second == machine && self.admitted.contains(&first)
                    }) {
                        self.counters.count(Mark::ReturnedToMatchUnderAnotherId);
                    }
                    self.admitted.insert(machine);
                }
                Change::Record { contacts, .. } if !contacts.is_empty() => {
                    self.counters.count(Mark::RecordedAddress);
                }
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

    /// Returns whether a player asks again with another disk than the one that is a member.
    fn is_new_disk(&self, membership: &Membership, request: &MatchRequest) -> bool {
        let MatchRequest::Admit(Admission {
            contact,
            incarnation,
            ..
        }) = request
        else {
            return false;
        };
        let member = Contact::find(membership, contact.fingerprint);
        member
            .and_then(|id| membership.member(id))
            .is_some_and(|member| member.incarnation != *incarnation)
    }

    /// How the player of a machine is recognized, and where the machine is.
    pub(super) fn contact(&self, machine: NodeId) -> Contact {
        let player = match self.options.shared_key {
            Some((first, second)) if second == machine => first,
            _ => machine,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], self.cluster.port(machine)));
        let addresses = self.options.moves.then(|| Address::from(address));
        Contact {
            name: format!("player {}", player.0),
            fingerprint: Fingerprint::of(&player.0.to_be_bytes()),
            addresses: addresses.into_iter().collect(),
            key: None,
        }
    }
}

fn invites(annex: &Bytes) -> usize {
    raftian_node::wire::decode_value::<MatchRecord>(annex).map_or(0, |record| record.invites.len())
}
