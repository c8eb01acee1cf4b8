//! Raft's safety properties, checked on the running cluster (figure 3 of the paper, as far as
//! visible from here).

use std::collections::BTreeMap;
use std::time::Duration;

use bevy_raft::DisputeKind;
use raftian_node::NodeView;
use raftian_node::match_record::MatchRecord;
use raftian_raft::{ClientId, Entry, Index, NodeId, Payload, RoleKind, Term};

use super::derived::short_hash;
use crate::cluster_view::ClusterView;
use crate::evidence::{FalseOrder, HistoriesContradict};

/// Maximum number each of terms, entries and states that are remembered. The oldest is dropped, and
/// later observations of it are not checked.
const REMEMBERED: usize = 4096;

/// A safety property with its first violation.
#[derive(Clone, Debug)]
pub(super) struct CheckedProperty {
    /// The property in a few words.
    pub(super) property: &'static str,
    /// Its source in the paper.
    pub(super) rule: &'static str,
    /// Its first violation; a violated property stays so.
    pub(super) broken: Option<Broken>,
}

/// A violation of a property.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Broken {
    /// Time of the observation, in this program's time.
    pub(super) at: Duration,
    /// The contradiction observed.
    pub(super) what: String,
}

/// Identity of a committed entry: its term, and its content as far as compared.
type Identity = (Term, EntryKind);

/// Distinguishes entries of one term.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum EntryKind {
    Nothing,
    Command(ClientId, u64),
    Members,
    /// A witness keeps no payload.
    Withheld,
}

fn differ(one: Identity, other: Identity) -> bool {
    let unknown = one.1 == EntryKind::Withheld || other.1 == EntryKind::Withheld;
    one.0 != other.0 || (!unknown && one.1 != other.1)
}

/// Observations of the cluster that later ones must not contradict.
#[derive(Clone, Debug)]
pub(super) struct Invariants {
    properties: [CheckedProperty; 6],
    /// Whether members sign, so that the last two properties are checked.
    is_signed: bool,
    leaders: BTreeMap<Term, NodeId>,
    commits: BTreeMap<NodeId, Index>,
    entries: BTreeMap<Index, (Identity, NodeId)>,
    states: BTreeMap<Index, (u64, NodeId)>,
}

const ELECTION: usize = 0;
const COMMIT: usize = 1;
const LOGS: usize = 2;
const STATES: usize = 3;
const ORDERS: usize = 4;
const CHECKPOINTS: usize = 5;

impl Default for Invariants {
    fn default() -> Self {
        let checked = |property, rule| CheckedProperty {
            property,
            rule,
            broken: None,
        };
        Self {
            properties: [
                checked("one leader per term", "Raft 5.2, election safety"),
                checked(
                    "commits never go back",
                    "Raft figure 2, commitIndex increases monotonically",
                ),
                checked(
                    "committed logs agree",
                    "Raft 5.3 and 5.4, log matching and leader completeness",
                ),
                checked("states agree", "Raft 5.4.3, state machine safety"),
                checked(
                    "orders are signed",
                    "beyond Raft, which trusts its members: no leader forges an order",
                ),
                checked(
                    "signed histories agree",
                    "beyond Raft: no leader shows members different entries",
                ),
            ],
            is_signed: false,
            leaders: BTreeMap::new(),
            commits: BTreeMap::new(),
            entries: BTreeMap::new(),
            states: BTreeMap::new(),
        }
    }
}

impl Invariants {
    /// The properties that are checked, in a fixed order.
    pub(super) fn properties(&self) -> &[CheckedProperty] {
        match self.is_signed {
            true => &self.properties,
            false => &self.properties[..ORDERS],
        }
    }

    /// Checks a view received at `at`. A member in `restarted` has restarted and may have a lower
    /// commit index than before.
    pub(super) fn observe(&mut self, view: &ClusterView, restarted: &[NodeId], at: Duration) {
        for id in restarted {
            // commitIndex is volatile (figure 2): a restarted node learns it again from the leader.
            self.commits.remove(id);
        }
        for member in &view.members {
            if let Some(node) = &member.node {
                self.is_signed |= MatchRecord::of(&node.founding).is_some();
                self.check_leader(view, node, at);
                self.check_commit(view, node, at);
                self.check_log(view, node, at);
            }
            if let Some(state) = member.state {
                let first = remember(&mut self.states, state.index, (state.hash, member.id));
                if first.0 != state.hash {
                    let one = view.name(first.1);
                    let other = &member.name;
                    let before = short_hash(first.0);
                    let hash = short_hash(state.hash);
                    self.breaks(
                        STATES,
                        at,
                        format!(
                            "after {} {one} has {before} and {other} {hash}",
                            state.index
                        ),
                    );
                }
            }
        }
    }

