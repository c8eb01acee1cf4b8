//! Charts over two axes, as SVG.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Size of a chart in pixels.
pub const SIZE: (u32, u32) = (1200, 760);

/// Palette that remains distinguishable with colour blindness, on light and dark backgrounds.
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(128, 128, 128),
    RGBColor(86, 180, 233),
];

/// Colour of text and axes; a dark page replaces it with its own.
const INK: RGBColor = RGBColor(40, 40, 40);
/// Colour of grid lines, visible on light and dark.
const MESH: RGBColor = RGBColor(160, 160, 160);
/// Heights of the title and of each legend line, in pixels.
const TITLE: u32 = 56;
const NAME: u32 = 28;

/// Space reserved for a label to the right and below, in pixels.
const LABEL: (i32, i32) = (64, 18);
/// Number of labelled points above which they are drawn smaller.
const CROWDED: usize = 40;

/// One chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Curves, each with its name on a line of its own; later ones are drawn above earlier ones.
    pub series: Vec<Series>,
}

/// One axis. It spans all values, with a margin on both sides, but does not extend below zero
/// unnecessarily.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Name and unit.
    pub name: String,
    /// Whether it counts: only integers are labelled.
    pub counts: bool,
    /// Whether it begins at zero, regardless of the values.
    pub from_zero: bool,
}

/// One curve or point cloud.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Colour.
    pub colour: RGBColor,
    /// Drawing style.
    pub shape: Shape,
    /// Points.
    pub points: Vec<(f64, f64)>,
}

/// Drawing style of a series.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Line with a dot at each point.
    Dots,
    /// Line without dots.
    Line,
    /// Dashes between consecutive pairs of points: published values, or a bound.
    Dashes,
    /// Dots without a line, each with its label, unless an earlier one is in the way.
    Labelled(Vec<String>),
    /// Small dots without a line.
    Cloud,
    /// Bars from zero to each point, of this width, with labels above them, or none. In a stack the
    /// largest sum comes first, so that the lower parts are drawn over it.
    Bars(f64, Vec<String>),
}

/// Reason why a chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the chart `{title}`: {source}")]
#[non_exhaustive]
pub struct ChartError {
    /// Title of the chart.
    pub title: String,
    /// Error of the drawing library, or the value that cannot be drawn.
    pub source: Box<dyn Error + Send + Sync>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    /// Renders the chart as an SVG document on white.
    ///
    /// # Errors
    /// If it has no point, or a coordinate is NaN.
    pub fn svg(&self) -> Result<String, ChartError> {
        let mut text = String::new();
        self.draw(&mut text).map_err(|source| ChartError {
            title: self.title.clone(),
            source,
        })?;
        Ok(text)
    }

    fn draw(&self, text: &mut String) -> Result<(), Box<dyn Error + Send + Sync>> {
        let x = self.range(&self.x, |point| point.0)?;
        let y = self.range(&self.y, |point| point.1)?;
        let x_labels = self.x.labels(&x, 12);
        let y_labels = self.y.labels(&y, 10);
        let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, body) = root.split_vertically(TITLE + NAME * self.series.len() as u32);
        self.head(&head)?;
        let mut chart = ChartBuilder::on(&body)
            .margin(16)
            .margin_right(36)
            .x_label_area_size(62)
            .y_label_area_size(92)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(self.x.name.as_str())
            .y_desc(self.y.name.as_str())
            .x_labels(x_labels)
            .y_labels(y_labels)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .label_style(font(18))
            .axis_desc_style(font(20))
            .max_light_lines(0)
            .bold_line_style(MESH.mix(0.4))
            .axis_style(INK)
            .draw()?;
        for Series {
            colour,
            shape,
            points,
            ..
        } in &self.series
        {
            let stroke = colour.stroke_width(3);
            let dots = |radius| {
                points
                    .iter()
                    .map(move |point| Circle::new(*point, radius, colour.filled()))
            };
            match shape {
                Shape::Dots => {
                    chart.draw_series(LineSeries::new(points.iter().copied(), stroke))?;
                    chart.draw_series(dots(5))?;
                }
                // A line of one point would be invisible.
                Shape::Line if points.len() == 1 => {
                    chart.draw_series(dots(5))?;
                }
                Shape::Line => {
                    chart.draw_series(LineSeries::new(points.iter().copied(), stroke))?;
                }
                Shape::Cloud => {
                    chart.draw_series(dots(3))?;
                }
                Shape::Bars(width, labels) => {
                    let half = width / 2.0;
                    let bars = points.iter().map(|(x, y)| {
                        Rectangle::new([(x - half, 0.0), (x + half, *y)], colour.filled())
                    });
                    chart.draw_series(bars)?;
                    for (point, label) in points.iter().zip(labels) {
                        let (x, y) = chart.backend_coord(point);
                        let style = font(17).pos(Pos::new(HPos::Center, VPos::Bottom));
                        root.draw(&Text::new(label.as_str(), (x, y - 4), style))?;
                    }
                }
                Shape::Dashes => {
                    for pair in points.chunks(2) {
                        chart.draw_series(DashedLineSeries::new(
                            pair.iter().copied(),
                            10,
                            7,
                            stroke,
                        ))?;
                    }
                }
                Shape::Labelled(labels) => {
                    chart.draw_series(dots(if points.len() > CROWDED { 3 } else { 6 }))?;
                    let mut taken: Vec<(i32, i32)> = Vec::new();
                    for (point, label) in points.iter().zip(labels) {
                        let (x, y) = chart.backend_coord(point);
                        let free = |(left, top): &(i32, i32)| {
                            (x - left).abs() > LABEL.0 || (y - top).abs() > LABEL.1
                        };
                        if taken.iter().all(free) {
                            taken.push((x, y));
                            root.draw(&Text::new(label.as_str(), (x + 10, y - 4), left(17)))?;
                        }
                    }
                }
            }
        }
        drop(chart);
        root.present()?;
        Ok(())
    }

    fn head(&self, head: &Area<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        head.draw(&Text::new(self.title.as_str(), (20, 16), font(30)))?;
        for (
            line,
            Series {
                name,
                colour,
                shape,
                ..
            },
        ) in self.series.iter().enumerate()
        {
            let y = (TITLE + NAME * line as u32 + NAME / 2) as i32;
            match shape {
                Shape::Line | Shape::Dots => {
                    head.draw(&PathElement::new(
                        [(20, y), (60, y)],
                        colour.stroke_width(3),
                    ))?;
                }
                Shape::Dashes => {
                    for x in [20, 36, 52] {
                        head.draw(&PathElement::new(
                            [(x, y), (x + 9, y)],
                            colour.stroke_width(3),
                        ))?;
                    }
                }
                Shape::Bars(..) => {
                    head.draw(&Rectangle::new([(30, y - 8), (50, y + 8)], colour.filled()))?;
                }
                Shape::Cloud | Shape::Labelled(_) => {}
            }
            if !matches!(shape, Shape::Line | Shape::Dashes | Shape::Bars(..)) {
                head.draw(&Circle::new((40, y), 5, colour.filled()))?;
            }
            head.draw(&Text::new(name.as_str(), (72, y), left(19)))?;
        }
        Ok(())
    }

    fn range(&self, axis: &Axis, of: fn(&(f64, f64)) -> f64) -> Result<Range<f64>, &'static str> {
        let values = || self.series.iter().flat_map(|series| &series.points).map(of);
        let lowest = values().fold(f64::INFINITY, f64::min);
        let highest = values().fold(f64::NEG_INFINITY, f64::max);
        if !(lowest.is_finite() && highest.is_finite()) {
            return Err("it has no point");
        }
        let lowest = if axis.from_zero {
            lowest.min(0.0)
        } else {
            lowest
        };
        let room = if highest > lowest {
            (highest - lowest) * 0.06
        } else {
            highest.abs().max(1.0) * 0.1
        };
        let from = if lowest >= 0.0 {
            (lowest - room).max(0.0)
        } else {
            lowest - room
        };
        Ok(from..highest + room)
    }
}

