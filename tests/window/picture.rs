//! A screenshot of the window with access to single pixels.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

pub(crate) struct Picture {
    width: u32,
    height: u32,
    channels: usize,
    bytes: Vec<u8>,
}

impl Picture {
    pub(crate) fn read(file: impl AsRef<Path>) -> Self {
        let file = BufReader::new(File::open(file).expect("the picture was written"));
        let mut reader = png::Decoder::new(file).read_info().expect("it is a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let info = reader.next_frame(&mut bytes).expect("it is whole");
        assert_eq!(info.bit_depth, png::BitDepth::Eight);
        let channels = match info.color_type {
            png::ColorType::Rgb => 3,
            png::ColorType::Rgba => 4,
            other => panic!("unsupported colour type {other:?}"),
        };
        Picture {
            width: info.width,
            height: info.height,
            channels,
            bytes,
        }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(crate) fn pixel(&self, (x, y): (u32, u32)) -> [u8; 3] {
        assert!(
            x < self.width && y < self.height,
            "({x}, {y}) is outside the picture"
        );
        let at = (y as usize * self.width as usize + x as usize) * self.channels;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }

    /// Whether a black line one pixel thick passes through (x, y), give or take one pixel.
    pub(crate) fn has_black_line_near(&self, x: u32, y: u32, upright: bool) -> bool {
        (0..3).any(|offset| {
            let at = if upright {
                (x + offset - 1, y)
            } else {
                (x, y + offset - 1)
            };
            self.pixel(at) == [0, 0, 0]
        })
    }

    /// Number of pixels in the area (left, top, right, bottom) that differ from a colour by at most
    /// four in each channel.
    pub(crate) fn count(
        &self,
        (left, top, right, bottom): (u32, u32, u32, u32),
        colour: [u8; 3],
    ) -> usize {
        let area = (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y)));
        area.filter(|at| {
            let mut channels = self.pixel(*at).into_iter().zip(colour);
            channels.all(|(one, other)| one.abs_diff(other) <= 4)
        })
        .count()
    }

    /// Number of dark pixels in the area (left, top, right, bottom).
    pub(crate) fn ink(&self, (left, top, right, bottom): (u32, u32, u32, u32)) -> usize {
        let area = (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y)));
        area.filter(|at| self.pixel(*at).iter().all(|channel| *channel < 100))
            .count()
    }
}
