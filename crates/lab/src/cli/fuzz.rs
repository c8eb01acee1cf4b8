//! `cargo lab fuzz TARGET|all`

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raftian_sim::fuzz::{Answer, Answers, Finding, Fuzz, TARGETS, Target, judge, target};

use super::Exit;
use crate::terminal::{errln, outln};

/// Fuzz target and inputs.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Target: `all`, or a name listed by `cargo lab fuzz list`.
    target: String,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60.0, value_name = "N")]
    seconds: f64,
    /// RNG seed of all inputs; drawn fresh by default.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Run only this input number of the seed.
    #[arg(long, value_name = "I", requires = "seed")]
    number: Option<u64>,
    /// Run only this input, in hexadecimal digits.
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["seed", "input"])]
    hex: Option<String>,
    /// Run only this input, read from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    input: Option<PathBuf>,
}

/// Fuzzes one target or all, and reports violations.
pub fn run(arguments: &Arguments) -> Exit {
    if arguments.target == "list" {
        for Target { name, about, .. } in TARGETS {
            outln!("{name:<12} {about}");
        }
        return Exit::Success;
    }
    let targets = match (arguments.target.as_str(), target(&arguments.target)) {
        (_, Some(target)) => vec![target],
        ("all", None) => TARGETS.to_vec(),
        (unknown, None) => {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            errln!(
                "`{unknown}` is not a target: use {}, or `all`",
                names.join(", ")
            );
            return Exit::Configuration;
        }
    };
    let given = match given(arguments) {
        Ok(given) => given,
        Err(error) => {
            errln!("{error}");
            return Exit::Configuration;
        }
    };
    if given.is_none() {
        // A panic is reported as a finding; replaying its input prints the location.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let mut worst = Exit::Success;
    for target in targets {
        worst = worst.max(match &given {
            Some(input) => one(&target, input),
            None => many(arguments, target),
        });
    }
    worst
}

/// Reason why an input on the command line cannot be used.
#[derive(Debug, thiserror::Error)]
enum InputError {
    #[error("`{0}` is not a sequence of hexadecimal digit pairs")]
    Hex(String),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

/// Input given on the command line, if any.
fn given(arguments: &Arguments) -> Result<Option<Vec<u8>>, InputError> {
    if let Some(hex) = &arguments.hex {
        let digits: Option<Vec<_>> = hex
            .chars()
            .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
            .collect();
        let digits = digits.filter(|digits| digits.len().is_multiple_of(2));
        let digits = digits.ok_or_else(|| InputError::Hex(hex.clone()))?;
        return Ok(Some(
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect(),
        ));
    }
    arguments.input.as_deref().map(read).transpose()
}

fn read(file: &Path) -> Result<Vec<u8>, InputError> {
    std::fs::read(file).map_err(|source| InputError::Read {
        path: file.to_owned(),
        source,
    })
}

fn one(target: &Target, input: &[u8]) -> Exit {
    match judge(target, input) {
        Ok(Answer::Taken) => {
            outln!(
                "{}: {} bytes accepted, handled correctly",
                target.name,
                input.len()
            )
        }
        Ok(Answer::Refused) => outln!(
            "{}: {} bytes rejected, as expected",
            target.name,
            input.len()
        ),
        Err(defect) => {
            errln!("{}: {defect}", target.name);
            return Exit::Violated;
        }
    }
    Exit::Success
}

fn many(arguments: &Arguments, target: Target) -> Exit {
    let fresh = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64)
    };
    let seed = arguments.seed.unwrap_or_else(fresh);
    let fuzz = Fuzz::new(target, seed);
    if let Some(number) = arguments.number {
        return fuzz.try_one(number).map_or_else(
            |finding| report(&finding),
            |_| one(&target, &fuzz.input(number)),
        );
    }
    outln!("{} from seed {seed}", target.name);
    let began = Instant::now();
    let time = Duration::from_secs_f64(arguments.seconds.clamp(0.0, 1e6));
    match fuzz.run(|_| began.elapsed() < time) {
        Ok(Answers { taken, refused }) => {
            let inputs = taken + refused;
            let seconds = began.elapsed().as_secs_f64();
            let rate = inputs as f64 / seconds.max(1e-9);
            outln!(
                "{}: {inputs} inputs in {seconds:.1} s ({rate:.0}/s), {taken} accepted",
                target.name
            );
            Exit::Success
        }
        Err(finding) => report(&finding),
    }
}

fn report(finding: &Finding) -> Exit {
    errln!("{finding}");
    Exit::Violated
}
