//! A leader's followers: few, and searched on every message.

use alloc::vec::Vec;

use crate::progress::Progress;
use crate::types::NodeId;

/// Largest number of peers that is searched linearly; a larger list is searched by bisection.
const FEW: usize = 16;

/// The followers in id order. A sorted list and not a tree: clusters are small, and every step
/// iterates over all of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers(Vec<(NodeId, Progress)>);

impl Peers {
    pub(crate) fn get(&self, id: NodeId) -> Option<&Progress> {
        self.0
            .get(self.place(id).ok()?)
            .map(|(_, progress)| progress)
    }

    /// The follower, if its acknowledgements count.
    pub(crate) fn counted(&self, id: NodeId) -> Option<&Progress> {
        self.get(id).filter(|progress| progress.lost.is_none())
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Progress> {
        let place = self.place(id).ok()?;
        self.0.get_mut(place).map(|(_, progress)| progress)
    }

    /// Position of `id`, or where it would be inserted. A linear search is faster than bisection up
    /// to [`FEW`] peers, and either way each comparison costs one cache line.
    fn place(&self, id: NodeId) -> Result<usize, usize> {
        if self.0.len() > FEW {
            return self.0.binary_search_by_key(&id, |(peer, _)| *peer);
        }
        let before = self.0.iter().take_while(|(peer, _)| *peer < id).count();
        match self.0.get(before) {
            Some((peer, _)) if *peer == id => Ok(before),
            Some(_) | None => Err(before),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Progress)> {
        self.0.iter().map(|(id, progress)| (*id, progress))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (NodeId, &mut Progress)> {
        self.0.iter_mut().map(|(id, progress)| (*id, progress))
    }

    /// Number of followers.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn retain(&mut self, stays: impl Fn(NodeId, &Progress) -> bool) {
        self.0.retain(|(id, progress)| stays(*id, progress));
    }

    /// Returns the progress of `id`, inserting `new` if there is none yet.
    pub(crate) fn entry(&mut self, id: NodeId, new: impl FnOnce() -> Progress) -> &mut Progress {
        let place = self.place(id).unwrap_or_else(|place| {
            self.0.insert(place, (id, new()));
            place
        });
        &mut self.0[place].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Index, Moment};

    fn new(last: u64) -> impl FnOnce() -> Progress {
        move || Progress::new(Index(last), Moment(0), Incarnation(0), false)
    }

    #[test]
    fn crowd_of_peers_is_sorted_without_duplicates() {
        let mut peers = Peers::default();
        // 7 and 101 are coprime, so this yields every even number up to 200, out of order.
        for id in (0..101).map(|step| step * 7 % 101 * 2).chain([100]) {
            peers.entry(NodeId(id), new(id));
        }
        assert!(
            peers
                .iter()
                .map(|(id, _)| id.0)
                .eq((0..101).map(|id| id * 2))
        );
        for id in 0..=202 {
            let expected = (id % 2 == 0 && id <= 200).then(|| Index(id + 1));
            assert_eq!(
                peers.get(NodeId(id)).map(|progress| progress.next),
                expected,
                "{id}"
            );
        }
    }

    #[test]
    fn peers_are_sorted_without_duplicates() {
        let mut peers = Peers::default();
        for id in [5, 2, 9, 2] {
            peers.entry(NodeId(id), new(id));
        }
        assert_eq!(
            peers.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
            [2, 5, 9]
        );
        assert_eq!(
            peers.get(NodeId(9)).map(|progress| progress.next),
            Some(Index(10))
        );
        assert!([1, 3, 10].iter().all(|id| peers.get(NodeId(*id)).is_none()));
        peers.retain(|id, _| id != NodeId(5));
        assert_eq!((peers.len(), peers.get_mut(NodeId(5)).is_none()), (2, true));
    }
}
