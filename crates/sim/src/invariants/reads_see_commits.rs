//! Linearizable reads (section 8, thesis 6.4): a read sees every command that was committed
//! anywhere before the read was requested.

use std::collections::BTreeMap;

use raftian_raft::{Index, ReadId};

use super::{Observation, Violation};

/// Highest commit index of any node, now and when each open read was requested.
#[derive(Debug, Default)]
pub struct ReadsSeeCommits {
    committed: Index,
    asked: BTreeMap<ReadId, Index>,
}

impl ReadsSeeCommits {
    /// Records the commit index of a node.
    ///
    /// # Errors
    /// None: only an answer can violate the property.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        self.committed = self.committed.max(seen.commit);
        Ok(())
    }

    /// Records that a read is requested now.
    pub(crate) fn asked(&mut self, id: ReadId) {
        self.asked.insert(id, self.committed);
    }

    /// Checks the index that a read was answered with.
    ///
    /// # Errors
    /// If it is below the highest commit index at the time of the request.
    pub(crate) fn answered(&mut self, id: ReadId, index: Index) -> Result<(), Violation> {
        match self.asked.remove(&id) {
            Some(before) if index < before => {
                let what = format!(
                    "a read was answered at {index}, but {before} was committed at its request"
                );
                Err(Violation::new("reads see commits", what))
            }
            Some(_) => Ok(()),
            None => Err(Violation::new(
                "reads see commits",
                "a read was answered twice or was never requested",
            )),
        }
    }

    /// Records that a read was refused.
    pub(crate) fn refused(&mut self, id: ReadId) {
        self.asked.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn stale_read_is_detected() {
        let mut property = ReadsSeeCommits::default();
        Sample::leader(1, 1)
            .log(&[1, 1])
            .commit(2)
            .show(|seen| property.check(seen))
            .unwrap();
        property.asked(ReadId(1));
        property.asked(ReadId(2));
        assert!(property.answered(ReadId(1), Index(2)).is_ok());
        assert!(property.answered(ReadId(2), Index(1)).is_err());
        assert!(
            property.answered(ReadId(2), Index(2)).is_err(),
            "the read was already answered"
        );
    }
}
