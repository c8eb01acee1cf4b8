//! Votes on measures against members.

use super::*;
use crate::ballot::BALLOT_SECONDS;
use crate::match_record::MAX_SPECTATORS;

const BO: NodeId = NodeId(2);
const CY: NodeId = NodeId(3);
const DI: NodeId = NodeId(4);

/// A match of Ada and these players, each a voter.
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
    // The vote that decides is recorded too.
    let agreed = voted(BO, &membership, &remove);
    let removed = Step::Change(Change::Remove(DI));
    assert_eq!(step_by(BO, &agreed, &remove), removed);
    // A vote counts for one member and one measure only.
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
    let membership = voted(BO, &membership, &demote);
    // That it watches is recorded first.
    let Step::Change(watches) = step_by(BO, &membership, &demote) else {
        panic!("the vote was not counted");
    };
    let membership = membership.after(&watches).unwrap();
    let record = MatchRecord::of(&membership).unwrap();
    assert_eq!(record.spectators, [CY]);
    assert_eq!(record.ballots, [], "these votes do not count again");
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
    let membership = voted(ADA, &membership, &remove);
    let removed = Step::Change(Change::Remove(BO));
    assert_eq!(step_by(ADA, &membership, &remove), removed);
}

#[test]
fn absent_members_have_no_vote_and_no_protection() {
    let membership = players(&["Bo", "Cy", "Di"]);
    let step = |membership: &Membership, member, present: &[NodeId]| {
        let present = present.iter().copied().collect();
        let remove = MatchRequest::Remove { member };
        step_in(membership, &remove, ADA, &present, NOW)
    };
    let removed = |member| Step::Change(Change::Remove(member));
    assert_eq!(step(&membership, DI, &[ADA, BO, CY]), removed(DI));
    let voted = voted(ADA, &membership, &MatchRequest::Remove { member: BO });
    assert_eq!(step(&voted, BO, &[ADA, BO, CY]), open(1, 2));
    assert_eq!(step(&voted, BO, &[ADA, BO]), removed(BO));
}

#[test]
fn vote_of_a_player_who_was_away_for_a_while_still_counts() {
    let membership = players(&["Bo", "Cy", "Di", "Ed"]);
    let ed = NodeId(5);
    let remove = MatchRequest::Remove { member: ed };
    let membership = voted(ADA, &membership, &remove);
    let without_ada = BTreeSet::from([BO, CY, DI, ed]);
    let Step::Change(change) = step_in(&membership, &remove, BO, &without_ada, NOW + 11) else {
        panic!("the vote is recorded");
    };
    let membership = membership.after(&change).unwrap();
    let recounted = step_in(&membership, &remove, BO, &without_ada, NOW + 11);
    assert_eq!(recounted, open(1, 2));
    let membership = voted(CY, &membership, &remove);
    let removed = Step::Change(Change::Remove(ed));
    assert_eq!(step_by(CY, &membership, &remove), removed);
}

#[test]
fn those_who_join_during_a_ballot_do_not_decide_it() {
    let membership = players(&["Bo", "Cy"]);
    let remove = MatchRequest::Remove { member: BO };
    let membership = voted(CY, &membership, &remove);
    // Machines of the one who began the ballot.
    let mut joined = membership;
    for name in ["Cy2", "Cy3"] {
        joined = fulfil(&joined, &MatchRequest::Admit(admission(name))).1;
    }
    let refused = step_by(DI, &joined, &remove);
    let Step::Reply(MatchReply::Refused(Refusal::Impossible(reason))) = refused else {
        panic!("one who joined later voted: {refused:?}");
    };
    assert!(reason.contains("joined while the others vote"), "{reason}");
    assert_eq!(step_by(CY, &joined, &remove), open(1, 2));
}

