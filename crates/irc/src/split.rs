//! Splitting a long text over several lines: never inside a UTF-8 sequence, never inside a grapheme (unless one
//! alone is longer than a line), at a space where there is one.

use unicode_segmentation::UnicodeSegmentation;

use crate::ctcp;
use crate::limits::MAX_REST;

/// Bytes a piece may have at least, so that every UTF-8 sequence fits one.
const MIN_PIECE: usize = 4;

/// Bytes left for the text of `:source COMMAND target :text` CR LF, as the server will relay it with a source of
/// `source_len` bytes (without colon). See [`guess_source_len`] if that is not known.
pub fn room(source_len: usize, command: &str, target: &[u8]) -> usize {
    room_in(MAX_REST, source_len, command, target)
}

/// As [`room`], for a network that says another `LINELEN`.
pub fn room_in(line_len: usize, source_len: usize, command: &str, target: &[u8]) -> usize {
    // Colon and space around the source, space before the target, space and colon before the text, CR LF.
    line_len.saturating_sub(source_len + 2 + command.len() + 1 + target.len() + 2 + 2).max(MIN_PIECE)
}

/// Bytes of `nick!user@host` if all that is known is the nick: the longest user (10 and a `~`) and host (63)
/// networks commonly allow.
pub fn guess_source_len(nick: &[u8]) -> usize {
    nick.len() + 1 + 11 + 1 + 63
}

/// Cuts `text` into pieces of at most `max` bytes (at least 4). The pieces put together are the text: a space at
/// which it was cut stays at the end of its piece.
pub fn pieces(text: &[u8], max: usize) -> Pieces<'_> {
    Pieces { rest: text, max: max.max(MIN_PIECE) }
}

/// Cuts a text of several lines: each line by itself, empty ones left out.
pub fn lines(text: &[u8], max: usize) -> impl Iterator<Item = &[u8]> {
    text.split(|b| matches!(b, b'\n' | b'\r')).flat_map(move |line| pieces(line, max))
}

/// The texts of the messages that carry `text`: a CTCP ACTION stays one in each of them.
pub fn message(text: &[u8], max: usize) -> Vec<Vec<u8>> {
    match ctcp::action(text) {
        Some(action) if text.len() > max => {
            let inner = max.saturating_sub(ctcp::write("ACTION", "x").len() - 1);
            lines(action, inner).map(|piece| ctcp::write("ACTION", piece)).collect()
        }
        _ => lines(text, max).map(<[u8]>::to_vec).collect(),
    }
}

/// The pieces of a text. See [`pieces`].
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    rest: &'a [u8],
    max: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at(cut(self.rest, self.max));
        self.rest = rest;
        Some(piece)
    }
}

/// Where to cut: behind the last space in the second half, else behind the last grapheme, else behind the last
/// character.
fn cut(text: &[u8], max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    // The character that starts at `max` decides whether a grapheme ends there, so it has to be in sight.
    let window = &text[..text.len().min(max + MIN_PIECE)];
    let mut reached = Reached { max, ..Reached::default() };
    let mut at = 0;
    for chunk in window.utf8_chunks() {
        for grapheme in chunk.valid().graphemes(true) {
            reached.grapheme(at, grapheme);
            at += grapheme.len();
        }
        reached.end(at + chunk.invalid().len());
        at += chunk.invalid().len();
        if at > max {
            break;
        }
    }
    match reached {
        Reached { space, .. } if space > max / 2 => space,
        Reached { whole, .. } if whole > 0 => whole,
        Reached { character, .. } => character.max(1),
    }
}

#[derive(Default)]
struct Reached {
    max: usize,
    space: usize,
    whole: usize,
    character: usize,
}

impl Reached {
    fn end(&mut self, end: usize) {
        if end <= self.max {
            self.whole = end;
            self.character = end;
        }
    }

    fn grapheme(&mut self, start: usize, grapheme: &str) {
        let end = start + grapheme.len();
        if end <= self.max {
            self.end(end);
            if grapheme == " " {
                self.space = end;
            }
        } else if self.whole == 0 {
            let ends = grapheme.char_indices().map(|(at, _)| start + at);
            self.character = ends.filter(|end| *end <= self.max).max().unwrap_or(0).max(self.character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, max: usize) -> Vec<String> {
        pieces(text.as_bytes(), max).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
    }

    #[test]
    fn short_texts_stay_whole() {
        assert_eq!(split("hello", 5), ["hello"]);
        assert!(split("", 5).is_empty());
    }

    #[test]
    fn a_cut_goes_behind_a_space_if_one_is_near() {
        assert_eq!(split("one two three four", 9), ["one two ", "three ", "four"]);
        assert_eq!(split("a bcdefghijklmnop", 10), ["a bcdefghi", "jklmnop"]);
    }

    #[test]
    fn graphemes_stay_whole() {
        // A family of three joined emoji, a flag of two letters, a letter with an accent of its own.
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(
            split(&format!("ab{family}cd"), family.len() + 1),
            ["ab".to_owned(), format!("{family}c"), "d".into()]
        );
        assert_eq!(split("🇩🇪🇫🇷", 12), ["🇩🇪", "🇫🇷"]);
        assert_eq!(split("xxxe\u{301}", 5), ["xxx", "e\u{301}"]);
    }

    #[test]
    fn a_grapheme_longer_than_a_line_is_cut_between_its_characters() {
        let text = format!("e{}", "\u{301}".repeat(20));
        let cut = split(&text, 10);
        assert!(cut.iter().all(|piece| piece.len() <= 10 && !piece.contains('\u{fffd}')));
        assert_eq!(cut.concat(), text);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_split_too() {
        let text = [0xff; 23];
        let cut: Vec<_> = pieces(&text, 10).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|piece| piece.len() <= 10));
    }

    #[test]
    fn an_action_stays_an_action() {
        let text = ctcp::write("ACTION", "one two three four five six");
        let parts = message(&text, 20);
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|part| ctcp::action(part).is_some() && part.len() <= 20));
        assert_eq!(message(b"a\r\nb\n\nc", 20), [b"a", b"b", b"c"]);
    }

    #[test]
    fn the_room_is_what_a_line_leaves() {
        let room = room(b"n!u@h".len(), "PRIVMSG", b"#c");
        let line = crate::line("PRIVMSG").source("n!u@h").param("#c").trailing("x".repeat(room));
        assert_eq!(line.to_vec().len(), 512);
    }
}
