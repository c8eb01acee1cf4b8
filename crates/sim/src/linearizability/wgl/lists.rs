//! The lists that reads of one key saw, and all their beginnings, as the nodes of a tree.
//!
//! The search keeps a key's list as a node. A list that is no node is one that no read ever sees,
//! nor any list that grows out of it: until the next write it does not matter what is in it, and
//! all such lists are one.

use std::collections::BTreeMap;

/// A list that is a beginning of one that some read saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Node(usize);

/// A key's list: a node, or what no read that is still to come sees.
pub(super) type List = Option<Node>;

/// All nodes of one key. Reads are known by their place in the order of invocation.
pub(super) struct Lists {
    /// The node one value longer.
    longer: BTreeMap<(Node, u64), Node>,
    /// The node one value shorter, with that value; the empty list has none.
    shorter: Vec<Option<(Node, u64)>>,
    /// Last read that saw this list or a longer one.
    last_read: Vec<Option<usize>>,
    /// Last read that saw this value anywhere in a list.
    last_read_with: BTreeMap<u64, usize>,
}

impl Lists {
    /// The list before any operation.
    pub(super) const EMPTY: Node = Node(0);

    /// Only the empty list, which nobody saw yet.
    pub(super) fn new() -> Self {
        Lists {
            longer: BTreeMap::new(),
            shorter: vec![None],
            last_read: vec![None],
            last_read_with: BTreeMap::new(),
        }
    }

    /// The read at `place` saw this list. Later calls name later places.
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

    /// The list after a write.
    pub(super) fn written(&self, value: u64) -> List {
        self.appended(Some(Self::EMPTY), value)
    }

    /// The list after an append.
    pub(super) fn appended(&self, list: List, value: u64) -> List {
        self.longer.get(&(list?, value)).copied()
    }

    /// The list, if a read at place `from` or later sees it or a longer one.
    pub(super) fn if_seen_from(&self, list: List, from: usize) -> List {
        list.filter(|node| self.last_read[node.0] >= Some(from))
    }

    /// Whether a read at place `from` or later sees this value.
    pub(super) fn is_seen_from(&self, value: u64, from: usize) -> bool {
        self.last_read_with.get(&value) >= Some(&from)
    }

    /// Its values, from the first to the last.
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
    fn lists_that_no_read_sees_are_one() {
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
    fn a_list_is_seen_as_long_as_one_that_grows_out_of_it() {
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
