//! AVIF (AV1 in HEIF, ISO/IEC 14496-12 and 23008-12): boxes in boxes, and items that point into them.
//!
//! Positions are all over the file, so nothing is moved: what is left behind is overwritten with zeros where it stands, and
//! its box becomes a `free` one. Whatever no item points to goes the same way.

mod items;

use std::ops::Range;

use crate::Clean;
use crate::bytes::Bytes;
use crate::exif::Orientation;
use crate::header::{Header, Refused};
use crate::kind::Kind;

use items::Items;

type Name = [u8; 4];

/// How deep boxes may lie in each other: `moov trak mdia minf stbl stsz`.
const DEEPEST: u32 = 6;
/// More than any encoder makes, of boxes in one and of `mdat`; each costs memory and time here.
const MOST_PARTS: usize = 10_000;
const MOST_DATA: usize = 64;

/// A box: its name, where all of it is, and where its content is.
#[derive(Clone, Debug)]
struct Part {
    name: Name,
    whole: Range<usize>,
    body: Range<usize>,
}

/// What was learnt of a file, and what of it is to be blanked.
#[derive(Default)]
struct Walk {
    blank: Vec<Range<usize>>,
    freed: Vec<Part>,
    data: Vec<Range<usize>>,
    items: Option<Items>,
    moving: bool,
    frames: u32,
    track: Option<(u32, u32)>,
}

pub fn clean(file: &[u8]) -> Result<Clean, Refused> {
    let mut walk = Walk::default();
    let end = walk.file(file)?;
    let mut out = file[..end].to_vec();
    let header = walk.header()?;
    walk.find_what_goes(end)?;
    for range in &walk.blank {
        out[range.clone()].fill(0);
    }
    for part in &walk.freed {
        let name = part.whole.start + 4;
        out[name..name + 4].copy_from_slice(b"free");
        out[part.body.clone()].fill(0);
    }
    Ok(Clean { header, bytes: out })
}

fn malformed(what: &'static str) -> Refused {
    Refused::Malformed { kind: Kind::Avif, what }
}

fn truncated() -> Refused {
    Refused::Truncated { kind: Kind::Avif }
}

/// The box that begins at `at` and must end before `end`.
fn part(file: &[u8], at: usize, end: usize) -> Result<Part, Refused> {
    let mut bytes = Bytes::new(file.get(at..end).ok_or_else(truncated)?, Kind::Avif);
    let size = u64::from(bytes.be32()?);
    let name = bytes.array()?;
    let size = match size {
        0 => (end - at) as u64,
        1 => bytes.be(8)?,
        size => size,
    };
    let head = bytes.at();
    let size = usize::try_from(size).ok().filter(|size| *size >= head);
    let stop = at.checked_add(size.ok_or_else(|| malformed("a box is too short"))?);
    let stop = stop.filter(|stop| *stop <= end).ok_or_else(truncated)?;
    Ok(Part { name, whole: at..stop, body: at + head..stop })
}

/// The boxes that fill `range`.
fn parts(file: &[u8], range: Range<usize>) -> Result<Vec<Part>, Refused> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let part = part(file, at, range.end)?;
        at = part.whole.end;
        found.push(part);
        if found.len() > MOST_PARTS {
            return Err(malformed("it has too many boxes"));
        }
    }
    Ok(found)
}

/// The content of a box that has a version and flags in front.
fn full<'a>(file: &'a [u8], part: &Part) -> Result<(u8, u32, Bytes<'a>), Refused> {
    let mut bytes = Bytes::new(file.get(part.body.clone()).unwrap_or_default(), Kind::Avif);
    let head = bytes.be32()?;
    Ok(((head >> 24) as u8, head & 0x00ff_ffff, bytes))
}

impl Walk {
    /// Walks the file's own boxes and gives where the last of them ends.
    fn file(&mut self, file: &[u8]) -> Result<usize, Refused> {
        let mut at = 0;
        while at < file.len() {
            let known = file.get(at + 4..at + 8).is_some_and(|name| {
                matches!(name, b"ftyp" | b"meta" | b"moov" | b"mdat" | b"free" | b"skip" | b"uuid")
            });
            // What is none of our boxes and fits nowhere was put behind the file: it is cut off.
            if !known && part(file, at, file.len()).is_err() {
                break;
            }
            let part = part(file, at, file.len())?;
            match &part.name {
                b"ftyp" if at == 0 => {}
                b"meta" if self.items.is_none() => self.items = Some(self.meta(file, &part)?),
                b"meta" => return Err(malformed("it lists its items twice")),
                b"moov" => {
                    self.moving = true;
                    self.movie(file, part.body.clone(), DEEPEST)?;
                }
                b"mdat" => self.data.push(part.body.clone()),
                _ => self.freed.push(part.clone()),
            }
            if self.data.len() > MOST_DATA || self.freed.len() > MOST_PARTS {
                return Err(malformed("it has too many boxes"));
            }
            at = part.whole.end;
        }
        if self.data.is_empty() && self.items.as_ref().is_none_or(|items| items.inline.is_none()) {
            return Err(truncated());
        }
        Ok(at)
    }

