//! Safety properties, and the history needed to check them.

use std::sync::Arc;

use raftian_raft::{Index, Membership, NodeId, ReadId, RoleKind, Term};

use crate::host::{Host, Mark, on_disk};

/// "At most one leader can be elected in a given term" (figure 3).
pub(crate) const ELECTION_SAFETY: &str = "election safety";
/// "If two logs contain an entry with the same index and term, then the logs are identical in all
/// entries up through the given index" (figure 3).
pub(crate) const LOG_MATCHING: &str = "log matching";
/// "If a log entry is committed in a given term, then that entry will be present in the logs of the
/// leaders for all higher-numbered terms" (figure 3).
pub(crate) const LEADER_COMPLETENESS: &str = "leader completeness";
/// "If a server has applied a log entry at a given index to its state machine, no other server will
/// ever apply a different log entry for the same index" (figure 3).
pub(crate) const STATE_MACHINE_SAFETY: &str = "state machine safety";
/// "A log entry is committed once the leader that created the entry has replicated it on a majority
/// of the servers" (section 5.3), and on their disks.
pub(crate) const COMMITMENT: &str = "commitment on the disks of a majority";
/// A read sees every command that was committed before it was asked (section 8, thesis 6.4).
pub(crate) const READS_SEE_COMMITS: &str = "reads see commits";
/// No message and no order of events makes a node panic.
pub(crate) const NODES_STAY_ALIVE: &str = "nodes stay alive";

/// A violated property, with a description of the violation.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) property: &'static str,
    pub(crate) what: Arc<str>,
}

fn broken(property: &'static str, what: String) -> Result<(), Broken> {
    Err(Broken {
        property,
        what: what.into(),
    })
}

/// Past events that the properties refer to.
#[derive(Clone, Hash, Default)]
pub(crate) struct History {
    /// Leader of each term, and the run in which it led.
    leaders: Vec<(Term, NodeId, u64)>,
    /// Committed entries from index 1, each with the term in which a node first considered it
    /// committed.
    committed: Vec<(Mark, Term)>,
    /// Pending reads, each with the commit index at the time of the request.
    asked: Vec<(ReadId, Index)>,
}

