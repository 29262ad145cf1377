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
