//! Runs a transcript step by step on a simulated cluster.

use std::time::Duration;

use raftian_raft::{
    Change, ClientId, Config, Incarnation, Membership, NodeId, PlantedBug, ReadId, RefusalReason,
    Standing,
};

use super::failure::{Cause, Failure, Refusal};
use super::runner::{Runner, covers};
use super::script::{self, Expect, Select, Setting, Step};
use super::{Script, expect};
use crate::cluster::{Setup, Simulation};
use crate::disk::CrashStyle;

/// Runs a transcript to its end or to the first statement that fails. Returns the last `lines`
/// events, one per line.
///
/// # Errors
/// Reports the first statement that could not be performed, did not hold, or violated an invariant
/// of Raft; at the end, a state that does not follow from the committed log.
pub fn run(script: &Script, lines: usize) -> Result<String, Failure> {
    run_planted(script, lines, None)
}

/// As [`run`], with a past bug injected into every node. Without the feature `planted` the nodes
/// stay correct.
///
/// # Errors
/// Same as [`run`].
pub fn run_planted(
    script: &Script,
    lines: usize,
    planted: Option<PlantedBug>,
) -> Result<String, Failure> {
    let setup = setup(script, lines, planted).map_err(|cause| Failure {
        line: script.cluster.line,
        cause,
        trace: String::new(),
    })?;
    let mut runner = Runner::new(Simulation::new(setup));
    for step in &script.steps {
        let done = runner.step(&step.what);
        // A violation takes precedence over the result of the step itself.
        let violation = runner.cluster.violation().cloned();
        violation
            .map_or(done, |violation| Err(violation.into()))
            .map_err(|cause| runner.failure(step.line, cause))?;
    }
    if let Err(violation) = runner.cluster.check_states_follow_from_log() {
        let line = script
            .steps
            .last()
            .map_or(script.cluster.line, |step| step.line);
        return Err(runner.failure(line, violation.into()));
    }
    Ok(runner.cluster.trace())
}

/// Builds the initial cluster of a transcript.
fn setup(script: &Script, lines: usize, planted: Option<PlantedBug>) -> Result<Setup, Cause> {
    let cluster = &script.cluster;
    let standing = |id: NodeId| {
        if cluster.witnesses.contains(&id) {
            Standing::Witness
        } else if cluster.learners.contains(&id) {
            Standing::Learner
        } else {
            Standing::Voter
        }
    };
    let members = cluster
        .members()
        .map(|id| (id, Incarnation::default(), standing(id)));
    let membership = Membership::of(members)?;
    let settings: Vec<_> = script.options.iter().map(|option| option.what).collect();
    let seed = settings.iter().rev().find_map(|setting| match setting {
        Setting::Seed(seed) => Some(*seed),
        _ => None,
    });
    let mut setup = Setup::members(membership.clone(), seed.unwrap_or(1))
        .lenient()
        .trace(lines);
    for setting in &settings {
        if let Setting::HashEvery(entries) = setting {
            setup = setup.hash_every(*entries);
        }
    }
    if script.steps.iter().any(|step| needs_bytes(&step.what)) {
        setup = setup.real_store();
    }
    if settings.contains(&Setting::FoundersAgree(true)) {
        setup = setup.founders_agree();
    }
    for id in &script.joiners {
        setup = setup.outsider(id.0);
    }
    for id in cluster.members() {
        let beginning = script.beginning(id);
        let terms: Vec<_> = beginning.log.iter().map(|term| term.0).collect();
        setup = setup
            .log(id.0, &terms)
            .term(id.0, beginning.term.0)
            .commit(id.0, beginning.commit.0);
        for (index, command) in &beginning.commands {
            setup = setup.command(id.0, *index, command.as_bytes());
        }
        if let Some(vote) = beginning.vote {
            setup = setup.vote(id.0, vote.0);
        }
    }
    let configure = move |config: &mut Config| {
        plant(config, planted);
        configure(&settings, config);
    };
    // Checked up front, so that an invalid configuration is an error of the script.
    let mut sample = Config::new(NodeId(1), membership, 1);
    configure(&mut sample);
    sample.validate()?;
    Ok(setup.configure(configure))
}

#[cfg(feature = "planted")]
fn plant(config: &mut Config, planted: Option<PlantedBug>) {
    config.planted = planted;
}

