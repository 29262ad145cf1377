//! How long something stays: as people write it, within what their plan allows.

use std::fmt;
use std::str::FromStr;

use entitlements::Amount;

const HOUR: u64 = 3_600;
const UNITS: [(&str, u64); 6] =
    [("s", 1), ("m", 60), ("h", HOUR), ("d", 24 * HOUR), ("w", 7 * 24 * HOUR), ("y", 365 * 24 * HOUR)];
/// Who wants longer wants it for ever.
const LONGEST: u64 = 100 * 365 * 24 * HOUR;

/// How long something stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// This many seconds, at least one.
    Seconds(u64),
    /// Until its owner deletes it.
    Forever,
}

/// A text that says no [`Lifetime`]. The words are for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Write how long it stays as 10m, 12h, 3d, 2w or never.")]
pub struct NoLifetime;

impl Lifetime {
    /// The longest that a limit in hours allows.
    pub fn longest(hours: Amount) -> Self {
        match hours {
            Amount::Unlimited => Self::Forever,
            Amount::AtMost(hours) => Self::Seconds(hours.saturating_mul(HOUR).max(1)),
        }
    }

    /// Whether a limit in hours allows it.
    pub fn fits(self, hours: Amount) -> bool {
        match (self, Self::longest(hours)) {
            (_, Self::Forever) => true,
            (Self::Forever, Self::Seconds(_)) => false,
            (Self::Seconds(wanted), Self::Seconds(most)) => wanted <= most,
        }
    }

    /// When it ends if it begins at `now` (microseconds since 1970, both); `None` for never.
    pub fn ends(self, now_us: i64) -> Option<i64> {
        match self {
            Self::Forever => None,
            Self::Seconds(seconds) => {
                let us = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
                Some(now_us.saturating_add(us))
            }
        }
    }
}

impl FromStr for Lifetime {
    type Err = NoLifetime;

    /// `never`, or numbers with units (`1d12h`); a bare number is seconds.
    fn from_str(text: &str) -> Result<Self, NoLifetime> {
        let text = text.trim().to_ascii_lowercase();
        if text == "never" {
            return Ok(Self::Forever);
        }
        let mut seconds = 0_u64;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| NoLifetime)?;
            rest = rest[digits..].trim_start();
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit = match &rest[..letters] {
                "" => 1,
                unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or(NoLifetime)?.1,
            };
            rest = rest[letters..].trim_start();
            seconds = seconds.saturating_add(number.saturating_mul(unit));
        }
        if seconds == 0 || seconds > LONGEST { Err(NoLifetime) } else { Ok(Self::Seconds(seconds)) }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("never"),
            Self::Seconds(seconds) => {
                let (name, unit) = UNITS
                    .into_iter()
                    .rev()
                    .find(|(_, unit)| seconds.is_multiple_of(*unit))
                    .unwrap_or(("s", 1));
                write!(f, "{}{name}", seconds / unit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_as_people_write_it() {
        for (text, seconds) in
            [("10m", 600), ("1d12h", 129_600), ("90", 90), (" 2 w ", 1_209_600), ("1H", 3_600)]
        {
            assert_eq!(text.parse(), Ok(Lifetime::Seconds(seconds)), "{text}");
        }
        assert_eq!("never".parse(), Ok(Lifetime::Forever));
        for bad in ["", "0", "0h", "soon", "-1h", "1.5h", "h", "1h!", "99999999999999999999", "200y"] {
            assert_eq!(bad.parse::<Lifetime>(), Err(NoLifetime), "{bad}");
        }
    }

    #[test]
    fn a_plan_of_a_day_allows_a_day_and_nothing_longer() {
        let day = Amount::AtMost(24);
        assert!("24h".parse::<Lifetime>().unwrap().fits(day));
        assert!(!"1441m".parse::<Lifetime>().unwrap().fits(day));
        assert!(!Lifetime::Forever.fits(day));
        assert!(Lifetime::Forever.fits(Amount::Unlimited));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 1..LONGEST) {
            let lifetime = Lifetime::Seconds(seconds);
            prop_assert_eq!(lifetime.to_string().parse(), Ok(lifetime));
        }

        #[test]
        fn nothing_typed_breaks_it(text in "\\PC{0,40}") {
            let _ = text.parse::<Lifetime>();
        }
    }
}
