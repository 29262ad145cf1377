//! JPEG (ITU T.81): a list of segments, with pixels between them.

use crate::Clean;
use crate::bytes::Bytes;
use crate::exif::{self, Orientation};
use crate::header::{Header, Refused};
use crate::kind::Kind;

/// A progressive picture has some ten scans; each costs a decoder a walk over all of it.
const MOST_SCANS: u32 = 256;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

#[derive(Default)]
struct Walk {
    out: Vec<u8>,
    /// Where a segment with the orientation goes: behind the JFIF one, which must be first.
    front: usize,
    size: Option<(u32, u32)>,
    scans: u32,
    jfif: bool,
    orientation: Option<Orientation>,
}

pub fn clean(file: &[u8]) -> Result<Clean, Refused> {
    let mut bytes = Bytes::new(file, Kind::Jpeg);
    let mut walk = Walk { out: Vec::with_capacity(file.len()), ..Walk::default() };
    walk.out.extend_from_slice(bytes.take(2)?);
    walk.front = walk.out.len();
    loop {
        match marker(&mut bytes)? {
            SOI => return Err(bytes.malformed("a second picture begins inside it")),
            EOI => break,
            // Restart markers and TEM stand alone, and mean nothing between segments.
            0x01 | 0xd0..=0xd7 => {}
            code => walk.segment(code, &mut bytes)?,
        }
    }
    walk.out.extend_from_slice(&[0xff, EOI]);
    if walk.scans == 0 {
        return Err(bytes.malformed("it has no pixels"));
    }
    let (width, height) = walk.size.ok_or_else(|| bytes.malformed("it has no dimensions"))?;
    let orientation = walk.orientation.unwrap_or(Orientation::UPRIGHT);
    if !orientation.is_upright() {
        let tiff = exif::write(orientation);
        let segment = [b"\xff\xe1\0\x22Exif\0\0".as_slice(), &tiff].concat();
        walk.out.splice(walk.front..walk.front, segment);
    }
    let header = Header { orientation, ..Header::still(Kind::Jpeg, width, height) };
    Ok(Clean { header, bytes: walk.out })
}

/// The next marker. What stands before it belongs to nothing and is left out.
fn marker(bytes: &mut Bytes<'_>) -> Result<u8, Refused> {
    loop {
        let ahead = memchr::memchr(0xff, bytes.left()).unwrap_or(bytes.left().len());
        bytes.take(ahead + 1)?;
        let mut code = bytes.u8()?;
        while code == 0xff {
            code = bytes.u8()?;
        }
        if code != 0 {
            return Ok(code);
        }
    }
}

impl Walk {
    fn segment(&mut self, code: u8, bytes: &mut Bytes<'_>) -> Result<(), Refused> {
        let length = usize::from(bytes.be16()?);
        let body =
            bytes.take(length.checked_sub(2).ok_or_else(|| bytes.malformed("a segment is too short"))?)?;
        match code {
            0xc0..=0xc2 => self.frame(body, bytes)?,
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xdc => {
                return Err(bytes.malformed("it is of a variant that browsers do not show"));
            }
            0xc4 | 0xdb | 0xdd => {}
            SOS => {
                self.scans += 1;
                if self.size.is_none() {
                    return Err(bytes.malformed("its pixels come before its dimensions"));
                }
                if self.scans > MOST_SCANS {
                    return Err(bytes.malformed("it has too many scans"));
                }
            }
            0xe0 if !self.jfif && self.out.len() == 2 && body.len() >= 14 && body.starts_with(b"JFIF\0") => {
                // Without its thumbnail, which shows what was cut away later.
                self.jfif = true;
                self.keep(code, &[&body[..12], &[0, 0]].concat());
                self.front = self.out.len();
                return Ok(());
            }
            0xe1 if self.orientation.is_none() && body.starts_with(b"Exif\0\0") => {
                self.orientation = Some(exif::orientation(&body[6..]));
                return Ok(());
            }
            0xe2 if body.starts_with(b"ICC_PROFILE\0") => {}
            // How the colours are to be understood (Adobe technical note 5116).
            0xee if body.len() >= 12 && body.starts_with(b"Adobe") => {
                self.keep(code, &body[..12]);
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.keep(code, body);
        if code == SOS { self.scan(bytes) } else { Ok(()) }
    }

    fn frame(&mut self, body: &[u8], bytes: &Bytes<'_>) -> Result<(), Refused> {
        let &[precision, h1, h2, w1, w2, ..] = body else {
            return Err(bytes.malformed("its dimensions are cut short"));
        };
        let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
        if precision != 8 {
            return Err(bytes.malformed("browsers show only 8 bits a colour"));
        }
        if width == 0 || height == 0 {
            return Err(bytes.malformed("it has no dimensions"));
        }
        if self.size.replace((width.into(), height.into())).is_some() {
            return Err(bytes.malformed("it has two dimensions"));
        }
        Ok(())
    }

    /// A segment as it is written; `body` came from one, so its length fits.
    fn keep(&mut self, code: u8, body: &[u8]) {
        let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
        self.out.extend_from_slice(&[0xff, code]);
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(body);
    }

    /// Pixels, up to the next marker that is not part of them.
    fn scan(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Refused> {
        loop {
            let left = bytes.left();
            let end = memchr::memchr(0xff, left).unwrap_or(left.len());
            self.out.extend_from_slice(&left[..end]);
            match left.get(end + 1) {
                // A stuffed byte, a restart.
                Some(0 | 0xd0..=0xd7) => {
                    self.out.extend_from_slice(&left[end..end + 2]);
                    bytes.take(end + 2)?;
                }
                // A fill byte.
                Some(0xff) => {
                    bytes.take(end + 1)?;
                }
                Some(_) => {
                    bytes.take(end)?;
                    return Ok(());
                }
                None => return Err(Refused::Truncated { kind: Kind::Jpeg }),
            }
        }
    }
}
