//! Choice between the connections with one peer; a value without clock or I/O.
//!
//! A pair of members has up to two connections, one dialled by each. Messages may be sent on
//! either; [`Paths`] chooses.
//!
//! Decision: a member that leads the peer sends on the connection that it dialled itself; any other
//! member sends on the one by which the leader's newest message arrived, or any newest message if
//! the present one does not answer. A connection on which
//! messages were sent and nothing was received during [`QUIET_CHECKS`] checks is suspect until it
//! receives again, and is left for one that is not. If all are suspect, they take turns. Why: QUIC
//! migrates a connection when the machine that dialled it gets another address, and replies follow
//! the leader's appends, so a leader that moves loses no contact. The connection that a moved
//! machine had accepted is dead without an error, and only silence shows it. A member that leads
//! does not follow arrivals: two sides that both followed could exchange their connections forever,
//! each following the other. Silence is counted in checks instead of time, so that a program that
//! was suspended or starved suspects no connection. Would change if: connections were found on
//! which datagrams pass in one direction only; then acknowledgements would have to be counted.

/// Consecutive checks without a received datagram after which a connection is suspect.
pub(super) const QUIET_CHECKS: u32 = 4;

/// How a connection came about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// This node dialled it.
    Dialled,
    /// The peer dialled it.
    Accepted,
}

impl Origin {
    fn other(self) -> Self {
        match self {
            Origin::Dialled => Origin::Accepted,
            Origin::Accepted => Origin::Dialled,
        }
    }
}

/// Identity of one connection with the peer, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PathId {
    origin: Origin,
    number: u64,
}

/// A connection that both sides accepted.
#[derive(Debug)]
struct Path<C> {
    number: u64,
    connection: C,
    /// Datagrams received up to the last check.
    datagrams: u64,
    /// Whether a message was sent since the last check.
    sent: bool,
    /// Whether a message was sent and no datagram was received since.
    unanswered: bool,
    /// Checks since a datagram was received, or since the connection's turn began.
    quiet_checks: u32,
    suspect: bool,
}

impl<C> Path<C> {
    fn check(&mut self, datagrams: u64) {
        if datagrams > self.datagrams {
            self.datagrams = datagrams;
            self.set_received();
            // The datagram may be older than a message sent in the same period.
            self.unanswered = self.sent;
        } else if self.unanswered {
            self.quiet_checks += 1;
            self.suspect |= self.quiet_checks >= QUIET_CHECKS;
        }
        self.sent = false;
    }

    fn set_received(&mut self) {
        self.quiet_checks = 0;
        self.suspect = false;
    }
}

/// Connections with one peer, at most one of each origin, and which of them is used for sending.
#[derive(Debug)]
pub(super) struct Paths<C> {
    dialled: Option<Path<C>>,
    accepted: Option<Path<C>>,
    chosen: Option<Origin>,
    /// Whether this node's last message as a leader is newer than the peer's.
    leads: bool,
    opened: u64,
}

impl<C> Default for Paths<C> {
    fn default() -> Self {
        Paths {
            dialled: None,
            accepted: None,
            chosen: None,
            leads: false,
            opened: 0,
        }
    }
}

impl<C> Paths<C> {
    /// Adds a connection; returns its id, and the connection that it replaces.
    pub(super) fn add(&mut self, origin: Origin, connection: C) -> (PathId, Option<C>) {
        self.opened += 1;
        let number = self.opened;
        let replaced = self.slot(origin).replace(Path {
            number,
            connection,
            datagrams: 0,
            sent: false,
            unanswered: false,
            quiet_checks: 0,
            suspect: false,
        });
        self.choose();
        let id = PathId { origin, number };
        (id, replaced.map(|path| path.connection))
    }

    /// Removes a connection that was closed. No-op if it was replaced.
    pub(super) fn remove(&mut self, id: PathId) {
        if self.path(id).is_some() {
            *self.slot(id.origin) = None;
            self.choose();
        }
    }

    /// Returns the connection on which messages are to be sent.
    pub(super) fn chosen(&self) -> Option<(PathId, &C)> {
        let origin = self.chosen?;
        let path = self.of(origin)?;
        let number = path.number;
        Some((PathId { origin, number }, &path.connection))
    }

    /// Returns all connections.
    pub(super) fn connections(&self) -> impl Iterator<Item = &C> {
        [&self.dialled, &self.accepted]
            .into_iter()
            .flatten()
            .map(|path| &path.connection)
    }

    /// Returns the connection that the peer dialled.
    pub(super) fn accepted(&self) -> Option<&C> {
        self.accepted.as_ref().map(|path| &path.connection)
    }