#[cfg(feature = "planted")]
fn has_planted(config: &Config, fault: PlantedBug) -> bool {
    config.planted == Some(fault)
}

#[cfg(not(feature = "planted"))]
fn has_planted(_config: &Config, _fault: PlantedBug) -> bool {
    false
}

#[cfg(not(feature = "planted"))]
fn plant(_config: &mut Config, _planted: Option<PlantedBug>) {}

/// Returns whether a step needs a disk of bytes, that is, the real store.
fn needs_bytes(step: &Step) -> bool {
    matches!(
        step,
        Step::FailDisk(_) | Step::FillDisk(_) | Step::FreeDisk(_) | Step::Tear(_)
    )
}

fn configure(settings: &[Setting], config: &mut Config) {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut adaptive = false;
    let mut bounds = None;
    for setting in settings {
        match *setting {
            Setting::PreVote(on) => config.pre_vote = on,
            Setting::CheckQuorum(on) => config.check_quorum = on,
            Setting::Lease(on) => config.lease_reads = on,
            Setting::ReplaceIncarnations(on) => config.replace_incarnations = on,
            Setting::FoundersAgree(on) => config.founders_agree = on,
            // Its bounds follow from the timeouts, which a later option may still change.
            Setting::Adaptive(on) => (adaptive, bounds) = (on, None),
            Setting::AdaptiveWithin { floor, ceiling } => {
                (adaptive, bounds) = (true, Some((floor, ceiling)))
            }
            Setting::DiskTimeout(timeout) => config.disk_timeout = timeout,
            Setting::PromoteAfter(after) => config.promote_after = after,
            Setting::MaxSnapshotBytes(most) => config.max_snapshot_bytes = most,
            Setting::SnapshotInflight(most) => config.snapshot_inflight = most,
            Setting::MaxAppendEntries(most) => config.max_append_entries = size(most),
            Setting::Inflight(most) => config.inflight_messages = size(most),
            Setting::InflightBytes(most) => config.inflight_bytes = size(most),
            Setting::MaxUncommitted(most) => config.max_uncommitted_entries = size(most),
            Setting::ApplyWindow(most) => config.apply_window = size(most),
            Setting::SnapshotKeep(entries) => config.snapshot_keep = entries,
            Setting::SnapshotEntries(entries) => config.snapshot_entries = Some(entries),
            Setting::SnapshotBytes(bytes) => config.snapshot_bytes = Some(size(bytes)),
            Setting::MaxLogBytes(bytes) => config.max_log_bytes = Some(size(bytes)),
            Setting::SnapshotChunk(bytes) => config.snapshot_chunk = size(bytes),
            Setting::Election { shortest, longest } => {
                config.election_timeout = (shortest, longest)
            }
            Setting::Heartbeat(every) => config.heartbeat = every,
            Setting::Priority { node, priority } if node == config.id => {
                config.priority = u8::try_from(priority).unwrap_or(u8::MAX);
            }
            Setting::Priority { .. } | Setting::Seed(_) | Setting::HashEvery(_) => {}
        }
    }
    if adaptive {
        let (shortest, longest) = config.election_timeout;
        let floor = (shortest / 3).max(config.heartbeat * 2);
        let beyond = has_planted(config, PlantedBug::DrawsBelowFloor);
        let floor = if beyond { floor } else { floor.min(shortest) };
        config.adaptive_timeout = bounds.or(Some((floor, longest.max(floor * 2))));
    }
}

