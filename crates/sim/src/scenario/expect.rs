//! Checks the expectations of a transcript against the cluster.

use std::collections::BTreeSet;
use std::fmt::Display;

use raftian_raft::{Index, Membership, Node, NodeId, PeerStatus, RoleKind, Standing};

use super::failure::{self, Cause};
use super::runner::{Runner, covers};
use super::script::{Answer, Expect, RoleName, Select, Wanted};

/// Checks an expectation once, without waiting.
pub(super) fn check(runner: &Runner, expect: &Expect) -> Result<(), Cause> {
    match expect {
        Expect::Leader(id) => leads(runner, *id),
        Expect::AnyLeader => match &runner.cluster.leaders()[..] {
            [] => Err(Cause::NoLeader),
            _ => Ok(()),
        },
        Expect::Not(expect) => {
            check_is_possible(runner, expect)?;
            match check(runner, expect) {
                Ok(()) => Err(Cause::Holds(expect.to_string())),
                Err(_) => Ok(()),
            }
        }
        Expect::NoLeader => match &runner.cluster.leaders()[..] {
            [] => Ok(()),
            leaders => Err(Cause::UnexpectedLeader(list(leaders))),
        },
        Expect::LeaderOf(id, leader) => same(
            &format!("the leader that {id} follows"),
            &name(*leader),
            &name(node(runner, *id)?.leader()),
        ),
        Expect::Role(id, role) => same(
            &format!("the role of {id}"),
            role.name(),
            role_of(runner, node(runner, *id)?).name(),
        ),
        Expect::Term(id, wanted) => holds(
            *wanted,
            &format!("the term of {id}"),
            node(runner, *id)?.term().0,
        ),
        Expect::Vote(id, vote) => same(
            &format!("the vote of {id}"),
            &name(*vote),
            &name(node(runner, *id)?.status().vote),
        ),
        Expect::Log(id, terms) => {
            let terms: Vec<_> = terms.iter().map(|term| term.0).collect();
            same(
                &format!("the terms in the log of {id}"),
                list(&terms),
                list(&log(node(runner, *id)?)),
            )
        }
        Expect::Last(id, wanted) => holds(
            *wanted,
            &format!("the last index of {id}"),
            node(runner, *id)?.last().index.0,
        ),
        Expect::First(id, wanted) => {
            let first = node(runner, *id)?.log_start().position.index.0 + 1;
            holds(*wanted, &format!("the first index of {id}"), first)
        }
        Expect::LogEqual(ids) => logs_equal(runner, ids),
        Expect::StateEqual(ids) => states_equal(runner, ids),
        Expect::Commit(id, wanted) => {
            let commit = node(runner, *id)?.commit().0;
            holds(*wanted, &format!("the commit index of {id}"), commit)
        }
        Expect::Applied(id, wanted) => {
            let effects = runner.cluster.host(*id).effects();
            let quoted = |text: &str| format!("\"{text}\"");
            let seen: Vec<_> = effects
                .iter()
                .map(|c| quoted(&String::from_utf8_lossy(&c.bytes)))
                .collect();
            let wanted: Vec<_> = wanted.iter().map(|text| quoted(text)).collect();
            same(
                &format!("the commands applied by {id}"),
                list(&wanted),
                list(&seen),
            )
        }
        Expect::Config {
            node: id,
            voters,
            outgoing,
            learners,
        } => {
            let wanted = members(voters, outgoing, learners);
            same(
                &format!("the members known to {id}"),
                wanted,
                configuration(node(runner, *id)?.membership()),
            )
        }
        Expect::Contact(id, member, wanted) => {
            let found = node(runner, *id)?.membership().contact(*member);
            let found = found.map(|contact| String::from_utf8_lossy(contact));
            same(
                &format!("the contact of {member} known to {id}"),
                quoted_or_none(wanted.as_deref()),
                quoted_or_none(found.as_deref()),
            )
        }
        Expect::Read(name, answer) => read(runner, name, answer),
        Expect::Next(id, peer, wanted) => holds(
            *wanted,
            &format!("nextIndex of {id} for {peer}"),
            progress(runner, *id, *peer)?.next.0,
        ),
        Expect::Match(id, peer, wanted) => holds(
            *wanted,
            &format!("matchIndex of {id} for {peer}"),
            progress(runner, *id, *peer)?.matched.0,
        ),
        Expect::Refused(why) => match &runner.last {
            Some(Err(refusal)) if contains(&refusal.to_string(), why.as_ref()) => Ok(()),
            Some(Err(refusal)) => Err(Cause::OtherRefusal {
                expected: why.clone().unwrap_or_default(),
                refusal: *refusal,
            }),
            Some(Ok(())) => Err(Cause::Accepted),
            None => Err(Cause::NoRequest(Some(failure::Answer::Refusal))),
        },
        Expect::Accepted => match &runner.last {
            Some(Ok(())) => Ok(()),
            Some(Err(refusal)) => Err(Cause::Refused(*refusal)),
            None => Err(Cause::NoRequest(Some(failure::Answer::Acceptance))),
        },
        Expect::Queued { link, kind, count } => {
            let select = Select {
                link: *link,
                kind: *kind,
                most: None,
            };
            let queued = runner
                .cluster
                .queued()
                .filter(|envelope| covers(envelope, &select))
                .count() as u64;
            let kind = kind.map_or("messages".to_owned(), |kind| {
                format!("messages of kind {}", kind.name())
            });
            holds(
                *count,
                &format!("the number of {kind} queued at {} us", runner.now().0),
                queued,
            )
        }
        Expect::Alive(id) => runner.up(*id).map(drop),
    }
}

