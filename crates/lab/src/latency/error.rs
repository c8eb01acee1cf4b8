//! Reasons why a study of latency is refused, or a cell cannot be measured.

use super::{MAX_ORDERS, MAX_RTT, MAX_WRITE, NODES};
use crate::elections::values::{Share, Time};

/// Invalid settings of a study.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A cluster size that is out of range.
    #[error("--nodes: {nodes} is out of range; give {} to {}", NODES.0, NODES.1)]
    Nodes {
        /// Cluster size.
        nodes: u64,
    },
    /// A range among the shares of loss.
    #[error("--loss: `{range}` is a range; give single shares, as in 0,1,5%")]
    LossRange {
        /// The range.
        range: Share,
    },
    /// A loss at which nodes hardly connect.
    #[error("--loss: connections hardly succeed above 50%; give less")]
    Loss,
    /// A round trip that is too long.
    #[error("--rtt: {rtt} is too long; give at most {}", Time(MAX_RTT))]
    RoundTrip {
        /// Round trip.
        rtt: Time,
    },
    /// A frame rate that is out of range.
    #[error("--fps: {fps} is out of range; give 1 to 1000 frames per second")]
    FrameRate {
        /// Frames per second.
        fps: f64,
    },
    /// A duration that is out of range.
    #[error("--seconds: {seconds} is out of range; give 0.1 to 3600")]
    Seconds {
        /// Seconds of clicking.
        seconds: f64,
    },
    /// A write that is too long.
    #[error("--write: {write} is too long; give at most {}", Time(MAX_WRITE))]
    Write {
        /// Duration of a write.
        write: Time,
    },
    /// More orders in one cell than are kept.
    #[error(
        "--seconds: {orders} orders in one cell are too many; give at most {}",
        MAX_ORDERS
    )]
    TooManyOrders {
        /// Orders of one origin.
        orders: u64,
    },
}

/// Reason why a cell could not be measured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The cluster has no leader in time, or commits nothing.
    #[error("{0} {1} in time")]
    NoQuorum(String, &'static str),
    /// The machine lacks a resource, or a node has stopped.
    #[error("{0}")]
    Machine(String),
}
