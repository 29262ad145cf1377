//! From a file to pixels, no more of them than a view needs where the format allows it.

use std::io::Cursor;

use jpeg_decoder::PixelFormat;
use pics_core::{Header, Kind};

use super::{Colours, NoView, Pixels, within};

/// What a decoder may take for one picture; the process as a whole has a little more.
const MOST_MEMORY: usize = 256 << 20;

/// The pixels of a picture; at least `wanted` on the longest side, if it has so many.
pub fn decode(header: &Header, file: &[u8], wanted: u32) -> Result<Pixels, NoView> {
    match header.kind {
        Kind::Jpeg => jpeg(header, file, wanted),
        Kind::Png => png(header, file, wanted),
        Kind::Gif => gif(file),
        Kind::WebP => webp(file),
        Kind::Avif => Err(NoView::Broken("there is no decoder for AVIF here".to_owned())),
    }
}

/// JPEG is decoded at an eighth, a quarter or half of its size where that is enough.
fn jpeg(header: &Header, file: &[u8], wanted: u32) -> Result<Pixels, NoView> {
    let mut decoder = jpeg_decoder::Decoder::new(file);
    decoder.set_max_decoding_buffer_size(MOST_MEMORY);
    let (width, height) = within(header.width, header.height, wanted);
    let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
    decoder.scale(side(width), side(height)).map_err(NoView::broken)?;
    let mut bytes = decoder.decode().map_err(NoView::broken)?;
    let info = decoder.info().ok_or_else(|| NoView::Broken("it has no dimensions".to_owned()))?;
    let mut profile = decoder.icc_profile();
    let colours = match info.pixel_format {
        PixelFormat::L8 => Colours::Grey,
        PixelFormat::RGB24 => Colours::Rgb,
        PixelFormat::CMYK32 => {
            bytes = rgb_of_cmyk(&bytes);
            // It describes inks.
            profile = None;
            Colours::Rgb
        }
        PixelFormat::L16 => return Err(NoView::Broken("it has 16 bits a colour".to_owned())),
    };
    let (width, height) = (info.width.into(), info.height.into());
    Ok(Pixels { width, height, colours, bytes, photo: true, profile })
}

fn rgb_of_cmyk(inks: &[u8]) -> Vec<u8> {
    let mixed = |ink: u8, black: u8| {
        let light = u32::from(255 - ink) * u32::from(255 - black);
        u8::try_from((light + 127) / 255).unwrap_or(u8::MAX)
    };
    inks.chunks_exact(4).flat_map(|ink| [0, 1, 2].map(|colour| mixed(ink[colour], ink[3]))).collect()
}

/// PNG comes row by row: of a huge one, blocks of pixels are put together as they come.
fn png(header: &Header, file: &[u8], wanted: u32) -> Result<Pixels, NoView> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: 64 << 20 });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(NoView::broken)?;
    let profile = reader.info().icc_profile.as_ref().map(|profile| profile.to_vec());
    let (stored, _) = reader.output_color_type();
    let colours = match stored {
        png::ColorType::Grayscale => Colours::Grey,
        png::ColorType::Rgb => Colours::Rgb,
        png::ColorType::GrayscaleAlpha | png::ColorType::Rgba => Colours::Rgba,
        png::ColorType::Indexed => return Err(NoView::Broken("its palette was not applied".to_owned())),
    };
    let (width, height) = (header.width, header.height);
    if header.interlaced {
        let size =
            reader.output_buffer_size().filter(|size| *size <= MOST_MEMORY / 2).ok_or(NoView::Memory)?;
        let mut bytes = vec![0; size];
        reader.next_frame(&mut bytes).map_err(NoView::broken)?;
        let bytes = if stored == png::ColorType::GrayscaleAlpha { rgba_of_grey(&bytes) } else { bytes };
        return Ok(opaque(Pixels { width, height, colours, bytes, photo: false, profile }));
    }
    // Twice the pixels of the view are enough to scale well from.
    let block = (width.max(height) / (2 * wanted).max(1)).max(1);
    let mut blocks = Blocks::new(width, height, colours, block)?;
    while let Some(row) = reader.next_row().map_err(NoView::broken)? {
        if stored == png::ColorType::GrayscaleAlpha {
            blocks.row(&rgba_of_grey(row.data()));
        } else {
            blocks.row(row.data());
        }
    }
    blocks.done(profile)
}

fn rgba_of_grey(pixels: &[u8]) -> Vec<u8> {
    pixels.chunks_exact(2).flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]]).collect()
}

/// Puts blocks of `block` by `block` pixels together into one each.
struct Blocks {
    width: u32,
    height: u32,
    colours: Colours,
    block: u32,
    /// Sums of the row of blocks that is being read.
    sums: Vec<u64>,
    rows: u32,
    read: u32,
    bytes: Vec<u8>,
}

