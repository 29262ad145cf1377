//! The event stream of the portal: whenever a part of a page reads another way, its new HTML. One stream a browser;
//! the script shares it over tabs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::Event;
use contracts::{
    BouncerChange, BouncerChangeKind, Call, DedicatedBouncer, HostedChange, HostedChangeKind, WatchCursor,
};
use futures_util::future::{self, Either};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use service::clock::now_s;
use service::sse;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::app::{App, Viewer};
use crate::pages::{Page, problem};
use crate::parts::{Parts, Snapshot};

/// What no change tells of (mentions, figures, last use) is read anew this often.
const REFRESH: Duration = Duration::from_secs(60);
/// Changes within this time go out together.
const GATHER: Duration = Duration::from_millis(80);
/// How long the stream waits before it asks a bouncer that went away again.
const AGAIN: Duration = Duration::from_secs(2);

/// `GET /live`
pub(crate) async fn follow(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let snapshot = Snapshot::load(&app, &viewer.call(), viewer.account.clone()).await.map_err(problem)?;
    let live = events(Arc::clone(&app), viewer.call(), snapshot).take_until(viewer.claims.ended());
    // The last word, so that the page loads anew and says why. A page that is closed never sees it.
    let last = stream::once(async { Event::default().event("gone").data("sign in again") });
    let shutdown = app.shutdown.clone();
    Ok(sse::respond(live.chain(last), async move { shutdown.cancelled().await }))
}

struct Watcher {
    app: Arc<App>,
    call: Call,
    snapshot: Snapshot,
    sent: Parts,
    changes: Option<BoxStream<'static, BouncerChange>>,
    cursor: Option<WatchCursor>,
    hosted: Option<BoxStream<'static, HostedChange>>,
    hosted_cursor: Option<WatchCursor>,
    dedicated: Option<BoxStream<'static, Option<DedicatedBouncer>>>,
    nudges: broadcast::Receiver<contracts::Sub>,
    notice: watch::Receiver<Option<String>>,
    refresh: tokio::time::Interval,
}

fn events(app: Arc<App>, call: Call, snapshot: Snapshot) -> impl Stream<Item = Event> + Send + 'static {
    let mut refresh = interval_at(Instant::now() + REFRESH, REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher {
        nudges: app.nudges(),
        notice: app.notice.clone(),
        app,
        call,
        snapshot,
        sent: Parts::default(),
        changes: None,
        cursor: None,
        hosted: None,
        hosted_cursor: None,
        dedicated: None,
        refresh,
    };
    stream::unfold(watcher, |mut watcher| async move {
        loop {
            if let Some(event) = watcher.event() {
                return Some((event, watcher));
            }
            watcher.wait().await;
        }
    })
}

/// Comes true when there is another notice; never where nothing makes any.
async fn changed(notice: &mut watch::Receiver<Option<String>>) {
    if notice.changed().await.is_err() {
        future::pending::<()>().await;
    }
}

/// The next change of a hosted network; never where none are watched.
async fn next_hosted(hosted: &mut Option<BoxStream<'static, HostedChange>>) -> Option<HostedChange> {
    match hosted {
        Some(hosted) => hosted.next().await,
        None => future::pending().await,
    }
}

/// The next change of a dedicated bouncer; never where none is watched.
async fn next_dedicated(
    dedicated: &mut Option<BoxStream<'static, Option<DedicatedBouncer>>>,
) -> Option<Option<DedicatedBouncer>> {
    match dedicated {
        Some(dedicated) => dedicated.next().await,
        None => future::pending().await,
    }
}

/// The next change at the bouncer; none, after a while, where it cannot be watched.
async fn next_change(changes: &mut Option<BoxStream<'static, BouncerChange>>) -> Option<BouncerChange> {
    match changes {
        Some(changes) => changes.next().await,
        None => {
            sleep(AGAIN).await;
            None
        }
    }
}

impl Watcher {
    /// The parts that read another way than what was sent, if any do.
    fn event(&mut self) -> Option<Event> {
        let parts = match Parts::render(&self.snapshot, now_s(), self.app.sites.irc.tls_port) {
            Ok(parts) => parts,
            Err(error) => {
                tracing::error!(%error, "a part of a page cannot be rendered");
                return None;
            }
        };
        let changed = parts.changed_since(&self.sent);
        if changed.is_empty() {
            return None;
        }
        let event = Event::default().event("parts").json_data(&changed).ok();
        self.sent = parts;
        event
    }

