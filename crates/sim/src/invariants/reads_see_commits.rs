//! Linearizable reads (section 8, thesis 6.4): a read sees every command that was committed
//! anywhere before it was asked.

use std::collections::BTreeMap;

use raftian_raft::{Index, ReadId};

use super::{Observation, Violation};

/// The highest commit index any node ever showed, and what it was when each read was asked.
#[derive(Debug, Default)]
pub struct ReadsSeeCommits {
    committed: Index,
    asked: BTreeMap<ReadId, Index>,
}

impl ReadsSeeCommits {
    /// Remembers what a node shows.
    ///
    /// # Errors
    /// None: only an answer can violate it.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        self.committed = self.committed.max(seen.commit);
        Ok(())
    }

    /// A read is asked now.
    pub(crate) fn asked(&mut self, id: ReadId) {
        self.asked.insert(id, self.committed);
    }

    /// A read was answered with this index.
    ///
    /// # Errors
    /// If it is older than what was committed when the read was asked.
    pub(crate) fn answered(&mut self, id: ReadId, index: Index) -> Result<(), Violation> {
        match self.asked.remove(&id) {
            Some(before) if index < before => {
                let what = format!(
                    "a read was answered at {index}, but {before} was committed when it was asked"
                );
                Err(Violation::new("reads see commits", what))
            }
            Some(_) => Ok(()),
            None => Err(Violation::new(
                "reads see commits",
                "a read was answered that was not asked, or twice",
            )),
        }
    }

    /// A read was refused.
    pub(crate) fn refused(&mut self, id: ReadId) {
        self.asked.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn a_stale_read_is_seen() {
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
            "it was answered before"
        );
    }
}
