//! Reading a file from front to back without ever looking past its end.

use crate::header::Refused;
use crate::kind::Kind;

/// A file and how far it was read.
#[derive(Clone, Debug)]
pub struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
    kind: Kind,
}

impl<'a> Bytes<'a> {
    pub fn new(data: &'a [u8], kind: Kind) -> Self {
        Self { data, at: 0, kind }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> &'a [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let end = self.at.checked_add(count).ok_or(Refused::Truncated { kind: self.kind })?;
        let taken = self.data.get(self.at..end).ok_or(Refused::Truncated { kind: self.kind })?;
        self.at = end;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let kind = self.kind;
        self.take(N)?.try_into().map_err(|_| Refused::Truncated { kind })
    }

    pub fn u8(&mut self) -> Result<u8, Refused> {
        Ok(self.array::<1>()?[0])
    }

    pub fn be16(&mut self) -> Result<u16, Refused> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn be32(&mut self) -> Result<u32, Refused> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn le16(&mut self) -> Result<u16, Refused> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn le32(&mut self) -> Result<u32, Refused> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A big-endian number of `width` bytes, 0 to 8.
    pub fn be(&mut self, width: usize) -> Result<u64, Refused> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// The file is not what its kind says it should be.
    pub fn malformed(&self, what: &'static str) -> Refused {
        Refused::Malformed { kind: self.kind, what }
    }
}
