//! Dialling half of a link: keeps one connection to one peer that this node dialled.
//!
//! All addresses of the peer are tried, the last good one first, the others half a timeout apart.
//!
//! The link sends on that connection or on the one that the peer dialled, so messages flow while
//! the peer cannot be dialled. The dialler keeps trying: with two connections a change of either
//! side's address leaves one that QUIC migrates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::counters::count;
use super::paths::Origin;
use super::peer::PeerLink;
use super::receive::receive;
use super::shared::Shared;
use super::{BACKOFF_MAX, BACKOFF_MIN, CONNECT_TIMEOUT, code, is_worth_logging, tls};
use crate::address::Address;
use crate::cluster::{Fingerprint, Identity};

/// Task that dials one peer.
pub(super) struct Dialler {
    pub(super) endpoint: Endpoint,
    pub(super) config: quinn::ClientConfig,
    pub(super) link: Arc<PeerLink>,
    pub(super) shared: Arc<Shared>,
}

/// Pause between the attempts at two addresses. Long enough that a second attempt rarely succeeds
/// too: the peer would take it for a newer connection and close the first.
const NEXT_ADDRESS: Duration = Duration::from_millis(750);

/// Why there is no dialled connection.
enum Down {
    /// The node stops.
    Ended,
    /// One side refused the other's certificate or wire version.
    Refused(SocketAddr, tls::Alert),
    /// Any other reason.
    Lost(String),
}

impl Dialler {
    /// Connects, receives and reconnects until the node stops.
    pub(super) async fn run(self) {
        let mut failures: u32 = 0;
        let mut last_good = None;
        loop {
            let down = match self.connect_any(last_good).await {
                Ok(connection) => {
                    last_good = Some(connection.remote_address());
                    let since = Instant::now();
                    let down = self.serve(&connection).await;
                    // A connection that is lost at once counts as a failure, so that the pauses
                    // keep growing.
                    if since.elapsed() >= BACKOFF_MAX {
                        failures = 0;
                    }
                    down
                }
                Err(down) => down,
            };
            failures = failures.saturating_add(1);
            if matches!(down, Down::Ended) {
                return;
            }
            self.log_down(&down, failures);
            sleep(backoff(failures, self.shared.own, self.link.fingerprint())).await;
        }
    }

    /// Returns the first connection that the peer accepts at any of its addresses.
    async fn connect_any(&self, last_good: Option<SocketAddr>) -> Result<Connection, Down> {
        let mut addresses = self.link.candidate_addresses();
        if let Some(last_good) = last_good.map(Address::Ip) {
            addresses.retain(|address| *address != last_good);
            addresses.insert(0, last_good);
        }
        let mut attempts = JoinSet::new();
        for (place, address) in (0..).zip(addresses) {
            let (endpoint, config) = (self.endpoint.clone(), self.config.clone());
            attempts.spawn(async move {
                sleep(NEXT_ADDRESS * place).await;
                connect_any_of(&endpoint, config, address).await
            });
        }
        let mut failed = Down::Lost("no address is known".to_owned());
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                // Dropping the set ends the other attempts.
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(Down::Ended)) => return Err(Down::Ended),
                // A refusal explains more than an address at which nothing answers.
                Ok(Err(Down::Lost(_))) if matches!(failed, Down::Refused(..)) => {}
                Ok(Err(down)) => failed = down,
                Err(error) => failed = Down::Lost(error.to_string()),
            }
        }
        Err(failed)
    }

    /// Adds the connection to the link and reads from it until it is lost.
    async fn serve(&self, connection: &Connection) -> Down {
        let counters = self.link.counters();
        counters.refusing.store(false, Ordering::Relaxed);
        count(&counters.connects, 1);
        let address = connection.remote_address();
        self.link.set_dialled(address);
        tracing::info!(peer = %self.link.peer(), %address, "connected");
        let guard = self.link.add(Origin::Dialled, connection);
        down(&receive(connection, &guard, &self.shared).await, address)
    }

    fn log_down(&self, down: &Down, failures: u32) {
        let peer = self.link.peer();
        let counters = self.link.counters();
        counters
            .refusing
            .store(matches!(down, Down::Refused(..)), Ordering::Relaxed);
        let is_logged = is_worth_logging(failures.into());
        match down {
            Down::Ended => {}
            Down::Refused(address, alert) => {
                let refused = count(&counters.refused, 1);
                if is_worth_logging(refused) {
                    tracing::warn!(
                        %peer, %address, ?alert, refused,
                        "refused: another node or build is at this address"
                    );
                }
            }
            // A peer that is off for a whole match must not fill the log.
            Down::Lost(reason) if is_logged => {
                tracing::info!(%peer, %reason, failures, "not connected")
            }
            Down::Lost(reason) => tracing::debug!(%peer, %reason, failures, "not connected"),
        }
    }
}

