//! Leader election: section 5.2, the voting restriction of 5.4.1, pre-vote (thesis 9.6) and leader
//! stickiness (thesis 4.2.3).

use alloc::collections::BTreeSet;

use super::Node;
use crate::event::{Decision, StepDown, VoteRefusal};
use crate::membership::Membership;
use crate::message::Body;
use crate::planted::PlantedBug;
use crate::role::{Campaign, Follower, Role};
use crate::types::{LogPosition, NodeId, Term};

impl Node {
    /// Starts a campaign: no leader made contact in time (section 5.2), or the last campaign
    /// failed.
    pub(super) fn on_election_timeout(&mut self) {
        // The next incarnation is no member yet, and the old one must not act any more; nor may a
        // node whose cluster is not founded.
        if self.disk.is_beginning_incarnation() || self.is_founding() {
            return self.rearm_election_timer();
        }
        if !self.is_hard_state_durable() {
            // A vote still being written may decide this election. A later term would not be
            // faster: it needs a durable vote too.
            return self.rearm_election_timer();
        }
        if self.config.lease_reads
            && self.leader_hindrance(self.config.id).is_some()
            && !self.config.has_planted(PlantedBug::DrawsBelowFloor)
        {
            // The leader may serve lease reads while this node waits, and the lease covers this
            // node's vote for itself too.
            return self.rearm_election_timer();
        }
        // The last campaign failed in its time; adaptive timeouts back off by this count.
        if matches!(self.role, Role::PreCandidate(_) | Role::Candidate(_)) {
            self.failed_campaigns = self.failed_campaigns.saturating_add(1);
        }
        match (&self.role, self.config.pre_vote) {
            // A leader has no election timer: only `Input::Campaign` leads here.
            (Role::Leader(_), _) => {}
            // Only a faulty peer can bring a cluster to the last term. No term follows it, and no
            // term may have two elections.
            (_, _) if self.hard_state.term >= Term::LAST || !self.may_lead() => {
                self.wait_for_leader()
            }
            (_, true) => self.ask_for_pre_votes(),
            (_, false) => self.stand_for_election(false),
        }
    }

    /// Whether this node may stand for election: it is a voter under this incarnation and holds the
    /// contents of every entry. A node that is about to lose its vote may stand until the change is
    /// known to be committed: "it might still be needed until the C_new entry is committed" (thesis
    /// 4.2.2), since it may be the only node with that entry.
    pub(super) fn may_lead(&self) -> bool {
        let among = |membership: &Membership| {
            let member = membership.member(self.config.id);
            member.is_some_and(|member| member.may_lead() && member.incarnation == self.incarnation)
        };
        let undecided = self.log.members_index() > self.commit;
        let is_voter = among(self.log.membership())
            || (undecided && self.log.membership_before().is_some_and(among));
        is_voter && self.holds_whole_log()
    }

    /// Whether the contents of all entries and of the snapshot are present. False for witnesses and
    /// former witnesses.
    pub(super) fn holds_whole_log(&self) -> bool {
        let has_state = self
            .snapshot
            .as_ref()
            .is_none_or(|snapshot| snapshot.data.is_some());
        has_state && self.log.is_whole_after(self.log.base().index)
    }

    /// Enters a later term as a follower: "If RPC request or response contains term T >
    /// currentTerm: set currentTerm = T, convert to follower" (figure 2).
    pub(super) fn enter_later_term(&mut self, term: Term, from: NodeId) {
        assert!(term > self.hard_state.term, "terms never go back");
        let was_leader = matches!(self.role, Role::Leader(_));
        // Must precede the change of role, which drops the pending reads of a leader.
        self.refuse_reads();
        // A later term does not reset a follower's timer: only a leader or a granted vote does.
        let election_deadline = match &self.role {
            Role::Follower(follower) => follower.election_deadline,
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {
                self.draw_election_deadline()
            }
        };
        self.hard_state.term = term;
        self.hard_state.vote = None;
        self.hard_state_changed = self.now;
        self.role = Role::Follower(Follower::waiting(election_deadline));
        self.note(if was_leader {
            Decision::SteppedDown {
                because: StepDown::LaterTerm,
            }
        } else {
            Decision::SawLaterTerm { from }
        });
    }

    /// Stops leading, within the term.
    pub(super) fn step_down(&mut self, because: StepDown) {
        self.refuse_reads();
        // Term and vote stay: this node must not vote for another candidate in the term it led.
        self.wait_for_leader();
        self.note(Decision::SteppedDown { because });
    }

