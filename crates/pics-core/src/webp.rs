//! WebP (RFC 9649): chunks in a RIFF file.

use crate::Clean;
use crate::bytes::Bytes;
use crate::exif::{self, Orientation};
use crate::header::{Header, Refused};
use crate::kind::Kind;

/// Flags of `VP8X`.
const HAS_EXIF: u8 = 0x08;
const HAS_XMP: u8 = 0x04;
const ANIMATED: u8 = 0x02;

type Name = [u8; 4];

#[derive(Default)]
struct Walk {
    out: Vec<u8>,
    /// Where the flags of `VP8X` are in `out`, and the canvas it says.
    extended: Option<(usize, (u32, u32))>,
    still: Option<(u32, u32)>,
    frames: u32,
    pixels: u64,
    orientation: Option<Orientation>,
}

pub fn clean(file: &[u8]) -> Result<Clean, Refused> {
    let mut whole = Bytes::new(file, Kind::WebP);
    let _riff = whole.take(4)?;
    let size = usize::try_from(whole.le32()?).unwrap_or(usize::MAX);
    let mut bytes = Bytes::new(whole.take(size)?, Kind::WebP);
    let mut walk = Walk { out: Vec::with_capacity(file.len()), ..Walk::default() };
    walk.out.extend_from_slice(b"RIFF\0\0\0\0");
    walk.out.extend_from_slice(bytes.take(4)?);
    // A lone byte is no chunk.
    while bytes.left().len() >= 8 {
        let (name, body) = chunk(&mut bytes)?;
        walk.chunk(&name, body, &bytes)?;
    }
    // Only the extended form has a place for it.
    let orientation = walk.orientation.filter(|_| walk.extended.is_some()).unwrap_or(Orientation::UPRIGHT);
    let canvas = walk.extended.map(|(_, canvas)| canvas);
    let (width, height) = match (canvas, walk.still, walk.frames) {
        (Some(canvas), None, 1..) => canvas,
        (Some(canvas), Some(still), 0) if canvas == still => canvas,
        (None, Some(still), 0) => still,
        (_, None, 0) => return Err(bytes.malformed("it has no pixels")),
        _ => return Err(bytes.malformed("it has two dimensions")),
    };
    if let Some((flags, _)) = walk.extended {
        walk.out[flags] &= !(HAS_EXIF | HAS_XMP | if walk.frames == 0 { ANIMATED } else { 0 });
        if !orientation.is_upright() {
            walk.out[flags] |= HAS_EXIF;
            let tiff = exif::write(orientation);
            walk.keep(b"EXIF", &tiff);
        }
    }
    let size = u32::try_from(walk.out.len() - 8).map_err(|_| bytes.malformed("it is too long"))?;
    walk.out[4..8].copy_from_slice(&size.to_le_bytes());
    let mut header = Header { orientation, ..Header::still(Kind::WebP, width, height) };
    if walk.frames > 0 {
        header.frames = walk.frames;
        header.pixels = walk.pixels;
    }
    Ok(Clean { header, bytes: walk.out })
}

/// The next chunk; the byte that fills it up to an even length may be missing at the end.
fn chunk<'a>(bytes: &mut Bytes<'a>) -> Result<(Name, &'a [u8]), Refused> {
    let name = bytes.array()?;
    let length = usize::try_from(bytes.le32()?).unwrap_or(usize::MAX);
    let body = bytes.take(length)?;
    if length % 2 == 1 && !bytes.left().is_empty() {
        bytes.take(1)?;
    }
    Ok((name, body))
}