impl Blocks {
    fn new(width: u32, height: u32, colours: Colours, block: u32) -> Result<Self, NoView> {
        let size =
            u64::from(width.div_ceil(block)) * u64::from(height.div_ceil(block)) * colours.bytes() as u64;
        let size =
            usize::try_from(size).ok().filter(|size| *size <= MOST_MEMORY / 2).ok_or(NoView::Memory)?;
        let sums = if block == 1 { 0 } else { width.div_ceil(block) as usize * colours.bytes() };
        Ok(Self {
            width,
            height,
            colours,
            block,
            sums: vec![0; sums],
            rows: 0,
            read: 0,
            bytes: Vec::with_capacity(size),
        })
    }

    fn row(&mut self, row: &[u8]) {
        self.read += 1;
        if self.block == 1 {
            self.bytes.extend_from_slice(row);
            return;
        }
        let step = self.colours.bytes();
        for (pixels, sums) in row.chunks(self.block as usize * step).zip(self.sums.chunks_mut(step)) {
            for pixel in pixels.chunks_exact(step) {
                // What nobody sees through a pixel has no colour that counts.
                let weight = if step == 4 { u64::from(pixel[3]) } else { 1 };
                for (colour, (sum, byte)) in sums.iter_mut().zip(pixel).enumerate() {
                    *sum += u64::from(*byte) * if step == 4 && colour < 3 { weight } else { 1 };
                }
            }
        }
        self.rows += 1;
        if self.rows == self.block || self.read == self.height {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let step = self.colours.bytes();
        for (column, sums) in self.sums.chunks_mut(step).enumerate() {
            let from = u32::try_from(column).unwrap_or_default() * self.block;
            let count = u64::from(self.block.min(self.width - from)) * u64::from(self.rows);
            let opacity = if step == 4 { sums[3] } else { 0 };
            for (colour, sum) in sums.iter_mut().enumerate() {
                let of = if step == 4 && colour < 3 { opacity } else { count };
                self.bytes.push(
                    u8::try_from((*sum + of / 2).checked_div(of).unwrap_or_default()).unwrap_or(u8::MAX),
                );
                *sum = 0;
            }
        }
        self.rows = 0;
    }

    fn done(self, profile: Option<Vec<u8>>) -> Result<Pixels, NoView> {
        if self.read != self.height {
            return Err(NoView::Broken("rows of it are missing".to_owned()));
        }
        let (width, height) = (self.width.div_ceil(self.block), self.height.div_ceil(self.block));
        Ok(opaque(Pixels { width, height, colours: self.colours, bytes: self.bytes, photo: false, profile }))
    }
}

/// The first frame of a GIF on its screen.
fn gif(file: &[u8]) -> Result<Pixels, NoView> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    options.check_frame_consistency(false);
    let mut decoder = options.read_info(file).map_err(NoView::broken)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let size = width * height * 4;
    if size > MOST_MEMORY / 2 {
        return Err(NoView::Memory);
    }
    let frame = decoder.read_next_frame().map_err(NoView::broken)?;
    let frame = frame.ok_or_else(|| NoView::Broken("it has no pixels".to_owned()))?;
    let mut bytes = vec![0; size];
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let visible = usize::from(frame.width).min(width.saturating_sub(left)) * 4;
    let rows = frame.buffer.chunks_exact((usize::from(frame.width) * 4).max(1));
    for (row, to) in rows.zip(bytes.chunks_exact_mut(width * 4).skip(top)) {
        to[left.min(width) * 4..][..visible].copy_from_slice(&row[..visible]);
    }
    let (width, height) = (decoder.width().into(), decoder.height().into());
    Ok(opaque(Pixels { width, height, colours: Colours::Rgba, bytes, photo: false, profile: None }))
}

/// A WebP, or the first frame of one.
fn webp(file: &[u8]) -> Result<Pixels, NoView> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(file)).map_err(NoView::broken)?;
    decoder.set_memory_limit(MOST_MEMORY);
    let size = decoder.output_buffer_size().filter(|size| *size <= MOST_MEMORY / 2).ok_or(NoView::Memory)?;
    let colours = if decoder.has_alpha() { Colours::Rgba } else { Colours::Rgb };
    let profile = decoder.icc_profile().map_err(NoView::broken)?;
    let photo = decoder.is_lossy();
    let mut bytes = vec![0; size];
    if decoder.is_animated() {
        decoder.read_frame(&mut bytes).map_err(NoView::broken)?;
    } else {
        decoder.read_image(&mut bytes).map_err(NoView::broken)?;
    }
    let (width, height) = decoder.dimensions();
    Ok(opaque(Pixels { width, height, colours, bytes, photo, profile }))
}

/// The same without an alpha channel that says nothing.
fn opaque(pixels: Pixels) -> Pixels {
    if pixels.colours != Colours::Rgba || pixels.bytes.chunks_exact(4).any(|pixel| pixel[3] != 255) {
        return pixels;
    }
    let bytes = pixels.bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Pixels { colours: Colours::Rgb, bytes, ..pixels }
}
