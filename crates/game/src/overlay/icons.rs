//! Icons that are painted instead of written: egui's fonts have no crown, and their ticks and
//! crosses are emoji.

use std::f32::consts::{FRAC_PI_2, TAU};

use bevy_egui::egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Ui, Vec2, pos2, vec2};
use raftian_raft::RoleKind;

use super::derived::{Condition, condition};
use super::theme::{FAINT, LINE, TEXT, WELL, term_colour};
use crate::cluster_view::MemberView;

/// ✔
pub(super) fn tick(painter: &Painter, middle: Pos2, size: f32, colour: Color32) {
    let corners = [(-0.45, 0.0), (-0.12, 0.36), (0.5, -0.4)];
    let points = corners.map(|(x, y)| middle + vec2(x, y) * size).to_vec();
    painter.add(Shape::line(
        points,
        Stroke::new((size * 0.18).max(1.5), colour),
    ));
}

/// ✖
pub(super) fn cross(painter: &Painter, middle: Pos2, size: f32, colour: Color32) {
    let stroke = Stroke::new((size * 0.2).max(1.5), colour);
    for slope in [1.0, -1.0] {
        let arm = vec2(0.38, 0.38 * slope) * size;
        painter.line_segment([middle - arm, middle + arm], stroke);
    }
}

/// ‖
fn pause_bars(painter: &Painter, middle: Pos2, size: f32, colour: Color32) {
    for side in [-0.22, 0.22] {
        let bar = Rect::from_center_size(middle + vec2(side * size, 0.0), vec2(0.2, 0.8) * size);
        painter.rect_filled(bar, 0.0, colour);
    }
}

/// ♛
pub(super) fn crown(painter: &Painter, middle: Pos2, size: f32, colour: Color32) {
    // A crown is not convex, so it is three separately filled spikes on a base.
    let at = |x: f32, y: f32| middle + vec2(x, y) * size;
    for (foot, tip) in [
        ((-0.5, -0.1), (-0.55, -0.38)),
        ((-0.2, 0.2), (0.0, -0.5)),
        ((0.1, 0.5), (0.55, -0.38)),
    ] {
        let spike = vec![at(foot.0, 0.3), at(tip.0, tip.1), at(foot.1, 0.3)];
        painter.add(Shape::convex_polygon(spike, colour, Stroke::NONE));
    }
    painter.rect_filled(
        Rect::from_two_pos(at(-0.5, 0.15), at(0.5, 0.45)),
        0.0,
        colour,
    );
}

/// ▲ with its tip at `tip`.
pub(super) fn triangle(painter: &Painter, tip: Pos2, size: f32, colour: Color32) {
    let corners = vec![
        tip,
        tip + vec2(0.5, 0.9) * size,
        tip + vec2(-0.5, 0.9) * size,
    ];
    painter.add(Shape::convex_polygon(corners, colour, Stroke::NONE));
}

/// An arc clockwise from twelve o'clock over a part of the circle.
pub(super) fn arc(painter: &Painter, middle: Pos2, radius: f32, part: f32, stroke: Stroke) {
    let steps = (part * 72.0).ceil().max(1.0) as usize;
    if part > 0.001 {
        painter.add(Shape::line(
            circle_points(middle, radius, part, steps),
            stroke,
        ));
    }
}

fn circle_points(middle: Pos2, radius: f32, part: f32, steps: usize) -> Vec<Pos2> {
    let angle = |step: usize| part * TAU * step as f32 / steps as f32 - FRAC_PI_2;
    (0..=steps)
        .map(|step| middle + Vec2::angled(angle(step)) * radius)
        .collect()
}

fn broken_circle(
    painter: &Painter,
    middle: Pos2,
    radius: f32,
    dash: f32,
    gap: f32,
    stroke: Stroke,
) {
    painter.extend(Shape::dashed_line(
        &circle_points(middle, radius, 1.0, 48),
        stroke,
        dash,
        gap,
    ));
}

