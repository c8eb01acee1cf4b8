//! Lower bounds of a replicated commit on one machine: an echo over the same transport, the fsyncs
//! of all nodes, which share the disk, and the same writes to their stores without consensus,
//! network or application.

use std::io::{Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use quinn::{ClientConfig, Endpoint, RecvStream, SendStream, ServerConfig};
use raftian_node::cluster::Identity;
use raftian_node::store::{Creation, RedbStore, Store};
use raftian_raft::{
    Bytes, ClientId, Command, Entry, Incarnation, Index, NodeId, Payload, Stamp, Term,
    Write as LogWrite, WriteNumber,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BYTES: usize = 64;

pub(crate) struct Floor {
    runtime: Runtime,
    streams: (SendStream, RecvStream),
    _client: Endpoint,
    disks: Vec<Disk>,
    stores: Vec<Disk>,
}

/// A thread that makes one durable write on request.
struct Disk {
    ask: SyncSender<()>,
    done: Receiver<()>,
}

impl Disk {
    fn start(mut write: impl FnMut() + Send + 'static) -> Self {
        let (ask, asked) = sync_channel(1);
        let (report, done) = sync_channel(1);
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                write();
                if report.send(()).is_err() {
                    return;
                }
            }
        });
        Disk { ask, done }
    }

    /// Overwrites the first bytes of a preallocated file.
    fn file() -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[0; 4096])
            .and_then(|()| file.sync_all())
            .expect("a disk");
        Self::start(move || {
            file.seek(SeekFrom::Start(0)).expect("a file");
            file.write_all(&[2; BYTES]).expect("a disk");
            file.sync_data().expect("a disk");
        })
    }

    /// Appends an entry to the store of a node.
    fn store() -> Self {
        let mut store = EntryStore::new();
        Self::start(move || store.append())
    }

    /// Time until all `disks` have completed one concurrent write each.
    fn write_all(disks: &[Disk]) -> Duration {
        let start = Instant::now();
        disks
            .iter()
            .for_each(|disk| disk.ask.send(()).expect("the disk thread runs"));
        disks
            .iter()
            .for_each(|disk| disk.done.recv().expect("the disk thread runs"));
        start.elapsed()
    }
}

/// A node's store without a node.
struct EntryStore {
    store: RedbStore,
    written: u64,
    _directory: TempDir,
}

impl EntryStore {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let [file, mark] = ["raft.redb", "n1.mark"].map(|name| directory.path().join(name));
        let opened = RedbStore::open(
            &file,
            &mark,
            NodeId(1),
            "bench",
            Creation::first(Incarnation::default()),
        );
        let (store, _) = opened.expect("a new store");
        EntryStore {
            store,
            written: 0,
            _directory: directory,
        }
    }

    fn append(&mut self) {
        self.written += 1;
        let command = Command {
            client: ClientId(1),
            sequence: self.written,
            bytes: Bytes::from([7u8; 16].as_slice()),
        };
        let entry = Entry {
            term: Term(1),
            index: Index(self.written),
            stamp: Stamp(0),
            payload: Payload::Command {
                command,
                member: NodeId(1),
            },
        };
        let write = LogWrite {
            number: WriteNumber(self.written),
            hard_state: None,
            snapshot: None,
            start: None,
            discard: false,
            incarnation: None,
            founding: None,
            entries: vec![entry],
        };
        self.store.submit(write).expect("a disk");
        self.store
            .completed()
            .expect("submit waits for the disk")
            .expect("a disk");
    }
}

impl Floor {
    /// Sets up a QUIC echo between two threads, and for each of `nodes` a preallocated file and a
    /// store, each on its own thread.
    pub(crate) fn new(nodes: usize) -> Self {
        let identity = Identity::generate().expect("a key");
        let certificate = identity.certificate().clone();
        let key = identity.key().clone_key();
        let server =
            ServerConfig::with_single_cert(vec![certificate.clone()], key).expect("a certificate");
        let (sender, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || runtime().block_on(serve(server, sender)));
        let address = address.recv().expect("the server listens");

        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a self-signed certificate");
        let config = ClientConfig::with_root_certificates(Arc::new(roots)).expect("roots");
        let runtime = runtime();
        let (client, streams) = runtime.block_on(async {
            let mut client = Endpoint::client(loopback()).expect("a port");
            client.set_default_client_config(config);
            let connection = client
                .connect(address, Identity::SERVER_NAME)
                .expect("an address")
                .await;
            (
                client,
                connection
                    .expect("a connection")
                    .open_bi()
                    .await
                    .expect("a stream"),
            )
        });
        let disks = (0..nodes).map(|_| Disk::file()).collect();
        let stores = (0..nodes).map(|_| Disk::store()).collect();
        Floor {
            runtime,
            streams,
            _client: client,
            disks,
            stores,
        }
    }

    pub(crate) fn echo(&mut self) -> Duration {
        let (send, receive) = &mut self.streams;
        let start = Instant::now();
        self.runtime.block_on(async {
            send.write_all(&[1; BYTES])
                .await
                .expect("the echo server runs");
            receive
                .read_exact(&mut [0; BYTES])
                .await
                .expect("the echo server replies");
        });
        start.elapsed()
    }

    /// Time until `nodes` files are synced, all concurrently.
    pub(crate) fn sync(&mut self, nodes: usize) -> Duration {
        Disk::write_all(&self.disks[..nodes])
    }

    /// Time until `nodes` stores have each appended one entry, all concurrently.
    pub(crate) fn append(&mut self, nodes: usize) -> Duration {
        Disk::write_all(&self.stores[..nodes])
    }
}

async fn serve(config: ServerConfig, sender: std::sync::mpsc::Sender<SocketAddr>) {
    let endpoint = Endpoint::server(config, loopback()).expect("a port");
    sender
        .send(endpoint.local_addr().expect("an address"))
        .expect("the benchmark waits for the address");
    let connection = endpoint
        .accept()
        .await
        .expect("a client")
        .await
        .expect("a handshake");
    let (mut send, mut receive) = connection.accept_bi().await.expect("a stream");
    let mut buffer = [0; BYTES];
    while receive.read_exact(&mut buffer).await.is_ok() && send.write_all(&buffer).await.is_ok() {}
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
