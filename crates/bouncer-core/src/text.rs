//! Times and ids as text.

/// `YYYY-MM-DDThh:mm:ss.sssZ`, as server-time has it.
pub(crate) fn iso(ms: i64) -> String {
    let ms = ms.clamp(0, 253_402_300_799_999);
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days to a date, Gregorian, counting years from March (after Howard Hinnant's "chrono-compatible algorithms").
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, thousandths) = (in_day / 1_000, in_day % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}.{thousandths:03}Z", seconds % 60)
}

/// Milliseconds since 1970 of such a text; the fraction may have any length or be missing.
pub(crate) fn from_iso(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = whole.splitn(3, ':').map(number);
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    let valid = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !valid || hours > 23 || minutes > 59 || seconds > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = era * 146_097 + of_era - 719_468;
    Some(days * 86_400_000 + hours * 3_600_000 + minutes * 60_000 + seconds * 1_000 + thousandths)
}

fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// `hh:mm` UTC and the date, for sentences.
pub(crate) fn spoken(ms: i64) -> String {
    let iso = iso(ms);
    format!("{} {} UTC", iso.get(..10).unwrap_or_default(), iso.get(11..16).unwrap_or_default())
}

/// Where msgids, batch names and tokens come from: never twice the same under one seed.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u128,
    count: u64,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Ids {
    pub fn new(seed: u128) -> Self {
        Self { seed, count: 0 }
    }

    fn next(&mut self) -> u128 {
        self.count += 1;
        let (high, low) = ((self.seed >> 64) as u64, self.seed as u64);
        let first = mix(high ^ mix(self.count));
        let second = mix(low.wrapping_add(self.count) ^ first);
        (u128::from(first) << 64) | u128::from(second)
    }

    /// A msgid: 48 bits of time, 80 of chance, sorted by time.
    pub fn msgid(&mut self, now_ms: i64) -> Box<str> {
        let value = ((now_ms.max(0) as u128) << 80) | (self.next() >> 48);
        let digits = (0..26).rev().map(|at| ALPHABET[(value >> (at * 5)) as usize & 31] as char);
        digits.collect::<String>().into_boxed_str()
    }

    /// A token of 64 bits in hexadecimal.
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.next() as u64)
    }
}

fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_as_server_time_has_them() {
        assert_eq!(iso(1_546_612_466_123), "2019-01-04T14:34:26.123Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(from_iso(b"2019-01-04T14:34:26.123Z"), Some(1_546_612_466_123));
        assert_eq!(from_iso(b"2019-01-04T14:34:26Z"), Some(1_546_612_466_000));
        for wrong in ["", "*", "2019-01-04", "2019-13-04T14:34:26.123Z", "2019-01-04T14:34:26.123", "-1-1-1T0:0:0Z"] {
            assert_eq!(from_iso(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_time_comes_back(ms in 0i64..253_402_300_799_999) {
            prop_assert_eq!(from_iso(iso(ms).as_bytes()), Some(ms));
        }

        #[test]
        fn any_bytes_are_a_time_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            from_iso(&bytes);
        }
    }

    #[test]
    fn ids_do_not_repeat() {
        let mut ids = Ids::new(7);
        let all: std::collections::HashSet<_> = (0..10_000).map(|_| ids.msgid(1_700_000_000_000)).collect();
        assert_eq!(all.len(), 10_000);
    }
}
