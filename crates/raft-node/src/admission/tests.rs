mod ballots;
mod voters;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;

use raftian_raft::Incarnation;

use super::*;
use crate::cluster::{Fingerprint, Identity};
use crate::signing::CommandSigner;
use crate::ticket::Secret;

const SECRET: Secret = Secret([7; 16]);
const MATCH: MatchId = MatchId([1; 16]);
const NOW: u64 = 1_000_000;
const ADA: NodeId = NodeId(1);

fn contact(name: &str) -> Contact {
    Contact {
        name: name.to_owned(),
        fingerprint: Fingerprint::of(name.as_bytes()),
        addresses: vec![SocketAddr::from(([10, 0, 0, 1], 7777)).into()],
        key: None,
    }
}

/// A match of one founder with an invite of these properties.
fn founded(uses_left: Option<u32>, expires: Option<u64>) -> Membership {
    let record = MatchRecord {
        id: MATCH,
        name: "test".to_owned(),
        rules: "rules/1".to_owned(),
        next_member: 2,
        next_invite: 2,
        code: None,
        invites: vec![Invite {
            number: 1,
            key: SECRET.key(),
            uses_left,
            expires,
        }],
        spectators: Vec::new(),
        ballots: Vec::new(),
    };
    record
        .founding(ADA, Incarnation(5), &contact("Ada"))
        .unwrap()
}

fn admission(name: &str) -> Admission {
    Admission {
        invite: 1,
        contact: contact(name),
        incarnation: Incarnation(9),
        part: Part::Player,
        clock: NOW,
    }
}

/// The leader's next step in `membership`. What is asked about a member, that member asks itself.
fn step(membership: &Membership, request: &MatchRequest) -> Step {
    let by = match request {
        MatchRequest::Remove { member } | MatchRequest::SetStanding { member, .. } => *member,
        _ => ADA,
    };
    step_by(by, membership, request)
}

/// The leader's next step about a request of a member, with all members present.
fn step_by(by: NodeId, membership: &Membership, request: &MatchRequest) -> Step {
    let present: BTreeSet<_> = membership.members().map(|(id, _)| id).collect();
    step_in(membership, request, by, &present, NOW)
}

/// The leader's next step about a request of a member at a time.
fn step_in(
    membership: &Membership,
    request: &MatchRequest,
    by: NodeId,
    present: &BTreeSet<NodeId>,
    now: u64,
) -> Step {
    let circumstances = Circumstances { by, present, now };
    next_step(
        ADA,
        &founded(None, None),
        membership,
        request,
        &circumstances,
    )
}

