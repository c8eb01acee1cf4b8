//! Attacks of a member with a valid key: well-formed messages that are lies.

use std::time::Instant;

use raftian_raft::{
    AppendEntries, AppendReply, AppendResult, Body, Index, InstallSnapshot, LogPosition,
    Membership, Message, Moment, NodeId, Probe, SnapshotName, SnapshotReply, SnapshotResult, Stamp,
    StateHash, Term,
};

use super::Case;
use super::attacker::{Attacker, EFFECT, PATIENCE, Target};

pub(super) const CASES: &[Case] = &[
    Case::new("votes that nobody asked for", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let term = Term(attacker.term().0 + 1);
            vec![
                (attacker.term(), Body::VoteReply { granted: true }),
                (attacker.term(), Body::PreVoteReply { granted: true }),
                (term, Body::PreVoteReply { granted: true }),
            ]
        }))
    }),
    Case::new("vote request of a far later term", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            vec![(
                Term(attacker.term().0 + 1_000_000),
                request_vote(attacker, false),
            )]
        }))
    }),
    Case::new("vote request of the last term", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            vec![(Term(u64::MAX), request_vote(attacker, false))]
        }))
    }),
    Case::new("pre-vote request of a later term", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let last = attacker.last();
            vec![(
                Term(attacker.term().0 + 5),
                Body::PreVote { last, priority: 9 },
            )]
        }))
    }),
    Case::new("order to stand for election", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            vec![(attacker.term(), Body::TimeoutNow)]
        }))
    }),
    Case::new(
        "claim that a follower lost entries",
        "ignored",
        |attacker| {
            Box::pin(lie(attacker, |attacker, _| {
                let acknowledged = attacker.commit();
                vec![(attacker.term(), Body::LostEntries { acknowledged })]
            }))
        },
    ),
    Case::new("second leader of the term", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let entries = AppendEntries {
                previous: attacker.last(),
                commit: Index(u64::MAX),
                probe: Some(probe(attacker)),
                round_trip: 0,
                entries: Vec::new(),
            };
            vec![(attacker.term(), Body::AppendEntries(entries))]
        }))
    }),
    Case::new("leader of an earlier term", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let entries = AppendEntries {
                previous: LogPosition::default(),
                commit: Index(0),
                probe: Some(probe(attacker)),
                round_trip: u32::MAX,
                entries: Vec::new(),
            };
            vec![(Term(0), Body::AppendEntries(entries))]
        }))
    }),
    Case::new(
        "acknowledgement of entries that do not exist",
        "ignored",
        |attacker| {
            Box::pin(lie(attacker, |attacker, _| {
                let far = Index(u64::MAX);
                let reply = AppendReply {
                    probe: Some(probe(attacker)),
                    result: AppendResult::Matched { up_to: far },
                    state: None,
                };
                vec![(attacker.term(), Body::AppendReply(reply))]
            }))
        },
    ),
    Case::new("false hash of the state", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let reply = AppendReply {
                probe: Some(probe(attacker)),
                result: AppendResult::Matched {
                    up_to: attacker.commit(),
                },
                state: Some(StateHash {
                    index: attacker.commit(),
                    hash: 0xdead,
                }),
            };
            vec![(attacker.term(), Body::AppendReply(reply))]
        }))
    }),
    Case::new(
        "snapshot from one who does not lead",
        "ignored",
        |attacker| {
            Box::pin(lie(attacker, |attacker, _| {
                vec![(attacker.term(), snapshot(attacker, 0, 1))]
            }))
        },
    ),
    Case::new("snapshot of 2^60 bytes", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            vec![(attacker.term(), snapshot(attacker, 0, 1 << 60))]
        }))
    }),
    Case::new(
        "2,000 parts of two snapshots in turn",
        "ignored",
        |attacker| {
            Box::pin(lie(attacker, |attacker, _| {
                let part = |number: u64| {
                    let size = 1_000_000 + number % 2;
                    (attacker.term(), snapshot(attacker, number * 100, size))
                };
                (0..2_000).map(part).collect()
            }))
        },
    ),
    Case::new(
        "answer to a snapshot that was not sent",
        "ignored",
        |attacker| {
            Box::pin(lie(attacker, |attacker, _| {
                let reply = |result| {
                    let reply = SnapshotReply {
                        probe: Some(probe(attacker)),
                        position: attacker.last(),
                        result,
                    };
                    (attacker.term(), Body::SnapshotReply(reply))
                };
                vec![
                    reply(SnapshotResult::Installed),
                    reply(SnapshotResult::Received(u64::MAX)),
                    reply(SnapshotResult::TooLarge { limit: 0 }),
                ]
            }))
        },
    ),
    Case::new("10,000 reads", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let read = |token| (attacker.term(), Body::Read { token });
            (0..10_000).map(read).collect()
        }))
    }),
    Case::new(
        "answers to reads that nobody asked",
        "ignored",
        |attacker| {
            Box::pin(lie(attacker, |attacker, _| {
                let answer = |token| {
                    let index = Some(Index(u64::MAX));
                    (attacker.term(), Body::ReadReply { token, index })
                };
                (0..100).map(answer).collect()
            }))
        },
    ),
    Case::new("another founding", "ignored", |attacker| {
        Box::pin(lie(attacker, |attacker, _| {
            let own = NodeId(4);
            let membership = Membership::new([own]).expect("one member");
            let incarnations = vec![(own, None)];
            vec![
                (Term(0), Body::Founded { membership }),
                (Term(0), Body::Founders { incarnations }),
                (
                    attacker.term(),
                    Body::Founded {
                        membership: Membership::new([own]).expect("one member"),
                    },
                ),
            ]
        }))
    }),
    Case::new(
        "messages in the name of another incarnation",
        "ignored",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let link = attacker.as_member(to).await;
                let mut message =
                    attacker.message(to, attacker.term(), request_vote(attacker, true));
                // The sender is the member that the certificate names; this names another one.
                message.sender = attacker.other_stolen().incarnation;
                attacker.send(&link, &[message]).await;
                tokio::time::sleep(EFFECT).await;
                outcome(attacker, to)
            })
        },
    ),
    Case {
        name: "leader of a later term that nobody elected",
        outcome: "another honest leader is elected",
        may_elect: true,
        attack: |attacker| Box::pin(depose(attacker)),
    },
];

