//! Members that join, leave, or cannot be reached: in the feed, and on the cities of their players.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::{AppliedLog, DisputeKind, RaftStatus};
use raftian_node::ballot::Measure;
use raftian_node::match_record::MatchRecord;
use raftian_node::wall_clock;
use raftian_raft::{Index, Membership, NodeId};
use raftian_realm::table::{PlayerId, Table};

use super::CrownsSystems;
use super::feed::{Feed, Tone};
use super::perspective::Perspective;
use crate::cluster_view::{ClusterView, MemberView};
use crate::divergence_report::CopyRepaired;
use crate::evidence::{FalseOrder, HistoriesContradict};
use crate::screens::Screen;
use crate::table::{ReplicatedTable, player_of};

/// Time without a connection after which a member is mentioned.
const MENTIONED_AFTER: Duration = Duration::from_secs(3);

/// A member of the match, as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    name: String,
    /// Time since which it cannot be reached.
    away_since: Option<Duration>,
    /// The feed mentions that it is away.
    is_mentioned: bool,
}

/// A vote against a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Vote {
    by: NodeId,
    member: NodeId,
    measure: Measure,
    /// Beginning of its ballot.
    since: u64,
}

/// Votes against members, as they were seen last, and the entry of the membership with them.
#[derive(Resource, Default)]
struct SeenVotes {
    votes: BTreeSet<Vote>,
    membership: Option<Index>,
}

/// The members of the match, as they were seen last.
#[derive(Resource, Clone, Default)]
struct Presence(BTreeMap<NodeId, Seen>);

/// Seats whose players cannot be reached.
#[derive(Resource, Default)]
pub(super) struct AwaySeats(pub(super) BTreeSet<u8>);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Presence>()
        .init_resource::<AwaySeats>()
        .init_resource::<SeenVotes>()
        .add_observer(note_repair)
        .add_observer(note_false_order)
        .add_observer(note_contradiction)
        .add_systems(OnEnter(Screen::Match), forget)
        // A vote comes before the removal that it decides.
        .add_systems(
            Update,
            (note_votes, follow).chain().in_set(CrownsSystems::Draw),
        );
}

fn forget(
    mut presence: ResMut<Presence>,
    mut away: ResMut<AwaySeats>,
    mut votes: ResMut<SeenVotes>,
) {
    presence.0.clear();
    away.0.clear();
    *votes = SeenVotes::default();
}

/// Mentions players who vote against a member.
fn note_votes(
    status: Res<RaftStatus>,
    cluster: Res<ClusterView>,
    perspective: Res<Perspective>,
    log: Res<AppliedLog>,
    mut seen: ResMut<SeenVotes>,
    mut feed: ResMut<Feed>,
) {
    let Some(view) = &status.view else { return };
    let at = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    let status = &view.status;
    for vote in seen.note(&status.membership, status.membership_index, wall_clock()) {
        // A member that two players vote on may be gone already.
        let name = |id| {
            let participant = log.roster.get(id);
            let name = participant.and_then(|participant| participant.name.clone());
            name.unwrap_or_else(|| cluster.name(id))
        };
        let [by, member] = [vote.by, vote.member].map(name);
        let words = match vote.measure {
            Measure::Remove => text!("{by} votes to remove {member} from the match.", by, member),
            Measure::Demote => text!("{by} votes to make {member} a spectator.", by, member),
        };
        feed.add(at, words, Tone::Consensus);
    }
}

impl SeenVotes {
    /// Notes the votes that count at `now` in the newest membership, and returns those that are new.
    /// The first ones are older than this view of the match.
    fn note(&mut self, membership: &Membership, index: Index, now: u64) -> Vec<Vote> {
        let before = self.membership.replace(index);
        if before == Some(index) {
            return Vec::new();
        }
        let ballots = MatchRecord::of(membership).map_or_else(Vec::new, |record| record.ballots);
        let open = ballots.iter().filter(|ballot| ballot.is_open(now));
        let votes = open.flat_map(|ballot| {
            let votes = ballot.votes.iter();
            votes.map(|by| Vote {
                by: *by,
                member: ballot.member,
                measure: ballot.measure,
                since: ballot.since,
            })
        });
        let votes: BTreeSet<_> = votes.collect();
        let new = votes.difference(&self.votes).copied();
        let new = new.filter(|_| before.is_some()).collect();
        self.votes = votes;
        new
    }

