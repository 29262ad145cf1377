//! A line of our log as soju keeps it, and back.
//!
//! soju keeps the whole line with its tags, its time in milliseconds, its sender's nick, and the text of messages without
//! formatting, which it searches. A line belongs to one buffer there: a QUIT stands once in each.

use bouncer_core::{Entry, Kind, NO_BUFFER, archive};
use bytes::Bytes;
use contracts::parcel::{Line, Text};

/// The longest name of a buffer in soju's rows on PostgreSQL.
const LONGEST: usize = 255;

/// A line in one of soju's buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SojuMessage {
    /// The buffer.
    pub target: String,
    /// The line. Not always UTF-8.
    pub raw: Vec<u8>,
    /// When it was said, as soju writes times.
    pub time: String,
    /// The sender's nick.
    pub sender: String,
    /// What is searched; `None` where it is no message.
    pub text: Option<String>,
}

/// A line as soju keeps it: once for each buffer. None of what was taken back, nor of what a server said to us alone.
pub fn to_soju(line: &Line) -> Vec<SojuMessage> {
    let Some(kind) = Kind::from_code(line.kind).filter(|_| !line.redacted) else { return Vec::new() };
    let from: &[u8] = if line.source.0.is_empty() { b"*" } else { &line.source.0 };
    let entry = Entry {
        kind,
        msgid: line.msgid.as_str().into(),
        ts_ms: line.ts_ms,
        from: from.into(),
        target: line.target.0[..].into(),
        body: line.body.0[..].into(),
        meta: line.meta.0[..].into(),
        buffers: Default::default(),
        redacts: None,
    };
    let end = from.iter().position(|byte| matches!(byte, b'!' | b'@')).unwrap_or(from.len());
    let said = matches!(kind, Kind::Privmsg | Kind::Notice | Kind::Gap);
    let buffers = line.buffers.iter().filter(|buffer| buffer.0 != NO_BUFFER);
    buffers
        .filter_map(|buffer| {
            let target = Some(target_of(&buffer.0)).filter(|target| target.len() <= LONGEST)?;
            Some(SojuMessage {
                target,
                raw: archive::write(&entry, &buffer.0)?,
                time: irc::time::format(line.ts_ms),
                sender: lossy(from.get(..end).unwrap_or_default()),
                text: said.then(|| plain(&lossy(&line.body.0))),
            })
        })
        .collect()
}

/// A line as our log keeps it. Its msgid is empty where soju was told none. `None` if it is nothing that is logged.
pub fn from_soju(raw: &[u8], target: &str, ts_ms: i64) -> Option<Line> {
    let line = archive::read(raw)?;
    Some(Line {
        ts_ms,
        source: text(&line.from),
        kind: line.kind.code(),
        target: text(&line.target),
        buffers: vec![Text(key_of(target).into())],
        body: text(&line.body),
        meta: text(&line.meta),
        msgid: line.msgid.unwrap_or_default(),
        redacted: false,
        redacts: line.redacts.map(String::from),
    })
}

/// Whether a kind stands in several buffers at once.
pub fn spans_buffers(kind: u8) -> bool {
    [Kind::Quit.code(), Kind::Nick.code()].contains(&kind)
}

/// Whether `next` is the same line as `last`, in a buffer that `last` does not stand in yet.
pub fn is_another_buffer_of(last: &Line, next: &Line) -> bool {
    let of =
        |line: &Line| (line.kind, line.ts_ms, line.source.clone(), line.target.clone(), line.body.clone());
    spans_buffers(next.kind)
        && of(last) == of(next)
        && next.buffers.iter().all(|key| !last.buffers.contains(key))
}

/// What soju calls a buffer. Both fold names in the way of the networks with `CASEMAPPING=rfc1459`, but to other ends: of
/// `[` and `{`, which are one there, soju takes the first and we the second.
pub fn target_of(key: &[u8]) -> String {
    swapped(&lossy(key), "{}|^", "[]\\~")
}

/// The key of what soju calls so. What was said to some of a channel is in the channel here.
pub fn key_of(target: &str) -> String {
    let channel = target.trim_start_matches(['@', '%', '+', '~', '&', '!']);
    let target = if channel.starts_with('#') { channel } else { target };
    swapped(target, "[]\\~", "{}|^")
}

