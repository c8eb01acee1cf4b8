//! A bad network between real endpoints on one machine: datagrams pass a proxy that delays, loses,
//! doubles, overtakes, damages, slows and cuts them, each direction on its own, as a seed says.
//!
//! A [`Proxy`] stands between N endpoints of the loopback interface. Who sends to another sends to
//! [`Proxy::address`] in place of the other's own; the answer comes back from there. So for each
//! ordered pair of endpoints there are two sockets, one that faces the caller and one that faces
//! the called. Both connections between two QUIC nodes, for each dials the other, go through one
//! [`Shape`] for each direction: a one-way cut also takes the acknowledgements of whatever the
//! other way carries.
//!
//! ```no_run
//! use std::net::UdpSocket;
//! use std::time::Duration;
//! use raftian_lab::proxy::{Delay, Proxy, Shape};
//! use raftian_raft::NodeId;
//!
//! let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
//! let (one, two) = (NodeId(1), NodeId(2));
//! let shape = Shape { delay: Delay::Fixed(Duration::from_millis(40)), loss: 0.05, ..Shape::default() };
//! let proxy = Proxy::start(&[(one, sockets[0].local_addr()?), (two, sockets[1].local_addr()?)], shape, 7)?;
//! sockets[0].send_to(b"to the second", proxy.address(one, two))?;
//! proxy.cut(two, one, true);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What a datagram meets
//! In this order: a cut, chance (loss, duplication, lateness, damage, delay), the queue of the rate
//! limit, the bound of what is under way, the delay, and the cut once more. [`Counters`] name where
//! each one stayed.
//!
//! # Decisions
//! **Real timers.** Decision: one tokio task for each direction sleeps until the next datagram is
//! due. Why: the endpoints are real and cannot be lied to about time. So a datagram with a delay
//! arrives up to two milliseconds late, for tokio's timers count in milliseconds; one without
//! leaves at once; and what the machine makes of both is not in the seed. Would change if: delays
//! below a millisecond were measured.
//!
//! **Chance goes by place, not by time.** Decision: each direction has one stream of a ChaCha8
//! generator, and each datagram takes the same number of draws from it, whatever its shape. Why:
//! the n-th datagram of a direction meets the same chance in every run, also after another shape
//! was set. Would change if: runs were compared by their shapes alone.
//!
//! **Order is kept unless asked otherwise.** Decision: a datagram never overtakes the one before,
//! also when it drew a shorter delay; only those that [`Shape::late`] names may be overtaken. Why:
//! routes keep order for the most part, so delay that varies and reordering are two things to be
//! measured apart. Would change if: a network with many routes were to be copied.

mod counters;
mod direction;
mod shape;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use raftian_node::cluster::EmbeddedNode;
use raftian_raft::NodeId;
use tokio::sync::oneshot;

pub use counters::{Counters, Counts};
pub use direction::UNDER_WAY;
use direction::{Direction, Way};
pub use shape::{Delay, Late, MAX_DELAY, Shape};

/// Most endpoints of one proxy: 16, which are 480 sockets and 240 tasks.
pub const MAX_ENDPOINTS: usize = 16;