    /// Members that others want to remove.
    fn accused(&self) -> BTreeSet<NodeId> {
        let votes = self.votes.iter();
        let removals = votes.filter(|vote| vote.measure == Measure::Remove);
        removals.map(|vote| vote.member).collect()
    }
}

fn follow(
    cluster: Res<ClusterView>,
    status: Res<RaftStatus>,
    perspective: Res<Perspective>,
    table: Res<ReplicatedTable>,
    log: Res<AppliedLog>,
    time: Res<Time<Real>>,
    votes: Res<SeenVotes>,
    mut presence: ResMut<Presence>,
    mut away: ResMut<AwaySeats>,
    mut feed: ResMut<Feed>,
) {
    // Without a leader it is this machine that may be cut off, and the strip names who is missing.
    if status.leader().is_none() {
        return;
    }
    let at = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    for words in presence.note(&cluster.members, &votes.accused(), time.elapsed()) {
        feed.add(at, words, Tone::Consensus);
    }
    away.0 = presence.away_seats(&table.0, |member| player_of(&log, member));
}

impl Presence {
    /// Seats of the match whose player has no member that can be reached.
    fn away_seats(&self, table: &Table, player_of: impl Fn(NodeId) -> PlayerId) -> BTreeSet<u8> {
        let reachable = self.0.iter().filter(|(_, seen)| !seen.is_mentioned);
        let present: BTreeSet<_> = reachable
            .filter_map(|(member, _)| table.match_seat_of(player_of(*member)))
            .collect();
        let seats = (0..).zip(table.match_seats());
        let players = seats.filter(|(_, seat)| seat.player().is_some());
        let away = players.filter(|(seat, _)| !present.contains(seat));
        away.map(|(seat, _)| seat).collect()
    }

    /// Notes who is there, and returns a sentence for each change. Who is not there any more has not
    /// left by itself if it is among the `accused`.
    fn note(
        &mut self,
        members: &[MemberView],
        accused: &BTreeSet<NodeId>,
        now: Duration,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let is_first = self.0.is_empty();
        for member in members {
            let seen = self.0.entry(member.id).or_insert_with(|| {
                if !is_first {
                    lines.push(text!("{name} has joined the match.", name = member.name));
                }
                Seen {
                    name: member.name.clone(),
                    away_since: None,
                    is_mentioned: false,
                }
            });
            if member.up {
                if seen.is_mentioned {
                    lines.push(text!("{name} is back.", name = member.name));
                }
                (seen.away_since, seen.is_mentioned) = (None, false);
                continue;
            }
            let since = *seen.away_since.get_or_insert(now);
            if !seen.is_mentioned && now.saturating_sub(since) >= MENTIONED_AFTER {
                seen.is_mentioned = true;
                lines.push(text!(
                    "{name} cannot be reached. The match goes on.",
                    name = member.name
                ));
            }
        }
        self.0.retain(|id, seen| {
            let is_member = members.iter().any(|member| member.id == *id);
            if !is_member {
                lines.push(match seen.is_mentioned || accused.contains(id) {
                    true => text!("{name} is no longer in the match.", name = seen.name),
                    false => text!("{name} has left the match.", name = seen.name),
                });
            }
            is_member
        });
        lines
    }
}

/// Mentions that this machine's copy was replaced by that of the others.
fn note_repair(repaired: On<CopyRepaired>, perspective: Res<Perspective>, mut feed: ResMut<Feed>) {
    let at = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    let index = repaired.index;
    let mut words = text!(
        "This copy, up to #{index}, differed from that of the others and was replaced by theirs.",
        index
    );
    if let Some(report) = &repaired.report {
        words += " ";
        words += &text!("Report: {file}", file = report.display());
    }
    feed.add(at, words, Tone::Consensus);
}

