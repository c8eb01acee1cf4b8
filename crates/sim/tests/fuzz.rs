//! A short run of every target, and what a finding looks like. `cargo lab fuzz all` goes on for as
//! long as it is told.

use raftian_sim::fuzz::{Answer, Answers, Fuzz, TARGETS, Target, judge};

/// The same inputs on every machine; `cargo lab fuzz TARGET --seed 1 --number N` replays one.
const SEED: u64 = 1;

#[test]
fn every_target_answers_a_few_thousand_inputs_as_it_should() {
    for target in TARGETS {
        let answers = Fuzz::new(target, SEED)
            .run(|number| number < 3_000)
            .unwrap_or_else(|finding| panic!("{finding}"));
        let Answers { taken, refused } = answers;
        assert_eq!(taken + refused, 3_000);
        assert!(
            taken >= 30,
            "{}: only {taken} inputs made sense, so little was tried",
            target.name
        );
    }
}

#[test]
fn what_is_in_the_corpus_makes_sense() {
    for target in TARGETS {
        for valid in (target.corpus)() {
            assert_eq!(
                judge(&target, &valid),
                Ok(Answer::Taken),
                "{}: {}",
                target.name,
                String::from_utf8_lossy(&valid)
            );
        }
    }
}

#[test]
fn a_panic_is_found_brought_down_and_told_as_one_line_that_replays_it() {
    let planted = Target {
        name: "planted",
        about: "no byte is 7",
        longest: 64,
        takes_anything: true,
        corpus: Vec::new,
        check: |bytes| {
            assert!(!bytes.contains(&7), "seven");
            Ok(Answer::Taken)
        },
    };
    let finding = Fuzz::new(planted, SEED)
        .run(|number| number < 1_000)
        .unwrap_err();
    assert_eq!(finding.minimal, [7]);
    assert_eq!(finding.what, "it panicked: seven");
    assert_eq!(finding.replay(), "cargo lab fuzz planted --hex 07");
    assert!(
        finding.input.contains(&7)
            && Fuzz::new(planted, SEED).input(finding.number) == finding.input
    );
}
