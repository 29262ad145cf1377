//! Keeps the local network's server up while `ircnow up` runs: a server that died is started again at the same address,
//! after a pause that grows from a second to a minute and is short again once a server has stayed up that long.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::{LocalNetwork, start_at};

/// How often it is looked whether the server still runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The local network with somebody who looks after it.
pub struct Supervised {
    /// Where it listens, whatever happens to its server.
    pub address: SocketAddr,
    /// What runs it.
    pub software: &'static str,
    network: Arc<Mutex<LocalNetwork>>,
    notice: watch::Receiver<Option<String>>,
}

impl Supervised {
    /// Looks after it from now on, until the end begins.
    pub fn new(network: LocalNetwork, shutdown: &Shutdown) -> Self {
        let (address, software) = (network.address, network.software);
        let network = Arc::new(Mutex::new(network));
        let (say, notice) = watch::channel(None);
        shutdown.spawn_until("local network", keep_up(Arc::clone(&network), say));
        Self { address, software, network, notice }
    }

    /// What users must know of it: why it is away, while it is.
    pub fn notice(&self) -> watch::Receiver<Option<String>> {
        self.notice.clone()
    }

    /// Asks the server to stop and waits for it a moment. Only after the end began: before it would be started again.
    pub fn stop(&self) {
        self.network.lock().unwrap_or_else(PoisonError::into_inner).stop();
    }
}

async fn keep_up(network: Arc<Mutex<LocalNetwork>>, say: watch::Sender<Option<String>>) {
    let mut pauses = Pauses::new(Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if network.lock().unwrap_or_else(PoisonError::into_inner).is_alive() {
            continue;
        }
        tracing::warn!("the local network's server died");
        while !started_again(&network, pauses.next(Instant::now()), &say).await {}
        pauses.is_up(Instant::now());
        say.send_replace(None);
    }
}

/// Waits, then tries it once.
async fn started_again(
    network: &Arc<Mutex<LocalNetwork>>,
    pause: Duration,
    say: &watch::Sender<Option<String>>,
) -> bool {
    let seconds = pause.as_secs();
    let soon = if seconds == 1 { "in a second".to_owned() } else { format!("in {seconds} seconds") };
    say.send_replace(Some(format!("The server of the local network stopped. It is started again {soon}.")));
    tokio::time::sleep(pause).await;
    let network = Arc::clone(network);
    // The lock is held while it starts, so that whoever stops it stops the new one.
    let started = tokio::task::spawn_blocking(move || {
        let mut network = network.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, address) = (network.folder.clone(), network.address);
        let fresh = start_at(&folder, address)?;
        Ok::<_, anyhow::Error>(fresh.map(|fresh| *network = fresh).is_some())
    });
    match started.await.map_err(anyhow::Error::from).and_then(|started| started) {
        Ok(true) => {
            tracing::info!("the local network is up again");
            true
        }
        Ok(false) => {
            tracing::warn!("the local network cannot be started again: its program is gone");
            false
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the local network cannot be started again yet");
            false
        }
    }
}

/// How long to wait before each try.
pub struct Pauses {
    next: Duration,
    up_since: Option<Instant>,
}

impl Pauses {
    /// A server has run since then.
    pub fn new(up_since: Instant) -> Self {
        Self { next: FIRST_PAUSE, up_since: Some(up_since) }
    }

    /// A server runs.
    pub fn is_up(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// The pause before the next try. After a server that had stayed up it is short again.
    pub fn next(&mut self, now: Instant) -> Duration {
        let stayed_up = self.up_since.take().is_some_and(|since| now.duration_since(since) >= LONGEST_PAUSE);
        if stayed_up {
            self.next = FIRST_PAUSE;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_a_minute_and_is_short_again_for_a_server_that_stayed_up() {
        let mut now = Instant::now();
        let mut pauses = Pauses::new(now);
        let mut waited = Vec::new();
        for _ in 0..8 {
            let pause = pauses.next(now);
            waited.push(pause.as_secs());
            // It came up after the pause and died at once.
            now += pause;
            pauses.is_up(now);
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
        now += Duration::from_secs(3600);
        assert_eq!(pauses.next(now), FIRST_PAUSE);
    }

    #[test]
    fn a_server_that_cannot_be_started_is_tried_ever_more_rarely() {
        let mut now = Instant::now();
        let mut pauses = Pauses::new(now);
        let mut last = Duration::ZERO;
        for _ in 0..10 {
            let pause = pauses.next(now);
            assert!(pause >= last);
            // Each try may take its whole time.
            now += pause + Duration::from_secs(10);
            last = pause;
        }
        assert_eq!(last, LONGEST_PAUSE);
    }
}
