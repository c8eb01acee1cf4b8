//! Lists of values in command line syntax.

use std::fmt;
use std::str::FromStr;

use super::SettingsError;
use crate::elections::values::{Share, Time, ValueError};

/// Maximum number of values of one list.
const MOST: usize = 32;

/// Highest rate, in orders per second.
pub const MAX_RATE: f64 = 1_000.0;

/// Lowest rate, in orders per second.
pub const LEAST_RATE: f64 = 0.1;

/// Values in the given order: `0,20,80ms`, `0,1,5%` or `1,10,100`. A unit at the end applies to all
/// values without one.
#[derive(Clone, PartialEq, Debug)]
pub struct List<T>(pub Vec<T>);

/// Orders per second, from [`LEAST_RATE`] to [`MAX_RATE`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let rate = text
            .trim()
            .parse()
            .ok()
            .filter(|rate| (LEAST_RATE..=MAX_RATE).contains(rate));
        rate.map(Rate).ok_or_else(|| ValueError::Rate {
            text: text.to_owned(),
            least: LEAST_RATE,
            most: MAX_RATE,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: FromStr<Err = ValueError> + PartialEq> FromStr for List<T> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_digit = |character: char| character.is_ascii_digit() || character == '.';
        let last = text.rsplit(',').next().unwrap_or_default().trim();
        let unit = last.trim_start_matches(is_digit);
        let mut values = Vec::new();
        for word in text.split(',').map(str::trim) {
            let value = if word.chars().all(is_digit) {
                format!("{word}{unit}").parse()?
            } else {
                word.parse()?
            };
            if !values.contains(&value) {
                values.push(value);
            }
        }
        if values.len() > MOST {
            return Err(ValueError::TooManyValues {
                count: values.len(),
                most: MOST,
            });
        }
        Ok(List(values))
    }
}

impl<T: fmt::Display> fmt::Display for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.0.iter().map(T::to_string).collect();
        f.write_str(&values.join(","))
    }
}

/// Rejects ranges: a list of shares holds constants.
pub(super) fn steady(shares: &List<Share>) -> Result<(), SettingsError> {
    match shares.0.iter().find(|share| share.from != share.to) {
        Some(range) => Err(SettingsError::LossRange { range: *range }),
        None => Ok(()),
    }
}

/// Longest time of a list.
pub(super) fn longest(times: &List<Time>) -> Time {
    times
        .0
        .iter()
        .copied()
        .max_by_key(|time| time.0)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_unit_applies_to_all_and_printed_lists_parse_back() {
        let times: List<Time> = "0,20,80,200ms".parse().unwrap();
        assert_eq!(
            times
                .0
                .iter()
                .map(|time| time.0.as_millis())
                .collect::<Vec<_>>(),
            [0, 20, 80, 200]
        );
        assert_eq!(times.to_string().parse(), Ok(times));
        let shares: List<Share> = "0,1,5%".parse().unwrap();
        assert_eq!(
            (shares.0[1].to, shares.to_string().parse()),
            (0.01, Ok(shares))
        );
        let rates: List<Rate> = "0.1,10,10".parse().unwrap();
        assert_eq!((rates.0.len(), rates.to_string().as_str()), (2, "0.1,10"));
        assert!(
            "0,20"
                .parse::<List<Time>>()
                .unwrap_err()
                .to_string()
                .contains("write 20ms")
        );
        assert!(
            "1001"
                .parse::<List<Rate>>()
                .unwrap_err()
                .to_string()
                .contains("0.1 to 1000")
        );
        assert!("".parse::<List<Rate>>().is_err());
    }
}
