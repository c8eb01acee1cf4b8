//! The table of pairs as a picture.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Results;

/// Side of a cell in pixels.
const CELL: i32 = 84;

/// Space for the names of the rows and columns in pixels.
const MARGIN: i32 = 96;

/// The picture cannot be drawn.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the heat map cannot be drawn: {0}")]
pub struct HeatMapError(String);

/// Returns the shares of wins as an SVG: each cell is that of its row against its column, blue
/// above a half and orange below.
///
/// # Errors
/// [`HeatMapError`].
pub fn heat_map(results: &Results) -> Result<String, HeatMapError> {
    let mut text = String::new();
    draw(results, &mut text).map_err(|error| HeatMapError(error.to_string()))?;
    Ok(text)
}

fn draw(results: &Results, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let count = i32::try_from(results.archetypes.len())?;
    let side = u32::try_from(MARGIN + (count + 1) * CELL)?;
    let area = SVGBackend::with_string(text, (side, side)).into_drawing_area();
    area.fill(&WHITE)?;
    let font = ("sans-serif", 16).into_font().color(&BLACK);
    let name_style = font.pos(Pos::new(HPos::Right, VPos::Center));
    let cell_style = font.pos(Pos::new(HPos::Center, VPos::Center));
    let place = |number: i32| MARGIN + number * CELL;
    for (row, name) in (0..).zip(results.archetypes) {
        let middle = place(row) + CELL / 2;
        area.draw(&Text::new(name, (MARGIN - 8, middle), name_style.clone()))?;
        area.draw(&Text::new(name, (middle, MARGIN - 16), cell_style.clone()))?;
        let means = results.means.iter().map(|mean| Some(*mean));
        let mean = means.skip(usize::try_from(row)?).take(1);
        let shares = results.pairs[usize::try_from(row)?].iter();
        let shares = shares.map(|share| share.map(|share| share.rate()));
        for (column, share) in (0..).zip(shares.chain(mean)) {
            let corner = (place(column), place(row));
            let cell = [corner, (corner.0 + CELL - 2, corner.1 + CELL - 2)];
            area.draw(&Rectangle::new(cell, colour(share).filled()))?;
            let middle = (corner.0 + CELL / 2, corner.1 + CELL / 2);
            let share = share.map_or("–".to_owned(), |share| format!("{share:.2}"));
            area.draw(&Text::new(share, middle, cell_style.clone()))?;
        }
    }
    let middle = place(count) + CELL / 2;
    area.draw(&Text::new("mean", (middle, MARGIN - 16), cell_style))?;
    area.present()?;
    Ok(())
}

/// From orange at 0 over white at a half to blue at 1.
fn colour(share: Option<f64>) -> RGBColor {
    let Some(share) = share else {
        return RGBColor(230, 230, 230);
    };
    let distance = ((share - 0.5).abs() * 2.0).min(1.0);
    let mix = |towards: u8| {
        let full = f64::from(towards);
        // Between 0 and 255.
        (255.0 + (full - 255.0) * distance) as u8
    };
    if share >= 0.5 {
        RGBColor(mix(70), mix(130), mix(200))
    } else {
        RGBColor(mix(235), mix(140), mix(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tournament::{Settings, run};
    use raftian_realm::crowns::Rules;

    #[test]
    fn heat_map_names_every_archetype_and_share() {
        let settings = Settings {
            games: 2,
            tables: 2,
            ablations: 0,
            levels: 0,
            seed: 1,
        };
        let results = run(settings, &Rules::of_this_build(), |_| ()).unwrap();
        let svg = heat_map(&results).unwrap();
        for name in results.archetypes {
            assert_eq!(svg.matches(&format!("{name}\n")).count(), 2, "{svg}");
        }
        let mean = format!("{:.2}", results.means[0]);
        assert!(svg.contains(&mean));
        assert_eq!(svg.matches("<rect").count(), 1 + 6 * 7);
    }
}
