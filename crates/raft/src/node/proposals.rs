//! Proposals: appended by a leader, forwarded by a follower.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Node;
use crate::actions::{RefusalReason, Refused};
use crate::config::Config;
use crate::entry::{Command, Entry, Payload};
use crate::message::Body;
use crate::role::{Leader, Role};
use crate::types::{ClientId, NodeId};

impl Node {
    /// Proposes commands of this node's own clients. Refused commands are reported.
    pub(super) fn propose(&mut self, commands: Vec<Command>) {
        let to_leader = match &self.role {
            Role::Leader(_) => None,
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => Some(self.leader()),
        };
        match to_leader {
            None => self.append_commands(commands, self.config.id),
            Some(Some(leader)) => self.forward(leader, commands),
            Some(None) => {
                let refused = commands
                    .iter()
                    .map(|command| Refused::new(command, RefusalReason::NoLeader));
                self.actions.responses.refused.extend(refused);
            }
        }
    }

    /// Appends commands that another node forwarded. Refused ones are dropped, since their proposer
    /// retries. A node that does not lead drops them all, so that no command is forwarded twice.
    pub(super) fn on_forward(&mut self, from: NodeId, commands: Vec<Command>) {
        if matches!(self.role, Role::Leader(_)) {
            self.append_commands(commands, from);
        }
    }

    /// Appends commands of `member` to the leader's log. A command that is already there and
    /// uncommitted is dropped: it is a retry, and its proposer gets the result of the first copy.
    /// Refusals of this node's own commands are reported.
    fn append_commands(&mut self, commands: Vec<Command>, member: NodeId) {
        let report = member == self.config.id;
        // Once for all commands: it may walk over every uncommitted entry.
        let full = self.is_log_full();
        let Role::Leader(leader) = &mut self.role else {
            unreachable!("only a leader appends to its own log")
        };
        let term = self.hard_state.term;
        let stamp = leader.stamp(self.now);
        let mut index = self.log.last().index;
        let uncommitted = self.log.from(self.commit.next());
        // Clients without uncommitted commands are dropped from the map in bulk, which bounds it.
        if leader.newest.len() > 2 * self.config.max_uncommitted_entries || uncommitted.is_empty() {
            leader.newest = newest_of_clients(uncommitted);
        }
        for command in commands {
            let newest = leader.newest.get(&command.client).copied();
            // The map rules out most duplicates, so the log is rarely searched.
            if newest.is_some_and(|newest| newest >= command.sequence)
                && self
                    .log
                    .from(self.commit.next())
                    .iter()
                    .filter_map(Entry::command)
                    .any(|c| c.is_named_like(&command))
            {
                continue;
            }
            let refusal = refusal(&self.config, leader, index.0 - self.commit.0, &command);
            // `TooLarge` takes precedence over a full log: retrying such a command never helps.
            let refusal = refusal.or(full.then_some(RefusalReason::Busy));
            if let Some(reason) = refusal {
                if report {
                    self.actions
                        .responses
                        .refused
                        .push(Refused::new(&command, reason));
                }
                continue;
            }
            index = index.next();
            leader
                .newest
                // Commands of a client may arrive out of order.
                .insert(command.client, command.sequence.max(newest.unwrap_or(0)));
            let entry = Entry {
                term,
                index,
                stamp,
                payload: Payload::Command { command, member },
            };
            leader.uncommitted_bytes += entry.size();
            self.log.push(entry);
        }
    }

    /// Forwards commands to the leader, in messages within the size limit of AppendEntries.
    fn forward(&mut self, leader: NodeId, commands: Vec<Command>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for command in commands {
            // Refused here, because a leader drops a forwarded command without a reply.
            if command.bytes.len() > self.config.max_command_bytes {
                self.actions
                    .responses
                    .refused
                    .push(Refused::new(&command, RefusalReason::TooLarge));
                continue;
            }
            let size = Entry::OVERHEAD + command.bytes.len();
            if !batch.is_empty() && bytes + size > self.config.max_append_bytes {
                self.send(
                    leader,
                    Body::Forward {
                        commands: core::mem::take(&mut batch),
                    },
                );
                bytes = 0;
            }
            bytes += size;
            batch.push(command);
        }
        if !batch.is_empty() {
            self.send(leader, Body::Forward { commands: batch });
        }
    }
}

/// Returns the highest sequence number of each client in `entries`.
pub(super) fn newest_of_clients(entries: &[Entry]) -> BTreeMap<ClientId, u64> {
    let mut newest = BTreeMap::new();
    for command in entries.iter().filter_map(Entry::command) {
        let highest: &mut u64 = newest.entry(command.client).or_default();
        *highest = command.sequence.max(*highest);
    }
    newest
}

/// Returns why a leader with `uncommitted` entries must refuse a command, if it must.
fn refusal(
    config: &Config,
    leader: &Leader,
    uncommitted: u64,
    command: &Command,
) -> Option<RefusalReason> {
    if command.bytes.len() > config.max_command_bytes {
        Some(RefusalReason::TooLarge)
    } else if leader.transfer.is_some() || leader.leaving {
        // A leaving leader steps down only once everything it appended is committed.
        Some(RefusalReason::TransferringLeadership)
    } else if has_too_much_uncommitted(config, leader, uncommitted) {
        Some(RefusalReason::Busy)
    } else {
        None
    }
}

/// Whether a leader with `uncommitted` entries accepts no more. The next entry is not counted: one
/// must fit below even the smallest limit.
pub(super) fn has_too_much_uncommitted(config: &Config, leader: &Leader, uncommitted: u64) -> bool {
    uncommitted >= config.max_uncommitted_entries as u64
        || leader.uncommitted_bytes >= config.max_uncommitted_bytes
}
