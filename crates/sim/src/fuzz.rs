//! Fuzzing: whatever bytes come in, nothing panics, and what is accepted is what it says.
//!
//! A [`Target`] takes bytes: those of a message or of a file, or choices of what happens to a node
//! or a cluster. A [`Fuzz`] makes inputs from its seed, one after the other, mostly out of valid
//! ones with a few things wrong; an input that is answered wrongly is brought down to the bytes it
//! takes, and told as one line that replays it.
//!
//! Decision: no coverage feedback. Why: inputs follow from seed and number alone, so a run is
//! replayed on any machine and needs neither another compiler nor a corpus on disk; targets that
//! need to get deep read choices instead of a format. Would change if: a bug was found elsewhere
//! that a fuzzer with feedback finds and this one does not.

mod choices;
mod cluster;
mod corpus;
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

/// What bytes are thrown at.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What must hold, in one line.
    pub about: &'static str,
    /// Most bytes of one input.
    pub longest: usize,
    /// Any bytes mean something to it, so that half of the inputs are made of nothing but chance.
    pub takes_anything: bool,
    /// Valid inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Takes one input.
    ///
    /// # Errors
    /// What is wrong about the answer. A panic is as wrong.
    pub check: fn(&[u8]) -> Result<Answer, String>,
}

/// What became of an input that was answered as it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It made sense.
    Taken,
    /// It was refused.
    Refused,
}

/// How many inputs were answered how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Answers {
    /// Those that made sense.
    pub taken: u64,
    /// Those that were refused.
    pub refused: u64,
}

/// An input that was answered wrongly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The target.
    pub target: &'static str,
    /// The seed, and the number of the input under it.
    pub seed: u64,
    /// Counted from 0.
    pub number: u64,
    /// The input as it was.
    pub input: Vec<u8>,
    /// What of it is enough.
    pub minimal: Vec<u8>,
    /// What is wrong about the answer to that.
    pub what: String,
}

/// Bytes that are told in a line; longer inputs are named by their seed and number, or kept in a
/// file.
const MAX_LINE_BYTES: usize = 512;

impl Finding {
    /// The command that replays it.
    #[must_use]
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
            what,
        } = self;
        writeln!(f, "{target}: {what}")?;
        writeln!(
            f,
            "input {number} of seed {seed}, {} bytes, of which {} are enough",
            input.len(),
            minimal.len()
        )?;
        write!(f, "replay: {}", self.replay())
    }
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    wire::MESSAGE,
    wire::ENTRY,
    wire::SNAPSHOT,
    wire::MEMBERSHIP,
    store::STORE,
    scenario::SCENARIO,
    node::NODE,
    cluster::CLUSTER,
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// The inputs of one seed for one target.
pub struct Fuzz {
    target: Target,
    seed: u64,
    corpus: Vec<Vec<u8>>,
}

impl Fuzz {
    /// Prepares the valid inputs.
    #[must_use]
    pub fn new(target: Target, seed: u64) -> Self {
        Fuzz {
            target,
            seed,
            corpus: (target.corpus)(),
        }
    }

    /// The input of this number: first the valid ones as they are, then endlessly many others.
    #[must_use]
    pub fn input(&self, number: u64) -> Vec<u8> {
        if let Some(valid) = usize::try_from(number)
            .ok()
            .and_then(|place| self.corpus.get(place))
        {
            return valid.clone();
        }
        let mut rng =
            ChaCha8Rng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
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

    /// Tries inputs from number 0 on, as long as `more` says so of the next number.
    ///
    /// # Errors
    /// The first input that is answered wrongly.
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

    /// Tries the input of this number.
    ///
    /// # Errors
    /// What is wrong about the answer, with as few bytes as it takes.
    pub fn try_one(&self, number: u64) -> Result<Answer, Box<Finding>> {
        let input = self.input(number);
        judge(&self.target, &input).map_err(|_| {
            let (minimal, what) = shrink::shrink(&self.target, &input);
            Box::new(Finding {
                target: self.target.name,
                seed: self.seed,
                number,
                input,
                minimal,
                what,
            })
        })
    }
}

/// Gives `input` to the target and says what is wrong about the answer.
///
/// # Errors
/// What is wrong; a panic is, whatever it says.
pub fn judge(target: &Target, input: &[u8]) -> Result<Answer, String> {
    catch_unwind(AssertUnwindSafe(|| (target.check)(input))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(format!("it panicked: {}", text.unwrap_or_default()))
    })
}
