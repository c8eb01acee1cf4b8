//! The table of members, one row each, with the buttons that inject faults.

use bevy_egui::egui::{
    Align2, Button, Color32, Direction, Id, Layout, Painter, Rect, RichText, ScrollArea, Sense,
    Stroke, StrokeKind, Ui, UiBuilder, pos2, vec2,
};
use raftian_raft::{FlowKind, Index, RoleKind};

use super::derived::{Condition, condition, leader, milliseconds, peer, short_hash, standing};
use super::faults::offers;
use super::theme::{BAD, CHOSEN, FAINT, SMALL, TEXT, WARN, WEAK, digits, put, term_colour, words};
use super::{Screen, icons};
use crate::cluster_view::{ClusterView, Fault, MemberView};

const ROW: f32 = 23.0;
const GAP: f32 = 6.0;

/// A column: heading, width, whether it is numeric, and tooltip.
struct Column(&'static str, f32, bool, &'static str);

const COLUMNS: [Column; 13] = [
    Column("member", 118.0, false, "Name and id"),
    Column(
        "role",
        78.0,
        false,
        "Its role in its term, or its standing if it is not a full voter",
    ),
    Column("link", 42.0, false, "Whether it runs and is reachable"),
    Column("term", 32.0, true, "currentTerm"),
    Column("vote", 40.0, false, "votedFor"),
    Column("last", 44.0, true, "Index of its last entry"),
    Column("commit", 44.0, true, "commitIndex"),
    Column("applied", 44.0, true, "lastApplied"),
    Column(
        "match",
        44.0,
        true,
        "matchIndex: last entry known to match the leader's log; \
         red if its disk lost acknowledged entries",
    ),
    Column(
        "next",
        44.0,
        true,
        "nextIndex: next entry that the leader sends it; \
         received share while that is a snapshot",
    ),
    Column(
        "rtt ms",
        40.0,
        true,
        "Round trip from the leader, including its disk",
    ),
    Column(
        "state",
        60.0,
        true,
        "Hash of its state after the last applied entry",
    ),
    Column("", 0.0, false, ""),
];

/// Widths of the buttons, in the order of the offers; the first two share a position, as one of
/// them is always impossible.
const BUTTONS: [f32; 5] = [46.0, 50.0, 38.0, 62.0, 48.0];
const BUTTON_GAP: f32 = 3.0;

pub(super) fn show(ui: &mut Ui, screen: &mut Screen) {
    let table: f32 = COLUMNS.iter().map(|column| column.1 + GAP).sum();
    let buttons: f32 = BUTTONS.iter().map(|width| width + BUTTON_GAP).sum();
    let needed = if screen.view.embedded {
        table + buttons
    } else {
        table
    };
    let fits = ui.available_width() >= needed;
    let view = screen.view;
    // In a narrow panel the table scrolls sideways.
    ScrollArea::horizontal()
        .id_salt("overlay members")
        .show(ui, |ui| {
            let width = ui.available_width().max(needed);
            ui.spacing_mut().item_spacing.y = 1.0;
            headings(ui, width);
            for member in &view.members {
                row(ui, width, member, view.embedded.then_some(buttons), screen);
            }
            if view.members.is_empty() {
                ui.label(RichText::new("No cluster").color(FAINT));
            }
        });
    if view.embedded {
        hints(ui, fits, screen);
    }
}

fn headings(ui: &mut Ui, width: f32) {
    let (area, response) = ui.allocate_exact_size(vec2(width, 15.0), Sense::hover());
    let mut under_mouse = "";
    for (column, cell) in cells(area) {
        let (at, align) = anchor(cell, column.2);
        put(
            ui.painter(),
            at,
            align,
            column.0,
            words(SMALL),
            WEAK,
            cell.width(),
        );
        if response
            .hover_pos()
            .is_some_and(|mouse| cell.contains(mouse))
        {
            under_mouse = column.3;
        }
    }
    if !under_mouse.is_empty() {
        response.on_hover_text_at_pointer(under_mouse);
    }
}

