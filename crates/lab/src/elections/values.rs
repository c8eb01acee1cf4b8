//! Sizes, times and shares in command line syntax.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Largest cluster of an experiment. A candidate and its voters exchange two messages per node, all
/// of which are held in memory at once.
pub const MAX_NODES: u64 = 10_000;

/// Maximum number of sizes of one study.
const MAX_SIZES: usize = 1_000;

/// Longest accepted time: an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reason why a value on the command line could not be parsed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not a cluster size.
    #[error("`{0}` is not a cluster size: give 1 to {max}, as in 3..193/10 or 3,13,53", max = MAX_NODES)]
    Size(String),
    /// A range of sizes from a larger to a smaller one.
    #[error("`{range}` is descending: write {to}..{from}")]
    DescendingSizes {
        /// The range.
        range: String,
        /// Its first size.
        from: u64,
        /// Its last size.
        to: u64,
    },
    /// More sizes than a study supports.
    #[error("{0} sizes are too many: give at most {max}, or a larger step, as in 3..9993/10", max = MAX_SIZES)]
    TooManySizes(usize),
    /// Not a time.
    #[error("`{0}` is not a time: give a number and a unit, as in 150ms, 200us or 1.5s")]
    Time(String),
    /// A time without a unit.
    #[error("`{0}` has no unit: write {0}ms, {0}us or {0}s")]
    NoUnit(String),
    /// A time that is out of range.
    #[error("`{0}` is not between 0 and an hour")]
    TimeRange(String),
    /// A range of times from a longer to a shorter one.
    #[error("`{0}` is descending: write the shorter time first")]
    DescendingTimes(String),
    /// Not a share.
    #[error("`{0}` is not a share: give percents, as in 5% or 0..10%")]
    Share(String),
    /// A share that is out of range.
    #[error("`{0}` is not between 0% and 100%")]
    ShareRange(String),
    /// A range of shares from a larger to a smaller one.
    #[error("`{0}` is descending: write the smaller share first")]
    DescendingShares(String),
    /// Not a rate of orders, or out of range.
    #[error("`{text}` is not a rate: give {least} to {most} orders per second")]
    Rate {
        /// The text.
        text: String,
        /// Lowest rate.
        least: f64,
        /// Highest rate.
        most: f64,
    },
    /// More values than a list supports.
    #[error("{count} values are too many: give at most {most}")]
    TooManyValues {
        /// Number of values.
        count: usize,
        /// Maximum number of values.
        most: usize,
    },
}

/// Cluster sizes, ascending and unique.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sizes(pub Vec<u64>);

impl FromStr for Sizes {
    type Err = ValueError;

    /// Parses `3,13,53` and `3..193/10`, which is from 3 to 193 in steps of ten, both ends
    /// included.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut sizes = Vec::new();
        for part in text.split(',') {
            let Some((from, rest)) = part.split_once("..") else {
                sizes.push(size(part)?);
                continue;
            };
            let (to, step) = rest.split_once('/').unwrap_or((rest, "1"));
            let from = size(from)?;
            let to = size(to)?;
            let step = size(step)?;
            if from > to {
                return Err(ValueError::DescendingSizes {
                    range: part.to_owned(),
                    from,
                    to,
                });
            }
            sizes.extend((from..=to).step_by(step as usize));
        }
        sizes.sort_unstable();
        sizes.dedup();
        if sizes.len() > MAX_SIZES {
            return Err(ValueError::TooManySizes(sizes.len()));
        }
        Ok(Sizes(sizes))
    }
}

/// Parses one cluster size.
fn size(word: &str) -> Result<u64, ValueError> {
    word.trim()
        .parse()
        .ok()
        .filter(|size| (1..=MAX_NODES).contains(size))
        .ok_or_else(|| ValueError::Size(word.to_owned()))
}

impl fmt::Display for Sizes {
    /// Writes a range where the sizes form one, otherwise a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [first, second, .., last] = self.0[..]
            && self
                .0
                .windows(2)
                .all(|pair| pair[1] - pair[0] == second - first)
        {
            return write!(f, "{first}..{last}/{}", second - first);
        }
        let sizes: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&sizes.join(","))
    }
}

