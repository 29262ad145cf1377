//! What programs print for terminals: colours and styles (SGR) are kept, every other control sequence is left out.

use super::style::{Style, nearest};

const ESCAPE: char = '\u{1b}';
/// No sequence is longer; what is, is cut there.
const LONGEST: usize = 256;

/// A line with the style it began in; the style it ends in goes on in the next.
pub fn line_into(out: &mut String, line: &str, style: &mut Style) {
    let mut rest = line;
    while !rest.is_empty() {
        let plain = rest.find(is_control).unwrap_or(rest.len());
        if plain > 0 {
            style.write(out, &rest[..plain]);
            rest = &rest[plain..];
            continue;
        }
        rest = match rest.strip_prefix(ESCAPE) {
            Some(after) => sequence(after, style),
            // A control character alone moves nothing here.
            None => rest.get(1..).unwrap_or_default(),
        };
    }
}

/// Whether a text has colours or styles for a terminal.
pub fn looks_like_it(text: &str) -> bool {
    let sequences = text.match_indices("\u{1b}[").take(50);
    sequences.filter(|(at, _)| csi(&text[at + 2..]).is_some_and(|(_, end, _)| end == 'm')).count() > 0
}

fn is_control(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

/// What comes after an escape character; gives the rest behind the sequence.
fn sequence<'a>(after: &'a str, style: &mut Style) -> &'a str {
    if let Some(body) = after.strip_prefix('[') {
        let Some((parameters, end, rest)) = csi(body) else {
            return body;
        };
        if end == 'm' {
            select(parameters, style);
        }
        return rest;
    }
    if let Some(body) = after.strip_prefix([']', 'P', '^', '_']) {
        return string(body);
    }
    let mut letters = after.chars();
    match letters.next() {
        // ESC with an intermediate byte takes one more: character sets.
        Some(' '..='/') => {
            letters.next();
            letters.as_str()
        }
        Some(c) if c.is_ascii() && !is_control(c) => letters.as_str(),
        _ => after,
    }
}

/// Parameters, final letter and what comes after a control sequence (ECMA-48 §5.4).
fn csi(body: &str) -> Option<(&str, char, &str)> {
    let length = body.bytes().take(LONGEST).take_while(|byte| (0x20..=0x3f).contains(byte)).count();
    let end = body[length..].chars().next().filter(|end| ('@'..='~').contains(end))?;
    Some((&body[..length], end, &body[length + 1..]))
}

/// Leaves out a string for the terminal (titles, links): up to its end, BEL or ESC \.
fn string(body: &str) -> &str {
    for (at, c) in body.char_indices() {
        match c {
            '\u{7}' => return &body[at + 1..],
            ESCAPE => return body[at + 1..].strip_prefix('\\').unwrap_or(&body[at..]),
            _ => {}
        }
    }
    ""
}

/// Select Graphic Rendition (ECMA-48 §8.3.117, with the colours everybody has).
fn select(parameters: &str, style: &mut Style) {
    let mut codes = parameters.split([';', ':']).map(|code| match code {
        "" => Some(0),
        code => code.parse::<u16>().ok(),
    });
    while let Some(code) = codes.next() {
        match code {
            Some(0) => *style = Style::default(),
            Some(1) => style.bold = true,
            Some(2) => style.dim = true,
            Some(3) => style.italic = true,
            Some(4 | 21) => style.underline = true,
            Some(7) => style.reverse = true,
            Some(9) => style.strike = true,
            Some(22) => (style.bold, style.dim) = (false, false),
            Some(23) => style.italic = false,
            Some(24) => style.underline = false,
            Some(27) => style.reverse = false,
            Some(29) => style.strike = false,
            Some(n @ 30..=37) => style.fore = colour(n - 30),
            Some(38) => style.fore = extended(&mut codes),
            Some(39) => style.fore = None,
            Some(n @ 40..=47) => style.back = colour(n - 40),
            Some(48) => style.back = extended(&mut codes),
            Some(49) => style.back = None,
            Some(n @ 90..=97) => style.fore = colour(n - 90 + 8),
            Some(n @ 100..=107) => style.back = colour(n - 100 + 8),
            _ => {}
        }
    }
}

fn colour(n: u16) -> Option<u8> {
    u8::try_from(n).ok()
}

/// The 256 colours, and those of 24 bits.
fn extended(codes: &mut impl Iterator<Item = Option<u16>>) -> Option<u8> {
    let byte = |code: Option<Option<u16>>| u8::try_from(code.flatten()?).ok();
    match codes.next().flatten()? {
        5 => match byte(codes.next())? {
            n @ 0..=15 => Some(n),
            n @ 16..=231 => {
                let level = |step: u8| if step == 0 { 0 } else { 55 + step * 40 };
                let n = n - 16;
                Some(nearest(level(n / 36), level(n / 6 % 6), level(n % 6)))
            }
            n => {
                let grey = 8 + (n - 232) * 10;
                Some(nearest(grey, grey, grey))
            }
        },
        2 => {
            let (red, green, blue) = (byte(codes.next())?, byte(codes.next())?, byte(codes.next())?);
            Some(nearest(red, green, blue))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::html::shown;
    use super::*;

    fn html(line: &str) -> String {
        let mut out = String::new();
        line_into(&mut out, line, &mut Style::default());
        out
    }

    #[test]
    fn colours_are_classes_and_other_sequences_are_gone() {
        assert_eq!(html("\u{1b}[1;31merr\u{1b}[0m ok"), "<span class=\"sb cf1\">err</span> ok");
        assert_eq!(html("\u{1b}[38;5;9ma\u{1b}[39mb"), "<span class=\"cf9\">a</span>b");
        assert_eq!(html("\u{1b}[48;2;0;250;0ma"), "<span class=\"cb10\">a</span>");
        assert_eq!(html("\u{1b}]0;title\u{7}a\u{1b}]8;;x\u{1b}\\b\u{1b}[2Kc\u{1b}(Bd\r\u{8}e"), "abcde");
        assert_eq!(html("<b>\u{1b}[32m<i>"), "&lt;b&gt;<span class=\"cf2\">&lt;i&gt;</span>");
        assert_eq!(html("\u{1b}"), "");
        assert_eq!(html("\u{1b}\u{1f980}"), "\u{1f980}");
    }

    #[test]
    fn a_style_goes_on_over_the_end_of_a_line() {
        let (mut out, mut style) = (String::new(), Style::default());
        line_into(&mut out, "\u{1b}[3ma", &mut style);
        line_into(&mut out, "b", &mut style);
        assert_eq!(out, "<span class=\"si\">a</span><span class=\"si\">b</span>");
    }

    #[test]
    fn only_text_with_colours_looks_like_it() {
        assert!(looks_like_it("a\u{1b}[0;1mb"));
        assert!(!looks_like_it("a [0;1m b"));
        assert!(!looks_like_it("\u{1b}[2J"));
    }

    proptest! {
        #[test]
        fn nothing_a_program_prints_becomes_html(line in "([\u{1b}\u{7}\\[\\];:0-9mK<>&\"'a\u{e9}\\\\]|\\PC){0,60}") {
            let text = shown(&html(&line));
            prop_assert!(!text.contains('\u{1b}'), "an escape stays");
            prop_assert!(text.len() <= line.len());
        }

        #[test]
        fn plain_text_stays_as_it_is(line in "\\PC{0,60}") {
            prop_assert_eq!(shown(&html(&line)), line);
        }
    }
}
