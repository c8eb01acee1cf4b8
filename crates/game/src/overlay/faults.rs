//! Faults that can be injected into members, and their keys.

use bevy::input_focus::InputFocus;
use bevy::prelude::*;
use bevy::text::EditableText;
use bevy_egui::input::EguiWantsInput;
use raftian_raft::RoleKind;

use super::Selected;
use super::derived::{Condition, condition};
use super::pop_out::WindowKeys;
use crate::cluster_view::{ClusterView, Fault, FaultKind, MemberView};

/// An operation offered for a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offer {
    /// The operation.
    pub(super) kind: FaultKind,
    /// Its button label.
    pub(super) word: &'static str,
    /// Its tooltip.
    pub(super) meaning: &'static str,
    /// It would have an effect now.
    pub(super) possible: bool,
}

/// The operations in the order of a row of buttons.
pub(super) fn offers(view: &ClusterView, member: &MemberView) -> [Offer; 6] {
    let runs = condition(member) != Condition::Down;
    let node = member.node.as_ref().filter(|_| runs);
    let paused = node.is_some_and(|node| node.paused);
    let cut = node.is_some_and(|node| node.cut);
    // A paused leader does nothing, so it cannot transfer leadership.
    let leads = node.is_some_and(|node| node.status.role == RoleKind::Leader && !node.paused);
    let offer = |kind, word, meaning, possible| Offer {
        kind,
        word,
        meaning,
        possible: possible && view.embedded,
    };
    let pause = if paused {
        ("resume", "Resume it")
    } else {
        ("pause", "Freeze it; it keeps its memory")
    };
    let links = if cut {
        ("mend", "Mend its links")
    } else {
        ("cut", "Cut all its links")
    };
    [
        offer(
            FaultKind::Kill,
            "kill",
            "Stop it immediately, without notice to the others",
            runs,
        ),
        offer(
            FaultKind::Restart,
            "restart",
            "Start it again from its disk",
            !runs,
        ),
        offer(FaultKind::Pause(!paused), pause.0, pause.1, runs),
        offer(FaultKind::Cut(!cut), links.0, links.1, runs),
        offer(
            FaultKind::TransferLeadership,
            "transfer",
            "Transfer leadership to another member",
            leads,
        ),
        offer(
            FaultKind::TakeSeat,
            "play as",
            "Play as this member in this window",
            view.seat != Some(member.id),
        ),
    ]
}

/// Returns the faults that a key injects into `selected`. H needs no selection: it mends all cuts.
fn faults_of(key: KeyCode, view: &ClusterView, selected: Option<&MemberView>) -> Vec<Fault> {
    if key == KeyCode::KeyH {
        let cut = view
            .members
            .iter()
            .filter(|member| member.node.as_ref().is_some_and(|node| node.cut));
        return cut
            .map(|member| Fault {
                member: member.id,
                kind: FaultKind::Cut(false),
            })
            .collect();
    }
    let Some(member) = selected else {
        return vec![];
    };
    let asked = |kind: FaultKind| match key {
        KeyCode::KeyK => kind == FaultKind::Kill,
        KeyCode::KeyR => kind == FaultKind::Restart,
        KeyCode::KeyP => matches!(kind, FaultKind::Pause(_)),
        KeyCode::KeyX => matches!(kind, FaultKind::Cut(_)),
        _ => false,
    };
    let wanted = offers(view, member)
        .into_iter()
        .filter(|offer| offer.possible && asked(offer.kind));
    wanted
        .map(|offer| Fault {
            member: member.id,
            kind: offer.kind,
        })
        .collect()
}

/// Handles the fault keys: K, R, P and X concern the selected member; H mends all cuts.
pub(super) fn press_keys(
    commands: Commands,
    keys: Res<ButtonInput<KeyCode>>,
    egui: Option<Res<EguiWantsInput>>,
    focus: Option<Res<InputFocus>>,
    fields: Query<(), With<EditableText>>,
    view: Res<ClusterView>,
    selected: Res<Selected>,
) {
    inject(
        commands,
        &keys,
        is_typing(egui, &focus, &fields),
        &view,
        *selected,
    );
}