    /// Reason to refuse `candidate` a vote for now: a leader is alive, which is this node or one
    /// with recent contact (thesis 4.2.3); or leases are on and this node has just started, so it
    /// may have had contact with a leader before. A `candidate` no longer leads, so its own earlier
    /// leadership is no hindrance, as after a quick restart.
    pub(super) fn leader_hindrance(&self, candidate: NodeId) -> Option<VoteRefusal> {
        let recently = |since| self.now.since(since) < self.config.stickiness();
        if self.config.lease_reads && recently(self.started) {
            return Some(VoteRefusal::JustStarted);
        }
        // Without check-quorum a leader that lost its majority never steps down, and stickiness
        // would keep the other nodes from replacing it.
        if !self.config.check_quorum {
            return None;
        }
        if matches!(self.role, Role::Leader(_)) {
            return Some(VoteRefusal::LeaderAlive(self.config.id));
        }
        let (leader, last_contact) = self.last_leader?;
        if self.config.has_planted(PlantedBug::ForgetsLeaderWithTerm)
            && self.leader() != Some(leader)
        {
            return None;
        }
        (recently(last_contact) && leader != candidate).then_some(VoteRefusal::LeaderAlive(leader))
    }

    fn new_campaign(&mut self) -> Campaign {
        Campaign {
            granted: BTreeSet::new(),
            election_deadline: self.draw_election_deadline(),
        }
    }

    /// Requests pre-votes, without entering the next term (thesis 9.6).
    fn ask_for_pre_votes(&mut self) {
        let mut campaign = self.new_campaign();
        // A pre-vote binds no node, so it counts without a write.
        campaign.granted.insert(self.config.id);
        let last = self.log.last();
        let priority = self.config.priority;
        let term = self.hard_state.term.next();
        self.refuse_reads();
        self.role = Role::PreCandidate(campaign);
        self.note(Decision::AskedForPreVotes);
        for peer in self.other_voters() {
            // Not by `send`, which uses the node's own term: this one is not entered yet.
            let message = self.message(peer, term, Body::PreVote { last, priority });
            self.actions.send.push((peer, message));
        }
        // A single voter has its majority without any reply.
        self.count_votes();
    }

    /// "To begin an election, a follower increments its current term and transitions to candidate
    /// state. It then votes for itself and issues RequestVote RPCs" (section 5.2). The requests
    /// imply the vote, so they wait until it is on disk. The vote itself counts only then too:
    /// otherwise a single voter could be elected twice in one term, with a crash in between.
    fn stand_for_election(&mut self, transfer: bool) {
        self.hard_state.term = self.hard_state.term.next();
        self.hard_state.vote = Some(self.config.id);
        self.hard_state_changed = self.now;
        let campaign = self.new_campaign();
        self.refuse_reads();
        self.role = Role::Candidate(campaign);
        self.note(Decision::StoodForElection { transfer });
        let last = self.log.last();
        let priority = self.config.priority;
        for peer in self.other_voters() {
            self.send_after_persist(
                peer,
                Body::RequestVote {
                    last,
                    transfer,
                    priority,
                },
            );
        }
    }

    /// Counts a candidate's vote for itself once it is on disk.
    pub(super) fn count_own_vote(&mut self) {
        if let Role::Candidate(campaign) = &mut self.role
            && self.disk.durable_hard_state() == self.hard_state
            && campaign.granted.insert(self.config.id)
        {
            self.count_votes();
        }
    }

    /// Answers a PreVote. Neither answer changes the term, the vote or a timer.
    pub(super) fn on_pre_vote(
        &mut self,
        from: NodeId,
        term: Term,
        last: LogPosition,
        priority: u8,
    ) {
        let refusal = if let Some(hindrance) = self.leader_hindrance(from) {
            Some(hindrance)
        } else if term <= self.hard_state.term {
            Some(VoteRefusal::OldTerm)
        } else {
            self.log_refusal(last, Some(priority))
        };
        match refusal {
            Some(because) => self.refuse_vote(from, true, because),
            None => {
                self.note(Decision::Voted {
                    candidate: from,
                    pre: true,
                });
                // The grant carries the requested term; this node does not enter it.
                let grant = self.message(from, term, Body::PreVoteReply { granted: true });
                self.actions.send.push((from, grant));
            }
        }
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        let next_term = self.hard_state.term.next();
        match &mut self.role {
            Role::PreCandidate(campaign) if granted && term == next_term => {
                campaign.granted.insert(from);
                self.count_votes();
            }
            // A refusal matters only for its term, which was compared on receipt; a grant for
            // another term is stale.
            Role::PreCandidate(_) | Role::Follower(_) | Role::Candidate(_) | Role::Leader(_) => {}
        }
    }

