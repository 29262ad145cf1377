//! From pixels to a file for browsers.

use image_webp::{ColorType as WebpColours, WebPEncoder};
use jpeg_encoder::{ColorType as JpegColours, Encoder};
use pics_core::Kind;

use super::{Colours, NoView, Pixels};

/// Where artefacts begin to show lies below, where bytes are wasted above.
const QUALITY: u8 = 80;

/// The smallest file that shows these pixels well.
pub fn smallest(pixels: &Pixels) -> Result<(Kind, Vec<u8>), NoView> {
    if pixels.colours == Colours::Rgba {
        return Ok((Kind::WebP, webp(pixels)?));
    }
    let jpeg = jpeg(pixels)?;
    if pixels.photo {
        return Ok((Kind::Jpeg, jpeg));
    }
    let webp = webp(pixels)?;
    Ok(if webp.len() <= jpeg.len() { (Kind::WebP, webp) } else { (Kind::Jpeg, jpeg) })
}

fn jpeg(pixels: &Pixels) -> Result<Vec<u8>, NoView> {
    let colours = match pixels.colours {
        Colours::Grey => JpegColours::Luma,
        Colours::Rgb => JpegColours::Rgb,
        Colours::Rgba => JpegColours::Rgba,
    };
    let side = |length: u32| u16::try_from(length).map_err(NoView::broken);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, QUALITY);
    encoder.set_optimized_huffman_tables(true);
    if let Some(profile) = pixels.profile.as_ref().filter(|profile| !profile.is_empty()) {
        encoder.add_icc_profile(profile).map_err(NoView::broken)?;
    }
    encoder
        .encode(&pixels.bytes, side(pixels.width)?, side(pixels.height)?, colours)
        .map_err(NoView::broken)?;
    Ok(out)
}

fn webp(pixels: &Pixels) -> Result<Vec<u8>, NoView> {
    let colours = match pixels.colours {
        Colours::Grey => WebpColours::L8,
        Colours::Rgb => WebpColours::Rgb8,
        Colours::Rgba => WebpColours::Rgba8,
    };
    let mut out = Vec::new();
    let mut encoder = WebPEncoder::new(&mut out);
    if let Some(profile) = &pixels.profile {
        encoder.set_icc_profile(profile.clone());
    }
    encoder.encode(&pixels.bytes, pixels.width, pixels.height, colours).map_err(NoView::broken)?;
    Ok(out)
}