fn cells(row: Rect) -> impl Iterator<Item = (&'static Column, Rect)> {
    let mut left = row.left() + 4.0;
    COLUMNS.iter().map(move |column| {
        let cell = Rect::from_min_size(pos2(left, row.top()), vec2(column.1, row.height()));
        left += column.1 + GAP;
        (column, cell)
    })
}

fn anchor(cell: Rect, number: bool) -> (bevy_egui::egui::Pos2, Align2) {
    if number {
        (cell.right_center(), Align2::RIGHT_CENTER)
    } else {
        (cell.left_center(), Align2::LEFT_CENTER)
    }
}

fn row(ui: &mut Ui, width: f32, member: &MemberView, buttons: Option<f32>, screen: &mut Screen) {
    let (area, _) = ui.allocate_exact_size(vec2(width, ROW), Sense::hover());
    let response = ui.interact(area, Id::new(("overlay row", member.id)), Sense::click());
    let chosen = screen.selected == Some(member.id);
    if response.clicked() {
        screen.selected = (!chosen).then_some(member.id);
    }
    let painter = ui.painter();
    let down = condition(member) == Condition::Down;
    if let Some(node) = member.node.as_ref().filter(|_| !down) {
        let strength = if response.hovered() { 0.22 } else { 0.13 };
        painter.rect_filled(
            area,
            3.0,
            term_colour(node.status.term).gamma_multiply(strength),
        );
    } else {
        painter.rect_filled(
            area,
            3.0,
            Color32::from_white_alpha(if response.hovered() { 10 } else { 5 }),
        );
    }
    if chosen {
        painter.rect_stroke(area, 3.0, Stroke::new(1.5, CHOSEN), StrokeKind::Inside);
    }
    let leads = leader(screen.view) == Some(member.id);
    for ((place, (column, cell)), (text, colour)) in
        cells(area)
            .enumerate()
            .zip(texts(member, leads, screen.view))
    {
        if place == 0 {
            name(painter, cell, member, leads, screen.view);
            continue;
        }
        let font = if column.2 { digits(12.0) } else { words(12.0) };
        let (at, align) = anchor(cell, column.2);
        put(painter, at, align, &text, font, colour, cell.width() + 2.0);
    }
    if let Some(taken) = buttons {
        let corner = pos2(area.right() - taken - 2.0, area.top() + 2.5);
        fault_buttons(
            ui,
            Rect::from_min_size(corner, vec2(taken, ROW - 5.0)),
            member,
            screen,
        );
    }
}

fn name(painter: &Painter, cell: Rect, member: &MemberView, leads: bool, view: &ClusterView) {
    icons::disc(
        painter,
        pos2(cell.left() + 8.0, cell.center().y),
        5.0,
        member,
        leads,
    );
    let mut left = cell.left() + 22.0;
    let mut write = |text: &str, size, colour| {
        let at = pos2(left, cell.center().y);
        left = put(
            painter,
            at,
            Align2::LEFT_CENTER,
            text,
            words(size),
            colour,
            cell.right() - left,
        )
        .right()
            + 5.0;
    };
    let colour = if condition(member) == Condition::Down {
        WEAK
    } else {
        TEXT
    };
    write(&member.name, 13.0, colour);
    if view.seat == Some(member.id) {
        write("you", SMALL, CHOSEN);
    }
    write(&member.id.to_string(), SMALL, WEAK);
    if leads {
        icons::crown(
            painter,
            pos2(cell.right() - 8.0, cell.center().y),
            10.0,
            TEXT,
        );
    }
}