/// Returns the first connection that the peer has accepted at the addresses of a host name, or at
/// the IP address.
async fn connect_any_of(
    endpoint: &Endpoint,
    config: quinn::ClientConfig,
    address: Address,
) -> Result<Connection, Down> {
    let mut failed = Down::Lost("no address is known".to_owned());
    for socket in address.resolve().await.map_err(Down::Lost)? {
        match connect(endpoint, config.clone(), socket).await {
            Ok(connection) => return Ok(connection),
            Err(Down::Ended) => return Err(Down::Ended),
            // A refusal explains more than an address at which nothing answers.
            Err(Down::Lost(_)) if matches!(failed, Down::Refused(..)) => {}
            // Another machine may have one of the addresses.
            Err(down) => failed = down,
        }
    }
    Err(failed)
}

/// Returns a connection that the peer has accepted.
async fn connect(
    endpoint: &Endpoint,
    config: quinn::ClientConfig,
    address: SocketAddr,
) -> Result<Connection, Down> {
    let connecting = match endpoint.connect_with(config, address, Identity::SERVER_NAME) {
        Ok(connecting) => connecting,
        // Any other error may pass, so it is only a reason to try again.
        Err(quinn::ConnectError::EndpointStopping) => return Err(Down::Ended),
        Err(error) => return Err(Down::Lost(error.to_string())),
    };
    let agree = async {
        let connection = connecting.await?;
        // The welcome: see the documentation of `quic`.
        drop(connection.accept_uni().await?);
        Ok(connection)
    };
    match timeout(CONNECT_TIMEOUT, agree).await {
        Ok(agreed) => agreed.map_err(|error| down(&error, address)),
        Err(_) => Err(Down::Lost(format!("{address} does not answer"))),
    }
}

fn down(error: &ConnectionError, address: SocketAddr) -> Down {
    match (error, tls::alert(error)) {
        // A dialled connection in use is closed locally only when the node stops, or the peer is
        // removed, which ends this task.
        (ConnectionError::LocallyClosed, _) => Down::Ended,
        (ConnectionError::ApplicationClosed(close), _)
            if close.error_code == code::UNKNOWN_PEER =>
        {
            Down::Refused(address, tls::Alert::Refused)
        }
        (_, Some(alert)) => Down::Refused(address, alert),
        (error, None) => Down::Lost(error.to_string()),
    }
}

/// Returns the pause before the next attempt: doubles up to [`BACKOFF_MAX`], minus up to half of
/// it. The reduction depends on both ends and the attempt, so that nodes that lost each other
/// together do not reconnect together.
fn backoff(failures: u32, own: Fingerprint, peer: Fingerprint) -> Duration {
    // Bounds the shift; the pause reaches its maximum long before.
    let doublings = failures.saturating_sub(1).min(16);
    let longest = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    let mut hash = Sha256::new();
    hash.update(own.bytes());
    hash.update(peer.bytes());
    hash.update(failures.to_le_bytes());
    let shares = u32::from(hash.finalize()[0]);
    longest - longest * shares / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_second_and_differs_between_links() {
        let a = Fingerprint::of(b"a");
        let b = Fingerprint::of(b"b");
        for failures in 1..100 {
            let pause = backoff(failures, a, b);
            assert!(
                pause >= BACKOFF_MIN / 2 && pause <= BACKOFF_MAX,
                "{pause:?} after {failures}"
            );
        }
        assert!(backoff(1, a, b) <= BACKOFF_MIN);
        assert!(backoff(u32::MAX, a, b) >= BACKOFF_MAX / 2);
        assert_ne!(backoff(9, a, b), backoff(9, b, a));
    }
}
