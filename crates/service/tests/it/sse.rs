use std::time::Duration;

use axum::response::sse::Event;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;

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
