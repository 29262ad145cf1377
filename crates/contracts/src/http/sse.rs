//! Server-sent events, both ways: `id` carries the cursor, `data` one JSON value.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use serde::Serialize;

/// How often a stream without news says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a reader believes in a stream that says nothing at all. A connection can die without a word (a cable, a router
/// that forgot it); whoever reads comes back with its cursor then.
const SILENCE: Duration = Duration::from_secs(15);
/// The longest event a reader takes; a longer one ends the stream.
const MAX_EVENT: usize = 8 * 1024 * 1024;

/// One event as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The JSON value.
    pub(crate) data: String,
}

/// A stream of values as an answer, with a comment now and then so that neither its reader nor anything between takes it for
/// dead.
pub(super) fn respond<T: Serialize + Send + 'static>(
    values: impl Stream<Item = T> + Send + 'static,
    id: impl Fn(&T) -> String + Send + 'static,
) -> Response {
    let events = values.filter_map(move |value| {
        let event = serde_json::to_string(&value).ok().map(|json| Sent::default().id(id(&value)).data(json));
        async move { event.map(Ok::<_, Infallible>) }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

/// The events of an answer. Ends when the connection does, when it has fallen silent, or at an event beyond all measure.
pub(super) fn events(answer: reqwest::Response) -> BoxStream<'static, Event> {
    let parsed = until_silent(answer.bytes_stream().boxed()).scan(Parser::default(), |parser, bytes| {
        std::future::ready(parser.feed(&bytes).map(futures_util::stream::iter))
    });
    parsed.flatten().boxed()
}

/// The chunks of a body until it ends, breaks, or says nothing for [`SILENCE`].
fn until_silent<B: Send + 'static, E: Send + 'static>(
    chunks: BoxStream<'static, Result<B, E>>,
) -> impl Stream<Item = B> + Send + 'static {
    futures_util::stream::unfold(chunks, |mut chunks| async move {
        let next = tokio::time::timeout(SILENCE, chunks.next()).await;
        next.ok().flatten().and_then(Result::ok).map(|chunk| (chunk, chunks))
    })
}

/// Takes bytes and gives whole events (WHATWG HTML §9.2, as far as both our ends speak it).
#[derive(Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    data: String,
}

impl Parser {
    /// The events `bytes` complete; `None` once an event grew beyond [`MAX_EVENT`].
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() + self.data.len() > MAX_EVENT {
                    return None;
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            self.end_line(line.strip_suffix(b"\r").unwrap_or(&line), &mut events);
        }
        Some(events)
    }

    fn end_line(&mut self, line: &[u8], events: &mut Vec<Event>) {
        if line.is_empty() {
            if !self.data.is_empty() {
                events.push(Event { data: std::mem::take(&mut self.data) });
            }
        } else if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(&String::from_utf8_lossy(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&str]) -> Vec<String> {
        let mut parser = Parser::default();
        pieces
            .iter()
            .flat_map(|piece| parser.feed(piece.as_bytes()).unwrap_or_default())
            .map(|e| e.data)
            .collect()
    }

    #[test]
    fn an_event_is_whole_however_it_is_cut() {
        let text = ": hello\n\nid: 7\ndata: {\"a\":1}\n\ndata: two\r\n\r\n";
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(parse(&[head, tail]), ["{\"a\":1}", "two"], "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_died_without_a_word_is_given_up() {
        let spoken = [Ok("one"), Ok("two"), Err("cut"), Ok("never")];
        let broken = until_silent(futures_util::stream::iter(spoken).boxed());
        assert_eq!(broken.collect::<Vec<_>>().await, ["one", "two"]);

        let heartbeats = futures_util::stream::unfold(0, |beat| async move {
            if beat == 10 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(HEARTBEAT).await;
            Some((Ok::<_, ()>(beat), beat + 1))
        });
        let start = tokio::time::Instant::now();
        assert_eq!(until_silent(heartbeats.boxed()).count().await, 10);
        assert_eq!(start.elapsed(), 10 * HEARTBEAT + SILENCE);
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut parser = Parser::default();
        assert!(parser.feed(&vec![b'x'; MAX_EVENT + 1]).is_none());
    }
}