    /// Notes a false order that was found at `at`.
    pub(super) fn find_false_order(&mut self, found: &FalseOrder, at: Duration) {
        let FalseOrder { index, member, .. } = found;
        self.breaks(ORDERS, at, format!("#{index} is not an order of {member}"));
    }

    /// Notes contradicting checkpoints that were found at `at`.
    pub(super) fn find_contradiction(&mut self, found: &HistoriesContradict, at: Duration) {
        let [one, other] = found.members;
        let index = found.index;
        self.breaks(
            CHECKPOINTS,
            at,
            match found.kind {
                DisputeKind::TwoHistories => format!("{one} signed two histories up to #{index}"),
                DisputeKind::Histories => {
                    format!("{one} and {other} have different histories up to #{index}")
                }
                DisputeKind::States => {
                    format!("{one} and {other} have different states after #{index}")
                }
            },
        );
    }

    fn check_leader(&mut self, view: &ClusterView, node: &NodeView, at: Duration) {
        let status = &node.status;
        if status.role == RoleKind::Leader {
            let first = remember(&mut self.leaders, status.term, status.id);
            if first != status.id {
                let one = view.name(first);
                let other = view.name(status.id);
                self.breaks(
                    ELECTION,
                    at,
                    format!("{one} and {other} both lead in {}", status.term),
                );
            }
        }
    }

    fn check_commit(&mut self, view: &ClusterView, node: &NodeView, at: Duration) {
        let id = node.status.id;
        let commit = node.status.commit;
        if let Some(before) = self
            .commits
            .insert(id, commit)
            .filter(|&before| before > commit)
        {
            self.breaks(
                COMMIT,
                at,
                format!("{} went back from {before} to {commit}", view.name(id)),
            );
        }
    }

    fn check_log(&mut self, view: &ClusterView, node: &NodeView, at: Duration) {
        let id = node.status.id;
        // Uncommitted entries may differ without violating anything.
        for entry in node
            .tail
            .iter()
            .filter(|entry| entry.index <= node.status.commit)
        {
            let seen = identity(entry);
            let known = self
                .entries
                .get(&entry.index)
                .filter(|_| seen.1 == EntryKind::Withheld);
            let (first, owner) = match known {
                Some(known) => *known,
                // A witness's entry without a payload is no baseline for others.
                None if seen.1 == EntryKind::Withheld => continue,
                None => remember(&mut self.entries, entry.index, (seen, id)),
            };
            if differ(first, seen) {
                let one = view.name(owner);
                let other = view.name(id);
                let what = if first.0 == seen.0 {
                    "another one".into()
                } else {
                    seen.0.to_string()
                };
                self.breaks(
                    LOGS,
                    at,
                    format!(
                        "at {} {one} committed an entry of {} and {other} {what}",
                        entry.index, first.0
                    ),
                );
            }
        }
    }

    fn breaks(&mut self, property: usize, at: Duration, what: String) {
        self.properties[property]
            .broken
            .get_or_insert(Broken { at, what });
    }
}

fn identity(entry: &Entry) -> Identity {
    let kind = match &entry.payload {
        Payload::Empty => EntryKind::Nothing,
        Payload::Command { command, .. } => EntryKind::Command(command.client, command.sequence),
        Payload::Membership(_) => EntryKind::Members,
        Payload::Withheld => EntryKind::Withheld,
    };
    (entry.term, kind)
}

