//! What a program needs of its node, however that is driven.

use raftian_raft::{Command, Moment, Refused};

use crate::driver::{Committed, Driver};
use crate::links::Links;
use crate::store::Store;
use crate::view::NodeView;

/// A member of the cluster as the program above it sees it: commands go in, committed entries come out.
///
/// Two implementations: [`NodeHandle`](crate::NodeHandle), whose node runs on its own thread, and [`Pumped`], which the
/// program pumps itself.
pub trait Replica: Send {
    /// Lets the node work at `now` on its clock. A node on its own thread needs no letting.
    fn pump(&mut self, now: Moment);

    /// Proposes a command.
    ///
    /// # Errors
    /// [`ProposeError`]; the command was not taken, and proposing it again is safe.
    fn propose(&mut self, command: Command) -> Result<(), ProposeError>;

    /// Moves up to `most` of what is committed to `into`, in log order, each once. Taking it counts as
    /// applying it.
    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>);

    /// Proposals refused since the last call.
    fn take_refused(&mut self) -> Vec<Refused>;

    /// What the node looks like.
    fn view(&self) -> NodeView;
}

/// Why a node did not take a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// As many commands wait for the node as may.
    #[error("the node's queue of proposals is full; propose again later")]
    Busy,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// A driver that its program pumps. It stops for good when its store fails.
#[derive(Debug)]
pub struct Pumped<S, L> {
    driver: Driver<S, L>,
    stopped: Option<String>,
}

impl<S: Store, L: Links> Pumped<S, L> {
    /// Takes the driver.
    pub fn new(driver: Driver<S, L>) -> Self {
        Pumped { driver, stopped: None }
    }

    /// The driver.
    pub fn driver_mut(&mut self) -> &mut Driver<S, L> {
        &mut self.driver
    }
}

impl<S: Store, L: Links + Send> Replica for Pumped<S, L> {
    fn pump(&mut self, now: Moment) {
        if self.stopped.is_none()
            && let Err(error) = self.driver.pump(now)
        {
            tracing::error!(%error, "the node stops");
            self.stopped = Some(error.to_string());
        }
    }

    fn propose(&mut self, command: Command) -> Result<(), ProposeError> {
        if self.stopped.is_some() {
            return Err(ProposeError::Stopped);
        }
        self.driver.propose(vec![command]);
        Ok(())
    }

    fn take_committed(&mut self, most: usize, into: &mut Vec<Committed>) {
        self.driver.take_committed(most, into);
    }

    fn take_refused(&mut self) -> Vec<Refused> {
        self.driver.take_refused()
    }

    fn view(&self) -> NodeView {
        NodeView { stopped: self.stopped.clone(), ..self.driver.view() }
    }
}
