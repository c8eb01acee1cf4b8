//! The benchmark cluster on openraft 0.10, a preview.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt};
use openraft_010::alias::{
    DefaultEntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use openraft_010::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft_010::network::RPCOption;
use openraft_010::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft_010::storage::{EntryResponder, IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft_010::{
    Config, EmptyNode, EntryPayload, LogState, OptionalSend, Raft, RaftLogReader,
    RaftNetworkFactory, RaftNetworkV2, RaftSnapshotBuilder, SnapshotPolicy,
};

use super::{Board, MESSAGE_ENTRIES, MemoryLog, NEVER_MILLIS, Order, measured, runtime};
use crate::workload::{Cell, Outcome};

openraft_010::declare_raft_types!(
    /// Numeric node ids, [`Order`] as the command, and no reply beyond "applied".
    pub(crate) Types: D = Order, R = (), Node = EmptyNode
);

type Entry = DefaultEntryOf<Types>;
type Log = MemoryLog<Entry, VoteOf<Types>>;
type Node = Raft<Types, Machine>;
type Rpc<T> = Result<T, RPCError<Types>>;

/// Elects the first node of a fresh cluster and runs clients against it.
pub(crate) fn run(cell: Cell, commands: u64) -> Outcome {
    let runtime = runtime();
    let outcome = runtime.block_on(async {
        let router = Router::default();
        let boards = router.elect(cell).await;
        let leader = router.node(1);
        let propose = move |order| {
            let leader = leader.clone();
            async move {
                leader.client_write(order).await.expect("the leader stays");
            }
        };
        let outcome = measured(cell, commands, &boards, propose).await;
        router.shut_down().await;
        outcome
    });
    runtime.shutdown_background();
    outcome
}

/// Registry of all nodes, which are in one process.
#[derive(Clone, Default)]
struct Router(Arc<Mutex<BTreeMap<u64, Node>>>);

impl Router {
    async fn elect(&self, cell: Cell) -> Vec<Board> {
        let config = Config {
            heartbeat_interval: NEVER_MILLIS,
            election_timeout_min: 2 * NEVER_MILLIS,
            election_timeout_max: 3 * NEVER_MILLIS,
            enable_tick: false,
            max_payload_entries: MESSAGE_ENTRIES,
            snapshot_policy: SnapshotPolicy::Never,
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("the settings are valid"));
        let mut boards = Vec::new();
        for id in 1..=cell.nodes {
            let board = Board::default();
            let machine = Machine {
                board: board.clone(),
                ..Machine::default()
            };
            let node = Raft::new(id, config.clone(), self.clone(), Log::new(), machine)
                .await
                .expect("an empty node");
            self.0
                .lock()
                .expect("no thread panics while it holds the router")
                .insert(id, node);
            boards.push(board);
        }
        let members: BTreeMap<u64, EmptyNode> =
            (1..=cell.nodes).map(|id| (id, EmptyNode {})).collect();
        let first = self.node(1);
        first.initialize(members).await.expect("it is new");
        // Commands must go to a leader, and openraft reports one before it has committed its first
        // entry.
        first
            .wait(None)
            .applied_index_at_least(Some(1), "elected")
            .await
            .expect("the first node leads");
        boards
    }

    fn node(&self, id: u64) -> Node {
        self.0
            .lock()
            .expect("no thread panics while it holds the router")[&id]
            .clone()
    }

    async fn shut_down(&self) {
        // Nodes and router own each other: the logs are freed only if the router is emptied.
        let nodes = std::mem::take(
            &mut *self
                .0
                .lock()
                .expect("no thread panics while it holds the router"),
        );
        for node in nodes.values() {
            node.shutdown().await.expect("a healthy node shuts down");
        }
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Link {
        Link(self.node(target))
    }
}

/// Link to one node: a function call. Each message waits for the reply to the one before, as is
/// openraft's default: streaming messages gave fewer commits, not more.
struct Link(Node);

fn failed(error: &(impl std::error::Error + 'static)) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Rpc<AppendEntriesResponse<Types>> {
        self.0
            .append_entries(request)
            .await
            .map_err(|error| failed(&error))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _: RPCOption,
    ) -> Rpc<VoteResponse<Types>> {
        self.0.vote(request).await.map_err(|error| failed(&error))
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<Types>,
        _: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        unreachable!("no node sends snapshots")
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self.read(range))
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.vote())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        Ok(LogState {
            last_purged_log_id: None,
            last_log_id: self.last().map(|entry| entry.log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.set_vote(vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        MemoryLog::append(self, entries);
        done.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.truncate(last.map_or(0, |last| last.index + 1));
        Ok(())
    }

    async fn purge(&mut self, _: LogIdOf<Types>) -> io::Result<()> {
        unreachable!("no entries are purged without snapshots")
    }
}

/// The state machine: a tally.
#[derive(Default)]
struct Machine {
    board: Board,
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.next().await {
            let (entry, asker) = entry?;
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(order) => self.board.apply(&order),
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembershipOf::<Types>::new(Some(entry.log_id), members);
                }
            }
            if let Some(asker) = asker {
                asker.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn install_snapshot(&mut self, _: &SnapshotMetaOf<Types>, _: ()) -> io::Result<()> {
        unreachable!("no node sends snapshots")
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, ()>>> {
        Ok(None)
    }
}

/// Snapshot builder that openraft requires, but does not use under the policy `Never`.
struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, ()>> {
        unreachable!("the policy builds no snapshots")
    }
}
