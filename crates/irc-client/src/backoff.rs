//! When to try again: from 1 s to 10 min with jitter, and long after a throttle, a ban or a refused password.

use std::time::Duration;

/// How bad a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may work in a moment.
    Usual,
    /// The upstream asked to be left alone: at least [`Backoff::UNWELCOME`].
    Unwelcome,
    /// Trying again changes nothing unless somebody acts, but what refused may have been out of order: [`Backoff::MAX`].
    Pointless,
}

/// Counts failures in a row. Pure: time and chance come in from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The shortest wait.
    pub const MIN: Duration = Duration::from_secs(1);
    /// The longest wait, before jitter.
    pub const MAX: Duration = Duration::from_secs(600);
    /// The shortest wait after a throttle or a ban.
    pub const UNWELCOME: Duration = Duration::from_secs(300);
    /// A connection counts as a success once it was registered for this long.
    pub const STEADY: Duration = Duration::from_secs(20);

    /// How long to wait after a failure. `chance` is from 0 to 1; the wait is up to a quarter longer by it.
    pub fn failed(&mut self, severity: Severity, chance: f64) -> Duration {
        let doubled = Self::MIN.saturating_mul(1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let floor = match severity {
            Severity::Usual => Self::MIN,
            Severity::Unwelcome => Self::UNWELCOME,
            Severity::Pointless => Self::MAX,
        };
        doubled.clamp(floor, Self::MAX).mul_f64(1.0 + chance.clamp(0.0, 1.0) / 4.0)
    }

    /// A success: the next failure counts as the first.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_from_a_second_to_ten_minutes() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..12).map(|_| backoff.failed(Severity::Usual, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        backoff.succeeded();
        assert_eq!(backoff.failed(Severity::Usual, 0.0), Backoff::MIN);
    }

    #[test]
    fn after_a_success_it_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed(Severity::Usual, 0.0);
        }
        backoff.succeeded();
        assert_eq!(backoff.failures(), 0);
        assert_eq!(backoff.failed(Severity::Usual, 0.0), Backoff::MIN);
    }

    #[test]
    fn a_throttle_or_a_ban_is_answered_with_patience() {
        assert_eq!(Backoff::default().failed(Severity::Unwelcome, 0.0).as_secs(), 300);
        assert_eq!(Backoff::default().failed(Severity::Pointless, 0.0).as_secs(), 600);
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(failures in 0_u32..100, chance in 0.0..=1.0_f64) {
            let mut backoff = Backoff { failures };
            let wait = backoff.failed(Severity::Unwelcome, chance);
            prop_assert!(wait >= Backoff::UNWELCOME && wait <= Backoff::MAX.mul_f64(1.25));
        }
    }
}