    /// RequestVote (figure 2): "grant vote if votedFor is null or candidateId, and candidate's log
    /// is at least as up-to-date as receiver's log". `priority` is `None` for the successor in a
    /// leadership transfer, which is exempt from priorities and leader stickiness.
    pub(super) fn on_request_vote(
        &mut self,
        from: NodeId,
        term: Term,
        last: LogPosition,
        priority: Option<u8>,
    ) {
        let refusal = match self.hard_state.vote {
            _ if term < self.hard_state.term => Some(VoteRefusal::OldTerm),
            Some(other) if other != from => Some(VoteRefusal::VotedFor(other)),
            // A repeated request: priority and stickiness must not take a given vote back.
            Some(_) => self.log_refusal(last, None),
            // This node has not voted in this term, but a leader of an earlier term may still hold
            // a lease that depends on it.
            None => {
                let hindrance = priority.and_then(|_| self.leader_hindrance(from));
                hindrance.or_else(|| self.log_refusal(last, priority))
            }
        };
        if let Some(because) = refusal {
            return self.refuse_vote(from, false, because);
        }
        // A candidate or leader has voted for itself, so it was refused above. A follower or
        // pre-candidate may have its vote free or given to `from`.
        match &self.role {
            Role::Follower(Follower {
                leader: Some(leader),
                ..
            }) => {
                // The election of this term is over: a vote would only reset this node's timer.
                let because = VoteRefusal::LeaderAlive(leader.id);
                return self.refuse_vote(from, false, because);
            }
            Role::Follower(_) | Role::PreCandidate(_) => {}
            Role::Candidate(_) | Role::Leader(_) => {
                unreachable!("a candidate has voted for itself")
            }
        }
        // A repeated grant changes no state, so it needs no write of its own.
        if self.hard_state.vote.is_none() {
            self.hard_state.vote = Some(from);
            self.hard_state_changed = self.now;
        }
        // A granted vote restarts the timer: the candidate needs time to win (figure 2, followers).
        self.wait_for_leader();
        self.note(Decision::Voted {
            candidate: from,
            pre: false,
        });
        self.send_after_persist(from, Body::VoteReply { granted: true });
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        match &mut self.role {
            Role::Candidate(campaign) if granted && term == self.hard_state.term => {
                campaign.granted.insert(from);
                self.count_votes();
            }
            // A refusal needs nothing: its term was compared on receipt, and the timer ends a lost
            // election.
            Role::Candidate(_) | Role::Follower(_) | Role::PreCandidate(_) | Role::Leader(_) => {}
        }
    }

    /// Handles TimeoutNow, the leadership transfer to this node (thesis 3.10), which needs neither
    /// a timeout nor a pre-vote.
    pub(super) fn on_timeout_now(&mut self, from: NodeId, term: Term) {
        match &self.role {
            Role::Follower(Follower {
                leader: Some(leader),
                ..
            }) if term == self.hard_state.term
                && leader.id == from
                && term < Term::LAST
                && self.may_lead() =>
            {
                self.stand_for_election(true);
            }
            // An earlier leader's request is stale, and a node that may not lead would only
            // disturb.
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => {}
        }
    }

    /// Enters the next phase if a majority granted its vote.
    fn count_votes(&mut self) {
        let (Role::PreCandidate(campaign) | Role::Candidate(campaign)) = &self.role else {
            return;
        };
        if !self
            .log
            .membership()
            .is_quorum(|id| campaign.granted.contains(&id))
        {
            return;
        }
        let votes = campaign.granted.len();
        match &self.role {
            Role::PreCandidate(_) => self.stand_for_election(false),
            Role::Candidate(_) => self.become_leader(votes),
            Role::Follower(_) | Role::Leader(_) => {}
        }
    }

    /// "If the logs have last entries with different terms, then the log with the later term is
    /// more up-to-date. If the logs end with the same term, then whichever log is longer is more
    /// up-to-date" (section 5.4.1).
    ///
    /// Of two equal logs the higher priority wins, if its node may lead. The preference is bounded
    /// in time: a preferred node that cannot reach a majority must not block one that can.
    fn log_refusal(&mut self, theirs: LogPosition, priority: Option<u8>) -> Option<VoteRefusal> {
        let mine = self.log.last();
        match priority {
            _ if theirs < mine => Some(VoteRefusal::LogBehind { mine, theirs }),
            Some(priority)
                if theirs == mine
                    && priority < self.config.priority
                    && self.may_lead()
                    && self.may_prefer_itself() =>
            {
                Some(VoteRefusal::LowerPriority {
                    mine: self.config.priority,
                    theirs: priority,
                })
            }
            Some(_) | None => None,
        }
    }

    fn may_prefer_itself(&mut self) -> bool {
        // The first refusal starts the interval; only contact with a leader resets it.
        let since = *self.preferred_since.get_or_insert(self.now);
        self.now.since(since) < self.config.max_election_timeout()
            || self.config.has_planted(PlantedBug::PrefersForEver)
    }

    /// Refuses with this node's own term, so that a candidate that is behind learns of it;
    /// otherwise it could never win again.
    pub(super) fn refuse_vote(&mut self, candidate: NodeId, pre: bool, because: VoteRefusal) {
        self.note(Decision::RefusedVote {
            candidate,
            pre,
            because,
        });
        let body = if pre {
            Body::PreVoteReply { granted: false }
        } else {
            Body::VoteReply { granted: false }
        };
        self.send(candidate, body);
    }
}
