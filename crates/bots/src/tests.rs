mod extreme_rules;

use raftian_realm::crowns::{
    Army, Attack, EndReason, MapError, Order, Place, Refusal, Rules, UnitKind,
};

use super::*;
use crate::play::{Played, play};
use crate::tournament::{MAX_MATCHES, Settings, TournamentError, run};

/// Number of random matches of one test; the environment variable `RAFTIAN_MATCHES` changes it.
const MATCHES: u64 = 400;

fn bots(kinds: &[Archetype]) -> Vec<Bot> {
    let bots = kinds.iter().map(|kind| Bot::new(Level::Captain, *kind));
    bots.collect()
}

/// A bot that continues on another machine decides the same.
#[test]
fn decisions_follow_from_the_state_and_the_seed() {
    let bots = bots(&[Archetype::Raid, Archetype::Turtle, Archetype::Expand]);
    let (mut seen, mut others) = (0, 0);
    let watch = |game: &Crowns| {
        for level in Level::ALL {
            let bot = Bot::new(level, Archetype::Rush);
            let orders = bot.orders(game, 1, 5);
            let copy = game.without_reports();
            assert_eq!(bot.orders(&copy, 1, 5), orders);
            seen += orders.len();
            others += usize::from(bot.orders(game, 1, 6) != orders);
        }
    };
    play(&bots, 5, &Rules::of_this_build(), watch).unwrap();
    assert!(seen > 1_000, "{seen} orders");
    assert!(others > 0, "the seed matters");
}

/// A bot knows the rules: what it orders is possible when it decides.
#[test]
fn orders_of_bots_are_rarely_refused() {
    for level in Level::ALL {
        let (mut given, mut refused) = (0, Vec::new());
        for seed in 0..4 {
            let bots = [Archetype::Boom, Archetype::Raid, Archetype::Rush];
            let bots = bots.map(|kind| Bot::new(level, kind));
            let watch = |game: &Crowns| {
                for (seat, bot) in (0..).zip(&bots) {
                    let mut copy = game.without_reports();
                    for order in bot.orders(game, seat, seed) {
                        given += 1;
                        let done = copy.order(seat, &order, copy.now());
                        refused.extend(done.err().filter(|one| *one != Refusal::TooFast));
                    }
                }
            };
            play(&bots, seed, &Rules::of_this_build(), watch).unwrap();
        }
        assert!(
            refused.len() * 50 < given,
            "{level:?}: {} of {given}: {refused:?}",
            refused.len()
        );
    }
}

/// "Random games end or are draws by the rule."
#[test]
fn random_matches_end_by_the_rules() {
    let count = std::env::var("RAFTIAN_MATCHES").ok();
    let count = count
        .and_then(|count| count.parse().ok())
        .unwrap_or(MATCHES);
    let rules = Rules::of_this_build();
    for seed in 0..count {
        let mut rng = rng_of(seed, 0, 0);
        let seats = rng.random_range(2..=8);
        let bots: Vec<_> = (0..seats)
            .map(|_| {
                let level = Level::ALL[rng.random_range(0..2)];
                let kind = Archetype::ALL[rng.random_range(0..Archetype::ALL.len())];
                Bot::new(level, kind)
            })
            .collect();
        let Played { game, .. } = play(&bots, seed, &rules, |_| ()).unwrap();
        let end = game.end().unwrap();
        let crowns: Vec<_> = (0..seats).map(|seat| game.crowns(seat)).collect();
        let best = crowns.iter().max().copied().unwrap_or(0);
        assert!(end.at <= rules.goal.end * 1_000, "seed {seed}");
        match (end.reason, end.winner) {
            (EndReason::Crowns, Some(winner)) => {
                assert!(best >= game.goal(), "seed {seed}");
                assert_eq!(crowns[usize::from(winner)], best, "seed {seed}");
            }
            (EndReason::LastKeep, Some(winner)) => {
                let standing = (0..).zip(game.seats()).filter(|(_, own)| own.stands());
                let standing: Vec<u8> = standing.map(|(seat, _)| seat).collect();
                assert_eq!(standing, [winner], "seed {seed}");
            }
            (EndReason::Time, _) => assert_eq!(end.at, rules.goal.end * 1_000, "seed {seed}"),
            // Both have as many.
            (EndReason::Crowns, None) => assert!(best >= game.goal(), "seed {seed}"),
            (EndReason::Abandoned, _) => panic!("seed {seed}: bots do not leave"),
            (EndReason::LastKeep, None) => panic!("seed {seed}: a city fell without a conqueror"),
        }
    }
}

