//! Prints scripts as text that parses to the same script again.

use std::fmt;
use std::time::Duration;

use raftian_raft::NodeId;

use super::{
    Answer, Change, Cluster, Expect, KindName, Link, OnDisk, Preset, RoleName, Script, Select,
    Setting, Step, Wanted,
};

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.cluster)?;
        self.options
            .iter()
            .try_for_each(|option| writeln!(f, "option {}", option.what))?;
        self.presets
            .iter()
            .try_for_each(|preset| writeln!(f, "{}", preset.what))?;
        self.steps
            .iter()
            .try_for_each(|step| writeln!(f, "{}", step.what))
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {}", self.voters)?;
        clause(f, " learners", &self.learners)?;
        clause(f, " witness", &self.witnesses)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |on: &bool| if *on { "on" } else { "off" };
        match self {
            Setting::PreVote(on) => write!(f, "prevote {}", switch(on)),
            Setting::CheckQuorum(on) => write!(f, "checkquorum {}", switch(on)),
            Setting::Lease(on) => write!(f, "lease {}", switch(on)),
            Setting::ReplaceIncarnations(on) => write!(f, "replace-incarnations {}", switch(on)),
            Setting::FoundersAgree(on) => write!(f, "founders-agree {}", switch(on)),
            Setting::Adaptive(on) => write!(f, "adaptive {}", switch(on)),
            Setting::MaxAppendEntries(most) => write!(f, "max-append-entries {most}"),
            Setting::Inflight(most) => write!(f, "inflight {most}"),
            Setting::InflightBytes(most) => write!(f, "inflight-bytes {most}"),
            Setting::MaxUncommitted(most) => write!(f, "max-uncommitted {most}"),
            Setting::ApplyWindow(most) => write!(f, "apply-window {most}"),
            Setting::HashEvery(entries) => write!(f, "hash-every {entries}"),
            Setting::SnapshotKeep(kept) => write!(f, "snapshot-keep {kept}"),
            Setting::SnapshotEntries(after) => write!(f, "snapshot-entries {after}"),
            Setting::SnapshotBytes(after) => write!(f, "snapshot-bytes {after}"),
            Setting::MaxLogBytes(most) => write!(f, "max-log-bytes {most}"),
            Setting::SnapshotChunk(most) => write!(f, "snapshot-chunk {most}"),
            Setting::Election { shortest, longest } => {
                write!(f, "election {}..{}", Span(*shortest), Span(*longest))
            }
            Setting::Heartbeat(every) => write!(f, "heartbeat {}", Span(*every)),
            Setting::Priority { node, priority } => write!(f, "priority {node} {priority}"),
            Setting::DiskTimeout(timeout) => write!(f, "disk-timeout {}", Span(*timeout)),
            Setting::PromoteAfter(after) => write!(f, "promote-after {}", Span(*after)),
            Setting::MaxSnapshotBytes(most) => write!(f, "max-snapshot-bytes {most}"),
            Setting::SnapshotInflight(most) => write!(f, "snapshot-inflight {most}"),
            Setting::AdaptiveWithin { floor, ceiling } => {
                write!(f, "adaptive {}..{}", Span(*floor), Span(*ceiling))
            }
            Setting::Seed(seed) => write!(f, "seed {seed}"),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = Side(self.node);
        match &self.what {
            OnDisk::Log(terms) => {
                write!(f, "log {node}")?;
                terms.iter().try_for_each(|term| write!(f, " {}", term.0))
            }
            OnDisk::Term(term) => write!(f, "term {node} {}", term.0),
            OnDisk::Vote(vote) => write!(f, "vote {node} {}", OrNone(*vote)),
            OnDisk::Entry(term, command) => write!(f, "entry {node} {} \"{command}\"", term.0),
            OnDisk::Commit(index) => write!(f, "commit {node} {}", index.0),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Campaign(node) => write!(f, "campaign {node}"),
            Step::Tick(node) => write!(f, "tick {node}"),
            Step::Advance(by) => write!(f, "advance {}", Span(*by)),
            Step::DeliverAll => write!(f, "deliver"),
            Step::Deliver(select) => write!(f, "deliver {select}"),
            Step::Drop(select) => write!(f, "drop {select}"),
            Step::Dup {
                select,
                later: None,
            } => write!(f, "dup {select}"),
            Step::Dup {
                select,
                later: Some(name),
            } => write!(f, "dup {select} later {name}"),
            Step::Replay(name) => write!(f, "replay {name}"),
            Step::Partition { groups, only } => {
                write!(f, "partition{}", if *only { " only" } else { "" })?;
                for (place, group) in groups.iter().enumerate() {
                    clause(f, if place == 0 { "" } else { " |" }, group)?;
                }
                Ok(())
            }
            Step::Delay { link, by } => write!(f, "delay {link} {}", Span(*by)),
            Step::Clock { node, percent } => write!(f, "clock {node} {percent}%"),
            Step::Pause(node) => write!(f, "pause {node}"),
            Step::Resume(node) => write!(f, "resume {node}"),
            Step::FailDisk(node) => write!(f, "fail-disk {node}"),
            Step::FillDisk(node) => write!(f, "fill-disk {node}"),
            Step::FreeDisk(node) => write!(f, "free-disk {node}"),
            Step::Tear(node) => write!(f, "tear {node}"),
            Step::CopyDisk { node, name } => write!(f, "copy-disk {node} as {name}"),
            Step::PutBack { node, name } => write!(f, "put-back {node} {name}"),
            Step::Cut(link) => write!(f, "cut {link}"),
            Step::Isolate(node) => write!(f, "isolate {node}"),
            Step::Heal => write!(f, "heal"),
            Step::Propose {
                node,
                name: None,
                command,
            } => write!(f, "propose {node} \"{command}\""),
            Step::Propose {
                node,
                name: Some((client, sequence)),
                command,
            } => {
                write!(
                    f,
                    "propose {node} as c{}#{sequence} \"{command}\"",
                    client.0
                )
            }
            Step::Read {
                node,
                name,
                lease: false,
            } => write!(f, "read {node} as {name}"),
            Step::Read {
                node,
                name,
                lease: true,
            } => write!(f, "lease-read {node} as {name}"),
            Step::Transfer { from, to: None } => write!(f, "transfer {from}"),
            Step::Transfer { from, to: Some(to) } => write!(f, "transfer {from} {to}"),
            Step::Member { node, change } => write!(f, "member {node} {change}"),
            Step::Compact { node, up_to } => write!(f, "compact {node} {}", up_to.0),
            Step::Crash(node) => write!(f, "crash {node}"),
            Step::Restart(node) => write!(f, "restart {node}"),
            Step::Astray(node) => write!(f, "astray {node}"),
            Step::Wipe(node) => write!(f, "wipe {node}"),
            Step::HoldDisk(node) => write!(f, "hold-disk {node}"),
            Step::ReleaseDisk { node, count: None } => write!(f, "release-disk {node}"),
            Step::ReleaseDisk {
                node,
                count: Some(count),
            } => write!(f, "release-disk {node} {count}"),
            Step::Stabilize => write!(f, "stabilize"),
            Step::Run(by) => write!(f, "run {}", Span(*by)),
            Step::Settle(up_to) => write!(f, "settle {}", Span(*up_to)),
            Step::Until { expect, within } => write!(f, "until {expect} within {}", Span(*within)),
            Step::Expect(expect) => write!(f, "expect {expect}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Add(node) => write!(f, "add {node}"),
            Change::Join(node) => write!(f, "join {node}"),
            Change::Learner(node) => write!(f, "learner {node}"),
            Change::Witness(node) => write!(f, "witness {node}"),
            Change::Remove(node) => write!(f, "remove {node}"),
            Change::Voters { voters, learners } => {
                clause(f, "voters", voters)?;
                clause(f, " learners", learners)
            }
            Change::Contact(node, contact) => write!(f, "contact {node} \"{contact}\""),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Leader(node) => write!(f, "leader {node}"),
            Expect::AnyLeader => write!(f, "leader"),
            Expect::Not(expect) => write!(f, "not {expect}"),
            Expect::NoLeader => write!(f, "no-leader"),
            Expect::LeaderOf(node, leader) => write!(f, "leader-of {node} {}", OrNone(*leader)),
            Expect::Role(node, role) => write!(f, "role {node} {role}"),
            Expect::Term(node, term) => write!(f, "term {node} {term}"),
            Expect::Vote(node, vote) => write!(f, "vote {node} {}", OrNone(*vote)),
            Expect::Log(node, terms) => {
                write!(f, "log {node}")?;
                terms.iter().try_for_each(|term| write!(f, " {}", term.0))
            }
            Expect::Last(node, index) => write!(f, "last {node} {index}"),
            Expect::First(node, index) => write!(f, "first {node} {index}"),
            Expect::LogEqual(nodes) => clause(f, "log-equal", nodes),
            Expect::StateEqual(nodes) => clause(f, "state-equal", nodes),
            Expect::Commit(node, wanted) => write!(f, "commit {node} {wanted}"),
            Expect::Applied(node, commands) => {
                write!(f, "applied {node}")?;
                commands
                    .iter()
                    .try_for_each(|command| write!(f, " \"{command}\""))
            }
            Expect::Config {
                node,
                voters,
                outgoing,
                learners,
            } => {
                write!(f, "config {node}")?;
                clause(f, " voters", voters)?;
                clause(f, " outgoing", outgoing)?;
                clause(f, " learners", learners)
            }
            Expect::Contact(node, member, None) => write!(f, "contact {node} {member} none"),
            Expect::Contact(node, member, Some(contact)) => {
                write!(f, "contact {node} {member} \"{contact}\"")
            }
            Expect::Read(name, answer) => write!(f, "read {name} {answer}"),
            Expect::Next(leader, follower, index) => write!(f, "next {leader} {follower} {index}"),
            Expect::Match(leader, follower, index) => {
                write!(f, "match {leader} {follower} {index}")
            }
            Expect::Refused(None) => write!(f, "refused"),
            Expect::Refused(Some(why)) => write!(f, "refused \"{why}\""),
            Expect::Accepted => write!(f, "accepted"),
            Expect::Queued {
                link,
                kind: None,
                count,
            } => write!(f, "queued {link} {count}"),
            Expect::Queued {
                link,
                kind: Some(kind),
                count,
            } => write!(f, "queued {link} {kind} {count}"),
            Expect::Alive(node) => write!(f, "alive {node}"),
        }
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.link)?;
        self.kind.map_or(Ok(()), |kind| write!(f, " {kind}"))?;
        self.most.map_or(Ok(()), |most| write!(f, " {most}"))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", Side(self.from), Side(self.to))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::At(wanted) => write!(f, "{wanted}"),
            Answer::Pending => write!(f, "pending"),
            Answer::Refused(None) => write!(f, "refused"),
            Answer::Refused(Some(why)) => write!(f, "refused \"{why}\""),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Exactly(value) => write!(f, "{value}"),
            Wanted::AtLeast(least) => write!(f, ">= {least}"),
            Wanted::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A node, or `*`.
struct Side(Option<NodeId>);

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(node) => write!(f, "{node}"),
            None => f.write_str("*"),
        }
    }
}

/// A node, or `none`.
struct OrNone(Option<NodeId>);

impl fmt::Display for OrNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(node) => write!(f, "{node}"),
            None => f.write_str("none"),
        }
    }
}

/// A duration in the largest unit of which it is a multiple.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match (micros % 1_000_000, micros % 1_000) {
            (0, _) => write!(f, "{}s", micros / 1_000_000),
            (_, 0) => write!(f, "{}ms", micros / 1_000),
            (_, _) => write!(f, "{micros}us"),
        }
    }
}

/// A word and its nodes, or nothing if there are none.
fn clause<'a>(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    nodes: impl IntoIterator<Item = &'a NodeId, IntoIter: ExactSizeIterator>,
) -> fmt::Result {
    let nodes = nodes.into_iter();
    if nodes.len() > 0 {
        f.write_str(word)?;
    }
    nodes.into_iter().try_for_each(|node| write!(f, " {node}"))
}
