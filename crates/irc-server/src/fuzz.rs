//! What the fuzzers call. Each function panics if a promise is broken.

use crate::framing::{LineBuffer, MAX_LINE, Piece, message};
use crate::proxy::{Parsed, parse};

/// PROXY headers: never more than there is, and every beginning of a header asks for more.
pub fn proxy(data: &[u8]) {
    if let Parsed::Header(header) = parse(data) {
        assert!(header.length <= data.len());
        assert!(matches!(parse(&data[..header.length - 1]), Parsed::Incomplete));
    }
}

/// Framing: however the bytes are cut, the same lines come out, none with a line end in it, and little is held.
pub fn framing(data: &[u8]) {
    let check = |piece: &Piece| {
        if let Piece::Line(line) = piece {
            assert!(!line.is_empty() && line.len() <= MAX_LINE);
            assert!(!line.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
        }
    };
    let whole = pieces(std::iter::once(data));
    whole.iter().for_each(check);
    let step = data.first().map_or(1, |byte| usize::from(*byte) + 1);
    let cut = pieces(data.chunks(step));
    // Where `Endless` comes depends on the cuts; it ends the connection anyway.
    if !whole.contains(&Piece::Endless) && !cut.contains(&Piece::Endless) {
        assert_eq!(whole, cut);
    }
    message(data, |piece| check(&piece));
}

fn pieces<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Piece> {
    let mut buffer = LineBuffer::default();
    let mut pieces = Vec::new();
    for chunk in chunks {
        buffer.feed(chunk, |piece| pieces.push(piece));
        assert!(buffer.held() <= MAX_LINE);
    }
    pieces
}
