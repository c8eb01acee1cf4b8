//! Attacks with the bytes of a member's streams.

use std::time::{Duration, Instant};

use quinn::VarInt;
use raftian_node::match_request::MatchReply;
use raftian_node::wire;
use raftian_raft::{Body, ClientId, Command, Message};

use super::Case;
use super::attacker::{Attacker, EFFECT, Link, PATIENCE, Target, within};

pub(super) const CASES: &[Case] = &[
    Case::new("frame of 4 GiB", "stream stopped", |attacker| {
        Box::pin(sent(attacker, |_| vec![0xff; 4]))
    }),
    Case::new(
        "frame of one byte more than allowed",
        "stream stopped",
        |attacker| {
            Box::pin(sent(attacker, |_| {
                let size = wire::MAX_FRAME as u32 + 1;
                size.to_le_bytes().to_vec()
            }))
        },
    ),
    Case::new("frame of length 0", "stream stopped", |attacker| {
        Box::pin(sent(attacker, |_| vec![0; 4]))
    }),
    Case::new("frame that ends too early", "ignored", |attacker| {
        Box::pin(sent(attacker, |mut frame| {
            frame.pop();
            frame
        }))
    }),
    Case::new("bytes after the message", "stream stopped", |attacker| {
        Box::pin(sent(attacker, |frame| lengthened(frame, &[0; 3])))
    }),
    Case::new("unknown kind of message", "stream stopped", |attacker| {
        Box::pin(sent(attacker, |frame| {
            let size = frame.len();
            let mut frame = frame;
            // The last byte of this message is whether a vote is granted.
            frame[size - 1] = 0x7f;
            frame
        }))
    }),
    Case::new(
        "number longer than it may be",
        "stream stopped",
        |attacker| {
            Box::pin(sent(attacker, |frame| {
                // The version, and a number that claims 16 bytes and has eight.
                let mut body = vec![frame[4], 254];
                body.extend([0xff; 8]);
                framed(&body)
            }))
        },
    ),
    Case::new("frame of another version", "stream stopped", |attacker| {
        Box::pin(sent(attacker, |mut frame| {
            frame[4] = frame[4].wrapping_add(1);
            frame
        }))
    }),
    Case::new(
        "claim of four billion entries",
        "stream stopped",
        |attacker| {
            Box::pin(sent(attacker, |frame| {
                let mut body = frame[4..frame.len() - 2].to_vec();
                // Forward, and a length of its list.
                body.extend([9, 253, 0xff, 0xff, 0xff, 0xff]);
                framed(&body)
            }))
        },
    ),
    Case::new(
        "a byte every 50 ms on every stream",
        "members get through",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let link = attacker.as_member(to).await;
                let frame = wire::encode_message(&vote(attacker, to)).expect("a frame");
                let mut streams = Vec::new();
                while let Ok(stream) =
                    tokio::time::timeout(EFFECT, link.connection.open_uni()).await
                {
                    streams.push(stream.expect("the connection stands"));
                    if streams.len() > 64 {
                        return "streams are not bounded".to_owned();
                    }
                }
                for byte in frame.iter().take(16) {
                    for stream in &mut streams {
                        let _stopped = stream.write_all(&[*byte]).await.is_err();
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                reached(attacker, to).await
            })
        },
    ),
    Case::new(
        "200 streams, one after the other",
        "members get through",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let link = attacker.as_member(to).await;
                for _ in 0..200 {
                    let mut stream = attacker.send(&link, &[vote(attacker, to)]).await;
                    let _stopped = stream.finish().is_err();
                }
                reached(attacker, to).await
            })
        },
    ),
    Case::new(
        "streams that are reset at once",
        "members get through",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let link = attacker.as_member(to).await;
                for _ in 0..200 {
                    let mut stream = within(link.connection.open_uni()).await.expect("a stream");
                    let _stopped = stream.write_all(&[1, 2, 3]).await.is_err();
                    let _stopped = stream.reset(VarInt::from_u32(7)).is_err();
                }
                reached(attacker, to).await
            })
        },
    ),
    Case::new(
        "member that reads nothing",
        "members get through",
        |attacker| {
            Box::pin(async {
                // The leader sends heartbeats and entries to its followers.
                let to = attacker.leader();
                let _link = attacker.as_member(to).await;
                tokio::time::sleep(4 * EFFECT).await;
                reached(attacker, to).await
            })
        },
    ),
    Case::new(
        "half a frame of 1 MiB on every stream",
        "members get through",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let link = attacker.as_member(to).await;
                let size = (wire::MAX_FRAME as u32).to_le_bytes();
                let mut streams = Vec::new();
                while let Ok(stream) =
                    tokio::time::timeout(EFFECT, link.connection.open_uni()).await
                {
                    let mut stream = stream.expect("the connection stands");
                    let _stopped = stream.write_all(&size).await.is_err();
                    let half = vec![0; wire::MAX_FRAME / 2];
                    let _full = tokio::time::timeout(EFFECT, stream.write_all(&half))
                        .await
                        .is_err();
                    streams.push(stream);
                    if streams.len() > 64 {
                        return "streams are not bounded".to_owned();
                    }
                }
                reached(attacker, to).await
            })
        },
    ),
    Case::new(
        "garbage in place of requests",
        "refused with a reason",
        |attacker| {
            Box::pin(async {
                let link = attacker.as_member(attacker.leader()).await;
                let mut last = String::new();
                for size in 0..16 {
                    last = asked(&link, &vec![0xff; 4 * size]).await;
                }
                last
            })
        },
    ),
    Case::new(
        "16 MiB of orders in frames of 1 MiB",
        "members get through",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let link = attacker.as_member(to).await;
                let commands = (0..8).map(|sequence| Command {
                    client: ClientId(0x666),
                    // Not the next one of its client, so that none is taken into the log.
                    sequence: 1_000 + sequence,
                    bytes: vec![1; 64 * 1024].into(),
                });
                let body = Body::Forward {
                    commands: commands.collect(),
                };
                let message = attacker.message(to, attacker.term(), body);
                for _ in 0..32 {
                    let sent = attacker.send(&link, std::slice::from_ref(&message));
                    // The member reads no more than it can keep.
                    let _slow = tokio::time::timeout(EFFECT, sent).await.is_err();
                }
                reached(attacker, to).await
            })
        },
    ),
    Case::new(
        "50 connections of one member",
        "members get through",
        |attacker| {
            Box::pin(async {
                let to = attacker.leader();
                let mut links = Vec::new();
                for _ in 0..50 {
                    links.push(attacker.as_member(to).await);
                }
                reached(attacker, to).await
            })
        },
    ),
];

