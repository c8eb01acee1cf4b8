//! Memberships against naive models.

use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

fn ids(numbers: &[u64]) -> impl Iterator<Item = NodeId> + '_ {
    numbers.iter().copied().map(NodeId)
}

fn voters(numbers: &[u64]) -> Change {
    Change::Replace(
        ids(numbers)
            .map(|id| (id, Incarnation::default(), Standing::Voter))
            .collect(),
    )
}

#[test]
fn membership_without_voters_or_with_too_many_is_invalid() {
    assert_eq!(Membership::new([]), Err(MembershipError::NoVoters));
    assert_eq!(
        Membership::new((0..=256).map(NodeId)),
        Err(MembershipError::TooMany)
    );
    let most = Membership::MAX_MEMBERS as u64;
    let full = Membership::new((1..=most).map(NodeId)).expect("the maximum is allowed");
    assert!(full.contains(NodeId(most)) && !full.contains(NodeId(most + 1)));
    let witness = (NodeId(1), Incarnation(0), Standing::Witness);
    assert_eq!(
        Membership::of([witness]),
        Err(MembershipError::NoVoters),
        "a witness alone cannot lead"
    );
}

#[test]
fn crowd_has_majorities_but_rejects_changes() {
    assert_eq!(Membership::crowd([]), Err(MembershipError::NoVoters));
    assert_eq!(
        Membership::crowd(ids(&[1, 2, 3])),
        Membership::new(ids(&[1, 2, 3]))
    );
    let crowd = Membership::crowd((1..=1_000).map(NodeId)).unwrap();
    assert!(crowd.is_quorum(|id| id.0 <= 501) && !crowd.is_quorum(|id| id.0 <= 500));
    assert_eq!(crowd.reached_by_majority(|id| id.0), 500);
    let added = Change::Set(NodeId(1_001), Incarnation(0), Standing::Voter);
    assert_eq!(crowd.after(&added), Err(MembershipError::TooMany));
}

/// Found by fuzzing the wire format: a sole member that is a voter now and was a witness before
/// would never have stood for election.
#[test]
fn impossible_standings_are_rejected() {
    let member = |standing, outgoing| Member {
        incarnation: Incarnation(0),
        standing,
        outgoing,
    };
    let of = |second| {
        let members = [
            (NodeId(1), member(Some(Standing::Voter), None)),
            (NodeId(2), second),
        ];
        Membership::with_members(members.into())
    };
    let voter = Some(Standing::Voter);
    let witness = Some(Standing::Witness);
    let learner = Some(Standing::Learner);
    for (standing, outgoing) in [
        (voter, witness),
        (witness, voter),
        (learner, witness),
        (voter, learner),
        (None, learner),
    ] {
        let error = of(member(standing, outgoing)).checked();
        assert_eq!(
            error,
            Err(MembershipError::Impossible(NodeId(2))),
            "{standing:?} after {outgoing:?}"
        );
    }
    for (standing, outgoing) in [
        (voter, voter),
        (learner, voter),
        (None, voter),
        (None, witness),
        (witness, witness),
    ] {
        assert!(
            of(member(standing, outgoing)).checked().is_ok(),
            "{standing:?} after {outgoing:?}"
        );
    }
}

/// Thesis 4.1: a single server may be added or removed at once; more need a joint configuration
/// (section 6).
#[test]
fn change_of_several_voters_is_joint() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let four = three
        .after(&Change::Set(NodeId(4), Incarnation(0), Standing::Voter))
        .unwrap();
    assert!(!four.is_joint() && four.votes(NodeId(4)));
    let joint = three.after(&voters(&[3, 4, 5])).unwrap();
    assert!(joint.is_joint());
    assert_eq!(
        joint.outgoing().collect::<Vec<_>>(),
        ids(&[1, 2, 3]).collect::<Vec<_>>()
    );
    assert!(
        !joint.is_quorum(|id| id.0 <= 3),
        "a majority of the old voters alone does not decide"
    );
    assert!(
        !joint.is_quorum(|id| id.0 >= 3),
        "nor does one of the new voters alone"
    );
    assert!(joint.is_quorum(|id| [2, 3, 4].contains(&id.0)));
    assert_eq!(
        joint.after(&Change::Remove(NodeId(1))),
        Err(MembershipError::Joint)
    );
    assert_eq!(joint.left(), Membership::new(ids(&[3, 4, 5])).unwrap());
}

#[test]
fn demoted_voter_votes_until_the_joint_configuration_is_left() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let target = [
        (1, Standing::Voter),
        (2, Standing::Learner),
        (4, Standing::Voter),
    ];
    let target = target
        .map(|(id, standing)| (NodeId(id), Incarnation(0), standing))
        .to_vec();
    let joint = three.after(&Change::Replace(target)).unwrap();
    assert!(joint.votes(NodeId(2)) && joint.learners().eq(ids(&[2])));
    assert!(!joint.left().votes(NodeId(2)));
}

