//! This machine's member of a match, from its start to its end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raftian_raft::{Index, Member, NodeId};
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::search::Search;
use crate::cluster::{ClusterError, MemberFile, NodeConfig};
use crate::code::Code;
use crate::lan::Announcer;
use crate::match_record::MatchRecord;
use crate::match_request::{MatchReply, MatchRequest, Refusal};
use crate::thread::NodeControl;
use crate::ticket::Ticket;

/// Longest time that a leaving member waits for the commitment of its removal.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks at the membership for announcements on the local network.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);

/// This machine's member of a match that runs. Its node is stopped by dropping the
/// [`NodeHandle`](crate::NodeHandle).
#[derive(Debug)]
pub struct LocalMember {
    directory: PathBuf,
    file: MemberFile,
    config: NodeConfig,
    control: NodeControl,
    announcer: Option<Announcer>,
    announced: Option<Instant>,
    search: Search,
    /// A removal of this member in progress.
    leaving: Option<(Instant, Receiver<MatchReply>)>,
    ended: Option<Ended>,
    /// The leader's commit index when this member first knew one that covers everything committed
    /// before: it has caught up there.
    caught_up_at: Option<Index>,
}

/// How far a member takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It knows no leader.
    Waiting,
    /// It receives and applies the log.
    CatchingUp {
        /// Entries that it has applied.
        applied: u64,
        /// Entries that the leader has committed.
        of: u64,
    },
    /// It is a member and has applied everything.
    Ready,
}

/// How a member's part in a match ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It left, and that is committed.
    Left,
    /// Another member removed it.
    Removed,
    /// It wants to leave, but nobody else has a vote: the match is kept on its disk.
    Kept,
    /// It wants to leave, but too few members answered: it may have left, or counts as vanished.
    NotAgreed,
}

impl LocalMember {
    pub(super) fn new(
        directory: PathBuf,
        file: MemberFile,
        config: NodeConfig,
        control: NodeControl,
    ) -> Self {
        // A match works without announcements.
        let announcer = Announcer::new(config.identity.fingerprint(), config.listen)
            .inspect_err(|error| {
                tracing::warn!(%error, "the match is not announced on the local network");
            })
            .ok();
        LocalMember {
            directory,
            file,
            config,
            control,
            announcer,
            announced: None,
            search: Search::default(),
            leaving: None,
            ended: None,
            caught_up_at: None,
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its file.
    pub fn file(&self) -> &MemberFile {
        &self.file
    }

    /// Configuration of its node.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Remote control of its node.
    pub fn control(&self) -> &NodeControl {
        &self.control
    }

    /// Returns how far the member takes part.
    pub fn progress(&mut self) -> Progress {
        let status = self.control.view().status;
        let is_member = status.membership.contains(self.config.id);
        if status.leader.is_none() {
            return Progress::Waiting;
        }
        // The leader may commit as fast as this member applies, so its commit index of now is no
        // aim that must be reached.
        if self.caught_up_at.is_none() && status.has_committed_in_term {
            self.caught_up_at = Some(status.leader_commit);
        }
        let own = status.membership.member(self.config.id);
        // A witness applies nothing.
        let reached = if own.is_some_and(Member::is_witness) {
            status.commit
        } else {
            status.applied
        };
        if is_member && self.caught_up_at.is_some_and(|aim| reached >= aim) {
            Progress::Ready
        } else {
            Progress::CatchingUp {
                applied: status.applied.0,
                of: status.leader_commit.0,
            }
        }
    }

    /// Returns the founder's code; `None` for a member that joined, and once the code is revoked.
    pub fn code(&self) -> Option<Code> {
        let record = MatchRecord::of(&self.control.view().status.membership)?;
        let (_, invite) = record.code?;
        self.file.code.filter(|_| record.invite(invite).is_some())
    }

    /// Returns the founder's ticket, with the members that can be reached now; `None` for a member
    /// that joined, and once the ticket is revoked.
    pub fn ticket(&self) -> Option<Ticket> {
        let (number, secret) = self.file.invite.as_ref()?;
        let membership = self.control.view().status.membership;
        MatchRecord::of(&membership)?.invite(*number)?;
        Ticket::of(&membership, *number, secret.clone())
    }

    /// Begins to leave the match; [`LocalMember::poll`] returns the result. No-op while it leaves.
    pub fn leave(&mut self) {
        let own = NodeId(self.file.id);
        self.leaving.get_or_insert_with(|| {
            let remove = MatchRequest::Remove { member: own };
            (Instant::now(), self.control.request(remove))
        });
    }

    /// Announces the match and continues to leave it. Returns how the member's part has ended; the
    /// node must be stopped then. Never blocks; to be called about ten times a second.
    pub fn poll(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.announce();
            self.search();
            self.ended = self.find_end();
        }
        self.ended
    }

    fn find_end(&mut self) -> Option<Ended> {
        if self.control.links().is_removed() {
            // The others may close the connections before their reply arrives.
            let end = if self.leaving.is_some() {
                Ended::Left
            } else {
                Ended::Removed
            };
            return Some(end);
        }
        let (since, reply) = self.leaving.as_mut()?;
        match reply.try_recv() {
            Ok(MatchReply::Done) => Some(Ended::Left),
            Ok(MatchReply::Refused(Refusal::LastVoter)) => Some(Ended::Kept),
            Err(TryRecvError::Empty) if since.elapsed() < LEAVE_TIMEOUT => None,
            Ok(_) | Err(TryRecvError::Empty | TryRecvError::Closed) => Some(Ended::NotAgreed),
        }
    }

    fn announce(&mut self) {
        let is_due = self
            .announced
            .is_none_or(|announced| announced.elapsed() >= ANNOUNCE_PAUSE);
        if let Some(announcer) = self.announcer.as_mut().filter(|_| is_due) {
            self.announced = Some(Instant::now());
            announcer.announce(&self.control.view().status.membership);
        }
    }

    /// Finds members that have other addresses than the log shows.
    fn search(&mut self) {
        if self.announcer.is_none() {
            return;
        }
        let has_leader = self.control.view().status.leader.is_some();
        if let Some(found) = self.search.poll(has_leader, self.file.match_id) {
            self.control.add_addresses(found);
        }
    }

    /// Records the end of the member in its file, so that it is not continued by mistake. Called
    /// after its node has stopped.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn record_end(&mut self) -> Result<(), ClusterError> {
        match self.ended {
            Some(Ended::Left | Ended::Removed) => {
                self.file.left = true;
                self.file.write(&self.directory)
            }
            Some(Ended::Kept | Ended::NotAgreed) | None => Ok(()),
        }
    }
}
