//! Pictures as bytes: what they are and how large, and the same without what they tell of whoever took them.
//!
//! Nothing is decoded here. [`sniff`] tells the kind from the first bytes and never from a name. [`clean`] walks a file's
//! container once, finds its dimensions and frames, and copies what a browser needs to show it: pixels, colour profile,
//! orientation, animation. Camera, place, time, comments, thumbnails, whatever stands behind the end and whatever nobody
//! knows stay behind. [`Limits::check`] is asked before anybody decodes. No I/O, no clock, no panic on any bytes.

mod avif;
mod bytes;
mod exif;
#[doc(hidden)]
pub mod fuzz;
mod gif;
mod header;
mod jpeg;
mod kind;
mod png;
#[doc(hidden)]
pub mod samples;
mod webp;

pub use exif::Orientation;
pub use header::{Header, Limits, Refused};
pub use kind::{HEAD, Kind, sniff};

/// A picture without what it told beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean {
    /// What its headers say.
    pub header: Header,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Reads a whole file and gives it back without metadata. Its limits are not checked: see [`Limits::check`].
pub fn clean(file: &[u8]) -> Result<Clean, Refused> {
    match sniff(file)? {
        Kind::Jpeg => jpeg::clean(file),
        Kind::Png => png::clean(file),
        Kind::Gif => gif::clean(file),
        Kind::WebP => webp::clean(file),
        Kind::Avif => avif::clean(file),
    }
}

#[cfg(test)]
mod tests;
