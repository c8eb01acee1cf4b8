//! The search for an order of the operations of one key.
//!
//! It walks from state to state, each of which says which operations are placed and what the key
//! then holds. States are kept on a stack of their own, not on the program's: depth costs memory,
//! which the budget bounds.

use std::collections::BTreeSet;

use super::lists::{List, Lists, Node};
use crate::linearizability::history::{Call, Operation};

/// What became of a search.
pub(super) enum Found<'a> {
    /// An order that explains every answer.
    Order,
    /// There is none. Where the search got furthest.
    NoOrder {
        placed: usize,
        list: Option<Vec<u64>>,
        waiting: Vec<&'a Operation>,
    },
    /// The search was given up.
    OutOfBudget,
}

/// The operations of one key.
pub(super) struct Search<'a> {
    /// Those that were answered, in order of invocation. A *place* is an index into them.
    answered: Vec<Answered<'a>>,
    /// Updates of unknown outcome, in order of invocation. Reads of unknown outcome say nothing.
    unknown: Vec<&'a Operation>,
    lists: Lists,
}

struct Answered<'a> {
    operation: &'a Operation,
    returned: u64,
    /// What it saw, if it is a read.
    saw: Option<Node>,
}

/// What is placed, and what the key then holds.
///
/// Two ways of getting to equal states have the same future, so that only one is followed. All that
/// could make states differ without need is therefore left out: see [`Search::settle`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// The answered operations below this place are placed, the last of them for certain …
    end: usize,
    /// … and these not. They were all under way at once, so that they are few.
    gaps: Vec<usize>,
    /// Which operations of unknown outcome are placed, if placing them again could matter. In
    /// rising order.
    unknown: Vec<usize>,
    list: List,
}

impl State {
    fn placed(&self) -> usize {
        self.end - self.gaps.len()
    }

    /// The answered operation at `place` is placed.
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
    /// A search among the operations of one key, given in order of invocation.
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

    /// Looks at `budget` states at most.
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

    /// The answered operations of which one is next: those invoked before any that is not placed
    /// returned. And that return, after which nothing can be next that was invoked later.
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

    /// The states one update further. The most promising comes last, because the last is looked at
    /// first.
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
            // If no read sees it, whatever follows explains the answers as well without it.
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
        // First what a read can still see, of that what returned first, and a call of unknown
        // outcome only at need.
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

    /// Places what can be placed without loss, and forgets what can no longer make a difference.
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
        state
            .unknown
            .retain(|number| match self.unknown[*number].call {
                Call::Write(value) | Call::Append(value) => self.lists.is_seen_from(value, from),
                Call::Read => false,
            });
    }

    /// No read below this place is still to be placed. It never falls from a state to the next.
    fn first_open_read(&self, state: &State) -> usize {
        state
            .gaps
            .iter()
            .copied()
            .find(|gap| self.answered[*gap].saw.is_some())
            .unwrap_or(state.end)
    }

    /// Whether no read is left. Updates that are left can be placed in order of invocation: they
    /// see nothing.
    fn explains_every_read(&self, state: &State) -> bool {
        self.lists
            .if_seen_from(Some(Lists::EMPTY), self.first_open_read(state))
            .is_none()
    }
}
