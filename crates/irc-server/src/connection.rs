//! One client's connection from its first line to its last: one task, a reading half and a writing half.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use irc::Message;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, Closed, Mechanism, NewClient, Peer, SaslAnswer, SaslStep, Session};
use crate::caps::{CapSet, Negotiation};
use crate::config::DoorConfig;
use crate::flood::{Bucket, Verdict};
use crate::framing::Piece;
use crate::metrics::{DoorMetrics, Login};
use crate::outbox::Outbox;
use crate::registration::{self, Act, Answer, Context, Registration, Step};
use crate::reply;
use crate::wire::Wire;

/// What a connection needs from its door.
pub(crate) struct Setting<'a, B: Backend> {
    pub backend: &'a B,
    pub config: &'a DoorConfig,
    pub metrics: &'a DoorMetrics,
    /// Fires when the door closes.
    pub closing: &'a CancellationToken,
    /// What clients are told then.
    pub farewell: &'a Mutex<String>,
}

/// Why a connection ends: a word for the metrics, the reason, and what the client is told.
struct End {
    word: &'static str,
    why: Closed,
}

impl End {
    fn by_door(word: &'static str, text: impl Into<String>) -> Self {
        Self { word, why: Closed::ByDoor(text.into()) }
    }

    fn by_backend(text: String) -> Self {
        Self { word: "backend", why: Closed::ByBackend(text) }
    }

    fn gone() -> Self {
        Self { word: "gone", why: Closed::Gone }
    }

    fn broken(error: &io::Error) -> Self {
        Self { word: "broken", why: Closed::Broken(error.to_string()) }
    }

    fn last_line(&self) -> Option<Bytes> {
        match &self.why {
            Closed::ByDoor(text) | Closed::ByBackend(text) => Some(reply::error(text)),
            Closed::Gone | Closed::Broken(_) => None,
        }
    }
}

/// Runs a connection to its end.
pub(crate) async fn run<B: Backend>(wire: Wire, peer: Peer, deadline: Instant, setting: Setting<'_, B>) {
    let peer = Arc::new(peer);
    let mechanisms = mechanisms(setting.backend, &peer);
    let negotiation =
        Negotiation::new(&setting.config.server_name, registration::mechanism_names(&mechanisms));
    let outbox = Outbox::new(peer.clone(), setting.config.soft_limit, negotiation);
    let wire = Mutex::new(wire);
    let mut session = None;
    let end = {
        let mut reader = Reader {
            setting: &setting,
            wire: &wire,
            outbox: &outbox,
            peer: &peer,
            bucket: Bucket::new(&setting.config.flood, std::time::Instant::now()),
            pieces: VecDeque::new(),
            pause: Duration::ZERO,
            heard: Instant::now(),
            pinged: None,
            nonsense: 0,
        };
        tokio::select! {
            end = read(&mut reader, &mechanisms, deadline, &mut session) => end,
            end = write(&wire, &outbox, &setting) => end,
        }
    };
    tracing::debug!(peer = peer.id, address = %peer.address, listener = %peer.listener, why = ?end.why, "closed");
    let (read, writes) = {
        let wire = lock(&wire);
        (wire.read, wire.writes)
    };
    setting.metrics.bytes_in.inc_by(read);
    setting.metrics.writes.inc_by(writes);
    setting.metrics.closed(end.word);
    let said = say_last(&wire, &outbox, &end, setting.config.linger).await;
    // Before the last look: the client may come back at once and must not meet its old session.
    if let Some(session) = session {
        session.closed(end.why).await;
    }
    if said {
        last_look(&wire).await;
    }
}

/// Registers the client, then serves its session.
async fn read<B: Backend>(
    reader: &mut Reader<'_, B>,
    mechanisms: &[Mechanism],
    deadline: Instant,
    session: &mut Option<B::Session>,
) -> End {
    let opened = match timeout_at(deadline, register(reader, mechanisms)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(end)) => return end,
        Err(_) => return End::by_door("registration_timeout", "You took too long to register."),
    };
    serve(reader, session.insert(opened)).await
}

fn mechanisms<B: Backend>(backend: &B, peer: &Peer) -> Vec<Mechanism> {
    if !peer.confidential() {
        return Vec::new();
    }
    let fits = |mechanism: &Mechanism| *mechanism != Mechanism::External || peer.certificate.is_some();
    backend.mechanisms(peer).into_iter().filter(fits).collect()
}

