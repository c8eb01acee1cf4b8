//! Attacks on a match that players join: false invites, and a player who changes what is others'.
//!
//! Three players; the key of one is then the attacker's. Each attack is refused with its reason,
//! and an order is committed after each.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use raftian_node::address::Address;
use raftian_node::admission::proof;
use raftian_node::chain::ChainHead;
use raftian_node::checkpoint::{Checkpoint, DisputeKind, MAX_KEPT, SignedCheckpoint};
use raftian_node::cluster::{Identity, NodeConfig};
use raftian_node::contact::Contact;
use raftian_node::match_record::MatchRecord;
use raftian_node::match_request::{
    JoinRequest, JoinerRequest, MatchReply, MatchRequest, Part, Refusal,
};
use raftian_node::player::{Invitation, LocalMember, MatchFolders, Player, found, join};
use raftian_node::quota::{BURST, RATE};
use raftian_node::signing::{CommandSigner, content};
use raftian_node::ticket::{MatchId, Ticket};
use raftian_node::{NodeHandle, Replica, fresh_incarnation, wire};
use raftian_raft::{
    Body, Bytes, ClientId, Command, Incarnation, Index, Membership, Message, NodeId, Payload,
    Standing,
};
use tokio::runtime::Runtime;

use super::attacker::{
    EFFECT, Link, client, dial, endpoint, join_protocol, member_protocol, verdict, within,
};

const WAIT: Duration = Duration::from_secs(60);

/// Rules of the match: any text that all programs share.
const RULES: &str = "test/1";

/// Time after which a member takes another list of checkpoints from one peer.
const TAKE_EVERY: Duration = Duration::from_secs(1);

/// Guesses of a secret.
const GUESSES: usize = 100;

/// A player with a node.
struct Member {
    node: NodeHandle,
    member: LocalMember,
}

struct Match {
    members: Vec<Member>,
    ticket: Ticket,
    orders: u64,
    _directory: tempfile::TempDir,
}

impl Match {
    /// A match of three voters.
    fn start() -> Match {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let founder = player(directory.path(), "Ada");
        let launch = found(&founder, Some("hostile"), false).expect("it can be founded");
        let (node, member) = launch.start(|_| {}).expect("the node starts");
        let mut ticket = None;
        eventually("the founder has a ticket", || {
            ticket = member.ticket();
            ticket.is_some()
        });
        let ticket = ticket.expect("it was just there");
        let mut members = vec![Member { node, member }];
        for name in ["Bo", "Cy"] {
            let player = player(directory.path(), name);
            let invitation = Invitation::Ticket(ticket.clone());
            let launch = join(&player, &invitation, Part::Player).expect("it is admitted");
            let (node, member) = launch.start(|_| {}).expect("the node starts");
            members.push(Member { node, member });
        }
        eventually("all three vote", || {
            members.iter().all(|one| {
                let membership = one.node.view().status.membership;
                membership.voters().count() == 3 && !membership.is_joint()
            })
        });
        Match {
            members,
            ticket,
            orders: 0,
            _directory: directory,
        }
    }

    fn config(&self, place: usize) -> &NodeConfig {
        self.members[place].member.config()
    }

    /// The request of a player with the ticket; `Ada` answers it, or passes it on.
    async fn ask_to_join(&self, change: impl FnOnce(&mut JoinRequest, &[u8; 32])) -> MatchReply {
        let identity = Identity::generate().expect("an identity");
        self.ask_to_join_as(&identity, change).await
    }

    async fn ask_to_join_as(
        &self,
        identity: &Identity,
        change: impl FnOnce(&mut JoinRequest, &[u8; 32]),
    ) -> MatchReply {
        let endpoint = endpoint();
        let config = client(Some(identity), vec![join_protocol()]);
        let to = self.config(0).listen;
        let connecting = endpoint.connect_with(config, to, Identity::SERVER_NAME);
        let connection = within(connecting.expect("an attempt")).await;
        let connection = connection.expect("anyone may ask to join");
        let mut binding = [0; 32];
        connection
            .export_keying_material(&mut binding, b"raftian join", b"")
            .expect("a secret of the session");
        let key = self.ticket.secret.key();
        let signer = CommandSigner::new(identity);
        let mut request = JoinRequest {
            match_id: self.ticket.match_id,
            invite: self.ticket.invite,
            proof: proof(&key, &binding, self.ticket.match_id, self.ticket.invite),
            rules: RULES.to_owned(),
            name: "Di".to_owned(),
            key: signer.key(),
            key_proof: signer.prove(&binding),
            addresses: vec![Address::from(SocketAddr::from(([127, 0, 0, 1], 9)))],
            incarnation: fresh_incarnation(),
            part: Part::Player,
            clock: 0,
        };
        change(&mut request, &binding);
        let link = Link {
            connection,
            endpoint,
        };
        ask(&link, &JoinerRequest::Join(request)).await
    }