fn swapped(text: &str, from: &str, to: &str) -> String {
    let other = |c: char| from.chars().zip(to.chars()).find(|(is, _)| *is == c).map_or(c, |(_, other)| other);
    text.chars().map(other).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text(bytes: &[u8]) -> Text {
    Text(Bytes::copy_from_slice(bytes))
}

/// A text without formatting: bold, italics and the like, and colours with their numbers.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{2}' | '\u{f}' | '\u{11}' | '\u{16}' | '\u{1d}' | '\u{1e}' | '\u{1f}' => {}
            '\u{3}' | '\u{4}' => {
                let (base, most) = if c == '\u{3}' { (10, 2) } else { (16, 6) };
                if skip_number(&mut chars, base, most) {
                    // The background, if a number follows the comma.
                    let mut after = chars.clone();
                    if after.next() == Some(',') && skip_number(&mut after, base, most) {
                        chars = after;
                    }
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn skip_number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, base: u32, most: usize) -> bool {
    (0..most).take_while(|_| chars.next_if(|c| c.is_digit(base)).is_some()).count() > 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn line(raw: &str, buffers: &[&str]) -> Line {
        let mut line = from_soju(raw.as_bytes(), "", 1_795_168_800_123).unwrap();
        line.buffers = buffers.iter().map(|key| text(key.as_bytes())).collect();
        line
    }

    #[test]
    fn a_message_is_kept_as_soju_itself_keeps_it() {
        let raw = "@time=2026-11-20T10:00:00.123Z;account=b;msgid=m1;+draft/reply=x :bob!b@h PRIVMSG #TeA :\u{2}bold\u{2} \u{3}04,12red\u{3} tea";
        let kept = to_soju(&line(raw, &["#tea"]));
        assert_eq!(
            kept,
            [SojuMessage {
                target: "#tea".into(),
                raw: raw.into(),
                time: "2026-11-20T10:00:00.123Z".into(),
                sender: "bob".into(),
                text: Some("bold red tea".into()),
            }]
        );
    }

    #[test]
    fn a_quit_stands_in_each_channel_and_comes_back_as_one() {
        let quit = line("@msgid=q :bob!b@h QUIT :gone", &["#a", "#b", "*"]);
        let kept = to_soju(&quit);
        assert_eq!(kept.iter().map(|kept| kept.target.as_str()).collect::<Vec<_>>(), ["#a", "#b"]);
        assert!(kept.iter().all(|kept| kept.text.is_none()));
        let back = |at: usize| from_soju(&kept[at].raw, &kept[at].target, quit.ts_ms).unwrap();
        assert!(is_another_buffer_of(&back(0), &back(1)));
        assert!(!is_another_buffer_of(&back(0), &back(0)), "he quit twice");
    }

    #[test]
    fn what_soju_cannot_keep_is_left_out() {
        let gone = Line { redacted: true, ..line(":bob!b@h PRIVMSG #tea :words", &["#tea"]) };
        assert_eq!(to_soju(&gone), []);
        assert_eq!(to_soju(&line(":srv NOTICE al :for you", &["*"])), []);
        let unknown = Line { kind: 99, ..line(":bob!b@h PRIVMSG #tea :words", &["#tea"]) };
        assert_eq!(to_soju(&unknown), []);
    }

    #[test]
    fn buffers_find_their_names() {
        assert_eq!(target_of(b"bob{}"), "bob[]");
        assert_eq!(key_of("bob[]"), "bob{}");
        assert_eq!(key_of("@#tea"), "#tea");
        assert_eq!(key_of("~bob"), "^bob");
    }

    #[test]
    fn formatting_is_not_searched() {
        for (formatted, text) in [
            ("\u{2}a\u{1d}b\u{1f}c\u{f}", "abc"),
            ("\u{3}4red", "red"),
            ("\u{3}04,5red", "red"),
            ("\u{3}04,x", ",x"),
            ("\u{3},5", ",5"),
            ("\u{4}ff0000red", "red"),
            ("\u{3}123", "3"),
        ] {
            assert_eq!(plain(formatted), text, "{formatted:?}");
        }
    }
}
