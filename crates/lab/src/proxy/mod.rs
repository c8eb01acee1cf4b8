//! A bad network between real endpoints on one machine: a proxy that delays, loses, duplicates,
//! reorders, rate-limits and cuts datagrams, each direction independently, driven by a seed.
//!
//! A [`Proxy`] connects N endpoints of the loopback interface. An endpoint sends to
//! [`Proxy::address`] instead of the peer's own address, and receives replies from there. So each
//! ordered pair of endpoints has two sockets, one that faces the caller and one that faces the
//! callee. Both connections between two QUIC nodes, each of which dials the other, share one
//! [`Shape`] per direction: a one-way cut also drops the acknowledgements of the data in the other
//! direction.
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
//! In this order: a cut, random effects (loss, duplication, lateness, delay), the queue of
//! the rate limit, the bound of datagrams in flight, the delay, and the cut once more. [`Counters`]
//! record where each one was dropped.
//!
//! # Decisions
//! **Real timers.** Decision: one tokio task for each direction sleeps until the next datagram is
//! due. Why: the endpoints are real and use the real clock. So a datagram with a delay arrives up
//! to two milliseconds late, because tokio's timers count in milliseconds; one without delay leaves
//! at once; and the machine's timing of both does not follow from the seed. Would change if: delays
//! below a millisecond were measured.
//!
//! **Random effects depend on position, not on time.** Decision: each direction has one stream of a
//! ChaCha8 generator, and each datagram takes the same number of draws from it, regardless of its
//! shape. Why: the n-th datagram of a direction gets the same draws in every run, even after a
//! change of the shape. Would change if: runs were compared by their shapes alone.
//!
//! **Order is kept unless requested otherwise.** Decision: a datagram never overtakes the one
//! before, even if it drew a shorter delay; only those selected by [`Shape::late`] may be
//! overtaken. Why: routes mostly keep order, so varying delay and reordering are measured
//! separately. Would change if: a network with many routes were modelled.

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
pub use shape::{Delay, Late, MAX_DELAY, Shape, ShapeError};

/// Maximum number of endpoints of one proxy; 16 endpoints need 480 sockets and 240 tasks.
pub const MAX_ENDPOINTS: usize = 16;

/// Running proxy, on a thread of its own with a tokio runtime for all its tasks. Dropping it stops
/// the proxy and loses all datagrams in flight.
#[derive(Debug)]
pub struct Proxy {
    links: BTreeMap<(NodeId, NodeId), Link>,
    shape: Shape,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Settings and counters of one direction, and the address that its sender uses.
#[derive(Debug)]
struct Link {
    address: SocketAddr,
    set: Arc<Set>,
}

/// State shared by a direction's task and the proxy's owner.
#[derive(Debug)]
struct Set {
    now: Mutex<Now>,
    counters: Counters,
}

/// Current state of a direction.
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

/// The two sockets of one caller's route to another endpoint.
struct Pair {
    /// Receives from the caller, and sends replies to it.
    front: UdpSocket,
    /// Sends to the callee, and receives its replies.
    back: UdpSocket,
}

impl Proxy {
    /// Starts a proxy between `endpoints`, each with the address at which it receives and from
    /// which it sends. All directions start with `shape`; their random draws follow from `seed` and
    /// the positions of the two endpoints.
    ///
    /// # Errors
    /// If the system provides no sockets or thread, or there are not two to [`MAX_ENDPOINTS`]
    /// endpoints with different ids.
    pub fn start(endpoints: &[(NodeId, SocketAddr)], shape: Shape, seed: u64) -> io::Result<Self> {
        let addresses: BTreeMap<NodeId, SocketAddr> = endpoints.iter().copied().collect();
        if addresses.len() != endpoints.len() || !(2..=MAX_ENDPOINTS).contains(&addresses.len()) {
            let reason = format!("a proxy needs 2 to {MAX_ENDPOINTS} endpoints with different ids");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        shape
            .check()
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        let mut pairs = BTreeMap::new();
        for (from, to) in ordered_pairs(&addresses) {
            let open = || {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                // Required by tokio's `UdpSocket::from_std`.
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
        // The position selects the RNG stream of the direction.
        for (place, (from, to)) in (0..).zip(ordered_pairs(&addresses)) {
            let own = &pairs[&(from, to)];
            let other = &pairs[&(to, from)];
            let now = Mutex::new(Now { shape, cut: false });
            let set = Arc::new(Set {
                now,
                counters: Counters::default(),
            });
            // Requests of `from` on its own connection, and its replies on the peer's.
            let called = Way {
                into: own.front.try_clone()?,
                out: own.back.try_clone()?,
            };
            let answered = Way {
                into: other.back.try_clone()?,
                out: other.front.try_clone()?,
            };
            let sender = addresses[&from];
            let receiver = addresses[&to];
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
                    // The owner sent the signal, or was dropped.
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

    /// Starts a proxy between the members of an embedded cluster, and routes their connections
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
                other.address = proxy.address(own, other.id).into();
            }
        }
        Ok(proxy)
    }

    /// Address at which `from` reaches `to`.
    ///
    /// # Panics
    /// If these are not two endpoints of the proxy; the same holds for all methods that name a
    /// direction.
    pub fn address(&self, from: NodeId, to: NodeId) -> SocketAddr {
        self.link(from, to).address
    }

    /// Sets the shape of one direction. It applies to datagrams that arrive from now on; those in
    /// flight keep their due time.
    ///
    /// # Panics
    /// If [`Shape::check`] refuses it.
    pub fn shape(&self, from: NodeId, to: NodeId, shape: Shape) {
        shape.check().expect("valid shape");
        self.link(from, to).set.lock().shape = shape;
    }

    /// Sets the shape of every direction, as [`Proxy::shape`] does.
    ///
    /// # Panics
    /// If [`Shape::check`] refuses it.
    pub fn shape_all(&self, shape: Shape) {
        self.links
            .keys()
            .for_each(|(from, to)| self.shape(*from, *to, shape));
    }

    /// Cuts or heals one direction. While it is cut nothing is forwarded, neither new datagrams nor
    /// those in flight.
    pub fn cut(&self, from: NodeId, to: NodeId, cut: bool) {
        self.link(from, to).set.lock().cut = cut;
    }

    /// Cuts or heals all directions from and to one endpoint.
    pub fn isolate(&self, node: NodeId, cut: bool) {
        self.links
            .keys()
            .filter(|(from, to)| node == *from || node == *to)
            .for_each(|(from, to)| {
                self.cut(*from, *to, cut);
            });
    }

    /// Heals every cut, and resets every direction to the shape the proxy was started with.
    pub fn heal(&self) {
        self.links.values().for_each(|link| {
            *link.set.lock() = Now {
                shape: self.shape,
                cut: false,
            }
        });
    }

    /// Counts of one direction so far.
    pub fn counts(&self, from: NodeId, to: NodeId) -> Counts {
        self.link(from, to).set.counters.now()
    }

    /// Counts of all directions so far.
    pub fn all_counts(&self) -> Counts {
        self.links
            .values()
            .map(|link| link.set.counters.now())
            .fold(Counts::default(), Counts::plus)
    }

    fn link(&self, from: NodeId, to: NodeId) -> &Link {
        self.links
            .get(&(from, to))
            .unwrap_or_else(|| panic!("no direction from {from} to {to}"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Ends the runtime; the join below must not wait forever.
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // The panic hook has already printed any panic.
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
