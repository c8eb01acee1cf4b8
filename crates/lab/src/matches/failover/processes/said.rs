//! What a match and its processes say to each other: a word and numbers in a line.

use std::fmt;

use raftian_raft::ClientId;

/// What a process says, on stdout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It leads since so many microseconds.
    Leads {
        /// In this term.
        term: u64,
        /// Microseconds: it looks at itself now and then.
        ago: u64,
    },
    /// It knows who leads in this term.
    Follows(u64),
    /// It knows an order as committed; said on the node's own thread, before its program can have
    /// heard of it.
    Committed(ClientId, u64),
    /// An order had its effect on its state.
    Effect {
        /// Effects so far, this one included.
        count: u64,
        /// All of them in one number.
        hash: u64,
        /// Whose order,
        client: ClientId,
        /// and which of them.
        sequence: u64,
    },
    /// A snapshot took the place of its state, which has so many effects with this hash now.
    Restored(u64, u64),
    /// The order that its player gave had its effect, now or with a snapshot.
    Done(ClientId, u64),
    /// All of its state in words, because it was asked.
    State(Vec<u64>),
}

/// What a process is told, on stdin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// Its player gives this order.
    Order(ClientId, u64),
    /// It is to say its state.
    State,
}

impl Said {
    /// What a line says; `None` if that is nothing.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (word, numbers) = parts(line)?;
        Some(match (word, numbers.as_slice()) {
            ("leads", [term, ago]) => Said::Leads {
                term: *term,
                ago: *ago,
            },
            ("follows", [term]) => Said::Follows(*term),
            ("committed", [client, sequence]) => Said::Committed(ClientId(*client), *sequence),
            ("effect", &[count, hash, client, sequence]) => Said::Effect {
                count,
                hash,
                client: ClientId(client),
                sequence,
            },
            ("restored", [count, hash]) => Said::Restored(*count, *hash),
            ("done", [client, sequence]) => Said::Done(ClientId(*client), *sequence),
            ("state", _) => Said::State(numbers),
            _ => return None,
        })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Leads { term, ago } => write!(f, "leads {term} {ago}"),
            Said::Follows(term) => write!(f, "follows {term}"),
            Said::Committed(client, sequence) => write!(f, "committed {} {sequence}", client.0),
            Said::Effect {
                count,
                hash,
                client,
                sequence,
            } => {
                write!(f, "effect {count} {hash} {} {sequence}", client.0)
            }
            Said::Restored(count, hash) => write!(f, "restored {count} {hash}"),
            Said::Done(client, sequence) => write!(f, "done {} {sequence}", client.0),
            Said::State(words) => {
                f.write_str("state")?;
                words.iter().try_for_each(|word| write!(f, " {word}"))
            }
        }
    }
}

impl Told {
    /// What a line says; `None` if that is nothing.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (word, numbers) = parts(line)?;
        match (word, numbers.as_slice()) {
            ("order", [client, sequence]) => Some(Told::Order(ClientId(*client), *sequence)),
            ("state", []) => Some(Told::State),
            _ => None,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Order(client, sequence) => write!(f, "order {} {sequence}", client.0),
            Told::State => f.write_str("state"),
        }
    }
}

/// The word and the numbers of a line.
fn parts(line: &str) -> Option<(&str, Vec<u64>)> {
    let mut words = line.split_ascii_whitespace();
    let word = words.next()?;
    Some((
        word,
        words
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_said() {
        let client = ClientId(7);
        for said in [
            Said::Leads { term: 3, ago: 250 },
            Said::Follows(3),
            Said::Committed(client, 1),
            Said::Effect {
                count: 9,
                hash: u64::MAX,
                client,
                sequence: 2,
            },
            Said::Restored(4, 5),
            Said::Done(client, 2),
            Said::State(vec![1, 2, 3]),
        ] {
            assert_eq!(Said::read(&said.to_string()), Some(said));
        }
        for told in [Told::Order(client, 8), Told::State] {
            assert_eq!(Told::read(&told.to_string()), Some(told));
        }
        for noise in ["", "leads", "leads 1 -2", "order 1", "effect 1 2 3 x"] {
            assert_eq!(
                (Said::read(noise), Told::read(noise)),
                (None, None),
                "{noise}"
            );
        }
    }
}
