//! Votes on measures against members.

use super::*;
use crate::ballot::{BALLOT_SECONDS, MAX_BALLOTS};

const BO: NodeId = NodeId(2);
const CY: NodeId = NodeId(3);
const DI: NodeId = NodeId(4);

/// A match of Ada and these players, all of whom vote.
fn players(names: &[&str]) -> Membership {
    let mut membership = founded(None, None);
    for name in names {
        membership = fulfil(&membership, &MatchRequest::Admit(admission(name))).1;
        let (newest, _) = membership.members().last().expect("a member");
        let vote = Change::Set(newest, Incarnation(9), Standing::Voter);
        membership = membership.after(&vote).unwrap().left();
    }
    membership
}

/// The membership after a vote, which is not yet enough.
fn voted(by: NodeId, membership: &Membership, request: &MatchRequest) -> Membership {
    match step_by(by, membership, request) {
        Step::Change(change @ Change::Record { .. }) => membership.after(&change).unwrap(),
        other => panic!("no vote is recorded: {other:?}"),
    }
}

fn open(votes: usize, needed: usize) -> Step {
    Step::Reply(MatchReply::Voted { votes, needed })
}

#[test]
fn member_is_removed_once_most_of_the_others_agree() {
    let membership = players(&["Bo", "Cy", "Di"]);
    let remove = MatchRequest::Remove { member: DI };
    let membership = voted(ADA, &membership, &remove);
    assert_eq!(step_by(ADA, &membership, &remove), open(1, 2), "once each");
    let removed = Step::Change(Change::Remove(DI));
    assert_eq!(step_by(BO, &membership, &remove), removed);
    // A vote about one member or measure says nothing about others.
    let other = MatchRequest::Remove { member: CY };
    voted(BO, &membership, &other);
    let demote = MatchRequest::SetStanding {
        member: DI,
        standing: Standing::Learner,
    };
    voted(BO, &membership, &demote);
}

#[test]
fn member_is_demoted_by_a_vote_too() {
    let membership = players(&["Bo", "Cy"]);
    let demote = MatchRequest::SetStanding {
        member: CY,
        standing: Standing::Learner,
    };
    let membership = voted(ADA, &membership, &demote);
    // That it watches is recorded first.
    let Step::Change(watches) = step_by(BO, &membership, &demote) else {
        panic!("the vote was not counted");
    };
    let membership = membership.after(&watches).unwrap();
    assert_eq!(MatchRecord::of(&membership).unwrap().spectators, [CY]);
    let without_vote = Change::Set(CY, Incarnation(9), Standing::Learner);
    let step = step_by(BO, &membership, &demote);
    assert_eq!(step, Step::Change(without_vote));
}

#[test]
fn no_other_standing_is_given_without_a_vote() {
    let membership = players(&["Bo", "Cy"]);
    for standing in [Standing::Witness, Standing::Voter] {
        let request = MatchRequest::SetStanding {
            member: CY,
            standing,
        };
        let step = step_by(ADA, &membership, &request);
        assert!(
            matches!(
                step,
                Step::Reply(MatchReply::Refused(Refusal::Impossible(_)))
            ),
            "{standing:?}: {step:?}"
        );
    }
}

#[test]
fn own_request_needs_no_votes() {
    let membership = players(&["Bo", "Cy"]);
    let leave = MatchRequest::Remove { member: CY };
    let removed = Step::Change(Change::Remove(CY));
    assert_eq!(step_by(CY, &membership, &leave), removed);
    let watch = MatchRequest::SetStanding {
        member: CY,
        standing: Standing::Learner,
    };
    let Step::Change(Change::Record { annex, .. }) = step_by(CY, &membership, &watch) else {
        panic!("it asks for itself");
    };
    assert!(annex.is_some());
}

#[test]
fn one_of_two_players_decides_alone() {
    let membership = players(&["Bo"]);
    let remove = MatchRequest::Remove { member: BO };
    let removed = Step::Change(Change::Remove(BO));
    assert_eq!(step_by(ADA, &membership, &remove), removed);
}

#[test]
fn absent_members_have_no_vote_and_no_protection() {
    let membership = players(&["Bo", "Cy", "Di"]);
    for (by, member, present) in [(BO, DI, &[ADA, BO, CY][..]), (ADA, BO, &[ADA, BO])] {
        let remove = MatchRequest::Remove { member };
        let present = present.iter().copied().collect();
        let step = step_in(&membership, &remove, by, &present, NOW);
        assert_eq!(step, Step::Change(Change::Remove(member)), "{present:?}");
    }
    let remove = MatchRequest::Remove { member: BO };
    let present = BTreeSet::from([ADA, BO, CY]);
    let recorded = step_in(&membership, &remove, ADA, &present, NOW);
    assert!(matches!(recorded, Step::Change(Change::Record { .. })));
}

#[test]
fn those_who_only_watch_have_no_vote() {
    let membership = players(&["Bo", "Cy"]);
    let mut watching = admission("Eve");
    watching.part = Part::Spectator;
    let (_, membership) = fulfil(&membership, &MatchRequest::Admit(watching));
    let eve = DI;
    let remove = MatchRequest::Remove { member: CY };
    let refused = step_by(eve, &membership, &remove);
    let Step::Reply(MatchReply::Refused(Refusal::Impossible(reason))) = refused else {
        panic!("a spectator voted: {refused:?}");
    };
    assert!(reason.starts_with("only players vote"), "{reason}");
}

#[test]
fn votes_expire() {
    let membership = players(&["Bo", "Cy"]);
    let remove = MatchRequest::Remove { member: CY };
    let membership = voted(ADA, &membership, &remove);
    let present = BTreeSet::from([ADA, BO, CY]);
    let end = NOW + BALLOT_SECONDS;
    let in_time = step_in(&membership, &remove, BO, &present, end - 1);
    assert_eq!(in_time, Step::Change(Change::Remove(CY)));
    let late = step_in(&membership, &remove, BO, &present, end);
    let Step::Change(Change::Record { annex, .. }) = late else {
        panic!("the first vote still counts: {late:?}");
    };
    let annex = annex.unwrap();
    let record: MatchRecord = crate::wire::decode_value(&annex).unwrap();
    assert_eq!(record.ballots.len(), 1);
    assert_eq!(record.ballots[0].votes, [BO]);
    assert_eq!(record.ballots[0].since, end);
}

#[test]
fn ballots_are_bounded() {
    let mut membership = players(&["Bo", "Cy", "Di", "Ed", "Flo", "Gus"]);
    for standing in [None, Some(Standing::Learner)] {
        for member in (2..=7).map(NodeId) {
            let request = match standing {
                None => MatchRequest::Remove { member },
                Some(standing) => MatchRequest::SetStanding { member, standing },
            };
            membership = voted(ADA, &membership, &request);
        }
    }
    let record = MatchRecord::of(&membership).unwrap();
    assert_eq!(record.ballots.len(), MAX_BALLOTS);
    assert_eq!(record.ballots.last().unwrap().member, NodeId(7));
}