/// Sends a request on a stream of its own, and describes the answer.
pub(super) async fn asked(link: &Link, request: &[u8]) -> String {
    let (mut send, mut receive) = within(link.connection.open_bi()).await.expect("a stream");
    let _stopped = send.write_all(request).await.is_err();
    let _stopped = send.finish().is_err();
    let Ok(answer) = within(receive.read_to_end(wire::MAX_FRAME)).await else {
        return "not answered".to_owned();
    };
    match wire::decode_value::<MatchReply>(&answer) {
        Ok(MatchReply::Refused(_)) => "refused with a reason".to_owned(),
        answer => format!("answered: {answer:?}"),
    }
}

/// A message that a member may send at any time, without an effect.
pub(super) fn vote(attacker: &Attacker, to: &Target) -> Message {
    let body = Body::VoteReply { granted: false };
    attacker.message(to, attacker.term(), body)
}

/// Sends a frame that `spoil` has changed, and observes its stream and its connection.
async fn sent(attacker: &Attacker, spoil: fn(Vec<u8>) -> Vec<u8>) -> String {
    let to = attacker.leader();
    let link = attacker.as_member(to).await;
    let frame = wire::encode_message(&vote(attacker, to)).expect("a frame");
    let malformed = || {
        let counters = attacker.control(to).links();
        let member = counters.peer(attacker.stolen().config.id);
        member.map_or(0, |member| member.decode_errors())
    };
    let before = malformed();
    let mut stream = within(link.connection.open_uni()).await.expect("a stream");
    let _stopped = stream.write_all(&spoil(frame)).await.is_err();
    let _stopped = stream.finish().is_err();
    let deadline = Instant::now() + EFFECT;
    while malformed() == before && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if link.connection.close_reason().is_some() {
        return "connection closed".to_owned();
    }
    match malformed() - before {
        0 => "ignored".to_owned(),
        _ => "stream stopped".to_owned(),
    }
}

/// Whether a message of the same member gets through, on another connection.
pub(super) async fn reached(attacker: &Attacker, to: &Target) -> String {
    let link = attacker.as_member(to).await;
    let before = attacker.received(to);
    attacker.send(&link, &[vote(attacker, to)]).await;
    let deadline = Instant::now() + PATIENCE;
    while attacker.received(to) == before {
        if Instant::now() > deadline {
            return "members do not get through".to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    "members get through".to_owned()
}

/// The frame with more bytes at its end.
fn lengthened(frame: Vec<u8>, more: &[u8]) -> Vec<u8> {
    let mut body = frame[4..].to_vec();
    body.extend(more);
    framed(&body)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend(body);
    frame
}