async fn register<B: Backend>(
    reader: &mut Reader<'_, B>,
    mechanisms: &[Mechanism],
) -> Result<B::Session, End> {
    let backend = reader.setting.backend;
    let config = reader.setting.config;
    let peer = reader.peer;
    let early = |command: &[u8]| backend.early(&command.to_ascii_uppercase());
    let context = Context {
        server: &config.server_name,
        mechanisms,
        confidential: peer.confidential(),
        login_required: config.login_required,
        login_hint: &config.login_hint,
        early: &early,
    };
    let mut registration = Registration::default();
    let mut login = None;
    let introduced = loop {
        let mut act = match reader.next().await? {
            Input::Piece(Piece::Line(line)) => reader.outbox.negotiate(|caps, out| {
                if is_cap(&line) {
                    out.extend(caps.change_offer(backend.offer(peer)));
                }
                registration.line(&line, &context, caps, out)
            }),
            Input::Piece(Piece::TooLong) => {
                reader.too_long("*");
                registration.nonsense()
            }
            Input::Piece(Piece::Endless) => return Err(endless()),
            // There is nobody yet whom it would concern.
            Input::Notices { .. } => continue,
        };
        while let Act::Sasl(step) = act {
            let (answer, found) = ask(reader, step).await;
            login = found.or(login);
            act = reader.outbox.negotiate(|caps, out| registration.answered(answer, &context, caps, out));
        }
        match act {
            Act::Continue | Act::Sasl(_) => {}
            Act::Ready => break registration.introduced(),
            Act::End(text) => return Err(End::by_door("registration", text)),
        }
    };
    let (caps, cap_version) = reader.outbox.negotiate(|caps, _| {
        caps.set_registered();
        (caps.active(), caps.version())
    });
    // The backend is told them in `open`.
    reader.outbox.changed_caps();
    let registration::Introduced { nick, user, realname, early } = introduced;
    let client = NewClient { login, nick, user, realname, caps, cap_version, early, peer: peer.clone() };
    match backend.open(client, reader.outbox.clone()).await {
        Ok(session) => Ok(session),
        Err(refusal) => {
            reader.outbox.push_own(refusal.lines);
            Err(End::by_backend(refusal.text))
        }
    }
}

/// Asks the backend for one step of SASL.
async fn ask<B: Backend>(reader: &Reader<'_, B>, step: Step) -> (Answer, Option<B::Login>) {
    let Step { mechanism, continuation, payload } = step;
    let step = SaslStep { mechanism, continuation, payload, peer: reader.peer.clone() };
    let count = |result| {
        let label = Login { mechanism: mechanism.name(), result };
        reader.setting.metrics.logins.get_or_create(&label).inc();
    };
    match reader.setting.backend.sasl(step).await {
        SaslAnswer::Challenge { payload, continuation } => {
            (Answer::Challenge { payload, continuation }, None)
        }
        SaslAnswer::Success { account, login } => {
            count("success");
            (Answer::Success { account }, Some(login))
        }
        SaslAnswer::Refused { text } => {
            count("refused");
            (Answer::Refused { text }, None)
        }
        SaslAnswer::Unavailable { text } => {
            count("unavailable");
            (Answer::Unavailable { text }, None)
        }
    }
}

/// Hands the client's lines to its session until the end.
async fn serve<B: Backend>(reader: &mut Reader<'_, B>, session: &mut B::Session) -> End {
    loop {
        // Everything of one read goes over in one piece.
        let mut lines = Vec::new();
        let mut next = reader.next().await;
        while let Ok(Input::Piece(piece)) = next {
            match reader.sort(piece) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => {}
                Err(end) => return end,
            }
            // What the client says after a CAP REQ it says with the new capabilities.
            if let Some(caps) = reader.outbox.changed_caps() {
                if !lines.is_empty() {
                    session.lines(std::mem::take(&mut lines)).await;
                }
                session.caps_changed(caps).await;
            }
            let nothing = Ok(Input::Notices { drained: false, caps: None });
            next = reader.ready().map_or(nothing, |ready| ready.map(Input::Piece));
        }
        if !lines.is_empty() {
            session.lines(lines).await;
        }
        match next {
            Ok(Input::Piece(_)) => {}
            Ok(Input::Notices { drained, caps }) => {
                if let Some(caps) = caps {
                    session.caps_changed(caps).await;
                }
                if drained {
                    session.drained().await;
                }
            }
            Err(end) => return end,
        }
    }
}

fn endless() -> End {
    End::by_door("endless", "Your line had no end.")
}

fn is_cap(line: &[u8]) -> bool {
    Message::parse(line).is_ok_and(|message| message.is("CAP"))
}

