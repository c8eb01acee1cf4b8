//! Messages generated from choices: any that a member could send, whether or not they are true.

use raftian_raft::{
    AppendEntries, AppendReply, AppendResult, Body, Bytes, Change, ClientId, Command, Entry,
    Incarnation, Index, InstallSnapshot, LogPosition, Membership, Message, Moment, Node, NodeId,
    Payload, Probe, SnapshotName, SnapshotReply, SnapshotResult, Stamp, Standing, StateHash, Term,
};

use super::choices::Choices;

/// Generates a message to `node`. Most carry its term and incarnation and refer to positions in its
/// log, because it ignores most others.
pub(super) fn message(choices: &mut Choices<'_>, node: &Node) -> Message {
    let term = match choices.of(8) {
        0 => Term(choices.number()),
        1 | 2 => node.term().next(),
        3 => Term(node.term().0.saturating_sub(1)),
        _ => node.term(),
    };
    let incarnation = |choices: &mut Choices<'_>| {
        if choices.of(64) == 63 {
            Incarnation(choices.number())
        } else {
            Incarnation(0)
        }
    };
    let sender = incarnation(choices);
    let receiver = incarnation(choices);
    Message {
        term,
        sender,
        receiver,
        body: body(choices, node, term),
    }
}

fn body(choices: &mut Choices<'_>, node: &Node, term: Term) -> Body {
    match choices.of(16) {
        0 => Body::PreVote {
            last: position(choices, node),
            priority: choices.byte() % 3,
        },
        1 => Body::PreVoteReply {
            granted: choices.coin(),
        },
        2 => {
            let last = position(choices, node);
            let transfer = choices.coin();
            Body::RequestVote {
                last,
                transfer,
                priority: choices.byte() % 3,
            }
        }
        3 => Body::VoteReply {
            granted: choices.coin(),
        },
        4..=7 => Body::AppendEntries(append(choices, node, term)),
        8 | 9 => Body::AppendReply(append_reply(choices, node, term)),
        10 | 11 => Body::InstallSnapshot(part(choices, node, term).into()),
        12 => {
            let result = match choices.of(8) {
                0 => SnapshotResult::Stale,
                1 => SnapshotResult::TooLarge {
                    limit: choices.number(),
                },
                2 => SnapshotResult::TooOld {
                    base: Index(choices.number()),
                },
                3..=5 => SnapshotResult::Installed,
                _ => SnapshotResult::Received(choices.number()),
            };
            let probe = choices.maybe(|choices| probe(choices, term));
            Body::SnapshotReply(SnapshotReply {
                probe,
                position: position(choices, node),
                result,
            })
        }
        13 if choices.coin() => Body::LostEntries {
            acknowledged: Index(choices.number()),
        },
        13 if choices.coin() => founding(choices, node),
        13 => Body::TimeoutNow,
        14 => Body::Forward {
            commands: (0..choices.of(3)).map(|_| command(choices)).collect(),
        },
        _ if choices.coin() => Body::Read {
            token: choices.number(),
        },
        _ => Body::ReadReply {
            token: choices.number(),
            index: choices.maybe(Choices::number).map(Index),
        },
    }
}

/// Returns a message about the founding; half of them list the founders that the node knows.
fn founding(choices: &mut Choices<'_>, node: &Node) -> Body {
    let ids: Vec<NodeId> = if choices.coin() {
        node.membership().members().map(|(id, _)| id).collect()
    } else {
        (0..choices.of(4))
            .map(|_| NodeId(choices.number()))
            .collect()
    };
    if choices.coin() {
        let known = |choices: &mut Choices<'_>| Incarnation(choices.of(4) as u64);
        let incarnations = ids
            .into_iter()
            .map(|id| (id, choices.maybe(known)))
            .collect();
        return Body::Founders { incarnations };
    }
    let member = |id| (id, Incarnation(choices.of(4) as u64), Standing::Voter);
    match Membership::of(ids.into_iter().map(member)) {
        Ok(membership) => Body::Founded { membership },
        Err(_) => Body::TimeoutNow,
    }
}

/// Returns a position of the node's log, the one after its end, or an arbitrary one.
fn position(choices: &mut Choices<'_>, node: &Node) -> LogPosition {
    let last = node.last();
    match choices.of(4) {
        0 => LogPosition {
            term: Term(choices.number()),
            index: Index(choices.number()),
        },
        1 => last,
        2 => LogPosition {
            index: last.index.next(),
            ..last
        },
        _ => {
            let entries = node.entries_from(Index(0));
            let place = choices.of(entries.len() + 1);
            entries
                .get(place)
                .map_or(node.log_start().position, Entry::position)
        }
    }
}

fn probe(choices: &mut Choices<'_>, term: Term) -> Probe {
    let term = if choices.of(8) == 7 {
        Term(choices.number())
    } else {
        term
    };
    Probe {
        term,
        sent: Moment(choices.number()),
        round: choices.number(),
    }
}

