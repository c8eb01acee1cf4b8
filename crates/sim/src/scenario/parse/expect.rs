//! Parses `expect` and its expectations.

use std::collections::BTreeSet;

use raftian_raft::NodeId;

use super::opening::terms;
use crate::scenario::lexer::{Lexer, Wrong};
use crate::scenario::script::{Answer, Expect, KindName, RoleName, Wanted};

type Reader = fn(&mut Lexer<'_>) -> Result<Expect, Wrong>;

/// Every expectation by its first word.
const EXPECTATIONS: &[(&str, Reader)] = &[
    ("leader", |words| {
        Ok(if words.at_end() {
            Expect::AnyLeader
        } else {
            Expect::Leader(words.node()?)
        })
    }),
    ("no-leader", |_| Ok(Expect::NoLeader)),
    ("leader-of", |words| {
        Ok(Expect::LeaderOf(words.node()?, words.node_or_none()?))
    }),
    ("role", |words| {
        Ok(Expect::Role(words.node()?, role(words)?))
    }),
    ("term", |words| {
        Ok(Expect::Term(words.node()?, wanted_of(words, "a term")?))
    }),
    ("vote", |words| {
        Ok(Expect::Vote(words.node()?, words.node_or_none()?))
    }),
    ("log", |words| {
        Ok(Expect::Log(words.node()?, terms(words, 1)?))
    }),
    ("last", |words| {
        Ok(Expect::Last(words.node()?, wanted(words)?))
    }),
    ("first", |words| {
        Ok(Expect::First(words.node()?, wanted(words)?))
    }),
    ("log-equal", |words| {
        some_nodes(words, "log").map(Expect::LogEqual)
    }),
    ("state-equal", |words| {
        some_nodes(words, "state").map(Expect::StateEqual)
    }),
    ("commit", |words| {
        Ok(Expect::Commit(words.node()?, wanted(words)?))
    }),
    ("applied", applied),
    ("config", config),
    ("contact", |words| {
        Ok(Expect::Contact(
            words.node()?,
            words.node()?,
            contact(words)?,
        ))
    }),
    ("read", |words| {
        Ok(Expect::Read(words.name()?, answer(words)?))
    }),
    ("next", |words| {
        Ok(Expect::Next(words.node()?, words.node()?, wanted(words)?))
    }),
    ("match", |words| {
        Ok(Expect::Match(words.node()?, words.node()?, wanted(words)?))
    }),
    ("refused", |words| Ok(Expect::Refused(words.quoted()))),
    ("accepted", |_| Ok(Expect::Accepted)),
    ("queued", queued),
    ("alive", |words| Ok(Expect::Alive(words.node()?))),
];

/// `expect [not] …`
pub(super) fn expect(words: &mut Lexer<'_>) -> Result<Expect, Wrong> {
    let negated = words.take("not");
    let read = words.one_of("an expectation", EXPECTATIONS)?;
    let expect = read(words)?;
    Ok(if negated {
        Expect::Not(Box::new(expect))
    } else {
        expect
    })
}

fn role(words: &mut Lexer<'_>) -> Result<RoleName, Wrong> {
    words.one_of("a role", &RoleName::ALL.map(|role| (role.name(), role)))
}

/// `N`, `>= N`, `<= N`
fn wanted(words: &mut Lexer<'_>) -> Result<Wanted, Wrong> {
    wanted_of(words, "an index")
}

fn wanted_of(words: &mut Lexer<'_>, what: &str) -> Result<Wanted, Wrong> {
    let least = words.take(">=");
    let most = words.take("<=");
    let number = words.number(what, 0..=u64::MAX)?;
    Ok(match (least, most) {
        (true, _) => Wanted::AtLeast(number),
        (false, true) => Wanted::AtMost(number),
        (false, false) => Wanted::Exactly(number),
    })
}

/// Returns whether the next word is a number or a bound.
fn at_wanted(words: &Lexer<'_>) -> bool {
    words.at_number() || words.at(">=") || words.at("<=")
}

/// `N`, `>= N`, `<= N`, `pending`, `refused ["…"]`
fn answer(words: &mut Lexer<'_>) -> Result<Answer, Wrong> {
    if at_wanted(words) {
        return wanted(words).map(Answer::At);
    }
    let pending = words.one_of(
        "an answer, a number, `>=` and a number",
        &[("pending", true), ("refused", false)],
    )?;
    Ok(if pending {
        Answer::Pending
    } else {
        Answer::Refused(words.quoted())
    })
}

fn some_nodes(words: &mut Lexer<'_>, what: &str) -> Result<BTreeSet<NodeId>, Wrong> {
    let nodes = words.nodes()?;
    if nodes.len() < 2 {
        return Err(format!(
            "one {what} is always equal to itself: expected two nodes or more"
        ));
    }
    Ok(nodes)
}

fn applied(words: &mut Lexer<'_>) -> Result<Expect, Wrong> {
    let node = words.node()?;
    let mut commands = Vec::new();
    while !words.at_end() {
        commands.push(words.command()?);
    }
    Ok(Expect::Applied(node, commands))
}

/// `config nX voters … [outgoing …] [learners …]`, the last two in any order
fn config(words: &mut Lexer<'_>) -> Result<Expect, Wrong> {
    let node = words.node()?;
    words.one_of("the word before the voters", &[("voters", ())])?;
    let voters = words.nodes()?;
    let mut outgoing = BTreeSet::new();
    let mut learners = BTreeSet::new();
    while !words.at_end() {
        let clauses = [("outgoing", true), ("learners", false)];
        let nodes = if words.one_of("a clause of `config`", &clauses)? {
            &mut outgoing
        } else {
            &mut learners
        };
        if !nodes.is_empty() {
            return Err("a clause is repeated: expected all its nodes after the first".into());
        }
        *nodes = words.nodes()?;
    }
    Ok(Expect::Config {
        node,
        voters,
        outgoing,
        learners,
    })
}

/// `"…"`, `none`
fn contact(words: &mut Lexer<'_>) -> Result<Option<String>, Wrong> {
    if words.take("none") {
        Ok(None)
    } else {
        words.command().map(Some)
    }
}

/// `queued A->B [kind] [>=|<=] N`
fn queued(words: &mut Lexer<'_>) -> Result<Expect, Wrong> {
    let link = words.link()?;
    let kind = if at_wanted(words) {
        None
    } else {
        Some(kind(words)?)
    };
    Ok(Expect::Queued {
        link,
        kind,
        count: wanted_of(words, "a count of messages")?,
    })
}

/// Reads a kind of message.
pub(super) fn kind(words: &mut Lexer<'_>) -> Result<KindName, Wrong> {
    words.one_of(
        "a kind of message",
        &KindName::ALL.map(|kind| (kind.name(), kind)),
    )
}
