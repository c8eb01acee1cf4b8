//! Search for the other members on the local network, for a member that was away while all of them
//! got other addresses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::oneshot::{self, Receiver};

use crate::cluster::Fingerprint;
use crate::lan::browse;
use crate::ticket::MatchId;

/// Time without a leader after which a member searches.
const SEARCH_AFTER: Duration = Duration::from_secs(3);

/// Duration of one search.
const SEARCH_TIME: Duration = Duration::from_secs(2);

/// Members of a match with the addresses that they announce.
pub(super) type Found = Vec<(Fingerprint, Vec<SocketAddr>)>;

/// Searches the local network again and again while no leader is known.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Since when no leader is known, or when the last search ended.
    waiting_since: Option<Instant>,
    running: Option<Receiver<Found>>,
}

impl Search {
    /// Returns what a search has found; begins one if it is due. Never blocks.
    pub(super) fn poll(&mut self, has_leader: bool, match_id: MatchId) -> Option<Found> {
        if let Some(running) = &mut self.running {
            let found = match running.try_recv() {
                Err(TryRecvError::Empty) => return None,
                Ok(found) => found,
                Err(TryRecvError::Closed) => Vec::new(),
            };
            *self = Search {
                waiting_since: Some(Instant::now()),
                running: None,
            };
            return Some(found);
        }
        if has_leader {
            self.waiting_since = None;
            return None;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= SEARCH_AFTER {
            self.begin(match_id);
        }
        None
    }

    fn begin(&mut self, match_id: MatchId) {
        self.waiting_since = Some(Instant::now());
        let (report, running) = oneshot::channel();
        let search = move || {
            // Without mDNS the recorded addresses are all that is known.
            let all = browse(SEARCH_TIME, |_| false).unwrap_or_default();
            let of_match = all.into_iter().filter(|found| found.match_id == match_id);
            let found = of_match.map(|found| (found.fingerprint, found.addresses));
            // The member may have ended.
            let _ended = report.send(found.collect()).is_err();
        };
        let thread = std::thread::Builder::new().name("search-members".to_owned());
        if thread.spawn(search).is_ok() {
            self.running = Some(running);
        }
    }
}
