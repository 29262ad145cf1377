//! The smaller views of a picture: 400 pixels for lists, 1,600 for looking at.
//!
//! The larger is made from the picture, the smaller from the larger. Neither is ever larger than the picture, in pixels
//! or in bytes. Both are upright, keep the colour profile, and have nothing else of the file. Each is written as whatever
//! comes out smallest: JPEG where nothing is transparent, lossless WebP where something is or where lines and flat
//! colours make it the smaller one. An animation has a still of its first frame in lists, and itself for looking at.

mod decode;
mod encode;

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use pics_core::{Header, Kind, Orientation};

use super::frames::View;

/// The side of the view in lists.
pub const SMALL: u32 = 400;
/// The side of the view for looking at.
pub const LARGE: u32 = 1_600;

/// Why there is no view. Words for whoever sent the picture, as part of a sentence.
#[derive(Debug, thiserror::Error)]
pub enum NoView {
    /// The decoder says so.
    #[error("{0}")]
    Broken(String),
    /// It would take too much memory.
    #[error("it takes too much memory")]
    Memory,
}

impl NoView {
    fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

/// How the bytes of pixels are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    Grey,
    Rgb,
    Rgba,
}

impl Colours {
    const fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    const fn pixel_type(self) -> PixelType {
        match self {
            Self::Grey => PixelType::U8,
            Self::Rgb => PixelType::U8x3,
            Self::Rgba => PixelType::U8x4,
        }
    }
}

/// Decoded pixels.
#[derive(Debug)]
struct Pixels {
    width: u32,
    height: u32,
    colours: Colours,
    bytes: Vec<u8>,
    /// Whether its colours came through a lossy file: then they are worth no lossless one.
    photo: bool,
    profile: Option<Vec<u8>>,
}

/// The views of a picture without metadata.
pub fn of(header: &Header, file: &[u8]) -> Result<Vec<(View, Vec<u8>)>, NoView> {
    let longest = header.width.max(header.height);
    // No decoder here: stored as it is, and shown as it is.
    if header.kind == Kind::Avif {
        return Ok(Vec::new());
    }
    let still = header.frames == 1;
    let sides: Vec<u32> = [(LARGE, still), (SMALL, true)]
        .into_iter()
        .filter(|(side, made)| *made && longest > *side)
        .map(|(side, _)| side)
        .collect();
    // A picture that needs no view is decoded all the same: what browsers would choke on is not taken.
    let wanted = sides.first().copied().unwrap_or(SMALL);
    let mut pixels = upright(fit(decode::decode(header, file, wanted)?, wanted)?, header.orientation);
    let mut made = Vec::new();
    for side in sides {
        pixels = fit(pixels, side)?;
        let (kind, bytes) = encode::smallest(&pixels)?;
        if bytes.len() < file.len() {
            let view =
                View { side, kind: kind.extension().to_owned(), width: pixels.width, height: pixels.height };
            made.push((view, bytes));
        }
    }
    Ok(made)
}

/// A single view of this side, as the benchmarks want it.
pub fn one(header: &Header, file: &[u8], side: u32) -> Result<Vec<u8>, NoView> {
    let pixels = upright(fit(decode::decode(header, file, side)?, side)?, header.orientation);
    Ok(encode::smallest(&pixels)?.1)
}

/// Width and height within a square of `side`, no larger than they are.
fn within(width: u32, height: u32, side: u32) -> (u32, u32) {
    let longest = width.max(height).max(1);
    if longest <= side {
        return (width, height);
    }
    let scale = |length: u32| {
        let scaled = (u64::from(length) * u64::from(side) + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    (scale(width), scale(height))
}

/// The same within a square of `side`.
fn fit(pixels: Pixels, side: u32) -> Result<Pixels, NoView> {
    let (width, height) = within(pixels.width, pixels.height, side);
    if (width, height) == (pixels.width, pixels.height) {
        return Ok(pixels);
    }
    let kind = pixels.colours.pixel_type();
    let from = Image::from_vec_u8(pixels.width, pixels.height, pixels.bytes, kind).map_err(NoView::broken)?;
    let mut to = Image::new(width, height, kind);
    Resizer::new().resize(&from, &mut to, &ResizeOptions::new()).map_err(NoView::broken)?;
    Ok(Pixels { width, height, bytes: to.into_vec(), ..pixels })
}

/// The same as it is to be looked at (Exif 2.32 §4.6.5).
fn upright(pixels: Pixels, orientation: Orientation) -> Pixels {
    if orientation.is_upright() {
        return pixels;
    }
    let (w, h) = (pixels.width as usize, pixels.height as usize);
    let step = pixels.colours.bytes();
    let (width, height) = if orientation.swaps() { (h, w) } else { (w, h) };
    let mut bytes = Vec::with_capacity(pixels.bytes.len());
    for y in 0..height {
        for x in 0..width {
            let (from_x, from_y) = match orientation.value() {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                8 => (w - 1 - y, x),
                _ => (x, y),
            };
            let at = (from_y * w + from_x) * step;
            bytes.extend_from_slice(pixels.bytes.get(at..at + step).unwrap_or_default());
        }
    }
    let (width, height) =
        if orientation.swaps() { (pixels.height, pixels.width) } else { (pixels.width, pixels.height) };
    Pixels { width, height, bytes, ..pixels }
}

#[cfg(test)]
mod tests;
