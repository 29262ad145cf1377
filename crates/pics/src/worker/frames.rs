//! What the service and its worker say to each other: frames of a tag, a length and so many bytes.

use std::io::{self, Read, Write};

use pics_core::{Header, Kind, Orientation};
use serde::{Deserialize, Serialize};

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// To the worker: a whole file, as it was sent.
    File,
    /// From the worker: what the picture is, [`Told`] as JSON.
    Told,
    /// From the worker: the picture without metadata.
    Clean,
    /// From the worker: what the view that follows is, [`View`] as JSON.
    View,
    /// From the worker: that view.
    Pixels,
    /// From the worker: why the file is not taken, in words for whoever sent it. Nothing follows.
    Refused,
    /// From the worker: that was all.
    End,
}

const TAGS: [(u8, Tag); 7] = [
    (b'F', Tag::File),
    (b'T', Tag::Told),
    (b'C', Tag::Clean),
    (b'V', Tag::View),
    (b'P', Tag::Pixels),
    (b'R', Tag::Refused),
    (b'E', Tag::End),
];

/// A tag and a length.
pub const HEAD: usize = 5;
/// No frame is longer.
pub const LONGEST: u32 = 128 << 20;

impl Tag {
    /// The head of a frame of `length` bytes.
    pub fn head(self, length: usize) -> io::Result<[u8; HEAD]> {
        let length = u32::try_from(length).ok().filter(|length| *length <= LONGEST).ok_or_else(too_long)?;
        let [a, b, c, d] = length.to_be_bytes();
        let code = TAGS.iter().find(|(_, tag)| *tag == self).map_or(0, |(code, _)| *code);
        Ok([code, a, b, c, d])
    }

    /// The tag and the length of a head.
    pub fn read([code, a, b, c, d]: [u8; HEAD]) -> io::Result<(Self, u32)> {
        let length = u32::from_be_bytes([a, b, c, d]);
        let known = TAGS.iter().find(|(known, _)| *known == code).map(|(_, tag)| *tag);
        let tag =
            known.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame of no known kind"))?;
        if length > LONGEST { Err(too_long()) } else { Ok((tag, length)) }
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame is too long")
}

/// What a picture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its kind's extension.
    pub kind: String,
    /// Pixels from left to right, as stored.
    pub width: u32,
    /// Pixels from top to bottom, as stored.
    pub height: u32,
    /// Frames.
    pub frames: u32,
    /// As Exif counts.
    pub orientation: u8,
}

impl Told {
    /// What a header says.
    pub fn of(header: &Header) -> Self {
        Self {
            kind: header.kind.extension().to_owned(),
            width: header.width,
            height: header.height,
            frames: header.frames,
            orientation: header.orientation.value(),
        }
    }

    /// The kind, if it is one.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_extension(&self.kind)
    }

    /// Width and height as shown.
    pub fn shown(&self) -> (u32, u32) {
        let turned = Orientation::new(self.orientation.into()).swaps();
        if turned { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// A smaller view of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The longest side it was made for: 400 or 1600.
    pub side: u32,
    /// Its kind's extension.
    pub kind: String,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// Writes a frame.
pub fn write(to: &mut impl Write, tag: Tag, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&tag.head(bytes.len())?)?;
    to.write_all(bytes)
}

/// Writes a frame of JSON.
pub fn write_json(to: &mut impl Write, tag: Tag, value: &impl Serialize) -> io::Result<()> {
    write(to, tag, &serde_json::to_vec(value)?)
}

/// Reads a frame; `None` where nothing more comes.
pub fn read(from: &mut impl Read) -> io::Result<Option<(Tag, Vec<u8>)>> {
    let mut head = [0; HEAD];
    match from.read(&mut head[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut head[1..])?,
    }
    let (tag, length) = Tag::read(head)?;
    let mut bytes = Vec::new();
    // As much as really comes, not as much as is promised.
    let came = from.take(length.into()).read_to_end(&mut bytes)?;
    if came < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((tag, bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut pipe = Vec::new();
        for (_, tag) in TAGS {
            write(&mut pipe, tag, b"bytes").unwrap();
        }
        let mut pipe = &pipe[..];
        for (_, tag) in TAGS {
            assert_eq!(read(&mut pipe).unwrap(), Some((tag, b"bytes".to_vec())));
        }
        assert_eq!(read(&mut pipe).unwrap(), None);
    }

    #[test]
    fn a_frame_that_promises_too_much_or_ends_early_is_an_error() {
        assert!(read(&mut &b"F\xff\xff\xff\xff"[..]).is_err());
        assert!(read(&mut &b"F\0\0\0\x05four"[..]).is_err());
        assert!(read(&mut &b"F\0\0"[..]).is_err());
        assert!(read(&mut &b"?\0\0\0\0"[..]).is_err());
    }
}