#[test]
fn votes_against_others_push_no_ballot_out() {
    let mut membership = players(&["Bo", "Cy", "Di", "Ed"]);
    let ed = NodeId(5);
    let remove = MatchRequest::Remove { member: ed };
    for by in [ADA, BO] {
        membership = voted(by, &membership, &remove);
    }
    for member in [ADA, BO, CY, DI] {
        let standing = Standing::Learner;
        let demote = MatchRequest::SetStanding { member, standing };
        membership = voted(ed, &membership, &MatchRequest::Remove { member });
        membership = voted(ed, &membership, &demote);
    }
    membership = voted(CY, &membership, &remove);
    let removed = Step::Change(Change::Remove(ed));
    assert_eq!(step_by(CY, &membership, &remove), removed);
}

#[test]
fn spectator_is_promoted_by_a_player() {
    let membership = players(&["Bo"]);
    let mut watching = admission("Eve");
    watching.part = Part::Spectator;
    let (_, membership) = fulfil(&membership, &MatchRequest::Admit(watching));
    let promote = MatchRequest::SetStanding {
        member: CY,
        standing: Standing::Joining,
    };
    let refused = step_by(CY, &membership, &promote);
    let Step::Reply(MatchReply::Refused(Refusal::Impossible(reason))) = refused else {
        panic!("it promoted itself: {refused:?}");
    };
    assert!(reason.starts_with("a player makes"), "{reason}");
    voted(BO, &membership, &promote);
}

#[test]
fn nobody_votes_on_what_cannot_happen() {
    let mut membership = players(&["Bo", "Cy"]);
    for name in (0..MAX_SPECTATORS).map(|number| format!("Watcher {number}")) {
        let mut watching = admission(&name);
        watching.part = Part::Spectator;
        membership = fulfil(&membership, &MatchRequest::Admit(watching)).1;
    }
    let demote = MatchRequest::SetStanding {
        member: CY,
        standing: Standing::Learner,
    };
    let full = Refusal::FullOfSpectators(MAX_SPECTATORS);
    let refused = Step::Reply(MatchReply::Refused(full));
    assert_eq!(step_by(ADA, &membership, &demote), refused);
}

#[test]
fn those_who_only_watch_have_no_vote() {
    let membership = players(&["Bo", "Cy"]);
    let mut watching = admission("Eve");
    watching.part = Part::Spectator;
    let (_, membership) = fulfil(&membership, &MatchRequest::Admit(watching));
    let eve = DI;
    let remove = MatchRequest::Remove { member: CY };
    let all = [ADA, BO, CY, eve];
    for present in [&all[..], &[ADA, BO, eve]] {
        let present = present.iter().copied().collect();
        let refused = step_in(&membership, &remove, eve, &present, NOW);
        let Step::Reply(MatchReply::Refused(Refusal::Impossible(reason))) = refused else {
            panic!("a spectator decided: {refused:?}");
        };
        assert!(reason.starts_with("only players decide"), "{reason}");
    }
}

#[test]
fn votes_expire() {
    let membership = players(&["Bo", "Cy"]);
    let remove = MatchRequest::Remove { member: CY };
    let membership = voted(ADA, &membership, &remove);
    let present = BTreeSet::from([ADA, BO, CY]);
    let end = NOW + BALLOT_SECONDS;
    // Also by the clock of a leader that is behind.
    for now in [NOW - BALLOT_SECONDS + 1, end - 1] {
        let Step::Change(change) = step_in(&membership, &remove, BO, &present, now) else {
            panic!("the vote is recorded");
        };
        let both = membership.after(&change).unwrap();
        let in_time = step_in(&both, &remove, BO, &present, now);
        assert_eq!(in_time, Step::Change(Change::Remove(CY)));
    }
    for now in [NOW - BALLOT_SECONDS, end, end + 86_400] {
        let late = step_in(&membership, &remove, BO, &present, now);
        let Step::Change(Change::Record { annex, .. }) = late else {
            panic!("the first vote still counts: {late:?}");
        };
        let annex = annex.unwrap();
        let record: MatchRecord = crate::wire::decode_value(&annex).unwrap();
        assert_eq!(record.ballots.len(), 1);
        assert_eq!(record.ballots[0].votes, [BO]);
        assert_eq!(record.ballots[0].since, now);
    }
}
