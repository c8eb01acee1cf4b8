//! Generators of scripts.

use super::*;

fn numbered<T>(what: T) -> Numbered<T> {
    Numbered { line: 0, what }
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let begin = (
        prop::collection::vec(setting(), 0..6),
        prop::collection::vec(preset(), 0..6),
    );
    (begin, prop::collection::vec(step(), 0..12)).prop_map(|((options, presets), steps)| {
        // A valid script defines names before their use and lists every joining node.
        let named = ["a", "old-1"].map(|name| {
            let dup = Step::Dup {
                select: Select::default(),
                later: Some(name.into()),
            };
            let copy = Step::CopyDisk {
                node: NodeId(1),
                name: name.into(),
            };
            [
                dup,
                copy,
                Step::Read {
                    node: NodeId(1),
                    name: name.into(),
                    lease: false,
                },
            ]
        });
        let joins = Step::Member {
            node: NodeId(1),
            change: Change::Join(NodeId(8)),
        };
        let steps = named
            .into_iter()
            .flatten()
            .chain([joins])
            .chain(steps)
            .map(numbered)
            .collect();
        let cluster = Cluster {
            line: 0,
            voters: 5,
            learners: [NodeId(6), NodeId(7)].into(),
            witnesses: [NodeId(4)].into(),
        };
        let options = options.into_iter().map(numbered).collect();
        let presets = presets.into_iter().map(numbered).collect();
        Script {
            cluster,
            options,
            presets,
            steps,
            joiners: [NodeId(8)].into(),
        }
    })
}

fn node() -> impl Strategy<Value = NodeId> {
    (1u64..=8).prop_map(NodeId)
}

fn nodes(
    range: std::ops::Range<u64>,
    least: usize,
) -> impl Strategy<Value = std::collections::BTreeSet<NodeId>> {
    let count = (range.end - range.start) as usize;
    prop::collection::btree_set(range.prop_map(NodeId), least..=count)
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0u64..86_400).prop_map(Duration::from_secs),
        (0u64..5_000_000).prop_map(Duration::from_micros)
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let number = 1u64..1 << 40;
    prop_oneof![
        any::<bool>().prop_map(Setting::PreVote),
        any::<bool>().prop_map(Setting::CheckQuorum),
        any::<bool>().prop_map(Setting::Lease),
        any::<bool>().prop_map(Setting::ReplaceIncarnations),
        any::<bool>().prop_map(Setting::FoundersAgree),
        any::<bool>().prop_map(Setting::Adaptive),
        number.clone().prop_map(Setting::MaxAppendEntries),
        number.clone().prop_map(Setting::Inflight),
        number.clone().prop_map(Setting::InflightBytes),
        number.clone().prop_map(Setting::MaxUncommitted),
        number.clone().prop_map(Setting::ApplyWindow),
        number.clone().prop_map(Setting::SnapshotKeep),
        number.clone().prop_map(Setting::HashEvery),
        number.clone().prop_map(Setting::SnapshotEntries),
        number.clone().prop_map(Setting::SnapshotBytes),
        number.clone().prop_map(Setting::MaxLogBytes),
        number.clone().prop_map(Setting::SnapshotInflight),
        number.clone().prop_map(Setting::MaxSnapshotBytes),
        duration().prop_map(Setting::DiskTimeout),
        duration().prop_map(Setting::PromoteAfter),
        (1u64..900, 1u64..900).prop_map(|(floor, more)| Setting::AdaptiveWithin {
            floor: Duration::from_millis(floor),
            ceiling: Duration::from_millis(floor + more),
        }),
        number.prop_map(Setting::SnapshotChunk),
        (200u64..900, 1u64..900).prop_map(|(shortest, more)| Setting::Election {
            shortest: Duration::from_millis(shortest),
            longest: Duration::from_millis(shortest + more),
        }),
        (1u64..75_000).prop_map(|micros| Setting::Heartbeat(Duration::from_micros(micros))),
        (node(), any::<u64>()).prop_map(|(node, priority)| Setting::Priority { node, priority }),
        any::<u64>().prop_map(Setting::Seed),
    ]
}