/// Returns the first value observed under `key`, which is `seen` if there was none.
fn remember<K: Ord, V: Copy>(memory: &mut BTreeMap<K, V>, key: K, seen: V) -> V {
    let first = *memory.entry(key).or_insert(seen);
    while memory.len() > REMEMBERED {
        memory.pop_first();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_view::AppliedState;
    use crate::overlay::derived::tests::{cluster, node};
    use raftian_raft::Stamp;

    fn leading(id: u64, term: u64) -> NodeView {
        let mut node = node(id, term);
        node.status.role = RoleKind::Leader;
        node
    }

    fn logging(id: u64, commit: u64, terms: &[u64]) -> NodeView {
        let mut node = node(id, 9);
        node.status.commit = Index(commit);
        let entry = |(place, &term): (usize, &u64)| Entry {
            term: Term(term),
            index: Index(place as u64 + 1),
            stamp: Stamp(0),
            payload: Payload::Empty,
        };
        node.tail = terms.iter().enumerate().map(entry).collect();
        node
    }

    fn state(index: u64, hash: u64) -> Option<AppliedState> {
        Some(AppliedState {
            index: Index(index),
            hash,
        })
    }

    /// Returns the properties violated by these successive views.
    fn broken(views: Vec<ClusterView>) -> Vec<&'static str> {
        let mut invariants = Invariants::default();
        for (second, view) in views.iter().enumerate() {
            invariants.observe(view, &[], Duration::from_secs(second as u64));
        }
        invariants
            .properties()
            .iter()
            .filter(|checked| checked.broken.is_some())
            .map(|checked| checked.property)
            .collect()
    }

    #[test]
    fn two_leaders_of_one_term_violate_election_safety() {
        assert!(broken(vec![cluster(vec![leading(1, 3), leading(2, 4)])]).is_empty());
        let one_after_another = vec![
            cluster(vec![leading(1, 3)]),
            cluster(vec![node(1, 3), leading(2, 3)]),
        ];
        assert_eq!(broken(one_after_another), ["one leader per term"]);
    }

    #[test]
    fn commit_index_may_go_back_only_after_a_restart() {
        let views = [9, 8].map(|commit| cluster(vec![logging(1, commit, &[])]));
        assert_eq!(broken(views.to_vec()), ["commits never go back"]);
        let mut restarted = Invariants::default();
        restarted.observe(&views[0], &[], Duration::ZERO);
        restarted.observe(&views[1], &[NodeId(1)], Duration::ZERO);
        assert!(
            restarted
                .properties()
                .iter()
                .all(|checked| checked.broken.is_none())
        );
    }

    #[test]
    fn only_committed_entries_must_agree() {
        let logs = |commit| {
            cluster(vec![
                logging(1, 3, &[1, 1, 2]),
                logging(2, commit, &[1, 1, 1]),
            ])
        };
        assert!(broken(vec![logs(2)]).is_empty());
        assert_eq!(broken(vec![logs(3)]), ["committed logs agree"]);
    }

    #[test]
    fn witness_entries_are_compared_by_term_only() {
        let mut witness = logging(2, 3, &[1, 1, 2]);
        witness
            .tail
            .iter_mut()
            .for_each(|entry| entry.payload = Payload::Withheld);
        let views = |term| {
            let others = cluster(vec![logging(1, 3, &[1, 1, term])]);
            vec![
                cluster(vec![witness.clone()]),
                others,
                cluster(vec![witness.clone()]),
            ]
        };
        assert!(broken(views(2)).is_empty());
        assert_eq!(broken(views(1)), ["committed logs agree"]);
    }

    #[test]
    fn states_at_one_index_must_agree_across_views() {
        let mut first = cluster(vec![node(1, 1), node(2, 1)]);
        let mut second = first.clone();
        (first.members[0].state, first.members[1].state) = (state(5, 7), state(4, 1));
        (second.members[0].state, second.members[1].state) = (state(6, 8), state(5, 7));
        assert!(broken(vec![first.clone(), second.clone()]).is_empty());
        second.members[1].state = state(5, 9);
        assert_eq!(broken(vec![first, second]), ["states agree"]);
    }

    #[test]
    fn first_violation_is_kept() {
        let mut invariants = Invariants::default();
        for (second, term) in [(1, 3), (2, 4)] {
            invariants.observe(
                &cluster(vec![leading(1, term), leading(2, term)]),
                &[],
                Duration::from_secs(second),
            );
        }
        let broken = invariants.properties()[ELECTION].broken.clone().unwrap();
        assert_eq!(
            broken,
            Broken {
                at: Duration::from_secs(1),
                what: "m1 and m2 both lead in t3".into()
            }
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut invariants = Invariants::default();
        for term in 0..2 * REMEMBERED as u64 {
            invariants.observe(&cluster(vec![leading(1, term)]), &[], Duration::ZERO);
        }
        assert_eq!(invariants.leaders.len(), REMEMBERED);
    }

    #[test]
    fn signatures_are_a_property_of_matches_that_have_them() {
        let mut invariants = Invariants::default();
        assert_eq!(invariants.properties().len(), ORDERS);
        invariants.is_signed = true;
        let found = FalseOrder {
            index: 7,
            member: NodeId(2),
            leader: None,
            report: None,
            replayed: false,
        };
        invariants.find_false_order(&found, Duration::ZERO);
        let broken = invariants.properties()[ORDERS].broken.as_ref();
        assert_eq!(broken.unwrap().what, "#7 is not an order of n2");
        let found = HistoriesContradict {
            kind: DisputeKind::TwoHistories,
            index: 256,
            members: [NodeId(2), NodeId(2)],
            report: None,
        };
        invariants.find_contradiction(&found, Duration::ZERO);
        let broken = invariants.properties()[CHECKPOINTS].broken.as_ref();
        assert_eq!(broken.unwrap().what, "n2 signed two histories up to #256");
    }
}
