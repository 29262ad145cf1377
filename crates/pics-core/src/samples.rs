//! Small files of each kind, put together by hand: what the tests of every crate cut, stuff and lie with.
//!
//! Their pixels are not worth decoding; their containers are right.

use crate::kind::Kind;
use crate::png::crc32;

/// What is hidden in every place that is to stay behind.
pub const SECRET: &[u8] = b"GPS 48.2082N 16.3738E <script>alert(1)</script>";

/// A TIFF structure with an orientation, the secret behind it.
pub fn tiff(orientation: u8) -> Vec<u8> {
    let mut tiff = crate::exif::write(crate::Orientation::new(orientation.into())).to_vec();
    tiff.extend_from_slice(SECRET);
    tiff
}

/// A segment of a JPEG.
pub fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX).to_be_bytes();
    [&[0xff, code], &length[..], body].concat()
}

/// A JPEG with these segments behind its JFIF one.
pub fn jpeg(width: u16, height: u16, further: &[Vec<u8>]) -> Vec<u8> {
    let (h, w) = (height.to_be_bytes(), width.to_be_bytes());
    let frame = [8, h[0], h[1], w[0], w[1], 1, 1, 0x11, 0];
    let jfif = b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01abc";
    [
        b"\xff\xd8".to_vec(),
        segment(0xe0, jfif),
        further.concat(),
        segment(0xdb, &[1; 65]),
        segment(0xc0, &frame),
        segment(0xc4, &[0; 20]),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        b"\x12\x34\xff\x00\x56\xff\xd0\x78".to_vec(),
        b"\xff\xd9".to_vec(),
    ]
    .concat()
}

/// A chunk of a PNG, its checksum right.
pub fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [&name[..], body].concat();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], &named, &crc32(&named).to_be_bytes()].concat()
}

/// A PNG with these chunks behind its header.
pub fn png(width: u32, height: u32, further: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        further.concat(),
        chunk(b"IDAT", b"\x78\x9c\x03\0\0\0\0\x01"),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

/// What makes a PNG an animation of these frames, each as large as the picture.
pub fn animation(width: u32, height: u32, frames: u32) -> Vec<Vec<u8>> {
    let mut chunks = vec![chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat())];
    for sequence in 0..frames {
        let place = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
        chunks.push(chunk(b"fcTL", &[&place[..], &[0, 1, 0, 10, 0, 0]].concat()));
    }
    chunks
}

/// One frame of a GIF with its control.
pub fn gif_frame(width: u16, height: u16) -> Vec<u8> {
    let (w, h) = (width.to_le_bytes(), height.to_le_bytes());
    let control = [0x21, 0xf9, 4, 4, 10, 0, 0, 0];
    let image = [0x2c, 0, 0, 0, 0, w[0], w[1], h[0], h[1], 0, 2, 2, 0x4c, 0x01, 0];
    [&control[..], &image].concat()
}

/// A GIF of these parts.
pub fn gif(width: u16, height: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    let (w, h) = (width.to_le_bytes(), height.to_le_bytes());
    [
        b"GIF89a".to_vec(),
        vec![w[0], w[1], h[0], h[1], 0x80, 0, 0, 0, 0, 0, 255, 255, 255],
        parts.concat(),
        vec![0x3b],
    ]
    .concat()
}

/// An extension of a GIF: its label, and blocks.
pub fn extension(label: u8, blocks: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![0x21, label];
    for block in blocks {
        out.push(u8::try_from(block.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(block);
    }
    out.push(0);
    out
}

/// A chunk of a WebP.
pub fn riff(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let fill: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
    [&name[..], &length, body, fill].concat()
}

/// The pixels of a lossless WebP, as far as their dimensions.
pub fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let sizes = (width - 1) | ((height - 1) << 14);
    riff(b"VP8L", &[&[0x2f], &sizes.to_le_bytes()[..], &[0x88, 0x88, 0x08]].concat())
}

/// The header of an extended WebP.
pub fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let (w, h) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
    riff(b"VP8X", &[flags, 0, 0, 0, w[0], w[1], w[2], h[0], h[1], h[2]])
}

/// One frame of an animated WebP.
pub fn anmf(width: u32, height: u32) -> Vec<u8> {
    let (w, h) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
    let place = [0, 0, 0, 0, 0, 0, w[0], w[1], w[2], h[0], h[1], h[2], 10, 0, 0, 0];
    riff(b"ANMF", &[&place[..], &vp8l(width, height)].concat())
}