/// A length of time: `50ms`, `1.5s`, `200us`, `0`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        time(text, None).map(Time)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            0 => f.write_str("0"),
            micros if micros % 1_000_000 == 0 => write!(f, "{}s", micros / 1_000_000),
            micros if micros % 1_000 == 0 => write!(f, "{}ms", micros / 1_000),
            micros => write!(f, "{micros}us"),
        }
    }
}

/// Range of times, uniformly distributed: `0..20ms`, or `5ms` for a constant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Span {
    /// Shortest time.
    pub from: Duration,
    /// Longest time.
    pub to: Duration,
}

impl Span {
    /// Draws a time from the span, in whole microseconds.
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng) -> Duration {
        let micros = |duration: Duration| duration.as_micros() as u64;
        if self.from == self.to {
            return self.to;
        }
        Duration::from_micros(rng.random_range(micros(self.from)..=micros(self.to)))
    }
}

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some((from, to)) = text.split_once("..") else {
            let same = time(text, None)?;
            return Ok(Span {
                from: same,
                to: same,
            });
        };
        // In `0..20ms` the unit applies to both.
        let unit = to
            .trim()
            .trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        let to = time(to, None)?;
        let from = time(from, Some(unit))?;
        if from > to {
            return Err(ValueError::DescendingTimes(text.to_owned()));
        }
        Ok(Span { from, to })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            Time(self.to).fmt(f)
        } else {
            write!(f, "{}..{}", Time(self.from), Time(self.to))
        }
    }
}

/// Parses a time into whole microseconds, the resolution of `Moment`. A number without a unit takes
/// `unit`; 0 needs none.
fn time(text: &str, unit: Option<&str>) -> Result<Duration, ValueError> {
    let text = text.trim();
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: f64 = digits
        .parse()
        .map_err(|_| ValueError::Time(text.to_owned()))?;
    let seconds = match (&text[digits.len()..], unit) {
        ("s", _) | ("", Some("s")) => number,
        ("ms", _) | ("", Some("ms")) => number / 1e3,
        ("us", _) | ("", Some("us")) => number / 1e6,
        ("", _) if number == 0.0 => 0.0,
        ("", _) => return Err(ValueError::NoUnit(text.to_owned())),
        _ => return Err(ValueError::Time(text.to_owned())),
    };
    let micros = (seconds * 1e6).round();
    if !(0.0..=LONGEST.as_micros() as f64).contains(&micros) {
        return Err(ValueError::TimeRange(text.to_owned()));
    }
    Ok(Duration::from_micros(micros as u64))
}

/// Range of shares: `0..10%`, or `5%` for a constant.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Share {
    /// Lowest share, from 0 to 1.
    pub from: f64,
    /// Highest share, from 0 to 1.
    pub to: f64,
}

impl Share {
    /// Draws a share from the range.
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        self.from + (self.to - self.from) * rng.random_range(0.0..=1.0)
    }
}

impl FromStr for Share {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text
            .trim()
            .strip_suffix('%')
            .or((text.trim() == "0").then_some("0"))
            .ok_or_else(|| ValueError::Share(text.to_owned()))?;
        let (from, to) = number.split_once("..").unwrap_or((number, number));
        let from = percents(from).ok_or_else(|| ValueError::Share(text.to_owned()))?;
        let to = percents(to).ok_or_else(|| ValueError::Share(text.to_owned()))?;
        if !(0.0..=100.0).contains(&from) || !(0.0..=100.0).contains(&to) {
            return Err(ValueError::ShareRange(text.to_owned()));
        }
        if from > to {
            return Err(ValueError::DescendingShares(text.to_owned()));
        }
        Ok(Share {
            from: from / 100.0,
            to: to / 100.0,
        })
    }
}

