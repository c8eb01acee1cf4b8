//! Language of the comments and density of the code, measured against limits that only fall.
//!
//! Comments use the terms of the field; `docs/GLOSSARY.md` lists them. These counts find the words
//! that tend to stand in for one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::process::Command;

use crate::{root, sources};

/// Counts of one folder: of `words` per 1,000 words of comments, of the others per 1,000 lines.
const MEASURES: [(&str, Measure); 10] = [
    ("tell, told", Measure::Words(&["tell", "tells", "told"])),
    ("say, said", Measure::Words(&["say", "says", "said"])),
    (
        "whoever, whatever, whom",
        Measure::Words(&["whoever", "whatever", "whom"]),
    ),
    (
        "nobody, somebody, everybody",
        Measure::Words(&["nobody", "somebody", "everybody"]),
    ),
    ("so many, so much, so long", Measure::SoMany),
    ("sentences that begin with What", Measure::What),
    ("lines over 100 columns", Measure::LongLine),
    ("closures bound by let", Measure::BoundClosure),
    ("tuples destructured by let", Measure::TupleLet),
    ("identifiers of speech and life", Measure::Identifiers),
];

/// Identifiers that treat a node as a person; the field has a noun or a verb for each.
const PERSONAL: [&str; 14] = [
    "tell",
    "tells",
    "told",
    "say",
    "says",
    "said",
    "hear",
    "hears",
    "heard",
    "life",
    "lives",
    "stranger",
    "strangers",
    "everybody",
];

/// Folders with their limits, in the order of [`MEASURES`]. A measured value that falls below its
/// limit by more than [`SLACK`] lowers the limit.
const LIMITS: [(&str, [f64; 10]); 8] = [
    (
        "crates/raft/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.8, 8.3, 0.3, 0.2],
    ),
    (
        "crates/raft-node/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.6, 3.8, 0.3, 0.2],
    ),
    (
        "crates/bevy_raft/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.6, 3.9, 0.3, 0.2],
    ),
    (
        "crates/game/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1.1, 3.1, 0.3, 0.2],
    ),
    (
        "crates/sim/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.7, 6.1, 0.3, 0.2],
    ),
    (
        "crates/lab/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 2.0, 6.6, 0.3, 0.2],
    ),
    (
        "crates/frames/src",
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1.4, 6.9, 0.3, 0.2],
    ),
    ("tests", [0.4, 0.2, 0.2, 0.2, 0.4, 0.4, 1.2, 5.2, 0.3, 0.2]),
];

/// Largest distance of a limit above its measured value.
const SLACK: f64 = 0.5;

/// Most offenders that a failure prints, the newest first.
const MAX_OFFENDERS: usize = 10;

#[derive(Clone, Copy)]
enum Measure {
    Words(&'static [&'static str]),
    SoMany,
    What,
    LongLine,
    BoundClosure,
    TupleLet,
    Identifiers,
}

impl Measure {
    /// Occurrences in one line of a file.
    fn count(self, line: &str) -> usize {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let words = || words(comment);
        match self {
            Measure::Words(counted) => words()
                .filter(|word| counted.contains(&word.as_str()))
                .count(),
            Measure::SoMany => {
                let words: Vec<_> = words().collect();
                let amounts = ["many", "much", "long"];
                words
                    .windows(2)
                    .filter(|pair| pair[0] == "so" && amounts.contains(&pair[1].as_str()))
                    .count()
            }
            Measure::What => {
                let text = comment.trim_start_matches(['/', '!']).trim_start();
                usize::from(text.starts_with("What ")) + text.matches(". What ").count()
            }
            Measure::LongLine => usize::from(line.chars().count() > 100),
            Measure::BoundClosure => usize::from(is_bound_closure(code)),
            Measure::TupleLet => usize::from(is_tuple_let(code)),
            Measure::Identifiers => identifiers(code)
                .filter(|word| PERSONAL.contains(word))
                .count(),
        }
    }

    fn is_per_line(self) -> bool {
        matches!(
            self,
            Measure::LongLine | Measure::BoundClosure | Measure::TupleLet | Measure::Identifiers
        )
    }
}

