//! What no single line shows: whether nodes and names exist, and whether settings and presets fit
//! together.

use std::collections::BTreeSet;

use raftian_raft::NodeId;

use crate::scenario::lexer::Wrong;
use crate::scenario::script::{Expect, Numbered, OnDisk, Preset, Script, Step};

/// Where something was wrong, and what.
type WrongAt = (usize, Wrong);

/// Everything that takes the whole script to see. `named` is every node with the line that names
/// it.
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
                "expected one of: {} (or some `member` step that lets it in)",
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
                format!("`{joiner}` begins with an empty disk: expected a node of the cluster"),
            ));
        }
    }
    for id in script.cluster.members() {
        let beginning = script.beginning(id);
        if let Some(fall) = beginning.log.windows(2).find(|pair| pair[1] < pair[0]) {
            let adds = |preset: &&Numbered<Preset>| matches!(preset.what.what, OnDisk::Entry(..));
            let line = script
                .presets
                .iter()
                .rfind(adds)
                .map_or(script.cluster.line, |preset| preset.line);
            let (before, after) = (fall[0].0, fall[1].0);
            return Err((
                line,
                format!("term {after} stands behind term {before}: expected terms that never fall"),
            ));
        }
        if beginning.commit.0 > beginning.log.len() as u64 {
            let sets = |preset: &&Numbered<_>| is_commit_of(&preset.what, id);
            let line = script
                .presets
                .iter()
                .rfind(sets)
                .map_or(script.cluster.line, |preset| preset.line);
            let (commit, last) = (beginning.commit.0, beginning.log.len());
            return Err((
                line,
                format!(
                    "`{id}` cannot know {commit} entries to be committed: it has {last}, expected no more"
                ),
            ));
        }
    }
    Ok(())
}

fn is_commit_of(preset: &Preset, id: NodeId) -> bool {
    matches!(preset.what, OnDisk::Commit(_)) && preset.node.is_none_or(|node| node == id)
}

/// The rule of the core, told with a line instead of by a node that does not start.
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
        "heartbeats every {heartbeat:?} with election timeouts of {shortest:?} to {longest:?} cannot work"
    );
    Err((
        line,
        format!("{found}: expected 0 < heartbeat < the shortest election timeout"),
    ))
}

/// Names must be given before they are used.
fn check_names(steps: &[Numbered<Step>]) -> Result<(), WrongAt> {
    let (mut kept, mut reads, mut copies) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
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
                "there is none yet".to_string()
            } else {
                format!("so far: {known}")
            };
            return Err((
                step.line,
                format!(
                    "nothing is called `{name}`: expected a name of an earlier `{giver}`; {known}"
                ),
            ));
        }
    }
    Ok(())
}

/// The read that an expectation is about.
fn read_of(expect: &Expect) -> Option<&String> {
    match expect {
        Expect::Read(name, _) => Some(name),
        Expect::Not(expect) => read_of(expect),
        _ => None,
    }
}
