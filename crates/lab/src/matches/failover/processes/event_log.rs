//! Reports of a match's processes, and the quantities derived from the complete log.

use std::time::Duration;

use raftian_raft::Moment;

use super::protocol::ChildEvent;
use crate::matches::ledger::Ledger;

/// One report.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Arrival time on the match's clock.
    pub(super) at: Moment,
    /// Reporting machine, counted from 0.
    pub(super) place: usize,
    /// Run of that machine, counted from 0.
    pub(super) run: u64,
    pub(super) event: ChildEvent,
}

/// All reports, in order of arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(pub(super) Vec<Record>);

/// Failure schedule of a match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    /// Machine that was killed, counted from 0.
    pub(super) victim: usize,
    /// Time of the kill.
    pub(super) crashed: Moment,
    /// Time of the restart.
    pub(super) back: Moment,
    /// End of the search for gaps between commits.
    pub(super) over: Moment,
}

impl Records {
    /// Number of effects on the most advanced machine.
    pub(super) fn effects(&self) -> u64 {
        self.0
            .iter()
            .filter_map(|record| count(&record.event))
            .max()
            .unwrap_or_default()
    }

    /// Enters everything into a ledger that has all clicks. Returns the longest time between two
    /// commits after the crash.
    ///
    /// Commits are entered in order of time, states in order of their effects: reports of different
    /// processes interleave arbitrarily, so a machine may appear ahead of the first that reached a
    /// state.
    pub(super) fn enter(&self, ledger: &mut Ledger, happened: Timeline) -> Duration {
        let Timeline { crashed, over, .. } = happened;
        let mut in_time: Vec<_> = self.0.iter().collect();
        in_time.sort_by_key(|record| record.at);
        let mut watched = false;
        let mut gap = None;
        for Record {
            at, place, event, ..
        } in in_time
        {
            // Gaps before the crash do not count.
            if *at > crashed && !std::mem::replace(&mut watched, true) {
                ledger.watch_gaps();
            }
            // The gap is final at the end of the window: later commits belong to settling.
            if *at > over {
                gap.get_or_insert_with(|| ledger.longest_gap(over));
            }
            match event {
                ChildEvent::Committed(client, sequence) => {
                    ledger.committed(*client, *sequence, *place as u32, *at)
                }
                ChildEvent::Done(client, sequence) => ledger.notified(*client, *sequence, *at),
                ChildEvent::Leads { .. }
                | ChildEvent::Follows(_)
                | ChildEvent::Effect { .. }
                | ChildEvent::Restored(..)
                | ChildEvent::State(_) => {}
            }
        }
        let mut states: Vec<_> = self
            .0
            .iter()
            .filter_map(|record| Some((count(&record.event)?, record)))
            .collect();
        states.sort_by_key(|(count, record)| (*count, record.at));
        for (count, Record { place, event, .. }) in states {
            let hash = match event {
                ChildEvent::Effect {
                    hash,
                    client,
                    sequence,
                    ..
                } => {
                    ledger.effect(*client, *sequence, count);
                    *hash
                }
                ChildEvent::Restored(_, hash) => *hash,
                ChildEvent::Leads { .. }
                | ChildEvent::Follows(_)
                | ChildEvent::Committed(..)
                | ChildEvent::Done(..)
                | ChildEvent::State(_) => {
                    continue;
                }
            };
            ledger.reached(*place as u32, count, hash);
        }
        gap.unwrap_or_else(|| ledger.longest_gap(over))
    }

    /// Time from the crash until the first order that was not committed by then takes effect at a
    /// surviving machine.
    pub(super) fn stop(&self, ledger: &Ledger, happened: Timeline) -> Option<Duration> {
        let Timeline {
            victim, crashed, ..
        } = happened;
        let news = |record: &&Record| match record.event {
            ChildEvent::Effect {
                client, sequence, ..
            } if record.place != victim && record.at > crashed => ledger
                .order(client, sequence)
                .and_then(|order| order.committed)
                .is_some_and(|at| at > crashed),
            _ => false,
        };
        self.0
            .iter()
            .filter(news)
            .map(|record| record.at.since(crashed))
            .min()
    }

    /// Time from the crash until a machine leads in a later term than any before.
    pub(super) fn next_leader(&self, happened: Timeline) -> Option<Duration> {
        let leads = |record: &Record| match record.event {
            ChildEvent::Leads { term, .. } => Some((record.at, term)),
            _ => None,
        };
        let before = self
            .0
            .iter()
            .filter_map(leads)
            .filter(|(at, _)| *at <= happened.crashed);
        let last = before.map(|(_, term)| term).max().unwrap_or_default();
        let after = self
            .0
            .iter()
            .filter_map(leads)
            .filter(|(at, term)| *at > happened.crashed && *term > last);
        after.map(|(at, _)| at.since(happened.crashed)).min()
    }

