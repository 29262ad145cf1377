//! Server-sent events: with heartbeats, and ended at once when the session ends.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};

/// How often a comment is sent while nothing happens: proxies close silent connections after 60 s.
const HEARTBEAT: Duration = Duration::from_secs(20);

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
