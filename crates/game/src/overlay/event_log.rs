//! The decisions of all members in one event log.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use raftian_node::NodeView;
use raftian_raft::{Event, NodeId};

use crate::cluster_view::ClusterView;

/// Maximum number of decisions kept, of all members together. The oldest is dropped.
const MAX_DECISIONS: usize = 512;

/// Decisions in chronological order. They outlive the member that made them.
#[derive(Clone, Debug, Default)]
pub(super) struct EventLog {
    logged: VecDeque<LoggedDecision>,
    last: BTreeMap<NodeId, Event>,
}

/// One decision with its time and member.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct LoggedDecision {
    /// Time in seconds of this program's clock; negative for decisions made before it started.
    pub(super) at: f64,
    /// The member that decided.
    pub(super) who: NodeId,
    /// The decision.
    pub(super) event: Event,
}

impl EventLog {
    /// Adds the new decisions of a view received at `at`. Clocks of nodes are never compared: each
    /// decision is placed by its age on its own node's clock.
    pub(super) fn observe(&mut self, view: &ClusterView, at: Duration) {
        let mut ordered = true;
        for node in view
            .members
            .iter()
            .filter_map(|member| member.node.as_ref())
        {
            let who = node.status.id;
            for event in self.news(node) {
                let at = at.as_secs_f64() - node.now.since(event.at).as_secs_f64();
                ordered &= self.logged.back().is_none_or(|last| last.at <= at);
                self.logged.push_back(LoggedDecision {
                    at,
                    who,
                    event: event.clone(),
                });
            }
            if let Some(event) = node.events.last() {
                self.last.insert(who, event.clone());
            }
        }
        // A node's older decision may arrive after a newer one of another node.
        if !ordered {
            self.logged
                .make_contiguous()
                .sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        while self.logged.len() > MAX_DECISIONS {
            self.logged.pop_front();
        }
    }

    /// Returns the events after the last one logged; all unlogged ones if that one is gone.
    fn news<'a>(&self, node: &'a NodeView) -> Vec<&'a Event> {
        let events = &node.events;
        match self.last.get(&node.status.id) {
            last if last == events.last() => vec![],
            last => match events.iter().rposition(|event| Some(event) == last) {
                Some(place) => events[place + 1..].iter().collect(),
                None => events
                    .iter()
                    .filter(|event| !self.is_logged(node.status.id, event))
                    .collect(),
            },
        }
    }

    fn is_logged(&self, who: NodeId, event: &Event) -> bool {
        self.logged
            .iter()
            .any(|logged| logged.who == who && logged.event == *event)
    }

    /// Decisions of one member, or of all, newest first.
    pub(super) fn newest(&self, of: Option<NodeId>) -> impl Iterator<Item = &LoggedDecision> {
        self.logged
            .iter()
            .rev()
            .filter(move |logged| of.is_none_or(|who| logged.who == who))
    }
}

/// Replaces the ids of members in a sentence by their names.
pub(super) fn with_names(sentence: &str, view: &ClusterView) -> String {
    let mut named = String::with_capacity(sentence.len());
    let mut word = String::new();
    // The trailing `None` ends the last word.
    for letter in sentence.chars().map(Some).chain([None]) {
        match letter {
            Some(letter) if letter.is_alphanumeric() => word.push(letter),
            end => {
                let member = view
                    .members
                    .iter()
                    .find(|member| member.id.to_string() == word);
                named.push_str(member.map_or(&word, |member| &member.name));
                word.clear();
                named.extend(end);
            }
        }
    }
    named
}

/// Formats an age in a few characters.
pub(super) fn ago(seconds: f64) -> String {
    match seconds.max(0.0) {
        seconds if seconds < 9.95 => format!("{seconds:.1}s"),
        seconds if seconds < 120.0 => format!("{seconds:.0}s"),
        seconds if seconds < 7200.0 => format!("{:.0}min", seconds / 60.0),
        seconds => format!("{:.0}h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};
    use raftian_raft::{Decision, Moment, Term};

    fn picture(id: u64, now: u64, events: &[u64]) -> NodeView {
        let mut node = node(id, 1);
        node.now = Moment(now * 1_000_000);
        let event = |&at| Event {
            at: Moment(at * 1_000_000),
            term: Term(at),
            decision: Decision::WonElection { votes: 3 },
        };
        node.events = events.iter().map(event).collect();
        node
    }

    fn newest(event_log: &EventLog, of: Option<u64>) -> Vec<(u64, u64)> {
        event_log
            .newest(of.map(NodeId))
            .map(|logged| (logged.who.0, logged.event.term.0))
            .collect()
    }

    #[test]
    fn decisions_of_nodes_with_unlike_clocks_are_merged_by_age() {
        let mut event_log = EventLog::default();
        event_log.observe(
            &cluster(vec![picture(1, 100, &[97, 99]), picture(2, 10, &[8])]),
            Duration::from_secs(50),
        );
        assert_eq!(newest(&event_log, None), [(1, 99), (2, 8), (1, 97)]);
        assert_eq!(newest(&event_log, Some(1)), [(1, 99), (1, 97)]);
        assert_eq!(event_log.newest(None).next().unwrap().at, 49.0);
    }

    #[test]
    fn each_decision_is_logged_once_and_survives_a_restart() {
        let mut event_log = EventLog::default();
        for (second, (now, events)) in [
            (10, &[8][..]),
            (10, &[8]),
            (12, &[8, 11]),
            (1, &[1]),
            (2, &[1, 2]),
        ]
        .into_iter()
        .enumerate()
        {
            event_log.observe(
                &cluster(vec![picture(1, now, events)]),
                Duration::from_secs(second as u64),
            );
        }
        assert_eq!(newest(&event_log, None), [(1, 2), (1, 1), (1, 11), (1, 8)]);
    }

    #[test]
    fn event_log_is_bounded_when_a_nodes_list_moves_on() {
        let mut event_log = EventLog::default();
        event_log.observe(
            &cluster(vec![picture(1, 10, &[1, 2])]),
            Duration::from_secs(1),
        );
        event_log.observe(
            &cluster(vec![picture(1, 10, &[5, 6])]),
            Duration::from_secs(2),
        );
        let many: Vec<u64> = (7..2000).collect();
        event_log.observe(
            &cluster(vec![picture(1, 2000, &many)]),
            Duration::from_secs(3),
        );
        assert_eq!(
            (event_log.logged.len(), newest(&event_log, None)[0]),
            (MAX_DECISIONS, (1, 1999))
        );
    }

    #[test]
    fn names_replace_whole_ids_only() {
        let view = cluster(vec![node(1, 1), node(12, 1)]);
        assert_eq!(
            with_names("refuses n12 a vote: it went to n1, not n120", &view),
            "refuses m12 a vote: it went to m1, not n120"
        );
        assert_eq!(with_names("", &view), "");
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(
            [-1.0, 3.12, 42.4, 600.0, 9000.0].map(ago),
            ["0.0s", "3.1s", "42s", "10min", "2h"]
        );
    }
}
