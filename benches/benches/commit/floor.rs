//! Lower bound of a replicated commit on one machine: an echo over the same transport, and the syncs of all nodes, which share
//! the disk.

use std::io::{Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use quinn::{ClientConfig, Endpoint, RecvStream, SendStream, ServerConfig};
use raftian_node::cluster::Identity;
use tokio::runtime::Runtime;

const BYTES: usize = 64;

pub(crate) struct Floor {
    runtime: Runtime,
    streams: (SendStream, RecvStream),
    _client: Endpoint,
    disks: Vec<Disk>,
}

/// A thread that syncs a file of its own when it is asked to.
struct Disk {
    ask: SyncSender<()>,
    done: Receiver<()>,
}

impl Disk {
    fn start() -> Self {
        let (ask, asked) = sync_channel(1);
        let (report, done) = sync_channel(1);
        std::thread::spawn(move || {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&[0; 4096]).and_then(|()| file.sync_all()).expect("a disk");
            while asked.recv().is_ok() {
                file.seek(SeekFrom::Start(0)).expect("a file");
                file.write_all(&[2; BYTES]).expect("a disk");
                file.sync_data().expect("a disk");
                if report.send(()).is_err() {
                    return;
                }
            }
        });
        Disk { ask, done }
    }
}

impl Floor {
    /// An echo over QUIC from one thread to another, and a preallocated file on a thread of its own for each of `nodes`.
    pub(crate) fn new(nodes: usize) -> Self {
        let identity = Identity::generate().expect("a key");
        let certificate = identity.certificate().clone();
        let key = identity.key().clone_key();
        let server = ServerConfig::with_single_cert(vec![certificate.clone()], key).expect("a certificate");
        let (tell, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || runtime().block_on(serve(server, tell)));
        let address = address.recv().expect("the server listens");

        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a self-signed certificate");
        let config = ClientConfig::with_root_certificates(Arc::new(roots)).expect("roots");
        let runtime = runtime();
        let (client, streams) = runtime.block_on(async {
            let mut client = Endpoint::client(loopback()).expect("a port");
            client.set_default_client_config(config);
            let connection = client.connect(address, Identity::SERVER_NAME).expect("an address").await;
            (client, connection.expect("a connection").open_bi().await.expect("a stream"))
        });
        let disks = (0..nodes).map(|_| Disk::start()).collect();
        Floor { runtime, streams, _client: client, disks }
    }

    pub(crate) fn echo(&mut self) -> Duration {
        let (send, receive) = &mut self.streams;
        let start = Instant::now();
        self.runtime.block_on(async {
            send.write_all(&[1; BYTES]).await.expect("the echo lives");
            receive.read_exact(&mut [0; BYTES]).await.expect("the echo answers");
        });
        start.elapsed()
    }

    /// Time until each of `nodes` disks has synced, all at once.
    pub(crate) fn sync(&mut self, nodes: usize) -> Duration {
        let start = Instant::now();
        let disks = &self.disks[..nodes];
        disks.iter().for_each(|disk| disk.ask.send(()).expect("the disk's thread lives"));
        disks.iter().for_each(|disk| disk.done.recv().expect("the disk's thread lives"));
        start.elapsed()
    }
}

async fn serve(config: ServerConfig, tell: std::sync::mpsc::Sender<SocketAddr>) {
    let endpoint = Endpoint::server(config, loopback()).expect("a port");
    tell.send(endpoint.local_addr().expect("an address")).expect("somebody waits");
    let connection = endpoint.accept().await.expect("a client").await.expect("a handshake");
    let (mut send, mut receive) = connection.accept_bi().await.expect("a stream");
    let mut buffer = [0; BYTES];
    while receive.read_exact(&mut buffer).await.is_ok() && send.write_all(&buffer).await.is_ok() {}
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
