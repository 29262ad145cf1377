use std::time::Duration;

use axum::response::sse::Event;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use service::sse::{Feed, Item};

#[tokio::test]
async fn a_reader_resumes_exactly_where_it_was() {
    let feed = Feed::new(4, 100);
    for n in 1..=3 {
        feed.publish(n);
    }
    let read: Vec<_> = feed.subscribe(Some(101)).take(2).collect().await;
    assert_eq!(read, [Item::Event { id: 102, what: 2 }, Item::Event { id: 103, what: 3 }]);
    let mut live = Box::pin(feed.subscribe(None));
    feed.publish(4);
    assert_eq!(live.next().await, Some(Item::Event { id: 104, what: 4 }));
    drop(feed);
    assert_eq!(live.next().await, None);
}

#[tokio::test]
async fn who_missed_too_much_starts_over_and_then_goes_on() {
    let feed = Feed::new(2, 0);
    for n in 1..=5 {
        feed.publish(n);
    }
    for after in [1, 99] {
        let mut reader = Box::pin(feed.subscribe(Some(after)));
        assert_eq!(reader.next().await, Some(Item::StartOver { id: feed.last_id() }));
        let id = feed.publish(6);
        assert_eq!(reader.next().await, Some(Item::Event { id, what: 6 }));
    }
}

#[tokio::test]
async fn a_reader_that_reads_nothing_costs_the_writer_nothing() {
    let feed = Feed::new(8, 0);
    let mut slow = Box::pin(feed.subscribe(None));
    for n in 0..100_000 {
        feed.publish(n);
    }
    assert_eq!(slow.next().await, Some(Item::StartOver { id: 100_000 }));
}

#[tokio::test]
async fn a_stream_ends_when_the_session_does() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let events = futures_util::stream::iter([Event::default().id("7").data("x")])
        .chain(futures_util::stream::pending());
    let answer = service::sse::respond(events, async move {
        ended.await.ok();
    });
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let mut body = answer.into_body();
    let mut text = String::new();
    while !text.contains("id: 7") {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    end.send(()).unwrap();
    let rest = tokio::time::timeout(Duration::from_secs(30), body.collect()).await.expect("the stream ends");
    rest.unwrap();
}