impl Runner {
    fn step(&mut self, step: &Step) -> Result<(), Cause> {
        match step {
            Step::Campaign(node) => self.cluster.campaign(self.up(*node)?),
            Step::Tick(node) => self.cluster.tick(self.up(*node)?),
            Step::Advance(by) => self.cluster.advance(*by),
            // The two are the same: a write completes at once unless its disk is held, and only the
            // script releases a held disk.
            Step::DeliverAll | Step::Stabilize => drop(self.cluster.stabilize()),
            Step::Deliver(select) => {
                let chosen = self.chosen(select);
                self.cluster
                    .deliver(|envelope| chosen.contains(&envelope.serial));
            }
            Step::Drop(select) => {
                let chosen = self.chosen(select);
                self.cluster
                    .drop_messages(|envelope| chosen.contains(&envelope.serial));
            }
            Step::Dup { select, later } => {
                let chosen = self.chosen(select);
                let copies = self
                    .cluster
                    .copies(|envelope| chosen.contains(&envelope.serial));
                match later {
                    Some(name) => self.kept.entry(name.clone()).or_default().extend(copies),
                    None => self.cluster.inject(copies),
                }
            }
            Step::Replay(name) => self.replay(name)?,
            Step::Partition { groups, only } => {
                if *only {
                    self.cluster.heal();
                }
                let groups: Vec<Vec<_>> = groups
                    .iter()
                    .map(|group| group.iter().copied().collect())
                    .collect();
                let groups: Vec<&[NodeId]> = groups.iter().map(Vec::as_slice).collect();
                self.cluster.partition(&groups);
            }
            Step::Cut(link) => self.cut(|from, to| link.covers(from, to)),
            Step::Delay { link, by } => {
                let ids = self.cluster.ids().collect::<Vec<_>>();
                let by = *by;
                for (from, to) in ids
                    .iter()
                    .flat_map(|from| ids.iter().map(move |to| (*from, *to)))
                {
                    if from != to && link.covers(from, to) {
                        self.cluster.delay(from, to, by);
                    }
                }
            }
            Step::Clock { node, percent } => self.cluster.set_clock_rate(*node, *percent),
            Step::Pause(node) => {
                let node = self.up(*node)?;
                self.cluster.pause(node);
            }
            Step::Resume(node) => self.cluster.resume(*node),
            Step::FailDisk(node) => self.cluster.fail_disk(*node, &mut self.rng),
            Step::FillDisk(node) => self.cluster.fill_disk(*node, true),
            Step::FreeDisk(node) => self.cluster.fill_disk(*node, false),
            Step::Tear(node) => {
                let node = self.up(*node)?;
                self.cluster
                    .crash_midway(node, 0, &mut self.rng, CrashStyle::Torn);
            }
            Step::CopyDisk { node, name } => {
                self.copies
                    .insert(name.clone(), self.cluster.copy_disk(*node));
            }
            Step::PutBack { node, name } => {
                let Some(copy) = self.copies.get(name) else {
                    return Err(Cause::UnknownCopy(name.clone()));
                };
                self.cluster.put_back_whole(*node, copy);
            }
            Step::Isolate(node) => self.cluster.isolate(*node),
            Step::Heal => self.cluster.heal(),
            Step::Propose {
                node,
                name,
                command,
            } => self.propose(*node, *name, command)?,
            Step::Read { node, name, lease } => self.read(*node, name, *lease)?,
            Step::Transfer { from, to } => {
                let begun = self.cluster.transfer_leadership(self.up(*from)?, *to);
                self.last = Some(begun.map_err(Refusal::from));
            }
            Step::Member { node, change } => {
                let change = self.change(*node, change);
                let begun = self.cluster.change_membership(self.up(*node)?, change);
                self.last = Some(begun.map_err(Refusal::from));
            }
            Step::Compact { node, up_to } => self.cluster.compact(self.up(*node)?, Some(*up_to)),
            Step::Crash(node) => self.cluster.crash(self.up(*node)?),
            Step::Restart(node) => {
                if self.cluster.is_up(*node) {
                    self.cluster.crash(*node);
                }
                self.cluster.restart(*node);
                self.up(*node)?;
            }
            Step::Astray(node) => self.cluster.diverge(self.up(*node)?),
            Step::Wipe(node) => self.cluster.wipe(*node),
            Step::HoldDisk(node) => self.cluster.hold_disk(*node),
            Step::ReleaseDisk { node, count: None } => self.cluster.release_disk(*node),
            Step::ReleaseDisk {
                node,
                count: Some(count),
            } => {
                self.cluster
                    .complete_writes(*node, usize::try_from(*count).unwrap_or(usize::MAX));
            }
            Step::Run(by) => self.cluster.run(*by),
            Step::Settle(by) => drop(self.cluster.settle(*by)?),
            Step::Until { expect, within } => return self.until(expect, *within),
            Step::Expect(expect) => return expect::check(self, expect),
        }
        Ok(())
    }