enum Input {
    Piece(Piece),
    Notices { drained: bool, caps: Option<CapSet> },
}

/// The reading half.
struct Reader<'a, B: Backend> {
    setting: &'a Setting<'a, B>,
    wire: &'a Mutex<Wire>,
    outbox: &'a Outbox,
    peer: &'a Arc<Peer>,
    bucket: Bucket,
    /// Read and not yet dealt with.
    pieces: VecDeque<Piece>,
    /// How long until there is credit for the first of them.
    pause: Duration,
    heard: Instant,
    /// When the door's own PING went out.
    pinged: Option<Instant>,
    nonsense: u8,
}

/// The token of the door's own PINGs; a backend's tokens never look like this.
const KEEPALIVE: &[u8] = b"irc.now-keepalive";
/// Lines that are no IRC, in a row, before a registered client is given up.
const MOST_NONSENSE: u8 = 20;

impl<B: Backend> Reader<'_, B> {
    /// The next thing that concerns this client.
    async fn next(&mut self) -> Result<Input, End> {
        loop {
            if let Some(ready) = self.ready() {
                return ready.map(Input::Piece);
            }
            let config = self.setting.config;
            let now = Instant::now();
            // Nothing is read from a client that does not read: its replies would pile up.
            let behind = self.outbox.lagging();
            let waiting = !self.pieces.is_empty();
            let wake = match self.pinged {
                _ if waiting => now + self.pause,
                _ if behind => now + config.stall_timeout,
                Some(at) => at + config.ping_timeout,
                None => self.heard + config.ping_after,
            };
            let may_read = !behind && !waiting;
            let outbox = self.outbox;
            let wire = self.wire;
            let pieces = &mut self.pieces;
            let asleep = pin!(sleep_until(wake));
            tokio::select! {
                notices = outbox.notices() => {
                    if let Some(text) = outbox.closing() {
                        return Err(End::by_backend(text));
                    }
                    self.heard = Instant::now();
                    return Ok(Input::Notices { drained: notices.drained, caps: notices.caps });
                }
                () = self.setting.closing.cancelled() => {
                    let text = self.setting.farewell.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    return Err(End::by_door("shutdown", text));
                }
                open = poll_fn(|cx| lock(wire).poll_read(cx, &mut |piece| pieces.push_back(piece))), if may_read => {
                    match open {
                        Ok(true) => self.arrived(),
                        Ok(false) => return Err(End::gone()),
                        Err(error) => return Err(End::broken(&error)),
                    }
                }
                () = asleep => if !waiting && !behind {
                    self.idle()?;
                },
            }
        }
    }

    /// The next piece that is read already and that there is credit for. PONG costs nothing.
    fn ready(&mut self) -> Option<Result<Piece, End>> {
        let piece = self.pieces.front()?;
        if !is_pong(piece) {
            match self.bucket.take(&self.setting.config.flood, std::time::Instant::now()) {
                Verdict::Pass => {}
                Verdict::Wait(pause) => {
                    self.pause = pause;
                    return None;
                }
                Verdict::Excess => {
                    return Some(Err(End::by_door("flood", "Excess flood: you send too much.")));
                }
            }
        }
        let piece = self.pieces.pop_front()?;
        if self.pieces.is_empty() {
            // The queue of a burst is not kept for a connection at rest.
            self.pieces = VecDeque::new();
        }
        Some(Ok(piece))
    }

    /// One read has brought something.
    fn arrived(&mut self) {
        self.heard = Instant::now();
        self.pinged = None;
        self.setting.metrics.lines_in.inc_by(self.pieces.len() as u64);
    }

    /// The client has been silent: asks whether it is there, or gives it up.
    fn idle(&mut self) -> Result<(), End> {
        let config = self.setting.config;
        let now = Instant::now();
        match self.pinged {
            Some(at) if now >= at + config.ping_timeout => {
                let seconds = (config.ping_after + config.ping_timeout).as_secs();
                return Err(End::by_door(
                    "ping_timeout",
                    format!("Nothing was heard from you for {seconds} s."),
                ));
            }
            None if now >= self.heard + config.ping_after => {
                self.pinged = Some(now);
                self.outbox.push_own([irc::line("PING").trailing(KEEPALIVE).to_bytes()]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes out what the door answers itself; the rest is the session's.
    fn sort(&mut self, piece: Piece) -> Result<Option<Bytes>, End> {
        let line = match piece {
            Piece::Line(line) => line,
            Piece::TooLong => {
                self.too_long("*");
                return Ok(None);
            }
            Piece::Endless => return Err(endless()),
        };
        let Ok(message) = Message::parse(&line) else {
            self.nonsense += 1;
            if self.nonsense >= MOST_NONSENSE {
                return Err(End::by_door("garbage", "What you send is no IRC."));
            }
            return Ok(None);
        };
        self.nonsense = 0;
        let own = match &*message.upper() {
            "CAP" => {
                self.outbox.negotiate(|caps, out| out.extend(caps.command(&message).0));
                true
            }
            "AUTHENTICATE" => {
                self.reply("907", "You are logged in already.");
                true
            }
            "USER" | "PASS" => {
                self.reply("462", "You are registered already.");
                true
            }
            "PONG" => message.params.contains(&KEEPALIVE),
            _ => false,
        };
        Ok((!own).then_some(line))
    }

    fn reply(&self, code: &str, text: &str) {
        let replies = reply::Replies { server: &self.setting.config.server_name, target: "*" };
        self.outbox.push_own([replies.numeric(code, &[], text)]);
    }

    fn too_long(&self, target: &str) {
        let replies = reply::Replies { server: &self.setting.config.server_name, target };
        self.outbox.push_own([replies.numeric("417", &[], "Your line was too long; it was left out.")]);
    }
}

fn is_pong(piece: &Piece) -> bool {
    match piece {
        Piece::Line(line) => Message::parse(line).is_ok_and(|message| message.is("PONG")),
        Piece::TooLong | Piece::Endless => false,
    }
}

/// The writing half: one `writev` for all that was flushed together.
async fn write<B: Backend>(wire: &Mutex<Wire>, outbox: &Outbox, setting: &Setting<'_, B>) -> End {
    let stall = setting.config.stall_timeout;
    loop {
        if !poll_fn(|cx| outbox.poll_take(cx, &mut lock(wire).outgoing)).await {
            return End::by_backend(outbox.closing().unwrap_or_default());
        }
        match timeout_each(stall, wire, outbox, setting.metrics).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let text = format!("You took in nothing for {} s.", stall.as_secs());
                return End::by_door("stalled", text);
            }
            Err(error) => return End::broken(&error),
        }
    }
}

/// Writes everything taken; `TimedOut` if no byte goes out for `stall`.
async fn timeout_each(
    stall: Duration,
    wire: &Mutex<Wire>,
    outbox: &Outbox,
    metrics: &DoorMetrics,
) -> io::Result<()> {
    while !lock(wire).is_written() {
        let lagging = outbox.lagging();
        let written = timeout(stall, poll_fn(|cx| lock(wire).poll_write(cx))).await??;
        outbox.wrote(written);
        metrics.bytes_out.inc_by(written as u64);
        if lagging && !outbox.lagging() {
            metrics.lagged.inc();
        }
    }
    timeout(stall, poll_fn(|cx| lock(wire).poll_flush(cx))).await?
}

/// The last lines, ERROR, and the end of our side. Whether all of it was written.
async fn say_last(wire: &Mutex<Wire>, outbox: &Outbox, end: &End, linger: Duration) -> bool {
    let rest = outbox.finish();
    let Some(last) = end.last_line() else { return false };
    {
        let mut wire = lock(wire);
        wire.outgoing.extend(rest);
        wire.outgoing.push_back(last);
    }
    let said = timeout(linger, async {
        while !lock(wire).is_written() {
            poll_fn(|cx| lock(wire).poll_write(cx)).await?;
        }
        poll_fn(|cx| lock(wire).poll_flush(cx)).await?;
        poll_fn(|cx| lock(wire).poll_close(cx)).await
    });
    matches!(said.await, Ok(Ok(())))
}

/// What the client still sends is read and dropped for a moment, because a socket closed with unread bytes in it takes
/// its last words back.
async fn last_look(wire: &Mutex<Wire>) {
    let mut dropped = 0_u64;
    let drain = poll_fn(|cx| {
        loop {
            let mut wire = lock(wire);
            let before = wire.read;
            let open = ready!(wire.poll_read(cx, &mut |_| {}));
            dropped += wire.read - before;
            if !matches!(open, Ok(true)) || dropped > MOST_DROPPED {
                return Poll::Ready(());
            }
        }
    });
    let _ = timeout(LAST_LOOK, drain).await;
}

/// How much of a parting client is read and dropped, and for how long.
const MOST_DROPPED: u64 = 1024 * 1024;
const LAST_LOOK: Duration = Duration::from_secs(1);

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}