    /// Records that a message arrived; `from_leader` if only a leader sends such a message.
    pub(super) fn record_arrival(&mut self, id: PathId, from_leader: bool) {
        // A stream of a replaced connection may still deliver.
        let Some(path) = self.path(id) else { return };
        path.set_received();
        // Messages of two sides that do not lead may cross, so they change the connection only if
        // the chosen one does not answer.
        let is_answering = self
            .chosen
            .and_then(|origin| self.of(origin))
            .is_some_and(|path| path.quiet_checks == 0);
        if from_leader {
            self.leads = false;
        }
        if from_leader || !(self.leads || is_answering) {
            self.chosen = Some(id.origin);
        }
        self.choose();
    }

    /// Records that messages were sent; `as_leader` if only a leader sends one of them. Returns
    /// whether they are the first on their connection without an answer.
    pub(super) fn record_sent(&mut self, id: PathId, as_leader: bool) -> bool {
        if as_leader {
            self.leads = true;
        }
        let is_first = self.path(id).is_some_and(|path| {
            path.sent = true;
            !std::mem::replace(&mut path.unanswered, true)
        });
        self.choose();
        is_first
    }

    /// Compares the received datagrams of every connection with those at the last check. Returns
    /// whether another check is needed.
    pub(super) fn check(&mut self, datagrams: impl Fn(&C) -> u64) -> bool {
        let mut is_unanswered = false;
        for path in [&mut self.dialled, &mut self.accepted]
            .into_iter()
            .flatten()
        {
            path.check(datagrams(&path.connection));
            is_unanswered |= path.unanswered;
        }
        self.end_turn();
        self.choose();
        is_unanswered
    }

    /// Changes to the other connection if both are suspect and the chosen one had its turn.
    fn end_turn(&mut self) {
        let Some(origin) = self.chosen else { return };
        let had_its_turn = self
            .of(origin)
            .is_some_and(|path| path.suspect && path.quiet_checks >= QUIET_CHECKS);
        if had_its_turn
            && let Some(other) = self.slot(origin.other())
            && other.suspect
        {
            other.quiet_checks = 0;
            self.chosen = Some(origin.other());
        }
    }

    /// Restores the rules of the choice after any change.
    fn choose(&mut self) {
        let preferred = match self.chosen {
            Some(Origin::Accepted) if !self.leads => Origin::Accepted,
            _ => Origin::Dialled,
        };
        let other = preferred.other();
        self.chosen = if self.is_sound(preferred) {
            Some(preferred)
        } else if self.is_sound(other) {
            Some(other)
        } else {
            // All are suspect, so the turn goes on.
            let current = self.chosen.unwrap_or(preferred);
            [current, current.other()]
                .into_iter()
                .find(|origin| self.of(*origin).is_some())
        };
    }

    fn is_sound(&self, origin: Origin) -> bool {
        self.of(origin).is_some_and(|path| !path.suspect)
    }

    fn of(&self, origin: Origin) -> Option<&Path<C>> {
        match origin {
            Origin::Dialled => self.dialled.as_ref(),
            Origin::Accepted => self.accepted.as_ref(),
        }
    }

    fn slot(&mut self, origin: Origin) -> &mut Option<Path<C>> {
        match origin {
            Origin::Dialled => &mut self.dialled,
            Origin::Accepted => &mut self.accepted,
        }
    }

