//! Waiting for a condition instead of sleeping.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

/// How long a condition may take on a busy machine before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks `question` until it answers `Some`, for [`PATIENCE`] at the most, and gives that answer. Fails the test with `what`.
#[track_caller]
pub fn eventually<T, F: Future<Output = Option<T>>>(
    what: impl Debug,
    mut question: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            assert!(Instant::now() < end, "{place}: {what:?} did not happen within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
