//! Takes away what is over, and compares rows with objects, both ways.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use service::clock::now_us;
use service::health::Part;
use service::shutdown::Shutdown;
use uuid::Uuid;

use crate::app::App;
use crate::objects::ObjectsError;
use crate::store::StoreError;

/// What is younger may belong to an upload under way: longer than any may take.
const SETTLED_US: i64 = 3_600 * 1_000_000;
/// How often rows are compared with objects, in rounds of the sweeper.
const ROUNDS: u64 = 60;

/// Why a round was not finished.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The objects.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

/// Sweeps every so often until the end begins. What the service needs to be asked is looked at in the same rounds.
pub fn start(app: &Arc<App>, every: Duration, ready: Part, shutdown: &Shutdown) {
    let app = Arc::clone(app);
    shutdown.spawn_until("pics sweeper", async move {
        let mut round = 0_u64;
        loop {
            match look(&app).await {
                Ok(()) => ready.ready(),
                Err(error) => ready.not_ready(error.to_string()),
            }
            let done = match expire(&app).await {
                Ok(()) if round.is_multiple_of(ROUNDS) => compare(&app, now_us() - SETTLED_US).await,
                done => done,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "pictures could not be swept; the next round tries again");
            }
            round += 1;
            tokio::time::sleep(every).await;
        }
    });
}

/// Everything a round may do, with rows and objects from before `settled_us` counted as settled.
pub async fn sweep(app: &App, settled_us: i64) -> Result<(), SweepError> {
    expire(app).await?;
    compare(app, settled_us).await
}

async fn look(app: &App) -> Result<(), SweepError> {
    app.store.ping().await.map_err(StoreError::from)?;
    Ok(app.objects.ping().await?)
}

async fn expire(app: &App) -> Result<(), SweepError> {
    loop {
        let gone = app.store.delete_expired(now_us()).await?;
        if gone.is_empty() {
            return Ok(());
        }
        app.figures.swept.inc_by(gone.len() as u64);
        for gone in gone {
            app.take_away(gone).await;
        }
    }
}

/// Room and objects that belong to no upload and no row go; rows whose objects are gone are said to be lost, and go too.
async fn compare(app: &App, settled_us: i64) -> Result<(), SweepError> {
    let stale = app.store.release_stale(settled_us).await?;
    app.figures.swept.inc_by(stale);
    let mut objects = app.objects.all();
    while let Some(object) = objects.next().await {
        let (key, made_us) = object?;
        if made_us < settled_us && !app.store.knows(key).await? {
            tracing::info!(%key, "objects without a row are taken away");
            app.objects.delete(key).await?;
            app.figures.swept.inc();
        }
    }
    let mut after = Uuid::nil();
    loop {
        let contents = app.store.contents(after, settled_us).await?;
        let Some(last) = contents.last().copied() else { return Ok(()) };
        after = last;
        for key in contents {
            if app.objects.has(key).await? {
                continue;
            }
            loop {
                let gone = app.store.delete_lost(key).await?;
                if gone.is_empty() {
                    break;
                }
                tracing::error!(%key, pictures = gone.len(), "the bytes of pictures are gone, and their rows with them");
                app.figures.lost.inc_by(gone.len() as u64);
                for gone in gone {
                    app.take_away(gone).await;
                }
            }
        }
    }
}
