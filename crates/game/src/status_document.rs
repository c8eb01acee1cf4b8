//! The status of one member as a document, as text and as JSON.

mod checkpoints;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use bevy::prelude::*;
use bevy_raft::RaftStatus;
use raftian_node::address::Address;
use raftian_node::ballot::Measure;
use raftian_node::cluster::NodeConfig;
use raftian_node::contact::{self, Contact};
use raftian_node::match_record::MatchRecord;
use raftian_node::{NodeControl, wall_clock};
use raftian_raft::{FlowKind, Member, NodeId, Standing, Status};
use serde::{Deserialize, Serialize};

pub use self::checkpoints::{CheckpointDocument, CheckpointsDocument, DisputeDocument};
use crate::cluster_view::AppliedState;
use crate::realm::Realm;
use crate::table_document::TableDocument;
use crate::terminal::lost_lines;

/// Name and version of the JSON schema.
pub const SCHEMA: &str = "raftian.status/1";

/// The member that the document is about.
#[derive(Resource, Clone, Debug)]
pub struct OwnMember {
    /// Its configuration.
    pub config: NodeConfig,
    /// Its node.
    pub control: NodeControl,
}

impl OwnMember {
    /// Returns how each member is recognized and reached: by the membership of `node`, or else as
    /// the configuration lists it.
    pub fn contacts(&self, node: &Status) -> BTreeMap<NodeId, Contact> {
        let listed = self
            .config
            .members
            .iter()
            .map(|member| (member.id, member.contact()));
        let is_joined = MatchRecord::of(&node.membership).is_some();
        listed
            // Of a match that players join the configuration lists members that may have left.
            .filter(|(id, _)| !is_joined || node.membership.contains(*id))
            .chain(contact::contacts(&node.membership))
            .collect()
    }
}

/// Output of `raftian status --json`. Ids are numbers; times are in the unit that ends their name,
/// else in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusDocument {
    /// [`SCHEMA`].
    pub schema: String,
    /// Always true: a failure prints another document.
    pub ok: bool,
    /// Version of the program.
    pub version: String,
    /// Name of the cluster.
    pub cluster: String,
    /// The member's id.
    pub id: u64,
    /// The member's name.
    pub name: String,
    /// follower, pre-candidate, candidate or leader.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// The candidate it voted for in that term.
    pub vote: Option<u64>,
    /// The leader known to it, itself included.
    pub leader: Option<u64>,
    /// Its commit index.
    pub commit: u64,
    /// Last index applied to its state.
    pub applied: u64,
    /// Index of its last entry.
    pub last_index: u64,
    /// Term of its last entry.
    pub last_term: u64,
    /// Last index on its own disk.
    pub durable: u64,
    /// Last index that its newest snapshot covers; 0 without one.
    pub snapshot: u64,
    /// Last index that was compacted away from its log; 0 if the log is complete.
    pub log_after: u64,
    /// Incarnation of the member; it differs for each disk.
    pub incarnation: u64,
    /// Founders that it waits for before the match is founded; empty once it is.
    #[serde(default)]
    pub awaited_founders: Vec<u64>,
    /// Hash of its replicated state after `applied`, sixteen hexadecimal digits.
    pub state_hash: String,
    /// Signed checkpoints of the members. Empty in a cluster from files.
    #[serde(default)]
    pub checkpoints: CheckpointsDocument,
    /// Game clock of its last entry.
    pub stamp_ms: u64,
    /// Number of its own proposals without an outcome.
    pub pending: usize,
    /// The members according to its log, itself included.
    pub membership: MembershipDocument,
    /// Record of a match that players join; none for one that was created from files.
    #[serde(default)]
    pub record: Option<RecordDocument>,
    /// The other members.
    pub peers: Vec<PeerDocument>,
    /// Failed connection attempts: unknown keys, other builds, broken handshakes.
    pub refused_handshakes: u64,
    /// Number of lines that could not be written to its log.
    #[serde(default)]
    pub lost_log_lines: u64,
    /// Time since its start, in seconds.
    pub uptime: f64,
    /// The cities of classic mode and their health.
    pub cities: Vec<CityDocument>,
    /// The table of Crowns.
    #[serde(default)]
    pub table: Option<TableDocument>,
}

