//! Chart as PNG, rendered from its SVG.

use std::error::Error;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// Largest side of a picture in pixels: a larger one would take gigabytes.
const LARGEST: f32 = 16_384.0;

/// Reason why a chart could not be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// The compiled-in font cannot be used.
    #[error("the compiled-in font has no family name")]
    Font,
    /// The chart is not a valid SVG.
    #[error("cannot parse the chart as SVG: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture would have no pixels, or too many.
    #[error("cannot create a picture of {width} by {height} pixels")]
    Size {
        /// Width in pixels.
        width: f32,
        /// Height in pixels.
        height: f32,
    },
    /// The picture cannot be encoded.
    #[error("cannot encode the picture: {0}")]
    Encode(Box<dyn Error + Send + Sync>),
}

/// Renders an SVG as PNG, with `scale` pixels for each of its own. Text uses the compiled-in font,
/// regardless of the family that the SVG names.
///
/// # Errors
/// If the SVG is invalid, or the picture would be too large.
pub fn of(svg: &str, scale: f32) -> Result<Vec<u8>, PngError> {
    let mut fonts = Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts
        .faces()
        .next()
        .and_then(|face| face.families.first())
        .map(|(name, _)| name.clone());
    let family = family.ok_or(PngError::Font)?;
    fonts.set_sans_serif_family(&family);
    let options = Options {
        font_family: family,
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)?;
    let width = tree.size().width() * scale;
    let height = tree.size().height() * scale;
    let fits = width.max(height) <= LARGEST;
    let pixels = fits
        .then(|| Pixmap::new(width.ceil() as u32, height.ceil() as u32))
        .flatten();
    let mut pixels = pixels.ok_or(PngError::Size { width, height })?;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );
    pixels
        .encode_png()
        .map_err(|error| PngError::Encode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_drawn_without_a_system_font() {
        let svg = |text| {
            format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='60' height='20'>\
                 <text x='2' y='16' font-family='sans-serif'>{text}</text></svg>"
            )
        };
        let some = of(&svg("Raft"), 2.0).unwrap();
        let none = of(&svg(""), 2.0).unwrap();
        assert!(
            some.starts_with(b"\x89PNG") && some.len() > none.len(),
            "{} and {} bytes",
            some.len(),
            none.len()
        );
        assert!(of("<svg", 1.0).is_err() && of(&svg("a"), 1e6).is_err());
    }
}
