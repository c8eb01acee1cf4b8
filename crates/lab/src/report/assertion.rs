//! Thresholds given on the command line: `--assert "max_elections<=3"`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

/// Required bound of a quantity.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    /// Name of the quantity.
    pub name: String,
    comparison: Comparison,
    bound: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    AtMost,
    AtLeast,
    Equal,
    Below,
    Above,
}

/// Longer ones first, so that `<=` is not parsed as `<`.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

/// Invalid threshold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// Not a name, a comparison and a number.
    #[error("`{0}` is not NAME<=NUMBER; the other comparisons are <, >, >= and ==")]
    Syntax(String),
    /// A quantity that the study does not measure.
    #[error("--assert: `{name}` is not a known quantity; use one of {}", known.join(", "))]
    UnknownQuantity {
        /// Name of the quantity.
        name: String,
        /// Names of the known quantities.
        known: Vec<&'static str>,
    },
}

impl FromStr for Threshold {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, AssertionError> {
        parse(text).ok_or_else(|| AssertionError::Syntax(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Threshold> {
    let found = COMPARISONS
        .iter()
        .find_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)));
    let ((name, bound), comparison) = found?;
    let bound: f64 = bound.trim().parse().ok()?;
    if name.trim().is_empty() || !bound.is_finite() {
        return None;
    }
    Some(Threshold {
        name: name.trim().to_owned(),
        comparison,
        bound,
    })
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = COMPARISONS
            .iter()
            .find(|(_, comparison)| *comparison == self.comparison)
            .map_or("", |(sign, _)| sign);
        write!(f, "{}{sign}{}", self.name, self.bound)
    }
}

impl Threshold {
    /// Whether `measured` satisfies the threshold; NaN never does.
    pub fn holds(&self, measured: f64) -> bool {
        match self.comparison {
            Comparison::AtMost => measured <= self.bound,
            Comparison::AtLeast => measured >= self.bound,
            Comparison::Equal => (measured - self.bound).abs() <= self.bound.abs() * 1e-9,
            Comparison::Below => measured < self.bound,
            Comparison::Above => measured > self.bound,
        }
    }
}

/// Threshold with its measured value.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Threshold from the command line.
    pub threshold: Threshold,
    /// Measured value; NaN if it could not be measured.
    pub measured: f64,
}

impl Verdict {
    /// Whether the threshold held.
    pub fn holds(&self) -> bool {
        self.threshold.holds(self.measured)
    }

    /// JSON form.
    pub fn json(&self) -> Value {
        json!({ "assert": self.threshold.to_string(), "measured": self.measured, "ok": self.holds() })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "holds" } else { "failed" };
        write!(
            f,
            "{verdict}: asked {}, measured {}",
            self.threshold,
            (self.measured * 1000.0).round() / 1000.0
        )
    }
}

/// Checks that every name is one of `known`.
///
/// # Errors
/// If one is not; the error lists the known names.
pub fn check_names(thresholds: &[Threshold], known: &[&'static str]) -> Result<(), AssertionError> {
    match thresholds
        .iter()
        .find(|threshold| !known.contains(&threshold.name.as_str()))
    {
        Some(Threshold { name, .. }) => Err(AssertionError::UnknownQuantity {
            name: name.clone(),
            known: known.to_vec(),
        }),
        None => Ok(()),
    }
}

/// Judges each threshold. A quantity missing from `quantities` counts as NaN, so its thresholds
/// fail.
pub fn judge(thresholds: &[Threshold], quantities: &[(&str, f64)]) -> Vec<Verdict> {
    let measured = |name: &str| {
        quantities
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(f64::NAN, |(_, value)| *value)
    };
    let verdict = |threshold: &Threshold| Verdict {
        measured: measured(&threshold.name),
        threshold: threshold.clone(),
    };
    thresholds.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comparison_parses_and_compares() {
        let holds = |text: &str, measured| text.parse::<Threshold>().unwrap().holds(measured);
        assert!(holds("a<=3", 3.0) && !holds("a<3", 3.0) && holds("a < 3.5", 3.0));
        assert!(
            holds("a>=3", 3.0) && !holds("a>3", 3.0) && holds("a==3", 3.0) && !holds("a==3", 3.1)
        );
        assert!(!holds("a<=3", f64::NAN) && !holds("a>=3", f64::NAN));
        for wrong in ["a", "a=3", "<=3", "a<=three", "a<=", "a<=NaN"] {
            assert!(
                wrong
                    .parse::<Threshold>()
                    .unwrap_err()
                    .to_string()
                    .contains("NAME<=NUMBER"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn unknown_name_is_refused_with_the_known_ones() {
        let threshold = ["speed<=3".parse().unwrap()];
        assert!(
            check_names(&threshold, &["time"])
                .unwrap_err()
                .to_string()
                .contains("use one of time")
        );
        assert_eq!(check_names(&threshold, &["speed"]), Ok(()));
        assert!(!judge(&threshold, &[("speed", 4.0)])[0].holds());
        assert_eq!(
            judge(&threshold, &[("speed", 4.0)])[0].to_string(),
            "failed: asked speed<=3, measured 4"
        );
    }
}
