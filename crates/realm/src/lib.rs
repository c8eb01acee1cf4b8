//! The rules of the game: the replicated state of a match and the orders that change it.
//!
//! Plain data and integer rules. This crate uses no engine, clock, chance, float or unordered
//! collection, so two machines that apply the same orders in the same sequence have equal states,
//! and bots, replays and the simulator run the game's own rules without a window. Time is the stamp
//! of a log entry, and what looks like chance follows from the seed of the match.
//!
//! * [`classic`]: every order hits a city; four hits fell it.
//! * [`crowns`]: cities that grow, march and fight for the Throne.
//! * [`table`]: the players and bots at a table, and the matches of Crowns that they play.
//!
//! Decision: the rules are a crate of their own. Why: its dependencies prove what a comment could
//! only claim, and everything that plays without a window builds in seconds. Would change if: rules
//! needed the engine.

pub mod classic;
pub mod crowns;
pub mod table;
