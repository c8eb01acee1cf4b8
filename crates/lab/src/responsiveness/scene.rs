//! What a window is told to show, and what it says it saw: one line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One window with dots, for a program that can open it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// Dots.
    pub dots: u32,
    /// Most frames a second; `None` for as many as there can be.
    pub fps: Option<u32>,
    /// How long it is before anything is measured, in seconds; a node that shall lead may take
    /// longer.
    pub warm_up: f64,
    /// How many whole seconds are measured.
    pub seconds: u64,
    /// Only the schedule: nothing is drawn, and no display is needed.
    pub headless: bool,
    /// Orders a second that are proposed, if there is a node.
    pub orders: f64,
    /// From which the dots' colours and steps follow.
    pub seed: u64,
    /// The window's node.
    pub node: Option<SceneNode>,
}

/// A node inside the window's process.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneNode {
    /// Its file, as written for a new cluster.
    pub file: PathBuf,
    /// Whether the frames pump it; else it has a thread of its own.
    pub in_schedule: bool,
}

/// What came of a [`Scene`].
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// What drew: name, kind and interface of the graphics adapter; `None` if nothing was drawn.
    pub adapter: Option<String>,
    /// `release` or `debug`.
    pub profile: String,
    /// One sample for each second: when, in seconds since 1970, and how many frames it had.
    pub log: Vec<(f64, u32)>,
    /// Frames that were measured.
    pub frames: u64,
    /// Their times.
    pub frame_ms: FrameTimes,
    /// From proposing an order to the frame that saw it applied, for each, in milliseconds.
    pub commits_ms: Vec<f64>,
    /// Orders that were proposed and not seen.
    pub unseen: u64,
    /// What its node did.
    pub node: Option<NodeSeen>,
}

/// How long frames took, in milliseconds.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct FrameTimes {
    /// Their mean.
    pub mean: f64,
    /// Half of them took no longer,
    pub p50: f64,
    /// 95 of 100 took no longer,
    pub p95: f64,
    /// and 99 of 100.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// What a window's node did while frames were measured.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct NodeSeen {
    /// Share of the time in which it led.
    pub led: f64,
    /// New terms.
    pub terms: u64,
    /// Messages that it sent, each second.
    pub messages_per_s: f64,
}
