//! Trie of the lists that reads of one key saw, including all their prefixes.
//!
//! The search represents a key's list as a node. No read sees a list without a node, or any list
//! that extends it: its contents do not matter until the next write, and all such lists are equal.

use std::collections::BTreeMap;

/// A prefix of a list that some read saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Node(usize);

/// A key's list: a node, or `None` for a list that no later read sees.
pub(super) type List = Option<Node>;

/// All nodes of one key. Reads are identified by their place in the order of invocation.
pub(super) struct Lists {
    /// The node one value longer.
    longer: BTreeMap<(Node, u64), Node>,
    /// The node one value shorter, with that value; the empty list has none.
    shorter: Vec<Option<(Node, u64)>>,
    /// Last read that saw this list or an extension of it.
    last_read: Vec<Option<usize>>,
    /// Last read that saw this value anywhere in a list.
    last_read_with: BTreeMap<u64, usize>,
}

impl Lists {
    /// The list before any operation.
    pub(super) const EMPTY: Node = Node(0);

    /// Creates a trie with only the empty list, which no read has seen yet.
    pub(super) fn new() -> Self {
        Lists {
            longer: BTreeMap::new(),
            shorter: vec![None],
            last_read: vec![None],
            last_read_with: BTreeMap::new(),
        }
    }

    /// Records that the read at `place` saw this list. Places must increase from call to call.
    pub(super) fn see(&mut self, list: &[u64], place: usize) -> Node {
        let mut node = Self::EMPTY;
        self.last_read[node.0] = Some(place);
        for value in list {
            node = *self.longer.entry((node, *value)).or_insert_with(|| {
                self.shorter.push(Some((node, *value)));
                self.last_read.push(None);
                Node(self.shorter.len() - 1)
            });
            self.last_read[node.0] = Some(place);
            self.last_read_with.insert(*value, place);
        }
        node
    }

    /// Returns the list after a write.
    pub(super) fn written(&self, value: u64) -> List {
        self.appended(Some(Self::EMPTY), value)
    }

    /// Returns the list after an append.
    pub(super) fn appended(&self, list: List, value: u64) -> List {
        self.longer.get(&(list?, value)).copied()
    }

    /// Returns the list if a read at place `from` or later sees it or an extension of it.
    pub(super) fn if_seen_from(&self, list: List, from: usize) -> List {
        list.filter(|node| self.last_read[node.0] >= Some(from))
    }

    /// Returns whether a read at place `from` or later sees this value.
    pub(super) fn is_seen_from(&self, value: u64, from: usize) -> bool {
        self.last_read_with.get(&value) >= Some(&from)
    }

    /// Returns the values of a node, from the first to the last.
    pub(super) fn values(&self, mut node: Node) -> Vec<u64> {
        let mut values = Vec::new();
        while let Some((shorter, value)) = self.shorter[node.0] {
            values.push(value);
            node = shorter;
        }
        values.reverse();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_no_read_sees_are_equal() {
        let mut lists = Lists::new();
        let seen = lists.see(&[1, 2], 0);
        let one = lists.written(1);
        assert_eq!(lists.appended(one, 2), Some(seen));
        assert_eq!(lists.values(seen), [1, 2]);
        assert_eq!(
            (
                lists.written(2),
                lists.appended(one, 3),
                lists.appended(None, 2)
            ),
            (None, None, None)
        );
    }

    #[test]
    fn list_is_seen_as_long_as_any_extension_of_it() {
        let mut lists = Lists::new();
        let short = Some(lists.see(&[1], 3));
        let long = Some(lists.see(&[1, 2], 5));
        lists.see(&[], 7);
        assert_eq!(
            (lists.if_seen_from(short, 5), lists.if_seen_from(short, 6)),
            (short, None)
        );
        assert_eq!(
            (lists.if_seen_from(long, 5), lists.if_seen_from(long, 6)),
            (long, None)
        );
        assert!(lists.if_seen_from(Some(Lists::EMPTY), 7).is_some());
        assert!(lists.is_seen_from(2, 5) && !lists.is_seen_from(2, 6) && !lists.is_seen_from(9, 0));
    }
}
