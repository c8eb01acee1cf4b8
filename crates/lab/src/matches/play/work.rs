//! Steps nodes and performs their actions.

use raftian_raft::{Decision, Input, Moment, TakenSnapshot, Work, Write};

use super::{Chase, Event, Match, Probe};
use crate::matches::machine::place as place_of;
use crate::matches::state::{Applied, State};
use crate::matches::{Plant, ledger::Ledger};

impl Match {
    /// Gives a node an input, performs the resulting actions, and plans its wake-up. A machine that
    /// is down discards the input.
    pub(super) fn step(&mut self, place: usize, input: Input) {
        let Some(node) = &mut self.machines[place].node else {
            return;
        };
        self.steps += 1;
        node.step(self.timeline.now(), input);
        while self.perform(place) {}
        self.plan(place);
    }

    /// Plans a node's next timer wake-up, unless an earlier one is planned.
    pub(super) fn plan(&mut self, place: usize) {
        if let Some(node) = &self.machines[place].node {
            self.timeline.plan(place, node.wake_at());
        }
    }

    /// Performs a node's actions. Returns false if there are none.
    pub(super) fn perform(&mut self, place: usize) -> bool {
        let Match {
            machines,
            ledger,
            envelopes,
            won,
            timeline,
            ..
        } = self;
        let now = timeline.now();
        let machine = &mut machines[place];
        machine.note(place, ledger, now);
        let Some(node) = machine.node.as_mut().filter(|node| node.has_work()) else {
            return false;
        };
        let Work {
            persist,
            apply,
            others,
        } = node.work();
        // Copied, because the entries are borrowed from the node's log.
        let write = persist.map(|write| {
            let Write {
                number,
                hard_state,
                snapshot,
                start,
                discard,
                incarnation,
                founding,
                entries,
            } = write;
            Write {
                number,
                hard_state,
                snapshot,
                start,
                discard,
                incarnation,
                founding,
                entries: entries.to_vec(),
            }
        });
        let mut applied = None;
        if let Some(snapshot) = others.restore.take() {
            machine.state = State::restore(
                snapshot
                    .data
                    .as_deref()
                    .expect("no machine of a match is a witness"),
            );
            ledger.reached(place as u32, machine.state.count, machine.state.hash);
            applied = Some(machine.state.index);
        }
        for entry in apply {
            let done = machine.state.apply(entry, self.conditions.plant);
            if self.conditions.plant == Some(Plant::Diverged)
                && place == 0
                && machine.state.count == PLANTED
            {
                machine.state.hash ^= 1;
            }
            let (client, sequence) = match done {
                Applied::Nothing => continue,
                Applied::Effect(client, sequence) => {
                    ledger.effect(client, sequence, machine.state.count);
                    ledger.reached(place as u32, machine.state.count, machine.state.hash);
                    notice(&mut self.probe, ledger, (place, now), (client, sequence));
                    (client, sequence)
                }
                Applied::Repeat(client, sequence) => (client, sequence),
            };
            // Repeats count too: the effect may have arrived with a snapshot.
            if client == machine.player.client && machine.player.pending.remove(&sequence) {
                ledger.notified(client, sequence, now);
            }
        }
        if let Some(last) = apply.last() {
            applied = Some(last.index);
        }
        for event in others.events.drain(..) {
            match event.decision {
                Decision::WonElection { .. } => won.push((now, event.term, place)),
                Decision::Promotes { .. } => self.orders.promoted += 1,
                _ => {}
            }
        }
        for answer in others.responses.request_results.drain(..) {
            match answer {
                Ok(()) => self.orders.made += 1,
                Err(_) => self.orders.refused += 1,
            }
        }
        // The player retries by itself.
        others.responses.refused.clear();
        envelopes.append(&mut others.send);
        let snapshot_due = std::mem::take(&mut others.responses.snapshot_due);
        if applied.is_some() {
            catch_up(&mut self.chase, machine.state.count, place, now);
        }
        if let Some(index) = applied {
            self.steps += 1;
            node.step(now, Input::Applied(index));
        }
        if snapshot_due {
            let State { index, .. } = machine.state;
            let taken = TakenSnapshot {
                index,
                data: machine.state.save(),
                compact_to: None,
            };
            node.step(now, Input::TakeSnapshot(taken));
        }
        // The core withholds messages that require the write until it is durable.
        self.send_all(place);
        if let Some(write) = write {
            self.write(place, write);
        }
        true
    }

    fn write(&mut self, place: usize, write: Write) {
        let disk = self.conditions.disk.0;
        let machine = &mut self.machines[place];
        let run = machine.run;
        // An instant disk needs no event: the write completes below.
        if !disk.is_zero() {
            machine.writing.push_back(write);
            return self.put(disk, Event::Written { place, run });
        }
        if let Some((number, node)) = machine.keep(write).zip(machine.node.as_mut()) {
            self.steps += 1;
            node.step(self.timeline.now(), Input::Persisted(number));
        }
    }

    fn send_all(&mut self, place: usize) {
        let mut envelopes = std::mem::take(&mut self.envelopes);
        let from = self.machines[place].id;
        for (to, message) in envelopes.drain(..) {
            let receiver = place_of(to);
            let lost = self.loss > 0.0 && rand::RngExt::random_bool(&mut self.rng, self.loss);
            if lost || receiver >= self.machines.len() || self.cut[place] >> receiver & 1 == 1 {
                continue;
            }
            let delay = self.conditions.delay.draw(&mut self.rng);
            let resumed = self.stalled[place].max(self.stalled[receiver]);
            let delay = delay + resumed.since(self.timeline.now());
            // Beyond the timeline's bound a message is lost like any other.
            self.timeline
                .schedule(delay, Event::Arrives { from, to, message });
        }
        self.envelopes = envelopes;
    }
}

/// Number of effects after which the planted bug strikes.
const PLANTED: u64 = 20;

/// Completes the probe if this effect is the awaited one.
fn notice(
    probe: &mut Option<Probe>,
    ledger: &Ledger,
    (place, now): (usize, Moment),
    (client, sequence): (raftian_raft::ClientId, u64),
) {
    let Some(Probe {
        since,
        among,
        seen: seen @ None,
    }) = probe
    else {
        return;
    };
    let news = ledger
        .order(client, sequence)
        .and_then(|order| order.committed)
        .is_some_and(|at| at > *since);
    if news && *among >> place & 1 == 1 {
        *seen = Some(now);
    }
}

/// Completes the chase if this machine is the last one awaited.
fn catch_up(chase: &mut Option<Chase>, count: u64, place: usize, now: Moment) {
    let Some(Chase {
        effects,
        waiting,
        done: done @ None,
    }) = chase
    else {
        return;
    };
    if *waiting >> place & 1 == 1 && count >= *effects {
        *waiting &= !(1 << place);
        if *waiting == 0 {
            *done = Some(now);
        }
    }
}
