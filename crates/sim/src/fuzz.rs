//! Fuzzing: no input may cause a panic, and accepted input must survive a round trip.
//!
//! A [`Target`] takes bytes: an encoded message, a file, or a sequence of choices that drives a
//! node or a cluster. A [`Fuzz`] generates inputs from its seed, mostly by mutating valid ones. A
//! failing input is shrunk and reported with a one-line command that replays it.
//!
//! Decision: no coverage feedback. Why: inputs follow from seed and number alone, so a run is
//! reproducible on any machine and needs neither another compiler nor a corpus on disk; targets
//! that must reach deep states read choices instead of a format. Would change if: a bug was found
//! elsewhere that a fuzzer with feedback finds and this one does not.

mod choices;
mod cluster;
mod corpus;
mod defect;
mod game;
mod message;
mod mutate;
mod node;
mod scenario;
mod shrink;
mod store;
mod wire;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

pub use defect::Defect;

/// Code under test that consumes arbitrary bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name on the command line.
    pub name: &'static str,
    /// Property under test, in one line.
    pub about: &'static str,
    /// Maximum length of an input, in bytes.
    pub longest: usize,
    /// Whether any bytes are a meaningful input; if so, half of the inputs are purely random.
    pub takes_anything: bool,
    /// Valid inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Runs the target on one input.
    ///
    /// # Errors
    /// Fails with the violated property. A panic counts as a violation too.
    pub check: fn(&[u8]) -> Result<Answer, Defect>,
}

/// Result of an input that the target handled correctly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The input was accepted.
    Taken,
    /// The input was refused.
    Refused,
}

/// Number of inputs by [`Answer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answers {
    /// Accepted inputs.
    pub taken: u64,
    /// Refused inputs.
    pub refused: u64,
}

/// Input that the target handled incorrectly.
#[derive(Debug)]
pub struct Finding {
    /// Name of the target.
    pub target: &'static str,
    /// Seed of the run.
    pub seed: u64,
    /// Number of the input within the run, from 0.
    pub number: u64,
    /// Original input.
    pub input: Vec<u8>,
    /// Shrunk input that still fails.
    pub minimal: Vec<u8>,
    /// Violated property of the shrunk input.
    pub defect: Defect,
}

/// Longest input printed as hex; longer ones are identified by seed and number, or kept in a file.
const MAX_LINE_BYTES: usize = 512;

impl Finding {
    /// Returns the command that replays the finding.
    pub fn replay(&self) -> String {
        if self.minimal.len() <= MAX_LINE_BYTES {
            let hex: String = self
                .minimal
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!(
                "cargo lab fuzz {} --hex {}",
                self.target,
                if hex.is_empty() { "\"\"" } else { &hex }
            )
        } else {
            format!(
                "cargo lab fuzz {} --seed {} --number {}",
                self.target, self.seed, self.number
            )
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            target,
            seed,
            number,
            input,
            minimal,
            defect,
        } = self;
        writeln!(f, "{target}: {defect}")?;
        writeln!(
            f,
            "input {number} of seed {seed}, {} bytes, shrunk to {}",
            input.len(),
            minimal.len()
        )?;
        write!(f, "replay: {}", self.replay())
    }
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    game::ORDERS,
    game::TABLE,
    wire::MESSAGE,
    wire::ENTRY,
    wire::SNAPSHOT,
    wire::MEMBERSHIP,
    store::STORE,
    scenario::SCENARIO,
    node::NODE,
    cluster::CLUSTER,
];

/// Returns the target with this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// Sequence of inputs that one seed generates for one target.
pub struct Fuzz {
    target: Target,
    seed: u64,
    corpus: Vec<Vec<u8>>,
}

impl Fuzz {
    /// Generates the corpus of valid inputs.
    pub fn new(target: Target, seed: u64) -> Self {
        Fuzz {
            target,
            seed,
            corpus: (target.corpus)(),
        }
    }

    /// Returns the input with this number: the corpus first, then generated inputs without end.
    pub fn input(&self, number: u64) -> Vec<u8> {
        if let Some(valid) = usize::try_from(number)
            .ok()
            .and_then(|place| self.corpus.get(place))
        {
            return valid.clone();
        }
        // The multiplier spreads consecutive numbers, so that neighbouring seeds share no inputs.
        let mut rng =
            ChaCha8Rng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        // Random bytes rarely get past the first check of a format, so few are spent on one.
        let by_chance = if self.target.takes_anything {
            0.5
        } else {
            0.02
        };
        if self.corpus.is_empty() || rng.random_bool(by_chance) {
            mutate::by_chance(&mut rng, self.target.longest)
        } else {
            mutate::mutated(&mut rng, &self.corpus, self.target.longest)
        }
    }

    /// Tries inputs from number 0 on until `more` returns false for the next number.
    ///
    /// # Errors
    /// Returns the first input that fails.
    pub fn run(&self, mut more: impl FnMut(u64) -> bool) -> Result<Answers, Box<Finding>> {
        let mut answers = Answers::default();
        for number in (0..).take_while(|number| more(*number)) {
            match self.try_one(number)? {
                Answer::Taken => answers.taken += 1,
                Answer::Refused => answers.refused += 1,
            }
        }
        Ok(answers)
    }

    /// Tries the input with this number.
    ///
    /// # Errors
    /// Returns the failure, with its input shrunk.
    pub fn try_one(&self, number: u64) -> Result<Answer, Box<Finding>> {
        let input = self.input(number);
        judge(&self.target, &input).map_err(|_| {
            let (minimal, defect) = shrink::shrink(&self.target, &input);
            Box::new(Finding {
                target: self.target.name,
                seed: self.seed,
                number,
                input,
                minimal,
                defect,
            })
        })
    }
}

/// Runs the target on `input` and turns a panic into an error.
///
/// # Errors
/// Fails with the violated property, or with [`Defect::Panicked`].
pub fn judge(target: &Target, input: &[u8]) -> Result<Answer, Defect> {
    // Targets keep no mutable state between inputs, so a panic leaves nothing inconsistent.
    catch_unwind(AssertUnwindSafe(|| (target.check)(input))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Defect::Panicked(text.unwrap_or_default()))
    })
}
