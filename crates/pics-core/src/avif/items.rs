//! The items of an AVIF file: what each is, where its bytes are, how large the picture is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Part, full, malformed, parts, truncated};
use crate::bytes::Bytes;
use crate::header::Refused;

/// More than any encoder makes; each costs memory here.
const MOST: usize = 4096;

type Fields<'a> = (u8, u32, Bytes<'a>);

/// A piece of an item: in the file or in `idat`.
#[derive(Clone, Copy, Debug)]
struct Extent {
    inline: bool,
    from: u64,
    length: u64,
}

#[derive(Clone, Copy, Debug)]
enum Property {
    Size(u32, u32),
    /// Quarter turns.
    Turn(u8),
    Other,
}

/// What `meta` says.
#[derive(Debug, Default)]
pub struct Items {
    /// Where the content of `idat` is.
    pub inline: Option<Range<usize>>,
    primary: Option<u32>,
    metadata: BTreeSet<u32>,
    extents: Vec<(u32, Extent)>,
    all: Vec<Property>,
    of: BTreeMap<u32, Vec<usize>>,
}

impl Items {
    pub fn primary(&mut self, (version, _, mut fields): Fields<'_>) -> Result<(), Refused> {
        self.primary = Some(id(&mut fields, version > 0)?);
        Ok(())
    }

    /// `iinf`: what each item is.
    pub fn kinds(&mut self, file: &[u8], list: &Part) -> Result<(), Refused> {
        let (version, _, mut fields) = full(file, list)?;
        id(&mut fields, version > 0)?;
        let begin = list.body.start + fields.at();
        for entry in parts(file, begin..list.body.end)? {
            if &entry.name != b"infe" {
                continue;
            }
            let (version, _, mut fields) = full(file, &entry)?;
            if version < 2 {
                return Err(malformed("it lists its items as no AVIF does"));
            }
            let item = id(&mut fields, version > 2)?;
            let _protection = fields.be16()?;
            if matches!(&fields.array()?, b"Exif" | b"mime" | b"uri ") {
                self.metadata.insert(item);
            }
        }
        Ok(())
    }

    /// `iloc`: where the bytes of each item are.
    pub fn places(&mut self, (version, _, mut fields): Fields<'_>) -> Result<(), Refused> {
        if version > 2 {
            return Err(malformed("it places its items as no AVIF does"));
        }
        let widths = fields.be16()?;
        let width = |shift: u16| usize::from((widths >> shift) & 15);
        let (offset, length, base, index) = (width(12), width(8), width(4), width(0));
        if [offset, length, base, index].iter().any(|width| *width > 8) || length == 0 {
            return Err(malformed("it places its items as no AVIF does"));
        }
        let count = id(&mut fields, version == 2)?;
        for _ in 0..count {
            let item = id(&mut fields, version == 2)?;
            let method = if version > 0 { fields.be16()? & 15 } else { 0 };
            let elsewhere = fields.be16()?;
            if method > 1 || elsewhere != 0 {
                return Err(malformed("an item is not in the file itself"));
            }
            let base = fields.be(base)?;
            for _ in 0..fields.be16()? {
                if version > 0 {
                    fields.be(index)?;
                }
                let from = base.checked_add(fields.be(offset)?).ok_or_else(truncated)?;
                let extent = Extent { inline: method == 1, from, length: fields.be(length)? };
                self.extents.push((item, extent));
                if self.extents.len() > MOST {
                    return Err(malformed("it has too many items"));
                }
            }
        }
        Ok(())
    }

    /// `iprp`: all properties, then which item has which.
    pub fn properties(&mut self, file: &[u8], list: &Part) -> Result<(), Refused> {
        for part in parts(file, list.body.clone())? {
            match &part.name {
                b"ipco" => {
                    for property in parts(file, part.body.clone())? {
                        self.all.push(read_property(file, &property)?);
                    }
                }
                b"ipma" => self.associations(full(file, &part)?)?,
                _ => {}
            }
        }
        if self.all.len() > MOST {
            return Err(malformed("it has too many properties"));
        }
        Ok(())
    }

    fn associations(&mut self, (version, flags, mut fields): Fields<'_>) -> Result<(), Refused> {
        for _ in 0..fields.be32()? {
            let item = id(&mut fields, version > 0)?;
            for _ in 0..fields.u8()? {
                let index =
                    if flags & 1 == 1 { fields.be16()? & 0x7fff } else { (fields.u8()? & 0x7f).into() };
                self.of.entry(item).or_default().push(index.into());
            }
        }
        Ok(())
    }

    /// Properties of the picture itself.
    fn own(&self) -> impl Iterator<Item = Property> {
        let indexes = self.primary.and_then(|primary| self.of.get(&primary)).into_iter().flatten();
        indexes.filter_map(|index| self.all.get(index.checked_sub(1)?).copied())
    }

    /// Width and height of the picture, before it is turned.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.own().find_map(|property| match property {
            Property::Size(width, height) => Some((width, height)),
            Property::Turn(_) | Property::Other => None,
        })
    }

    /// Pixels of the largest item.
    pub fn largest(&self) -> u64 {
        let pixels = self.all.iter().filter_map(|property| match property {
            Property::Size(width, height) => Some(u64::from(*width) * u64::from(*height)),
            Property::Turn(_) | Property::Other => None,
        });
        pixels.max().unwrap_or(0)
    }

    /// Whether the picture is turned by a quarter before it is shown.
    pub fn is_on_its_side(&self) -> bool {
        self.own().any(|property| matches!(property, Property::Turn(quarters) if quarters % 2 == 1))
    }

    /// Where the bytes of every item are, and whether it is metadata.
    pub fn ranges(&self, end: usize) -> Result<Vec<(Range<usize>, bool)>, Refused> {
        let range = |extent: &Extent| {
            let start = if extent.inline { self.inline.as_ref()?.start } else { 0 };
            let from = start.checked_add(usize::try_from(extent.from).ok()?)?;
            let stop = from.checked_add(usize::try_from(extent.length).ok()?)?;
            (stop <= end).then_some(from..stop)
        };
        let found = self
            .extents
            .iter()
            .map(|(item, extent)| Ok((range(extent).ok_or_else(truncated)?, self.metadata.contains(item))));
        found.collect()
    }
}

fn id(fields: &mut Bytes<'_>, wide: bool) -> Result<u32, Refused> {
    if wide { fields.be32() } else { Ok(fields.be16()?.into()) }
}

fn read_property(file: &[u8], part: &Part) -> Result<Property, Refused> {
    Ok(match &part.name {
        b"ispe" => {
            let (_, _, mut fields) = full(file, part)?;
            Property::Size(fields.be32()?, fields.be32()?)
        }
        b"irot" => Property::Turn(file.get(part.body.start).map_or(0, |turn| turn & 3)),
        _ => Property::Other,
    })
}