    /// A request to the leader with the key of the last player.
    async fn ask_as_member(&self, request: &MatchRequest) -> MatchReply {
        let identity = &self.config(2).identity;
        loop {
            let leader = self.leader();
            let config = client(Some(identity), vec![member_protocol()]);
            let link = dial(config, self.config(leader).listen).await;
            match ask(&link.expect("a member is let in"), request).await {
                MatchReply::NotLeader => continue,
                reply => return reply,
            }
        }
    }

    /// Sends false checkpoints with the key of the last player, `third`, which are ignored, and then
    /// two that contradict each other: proof against it that reaches every other member.
    async fn sign_two_histories(&self, third: NodeId) {
        let own = CommandSigner::new(&self.config(2).identity);
        let outsider = CommandSigner::new(&Identity::generate().expect("an identity"));
        let cluster = self.config(0).cluster.as_str();
        let membership = self.members[0].node.view().status.membership;
        let disk = |id| (id, incarnation(&membership, id));
        let at = |head| Checkpoint {
            index: Index(256),
            head: ChainHead([head; 32]),
            state: 1,
        };
        let of_another = SignedCheckpoint::new(&own, cluster, disk(NodeId(1)), at(1));
        let good = SignedCheckpoint::new(&own, cluster, disk(third), at(1));
        let of_third_by_outsider = SignedCheckpoint::new(&outsider, cluster, disk(third), at(1));
        let ask = async |list| self.ask_as_member(&MatchRequest::Checkpoints(list)).await;
        for false_one in [
            of_another,
            of_third_by_outsider.clone(),
            SignedCheckpoint::new(&own, "another match", disk(third), at(1)),
            SignedCheckpoint::new(&own, cluster, (NodeId(99), Incarnation(1)), at(1)),
            SignedCheckpoint {
                checkpoint: at(2),
                ..good.clone()
            },
            SignedCheckpoint {
                signature: vec![0; 10_000],
                ..good.clone()
            },
        ] {
            assert_eq!(
                ask(vec![false_one; 3]).await,
                MatchReply::Checkpoints(Vec::new())
            );
            tokio::time::sleep(TAKE_EVERY).await;
        }
        // What follows many false ones is not read, and neither is a second list at once.
        let empty = MatchReply::Checkpoints(Vec::new());
        let mut many = vec![of_third_by_outsider; 8];
        many.push(good.clone());
        assert_eq!(ask(many).await, empty);
        assert_eq!(ask(vec![good.clone()]).await, empty);
        let flood = (1000..1300).map(|index| Checkpoint {
            index: Index(index),
            ..at(1)
        });
        let flood: Vec<_> = flood
            .map(|one| SignedCheckpoint::new(&own, cluster, disk(third), one))
            .collect();
        tokio::time::sleep(TAKE_EVERY).await;
        let MatchReply::Checkpoints(kept) = ask(flood).await else {
            panic!("a list is answered by a list");
        };
        assert_eq!(kept.len(), MAX_KEPT);
        let contradiction = vec![
            good,
            SignedCheckpoint::new(&own, cluster, disk(third), at(2)),
        ];
        tokio::time::sleep(TAKE_EVERY).await;
        ask(contradiction).await;
        let is_proved = |member: &Member| {
            let checkpoints = member.node.view().checkpoints;
            let disputes = checkpoints.disputes().iter();
            let kinds: Vec<_> = disputes
                .map(|one| (one.kind(), one.one.member, one.other.member))
                .collect();
            kinds == [(DisputeKind::TwoHistories, third, third)]
        };
        within(async {
            while !self.members[..2].iter().all(is_proved) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Forwards orders to the leader with the key of the last player, `third`: false ones, and then
    /// a true one, which alone is appended.
    async fn forward_false_orders(&self, third: NodeId) {
        let leader = &self.members[self.leader()].node;
        let status = leader.view().status;
        let to = self.config(self.leader());
        let identity = &self.config(2).identity;
        let match_id = self.ticket.match_id;
        let signed = sign(identity, (match_id, third), order(1, "gold for Mallory"));
        let altered = [&signed.bytes[..], b"!"].concat();
        let of_another = leader
            .view()
            .tail
            .into_iter()
            .find_map(|entry| match entry.payload {
                Payload::Command { command, member } if member != third => Some(command),
                _ => None,
            });
        let outsider = Identity::generate().expect("an identity");
        let forged = vec![
            order(1, "not signed"),
            order(1, "SGN1"),
            Command {
                bytes: altered.into(),
                ..signed.clone()
            },
            Command {
                sequence: 2,
                ..signed.clone()
            },
            Command {
                client: ClientId(7),
                ..signed.clone()
            },
            of_another.expect("an order of another player"),
            sign(&outsider, (match_id, third), order(1, "of an outsider")),
            sign(
                identity,
                (MatchId([0; 16]), third),
                order(1, "of another match"),
            ),
        ];
        let config = client(Some(identity), vec![member_protocol()]);
        let link = dial(config, to.listen).await.expect("a member is let in");
        let mut stream = within(link.connection.open_uni()).await.expect("a stream");
        for commands in [forged, vec![signed]] {
            let message = Message {
                term: status.term,
                sender: incarnation(&status.membership, third),
                receiver: incarnation(&status.membership, to.id),
                body: Body::Forward { commands },
            };
            let frame = wire::encode_message(&message).expect("a frame");
            within(stream.write_all(&frame)).await.expect("room");
        }
        // The connection needs this task to go on.
        within(async {
            while orders_of(leader, third).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(orders_of(leader, third), [b"gold for Mallory"]);
    }

    /// Forwards orders of the last player, `third`, as fast as the leader takes them: no more than
    /// its quota reach the log.
    async fn flood_with_orders(&self, third: NodeId) {
        const FLOOD: u64 = 20_000;
        let leader = &self.members[self.leader()].node;
        let status = leader.view().status;
        let to = self.config(self.leader());
        let identity = &self.config(2).identity;
        let orders = (2..=FLOOD)
            .map(|sequence| order(sequence, "flood"))
            .collect();
        let signed = CommandSigner::new(identity).sign(self.ticket.match_id, third, orders);
        let config = client(Some(identity), vec![member_protocol()]);
        let link = dial(config, to.listen).await.expect("a member is let in");
        let mut stream = within(link.connection.open_uni()).await.expect("a stream");
        let control = leader.control();
        let received = || {
            control
                .links()
                .peer(third)
                .map_or(0, |peer| peer.received())
        };
        let before = received();
        let begun = Instant::now();
        let messages = signed.chunks(500);
        let count = messages.len() as u64;
        for commands in messages {
            let message = Message {
                term: status.term,
                sender: incarnation(&status.membership, third),
                receiver: incarnation(&status.membership, to.id),
                body: Body::Forward {
                    commands: commands.to_vec(),
                },
            };
            let frame = wire::encode_message(&message).expect("a frame");
            within(stream.write_all(&frame)).await.expect("room");
        }
        within(async {
            while received() < before + count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let appended = || leader.view().status.last.index.0 - status.last.index.0;
        within(async {
            while appended() < BURST / 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        tokio::time::sleep(EFFECT).await;
        let appended = appended();
        let most = BURST + RATE * (begun.elapsed().as_secs() + 1);
        assert!(
            appended <= most,
            "{appended} orders were appended, more than {most}"
        );
    }

    /// Place of the leader, which is none of the attacker's.
    fn leader(&self) -> usize {
        let mut place = None;
        eventually("a leader", || {
            let views = self.members[..2].iter().map(|one| one.node.view().status);
            place = views
                .enumerate()
                .find(|(_, status)| status.leader == Some(status.id))
                .map(|(place, _)| place);
            place.is_some()
        });
        place.expect("it was just there")
    }

    /// Removes a member by the votes of the first two players.
    fn vote_out(&self, runtime: &Runtime, member: NodeId) {
        let mut replies = self.members[..2].iter().map(|voter| {
            let control = voter.node.control();
            let vote = control.request(MatchRequest::Remove { member });
            runtime.block_on(within(vote)).expect("a reply")
        });
        let first = replies.next();
        assert!(
            matches!(first, Some(MatchReply::Voted { .. } | MatchReply::Done)),
            "{first:?}"
        );
        assert_eq!(replies.next(), Some(MatchReply::Done));
    }

    /// Gives an order, and waits until it is committed.
    fn commits(&mut self) {
        self.orders += 1;
        let order = Command {
            client: ClientId(7),
            sequence: self.orders,
            bytes: Bytes::from(b"order".as_slice()),
        };
        let commit = self.members[0].node.view().status.commit;
        eventually("an order is committed", || {
            let node = &mut self.members[0].node;
            // The same order again is the same one.
            let _busy = node.propose(order.clone()).is_err();
            let mut committed = Vec::new();
            node.take_committed(1_000, &mut committed);
            node.view().status.commit > commit
        });
    }
}

fn order(sequence: u64, text: &str) -> Command {
    Command {
        client: ClientId(9),
        sequence,
        bytes: Bytes::from(text.as_bytes()),
    }
}

fn sign(identity: &Identity, (match_id, member): (MatchId, NodeId), order: Command) -> Command {
    let signer = CommandSigner::new(identity);
    signer.sign(match_id, member, vec![order]).remove(0)
}

fn incarnation(membership: &Membership, id: NodeId) -> Incarnation {
    membership.member(id).expect("a member").incarnation
}

/// The last orders in the log of a node that are in the name of a member, without signatures.
fn orders_of(node: &NodeHandle, member: NodeId) -> Vec<Vec<u8>> {
    let tail = node.view().tail.into_iter();
    let orders = tail.filter_map(|entry| match entry.payload {
        Payload::Command {
            command,
            member: by,
        } => (by == member).then(|| content(&command.bytes).to_vec()),
        _ => None,
    });
    orders.collect()
}

fn player(directory: &Path, name: &str) -> Player {
    Player {
        name: Some(name.to_owned()),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        addresses: Vec::new(),
        rules: RULES.to_owned(),
        folders: MatchFolders::inside(&directory.join(name)),
        directory: Some(directory.join(name).join("member")),
    }
}

async fn ask<T: serde::Serialize>(link: &Link, request: &T) -> MatchReply {
    let body = wire::encode_value(request).expect("a request");
    let (mut send, mut receive) = within(link.connection.open_bi()).await.expect("a stream");
    within(send.write_all(&body)).await.expect("room");
    send.finish().expect("the stream is open");
    let answer = within(receive.read_to_end(wire::MAX_FRAME)).await;
    wire::decode_value(&answer.expect("an answer")).expect("a reply")
}

fn eventually(what: &str, mut probe: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !probe() {
        assert!(Instant::now() < deadline, "not within {WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn refusal(reply: MatchReply) -> Refusal {
    match reply {
        MatchReply::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn players_without_a_right_are_refused() {
    let _alone = super::ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut game = Match::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let invite = game.ticket.invite;

    for guess in 0..GUESSES {
        let reply = runtime.block_on(game.ask_to_join(|request, _| {
            request.proof[guess % 32] ^= 1 + (guess / 32) as u8;
        }));
        assert_eq!(refusal(reply), Refusal::WrongSecret(invite));
    }
    game.commits();

    // The proof of another session, as a false member would replay it.
    let mut earlier = [0; 32];
    let reply = runtime.block_on(game.ask_to_join(|request, _| {
        earlier = request.proof;
        request.name = String::new();
    }));
    assert!(matches!(refusal(reply), Refusal::InvalidName { .. }));
    let reply = runtime.block_on(game.ask_to_join(|request, _| request.proof = earlier));
    assert_eq!(refusal(reply), Refusal::WrongSecret(invite));

    let reply = runtime.block_on(game.ask_to_join(|request, _| request.invite = 77));
    assert_eq!(refusal(reply), Refusal::NoInvite(77));
    let reply = runtime.block_on(game.ask_to_join(|request, _| request.match_id.0[0] ^= 1));
    assert_eq!(refusal(reply), Refusal::OtherMatch);
    let reply = runtime.block_on(game.ask_to_join(|request, _| {
        request.rules = "test/2".to_owned();
    }));
    assert!(matches!(refusal(reply), Refusal::OtherRules { .. }));
    let reply = runtime.block_on(game.ask_to_join(|request, _| request.name = "Bo".to_owned()));
    assert_eq!(refusal(reply), Refusal::NameTaken("Bo".to_owned()));
    // The public key of another player, without its private one.
    let of_ada = CommandSigner::new(&game.config(0).identity).key();
    let reply = runtime.block_on(game.ask_to_join(|request, _| request.key = of_ada));
    assert!(matches!(refusal(reply), Refusal::Impossible(_)));
    for name in ["a\u{0}b", "a\nb", &"long".repeat(100)] {
        let reply = runtime.block_on(game.ask_to_join(|request, _| {
            request.name = name.to_owned();
        }));
        assert!(
            matches!(refusal(reply), Refusal::InvalidName { .. }),
            "{name:?}"
        );
    }
    game.commits();
    let members = game.members[0]
        .node
        .view()
        .status
        .membership
        .members()
        .count();
    assert_eq!(members, 3, "nobody was admitted");

    // More addresses than a contact has room for: the first ones are recorded.
    let address = Address::from(SocketAddr::from(([127, 0, 0, 1], 9)));
    let reply = runtime.block_on(game.ask_to_join(|request, _| {
        request.addresses = vec![address.clone(); 1_000];
        request.part = Part::Spectator;
    }));
    let MatchReply::Admitted(admitted) = reply else {
        panic!("not admitted: {reply:?}");
    };
    let contact = Contact::of(&admitted.membership, admitted.id).expect("a contact");
    assert!(contact.addresses.len() <= 8, "{contact:?}");
    game.vote_out(&runtime, admitted.id);

    // The attacker has the key of the third player.
    game.members[2].node.control().kill();
    let victim = game.config(0);
    let membership = game.members[0].node.view().status.membership;
    let mut contact = Contact::of(&membership, NodeId(1)).expect("a contact");
    assert_eq!(contact.fingerprint, victim.identity.fingerprint());
    contact.name = "Mallory".to_owned();
    contact.addresses = vec![address.clone()];
    let reply = runtime.block_on(game.ask_as_member(&MatchRequest::Record {
        member: NodeId(1),
        contact: contact.clone(),
    }));
    let others = refusal(reply);
    assert!(
        others.to_string().contains("cannot change the contact"),
        "{others}"
    );
    // Nor a key of its own in place of the recorded one, nor a name that is taken.
    let third = game.members[2].member.config().id;
    let mut own = Contact::of(&membership, third).expect("a contact");
    let mut other_key = own.clone();
    other_key.fingerprint = Identity::generate().expect("an identity").fingerprint();
    let reply = runtime.block_on(game.ask_as_member(&MatchRequest::Record {
        member: third,
        contact: other_key,
    }));
    assert!(matches!(refusal(reply), Refusal::Impossible(_)));
    own.name = "Ada".to_owned();
    let reply = runtime.block_on(game.ask_as_member(&MatchRequest::Record {
        member: third,
        contact: own,
    }));
    assert_eq!(refusal(reply), Refusal::NameTaken("Ada".to_owned()));
    let reply = runtime.block_on(game.ask_as_member(&MatchRequest::Remove { member: NodeId(99) }));
    assert!(
        matches!(reply, MatchReply::Done | MatchReply::Refused(_)),
        "{reply:?}"
    );
    // It has one vote, and so removes nobody.
    for request in [
        MatchRequest::Remove { member: NodeId(1) },
        MatchRequest::SetStanding {
            member: NodeId(1),
            standing: Standing::Learner,
        },
    ] {
        for _ in 0..3 {
            let reply = runtime.block_on(game.ask_as_member(&request));
            let voted = MatchReply::Voted {
                votes: 1,
                needed: 2,
            };
            assert_eq!(reply, voted);
        }
    }
    game.commits();
    runtime.block_on(game.sign_two_histories(third));
    game.commits();
    runtime.block_on(game.forward_false_orders(third));
    game.commits();
    runtime.block_on(game.flood_with_orders(third));
    game.commits();

    // A removed player has no more rights than a stranger.
    game.vote_out(&runtime, third);
    let identity = &game.config(2).identity;
    eventually("its connections are closed", || {
        let config = client(Some(identity), vec![member_protocol()]);
        let dialled = runtime.block_on(dial(config, game.config(0).listen));
        verdict(dialled) == "closed after the handshake"
    });
    let reply = runtime.block_on(game.ask_to_join_as(identity, |request, _| {
        request.proof = [0; 32];
    }));
    assert_eq!(refusal(reply), Refusal::WrongSecret(invite));

    // A revoked invite, with its secret.
    let control = game.members[0].node.control();
    let revoked = control.request(MatchRequest::Revoke { number: invite });
    let reply = runtime.block_on(within(revoked)).expect("a reply");
    assert_eq!(reply, MatchReply::Done);
    let reply = runtime.block_on(game.ask_to_join(|_, _| {}));
    assert_eq!(refusal(reply), Refusal::NoInvite(invite));
    game.commits();
    let record = MatchRecord::of(&game.members[0].node.view().status.membership);
    let record = record.expect("it has a record");
    assert!(record.invites.iter().all(|one| one.number != invite));
}