/// A WebP of these chunks.
pub fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [b"RIFF", &size[..], &body].concat()
}

/// A box of an AVIF.
pub fn bmff(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap_or(u32::MAX).to_be_bytes();
    [&size[..], name, body].concat()
}

/// An AVIF with a picture of 16 bytes and an Exif item of the secret, a gap of the secret between them.
pub fn avif(width: u32, height: u32) -> Vec<u8> {
    let item =
        |id: u8, name: &[u8; 4]| bmff(b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], &name[..], &[0]].concat());
    let size = [&[0; 4], &width.to_be_bytes()[..], &height.to_be_bytes()].concat();
    let own = bmff(b"ipco", &bmff(b"ispe", &size));
    let of = bmff(b"ipma", &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0x81]);
    let secret = u32::try_from(SECRET.len()).unwrap_or_default();
    let meta = |data: u32| {
        let place = |id: u8, from: u32, length: u32| {
            [&[0, id, 0, 0, 0, 1], &(data + from).to_be_bytes()[..], &length.to_be_bytes()].concat()
        };
        let places = [vec![0, 0, 0, 0, 0x44, 0, 0, 2], place(1, 0, 16), place(2, 16 + secret, secret)];
        let children = [
            bmff(b"hdlr", &[&[0; 8], &b"pict"[..], &[0; 13]].concat()),
            bmff(b"pitm", &[0, 0, 0, 0, 0, 1]),
            bmff(b"iinf", &[vec![0, 0, 0, 0, 0, 2], item(1, b"av01"), item(2, b"Exif")].concat()),
            bmff(b"iloc", &places.concat()),
            bmff(b"iprp", &[own.clone(), of.clone()].concat()),
        ];
        bmff(b"meta", &[vec![0; 4], children.concat()].concat())
    };
    let kind = bmff(b"ftyp", b"avif\0\0\0\0avifmif1");
    let data = u32::try_from(kind.len() + meta(0).len() + 8).unwrap_or_default();
    [kind, meta(data), bmff(b"mdat", &[&[7; 16], SECRET, SECRET].concat())].concat()
}

/// A file of each kind, 40 by 30 pixels, with the secret in every place that is to stay behind, and behind its end.
pub fn telling() -> Vec<(Kind, Vec<u8>)> {
    let exif = [b"Exif\0\0".as_slice(), &tiff(6)].concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), SECRET].concat();
    let jpeg = jpeg(
        40,
        30,
        &[
            segment(0xe1, &exif),
            segment(0xe1, &xmp),
            segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &b"profile"[..]].concat()),
            segment(0xe2, &[b"MPF\0", SECRET].concat()),
            segment(0xed, SECRET),
            segment(0xee, &[b"Adobe\0\x64\0\0\0\0\x01", SECRET].concat()),
            segment(0xfe, SECRET),
        ],
    );
    let png = png(
        40,
        30,
        &[
            chunk(b"iCCP", b"icc\0\0profile"),
            chunk(b"eXIf", &tiff(6)),
            chunk(b"tEXt", SECRET),
            chunk(b"iTXt", SECRET),
            chunk(b"zTXt", SECRET),
            chunk(b"tIME", SECRET),
            chunk(b"prVt", SECRET),
            chunk(b"fdAT", SECRET),
        ],
    );
    let gif = gif(
        40,
        30,
        &[
            extension(0xff, &[b"NETSCAPE2.0", &[1, 0, 0]]),
            extension(0xfe, &[SECRET]),
            extension(0xff, &[b"XMP DataXMP", SECRET]),
            extension(0x01, &[&[0; 12], SECRET]),
            gif_frame(40, 30),
            gif_frame(20, 30),
        ],
    );
    let webp = webp(&[
        vp8x(0x2c, 40, 30),
        riff(b"ICCP", b"profile"),
        vp8l(40, 30),
        riff(b"EXIF", &tiff(6)),
        riff(b"XMP ", SECRET),
        riff(b"ODD ", SECRET),
    ]);
    let avif = [avif(40, 30), bmff(b"uuid", SECRET)].concat();
    [(Kind::Jpeg, jpeg), (Kind::Png, png), (Kind::Gif, gif), (Kind::WebP, webp), (Kind::Avif, avif)]
        .map(|(kind, file)| (kind, [&file[..], SECRET].concat()))
        .to_vec()
}
