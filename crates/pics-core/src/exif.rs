//! The one thing of Exif that a picture needs to be shown right: its orientation (Exif 2.32 §4.6.5, tag 0x0112).

/// How a picture is to be turned: 1 to 8 as Exif counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// As stored.
    pub const UPRIGHT: Self = Self(1);

    /// 1 to 8; anything else is upright.
    pub fn new(value: u16) -> Self {
        u8::try_from(value).ok().filter(|value| (1..=8).contains(value)).map_or(Self::UPRIGHT, Self)
    }

    /// 1 to 8.
    pub fn value(self) -> u8 {
        self.0
    }

    /// Whether nothing is to be turned.
    pub fn is_upright(self) -> bool {
        self == Self::UPRIGHT
    }

    /// Whether width and height change places.
    pub fn swaps(self) -> bool {
        self.0 >= 5
    }
}

/// The orientation a TIFF structure (what stands behind `Exif\0\0`) gives; upright where it gives none.
pub(crate) fn orientation(tiff: &[u8]) -> Orientation {
    find(tiff).map_or(Orientation::UPRIGHT, Orientation::new)
}

fn find(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<2>()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<4>()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let folder = usize::try_from(u32_at(4)?).ok()?;
    let count = usize::from(u16_at(folder)?);
    (0..count)
        .map(|index| folder.saturating_add(2 + index * 12))
        .find(|entry| u16_at(*entry) == Some(0x0112))
        // A SHORT, one of them, in the entry itself.
        .filter(|entry| u16_at(entry + 2) == Some(3))
        .and_then(|entry| u16_at(entry + 8))
}

/// A TIFF structure that says the orientation and nothing else.
pub(crate) fn write(orientation: Orientation) -> [u8; 26] {
    let mut tiff = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    tiff[19] = orientation.value();
    tiff
}
