//! The Throne.

use super::*;

const TWO_SPEARS: [u32; 4] = [2, 0, 0, 0];

/// The match at a second, the Throne held by a seat since then.
fn held_by(mut game: Crowns, seat: u8, since: u64) -> Crowns {
    game.advance(second(since));
    game.throne.is_guarded = false;
    game.set_holding(Place::Throne, Some(seat), Army::new(TWO_SPEARS));
    game
}

#[test]
fn throne_is_taken_from_the_moment_it_opens() {
    for (arrives, holder) in [(second(300) - 1, None), (second(300), Some(0))] {
        let mut game = new_match(2);
        give_army(&mut game, 0, [0, 50, 0, 0]);
        let march = assault([0, 50, 0, 0], Place::Throne);
        assert_eq!(game.order(0, &march, arrives - 21 * SECOND), Ok(()));
        game.advance(arrives);
        assert_eq!(game.holding(Place::Throne).unwrap().holder, holder);
    }
}

/// The guard defends it once: against its first holder.
#[test]
fn throne_without_a_guard_is_taken_without_a_battle() {
    let mut game = held_by(new_match(2), 1, 300);
    assert_eq!(
        game.order(1, &Order::CallHome(Place::Throne), second(301)),
        Ok(())
    );
    let from = game.next_report();
    let march = assault(TWO_SPEARS, Place::Throne);
    assert_eq!(game.order(0, &march, second(302)), Ok(()));
    game.advance(second(302 + 21));
    let held = Holding {
        holder: Some(0),
        garrison: Army::new(TWO_SPEARS),
    };
    assert_eq!(game.holding(Place::Throne), Some(&held));
    let mut own = game
        .reports_since(from)
        .filter(|(_, report)| !matches!(report, Report::Returned { .. }));
    let taken = Report::Taken {
        seat: 0,
        place: Place::Throne,
    };
    assert_eq!(own.next(), Some((second(323), &taken)));
    assert_eq!(own.next(), None);
}

#[test]
fn guard_returns_only_after_the_concession_of_the_holder() {
    let held = held_by(new_match(4), 0, 300);
    for (seat, by, is_guarded) in [
        (0, None, true),
        (0, Some(1), false),
        (1, None, false),
        (1, Some(0), false),
    ] {
        let mut game = held.clone();
        game.fall(seat, by);
        assert_eq!(game.is_throne_guarded(), is_guarded, "{seat} {by:?}");
    }
}

/// The Throne was left before its holder had enough crowns.
#[test]
fn planned_goal_of_a_former_holder_is_void() {
    let mut game = held_by(new_match(2), 0, 300);
    game.advance(second(310));
    game.set_holding(Place::Throne, None, Army::NONE);
    let goal = second(300 + 420);
    game.advance(goal - 1);
    assert_eq!(game.next_event(), Some(goal));
    let mut expected = game.clone();
    expected.schedule.pop_first();
    expected.now = goal;
    game.advance(goal);
    assert_eq!(game, expected);
}

#[test]
fn throne_with_three_crowns_a_second_reaches_the_goal_sooner() {
    let mut rules = Rules::of_tests();
    rules.throne.crowns = 3;
    let game = Crowns::new(2, 7, rules, BEGAN).unwrap();
    let mut game = held_by(game, 0, 700);
    game.advance(second(700 + 140) - 1);
    assert_eq!(game.end(), None);
    game.advance(second(700 + 140));
    let end = game.end().unwrap();
    assert_eq!((end.winner, end.reason), (Some(0), EndReason::Crowns));
    assert_eq!(game.crowns(0), 420);
}
