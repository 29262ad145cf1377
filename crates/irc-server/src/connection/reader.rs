//! The reading half: what the client says, no faster than it may, and what the door answers by itself.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use irc::Message;
use tokio::time::{Instant, sleep_until};

use super::{End, Setting, lock};
use crate::backend::{Backend, Peer};
use crate::caps::CapSet;
use crate::flood::{Bucket, Verdict};
use crate::framing::Piece;
use crate::outbox::Outbox;
use crate::reply;
use crate::wire::Wire;

/// Something that concerns the client.
pub(super) enum Input {
    /// It said something.
    Piece(Piece),
    /// Its outbox has news: the client has caught up, or has other capabilities.
    Notices { drained: bool, caps: Option<CapSet> },
}

/// The reading half.
pub(super) struct Reader<'a, B: Backend> {
    pub setting: &'a Setting<'a, B>,
    wire: &'a Mutex<Wire>,
    pub outbox: &'a Outbox,
    pub peer: &'a Arc<Peer>,
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

impl<'a, B: Backend> Reader<'a, B> {
    /// Nothing is read yet.
    pub fn new(
        setting: &'a Setting<'a, B>,
        wire: &'a Mutex<Wire>,
        outbox: &'a Outbox,
        peer: &'a Arc<Peer>,
    ) -> Self {
        Self {
            setting,
            wire,
            outbox,
            peer,
            bucket: Bucket::new(&setting.config.flood, std::time::Instant::now()),
            pieces: VecDeque::new(),
            pause: Duration::ZERO,
            heard: Instant::now(),
            pinged: None,
            nonsense: 0,
        }
    }

    /// The next thing that concerns this client.
    pub async fn next(&mut self) -> Result<Input, End> {
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
    pub fn ready(&mut self) -> Option<Result<Piece, End>> {
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
    pub fn sort(&mut self, piece: Piece) -> Result<Option<Bytes>, End> {
        let line = match piece {
            Piece::Line(line) => line,
            Piece::TooLong => {
                self.too_long("*");
                return Ok(None);
            }
            Piece::Endless => return Err(End::endless()),
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

    /// Says that a line was left out.
    pub fn too_long(&self, target: &str) {
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
