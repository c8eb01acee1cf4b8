//! The benchmark cluster on openraft 0.9.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

use openraft_09::error::{InstallSnapshotError, RPCError, RaftError, RemoteError};
use openraft_09::network::RPCOption;
use openraft_09::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft_09::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft_09::{
    Config, EmptyNode, Entry, EntryPayload, LogId, LogState, Raft, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
};

use super::{Board, MESSAGE_ENTRIES, MemoryLog, NEVER_MILLIS, Order, measured, runtime};
use crate::workload::{Cell, Outcome};

openraft_09::declare_raft_types!(
    /// Numeric node ids, [`Order`] as the command, and no reply beyond "applied".
    pub(crate) Types: D = Order, R = (), Node = EmptyNode, SnapshotData = Cursor<Vec<u8>>
);

type Log = MemoryLog<Entry<Types>, Vote<u64>>;
type Rpc<T, E = RaftError<u64>> = Result<T, RPCError<u64, EmptyNode, E>>;
type Stored<T> = Result<T, StorageError<u64>>;

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
struct Router(Arc<Mutex<BTreeMap<u64, Raft<Types>>>>);

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

    fn node(&self, id: u64) -> Raft<Types> {
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
        Link {
            target,
            node: self.node(target),
        }
    }
}

/// Link to one node: a function call.
struct Link {
    target: u64,
    node: Raft<Types>,
}

impl Link {
    fn failed<E: std::error::Error>(&self, error: E) -> RPCError<u64, EmptyNode, E> {
        RPCError::RemoteError(RemoteError::new(self.target, error))
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        self.node
            .append_entries(request)
            .await
            .map_err(|error| self.failed(error))
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Rpc<InstallSnapshotResponse<u64>, RaftError<u64, InstallSnapshotError>> {
        self.node
            .install_snapshot(request)
            .await
            .map_err(|error| self.failed(error))
    }

    async fn vote(&mut self, request: VoteRequest<u64>, _: RPCOption) -> Rpc<VoteResponse<u64>> {
        self.node
            .vote(request)
            .await
            .map_err(|error| self.failed(error))
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R>(&mut self, range: R) -> Stored<Vec<Entry<Types>>>
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        Ok(self.read(range))
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        Ok(LogState {
            last_purged_log_id: None,
            last_log_id: self.last().map(|entry| entry.log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.set_vote(vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(self.vote())
    }

    async fn append<I>(&mut self, entries: I, done: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        MemoryLog::append(self, entries);
        done.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Stored<()> {
        MemoryLog::truncate(self, from.index);
        Ok(())
    }

    async fn purge(&mut self, _: LogId<u64>) -> Stored<()> {
        unreachable!("no entries are purged without snapshots")
    }
}

/// The state machine: a tally.
#[derive(Default)]
struct Machine {
    board: Board,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, EmptyNode>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(
        &mut self,
    ) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, EmptyNode>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<()>>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(order) => self.board.apply(&order),
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), members);
                }
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        unreachable!("no node sends snapshots")
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta<u64, EmptyNode>,
        _: Box<Cursor<Vec<u8>>>,
    ) -> Stored<()> {
        unreachable!("no node sends snapshots")
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

/// Snapshot builder that openraft requires, but does not use under the policy `Never`.
struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        unreachable!("the policy builds no snapshots")
    }
}
