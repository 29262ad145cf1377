//! PNG and APNG (W3C PNG 3): a list of chunks, each with a checksum.

use crate::Clean;
use crate::bytes::Bytes;
use crate::exif::{self, Orientation};
use crate::header::{Header, Refused};
use crate::kind::Kind;

const SIGNATURE: usize = 8;
/// Signature and the whole of IHDR: the orientation goes behind it.
const FRONT: usize = SIGNATURE + 25;

/// Chunks that change what is seen.
const KEPT: [&[u8; 4]; 15] = [
    b"PLTE", b"IDAT", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI",
    b"bKGD", b"pHYs", b"hIST", b"acTL",
];

#[derive(Default)]
struct Walk {
    out: Vec<u8>,
    pixels: bool,
    /// How many frames the animation says it has.
    said: Option<u32>,
    frames: u32,
    frame_pixels: u64,
    orientation: Option<Orientation>,
}

pub fn clean(file: &[u8]) -> Result<Clean, Refused> {
    let mut bytes = Bytes::new(file, Kind::Png);
    let mut walk = Walk { out: Vec::with_capacity(file.len()), ..Walk::default() };
    walk.out.extend_from_slice(bytes.take(SIGNATURE)?);
    let (name, first) = chunk(&mut bytes)?;
    let mut header = match name {
        Some(b"IHDR") => dimensions(first, &bytes)?,
        _ => return Err(bytes.malformed("its dimensions do not come first")),
    };
    walk.keep(b"IHDR", first);
    loop {
        match chunk(&mut bytes)? {
            (Some(b"IEND"), _) => break,
            (Some(name), body) => walk.chunk(name, body, &header, &bytes)?,
            (None, _) => {}
        }
    }
    walk.keep(b"IEND", &[]);
    if !walk.pixels {
        return Err(bytes.malformed("it has no pixels"));
    }
    if let Some(said) = walk.said {
        if said != walk.frames || said == 0 {
            return Err(bytes.malformed("its animation has another number of frames than it says"));
        }
        header.frames = said;
        header.pixels = header.pixels.saturating_add(walk.frame_pixels);
    }
    header.orientation = walk.orientation.unwrap_or(Orientation::UPRIGHT);
    if !header.orientation.is_upright() {
        let mut orientation = Walk::default();
        orientation.keep(b"eXIf", &exif::write(header.orientation));
        walk.out.splice(FRONT..FRONT, orientation.out);
    }
    Ok(Clean { header, bytes: walk.out })
}

/// The next chunk. One that is not needed and whose checksum is wrong has no name.
fn chunk<'a>(bytes: &mut Bytes<'a>) -> Result<(Option<&'a [u8; 4]>, &'a [u8]), Refused> {
    let length = usize::try_from(bytes.be32()?).unwrap_or(usize::MAX);
    let named = bytes.left();
    let name = bytes.take(4)?.first_chunk::<4>();
    let body = bytes.take(length)?;
    let checksum = bytes.be32()?;
    let right = named.get(..length.saturating_add(4)).is_some_and(|named| crc32(named) == checksum);
    if right {
        return Ok((name, body));
    }
    // The case of the first letter says whether a decoder needs the chunk.
    if name.is_some_and(|name| name[0].is_ascii_lowercase()) {
        return Ok((None, body));
    }
    Err(bytes.malformed("a checksum is wrong"))
}

fn dimensions(body: &[u8], bytes: &Bytes<'_>) -> Result<Header, Refused> {
    let mut fields = Bytes::new(body, Kind::Png);
    let (width, height) = (fields.be32()?, fields.be32()?);
    let [depth, colour, compression, filter, interlace] = fields.array()?;
    let known = matches!((colour, depth), (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) | (2 | 4 | 6, 8 | 16));
    if body.len() != 13 || !known || compression != 0 || filter != 0 || interlace > 1 {
        return Err(bytes.malformed("its header holds what no PNG has"));
    }
    let most = i32::MAX.cast_unsigned();
    if width == 0 || height == 0 || width > most || height > most {
        return Err(bytes.malformed("it has no dimensions"));
    }
    Ok(Header { interlaced: interlace == 1, ..Header::still(Kind::Png, width, height) })
}

impl Walk {
    fn chunk(
        &mut self,
        name: &[u8; 4],
        body: &[u8],
        header: &Header,
        bytes: &Bytes<'_>,
    ) -> Result<(), Refused> {
        match name {
            b"IHDR" => return Err(bytes.malformed("it has two headers")),
            b"eXIf" => {
                self.orientation.get_or_insert(exif::orientation(body));
                return Ok(());
            }
            b"acTL" if self.said.is_some() || self.pixels => return Ok(()),
            b"acTL" => {
                let mut fields = Bytes::new(body, Kind::Png);
                self.said = Some(fields.be32()?);
            }
            b"fcTL" if self.said.is_some() => self.frame(body, header, bytes)?,
            b"fdAT" if self.said.is_some() => {}
            b"IDAT" => self.pixels = true,
            name if KEPT.contains(&name) => {}
            name if name[0].is_ascii_lowercase() => return Ok(()),
            _ => return Err(bytes.malformed("it has a part that no PNG has")),
        }
        self.keep(name, body);
        Ok(())
    }

    /// A frame of the animation, which must lie within the picture.
    fn frame(&mut self, body: &[u8], header: &Header, bytes: &Bytes<'_>) -> Result<(), Refused> {
        let mut fields = Bytes::new(body, Kind::Png);
        let _sequence = fields.be32()?;
        let [width, height, x, y] = [fields.be32()?, fields.be32()?, fields.be32()?, fields.be32()?];
        let inside = |from: u32, length: u32, whole: u32| {
            length > 0 && from.checked_add(length).is_some_and(|end| end <= whole)
        };
        if !inside(x, width, header.width) || !inside(y, height, header.height) {
            return Err(bytes.malformed("a frame lies outside the picture"));
        }
        self.frames = self.frames.saturating_add(1);
        self.frame_pixels = self.frame_pixels.saturating_add(u64::from(width) * u64::from(height));
        Ok(())
    }

    fn keep(&mut self, name: &[u8; 4], body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(&length.to_be_bytes());
        let begin = self.out.len();
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(body);
        let checksum = crc32(&self.out[begin..]);
        self.out.extend_from_slice(&checksum.to_be_bytes());
    }
}

/// CRC-32 as PNG wants it (ISO 3309), a byte at a time.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}
