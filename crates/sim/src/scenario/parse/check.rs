//! Checks across lines: nodes and names must exist, settings and presets must be consistent.

use std::collections::BTreeSet;

use raftian_raft::NodeId;

use crate::scenario::lexer::Wrong;
use crate::scenario::script::{Expect, Numbered, OnDisk, Preset, Script, Step};

/// Line of an error, and the error.
type WrongAt = (usize, Wrong);

/// Checks a whole script. `named` is every node with the line that names it.
pub(super) fn check(script: &Script, named: &[Numbered<NodeId>]) -> Result<(), WrongAt> {
    check_nodes(script, named)?;
    check_presets(script)?;
    check_timing(script)?;
    check_names(&script.steps)
}

fn check_nodes(script: &Script, named: &[Numbered<NodeId>]) -> Result<(), WrongAt> {
    let machines = script.machines();
    match named.iter().find(|node| !machines.contains(&node.what)) {
        None => Ok(()),
        Some(Numbered { line, what }) => {
            let known: Vec<_> = machines.iter().map(ToString::to_string).collect();
            let expected = format!(
                "expected one of: {} (or a `member` step that adds it)",
                known.join(" ")
            );
            Err((*line, format!("`{what}` is not in the cluster: {expected}")))
        }
    }
}

fn check_presets(script: &Script) -> Result<(), WrongAt> {
    for preset in &script.presets {
        if let Some(joiner) = preset
            .what
            .node
            .filter(|node| script.joiners.contains(node))
        {
            return Err((
                preset.line,
                format!("`{joiner}` starts with an empty disk: expected a node of the cluster"),
            ));
        }
    }
    for id in script.cluster.members() {
        let beginning = script.beginning(id);
        if let Some(fall) = beginning.log.windows(2).find(|pair| pair[1] < pair[0]) {
            // A `log` line is checked when it is parsed, so only an `entry` can break the order.
            let adds = |preset: &&Numbered<Preset>| matches!(preset.what.what, OnDisk::Entry(..));
            let line = script
                .presets
                .iter()
                .rfind(adds)
                .map_or(script.cluster.line, |preset| preset.line);
            let before = fall[0].0;
            let after = fall[1].0;
            return Err((
                line,
                format!("term {after} follows term {before}: expected terms that never decrease"),
            ));
        }
        if beginning.commit.0 > beginning.log.len() as u64 {
            let sets = |preset: &&Numbered<_>| is_commit_of(&preset.what, id);
            let line = script
                .presets
                .iter()
                .rfind(sets)
                .map_or(script.cluster.line, |preset| preset.line);
            let commit = beginning.commit.0;
            let last = beginning.log.len();
            return Err((
                line,
                format!(
                    "`{id}` cannot have {commit} committed entries: \
                     expected at most the {last} of its log"
                ),
            ));
        }
    }
    Ok(())
}

fn is_commit_of(preset: &Preset, id: NodeId) -> bool {
    matches!(preset.what, OnDisk::Commit(_)) && preset.node.is_none_or(|node| node == id)
}

/// Checks the core's rule for timeouts here, so that the error names a line.
fn check_timing(script: &Script) -> Result<(), WrongAt> {
    let ((shortest, longest), heartbeat) = script.timing();
    if !heartbeat.is_zero() && heartbeat < shortest {
        return Ok(());
    }
    let timing = script
        .options
        .iter()
        .rfind(|option| option.what.is_timing());
    let line = timing.map_or(script.cluster.line, |option| option.line);
    let found = format!(
        "heartbeats every {heartbeat:?} with election timeouts of {shortest:?} to {longest:?} \
         cannot work"
    );
    Err((
        line,
        format!("{found}: expected 0 < heartbeat < the shortest election timeout"),
    ))
}

/// Checks that names are defined before they are used.
fn check_names(steps: &[Numbered<Step>]) -> Result<(), WrongAt> {
    let mut kept = BTreeSet::new();
    let mut reads = BTreeSet::new();
    let mut copies = BTreeSet::new();
    for step in steps {
        let (name, given, giver) = match &step.what {
            Step::Dup {
                later: Some(name), ..
            } => {
                kept.insert(name);
                continue;
            }
            Step::Read { name, .. } => {
                reads.insert(name);
                continue;
            }
            Step::CopyDisk { name, .. } => {
                copies.insert(name);
                continue;
            }
            Step::PutBack { name, .. } => (name, &copies, "copy-disk nX as NAME"),
            Step::Replay(name) => (name, &kept, "dup … later NAME"),
            Step::Expect(expect) | Step::Until { expect, .. } => match read_of(expect) {
                Some(name) => (name, &reads, "read nX as NAME"),
                None => continue,
            },
            _ => continue,
        };
        if !given.contains(name) {
            let known = given
                .iter()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            let known = if known.is_empty() {
                "no name is defined yet".to_string()
            } else {
                format!("defined so far: {known}")
            };
            return Err((
                step.line,
                format!("unknown name `{name}`: expected a name of an earlier `{giver}`; {known}"),
            ));
        }
    }
    Ok(())
}

/// Returns the name of the read that an expectation refers to.
fn read_of(expect: &Expect) -> Option<&String> {
    match expect {
        Expect::Read(name, _) => Some(name),
        Expect::Not(expect) => read_of(expect),
        _ => None,
    }
}
