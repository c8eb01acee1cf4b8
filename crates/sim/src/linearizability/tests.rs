//! Tests the checkers with histories that are correct by construction, with corrupted ones, and
//! against checkers that are simple enough to be obviously correct.

use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::register::{Fate, Move, Register};
use super::{Answer, Call, Committed, History, Operation, Verdict, log_order, wgl};

/// Maximum number of operations for the naive checker: it tries 6! orders and, for unknown
/// outcomes, all subsets of them.
const FEW: usize = 6;

/// Searches for an order by trying all of them.
fn brute_force(history: &History) -> bool {
    fn extends(rest: &[&Operation], list: &[u64]) -> bool {
        if rest.iter().all(|operation| operation.returned().is_none()) {
            return true;
        }
        (0..rest.len()).any(|place| {
            let next = rest[place];
            let others: Vec<_> = rest
                .iter()
                .copied()
                .filter(|other| other.invoked != next.invoked)
                .collect();
            let in_time = others.iter().all(|other| {
                other
                    .returned()
                    .is_none_or(|returned| returned > next.invoked)
            });
            let mut list = list.to_vec();
            next.call.apply(&mut list);
            in_time && next.list().is_none_or(|seen| seen == list) && extends(&others, &list)
        })
    }
    let keys = 0..=history
        .operations()
        .iter()
        .map(|operation| operation.key)
        .max()
        .unwrap_or(0);
    keys.into_iter().all(|key| {
        let operations: Vec<_> = history
            .operations()
            .iter()
            .filter(|operation| operation.key == key)
            .collect();
        extends(&operations, &[])
    })
}

/// Checks real time by comparing each pair of operations.
fn real_time_in_pairs(history: &History, log: &[Committed]) -> bool {
    let index = |operation: &Operation| {
        let entry = log
            .iter()
            .find(|entry| (entry.client, entry.sequence) == (operation.client, operation.sequence));
        operation
            .answer()
            .map(Answer::index)
            .or(entry.map(|entry| entry.index))
    };
    let pairs = history
        .operations()
        .iter()
        .flat_map(|a| history.operations().iter().map(move |b| (a, b)));
    let mut ordered =
        pairs.filter(|(a, b)| a.returned().is_some_and(|returned| returned < b.invoked));
    ordered.all(|(a, b)| match (index(a), index(b)) {
        (Some(a), Some(at)) => {
            if b.call.is_update() {
                a < at
            } else {
                a <= at
            }
        }
        (None, _) | (_, None) => true,
    })
}

fn judge(history: &History) -> Verdict {
    wgl::check(history, wgl::STATES_PER_KEY)
}

/// Generates steps of `clients` on a register. Values repeat, so that histories are ambiguous.
fn moves(clients: u64, keys: u32, values: u64, most: usize) -> impl Strategy<Value = Vec<Move>> {
    let call = prop_oneof![
        (0..values).prop_map(Call::Write),
        (0..values).prop_map(Call::Append),
        Just(Call::Read)
    ];
    let fate =
        prop_oneof![8 => Just(Fate::Onwards), 1 => Just(Fate::GivenUp), 1 => Just(Fate::Late)];
    let step = (0..clients, 0..keys, call, fate);
    prop::collection::vec(
        step.prop_map(|(client, key, call, fate)| Move {
            client,
            call: (key, call),
            fate,
        }),
        0..most,
    )
}

/// Runs `moves` until `operations` calls are made.
fn run(moves: &[Move], operations: usize) -> Register {
    let mut register = Register::default();
    for step in moves {
        register.happen(*step);
        if register.history.operations().len() == operations {
            break;
        }
    }
    // Most answers arrive in the end.
    for step in moves.iter().filter(|step| step.fate == Fate::Onwards) {
        let before = register.clone();
        register.happen(*step);
        if register.history.operations().len() > operations {
            register = before;
        }
    }
    register
}

/// Changes the list that a read returned.
fn spoil(list: &mut Vec<u64>, how: u64) {
    match (how % 6, list.len()) {
        (0, 1..) => drop(list.pop()),
        (1, 1..) => list.push(list[list.len() - 1]),
        (2, 2..) if list[0] != list[1] => list.swap(0, 1),
        (3, 1..) => list.clear(),
        (4, 1..) => drop(list.remove(0)),
        _ => list.push(how % 4),
    }
}

