//! Past bugs, injected again: their transcripts must fail, and storms must find them.
#![cfg(feature = "planted")]

use raftian_raft::PlantedBug;
use raftian_sim::scenario::{Script, run_planted};
use raftian_sim::storm::Storm;

/// The transcript that covers each fault.
const ABOUT: [(PlantedBug, &str); 12] = [
    (
        PlantedBug::EchoesStaleProbes,
        include_str!(
            "../../../tests/scenarios/read_answer_of_an_earlier_leadership_confirms_nothing.scenario"
        ),
    ),
    (
        PlantedBug::ForgetsLeaderWithTerm,
        include_str!(
            "../../../tests/scenarios/vote_is_refused_after_a_later_term_was_learned.scenario"
        ),
    ),
    (
        PlantedBug::DrawsBelowFloor,
        include_str!(
            "../../../tests/scenarios/lease_is_no_longer_than_the_shortest_timeout.scenario"
        ),
    ),
    (
        PlantedBug::PrefersForEver,
        include_str!("../../../tests/scenarios/priority_gives_way_after_a_while.scenario"),
    ),
    (
        PlantedBug::CountsFormerWitness,
        include_str!(
            "../../../tests/scenarios/witness_comes_back_as_a_witness_or_with_an_empty_disk.scenario"
        ),
    ),
    (
        PlantedBug::PromotesOnlyInQuiet,
        include_str!(
            "../../../tests/scenarios/membership_joining_node_is_promoted_under_load.scenario"
        ),
    ),
    (
        PlantedBug::CompactsUnderTransfer,
        include_str!(
            "../../../tests/scenarios/snapshot_slower_than_the_snapshots_arrives.scenario"
        ),
    ),
    (
        PlantedBug::LosesTruncation,
        include_str!(
            "../../../tests/scenarios/disk_truncation_is_written_though_a_snapshot_covers_it.scenario"
        ),
    ),
    (
        PlantedBug::OverlooksShortHints,
        include_str!(
            "../../../tests/scenarios/backup_refusal_that_proves_a_loss_confirms_no_read.scenario"
        ),
    ),
    (
        PlantedBug::AsksNothingUnderTransfer,
        include_str!("../../../tests/scenarios/backup_under_a_snapshot_confirms_no_read.scenario"),
    ),
    (
        PlantedBug::PromotesInMidRound,
        include_str!("../../../tests/scenarios/promotion_waits_for_the_end_of_a_round.scenario"),
    ),
    (
        PlantedBug::FoundsWithoutAgreement,
        include_str!("../../../tests/scenarios/founding_waits_for_every_founder.scenario"),
    ),
];

#[test]
fn every_planted_fault_fails_its_transcript() {
    for (fault, text) in ABOUT {
        let script = Script::parse(fault.name(), text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            run_planted(&script, 0, None).err(),
            None,
            "the transcript of {} fails without the fault",
            fault.name()
        );
        assert!(
            run_planted(&script, 0, Some(fault)).is_err(),
            "{} is not detected by its transcript",
            fault.name()
        );
    }
}

/// Covers the faults that storms find within a few hundred seeds; the others take minutes of
/// `storm --plant`.
#[test]
fn storms_find_planted_faults() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let faults = [
        PlantedBug::DrawsBelowFloor,
        PlantedBug::PrefersForEver,
        PlantedBug::PromotesOnlyInQuiet,
        PlantedBug::CompactsUnderTransfer,
        PlantedBug::AsksNothingUnderTransfer,
    ];
    let is_missed = |fault: &PlantedBug| {
        let mut storms = (0..3_000).map(|seed| Storm {
            planted: Some(*fault),
            ..Storm::of(seed)
        });
        storms.all(|storm| storm.run().is_ok())
    };
    let missed: Vec<_> = faults.into_iter().filter(is_missed).collect();
    std::panic::set_hook(hook);
    assert_eq!(missed, [], "no storm finds these");
}