    fn path(&mut self, id: PathId) -> Option<&mut Path<C>> {
        self.slot(id.origin)
            .as_mut()
            .filter(|path| path.number == id.number)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A connection is the number of datagrams that it received.
    type TestPaths = Paths<Cell<u64>>;

    fn both() -> (TestPaths, PathId, PathId) {
        let mut paths = TestPaths::default();
        let (dialled, _) = paths.add(Origin::Dialled, Cell::new(1));
        let (accepted, _) = paths.add(Origin::Accepted, Cell::new(1));
        assert!(!paths.check(Cell::get), "nothing was sent");
        (paths, dialled, accepted)
    }

    fn chosen(paths: &TestPaths) -> Option<PathId> {
        paths.chosen().map(|(id, _)| id)
    }

    fn receive_on(paths: &mut TestPaths, id: PathId) {
        let path = paths.path(id).expect("a standing connection");
        path.connection.set(path.connection.get() + 1);
    }

    /// Sends on the chosen connection before each of `checks` checks, and receives nothing.
    fn send_unanswered(paths: &mut TestPaths, checks: u32) {
        for _ in 0..checks {
            let id = chosen(paths).expect("a standing connection");
            paths.record_sent(id, false);
            assert!(paths.check(Cell::get), "an answer is missing");
        }
    }

    #[test]
    fn first_connection_is_kept_until_it_closes() {
        let mut paths = TestPaths::default();
        assert_eq!(chosen(&paths), None);
        let (accepted, _) = paths.add(Origin::Accepted, Cell::new(0));
        let (dialled, _) = paths.add(Origin::Dialled, Cell::new(0));
        assert_eq!(chosen(&paths), Some(accepted));
        paths.remove(accepted);
        assert_eq!(chosen(&paths), Some(dialled));
        paths.remove(dialled);
        assert_eq!(chosen(&paths), None);
    }

    #[test]
    fn replaced_connection_is_returned_and_its_end_ignored() {
        let mut paths = TestPaths::default();
        let (older, _) = paths.add(Origin::Accepted, Cell::new(7));
        let (newer, replaced) = paths.add(Origin::Accepted, Cell::new(0));
        assert_eq!(replaced, Some(Cell::new(7)));
        paths.remove(older);
        paths.record_arrival(older, true);
        assert_eq!(chosen(&paths), Some(newer));
    }

    #[test]
    fn follower_sends_where_the_newest_message_arrived() {
        let (mut paths, dialled, accepted) = both();
        paths.record_arrival(accepted, true);
        assert_eq!(chosen(&paths), Some(accepted));
        paths.record_arrival(dialled, true);
        assert_eq!(chosen(&paths), Some(dialled));
    }

    /// Two sides that both followed could exchange their connections with every pair of messages.
    #[test]
    fn message_of_no_leader_is_followed_only_if_the_chosen_connection_is_silent() {
        let (mut paths, dialled, accepted) = both();
        paths.record_arrival(accepted, false);
        assert_eq!(chosen(&paths), Some(dialled));
        send_unanswered(&mut paths, 1);
        paths.record_arrival(accepted, false);
        assert_eq!(chosen(&paths), Some(accepted));
    }

    #[test]
    fn leader_sends_on_its_dialled_connection() {
        let (mut paths, dialled, accepted) = both();
        paths.record_arrival(accepted, false);
        paths.record_sent(accepted, true);
        assert_eq!(chosen(&paths), Some(dialled));
        paths.record_arrival(accepted, false);
        assert_eq!(chosen(&paths), Some(dialled), "it does not follow");
        paths.record_arrival(accepted, true);
        assert_eq!(chosen(&paths), Some(accepted), "the peer leads now");
    }

    #[test]
    fn silent_connection_is_left_and_resumed_by_a_leader() {
        let (mut paths, dialled, accepted) = both();
        paths.record_sent(dialled, true);
        send_unanswered(&mut paths, QUIET_CHECKS - 1);
        assert_eq!(chosen(&paths), Some(dialled));
        send_unanswered(&mut paths, 1);
        assert_eq!(chosen(&paths), Some(accepted));
        receive_on(&mut paths, dialled);
        paths.check(Cell::get);
        assert_eq!(chosen(&paths), Some(dialled));
    }

    #[test]
    fn answered_connection_is_never_suspect() {
        let (mut paths, dialled, _) = both();
        for _ in 0..10 {
            send_unanswered(&mut paths, QUIET_CHECKS - 1);
            receive_on(&mut paths, dialled);
            paths.check(Cell::get);
        }
        assert!(!paths.check(Cell::get), "everything is answered");
        assert_eq!(chosen(&paths), Some(dialled));
    }

    #[test]
    fn suspect_connections_take_turns_until_one_receives() {
        let (mut paths, dialled, accepted) = both();
        for turn in [dialled, accepted, dialled, accepted] {
            assert_eq!(chosen(&paths), Some(turn));
            send_unanswered(&mut paths, QUIET_CHECKS);
        }
        assert_eq!(chosen(&paths), Some(dialled));
        receive_on(&mut paths, accepted);
        paths.check(Cell::get);
        assert_eq!(chosen(&paths), Some(accepted), "before its turn");
    }

    #[test]
    fn only_connection_is_used_although_suspect() {
        let mut paths = TestPaths::default();
        let (dialled, _) = paths.add(Origin::Dialled, Cell::new(0));
        send_unanswered(&mut paths, 3 * QUIET_CHECKS);
        assert_eq!(chosen(&paths), Some(dialled));
        let (accepted, _) = paths.add(Origin::Accepted, Cell::new(0));
        assert_eq!(chosen(&paths), Some(accepted));
    }
}