/// A running proxy, on a thread of its own with a tokio runtime for all its tasks. Dropping it ends
/// it, and whatever is under way is lost.
#[derive(Debug)]
pub struct Proxy {
    links: BTreeMap<(NodeId, NodeId), Link>,
    shape: Shape,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is set and counted of one direction, and where its sender sends to.
#[derive(Debug)]
struct Link {
    address: SocketAddr,
    set: Arc<Set>,
}

/// What a direction's task and the proxy's owner share.
#[derive(Debug)]
struct Set {
    now: Mutex<Now>,
    counters: Counters,
}

/// What a direction is like at the moment.
#[derive(Clone, Copy, Debug)]
struct Now {
    shape: Shape,
    cut: bool,
}

impl Set {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two sockets of one caller's way to another endpoint.
struct Pair {
    /// The caller sends here, and gets answers from here.
    front: UdpSocket,
    /// The called endpoint gets datagrams from here, and answers to here.
    back: UdpSocket,
}

impl Proxy {
    /// Starts a proxy between `endpoints`, each with the address at which it receives and from
    /// which it sends. All directions have `shape` at first; their chance follows from `seed` and
    /// the place of the two endpoints.
    ///
    /// # Errors
    /// If the system gives no sockets or no thread, or there are not two to [`MAX_ENDPOINTS`]
    /// endpoints with different ids.
    pub fn start(endpoints: &[(NodeId, SocketAddr)], shape: Shape, seed: u64) -> io::Result<Self> {
        let addresses: BTreeMap<NodeId, SocketAddr> = endpoints.iter().copied().collect();
        if addresses.len() != endpoints.len() || !(2..=MAX_ENDPOINTS).contains(&addresses.len()) {
            let reason = format!("a proxy takes 2 to {MAX_ENDPOINTS} endpoints with different ids");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        shape
            .check()
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        let mut pairs = BTreeMap::new();
        for (from, to) in ordered_pairs(&addresses) {
            let open = || {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.set_nonblocking(true)?;
                Ok::<_, io::Error>(socket)
            };
            pairs.insert(
                (from, to),
                Pair {
                    front: open()?,
                    back: open()?,
                },
            );
        }
        let mut links = BTreeMap::new();
        let mut directions = Vec::new();
        for (place, (from, to)) in (0..).zip(ordered_pairs(&addresses)) {
            let (own, other) = (&pairs[&(from, to)], &pairs[&(to, from)]);
            let now = Mutex::new(Now { shape, cut: false });
            let set = Arc::new(Set {
                now,
                counters: Counters::default(),
            });
            // What `from` says on its own way, and what it answers on the other's.
            let called = Way {
                into: own.front.try_clone()?,
                out: own.back.try_clone()?,
            };
            let answered = Way {
                into: other.back.try_clone()?,
                out: other.front.try_clone()?,
            };
            let (sender, receiver) = (addresses[&from], addresses[&to]);
            let link = Link {
                address: own.front.local_addr()?,
                set: Arc::clone(&set),
            };
            directions.push(Direction {
                sender,
                receiver,
                ways: [called, answered],
                set,
                seed,
                stream: place,
            });
            links.insert((from, to), link);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for direction in directions {
                        tasks.spawn(direction.carry());
                    }
                    // Its owner says so, or is gone.
                    let _ended = ended.await.is_err();
                });
            })?;
        Ok(Proxy {
            links,
            shape,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Starts a proxy between the members of an embedded cluster, and lets each reach the others
    /// through it.
    ///
    /// # Errors
    /// Those of [`Proxy::start`].
    pub fn between(members: &mut [EmbeddedNode], shape: Shape, seed: u64) -> io::Result<Self> {
        let endpoints: Vec<_> = members
            .iter()
            .map(|member| (member.config.id, member.config.listen))
            .collect();
        let proxy = Self::start(&endpoints, shape, seed)?;
        for EmbeddedNode { config, .. } in members {
            let own = config.id;
            for other in config.members.iter_mut().filter(|other| other.id != own) {
                other.address = proxy.address(own, other.id);
            }
        }
        Ok(proxy)
    }

    /// Where `from` reaches `to`.
    ///
    /// # Panics
    /// If these are not two endpoints of the proxy; so do all others that name a direction.
    #[must_use]
    pub fn address(&self, from: NodeId, to: NodeId) -> SocketAddr {
        self.link(from, to).address
    }

    /// Gives one direction another shape. It holds for datagrams that come from now on; those under
    /// way keep the moment at which they are due.
    ///
    /// # Panics
    /// If [`Shape::check`] refuses it.
    pub fn shape(&self, from: NodeId, to: NodeId, shape: Shape) {
        shape.check().expect("a shape that can be");
        self.link(from, to).set.lock().shape = shape;
    }

    /// Gives every direction another shape, as [`Proxy::shape`] does.
    ///
    /// # Panics
    /// If [`Shape::check`] refuses it.
    pub fn shape_all(&self, shape: Shape) {
        self.links
            .keys()
            .for_each(|(from, to)| self.shape(*from, *to, shape));
    }

    /// Cuts one direction, or mends it. While it is cut nothing arrives, neither what comes nor
    /// what is under way.
    pub fn cut(&self, from: NodeId, to: NodeId, cut: bool) {
        self.link(from, to).set.lock().cut = cut;
    }

    /// Cuts all that one endpoint says and hears, or mends it.
    pub fn isolate(&self, node: NodeId, cut: bool) {
        self.links
            .keys()
            .filter(|(from, to)| node == *from || node == *to)
            .for_each(|(from, to)| {
                self.cut(*from, *to, cut);
            });
    }

    /// Mends every cut, and gives every direction the shape the proxy was started with.
    pub fn heal(&self) {
        self.links.values().for_each(|link| {
            *link.set.lock() = Now {
                shape: self.shape,
                cut: false,
            }
        });
    }

    /// What was counted of one direction so far.
    #[must_use]
    pub fn counts(&self, from: NodeId, to: NodeId) -> Counts {
        self.link(from, to).set.counters.now()
    }

    /// What was counted of all directions so far.
    #[must_use]
    pub fn all_counts(&self) -> Counts {
        self.links
            .values()
            .map(|link| link.set.counters.now())
            .fold(Counts::default(), Counts::plus)
    }

    fn link(&self, from: NodeId, to: NodeId) -> &Link {
        self.links
            .get(&(from, to))
            .unwrap_or_else(|| panic!("no way from {from} to {to}"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already.
            let _panicked = thread.join().is_err();
        }
    }
}

fn ordered_pairs(
    addresses: &BTreeMap<NodeId, SocketAddr>,
) -> impl Iterator<Item = (NodeId, NodeId)> {
    let ids = addresses.keys().copied();
    ids.flat_map(|from| {
        addresses
            .keys()
            .map(move |to| (from, *to))
            .filter(|(from, to)| from != to)
    })
}

#[cfg(test)]
mod tests;