/// Handles the same keys of the overlay's own window.
pub(super) fn press_keys_of_window(
    commands: Commands,
    keys: Res<WindowKeys>,
    egui: Option<Res<EguiWantsInput>>,
    focus: Option<Res<InputFocus>>,
    fields: Query<(), With<EditableText>>,
    view: Res<ClusterView>,
    selected: Res<Selected>,
) {
    inject(
        commands,
        &keys.0,
        is_typing(egui, &focus, &fields),
        &view,
        *selected,
    );
}

/// Whether a text field of the overlay or of the game receives the keys.
fn is_typing(
    egui: Option<Res<EguiWantsInput>>,
    focus: &Option<Res<InputFocus>>,
    fields: &Query<(), With<EditableText>>,
) -> bool {
    let focused = focus.as_ref().and_then(|focus| focus.get());
    egui.is_some_and(|egui| egui.wants_any_keyboard_input())
        || focused.is_some_and(|focused| fields.contains(focused))
}

fn inject(
    mut commands: Commands,
    keys: &ButtonInput<KeyCode>,
    is_typing: bool,
    view: &ClusterView,
    selected: Selected,
) {
    if !view.embedded || is_typing {
        return;
    }
    let member = selected.0.and_then(|id| view.member(id));
    for &key in keys.get_just_pressed() {
        for fault in faults_of(key, view, member) {
            commands.trigger(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};
    use raftian_raft::NodeId;

    fn possible(view: &ClusterView, place: usize) -> Vec<&'static str> {
        let offers = offers(view, &view.members[place]);
        offers
            .iter()
            .filter(|offer| offer.possible)
            .map(|offer| offer.word)
            .collect()
    }

    #[test]
    fn only_effective_operations_are_offered() {
        let mut view = cluster(vec![node(1, 1), node(2, 1), node(3, 1)]);
        view.members[1].node.as_mut().unwrap().status.role = RoleKind::Leader;
        view.members[1].node.as_mut().unwrap().paused = true;
        view.members[2].node.as_mut().unwrap().cut = true;
        assert_eq!(possible(&view, 0), ["kill", "pause", "cut"]);
        assert_eq!(possible(&view, 1), ["kill", "resume", "cut", "play as"]);
        assert_eq!(possible(&view, 2), ["kill", "pause", "mend", "play as"]);
        view.members[1].node.as_mut().unwrap().paused = false;
        assert_eq!(
            possible(&view, 1),
            ["kill", "pause", "cut", "transfer", "play as"]
        );
        view.members[1].up = false;
        assert_eq!(possible(&view, 1), ["restart", "play as"]);
        view.embedded = false;
        assert!((0..3).all(|place| possible(&view, place).is_empty()));
    }

    #[test]
    fn keys_apply_to_the_selected_member_and_h_mends_all() {
        let mut view = cluster(vec![node(1, 1), node(2, 1)]);
        for member in &mut view.members {
            member.node.as_mut().unwrap().cut = true;
        }
        let pressed = |key, selected| -> Vec<(u64, FaultKind)> {
            faults_of(key, &view, selected)
                .iter()
                .map(|fault| (fault.member.0, fault.kind))
                .collect()
        };
        let second = view.member(NodeId(2));
        assert_eq!(pressed(KeyCode::KeyK, second), [(2, FaultKind::Kill)]);
        assert_eq!(
            pressed(KeyCode::KeyP, second),
            [(2, FaultKind::Pause(true))]
        );
        assert_eq!(pressed(KeyCode::KeyX, second), [(2, FaultKind::Cut(false))]);
        assert_eq!(pressed(KeyCode::KeyR, second), []);
        assert_eq!(pressed(KeyCode::KeyK, None), []);
        assert_eq!(
            pressed(KeyCode::KeyH, None),
            [(1, FaultKind::Cut(false)), (2, FaultKind::Cut(false))]
        );
    }
}
