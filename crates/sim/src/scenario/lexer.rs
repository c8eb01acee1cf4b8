//! Splits a line into words and reads them; every error names what was expected.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use raftian_raft::{ClientId, NodeId};

use super::script::Link;

/// Error of a line: what is wrong and what was expected.
pub(super) type Wrong = String;

/// Highest number in a node's name: bounds the memory that a script can make the simulator use.
pub(super) const MAX_MACHINES: u64 = 128;

/// Longest duration of one statement: bounds how long a script can make the simulator run.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Words that may follow a list of nodes.
const BEHIND_NODES: [&str; 6] = [
    "|",
    "learners",
    "learner",
    "witness",
    "witnesses",
    "outgoing",
];

/// The words of one line, a cursor, and the nodes read so far.
pub(super) struct Lexer<'a> {
    words: Vec<Word<'a>>,
    next: usize,
    named: Vec<NodeId>,
}

#[derive(Clone, Copy)]
enum Word<'a> {
    Bare(&'a str),
    Quoted(&'a str),
}

impl<'a> Lexer<'a> {
    /// Splits a line at blanks. A quote ends at the next `"`, `#` begins a comment, and `|`, `>=`
    /// and `<=` are words of their own.
    pub(super) fn of(line: &'a str) -> Result<Self, Wrong> {
        let mut words = Vec::new();
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let end = if let Some(quote) = rest.strip_prefix('"') {
                let Some(end) = quote.find('"') else {
                    return Err("a quote is not closed: expected another `\"`".into());
                };
                words.push(Word::Quoted(&quote[..end]));
                end + 2
            } else {
                let end = ["|", ">=", "<="]
                    .iter()
                    .find(|word| rest.starts_with(**word));
                let end = end.map_or_else(|| end_of_word(rest), |word| word.len());
                words.push(Word::Bare(&rest[..end]));
                end
            };
            rest = rest[end..].trim_start();
        }
        Ok(Lexer {
            words,
            next: 0,
            named: Vec::new(),
        })
    }

    /// Returns whether every word was read.
    pub(super) fn at_end(&self) -> bool {
        self.next == self.words.len()
    }

    /// Returns every node that was read, for the check that it exists.
    pub(super) fn into_named(self) -> Vec<NodeId> {
        self.named
    }

    /// Checks that no word is left.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        match self.words.get(self.next) {
            None => Ok(()),
            Some(word) => Err(format!(
                "{} is one word too many: expected the end of the line",
                word.shown()
            )),
        }
    }

    /// Reads and removes `within D` at the end of the line.
    pub(super) fn within(&mut self) -> Result<Duration, Wrong> {
        let expected = "expected `within` and a duration like `2s` at the end of the line";
        match self.words[self.next..] {
            [.., Word::Bare("within"), Word::Bare(last)] => {
                let within = duration(last)?;
                // Removed first: an expectation may read up to the end of the line.
                self.words.truncate(self.words.len() - 2);
                Ok(within)
            }
            _ => Err(expected.into()),
        }
    }

    /// Reads a rate like `110%`.
    pub(super) fn percent(&mut self) -> Result<u64, Wrong> {
        let word = self.word("a rate like `110%`")?;
        let digits = word.strip_suffix('%').filter(|digits| is_number(digits));
        let percent = digits
            .and_then(|digits| digits.parse().ok())
            .filter(|percent| (1..=1_000).contains(percent));
        percent.ok_or_else(|| {
            format!(
                "{} is not a rate: expected one like `110%`, of 1% to 1000%",
                shown(word)
            )
        })
    }

    /// Reads a quoted text if the next word is one.
    pub(super) fn quoted(&mut self) -> Option<String> {
        let Some(Word::Quoted(text)) = self.words.get(self.next) else {
            return None;
        };
        self.next += 1;
        Some((*text).to_string())
    }

    /// Reads the next word, which must not be quoted.
    pub(super) fn word(&mut self, expected: &str) -> Result<&'a str, Wrong> {
        match self.words.get(self.next) {
            Some(Word::Bare(word)) => {
                self.next += 1;
                Ok(word)
            }
            Some(word) => Err(format!("expected {expected}, found {}", word.shown())),
            None => Err(format!("expected {expected}, found the end of the line")),
        }
    }

    /// Consumes the next word if it is `word`.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.at(word);
        self.next += usize::from(found);
        found
    }

    /// Returns whether the next word is `word`.
    pub(super) fn at(&self, word: &str) -> bool {
        matches!(self.words.get(self.next), Some(Word::Bare(next)) if *next == word)
    }

    /// Reads one of the `known` words and returns its meaning.
    pub(super) fn one_of<T: Copy>(&mut self, sort: &str, known: &[(&str, T)]) -> Result<T, Wrong> {
        let words = || {
            known
                .iter()
                .map(|(word, _)| *word)
                .collect::<Vec<_>>()
                .join(" ")
        };
        if self.at_end() {
            return Err(format!(
                "expected {sort}, one of: {}; found the end of the line",
                words()
            ));
        }
        let found = self.word(sort)?;
        let known = known.iter().find(|(word, _)| *word == found);
        known.map(|(_, meaning)| *meaning).ok_or_else(|| {
            format!(
                "{} is not {sort}: expected one of: {}",
                shown(found),
                words()
            )
        })
    }

    /// Returns whether the next word is all digits.
    pub(super) fn at_number(&self) -> bool {
        matches!(self.words.get(self.next), Some(Word::Bare(word)) if is_number(word))
    }

    /// Reads a whole number in `range`.
    pub(super) fn number(&mut self, what: &str, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
        let least = *range.start();
        let most = *range.end();
        let bound = if most == u64::MAX {
            format!("at least {least}")
        } else {
            format!("{least} to {most}")
        };
        let word = self.word(&format!("{what}, a whole number of {bound}"))?;
        let number = if is_number(word) {
            word.parse().ok()
        } else {
            None
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                format!(
                    "{} is not {what}: expected a whole number of {bound}",
                    shown(word)
                )
            })
    }

    /// Reads a node's name.
    pub(super) fn node(&mut self) -> Result<NodeId, Wrong> {
        let word = self.word("a node like `n1`")?;
        self.name_node(word)
    }

    /// Reads a node's name or `none`.
    pub(super) fn node_or_none(&mut self) -> Result<Option<NodeId>, Wrong> {
        if self.take("none") {
            Ok(None)
        } else {
            self.node().map(Some)
        }
    }

    /// Reads a node's name or `*` for every node.
    pub(super) fn node_or_all(&mut self) -> Result<Option<NodeId>, Wrong> {
        if self.take("*") {
            Ok(None)
        } else {
            self.node().map(Some)
        }
    }

    /// Reads distinct nodes, at least one, up to the end of the line or a word of [`BEHIND_NODES`].
    pub(super) fn nodes(&mut self) -> Result<BTreeSet<NodeId>, Wrong> {
        let mut nodes = BTreeSet::new();
        // The first node is read unconditionally, so that an empty list is an error.
        while nodes.is_empty() || !(self.at_end() || BEHIND_NODES.iter().any(|word| self.at(word)))
        {
            let node = self.node()?;
            if !nodes.insert(node) {
                return Err(format!("`{node}` is named twice: expected each node once"));
            }
        }
        Ok(nodes)
    }

    /// Reads a link `A->B`, where `*` is any node.
    pub(super) fn link(&mut self) -> Result<Link, Wrong> {
        let word = self.word("a link like `n1->n2` or `*->n1`")?;
        let Some((from, to)) = word.split_once("->") else {
            return Err(format!(
                "{} is not a link: expected one like `n1->n2` or `*->n1`",
                shown(word)
            ));
        };
        let mut side = |word: &str| {
            if word == "*" {
                Ok(None)
            } else {
                self.name_node(word).map(Some)
            }
        };
        let link = Link {
            from: side(from)?,
            to: side(to)?,
        };
        if link.from.is_some() && link.from == link.to {
            return Err(format!(
                "{} connects a node to itself: expected two nodes",
                shown(word)
            ));
        }
        Ok(link)
    }

    /// Reads a duration like `150ms`.
    pub(super) fn duration(&mut self) -> Result<Duration, Wrong> {
        let word = self.word("a duration like `150ms`, `2s` or `500us`")?;
        duration(word)
    }

    /// Reads a range of durations like `150ms..300ms`.
    pub(super) fn range(&mut self) -> Result<(Duration, Duration), Wrong> {
        let word = self.word("a range like `150ms..300ms`")?;
        let Some((shortest, longest)) = word.split_once("..") else {
            return Err(format!(
                "{} is not a range: expected one like `150ms..300ms`",
                shown(word)
            ));
        };
        let shortest = duration(shortest)?;
        let longest = duration(longest)?;
        if shortest >= longest {
            return Err(format!(
                "{} is empty: expected the shorter duration first",
                shown(word)
            ));
        }
        Ok((shortest, longest))
    }

    /// Reads a command in quotes.
    pub(super) fn command(&mut self) -> Result<String, Wrong> {
        match self.words.get(self.next) {
            Some(Word::Quoted(text)) => {
                self.next += 1;
                Ok((*text).to_string())
            }
            Some(Word::Bare(word)) => Err(format!(
                "{} is not in quotes: expected a command like `\"x\"`",
                shown(word)
            )),
            None => Err("expected a command like `\"x\"`, found the end of the line".into()),
        }
    }

    /// Reads a client and the sequence number of its command, like `c7#3`.
    pub(super) fn client(&mut self) -> Result<(ClientId, u64), Wrong> {
        let word = self.word("a client and its sequence like `c7#3`")?;
        let parts = word.strip_prefix('c').and_then(|rest| rest.split_once('#'));
        let parsed = parts.and_then(|(client, sequence)| {
            (is_number(client) && is_number(sequence)).then_some(())?;
            Some((
                ClientId(client.parse().ok()?),
                sequence.parse().ok().filter(|sequence| *sequence > 0)?,
            ))
        });
        parsed.ok_or_else(|| {
            format!(
                "{} is not a client and its sequence: expected one like `c7#3`, sequences from 1",
                shown(word)
            )
        })
    }

    /// Reads a name that the script defines.
    pub(super) fn name(&mut self) -> Result<String, Wrong> {
        let word = self.word("a name")?;
        let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == '.';
        if word.chars().all(plain) {
            Ok(word.to_string())
        } else {
            Err(format!(
                "{} is not a name: expected letters, digits, `-`, `_` and `.`",
                shown(word)
            ))
        }
    }

    fn name_node(&mut self, word: &str) -> Result<NodeId, Wrong> {
        let digits = word
            .strip_prefix('n')
            .filter(|digits| is_number(digits) && !digits.starts_with('0'));
        let number = digits
            .and_then(|digits| digits.parse().ok())
            .filter(|number| *number <= MAX_MACHINES);
        let node = number.map(NodeId).ok_or_else(|| {
            format!(
                "{} is not a node: expected `n` and a number of 1 to {MAX_MACHINES}, like `n1`",
                shown(word)
            )
        })?;
        self.named.push(node);
        Ok(node)
    }
}

