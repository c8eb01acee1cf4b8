//! Parses text into a script: the statements and their order.

mod check;
mod expect;
mod opening;
mod step;

use std::collections::BTreeSet;

use raftian_raft::NodeId;

use super::ScriptError;
use super::lexer::{Lexer, Wrong};
use super::script::{Change, Cluster, Numbered, Preset, Script, Setting, Step};

/// A statement of any kind.
enum Statement {
    Cluster(Cluster),
    Option(Setting),
    Preset(Preset),
    Step(Step),
}

/// Parses the rest of a statement's line.
type Reader = fn(&mut Lexer<'_>) -> Result<Statement, Wrong>;

/// Every statement by its first word.
const STATEMENTS: &[(&str, Reader)] = &[
    ("cluster", |words| {
        opening::cluster(words).map(Statement::Cluster)
    }),
    ("option", |words| {
        opening::option(words).map(Statement::Option)
    }),
    ("log", |words| opening::log(words).map(Statement::Preset)),
    ("term", |words| opening::term(words).map(Statement::Preset)),
    ("vote", |words| opening::vote(words).map(Statement::Preset)),
    ("entry", |words| {
        opening::entry(words).map(Statement::Preset)
    }),
    ("commit", |words| {
        opening::commit(words).map(Statement::Preset)
    }),
    ("campaign", |words| {
        words.node().map(Step::Campaign).map(Statement::Step)
    }),
    ("tick", |words| {
        words.node().map(Step::Tick).map(Statement::Step)
    }),
    ("advance", |words| {
        words.duration().map(Step::Advance).map(Statement::Step)
    }),
    ("deliver", |words| step::deliver(words).map(Statement::Step)),
    ("drop", |words| step::drop(words).map(Statement::Step)),
    ("dup", |words| step::dup(words).map(Statement::Step)),
    ("replay", |words| {
        words.name().map(Step::Replay).map(Statement::Step)
    }),
    ("partition", |words| {
        step::partition(words).map(Statement::Step)
    }),
    ("cut", |words| {
        words.link().map(Step::Cut).map(Statement::Step)
    }),
    ("isolate", |words| {
        words.node().map(Step::Isolate).map(Statement::Step)
    }),
    ("delay", |words| {
        Ok(Statement::Step(Step::Delay {
            link: words.link()?,
            by: words.duration()?,
        }))
    }),
    ("clock", |words| {
        Ok(Statement::Step(Step::Clock {
            node: words.node()?,
            percent: words.percent()?,
        }))
    }),
    ("pause", |words| {
        words.node().map(Step::Pause).map(Statement::Step)
    }),
    ("resume", |words| {
        words.node().map(Step::Resume).map(Statement::Step)
    }),
    ("heal", |_| Ok(Statement::Step(Step::Heal))),
    ("propose", |words| step::propose(words).map(Statement::Step)),
    ("read", |words| {
        step::read(words, false).map(Statement::Step)
    }),
    ("lease-read", |words| {
        step::read(words, true).map(Statement::Step)
    }),
    ("transfer", |words| {
        step::transfer(words).map(Statement::Step)
    }),
    ("member", |words| step::member(words).map(Statement::Step)),
    ("compact", |words| step::compact(words).map(Statement::Step)),
    ("crash", |words| {
        words.node().map(Step::Crash).map(Statement::Step)
    }),
    ("restart", |words| {
        words.node().map(Step::Restart).map(Statement::Step)
    }),
    ("astray", |words| {
        words.node().map(Step::Astray).map(Statement::Step)
    }),
    ("wipe", |words| {
        words.node().map(Step::Wipe).map(Statement::Step)
    }),
    ("hold-disk", |words| {
        words.node().map(Step::HoldDisk).map(Statement::Step)
    }),
    ("release-disk", |words| {
        step::release_disk(words).map(Statement::Step)
    }),
    ("fail-disk", |words| {
        words.node().map(Step::FailDisk).map(Statement::Step)
    }),
    ("fill-disk", |words| {
        words.node().map(Step::FillDisk).map(Statement::Step)
    }),
    ("free-disk", |words| {
        words.node().map(Step::FreeDisk).map(Statement::Step)
    }),
    ("tear", |words| {
        words.node().map(Step::Tear).map(Statement::Step)
    }),
    ("copy-disk", |words| {
        step::copy_disk(words).map(Statement::Step)
    }),
    ("put-back", |words| {
        Ok(Statement::Step(Step::PutBack {
            node: words.node()?,
            name: words.name()?,
        }))
    }),
    ("stabilize", |_| Ok(Statement::Step(Step::Stabilize))),
    ("run", |words| {
        words.duration().map(Step::Run).map(Statement::Step)
    }),
    ("settle", |words| {
        words.duration().map(Step::Settle).map(Statement::Step)
    }),
    ("until", |words| step::until(words).map(Statement::Step)),
    ("expect", |words| {
        expect::expect(words).map(Step::Expect).map(Statement::Step)
    }),
];

/// Statements read so far.
#[derive(Default)]
struct Draft {
    cluster: Option<Cluster>,
    options: Vec<Numbered<Setting>>,
    presets: Vec<Numbered<Preset>>,
    steps: Vec<Numbered<Step>>,
    /// Every node with the line that names it.
    named: Vec<Numbered<NodeId>>,
}

impl Script {
    /// Parses a transcript. `file` is used in error messages only.
    ///
    /// # Errors
    /// Reports the first line that is not a statement or contradicts another.
    pub fn parse(file: &str, text: &str) -> Result<Script, ScriptError> {
        let error = |line, what| ScriptError {
            file: file.to_string(),
            line,
            what,
        };
        let mut draft = Draft::default();
        // Some editors write a byte order mark.
        for (line, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            draft.read(line, text).map_err(|what| error(line, what))?;
        }
        draft.finish().map_err(|(line, what)| error(line, what))
    }
}

impl Draft {
    fn read(&mut self, line: usize, text: &str) -> Result<(), Wrong> {
        let mut words = Lexer::of(text)?;
        if words.at_end() {
            return Ok(());
        }
        let read = words.one_of("a statement", STATEMENTS)?;
        let statement = read(&mut words)?;
        words.end()?;
        self.named.extend(
            words
                .into_named()
                .into_iter()
                .map(|what| Numbered { line, what }),
        );
        self.take(line, statement)
    }

    fn take(&mut self, line: usize, statement: Statement) -> Result<(), Wrong> {
        let begun = self.steps.first().map(|step| step.line);
        match (statement, begun) {
            (Statement::Step(what), _) => self.steps.push(Numbered { line, what }),
            (Statement::Cluster(_) | Statement::Option(_) | Statement::Preset(_), Some(first)) => {
                return Err(format!(
                    "the first step was on line {first}: \
                     expected cluster, options and presets before it"
                ));
            }
            (Statement::Option(what), None) => self.options.push(Numbered { line, what }),
            (Statement::Preset(what), None) => self.presets.push(Numbered { line, what }),
            (Statement::Cluster(cluster), None) => {
                if let Some(first) = &self.cluster {
                    return Err(format!(
                        "a second `cluster` line: expected only the one on line {}",
                        first.line
                    ));
                }
                self.cluster = Some(Cluster { line, ..cluster });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Script, (usize, Wrong)> {
        let Draft {
            cluster,
            options,
            presets,
            steps,
            named,
        } = self;
        let Some(cluster) = cluster else {
            return Err((
                1,
                "there is no cluster: expected a line like `cluster 3` before the first step"
                    .into(),
            ));
        };
        let mut joiners = BTreeSet::new();
        for step in &steps {
            joiners.extend(newcomers(&step.what));
        }
        // A step may also name an initial member, for example to change its standing.
        cluster.members().for_each(|member| {
            joiners.remove(&member);
        });
        let script = Script {
            cluster,
            options,
            presets,
            steps,
            joiners,
        };
        check::check(&script, &named)?;
        Ok(script)
    }
}

/// Returns the nodes that a step makes members.
fn newcomers(step: &Step) -> BTreeSet<NodeId> {
    match step {
        Step::Member {
            change:
                Change::Add(node) | Change::Join(node) | Change::Learner(node) | Change::Witness(node),
            ..
        } => [*node].into(),
        Step::Member {
            change: Change::Voters { voters, learners },
            ..
        } => voters.union(learners).copied().collect(),
        _ => BTreeSet::new(),
    }
}