/// Another member, as seen by this one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerDocument {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether our connection to it is up.
    pub connected: bool,
    /// Whether it refuses our key, or runs another build.
    #[serde(default)]
    pub refused: bool,
    /// matchIndex, if this member leads.
    pub matched: Option<u64>,
    /// nextIndex, if this member leads.
    pub next: Option<u64>,
    /// Round trip of a heartbeat and its response, if this member leads.
    pub rtt_ms: Option<f64>,
    /// Time since its last response, if this member leads.
    pub silent_ms: Option<u64>,
    /// The snapshot being sent to it, if this member leads and sends one.
    pub snapshot: Option<TransferDocument>,
    /// The last entry acknowledged before it refused some of the acknowledged ones, if this member
    /// leads: its disk lost them, and it does not count until it has joined again under another
    /// incarnation.
    #[serde(default)]
    pub lost: Option<u64>,
}

/// Progress of a snapshot transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferDocument {
    /// Bytes that have arrived.
    pub received: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// The membership of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipDocument {
    /// Index of its entry; 0 for the founding members.
    pub index: u64,
    /// Whether the voters are changing: the old and the new ones decide together.
    pub joint: bool,
    /// The members.
    pub members: Vec<StandingDocument>,
}

/// Standing of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingDocument {
    /// Its id.
    pub id: u64,
    /// voter, witness, learner, joining, or leaving.
    pub standing: String,
    /// Whether it only watches. False for a member of a cluster from files.
    #[serde(default)]
    pub watches: bool,
    /// Ids of the players who vote for its removal.
    #[serde(default)]
    pub votes_to_remove: Vec<u64>,
    /// Ids of the players who vote for making it a spectator.
    #[serde(default)]
    pub votes_to_demote: Vec<u64>,
    /// Its earlier standing, while the voters are changing.
    pub before: Option<String>,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its name, if it is known.
    #[serde(default)]
    pub name: Option<String>,
    /// Hash of its certificate, if it is known.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Addresses at which it may be reached, the best first.
    #[serde(default)]
    pub addresses: Vec<Address>,
}

/// Record of a match that players join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDocument {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its invites.
    pub invites: Vec<InviteDocument>,
}

/// An invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteDocument {
    /// Its number.
    pub number: u32,
    /// How many players may still join with it; none for any number.
    pub uses_left: Option<u32>,
    /// End of its validity, in seconds since 1970; none without end.
    pub expires: Option<u64>,
}

impl From<MatchRecord> for RecordDocument {
    fn from(record: MatchRecord) -> Self {
        let invites = record.invites.iter().map(|invite| InviteDocument {
            number: invite.number,
            uses_left: invite.uses_left,
            expires: invite.expires,
        });
        RecordDocument {
            invites: invites.collect(),
            id: record.id.to_string(),
            name: record.name,
        }
    }
}

/// One city.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CityDocument {
    /// Its number.
    pub city: u8,
    /// Its hit points.
    pub health: i32,
    /// Whether it has fallen.
    pub dead: bool,
}

/// Returns the document of this member; `None` before its node has reported a status.
pub fn of(
    member: &OwnMember,
    status: &RaftStatus,
    state: AppliedState,
    pending: usize,
    realm: Option<&Realm>,
    table: Option<TableDocument>,
    uptime: Duration,
) -> Option<StatusDocument> {
    let view = status.view.as_ref()?;
    let node = &view.status;
    let members: Vec<_> = node.membership.members().map(|(id, _)| id).collect();
    let links = member.control.links();
    let contacts = member.contacts(node);
    let others = contacts
        .iter()
        .filter(|(other, _)| **other != member.config.id);
    let peers = others.map(|(other, contact)| {
        let progress = node.peers.iter().find(|peer| peer.id == *other);
        let address = contact.addresses.first();
        PeerDocument {
            id: other.0,
            name: contact.name.clone(),
            address: address.map_or("no address".to_owned(), ToString::to_string),
            connected: links.peer(*other).is_some_and(|link| link.connected()),
            refused: links.peer(*other).is_some_and(|link| link.is_refused()),
            matched: progress.map(|peer| peer.matched.0),
            next: progress.map(|peer| peer.next.0),
            rtt_ms: progress
                .and_then(|peer| peer.round_trip)
                .map(|rtt| rtt.as_secs_f64() * 1000.0),
            silent_ms: progress.map(|peer| millis(peer.silent_for)),
            lost: progress.and_then(|peer| peer.lost).map(|index| index.0),
            snapshot: progress.and_then(|peer| match peer.flow {
                FlowKind::Probe | FlowKind::Replicate => None,
                FlowKind::Snapshot { received, size } => Some(TransferDocument { received, size }),
            }),
        }
    });
    let cities = realm.map(|realm| {
        let city = |(city, health): (crate::realm::CityId, crate::realm::Health)| CityDocument {
            city: city.0,
            health: health.0,
            dead: health.is_dead(),
        };
        realm.cities().map(city).collect()
    });
    Some(StatusDocument {
        schema: SCHEMA.to_owned(),
        ok: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: member.config.cluster.clone(),
        id: member.config.id.0,
        name: member.config.name.clone(),
        role: node.role.name().to_owned(),
        term: node.term.0,
        vote: node.vote.map(|vote| vote.0),
        leader: node.leader.map(|leader| leader.0),
        commit: node.commit.0,
        applied: state.index.0,
        last_index: node.last.index.0,
        last_term: node.last.term.0,
        durable: node.durable.0,
        snapshot: node.snapshot.0,
        log_after: node.log_after.0,
        incarnation: node.incarnation.0,
        awaited_founders: node.awaited_founders.iter().map(|id| id.0).collect(),
        state_hash: format!("{:016x}", state.hash),
        checkpoints: CheckpointsDocument::of(&view.checkpoints, node.id, &members),
        stamp_ms: node.stamp.0,
        pending,
        membership: membership(node, &contacts),
        record: MatchRecord::of(&node.membership).map(RecordDocument::from),
        peers: peers.collect(),
        refused_handshakes: links.refused_handshakes(),
        lost_log_lines: lost_lines(),
        uptime: uptime.as_secs_f64(),
        cities: cities.unwrap_or_default(),
        table,
    })
}