/// The texts and colours of the columns; an unknown value is a dash.
fn texts(
    member: &MemberView,
    leads: bool,
    view: &ClusterView,
) -> [(String, Color32); COLUMNS.len()] {
    let dash = || ("–".to_owned(), FAINT);
    let condition = condition(member);
    let link = match condition {
        Condition::Up => WEAK,
        Condition::Down => BAD,
        Condition::Paused | Condition::Cut => WARN,
    };
    let place = |index: Index, expected: Index| {
        (
            index.0.to_string(),
            if index < expected { WARN } else { TEXT },
        )
    };
    // The last known values of a member that is down are shown faded.
    let fade = |(text, colour)| {
        (
            text,
            if condition == Condition::Down {
                FAINT
            } else {
                colour
            },
        )
    };
    let node = member.node.as_ref();
    let of_node = |show: &dyn Fn(&raftian_raft::Status) -> (String, Color32)| {
        node.map_or_else(dash, |node| fade(show(&node.status)))
    };
    let peer = peer(view, member.id);
    let standing = standing(view, member.id);
    let role = match (node, standing) {
        _ if leads && node.is_none() => ("leader".to_owned(), TEXT),
        // For a follower the standing is more informative than the role.
        (Some(node), _) if node.status.role != RoleKind::Follower => {
            fade((node.status.role.name().to_owned(), TEXT))
        }
        (_, Some(standing)) => fade((standing.to_owned(), TEXT)),
        (Some(node), None) => fade((node.status.role.name().to_owned(), TEXT)),
        (None, None) => dash(),
    };
    [
        (member.name.clone(), TEXT),
        role,
        (condition.word().to_owned(), link),
        of_node(&|status| (status.term.0.to_string(), TEXT)),
        of_node(&|status| {
            status
                .vote
                .map_or_else(dash, |vote| (view.name(vote), TEXT))
        }),
        of_node(&|status| (status.last.index.0.to_string(), TEXT)),
        of_node(&|status| place(status.commit, status.commit)),
        of_node(&|status| place(status.applied, status.commit)),
        // A member whose disk lost entries does not count until it has joined again.
        peer.map_or_else(dash, |peer| {
            (
                peer.matched.0.to_string(),
                if peer.lost.is_some() { BAD } else { TEXT },
            )
        }),
        peer.map_or_else(dash, |peer| match peer.flow {
            FlowKind::Probe | FlowKind::Replicate => (peer.next.0.to_string(), TEXT),
            FlowKind::Snapshot { received, size } => {
                (format!("{}%", received * 100 / size.max(1)), WARN)
            }
        }),
        peer.and_then(|peer| peer.round_trip)
            .map_or_else(dash, |trip| (milliseconds(trip), TEXT)),
        member.state.map_or_else(dash, |state| {
            let agrees = view.members.iter().filter_map(|other| other.state);
            let agrees = agrees
                .filter(|other| other.index == state.index)
                .all(|other| other.hash == state.hash);
            fade((short_hash(state.hash), if agrees { TEXT } else { BAD }))
        }),
        (String::new(), TEXT),
    ]
}

fn fault_buttons(ui: &mut Ui, area: Rect, member: &MemberView, screen: &mut Screen) {
    let [kill, restart, others @ ..] = offers(screen.view, member);
    let first = if restart.possible { restart } else { kill };
    let mut left = area.left();
    for (offer, width) in [first].into_iter().chain(others).zip(BUTTONS) {
        let place = Rect::from_min_size(pos2(left, area.top()), vec2(width, area.height()));
        left += width + BUTTON_GAP;
        let text = RichText::new(offer.word).font(words(SMALL));
        // A child `Ui`, because adding a widget to the row would make the row taller.
        let layout = Layout::centered_and_justified(Direction::TopDown);
        let mut child = ui.new_child(
            UiBuilder::new()
                .id_salt(offer.word)
                .max_rect(place)
                .layout(layout),
        );
        let pressed = child.add_enabled(offer.possible, Button::new(text));
        if pressed.on_hover_text(offer.meaning).clicked() {
            screen.faults.push(Fault {
                member: member.id,
                kind: offer.kind,
            });
        }
    }
}

