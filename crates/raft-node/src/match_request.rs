//! Requests about a match and its members, and their replies. A member that does not lead passes
//! them on to the leader, so each may be made at any member.
//!
//! Every request may be repeated: the leader does nothing for one that is fulfilled already. So a
//! request whose reply was lost is sent again without harm.

use std::net::SocketAddr;

use raftian_raft::{Incarnation, Index, Membership, NodeId, Standing};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::checkpoint::SignedCheckpoint;
use crate::cluster::Fingerprint;
use crate::contact::Contact;
use crate::signing::CommandKey;
use crate::ticket::MatchId;

/// Maximum length of [`JoinRequest::rules`] in bytes.
pub const MAX_RULES: usize = 512;

/// A request about a match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MatchRequest {
    /// Admits a player whose proof a member has checked.
    Admit(Admission),
    /// Creates an invite.
    Invite {
        /// SHA-256 of its secret.
        key: [u8; 32],
        /// How many players may join with it; `None` for any number.
        uses: Option<u32>,
        /// End of its validity, in seconds since 1970; `None` without end.
        expires: Option<u64>,
    },
    /// Revokes an invite.
    Revoke {
        /// Its number.
        number: u32,
    },
    /// Removes a member, or is a vote for that if it is another one that is present; see
    /// [`ballot`](crate::ballot). A leader that is asked to remove itself transfers leadership
    /// first.
    Remove {
        /// The member.
        member: NodeId,
    },
    /// Makes a member a candidate for a vote, or takes its vote away, on which the players vote as
    /// on a removal.
    SetStanding {
        /// The member.
        member: NodeId,
        /// [`Standing::Joining`] or [`Standing::Learner`].
        standing: Standing,
    },
    /// Transfers leadership.
    Transfer {
        /// The next leader; `None` for the best follower.
        to: Option<NodeId>,
        /// The leader that was asked first, which must not lead any longer.
        from: Option<NodeId>,
    },
    /// Records the contact of the member that sends it.
    Record {
        /// The member.
        member: NodeId,
        /// Its contact.
        contact: Contact,
    },
    /// Returns the contacts of the members as far as the asked member knows them.
    Contacts,
    /// Returns the address at which the asked member observes the one that asks.
    ObservedAddress,
    /// Returns the last entries in the logs of the members as far as the leader knows them.
    Progress,
    /// Checkpoints that the member that asks knows; returns those that the asked one knows.
    Checkpoints(Vec<SignedCheckpoint>),
}

/// A player to be admitted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Admission {
    /// Number of the invite that was used.
    pub invite: u32,
    /// How the player is recognized and reached.
    pub contact: Contact,
    /// Incarnation of the player's disk.
    pub incarnation: Incarnation,
    /// How the player takes part.
    pub part: Part,
    /// The player's clock, in seconds since 1970.
    pub clock: u64,
}

impl Admission {
    /// The player who made this request with the certificate of that hash.
    pub(crate) fn of(request: JoinRequest, fingerprint: Fingerprint) -> Self {
        Admission {
            invite: request.invite,
            contact: Contact {
                name: request.name,
                fingerprint,
                addresses: request.addresses,
                key: Some(request.key),
            },
            incarnation: request.incarnation,
            part: request.part,
            clock: request.clock,
        }
    }
}

/// How a member takes part in a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Part {
    /// It plays, and gets a vote once it keeps up.
    #[default]
    Player,
    /// It watches: the match never waits for it. It gets a vote only while two players need a third
    /// machine.
    Spectator,
    /// It votes, stores no orders and shows nothing: with it a match of two players goes on after a
    /// crash of one. It cannot lead.
    Witness,
}

/// Request on a connection of a player who asks to join.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum JoinerRequest {
    /// Returns the [`Description`] of the match, which anyone may see who reaches a member of a
    /// match with a code.
    Describe,
    /// Asks to be admitted.
    Join(JoinRequest),
}

/// Description of a match for a player who has its code. Members announce the same on the local
/// network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Its id.
    pub match_id: MatchId,
    /// Its name.
    pub name: String,
    /// Number of the code's invite.
    pub invite: u32,
}

/// Request of a player to be admitted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The match.
    pub match_id: MatchId,
    /// Number of the invite.
    pub invite: u32,
    /// Proof of the invite's secret for this connection; see [`crate::admission::proof`].
    pub proof: [u8; 32],
    /// Names and versions of the commands and states that the program replicates, at most
    /// [`MAX_RULES`] bytes. All programs of a match have the same.
    pub rules: String,
    /// The player's name.
    pub name: String,
    /// Key with which its commands are verified.
    pub key: CommandKey,
    /// Proof of that key for this connection; see [`CommandKey::is_proved`].
    pub key_proof: Vec<u8>,
    /// Addresses of its port.
    pub addresses: Vec<Address>,
    /// Incarnation of its disk.
    pub incarnation: Incarnation,
    /// How it takes part.
    pub part: Part,
    /// Its clock, in seconds since 1970.
    pub clock: u64,
}

