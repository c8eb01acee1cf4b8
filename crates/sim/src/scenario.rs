//! The scenario language: transcripts that a reviewer can read aloud, run against the shipping
//! core.
//!
//! [`Script::parse`] turns the text of a transcript into a [`Script`]; a line that the language
//! does not know, or that contradicts another, is a [`ScriptError`] that names file and line and
//! says what was expected.
//!
//! # Grammar
//! One statement a line, words separated by blanks. First `cluster`, options and presets, in any
//! order, then steps. `#` begins a comment, except in quotes and in `c7#3`; empty lines say
//! nothing. The block is itself a script: it parses, though nobody would run it.
//!
//! ```text
//! cluster 5 learners n6 n7 witness n5  # voters n1 to n5, of which n5 keeps no state; learners come after the voters
//!
//! option prevote off                 # ask before standing (thesis 9.6); on unless switched off
//! option checkquorum off             # leaders step down without a quorum, followers stick to a leader; on unless off
//! option lease on                    # `lease-read` may be answered from the leader's lease; off unless switched on
//! option replace-incarnations off    # a member whose disk was lost joins again by itself unless off
//! option adaptive on                 # election timeouts from measured round trips; off unless switched on
//! option adaptive 100ms..1s          # the same with this floor and this ceiling
//! option max-append-entries 1        # entries in one message
//! option inflight 4                  # messages with entries under way to one follower
//! option inflight-bytes 1000         # bytes of entries under way to one follower
//! option max-uncommitted 10          # entries a leader holds uncommitted before it refuses proposals
//! option apply-window 5              # entries handed out for applying and not yet reported
//! option hash-every 1                # entries from one hash of the states to the next; never unless told
//! option snapshot-keep 2             # entries kept behind a snapshot for slow followers
//! option snapshot-entries 20         # entries after which a node takes a snapshot by itself
//! option snapshot-bytes 100000       # bytes of entries after which it does
//! option max-log-bytes 9000           # bytes of entries without a snapshot at which a log is full; unbounded without it
//! option snapshot-chunk 16           # bytes of a snapshot in one message
//! option snapshot-inflight 2         # chunks under way to one follower
//! option max-snapshot-bytes 1000     # the largest snapshot a node takes
//! option election 150ms..300ms       # this is what it is without the option
//! option heartbeat 50ms              # this too; shorter than the shortest election timeout
//! option disk-timeout 300ms          # a write that takes longer counts as hung; 2s without the option
//! option promote-after 1s            # how long a joining member must have kept up
//! option priority n1 2               # the higher, the sooner it stands
//! option seed 7                      # of all rng
//!
//! log n1 1 1 2 4                     # terms of entries 1 to 4, none below the one before; raises the term to 4
//! log * 1                            # the same for every node; of two presets for one node the later one counts
//! entry n1 4 "x"                     # one more entry behind those of `log`, with a command
//! term n1 4                          # at least the term of the last entry, whatever stands here
//! vote n1 n2                         # in the term it begins in; `none` takes it back
//! commit n1 1                        # no more than there are entries
//!
//! campaign n1                        # the election timer of n1 fires now
//! tick n1                            # the next timer of n1 fires, whichever it is; no other clock moves
//! advance 200ms                      # time passes for all; due timers fire; nothing is delivered; us, ms or s
//! deliver                            # until nothing is queued
//! deliver n1->n2                     # what is queued on this link now, oldest first; what that causes stays queued
//! deliver *->n1 vote-reply           # `*` is any node; see the kinds of messages below
//! deliver n1->n2 append 1            # at most this many
//! deliver n1->* 2                    # the same of any kind
//! drop n2->n1 append-reply           # the same choice of messages
//! drop                               # everything
//! dup n1->n2 append                  # puts a copy behind all others
//! dup n1->n2 append 1 later old      # keeps it aside as `old`
//! replay old                         # delivers what was kept aside as `old`
//! partition n1 n2 | n3 n4            # nodes of different groups do not hear each other; n5 to n7 are alone
//! partition only n1 n2 | n3 n4       # the same in place of all earlier cuts
//! delay n1->n2 20ms                  # its messages take that long where time passes; `deliver` by name does not wait
//! clock n1 110%                      # it runs faster from now on
//! pause n1                           # it stands still, and what arrives waits
//! resume n1
//! cut n1->n2                         # one way
//! cut *->n3                          # n3 hears nobody
//! isolate n3                         # both ways
//! heal                               # all links are whole again
//! propose n1 "x"                     # a command like no other; no `"` inside
//! propose n1 as c7#3 "x"             # the third command of client c7, however often it is proposed
//! read n1 as r1                      # ReadIndex
//! lease-read n1 as r2                # from the lease
//! transfer n1 n3                     # n1 hands leadership to n3
//! transfer n1                        # to the follower that has most
//! member n1 add n8                   # a voter; n8 was no member, so it is there with an empty disk from the beginning
//! member n1 learner n9               # a learner that stays one
//! member n1 witness n11              # a voter that keeps no state
//! member n1 join n10                 # a learner that becomes a voter once it has kept up
//! member n1 remove n2                # neither voter nor learner any more
//! member n1 voters n1 n3 n4 learners n5  # these and no others; joint if more than one voter changes
//! compact n1 5                       # a snapshot at the applied index; entries up to 5 are dropped
//! crash n1                           # loses what was not synced
//! restart n1                         # from its disk
//! wipe n1                            # restarts with an empty disk under the same id
//! astray n1                          # its state becomes what does not follow from the log
//! tear n1                            # crashes in the middle of a write
//! fail-disk n1                       # its next write fails
//! fill-disk n1                       # no room on it
//! free-disk n1                       # room again
//! copy-disk n1 as old                # all of it, the rollback guard included
//! put-back n1 old                    # is what it was then, and n1 starts from it
//! hold-disk n1                       # its writes wait
//! release-disk n1 1                  # one of them completes, the disk stays held
//! release-disk n1                    # all complete, and later ones at once
//! stabilize                          # deliver and complete writes until quiet; no time passes
//! run 2s                             # exactly that much time passes; all is delivered and written at once
//! settle 2s                          # up to that much time passes, until one leader and equal commits; else an error
//!
//! until leader within 2s             # time passes and all is delivered until it holds; an error after that
//!
//! expect leader n1
//! expect leader                      # whoever it is
//! expect not leader n1               # the opposite of any of these, if it can be looked at
//! expect no-leader
//! expect leader-of n2 n1             # whom n2 believes; `none` for nobody
//! expect role n2 follower            # follower pre-candidate candidate leader learner witness
//! expect term n1 3                   # where a number is expected, `>= 3` and `<= 3` are bounds
//! expect vote n1 n2                  # or `none`
//! expect log n1 1 1 2                # terms of the entries after the snapshot; none for an empty log
//! expect last n1 7
//! expect first n1 4
//! expect log-equal n1 n2 n3
//! expect state-equal n1 n2           # the same entries applied, and the same hash
//! expect commit n1 2
//! expect commit n1 >= 2
//! expect applied n1 "x" "y"          # commands applied, in order, those in snapshots too; none if none
//! expect config n1 voters n1 n2 outgoing n1 n2 n3 learners n6
//! expect read r1 4                   # answered at index 4
//! expect read r1 >= 4
//! expect read r1 pending
//! expect read r1 refused
//! expect read r1 refused "witness"   # for a reason with this in it
//! expect next n1 n2 5                # nextIndex
//! expect match n1 n2 4               # matchIndex
//! expect refused                     # the last propose, member, read or transfer
//! expect refused "not committed"     # for a reason with this in it
//! expect accepted
//! expect queued n1->n2 append 1      # without a kind, of any
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
//! 100,000 preset entries of one log, a day in one statement. More is an error of its line.

mod expect;
mod lexer;
mod parse;
mod run;
pub mod script;

#[cfg(test)]
mod tests;

use std::fmt;

pub use run::{Failure, run, run_planted};
pub use script::Script;

/// Why a transcript could not be read. `Display` is `FILE:LINE: what was wrong: what was expected`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptError {
    /// The file as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What was wrong, and what was expected.
    pub what: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScriptError { file, line, what } = self;
        write!(f, "{file}:{line}: {what}")
    }
}

impl std::error::Error for ScriptError {}