/// A member as a disc: filled with the colour of its term, bordered by its role, crossed out when
/// it is down.
pub(super) fn disc(painter: &Painter, middle: Pos2, radius: f32, member: &MemberView, leads: bool) {
    let condition = condition(member);
    let size = radius * 0.9;
    if condition == Condition::Down {
        painter.circle(middle, radius, LINE, Stroke::new(1.0, FAINT));
        cross(painter, middle, size.max(7.0), FAINT);
        return;
    }
    let Some(node) = &member.node else {
        painter.circle(
            middle,
            radius,
            WELL,
            Stroke::new(if leads { 2.0 } else { 1.0 }, TEXT),
        );
        return;
    };
    let colour = term_colour(node.status.term);
    let thin = (radius * 0.08).clamp(1.0, 2.0);
    let border = radius + thin + 0.5;
    painter.circle_filled(middle, radius, colour);
    match node.status.role {
        RoleKind::Follower => {
            painter.circle_stroke(middle, border, Stroke::new(thin * 0.5, TEXT));
        }
        RoleKind::Leader => {
            painter.circle_stroke(middle, border, Stroke::new(thin, TEXT));
            painter.circle_stroke(middle, border + 2.0 * thin + 0.5, Stroke::new(thin, TEXT));
        }
        RoleKind::Candidate => {
            broken_circle(
                painter,
                middle,
                border,
                radius * 0.42,
                radius * 0.24,
                Stroke::new(thin, TEXT),
            );
        }
        RoleKind::PreCandidate => {
            broken_circle(
                painter,
                middle,
                border,
                thin,
                radius * 0.2,
                Stroke::new(thin, TEXT),
            );
        }
    }
    if condition == Condition::Paused {
        painter.circle_filled(middle, radius, Color32::from_black_alpha(110));
        pause_bars(painter, middle, radius * 1.1, TEXT);
    }
}

/// An icon in a line of widgets.
pub(super) fn inline(ui: &mut Ui, size: f32, paint: impl FnOnce(&Painter, Pos2)) {
    let (area, _) = ui.allocate_exact_size(vec2(size, size), bevy_egui::egui::Sense::hover());
    paint(ui.painter(), area.center());
}

/// A line between two discs with `free` space around each centre; `None` if there is no room.
pub(super) fn between(from: Pos2, to: Pos2, free: f32) -> Option<[Pos2; 2]> {
    let way = to - from;
    let length = way.length();
    let step = way / length.max(1.0) * free;
    (length > 2.0 * free).then(|| [from + step, to - step])
}

/// Position of member `place` of `count` on a ring, clockwise from twelve o'clock.
pub(super) fn on_ring(middle: Pos2, radius: f32, place: usize, count: usize) -> Pos2 {
    let angle = TAU * place as f32 / count.max(1) as f32 - FRAC_PI_2;
    pos2(
        middle.x + radius * angle.cos(),
        middle.y + radius * angle.sin(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_starts_at_the_top_and_goes_clockwise() {
        let middle = pos2(100.0, 100.0);
        let places = [0, 1, 2, 3].map(|place| on_ring(middle, 10.0, place, 4).round());
        assert_eq!(
            places,
            [
                pos2(100.0, 90.0),
                pos2(110.0, 100.0),
                pos2(100.0, 110.0),
                pos2(90.0, 100.0)
            ]
        );
        assert!(on_ring(middle, 10.0, 0, 0).x.is_finite());
    }

    #[test]
    fn links_do_not_overlap_the_discs() {
        let ends = between(pos2(0.0, 0.0), pos2(100.0, 0.0), 30.0);
        assert_eq!(ends, Some([pos2(30.0, 0.0), pos2(70.0, 0.0)]));
        assert_eq!(between(pos2(0.0, 0.0), pos2(50.0, 0.0), 30.0), None);
        assert_eq!(between(Pos2::ZERO, Pos2::ZERO, 0.0), None);
    }

    #[test]
    fn half_an_arc_ends_at_six_oclock() {
        let points = circle_points(Pos2::ZERO, 10.0, 0.5, 8);
        assert_eq!(
            (points[0].round(), points[8].round()),
            (pos2(0.0, -10.0), pos2(0.0, 10.0))
        );
    }
}
