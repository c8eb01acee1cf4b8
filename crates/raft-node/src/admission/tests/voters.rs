//! Which members the leader gives a vote.

use super::*;

/// Three of four players vote, five of more; the others wait until a vote is lost.
#[test]
fn leader_chooses_an_odd_number_of_voters() {
    let mut membership = founded(None, None);
    let mut counts = Vec::new();
    for number in 2..=7 {
        let player = admission(&format!("P{number}"));
        membership = fulfil(&membership, &MatchRequest::Admit(player)).1;
        while let Some(change) = next_change(ADA, &membership, |_| true) {
            membership = membership.after(&change).unwrap().left();
        }
        counts.push(voting(&membership));
    }
    assert_eq!(counts, [2, 3, 3, 5, 5, 5]);
    let mut spectator = admission("Zoe");
    spectator.part = Part::Spectator;
    membership = fulfil(&membership, &MatchRequest::Admit(spectator)).1;
    // One that is silent does not count, and the next one is chosen by its log.
    let promoted = promotion(&membership);
    assert!(
        matches!(promoted, Change::Set(NodeId(6), _, Standing::Joining)),
        "{promoted:?}"
    );
    // A spectator gets no vote among five, and one that is asked to watch stays a spectator.
    let six = MatchRequest::SetStanding {
        member: NodeId(6),
        standing: Standing::Learner,
    };
    membership = fulfil(&membership, &six).1;
    let promoted = promotion(&membership);
    assert!(
        matches!(promoted, Change::Set(NodeId(7), _, Standing::Joining)),
        "{promoted:?}"
    );
    // It plays again, and waits, because five vote.
    let back = MatchRequest::SetStanding {
        member: NodeId(6),
        standing: Standing::Joining,
    };
    membership = fulfil(&membership, &back).1;
    assert_eq!(
        membership.member(NodeId(6)).unwrap().standing,
        Some(Standing::Learner)
    );
    // The silent one got a substitute and returns: six vote until the last one waits again.
    membership = membership.after(&promoted).unwrap();
    for id in membership.learners().collect::<Vec<_>>() {
        let member = *membership.member(id).unwrap();
        if member.standing == Some(Standing::Joining) {
            let vote = Change::Set(id, member.incarnation, Standing::Voter);
            membership = membership.after(&vote).unwrap().left();
        }
    }
    let demoted = next_change(ADA, &membership, |_| true);
    assert!(
        matches!(demoted, Some(Change::Set(NodeId(7), _, Standing::Learner))),
        "{demoted:?}"
    );
}

/// The next change of one vote, with the longest log at the last member.
fn next_change(
    own: NodeId,
    membership: &Membership,
    counts: impl Fn(NodeId) -> bool,
) -> Option<Change> {
    match next_vote(own, membership, counts, |id| id.0)? {
        Balance::Change(change) => Some(change),
        Balance::Transfer(to) => panic!("a transfer to {to}"),
    }
}

/// The member that gets the vote of the silent second one, if the first ones have the longest logs.
fn promotion(membership: &Membership) -> Change {
    let step = next_vote(ADA, membership, |id| id != NodeId(2), |id| 100 - id.0);
    match step {
        Some(Balance::Change(change)) => change,
        other => panic!("no promotion: {other:?}"),
    }
}

/// Number of members that vote or will.
fn voting(membership: &Membership) -> usize {
    membership
        .members()
        .filter(|(_, member)| is_voting(member))
        .count()
}

fn watching(name: &str) -> MatchRequest {
    MatchRequest::Admit(Admission {
        part: Part::Spectator,
        ..admission(name)
    })
}

/// Makes all steps that the leader `own` wants, with members that keep up at once if they count,
/// and returns the voters.
fn balanced(
    mut own: NodeId,
    membership: &mut Membership,
    counts: impl Fn(NodeId) -> bool,
) -> Vec<u64> {
    for _ in 0..12 {
        let joining = membership
            .members()
            .find(|(id, member)| member.standing == Some(Standing::Joining) && counts(*id));
        let joined = joining.map(|(id, member)| {
            Balance::Change(Change::Set(id, member.incarnation, Standing::Voter))
        });
        let step = joined.or_else(|| next_vote(own, membership, &counts, |id| id.0));
        match step {
            Some(Balance::Change(change)) => {
                *membership = membership.after(&change).unwrap().left();
            }
            Some(Balance::Transfer(to)) => own = to,
            None => return membership.voters().map(|id| id.0).collect(),
        }
    }
    panic!("the votes change forever: {membership:?}");
}

