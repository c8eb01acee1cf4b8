//! Commits per second, and the latency of an order from click to commit.

use std::ops::RangeInclusive;

use bevy_egui::egui::{Rangef, RichText, Ui, vec2};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, HLine, Plot, Points};

use super::Screen;
use super::derived::milliseconds;
use super::rate::SECONDS;
use super::theme::{CHOSEN, FAINT, GOOD, SMALL, TEXT, WARN, WEAK, digits, heading, words};

const HEIGHT: f32 = 72.0;

pub(super) fn show(ui: &mut Ui, screen: &mut Screen) {
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.horizontal(|ui| {
        heading(ui, "COMMITS PER SECOND");
        figure(ui, &screen.history.rate.last().to_string());
    });
    rate(ui, screen);
    ui.horizontal(|ui| {
        heading(ui, "CLICK TO COMMIT");
        match screen.latency.percentiles() {
            None => {
                ui.label(
                    RichText::new("no orders yet")
                        .font(words(SMALL))
                        .color(FAINT),
                );
            }
            Some(percentiles) => {
                for (name, time) in ["p50", "p95", "p99"].into_iter().zip(percentiles) {
                    ui.label(RichText::new(name).font(words(SMALL)).color(WEAK));
                    figure(ui, &milliseconds(time));
                }
                ui.label(RichText::new("ms").font(words(SMALL)).color(WEAK));
            }
        }
    });
    latency(ui, screen);
}

fn figure(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).font(digits(12.0)).color(TEXT));
}

/// A plot without interaction: dragging or scrolling it would conflict with the panel's own
/// scrolling.
fn plot(ui: &Ui, name: &str, x: fn(GridMark, &RangeInclusive<f64>) -> String) -> Plot<'static> {
    Plot::new(name)
        .height(HEIGHT)
        .width(ui.available_width())
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_crosshair(false)
        .custom_x_axes(vec![axis(AxisHints::new_x(), 40.0..=70.0).formatter(x)])
        .custom_y_axes(vec![
            axis(AxisHints::new_y(), 8.0..=14.0).min_thickness(30.0),
        ])
        .set_margin_fraction(vec2(0.0, 0.08))
        .include_y(0.0)
}

fn axis(hints: AxisHints<'static>, spacing: RangeInclusive<f32>) -> AxisHints<'static> {
    hints
        .label_spacing(Rangef::from(spacing))
        .tick_label_color(WEAK)
        .tick_label_font(digits(9.5))
}

fn rate(ui: &mut Ui, screen: &Screen) {
    let bars: Vec<_> = screen
        .history
        .rate
        .bars(screen.now)
        .map(|(ago, commits)| {
            Bar::new(ago, commits as f64)
                .width(0.8)
                .fill(GOOD.gamma_multiply(0.8))
        })
        .collect();
    plot(ui, "commit rate", |mark, _| format!("{:.0}s", mark.value))
        .include_x(-(SECONDS as f64))
        .include_x(0.0)
        .include_y(4.0)
        .show(ui, |plot| {
            plot.bar_chart(
                BarChart::new("commits", bars)
                    .color(GOOD)
                    .allow_hover(false),
            )
        });
}

fn latency(ui: &mut Ui, screen: &Screen) {
    let samples = screen.latency.samples().enumerate();
    let count = samples.len() as f64;
    let points: Vec<_> = samples
        .map(|(place, time)| [place as f64 - count, time.as_secs_f64() * 1000.0])
        .collect();
    let percentiles = screen.latency.percentiles();
    plot(ui, "commit latency", |mark, _| format!("{:.0}", mark.value))
        .include_x(-count.max(20.0))
        .include_x(0.0)
        .include_y(10.0)
        .show(ui, |plot| {
            plot.points(
                Points::new("orders", points)
                    .color(CHOSEN)
                    .radius(1.6)
                    .allow_hover(false),
            );
            if let Some([p50, p95, _]) = percentiles {
                for (name, time, colour) in [("p50", p50, GOOD), ("p95", p95, WARN)] {
                    let line = HLine::new(name, time.as_secs_f64() * 1000.0);
                    plot.hline(
                        line.color(colour.gamma_multiply(0.6))
                            .width(1.0)
                            .allow_hover(false),
                    );
                }
            }
        });
}