fn preset() -> impl Strategy<Value = Preset> {
    let whose = prop::option::of((1u64..=7).prop_map(NodeId));
    let what = prop_oneof![
        prop::collection::vec(1u64..9, 0..9).prop_map(|mut terms| {
            terms.sort_unstable();
            OnDisk::Log(terms.into_iter().map(Term).collect())
        }),
        (0u64..u64::MAX).prop_map(|term| OnDisk::Term(Term(term))),
        prop::option::of(node()).prop_map(OnDisk::Vote),
        Just(OnDisk::Commit(Index(0))),
    ];
    (whose, what).prop_map(|(node, what)| Preset { node, what })
}

fn kind() -> impl Strategy<Value = Option<KindName>> {
    prop::option::of(prop::sample::select(KindName::ALL.to_vec()))
}

fn link() -> impl Strategy<Value = Link> {
    (prop::option::of(node()), prop::option::of(node())).prop_map(|(from, to)| Link {
        from,
        to: to.filter(|to| Some(*to) != from),
    })
}

fn select() -> impl Strategy<Value = Select> {
    (link(), kind(), prop::option::of(1u64..)).prop_map(|(link, kind, most)| Select {
        link,
        kind,
        most,
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a".to_string(), "old-1".to_string()])
}

fn command() -> impl Strategy<Value = String> {
    "[^\"\r\n\u{b}\u{c}]{0,12}"
}

fn step() -> impl Strategy<Value = Step> {
    let client = prop::option::of((any::<u64>().prop_map(ClientId), 1u64..));
    let messages = prop_oneof![
        Just(Step::DeliverAll),
        select().prop_map(Step::Deliver),
        select().prop_map(Step::Drop),
        (select(), prop::option::of(name()))
            .prop_map(|(select, later)| Step::Dup { select, later }),
        name().prop_map(Step::Replay),
        (nodes(1..4, 1), nodes(4..8, 1), any::<bool>()).prop_map(|(a, b, only)| Step::Partition {
            groups: vec![a, b],
            only
        }),
        (link(), duration()).prop_map(|(link, by)| Step::Delay { link, by }),
        link().prop_map(Step::Cut),
        node().prop_map(Step::Isolate),
        Just(Step::Heal),
    ];
    let machines = prop_oneof![
        node().prop_map(Step::Campaign),
        node().prop_map(Step::Tick),
        node().prop_map(Step::Crash),
        node().prop_map(Step::Restart),
        node().prop_map(Step::Wipe),
        node().prop_map(Step::Astray),
        node().prop_map(Step::HoldDisk),
        node().prop_map(Step::Pause),
        node().prop_map(Step::Resume),
        node().prop_map(Step::FailDisk),
        node().prop_map(Step::FillDisk),
        node().prop_map(Step::FreeDisk),
        node().prop_map(Step::Tear),
        (node(), name()).prop_map(|(node, name)| Step::CopyDisk { node, name }),
        (node(), name()).prop_map(|(node, name)| Step::PutBack { node, name }),
        (node(), 1u64..=1_000).prop_map(|(node, percent)| Step::Clock { node, percent }),
        (node(), prop::option::of(1u64..))
            .prop_map(|(node, count)| Step::ReleaseDisk { node, count }),
        (node(), 1u64..).prop_map(|(node, up_to)| Step::Compact {
            node,
            up_to: Index(up_to)
        }),
    ];
    let clients = prop_oneof![
        (node(), client, command()).prop_map(|(node, name, command)| Step::Propose {
            node,
            name,
            command
        }),
        (node(), name(), any::<bool>()).prop_map(|(node, name, lease)| Step::Read {
            node,
            name,
            lease
        }),
        (node(), prop::option::of(node())).prop_map(|(from, to)| Step::Transfer { from, to }),
        (node(), change()).prop_map(|(node, change)| Step::Member { node, change }),
    ];
    let time = prop_oneof![
        duration().prop_map(Step::Advance),
        duration().prop_map(Step::Run),
        duration().prop_map(Step::Settle),
        Just(Step::Stabilize),
    ];
    let until =
        (expectation(), duration()).prop_map(|(expect, within)| Step::Until { expect, within });
    prop_oneof![
        messages,
        machines,
        clients,
        time,
        expectation().prop_map(Step::Expect),
        until
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        node().prop_map(Change::Add),
        node().prop_map(Change::Join),
        node().prop_map(Change::Learner),
        node().prop_map(Change::Witness),
        node().prop_map(Change::Remove),
        (nodes(1..5, 1), nodes(5..9, 0))
            .prop_map(|(voters, learners)| Change::Voters { voters, learners }),
        (node(), command()).prop_map(|(member, contact)| Change::Contact(member, contact)),
    ]
}

fn expectation() -> impl Strategy<Value = Expect> {
    prop_oneof![3 => expect(), 1 => expect().prop_map(|expect| Expect::Not(Box::new(expect)))]
}

fn expect() -> impl Strategy<Value = Expect> {
    let wanted = || {
        prop_oneof![
            any::<u64>().prop_map(Wanted::Exactly),
            any::<u64>().prop_map(Wanted::AtLeast),
            any::<u64>().prop_map(Wanted::AtMost)
        ]
    };
    let why = || prop::option::of(command());
    let answer = prop_oneof![
        Just(Answer::Pending),
        why().prop_map(Answer::Refused),
        wanted().prop_map(Answer::At)
    ];
    let one_node = prop_oneof![
        node().prop_map(Expect::Leader),
        (node(), prop::option::of(node()))
            .prop_map(|(node, leader)| Expect::LeaderOf(node, leader)),
        (node(), prop::sample::select(RoleName::ALL.to_vec()))
            .prop_map(|(node, role)| Expect::Role(node, role)),
        (node(), wanted()).prop_map(|(node, wanted)| Expect::Term(node, wanted)),
        (node(), prop::option::of(node())).prop_map(|(node, vote)| Expect::Vote(node, vote)),
        (
            node(),
            prop::collection::vec((1..u64::MAX).prop_map(Term), 0..6)
        )
            .prop_map(|(node, terms)| Expect::Log(node, terms)),
        node().prop_map(Expect::Alive),
    ];
    let places = prop_oneof![
        (node(), wanted()).prop_map(|(node, wanted)| Expect::Last(node, wanted)),
        (node(), wanted()).prop_map(|(node, wanted)| Expect::First(node, wanted)),
        (node(), wanted()).prop_map(|(node, wanted)| Expect::Commit(node, wanted)),
        (node(), node(), wanted())
            .prop_map(|(leader, follower, wanted)| Expect::Next(leader, follower, wanted)),
        (node(), node(), wanted())
            .prop_map(|(leader, follower, wanted)| Expect::Match(leader, follower, wanted)),
        (name(), answer).prop_map(|(name, answer)| Expect::Read(name, answer)),
    ];
    let others = prop_oneof![
        Just(Expect::NoLeader),
        Just(Expect::AnyLeader),
        why().prop_map(Expect::Refused),
        Just(Expect::Accepted),
        nodes(1..9, 2).prop_map(Expect::LogEqual),
        nodes(1..9, 2).prop_map(Expect::StateEqual),
        (node(), prop::collection::vec(command(), 0..4))
            .prop_map(|(node, commands)| Expect::Applied(node, commands)),
        (node(), nodes(1..5, 1), nodes(1..5, 0), nodes(5..9, 0)).prop_map(
            |(node, voters, outgoing, learners)| Expect::Config {
                node,
                voters,
                outgoing,
                learners
            }
        ),
        (node(), node(), why())
            .prop_map(|(node, member, contact)| Expect::Contact(node, member, contact)),
        (link(), kind(), wanted()).prop_map(|(link, kind, count)| Expect::Queued {
            link,
            kind,
            count
        }),
    ];
    prop_oneof![one_node, places, others]
}