fn membership(node: &Status, contacts: &BTreeMap<NodeId, Contact>) -> MembershipDocument {
    let word = |standing: Option<Standing>| standing_word(standing).to_owned();
    let record = MatchRecord::of(&node.membership);
    let (spectators, ballots) =
        record.map_or_else(default, |record| (record.spectators, record.ballots));
    let now = wall_clock();
    let votes = |id, measure| {
        let ballots = ballots.iter().filter(|ballot| {
            ballot.member == id && ballot.measure == measure && ballot.is_open(now)
        });
        let votes = ballots.flat_map(|ballot| &ballot.votes);
        votes.map(|id: &NodeId| id.0).collect()
    };
    let member = |(id, member): (NodeId, &Member)| StandingDocument {
        id: id.0,
        standing: word(member.standing),
        watches: spectators.contains(&id),
        votes_to_remove: votes(id, Measure::Remove),
        votes_to_demote: votes(id, Measure::Demote),
        before: member.outgoing.map(|before| word(Some(before))),
        incarnation: member.incarnation.0,
        name: contacts.get(&id).map(|contact| contact.name.clone()),
        fingerprint: contacts
            .get(&id)
            .map(|contact| contact.fingerprint.to_string()),
        addresses: contacts
            .get(&id)
            .map(|contact| contact.addresses.clone())
            .unwrap_or_default(),
    };
    MembershipDocument {
        index: node.membership_index.0,
        joint: node.membership.is_joint(),
        members: node.membership.members().map(member).collect(),
    }
}

/// Returns the name of a standing; `None` is that of a leaving member.
pub fn standing_word(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::Voter) => "voter",
        Some(Standing::Witness) => "witness",
        Some(Standing::Learner) => "learner",
        Some(Standing::Joining) => "joining",
        None => "leaving",
    }
}

impl StatusDocument {
    /// Whether its log lists the member `id`.
    pub fn has_member(&self, id: u64) -> bool {
        self.membership.members.iter().any(|member| member.id == id)
    }

    /// Standing of the member itself.
    fn standing(&self) -> Option<&str> {
        let mut members = self.membership.members.iter();
        let own = members.find(|member| member.id == self.id)?;
        Some(&own.standing)
    }

    /// Whether the member is a witness, which keeps no orders and no table.
    pub fn is_witness(&self) -> bool {
        self.standing() == Some("witness")
    }

