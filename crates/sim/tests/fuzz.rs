//! A short run of every fuzz target, and the format of a finding. `cargo lab fuzz all` runs for a
//! chosen time.

use raftian_sim::fuzz::{Answer, Answers, Fuzz, TARGETS, Target, judge};

/// Fixed seed, so that every machine tries the same inputs; `cargo lab fuzz TARGET --seed 1
/// --number N` replays one.
const SEED: u64 = 1;

#[test]
fn every_target_handles_a_few_thousand_inputs() {
    for target in TARGETS {
        let answers = Fuzz::new(target, SEED)
            .run(|number| number < 3_000)
            .unwrap_or_else(|finding| panic!("{finding}"));
        let Answers { taken, refused } = answers;
        assert_eq!(taken + refused, 3_000);
        assert!(
            taken >= 30,
            "{}: only {taken} inputs were accepted, so little was tested",
            target.name
        );
    }
}

#[test]
fn every_corpus_input_is_accepted() {
    for target in TARGETS {
        for valid in (target.corpus)() {
            let answer = judge(&target, &valid);
            assert!(
                matches!(answer, Ok(Answer::Taken)),
                "{}: {answer:?}: {}",
                target.name,
                String::from_utf8_lossy(&valid)
            );
        }
    }
}

#[test]
fn panic_is_shrunk_and_replayed_by_one_command() {
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
    assert_eq!(finding.defect.to_string(), "panicked: seven");
    assert_eq!(finding.replay(), "cargo lab fuzz planted --hex 07");
    assert!(
        finding.input.contains(&7)
            && Fuzz::new(planted, SEED).input(finding.number) == finding.input
    );
}
