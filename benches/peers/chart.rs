//! Bar chart of the results: one panel per cluster size and command size, one group per load.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use raftian_lab::report::chart::COLOURS;

use super::machine::Machine;
use super::report::Row;
use super::workload::{Cell, Load};

/// Size of the chart in pixels.
const SIZE: (u32, u32) = (1600, 1120);
/// Pixels above the panels, for title and names.
const HEAD: u32 = 112;
/// Fraction of a group's width that its bars fill.
const FILLED: f64 = 0.84;
const INK: RGBColor = RGBColor(40, 40, 40);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Outcome = Result<(), Box<dyn Error>>;

/// Writes the chart to `path`.
pub(crate) fn draw(path: &Path, rows: &[Row], machine: &Machine) -> Outcome {
    let mut names = Vec::new();
    let mut panels = Vec::new();
    for row in rows {
        if !names.contains(&row.system.name) {
            names.push(row.system.name);
        }
        let panel = (row.cell.nodes, row.cell.bytes);
        if !panels.contains(&panel) {
            panels.push(panel);
        }
    }
    // One scale of whole decades for all panels makes their bars comparable. The factor 1.2 leaves
    // room to see the shortest bar, and for a number above the tallest.
    let decade = |commits: f64, up: f64| 10f64.powf((commits.log10() + up).floor());
    let lowest = rows
        .iter()
        .map(|row| decade(row.commits() / 1.2, 0.0))
        .fold(f64::INFINITY, f64::min);
    let highest = rows
        .iter()
        .map(|row| decade(row.commits() * 1.2, 1.0))
        .fold(0.0, f64::max);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD);
    title(&head, &names, machine)?;
    let columns = panels.len().min(2);
    let places = body.split_evenly((panels.len().div_ceil(columns.max(1)), columns.max(1)));
    for ((nodes, bytes), place) in panels.into_iter().zip(&places) {
        let here = |row: &&Row| (row.cell.nodes, row.cell.bytes) == (nodes, bytes);
        let rows: Vec<&Row> = rows.iter().filter(here).collect();
        panel(
            &root,
            place,
            &format!("{nodes} nodes, commands of {bytes} bytes"),
            &names,
            &rows,
            lowest..highest,
        )?;
    }
    root.present()
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

fn title(head: &Area<'_>, names: &[&str], machine: &Machine) -> Outcome {
    head.draw(&Text::new(
        "Commits per second in memory (log scale)",
        (20, 16),
        font(30),
    ))?;
    head.draw(&Text::new(
        format!("{}; {}", machine.line(), machine.verdict()),
        (20, 54),
        font(18),
    ))?;
    for (place, name) in names.iter().enumerate() {
        let left = 20 + 180 * place as i32;
        head.draw(&Rectangle::new(
            [(left, 84), (left + 16, 100)],
            COLOURS[place % COLOURS.len()].filled(),
        ))?;
        head.draw(&Text::new((*name).to_owned(), (left + 24, 84), font(19)))?;
    }
    Ok(())
}

fn panel(
    root: &Area<'_>,
    place: &Area<'_>,
    caption: &str,
    names: &[&str],
    rows: &[&Row],
    scale: Range<f64>,
) -> Outcome {
    let mut loads: Vec<usize> = rows.iter().map(|row| row.cell.load).collect();
    loads.dedup();
    let mut chart = ChartBuilder::on(place)
        .caption(caption, font(22))
        .margin(14)
        .x_label_area_size(56)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..loads.len() as f64, scale.clone().log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_label_formatter(&|commits| short(*commits))
        .y_label_style(font(17))
        .light_line_style(RGBColor(235, 235, 235))
        .bold_line_style(RGBColor(205, 205, 205))
        .axis_style(INK)
        .draw()?;
    let width = FILLED / names.len() as f64;
    for row in rows {
        let Cell { load, .. } = row.cell;
        let group = loads
            .iter()
            .position(|other| *other == load)
            .unwrap_or_default() as f64;
        let system = names
            .iter()
            .position(|name| *name == row.system.name)
            .unwrap_or_default();
        let left = group + (1.0 - FILLED) / 2.0 + width * system as f64;
        let bar = [
            (left + width * 0.04, scale.start),
            (left + width * 0.96, row.commits()),
        ];
        chart.draw_series([Rectangle::new(
            bar,
            COLOURS[system % COLOURS.len()].filled(),
        )])?;
        let (x, y) = chart.backend_coord(&(left + width / 2.0, row.commits()));
        root.draw(&Text::new(
            short(row.commits()),
            (x, y - 3),
            centred(14, VPos::Bottom),
        ))?;
    }
    for (group, load) in loads.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(group as f64 + 0.5, scale.start));
        root.draw(&Text::new(
            load.to_string(),
            (x, y + 8),
            centred(18, VPos::Top),
        ))?;
    }
    let (x, y) = chart.backend_coord(&(loads.len() as f64 / 2.0, scale.start));
    let loaded = |load: Load| {
        rows.iter()
            .any(|row| row.system.load == load)
            .then(|| load.name())
    };
    let what: Vec<_> = [Load::Batch, Load::Clients]
        .into_iter()
        .filter_map(loaded)
        .collect();
    root.draw(&Text::new(
        what.join(" or "),
        (x, y + 32),
        centred(17, VPos::Top),
    ))?;
    Ok(())
}

/// Formats three digits and a unit, such as 1.23M.
fn short(commits: f64) -> String {
    let (value, unit) = match commits {
        ..1e3 => (commits, ""),
        ..1e6 => (commits / 1e3, "k"),
        _ => (commits / 1e6, "M"),
    };
    let digits = match value {
        _ if value.fract() == 0.0 => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{unit}")
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn centred(size: u32, vertical: VPos) -> TextStyle<'static> {
    font(size).pos(Pos::new(HPos::Center, vertical))
}
