//! Cuts what a client sends into lines, in bounded memory whatever it sends.

use bytes::Bytes;

/// The longest tag section of a client, with its `@` and the space (ircv3 message-tags).
pub(crate) const MAX_TAGS: usize = 4096;
/// The longest rest of a line, with CR LF (RFC 2812 §2.3).
pub(crate) const MAX_REST: usize = 512;
/// The longest line of all.
pub(crate) const MAX_LINE: usize = MAX_TAGS + MAX_REST;
/// So many bytes without a line end are no IRC.
pub(crate) const ENDLESS: usize = 64 * 1024;

/// What [`LineBuffer`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line without its end. Never empty, never with CR, LF or NUL in it.
    Line(Bytes),
    /// A line past the limits was left out: 417.
    TooLong,
    /// Bytes come without any line end: the connection has to go.
    Endless,
}

/// Collects bytes until lines are complete.
#[derive(Debug, Default)]
pub struct LineBuffer {
    /// The beginning of a line that is not complete; empty most of the time.
    partial: Vec<u8>,
    /// Bytes dropped of a line that is too long already.
    dropped: usize,
}

impl LineBuffer {
    /// Takes bytes in and hands every complete line to `found`.
    pub fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Piece)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.dropped > 0 {
                self.dropped = 0;
                found(Piece::TooLong);
            } else if self.partial.is_empty() {
                finish(line, &mut found);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                finish(&whole, &mut found);
            }
        }
        if self.dropped > 0 || self.partial.len() + bytes.len() > MAX_LINE {
            self.dropped += self.partial.len() + bytes.len();
            self.partial = Vec::new();
            if self.dropped > ENDLESS {
                found(Piece::Endless);
            }
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    /// Bytes it holds.
    pub fn held(&self) -> usize {
        self.partial.len()
    }
}

/// A message of a WebSocket is one line, with or without a line end; one with several is taken apart all the same.
pub fn message(bytes: &[u8], mut found: impl FnMut(Piece)) {
    for line in bytes.split(|byte| *byte == b'\n') {
        finish(line, &mut found);
    }
}

fn finish(line: &[u8], found: &mut impl FnMut(Piece)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return;
    }
    let tags = if line[0] == b'@' { memchr::memchr(b' ', line).map_or(line.len(), |at| at + 1) } else { 0 };
    if tags > MAX_TAGS || line.len() - tags + 2 > MAX_REST {
        return found(Piece::TooLong);
    }
    let bad = |byte: &u8| matches!(byte, 0 | b'\r');
    if line.iter().any(bad) {
        let clean: Vec<u8> = line.iter().copied().filter(|byte| !bad(byte)).collect();
        if !clean.is_empty() {
            found(Piece::Line(clean.into()));
        }
    } else {
        found(Piece::Line(Bytes::copy_from_slice(line)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<Piece> {
        let mut buffer = LineBuffer::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            buffer.feed(chunk, |piece| pieces.push(piece));
        }
        pieces
    }

    fn line(text: &str) -> Piece {
        Piece::Line(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        assert_eq!(all(&[b"NI", b"CK a\r", b"\nUSER b\n\r\n\nPING"]), [line("NICK a"), line("USER b")]);
    }

    #[test]
    fn nul_and_stray_cr_are_dropped_and_other_bytes_kept() {
        assert_eq!(all(&[b"A\0B\rC\xff\n\0\n"]), [Piece::Line(Bytes::from_static(b"ABC\xff"))]);
    }

    #[test]
    fn the_limit_is_512_and_tags_have_their_own() {
        let fits = "x".repeat(510);
        let tags = format!("@{} ", "t".repeat(4094));
        assert_eq!(all(&[format!("{fits}\r\n").as_bytes()]), [line(&fits)]);
        assert_eq!(all(&[format!("{fits}x\r\n").as_bytes()]), [Piece::TooLong]);
        assert_eq!(all(&[format!("{tags}{fits}\r\n").as_bytes()]), [line(&format!("{tags}{fits}"))]);
        assert_eq!(all(&[format!("@t{tags}PING\r\n").as_bytes()]), [Piece::TooLong]);
    }

    #[test]
    fn an_endless_line_is_noticed_and_never_held() {
        let mut buffer = LineBuffer::default();
        let mut pieces = Vec::new();
        for _ in 0..80 {
            buffer.feed(&[b'x'; 1024], |piece| pieces.push(piece));
            assert!(buffer.held() <= MAX_LINE);
        }
        assert_eq!(pieces.first(), Some(&Piece::Endless));
    }

    #[test]
    fn after_a_line_that_is_too_long_the_next_one_counts() {
        assert_eq!(all(&[&[b'x'; 6000], b"x\nPING a\n"]), [Piece::TooLong, line("PING a")]);
    }

    proptest! {
        #[test]
        fn cutting_never_changes_what_is_found(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
            cut in 0_usize..400,
        ) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(all(&[&bytes]), all(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