    fn meta(&mut self, file: &[u8], meta: &Part) -> Result<Items, Refused> {
        let begin = meta.body.start + 4;
        let mut items = Items::default();
        for part in parts(file, begin.min(meta.body.end)..meta.body.end)? {
            match &part.name {
                b"hdlr" | b"iref" | b"dinf" | b"grpl" => {}
                b"pitm" => items.primary(full(file, &part)?)?,
                b"iinf" => items.kinds(file, &part)?,
                b"iloc" => items.places(full(file, &part)?)?,
                b"iprp" => items.properties(file, &part)?,
                b"idat" if items.inline.is_none() => items.inline = Some(part.body.clone()),
                _ => self.freed.push(part),
            }
        }
        Ok(items)
    }

    /// An animation: how many frames, how large; without what is said about it.
    fn movie(&mut self, file: &[u8], range: Range<usize>, deeper: u32) -> Result<(), Refused> {
        for part in parts(file, range)? {
            match &part.name {
                b"trak" | b"mdia" | b"minf" | b"stbl" if deeper > 0 => {
                    self.movie(file, part.body.clone(), deeper - 1)?;
                }
                b"stsz" => {
                    let (_, _, mut fields) = full(file, &part)?;
                    let _size = fields.be32()?;
                    self.frames = self.frames.max(fields.be32()?);
                }
                b"tkhd" => {
                    // The last two fields, in 16.16.
                    let body = &file[part.body.clone()];
                    let (_, size) = body.split_at(body.len().saturating_sub(8));
                    let mut size = Bytes::new(size, Kind::Avif);
                    let (width, height) = (size.be32()? >> 16, size.be32()? >> 16);
                    let larger = self.track.is_none_or(|(w, h)| w.max(h) < width.max(height));
                    if larger {
                        self.track = Some((width, height));
                    }
                }
                b"udta" | b"meta" | b"uuid" | b"free" | b"skip" => self.freed.push(part),
                _ => {}
            }
        }
        Ok(())
    }

    fn header(&self) -> Result<Header, Refused> {
        let still = self.items.as_ref().and_then(Items::size);
        let (width, height) = still
            .or(self.track)
            .filter(|(width, height)| *width > 0 && *height > 0)
            .ok_or_else(|| malformed("it has no dimensions"))?;
        let mut header = Header::still(Kind::Avif, width, height);
        if self.moving {
            header.frames = self.frames.max(1);
            header.pixels = header.pixels.saturating_mul(header.frames.into());
        }
        // A tile or an alpha plane larger than the picture it belongs to is made to hurt a decoder.
        let largest = self.items.as_ref().map_or(0, Items::largest);
        if largest > u64::from(width) * u64::from(height) * 4 {
            return Err(malformed("a part of it is larger than all of it"));
        }
        // Turning is an item's property here, and stays with it.
        header.orientation = Orientation::UPRIGHT;
        if self.items.as_ref().is_some_and(Items::is_on_its_side) {
            (header.width, header.height) = (height, width);
        }
        Ok(header)
    }

    /// Notes what of the data goes: items that are metadata, and gaps between those that are not.
    fn find_what_goes(&mut self, end: usize) -> Result<(), Refused> {
        let Some(items) = &self.items else { return Ok(()) };
        let mut kept = Vec::new();
        for (range, is_metadata) in items.ranges(end)? {
            let inside = |outer: &Range<usize>| outer.start <= range.start && range.end <= outer.end;
            if !self.data.iter().chain(items.inline.as_ref()).any(inside) {
                return Err(malformed("an item lies outside its data"));
            }
            if is_metadata { self.blank.push(range) } else { kept.push(range) }
        }
        // Frames of an animation are found by tables of their own: what they use is not known here.
        if self.moving {
            return Ok(());
        }
        if kept.is_empty() {
            return Err(malformed("it has no pixels"));
        }
        kept.sort_by_key(|range| range.start);
        for data in self.data.iter().chain(items.inline.as_ref()) {
            let mut at = data.start;
            for range in kept.iter().filter(|range| range.start >= data.start && range.end <= data.end) {
                if range.start > at {
                    self.blank.push(at..range.start);
                }
                at = at.max(range.end);
            }
            self.blank.push(at..data.end);
        }
        Ok(())
    }
}
