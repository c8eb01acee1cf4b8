//! The scenario language: readable transcripts, run against the shipping core.
//!
//! [`Script::parse`] turns the text of a transcript into a [`Script`]. An unknown statement, or one
//! that contradicts another, is a [`ScriptError`] with the file, the line and the expected input.
//!
//! # Grammar
//! One statement per line, words separated by blanks. First `cluster`, options and presets, in any
//! order, then steps. `#` begins a comment, except in quotes and in `c7#3`; empty lines are
//! ignored. The block is itself a script: it parses, but is not meant to run.
//!
//! ```text
//! cluster 5 learners n6 n7 witness n5  # voters n1 to n5, n5 without state; then the learners
//!
//! option prevote off                 # pre-vote (thesis 9.6); default on
//! option checkquorum off             # step down without a quorum, stick to a leader; default on
//! option lease on                    # answer `lease-read` from the leader's lease; default off
//! option replace-incarnations off    # a member that lost its disk rejoins by itself; default on
//! option founders-agree on           # founders agree on their incarnations first; default off
//! option adaptive on                 # election timeouts from measured round trips; default off
//! option adaptive 100ms..1s          # the same with this floor and this ceiling
//! option max-append-entries 1        # entries in one message
//! option inflight 4                  # messages with entries in flight to one follower
//! option inflight-bytes 1000         # bytes of entries in flight to one follower
//! option max-uncommitted 10          # uncommitted entries before a leader refuses proposals
//! option apply-window 5              # entries handed out to be applied and not yet reported
//! option hash-every 1                # entries from one state hash to the next; default never
//! option snapshot-keep 2             # entries kept behind a snapshot for slow followers
//! option snapshot-entries 20         # entries after which a node takes a snapshot by itself
//! option snapshot-bytes 100000       # bytes of entries after which a node takes a snapshot
//! option max-log-bytes 9000          # largest log past the snapshot, in bytes; default unbounded
//! option snapshot-chunk 16           # bytes of a snapshot in one message
//! option snapshot-inflight 2         # chunks in flight to one follower
//! option max-snapshot-bytes 1000     # the largest snapshot a node takes
//! option election 150ms..300ms       # election timeouts; this is the default
//! option heartbeat 50ms              # default; must be less than the shortest election timeout
//! option disk-timeout 300ms          # a write that takes longer counts as hung; default 2s
//! option promote-after 1s            # how long a joining member must have kept up
//! option priority n1 2               # a node with a higher priority campaigns sooner
//! option seed 7                      # of the cluster's RNG
//!
//! log n1 1 1 2 4                     # terms of entries 1 to 4, ascending; raises the term to 4
//! log * 1                            # for every node; a later preset overrides an earlier one
//! entry n1 4 "x"                     # one more entry after those of `log`, with a command
//! term n1 4                          # raised to the term of the last entry if less
//! vote n1 n2                         # in the initial term; `none` removes the vote
//! commit n1 1                        # at most the number of entries
//!
//! campaign n1                        # the election timer of n1 fires now
//! tick n1                            # the next timer of n1 fires; no other clock moves
//! advance 200ms                      # time passes, due timers fire, no delivery; us, ms or s
//! deliver                            # until nothing is queued
//! deliver n1->n2                     # messages queued now, oldest first; new ones stay queued
//! deliver *->n1 vote-reply           # `*` is any node; see the kinds of messages below
//! deliver n1->n2 append 1            # at most this many
//! deliver n1->* 2                    # the same of any kind
//! drop n2->n1 append-reply           # selected in the same way
//! drop                               # everything
//! dup n1->n2 append                  # appends a copy to the queue
//! dup n1->n2 append 1 later old      # keeps the copy under the name `old`
//! replay old                         # delivers the copies kept as `old`
//! partition n1 n2 | n3 n4            # no messages between groups; n5 to n7 are alone
//! partition only n1 n2 | n3 n4       # the same, after mending all earlier cuts
//! delay n1->n2 20ms                  # latency where time passes; `deliver` by name does not wait
//! clock n1 110%                      # rate of the clock of n1 from now on
//! pause n1                           # n1 stalls; incoming messages wait
//! resume n1
//! cut n1->n2                         # one way
//! cut *->n3                          # n3 receives nothing
//! isolate n3                         # both ways
//! heal                               # mends all links
//! propose n1 "x"                     # a unique command; no `"` inside
//! propose n1 as c7#3 "x"             # the third command of client c7, also if proposed again
//! read n1 as r1                      # ReadIndex
//! lease-read n1 as r2                # from the lease
//! transfer n1 n3                     # n1 transfers leadership to n3
//! transfer n1                        # to the most up-to-date follower
//! member n1 add n8                   # a voter; n8, not a member before, has an empty disk
//! member n1 learner n9               # a learner that stays one
//! member n1 witness n11              # a voter that keeps no state
//! member n1 join n10                 # a learner that becomes a voter once it has kept up
//! member n1 remove n2                # neither voter nor learner any more
//! member n1 voters n1 n3 n4 learners n5  # exactly these; joint if more than one voter changes
//! member n1 contact n4 "a"           # records the contact of n4
//! compact n1 5                       # snapshot at the applied index; drops entries up to 5
//! crash n1                           # loses writes that were not synced
//! restart n1                         # from its disk
//! wipe n1                            # restarts with an empty disk under the same id
//! astray n1                          # its state diverges from the log
//! tear n1                            # crashes in the middle of a write
//! fail-disk n1                       # its next write fails
//! fill-disk n1                       # its disk is full
//! free-disk n1                       # its disk has space again
//! copy-disk n1 as old                # the whole disk, including the rollback guard
//! put-back n1 old                    # restores that copy and starts n1 from it
//! hold-disk n1                       # its writes wait
//! release-disk n1 1                  # one of them completes, the disk stays held
//! release-disk n1                    # all complete, later ones at once
//! stabilize                          # deliver and complete writes until quiet; no time passes
//! run 2s                             # exactly 2s pass; messages and writes complete at once
//! settle 2s                          # up to 2s, until one leader and equal commits; else an error
//!
//! until leader within 2s             # time passes until the expectation holds; else an error
//!
//! expect leader n1
//! expect leader                      # any
//! expect not leader n1               # negates any of these; an error if it cannot be evaluated
//! expect no-leader
//! expect leader-of n2 n1             # the leader that n2 follows, or `none`
//! expect role n2 follower            # follower pre-candidate candidate leader learner witness
//! expect term n1 3                   # instead of a number, `>= 3` and `<= 3` are bounds
//! expect vote n1 n2                  # or `none`
//! expect log n1 1 1 2                # terms of the entries after the snapshot, if any
//! expect last n1 7
//! expect first n1 4
//! expect log-equal n1 n2 n3
//! expect state-equal n1 n2           # the same entries applied, and the same hash
//! expect commit n1 2
//! expect commit n1 >= 2
//! expect applied n1 "x" "y"          # applied commands in order, also from snapshots; may be none
//! expect config n1 voters n1 n2 outgoing n1 n2 n3 learners n6
//! expect contact n1 n4 "a"           # contact of n4 as recorded in the log of n1, or `none`
//! expect read r1 4                   # answered at index 4
//! expect read r1 >= 4
//! expect read r1 pending
//! expect read r1 refused
//! expect read r1 refused "witness"   # the reason contains this text
//! expect next n1 n2 5                # nextIndex
//! expect match n1 n2 4               # matchIndex
//! expect refused                     # the last propose, member, read or transfer
//! expect refused "not committed"     # the reason contains this text
//! expect accepted
//! expect queued n1->n2 append 1      # without a kind: messages of any kind
//! expect alive n1                    # it has not stopped or panicked
//! ```
//!
//! Kinds of messages: `pre-vote`, `pre-vote-reply`, `request-vote`, `vote-reply`, `append` (with or
//! without entries), `append-reply`, `heartbeat` (an append without entries), `heartbeat-reply`,
//! `snapshot`, `snapshot-reply`, `timeout-now`, `forward`, `forward-reply`, `read`, `read-reply`,
//! `lost-entries`.
//!
//! # Bounds
//! At most [`Cluster::MAX_VOTERS`](script::Cluster::MAX_VOTERS) voters, machines up to `n128`,
//! 100,000 preset entries per log, a day per statement. A line that exceeds a bound is an error.

mod expect;
mod failure;
mod lexer;
mod parse;
mod run;
mod runner;
pub mod script;

#[cfg(test)]
mod tests;

use std::fmt;

pub use failure::{Cause, Failure, Refusal};
pub use run::{run, run_planted};
pub use script::Script;

/// Parse error of a transcript. `Display` is `FILE:LINE: what is wrong: what was expected`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptError {
    /// File name given by the caller.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
    /// Description of the error and of the expected input.
    pub what: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScriptError { file, line, what } = self;
        write!(f, "{file}:{line}: {what}")
    }
}

impl std::error::Error for ScriptError {}
