//! Matching, windows, round trips and snapshot transfers of one follower.

use super::*;

#[test]
fn follower_that_lost_entries_does_not_count() {
    let sent = |sent| {
        Some(Probe {
            term: crate::types::Term(1),
            sent: Moment(sent),
            round: 0,
        })
    };
    let mut progress = Progress::new(Index(9), Moment(0), Incarnation::default(), false);
    progress.on_matched(Index(9), None, Moment(10));
    progress.commit_sent = Index(9);
    progress.catch_up = Some(CatchUp::new(Index(9), Moment(0)));
    let proves = |progress: &Progress, refused, hint, at| {
        progress.proves_loss(Index(refused), Index(hint), sent(at))
    };
    assert!(
        !proves(&progress, 9, 4, 10),
        "the request may have been sent before the acknowledgement"
    );
    assert!(proves(&progress, 9, 8, 11));
    assert!(
        proves(&progress, 10, 8, 11),
        "it refuses a later entry and names the end of a log that is too short"
    );
    assert!(
        !proves(&progress, 10, 9, 11),
        "it may have lost an entry it had not acknowledged"
    );
    progress.lose(Index(4), Moment(0));
    assert_eq!(
        (progress.lost, progress.matched, progress.next),
        (Some(Index(9)), Index(0), Index(5))
    );
    assert_eq!(
        (progress.commit_sent, progress.catch_up.is_none()),
        (Index(0), true)
    );
    assert!(matches!(progress.flow, Flow::Probe { sent: false }));
    progress.on_matched(Index(9), None, Moment(20));
    assert!(!proves(&progress, 9, 4, 21), "the loss is known");
}

#[test]
fn refusal_rewinds_next_index_and_sent_commit_index() {
    let mut progress = Progress::new(Index(9), Moment(0), Incarnation::default(), false);
    progress.commit_sent = Index(9);
    assert!(
        progress.on_conflict(Index(9), Index(12)),
        "a hint beyond what was refused"
    );
    assert_eq!((progress.next, progress.commit_sent), (Index(9), Index(0)));
}

#[test]
fn window_releases_exactly_what_was_added() {
    let mut window = Window::default();
    for i in 1..=3 {
        window.push(Index(i * 10), 100);
    }
    assert!(!window.has_room(3, 1000) && !window.has_room(9, 300) && window.has_room(9, 301));
    window.acknowledge(Index(19));
    assert_eq!((window.sent.len(), window.bytes), (2, 200));
    window.acknowledge(Index(30));
    assert_eq!((window.sent.len(), window.bytes), (0, 0));
}

/// RFC 6298, 2.2 and 2.3, with its constants 1/8, 1/4 and 4.
#[test]
fn round_trips_are_smoothed() {
    let us = Duration::from_micros;
    let mut trips = RoundTrip::default();
    assert_eq!((trips.last, trips.bound()), (None, 0));
    trips.measured(us(800));
    assert_eq!(
        (trips.smoothed, trips.deviation, trips.bound()),
        (us(800), us(400), 2_400)
    );
    trips.measured(us(1_600));
    assert_eq!(
        (trips.smoothed, trips.deviation, trips.bound()),
        (us(900), us(500), 2_900)
    );
    trips.measured(us(900));
    assert_eq!(
        (trips.last, trips.smoothed, trips.deviation),
        (Some(us(900)), us(900), us(375))
    );
}

fn transfer(size: usize, repair: bool) -> SnapshotTransfer {
    let position = crate::types::LogPosition {
        term: crate::types::Term(1),
        index: Index(5),
    };
    let membership = crate::membership::Membership::new([crate::types::NodeId(1)]).unwrap();
    let data = Some(alloc::vec![7; size].into());
    SnapshotTransfer::new(
        Snapshot {
            position,
            stamp: crate::types::Stamp(0),
            membership,
            data,
        },
        false,
        repair,
        Moment(0),
    )
}

#[test]
fn stalled_transfer_resends_from_the_last_reported_byte() {
    let timeout = Duration::from_micros(10);
    let mut transfer = transfer(100, false);
    (transfer.sent, transfer.begun) = (60, true);
    transfer.on_received(40, Moment(5));
    assert_eq!(
        (transfer.received, transfer.sent, transfer.answers),
        (40, 60, true)
    );
    transfer.resend_after(timeout, Moment(14));
    assert_eq!(
        (transfer.received, transfer.sent, transfer.begun),
        (40, 60, true),
        "something moved"
    );
    transfer.on_received(40, Moment(14));
    transfer.resend_after(timeout, Moment(15));
    assert_eq!(
        (transfer.received, transfer.sent, transfer.begun),
        (40, 40, false),
        "the rest counts as lost"
    );
    assert!(!transfer.answers);
    transfer.sent = 60;
    transfer.on_received(40, Moment(16));
    assert!(!transfer.answers, "a stale report is no answer");
    transfer.on_received(50, Moment(17));
    assert_eq!(
        (transfer.received, transfer.sent, transfer.answers),
        (50, 60, true)
    );
    // The follower lost bytes; and a report beyond the size is clamped.
    transfer.on_received(10, Moment(18));
    assert_eq!((transfer.received, transfer.sent), (50, 60));
    transfer.resend_after(timeout, Moment(27));
    assert_eq!((transfer.received, transfer.sent), (10, 10));
    transfer.on_received(1_000, Moment(28));
    assert_eq!((transfer.received, transfer.sent), (100, 100));
}

#[test]
fn covered_follower_ends_a_transfer_unless_it_is_a_repair() {
    for (repair, matched, goes_on) in [
        (false, 4, false),
        (false, 5, true),
        (false, 6, true),
        (true, 6, false),
    ] {
        let mut progress = Progress::new(Index(9), Moment(0), Incarnation(0), false);
        progress.flow = Flow::Snapshot(transfer(100, repair));
        assert!(progress.on_matched(Index(matched), None, Moment(0)));
        assert_eq!(
            matches!(progress.flow, Flow::Replicate(_)),
            goes_on,
            "{repair} {matched}"
        );
        assert!(
            !progress.on_matched(Index(matched), None, Moment(0)),
            "nothing advanced"
        );
    }
}

#[test]
fn stale_refusal_changes_nothing() {
    let mut progress = Progress::new(Index(9), Moment(0), Incarnation(0), false);
    assert!(progress.on_conflict(Index(9), Index(5)));
    assert_eq!(progress.next, Index(6));
    assert!(
        !progress.on_conflict(Index(9), Index(3)),
        "its message was sent before the first refusal"
    );
    assert_eq!(progress.next, Index(6));
    assert!(progress.on_matched(Index(5), None, Moment(0)));
    assert!(
        !progress.on_conflict(Index(4), Index(1)),
        "a matched entry cannot be refused"
    );
    assert_eq!((progress.matched, progress.next), (Index(5), Index(6)));
}
