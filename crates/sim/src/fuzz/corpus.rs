//! Valid sample values, produced by a small cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_raft::{
    Body, Change, Entry, Incarnation, Index, LogPosition, Membership, Message, NodeId, Payload,
    ReadId, Snapshot, Stamp, Standing, Term,
};

use crate::cluster::{Kind, Setup, Simulation};

/// Returns a few samples of every kind of message.
pub(super) fn messages() -> Vec<Message> {
    let mut found: BTreeMap<Kind, Vec<Message>> = BTreeMap::new();
    for envelope in traffic() {
        let few = found.entry(Kind::of(&envelope)).or_default();
        if few.len() < 6 && !few.contains(&envelope) {
            few.push(envelope);
        }
    }
    found.into_values().flatten().collect()
}

/// Returns all messages of a run with elections, commands, reads, a joining node, a snapshot and a
/// leadership transfer.
fn traffic() -> Vec<Message> {
    let ms = Duration::from_millis;
    let mut messages = Vec::new();
    let setup = Setup::cluster(3, 1).outsider(4).configure(|config| {
        // Small chunks, so that a snapshot takes several messages.
        (config.snapshot_keep, config.snapshot_chunk) = (0, 64);
    });
    let mut cluster = Simulation::new(setup);
    let n1 = NodeId(1);
    let n2 = NodeId(2);
    let n3 = NodeId(3);
    cluster.campaign(n1);
    quiet(&mut cluster, &mut messages);
    for number in 1..=4 {
        let _ = cluster.propose(n1, 7, number, &vec![0xAB; number as usize * 9]);
        let _ = cluster.propose(n2, 8, number, b"from a follower");
        quiet(&mut cluster, &mut messages);
    }
    cluster.read(n2, ReadId(1), false);
    quiet(&mut cluster, &mut messages);
    // n3 misses an entry that n1 then compacts, so n3 needs a snapshot.
    cluster.isolate(n3);
    let _ = cluster.propose(n1, 7, 5, b"n3 does not receive it");
    quiet(&mut cluster, &mut messages);
    cluster.compact(n1, None);
    cluster.heal();
    let _ = cluster.change_membership(
        n1,
        Change::Set(NodeId(4), Incarnation::default(), Standing::Voter),
    );
    let two = [
        (1, Standing::Voter),
        (2, Standing::Voter),
        (3, Standing::Learner),
        (4, Standing::Witness),
    ];
    for _ in 0..4 {
        cluster.advance(ms(60));
        quiet(&mut cluster, &mut messages);
    }
    let members = two.map(|(id, standing)| (NodeId(id), Incarnation::default(), standing));
    let _ = cluster.change_membership(n1, Change::Replace(members.to_vec()));
    quiet(&mut cluster, &mut messages);
    let _ = cluster.transfer_leadership(n1, Some(n2));
    quiet(&mut cluster, &mut messages);
    // The run above loses no disk and founds no cluster, so these kinds are added by hand.
    messages.push(Message::new(
        Term(2),
        Body::LostEntries {
            acknowledged: Index(9),
        },
    ));
    let incarnations = vec![(n1, Some(Incarnation(7))), (n2, None)];
    let membership = Membership::new([n1, n2]).expect("two founders");
    for body in [
        Body::Founders { incarnations },
        Body::Founded { membership },
    ] {
        messages.push(Message::new(Term(0), body));
    }
    messages
}

fn quiet(cluster: &mut Simulation, messages: &mut Vec<Message>) {
    while cluster.queued().len() > 0 {
        messages.extend(
            cluster
                .queued()
                .take(1)
                .map(|envelope| envelope.message.clone()),
        );
        cluster.deliver_at(0);
    }
}

pub(super) fn entries() -> Vec<Entry> {
    let at = |index, payload| Entry {
        term: Term(index / 2 + 1),
        index: Index(index),
        stamp: Stamp(index * 40),
        payload,
    };
    let mut entries = vec![at(1, Payload::Empty), at(70_000, Payload::Withheld)];
    entries.extend(
        (2..)
            .zip(memberships())
            .map(|(index, membership)| at(index, Payload::Membership(membership))),
    );
    let commands = messages()
        .into_iter()
        .filter_map(|message| match message.body {
            Body::AppendEntries(append) => Some(append.entries),
            _ => None,
        });
    entries.extend(commands.flatten().take(8));
    entries
}

pub(super) fn snapshots() -> Vec<Snapshot> {
    let states = [
        None,
        Some(Vec::new()),
        Some(b"a city stands".to_vec()),
        Some(vec![7; 600]),
    ];
    let memberships = memberships();
    let snapshot = |(number, (membership, data)): (u64, (Membership, Option<Vec<u8>>))| Snapshot {
        position: LogPosition {
            term: Term(number),
            index: Index(number * 1000),
        },
        stamp: Stamp(number * 50_000),
        membership,
        data: data.map(Into::into),
    };
    (1..)
        .zip(memberships.into_iter().cycle().zip(states))
        .map(snapshot)
        .collect()
}

pub(super) fn memberships() -> Vec<Membership> {
    let of = |members: &[(u64, u64, Standing)]| {
        let member = |(id, incarnation, standing): &(u64, u64, Standing)| {
            (NodeId(*id), Incarnation(*incarnation), *standing)
        };
        Membership::of(members.iter().map(member)).expect("a member may lead")
    };
    let three = of(&[
        (1, 0, Standing::Voter),
        (2, 0, Standing::Voter),
        (3, 0, Standing::Voter),
    ]);
    let joint = Change::Replace(vec![(NodeId(2), Incarnation(0), Standing::Voter)]);
    let joint = three.after(&joint).expect("two voters may leave");
    let all = [
        (1, 0, Standing::Voter),
        (2, 77, Standing::Witness),
        (300, u64::MAX, Standing::Learner),
        (u64::MAX, 1, Standing::Joining),
    ];
    vec![of(&[(1, 0, Standing::Voter)]), three, joint, of(&all)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpus_contains_every_kind_of_message() {
        let kinds: std::collections::BTreeSet<_> = messages().iter().map(Kind::of).collect();
        assert_eq!(kinds.len(), 16, "{kinds:?}");
    }
}
