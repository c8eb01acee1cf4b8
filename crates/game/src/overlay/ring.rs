//! The ring: leader and followers, running timers, cut links.

use bevy_egui::egui::{Align2, Color32, FontId, Painter, Pos2, Sense, Shape, Stroke, Ui, vec2};
use raftian_raft::RoleKind;

use super::derived::{Condition, condition, leader};
use super::theme::{
    BAD, CHOSEN, FAINT, LINE, TEXT, WARN, WEAK, WELL, digits, fitted, heading, words,
};
use super::{Screen, icons};
use crate::cluster_view::MemberView;

/// Height of the ring's area.
pub(super) const HEIGHT: f32 = 230.0;
/// Space around a disc for its border and its timer.
const AROUND: f32 = 12.0;
/// Height of the name below a disc.
const NAME: f32 = 15.0;

/// Positions of the discs.
struct Places {
    middles: Vec<Pos2>,
    radius: f32,
}

pub(super) fn show(ui: &mut Ui, screen: &mut Screen) {
    heading(ui, "RING");
    let size = vec2(ui.available_width(), HEIGHT);
    let (response, painter) = ui.allocate_painter(size, Sense::click());
    painter.rect_filled(response.rect, 4.0, WELL);
    let members = &screen.view.members;
    let middle = response.rect.center() - vec2(0.0, NAME / 2.0);
    let places = places(middle, size.x.min(size.y + 20.0), size.y, members.len());
    links(&painter, &places, screen);
    for (member, &at) in members.iter().zip(&places.middles) {
        node(&painter, at, places.radius, member, screen);
    }
    if let Some(pressed) = response
        .interact_pointer_pos()
        .filter(|_| response.clicked())
    {
        let hit = places
            .middles
            .iter()
            .position(|at| at.distance(pressed) <= places.radius + AROUND);
        screen.selected = hit
            .map(|place| members[place].id)
            .filter(|&id| screen.selected != Some(id));
    }
    response.on_hover_text(
        "Disc: term. Outer arc: election timer running out, for the leader its next heartbeat.\n\
         Border: double leader, dashed candidate, dotted pre-candidate, thin follower.",
    );
}

/// Places discs as large as the ring has room for.
fn places(middle: Pos2, width: f32, height: f32, count: usize) -> Places {
    let crowd = count.max(1) as f32;
    let radius = (110.0 / crowd).clamp(6.0, 22.0);
    let ring = (width.min(height) - NAME) / 2.0 - radius - AROUND;
    let ring = if count == 1 { 0.0 } else { ring.max(radius) };
    Places {
        middles: (0..count)
            .map(|place| icons::on_ring(middle, ring, place, count))
            .collect(),
        radius,
    }
}

fn links(painter: &Painter, places: &Places, screen: &Screen) {
    let members = &screen.view.members;
    let Some(from) =
        leader(screen.view).and_then(|id| members.iter().position(|member| member.id == id))
    else {
        return;
    };
    for (to, member) in members.iter().enumerate().filter(|&(to, _)| to != from) {
        let free = places.radius + AROUND;
        let Some(ends) = icons::between(places.middles[from], places.middles[to], free) else {
            continue;
        };
        let ends_of = [&members[from], member];
        if ends_of.iter().any(|end| condition(end) == Condition::Down) {
            painter.extend(Shape::dotted_line(&ends, LINE, 6.0, 1.0));
        } else if ends_of
            .iter()
            .any(|end| end.node.as_ref().is_some_and(|node| node.cut))
        {
            cut_link(painter, ends);
        } else {
            painter.line_segment(ends, Stroke::new(1.5, WEAK));
        }
    }
}

/// Paints dashes with a gap in the middle, crossed out.
fn cut_link(painter: &Painter, [from, to]: [Pos2; 2]) {
    let stroke = Stroke::new(1.5, BAD.gamma_multiply(0.7));
    for part in [[from, from.lerp(to, 0.4)], [from.lerp(to, 0.6), to]] {
        painter.extend(Shape::dashed_line(&part, stroke, 5.0, 4.0));
    }
    icons::cross(painter, from.lerp(to, 0.5), 9.0, BAD);
}

fn node(painter: &Painter, at: Pos2, radius: f32, member: &MemberView, screen: &Screen) {
    let leads = leader(screen.view) == Some(member.id);
    icons::disc(painter, at, radius, member, leads);
    let condition = condition(member);
    if let Some(node) = member
        .node
        .as_ref()
        .filter(|_| condition == Condition::Up || condition == Condition::Cut)
    {
        let term = node.status.term.0.to_string();
        let size = if term.len() > 3 {
            radius * 0.55
        } else {
            radius * 0.8
        };
        painter.text(
            at,
            Align2::CENTER_CENTER,
            term,
            bold(size),
            Color32::from_rgb(20, 22, 28),
        );
    }
    if let Some(left) = screen.history.timers.left(member, screen.now) {
        let around = radius + AROUND - 4.0;
        let colour = match member.node.as_ref().map(|node| node.status.role) {
            Some(RoleKind::Leader) => CHOSEN,
            _ if left < 0.25 => WARN,
            _ => WEAK,
        };
        painter.circle_stroke(at, around, Stroke::new(1.0, LINE));
        icons::arc(painter, at, around, left, Stroke::new(3.0, colour));
    }
    if leads {
        icons::crown(painter, at - vec2(0.0, radius + AROUND + 6.0), 13.0, TEXT);
    }
    let chosen = screen.selected == Some(member.id);
    let colour = match condition {
        _ if chosen => CHOSEN,
        Condition::Down => FAINT,
        _ => TEXT,
    };
    let below = at + vec2(0.0, radius + AROUND - 1.0);
    // The name gets its own background, because a link may pass behind it.
    let name = fitted(painter, &member.name, words(12.0), colour, 90.0);
    let area = Align2::CENTER_TOP.anchor_size(below, name.size());
    painter.rect_filled(area, 2.0, WELL.gamma_multiply(0.85));
    painter.galley(area.min, name, colour);
}

fn bold(size: f32) -> FontId {
    digits(size.max(7.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_egui::egui::pos2;

    #[test]
    fn discs_neither_overlap_nor_leave_the_ring_area() {
        for count in 1..=9 {
            let Places { middles, radius } =
                places(pos2(150.0, HEIGHT / 2.0), 262.0, HEIGHT, count);
            for (place, at) in middles.iter().enumerate() {
                assert!(
                    (radius + AROUND - 1.0..=HEIGHT - radius - AROUND).contains(&at.y),
                    "{count}: {at:?}"
                );
                let near = middles[..place]
                    .iter()
                    .map(|other| other.distance(*at))
                    .fold(f32::MAX, f32::min);
                assert!(
                    near > 2.0 * (radius + AROUND / 2.0),
                    "{count}: {near} for {radius}"
                );
            }
        }
        assert!(places(Pos2::ZERO, 0.0, 0.0, 0).middles.is_empty());
    }
}