#[test]
fn voter_with_a_new_disk_must_be_removed_first() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let again = Change::Set(NodeId(3), Incarnation(9), Standing::Voter);
    assert_eq!(
        three.after(&again),
        Err(MembershipError::OtherIncarnation(NodeId(3)))
    );
    let two = three.after(&Change::Remove(NodeId(3))).unwrap();
    assert_eq!(
        two.after(&again)
            .unwrap()
            .member(NodeId(3))
            .unwrap()
            .incarnation,
        Incarnation(9)
    );
    assert_eq!(
        two.after(&Change::Remove(NodeId(3))),
        Err(MembershipError::NoMember(NodeId(3)))
    );
    assert_eq!(two.after(&voters(&[1, 2])), Err(MembershipError::Nothing));
}

#[test]
fn voter_with_a_new_disk_joins_in_a_change_of_its_own() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let joins = three
        .after(&Change::Set(NodeId(3), Incarnation(9), Standing::Joining))
        .unwrap();
    assert!(!joins.is_joint() && !joins.votes(NodeId(3)));
    let voter = joins
        .after(&Change::Set(NodeId(3), Incarnation(9), Standing::Voter))
        .unwrap();
    assert_eq!(voter.member(NodeId(3)).unwrap().incarnation, Incarnation(9));
    let witness = (NodeId(3), Incarnation(7), Standing::Witness);
    let cluster = Membership::of(
        ids(&[1, 2])
            .map(|id| (id, Incarnation(0), Standing::Voter))
            .chain([witness]),
    )
    .unwrap();
    let again = Change::Set(NodeId(3), Incarnation(8), Standing::Joining);
    assert_eq!(
        cluster.after(&again),
        Err(MembershipError::OtherIncarnation(NodeId(3)))
    );
    // With a second change the configuration would be joint, and the new incarnation would vote in
    // the old one.
    let members = [
        (1, 0, Standing::Voter),
        (3, 9, Standing::Joining),
        (4, 0, Standing::Voter),
    ];
    let members = members
        .map(|(id, incarnation, standing)| (NodeId(id), Incarnation(incarnation), standing))
        .to_vec();
    assert_eq!(
        three.after(&Change::Replace(members)),
        Err(MembershipError::OtherIncarnation(NodeId(3)))
    );
}

#[test]
fn witness_cannot_become_a_voter_in_place() {
    let witness = (NodeId(3), Incarnation(0), Standing::Witness);
    let cluster = Membership::of(
        ids(&[1, 2])
            .map(|id| (id, Incarnation(0), Standing::Voter))
            .chain([witness]),
    );
    let promoted = Change::Set(NodeId(3), Incarnation(0), Standing::Voter);
    assert_eq!(
        cluster.unwrap().after(&promoted),
        Err(MembershipError::WitnessForEver(NodeId(3)))
    );
}

/// The disk of a witness holds log positions without the contents of the entries.
#[test]
fn former_witness_returns_as_a_witness_or_with_an_empty_disk() {
    let witness = (NodeId(3), Incarnation(0), Standing::Witness);
    let members = ids(&[1, 2])
        .map(|id| (id, Incarnation(0), Standing::Voter))
        .chain([witness]);
    let with_witness = Membership::of(members).unwrap();
    let removed = with_witness.after(&Change::Remove(NodeId(3))).unwrap();
    let replaced = with_witness.after(&voters(&[4, 5])).unwrap();
    assert_eq!(replaced.left().members().count(), 2);
    for without in [removed, replaced.left()] {
        for standing in [Standing::Voter, Standing::Learner, Standing::Joining] {
            let again = without.after(&Change::Set(NodeId(3), Incarnation(0), standing));
            assert_eq!(
                again,
                Err(MembershipError::FormerWitness(NodeId(3))),
                "{standing:?}"
            );
        }
        let witness_again = without
            .after(&Change::Set(NodeId(3), Incarnation(0), Standing::Witness))
            .unwrap();
        assert!(witness_again.member(NodeId(3)).unwrap().is_witness());
        let empty = without
            .after(&Change::Set(NodeId(3), Incarnation(1), Standing::Voter))
            .unwrap();
        assert!(empty.votes(NodeId(3)));
        assert_eq!(
            empty.members().count(),
            without.members().count() + 1,
            "it is a member once"
        );
    }
}

fn record(contacts: &[(u64, &[u8])]) -> Change {
    let contacts = contacts
        .iter()
        .map(|(id, contact)| (NodeId(*id), Bytes::from(*contact)))
        .collect();
    Change::Record {
        contacts,
        annex: None,
    }
}

fn added(id: u64, contact: &[u8]) -> Change {
    Change::Add {
        id: NodeId(id),
        incarnation: Incarnation(7),
        standing: Standing::Joining,
        contact: Bytes::from(contact),
        annex: Some(Bytes::from(&b"one use left"[..])),
    }
}

fn contacts(membership: &Membership) -> Vec<u64> {
    let members = membership.members().map(|(id, _)| id);
    members
        .filter(|id| membership.contact(*id).is_some())
        .map(|id| id.0)
        .collect()
}

