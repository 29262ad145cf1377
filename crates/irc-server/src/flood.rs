//! How much one client may send: a token bucket, with time from outside.

use std::time::{Duration, Instant};

use crate::config::FloodLimits;

/// One client's bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
    /// Since when it was empty each time it was looked at.
    empty_since: Option<Instant>,
}

/// What a client has to do that wants to send another line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Go on.
    Pass,
    /// Come again after this long.
    Wait(Duration),
    /// It never stops: "Excess flood".
    Excess,
}

impl Bucket {
    pub fn new(limits: &FloodLimits, now: Instant) -> Self {
        Self { tokens: f64::from(limits.burst), at: now, empty_since: None }
    }

    /// Pays for `lines` lines. They were read already, so it may go below zero by one read.
    pub fn spend(&mut self, lines: usize, limits: &FloodLimits, now: Instant) {
        self.refill(limits, now);
        self.tokens -= lines as f64;
    }

    /// Whether the next read may happen now.
    pub fn check(&mut self, limits: &FloodLimits, now: Instant) -> Verdict {
        self.refill(limits, now);
        if self.tokens >= f64::from(limits.burst) / 2.0 {
            self.empty_since = None;
        }
        if self.tokens >= 1.0 {
            return Verdict::Pass;
        }
        let since = *self.empty_since.get_or_insert(now);
        if now.saturating_duration_since(since) > limits.patience {
            return Verdict::Excess;
        }
        Verdict::Wait(Duration::from_secs_f64((1.0 - self.tokens) / limits.per_second.max(0.01)))
    }

    fn refill(&mut self, limits: &FloodLimits, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + passed * limits.per_second).min(f64::from(limits.burst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FloodLimits = FloodLimits { burst: 10, per_second: 2.0, patience: Duration::from_secs(30) };

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&LIMITS, start);
        bucket.spend(10, &LIMITS, start);
        assert_eq!(bucket.check(&LIMITS, start), Verdict::Wait(Duration::from_millis(500)));
        assert_eq!(bucket.check(&LIMITS, start + Duration::from_millis(500)), Verdict::Pass);
    }

    #[test]
    fn who_never_pauses_is_shown_the_door() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&LIMITS, start);
        let verdicts: Vec<Verdict> = (0..80)
            .map(|half| {
                let now = start + Duration::from_millis(500 * half);
                bucket.spend(10, &LIMITS, now);
                bucket.check(&LIMITS, now)
            })
            .collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Excess));
    }

    #[test]
    fn a_paste_with_a_pause_after_it_is_forgiven() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&LIMITS, start);
        for round in 0..10 {
            let now = start + Duration::from_secs(round * 20);
            bucket.spend(20, &LIMITS, now);
            assert!(matches!(bucket.check(&LIMITS, now), Verdict::Wait(_)));
            assert_eq!(bucket.check(&LIMITS, now + Duration::from_secs(15)), Verdict::Pass);
        }
    }
}
