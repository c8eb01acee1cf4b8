//! Exactly once (section 8): "If it receives a command whose serial number has already been
//! executed, it responds immediately without re-executing the request".

use std::collections::{BTreeMap, BTreeSet};

use raftian_raft::{ClientId, NodeId};

use super::{Observation, Violation};

/// Commands that took effect in each node's newest run.
#[derive(Debug, Default)]
pub struct ExactlyOnce {
    effects: BTreeMap<NodeId, ((u64, u64), BTreeSet<(ClientId, u64)>)>,
}

impl ExactlyOnce {
    /// Checks an observation of a node.
    ///
    /// # Errors
    /// If a command took effect twice.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let (run, effects) = self.effects.entry(seen.id).or_default();
        // A restart or a restored snapshot replaces the state, so the effects are listed anew.
        if *run != (seen.run, seen.restores) {
            (*run, *effects) = ((seen.run, seen.restores), BTreeSet::new());
        }
        for command in seen.effects.iter().skip(effects.len()) {
            if !effects.insert((command.client, command.sequence)) {
                let what = format!("{} applied {command:?} twice", seen.id);
                return Err(Violation::new("exactly once", what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn command_that_takes_effect_twice_is_detected() {
        let mut property = ExactlyOnce::default();
        assert!(
            Sample::node(1, 1)
                .effects(&[(1, 1), (1, 2)])
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 1)
                .in_run(2)
                .effects(&[(1, 1)])
                .show(|seen| property.check(seen))
                .is_ok()
        );
        assert!(
            Sample::node(1, 1)
                .in_run(2)
                .effects(&[(1, 1), (1, 2), (1, 1)])
                .show(|seen| property.check(seen))
                .is_err()
        );
    }
}
