use super::*;
use crate::{Archetype, Bot, Level, play::play};
use raftian_realm::crowns::{Army, Rules};

#[test]
fn story_names_the_winner_and_is_the_same_each_time() {
    let bots = [Archetype::Rush, Archetype::Boom].map(|kind| Bot::new(Level::Captain, kind));
    let tell = || {
        let mut story = Story::new(&["rush", "boom"]);
        let rules = Rules::of_this_build();
        let played = play(&bots, 3, &rules, |game| story.watch(game)).unwrap();
        story.watch(&played.game);
        (story.text().to_owned(), played.game.end().unwrap())
    };
    let (text, end) = tell();
    let winner = ["Asta (rush)", "Brand (boom)"][usize::from(end.winner.unwrap())];
    let last = text.lines().last().unwrap();
    assert!(last.contains(winner) && last.contains("wins"), "{text}");
    assert!(text.lines().count() > 10, "{text}");
    assert_eq!(tell().0, text);
}

/// A fight without a new holder was added after the next look at everyone.
#[test]
fn lines_are_in_the_order_of_their_times() {
    let kinds = [
        Archetype::Rush,
        Archetype::Boom,
        Archetype::Turtle,
        Archetype::Balanced,
    ];
    let bots = kinds.map(|kind| Bot::new(Level::Captain, kind));
    for seed in 20..40 {
        let mut story = Story::new(&["rush", "boom", "turtle", "balanced"]);
        let rules = Rules::of_this_build();
        let played = play(&bots, seed, &rules, |game| story.watch(game)).unwrap();
        story.watch(&played.game);
        let times = story.text().lines().skip(1).map(|line| {
            let (minutes, seconds) = line[..5].trim().split_once(':').unwrap();
            let [minutes, seconds]: [u64; 2] = [minutes, seconds].map(|part| part.parse().unwrap());
            60 * minutes + seconds
        });
        assert!(times.is_sorted(), "seed {seed}: {}", story.text());
    }
}

#[test]
fn changes_of_the_throne_become_one_line_when_there_are_many() {
    let mut story = Story::new(&["rush", "boom", "turtle"]);
    for (second, seat, beaten) in [(1, 0, None), (2, 1, Some(0)), (3, 2, None)] {
        story.taken(seat, second * 1_000, beaten, None);
    }
    story.add(60_000, "Something else happens.");
    let few: Vec<_> = story.text().lines().skip(1).collect();
    assert_eq!(
        few,
        [
            " 0:01  Asta is the first to sit on the Throne.",
            " 0:02  Brand takes the Throne from Asta.",
            " 0:03  Cleo takes the empty Throne.",
            " 1:00  Something else happens.",
        ]
    );
    for (second, seat) in [(61, 0), (62, 1), (63, 0), (64, 2)] {
        let fight = Fight {
            at: second * 1_000,
            seat,
            sentence: String::new(),
            with: "3 axes".to_owned(),
            cost: "; the fight costs one attacker".to_owned(),
            dead: 1,
        };
        story.taken(seat, second * 1_000, None, Some(fight));
    }
    story.add(70_000, "It ends.");
    let many: Vec<_> = story.text().lines().skip(5).collect();
    assert_eq!(
        many,
        [
            " 1:01  The Throne changes hands 4 times until 1:04, for 4 lives: Asta, Brand, Asta, Cleo.",
            " 1:10  It ends.",
        ]
    );
}

#[test]
fn clock_has_minutes_and_seconds() {
    assert_eq!(clock(605), "10:05");
}

/// A report of a won assault on the city of the seat 1.
fn assault(hit: u32, loot: u64) -> BattleReport {
    BattleReport {
        place: Place::City(1),
        attacker: 0,
        defender: Some(1),
        attack: Attack::Assault,
        attackers: Army::new([0, 5, 0, 0]),
        defenders: Army::NONE,
        result: raftian_realm::crowns::BattleResult {
            is_won: true,
            attack: 200,
            defence: 60,
            attacker_lost: Army::NONE,
            defender_lost: Army::NONE,
        },
        loot: [loot, 0, 0],
        hit,
    }
}