    /// Lets time pass and delivers everything until `expect` holds.
    fn until(&mut self, expect: &Expect, within: Duration) -> Result<(), Cause> {
        let mut left = within;
        self.cluster.stabilize();
        loop {
            let held = expect::check(self, expect);
            match (held, left.is_zero() || self.cluster.violation().is_some()) {
                (Ok(()), _) => return Ok(()),
                (Err(cause), true) => {
                    let last = Box::new(cause);
                    return Err(Cause::TimedOut { within, last });
                }
                (Err(_), false) => {
                    // Small steps, so that a condition that holds only briefly is not missed.
                    let step = left.min(Duration::from_millis(1));
                    self.cluster.run(step);
                    left -= step;
                }
            }
        }
    }

    /// Returns the serials of the queued messages that match.
    fn chosen(&self, select: &Select) -> Vec<u64> {
        let matches = self
            .cluster
            .queued()
            .filter(|envelope| covers(envelope, select));
        matches
            .map(|envelope| envelope.serial)
            .take(bound(select.most))
            .collect()
    }

    fn cut(&mut self, covers: impl Fn(NodeId, NodeId) -> bool) {
        for from in self.cluster.ids() {
            for to in self
                .cluster
                .ids()
                .filter(|to| *to != from && covers(from, *to))
            {
                self.cluster.cut(from, to);
            }
        }
    }

    /// Delivers kept messages now, ahead of all queued ones.
    fn replay(&mut self, name: &str) -> Result<(), Cause> {
        let Some(copies) = self.kept.get(name).cloned() else {
            return Err(Cause::UnknownMessages(name.to_owned()));
        };
        // Injected copies get serials above all queued ones.
        let before = self
            .cluster
            .queued()
            .map(|envelope| envelope.serial)
            .max()
            .unwrap_or_default();
        self.cluster.inject(copies);
        self.cluster.deliver(|envelope| envelope.serial > before);
        Ok(())
    }

    fn propose(
        &mut self,
        node: NodeId,
        name: Option<(ClientId, u64)>,
        command: &str,
    ) -> Result<(), Cause> {
        let node = self.up(node)?;
        self.proposals += 1;
        // A command without a name comes from a new client, so that it is never a duplicate.
        let (client, sequence) = name.unwrap_or((ClientId(u64::MAX - self.proposals), 1));
        let taken: Result<(), RefusalReason> =
            self.cluster
                .propose(node, client.0, sequence, command.as_bytes());
        self.last = Some(taken.map_err(Refusal::from));
        Ok(())
    }

    fn read(&mut self, node: NodeId, name: &str, lease: bool) -> Result<(), Cause> {
        let node = self.up(node)?;
        self.proposals += 1;
        let id = ReadId(self.proposals);
        self.cluster.read(node, id, lease);
        self.reads.insert(name.to_owned(), (node, id));
        let refusal = self
            .cluster
            .host(node)
            .reads()
            .get(&id)
            .and_then(|answer| answer.err());
        self.last = Some(refusal.map_or(Ok(()), |refusal| Err(refusal.into())));
        Ok(())
    }

    /// Builds a change with the current incarnations: a wiped machine is another member. A witness
    /// that is listed among the voters stays a witness.
    fn change(&self, at: NodeId, change: &script::Change) -> Change {
        let incarnation = |id: NodeId| self.cluster.host(id).incarnation();
        let voter = |id: NodeId| {
            let member = self
                .cluster
                .host(at)
                .node()
                .and_then(|node| node.membership().member(id).copied());
            if member.is_some_and(|member| member.is_witness()) {
                Standing::Witness
            } else {
                Standing::Voter
            }
        };
        match change {
            script::Change::Add(id) => Change::Set(*id, incarnation(*id), Standing::Voter),
            script::Change::Join(id) => Change::Set(*id, incarnation(*id), Standing::Joining),
            script::Change::Learner(id) => Change::Set(*id, incarnation(*id), Standing::Learner),
            script::Change::Witness(id) => Change::Set(*id, incarnation(*id), Standing::Witness),
            script::Change::Remove(id) => Change::Remove(*id),
            script::Change::Contact(id, contact) => Change::Record {
                contacts: vec![(*id, contact.as_bytes().into())],
                annex: None,
            },
            script::Change::Voters { voters, learners } => {
                let voters = voters.iter().map(|id| (*id, incarnation(*id), voter(*id)));
                let learners = learners
                    .iter()
                    .map(|id| (*id, incarnation(*id), Standing::Learner));
                Change::Replace(voters.chain(learners).collect())
            }
        }
    }
}

fn bound(most: Option<u64>) -> usize {
    most.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}