fn refusal(membership: &Membership, request: &MatchRequest) -> Refusal {
    match step(membership, request) {
        Step::Reply(MatchReply::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Fulfils the request, and returns the reply and the membership after it.
fn fulfil(membership: &Membership, request: &MatchRequest) -> (MatchReply, Membership) {
    let mut membership = membership.clone();
    for _ in 0..3 {
        match step(&membership, request) {
            Step::Reply(reply) => return (reply, membership),
            Step::Change(change) => membership = membership.after(&change).unwrap().left(),
            Step::Transfer(to) => panic!("a transfer to {to:?}"),
        }
    }
    panic!("{request:?} is not fulfilled by its own changes");
}

/// The signer of the player who joins.
fn signer() -> &'static CommandSigner {
    static SIGNER: OnceLock<CommandSigner> = OnceLock::new();
    SIGNER.get_or_init(|| CommandSigner::new(&Identity::generate().unwrap()))
}

fn join_request() -> JoinRequest {
    JoinRequest {
        match_id: MATCH,
        invite: 1,
        proof: proof(&SECRET.key(), &[3; 32], MATCH, 1),
        rules: "rules/1".to_owned(),
        name: "Bo".to_owned(),
        key: signer().key(),
        key_proof: signer().prove(&[3; 32]),
        addresses: Vec::new(),
        incarnation: Incarnation(9),
        part: Part::Player,
        clock: NOW,
    }
}

fn outsider() -> Fingerprint {
    Fingerprint::of(b"an outsider")
}

#[test]
fn proof_is_valid_for_one_secret_session_match_and_invite() {
    let membership = founded(None, None);
    assert_eq!(
        check(&membership, &join_request(), (outsider(), &[3; 32])),
        Ok(())
    );
    assert_eq!(
        check(&membership, &join_request(), (outsider(), &[4; 32])),
        Err(Refusal::WrongSecret(1)),
        "on another connection"
    );
    let others = [
        proof(&Secret([8; 16]).key(), &[3; 32], MATCH, 1),
        proof(&SECRET.key(), &[3; 32], MatchId([2; 16]), 1),
        proof(&SECRET.key(), &[3; 32], MATCH, 2),
    ];
    for proof in others {
        let request = JoinRequest {
            proof,
            ..join_request()
        };
        let refused = Err(Refusal::WrongSecret(1));
        assert_eq!(
            check(&membership, &request, (outsider(), &[3; 32])),
            refused
        );
    }
}

#[test]
fn request_for_another_match_with_other_rules_or_a_bad_name_is_refused_by_name() {
    let membership = founded(None, None);
    let refused = |change: fn(&mut JoinRequest)| {
        let mut request = join_request();
        change(&mut request);
        check(&membership, &request, (outsider(), &[3; 32])).expect_err("refused")
    };
    assert_eq!(
        refused(|r| r.match_id = MatchId([9; 16])),
        Refusal::OtherMatch
    );
    assert_eq!(refused(|r| r.invite = 4), Refusal::NoInvite(4));
    let rules = refused(|r| r.rules = "rules/2".to_owned()).to_string();
    assert!(
        rules.contains("rules/1") && rules.contains("rules/2"),
        "{rules}"
    );
    let name = refused(|r| r.name = " ".to_owned()).to_string();
    assert!(name.contains("cannot be used"), "{name}");
    let listed = Membership::new([ADA]).unwrap();
    assert_eq!(
        check(&listed, &join_request(), (outsider(), &[3; 32])),
        Err(Refusal::NotJoinable)
    );
}

#[test]
fn player_is_admitted_once_and_uses_the_invite_once() {
    let request = MatchRequest::Admit(admission("Bo"));
    let (reply, after) = fulfil(&founded(Some(1), None), &request);
    let MatchReply::Admitted(admitted) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(admitted.id, NodeId(2));
    assert_eq!(admitted.membership, after);
    let member = after.member(NodeId(2)).unwrap();
    assert_eq!(
        (member.standing, member.incarnation),
        (Some(Standing::Joining), Incarnation(9))
    );
    assert_eq!(Contact::of(&after, NodeId(2)), Some(contact("Bo")));
    // The reply was lost, and the player asks again with another disk.
    let mut again = admission("Bo");
    again.incarnation = Incarnation(10);
    let (reply, unchanged) = fulfil(&after, &MatchRequest::Admit(again));
    assert!(matches!(reply, MatchReply::Admitted(_)), "{reply:?}");
    assert_eq!(unchanged, after);
    let third = MatchRequest::Admit(admission("Cy"));
    assert_eq!(refusal(&after, &third), Refusal::UsedUp(1));
}

#[test]
fn id_of_a_removed_member_is_not_used_again() {
    let membership = founded(None, None);
    let (_, with_bo) = fulfil(&membership, &MatchRequest::Admit(admission("Bo")));
    let member = NodeId(2);
    let (reply, alone) = fulfil(&with_bo, &MatchRequest::Remove { member });
    assert_eq!(reply, MatchReply::Done);
    assert_eq!(alone.contact(member), None);
    let (_, again) = fulfil(&alone, &MatchRequest::Admit(admission("Bo")));
    let ids: Vec<_> = again.members().map(|(id, _)| id).collect();
    assert_eq!(ids, [ADA, NodeId(3)]);
}

#[test]
fn full_match_taken_name_and_expired_invite_are_refused() {
    let mut membership = founded(None, None);
    let taken = MatchRequest::Admit(admission("aDA"));
    // The certificate differs, the name only in case.
    assert_eq!(
        refusal(&membership, &taken),
        Refusal::NameTaken("aDA".to_owned())
    );
    for number in 2..=MAX_PLAYERS {
        let player = admission(&format!("P{number}"));
        membership = fulfil(&membership, &MatchRequest::Admit(player)).1;
    }
    let ninth = MatchRequest::Admit(admission("Zoe"));
    assert_eq!(refusal(&membership, &ninth), Refusal::Full(MAX_PLAYERS));
    let mut spectator = admission("Zoe");
    spectator.part = Part::Spectator;
    let (_, watched) = fulfil(&membership, &MatchRequest::Admit(spectator));
    let zoe = Contact::find(&watched, contact("Zoe").fingerprint).unwrap();
    assert_eq!(
        watched.member(zoe).unwrap().standing,
        Some(Standing::Learner)
    );
    let expired = founded(None, Some(NOW));
    let late = MatchRequest::Admit(admission("Bo"));
    assert_eq!(
        refusal(&expired, &late),
        Refusal::Expired {
            number: 1,
            clocks: String::new()
        }
    );
}

#[test]
fn clocks_that_are_years_apart_are_mentioned_when_an_invite_has_expired() {
    let mut player = admission("Bo");
    player.clock = NOW + 3 * 365 * 24 * 3600;
    let expired = founded(None, Some(NOW - 1));
    let text = refusal(&expired, &MatchRequest::Admit(player)).to_string();
    assert!(text.contains("differs by 3 years"), "{text}");
}

#[test]
fn invites_are_numbered_repeatable_and_revocable() {
    let new = MatchRequest::Invite {
        key: [1; 32],
        uses: Some(2),
        expires: None,
    };
    let (reply, membership) = fulfil(&founded(None, None), &new);
    assert_eq!(reply, MatchReply::Invited(2));
    assert_eq!(fulfil(&membership, &new), (reply, membership.clone()));
    let (reply, revoked) = fulfil(&membership, &MatchRequest::Revoke { number: 2 });
    assert_eq!(reply, MatchReply::Done);
    assert_eq!(MatchRecord::of(&revoked).unwrap().invite(2), None);
    assert_eq!(
        fulfil(&revoked, &MatchRequest::Revoke { number: 2 }).0,
        MatchReply::Done
    );
    let unknown = MatchRequest::Revoke { number: 3 };
    assert_eq!(refusal(&revoked, &unknown), Refusal::NoInvite(3));
    let mut full = revoked;
    for number in 0..MAX_INVITES - 1 {
        let mut key = [0; 32];
        key[0] = u8::try_from(number).unwrap();
        let another = MatchRequest::Invite {
            key,
            uses: None,
            expires: None,
        };
        full = fulfil(&full, &another).1;
    }
    assert_eq!(refusal(&full, &new), Refusal::TooManyInvites(MAX_INVITES));
}

#[test]
fn leader_that_is_to_be_removed_transfers_leadership_unless_it_is_the_last_voter() {
    let membership = founded(None, None);
    let remove = MatchRequest::Remove { member: ADA };
    assert_eq!(refusal(&membership, &remove), Refusal::LastVoter);
    let (_, joining) = fulfil(&membership, &MatchRequest::Admit(admission("Bo")));
    assert_eq!(
        refusal(&joining, &remove),
        Refusal::LastVoter,
        "the other one has no vote yet"
    );
    let bo = NodeId(2);
    let vote = Change::Set(bo, Incarnation(9), Standing::Voter);
    let two = joining.after(&vote).unwrap().left();
    assert_eq!(step(&two, &remove), Step::Transfer(None));
    let circumstances = Circumstances {
        by: ADA,
        present: &BTreeSet::from([ADA, bo]),
        now: NOW,
    };
    let by_bo = next_step(bo, &founded(None, None), &two, &remove, &circumstances);
    assert_eq!(by_bo, Step::Change(Change::Remove(ADA)));
}

#[test]
fn transfer_is_fulfilled_by_another_leader() {
    let (_, joining) = fulfil(&founded(None, None), &MatchRequest::Admit(admission("Bo")));
    let to_bo = MatchRequest::Transfer {
        to: Some(NodeId(2)),
        from: Some(ADA),
    };
    let refused = refusal(&joining, &to_bo);
    assert!(matches!(refused, Refusal::Impossible(_)), "it has no vote");
    let vote = Change::Set(NodeId(2), Incarnation(9), Standing::Voter);
    let membership = joining.after(&vote).unwrap().left();
    let transfer = |to, from| step(&membership, &MatchRequest::Transfer { to, from });
    let bo = Some(NodeId(2));
    let alone = MatchRequest::Transfer {
        to: None,
        from: Some(ADA),
    };
    assert_eq!(refusal(&founded(None, None), &alone), Refusal::LastVoter);
    assert_eq!(transfer(None, Some(ADA)), Step::Transfer(None));
    assert_eq!(transfer(bo, Some(ADA)), Step::Transfer(bo));
    assert_eq!(transfer(None, bo), Step::Reply(MatchReply::Done));
    assert_eq!(transfer(Some(ADA), bo), Step::Reply(MatchReply::Done));
}

#[test]
fn member_records_a_new_address_but_no_new_key() {
    let membership = founded(None, None);
    let mut moved = contact("Ada");
    moved.addresses = vec![SocketAddr::from(([10, 0, 0, 9], 7777)).into()];
    let request = |contact: &Contact| MatchRequest::Record {
        member: ADA,
        contact: contact.clone(),
    };
    let (reply, after) = fulfil(&membership, &request(&moved));
    assert_eq!(reply, MatchReply::Done);
    assert_eq!(Contact::of(&after, ADA), Some(moved.clone()));
    moved.fingerprint = Fingerprint::of(b"another key");
    assert!(matches!(
        refusal(&after, &request(&moved)),
        Refusal::Impossible(_)
    ));
}

#[test]
fn member_needs_no_invite_and_no_spectator_becomes_a_ninth_player() {
    let mut membership = founded(Some(100), None);
    let mut request = join_request();
    request.proof = [0; 32];
    let ada = contact("Ada").fingerprint;
    assert_eq!(check(&membership, &request, (ada, &[3; 32])), Ok(()));
    for number in 2..=MAX_PLAYERS {
        let player = admission(&format!("P{number}"));
        membership = fulfil(&membership, &MatchRequest::Admit(player)).1;
    }
    let mut spectator = admission("Zoe");
    spectator.part = Part::Spectator;
    membership = fulfil(&membership, &MatchRequest::Admit(spectator)).1;
    let member = Contact::find(&membership, contact("Zoe").fingerprint).unwrap();
    let promote = MatchRequest::SetStanding {
        member,
        standing: Standing::Joining,
    };
    assert_eq!(refusal(&membership, &promote), Refusal::Full(MAX_PLAYERS));
}

#[test]
fn match_has_one_witness_which_cannot_be_left_alone() {
    let mut witness = admission("Wit");
    witness.part = Part::Witness;
    let witness = MatchRequest::Admit(witness);
    assert!(matches!(
        refusal(&founded(None, None), &witness),
        Refusal::Impossible(_)
    ));
    let (_, two) = fulfil(&founded(None, None), &MatchRequest::Admit(admission("Bo")));
    let (_, membership) = fulfil(&two, &witness);
    let id = Contact::find(&membership, contact("Wit").fingerprint).unwrap();
    let demote = MatchRequest::SetStanding {
        member: id,
        standing: Standing::Learner,
    };
    assert!(matches!(
        refusal(&membership, &demote),
        Refusal::Impossible(_)
    ));
    let (_, membership) = fulfil(&membership, &MatchRequest::Remove { member: NodeId(2) });
    let mut second = admission("Wat");
    second.part = Part::Witness;
    let second = MatchRequest::Admit(second);
    let (_, three) = fulfil(&membership, &MatchRequest::Admit(admission("Cy")));
    assert_eq!(refusal(&three, &second), Refusal::HasWitness);
    let leave = MatchRequest::Remove { member: ADA };
    assert_eq!(refusal(&membership, &leave), Refusal::LastVoter);
}

#[test]
fn member_cannot_take_the_name_of_another() {
    let (_, membership) = fulfil(&founded(None, None), &MatchRequest::Admit(admission("Bo")));
    let mut renamed = contact("Bo");
    renamed.name = "ADA".to_owned();
    let request = MatchRequest::Record {
        member: NodeId(2),
        contact: renamed,
    };
    assert_eq!(
        refusal(&membership, &request),
        Refusal::NameTaken("ADA".to_owned())
    );
}

#[test]
fn key_of_another_player_cannot_be_used() {
    let membership = founded(None, None);
    let ask = |request: &JoinRequest| check(&membership, request, (outsider(), &[3; 32]));
    let foreign = JoinRequest {
        key: CommandSigner::new(&Identity::generate().unwrap()).key(),
        ..join_request()
    };
    assert!(matches!(ask(&foreign), Err(Refusal::Impossible(_))));
    let of_another_session = JoinRequest {
        key_proof: signer().prove(&[4; 32]),
        ..join_request()
    };
    assert!(matches!(
        ask(&of_another_session),
        Err(Refusal::Impossible(_))
    ));
}

#[test]
fn key_of_a_member_is_not_admitted_again_and_a_member_may_restore_its_own() {
    let key = Some(signer().key());
    let bo = Contact {
        key,
        ..contact("Bo")
    };
    let record = |contact: &Contact| MatchRequest::Record {
        member: NodeId(1),
        contact: contact.clone(),
    };
    let founder = Contact {
        key,
        ..contact("Ada")
    };
    let membership = founded(None, None);
    let (reply, membership) = fulfil(&membership, &record(&founder));
    assert_eq!(reply, MatchReply::Done);
    // As a leader that lies would have recorded it.
    let replaced = Contact {
        key: Some(CommandSigner::new(&Identity::generate().unwrap()).key()),
        ..founder.clone()
    };
    let (_, replaced) = fulfil(&membership, &record(&replaced));
    let (reply, restored) = fulfil(&replaced, &record(&founder));
    assert_eq!(reply, MatchReply::Done);
    assert_eq!(Contact::of(&restored, NodeId(1)), Some(founder));
    let admission = MatchRequest::Admit(Admission {
        invite: 1,
        contact: bo,
        incarnation: Incarnation(9),
        part: Part::Player,
        clock: NOW,
    });
    let circumstances = Circumstances {
        by: ADA,
        present: &BTreeSet::from([ADA]),
        now: NOW,
    };
    let step = next_step(ADA, &membership, &membership, &admission, &circumstances);
    let Step::Reply(MatchReply::Refused(Refusal::Impossible(_))) = step else {
        panic!("{step:?}");
    };
}
