//! What a file is, by its first bytes.

use std::fmt;

use crate::header::Refused;

/// How many bytes [`sniff`] wants to see at most.
pub const HEAD: usize = 512;

/// A kind of picture that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// ITU T.81.
    Jpeg,
    /// PNG, with APNG.
    Png,
    /// GIF87a and GIF89a.
    Gif,
    /// RIFF WebP.
    WebP,
    /// AV1 in HEIF.
    Avif,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Gif, Self::WebP, Self::Avif];

    /// The media type it is served with.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
        }
    }

    /// How its file names end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Avif => "avif",
        }
    }

    /// The kind whose file names end so.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.extension() == extension)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Avif => "AVIF",
        })
    }
}

/// The kind of a file by its first [`HEAD`] bytes, or by all of a shorter one.
pub fn sniff(head: &[u8]) -> Result<Kind, Refused> {
    let head = &head[..head.len().min(HEAD)];
    if head.starts_with(b"\xff\xd8\xff") {
        return Ok(Kind::Jpeg);
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Kind::Png);
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return Ok(Kind::Gif);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Ok(Kind::WebP);
    }
    if head.get(4..8) == Some(b"ftyp") {
        return heif(head);
    }
    if looks_like_svg(head) { Err(Refused::Svg) } else { Err(Refused::Unknown) }
}

/// Which of the formats in HEIF it is, by its brands (ISO/IEC 14496-12 §4.3).
fn heif(head: &[u8]) -> Result<Kind, Refused> {
    let size = head.first_chunk::<4>().map_or(0, |size| u32::from_be_bytes(*size));
    let end = usize::try_from(size).unwrap_or(usize::MAX).min(head.len());
    // The major brand, its version, then the compatible ones.
    let brands = || head.get(8..end).unwrap_or_default().chunks_exact(4);
    if brands().any(|brand| matches!(brand, b"avif" | b"avis")) {
        Ok(Kind::Avif)
    } else if brands().any(|brand| matches!(brand, b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1")) {
        Err(Refused::Heic)
    } else {
        Err(Refused::Unknown)
    }
}

fn looks_like_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    text.starts_with("<svg") || (text.starts_with('<') && text.contains("<svg"))
}
