//! What a node knows of its peers.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_raft::{Change, Index, MembershipError, Node, NodeId, PeerStatus, Standing, Status};

use super::event_loop::NodeDriver;

/// Returns the last entries in the logs of the members, as this leader knows them.
pub(super) fn progress(node: &Node) -> Vec<(NodeId, Index)> {
    let status = node.status();
    let peers = status.peers.iter().map(|peer| (peer.id, peer.matched));
    peers.chain([(status.id, status.last.index)]).collect()
}

/// Returns the members that answer this leader, and itself.
pub(super) fn present(node: &Node) -> BTreeSet<NodeId> {
    let status = node.status();
    let longest = node.config().vanish_after.unwrap_or(Duration::MAX);
    let peers = status.peers.iter();
    let present = peers.filter(|peer| peer.silent_for < longest);
    present.map(|peer| peer.id).chain([status.id]).collect()
}

/// Returns the status of a peer, as this leader knows it.
pub(super) fn peer(status: &Status, id: NodeId) -> Option<&PeerStatus> {
    status.peers.iter().find(|peer| peer.id == id)
}

/// Returns the peers that are connected.
pub(super) fn connected_peers(driver: &NodeDriver) -> Vec<NodeId> {
    let peers = driver.links().counters().peers().into_iter();
    peers
        .filter(|(_, counters)| counters.connected())
        .map(|(id, _)| id)
        .collect()
}

/// Returns the change if the voters after it that answered since the request arrived,
/// `elapsed` ago, can commit it. If they cannot, returns a change that takes the vote of a silent
/// member, after which they can; `None` to wait for answers.
///
/// A change of voters takes effect when it is appended. If too few of the new voters run, nothing
/// is committed any longer, that change included.
pub(super) fn committable(
    node: &Node,
    change: Change,
    elapsed: Duration,
) -> Result<Option<Change>, MembershipError> {
    let membership = node.membership();
    let after = membership.after(&change)?;
    let is_of_members = match &change {
        Change::Remove(_) | Change::Set(..) => true,
        Change::Add { standing, .. } => standing.votes(),
        Change::Replace(_) | Change::Record { .. } => false,
    };
    let status = node.status();
    let answers = |id| {
        id == node.id()
            || status
                .peers
                .iter()
                .any(|peer| peer.id == id && peer.silent_for < elapsed)
    };
    if !is_of_members || after.is_quorum(answers) {
        return Ok(Some(change));
    }
    if elapsed < node.config().max_election_timeout() {
        return Ok(None);
    }
    let silent = membership
        .members()
        .filter(|(id, member)| member.standing == Some(Standing::Voter) && !answers(*id));
    let demotions =
        silent.map(|(id, member)| Change::Set(id, member.incarnation, Standing::Joining));
    let mut possible = demotions.filter(|demotion| {
        membership
            .after(demotion)
            .is_ok_and(|after| after.is_quorum(answers))
    });
    Ok(possible.next())
}
