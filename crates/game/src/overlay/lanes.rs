//! The log lanes: the ends of all logs one below the other, one column per index.

use bevy_egui::egui::{
    Align2, Color32, Painter, Pos2, Rect, RichText, Sense, Shape, Stroke, StrokeKind, Ui, pos2,
    vec2,
};
use raftian_raft::{Entry, Index, Payload};

use super::derived::{Condition, condition};
use super::log_grid::{Fate, Grid, Lane};
use super::theme::{
    CHOSEN, FAINT, LINE, SMALL, TEXT, WARN, WEAK, WELL, digits, heading, put, term_colour, words,
};
use super::{Screen, icons, ring};
use crate::cluster_view::{ClusterView, MemberView};
use crate::status_document::standing_word;

/// Width of the names left of the lanes.
const NAMES: f32 = 84.0;
/// Minimum and maximum cell width.
const CELL: [f32; 2] = [22.0, 40.0];
/// Height of a cell, and of the markers below it.
const TALL: f32 = 17.0;
const MARKERS: f32 = 11.0;
/// Height of the row of indexes.
const TOP: f32 = 18.0;

/// Positions of the cells.
struct Sheet {
    corner: Pos2,
    cell: f32,
    lane: f32,
}

impl Sheet {
    fn cell(&self, lane: usize, column: usize) -> Rect {
        let left = self.corner.x + column as f32 * self.cell;
        let top = self.corner.y + lane as f32 * self.lane;
        Rect::from_min_size(pos2(left + 1.0, top), vec2(self.cell - 2.0, TALL))
    }

    fn under(&self, mouse: Pos2, lanes: usize, columns: usize) -> Option<(usize, usize)> {
        let x = (mouse.x - self.corner.x) / self.cell;
        let y = (mouse.y - self.corner.y) / self.lane;
        let inside = x >= 0.0 && y >= 0.0 && (x as usize) < columns && (y as usize) < lanes;
        inside.then_some((y as usize, x as usize))
    }
}

pub(super) fn show(ui: &mut Ui, screen: &mut Screen) {
    heading(ui, "LOGS");
    let width = ui.available_width();
    let fit = ((width - NAMES - 8.0) / CELL[0]).max(2.0) as usize;
    let grid = Grid::new(screen.view, fit);
    let cell = ((width - NAMES - 8.0) / grid.columns as f32).clamp(4.0, CELL[1]);
    let members = &screen.view.members;
    // At least as tall as the ring next to it, so that both end together.
    let height = (TOP + members.len() as f32 * (TALL + MARKERS + 6.0) + 24.0).max(ring::HEIGHT);
    let (response, painter) = ui.allocate_painter(vec2(width, height), Sense::hover());
    let area = response.rect;
    painter.rect_filled(area, 4.0, WELL);
    let lane = (height - TOP - 30.0) / members.len().max(1) as f32;
    let sheet = Sheet {
        corner: area.min + vec2(NAMES, TOP + 4.0),
        cell,
        lane: lane.clamp(TALL + MARKERS, TALL + MARKERS + 12.0),
    };
    indexes(&painter, &sheet, &grid, area);
    for (place, (lane, member)) in grid.lanes.iter().zip(members).enumerate() {
        paint_lane(&painter, &sheet, &grid, place, lane, member, screen);
    }
    legend(
        &painter,
        pos2(area.left() + 8.0, area.bottom() - 11.0),
        area.right(),
    );
    let under = response
        .hover_pos()
        .and_then(|mouse| sheet.under(mouse, members.len(), grid.columns));
    if let Some((lane, column)) = under
        && let Some((entry, fate)) = grid.lanes[lane].entry(grid.index(column))
    {
        painter.rect_stroke(
            sheet.cell(lane, column),
            2.0,
            Stroke::new(1.5, TEXT),
            StrokeKind::Outside,
        );
        response.on_hover_ui_at_pointer(|ui| describe(ui, entry, fate, screen));
    }
}

/// The index over every column, or every nth where numbers are wider than cells.
fn indexes(painter: &Painter, sheet: &Sheet, grid: &Grid, area: Rect) {
    let widest = grid.index(grid.columns).0.to_string().len() as f32 * 6.2 + 6.0;
    let step = (widest / sheet.cell).ceil().max(1.0) as u64;
    for column in 0..grid.columns {
        let index = grid.index(column);
        let middle = sheet.cell(0, column).center().x;
        if index.0.is_multiple_of(step) {
            let at = pos2(middle, area.top() + TOP / 2.0 + 1.0);
            painter.text(
                at,
                Align2::CENTER_CENTER,
                index.0.to_string(),
                digits(10.0),
                WEAK,
            );
        }
    }
}

