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

/// What becomes of another line.
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

    /// Pays for one line, if there is credit for it.
    pub fn take(&mut self, limits: &FloodLimits, now: Instant) -> Verdict {
        self.refill(limits, now);
        if self.tokens >= f64::from(limits.burst) / 2.0 {
            self.empty_since = None;
        }
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
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

    /// Takes as many lines as there is credit for.
    fn take_all(bucket: &mut Bucket, now: Instant) -> (usize, Verdict) {
        let mut taken = 0;
        loop {
            match bucket.take(&LIMITS, now) {
                Verdict::Pass => taken += 1,
                other => return (taken, other),
            }
        }
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&LIMITS, start);
        assert_eq!(take_all(&mut bucket, start), (10, Verdict::Wait(Duration::from_millis(500))));
        assert_eq!(take_all(&mut bucket, start + Duration::from_secs(1)).0, 2);
    }

    #[test]
    fn who_never_pauses_is_shown_the_door() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&LIMITS, start);
        let ended = (0..80)
            .map(|half| take_all(&mut bucket, start + Duration::from_millis(500 * half)).1)
            .position(|verdict| verdict == Verdict::Excess);
        assert_eq!(ended, Some(61));
    }

    #[test]
    fn a_paste_with_a_pause_after_it_is_forgiven() {
        let start = Instant::now();
        let mut bucket = Bucket::new(&LIMITS, start);
        for round in 0..10 {
            let (taken, verdict) = take_all(&mut bucket, start + Duration::from_secs(round * 20));
            assert!(taken == 10 && matches!(verdict, Verdict::Wait(_)));
        }
    }
}
