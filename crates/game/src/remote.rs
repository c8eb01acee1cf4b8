//! A separate member process's view of the cluster: its own node, and its links to the others.

use bevy::prelude::*;
use bevy_raft::{RaftStatus, RaftSystems};

use crate::cluster_view::{ClusterView, MemberView};
use crate::replication::OwnState;
use crate::status_document::OwnMember;

/// Updates [`ClusterView`]. Requires [`OwnMember`].
pub(crate) fn plugin(app: &mut App) {
    app.init_resource::<ClusterView>()
        .add_systems(PreUpdate, show_members.after(RaftSystems::Apply));
}

fn show_members(
    own: Res<OwnMember>,
    state: Res<OwnState>,
    status: Res<RaftStatus>,
    mut view: ResMut<ClusterView>,
) {
    let links = own.control.links();
    let Some(node) = &status.view else { return };
    let contacts = own.contacts(&node.status);
    let members = contacts.iter().map(|(&id, contact)| {
        let name = contact.name.clone();
        if id == own.config.id {
            let up = own.control.is_running();
            MemberView {
                id,
                name,
                node: status.view.clone(),
                up,
                state: Some(state.0),
            }
        } else {
            let up = links.peer(id).is_some_and(|link| link.connected());
            MemberView {
                id,
                name,
                node: None,
                up,
                state: None,
            }
        }
    });
    *view = ClusterView {
        members: members.collect(),
        seat: Some(own.config.id),
        embedded: false,
    };
}
