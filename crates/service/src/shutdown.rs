//! How a process ends: one signal everybody hears, tasks that are waited for, and a deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The end of a process, or of a part of it. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, (&'static str, AbortHandle)>,
}

impl Shutdown {
    /// A process that has only begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the end. Doing so twice changes nothing.
    pub fn trigger(&self) {
        self.token.cancel();
        self.tasks.close();
    }

    /// Whether the end has begun.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the end begins. May be dropped and made anew.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// The bare signal, for what takes a token.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A part that ends with the whole, or earlier by itself, and is waited for by the whole.
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            tasks: self.tasks.clone(),
            running: Arc::clone(&self.running),
        }
    }

    /// Runs a task that [`Shutdown::finished`] waits for. It must come to an end soon after [`Shutdown::cancelled`]. A
    /// panic in it is logged under `name` and ends only the task.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let inner = self.tasks.spawn(task);
        let id = {
            let mut running = self.lock();
            running.next += 1;
            let id = running.next;
            running.tasks.insert(id, (name, inner.abort_handle()));
            id
        };
        let this = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = inner.await
                && error.is_panic()
            {
                tracing::error!(task = name, %error, "a task panicked");
            }
            this.lock().tasks.remove(&id);
        })
    }

    /// Runs a task that is simply dropped when the end begins: for loops that hold nothing worth finishing.
    pub fn spawn_until<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        self.spawn(name, async move {
            token.run_until_cancelled(task).await;
        })
    }

    /// Waits until every task has ended, at most `deadline`; then stops those still running and returns their names.
    pub async fn finished(&self, deadline: Duration) -> Result<(), Vec<&'static str>> {
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok() {
            return Ok(());
        }
        let late: Vec<(&'static str, AbortHandle)> = self.lock().tasks.values().cloned().collect();
        for (_, task) in &late {
            task.abort();
        }
        if late.is_empty() { Ok(()) } else { Err(late.into_iter().map(|(name, _)| name).collect()) }
    }

    /// Begins the end at SIGTERM or SIGINT; a second signal ends the process at once.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let this = self.clone();
        tokio::spawn(async move {
            for first in [true, false] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if first {
                    tracing::info!("stopping; once more to stop at once");
                    this.trigger();
                } else {
                    std::process::exit(130);
                }
            }
        });
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
