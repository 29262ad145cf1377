//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora. Each takes any bytes and panics if a
//! promise is broken.

use std::io::Cursor;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use irc::sasl::Mechanism;

use crate::accept;
use crate::caps::{Cap, Negotiation, Offer};
use crate::config::Network;
use crate::framing::{LineBuffer, MAX_LINE, Piece, message};
use crate::proxy::{Parsed, parse};
use crate::registration::{self, Act, Answer, Registration};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[
    ("door_proxy", proxy),
    ("door_framing", framing),
    ("door_websocket", websocket),
    ("door_registration", registration),
];

/// PROXY headers: never more than there is, and every beginning of a header asks for more.
pub fn proxy(data: &[u8]) {
    if let Parsed::Header(header) = parse(data) {
        assert!(header.length <= data.len());
        assert!(matches!(parse(&data[..header.length - 1]), Parsed::Incomplete));
    }
    let text = String::from_utf8_lossy(data);
    if let Some(network) = Network::parse(&text)
        && let Some(Ok(own)) = text.split('/').next().map(str::parse::<IpAddr>)
    {
        assert!(network.contains(own) || own != own.to_canonical(), "{text}");
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

/// WebSocket frames after the upgrade: whatever comes, only whole lines come out, and the end is reached.
pub fn websocket(data: &[u8]) {
    let _ = accept::subprotocol(&String::from_utf8_lossy(data));
    let stream = tokio::io::join(Cursor::new(data.to_vec()), tokio::io::sink());
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(mut wire) = pin!(accept::upgraded(Box::new(stream), true)).poll(&mut cx) else { return };
    let mut messages = 0;
    let mut open = true;
    while open {
        let read = wire.poll_read(&mut cx, &mut |piece| {
            if let Piece::Line(line) = piece {
                assert!(!line.is_empty() && line.len() <= MAX_LINE);
                assert!(!line.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
            }
        });
        assert!(read.is_ready(), "all of it is there");
        open = matches!(read, Poll::Ready(Ok(true)));
        messages += 1;
        assert!(messages <= data.len() + 1, "more messages than bytes");
    }
}

/// Line by line what a client says before it is in; a payload's length decides what the backend says to it.
pub fn registration(data: &[u8]) {
    let mechanisms = [Mechanism::ScramSha256, Mechanism::Plain];
    let confidential = !data.starts_with(b"!");
    let mechanisms = if confidential { &mechanisms[..] } else { &[] };
    let context = registration::Context {
        server: "irc.test",
        mechanisms,
        confidential,
        login_required: data.len().is_multiple_of(2),
        login_hint: "Use SASL.",
        early: &|command| command == b"BOUNCER",
    };
    let mut caps = Negotiation::new("irc.test", registration::mechanism_names(mechanisms));
    let mut out = Vec::new();
    out.extend(caps.change_offer(Offer::new().with(Cap::Batch).with(Cap::ServerTime)));
    let mut registration = Registration::default();
    let lines = data.split(|byte| *byte == b'\n').filter(|line| line.len() <= 510);
    for line in lines.take(500) {
        let mut act = registration.line(&Bytes::copy_from_slice(line), &context, &mut caps, &mut out);
        while let Act::Sasl(step) = act {
            assert!(confidential, "nothing secret is taken where others can read it");
            let text = String::new();
            let answer = match step.payload.len() % 4 {
                0 => Answer::Refused { text },
                1 => Answer::Success { account: "alice".to_owned() },
                2 => Answer::Unavailable { text },
                _ => Answer::Challenge { payload: vec![0; 300], continuation: Vec::new() },
            };
            act = registration.answered(answer, &context, &caps, &mut out);
        }
        match act {
            Act::Continue | Act::Sasl(_) => {}
            Act::End(_) => break,
            Act::Ready => {
                assert!(!registration.introduced().nick.is_empty());
                break;
            }
        }
    }
    for line in out {
        let bare = line.strip_suffix(b"\r\n").unwrap_or_default();
        assert!(!bare.is_empty() && !bare.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
    }
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
