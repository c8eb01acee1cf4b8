//! Shared setup of the tests in `tests/`.

use std::time::Duration;

use raftian_raft::NodeId;
use raftian_sim::{Setup, Simulation};

/// The first node.
pub const N1: NodeId = NodeId(1);
/// The second node.
pub const N2: NodeId = NodeId(2);
/// The third node.
pub const N3: NodeId = NodeId(3);
/// The fourth node.
pub const N4: NodeId = NodeId(4);
/// The fifth node.
pub const N5: NodeId = NodeId(5);
/// One second of simulated time: several election timeouts.
pub const SECOND: Duration = Duration::from_secs(1);

/// A quiet cluster that has just elected [`N1`].
///
/// # Panics
/// If another node is elected.
pub fn led_by_n1(setup: Setup) -> Simulation {
    let mut cluster = Simulation::new(setup);
    cluster.campaign(N1);
    cluster.stabilize();
    assert_eq!(cluster.leaders(), [N1]);
    cluster
}
