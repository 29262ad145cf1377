#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use pics_core::{clean, samples};

use super::*;

/// Red on the left, green at the top, with noise no palette holds.
fn photo(width: u16, height: u16) -> Vec<u8> {
    let (w, h) = (u32::from(width), u32::from(height));
    let mut noise = 1_u32;
    let pixel = |at: u32| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (at % w, at / w);
        [255 - x * 200 / w, 255 - y * 200 / h, 40 + (noise >> 27)].map(|colour| colour as u8)
    };
    (0..w * h).flat_map(pixel).collect()
}

fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 90);
    encoder.add_icc_profile(b"a colour profile").unwrap();
    encoder.encode(&photo(width, height), width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    out
}

fn png(width: u32, height: u32, colours: png::ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(colours);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    out
}

fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = gif::Encoder::new(&mut out, width, height, &[9, 9, 9, 250, 250, 250]).unwrap();
    for frame in 0..frames {
        let size = usize::from(width) * usize::from(height);
        let pixels: Vec<u8> = (0..size).map(|at| u8::from((at * 7 + frame) % 23 < 11)).collect();
        encoder.write_frame(&gif::Frame::from_indexed_pixels(width, height, pixels, None)).unwrap();
    }
    drop(encoder);
    out
}

fn made(file: &[u8]) -> Vec<(View, Vec<u8>)> {
    let cleaned = clean(file).unwrap();
    of(&cleaned.header, &cleaned.bytes).unwrap()
}

