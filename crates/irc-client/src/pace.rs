//! How fast lines go out: a burst, then one each interval. Time comes from outside.

use std::time::Duration;

use tokio::time::Instant;

/// One connection's pace.
#[derive(Debug)]
pub(crate) struct Pace {
    burst: u32,
    interval: Duration,
    /// When the burst is whole again.
    full: Instant,
}

impl Pace {
    pub fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self { burst: burst.max(1), interval, full: now }
    }

    /// When the next line may go out; not after `now` means at once.
    pub fn next(&self, now: Instant) -> Instant {
        let spent = self.full.max(now) + self.interval;
        spent.checked_sub(self.interval * self.burst).unwrap_or(now)
    }

    /// One line goes out.
    pub fn spend(&mut self, now: Instant) {
        self.full = self.full.max(now) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_out_at_once_and_the_rest_one_by_one() {
        let start = Instant::now();
        let mut pace = Pace::new(3, Duration::from_secs(1), start);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let at = pace.next(start).max(start);
            waits.push((at - start).as_secs());
            pace.spend(start);
        }
        assert_eq!(waits, [0, 0, 0, 1, 2]);
        assert!(pace.next(start + Duration::from_secs(60)) <= start + Duration::from_secs(60));
    }
}