fn words(comment: &str) -> impl Iterator<Item = String> {
    comment
        .split(|letter: char| !letter.is_ascii_alphabetic() && letter != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

/// Identifiers of a line of code, outside of string literals.
fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split('"')
        .step_by(2)
        .flat_map(|code| code.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
}

/// `let name = |…|`.
fn is_bound_closure(code: &str) -> bool {
    let Some(binding) = code.trim_start().strip_prefix("let ") else {
        return false;
    };
    let Some((_, value)) = binding.split_once(" = ") else {
        return false;
    };
    value
        .strip_prefix("move ")
        .unwrap_or(value)
        .starts_with('|')
}

/// `let (a, b) = (…)`.
fn is_tuple_let(code: &str) -> bool {
    let Some(binding) = code.trim_start().strip_prefix("let (") else {
        return false;
    };
    binding
        .split_once(") = ")
        .is_some_and(|(_, value)| value.starts_with('('))
}

struct Folder {
    words: usize,
    lines: usize,
    counts: [usize; 10],
    offenders: [Vec<String>; 10],
}

fn measured(folder: &str) -> Folder {
    let mut measured = Folder {
        words: 0,
        lines: 0,
        counts: [0; 10],
        offenders: Default::default(),
    };
    for (name, text) in sources(folder) {
        for (number, line) in (1..).zip(text.lines()) {
            measured.lines += 1;
            measured.words += line
                .split_once("//")
                .map_or(0, |(_, comment)| words(comment).count());
            for (place, (_, measure)) in MEASURES.iter().enumerate() {
                let count = measure.count(line);
                measured.counts[place] += count;
                if count > 0 {
                    measured.offenders[place].push(format!("{name}:{number}: {}", line.trim()));
                }
            }
        }
    }
    measured
}

/// Times of the last commits of files.
#[derive(Default)]
struct Ages(BTreeMap<String, i64>);

impl Ages {
    /// Age of the file in `offender`.
    fn of(&mut self, offender: &str) -> i64 {
        let file = offender.split(':').next().unwrap_or_default();
        *self
            .0
            .entry(file.to_owned())
            .or_insert_with(|| last_commit(file))
    }
}

/// Time of the last commit of `file`; zero without git.
fn last_commit(file: &str) -> i64 {
    let log = Command::new("git")
        .current_dir(root())
        .args(["log", "-1", "--format=%ct", "--", file])
        .output();
    let text = log
        .map(|log| String::from_utf8_lossy(&log.stdout).into_owned())
        .unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[test]
fn comments_and_density_only_improve() {
    let mut failures = Vec::new();
    let mut ages = Ages::default();
    for (folder, limits) in LIMITS {
        let found = measured(folder);
        for (place, (name, measure)) in MEASURES.iter().enumerate() {
            let total = if measure.is_per_line() {
                found.lines
            } else {
                found.words
            };
            let value = found.counts[place] as f64 * 1000.0 / total.max(1) as f64;
            let limit = limits[place];
            println!("{folder:<22} {name:<32} {value:>6.2} of at most {limit:.2}");
            if value > limit {
                let mut offenders = found.offenders[place].clone();
                offenders.sort_by_cached_key(|offender| Reverse(ages.of(offender)));
                offenders.truncate(MAX_OFFENDERS);
                failures.push(format!(
                    "{folder}: {name}: {value:.2} in 1,000, more than {limit:.2}\n  {}",
                    offenders.join("\n  ")
                ));
            } else if limit - value > SLACK {
                failures.push(format!(
                    "{folder}: {name} fell to {value:.2}: lower its limit from {limit:.2}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn measures_count_what_they_are_named_after() {
    let count = |place: usize, line: &str| MEASURES[place].1.count(line);
    assert_eq!(count(0, "// It was told, and tells."), 2);
    assert_eq!(count(0, "told(); // retold"), 0);
    assert_eq!(count(4, "/// So many of them, so long as it lasts."), 2);
    assert_eq!(count(5, "/// What a node does. What follows is not."), 2);
    assert_eq!(count(6, &"x".repeat(101)), 1);
    assert_eq!(count(7, "    let double = |x: u64| 2 * x;"), 1);
    assert_eq!(count(7, "    let doubled = xs.iter().map(|x| 2 * x);"), 0);
    assert_eq!(count(8, "    let (a, b) = (1, 2);"), 1);
    assert_eq!(count(8, "    let (a, b) = pair;"), 0);
    assert_eq!(count(9, "    self.told.push(heard); // said"), 2);
    assert_eq!(count(9, "    retold(\"tell\");"), 0);
}
