//! Times and ids as text.

/// `YYYY-MM-DDThh:mm:ss.sssZ`, as server-time has it.
pub(crate) fn iso(ms: i64) -> String {
    irc::time::format(ms)
}

/// Milliseconds since 1970 of such a text.
pub(crate) fn from_iso(text: &[u8]) -> Option<i64> {
    irc::time::parse(text)
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
    #[test]
    fn ids_do_not_repeat() {
        let mut ids = Ids::new(7);
        let all: std::collections::HashSet<_> = (0..10_000).map(|_| ids.msgid(1_700_000_000_000)).collect();
        assert_eq!(all.len(), 10_000);
    }
}
