//! What the processes of a match said, and what follows from it once all have said everything.

use std::time::Duration;

use raftian_raft::Moment;

use super::protocol::ChildEvent;
use crate::matches::ledger::Ledger;

/// One thing that was said.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// When it was heard, on the clock of the match.
    pub(super) at: Moment,
    /// By which machine, counted from 0.
    pub(super) place: usize,
    /// In which of its runs, counted from 0.
    pub(super) run: u64,
    pub(super) said: ChildEvent,
}

/// Everything that was said, in the order in which it was heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(pub(super) Vec<Record>);

/// What happened to the machines of a match, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    /// Which machine was killed, counted from 0.
    pub(super) victim: usize,
    /// When.
    pub(super) crashed: Moment,
    /// When it was started again.
    pub(super) back: Moment,
    /// Until when gaps between commits are looked for.
    pub(super) over: Moment,
}

impl Records {
    /// Effects on the machine that has most.
    pub(super) fn effects(&self) -> u64 {
        self.0
            .iter()
            .filter_map(|record| count(&record.said))
            .max()
            .unwrap_or_default()
    }

    /// Enters everything into a ledger that knows all clicks. Gives the longest time between two
    /// commits after the crash.
    ///
    /// Commits are entered in the order of time, states in that of their effects: processes are
    /// heard as their lines come, so one may seem to be ahead of the first that got there.
    pub(super) fn enter(&self, ledger: &mut Ledger, happened: Timeline) -> Duration {
        let Timeline { crashed, over, .. } = happened;
        let mut in_time: Vec<_> = self.0.iter().collect();
        in_time.sort_by_key(|record| record.at);
        let (mut watched, mut gap) = (false, None);
        for Record {
            at, place, said, ..
        } in in_time
        {
            if *at > crashed && !std::mem::replace(&mut watched, true) {
                ledger.watch_gaps();
            }
            if *at > over {
                gap.get_or_insert_with(|| ledger.longest_gap(over));
            }
            match said {
                ChildEvent::Committed(client, sequence) => {
                    ledger.committed(*client, *sequence, *place as u32, *at)
                }
                ChildEvent::Done(client, sequence) => ledger.told(*client, *sequence, *at),
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
            .filter_map(|record| Some((count(&record.said)?, record)))
            .collect();
        states.sort_by_key(|(count, record)| (*count, record.at));
        for (count, Record { place, said, .. }) in states {
            let hash = match said {
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

    /// From the crash until the first order that was not committed by then has its effect at a
    /// machine that lives on.
    pub(super) fn stop(&self, ledger: &Ledger, happened: Timeline) -> Option<Duration> {
        let Timeline {
            victim, crashed, ..
        } = happened;
        let news = |record: &&Record| match record.said {
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

    /// From the crash until a machine leads in a later term than any before.
    pub(super) fn next_leader(&self, happened: Timeline) -> Option<Duration> {
        let leads = |record: &Record| match record.said {
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

    /// From the return of the machine that was killed until it has so many effects.
    pub(super) fn caught_up(&self, happened: Timeline, effects: u64) -> Option<Duration> {
        let Timeline { victim, back, .. } = happened;
        let there = |record: &&Record| {
            record.place == victim
                && record.run > 0
                && count(&record.said).is_some_and(|count| count >= effects)
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

/// How many effects the state has of which is spoken.
fn count(said: &ChildEvent) -> Option<u64> {
    match said {
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

    /// Three orders of one player at the second machine, and what was said of them.
    fn judged(said: &[(u64, usize, u64, ChildEvent)]) -> (Records, Ledger, Duration) {
        let mut ledger = Ledger::default();
        let client = ledger.enter(1);
        (1..=3).for_each(|sequence| assert_eq!(ledger.click(client, Moment(sequence)), sequence));
        let record = |(at, place, run, said): &(u64, usize, u64, ChildEvent)| Record {
            at: Moment(*at),
            place: *place,
            run: *run,
            said: said.clone(),
        };
        let records = Records(said.iter().map(record).collect());
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
    fn a_stop_ends_with_the_first_order_that_was_not_committed_before() {
        let committed = |sequence| ChildEvent::Committed(ClientId(1), sequence);
        let (records, ledger, gap) = judged(&[
            (10, 0, 0, ChildEvent::Leads { term: 3, ago: 0 }),
            (50, 0, 0, committed(1)),
            (90, 0, 0, committed(2)),
            // Committed before the crash, but heard of by a survivor after it.
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
    fn what_must_not_be_is_seen_in_whatever_order_it_is_heard() {
        // The second machine is heard before the first, and has another state.
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
