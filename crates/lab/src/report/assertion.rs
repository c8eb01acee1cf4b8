//! Thresholds that are stated on the command line: `--assert "max_elections<=3"`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

/// A quantity, and what it has to be.
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

/// The longer ones first, so that `<=` is not taken for `<`.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || format!("`{text}` is not NAME<=NUMBER; the others are <, >, >= and ==");
        let found = COMPARISONS
            .iter()
            .find_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)));
        let ((name, bound), comparison) = found.ok_or_else(help)?;
        let bound: f64 = bound.trim().parse().map_err(|_| help())?;
        if name.trim().is_empty() || !bound.is_finite() {
            return Err(help());
        }
        Ok(Threshold {
            name: name.trim().to_owned(),
            comparison,
            bound,
        })
    }
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
    /// Whether `measured` is what was asked for. What could not be measured is not.
    #[must_use]
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

/// A threshold and what came out.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// What was asked.
    pub threshold: Threshold,
    /// What was measured; not a number if it could not be.
    pub measured: f64,
}

impl Verdict {
    /// Whether the threshold held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.threshold.holds(self.measured)
    }

    /// For programs.
    #[must_use]
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

/// The first name that is none of `known`, told with those that are.
///
/// # Errors
/// If there is one.
pub fn check_names(thresholds: &[Threshold], known: &[&str]) -> Result<(), String> {
    match thresholds
        .iter()
        .find(|threshold| !known.contains(&threshold.name.as_str()))
    {
        Some(Threshold { name, .. }) => Err(format!(
            "--assert: `{name}` is not measured; there are {}",
            known.join(", ")
        )),
        None => Ok(()),
    }
}

/// What came of each threshold. A quantity that is not among `quantities` counts as not a number,
/// so nothing about it holds.
#[must_use]
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
    fn every_comparison_is_read_and_means_what_it_says() {
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
                    .contains("NAME<=NUMBER"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_those_that_are_known() {
        let threshold = ["speed<=3".parse().unwrap()];
        assert!(
            check_names(&threshold, &["time"])
                .unwrap_err()
                .contains("there are time")
        );
        assert_eq!(check_names(&threshold, &["speed"]), Ok(()));
        assert!(!judge(&threshold, &[("speed", 4.0)])[0].holds());
        assert_eq!(
            judge(&threshold, &[("speed", 4.0)])[0].to_string(),
            "failed: asked speed<=3, measured 4"
        );
    }
}