fn paint_lane(
    painter: &Painter,
    sheet: &Sheet,
    grid: &Grid,
    place: usize,
    lane: &Lane,
    member: &MemberView,
    screen: &Screen,
) {
    let first = sheet.cell(place, 0);
    let down = condition(member) == Condition::Down;
    let colour = match down {
        _ if screen.selected == Some(lane.id) => CHOSEN,
        true => FAINT,
        false => TEXT,
    };
    let at = pos2(first.left() - NAMES + 8.0, first.center().y);
    put(
        painter,
        at,
        Align2::LEFT_CENTER,
        &member.name,
        words(12.0),
        colour,
        NAMES - 14.0,
    );
    let last = sheet.cell(place, grid.columns.saturating_sub(1));
    let ground = Rect::from_min_max(first.min - vec2(1.0, 1.0), last.max + vec2(1.0, 1.0));
    painter.rect_filled(ground, 2.0, Color32::from_white_alpha(6));
    if let Some(snapshot) = lane
        .node
        .map(|node| node.status.log_after)
        .filter(|after| *after >= grid.first)
    {
        covered(
            painter,
            &sheet
                .cell(place, 0)
                .union(sheet.cell(place, grid.last_column(snapshot))),
            snapshot,
        );
    }
    for column in 0..grid.columns {
        if let Some((entry, fate)) = lane.entry(grid.index(column)) {
            let strength = if down { 0.35 } else { 1.0 };
            paint_entry(painter, sheet.cell(place, column), entry, fate, strength);
        }
    }
    if let Some(node) = lane.node
        && let Some(column) = grid.column(node.status.applied)
    {
        applied_mark(painter, sheet.cell(place, column));
    }
    match lane.node {
        Some(node) if node.status.last.index < grid.first => {
            let text = format!("ends at {}", node.status.last.index);
            put(
                painter,
                first.left_center() + vec2(6.0, 0.0),
                Align2::LEFT_CENTER,
                &text,
                words(SMALL),
                WARN,
                200.0,
            );
        }
        None if lane.progress.is_none() => {
            let at = first.left_center() + vec2(6.0, 0.0);
            put(
                painter,
                at,
                Align2::LEFT_CENTER,
                "not visible from here",
                words(SMALL),
                FAINT,
                200.0,
            );
        }
        _ => {}
    }
    if let Some((matched, next)) = lane.progress {
        progress(painter, sheet, grid, place, matched, next);
    }
}

fn paint_entry(painter: &Painter, cell: Rect, entry: &Entry, fate: Fate, strength: f32) {
    let colour = term_colour(entry.term).gamma_multiply(strength);
    let text = match fate {
        Fate::Applied | Fate::Committed => {
            let fill = if fate == Fate::Applied {
                colour
            } else {
                colour.gamma_multiply(0.7)
            };
            painter.rect_filled(cell, 2.0, fill);
            Color32::from_rgb(20, 22, 28)
        }
        Fate::Appended => {
            painter.rect_filled(cell, 2.0, colour.gamma_multiply(0.12));
            let inner = cell.shrink(0.75);
            let corners = [
                inner.left_top(),
                inner.right_top(),
                inner.right_bottom(),
                inner.left_bottom(),
                inner.left_top(),
            ];
            painter.extend(Shape::dashed_line(
                &corners,
                Stroke::new(1.5, colour),
                4.0,
                3.0,
            ));
            colour
        }
    };
    let label = match &entry.payload {
        Payload::Empty => "–".to_owned(),
        Payload::Membership(_) => "M".to_owned(),
        Payload::Command { .. } | Payload::Withheld => entry.term.0.to_string(),
    };
    if label.len() as f32 * 6.0 <= cell.width() {
        painter.text(
            cell.center(),
            Align2::CENTER_CENTER,
            label,
            digits(10.0),
            text,
        );
    }
}

/// Paints the part of a lane that a snapshot covers and the log no longer contains.
fn covered(painter: &Painter, area: &Rect, up_to: Index) {
    painter.rect_filled(*area, 2.0, Color32::from_white_alpha(14));
    let text = format!("snapshot up to {up_to}");
    let at = area.left_center() + vec2(6.0, 0.0);
    put(
        painter,
        at,
        Align2::LEFT_CENTER,
        &text,
        words(SMALL),
        WEAK,
        area.width() - 8.0,
    );
}

/// A bracket at the right end of the last applied entry.
fn applied_mark(painter: &Painter, cell: Rect) {
    let x = cell.right() + 1.0;
    let stroke = Stroke::new(2.0, TEXT);
    painter.vline(x, cell.top() - 3.0..=cell.bottom() + 3.0, stroke);
    for y in [cell.top() - 3.0, cell.bottom() + 3.0] {
        painter.hline(x - 4.0..=x + 1.0, y, stroke);
    }
}

/// Paints matchIndex ● and nextIndex ▲ below a lane; matchIndex as a number if it lies to the left.
fn progress(
    painter: &Painter,
    sheet: &Sheet,
    grid: &Grid,
    lane: usize,
    matched: Index,
    next: Index,
) {
    let below = |column| sheet.cell(lane, column).center_bottom() + vec2(0.0, 7.0);
    if let Some(column) = grid.column(matched) {
        painter.circle_filled(below(column), 3.0, WEAK);
    } else if matched < grid.first {
        let at = sheet.cell(lane, 0).left_bottom() + vec2(2.0, 7.0);
        painter.circle_filled(at + vec2(2.0, 0.0), 3.0, WEAK);
        let text = format!("{matched}");
        put(
            painter,
            at + vec2(8.0, 0.0),
            Align2::LEFT_CENTER,
            &text,
            digits(9.0),
            WEAK,
            80.0,
        );
    }
    if let Some(column) = grid.column(next) {
        icons::triangle(painter, below(column) - vec2(0.0, 4.0), 8.0, CHOSEN);
    }
}