impl Axis {
    /// Axis of measurements.
    pub fn measures(name: &str) -> Self {
        Axis {
            name: name.to_owned(),
            counts: false,
            from_zero: false,
        }
    }

    /// Axis of integers.
    pub fn counts(name: &str) -> Self {
        Axis {
            name: name.to_owned(),
            counts: true,
            from_zero: false,
        }
    }

    /// The same axis, starting at zero.
    #[must_use]
    pub fn from_zero(self) -> Self {
        Axis {
            from_zero: true,
            ..self
        }
    }

    /// Number of labels, at most `most`.
    fn labels(&self, range: &Range<f64>, most: usize) -> usize {
        if self.counts {
            most.min((range.end.floor() - range.start.ceil()).max(0.0) as usize + 1)
        } else {
            most
        }
    }
}

/// Adapts a chart to a page of any colour: no background, and text and axes in the page's own
/// colour.
pub fn on_any_ground(svg: &str) -> String {
    let hex = |colour: RGBColor| format!("\"#{:02X}{:02X}{:02X}\"", colour.0, colour.1, colour.2);
    svg.replacen(&format!("fill={}", hex(WHITE)), "fill=\"none\"", 1)
        .replace(&hex(INK), "\"currentColor\"")
}

/// Formats a value to a hundredth, without trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn left(size: u32) -> TextStyle<'static> {
    font(size).pos(Pos::new(HPos::Left, VPos::Center))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let series = |shape| Series {
            name: "curve".into(),
            colour: COLOURS[0],
            shape,
            points: points.clone(),
        };
        let labels = points
            .iter()
            .map(|point| format!("n={}", point.0))
            .collect();
        let bars = Shape::Bars(0.8, vec!["bar".into()]);
        let shapes = [
            bars,
            Shape::Dots,
            Shape::Line,
            Shape::Dashes,
            Shape::Labelled(labels),
            Shape::Cloud,
        ];
        let series = shapes.map(series).into();
        Chart {
            title: "Time".into(),
            x: Axis::counts("nodes"),
            y: Axis::measures("time (ms)").from_zero(),
            series,
        }
    }

    #[test]
    fn chart_names_its_axes() {
        let svg = chart(vec![(3.0, 187.5), (13.0, 160.7)]).svg().unwrap();
        for text in ["nodes", "time (ms)", "Time", "curve", "n=13"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(chart(vec![(3.0, 1.0)]).svg().is_ok(), "one point is enough");
        assert!(
            chart(Vec::new()).svg().is_err() && chart(vec![(1.0, f64::INFINITY)]).svg().is_err()
        );
    }

    #[test]
    fn inlined_chart_has_no_colours_of_its_own() {
        let svg = on_any_ground(&chart(vec![(3.0, 187.5), (13.0, 160.7)]).svg().unwrap());
        assert!(
            svg.contains("currentColor") && !svg.contains("#282828") && !svg.contains("#FFFFFF")
        );
    }
}