fn append(choices: &mut Choices<'_>, node: &Node, term: Term) -> AppendEntries {
    let previous = position(choices, node);
    let stamp = if choices.of(8) == 0 {
        Stamp(choices.number())
    } else {
        Stamp(u64::from(choices.byte()))
    };
    let entry = |choices: &mut Choices<'_>, number: u64| Entry {
        // Consecutive terms pass validation; one entry in sixteen must not.
        term: if choices.of(16) == 15 {
            Term(choices.number())
        } else {
            term
        },
        index: Index(previous.index.0.wrapping_add(number)),
        stamp,
        payload: payload(choices),
    };
    let entries = (1..=choices.of(4) as u64)
        .map(|number| entry(choices, number))
        .collect();
    AppendEntries {
        previous,
        commit: if choices.coin() {
            node.last().index
        } else {
            Index(choices.number())
        },
        probe: choices.maybe(|choices| probe(choices, term)),
        round_trip: u32::from(choices.byte()) << choices.of(24),
        entries,
    }
}

fn append_reply(choices: &mut Choices<'_>, node: &Node, term: Term) -> AppendReply {
    let result = match choices.of(8) {
        0 => AppendResult::Stale,
        1..=4 => AppendResult::Conflict {
            refused: position(choices, node).index,
            hint: position(choices, node),
        },
        5 => AppendResult::Full {
            up_to: position(choices, node).index,
        },
        _ => AppendResult::Matched {
            up_to: position(choices, node).index,
        },
    };
    let state = |choices: &mut Choices<'_>| StateHash {
        index: Index(choices.number()),
        hash: choices.number(),
    };
    AppendReply {
        probe: choices.maybe(|choices| probe(choices, term)),
        result,
        state: choices.maybe(state),
    }
}

/// Generates a snapshot chunk, from a small complete snapshot to nonsense.
fn part(choices: &mut Choices<'_>, node: &Node, term: Term) -> InstallSnapshot {
    let position = position(choices, node);
    let bytes = choices.maybe(|choices| choices.bytes(6));
    let name = SnapshotName::of(position, bytes.as_deref().unwrap_or_default());
    let whole = choices.of(4) != 0;
    InstallSnapshot {
        name: if whole {
            name
        } else {
            SnapshotName {
                size: choices.number(),
                ..name
            }
        },
        stamp: Stamp(choices.number()),
        membership: membership(choices),
        offset: if whole { 0 } else { choices.number() },
        bytes: bytes.map(Bytes::from),
        repair: choices.of(4) == 0,
        probe: probe(choices, term),
    }
}

pub(super) fn payload(choices: &mut Choices<'_>) -> Payload {
    match choices.of(8) {
        0..=2 => Payload::Empty,
        3..=5 => Payload::Command {
            command: command(choices),
            member: NodeId(choices.number()),
        },
        6 => Payload::Membership(membership(choices)),
        _ => Payload::Withheld,
    }
}

pub(super) fn command(choices: &mut Choices<'_>) -> Command {
    let client = ClientId(choices.number());
    let sequence = choices.number();
    Command {
        client,
        sequence,
        bytes: choices.bytes(8).into(),
    }
}

fn standing(choices: &mut Choices<'_>) -> Standing {
    [
        Standing::Voter,
        Standing::Voter,
        Standing::Witness,
        Standing::Learner,
        Standing::Joining,
    ][choices.of(5)]
}

fn member(choices: &mut Choices<'_>) -> (NodeId, Incarnation, Standing) {
    let incarnation = if choices.of(32) == 31 {
        Incarnation(choices.number())
    } else {
        Incarnation(0)
    };
    (
        NodeId(1 + choices.of(5) as u64),
        incarnation,
        standing(choices),
    )
}

fn membership(choices: &mut Choices<'_>) -> Membership {
    let members: Vec<_> = (0..1 + choices.of(4)).map(|_| member(choices)).collect();
    let simple = Membership::of(members);
    let founding = || Membership::new([NodeId(1), NodeId(2), NodeId(3)]).expect("there are voters");
    // The drawn members may include no voter, which is not a membership.
    let membership = simple.unwrap_or_else(|_| founding());
    if choices.of(4) == 0 {
        membership.after(&change(choices)).unwrap_or(membership)
    } else {
        membership
    }
}

pub(super) fn change(choices: &mut Choices<'_>) -> Change {
    match choices.of(3) {
        0 => Change::Remove(NodeId(1 + choices.of(5) as u64)),
        1 => {
            let (id, incarnation, standing) = member(choices);
            Change::Set(id, incarnation, standing)
        }
        _ => Change::Replace((0..1 + choices.of(4)).map(|_| member(choices)).collect()),
    }
}
