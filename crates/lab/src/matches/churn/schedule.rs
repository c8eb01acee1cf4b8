//! Whose turn it is to leave, crash, come back or join.

use std::time::Duration;

use raftian_raft::{Membership, Moment, NodeId, Standing};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::matches::Match;

/// At least so many voters run.
pub const FLOOR: usize = 2;

/// How often the leader is asked for a change that is not done.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What happens in one turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// A member is removed and then switched off.
    Leave,
    /// A member's machine ends at once.
    Crash,
    /// The machine that crashed starts again.
    Restart,
    /// A newcomer is added, and becomes a voter when it has kept up for a while.
    Join,
}

/// What a leader has to be asked for until it is done.
#[derive(Clone, Copy)]
enum PendingChange {
    Without(usize, NodeId),
    With(NodeId),
}

pub(super) struct Turns {
    /// Turns that were begun, with their times.
    pub(super) happened: Vec<(Moment, Turn)>,
    /// Turns that would have left too few voters, or had nobody to come back.
    pub(super) passed: u64,
    next: usize,
    wish: Option<(PendingChange, Moment)>,
    /// Machines that crashed.
    down: Vec<usize>,
    /// Machines that left.
    gone: Vec<usize>,
    size: usize,
}

impl Turn {
    /// All of them, in the order in which they are taken.
    pub const ALL: [Turn; 4] = [Turn::Leave, Turn::Crash, Turn::Restart, Turn::Join];

    /// The word for it.
    #[must_use]
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

    /// Begins the next turn. False if the one before is not over, or nobody knows who the members
    /// are; then it is to be tried again soon.
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

    /// Asks for what is wished, and sees whether it is done.
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

    /// SimLinks what was begun, and lets those come back who crashed. False if that took longer than
    /// `limit`.
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
