//! A new match of one member, with the invites of its first ticket and of its code.

use raftian_raft::{Incarnation, Membership, NodeId};

use super::PlayerError;
use crate::code::Code;
use crate::contact::Contact;
use crate::match_record::{Invite, MatchRecord};
use crate::random_ids::fresh_secret;
use crate::ticket::{MatchId, Secret};

/// Number of the invite in the first ticket.
const TICKET_INVITE: u32 = 1;

/// Number of the invite of the code.
const CODE_INVITE: u32 = 2;

/// Identity and secrets of a new match.
#[derive(Clone, Debug)]
pub struct NewMatch {
    /// Its id.
    pub id: MatchId,
    /// Secret of the first ticket.
    pub secret: Secret,
    /// Its code; `None` for a match that is not announced on the local network.
    pub code: Option<Code>,
}

impl NewMatch {
    /// Draws a match; one that is `announced` gets a code.
    ///
    /// # Errors
    /// If the system returns no random numbers.
    pub fn draw(announced: bool) -> Result<Self, PlayerError> {
        let random = || fresh_secret().map_err(PlayerError::Random);
        let [a, b, c, d, e, ..] = random()?;
        Ok(NewMatch {
            id: MatchId(random()?),
            secret: Secret(random()?),
            code: announced.then_some(Code::new([a, b, c, d, e])),
        })
    }

    /// The invite in the first ticket, for the founder's file.
    pub fn ticket_invite(&self) -> (u32, Secret) {
        (TICKET_INVITE, self.secret.clone())
    }

    /// Returns the founding membership: the one voter `id`, with its contact. `name` is that of the
    /// match.
    ///
    /// # Errors
    /// None for names and rules within their bounds.
    pub fn membership(
        &self,
        (name, rules): (&str, &str),
        (id, incarnation): (NodeId, Incarnation),
        contact: &Contact,
    ) -> Result<Membership, PlayerError> {
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
            rules: rules.to_owned(),
            next_member: id.0 + 1,
            next_invite: CODE_INVITE + 1,
            code: self.code.map(|code| (code.hint(), CODE_INVITE)),
            invites: invites.collect(),
            spectators: Vec::new(),
            ballots: Vec::new(),
        };
        Ok(record.founding(id, incarnation, contact)?)
    }
}