fn node(runner: &Runner, id: NodeId) -> Result<&Node, Cause> {
    runner.up(id).map(|id| runner.cluster.node(id))
}

fn same<T: PartialEq + Display>(what: &str, wanted: T, seen: T) -> Result<(), Cause> {
    if wanted == seen {
        Ok(())
    } else {
        Err(differs(what, wanted, seen))
    }
}

fn holds(wanted: Wanted, what: &str, seen: u64) -> Result<(), Cause> {
    if wanted.holds(seen) {
        Ok(())
    } else {
        Err(differs(what, wanted, seen))
    }
}

fn differs(what: &str, wanted: impl Display, seen: impl Display) -> Cause {
    Cause::Differs {
        what: what.to_owned(),
        expected: wanted.to_string(),
        found: seen.to_string(),
    }
}

/// Returns whether a reason contains the expected text.
fn contains(reason: &str, why: Option<&String>) -> bool {
    why.is_none_or(|why| reason.contains(why.as_str()))
}

/// Checks that a negated expectation can be evaluated: the log of a node that is down, for example,
/// can satisfy neither an expectation nor its negation.
fn check_is_possible(runner: &Runner, expect: &Expect) -> Result<(), Cause> {
    match expect {
        Expect::Leader(_)
        | Expect::AnyLeader
        | Expect::NoLeader
        | Expect::Not(_)
        | Expect::Alive(_)
        | Expect::Applied(..)
        | Expect::Queued { .. }
        | Expect::Read(..) => Ok(()),
        Expect::LeaderOf(id, _)
        | Expect::Role(id, _)
        | Expect::Term(id, _)
        | Expect::Vote(id, _)
        | Expect::Log(id, _)
        | Expect::Last(id, _)
        | Expect::First(id, _)
        | Expect::Commit(id, _)
        | Expect::Contact(id, ..)
        | Expect::Config { node: id, .. } => runner.up(*id).map(drop),
        Expect::LogEqual(ids) | Expect::StateEqual(ids) => {
            ids.iter().try_for_each(|id| runner.up(*id).map(drop))
        }
        Expect::Next(id, peer, _) | Expect::Match(id, peer, _) => {
            progress(runner, *id, *peer).map(drop)
        }
        Expect::Refused(_) | Expect::Accepted if runner.last.is_none() => {
            Err(Cause::NoRequest(None))
        }
        Expect::Refused(_) | Expect::Accepted => Ok(()),
    }
}

fn name(id: Option<NodeId>) -> String {
    id.map_or("none".to_owned(), |id| id.to_string())
}

fn quoted_or_none(text: Option<&str>) -> String {
    text.map_or("none".to_owned(), |text| format!("\"{text}\""))
}

fn list(items: &[impl Display]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(" ")
    }
}

/// Checks that the node leads and that no other node leads a later term.
fn leads(runner: &Runner, id: NodeId) -> Result<(), Cause> {
    let node = node(runner, id)?;
    let newest = runner
        .cluster
        .leaders()
        .into_iter()
        .max_by_key(|leader| runner.cluster.node(*leader).term());
    if node.role() == RoleKind::Leader && newest == Some(id) {
        return Ok(());
    }
    Err(Cause::NotLeading {
        id,
        role: role_of(runner, node).name(),
        term: node.term(),
        newest: newest.map(|leader| (leader, runner.cluster.node(leader).term())),
    })
}

