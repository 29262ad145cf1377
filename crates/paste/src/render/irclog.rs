//! IRC logs, as the usual clients write them: time, nick in its colour, and what was said with its control codes.

use service::view::nick_class;

use super::html::{escape_into, span_into};
use super::mirc;

/// What a line of a log is. Every part is a piece of the line; together they are the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Somebody says something.
    Said {
        /// What stands before the nick: brackets, status.
        open: &'a str,
        /// Who.
        nick: &'a str,
        /// What stands behind the nick.
        close: &'a str,
        /// What is said.
        text: &'a str,
    },
    /// `/me`.
    Action {
        /// The star.
        open: &'a str,
        /// Who.
        nick: &'a str,
        /// What they do.
        text: &'a str,
    },
    /// Joins, parts, modes and the like.
    Quiet(&'a str),
    /// Anything else.
    Other(&'a str),
}

/// Time and rest of a line.
pub fn parse(line: &str) -> (&str, Line<'_>) {
    let (time, rest) = line.split_at(time_of(line));
    (time, what(rest))
}

fn what(rest: &str) -> Line<'_> {
    for quiet in ["-!- ", "*** ", "--> ", "<-- ", "-->\t", "<--\t", "--\t", "-- ", "=== ", "=-= ", "→ ", "← "]
    {
        if rest.starts_with(quiet) {
            return Line::Quiet(rest);
        }
    }
    for (open, close) in [("<", ">"), ("-", "-"), ("[", "]")] {
        if let Some(said) = bracketed(rest, open, close) {
            return said;
        }
    }
    for open in ["* ", " * ", " *\t"] {
        if let Some(after) = rest.strip_prefix(open) {
            let end = after.find(' ').unwrap_or(after.len());
            if is_nick(&after[..end]) {
                return Line::Action { open, nick: &after[..end], text: &after[end..] };
            }
        }
    }
    // WeeChat: time, tab, nick, tab, words.
    if let Some((nick, _)) = rest.split_once('\t')
        && is_nick(nick.trim_start_matches(STATUS))
    {
        let status = nick.len() - nick.trim_start_matches(STATUS).len();
        let (open, tail) = rest.split_at(status);
        let (nick, tail) = tail.split_at(nick.len() - status);
        let (close, text) = tail.split_at(1);
        return Line::Said { open, nick, close, text };
    }
    Line::Other(rest)
}

const STATUS: [char; 6] = ['@', '+', '%', '&', '~', ' '];

fn bracketed<'a>(rest: &'a str, open: &str, close: &str) -> Option<Line<'a>> {
    let inside = rest.strip_prefix(open)?;
    let end = inside.find(close)?;
    let nick = inside[..end].trim_start_matches(STATUS);
    let status = end - nick.len();
    let tail = &inside[end..];
    let gap = tail[close.len()..].bytes().take_while(|byte| *byte == b' ').take(1).count();
    // Without a space it is `-foo-bar` or `[x](y)`.
    let said = is_nick(nick) && (gap == 1 || tail.len() == close.len());
    let from = open.len() + status;
    said.then(|| Line::Said {
        open: &rest[..from],
        nick: &rest[from..from + nick.len()],
        close: &tail[..close.len() + gap],
        text: &tail[close.len() + gap..],
    })
}

fn is_nick(text: &str) -> bool {
    let fine = |c: char| c.is_alphanumeric() || "[]\\`_^{}|-.".contains(c);
    (1..=48).contains(&text.len())
        && text.chars().all(fine)
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// How many bytes at the beginning are a time, with a date and brackets if there are any.
fn time_of(line: &str) -> usize {
    let mut at = 0;
    let bytes = line.as_bytes();
    let bracket = bytes.first() == Some(&b'[');
    if bracket {
        at += 1;
    }
    let date = digits_and(&bytes[at..], b"-/.", 8, 10);
    let mut clock_from = at;
    if date > 0 && matches!(bytes.get(at + date), Some(b' ' | b'T')) {
        clock_from = at + date + 1;
    }
    let clock = digits_and(&bytes[clock_from..], b":.", 4, 15);
    if clock == 0 || !bytes[clock_from..clock_from + clock].contains(&b':') {
        return 0;
    }
    at = clock_from + clock;
    if bytes.get(at) == Some(&b'Z') {
        at += 1;
    }
    if bracket {
        if bytes.get(at) != Some(&b']') {
            return 0;
        }
        at += 1;
    }
    match bytes.get(at) {
        Some(b' ' | b'\t') => at + 1,
        None => at,
        Some(_) => 0,
    }
}

/// The length of the run of digits and `between` at the beginning, if it is between `least` and `most` long.
fn digits_and(bytes: &[u8], between: &[u8], least: usize, most: usize) -> usize {
    let run = bytes.iter().take(most + 1).take_while(|byte| byte.is_ascii_digit() || between.contains(byte));
    let length = run.count();
    let begins = bytes.first().is_some_and(u8::is_ascii_digit);
    if begins && (least..=most).contains(&length) && bytes[..length].iter().any(|byte| between.contains(byte))
    {
        length
    } else {
        0
    }
}

/// A line as HTML.
pub fn line_into(out: &mut String, line: &str) {
    let (time, what) = parse(line);
    span_into(out, "lt", time);
    match what {
        Line::Said { open, nick, close, text } => {
            span_into(out, "lq", open);
            nick_into(out, nick);
            span_into(out, "lq", close);
            mirc::said_into(out, text);
        }
        Line::Action { open, nick, text } => {
            span_into(out, "lq", open);
            nick_into(out, nick);
            out.push_str("<span class=\"si\">");
            mirc::said_into(out, text);
            out.push_str("</span>");
        }
        Line::Quiet(text) => span_into(out, "lq", &visible(text)),
        Line::Other(text) => mirc::said_into(out, text),
    }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_control() || *c == '\t').collect()
}