impl Word<'_> {
    fn shown(&self) -> String {
        match self {
            Word::Bare(word) => shown(word),
            Word::Quoted(text) => format!("`\"{}\"`", short(text)),
        }
    }
}

/// Formats a word of the script for an error message.
pub(super) fn shown(word: &str) -> String {
    format!("`{}`", short(word))
}

/// Escapes control characters and truncates to 40 characters.
fn short(word: &str) -> String {
    const MOST: usize = 40;
    let shown: String = word
        .chars()
        .take(MOST)
        .flat_map(char::escape_debug)
        .collect();
    if word.chars().nth(MOST).is_some() {
        shown + "…"
    } else {
        shown
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn duration(word: &str) -> Result<Duration, Wrong> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number = if is_number(digits) {
        digits.parse().ok()
    } else {
        None
    };
    let known = number.and_then(|number| match &word[digits.len()..] {
        "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "us" => Some(Duration::from_micros(number)),
        _ => None,
    });
    let known = known.filter(|duration| *duration <= LONGEST);
    known.ok_or_else(|| {
        let longest = LONGEST.as_secs();
        format!(
            "{} is not a duration: expected one like `150ms`, `2s` or `500us`, at most {longest}s",
            shown(word)
        )
    })
}

/// Returns where the first word of `text` ends. The `#` of `c7#3` does not end it.
fn end_of_word(text: &str) -> usize {
    let mut before = '\0';
    for (place, c) in text.char_indices() {
        let ends = match c {
            '"' | '|' => true,
            '#' => {
                let client = text[..place].strip_prefix('c').is_some_and(is_number);
                !(client && text[place + 1..].starts_with(|next: char| next.is_ascii_digit()))
            }
            // `->` is part of a link, `>=` and `<=` are words of their own.
            '>' => before != '-' && text[place + 1..].starts_with('='),
            '<' => text[place + 1..].starts_with('='),
            c => c.is_whitespace(),
        };
        if ends {
            return place;
        }
        before = c;
    }
    text.len()
}
