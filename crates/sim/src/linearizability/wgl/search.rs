//! The search for an order of the operations of one key.
//!
//! It walks from state to state; a state consists of the placed operations and the key's resulting
//! list. States are kept on an explicit stack instead of the call stack: depth costs memory, which
//! the budget bounds.

use std::collections::BTreeSet;

use super::lists::{List, Lists, Node};
use crate::linearizability::history::{Call, Operation};

/// Result of a search.
pub(super) enum Found<'a> {
    /// Some order explains every answer.
    Order,
    /// No order does; the fields describe the furthest state.
    NoOrder {
        placed: usize,
        list: Option<Vec<u64>>,
        waiting: Vec<&'a Operation>,
    },
    /// The budget ran out.
    OutOfBudget,
}

/// The operations of one key.
pub(super) struct Search<'a> {
    /// Answered operations, in order of invocation. A *place* is an index into them.
    answered: Vec<Answered<'a>>,
    /// Updates of unknown outcome, in order of invocation. Reads of unknown outcome are irrelevant.
    unknown: Vec<&'a Operation>,
    lists: Lists,
}

struct Answered<'a> {
    operation: &'a Operation,
    returned: u64,
    /// The list that it returned, if it is a read.
    saw: Option<Node>,
}

/// The placed operations and the key's resulting list.
///
/// Two paths to equal states have the same continuations, so only one is followed. The state omits
/// everything that would distinguish states without need: see [`Search::settle`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// Upper bound of the placed operations: all answered operations below this place are placed,
    /// except `gaps`. The last one is always placed.
    end: usize,
    /// Places below `end` that are not placed. They are few because all of them were concurrent.
    gaps: Vec<usize>,
    /// Placed operations of unknown outcome, if placing them again could matter. In rising order.
    unknown: Vec<usize>,
    list: List,
}

impl State {
    fn placed(&self) -> usize {
        self.end - self.gaps.len()
    }

    /// Places the answered operation at `place`.
    fn place(&mut self, place: usize) {
        if place >= self.end {
            self.gaps.extend(self.end..place);
            self.end = place + 1;
        } else {
            self.gaps.retain(|gap| *gap != place);
        }
    }
}

impl<'a> Search<'a> {
    /// Creates a search over the operations of one key, given in order of invocation.
    pub(super) fn new(operations: &[&'a Operation]) -> Self {
        let mut search = Search {
            answered: Vec::new(),
            unknown: Vec::new(),
            lists: Lists::new(),
        };
        for operation in operations {
            if let Some(returned) = operation.returned() {
                let saw = operation
                    .list()
                    .map(|list| search.lists.see(list, search.answered.len()));
                search.answered.push(Answered {
                    operation,
                    returned,
                    saw,
                });
            } else if operation.call.is_update() {
                search.unknown.push(operation);
            }
        }
        search
    }

    /// Runs the search over at most `budget` states.
    pub(super) fn run(&self, budget: usize) -> Found<'a> {
        let mut start = State {
            end: 0,
            gaps: Vec::new(),
            unknown: Vec::new(),
            list: Some(Lists::EMPTY),
        };
        self.settle(&mut start);
        let mut known = BTreeSet::from([start.clone()]);
        let mut furthest = start.clone();
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            if self.explains_every_read(&state) {
                return Found::Order;
            }
            if state.placed() > furthest.placed() {
                furthest = state.clone();
            }
            for next in self.after(&state) {
                if known.contains(&next) {
                    continue;
                }
                if known.len() >= budget {
                    return Found::OutOfBudget;
                }
                known.insert(next.clone());
                open.push(next);
            }
        }
        let (next, _) = self.next(&furthest);
        Found::NoOrder {
            placed: furthest.placed(),
            list: furthest.list.map(|node| self.lists.values(node)),
            waiting: next
                .into_iter()
                .map(|place| self.answered[place].operation)
                .collect(),
        }
    }

    /// Returns the candidates for the next answered operation: those invoked before the first
    /// return of any unplaced one. Also returns the time of that return; no operation invoked later
    /// can be next.
    fn next(&self, state: &State) -> (Vec<usize>, u64) {
        let mut first_return = u64::MAX;
        let mut next = Vec::new();
        for place in state
            .gaps
            .iter()
            .copied()
            .chain(state.end..self.answered.len())
        {
            let Answered {
                operation,
                returned,
                ..
            } = &self.answered[place];
            if operation.invoked > first_return {
                break;
            }
            first_return = first_return.min(*returned);
            next.push(place);
        }
        (next, first_return)
    }

    /// Returns the states that are one update further. The most promising is last, because the
    /// search pops the last one first.
    fn after(&self, state: &State) -> Vec<State> {
        let (next, first_return) = self.next(state);
        let from = self.first_open_read(state);
        let mut after = Vec::new();
        for place in next {
            let Answered {
                operation,
                returned,
                saw,
            } = &self.answered[place];
            // A read that matched is placed already, and one that does not match cannot be next.
            if saw.is_none() {
                let mut then = State {
                    list: self.list_after(state.list, operation.call),
                    ..state.clone()
                };
                then.place(place);
                after.push((*returned, then));
            }
        }
        for (number, operation) in self.unknown.iter().enumerate() {
            if operation.invoked > first_return {
                break;
            }
            let Err(at) = state.unknown.binary_search(&number) else {
                continue;
            };
            let list = self.list_after(state.list, operation.call);
            // If no later read sees it, the rest explains the answers equally well without it.
            if self.lists.if_seen_from(list, from).is_some() {
                let mut then = State {
                    list,
                    ..state.clone()
                };
                then.unknown.insert(at, number);
                after.push((u64::MAX, then));
            }
        }
        for (_, then) in &mut after {
            self.settle(then);
        }
        // Prefer lists that a later read sees, then the earliest return; a call of unknown outcome
        // counts as the latest return.
        after.sort_by_key(|(returned, then)| std::cmp::Reverse((then.list.is_none(), *returned)));
        after.into_iter().map(|(_, then)| then).collect()
    }

    fn list_after(&self, list: List, call: Call) -> List {
        match call {
            Call::Write(value) => self.lists.written(value),
            Call::Append(value) => self.lists.appended(list, value),
            Call::Read => list,
        }
    }

    /// Places every read that matches, and drops state that no later read can distinguish.
    fn settle(&self, state: &mut State) {
        while let Some(node) = state.list
            && let Some(read) = self
                .next(state)
                .0
                .into_iter()
                .find(|place| self.answered[*place].saw == Some(node))
        {
            state.place(read);
        }
        let from = self.first_open_read(state);
        state.list = self.lists.if_seen_from(state.list, from);
        // Placing an update again could matter only while a later read sees its value.
        state
            .unknown
            .retain(|number| match self.unknown[*number].call {
                Call::Write(value) | Call::Append(value) => self.lists.is_seen_from(value, from),
                Call::Read => false,
            });
    }

    /// Returns a place below which all reads are placed. It never decreases from a state to the
    /// next.
    fn first_open_read(&self, state: &State) -> usize {
        state
            .gaps
            .iter()
            .copied()
            .find(|gap| self.answered[*gap].saw.is_some())
            .unwrap_or(state.end)
    }

    /// Returns whether all reads are placed. The remaining updates can be placed in order of
    /// invocation, as they return nothing.
    fn explains_every_read(&self, state: &State) -> bool {
        self.lists
            .if_seen_from(Some(Lists::EMPTY), self.first_open_read(state))
            .is_none()
    }
}
