//! The game clock never decreases along a log, neither within a leader's term nor from one leader
//! to the next.

use std::collections::BTreeMap;

use raftian_raft::{LogPosition, NodeId};

use super::{Observation, Violation};

/// Last entry of each node when last observed.
#[derive(Debug, Default)]
pub struct GameClock {
    checked: BTreeMap<NodeId, LogPosition>,
}

impl GameClock {
    /// Checks an observation of a node whenever the end of its log has changed.
    ///
    /// # Errors
    /// If an entry is stamped earlier than the one before it.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let Some(last) = seen.log.last() else {
            return Ok(());
        };
        let before = self.checked.insert(seen.id, last.position());
        // By log matching, a checked entry that is still in place implies that all before it are.
        let kept = before.filter(|end| {
            seen.entry(end.index)
                .is_some_and(|entry| entry.term == end.term)
        });
        let from = kept.map_or(0, |end| (end.index.0 - seen.start.index.0 - 1) as usize);
        match seen.log[from..]
            .windows(2)
            .find(|pair| pair[1].stamp < pair[0].stamp)
        {
            Some(pair) => {
                let what = format!("{} has {:?} before {:?}", seen.id, pair[0], pair[1]);
                Err(Violation::new("game clock", what))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn clock_that_goes_back_is_detected() {
        let mut property = GameClock::default();
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2])
                .stamps(&[5, 9])
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 2)
                .log(&[1, 2, 2])
                .stamps(&[5, 9, 8])
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
