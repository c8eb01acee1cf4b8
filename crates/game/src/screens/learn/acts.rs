//! Faults that the guide injects, in the same way as the debug overlay.

use raftian_raft::NodeId;

use super::view::Machine;
use crate::cluster_view::{Fault, FaultKind};

/// Machines that are paused at once: the two that are left are no majority.
const PAUSED: usize = 3;

/// Machines on the small side of a split world.
const SMALL_SIDE: usize = 2;

/// A button of the guide that changes the machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    PauseThree,
    WakeOne,
    WakeAll,
    KillLeader,
    Split,
    ChangeSide,
    Heal,
}

impl Act {
    pub(super) fn caption(self) -> String {
        match self {
            Act::PauseThree => text!("Pause three machines"),
            Act::WakeOne => text!("Wake one machine"),
            Act::WakeAll => text!("Wake the others"),
            Act::KillLeader => text!("Kill the leader"),
            Act::Split => text!("Split 3 to 2"),
            Act::ChangeSide => text!("Go to the other side"),
            Act::Heal => text!("Heal"),
        }
    }

    /// The faults that do it; none if it would have no effect, or would stop the lesson.
    pub(super) fn faults(
        self,
        machines: &[Machine],
        seat: Option<NodeId>,
        leader: Option<NodeId>,
    ) -> Vec<Fault> {
        match self {
            Act::PauseThree => {
                let others = machines.iter().filter(|machine| Some(machine.id) != seat);
                let awake = others.filter(|machine| machine.takes_part());
                let paused = machines.iter().filter(|machine| machine.is_paused).count();
                awake
                    .take(PAUSED.saturating_sub(paused))
                    .map(|machine| fault(machine, FaultKind::Pause(true)))
                    .collect()
            }
            Act::WakeOne => {
                let paused = machines.iter().find(|machine| machine.is_paused);
                let woken = paused.map(|machine| fault(machine, FaultKind::Pause(false)));
                woken.into_iter().collect()
            }
            Act::KillLeader => {
                let here = machines.iter().filter(|machine| machine.takes_part());
                let has_spare = (here.count() - usize::from(leader.is_some())) * 2 > machines.len();
                let leader = machines
                    .iter()
                    .find(|machine| Some(machine.id) == leader && machine.takes_part());
                let killed = leader.filter(|_| has_spare);
                let killed = killed.map(|machine| fault(machine, FaultKind::Kill));
                killed.into_iter().collect()
            }
            Act::Split => {
                let cut = machines.iter().filter(|machine| machine.is_cut).count();
                let own = machines.iter().filter(|machine| Some(machine.id) == seat);
                let others = machines.iter().rev();
                let others = others.filter(|machine| Some(machine.id) != seat);
                own.chain(others)
                    .filter(|machine| machine.takes_part())
                    .take(SMALL_SIDE.saturating_sub(cut))
                    .map(|machine| fault(machine, FaultKind::Cut(true)))
                    .collect()
            }
            Act::ChangeSide => {
                let is_cut = machines
                    .iter()
                    .any(|machine| Some(machine.id) == seat && machine.is_cut);
                let other = machines
                    .iter()
                    .find(|machine| machine.is_up && machine.is_cut != is_cut);
                let taken = other.map(|machine| fault(machine, FaultKind::TakeSeat));
                taken.into_iter().collect()
            }
            Act::WakeAll | Act::Heal => {
                let mut faults = Vec::new();
                for machine in machines.iter().filter(|machine| machine.is_up) {
                    if machine.is_cut {
                        faults.push(fault(machine, FaultKind::Cut(false)));
                    }
                    if machine.is_paused {
                        faults.push(fault(machine, FaultKind::Pause(false)));
                    }
                }
                faults
            }
        }
    }
}

fn fault(machine: &Machine, kind: FaultKind) -> Fault {
    Fault {
        member: machine.id,
        kind,
    }
}
