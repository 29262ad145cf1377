//! Server-sent events: bounded, with heartbeats, resumable by id, and ended at once when the session ends.
//!
//! A [`Feed`] keeps the last events in a ring. A reader who comes back with a `Last-Event-ID` gets exactly what it missed; one
//! who missed more than the ring holds is told to start over.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;

/// How often a comment is sent while nothing happens: proxies close silent connections after 60 s.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// What a reader resumes from: the `Last-Event-ID` header browsers send, or `?after=`. `None` begins with now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEventId(pub Option<String>);

impl LastEventId {
    /// The id as a number, where it is one.
    pub fn number(&self) -> Option<u64> {
        self.0.as_deref().and_then(|id| id.parse().ok())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let query = || {
            let query = parts.uri.query()?;
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == "after")
                .map(|(_, value)| value.into_owned())
        };
        Ok(Self(header.or_else(query).filter(|id| !id.is_empty())))
    }
}

/// Answers with `events` until they end or `ended` comes true (the session was revoked, the process stops). Browsers come back
/// by themselves after two seconds.
pub fn respond<S, E>(events: S, ended: E) -> Response
where
    S: Stream<Item = Event> + Send + 'static,
    E: Future<Output = ()> + Send + 'static,
{
    let first =
        futures_util::stream::once(async { Event::default().retry(Duration::from_secs(2)).comment("hello") });
    let stream = first.chain(events).take_until(Box::pin(ended)).map(Ok::<_, Infallible>);
    let headers = [("cache-control", "no-store"), ("x-accel-buffering", "no")];
    (headers, Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here")))
        .into_response()
}

/// What a reader of a [`Feed`] gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<T> {
    /// The next event.
    Event {
        /// Resume after this.
        id: u64,
        /// What happened.
        what: T,
    },
    /// Events were missed that are not kept any more: read the whole state anew. What follows comes after `id`.
    StartOver {
        /// Resume after this.
        id: u64,
    },
}

#[derive(Debug)]
struct Ring<T> {
    last: u64,
    kept: VecDeque<T>,
}

/// A bounded, resumable feed of events. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Feed<T> {
    ring: Arc<Mutex<Ring<T>>>,
    most: usize,
    bell: watch::Sender<u64>,
}

impl<T: Clone + Send + Sync + 'static> Feed<T> {
    /// A feed that keeps the last `most` events. Ids go on from `first`: give it something that grows over restarts
    /// (microseconds of the start) and a reader from before is told to start over.
    pub fn new(most: usize, first: u64) -> Self {
        let ring = Ring { last: first, kept: VecDeque::with_capacity(most.min(64)) };
        Self { ring: Arc::new(Mutex::new(ring)), most: most.max(1), bell: watch::Sender::new(first) }
    }

    /// Adds an event and returns its id. Never waits for a reader.
    pub fn publish(&self, what: T) -> u64 {
        let id = {
            let mut ring = self.lock();
            ring.last += 1;
            if ring.kept.len() == self.most {
                ring.kept.pop_front();
            }
            ring.kept.push_back(what);
            ring.last
        };
        self.bell.send_replace(id);
        id
    }

    /// The id of the newest event.
    pub fn last_id(&self) -> u64 {
        self.lock().last
    }

    /// Events after `after` (`None`: from now on), then live ones. Ends when the feed's last handle is dropped.
    pub fn subscribe(&self, after: Option<u64>) -> impl Stream<Item = Item<T>> + Send + 'static {
        let reader = Reader {
            ring: Arc::clone(&self.ring),
            bell: self.bell.subscribe(),
            at: after.unwrap_or_else(|| self.last_id()),
            ready: VecDeque::new(),
        };
        futures_util::stream::unfold(reader, Reader::next)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring<T>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reader<T> {
    ring: Arc<Mutex<Ring<T>>>,
    bell: watch::Receiver<u64>,
    at: u64,
    ready: VecDeque<Item<T>>,
}

impl<T: Clone> Reader<T> {
    async fn next(mut self) -> Option<(Item<T>, Self)> {
        loop {
            self.bell.borrow_and_update();
            self.collect();
            if let Some(item) = self.ready.pop_front() {
                return Some((item, self));
            }
            self.bell.changed().await.ok()?;
        }
    }

    fn collect(&mut self) {
        if !self.ready.is_empty() {
            return;
        }
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.last - ring.kept.len() as u64;
        if self.at < oldest || self.at > ring.last {
            self.at = ring.last;
            self.ready.push_back(Item::StartOver { id: ring.last });
            return;
        }
        let skip = usize::try_from(self.at - oldest).unwrap_or(usize::MAX);
        // A few at a time, so that a reader never holds a copy of the whole ring.
        for what in ring.kept.iter().skip(skip).take(32) {
            self.at += 1;
            self.ready.push_back(Item::Event { id: self.at, what: what.clone() });
        }
    }
}