/// Parses a number of percents, with or without their sign.
fn percents(word: &str) -> Option<f64> {
    word.trim().trim_end_matches('%').parse().ok()
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percents = |share: f64| (share * 1e8).round() / 1e6;
        if self.from == self.to {
            write!(f, "{}%", percents(self.to))
        } else {
            write!(f, "{}..{}%", percents(self.from), percents(self.to))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: FromStr<Err = ValueError> + fmt::Display>(text: &str) -> String {
        let parsed = text
            .parse::<T>()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = parsed.to_string();
        assert_eq!(
            printed.parse::<T>().unwrap().to_string(),
            printed,
            "printed form does not parse back"
        );
        printed
    }

    #[test]
    fn sizes_parse_as_lists_and_inclusive_ranges() {
        assert_eq!("3..193/10".parse::<Sizes>().unwrap().0.len(), 20);
        assert_eq!("3..9/2".parse::<Sizes>().unwrap().0, [3, 5, 7, 9]);
        assert_eq!("53,3,13,3".parse::<Sizes>().unwrap().0, [3, 13, 53]);
        assert_eq!(
            (same::<Sizes>("3..193/10"), same::<Sizes>("3,13,53")),
            ("3..193/10".into(), "3,13,53".into())
        );
        for (wrong, hint) in [
            ("0", "1 to 10000"),
            ("9..3", "write 3..9"),
            ("x", "as in"),
            ("3..9/0", "1 to"),
            ("", "not a cluster size"),
            ("1..10000", "too many"),
        ] {
            assert!(
                wrong
                    .parse::<Sizes>()
                    .unwrap_err()
                    .to_string()
                    .contains(hint),
                "{wrong}: {:?}",
                wrong.parse::<Sizes>()
            );
        }
    }

    #[test]
    fn times_need_a_unit_and_a_range_may_share_one() {
        let ms = Duration::from_millis;
        let span = |text: &str| text.parse::<Span>().unwrap();
        assert_eq!(
            span("0..20ms"),
            Span {
                from: ms(0),
                to: ms(20)
            }
        );
        assert_eq!(
            span("150..300ms"),
            Span {
                from: ms(150),
                to: ms(300)
            }
        );
        assert_eq!(
            span("500us..2ms"),
            Span {
                from: Duration::from_micros(500),
                to: ms(2)
            }
        );
        assert_eq!(
            span("0.5..1s"),
            Span {
                from: ms(500),
                to: ms(1_000)
            }
        );
        assert_eq!(
            (span("5ms"), span("0")),
            (
                Span {
                    from: ms(5),
                    to: ms(5)
                },
                Span::default()
            )
        );
        assert_eq!(
            (same::<Span>("0..20ms"), same::<Time>("1.5s")),
            ("0..20ms".into(), "1500ms".into())
        );
        for (wrong, hint) in [
            ("20", "write 20ms"),
            ("20..0ms", "descending"),
            ("fast", "number and a unit"),
            ("5min", "number and a unit"),
            ("-1ms", "between"),
            ("2..", "number and a unit"),
            ("3601s", "an hour"),
        ] {
            assert!(
                wrong
                    .parse::<Span>()
                    .unwrap_err()
                    .to_string()
                    .contains(hint),
                "{wrong}: {:?}",
                wrong.parse::<Span>()
            );
        }
    }

    #[test]
    fn shares_parse_as_percents() {
        assert_eq!(
            "0..10%".parse::<Share>().unwrap(),
            Share { from: 0.0, to: 0.1 }
        );
        assert_eq!(
            (
                same::<Share>("5%"),
                same::<Share>("0"),
                same::<Share>("0..10%")
            ),
            ("5%".into(), "0%".into(), "0..10%".into())
        );
        for (wrong, hint) in [
            ("5", "percents"),
            ("10..5%", "descending"),
            ("101%", "between"),
            ("x%", "percents"),
        ] {
            assert!(
                wrong
                    .parse::<Share>()
                    .unwrap_err()
                    .to_string()
                    .contains(hint),
                "{wrong}"
            );
        }
    }
}
