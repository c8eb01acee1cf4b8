//! The player's orders on their way: proposed, then committed or refused.

use std::time::Duration;

use bevy::prelude::*;
use bevy::time::Real;
use bevy_raft::prelude::*;
use raftian_realm::crowns::{Order, Place};
use raftian_realm::table::Command;

use super::words::{rejected, sentence, unknown_effect};
use crate::overlay::latency::CommitLatency;
use crate::refusal_words::refusal_words;
use crate::table::{LastVerdict, ReplicatedTable, TableCommand};

/// Time for which a notice is shown.
const SHOWN_FOR: Duration = Duration::from_secs(4);

/// A command whose effect is not known yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: ProposalId,
    pub(super) command: Command,
    pub(super) since: Duration,
}

/// Commands of this player whose effect is not known yet, the oldest first.
#[derive(Resource, Default)]
pub(super) struct PendingOrders(pub(super) Vec<Pending>);

impl PendingOrders {
    /// Whether this command is on its way.
    pub(super) fn contains(&self, command: &Command) -> bool {
        self.0.iter().any(|pending| pending.command == *command)
    }

    /// Whether a proposal is one of these commands.
    pub(super) fn is_own(&self, proposal: Option<ProposalId>) -> bool {
        self.0.iter().any(|pending| Some(pending.id) == proposal)
    }

    /// Targets of the marches that are on their way.
    pub(super) fn marches(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.iter().filter_map(|pending| match &pending.command {
            Command::Order(Order::March { to, .. }) => Some(*to),
            _ => None,
        })
    }
}

/// Latest reason why a command had no effect, and when it was known.
#[derive(Resource, Default)]
pub(super) struct Notice(Option<(String, Duration)>);

impl Notice {
    /// Shows a text from `now` on.
    pub(super) fn show(&mut self, text: impl Into<String>, now: Duration) {
        self.0 = Some((text.into(), now));
    }

    /// The text that is shown at `now`.
    pub(super) fn at(&self, now: Duration) -> Option<&str> {
        let (text, since) = self.0.as_ref()?;
        (now.saturating_sub(*since) < SHOWN_FOR).then_some(text)
    }
}

/// A command that the player gives.
#[derive(Event, Clone, Debug)]
pub(super) struct Give(pub(super) Command);

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<PendingOrders>()
        .init_resource::<Notice>()
        .add_observer(propose)
        .add_observer(settle)
        .add_observer(note_refusal);
}

fn propose(
    give: On<Give>,
    time: Res<Time<Real>>,
    table: Res<ReplicatedTable>,
    mut pending: ResMut<PendingOrders>,
    mut commands: Commands,
) {
    let command = give.0.clone();
    let id = commands.propose(TableCommand::new(command.clone(), &table.0));
    let since = time.elapsed();
    pending.0.push(Pending { id, command, since });
}

fn settle(
    outcome: On<ProposalOutcome>,
    time: Res<Time<Real>>,
    mut pending: ResMut<PendingOrders>,
    mut latency: ResMut<CommitLatency>,
    mut notice: ResMut<Notice>,
) {
    let Some(place) = pending.0.iter().position(|one| one.id == outcome.id) else {
        return;
    };
    let own = pending.0.remove(place);
    let now = time.elapsed();
    match &outcome.outcome {
        Outcome::Committed(_) => latency.record(now.saturating_sub(own.since)),
        Outcome::Rejected(rejection) => notice.show(rejected(rejection), now),
        Outcome::Unknown { reason } => {
            notice.show(unknown_effect(reason), now);
        }
    }
}

/// Shows why a command of this player was refused, as soon as it is applied.
fn note_refusal(
    committed: On<Committed<TableCommand>>,
    verdict: Res<LastVerdict>,
    pending: Res<PendingOrders>,
    time: Res<Time<Real>>,
    mut notice: ResMut<Notice>,
) {
    let is_own = pending.is_own(committed.proposal);
    let Some((index, Err(refusal))) = verdict.0 else {
        return;
    };
    if is_own && index == committed.entry.index {
        notice.show(sentence(&refusal_words(&refusal)), time.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notice_is_shown_for_a_while() {
        let mut notice = Notice::default();
        assert_eq!(notice.at(Duration::ZERO), None);
        notice.show("no", Duration::from_secs(1));
        assert_eq!(notice.at(Duration::from_secs(2)), Some("no"));
        assert_eq!(notice.at(Duration::from_secs(6)), None);
    }
}
