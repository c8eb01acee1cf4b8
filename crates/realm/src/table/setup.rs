//! Settings of a match, and changes of them.

use serde::{Deserialize, Serialize};

use super::{MAX_SPEED, MAX_WINDOW, Refusal};
use crate::crowns::SEATS;

/// Settings of a match, on which the table agrees before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Number of seats.
    pub seats: u8,
    /// Milliseconds of a fair window, 0 for none; `None` for [`FAR_WINDOW`](super::FAR_WINDOW) if
    /// the members are far apart, else none.
    pub window: Option<u64>,
    /// Speed of the game clock.
    pub speed: u64,
    /// All members are one player, [`PlayerId::SANDBOX`](super::PlayerId::SANDBOX): for a person
    /// who runs all of them on one machine and orders through any. Changes only while no player has
    /// a seat.
    pub is_sandbox: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            seats: 4,
            window: None,
            speed: 1,
            is_sandbox: false,
        }
    }
}

/// Changes of a [`Setup`]: `None` keeps what the table has agreed on, so that two players who
/// change different settings at once do not undo each other's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SetupChange {
    /// Number of seats.
    pub seats: Option<u8>,
    /// The fair window, as in [`Setup::window`].
    pub window: Option<Option<u64>>,
    /// Speed of the game clock.
    pub speed: Option<u64>,
    /// Whether all members are one player.
    pub is_sandbox: Option<bool>,
}

impl SetupChange {
    /// The setup after the changes.
    pub fn applied_to(self, setup: Setup) -> Setup {
        Setup {
            seats: self.seats.unwrap_or(setup.seats),
            window: self.window.unwrap_or(setup.window),
            speed: self.speed.unwrap_or(setup.speed),
            is_sandbox: self.is_sandbox.unwrap_or(setup.is_sandbox),
        }
    }
}

impl From<Setup> for SetupChange {
    /// Changes everything.
    fn from(setup: Setup) -> Self {
        SetupChange {
            seats: Some(setup.seats),
            window: Some(setup.window),
            speed: Some(setup.speed),
            is_sandbox: Some(setup.is_sandbox),
        }
    }
}

impl Setup {
    /// Refuses a setup that no match can have.
    ///
    /// # Errors
    /// The setting that is out of bounds.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if !SEATS.contains(&self.seats) {
            return Err(Refusal::Seats);
        }
        if self.window.is_some_and(|window| window > MAX_WINDOW) {
            return Err(Refusal::Window);
        }
        if !(1..=MAX_SPEED).contains(&self.speed) {
            return Err(Refusal::Speed);
        }
        Ok(())
    }
}