/// Shows the keys of the selected member, and its buttons if the table must be scrolled to reach
/// them.
fn hints(ui: &mut Ui, fits: bool, screen: &mut Screen) {
    let view = screen.view;
    let selected = screen.selected.and_then(|id| view.member(id));
    ui.horizontal_wrapped(|ui| {
        let hint = match selected {
            Some(member) => format!("{}:  K kill  R restart  P pause  X cut    H mend all", member.name),
            None => "Click a row to select a member for its buttons and the keys K R P X;  H mends all cuts".to_owned(),
        };
        ui.label(RichText::new(hint).font(words(SMALL)).color(WEAK));
        if let Some(member) = selected.filter(|_| !fits) {
            let width = BUTTONS.iter().map(|width| width + BUTTON_GAP).sum();
            let (area, _) = ui.allocate_exact_size(vec2(width, ROW - 5.0), Sense::hover());
            fault_buttons(ui, area, member, screen);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::derived::tests::{cluster, node};
    use raftian_raft::{Incarnation, Membership, NodeId, RoleKind, Standing};

    fn words_of(view: &ClusterView, place: usize) -> Vec<String> {
        let member = &view.members[place];
        texts(member, leader(view) == Some(member.id), view)
            .into_iter()
            .skip(1)
            .map(|(text, _)| text)
            .collect()
    }

    #[test]
    fn unknown_values_of_a_remote_member_are_dashes() {
        let mut own = node(1, 7);
        own.status.leader = Some(NodeId(2));
        own.status.vote = Some(NodeId(2));
        let mut view = cluster(vec![own, node(2, 1)]);
        view.members[1].node = None;
        assert_eq!(words_of(&view, 0)[..5], ["follower", "up", "7", "m2", "0"]);
        assert_eq!(words_of(&view, 1)[..5], ["leader", "up", "–", "–", "–"]);
    }

    #[test]
    fn row_of_a_follower_shows_the_leaders_progress_record() {
        let mut own = node(1, 7);
        own.status.role = RoleKind::Leader;
        own.status.peers = vec![raftian_raft::PeerStatus {
            id: NodeId(2),
            matched: Index(40),
            next: Index(41),
            round_trip: Some(std::time::Duration::from_micros(1500)),
            silent_for: std::time::Duration::ZERO,
            flow: FlowKind::Replicate,
            lost: None,
        }];
        let mut view = cluster(vec![own, node(2, 7)]);
        assert_eq!(words_of(&view, 1)[7..10], ["40", "41", "1.5"]);
        assert_eq!(words_of(&view, 0)[7..10], ["–", "–", "–"]);
        let leader = view.members[0].node.as_mut().unwrap();
        leader.status.peers[0].flow = FlowKind::Snapshot {
            received: 30,
            size: 120,
        };
        assert_eq!(
            words_of(&view, 1)[7..10],
            ["40", "25%", "1.5"],
            "a snapshot is being sent"
        );
    }

    #[test]
    fn role_of_a_non_voter_is_its_standing() {
        let mut own = node(1, 7);
        own.status.leader = Some(NodeId(1));
        own.status.role = RoleKind::Leader;
        let members = [
            (1, Standing::Voter),
            (2, Standing::Learner),
            (3, Standing::Witness),
            (4, Standing::Voter),
        ];
        let members = members.map(|(id, standing)| (NodeId(id), Incarnation(0), standing));
        own.status.membership = Membership::of(members).unwrap();
        let mut view = cluster(vec![own, node(2, 7), node(3, 7), node(4, 7), node(5, 7)]);
        view.members[1].node = None;
        let roles: Vec<_> = (0..5)
            .map(|place| words_of(&view, place).remove(0))
            .collect();
        assert_eq!(
            roles,
            ["leader", "learner", "witness", "follower", "not a member"]
        );
    }
}
