#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use crate::samples::*;
use crate::{Clean, HEAD, Kind, Limits, Refused, clean, sniff};

fn has(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn telling_of(kind: Kind) -> Vec<u8> {
    telling().into_iter().find(|(of, _)| *of == kind).unwrap().1
}

#[test]
fn nothing_that_was_told_beside_the_picture_is_left() {
    for (kind, file) in telling() {
        let Clean { header, bytes } = clean(&file).unwrap();
        assert_eq!(header.kind, kind);
        assert!(has(&file, SECRET) && !has(&bytes, SECRET), "{kind}");
        assert!(!has(&bytes, &SECRET[..8]) && !has(&bytes, b"script"), "{kind}");
    }
}

#[test]
fn what_is_seen_stays() {
    let jpeg = clean(&telling_of(Kind::Jpeg)).unwrap();
    assert!(has(&jpeg.bytes, b"ICC_PROFILE\0\x01\x01profile"));
    assert!(has(&jpeg.bytes, b"Adobe\0\x64\0\0\0\0\x01\xff"));
    assert!(has(&jpeg.bytes, b"\x12\x34\xff\x00\x56\xff\xd0\x78\xff\xd9"), "pixels are not touched");
    assert!(!has(&jpeg.bytes, b"abc"), "a thumbnail shows what was cut away");
    let png = clean(&telling_of(Kind::Png)).unwrap();
    assert!(has(&png.bytes, b"iCCP") && has(&png.bytes, b"\x78\x9c\x03"));
    let gif = clean(&telling_of(Kind::Gif)).unwrap();
    assert!(has(&gif.bytes, b"NETSCAPE2.0"));
    assert_eq!((gif.header.frames, gif.header.pixels), (2, 40 * 30 + 20 * 30));
    let webp = clean(&telling_of(Kind::WebP)).unwrap();
    assert!(has(&webp.bytes, b"ICCP\x07\0\0\0profile"));
    let avif = clean(&telling_of(Kind::Avif)).unwrap();
    assert!(has(&avif.bytes, &[7; 16]));
}

#[test]
fn a_picture_on_its_side_stays_on_its_side() {
    for kind in [Kind::Jpeg, Kind::Png, Kind::WebP] {
        let cleaned = clean(&telling_of(kind)).unwrap();
        assert_eq!(cleaned.header.orientation.value(), 6, "{kind}");
        assert_eq!((cleaned.header.width, cleaned.header.height), (40, 30));
        assert_eq!(cleaned.header.shown(), (30, 40));
        assert_eq!(clean(&cleaned.bytes).unwrap().header, cleaned.header, "a reader finds it again");
    }
}

#[test]
fn an_animation_stays_one() {
    let png = png(40, 30, &animation(40, 30, 3));
    let cleaned = clean(&png).unwrap();
    assert_eq!((cleaned.header.frames, cleaned.bytes), (3, png));
    let webp = webp(&[vp8x(2, 40, 30), riff(b"ANIM", &[0; 6]), anmf(40, 30), anmf(20, 10)]);
    let cleaned = clean(&webp).unwrap();
    assert_eq!((cleaned.header.frames, cleaned.header.pixels), (2, 1_400));
    assert_eq!(cleaned.bytes, webp);
}

#[test]
fn no_file_is_taken_that_was_not_sent_whole() {
    for (kind, file) in telling() {
        // Behind the last byte a picture needs, a cut takes nothing away.
        let file = if kind == Kind::Avif { avif(40, 30) } else { file };
        let whole = clean(&file).unwrap().bytes;
        for end in 0..whole.len() {
            assert!(clean(&whole[..end]).is_err(), "{kind} cut at {end} of {}", whole.len());
        }
        let half = clean(&whole[..whole.len() - 5]).unwrap_err();
        assert_eq!(half, Refused::Truncated { kind });
    }
}

#[test]
fn a_kind_is_told_by_content_and_never_by_name() {
    for (kind, file) in telling() {
        assert_eq!(sniff(&file), Ok(kind));
        assert_eq!(Kind::from_extension(kind.extension()), Some(kind));
    }
    assert_eq!(sniff(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), Err(Refused::Heic));
    assert_eq!(sniff(b"\0\0\0\x18ftypisom\0\0\0\0mp42avc1"), Err(Refused::Unknown));
    assert_eq!(sniff(b"PK\x03\x04"), Err(Refused::Unknown));
    assert_eq!(sniff(b""), Err(Refused::Unknown));
}

#[test]
fn svg_is_refused_however_it_begins() {
    for svg in [
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "\u{feff}<?xml version='1.0'?>\n<SVG/>",
        "  <!-- GIF89a -->\r\n<!DOCTYPE svg><svg onload='alert(1)'>",
    ] {
        assert_eq!(clean(svg.as_bytes()), Err(Refused::Svg), "{svg}");
    }
}

#[test]
fn a_png_of_four_thousand_megapixels_is_refused_by_its_header() {
    let cleaned = clean(&png(65_535, 65_535, &[])).unwrap();
    let refused = Limits::default().check(&cleaned.header).unwrap_err();
    assert!(matches!(refused, Refused::TooLarge { width: 65_535, .. }));
    assert!(refused.to_string().contains("65535 by 65535"), "{refused}");
    let limits = Limits { side: 50, frame: 1_000, ..Limits::default() };
    let check = |width, height| limits.check(&clean(&png(width, height, &[])).unwrap().header);
    assert_eq!((check(50, 20), check(51, 1).is_err(), check(50, 21).is_err()), (Ok(()), true, true));
}

#[test]
fn a_gif_of_a_hundred_thousand_frames_is_refused() {
    let cleaned = clean(&gif(40, 30, &vec![gif_frame(1, 1); 100_000])).unwrap();
    let refused = Limits::default().check(&cleaned.header).unwrap_err();
    assert!(matches!(refused, Refused::TooLong { frames: 100_000, .. }), "{refused}");
    // Few frames, but each of them huge.
    let cleaned = clean(&gif(8_000, 8_000, &vec![gif_frame(8_000, 8_000); 20])).unwrap();
    assert!(Limits::default().check(&cleaned.header).is_err());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let two_frames = [animation(40, 30, 3), vec![chunk(b"fcTL", &[0; 26])]].concat();
    let outside = vec![animation(40, 30, 1)[0].clone(), animation(41, 30, 1)[1].clone()];
    for (what, file) in [
        ("another number of frames", png(40, 30, &[chunk(b"acTL", &[0, 0, 0, 9, 0, 0, 0, 0])])),
        ("an empty frame", png(40, 30, &two_frames)),
        ("a frame outside", png(40, 30, &outside)),
        ("a critical part nobody knows", png(40, 30, &[chunk(b"EVIL", b"x")])),
        ("no pixels", webp(&[vp8x(0, 40, 30)])),
        ("canvas and picture differ", webp(&[vp8x(0, 4000, 30), vp8l(40, 30)])),
        ("a frame outside", webp(&[vp8x(2, 40, 30), anmf(41, 30)])),
        ("two pictures", webp(&[vp8l(40, 30), vp8l(40, 30)])),
        ("no frames", gif(40, 30, &[])),
        ("no screen", gif(0, 30, &[gif_frame(1, 1)])),
        ("two dimensions", jpeg(40, 30, &[segment(0xc0, &[8, 0, 1, 0, 1, 1, 1, 17, 0])])),
        ("no dimensions", jpeg(0, 30, &[])),
        ("a picture in a picture", jpeg(40, 30, &[vec![0xff, 0xd8]])),
    ] {
        let refused = clean(&file);
        assert!(matches!(refused, Err(Refused::Malformed { .. })), "{what}: {refused:?}");
    }
}

#[test]
fn a_wrong_checksum_is_seen() {
    let mut file = png(40, 30, &[]);
    let pixels = file.len() - 20;
    file[pixels] ^= 1;
    assert!(matches!(clean(&file), Err(Refused::Malformed { .. })));
}

#[test]
fn a_polyglot_is_only_the_picture_it_is() {
    let html = b"<html><script>alert(document.domain)</script></html>";
    let zip = b"PK\x05\x06aaaa<script>alert(1)</script>";
    for tail in [&html[..], zip] {
        for (kind, file) in telling() {
            let cleaned = clean(&[&file[..], tail].concat()).unwrap();
            assert!(!has(&cleaned.bytes, b"alert"), "{kind}");
        }
    }
    // A GIF whose width spells the beginning of a comment in JavaScript.
    let script = gif(0x2a2f, 0x3d2f, &[extension(0xfe, &[b"*/=1;alert(1)//"]), gif_frame(1, 1)]);
    assert!(!has(&clean(&script).unwrap().bytes, b"alert"));
}

#[test]
fn an_avif_whose_items_point_elsewhere_is_refused() {
    let file = avif(40, 30);
    let data = (file.len() - 16 - 2 * SECRET.len()) as u32;
    let at = file.windows(4).position(|window| window == data.to_be_bytes()).unwrap();
    let pointing = |to: u32| {
        let mut file = file.clone();
        file[at..at + 4].copy_from_slice(&to.to_be_bytes());
        clean(&file)
    };
    assert!(matches!(pointing(4), Err(Refused::Malformed { .. })), "into its own header");
    assert_eq!(pointing(u32::MAX), Err(Refused::Truncated { kind: Kind::Avif }));
}

fn any_file() -> impl Strategy<Value = (Kind, Vec<u8>)> {
    prop::sample::select(telling())
}

proptest! {
    #[test]
    fn bytes_changed_anywhere_break_no_promise(
        (_, mut file) in any_file(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        crate::fuzz::picture(&file);
    }

    #[test]
    fn comments_of_any_length_anywhere_are_left_out(
        length in 0_usize..4_000,
        code in prop::sample::select(vec![0xe1_u8, 0xe2, 0xe5, 0xed, 0xef, 0xfe]),
    ) {
        let words: Vec<u8> = SECRET.iter().copied().cycle().take(length).collect();
        let bare = clean(&jpeg(40, 30, &[])).unwrap();
        let told = clean(&jpeg(40, 30, &[segment(code, &words)])).unwrap();
        prop_assert_eq!(bare, told);
        let bare = clean(&png(40, 30, &[])).unwrap();
        let told = clean(&png(40, 30, &[chunk(b"tEXt", &words)])).unwrap();
        prop_assert_eq!(bare, told);
    }

    #[test]
    fn the_head_is_enough_to_tell_a_kind(bytes in prop::collection::vec(any::<u8>(), 0..2 * HEAD)) {
        prop_assert_eq!(sniff(&bytes), sniff(&bytes[..bytes.len().min(HEAD)]));
    }

    #[test]
    fn dimensions_are_those_of_the_header(width in 1_u16..=u16::MAX, height in 1_u16..=u16::MAX) {
        let (w, h) = (u32::from(width), u32::from(height));
        let files = [jpeg(width, height, &[]), png(w, h, &[]), gif(width, height, &[gif_frame(1, 1)]), avif(w, h)];
        for file in files {
            let header = clean(&file).unwrap().header;
            prop_assert_eq!((header.width, header.height), (w, h));
        }
        let (w, h) = (w.min(16_384), h.min(16_384));
        let header = clean(&webp(&[vp8l(w, h)])).unwrap().header;
        prop_assert_eq!((header.width, header.height), (w, h));
    }
}
