//! Line protocol between a match and its processes: a word and numbers per line.

use std::fmt;

use raftian_raft::ClientId;

/// Report of a process, on stdout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ChildEvent {
    /// The process leads.
    Leads {
        /// Term of its leadership.
        term: u64,
        /// Microseconds since the election, since the program polls its node.
        ago: u64,
    },
    /// The process knows the leader of this term.
    Follows(u64),
    /// The process knows an order as committed; written on the node's own thread, before its
    /// program can receive the entry.
    Committed(ClientId, u64),
    /// An order took effect on its state.
    Effect {
        /// Effects so far, including this one.
        count: u64,
        /// Hash of all effects.
        hash: u64,
        /// Client of the order.
        client: ClientId,
        /// Sequence number of the order.
        sequence: u64,
    },
    /// A snapshot replaced its state, which now has this many effects with this hash.
    Restored(u64, u64),
    /// Its player's order took effect, directly or in a snapshot.
    Done(ClientId, u64),
    /// Its complete state as words, on request.
    State(Vec<u64>),
}

/// Command to a process, on stdin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChildCommand {
    /// Its player gives this order.
    Order(ClientId, u64),
    /// Request for its state.
    State,
}

impl ChildEvent {
    /// Parses a line; `None` if it is malformed.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (word, numbers) = parts(line)?;
        Some(match (word, numbers.as_slice()) {
            ("leads", [term, ago]) => ChildEvent::Leads {
                term: *term,
                ago: *ago,
            },
            ("follows", [term]) => ChildEvent::Follows(*term),
            ("committed", [client, sequence]) => {
                ChildEvent::Committed(ClientId(*client), *sequence)
            }
            ("effect", &[count, hash, client, sequence]) => ChildEvent::Effect {
                count,
                hash,
                client: ClientId(client),
                sequence,
            },
            ("restored", [count, hash]) => ChildEvent::Restored(*count, *hash),
            ("done", [client, sequence]) => ChildEvent::Done(ClientId(*client), *sequence),
            ("state", _) => ChildEvent::State(numbers),
            _ => return None,
        })
    }
}

impl fmt::Display for ChildEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildEvent::Leads { term, ago } => write!(f, "leads {term} {ago}"),
            ChildEvent::Follows(term) => write!(f, "follows {term}"),
            ChildEvent::Committed(client, sequence) => {
                write!(f, "committed {} {sequence}", client.0)
            }
            ChildEvent::Effect {
                count,
                hash,
                client,
                sequence,
            } => {
                write!(f, "effect {count} {hash} {} {sequence}", client.0)
            }
            ChildEvent::Restored(count, hash) => write!(f, "restored {count} {hash}"),
            ChildEvent::Done(client, sequence) => write!(f, "done {} {sequence}", client.0),
            ChildEvent::State(words) => {
                f.write_str("state")?;
                words.iter().try_for_each(|word| write!(f, " {word}"))
            }
        }
    }
}

impl ChildCommand {
    /// Parses a line; `None` if it is malformed.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (word, numbers) = parts(line)?;
        match (word, numbers.as_slice()) {
            ("order", [client, sequence]) => {
                Some(ChildCommand::Order(ClientId(*client), *sequence))
            }
            ("state", []) => Some(ChildCommand::State),
            _ => None,
        }
    }
}

impl fmt::Display for ChildCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildCommand::Order(client, sequence) => write!(f, "order {} {sequence}", client.0),
            ChildCommand::State => f.write_str("state"),
        }
    }
}

/// Splits a line into its word and its numbers.
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
    fn lines_parse_back_as_written() {
        let client = ClientId(7);
        for event in [
            ChildEvent::Leads { term: 3, ago: 250 },
            ChildEvent::Follows(3),
            ChildEvent::Committed(client, 1),
            ChildEvent::Effect {
                count: 9,
                hash: u64::MAX,
                client,
                sequence: 2,
            },
            ChildEvent::Restored(4, 5),
            ChildEvent::Done(client, 2),
            ChildEvent::State(vec![1, 2, 3]),
        ] {
            assert_eq!(ChildEvent::read(&event.to_string()), Some(event));
        }
        for command in [ChildCommand::Order(client, 8), ChildCommand::State] {
            assert_eq!(ChildCommand::read(&command.to_string()), Some(command));
        }
        for noise in ["", "leads", "leads 1 -2", "order 1", "effect 1 2 3 x"] {
            assert_eq!(
                (ChildEvent::read(noise), ChildCommand::read(noise)),
                (None, None),
                "{noise}"
            );
        }
    }
}
