//! Batches (ircv3 `batch`) and labels (ircv3 `labeled-response`) as they stand on the wire.

use std::borrow::Cow;

use crate::message::Message;
use crate::write::{MessageBuf, line};

/// Longest label (ircv3 `labeled-response`).
pub const MAX_LABEL: usize = 64;

/// `BATCH +reference type params…`
pub fn open<T: AsRef<[u8]>>(reference: &str, kind: &str, params: impl IntoIterator<Item = T>) -> MessageBuf {
    line("BATCH").param(format!("+{reference}")).param(kind).params(params)
}

/// `BATCH -reference`
pub fn close(reference: &str) -> MessageBuf {
    line("BATCH").param(format!("-{reference}"))
}

/// A `BATCH` line taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'m, 'a> {
    /// A batch begins.
    Open {
        /// Its name for the time it is open.
        reference: &'a [u8],
        /// Its type, such as `chathistory`.
        kind: &'a [u8],
        /// What the type takes.
        params: &'m [&'a [u8]],
    },
    /// A batch ends.
    Close {
        /// Its name.
        reference: &'a [u8],
    },
}

impl<'m, 'a> Batch<'m, 'a> {
    /// Reads a line as the beginning or end of a batch.
    pub fn parse(message: &'m Message<'a>) -> Option<Self> {
        if !message.is("BATCH") {
            return None;
        }
        match message.params.as_slice() {
            [[b'+', reference @ ..], kind, params @ ..] if !reference.is_empty() => {
                Some(Batch::Open { reference, kind, params })
            }
            [[b'-', reference @ ..], ..] if !reference.is_empty() => Some(Batch::Close { reference }),
            _ => None,
        }
    }
}

/// The reference of the batch a line belongs to.
pub fn of<'a>(message: &Message<'a>) -> Option<Cow<'a, [u8]>> {
    message.tags.get("batch").filter(|reference| !reference.is_empty())
}

/// The label of a line, if it has one that may be answered to.
pub fn label<'a>(message: &Message<'a>) -> Option<Cow<'a, [u8]>> {
    message.tags.get("label").filter(|label| !label.is_empty() && label.len() <= MAX_LABEL)
}

/// Puts a label on the answer to a command: on the line itself if it is one, on a batch around them if they are
/// several, on an `ACK` if there is none. `reference` names that batch. Lines that are in a batch already keep it.
pub fn answer(label: &[u8], reference: &str, server: &[u8], mut lines: Vec<MessageBuf>) -> Vec<MessageBuf> {
    match lines.len() {
        0 => vec![line("ACK").source(server).tag("label", label)],
        1 => {
            lines.iter_mut().for_each(|line| line.push_tag("label", label));
            lines
        }
        _ => {
            let none: [&[u8]; 0] = [];
            let start = open(reference, "labeled-response", none).source(server).tag("label", label);
            lines
                .iter_mut()
                .filter(|line| !line.has_tag("batch"))
                .for_each(|line| line.push_tag("batch", reference));
            let end = close(reference).source(server);
            std::iter::once(start).chain(lines).chain(std::iter::once(end)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn batches_are_written_and_read() {
        let bytes = open("r1", "chathistory", ["#chan"]).to_vec();
        let message = Message::parse(&bytes).unwrap();
        let params: &[&[u8]] = &[b"#chan"];
        assert_eq!(
            Batch::parse(&message),
            Some(Batch::Open { reference: b"r1", kind: b"chathistory", params })
        );
        let bytes = close("r1").to_vec();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(Batch::parse(&message), Some(Batch::Close { reference: b"r1" }));
        for bad in ["BATCH", "BATCH +", "BATCH r1 x", "BATCH +r1", "PING -r1"] {
            assert_eq!(Batch::parse(&Message::parse(bad.as_bytes()).unwrap()), None, "{bad}");
        }
    }

    fn shown(lines: Vec<MessageBuf>) -> Vec<String> {
        answer(b"l 1", "b", b"s", lines).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_answer_carries_its_label_once() {
        assert_eq!(shown(vec![]), ["@label=l\\s1 :s ACK"]);
        assert_eq!(shown(vec![line("PONG")]), ["@label=l\\s1 PONG"]);
        assert_eq!(
            shown(vec![line("A"), line("B").tag("batch", "inner")]),
            ["@label=l\\s1 :s BATCH +b labeled-response", "@batch=b A", "@batch=inner B", ":s BATCH -b"]
        );
    }

    #[test]
    fn labels_are_limited() {
        let long = format!("@label={} PING", "x".repeat(65));
        assert_eq!(label(&Message::parse(long.as_bytes()).unwrap()), None);
        assert_eq!(label(&Message::parse(b"@label=a PING").unwrap()).as_deref(), Some(&b"a"[..]));
        assert_eq!(of(&Message::parse(b"@batch=z PING").unwrap()).as_deref(), Some(&b"z"[..]));
    }
}