#[test]
fn contact_is_kept_as_long_as_its_member() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let known = three.after(&record(&[(1, b"a"), (3, b"c")])).unwrap();
    assert!(known.has_members_of(&three) && known != three);
    let four = known.after(&added(4, b"d")).unwrap();
    assert_eq!(contacts(&four), [1, 3, 4]);
    assert_eq!(&four.annex()[..], b"one use left");
    let removed = four.after(&Change::Remove(NodeId(3))).unwrap();
    assert_eq!(contacts(&removed), [1, 4]);
    assert_eq!(removed.annex(), four.annex());
    let joint = four.after(&voters(&[1, 5, 6])).unwrap();
    assert!(joint.is_joint());
    assert_eq!(
        contacts(&joint),
        [1, 3],
        "n3 votes until the change is left"
    );
    assert_eq!(contacts(&joint.left()), [1]);
    assert_eq!(
        four.after(&added(4, b"d")),
        Err(MembershipError::AlreadyMember(NodeId(4)))
    );
}

#[test]
fn contacts_change_in_a_joint_configuration_too() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let joint = three.after(&voters(&[3, 4, 5])).unwrap();
    let moved = joint.after(&record(&[(1, b"elsewhere")])).unwrap();
    assert!(moved.is_joint() && moved.has_members_of(&joint));
    assert_eq!(
        moved.after(&record(&[(1, b"elsewhere")])),
        Err(MembershipError::Nothing)
    );
}

#[test]
fn records_are_bounded_and_about_members() {
    let three = Membership::new(ids(&[1, 2, 3])).unwrap();
    let long = [7; Membership::MAX_CONTACT + 1];
    let longest = &long[..Membership::MAX_CONTACT];
    assert!(three.after(&record(&[(1, longest)])).is_ok());
    assert_eq!(
        three.after(&record(&[(1, &long)])),
        Err(MembershipError::RecordTooLarge)
    );
    assert_eq!(
        three.after(&record(&[(4, b"d")])),
        Err(MembershipError::NoMember(NodeId(4)))
    );
    let annex = |size| Change::Record {
        contacts: Vec::new(),
        annex: Some(alloc::vec![7; size].into()),
    };
    assert!(three.after(&annex(Membership::MAX_ANNEX)).is_ok());
    assert_eq!(
        three.after(&annex(Membership::MAX_ANNEX + 1)),
        Err(MembershipError::RecordTooLarge)
    );
}

/// Whether more than half of those that `counts` holds for agree, counted one by one.
fn naive(
    membership: &Membership,
    counts: impl Fn(&Member) -> bool,
    agrees: impl Fn(NodeId) -> bool,
) -> bool {
    let all: Vec<_> = membership
        .members()
        .filter(|(_, m)| counts(m))
        .map(|(id, _)| id)
        .collect();
    all.is_empty() || all.iter().filter(|id| agrees(**id)).count() * 2 > all.len()
}

proptest! {
    /// Naive model: try every value and count the voters that reached it, in the new and in the old
    /// configuration.
    #[test]
    fn majority_value_is_the_largest_that_enough_voters_reached(
        values in prop::collection::vec(0u64..20, 12),
        old in prop::collection::btree_set(0u64..12, 1..9),
        new in prop::collection::btree_set(0u64..12, 1..9),
    ) {
        let old = Membership::new(old.into_iter().map(NodeId)).unwrap();
        let membership = old.after(&voters(&new.into_iter().collect::<Vec<_>>())).unwrap_or(old);
        let value = |id: NodeId| values[id.0 as usize];
        let new_votes = |m: &Member| m.standing.is_some_and(Standing::votes);
        let reached = |v: u64| naive(&membership, new_votes, |id| value(id) >= v)
            && naive(&membership, |m| m.outgoing.is_some(), |id| value(id) >= v);
        let naive = (0..20).filter(|v| reached(*v)).max().unwrap();
        prop_assert_eq!(membership.reached_by_majority(value), naive);
        prop_assert_eq!(membership.is_quorum(|id| value(id) >= naive), true);
        prop_assert_eq!(membership.is_quorum(|id| value(id) > naive), false);
    }

    /// "There is no time at which decisions could be made unilaterally by either" (section 6).
    #[test]
    fn quorums_before_during_and_after_a_change_share_a_voter(
        old in prop::collection::btree_set(0u64..8, 1..7),
        new in prop::collection::btree_set(0u64..8, 1..7),
        (a, b) in (any::<u16>(), any::<u16>()),
    ) {
        let before = Membership::new(old.into_iter().map(NodeId)).unwrap();
        let Ok(next) = before.after(&voters(&new.into_iter().collect::<Vec<_>>())) else { return Ok(()) };
        let chosen = |mask: u16| move |id: NodeId| mask & (1 << id.0) != 0;
        for (one, other) in [(&before, &before), (&before, &next), (&next, &next), (&next, &next.left())] {
            if one.is_quorum(chosen(a)) && other.is_quorum(chosen(b)) {
                prop_assert!(a & b != 0, "{one:?} and {other:?}");
            }
        }
    }
}