    /// Waits until something may have changed, and takes it in.
    async fn wait(&mut self) {
        if self.changes.is_none() {
            match self.app.bouncers.watch(&self.call, self.cursor).await {
                Ok(changes) => self.changes = Some(changes),
                // It may be on its way elsewhere, which the other streams tell of.
                Err(error) => tracing::debug!(%error, "the bouncer cannot be watched"),
            }
        }
        if self.hosted.is_none()
            && let Some(hosting) = self.app.hosting.clone()
        {
            // Without it the other parts go on, and it is asked again with the next of their changes.
            self.hosted = hosting.watch(&self.call, self.hosted_cursor).await.ok();
        }
        if self.dedicated.is_none()
            && let Some(dedicated) = self.app.dedicated.clone()
        {
            self.dedicated = dedicated.watch_dedicated(&self.call).await.ok();
        }
        let hosted = next_hosted(&mut self.hosted);
        let dedicated = next_dedicated(&mut self.dedicated);
        let next = next_change(&mut self.changes);
        tokio::select! {
            change = next => match change {
                Some(change) => {
                    self.take(change);
                    self.gather().await;
                }
                None => {
                    // Another bouncer has other cursors.
                    self.cursor = None;
                    if self.changes.take().is_some() {
                        sleep(AGAIN).await;
                    }
                }
            },
            change = dedicated => match change {
                Some(own) => self.snapshot.dedicated = own,
                None => {
                    self.dedicated = None;
                    sleep(AGAIN).await;
                }
            },
            change = hosted => match change {
                Some(change) => self.take_hosted(change),
                None => {
                    self.hosted = None;
                    sleep(AGAIN).await;
                }
            },
            nudge = self.nudges.recv() => match nudge {
                Ok(sub) if sub != self.call.account => {}
                // Too many to tell apart: read anew.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.reload().await,
                Err(broadcast::error::RecvError::Closed) => sleep(AGAIN).await,
            },
            () = changed(&mut self.notice) => self.snapshot.notice = self.app.notice(),
            _ = self.refresh.tick() => self.reload().await,
        }
    }

    /// Takes what else comes within a moment, so that a burst is one event.
    async fn gather(&mut self) {
        let mut moment = pin!(sleep(GATHER));
        loop {
            let Some(changes) = self.changes.as_mut() else { return };
            match future::select(changes.next(), moment.as_mut()).await {
                Either::Left((Some(change), _)) => self.take(change),
                Either::Left((None, _)) => {
                    self.changes = None;
                    return;
                }
                Either::Right(_) => return,
            }
        }
    }

    fn take(&mut self, change: BouncerChange) {
        self.cursor = Some(change.cursor);
        let Snapshot { networks, devices, usage, .. } = &mut self.snapshot;
        match change.what {
            BouncerChangeKind::Snapshot { networks: all, devices: seen } => {
                *networks = all;
                *devices = seen;
            }
            BouncerChangeKind::Network { network } => {
                networks.retain(|known| known.id != network.id);
                if network.deleted_at.is_none() {
                    networks.push(*network);
                }
            }
            BouncerChangeKind::NetworkGone { id } => networks.retain(|known| known.id != id),
            BouncerChangeKind::Device { device } => {
                devices.retain(|known| known.id != device.id);
                devices.push(device);
            }
        }
        networks.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        devices.sort_by_key(|device| std::cmp::Reverse((device.connections > 0, device.last_seen)));
        usage.networks = u32::try_from(networks.len()).unwrap_or(u32::MAX);
    }

    fn take_hosted(&mut self, change: HostedChange) {
        self.hosted_cursor = Some(change.cursor);
        let hosted = &mut self.snapshot.hosted;
        match change.what {
            HostedChangeKind::Snapshot { networks } => *hosted = networks,
            HostedChangeKind::Network { network } => {
                hosted.retain(|known| known.id != network.id);
                if network.deleted_at.is_none() {
                    hosted.push(*network);
                }
            }
            HostedChangeKind::Gone { id } => hosted.retain(|known| known.id != id),
        }
        hosted.sort_by_key(|network| network.spec.name.to_lowercase());
    }

    async fn reload(&mut self) {
        let account = match self.app.accounts.account(&self.call).await {
            Ok(account) => account,
            Err(_) => self.snapshot.account.clone(),
        };
        match Snapshot::load(&self.app, &self.call, account).await {
            Ok(snapshot) => self.snapshot = snapshot,
            // What is shown stays until the services answer again.
            Err(error) => tracing::debug!(%error, "the live parts cannot be read anew"),
        }
    }
}