#[test]
fn assault_names_the_points_that_are_left_of_the_keep() {
    assert_eq!(
        outcome(&assault(30, 0), 0, 40),
        " and takes 30 from the keep, 40 are left"
    );
    assert_eq!(
        outcome(&assault(20, 1), 1, 1),
        " and takes one good and 20 from the keep, one is left"
    );
    assert_eq!(
        outcome(&assault(10, 0), 0, 0),
        " and takes the last 10 from the keep"
    );
}

#[test]
fn throne_opens_and_keeps_are_no_longer_repaired_at_their_times() {
    let mut game = Crowns::new(3, 1, Rules::of_this_build(), 0).unwrap();
    let mut story = Story::new(&["rush", "boom", "turtle"]);
    for second in [239, 240, 500, 899, 1_100] {
        game.advance(second * 1_000);
        story.watch(&game);
    }
    let lines: Vec<_> = story.text().lines().collect();
    let opens = lines
        .iter()
        .position(|line| *line == " 4:00  The Throne opens.");
    assert_eq!(opens, Some(1), "{lines:?}");
    let moments = lines
        .iter()
        .filter(|line| line.starts_with("15:00"))
        .count();
    assert_eq!(
        moments, 2,
        "the moment and the look at the seats: {lines:?}"
    );
    assert!(
        lines.contains(&"15:00  Keeps are no longer repaired."),
        "{lines:?}"
    );
}

/// A holder who falls leaves the Throne empty.
#[test]
fn empty_throne_is_taken_from_no_seat() {
    let mut game = Crowns::new(3, 1, Rules::of_this_build(), 0).unwrap();
    let mut story = Story::new(&["rush", "boom", "turtle"]);
    story.taken(0, 1_000, None, None);
    let concede = raftian_realm::crowns::Order::Concede;
    assert_eq!(game.order(0, &concede, 2_000), Ok(()));
    story.watch(&game);
    let place = Place::Throne;
    story.hear(&game, 3_000, &Report::Taken { seat: 1, place });
    let fight = BattleReport {
        place,
        defender: Some(1),
        attacker: 2,
        ..assault(0, 0)
    };
    story.hear(&game, 4_000, &Report::Battle(fight));
    story.hear(&game, 4_000, &Report::Taken { seat: 2, place });
    story.add(5_000, "It ends.");
    let lines: Vec<_> = story.text().lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            " 0:02  Asta gives up the city.",
            " 0:03  Brand takes the empty Throne.",
            " 0:04  Cleo takes the Throne from Brand.",
            " 0:05  It ends.",
        ]
    );
}

/// The holder that called its garrison home is named; a fight without survivors names no seat.
#[test]
fn empty_throne_names_since_when_it_is_empty() {
    for (left_by, expected) in [
        (
            Some(0),
            " 1:00  Brand takes the Throne, which Asta left at 0:50.",
        ),
        (None, " 1:00  Brand takes the Throne, empty since 0:50."),
    ] {
        let mut story = Story::new(&["rush", "boom"]);
        story.taken(0, 1_000, None, None);
        let since = 50_000;
        story.vacancy = Some(Vacancy { since, left_by });
        story.taken(1, 60_000, None, None);
        story.taken(0, 61_000, None, None);
        story.add(70_000, "It ends.");
        let lines: Vec<_> = story.text().lines().skip(2).collect();
        let again = " 1:01  Asta takes the empty Throne.";
        assert_eq!(lines, [expected, again, " 1:10  It ends."]);
    }
}

/// A whole game: each holder that calls its garrison home is seen by the story.
#[test]
fn throne_without_a_garrison_has_been_left() {
    let bots = [Archetype::Rush, Archetype::Turtle].map(|kind| Bot::new(Level::Captain, kind));
    let rules = Rules::of_this_build();
    let mut left = 0;
    for seed in 1..10 {
        let mut story = Story::new(&["rush", "turtle"]);
        play(&bots, seed, &rules, |game| {
            story.watch(game);
            let is_held = game.holding(Place::Throne).unwrap().holder.is_some();
            assert!(!is_held || story.vacancy.is_none(), "{}", story.text());
        })
        .unwrap();
        left += story.text().matches(", which ").count();
    }
    assert!(left > 0, "the Throne was never left");
}