fn legend(painter: &Painter, at: Pos2, right: f32) {
    let mut x = at.x;
    let mut item = |text: &str, paint: &dyn Fn(Rect)| {
        if x < right - 90.0 {
            paint(Rect::from_center_size(
                pos2(x + 8.0, at.y),
                vec2(14.0, 10.0),
            ));
            let after = pos2(x + 20.0, at.y);
            x = put(
                painter,
                after,
                Align2::LEFT_CENTER,
                text,
                words(SMALL),
                WEAK,
                right - x - 26.0,
            )
            .right()
                + 14.0;
        }
    };
    item("committed", &|area| {
        painter.rect_filled(area, 2.0, WEAK);
    });
    item("appended", &|area| {
        painter.extend(Shape::dashed_line(
            &[
                area.left_top(),
                area.right_top(),
                area.right_bottom(),
                area.left_bottom(),
                area.left_top(),
            ],
            Stroke::new(1.2, WEAK),
            3.0,
            2.0,
        ));
    });
    item("applied up to", &|area| {
        applied_mark(painter, area.translate(vec2(-3.0, 0.0)))
    });
    item("match", &|area| {
        painter.circle_filled(area.center(), 3.0, WEAK);
    });
    item("next", &|area| {
        icons::triangle(painter, area.center() - vec2(0.0, 4.0), 8.0, CHOSEN)
    });
    item(
        "term;  – a new leader's empty entry;  M members",
        &|area| {
            painter.rect_stroke(area, 2.0, Stroke::new(1.0, LINE), StrokeKind::Inside);
            painter.text(
                area.center(),
                Align2::CENTER_CENTER,
                "7",
                digits(10.0),
                WEAK,
            );
        },
    );
}

fn describe(ui: &mut Ui, entry: &Entry, fate: Fate, screen: &Screen) {
    let fate = match fate {
        Fate::Appended => "appended",
        Fate::Committed => "committed",
        Fate::Applied => "applied",
    };
    ui.label(
        RichText::new(format!("{}  term {}  {fate}", entry.index, entry.term.0))
            .font(digits(12.0))
            .color(term_colour(entry.term)),
    );
    let weak = |ui: &mut Ui, text: String| {
        ui.label(RichText::new(text).font(words(SMALL)).color(WEAK));
    };
    match &entry.payload {
        Payload::Empty => {
            ui.label("Empty entry with which a new leader commits the earlier ones");
            weak(ui, format!("stamp {} ms", entry.stamp.0));
        }
        Payload::Command { command, .. } => {
            let text = match screen.commands {
                Some(registry) => registry.describe(&command.bytes),
                None => format!("{} bytes", command.bytes.len()),
            };
            ui.label(text);
            let client = command.client.0;
            weak(
                ui,
                format!(
                    "client {client:016x}, its command {}    stamp {} ms",
                    command.sequence, entry.stamp.0
                ),
            );
        }
        Payload::Membership(membership) => {
            ui.label("The members from here on");
            for (id, member) in membership.members() {
                weak(
                    ui,
                    format!(
                        "{}: {}",
                        screen.view.name(id),
                        standing_word(member.standing)
                    ),
                );
            }
        }
        Payload::Withheld => {
            ui.label("A command, withheld because a witness stores no payloads");
        }
    }
    weak(ui, holders(screen.view, entry));
}

/// Lists the members that have the entry, by name.
fn holders(view: &ClusterView, entry: &Entry) -> String {
    let grid = Grid::new(view, 2);
    // Equal index and term mean the same entry (section 5.3, log matching).
    let has = |lane: &&Lane| {
        lane.entry(entry.index)
            .is_some_and(|(other, _)| other.term == entry.term)
    };
    let names: Vec<_> = grid
        .lanes
        .iter()
        .filter(has)
        .map(|lane| view.name(lane.id))
        .collect();
    format!(
        "on {} of {}: {}",
        names.len(),
        view.members.len(),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_under_the_mouse_is_found() {
        let sheet = Sheet {
            corner: pos2(100.0, 50.0),
            cell: 30.0,
            lane: 28.0,
        };
        for (mouse, found) in [
            ((101.0, 51.0), Some((0, 0))),
            ((100.0 + 65.0, 50.0 + 29.0), Some((1, 2))),
            ((99.0, 60.0), None),
            ((120.0, 49.0), None),
            ((100.0 + 30.0 * 10.0, 60.0), None),
            ((120.0, 50.0 + 28.0 * 5.0), None),
        ] {
            assert_eq!(sheet.under(mouse.into(), 5, 10), found, "{mouse:?}");
        }
        assert!(sheet.cell(1, 2).contains(pos2(165.0, 79.0)));
    }
}
