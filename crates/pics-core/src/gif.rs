//! GIF (GIF89a): a screen, a palette, then blocks.

use crate::Clean;
use crate::bytes::Bytes;
use crate::header::{Header, Refused};
use crate::kind::Kind;

/// Extensions that change what is seen: how often an animation runs, and its colours.
const KEPT: [&[u8; 11]; 3] = [b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"];

pub fn clean(file: &[u8]) -> Result<Clean, Refused> {
    let mut bytes = Bytes::new(file, Kind::Gif);
    let mut out = Vec::with_capacity(file.len());
    out.extend_from_slice(bytes.take(6)?);
    let screen = bytes.take(7)?;
    out.extend_from_slice(screen);
    let (width, height) = (side(screen, 0), side(screen, 2));
    if width == 0 || height == 0 {
        return Err(bytes.malformed("it has no dimensions"));
    }
    out.extend_from_slice(palette(&mut bytes, screen[4])?);
    let mut header = Header { frames: 0, pixels: 0, ..Header::still(Kind::Gif, width, height) };
    // Belongs to the image that follows; one that follows nothing we keep goes with it.
    let mut control: &[u8] = &[];
    loop {
        let begin = bytes.at();
        match bytes.u8()? {
            0x3b => break,
            0x2c => {
                let descriptor = bytes.take(9)?;
                palette(&mut bytes, descriptor[8])?;
                let _code_size = bytes.u8()?;
                blocks(&mut bytes)?;
                out.extend_from_slice(std::mem::take(&mut control));
                out.extend_from_slice(&file[begin..bytes.at()]);
                header.frames = header.frames.saturating_add(1);
                let pixels = u64::from(side(descriptor, 4)) * u64::from(side(descriptor, 6));
                header.pixels = header.pixels.saturating_add(pixels);
            }
            0x21 => {
                let label = bytes.u8()?;
                let body = bytes.at();
                blocks(&mut bytes)?;
                let whole = &file[begin..bytes.at()];
                match label {
                    // A control extension has one block of four bytes.
                    0xf9 if whole.len() == 8 => control = whole,
                    0xff if file
                        .get(body + 1..body + 12)
                        .is_some_and(|name| KEPT.iter().any(|kept| name == *kept)) =>
                    {
                        out.extend_from_slice(whole);
                    }
                    // Text that nobody draws takes its control with it.
                    0x01 => control = &[],
                    _ => {}
                }
            }
            _ => return Err(bytes.malformed("it has a part that no GIF has")),
        }
    }
    out.push(0x3b);
    if header.frames == 0 {
        return Err(bytes.malformed("it has no pixels"));
    }
    Ok(Clean { header, bytes: out })
}

fn side(fields: &[u8], at: usize) -> u32 {
    fields
        .get(at..)
        .and_then(|rest| rest.first_chunk::<2>())
        .map_or(0, |side| u16::from_le_bytes(*side).into())
}

/// The palette that `packed` says follows.
fn palette<'a>(bytes: &mut Bytes<'a>, packed: u8) -> Result<&'a [u8], Refused> {
    if packed & 0x80 == 0 {
        return Ok(&[]);
    }
    bytes.take(3 << ((packed & 7) + 1))
}

/// Blocks, each with its length in front, up to an empty one.
fn blocks(bytes: &mut Bytes<'_>) -> Result<(), Refused> {
    loop {
        match bytes.u8()? {
            0 => return Ok(()),
            length => bytes.take(length.into())?,
        };
    }
}
