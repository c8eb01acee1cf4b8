//! Output shared by every experiment.
//!
//! A [`table`] for the terminal, a [`document`] in JSON, [`csv`] for spreadsheets, a [`chart`] as
//! SVG and, with the feature `png`, as PNG, and an [`html`] page with all of it. Each study lists
//! its quantities once, as [`mod@column`]s, and hands its [`findings`] to the requested [`output`]s.
//! [`progress`] reports on a running experiment, an [`assertion`] is judged at the end, and
//! [`parallel`] keeps every core busy.
//!
//! # Decisions
//! **PNG from SVG.** Decision: a chart is drawn once, as SVG. The feature `png`, off by default,
//! renders that with resvg of the 0.45 line and a compiled-in font. Why: browsers and this
//! repository's pages show SVG; the two cannot differ, and no machine needs a font. Later lines of
//! resvg share crates with Bevy but enable other features of them, so a workspace build would
//! compile all of Bevy twice. Would change if: Bevy moved to the versions that a newer resvg uses.
//!
//! **A document contains no run time.** Decision: wall-clock time goes to stderr. Why: equal seeds
//! give equal documents, which can be compared byte by byte, regardless of the number of threads.
//! Would change if: an experiment measured the machine, whose timing then is its result.

pub mod assertion;
pub mod chart;
pub mod column;
pub mod csv;
pub mod document;
pub mod environment;
pub mod findings;
pub mod html;
pub mod output;
pub mod parallel;
#[cfg(feature = "png")]
pub mod png;
pub mod progress;
pub mod statistics;
pub mod table;
