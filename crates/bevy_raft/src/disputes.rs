//! Contradictions between signed checkpoints, as events of the app.

use bevy_ecs::prelude::*;
use raftian_node::checkpoint::Dispute;

use crate::status::RaftStatus;

/// Signed checkpoints of two members, or two of one member, contradict each other. Triggered once
/// for each contradiction that this machine's node finds, in a match that players join.
#[derive(Event, Clone, PartialEq, Eq, Debug)]
pub struct HistoryDisputed {
    /// The two checkpoints, with their signatures.
    pub dispute: Dispute,
}

/// Number of the node's disputes that were reported.
#[derive(Resource, Default)]
pub(crate) struct ReportedDisputes(usize);

/// Disputes of the attached node.
fn disputes(status: &RaftStatus) -> &[Dispute] {
    let view = status.view.as_ref();
    view.map_or(&[], |view| view.checkpoints.disputes())
}

/// Run condition: the node has other disputes than were reported.
pub(crate) fn has_news(status: Res<RaftStatus>, reported: Res<ReportedDisputes>) -> bool {
    disputes(&status).len() != reported.0
}

pub(crate) fn report(
    status: Res<RaftStatus>,
    mut reported: ResMut<ReportedDisputes>,
    mut commands: Commands,
) {
    let disputes = disputes(&status);
    // The node of another match begins without any.
    for dispute in &disputes[reported.0.min(disputes.len())..] {
        let dispute = dispute.clone();
        commands.trigger(HistoryDisputed { dispute });
    }
    reported.0 = disputes.len();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bevy_app::prelude::*;
    use raftian_node::chain::ChainHead;
    use raftian_node::checkpoint::{Checkpoint, Checkpoints, DisputeKind, SignedCheckpoint};
    use raftian_raft::{Incarnation, Index, NodeId};

    use super::*;
    use crate::test_app::TestCluster;

    #[derive(Resource, Default)]
    struct Found(Vec<DisputeKind>);

    #[test]
    fn each_dispute_of_a_match_is_reported_once() {
        let mut app = App::new();
        app.init_resource::<RaftStatus>()
            .init_resource::<ReportedDisputes>()
            .init_resource::<Found>()
            .add_observer(|found: On<HistoryDisputed>, mut all: ResMut<Found>| {
                all.0.push(found.dispute.kind());
            })
            .add_systems(Update, report.run_if(has_news));
        let mut checkpoints = Checkpoints::default();
        let mut cluster = TestCluster::new(1, |_| {});
        cluster.elect();
        let status = cluster.apps()[0].world().resource::<RaftStatus>();
        let mut view = status.view.clone().unwrap();
        let mut show = |app: &mut App, checkpoints: &Checkpoints| {
            view.checkpoints = Arc::new(checkpoints.clone());
            app.world_mut().resource_mut::<RaftStatus>().view = Some(view.clone());
            app.update();
            app.update();
            std::mem::take(&mut app.world_mut().resource_mut::<Found>().0)
        };
        let add = |checkpoints: &mut Checkpoints, member, head, state| {
            let signed = SignedCheckpoint {
                member: NodeId(member),
                incarnation: Incarnation(1),
                checkpoint: Checkpoint {
                    index: Index(256),
                    head: ChainHead([head; 32]),
                    state,
                },
                signature: Vec::new(),
            };
            match member {
                1 => checkpoints.add_own(signed),
                _ => checkpoints.add(signed),
            }
        };
        add(&mut checkpoints, 1, 1, 5);
        assert_eq!(show(&mut app, &checkpoints), []);
        add(&mut checkpoints, 2, 2, 5);
        let found = show(&mut app, &checkpoints);
        assert_eq!(found, [DisputeKind::Histories]);
        add(&mut checkpoints, 3, 1, 6);
        assert_eq!(show(&mut app, &checkpoints), [DisputeKind::States]);
        // Another match.
        let mut other = Checkpoints::default();
        assert_eq!(show(&mut app, &other), []);
        add(&mut other, 1, 1, 5);
        add(&mut other, 2, 2, 5);
        assert_eq!(show(&mut app, &other), [DisputeKind::Histories]);
    }
}