    /// Time from the restart of the killed machine until it has `effects` effects.
    pub(super) fn caught_up(&self, happened: Timeline, effects: u64) -> Option<Duration> {
        let Timeline { victim, back, .. } = happened;
        // Run 0 is the process before the crash.
        let there = |record: &&Record| {
            record.place == victim
                && record.run > 0
                && count(&record.event).is_some_and(|count| count >= effects)
        };
        if effects == 0 {
            Some(Duration::ZERO)
        } else {
            self.0
                .iter()
                .find(there)
                .map(|record| record.at.since(back))
        }
    }
}

/// Number of effects of the reported state.
fn count(event: &ChildEvent) -> Option<u64> {
    match event {
        ChildEvent::Effect { count, .. } | ChildEvent::Restored(count, _) => Some(*count),
        ChildEvent::Leads { .. }
        | ChildEvent::Follows(_)
        | ChildEvent::Committed(..)
        | ChildEvent::Done(..)
        | ChildEvent::State(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::ledger::Violation;
    use raftian_raft::{ClientId, Sessions};

    const HAPPENED: Timeline = Timeline {
        victim: 0,
        crashed: Moment(100),
        back: Moment(400),
        over: Moment(900),
    };

    /// Three orders of one player at the second machine, with the given reports.
    fn judged(event: &[(u64, usize, u64, ChildEvent)]) -> (Records, Ledger, Duration) {
        let mut ledger = Ledger::default();
        let client = ledger.enter(1);
        (1..=3).for_each(|sequence| assert_eq!(ledger.click(client, Moment(sequence)), sequence));
        let record = |(at, place, run, event): &(u64, usize, u64, ChildEvent)| Record {
            at: Moment(*at),
            place: *place,
            run: *run,
            event: event.clone(),
        };
        let records = Records(event.iter().map(record).collect());
        let gap = records.enter(&mut ledger, HAPPENED);
        (records, ledger, gap)
    }

    fn effect(count: u64, hash: u64, sequence: u64) -> ChildEvent {
        ChildEvent::Effect {
            count,
            hash,
            client: ClientId(1),
            sequence,
        }
    }

    #[test]
    fn stop_ends_with_the_first_order_not_committed_before() {
        let committed = |sequence| ChildEvent::Committed(ClientId(1), sequence);
        let (records, ledger, gap) = judged(&[
            (10, 0, 0, ChildEvent::Leads { term: 3, ago: 0 }),
            (50, 0, 0, committed(1)),
            (90, 0, 0, committed(2)),
            // Committed before the crash, but applied by a survivor after it.
            (110, 1, 0, effect(1, 11, 1)),
            (111, 1, 0, effect(2, 22, 2)),
            (300, 2, 0, ChildEvent::Leads { term: 4, ago: 0 }),
            (320, 2, 0, committed(3)),
            (330, 2, 0, effect(3, 33, 3)),
            (331, 1, 0, effect(3, 33, 3)),
            (332, 1, 0, ChildEvent::Done(ClientId(1), 3)),
            (450, 0, 1, ChildEvent::Restored(2, 22)),
            (480, 0, 1, effect(3, 33, 3)),
        ]);
        assert_eq!(ledger.violation, None);
        assert_eq!(
            records.stop(&ledger, HAPPENED),
            Some(Duration::from_micros(230))
        );
        assert_eq!(
            records.next_leader(HAPPENED),
            Some(Duration::from_micros(200))
        );
        assert_eq!(
            records.caught_up(HAPPENED, 3),
            Some(Duration::from_micros(80))
        );
        assert_eq!(
            (gap, records.effects()),
            (Duration::from_micros(900 - 320), 3)
        );
        assert!(
            ledger
                .order(ClientId(1), 3)
                .is_some_and(|order| order.applied == Some(Moment(332)))
        );
    }

    #[test]
    fn violations_are_found_in_any_report_order() {
        // The second machine's reports arrive before the first's, with another state.
        let (_, ledger, _) = judged(&[
            (10, 1, 0, effect(1, 11, 1)),
            (20, 1, 0, effect(2, 22, 2)),
            (30, 0, 0, effect(1, 12, 1)),
        ]);
        assert_eq!(
            ledger.violation,
            Some(Violation::Diverged {
                machine: 0,
                effects: 1
            })
        );
        let (_, ledger, _) = judged(&[
            (10, 0, 0, effect(1, 11, 1)),
            (20, 1, 0, effect(1, 11, 1)),
            (30, 0, 0, effect(2, 22, 1)),
        ]);
        assert_eq!(
            (ledger.violation, ledger.doubled),
            (
                Some(Violation::Doubled {
                    client: 1,
                    sequence: 1
                }),
                1
            )
        );
        let (_, mut ledger, _) = judged(&[
            (10, 1, 0, effect(1, 11, 2)),
            (11, 1, 0, ChildEvent::Done(ClientId(1), 2)),
        ]);
        assert_eq!(ledger.lost(&Sessions::default()), 1);
    }
}