fn sizes(made: &[(View, Vec<u8>)]) -> Vec<(u32, u32, u32)> {
    made.iter().map(|(view, _)| (view.side, view.width, view.height)).collect()
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// The colours in a corner of a view: 0, 0 is at the top left.
fn corner(file: &[u8], right: bool, bottom: bool) -> [u8; 3] {
    let header = clean(file).unwrap().header;
    let pixels = decode::decode(&header, file, 10_000).unwrap();
    let (x, y) = (if right { pixels.width - 4 } else { 3 }, if bottom { pixels.height - 4 } else { 3 });
    let at = (y * pixels.width + x) as usize * pixels.colours.bytes();
    [pixels.bytes[at], pixels.bytes[at + 1], pixels.bytes[at + 2]]
}

#[test]
fn a_photo_has_both_views_as_jpeg_with_its_colour_profile_and_nothing_else() {
    let file = jpeg(2_000, 1_500);
    let made = made(&file);
    assert_eq!(sizes(&made), [(1_600, 1_600, 1_200), (400, 400, 300)]);
    for (view, bytes) in &made {
        let cleaned = clean(bytes).unwrap();
        assert_eq!((view.kind.as_str(), cleaned.header.width), ("jpg", view.width));
        assert!(has(bytes, b"ICC_PROFILE\0\x01\x01a colour profile"));
        assert!(bytes.len() < file.len());
        let [red, green, _] = corner(bytes, false, false);
        assert!(red > 230 && green > 230, "{red} {green}");
        let [red, green, _] = corner(bytes, true, false);
        assert!(red < 80 && green > 230, "{red} {green}");
    }
}

#[test]
fn nothing_is_ever_made_larger() {
    assert!(made(&jpeg(400, 300)).is_empty());
    assert_eq!(sizes(&made(&jpeg(800, 300))), [(400, 400, 150)]);
    assert_eq!(sizes(&made(&jpeg(300, 1_600))), [(400, 75, 400)]);
    // A view that would take more bytes than the picture is none.
    let flat = png(401, 401, png::ColorType::Grayscale, &[7; 401 * 401]);
    for (_, bytes) in made(&flat) {
        assert!(bytes.len() < flat.len());
    }
}

#[test]
fn a_photo_that_lies_on_its_side_stands_up_in_its_views() {
    for (orientation, [red, green]) in
        [(1, [true, true]), (3, [false, false]), (6, [true, true]), (8, [true, true])]
    {
        let exif = [b"Exif\0\0".as_slice(), &samples::tiff(orientation)].concat();
        let mut file = jpeg(800, 600);
        file.splice(2..2, samples::segment(0xe1, &exif));
        let made = made(&file);
        let expected = if orientation >= 5 { (400, 300, 400) } else { (400, 400, 300) };
        assert_eq!(sizes(&made), [expected]);
        // The corner that was at the top left is where the orientation puts it.
        let (right, bottom) = match orientation {
            3 => (true, true),
            6 => (true, false),
            8 => (false, true),
            _ => (false, false),
        };
        let [r, g, _] = corner(&made[0].1, right, bottom);
        assert!(r > 220 && g > 220, "{orientation}: {r} {g}");
        let [r, g, _] = corner(&made[0].1, false, false);
        let seen = [r > 150 || orientation == 8, g > 150 || orientation == 6];
        assert_eq!(seen, [red, green], "{orientation}: {r} {g}");
    }
}

#[test]
fn what_is_transparent_stays_so_as_webp() {
    let pixels: Vec<u8> =
        (0..600_u32 * 500).flat_map(|at| [200, 10, 10, if at % 600 < 300 { 255 } else { 0 }]).collect();
    let made = made(&png(600, 500, png::ColorType::Rgba, &pixels));
    let (view, bytes) = &made[0];
    assert_eq!((view.kind.as_str(), view.width, view.height), ("webp", 400, 333));
    let decoded = decode::decode(&clean(bytes).unwrap().header, bytes, 400).unwrap();
    assert_eq!(decoded.colours, Colours::Rgba);
    assert_eq!((decoded.bytes[3], decoded.bytes[4 * 399 + 3]), (255, 0));
}

#[test]
fn flat_colours_are_webp_because_that_is_smaller() {
    let pixels: Vec<u8> =
        (0..1_000_u32 * 500).flat_map(|at| [[0, 0, 0], [255, 255, 255]][(at / 100 % 2) as usize]).collect();
    let made = made(&png(1_000, 500, png::ColorType::Rgb, &pixels));
    for (view, bytes) in &made {
        assert_eq!(view.kind, "webp");
        assert!(bytes.len() < 5_000, "{}", bytes.len());
    }
}

#[test]
fn rows_of_a_huge_png_are_put_together_as_they_come() {
    let (width, height) = (7_000_u32, 5_001_u32);
    let pixels: Vec<u8> =
        (0..width * height).map(|at| if at % width < width / 2 { 20 } else { 220 }).collect();
    let file = png(width, height, png::ColorType::Grayscale, &pixels);
    let header = clean(&file).unwrap().header;
    let pixels = decode::decode(&header, &file, 400).unwrap();
    assert_eq!((pixels.width, pixels.height), (875, 626));
    let row = &pixels.bytes[pixels.bytes.len() - 875..];
    assert_eq!((row[0], row[874]), (20, 220));
}

#[test]
fn an_animation_has_a_still_for_lists_and_itself_for_looking_at() {
    let made = made(&gif(1_700, 20, 3));
    assert_eq!(sizes(&made), [(400, 400, 5)]);
    assert_eq!(clean(&made[0].1).unwrap().header.frames, 1);
}

#[test]
fn every_kind_that_has_a_decoder_has_views() {
    let rgb = photo(900, 600);
    let mut webp = Vec::new();
    image_webp::WebPEncoder::new(&mut webp).encode(&rgb, 900, 600, image_webp::ColorType::Rgb8).unwrap();
    for file in [webp, png(900, 600, png::ColorType::Rgb, &rgb), jpeg(900, 600)] {
        assert_eq!(sizes(&made(&file)), [(400, 400, 267)]);
    }
}

#[test]
fn pixels_that_are_cut_short_or_nonsense_are_an_error_and_never_a_panic() {
    for file in [jpeg(64, 48), png(64, 48, png::ColorType::Rgb, &photo(64, 48)), gif(64, 48, 1)] {
        let cleaned = clean(&file).unwrap();
        for at in (20..cleaned.bytes.len()).step_by(7) {
            let mut broken = cleaned.bytes.clone();
            broken[at] ^= 0x5a;
            let _ = of(&cleaned.header, &broken);
            let _ = of(&cleaned.header, &cleaned.bytes[..at]);
        }
    }
}

#[test]
fn a_view_keeps_its_shape() {
    assert_eq!(within(4_000, 3_000, 400), (400, 300));
    assert_eq!(within(3_000, 4_000, 400), (300, 400));
    assert_eq!(within(10_000, 1, 400), (400, 1));
    assert_eq!(within(400, 400, 400), (400, 400));
    assert_eq!(within(1, 1, 400), (1, 1));
}
