//! Nemesis: injects faults and performs operator actions.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{Change, Founding, Index, Membership, NodeId, Standing};
use rand::RngExt;

use super::Run;
use super::memberships::is_enough;
use super::options::Event;
use crate::cluster::Simulation;
use crate::coverage::Mark;
use crate::disk::CrashStyle;

impl Run {
    /// Injects a fault if it finds a target, and returns its description.
    pub(super) fn fault(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Deliver | Event::Propose | Event::Read => None,
            Event::Cut => self.cut(),
            Event::Heal => {
                self.cluster.heal();
                Some("all links are healed".to_owned())
            }
            Event::Crash => {
                let id = self.any(Simulation::is_up)?;
                self.may_go_down(id).then(|| self.crash(id))
            }
            Event::Restart => self.restart_any(),
            Event::HoldDisk => {
                let id = self.any(Simulation::is_up)?;
                self.cluster.hold_disk(id);
                Some(format!("the disk of {id} hangs"))
            }
            Event::ReleaseDisk => self.release_any(),
            Event::FailDisk => {
                let id = self.any(Simulation::is_up)?;
                if !self.may_go_down(id) {
                    return None;
                }
                self.counters.count(Mark::MadeSyncFail);
                self.cluster.fail_disk(id, &mut self.rng);
                Some(format!("the next sync of {id} fails"))
            }
            Event::FillDisk => {
                let id = self.any(Simulation::is_up)?;
                let full = self.rng.random_bool(0.5);
                if full && !self.may_go_down(id) {
                    return None;
                }
                self.counters.count(if full {
                    Mark::FilledDisk
                } else {
                    Mark::MadeRoomOnDisk
                });
                self.cluster.fill_disk(id, full);
                Some(format!(
                    "the disk of {id} is {}",
                    if full { "full" } else { "no longer full" }
                ))
            }
            Event::Wipe => self.wipe_any(),
            Event::Rot => self.rot_any(),
            Event::Pause => {
                let id = self.any(|cluster, id| cluster.is_up(id) && !cluster.is_paused(id))?;
                self.counters.count(Mark::Paused);
                self.cluster.pause(id);
                Some(format!("{id} is paused"))
            }
            Event::Resume => {
                let id = self.any(Simulation::is_paused)?;
                self.cluster.resume(id);
                Some(format!("{id} is resumed"))
            }
            Event::JumpClock => {
                let id = self.any(|_, _| true)?;
                let most = self.options.election_timeout.1.as_micros() as i64 * 3;
                let by = self.rng.random_range(-most..=most);
                self.counters.count(Mark::MadeClockJump);
                // Only a clock that is set back stalls.
                self.set_back += Duration::from_micros(by.min(0).unsigned_abs());
                self.cluster.jump_clock(id, by);
                Some(format!("the clock of {id} jumps by {by} us"))
            }
            Event::TransferLeadership => {
                let leader = *self.cluster.leaders().first()?;
                let to = self.any(|_, _| true).filter(|_| self.rng.random_bool(0.5));
                let _refused = self.cluster.transfer_leadership(leader, to).is_err();
                Some(format!("{leader} transfers leadership to {to:?}"))
            }
            Event::Campaign => {
                let id = self.any(|cluster, id| cluster.is_up(id) && !cluster.is_paused(id))?;
                self.cluster.campaign(id);
                Some(format!("the election timer of {id} fires"))
            }
            Event::Compact => {
                let id = self.any(Simulation::is_up)?;
                let applied = self.cluster.node(id).applied().0;
                let to = self
                    .rng
                    .random_bool(0.5)
                    .then(|| Index(self.rng.random_range(0..=applied)));
                self.cluster.compact(id, to);
                Some(format!(
                    "{id} takes a snapshot and drops its log up to {to:?}"
                ))
            }
            Event::ChangeMembers => self.change_members(),
            Event::Diverge => self.diverge(),
            Event::PutBack => self.copy_or_put_back(),
            Event::ReplayEarlier => self.replay_earlier_leadership(),
            Event::CutLeader => self.cut_off_leader(),
            Event::SupersedeTail => self.supersede_tail(),
            Event::LaterTerm => self.later_term_behind_the_leader(),
            Event::OverlapChanges => self.overlap_changes(),
            Event::RecordContacts => self.record_contacts(),
            Event::AskAboutMatch => self.ask_about_match(),
            Event::MoveAddress => self.move_any(),
            Event::CorrectFile => self.correct_file(),
        }
    }

    fn cut(&mut self) -> Option<String> {
        let id = self.any(|_, _| true)?;
        self.counters.count(Mark::Cut);
        match self.rng.random_range(0..5) {
            0 => {
                self.cluster.isolate(id);
                Some(format!("{id} is cut off"))
            }
            1 => {
                let other = self.any(|_, other| other != id)?;
                self.cluster.cut(id, other);
                Some(format!("{id} is cut off from {other}, one way"))
            }
            2 => {
                // A ring: each node reaches only its two neighbours, so no majority is connected.
                self.counters.count(Mark::CutClusterToRing);
                let ids: Vec<_> = self.cluster.ids().collect();
                for (place, from) in ids.iter().enumerate() {
                    for (other, to) in ids.iter().enumerate() {
                        let apart = place.abs_diff(other);
                        if apart > 1 && apart != ids.len() - 1 {
                            self.cluster.cut(*from, *to);
                        }
                    }
                }
                Some("only neighbours in a ring are connected".to_owned())
            }
            3 => {
                // A bridge: one node reaches both halves, which do not reach each other.
                self.counters.count(Mark::CutClusterToBridge);
                let (left, right): (Vec<_>, Vec<_>) =
                    self.cluster.ids().partition(|_| self.rng.random_bool(0.5));
                for from in &left {
                    for to in right.iter().filter(|to| **to != id && *from != id) {
                        self.cluster.cut(*from, *to);
                        self.cluster.cut(*to, *from);
                    }
                }
                Some(format!(
                    "{left:?} and {right:?} are connected through {id} only"
                ))
            }
            _ => {
                let (left, right): (Vec<_>, Vec<_>) =
                    self.cluster.ids().partition(|_| self.rng.random_bool(0.5));
                self.cluster.partition(&[&left, &right]);
                Some(format!("{left:?} and {right:?} are disconnected"))
            }
        }
    }

    /// Crashes a machine before, between, after or in the middle of the writes in flight.
    pub(super) fn crash(&mut self, id: NodeId) -> String {
        let under_way = self.cluster.host(id).writes_under_way();
        let kept = self.rng.random_range(0..=under_way);
        self.counters.count(if under_way > 0 {
            Mark::CrashedWithWritesUnderWay
        } else {
            Mark::Crashed
        });
        if kept < under_way && self.rng.random_bool(0.5) {
            let style = CrashStyle::ALL[self.rng.random_range(0..CrashStyle::ALL.len())];
            self.counters.count(Mark::CrashedInMiddleOfWrite);
            self.cluster.crash_midway(id, kept, &mut self.rng, style);
            return format!("{id} crashes in the middle of write {kept} of {under_way}: {style:?}");
        }
        self.cluster.crash_keeping(id, kept);
        format!("{id} crashes after {kept} of {under_way} writes")
    }

    fn restart_any(&mut self) -> Option<String> {
        let id = self.any(|cluster, id| !cluster.is_up(id))?;
        self.cluster.restart(id);
        if self.cluster.is_up(id) && self.rng.random_bool(0.1) {
            self.counters.count(Mark::CrashedInRecovery);
            self.crash(id);
            return Some(format!("{id} starts and crashes at once"));
        }
        Some(format!("{id} starts"))
    }

    fn release_any(&mut self) -> Option<String> {
        let id = self.any(|cluster, id| cluster.is_up(id) && cluster.is_disk_held(id))?;
        match self.rng.random_range(0..3) {
            0 => self.cluster.release_disk(id),
            count => self.cluster.complete_writes(id, count),
        }
        Some(format!("the disk of {id} completes writes"))
    }

    /// Wipes a disk if the cluster can bear it: Raft survives only losses that leave a majority.
    fn wipe_any(&mut self) -> Option<String> {
        let id = self.any(|_, _| true)?;
        if !self.survives_without(id) {
            return None;
        }
        self.counters.count(Mark::LostDisk);
        self.wiped.insert(id);
        // The guard refuses a new store until it is replaced as well.
        let refused = self.rng.random_bool(0.5) && self.cluster.recreate_under_guard(id);
        self.cluster.wipe(id);
        let how = if refused {
            ", after its guard refused a new store"
        } else {
            ""
        };
        Some(format!("{id} restarts with an empty disk{how}"))
    }

    /// Corrects the file of the founder that lists others.
    pub(super) fn correct_file(&mut self) -> Option<String> {
        let (id, _) = self.options.differing.clone()?;
        if !self.cluster.correct_file(id) {
            return None;
        }
        self.counters.count(Mark::CorrectedFileOfFounder);
        Some(format!("the file of {id} is corrected"))
    }

    fn rot_any(&mut self) -> Option<String> {
        let id = self.any(|_, _| true)?;
        if !self.survives_without(id) {
            return None;
        }
        if self.cluster.is_up(id) {
            self.cluster.crash(id);
        }
        self.wiped.insert(id);
        self.counters.count(Mark::RottedBit);
        let place = self.rng.random_range(0.0..1.0);
        self.cluster.flip_bit(id, place);
        Some(format!("a bit flips on the disk of {id}"))
    }

    /// Copies a disk, or restores an earlier copy. The machine must detect the old copy and stay
    /// down, so it counts as lost. A copy that a start could not detect, because lost power rolled
    /// the rollback guard back as far, is not restored.
    fn copy_or_put_back(&mut self) -> Option<String> {
        let id = self.any(|cluster, id| !cluster.host(id).is_damaged())?;
        let Some(copy) = self.copies.remove(&id) else {
            self.copies.insert(id, self.cluster.copy_disk(id));
            return Some(format!("the disk of {id} is copied"));
        };
        if self.wiped.contains(&id) || !self.survives_without(id) {
            return None;
        }
        if self.cluster.is_up(id) {
            if self.rng.random_bool(0.5) {
                self.cluster.stop(id);
            } else {
                self.crash(id);
            }
        }
        if !self.cluster.put_back(id, &copy) {
            self.counters
                .count(Mark::SkippedOldDiskThatNoStartWouldReject);
            return Some(format!("{id} is down, and its old copy is not restored"));
        }
        self.wiped.insert(id);
        self.counters.count(Mark::PutOldDiskBack);
        Some(format!("the disk of {id} is replaced by an old copy"))
    }

    /// Makes the state of one machine diverge. One at a time: hashes identify the diverged state
    /// only if a majority agrees.
    fn diverge(&mut self) -> Option<String> {
        if self
            .cluster
            .ids()
            .any(|id| self.cluster.host(id).is_diverged())
        {
            return None;
        }
        let id = self.any(Simulation::is_up)?;
        self.counters.count(Mark::MadeStateDiverge);
        self.cluster.diverge(id);
        Some(format!("the state of {id} diverges"))
    }

    /// Returns whether a machine can start again once it is down, or the cluster can bear its loss.
    /// A flipped bit is found at a start only, so until then its disk counts in every majority.
    pub(super) fn may_go_down(&self, id: NodeId) -> bool {
        !self.cluster.host(id).is_damaged() || self.survives_without(id)
    }

    /// Returns whether every membership that a node uses or may still adopt keeps a quorum of disks
    /// without this one and those lost before.
    pub(super) fn survives_without(&self, id: NodeId) -> bool {
        // A learner may have the newest log without the entry that makes it a voter. If the leader
        // with that entry loses its disk, no candidate can win.
        let others = self
            .cluster
            .ids()
            .filter(|other| *other != id && !self.wiped.contains(other))
            .collect();
        if !self.cluster.has_electable(&others) || !self.is_founded_among(&others) {
            return false;
        }
        self.memberships_ahead().iter().all(|membership| {
            // Entries on a witness and a lost disk only could not be recovered: a witness stores no
            // contents.
            let witnesses = membership.members().any(|(_, member)| member.is_witness());
            !witnesses
                && is_enough(membership, |other| {
                    other != id && !self.wiped.contains(&other)
                })
        })
    }

    /// Returns whether the founding is on one of these disks; founders that lose a disk before
    /// cannot agree any more.
    pub(super) fn is_founded_among(&self, disks: &BTreeSet<NodeId>) -> bool {
        let founded =
            |id: &NodeId| matches!(self.cluster.host(*id).image().founding, Founding::Agreed(_));
        !self.options.founders_agree || disks.iter().any(founded)
    }

    fn change_members(&mut self) -> Option<String> {
        let leader = *self.cluster.leaders().first()?;
        let id = self.any(|_, _| true)?;
        let incarnation = |id: NodeId| self.cluster.host(id).incarnation();
        let change = match self.rng.random_range(0..6) {
            0 => Change::Remove(id),
            1 => Change::Set(id, incarnation(id), Standing::Voter),
            2 => Change::Set(id, incarnation(id), Standing::Joining),
            3 => Change::Set(id, incarnation(id), Standing::Learner),
            _ => {
                let chosen: Vec<_> = self
                    .cluster
                    .ids()
                    .filter(|_| self.rng.random_bool(0.6))
                    .collect();
                Change::Replace(
                    chosen
                        .iter()
                        .map(|id| (*id, incarnation(*id), Standing::Voter))
                        .collect(),
                )
            }
        };
        if !self.can_bear(leader, &change) {
            return None;
        }
        let (change, begun) = self.request_change(leader, change);
        self.counters.count(if begun.is_ok() {
            Mark::AskedForChangeOfMembers
        } else {
            Mark::WasRefusedChangeOfMembers
        });
        let recorded = self.record_after_change(leader);
        Some(format!(
            "{leader} is asked for {change:?}: {begun:?}{recorded}"
        ))
    }

    /// Returns whether the memberships of a change can make progress without the lost disks.
    pub(super) fn can_bear(&self, leader: NodeId, change: &Change) -> bool {
        let next = self.cluster.node(leader).membership().after(change);
        next.is_ok_and(|next| self.can_go_on_with(&next) && self.can_go_on_with(&next.left()))
    }

    /// Returns whether a membership has a quorum of disks that are not lost. A corrupted disk
    /// counts as lost, although its node has not detected it yet.
    fn can_go_on_with(&self, membership: &Membership) -> bool {
        is_enough(membership, |id| {
            let host = self.cluster.host(id);
            let is_same = membership
                .member(id)
                .is_some_and(|member| member.incarnation == host.incarnation());
            is_same && !host.is_damaged()
        })
    }
}
