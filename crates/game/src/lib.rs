//! Raftian: a strategy game without a host, in which every player's machine is a Raft node.
//!
//! [`realm`] contains the rules of classic mode, without Bevy. [`replication`] applies committed
//! orders to it and to the entities of [`projection`], in one place, and [`table`] does so for
//! Crowns. `view` draws classic mode, and `play` proposes orders for clicks; `crowns` does both for
//! Crowns, from the widgets of `ui`; `screens` leads from one to the other, `audio` lets
//! cues and music sound, and `overlay` shows consensus at work. None of them writes replicated
//! state. `settings` keeps what the player has chosen, and `language` has the texts of the window.
//! [`divergence_report`] writes a file when this machine's state differed from that of the others,
//! and [`evidence`] does so when a leader let a false order through.
//! [`headless`] runs a member without a window, [`embedded`] a whole match in one process, and
//! [`cli`] is the command line.

#[macro_use]
mod language;

pub mod admin;
#[cfg(feature = "client")]
pub mod audio;
pub mod classic_layout;
pub mod cli;
pub mod cluster_view;
#[cfg(feature = "client")]
mod crowns;
#[cfg(feature = "client")]
pub mod display;
pub mod divergence_report;
pub mod embedded;
pub mod evidence;
pub mod feed;
pub mod frame_cap;
pub mod headless;
mod match_directory;
#[cfg(feature = "client")]
pub mod overlay;
#[cfg(feature = "client")]
mod play;
pub mod projection;
/// The rules of classic mode.
pub use raftian_realm::classic as realm;
mod refusal_words;
#[cfg(feature = "client")]
mod remote;
pub mod replication;
pub mod report_files;
pub mod report_words;
#[cfg(feature = "client")]
pub mod screens;
pub mod seat;
#[cfg(feature = "client")]
mod settings;
pub mod status_document;
pub mod table;
pub mod table_document;
pub mod table_text;
pub mod terminal;
#[cfg(feature = "client")]
mod ui;
#[cfg(feature = "client")]
pub mod view;
pub mod wake;
#[cfg(feature = "client")]
pub mod window;