    /// Formats the document as text: a few aligned lines.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let named = |id: u64| {
            let name = self
                .peers
                .iter()
                .find(|peer| peer.id == id)
                .map_or(&self.name, |peer| &peer.name);
            format!("{name} (n{id})")
        };
        let leader = self.leader.map_or("none".to_owned(), named);
        let awaited: Vec<_> = self.awaited_founders.iter().copied().map(named).collect();
        // Writing to a string cannot fail.
        let mut line = |label: &str, value: String| {
            let _ = writeln!(text, "{label:<11}{value}");
        };
        line(
            "member",
            format!("{} (n{}) of {}", self.name, self.id, self.cluster),
        );
        line(
            "role",
            format!("{} in term {}, leader {leader}", self.role, self.term),
        );
        if !awaited.is_empty() {
            line(
                "founding",
                format!(
                    "waits for {}; all founders must run at the same time",
                    awaited.join(", ")
                ),
            );
        }
        line(
            "log",
            format!(
                "last #{}, committed #{}, applied #{}",
                self.last_index, self.commit, self.applied
            ),
        );
        if self.snapshot > 0 {
            line(
                "snapshot",
                format!(
                    "up to #{}; the log begins after #{}",
                    self.snapshot, self.log_after
                ),
            );
        }
        let is_witness = self.is_witness();
        line(
            "state",
            if is_witness {
                "none: a witness keeps no orders".to_owned()
            } else {
                format!("{} after #{}", self.state_hash, self.applied)
            },
        );
        for (label, value) in self.checkpoints.lines() {
            line(label, value);
        }
        line("members", self.membership.to_text());
        line("uptime", format!("{:.1} s", self.uptime));
        if self.lost_log_lines > 0 {
            line(
                "log lines",
                format!("{} could not be written", self.lost_log_lines),
            );
        }
        for peer in &self.peers {
            let link = peer.link_text();
            let progress = match (peer.matched, peer.rtt_ms, &peer.snapshot) {
                (Some(_), _, Some(transfer)) => {
                    format!(", receiving a snapshot, {}%", transfer.percent())
                }
                (Some(matched), Some(rtt), None) => format!(", has #{matched}, {rtt:.1} ms"),
                (Some(matched), None, None) => format!(", has #{matched}"),
                (None, ..) => String::new(),
            };
            line(
                "peer",
                format!(
                    "{} (n{}) at {}, {link}{progress}",
                    peer.name, peer.id, peer.address
                ),
            );
        }
        let table = self
            .table
            .as_ref()
            .filter(|table| table.is_used() && !is_witness);
        if let Some(table) = table {
            for (label, value) in table.lines() {
                line(label, value);
            }
            return text;
        }
        for city in self.cities.iter().filter(|_| !is_witness) {
            let fallen = if city.dead { ", fallen" } else { "" };
            line("city", format!("P{} {} hp{fallen}", city.city, city.health));
        }
        text
    }
}

/// Silence from which a connected peer is reported as silent, in milliseconds: well above an
/// ordinary heartbeat interval.
const SILENT_FROM_MS: u64 = 1_000;

impl PeerDocument {
    fn link_text(&self) -> String {
        match (self.connected, self.refused, self.silent_ms) {
            // The connection may outlive the responses, for example to a paused node.
            (true, _, Some(ms)) if ms > SILENT_FROM_MS => {
                format!("silent {:.1} s", Duration::from_millis(ms).as_secs_f64())
            }
            (true, ..) => "connected".to_owned(),
            (false, true, _) => "refused: there is another key, or another build".to_owned(),
            (false, false, _) => "unreachable".to_owned(),
        }
    }
}

impl TransferDocument {
    fn percent(&self) -> u64 {
        self.received.saturating_mul(100) / self.size.max(1)
    }
}

impl MembershipDocument {
    /// Formats the members in one line; only standings other than voter are named.
    fn to_text(&self) -> String {
        let member = |member: &StandingDocument| match (member.standing.as_str(), &member.before) {
            ("voter", None) => format!("n{}", member.id),
            (standing, None) => format!("n{} {standing}", member.id),
            (standing, Some(before)) => format!("n{} {standing}, before {before}", member.id),
        };
        let members: Vec<_> = self.members.iter().map(member).collect();
        let changing = if self.joint {
            "; the voters are changing"
        } else {
            ""
        };
        format!("{}{changing}", members.join("; "))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_peer_without_responses_is_silent() {
        let text = |connected, silent_ms| {
            let peer = PeerDocument {
                id: 2,
                name: "m2".to_owned(),
                address: "127.0.0.1:8001".to_owned(),
                connected,
                refused: false,
                matched: None,
                next: None,
                rtt_ms: None,
                silent_ms,
                snapshot: None,
                lost: None,
            };
            peer.link_text()
        };
        assert_eq!(text(true, None), "connected");
        assert_eq!(text(true, Some(1_000)), "connected");
        assert_eq!(text(true, Some(3_140)), "silent 3.1 s");
        assert_eq!(text(false, Some(3_140)), "unreachable");
    }
}