/// Mentions that a leader let a false order through.
fn note_false_order(
    found: On<FalseOrder>,
    cluster: Res<ClusterView>,
    perspective: Res<Perspective>,
    mut feed: ResMut<Feed>,
) {
    if found.replayed {
        return;
    }
    let at = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    let name = cluster.name(found.member);
    let index = found.index;
    let mut words = text!(
        "An order in the name of {name} (#{index}) was false and has no effect.",
        name,
        index
    );
    if let Some(leader) = found.leader {
        words += " ";
        words += &text!(
            "{leader} led and let it through.",
            leader = cluster.name(leader)
        );
    }
    if let Some(report) = &found.report {
        words += " ";
        words += &text!("Report: {file}", file = report.display());
    }
    feed.add(at, words, Tone::Consensus);
}

/// Mentions that members contradict each other.
fn note_contradiction(
    found: On<HistoriesContradict>,
    cluster: Res<ClusterView>,
    perspective: Res<Perspective>,
    mut feed: ResMut<Feed>,
) {
    let at = perspective.game.as_ref().map_or(0, |game| game.elapsed());
    let [one, other] = found.members.map(|member| cluster.name(member));
    let index = found.index;
    let mut words = match found.kind {
        DisputeKind::TwoHistories => text!(
            "{one} signed two different histories of the match (#{index}).",
            one,
            index
        ),
        DisputeKind::Histories => text!(
            "{one} and {other} have different histories of the match (#{index}).",
            one,
            other,
            index
        ),
        DisputeKind::States => text!(
            "{one} and {other} have different states after the same orders (#{index}).",
            one,
            other,
            index
        ),
    };
    if let Some(report) = &found.report {
        words += " ";
        words += &text!("Report: {file}", file = report.display());
    }
    feed.add(at, words, Tone::Consensus);
}

#[cfg(test)]
mod tests {
    use raftian_node::ballot::Ballot;
    use raftian_node::ticket::MatchId;
    use raftian_raft::{Change, Incarnation, Standing};
    use raftian_realm::table::{Archetype, Command, Level, Origin, Setup};

    use super::*;

    fn members(up: &[(u64, bool)]) -> Vec<MemberView> {
        let view = |&(id, up): &(u64, bool)| MemberView {
            id: NodeId(id),
            name: format!("m{id}"),
            node: None,
            up,
            state: None,
        };
        up.iter().map(view).collect()
    }

    fn note(presence: &mut Presence, up: &[(u64, bool)], seconds: u64) -> Vec<String> {
        presence.note(&members(up), &BTreeSet::new(), Duration::from_secs(seconds))
    }

    #[test]
    fn votes_are_mentioned_once() {
        let record = |votes: &[u64], since| MatchRecord {
            id: MatchId([1; 16]),
            name: String::new(),
            rules: String::new(),
            next_member: 4,
            next_invite: 1,
            code: None,
            invites: Vec::new(),
            spectators: Vec::new(),
            ballots: vec![Ballot {
                member: NodeId(3),
                measure: Measure::Remove,
                voters: [1, 2].map(NodeId).to_vec(),
                votes: votes.iter().copied().map(NodeId).collect(),
                since,
            }],
        };
        let membership = |votes: &[u64], since| {
            let record = record(votes, since);
            let recorded = Change::Record {
                contacts: Vec::new(),
                annex: Some(record.encode().expect("a record within its bounds")),
            };
            let alone = Membership::of([(NodeId(1), Incarnation(1), Standing::Voter)]);
            alone.expect("a voter").after(&recorded).expect("a record")
        };
        let mut seen = SeenVotes::default();
        let vote = |by, since| Vote {
            by: NodeId(by),
            member: NodeId(3),
            measure: Measure::Remove,
            since,
        };
        // Given before this machine looked.
        assert_eq!(seen.note(&membership(&[1], 0), Index(5), 1), []);
        assert_eq!(seen.accused(), BTreeSet::from([NodeId(3)]));
        assert_eq!(seen.note(&membership(&[1], 0), Index(5), 1), []);
        let second = seen.note(&membership(&[1, 2], 0), Index(6), 1);
        assert_eq!(second, [vote(2, 0)]);
        assert_eq!(seen.note(&membership(&[], 0), Index(7), 1), []);
        // Votes of a ballot that has ended are no news; the same votes in another one are.
        assert_eq!(seen.note(&membership(&[1], 0), Index(8), 1000), []);
        let again = seen.note(&membership(&[1], 999), Index(9), 1000);
        assert_eq!(again, [vote(1, 999)]);
    }