#[test]
fn each_level_beats_the_one_below() {
    let settings = Settings {
        games: 0,
        tables: 0,
        ablations: 0,
        levels: 24,
        seed: 11,
    };
    let results = run(settings, &Rules::of_this_build(), |_| ()).unwrap();
    assert!(
        results.levels[&Level::Captain].rate >= 0.85,
        "{:?}",
        results.levels
    );
    assert!(
        results.levels[&Level::Warlord].rate >= 0.6,
        "{:?}",
        results.levels
    );
}

#[test]
fn same_tournament_has_the_same_results() {
    let settings = Settings {
        games: 2,
        tables: 2,
        ablations: 2,
        levels: 2,
        seed: 3,
    };
    let rules = Rules::of_this_build();
    assert_eq!(run(settings, &rules, |_| ()), run(settings, &rules, |_| ()));
}

#[test]
fn endless_tournament_is_refused() {
    let none = Settings {
        games: 0,
        tables: 0,
        ablations: 0,
        levels: 0,
        seed: 1,
    };
    let endless = [
        Settings {
            games: u64::MAX,
            ..none
        },
        Settings {
            levels: MAX_MATCHES / 2 + 1,
            ..none
        },
    ];
    let rules = Rules::of_this_build();
    for settings in endless {
        let refused = run(settings, &rules, |_| ()).unwrap_err();
        assert!(matches!(refused, TournamentError::TooManyMatches(_)));
        assert!(refused.to_string().contains("1000000 at most"), "{refused}");
    }
    let most = Settings {
        levels: MAX_MATCHES / 2,
        ..none
    };
    assert_eq!(most.matches(), Ok(MAX_MATCHES));
    assert_eq!(run(none, &rules, |_| ()).unwrap().matches, 0);
}

/// It is no draw.
#[test]
fn match_without_a_map_ends_a_tournament() {
    let mut rules = Rules::of_this_build();
    rules.oasis.per_seat = 200;
    let settings = Settings {
        games: 1,
        tables: 0,
        ablations: 0,
        levels: 0,
        seed: 1,
    };
    let refused = run(settings, &rules, |_| ());
    assert_eq!(refused, Err(TournamentError::Map(MapError::Oases(2))));
}

fn match_of_two() -> Crowns {
    Crowns::new(2, 7, Rules::of_this_build(), 0).unwrap()
}

#[test]
fn steward_does_nothing_in_peace() {
    let mut game = match_of_two();
    game.advance(300_000);
    assert_eq!(steward(&game, 0), []);
    assert_eq!(steward(&game, 9), [], "no such seat");
}

#[test]
fn steward_trains_spears_against_an_attack_and_calls_garrisons_home() {
    let mut game = match_of_two();
    let army = |counts| Army::new(counts);
    // The defender has a garrison at an oasis, the attacker many axes.
    let near = (0..4).find(|oasis| {
        let march = Order::March {
            army: army([4, 0, 0, 0]),
            to: Place::Oasis(*oasis),
            attack: Attack::Assault,
        };
        game.order(0, &march, 1_000).is_ok()
    });
    assert!(near.is_some());
    let train = Order::Train(UnitKind::Axe, 4);
    for _ in 0..8 {
        let now = game.now() + 60_000;
        assert_eq!(game.order(1, &train, now), Ok(()));
    }
    game.advance(game.now() + 60_000);
    let axes = game.seats()[1].home().count(UnitKind::Axe);
    let attack = Order::March {
        army: army([0, axes, 0, 0]),
        to: Place::City(0),
        attack: Attack::Assault,
    };
    assert_eq!(game.order(1, &attack, game.now()), Ok(()));
    let orders = steward(&game, 0);
    assert!(
        orders.contains(&Order::Train(UnitKind::Spear, 5)),
        "{orders:?}"
    );
    let copy = &mut game.clone();
    for order in orders {
        assert_eq!(copy.order(0, &order, copy.now()), Ok(()));
    }
    // After the hit it repairs.
    game.advance(game.now() + 120_000);
    assert!(game.seats()[0].keep() < 100);
    assert!(steward(&game, 0).contains(&Order::Repair(true)));
}
