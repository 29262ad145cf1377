//! What a picture's headers say, how much of it is taken, and why one is not.

use crate::exif::Orientation;
use crate::kind::Kind;

/// What a picture's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Pixels from left to right, as stored.
    pub width: u32,
    /// Pixels from top to bottom, as stored.
    pub height: u32,
    /// 1, or how many frames an animation has.
    pub frames: u32,
    /// Pixels of all frames together.
    pub pixels: u64,
    /// How it is to be turned before it is shown.
    pub orientation: Orientation,
    /// Whether its rows come in passes (PNG): it cannot be made smaller row by row.
    pub interlaced: bool,
}

impl Header {
    /// A still picture, upright.
    pub(crate) fn still(kind: Kind, width: u32, height: u32) -> Self {
        Self {
            kind,
            width,
            height,
            frames: 1,
            pixels: u64::from(width) * u64::from(height),
            orientation: Orientation::UPRIGHT,
            interlaced: false,
        }
    }

    /// Width and height as it is shown.
    pub fn shown(&self) -> (u32, u32) {
        if self.orientation.swaps() { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// How large a picture may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pixels on a side.
    pub side: u32,
    /// Pixels of one frame.
    pub frame: u64,
    /// Frames.
    pub frames: u32,
    /// Pixels of all frames together.
    pub pixels: u64,
}

impl Default for Limits {
    /// A camera's 80 megapixels; half a minute of animation.
    fn default() -> Self {
        Self { side: 20_000, frame: 80_000_000, frames: 1_000, pixels: 1_000_000_000 }
    }
}

impl Limits {
    /// Whether a picture of these headers is taken.
    pub fn check(&self, header: &Header) -> Result<(), Refused> {
        let Header { width, height, frames, .. } = *header;
        let frame = u64::from(width) * u64::from(height);
        if width > self.side || height > self.side || frame > self.frame {
            let (side, millions) = (self.side, self.frame / 1_000_000);
            return Err(Refused::TooLarge { width, height, side, millions });
        }
        if frames > self.frames || (frames > 1 && header.pixels > self.pixels) {
            let (most, millions) = (self.frames, self.pixels / 1_000_000);
            return Err(Refused::TooLong { frames, most, millions });
        }
        Ok(())
    }
}

/// Why a file is not taken, in words for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No picture, or of no kind that is taken.
    #[error("This is no picture that is taken here. Send a JPEG, PNG, GIF, WebP or AVIF file.")]
    Unknown,
    /// A document with scripts.
    #[error("SVG is not taken: such a file is a document that can hold scripts. Send the picture as PNG.")]
    Svg,
    /// What browsers do not show.
    #[error("HEIC is not taken: most browsers cannot show it. Send the picture as JPEG.")]
    Heic,
    /// Its end is missing.
    #[error("The {kind} file ends too early. Send it again, whole.")]
    Truncated {
        /// What it is.
        kind: Kind,
    },
    /// It contradicts itself.
    #[error("The {kind} file is damaged: {what}. Open it in a picture editor, save it anew and send that.")]
    Malformed {
        /// What it is.
        kind: Kind,
        /// What is wrong.
        what: &'static str,
    },
    /// Too many pixels.
    #[error(
        "The picture has {width} by {height} pixels; at most {side} on a side and {millions} million in all are taken. Make it smaller first."
    )]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The most on a side.
        side: u32,
        /// The most in all, in millions.
        millions: u64,
    },
    /// Too many frames.
    #[error(
        "The animation has {frames} frames; at most {most} with {millions} million pixels in all are taken. Make it shorter or smaller first."
    )]
    TooLong {
        /// How many it has.
        frames: u32,
        /// The most.
        most: u32,
        /// The most pixels of all frames, in millions.
        millions: u64,
    },
}