    #[test]
    fn members_join_and_leave() {
        let mut presence = Presence::default();
        assert!(note(&mut presence, &[(1, true), (2, true)], 0).is_empty());
        let joined = note(&mut presence, &[(1, true), (2, true), (3, true)], 1);
        assert_eq!(joined, ["m3 has joined the match."]);
        let left = note(&mut presence, &[(1, true), (3, true)], 2);
        assert_eq!(left, ["m2 has left the match."]);
        // Voted out.
        let accused = BTreeSet::from([NodeId(3)]);
        let removed = presence
            .clone()
            .note(&members(&[(1, true)]), &accused, Duration::ZERO);
        assert_eq!(removed, ["m3 is no longer in the match."]);
        assert!(note(&mut presence, &[(1, true), (3, true)], 60).is_empty());
    }

    #[test]
    fn short_interruption_is_no_news() {
        let mut presence = Presence::default();
        let [here, away] = [true, false].map(|up| [(1, true), (2, up)]);
        assert!(note(&mut presence, &here, 0).is_empty());
        assert!(note(&mut presence, &away, 1).is_empty());
        assert!(note(&mut presence, &away, 3).is_empty());
        assert!(note(&mut presence, &here, 4).is_empty());
        assert!(note(&mut presence, &away, 5).is_empty());
        assert!(note(&mut presence, &away, 7).is_empty());
        let lost = note(&mut presence, &away, 8);
        assert_eq!(lost, ["m2 cannot be reached. The match goes on."]);
        assert!(note(&mut presence, &away, 9).is_empty());
        assert_eq!(note(&mut presence, &here, 10), ["m2 is back."]);
    }

    #[test]
    fn member_that_is_removed_while_away_has_not_left() {
        let mut presence = Presence::default();
        note(&mut presence, &[(1, true), (2, false)], 0);
        note(&mut presence, &[(1, true), (2, false)], 3);
        let removed = note(&mut presence, &[(1, true)], 10);
        assert_eq!(removed, ["m2 is no longer in the match."]);
    }

    /// Two players and a bot; the second player's member is away, and later removed.
    #[test]
    fn seat_is_away_while_its_player_has_no_member_that_can_be_reached() {
        let player_of = |member: NodeId| PlayerId([member.0 as u8; 16]);
        let mut table = Table::default();
        let begin = [
            (1, Command::Sit),
            (2, Command::Sit),
            (
                1,
                Command::AddBot {
                    level: Level::Recruit,
                    archetype: Archetype::Boom,
                },
            ),
            (1, Command::Ready(true)),
            (2, Command::Ready(true)),
            (1, Command::Start),
        ];
        for (member, command) in begin {
            let origin = Origin {
                player: player_of(NodeId(member)),
                member,
                stamp: 0,
                random: 1,
                round: 0,
            };
            assert_eq!(table.apply(&command, &origin), Ok(()), "{command:?}");
        }
        let mut presence = Presence::default();
        let away = |presence: &Presence| presence.away_seats(&table, player_of);
        let [here, gone] = [true, false].map(|up| [(1, true), (2, up)]);
        note(&mut presence, &here, 0);
        assert!(away(&presence).is_empty());
        note(&mut presence, &gone, 1);
        note(&mut presence, &gone, 3);
        assert!(away(&presence).is_empty());
        note(&mut presence, &gone, 4);
        assert_eq!(away(&presence), [1].into());
        note(&mut presence, &[(1, true)], 11);
        assert_eq!(away(&presence), [1].into());
        let mut sandbox = Table::default();
        let setup = Setup {
            is_sandbox: true,
            ..Setup::default()
        };
        let level = Level::Recruit;
        let archetype = Archetype::Boom;
        let begin = [
            Command::Configure(setup.into()),
            Command::Sit,
            Command::AddBot { level, archetype },
            Command::Start,
        ];
        for command in begin {
            let origin = Origin {
                player: player_of(NodeId(1)),
                member: 1,
                stamp: 0,
                random: 1,
                round: 0,
            };
            assert_eq!(sandbox.apply(&command, &origin), Ok(()), "{command:?}");
        }
        assert!(presence.away_seats(&sandbox, player_of).is_empty());
        note(&mut presence, &here, 12);
        assert!(away(&presence).is_empty());
    }
}
