//! What every experiment shares: how its numbers reach people and programs.
//!
//! A [`table`] for people, a [`document`] for programs, [`csv`] for spreadsheets, a [`chart`] as
//! SVG and, by [`png`], as PNG, and a [`page`] with all of it. [`progress`] is told while it runs,
//! [`threshold`]s are judged at the end, and [`spread`] keeps every core busy with it.
//!
//! # Decisions
//! **PNG from SVG.** Decision: a chart is drawn once, as SVG, and resvg of the 0.45 line makes the
//! PNG, with envelopes that are compiled in. Why: the two cannot differ, and no machine needs a font.
//! Later lines of resvg share crates with Bevy and ask for other features of them, so all of Bevy
//! would be built once more in a build of the workspace. Would change if: Bevy moved to the
//! versions that a newer resvg uses.
//!
//! **A document says nothing about how long it took.** Decision: wall-clock time goes to stderr.
//! Why: equal seeds give equal documents, which can be compared byte by byte, whatever the number
//! of threads. Would change if: an experiment measured the machine, which then is its result.

pub mod assertion;
pub mod chart;
pub mod csv;
pub mod document;
pub mod environment;
pub mod html;
pub mod parallel;
pub mod png;
pub mod progress;
pub mod statistics;
pub mod table;