/// Reply to a [`MatchRequest`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MatchReply {
    /// The player is a member.
    Admitted(Box<Admitted>),
    /// The invite is recorded under this number.
    Invited(u32),
    /// The request is fulfilled, and that is committed.
    Done,
    /// Contacts of members.
    Contacts(Vec<(NodeId, Contact)>),
    /// Last entries in the logs of members.
    Progress(Vec<(NodeId, Index)>),
    /// Address at which the asked member observes the one that asks; `None` if that one has not
    /// dialled it.
    ObservedAddress(Option<SocketAddr>),
    /// Description of the match.
    Described(Description),
    /// The asked member does not lead.
    NotLeader,
    /// The request cannot be fulfilled.
    Refused(Refusal),
    /// The request counts as a vote, and further players must agree.
    Voted {
        /// Number of votes.
        votes: usize,
        /// Number of votes that decide.
        needed: usize,
    },
    /// Checkpoints that the asked member knows.
    Checkpoints(Vec<SignedCheckpoint>),
}

/// Everything that a player needs to take part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Admitted {
    /// Its id.
    pub id: NodeId,
    /// The membership with which the match was founded.
    pub founding: Membership,
    /// The present membership.
    pub membership: Membership,
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The member plays another match.
    #[error("the members at these addresses play another match now; ask for a ticket of theirs")]
    OtherMatch,
    /// The match was not founded by a player whom others join.
    #[error(
        "this match has no record that invites could be kept in: it was created from files. Found \
         one that players join"
    )]
    NotJoinable,
    /// The match has no code.
    #[error("this match has no code; ask a member for a ticket")]
    NoCode,
    /// The invite does not exist.
    #[error(
        "there is no invite {0}: it was revoked, or never existed; ask a member for a fresh ticket"
    )]
    NoInvite(u32),
    /// The proof does not match the invite.
    #[error("the secret in the ticket is not that of invite {0}; ask a member for a fresh ticket")]
    WrongSecret(u32),
    /// The invite was used as often as it may be.
    #[error("invite {0} is used up; ask a member for a fresh ticket")]
    UsedUp(u32),
    /// The invite is no longer valid.
    #[error("invite {number} has expired{clocks}; ask a member for a fresh ticket")]
    Expired {
        /// Its number.
        number: u32,
        /// Remark about clocks that differ; empty if they agree.
        clocks: String,
    },
    /// The match has its maximum number of players.
    #[error("the match is full: it has {0} players. Join as a spectator")]
    Full(usize),
    /// There is a witness.
    #[error("the match has a witness already; a second one would not help")]
    HasWitness,
    /// The match has its maximum number of spectators.
    #[error("the match has {0} spectators already")]
    FullOfSpectators(usize),
    /// The programs of the match replicate other commands or states.
    #[error("{}; use the same build", other_rules(theirs, own))]
    OtherRules {
        /// Rules of the match.
        theirs: String,
        /// Rules of the player who asks.
        own: String,
    },
    /// Another member has the name.
    #[error("a member is named {0:?} already; choose another name")]
    NameTaken(String),
    /// The name cannot be used.
    #[error("the name {name:?} cannot be used: {reason}; choose another one")]
    InvalidName {
        /// The name.
        name: String,
        /// Reason.
        reason: String,
    },
    /// The match has its maximum number of invites.
    #[error("the match has {0} invites; revoke one first")]
    TooManyInvites(usize),
    /// There is no other voter.
    #[error("no other member has a vote yet, so the match would end; wait until one has")]
    LastVoter,
    /// The member that asks was removed.
    #[error("this member was removed from the match")]
    NotAMember,
    /// The match has no leader, or it did not commit the change in time.
    #[error("no majority of the match answered in time; the request may still take effect")]
    NoQuorum,
    /// The change is not possible.
    #[error("{0}")]
    Impossible(String),
    /// The request cannot be read.
    #[error("the request cannot be read: {0}")]
    Unreadable(String),
}

/// The rules in which a match and this build differ.
fn other_rules(theirs: &str, own: &str) -> String {
    match (beyond(theirs, own), beyond(own, theirs)) {
        (Some(theirs), Some(own)) => {
            format!("the match is played by {theirs}, but this build has {own}")
        }
        (Some(theirs), None) => {
            format!("the match is played by {theirs}, which this build does not have")
        }
        (None, Some(own)) => format!("this build has {own}, which the match does not have"),
        // The same ones in another order.
        (None, None) => format!("the match is played by {theirs}, but this build has {own}"),
    }
}

/// The words of `rules` that are not among `others`; `None` without any.
fn beyond(rules: &str, others: &str) -> Option<String> {
    let others: Vec<_> = others.split_whitespace().collect();
    let words = rules.split_whitespace();
    let more: Vec<_> = words.filter(|word| !others.contains(word)).collect();
    (!more.is_empty()).then(|| more.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_the_rules_that_differ() {
        let text = |theirs: &str, own: &str| {
            let [theirs, own] = [theirs, own].map(str::to_owned);
            Refusal::OtherRules { theirs, own }.to_string()
        };
        assert_eq!(
            text("orders/1 table/2 crowns:a", "orders/1 table/3 crowns:a"),
            "the match is played by table/2, but this build has table/3; use the same build"
        );
        assert_eq!(
            text("orders/1", "orders/1 extra/1"),
            "this build has extra/1, which the match does not have; use the same build"
        );
        assert_eq!(
            text("orders/1 extra/1", "orders/1"),
            "the match is played by extra/1, which this build does not have; use the same build"
        );
        assert!(text("a b", "b a").contains("by a b, but this build has b a"));
    }
}
