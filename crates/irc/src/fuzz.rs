//! Bodies of the fuzz targets in `/fuzz`; the corpora are replayed by the crate's own tests. Each takes any bytes and must
//! not panic.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use crate::cap::{Cap, CapSet, Caps, Negotiation, Offer};
use crate::casemap::Casemapping;
use crate::isupport::Isupport;
use crate::limits::{self, Lines};
use crate::mask::{self, Ban, Mask, Who};
use crate::message::Message;
use crate::mode::{ChannelModes, Membership, ModeSpec};
use crate::sasl::{self, OauthBearer, Plain, Reassembler};
use crate::scram::{Client, ClientFirst, Exchange};
use crate::source::Source;
use crate::tags::{self, Tags};
use crate::write::{MessageBuf, line};
use crate::{batch, ctcp, names, reply, split, time};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[
    ("message", message),
    ("tags", tags),
    ("isupport", isupport),
    ("mode", mode),
    ("cap", cap),
    ("sasl", sasl),
    ("scram", scram),
    ("split", split),
    ("mask", mask),
];

/// Parse, write and parse again; build lines out of anything; cut streams anywhere.
pub fn message(data: &[u8]) {
    if let Ok(message) = Message::parse(data) {
        let mut out = Vec::new();
        message.write_to(&mut out);
        assert_eq!(Message::parse(&out), Ok(message));
        assert_eq!(MessageBuf::from(&message).to_vec(), out);
        let _ = (message.numeric(), message.upper(), reply::StandardReply::parse(&message));
        let _ = (batch::Batch::parse(&message), batch::label(&message), batch::of(&message));
        let _ = message.source.map(|source| (source.parts(), source.looks_like_server()));
        let _ =
            message.last().map(|text| (ctcp::parse(text), time::parse(text), names::check_nick(text, 30)));
    }
    let _ = limits::check(data, limits::From::Client);

    let mut parts = data.split(|b| *b == b'|');
    let mut built = line(parts.next().unwrap_or_default()).source(parts.next().unwrap_or_default());
    let mut params = 0;
    for part in parts.take(15) {
        built = built.tag(part, part).param(part);
        params += 1;
    }
    let bytes = built.to_vec();
    let body = bytes.strip_suffix(b"\r\n").unwrap_or_default();
    assert!(!body.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')));
    if let Ok(message) = Message::parse(&bytes) {
        assert_eq!(message.params.len(), params);
    }
    lines_do_not_depend_on_reads(data);
}

fn lines_do_not_depend_on_reads(data: &[u8]) {
    let read = |size: usize| {
        let mut lines = Lines::new(32);
        let mut got = Vec::new();
        for part in data.chunks(size) {
            lines.push(part);
            while let Some(line) = lines.next_line() {
                got.push(line.map(<[u8]>::to_vec));
            }
        }
        got
    };
    assert_eq!(read(1), read(data.len().max(1)));
}

/// Tags are found, and values survive escaping.
pub fn tags(data: &[u8]) {
    for tag in Tags::from_raw(data) {
        let value = tag.value();
        assert!(value.contains(&0) || tags::unescape(&tags::escape(&value)) == value);
        let _ = (tags::valid_key(tag.key), tag.is_client_only());
    }
    let escaped = tags::escape(data);
    assert!(!escaped.iter().any(|b| matches!(b, 0 | b' ' | b';' | b'\r' | b'\n')));
    if !data.contains(&0) {
        assert_eq!(tags::unescape(&escaped), data);
        let bytes = line("X").tag("k", data).to_vec();
        let value =
            Message::parse(&bytes).ok().and_then(|message| message.tag("k").map(|value| value.into_owned()));
        assert_eq!(value.as_deref(), Some(data));
    }
}

/// Tokens are read, asked and written so that they read the same.
pub fn isupport(data: &[u8]) {
    let mut state = Isupport::new();
    // Escaped, a byte takes up to four; a token that fits no line is left out.
    for token in data.split(|b| *b == b' ').filter(|token| token.len() < 100) {
        state.apply_token(token);
    }
    let _ = (
        state.casemapping(),
        state.modes(),
        state.nicklen(),
        state.linelen(),
        state.monitor(),
        state.chathistory(),
    );
    let _ = (state.msgreftypes(), state.extban(), state.targmax("PRIVMSG"), state.excepts(), state.invex());
    let _ = (state.split_statusmsg(data), state.is_channel(data), state.denies_client_tag("typing"));
    let mut again = Isupport::new();
    for line in state.lines("irc.test", "nick") {
        let bytes = line.to_vec();
        assert!(bytes.len() <= 512);
        if let Ok(message) = Message::parse(&bytes) {
            again.apply(&message);
        }
    }
    assert_eq!(again, state);
}

/// Line by line: CHANMODES, PREFIX, a mode string, its parameters.
pub fn mode(data: &[u8]) {
    let mut parts = data.split(|b| *b == b'\n');
    let spec = ModeSpec::new(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let modes = parts.next().unwrap_or_default();
    let args: Vec<&[u8]> = parts.filter(|arg| !arg.iter().any(|b| matches!(b, 0 | b'\r'))).collect();
    let changes = spec.parse(modes, &args);
    let mut state = ChannelModes::default();
    let mut ranks = Membership::NONE;
    for change in &changes {
        state.apply(&spec, *change);
        ranks.set(&spec, change.mode, change.adding);
    }
    let (letters, values) = state.to_parts();
    assert_eq!(ChannelModes::read(&spec, letters.as_bytes(), &values).to_parts(), (letters, values));
    let symbols: Vec<u8> = ranks.symbols(&spec, true).collect();
    let _ = Membership::split(&spec, &symbols);
    for max in [Some(1), Some(4), None] {
        let lines = spec.coalesce(changes.iter().copied(), max, 100);
        let again: Vec<_> = lines.iter().flat_map(|line| spec.parse(&line.modes, &line.args)).collect();
        assert_eq!(again, changes);
        let mut over_the_wire = 0;
        for line in lines {
            let bytes = line.to_message("#c").to_vec();
            let Ok(message) = Message::parse(&bytes) else { continue };
            assert_eq!(&message.params[2..], line.args);
            over_the_wire += spec.parse(message.params[1], &message.params[2..]).len();
        }
        assert_eq!(over_the_wire, changes.len());
    }
}

/// Any lines to either end; then both ends with each other.
pub fn cap(data: &[u8]) {
    let number = |at: usize| {
        data.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    let set = |bits: u64| -> CapSet {
        Cap::ALL.iter().copied().filter(|cap| bits & (1 << *cap as u8) != 0).collect()
    };
    let (wanted, offered) = (set(number(0)), set(number(8)));
    let mut offer = Offer::new();
    offered
        .iter()
        .for_each(|cap| offer.insert(cap, Some(&data[..data.len().min(40)]).filter(|v| v.is_ascii())));

    let mut client = Negotiation::new(wanted);
    let mut server = Caps::new(offer.clone());
    for text in data.split(|b| *b == b'\n') {
        let Ok(message) = Message::parse(text) else { continue };
        let _ = client.handle(&message);
        for reply in server.handle(&message, b"irc.test", b"", false).lines {
            assert!(reply.rest_len() <= 512, "{reply}");
        }
        assert!(offered.contains_all(server.enabled()));
    }
    let (mut client, mut server) = (Negotiation::new(wanted), Caps::new(offer));
    let mut to_server = VecDeque::from([client.begin()]);
    let mut ready = 0;
    while let Some(line) = to_server.pop_front() {
        let bytes = line.to_vec();
        let Ok(message) = Message::parse(&bytes) else { continue };
        for answer in server.handle(&message, b"irc.test", b"", false).lines {
            let bytes = answer.to_vec();
            if let Ok(message) = Message::parse(&bytes) {
                let progress = client.handle(&message);
                to_server.extend(progress.send);
                ready += usize::from(progress.ready);
            }
        }
    }
    assert_eq!(ready, 1);
    assert_eq!(
        client.enabled().without(Cap::CapNotify),
        (wanted & offered).without(Cap::Sts).without(Cap::CapNotify)
    );
}

/// Payloads are cut and put together; what the mechanisms read they write the same.
pub fn sasl(data: &[u8]) {
    let mut reassembler = Reassembler::new(data.len());
    let mut whole = None;
    for chunk in sasl::chunks(data) {
        assert!(whole.is_none());
        whole = reassembler.push(chunk.as_bytes()).ok().flatten();
    }
    assert_eq!(whole.as_deref().map(Vec::as_slice), Some(data));
    let mut reassembler = Reassembler::new(1000);
    for param in data.split(|b| *b == b'\n') {
        let _ = reassembler.push(param);
    }
    if let Ok(plain) = Plain::parse(data) {
        assert_eq!(plain.to_payload().ok().as_deref().map(Vec::as_slice), Some(data));
    }
    if let Ok(bearer) = OauthBearer::parse(data)
        && let Ok(payload) = bearer.to_payload()
    {
        assert_eq!(OauthBearer::parse(&payload), Ok(bearer));
    }
    let _ = sasl::external(data);
}

/// Each message of either end.
pub fn scram(data: &[u8]) {
    if let Ok(first) = ClientFirst::parse(data) {
        let exchange = first.challenge(&[1; 18], b"salt", 4096);
        assert_eq!(Exchange::from_bytes(&exchange.to_bytes()), Ok(exchange.clone()));
        let _ = exchange.finish(data);
    }
    if let Ok(exchange) = Exchange::from_bytes(data) {
        assert_eq!(exchange.to_bytes(), data);
    }
    if let Ok(first) = ClientFirst::parse(b"n,,n=user,r=abc") {
        let _ = first.challenge(&[1; 18], b"salt", 4096).finish(data);
    }
    // Many iterations are right, but slow.
    let mut client = Client::new("user", "pencil", "", &[0; 18]);
    let iterations = data.rsplit(|b| *b == b'=').next().unwrap_or_default();
    if iterations.len() <= 4 {
        let _ = client.answer(data);
    }
    let _ = client.verify(data);
}

/// The first byte is the length of a piece, the rest the text.
pub fn split(data: &[u8]) {
    let Some((max, text)) = data.split_first() else { return };
    let max = usize::from(*max);
    let pieces: Vec<&[u8]> = split::pieces(text, max).collect();
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= max.max(4)));
    if let Ok(text) = str::from_utf8(text) {
        cuts_are_between_graphemes(text, &pieces, max.max(4));
    }
    for part in split::message(text, max.max(16)) {
        assert!(part.len() <= max.max(16));
    }
}

fn cuts_are_between_graphemes(text: &str, pieces: &[&[u8]], max: usize) {
    let mut cut = 0;
    for piece in pieces {
        assert!(str::from_utf8(piece).is_ok());
        cut += piece.len();
        let around =
            text.grapheme_indices(true).find(|(at, grapheme)| *at < cut && cut < at + grapheme.len());
        assert!(around.is_none_or(|(_, grapheme)| grapheme.len() > max), "cut at {cut} of {text:?}");
    }
}

/// Line by line: a mask, somebody, what the network says of extended bans.
pub fn mask(data: &[u8]) {
    let mut parts = data.split(|b| *b == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (raw, who, extban, account) = (part(), part(), part(), part());
    let whole = Mask::parse(raw);
    assert_eq!(Mask::parse(whole.as_bytes()), whole);
    let isupport = Isupport::new().with("EXTBAN", extban).with("ACCOUNTEXTBAN", account);
    let who = Who { source: Source::parse(who), account: Some(account) };
    for casemapping in [Casemapping::Ascii, Casemapping::Rfc1459, Casemapping::Rfc1459Strict] {
        let _ = Ban::parse(raw, &isupport).matches(who, casemapping);
        let folded = casemapping.fold(raw);
        assert_eq!(casemapping.fold(folded.as_bytes()), folded);
        assert!(mask::glob(b"*", raw, casemapping));
    }
}
