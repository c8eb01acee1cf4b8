//! openraft 0.10, a preview.

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
    /// Numbers for nodes, orders for commands, and no answer beyond "applied".
    pub(crate) Types: D = Order, R = (), Node = EmptyNode
);

type Entry = DefaultEntryOf<Types>;
type Log = MemoryLog<Entry, VoteOf<Types>>;
type Node = Raft<Types, Machine>;
type Rpc<T> = Result<T, RPCError<Types>>;

/// Elects the first node of a fresh cluster, and has clients load it.
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

/// Whom a message reaches: all nodes, in one process.
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
                .expect("nobody panics with the router in hand")
                .insert(id, node);
            boards.push(board);
        }
        let members: BTreeMap<u64, EmptyNode> =
            (1..=cell.nodes).map(|id| (id, EmptyNode {})).collect();
        let first = self.node(1);
        first.initialize(members).await.expect("it is new");
        // A command is proposed only to a leader, and openraft tells of one before it has committed
        // its first entry.
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
            .expect("nobody panics with the router in hand")[&id]
            .clone()
    }

    async fn shut_down(&self) {
        // Nodes hold the router and the router holds the nodes: whoever does not empty it never
        // frees a log.
        let nodes = std::mem::take(
            &mut *self
                .0
                .lock()
                .expect("nobody panics with the router in hand"),
        );
        for node in nodes.values() {
            node.shutdown()
                .await
                .expect("a sound node ends when asked to");
        }
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Link {
        Link(self.node(target))
    }
}

/// The way to one node: a function call. One message waits for the answer to the one before, as
/// openraft does unless told otherwise: with messages in a stream it committed less, not more.
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
        unreachable!("nobody sends snapshots")
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
        unreachable!("without snapshots nothing is purged")
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
        unreachable!("nobody sends snapshots")
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, ()>>> {
        Ok(None)
    }
}

/// What openraft wants to have and, told never to, does not use.
struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, ()>> {
        unreachable!("the policy is never to build one")
    }
}
