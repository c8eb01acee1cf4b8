//! A line as words, and the ways to read them. Every way names what it expected when it finds
//! something else.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use raftian_raft::{ClientId, NodeId};

use super::script::Link;

/// What was wrong with a line, and what was expected.
pub(super) type Wrong = String;

/// Most machines a node's name may count up to: bounds what a script can make the simulator hold.
pub(super) const MAX_MACHINES: u64 = 128;

/// Longest duration of one statement: bounds how long a script can make the simulator run.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Lexer that may stand behind a list of nodes.
const BEHIND_NODES: [&str; 6] = [
    "|",
    "learners",
    "learner",
    "witness",
    "witnesses",
    "outgoing",
];

/// The words of one line that are still to be read, and the nodes that were.
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
    /// and `<=` stand alone.
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

    /// Whether every word was read.
    pub(super) fn at_end(&self) -> bool {
        self.next == self.words.len()
    }

    /// Every node that was read, for the check that it exists.
    pub(super) fn into_named(self) -> Vec<NodeId> {
        self.named
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        match self.words.get(self.next) {
            None => Ok(()),
            Some(word) => Err(format!(
                "{} is one word too many: expected the end of the line",
                word.shown()
            )),
        }
    }

    /// `within D` at the end of the line: what stands before it is read as if the line ended there.
    pub(super) fn within(&mut self) -> Result<Duration, Wrong> {
        let expected = "expected `within` and a duration like `2s` at the end of the line";
        match self.words[self.next..] {
            [.., Word::Bare("within"), Word::Bare(last)] => {
                let within = duration(last)?;
                self.words.truncate(self.words.len() - 2);
                Ok(within)
            }
            _ => Err(expected.into()),
        }
    }

    /// A rate like `110%`.
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

    /// The quoted text that comes next, if one does.
    pub(super) fn quoted(&mut self) -> Option<String> {
        let Some(Word::Quoted(text)) = self.words.get(self.next) else {
            return None;
        };
        self.next += 1;
        Some((*text).to_string())
    }

    /// The next word, whatever it is.
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

    /// The next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.at(word);
        self.next += usize::from(found);
        found
    }

    /// Whether the next word is this one.
    pub(super) fn at(&self, word: &str) -> bool {
        matches!(self.words.get(self.next), Some(Word::Bare(next)) if *next == word)
    }

    /// One of these words, by what it stands for.
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

    /// Whether the next word is all digits.
    pub(super) fn at_number(&self) -> bool {
        matches!(self.words.get(self.next), Some(Word::Bare(word)) if is_number(word))
    }

    /// A whole number in this range.
    pub(super) fn number(&mut self, what: &str, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
        let (least, most) = (*range.start(), *range.end());
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

    /// A node by name.
    pub(super) fn node(&mut self) -> Result<NodeId, Wrong> {
        let word = self.word("a node like `n1`")?;
        self.name_node(word)
    }

    /// A node by name, or `none`.
    pub(super) fn node_or_none(&mut self) -> Result<Option<NodeId>, Wrong> {
        if self.take("none") {
            Ok(None)
        } else {
            self.node().map(Some)
        }
    }

    /// A node by name, or `*` for every node.
    pub(super) fn node_or_all(&mut self) -> Result<Option<NodeId>, Wrong> {
        if self.take("*") {
            Ok(None)
        } else {
            self.node().map(Some)
        }
    }

    /// Nodes up to the end of the line or the next of [`BEHIND_NODES`], each once; at least one.
    pub(super) fn nodes(&mut self) -> Result<BTreeSet<NodeId>, Wrong> {
        let mut nodes = BTreeSet::new();
        while nodes.is_empty() || !(self.at_end() || BEHIND_NODES.iter().any(|word| self.at(word)))
        {
            let node = self.node()?;
            if !nodes.insert(node) {
                return Err(format!("`{node}` is named twice: expected each node once"));
            }
        }
        Ok(nodes)
    }

    /// `A->B`, where `*` is any node.
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
                "{} leads back to its own node: expected two nodes",
                shown(word)
            ));
        }
        Ok(link)
    }

    /// A duration like `150ms`.
    pub(super) fn duration(&mut self) -> Result<Duration, Wrong> {
        let word = self.word("a duration like `150ms`, `2s` or `500us`")?;
        duration(word)
    }

    /// A range of durations like `150ms..300ms`.
    pub(super) fn range(&mut self) -> Result<(Duration, Duration), Wrong> {
        let word = self.word("a range like `150ms..300ms`")?;
        let Some((shortest, longest)) = word.split_once("..") else {
            return Err(format!(
                "{} is not a range: expected one like `150ms..300ms`",
                shown(word)
            ));
        };
        let (shortest, longest) = (duration(shortest)?, duration(longest)?);
        if shortest >= longest {
            return Err(format!(
                "{} holds nothing: expected the shorter duration first",
                shown(word)
            ));
        }
        Ok((shortest, longest))
    }

    /// A command in quotes.
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

    /// A client and the sequence of its command, like `c7#3`.
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

    /// A name of the script's own.
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

/// A word of the script as an error message shows it.
pub(super) fn shown(word: &str) -> String {
    format!("`{}`", short(word))
}

/// Without control characters, and not longer than a line of text.
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

/// Where the first word of `text` ends. The `#` of `c7#3` does not end it.
fn end_of_word(text: &str) -> usize {
    let mut before = '\0';
    for (place, c) in text.char_indices() {
        let ends = match c {
            '"' | '|' => true,
            '#' => {
                let client = text[..place].strip_prefix('c').is_some_and(is_number);
                !(client && text[place + 1..].starts_with(|next: char| next.is_ascii_digit()))
            }
            // `->` is part of a link, `>=` and `<=` stand alone.
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
