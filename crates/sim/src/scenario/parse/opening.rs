//! Parses the statements before the first step: the cluster, options and presets.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{Index, Term};

use crate::scenario::lexer::{Lexer, Wrong};
use crate::scenario::script::{Cluster, OnDisk, Preset, Setting};

/// Longest preset log, in entries: bounds the memory that a script can make the simulator use.
const MAX_LOG: usize = 100_000;

/// Largest value of a size option: more than fits into memory is meaningless.
const LARGEST: u64 = 1 << 40;

/// `cluster N [learners nX…] [witness nX…]`
pub(super) fn cluster(words: &mut Lexer<'_>) -> Result<Cluster, Wrong> {
    let voters = words.number("the number of voters", 1..=Cluster::MAX_VOTERS)?;
    let mut learners = BTreeSet::new();
    let mut witnesses = BTreeSet::new();
    while !words.at_end() {
        let clauses = [
            ("learners", true),
            ("learner", true),
            ("witnesses", false),
            ("witness", false),
        ];
        let learns = words.one_of("a clause of `cluster`", &clauses)?;
        let (nodes, word) = if learns {
            (&mut learners, "learners")
        } else {
            (&mut witnesses, "witness")
        };
        if !nodes.is_empty() {
            return Err(format!(
                "a second `{word}`: expected all nodes after the first"
            ));
        }
        *nodes = words.nodes()?;
    }
    if let Some(voter) = learners.iter().find(|learner| learner.0 <= voters) {
        let after = voters + 1;
        return Err(format!(
            "`{voter}` is one of the {voters} voters: expected learners from `n{after}` on"
        ));
    }
    if let Some(stranger) = witnesses.iter().find(|witness| witness.0 > voters) {
        return Err(format!(
            "`{stranger}` is not a voter: expected a witness to be one of `n1` to `n{voters}`"
        ));
    }
    Ok(Cluster {
        line: 0,
        voters,
        learners,
        witnesses,
    })
}

/// Type of an option's value, and the setting made from it.
#[derive(Clone, Copy)]
enum Value {
    Switch(fn(bool) -> Setting),
    Number(u64, fn(u64) -> Setting),
    Election,
    Heartbeat,
    Adaptive,
    Duration(fn(Duration) -> Setting),
    Priority,
    Seed,
}

const OPTIONS: &[(&str, Value)] = &[
    ("prevote", Value::Switch(Setting::PreVote)),
    ("checkquorum", Value::Switch(Setting::CheckQuorum)),
    ("lease", Value::Switch(Setting::Lease)),
    ("adaptive", Value::Adaptive),
    (
        "max-append-entries",
        Value::Number(1, Setting::MaxAppendEntries),
    ),
    ("inflight", Value::Number(1, Setting::Inflight)),
    ("inflight-bytes", Value::Number(1, Setting::InflightBytes)),
    ("max-uncommitted", Value::Number(1, Setting::MaxUncommitted)),
    ("apply-window", Value::Number(1, Setting::ApplyWindow)),
    ("hash-every", Value::Number(1, Setting::HashEvery)),
    ("snapshot-keep", Value::Number(0, Setting::SnapshotKeep)),
    (
        "snapshot-entries",
        Value::Number(1, Setting::SnapshotEntries),
    ),
    ("snapshot-bytes", Value::Number(1, Setting::SnapshotBytes)),
    ("max-log-bytes", Value::Number(1, Setting::MaxLogBytes)),
    ("snapshot-chunk", Value::Number(1, Setting::SnapshotChunk)),
    (
        "snapshot-inflight",
        Value::Number(1, Setting::SnapshotInflight),
    ),
    (
        "max-snapshot-bytes",
        Value::Number(0, Setting::MaxSnapshotBytes),
    ),
    ("disk-timeout", Value::Duration(Setting::DiskTimeout)),
    ("promote-after", Value::Duration(Setting::PromoteAfter)),
    (
        "replace-incarnations",
        Value::Switch(Setting::ReplaceIncarnations),
    ),
    ("founders-agree", Value::Switch(Setting::FoundersAgree)),
    ("election", Value::Election),
    ("heartbeat", Value::Heartbeat),
    ("priority", Value::Priority),
    ("seed", Value::Seed),
];

