//! A new match of one member, with the invites of its first ticket and of its code.

use raftian_node::code::Code;
use raftian_node::contact::Contact;
use raftian_node::fresh_secret;
use raftian_node::match_record::{Invite, MatchRecord};
use raftian_node::ticket::{MatchId, Secret};
use raftian_raft::{Incarnation, Membership, NodeId};

use super::{Exit, Failure};
use crate::replication::RULES;

/// Number of the invite in the first ticket.
const TICKET_INVITE: u32 = 1;

/// Number of the invite of the code.
const CODE_INVITE: u32 = 2;

/// Identity and secrets of a new match.
pub(super) struct NewMatch {
    pub(super) id: MatchId,
    pub(super) secret: Secret,
    /// None for a match that is not announced on the local network.
    pub(super) code: Option<Code>,
}

impl NewMatch {
    /// Draws a match; one that is `announced` gets a code.
    pub(super) fn draw(announced: bool) -> Result<Self, Failure> {
        let [a, b, c, d, e, ..] = random()?;
        Ok(NewMatch {
            id: MatchId(random()?),
            secret: Secret(random()?),
            code: announced.then_some(Code::new([a, b, c, d, e])),
        })
    }

    /// The invite in the ticket, for the member's file.
    pub(super) fn ticket_invite(&self) -> (u32, Secret) {
        (TICKET_INVITE, self.secret.clone())
    }

    /// Returns the founding membership: the one voter `id`, with its contact.
    pub(super) fn membership(
        &self,
        name: &str,
        (id, incarnation): (NodeId, Incarnation),
        contact: &Contact,
    ) -> Result<Membership, Failure> {
        let mut invites = vec![(TICKET_INVITE, self.secret.key())];
        invites.extend(self.code.map(|code| (CODE_INVITE, code.secret().key())));
        let invites = invites.into_iter().map(|(number, key)| Invite {
            number,
            key,
            uses_left: None,
            expires: None,
        });
        let record = MatchRecord {
            id: self.id,
            name: name.to_owned(),
            rules: RULES.to_owned(),
            next_member: id.0 + 1,
            next_invite: CODE_INVITE + 1,
            code: self.code.map(|code| (code.hint(), CODE_INVITE)),
            invites: invites.collect(),
        };
        record.founding(id, incarnation, contact).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot found the match: {error}"))
        })
    }
}

/// Returns cryptographically random bytes.
pub(super) fn random() -> Result<[u8; 16], Failure> {
    fresh_secret().map_err(|error| Failure::new(Exit::Unexpected, error))
}