/// Sends false messages to the leader and to a follower.
async fn lie(attacker: &Attacker, messages: fn(&Attacker, &Target) -> Vec<(Term, Body)>) -> String {
    for to in [attacker.leader(), attacker.follower()] {
        let link = attacker.as_member(to).await;
        let messages: Vec<Message> = messages(attacker, to)
            .into_iter()
            .map(|(term, body)| attacker.message(to, term, body))
            .collect();
        // Each message reaches the member, or there would be nothing to ignore.
        let expected = attacker.received(to) + messages.len() as u64;
        attacker.send(&link, &messages).await;
        let deadline = Instant::now() + PATIENCE;
        while attacker.received(to) < expected {
            if Instant::now() > deadline {
                return "not received".to_owned();
            }
            tokio::time::sleep(EFFECT / 80).await;
        }
        tokio::time::sleep(EFFECT).await;
        let outcome = outcome(attacker, to);
        if outcome != "ignored" {
            return outcome;
        }
    }
    "ignored".to_owned()
}

/// Whether the member still follows an honest leader, or leads, in its incarnation.
fn outcome(attacker: &Attacker, to: &Target) -> String {
    let view = attacker.control(to).view();
    let is_honest = view.status.leader.is_none_or(|leader| leader.0 <= 3);
    if !is_honest {
        return "follows the attacker".to_owned();
    }
    if view.status.incarnation != to.incarnation {
        return "begins another incarnation".to_owned();
    }
    "ignored".to_owned()
}

fn request_vote(attacker: &Attacker, transfer: bool) -> Body {
    Body::RequestVote {
        last: LogPosition {
            index: Index(u64::MAX),
            term: attacker.term(),
        },
        transfer,
        priority: 9,
    }
}

fn probe(attacker: &Attacker) -> Probe {
    Probe {
        term: attacker.term(),
        sent: Moment(0),
        round: u64::MAX,
    }
}

fn snapshot(attacker: &Attacker, offset: u64, size: u64) -> Body {
    let position = LogPosition {
        index: Index(attacker.last().index.0 + 1_000),
        term: attacker.term(),
    };
    Body::InstallSnapshot(Box::new(InstallSnapshot {
        name: SnapshotName {
            position,
            size,
            hash: 7,
        },
        stamp: Stamp(u64::MAX),
        membership: Membership::new((1..=5).map(NodeId)).expect("five members"),
        offset,
        bytes: Some(vec![0; 100].into()),
        repair: false,
        probe: probe(attacker),
    }))
}

/// One heartbeat of a later term takes a follower away, and with it the leader's term. A member
/// that cheats can do that; see `SECURITY.md`.
async fn depose(attacker: &Attacker) -> String {
    let to = attacker.follower();
    let term = Term(attacker.term().0 + 1);
    let heartbeat = AppendEntries {
        previous: LogPosition::default(),
        commit: Index(0),
        probe: None,
        round_trip: 0,
        entries: Vec::new(),
    };
    let message = attacker.message(to, term, Body::AppendEntries(heartbeat));
    let link = attacker.as_member(to).await;
    attacker.send(&link, &[message]).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = attacker.control(to).view().status;
        let is_honest = status.leader.is_some_and(|leader| leader.0 <= 3);
        if status.term >= term && is_honest {
            return "another honest leader is elected".to_owned();
        }
        if Instant::now() > deadline {
            return format!("{status:?}");
        }
        tokio::time::sleep(EFFECT / 20).await;
    }
}