fn nick_into(out: &mut String, nick: &str) {
    out.push_str("<span class=\"nick ");
    out.push_str(nick_class(nick));
    out.push_str("\">");
    escape_into(out, nick);
    out.push_str("</span>");
}

/// Whether a text is a log: most of its first lines say who said what.
pub fn looks_like_it(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(40).collect();
    let of_a_log = |line: &&&str| {
        let (time, what) = parse(line);
        match what {
            Line::Said { open, .. } => !time.is_empty() || open.starts_with('<'),
            Line::Action { .. } | Line::Quiet(_) => !time.is_empty(),
            Line::Other(_) => false,
        }
    };
    let count = lines.iter().filter(of_a_log).count();
    count >= 1 && count * 10 >= lines.len() * 6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::html::shown;
    use super::*;

    fn html(line: &str) -> String {
        let mut out = String::new();
        line_into(&mut out, line);
        out
    }

    #[test]
    fn the_ways_clients_write_who_said_what_are_read() {
        for (line, time, nick, text) in [
            ("12:34 <alice> hi", "12:34 ", "alice", "hi"),
            ("[12:34:56] <@bob> a: b", "[12:34:56] ", "bob", "a: b"),
            ("2026-11-21 12:34:56\t+carol\thello", "2026-11-21 12:34:56\t", "carol", "hello"),
            ("2026-11-21T12:34:56.789Z <d[m]> x", "2026-11-21T12:34:56.789Z ", "d[m]", "x"),
            ("<eve> no time", "", "eve", "no time"),
            ("12:34 -ChanServ- notice", "12:34 ", "ChanServ", "notice"),
            ("12:34 < frank> irssi", "12:34 ", "frank", "irssi"),
        ] {
            let (found_time, what) = parse(line);
            let Line::Said { nick: found, text: said, .. } = what else { unreachable!("{line}: {what:?}") };
            assert_eq!((found_time, found, said), (time, nick, text), "{line}");
        }
        assert!(matches!(parse("12:34 * alice waves").1, Line::Action { nick: "alice", text: " waves", .. }));
        for line in
            ["12:34 -!- alice [a@b] has joined #c", "[1:02] *** bob quit", "12:00:00\t-->\tx (y) has joined"]
        {
            assert!(matches!(parse(line).1, Line::Quiet(_)), "{line}");
        }
    }

    #[test]
    fn a_log_is_told_from_code_and_prose() {
        assert!(looks_like_it("12:34 <alice> hi\n12:35 <bob> hello\n12:36 * alice waves"));
        assert!(looks_like_it("<alice> hi"));
        assert!(!looks_like_it("fn main() {\n    let x: Vec<u8> = vec![];\n}"));
        assert!(!looks_like_it("- one\n- two-three\n[a](b)\n"));
        assert!(!looks_like_it("a\tb\nc\td"));
        assert!(!looks_like_it(""));
    }

    #[test]
    fn nicks_have_their_colour_and_codes_their_style() {
        let line = html("12:34 <alice> \u{2}<b>\u{2}");
        assert_eq!(
            line,
            format!(
                "<span class=\"lt\">12:34 </span><span class=\"lq\">&lt;</span><span class=\"nick {}\">alice</span>\
                 <span class=\"lq\">&gt; </span><span class=\"sb\">&lt;b&gt;</span>",
                nick_class("ALICE")
            )
        );
    }

    proptest! {
        #[test]
        fn nothing_in_a_log_is_lost_or_becomes_html(line in "([0-9:.\\[\\]<>@+* \\-\ta-z]|\\PC){0,60}") {
            prop_assert_eq!(shown(&html(&line)), line.clone());
            let (time, what) = parse(&line);
            let parts = match what {
                Line::Said { open, nick, close, text } => vec![open, nick, close, text],
                Line::Action { open, nick, text } => vec![open, nick, text],
                Line::Quiet(text) | Line::Other(text) => vec![text],
            };
            prop_assert_eq!(format!("{time}{}", parts.concat()), line);
        }
    }
}
