//! Lock-out with backoff. A try counts as failed from its beginning, so that a hundred at once are a hundred, and is
//! taken back when it succeeds: only failures count in the end.

use std::net::IpAddr;

use service::rate::Neighbourhood;

use crate::error::{Result, unavailable};
use crate::pepper::Pepper;
use crate::store::{Attempts, Store};

/// How many failures are free, how long the longest wait is, and when everything is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    free: i64,
    longest_wait: i64,
    forget_after: i64,
    /// Whether one success forgets every failure before it.
    forgives: bool,
}

/// For one account's password or one-time codes.
pub const PER_ACCOUNT: Rule = Rule { free: 5, longest_wait: 900, forget_after: 3600, forgives: true };
/// For one address, whatever it tries.
pub const PER_ADDRESS: Rule = Rule { free: 20, longest_wait: 3600, forget_after: 6 * 3600, forgives: false };

impl Rule {
    fn failed(self, before: Attempts, now: i64) -> Attempts {
        let failures = if now - before.last_at > self.forget_after { 1 } else { before.failures + 1 };
        let over = failures - self.free;
        let wait = if over <= 0 { 0 } else { (1i64 << over.min(30)).min(self.longest_wait) };
        Attempts { failures, last_at: now, blocked_until: now + wait }
    }
}

/// Who is being counted.
#[derive(Clone, Debug)]
pub struct Counted {
    key: Vec<u8>,
    rule: Rule,
    before: Attempts,
}

/// Counts tries.
#[derive(Clone, Debug)]
pub struct Throttle {
    store: Store,
    pepper: Pepper,
}

impl Throttle {
    pub fn new(store: Store, pepper: Pepper) -> Self {
        Self { store, pepper }
    }

    /// Begins a try for something of an account, known or not.
    pub async fn account(&self, what: &str, name: &str, now: i64) -> Result<Counted> {
        let key = self.pepper.hash("attempts", &format!("{what}:{name}"));
        self.begin(key, PER_ACCOUNT, now, "This account had too many wrong tries").await
    }

    /// Begins a try from an address.
    pub async fn address(&self, address: IpAddr, now: i64) -> Result<Counted> {
        self.begin(self.address_key(address), PER_ADDRESS, now, ADDRESS_WORDS).await
    }

    /// Whether an address may try at all, for what nobody can guess anyway: there only what failed is counted, and a login
    /// that succeeds writes nothing.
    pub async fn may_try(&self, address: IpAddr, now: i64) -> Result<()> {
        let before = self.store.attempts(&self.address_key(address)).await?;
        refuse_while_blocked(before, now, ADDRESS_WORDS)
    }

    /// Counts a failure after [`Throttle::may_try`].
    pub async fn failed(&self, address: IpAddr, now: i64) -> Result<()> {
        self.store.count_attempt(&self.address_key(address), |seen| PER_ADDRESS.failed(seen, now)).await?;
        Ok(())
    }

    fn address_key(&self, address: IpAddr) -> Vec<u8> {
        self.pepper.hash("attempts", &format!("address:{:?}", Neighbourhood::from(address)))
    }

    async fn begin(&self, key: Vec<u8>, rule: Rule, now: i64, why: &str) -> Result<Counted> {
        let before = self.store.attempts(&key).await?;
        refuse_while_blocked(before, now, why)?;
        self.store.count_attempt(&key, |seen| rule.failed(seen, now)).await?;
        Ok(Counted { key, rule, before })
    }

    /// The try succeeded: an account starts afresh, an address keeps its earlier failures.
    pub async fn succeeded(&self, counted: Counted) -> Result<()> {
        if counted.rule.forgives || counted.before.failures == 0 {
            return Ok(self.store.clear_attempts(&counted.key).await?);
        }
        self.store
            .count_attempt(&counted.key, |seen| Attempts {
                failures: (seen.failures - 1).max(0),
                last_at: counted.before.last_at,
                blocked_until: counted.before.blocked_until,
            })
            .await?;
        Ok(())
    }
}

const ADDRESS_WORDS: &str = "Too many wrong passwords came from your address";

fn refuse_while_blocked(before: Attempts, now: i64, why: &str) -> Result<()> {
    if before.blocked_until <= now {
        return Ok(());
    }
    let wait = service::view::span(before.blocked_until - now);
    Err(unavailable(format!("{why}. Try again in {wait}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rule: Rule, failures: i64) -> i64 {
        (0..failures).fold(Attempts::default(), |seen, _| rule.failed(seen, 10_000)).blocked_until - 10_000
    }

    #[test]
    fn a_few_slips_are_free_and_then_each_costs_twice_the_last() {
        assert_eq!(after(PER_ACCOUNT, 5), 0);
        assert_eq!(after(PER_ACCOUNT, 6), 2);
        assert_eq!(after(PER_ACCOUNT, 7), 4);
        assert_eq!(after(PER_ACCOUNT, 40), 900);
    }

    #[test]
    fn an_hour_of_quiet_forgets() {
        let many = Attempts { failures: 30, last_at: 0, blocked_until: 900 };
        assert_eq!(PER_ACCOUNT.failed(many, 3601).failures, 1);
        assert_eq!(PER_ACCOUNT.failed(many, 3600).failures, 31);
    }
}
