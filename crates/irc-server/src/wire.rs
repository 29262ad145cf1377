//! One connection as lines: read and written the same way whether they travel bare or in WebSocket messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use crate::framing::{self, LineBuffer, Piece};
use crate::stream::{BoxStream, Corked};

/// Lines put into one `writev`.
const SLICES: usize = 64;
/// Bytes of WebSocket frames gathered for one write.
const CORK: usize = 32 * 1024;
/// What one read takes at most.
const READ: usize = 16 * 1024;

thread_local! {
    /// One read buffer a thread: a connection at rest holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// A connection, and the lines on their way into it.
pub(crate) struct Wire {
    kind: Kind,
    /// Taken from the outbox and not yet written.
    pub outgoing: VecDeque<Bytes>,
    /// Write calls made.
    pub writes: u64,
    /// Bytes read.
    pub read: u64,
}

enum Kind {
    Lines { stream: BoxStream, input: LineBuffer },
    WebSocket { stream: Box<WebSocketStream<Corked<BoxStream>>>, text: bool, sent: usize },
}

impl Wire {
    pub fn lines(stream: BoxStream) -> Self {
        Self::new(Kind::Lines { stream, input: LineBuffer::default() })
    }

    pub fn websocket(stream: WebSocketStream<Corked<BoxStream>>, text: bool) -> Self {
        Self::new(Kind::WebSocket { stream: Box::new(stream), text, sent: 0 })
    }

    fn new(kind: Kind) -> Self {
        Self { kind, outgoing: VecDeque::new(), writes: 0, read: 0 }
    }

    /// Reads once and hands on what lines there are. `Ready(false)` at the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        found: &mut impl FnMut(Piece),
    ) -> Poll<io::Result<bool>> {
        match &mut self.kind {
            Kind::Lines { stream, input } => SCRATCH.with_borrow_mut(|scratch| {
                let mut buf = ReadBuf::new(scratch);
                ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
                let bytes = buf.filled();
                self.read += bytes.len() as u64;
                input.feed(bytes, found);
                Poll::Ready(Ok(!bytes.is_empty()))
            }),
            Kind::WebSocket { stream, .. } => {
                let message = match ready!(Pin::new(&mut **stream).poll_next(cx)) {
                    Some(Ok(message)) => message,
                    Some(Err(WsError::Capacity(_))) => {
                        found(Piece::Endless);
                        return Poll::Ready(Ok(true));
                    }
                    Some(Err(error)) => return Poll::Ready(from_ws(error)),
                    None => return Poll::Ready(Ok(false)),
                };
                self.read += message.len() as u64;
                match message {
                    Message::Text(text) => framing::message(text.as_bytes(), found),
                    Message::Binary(bytes) => framing::message(&bytes, found),
                    // tungstenite answers both by itself.
                    Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
                }
                Poll::Ready(Ok(true))
            }
        }
    }

    /// Writes some of what is outgoing: how many bytes of it are done with.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Lines { stream, .. } => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut count = 0;
                for (slice, line) in slices.iter_mut().zip(&self.outgoing) {
                    *slice = IoSlice::new(line);
                    count += 1;
                }
                let written = ready!(Pin::new(stream).poll_write_vectored(cx, &slices[..count]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.writes += 1;
                forget(&mut self.outgoing, written);
                Poll::Ready(Ok(written))
            }
            Kind::WebSocket { stream, text, sent } => {
                while stream.get_ref().held() < CORK
                    && let Some(lines) = self.outgoing.pop_front()
                {
                    *sent += lines.len();
                    for line in split_lines(&lines) {
                        if let Err(error) = Pin::new(&mut **stream).start_send(as_message(line, *text)) {
                            return Poll::Ready(Err(write_error(error)));
                        }
                    }
                }
                let before = stream.get_ref().passed();
                let flushed = Pin::new(&mut **stream).poll_flush(cx);
                if stream.get_ref().passed() > before {
                    self.writes += 1;
                }
                match flushed {
                    Poll::Ready(Ok(())) => Poll::Ready(Ok(std::mem::take(sent))),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(write_error(error))),
                    // Some went out: that is progress, though no whole line may be done with.
                    Poll::Pending if stream.get_ref().passed() > before => {
                        let left = stream.get_ref().held();
                        let done = sent.saturating_sub(left);
                        *sent -= done;
                        Poll::Ready(Ok(done))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    /// Whether everything taken from the outbox is written.
    pub fn is_written(&self) -> bool {
        let held = match &self.kind {
            Kind::Lines { .. } => false,
            Kind::WebSocket { sent, .. } => *sent > 0,
        };
        self.outgoing.is_empty() && !held
    }

    /// Pushes on what the layers below hold (TLS records).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Lines { stream, .. } => Pin::new(stream).poll_flush(cx),
            Kind::WebSocket { stream, .. } => Pin::new(&mut **stream).poll_flush(cx).map_err(write_error),
        }
    }

    /// Says goodbye: close_notify, FIN, a close frame.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Lines { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Kind::WebSocket { stream, .. } => Pin::new(&mut **stream).poll_close(cx).map_err(write_error),
        }
    }
}

/// Drops `written` bytes off the front.
fn forget(lines: &mut VecDeque<Bytes>, mut written: usize) {
    while written > 0
        && let Some(line) = lines.front_mut()
    {
        if line.len() > written {
            line.advance(written);
            return;
        }
        written -= line.len();
        lines.pop_front();
    }
    // A burst's queue is not kept for a connection at rest.
    if lines.is_empty() && lines.capacity() > SLICES {
        *lines = VecDeque::new();
    }
}

/// The lines of a piece, without their ends.
fn split_lines(lines: &Bytes) -> impl Iterator<Item = Bytes> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then(|| lines.slice_ref(line))
    })
}

/// `text.ircv3.net` wants UTF-8; what is not is replaced there.
fn as_message(line: Bytes, text: bool) -> Message {
    if !text {
        return Message::Binary(line);
    }
    Message::Text(
        Utf8Bytes::try_from(line.clone())
            .unwrap_or_else(|_| String::from_utf8_lossy(&line).into_owned().into()),
    )
}

fn from_ws(error: WsError) -> io::Result<bool> {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => Ok(false),
        WsError::Io(error) => Err(error),
        other => Err(io::Error::other(other)),
    }
}

fn write_error(error: WsError) -> io::Error {
    match error {
        WsError::Io(error) => error,
        WsError::ConnectionClosed | WsError::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_write_leaves_the_rest_in_front() {
        let mut lines: VecDeque<Bytes> = [Bytes::from_static(b"abc"), Bytes::from_static(b"def")].into();
        forget(&mut lines, 4);
        assert_eq!(lines, [Bytes::from_static(b"ef")]);
        forget(&mut lines, 2);
        assert!(lines.is_empty());
    }

    #[test]
    fn a_piece_of_several_lines_becomes_several_messages() {
        let lines: Vec<Bytes> = split_lines(&Bytes::from_static(b"PING a\r\nPING b\r\n")).collect();
        assert_eq!(lines, ["PING a", "PING b"]);
    }

    #[test]
    fn text_frames_are_utf8_whatever_comes() {
        let Message::Text(text) = as_message(Bytes::from_static(b"a\xff"), true) else { panic!() };
        assert_eq!(text.as_str(), "a\u{fffd}");
    }
}