impl Walk {
    fn chunk(&mut self, name: &Name, body: &[u8], bytes: &Bytes<'_>) -> Result<(), Refused> {
        match name {
            b"VP8X" if self.out.len() == 12 => {
                let mut fields = Bytes::new(body, Kind::WebP);
                let _flags = fields.take(4)?;
                let canvas = (u24(&mut fields)? + 1, u24(&mut fields)? + 1);
                self.extended = Some((self.out.len() + 8, canvas));
                self.keep(name, &body[..10]);
            }
            b"VP8X" => return Err(bytes.malformed("its header does not come first")),
            b"VP8 " | b"VP8L" => {
                let size = dimensions(name, body, bytes)?;
                if self.still.replace(size).is_some() {
                    return Err(bytes.malformed("it has two pictures"));
                }
                self.keep(name, body);
            }
            b"ICCP" | b"ALPH" | b"ANIM" if self.extended.is_some() => self.keep(name, body),
            b"ANMF" if self.extended.is_some() => self.frame(body, bytes)?,
            b"EXIF" => {
                // Some write what stands before it in a JPEG, too.
                let tiff = body.strip_prefix(b"Exif\0\0").unwrap_or(body);
                self.orientation.get_or_insert(exif::orientation(tiff));
            }
            _ => {}
        }
        Ok(())
    }

    /// A frame of an animation: its place, then chunks of its own.
    fn frame(&mut self, body: &[u8], bytes: &Bytes<'_>) -> Result<(), Refused> {
        let mut fields = Bytes::new(body, Kind::WebP);
        let place = fields.take(16)?;
        let mut place = Bytes::new(place, Kind::WebP);
        let (x, y) = (2 * u24(&mut place)?, 2 * u24(&mut place)?);
        let (width, height) = (u24(&mut place)? + 1, u24(&mut place)? + 1);
        let (_, canvas) = self.extended.unwrap_or_default();
        if x + width > canvas.0 || y + height > canvas.1 {
            return Err(bytes.malformed("a frame lies outside the picture"));
        }
        let mut kept = Self::default();
        kept.out.extend_from_slice(&body[..16]);
        let mut pictures = 0;
        while fields.left().len() >= 8 {
            let (name, inner) = chunk(&mut fields)?;
            match &name {
                b"VP8 " | b"VP8L" if dimensions(&name, inner, bytes)? == (width, height) => pictures += 1,
                b"VP8 " | b"VP8L" => return Err(bytes.malformed("a frame has two dimensions")),
                b"ALPH" => {}
                _ => continue,
            }
            kept.keep(&name, inner);
        }
        if pictures != 1 {
            return Err(bytes.malformed("a frame has no pixels, or several"));
        }
        self.keep(b"ANMF", &kept.out);
        self.frames = self.frames.saturating_add(1);
        self.pixels = self.pixels.saturating_add(u64::from(width) * u64::from(height));
        Ok(())
    }

    fn keep(&mut self, name: &Name, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(body);
        if body.len() % 2 == 1 {
            self.out.push(0);
        }
    }
}

fn u24(bytes: &mut Bytes<'_>) -> Result<u32, Refused> {
    let [a, b, c] = bytes.array()?;
    Ok(u32::from_le_bytes([a, b, c, 0]))
}

/// Width and height in front of the pixels: RFC 6386 §9.1 for `VP8 `, RFC 9649 §3.4 for `VP8L`.
fn dimensions(name: &Name, body: &[u8], bytes: &Bytes<'_>) -> Result<(u32, u32), Refused> {
    let mut fields = Bytes::new(body, Kind::WebP);
    let (width, height) = if name == b"VP8L" {
        let (signature, sizes) = (fields.u8()?, fields.le32()?);
        if signature != 0x2f {
            return Err(bytes.malformed("its pixels do not begin as they should"));
        }
        ((sizes & 0x3fff) + 1, ((sizes >> 14) & 0x3fff) + 1)
    } else {
        let [frame, _, _, s1, s2, s3] = fields.array()?;
        if frame & 1 == 1 || [s1, s2, s3] != [0x9d, 0x01, 0x2a] {
            return Err(bytes.malformed("its pixels do not begin as they should"));
        }
        (u32::from(fields.le16()? & 0x3fff), u32::from(fields.le16()? & 0x3fff))
    };
    if width == 0 || height == 0 {
        return Err(bytes.malformed("it has no dimensions"));
    }
    Ok((width, height))
}
