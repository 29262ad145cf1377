//! What is over goes: from the database and from memory, without anybody asking for it.

use std::sync::Arc;
use std::time::Duration;

use service::clock::now_us;
use service::health::Part;

use crate::app::App;
use crate::store::StoreResult;

/// How many go in one statement, so that others come in between.
const AT_ONCE: u32 = 200;
/// How long a settled report is kept.
const SETTLED_US: i64 = 90 * 86_400 * 1_000_000;

/// Sweeps every so often until the end begins. Whether the database takes part is whether the site is ready.
pub fn start(app: &Arc<App>, every: Duration, ready: Part) {
    let this = Arc::clone(app);
    app.shutdown.spawn_until("paste sweeper", async move {
        loop {
            match sweep(&this).await {
                Ok(()) => ready.ready(),
                Err(error) => {
                    ready.not_ready("the database of pastes does not answer");
                    tracing::warn!(%error, "what is over could not be swept; trying again");
                }
            }
            tokio::time::sleep(every).await;
        }
    });
}

/// Deletes everything that is over now.
pub async fn sweep(app: &App) -> StoreResult<()> {
    loop {
        let gone = app.store.sweep(now_us(), AT_ONCE).await?;
        for id in &gone {
            app.cache.forget(*id);
        }
        app.metrics.swept(gone.len());
        if gone.len() < AT_ONCE as usize {
            break;
        }
    }
    app.cache.sweep(now_us());
    app.store.sweep_owners().await?;
    app.abuse.forget_settled(now_us() - SETTLED_US).await?;
    app.metrics.state(app.store.live().await?, app.abuse.waiting().await?, app.cache.size().1);
    Ok(())
}
