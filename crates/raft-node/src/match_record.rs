//! Record of a match: its identity and invites, replicated with the membership as its annex.

use raftian_raft::{Bytes, Change, Incarnation, Membership, MembershipError, NodeId, Standing};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ballot::Ballot;
use crate::code::Hint;
use crate::contact::Contact;
use crate::ticket::{MatchId, Secret};
use crate::wire::{self, WireError};

/// Maximum number of members of a match that players join.
pub const MAX_PLAYERS: usize = 8;

/// Maximum number of invites that may be used. Used-up, expired and revoked ones do not count.
pub const MAX_INVITES: usize = 64;

/// Maximum number of spectators of a match.
pub const MAX_SPECTATORS: usize = 16;

/// Record of a match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MatchRecord {
    /// Identity of the match.
    pub id: MatchId,
    /// Name of the match.
    pub name: String,
    /// Names and versions of the commands and states that its programs replicate; see
    /// [`JoinRequest::rules`](crate::match_request::JoinRequest::rules).
    pub rules: String,
    /// Id of the next member. Ids are never used again.
    pub next_member: u64,
    /// Number of the next invite.
    pub next_invite: u32,
    /// Hint of the code that admits players on the local network, and the number of its invite.
    pub code: Option<(Hint, u32)>,
    /// Invites that may be used, at most [`MAX_INVITES`].
    pub invites: Vec<Invite>,
    /// Members that only watch, at most [`MAX_SPECTATORS`]; other learners wait for a vote.
    pub spectators: Vec<NodeId>,
    /// Votes on measures against members, at most [`MAX_BALLOTS`](crate::ballot::MAX_BALLOTS).
    pub ballots: Vec<Ballot>,
}

/// Why a record or contact cannot be that of a new match.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FoundingError {
    /// One of them cannot be encoded.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// One of them exceeds its bounds.
    #[error(transparent)]
    Membership(#[from] MembershipError),
}

/// Permission to join for everyone who knows a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invite {
    /// Number of the invite in its match.
    pub number: u32,
    /// SHA-256 of the secret.
    pub key: [u8; 32],
    /// How many players may still join with it; `None` for any number.
    pub uses_left: Option<u32>,
    /// End of its validity on the leader's clock, in seconds since 1970; `None` without end.
    pub expires: Option<u64>,
}

impl MatchRecord {
    /// Encodes the record as an annex.
    ///
    /// # Errors
    /// None for a record within its bounds.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        wire::encode_value(self).map(Bytes::from)
    }

    /// Returns the record of the match with this membership; `None` if it has none.
    pub fn of(membership: &Membership) -> Option<Self> {
        wire::decode_value(membership.annex()).ok()
    }

    /// Returns the membership with which the match is founded by one member.
    ///
    /// # Errors
    /// None for a record and a contact within their bounds.
    pub fn founding(
        &self,
        id: NodeId,
        incarnation: Incarnation,
        contact: &Contact,
    ) -> Result<Membership, FoundingError> {
        let recorded = Change::Record {
            contacts: vec![(id, contact.encode()?)],
            annex: Some(self.encode()?),
        };
        let alone = Membership::of([(id, incarnation, Standing::Voter)])?;
        Ok(alone.after(&recorded)?)
    }

    /// Returns the invite with this number, used up or not.
    pub fn invite(&self, number: u32) -> Option<&Invite> {
        self.invites.iter().find(|invite| invite.number == number)
    }
}

impl Secret {
    /// Returns the hash of the secret, which the match records.
    pub fn key(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ballot::{MAX_BALLOTS, Measure};

    #[test]
    fn largest_record_fits_the_annex() {
        let invite = Invite {
            number: u32::MAX,
            key: [0xff; 32],
            uses_left: Some(u32::MAX),
            expires: Some(u64::MAX),
        };
        let ballot = Ballot {
            member: NodeId(u64::MAX),
            measure: Measure::Demote,
            voters: vec![NodeId(u64::MAX); MAX_PLAYERS],
            votes: vec![NodeId(u64::MAX); MAX_PLAYERS],
            since: u64::MAX,
        };
        let record = MatchRecord {
            id: MatchId([0xff; 16]),
            name: "\u{10348}".repeat(crate::cluster::MAX_NAME),
            rules: "r".repeat(crate::match_request::MAX_RULES),
            next_member: u64::MAX,
            next_invite: u32::MAX,
            code: Some((Hint([0xff; 4]), u32::MAX)),
            invites: vec![invite; MAX_INVITES],
            spectators: vec![NodeId(u64::MAX); MAX_SPECTATORS],
            ballots: vec![ballot; MAX_BALLOTS],
        };
        assert!(record.encode().unwrap().len() <= Membership::MAX_ANNEX);
    }
}
