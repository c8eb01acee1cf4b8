//! Origin of commands: a committed command names a member at which it was proposed, so no member
//! can order in another one's name.

use std::collections::{BTreeMap, BTreeSet};

use raftian_raft::{ClientId, NodeId, Payload};

use super::{Observation, Violation};

/// Where each command was proposed, and how much of each node's newest run was checked.
#[derive(Debug, Default)]
pub struct CommandsNameMembers {
    proposed: BTreeMap<(ClientId, u64), BTreeSet<NodeId>>,
    checked: BTreeMap<NodeId, ((u64, u64), usize)>,
}

impl CommandsNameMembers {
    /// Records that a command is proposed at a node.
    pub(crate) fn proposed(&mut self, at: NodeId, client: ClientId, sequence: u64) {
        self.proposed
            .entry((client, sequence))
            .or_default()
            .insert(at);
    }

    /// Checks an observation of a node. Commands of a log that the run began with are skipped.
    ///
    /// # Errors
    /// If a command names a member at which it was not proposed.
    pub fn check(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        let (run, checked) = self.checked.entry(seen.id).or_default();
        // A restart or a restored snapshot replaces the state, so its entries are listed anew.
        if *run != (seen.run, seen.restores) {
            (*run, *checked) = ((seen.run, seen.restores), 0);
        }
        for entry in seen.applied.iter().skip(*checked) {
            let Payload::Command { command, member } = &entry.payload else {
                continue;
            };
            let proposed = self.proposed.get(&(command.client, command.sequence));
            if proposed.is_some_and(|proposed| !proposed.contains(member)) {
                let what = format!(
                    "{} applied {command:?} of {member} at {}, which was proposed at {proposed:?}",
                    seen.id, entry.index
                );
                return Err(Violation::new("commands name members", what));
            }
        }
        *checked = seen.applied.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::Sample;

    #[test]
    fn command_of_another_member_is_detected() {
        for (proposed_at, holds) in [(1, true), (2, false)] {
            let mut property = CommandsNameMembers::default();
            property.proposed(NodeId(proposed_at), ClientId(7), 1);
            // A sample's commands are those of member 1.
            let checked = Sample::node(3, 1)
                .log(&[1, 1])
                .command(2, 7, 1, "x")
                .applied(2)
                .show(|seen| property.check(seen));
            assert_eq!(checked.is_ok(), holds);
        }
    }
}
