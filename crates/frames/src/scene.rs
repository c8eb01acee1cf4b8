//! Input and output of a window process: one line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One window with dots, to be shown by a program that can open it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scene {
    /// Dots.
    pub(crate) dots: u32,
    /// Frame rate cap; `None` for none.
    pub(crate) fps: Option<u32>,
    /// Seconds before the measurement; a node that should lead may take longer.
    pub(crate) warm_up: f64,
    /// Number of whole seconds measured.
    pub(crate) seconds: u64,
    /// Whether only the schedule runs: nothing is drawn, and no display is needed.
    pub(crate) headless: bool,
    /// Orders proposed per second, if there is a node.
    pub(crate) orders: f64,
    /// RNG seed of the dots' colours and steps.
    pub(crate) seed: u64,
    /// The window's node.
    pub(crate) node: Option<SceneNode>,
}

/// Node inside the window's process.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SceneNode {
    /// Path of the node file, as generated for a new cluster.
    pub(crate) file: PathBuf,
    /// Whether the frames poll it; otherwise it has a thread of its own.
    pub(crate) in_schedule: bool,
}

/// Measurements of a [`Scene`].
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Name, kind and interface of the graphics adapter; `None` if nothing was drawn.
    pub(crate) adapter: Option<String>,
    /// `release` or `debug`.
    pub(crate) profile: String,
    /// One sample per second: time in seconds since 1970, and number of frames.
    pub(crate) log: Vec<(f64, u32)>,
    /// Number of measured frames.
    pub(crate) frames: u64,
    /// Frame times.
    pub(crate) frame_ms: FrameTimes,
    /// Time from proposing each order to the frame that saw it applied, in milliseconds.
    pub(crate) commits_ms: Vec<f64>,
    /// Orders that were proposed and never seen.
    pub(crate) unseen: u64,
    /// Activity of its node.
    pub(crate) node: Option<NodeSeen>,
}

/// Frame times in milliseconds.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct FrameTimes {
    /// Mean.
    pub(crate) mean: f64,
    /// Median.
    pub(crate) p50: f64,
    /// 95th percentile.
    pub(crate) p95: f64,
    /// 99th percentile.
    pub(crate) p99: f64,
    /// Maximum.
    pub(crate) max: f64,
}

/// Activity of a window's node during the measurement.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub(crate) struct NodeSeen {
    /// Share of the time in which it led.
    pub(crate) led: f64,
    /// New terms.
    pub(crate) terms: u64,
    /// Messages that it sent per second.
    pub(crate) messages_per_s: f64,
}
