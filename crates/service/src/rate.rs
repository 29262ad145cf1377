//! Token buckets for any key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What counts as one address: a /32 of IPv4, a /64 of IPv6. An IPv4 address in IPv6 clothes is the IPv4 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Neighbourhood(IpAddr);

impl From<IpAddr> for Neighbourhood {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits()))),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)))),
        }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Buckets that hold `burst` tokens and gain `per_second`.
#[derive(Debug)]
pub struct Buckets<K> {
    burst: f64,
    per_second: f64,
    most: usize,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// At most `most` keys are remembered: full buckets are forgotten first (nothing is lost by that), then the ones
    /// nearest to full.
    pub fn new(burst: f64, per_second: f64, most: usize) -> Self {
        Self { burst, per_second, most: most.max(1), buckets: Mutex::new(HashMap::new()) }
    }

    /// `count` within `period`, all at once if need be.
    pub fn per(count: u32, period: Duration, most: usize) -> Self {
        Self::new(f64::from(count), f64::from(count) / period.as_secs_f64(), most)
    }

    /// Takes `tokens` from the bucket of `key`, or says how long until they are there.
    pub fn take(&self, key: K, tokens: f64) -> Result<(), Duration> {
        self.take_at(key, tokens, Instant::now())
    }

    /// The same at a given moment.
    pub fn take_at(&self, key: K, tokens: f64, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(&key) && buckets.len() >= self.most {
            self.forget(&mut buckets, now);
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.burst, at: now });
        bucket.tokens = self.level(bucket, now);
        bucket.at = now;
        if bucket.tokens >= tokens {
            bucket.tokens -= tokens;
            return Ok(());
        }
        let wait = (tokens - bucket.tokens) / self.per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    /// Gives `key` a full bucket again (a login that succeeded).
    pub fn refill(&self, key: &K) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn level(&self, bucket: &Bucket, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        (bucket.tokens + gained).min(self.burst)
    }

    /// Makes room for a tenth of all keys at once, so that a flood of new ones does not sort the table each time.
    fn forget(&self, buckets: &mut HashMap<K, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.level(bucket, now) < self.burst);
        let keep = self.most - (self.most / 10).max(1);
        if buckets.len() <= keep {
            return;
        }
        let mut levels: Vec<(f64, K)> =
            buckets.iter().map(|(key, bucket)| (self.level(bucket, now), key.clone())).collect();
        levels.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, key) in levels.into_iter().take(buckets.len() - keep) {
            buckets.remove(&key);
        }
    }
}