impl History {
    /// Highest index committed on any node.
    pub(crate) fn committed(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    pub(crate) fn asks(&mut self, read: ReadId) {
        self.asked.push((read, self.committed()));
    }

    /// Checks the answer to a read: an index, or `None` if the read failed.
    pub(crate) fn answers(&mut self, read: ReadId, index: Option<Index>) -> Result<(), Broken> {
        let place = self.asked.iter().position(|(asked, _)| *asked == read);
        let Some(place) = place else {
            return broken(
                READS_SEE_COMMITS,
                "a read was answered twice or never requested".to_string(),
            );
        };
        let (_, before) = self.asked.remove(place);
        match index {
            Some(index) if index < before => broken(
                READS_SEE_COMMITS,
                format!("a read returned {index}, but {before} was committed before it"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// Drops the pending reads of a crashed machine.
    pub(crate) fn forgets(&mut self, reads: impl Fn(ReadId) -> bool) {
        self.asked.retain(|(read, _)| !reads(*read));
    }

    /// Checks `host`, whose state before the event was `before`, against all `hosts`.
    pub(crate) fn check(
        &mut self,
        before: &Host,
        host: &Host,
        hosts: &[Arc<Host>],
    ) -> Result<(), Broken> {
        self.elects(before, host)?;
        logs_match(host, hosts)?;
        self.commits(before, host, hosts)?;
        self.applies(host)
    }

    fn elects(&mut self, before: &Host, host: &Host) -> Result<(), Broken> {
        let id = host.id();
        let term = host.node.term();
        let led = before.node.role() == RoleKind::Leader
            && before.node.term() == term
            && before.run == host.run;
        if host.node.role() != RoleKind::Leader || led {
            return Ok(());
        }
        if let Some((_, other, run)) = self.leaders.iter().find(|(led, ..)| *led == term) {
            return broken(
                ELECTION_SAFETY,
                format!("{id} leads {term}, but {other} led it too, in run {run}"),
            );
        }
        self.leaders.push((term, id, host.run));
        self.leaders.sort_unstable();
        let start = host.node.log_start().position.index;
        for (index, (mark, known)) in (1..).map(Index).zip(&self.committed) {
            // A candidate of an earlier term may win late: it must have only the entries committed
            // before its own term.
            let owed = *known < term && index > start;
            if owed && !host.mark(index).is_some_and(|own| own.agrees(*mark)) {
                return broken(
                    LEADER_COMPLETENESS,
                    format!("{id} leads {term} without the committed {mark:?} at {index}"),
                );
            }
        }
        Ok(())
    }

    fn commits(&mut self, before: &Host, host: &Host, hosts: &[Arc<Host>]) -> Result<(), Broken> {
        let id = host.id();
        let term = host.node.term();
        let commit = host.node.commit();
        let moved = host.run == before.run && commit > before.node.commit();
        if moved && host.node.role() == RoleKind::Leader {
            if host.mark(commit).is_none_or(|mark| mark.term != term) {
                return broken(
                    COMMITMENT,
                    format!("{id} leads {term} and counted replicas of {commit}, not of its term"),
                );
            }
            // An entry on a disk that was lost later counts: it was acknowledged while it existed.
            let is_lost = |other: &Host| {
                let member = host.node.membership().member(other.id());
                member.is_none_or(|member| member.incarnation != other.node.incarnation())
            };
            let holds = |id: NodeId| {
                let mut holders = hosts.iter().filter(|other| other.id() == id);
                holders.any(|other| on_the_disk_of(other, host, commit) || is_lost(other))
            };
            if !majority(host.node.membership(), holds) {
                return broken(
                    COMMITMENT,
                    format!("{id} committed {commit} in {term} without a majority"),
                );
            }
        }
        for index in (host.node.log_start().position.index.0 + 1..=commit.0).map(Index) {
            let Some(mark) = host.mark(index) else {
                return broken(
                    STATE_MACHINE_SAFETY,
                    format!("{id} committed {index}, which it does not have"),
                );
            };
            self.commit(index, mark, term, id)?;
        }
        Ok(())
    }

    /// Records that `mark` is committed at `index`, according to `who` in `term`.
    fn commit(&mut self, index: Index, mark: Mark, term: Term, who: NodeId) -> Result<(), Broken> {
        match self.committed.get(index.0 as usize - 1) {
            Some((first, _)) if first.agrees(mark) => Ok(()),
            Some((first, _)) => broken(
                STATE_MACHINE_SAFETY,
                format!("{who} committed {mark:?} at {index}, another node committed {first:?}"),
            ),
            None if self.committed() == index.previous() => {
                self.committed.push((mark, term));
                Ok(())
            }
            None => broken(
                STATE_MACHINE_SAFETY,
                format!("{who} committed {index} before the entries that precede it"),
            ),
        }
    }

    fn applies(&self, host: &Host) -> Result<(), Broken> {
        for (index, mark) in (1..).map(Index).zip(&host.state) {
            if !self
                .committed
                .get(index.0 as usize - 1)
                .is_some_and(|(committed, _)| committed.agrees(*mark))
            {
                let id = host.id();
                return broken(
                    STATE_MACHINE_SAFETY,
                    format!("{id} applied {mark:?} at {index}, which is not committed"),
                );
            }
        }
        let known = Index(host.state.len() as u64);
        let applied = host.node.applied();
        if known < applied && !host.is_witness() {
            let id = host.id();
            return broken(
                STATE_MACHINE_SAFETY,
                format!("{id} has applied up to {applied}, but its state ends at {known}"),
            );
        }
        Ok(())
    }

    /// Planted bug: treats a leader's entries on a majority as committed, regardless of their term.
    pub(crate) fn counts_replicas(&mut self, hosts: &[Arc<Host>]) -> Result<(), Broken> {
        for leader in hosts
            .iter()
            .filter(|host| host.node.role() == RoleKind::Leader)
        {
            for index in (self.committed().0 + 1..=leader.node.last().index.0).map(Index) {
                let holds = |id: NodeId| {
                    hosts
                        .iter()
                        .any(|other| other.id() == id && on_the_disk_of(other, leader, index))
                };
                let Some(mark) = leader
                    .mark(index)
                    .filter(|_| majority(leader.node.membership(), holds))
                else {
                    break;
                };
                self.commit(index, mark, leader.node.term(), leader.id())?;
            }
        }
        Ok(())
    }
}

/// Whether the disk of `host` holds the entry that the log of `leader` has at `index`, or a
/// snapshot in place of it.
pub(crate) fn on_the_disk_of(host: &Host, leader: &Host, index: Index) -> bool {
    let image = host.image();
    let term = leader.mark(index).map(|mark| mark.term);
    image.start.position.index >= index
        || on_disk(image, index).is_some_and(|position| Some(position.term) == term)
}

/// Whether `holds` is true for a majority of the voters, and during a change of the old voters too
/// (section 6). Counts independently of the core's code.
pub(crate) fn majority(membership: &Membership, holds: impl Fn(NodeId) -> bool) -> bool {
    let most = |voters: Vec<NodeId>| {
        let holders = voters.iter().filter(|id| holds(**id)).count();
        voters.is_empty() || holders * 2 > voters.len()
    };
    most(membership.voters().collect()) && most(membership.outgoing().collect())
}

fn logs_match(host: &Host, hosts: &[Arc<Host>]) -> Result<(), Broken> {
    for other in hosts.iter().filter(|other| other.id() != host.id()) {
        let end = host.node.last().index.min(other.node.last().index);
        let start = host
            .node
            .log_start()
            .position
            .index
            .max(other.node.log_start().position.index);
        // From the end down: entries at and below an index where the terms agree must be equal.
        let mut same_above = false;
        for index in (start.0 + 1..=end.0).rev().map(Index) {
            let (Some(own), Some(theirs)) = (host.mark(index), other.mark(index)) else {
                continue;
            };
            same_above |= own.term == theirs.term;
            if same_above && !own.agrees(theirs) {
                let id = host.id();
                let other = other.id();
                let what = format!(
                    "{id} has {own:?} at {index}, but {other} has {theirs:?}, \
                     although their terms agree there or later"
                );
                return broken(LOG_MATCHING, what);
            }
        }
    }
    Ok(())
}
