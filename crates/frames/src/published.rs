//! Results of the original responsiveness study, for comparison.
//!
//! Source: the six logs of the repository `Raftian` (February 2025), 300 samples of one second
//! each, Pygame on Ubuntu 24.04.1 with Python 3.12.3, an Intel i7-13620H and an RTX 4050; means
//! computed from the logs. Its heartbeat was 3 ms.

use crate::study::{Cell, Server};
use std::time::Duration;

/// One log of the original study.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Published {
    /// Nominal number of dots.
    pub(crate) dots: u32,
    /// Placement of its server.
    pub(crate) server: Server,
    /// Mean frames per second.
    pub(crate) fps: f64,
    /// Colour of its curve in the original chart.
    pub(crate) colour: (u8, u8, u8),
}

const fn log(dots: u32, server: Server, fps: f64, colour: (u8, u8, u8)) -> Published {
    Published {
        dots,
        server,
        fps,
        colour,
    }
}

/// Logs of the original study, in the order of its chart.
pub(crate) const LOGS: [Published; 6] = [
    log(100, Server::None, 498.21, (0xFF, 0x00, 0x00)),
    log(1_000, Server::None, 286.24, (0xA4, 0x2A, 0x04)),
    log(100, Server::Thread, 302.24, (0x00, 0x96, 0xFF)),
    log(1_000, Server::Thread, 157.70, (0x00, 0x47, 0xAB)),
    log(100, Server::Process, 230.84, (0x32, 0xCD, 0x32)),
    log(1_000, Server::Process, 154.50, (0x80, 0x80, 0x00)),
];

/// Actual heartbeat interval of the original study.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(3);

/// The original study's log of the same combination, if it exists.
pub(crate) fn of(cell: &Cell) -> Option<Published> {
    let same = |log: &&Published| log.dots == cell.dots && log.server == cell.server;
    let as_it_ran =
        cell.cap.0.is_none() && (cell.server == Server::None || cell.heartbeat.0 == HEARTBEAT);
    LOGS.iter().find(same).filter(|_| as_it_ran).copied()
}
