//! Simulations in virtual time in which a message and a timer are one event each.
//!
//! Unlike [`crate::cluster`], these keep no trace and check no invariants after each step: they
//! measure large clusters and long matches, not correctness.

mod event_queue;

use std::ops::ControlFlow;
use std::time::Duration;

use raftian_raft::Moment;

use event_queue::{EventQueue, Scheduled};

/// A simulation whose only events are those of its [`Timeline`].
pub trait Timed {
    /// Message in flight, or any other scheduled value.
    type Event;
    /// Reason to end a run early.
    type Break;

    /// Returns the clock and the scheduled events.
    fn timeline(&mut self) -> &mut Timeline<Self::Event>;

    /// Handles a planned wake-up of a node. The node's deadline may have moved since: if it is not
    /// due, plan another wake-up.
    fn wake(&mut self, node: usize) -> ControlFlow<Self::Break>;

    /// Handles a scheduled event that is due.
    fn handle(&mut self, event: Self::Event) -> ControlFlow<Self::Break>;

    /// Runs until `limit`, or until an event ends the run; the clock then stays at that event.
    fn run_until(&mut self, limit: Moment) -> ControlFlow<Self::Break> {
        while let Some(next) = self.timeline().next_until(limit) {
            match next {
                Next::Wake(node) => self.wake(node)?,
                Next::Event(event) => self.handle(event)?,
            }
        }
        ControlFlow::Continue(())
    }
}

/// Next event of a [`Timeline`].
#[derive(Debug)]
pub enum Next<Event> {
    /// A node checks its timers.
    Wake(usize),
    /// A message arrives, or another scheduled value is due.
    Event(Event),
}

/// Virtual clock, scheduled events, and at most one planned wake-up of each node.
#[derive(Debug)]
pub struct Timeline<Event> {
    now: Moment,
    queue: EventQueue<Event>,
    /// Planned wake-up of each node; a wake-up in the queue for another time is stale.
    planned: Vec<Moment>,
}

/// Time of a wake-up that is not planned.
const NEVER: Moment = Moment(u64::MAX);

impl<Event> Timeline<Event> {
    /// Creates the timeline of `nodes` nodes, at time zero.
    pub fn new(nodes: usize) -> Self {
        Timeline {
            now: Moment(0),
            queue: EventQueue::default(),
            planned: vec![NEVER; nodes],
        }
    }

    /// Returns the present.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Schedules an event after `delay`. Returns false if it is lost because too many are
    /// scheduled.
    pub fn schedule(&mut self, delay: Duration, event: Event) -> bool {
        self.queue.schedule(self.now.after(delay), event)
    }

    /// Plans a wake-up of a node for `at`, unless an earlier one is planned. An earlier one can
    /// plan this one again, so moving a deadline back costs no event.
    pub fn plan(&mut self, node: usize, at: Moment) {
        let at = at.max(self.now);
        if at < self.planned[node] {
            self.planned[node] = at;
            self.queue.wake(at, node as u32);
        }
    }

    /// Cancels the planned wake-up of a node.
    pub fn cancel(&mut self, node: usize) {
        self.planned[node] = NEVER;
    }

    /// Advances the clock to the next event and returns it, or to `limit` if none is due before.
    pub fn next_until(&mut self, limit: Moment) -> Option<Next<Event>> {
        while let Some((at, scheduled)) = self.queue.next_until(limit) {
            self.now = at;
            match scheduled {
                Scheduled::Wake(node) if self.planned[node as usize] != at => {}
                Scheduled::Wake(node) => {
                    self.planned[node as usize] = NEVER;
                    return Some(Next::Wake(node as usize));
                }
                Scheduled::Event(event) => return Some(Next::Event(event)),
            }
        }
        self.now = self.now.max(limit);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Returns the events up to `limit` with their times: the node of a wake-up, or the event.
    fn events(timeline: &mut Timeline<&'static str>, limit: u64) -> Vec<(u64, String)> {
        std::iter::from_fn(|| {
            let next = timeline.next_until(Moment(limit))?;
            let text = match next {
                Next::Wake(node) => format!("wake {node}"),
                Next::Event(event) => event.to_owned(),
            };
            Some((timeline.now().0, text))
        })
        .collect()
    }

    #[test]
    fn events_come_in_order_of_time_and_of_insertion() {
        let mut timeline = Timeline::new(2);
        assert!(timeline.schedule(MS * 2, "late") && timeline.schedule(MS, "early"));
        timeline.plan(1, Moment(1_000));
        timeline.plan(0, Moment(1_000));
        let expected = [(1_000, "early"), (1_000, "wake 1"), (1_000, "wake 0")];
        let seen = events(&mut timeline, 1_500);
        assert!(
            seen.iter()
                .map(|(at, text)| (*at, text.as_str()))
                .eq(expected)
        );
        assert_eq!(timeline.now(), Moment(1_500));
        assert_eq!(events(&mut timeline, 9_000), [(2_000, "late".to_owned())]);
    }

    #[test]
    fn earlier_wake_up_replaces_a_later_one_and_cancel_removes_it() {
        let mut timeline: Timeline<&str> = Timeline::new(1);
        timeline.plan(0, Moment(300));
        timeline.plan(0, Moment(100));
        timeline.plan(0, Moment(200));
        assert_eq!(events(&mut timeline, 1_000), [(100, "wake 0".to_owned())]);
        timeline.plan(0, Moment(1_500));
        timeline.cancel(0);
        assert_eq!(events(&mut timeline, 2_000), []);
    }
}
