//! Parses steps with more than one argument.

use std::collections::BTreeSet;

use raftian_raft::Index;

use super::expect::{expect, kind};
use crate::scenario::lexer::{Lexer, Wrong};
use crate::scenario::script::{Change, Select, Step};

/// `deliver [A->B [kind] [N]]`
pub(super) fn deliver(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    Ok(if words.at_end() {
        Step::DeliverAll
    } else {
        Step::Deliver(select(words)?)
    })
}

/// `drop [A->B [kind] [N]]`
pub(super) fn drop(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    Ok(Step::Drop(if words.at_end() {
        Select::default()
    } else {
        select(words)?
    }))
}

/// `dup [A->B [kind] [N]] [later NAME]`
pub(super) fn dup(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let select = if words.at_end() || words.at("later") {
        Select::default()
    } else {
        select(words)?
    };
    let later = if words.take("later") {
        Some(words.name()?)
    } else {
        None
    };
    Ok(Step::Dup { select, later })
}

/// `partition nX… | nY…`
pub(super) fn partition(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let only = words.take("only");
    let mut groups = vec![words.nodes()?];
    while words.take("|") {
        let group = words.nodes()?;
        if let Some(node) = groups.iter().flatten().find(|node| group.contains(node)) {
            return Err(format!(
                "`{node}` is in two groups: expected each node in one"
            ));
        }
        groups.push(group);
    }
    Ok(Step::Partition { groups, only })
}

/// `propose nX [as cY#Z] "…"`
pub(super) fn propose(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let node = words.node()?;
    let name = if words.take("as") {
        Some(words.client()?)
    } else {
        None
    };
    Ok(Step::Propose {
        node,
        name,
        command: words.command()?,
    })
}

/// `read nX as NAME`, `lease-read nX as NAME`
pub(super) fn read(words: &mut Lexer<'_>, lease: bool) -> Result<Step, Wrong> {
    let node = words.node()?;
    words.one_of("the word before the read's name", &[("as", ())])?;
    Ok(Step::Read {
        node,
        name: words.name()?,
        lease,
    })
}

/// `transfer nX [nY]`
pub(super) fn transfer(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let from = words.node()?;
    let to = if words.at_end() {
        None
    } else {
        Some(words.node()?)
    };
    Ok(Step::Transfer { from, to })
}

/// First word of a membership change.
#[derive(Clone, Copy)]
enum Verb {
    Add,
    Join,
    Learner,
    Witness,
    Remove,
    Voters,
    Contact,
}

const VERBS: &[(&str, Verb)] = &[
    ("add", Verb::Add),
    ("join", Verb::Join),
    ("learner", Verb::Learner),
    ("witness", Verb::Witness),
    ("remove", Verb::Remove),
    ("voters", Verb::Voters),
    ("contact", Verb::Contact),
];

/// `member nX add|join|learner|witness|remove nY`, `member nX voters nY… [learners nZ…]`,
/// `member nX contact nY "…"`
pub(super) fn member(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let node = words.node()?;
    let change = match words.one_of("a change of the membership", VERBS)? {
        Verb::Add => Change::Add(words.node()?),
        Verb::Join => Change::Join(words.node()?),
        Verb::Learner => Change::Learner(words.node()?),
        Verb::Witness => Change::Witness(words.node()?),
        Verb::Remove => Change::Remove(words.node()?),
        Verb::Contact => Change::Contact(words.node()?, words.command()?),
        Verb::Voters => {
            let voters = words.nodes()?;
            let learners = if words.take("learners") {
                words.nodes()?
            } else {
                BTreeSet::new()
            };
            if let Some(both) = voters.intersection(&learners).next() {
                return Err(format!(
                    "`{both}` cannot be voter and learner: expected it in one list only"
                ));
            }
            Change::Voters { voters, learners }
        }
    };
    Ok(Step::Member { node, change })
}

/// `copy-disk nX as NAME`
pub(super) fn copy_disk(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let node = words.node()?;
    words.one_of("the word before the copy's name", &[("as", ())])?;
    Ok(Step::CopyDisk {
        node,
        name: words.name()?,
    })
}

/// `until EXPECTATION within D`
pub(super) fn until(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let within = words.within()?;
    Ok(Step::Until {
        expect: expect(words)?,
        within,
    })
}

/// `compact nX N`
pub(super) fn compact(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    Ok(Step::Compact {
        node: words.node()?,
        up_to: Index(words.number("an index", 1..=u64::MAX)?),
    })
}

/// `release-disk nX [COUNT]`
pub(super) fn release_disk(words: &mut Lexer<'_>) -> Result<Step, Wrong> {
    let node = words.node()?;
    let count = if words.at_end() {
        None
    } else {
        Some(words.number("a count of writes", 1..=u64::MAX)?)
    };
    Ok(Step::ReleaseDisk { node, count })
}

/// `A->B [kind] [N]`
fn select(words: &mut Lexer<'_>) -> Result<Select, Wrong> {
    let link = words.link()?;
    let done = words.at_end() || words.at_number() || words.at("later");
    let kind = if done { None } else { Some(kind(words)?) };
    let most = if words.at_number() {
        Some(words.number("a count of messages", 1..=u64::MAX)?)
    } else {
        None
    };
    Ok(Select { link, kind, most })
}