fn role_of(_runner: &Runner, node: &Node) -> RoleName {
    let standing = node
        .membership()
        .member(node.id())
        .map(|member| (member.standing, member.votes()));
    match (node.role(), standing) {
        (RoleKind::Leader, _) => RoleName::Leader,
        (RoleKind::Candidate, _) => RoleName::Candidate,
        (RoleKind::PreCandidate, _) => RoleName::PreCandidate,
        (RoleKind::Follower, Some((Some(Standing::Witness), _))) => RoleName::Witness,
        (RoleKind::Follower, Some((Some(Standing::Learner | Standing::Joining), false))) => {
            RoleName::Learner
        }
        (RoleKind::Follower, _) => RoleName::Follower,
    }
}

fn log(node: &Node) -> Vec<u64> {
    node.entries_from(Index(1))
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

fn states_equal(runner: &Runner, ids: &BTreeSet<NodeId>) -> Result<(), Cause> {
    let mut states = Vec::new();
    for id in ids {
        let host = runner.cluster.host(runner.up(*id)?);
        states.push((*id, host.applied().len(), host.state_hash()));
    }
    let Some((first, applied, hash)) = states.first() else {
        return Ok(());
    };
    match states
        .iter()
        .find(|(_, other, other_hash)| (other, other_hash) != (applied, hash))
    {
        None => Ok(()),
        Some((id, other, _)) if other == applied => Err(Cause::StatesDiffer {
            one: *first,
            other: *id,
            applied: *applied,
        }),
        Some((id, other, _)) => Err(Cause::AppliedDiffer {
            one: *first,
            entries: *applied,
            other: *id,
            other_entries: *other,
        }),
    }
}

/// Checks that logs have the same last entry and the same terms where both still have entries.
fn logs_equal(runner: &Runner, ids: &BTreeSet<NodeId>) -> Result<(), Cause> {
    let mut logs = Vec::new();
    for id in ids {
        let node = node(runner, *id)?;
        logs.push((
            *id,
            node.log_start().position.index.0,
            log(node),
            node.last(),
        ));
    }
    let Some((first, start, terms, last)) = logs.first() else {
        return Ok(());
    };
    for (id, other_start, other_terms, other_last) in &logs[1..] {
        // Entries that one of the two has compacted cannot be compared.
        let from = *start.max(other_start);
        let after = |start: u64, terms: &[u64]| {
            terms
                .iter()
                .skip((from - start) as usize)
                .copied()
                .collect::<Vec<_>>()
        };
        let one = after(*start, terms);
        let other = after(*other_start, other_terms);
        if last != other_last || one != other {
            return Err(Cause::LogsDiffer {
                one: *first,
                other: *id,
                from,
                logs: Box::new([(list(&one), *last), (list(&other), *other_last)]),
            });
        }
    }
    Ok(())
}

fn members(
    voters: &BTreeSet<NodeId>,
    outgoing: &BTreeSet<NodeId>,
    learners: &BTreeSet<NodeId>,
) -> String {
    let part = |word: &str, ids: &BTreeSet<NodeId>| {
        let ids: Vec<_> = ids.iter().copied().collect();
        if ids.is_empty() {
            String::new()
        } else {
            format!(" {word} {}", list(&ids))
        }
    };
    format!(
        "voters{}{}{}",
        part("", voters).trim_end(),
        part("outgoing", outgoing),
        part("learners", learners)
    )
}

fn configuration(membership: &Membership) -> String {
    members(
        &membership.voters().collect(),
        &membership.outgoing().collect(),
        &membership.learners().collect(),
    )
}

fn read(runner: &Runner, name: &str, wanted: &Answer) -> Result<(), Cause> {
    let Some((at, id)) = runner.reads.get(name) else {
        return Err(Cause::UnknownRead(name.to_owned()));
    };
    let seen = runner.cluster.host(*at).reads().get(id);
    let ok = match (wanted, seen) {
        (Answer::At(wanted), Some(Ok(index))) => wanted.holds(index.0),
        (Answer::Pending, None) => true,
        (Answer::Refused(why), Some(Err(refusal))) => contains(&refusal.to_string(), why.as_ref()),
        (Answer::At(_) | Answer::Pending | Answer::Refused(_), _) => false,
    };
    let seen = match seen {
        None => "pending".to_owned(),
        Some(Ok(index)) => index.0.to_string(),
        Some(Err(refusal)) => format!("refused ({refusal})"),
    };
    if ok {
        Ok(())
    } else {
        Err(differs(&format!("the read {name}"), wanted, seen))
    }
}

fn progress(runner: &Runner, leader: NodeId, peer: NodeId) -> Result<PeerStatus, Cause> {
    let status = node(runner, leader)?.status();
    if status.role != RoleKind::Leader {
        return Err(Cause::NotLeader { leader, peer });
    }
    let found = status.peers.into_iter().find(|status| status.id == peer);
    found.ok_or(Cause::NotMember { leader, peer })
}