/// What the core does with a voter that is silent for long.
fn lose_vote(membership: &mut Membership, id: u64) {
    let member = *membership.member(NodeId(id)).unwrap();
    let change = Change::Set(NodeId(id), member.incarnation, Standing::Joining);
    *membership = membership.after(&change).unwrap().left();
}

/// Ada leads and plays with Bo (4); Zoe (2) and Yan (3) watch.
fn two_and_two() -> Membership {
    let mut membership = founded(None, None);
    for request in [
        watching("Zoe"),
        watching("Yan"),
        MatchRequest::Admit(admission("Bo")),
    ] {
        membership = fulfil(&membership, &request).1;
    }
    membership
}

#[test]
fn spectator_votes_while_two_players_need_a_third_machine() {
    let here = |_| true;
    let (_, mut alone) = fulfil(&founded(None, None), &watching("Zoe"));
    assert_eq!(
        balanced(ADA, &mut alone, here),
        [1],
        "one player needs none"
    );
    let mut two = two_and_two();
    assert_eq!(balanced(ADA, &mut two, |id| id != NodeId(3)), [1, 2, 4]);
    let (_, mut three) = fulfil(&two, &MatchRequest::Admit(admission("Cy")));
    assert_eq!(balanced(ADA, &mut three, here), [1, 4, 5]);
    // One of three is lost: two players vote again.
    lose_vote(&mut three, 5);
    assert_eq!(balanced(ADA, &mut three, |id| id != NodeId(5)).len(), 3);
    let mut witness = admission("Wit");
    witness.part = Part::Witness;
    let (_, mut witnessed) = fulfil(&two, &MatchRequest::Admit(witness));
    assert_eq!(balanced(ADA, &mut witnessed, here), [1, 4, 5]);
}

#[test]
fn spectator_loses_its_vote_with_that_of_a_silent_player() {
    let mut two = two_and_two();
    let away = |id| id != NodeId(4);
    assert_eq!(balanced(ADA, &mut two, |id| id != NodeId(3)), [1, 2, 4]);
    // While the silent player still votes, the spectator is needed most.
    assert_eq!(balanced(ADA, &mut two, away), [1, 2, 4]);
    lose_vote(&mut two, 4);
    assert_eq!(
        balanced(ADA, &mut two, away),
        [1],
        "no spectator is waited for"
    );
    assert_eq!(balanced(ADA, &mut two, |_| true).len(), 3, "it returns");
}

#[test]
fn silent_spectator_makes_room_for_another_one() {
    let mut two = two_and_two();
    assert_eq!(balanced(ADA, &mut two, |id| id != NodeId(3)), [1, 2, 4]);
    lose_vote(&mut two, 2);
    assert_eq!(balanced(ADA, &mut two, |id| id != NodeId(2)), [1, 3, 4]);
}

#[test]
fn spectator_that_leads_and_is_not_needed_hands_leadership_to_a_player() {
    let mut two = two_and_two();
    assert_eq!(balanced(ADA, &mut two, |id| id != NodeId(3)), [1, 2, 4]);
    assert_eq!(next_vote(NodeId(2), &two, |_| true, |id| id.0), None);
    // The leader has crashed, and the spectator was elected.
    lose_vote(&mut two, 1);
    let step = next_vote(NodeId(2), &two, |id| id != ADA, |id| id.0);
    assert_eq!(step, Some(Balance::Transfer(NodeId(4))));
    assert_eq!(balanced(NodeId(2), &mut two, |id| id != ADA), [4]);
}

/// A cluster from files has no record of who watches.
#[test]
fn member_without_a_record_is_demoted_once() {
    let files = Membership::new([1, 2, 3].map(NodeId)).unwrap();
    let demote = MatchRequest::SetStanding {
        member: NodeId(3),
        standing: Standing::Learner,
    };
    let (reply, membership) = fulfil(&files, &demote);
    assert_eq!(reply, MatchReply::Done);
    assert_eq!(
        membership.member(NodeId(3)).unwrap().standing,
        Some(Standing::Learner)
    );
}
