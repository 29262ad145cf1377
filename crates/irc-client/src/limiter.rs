//! One token bucket of connection attempts per upstream host, over all users of the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often this process knocks at one host.
#[derive(Debug)]
pub struct HostLimiter {
    burst: u32,
    interval: Duration,
    /// For each host the time at which its bucket is full again.
    hosts: Mutex<HashMap<String, Instant>>,
}

impl HostLimiter {
    /// `burst` attempts at once, then one each `interval`.
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self { burst: burst.max(1), interval, hosts: Mutex::new(HashMap::new()) }
    }

    /// Takes the next free place at `host` and says how long to wait for it.
    pub fn reserve(&self, host: &str, now: Instant) -> Duration {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() > 4096 {
            hosts.retain(|_, full| *full > now);
        }
        let full = hosts.entry(host.to_ascii_lowercase()).or_insert(now);
        let next = (*full).max(now) + self.interval;
        *full = next;
        next.saturating_duration_since(now + self.interval * self.burst)
    }

    /// Waits for a place at `host`.
    pub async fn admit(&self, host: &str) {
        let wait = self.reserve(host, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Default for HostLimiter {
    /// Five at once, then one in two seconds.
    fn default() -> Self {
        Self::new(5, Duration::from_secs(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_stand_in_line() {
        let limiter = HostLimiter::new(3, Duration::from_secs(2));
        let now = Instant::now();
        let waits: Vec<u64> = (0..6).map(|_| limiter.reserve("Irc.Example", now).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 2, 4, 6]);
        assert_eq!(limiter.reserve("irc.example", now).as_secs(), 8);
        assert_eq!(limiter.reserve("elsewhere", now).as_secs(), 0);
    }

    #[test]
    fn a_rested_bucket_is_full_again() {
        let limiter = HostLimiter::new(2, Duration::from_secs(1));
        let now = Instant::now();
        for _ in 0..4 {
            limiter.reserve("h", now);
        }
        let later = now + Duration::from_secs(60);
        assert_eq!(limiter.reserve("h", later), Duration::ZERO);
        assert_eq!(limiter.reserve("h", later), Duration::ZERO);
        assert_eq!(limiter.reserve("h", later), Duration::from_secs(1));
    }
}
