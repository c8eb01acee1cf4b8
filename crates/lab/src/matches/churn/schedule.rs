//! Schedule of leaves, crashes, restarts and joins.

use std::time::Duration;

use raftian_raft::{Membership, Moment, NodeId, Standing};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::matches::Match;

/// Minimum number of running voters.
pub const FLOOR: usize = 2;

/// Interval between requests for a change that is not done yet.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// One turn of the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Removes a member and then switches it off.
    Leave,
    /// Crashes a member's machine.
    Crash,
    /// Restarts the machine that crashed.
    Restart,
    /// Adds a joining node, which becomes a voter after it has kept up for a while.
    Join,
}

/// Membership change requested from leaders until it is done.
#[derive(Clone, Copy)]
enum PendingChange {
    Without(usize, NodeId),
    With(NodeId),
}

pub(super) struct Turns {
    /// Turns begun so far, with their times.
    pub(super) happened: Vec<(Moment, Turn)>,
    /// Turns skipped because too few voters would remain, or no machine could restart.
    pub(super) passed: u64,
    next: usize,
    wish: Option<(PendingChange, Moment)>,
    /// Crashed machines.
    down: Vec<usize>,
    /// Removed machines.
    gone: Vec<usize>,
    size: usize,
}

impl Turn {
    /// All kinds, in the order in which they take turns.
    pub const ALL: [Turn; 4] = [Turn::Leave, Turn::Crash, Turn::Restart, Turn::Join];

    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Turn::Leave => "leave",
            Turn::Crash => "crash",
            Turn::Restart => "restart",
            Turn::Join => "join",
        }
    }
}

impl Turns {
    pub(super) fn new(size: usize) -> Self {
        Turns {
            happened: Vec::new(),
            passed: 0,
            next: 0,
            wish: None,
            down: Vec::new(),
            gone: Vec::new(),
            size,
        }
    }

    /// Begins the next turn. Returns false if the previous one is not over, or no leader knows a
    /// committed membership; the caller retries soon.
    pub(super) fn take(&mut self, game: &mut Match, rng: &mut ChaCha8Rng) -> bool {
        let Some(members) = game.members().filter(|_| self.wish.is_none()) else {
            return false;
        };
        let turn = Turn::ALL[self.next % Turn::ALL.len()];
        self.next += 1;
        if self.begin(turn, game, &members, rng) {
            self.happened.push((game.now(), turn));
        } else {
            self.passed += 1;
        }
        true
    }

    fn begin(
        &mut self,
        turn: Turn,
        game: &mut Match,
        members: &Membership,
        rng: &mut ChaCha8Rng,
    ) -> bool {
        let voter =
            |place: &usize| game.is_up(*place) && members.voters().any(|id| id == game.id(*place));
        let running: Vec<usize> = (0..self.size).filter(voter).collect();
        let goes = (running.len() > FLOOR).then(|| running[rng.random_range(0..running.len())]);
        match turn {
            Turn::Leave => goes.is_some_and(|place| {
                // Orders pending when the machine leaves would be lost with their player.
                game.stop_clicking(place);
                self.wish = Some((PendingChange::Without(place, game.id(place)), game.now()));
                true
            }),
            Turn::Crash => goes.is_some_and(|place| {
                game.crash(place);
                self.down.push(place);
                true
            }),
            Turn::Restart => self.down.pop().is_some_and(|place| {
                game.restart(place);
                true
            }),
            Turn::Join => self.gone.pop().is_some_and(|place| {
                self.wish = Some((PendingChange::With(game.arrive_new(place)), game.now()));
                true
            }),
        }
    }

    /// Requests the pending change, and checks whether it is done.
    pub(super) fn go_on(&mut self, game: &mut Match) {
        let Some((wish, ask_at)) = self.wish else {
            return;
        };
        let members = game.members();
        let is = |done: &dyn Fn(&Membership) -> bool| members.as_ref().is_some_and(done);
        let standing =
            |members: &Membership, id| members.member(id).and_then(|member| member.standing);
        let done = match wish {
            PendingChange::Without(_, id) => is(&|members| !members.contains(id)),
            PendingChange::With(id) => {
                is(&|members| standing(members, id) == Some(Standing::Voter))
            }
        };
        if done {
            if let PendingChange::Without(place, _) = wish {
                game.crash(place);
                self.gone.push(place);
            }
            self.wish = None;
            return;
        }
        // The leader promotes a joining member by itself.
        let waits_for_its_vote =
            matches!(wish, PendingChange::With(id) if is(&|members| members.contains(id)));
        if game.now() < ask_at || waits_for_its_vote {
            return;
        }
        self.wish = Some((wish, game.now().after(ASK_AGAIN)));
        match wish {
            PendingChange::Without(_, id) => game.ask_to_remove(id),
            PendingChange::With(id) => game.ask_to_add(id),
        }
    }

    /// Finishes the pending change, and restarts crashed machines. Returns false if that takes
    /// longer than `limit`.
    pub(super) fn finish(&mut self, game: &mut Match, limit: Duration, slice: Duration) -> bool {
        self.down.drain(..).for_each(|place| game.restart(place));
        let limit = game.now().after(limit);
        while self.wish.is_some() && game.now() < limit {
            game.run_for(slice);
            self.go_on(game);
        }
        self.wish.is_none()
    }
}