/// `option NAME VALUE`
pub(super) fn option(words: &mut Lexer<'_>) -> Result<Setting, Wrong> {
    Ok(match words.one_of("an option", OPTIONS)? {
        Value::Switch(make) => make(words.one_of("a switch", &[("on", true), ("off", false)])?),
        Value::Number(least, make) => {
            make(words.number("a value of this option", least..=LARGEST)?)
        }
        Value::Election => {
            let (shortest, longest) = words.range()?;
            Setting::Election { shortest, longest }
        }
        Value::Adaptive if words.at("on") || words.at("off") => {
            Setting::Adaptive(words.one_of("a switch", &[("on", true), ("off", false)])?)
        }
        Value::Adaptive => {
            let (floor, ceiling) = words.range()?;
            Setting::AdaptiveWithin { floor, ceiling }
        }
        Value::Duration(make) => make(words.duration()?),
        Value::Heartbeat => Setting::Heartbeat(words.duration()?),
        Value::Priority => Setting::Priority {
            node: words.node()?,
            priority: words.number("a priority", 0..=u64::MAX)?,
        },
        Value::Seed => Setting::Seed(words.number("a seed", 0..=u64::MAX)?),
    })
}

/// `log nX|* TERM…`
pub(super) fn log(words: &mut Lexer<'_>) -> Result<Preset, Wrong> {
    let node = words.node_or_all()?;
    let terms = terms(words, 1)?;
    if let Some(fall) = terms.windows(2).find(|pair| pair[1] < pair[0]) {
        return Err(format!(
            "term {} follows term {}: expected terms that never decrease",
            fall[1].0, fall[0].0
        ));
    }
    Ok(Preset {
        node,
        what: OnDisk::Log(terms),
    })
}

/// `term nX|* N`
pub(super) fn term(words: &mut Lexer<'_>) -> Result<Preset, Wrong> {
    let node = words.node_or_all()?;
    let term = a_term(words, 0)?;
    Ok(Preset {
        node,
        what: OnDisk::Term(term),
    })
}

/// `vote nX|* nY|none`
pub(super) fn vote(words: &mut Lexer<'_>) -> Result<Preset, Wrong> {
    let node = words.node_or_all()?;
    let vote = words.node_or_none()?;
    Ok(Preset {
        node,
        what: OnDisk::Vote(vote),
    })
}

/// `entry nX|* TERM "…"`
pub(super) fn entry(words: &mut Lexer<'_>) -> Result<Preset, Wrong> {
    let node = words.node_or_all()?;
    let term = a_term(words, 1)?;
    Ok(Preset {
        node,
        what: OnDisk::Entry(term, words.command()?),
    })
}

/// `commit nX|* N`
pub(super) fn commit(words: &mut Lexer<'_>) -> Result<Preset, Wrong> {
    let node = words.node_or_all()?;
    let index = words.number("an index", 0..=u64::MAX)?;
    Ok(Preset {
        node,
        what: OnDisk::Commit(Index(index)),
    })
}

/// Reads terms up to the end of the line, each at least `least`.
pub(super) fn terms(words: &mut Lexer<'_>, least: u64) -> Result<Vec<Term>, Wrong> {
    let mut terms = Vec::new();
    while !words.at_end() {
        terms.push(a_term(words, least)?);
        if terms.len() > MAX_LOG {
            return Err(format!(
                "the log is too long: expected at most {MAX_LOG} entries"
            ));
        }
    }
    Ok(terms)
}

/// Reads one term. `u64::MAX` is excluded: a node could not move on to the next term.
pub(super) fn a_term(words: &mut Lexer<'_>, least: u64) -> Result<Term, Wrong> {
    words.number("a term", least..=u64::MAX - 1).map(Term)
}
