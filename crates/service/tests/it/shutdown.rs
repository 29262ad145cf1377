use std::time::Duration;

use service::shutdown::Shutdown;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn tasks_hear_the_end_and_are_waited_for() {
    let shutdown = Shutdown::new();
    let (sent, done) = tokio::sync::oneshot::channel();
    let heard = shutdown.clone();
    shutdown.spawn("hears", async move {
        heard.cancelled().await;
        sent.send(()).unwrap();
    });
    shutdown.spawn_until("dropped", std::future::pending());
    shutdown.trigger();
    shutdown.finished(LONG).await.unwrap();
    done.await.unwrap();
}

#[tokio::test]
async fn a_task_that_does_not_end_is_named_and_stopped() {
    let shutdown = Shutdown::new();
    shutdown.spawn("stubborn", std::future::pending());
    shutdown.trigger();
    assert_eq!(shutdown.finished(Duration::from_millis(10)).await, Err(vec!["stubborn"]));
    shutdown.finished(LONG).await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_only_its_task() {
    let shutdown = Shutdown::new();
    shutdown.spawn("panics", async { panic!("on purpose") });
    shutdown.spawn("goes on", async {});
    shutdown.trigger();
    shutdown.finished(LONG).await.unwrap();
}

#[tokio::test]
async fn a_part_may_end_before_the_whole_and_ends_with_it() {
    let whole = Shutdown::new();
    let (a, b) = (whole.child(), whole.child());
    a.token().cancel();
    assert!(a.is_triggered() && !b.is_triggered() && !whole.is_triggered());
    whole.trigger();
    assert!(b.is_triggered());
}