/// Corrupts one of the answered reads. Returns false if there is none.
fn spoil_one(history: &mut History, which: usize, how: u64) -> bool {
    let reads = history
        .operations()
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.list().is_some());
    let reads: Vec<_> = reads.map(|(place, _)| place).collect();
    let Some(place) = reads.get(which % reads.len().max(1)) else {
        return false;
    };
    history.change(*place, |answer| match answer {
        Answer::Value { list, .. } => spoil(list, how),
        Answer::Written { .. } => unreachable!("it is a read"),
    });
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_of_a_correct_register_pass_both_checkers(moves in moves(4, 2, 4, 120)) {
        let Register { history, log, .. } = run(&moves, usize::MAX);
        prop_assert_eq!(judge(&history), Verdict::Linearizable);
        prop_assert_eq!(log_order::check(&history, &log), Ok(()));
    }

    #[test]
    fn corrupted_answer_is_detected_unless_some_order_explains_it(
        moves in moves(3, 1, 3, 40),
        which in 0usize..FEW,
        how in 0u64..12,
    ) {
        let mut register = run(&moves, FEW);
        prop_assume!(spoil_one(&mut register.history, which, how));
        let verdict = judge(&register.history);
        prop_assert_eq!(verdict == Verdict::Linearizable, brute_force(&register.history), "{:?}", verdict);
        prop_assert!(log_order::check(&register.history, &register.log).is_err(), "the log has another list");
    }

    #[test]
    fn verdict_on_corrupted_answers_equals_brute_force(
        moves in moves(4, 2, 2, 60),
        spoils in prop::collection::vec((0usize..FEW, 0u64..12), 0..4),
    ) {
        let mut history = run(&moves, FEW).history;
        for (which, how) in spoils {
            spoil_one(&mut history, which, how);
        }
        let verdict = judge(&history);
        prop_assert_eq!(verdict == Verdict::Linearizable, brute_force(&history), "{:?}", verdict);
    }

    #[test]
    fn false_index_is_detected_unless_it_contradicts_nothing(
        moves in moves(3, 2, 3, 60),
        which in 0usize..60,
        away in -3i64..=3,
    ) {
        let mut register = run(&moves, usize::MAX);
        let answered = register.history.operations().iter().enumerate().filter(|(_, op)| op.returned().is_some());
        let answered: Vec<_> = answered.map(|(place, op)| (place, op.clone())).collect();
        prop_assume!(!answered.is_empty());
        let (place, operation) = &answered[which % answered.len()];
        let index = operation.answer().expect("it was answered").index().saturating_add_signed(away);
        register.history.change(*place, |answer| match answer {
            Answer::Written { index: old } | Answer::Value { index: old, .. } => *old = index,
        });
        let Register { history, log, .. } = register;
        let changed = history.operations()[*place].answer() != operation.answer();
        let fine = if operation.call.is_update() {
            !changed
        } else {
            let shown = log.iter().filter(|entry| entry.index <= index && entry.key == operation.key);
            let shown = shown.fold(Vec::new(), |mut list, entry| { entry.call.apply(&mut list); list });
            operation.list() == Some(&shown) && real_time_in_pairs(&history, &log)
        };
        prop_assert_eq!(log_order::check(&history, &log).is_ok(), fine);
    }

    /// The two checkers share no code, so that each validates the other.
    #[test]
    fn wgl_accepts_every_history_that_log_order_accepts(
        moves in moves(4, 2, 3, 80),
        swaps in prop::collection::vec((0usize..80, 0usize..80), 0..3),
    ) {
        let Register { history, mut log, .. } = run(&moves, usize::MAX);
        for (one, other) in swaps {
            if one.max(other) < log.len() {
                let a = log[one].index;
                let b = log[other].index;
                log.swap(one, other);
                (log[one].index, log[other].index) = (a, b);
            }
        }
        if log_order::check(&history, &log).is_ok() {
            prop_assert_eq!(judge(&history), Verdict::Linearizable);
        }
    }
}

/// Creates a long history of 8 clients in which one call in a hundred has an unknown outcome.
fn long(seed: u64, operations: usize, keys: u32) -> Register {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut register = Register::default();
    let mut value = 0;
    while register.history.operations().len() < operations {
        value += 1;
        let call = match rng.random_range(0..10) {
            0 => Call::Write(value),
            1..5 => Call::Append(value),
            _ => Call::Read,
        };
        // An operation makes three moves, and may be abandoned at the second or third.
        let fate = match rng.random_range(0..600) {
            0..3 => Fate::GivenUp,
            3..6 => Fate::Late,
            _ => Fate::Onwards,
        };
        register.happen(Move {
            client: rng.random_range(0..8),
            call: (rng.random_range(0..keys), call),
            fate,
        });
    }
    register
}

#[test]
fn long_history_is_decided_well_within_the_budget() {
    for seed in 0..20 {
        let Register { history, log, .. } = long(seed, 1_000, 5);
        let unknown = history
            .operations()
            .iter()
            .filter(|operation| operation.returned().is_none())
            .count();
        assert!(
            (8..40).contains(&unknown),
            "{unknown} outcomes are unknown with seed {seed}"
        );
        assert_eq!(
            wgl::check(&history, wgl::STATES_PER_KEY / 10),
            Verdict::Linearizable,
            "seed {seed}"
        );
        assert_eq!(log_order::check(&history, &log), Ok(()), "seed {seed}");
    }
}

#[test]
fn stale_read_in_a_long_history_is_found_within_the_budget() {
    for seed in 0..20 {
        let Register {
            mut history, log, ..
        } = long(seed, 1_000, 5);
        let mut reads = history.operations().iter().enumerate();
        let (place, _) = reads
            .rfind(|(_, op)| op.list().is_some_and(|list| list.len() > 2))
            .expect("some read saw three values");
        history.change(place, |answer| match answer {
            Answer::Value { list, .. } => list.truncate(1),
            Answer::Written { .. } => unreachable!("it is a read"),
        });
        let verdict = wgl::check(&history, wgl::STATES_PER_KEY / 10);
        assert!(
            matches!(verdict, Verdict::Violated(_)),
            "seed {seed}: {verdict:?}"
        );
        assert!(log_order::check(&history, &log).is_err(), "seed {seed}");
    }
}
