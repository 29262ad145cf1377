//! Lines as another program keeps them in its own store: whole, with every tag, one for each buffer.

use crate::encode::{Extra, render};
use crate::entry::Meta;
use crate::network::log::{Parts, is_react, msgid_of};
use crate::wire::Line;
use crate::{Cap, CapSet, Entry, Kind};

/// A line that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// What kind of line it is.
    pub kind: Kind,
    /// Its msgid, where it has one that can be passed on.
    pub msgid: Option<String>,
    /// When it was said, milliseconds since 1970, where it says so.
    pub ts_ms: Option<i64>,
    /// Who said it.
    pub from: Box<[u8]>,
    /// As in [`Entry`].
    pub target: Box<[u8]>,
    /// As in [`Entry`].
    pub body: Box<[u8]>,
    /// As in [`Entry`].
    pub meta: Box<[u8]>,
    /// As in [`Entry`].
    pub redacts: Option<Box<str>>,
}

/// Everything a line may say.
const WHOLE: CapSet = CapSet::of(&[
    Cap::ServerTime,
    Cap::MessageTags,
    Cap::AccountTag,
    Cap::ExtendedJoin,
    Cap::DraftMessageRedaction,
]);

/// The line of an entry in one of its buffers, without its end. `None` if its text was taken back: nothing is left to say.
pub fn write(entry: &Entry, buffer: &[u8]) -> Option<Vec<u8>> {
    let mut line = render(entry, &Meta::decode(&entry.meta), WHOLE, Extra::default(), Some(buffer))?;
    line.truncate(line.strip_suffix(b"\r\n").map_or(line.len(), <[u8]>::len));
    Some(line)
}

/// Takes a line apart that a program kept. `None` if it is none that is logged.
pub fn read(line: &[u8]) -> Option<Archived> {
    let line = Line::parse(line)?;
    let kind = match &line.verb()[..] {
        b"PRIVMSG" => Kind::Privmsg,
        b"NOTICE" => Kind::Notice,
        b"TAGMSG" if line.tags().any(|(key, _)| is_react(key)) => Kind::Tagmsg,
        b"REDACT" => Kind::Redact,
        b"JOIN" => Kind::Join,
        b"PART" => Kind::Part,
        b"QUIT" => Kind::Quit,
        b"KICK" => Kind::Kick,
        b"NICK" => Kind::Nick,
        b"MODE" => Kind::Mode,
        b"TOPIC" => Kind::Topic,
        _ => return None,
    };
    let parts = Parts::of(kind, &line);
    Some(Archived {
        kind,
        msgid: msgid_of(&line),
        ts_ms: line.tag("time").and_then(|time| crate::text::from_iso(&time)),
        from: line.source.into(),
        target: parts.target,
        body: parts.body,
        meta: parts.meta.encode(),
        redacts: parts.redacts,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(archived: &Archived) -> Entry {
        Entry {
            kind: archived.kind,
            msgid: archived.msgid.clone().unwrap_or_else(|| "ours".to_owned()).into(),
            ts_ms: archived.ts_ms.unwrap_or(1_700_000_000_000),
            from: archived.from.clone(),
            target: archived.target.clone(),
            body: archived.body.clone(),
            meta: archived.meta.clone(),
            buffers: Default::default(),
            redacts: archived.redacts.clone(),
        }
    }

    /// What is read, written and read again is the same.
    fn comes_back(line: &[u8]) -> Option<Archived> {
        let first = read(line)?;
        let whole = Archived {
            msgid: first.msgid.clone().or_else(|| Some("ours".to_owned())),
            ts_ms: first.ts_ms.or(Some(1_700_000_000_000)),
            ..first.clone()
        };
        assert_eq!(read(&write(&entry(&first), b"#tea")?), Some(whole), "{}", line.escape_ascii());
        Some(first)
    }

    const TAGS: &str = "@time=2026-11-20T10:00:00.123Z;msgid=m1;account=bob;+draft/reply=x\\sy ";

    #[test]
    fn every_line_that_is_logged_is_written_as_it_was_read() {
        for line in [
            ":bob!b@h PRIVMSG #TeA :hello \x02bold\x02 world",
            ":bob!b@h PRIVMSG #TeA precise",
            ":bob!b@h PRIVMSG #TeA :",
            ":b[]!b@h NOTICE al :\u{1}ACTION waves\u{1}",
            ":carl!c@h JOIN #TeA c :Carl Real",
            ":carl!c@h JOIN #TeA",
            ":carl!c@h PART #TeA",
            ":carl!c@h PART #TeA :bye now",
            ":carl!c@h QUIT :gone",
            ":bob!b@h KICK #TeA eve :out",
            ":carl!c@h NICK carl2",
            ":carl!c@h MODE #TeA +ov bob carl",
            ":carl!c@h TOPIC #TeA :",
            ":bob!b@h REDACT #TeA m0 :oops",
        ] {
            let read = comes_back(format!("{TAGS}{line}").as_bytes()).unwrap();
            assert_eq!((read.msgid.as_deref(), read.ts_ms), (Some("m1"), Some(1_795_168_800_123)));
            // One that says nothing at all is taken for one that was taken back.
            assert!(comes_back(line.as_bytes()).is_none_or(|read| read.msgid.is_none()), "{line}");
        }
        let react = comes_back(b"@+draft/react=x;+draft/reply=m1 :carl!c@h TAGMSG #TeA").unwrap();
        assert_eq!(&*react.body, b"x");
        for other in ["@+typing=active :a TAGMSG #c", ":s 001 al :hi", ":a AWAY", "", "PING x"] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_was_taken_back_is_not_written() {
        let read = read(b":bob!b@h PRIVMSG #tea :words").unwrap();
        let gone = Entry { body: Box::default(), meta: Box::default(), ..entry(&read) };
        assert_eq!(write(&gone, b"#tea"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_written_as_it_was_read(
            verb in prop::sample::select(vec!["PRIVMSG", "NOTICE", "JOIN", "PART", "QUIT", "KICK", "NICK", "MODE", "TOPIC", "REDACT"]),
            params in prop::collection::vec("[a-zA-Z#@+0-9\\[\\]{}|^][^ \r\n\0]{0,9}", 2..5),
            last in prop::option::of("[^\r\n\0]{0,20}"), tagged: bool,
        ) {
            let mut line = format!("{}:bob!b@h {verb} {}", if tagged { TAGS } else { "" }, params.join(" "));
            if let Some(last) = last {
                line.push_str(" :");
                line.push_str(&last);
            }
            comes_back(line.as_bytes());
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }
    }
}
