//! `expect` and what may stand behind it.

use std::collections::BTreeSet;

use raftian_raft::{Index, NodeId};

use super::opening::{a_term, terms};
use super::step::kind;
use crate::scenario::script::{Answer, Expect, RoleName, Wanted};
use crate::scenario::words::{Words, Wrong};

type Reader = fn(&mut Words<'_>) -> Result<Expect, Wrong>;

/// Every expectation by its first word.
const EXPECTATIONS: &[(&str, Reader)] = &[
    ("leader", |words| Ok(Expect::Leader(words.node()?))),
    ("no-leader", |_| Ok(Expect::NoLeader)),
    ("leader-of", |words| Ok(Expect::LeaderOf(words.node()?, words.node_or_none()?))),
    ("role", |words| Ok(Expect::Role(words.node()?, role(words)?))),
    ("term", |words| Ok(Expect::Term(words.node()?, a_term(words, 0)?))),
    ("vote", |words| Ok(Expect::Vote(words.node()?, words.node_or_none()?))),
    ("log", |words| Ok(Expect::Log(words.node()?, terms(words, 1)?))),
    ("last", |words| Ok(Expect::Last(words.node()?, index(words)?))),
    ("first", |words| Ok(Expect::First(words.node()?, index(words)?))),
    ("log-equal", |words| some_nodes(words, "log").map(Expect::LogEqual)),
    ("state-equal", |words| some_nodes(words, "state").map(Expect::StateEqual)),
    ("commit", |words| Ok(Expect::Commit(words.node()?, wanted(words)?))),
    ("applied", applied),
    ("config", config),
    ("read", |words| Ok(Expect::Read(words.name()?, answer(words)?))),
    ("next", |words| Ok(Expect::Next(words.node()?, words.node()?, index(words)?))),
    ("match", |words| Ok(Expect::Match(words.node()?, words.node()?, index(words)?))),
    ("refused", |_| Ok(Expect::Refused)),
    ("accepted", |_| Ok(Expect::Accepted)),
    ("queued", queued),
    ("alive", |words| Ok(Expect::Alive(words.node()?))),
];

/// `expect …`
pub(super) fn expect(words: &mut Words<'_>) -> Result<Expect, Wrong> {
    let read = words.one_of("an expectation", EXPECTATIONS)?;
    read(words)
}

fn role(words: &mut Words<'_>) -> Result<RoleName, Wrong> {
    words.one_of("a role", &RoleName::ALL.map(|role| (role.name(), role)))
}

fn index(words: &mut Words<'_>) -> Result<Index, Wrong> {
    words.number("an index", 0..=u64::MAX).map(Index)
}

/// `N`, `>= N`
fn wanted(words: &mut Words<'_>) -> Result<Wanted, Wrong> {
    let least = words.take(">=");
    let index = index(words)?.0;
    Ok(if least { Wanted::AtLeast(index) } else { Wanted::Exactly(index) })
}

/// `N`, `>= N`, `pending`, `refused`
fn answer(words: &mut Words<'_>) -> Result<Answer, Wrong> {
    if words.at_number() || words.at(">=") {
        return wanted(words).map(Answer::At);
    }
    words
        .one_of("an answer, a number, `>=` and a number", &[("pending", Answer::Pending), ("refused", Answer::Refused)])
}

fn some_nodes(words: &mut Words<'_>, what: &str) -> Result<BTreeSet<NodeId>, Wrong> {
    let nodes = words.nodes()?;
    if nodes.len() < 2 {
        return Err(format!("one {what} is always equal to itself: expected two nodes or more"));
    }
    Ok(nodes)
}

fn applied(words: &mut Words<'_>) -> Result<Expect, Wrong> {
    let node = words.node()?;
    let mut commands = Vec::new();
    while !words.at_end() {
        commands.push(words.command()?);
    }
    Ok(Expect::Applied(node, commands))
}

/// `config nX voters … [outgoing …] [learners …]`, the last two in any order
fn config(words: &mut Words<'_>) -> Result<Expect, Wrong> {
    let node = words.node()?;
    words.one_of("the word before the voters", &[("voters", ())])?;
    let voters = words.nodes()?;
    let (mut outgoing, mut learners) = (BTreeSet::new(), BTreeSet::new());
    while !words.at_end() {
        let clauses = [("outgoing", true), ("learners", false)];
        let nodes = if words.one_of("a clause of `config`", &clauses)? { &mut outgoing } else { &mut learners };
        if !nodes.is_empty() {
            return Err("a clause stands here twice: expected all nodes behind the first".into());
        }
        *nodes = words.nodes()?;
    }
    Ok(Expect::Config { node, voters, outgoing, learners })
}

/// `queued A->B [kind] N`
fn queued(words: &mut Words<'_>) -> Result<Expect, Wrong> {
    let link = words.link()?;
    let kind = if words.at_number() { None } else { Some(kind(words)?) };
    Ok(Expect::Queued { link, kind, count: words.number("a count of messages", 0..=u64::MAX)? })
}
