//! Strict transport security (ircv3 sts): once an upstream has said "TLS only, for so long", it is never spoken to in
//! the clear again until that time is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What an upstream demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// The port to use TLS on.
    pub port: u16,
    /// Until when it holds, seconds since 1970.
    pub until: i64,
}

/// Keeps policies by host, for all users. The calls return at once: whoever persists does it behind.
pub trait StsStore: Send + Sync + 'static {
    /// The policy for `host` (lower case), in force or run out.
    fn policy(&self, host: &str) -> Option<StsPolicy>;
    /// Keeps a policy, or forgets it.
    fn keep(&self, host: &str, policy: Option<StsPolicy>);
}

/// Keeps policies in memory.
#[derive(Debug, Default)]
pub struct MemorySts(Mutex<HashMap<String, StsPolicy>>);

impl StsStore for MemorySts {
    fn policy(&self, host: &str) -> Option<StsPolicy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied()
    }

    fn keep(&self, host: &str, policy: Option<StsPolicy>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match policy {
            Some(policy) => map.insert(host.to_owned(), policy),
            None => map.remove(host),
        };
    }
}

/// The value of the capability `sts`: `duration=2592000,port=6697`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StsValue {
    /// Where TLS is; only in the clear.
    pub port: Option<u16>,
    /// How long it holds; only over TLS.
    pub duration: Option<Duration>,
}

impl StsValue {
    /// Reads the value; what is unknown or wrong is left out.
    pub fn parse(value: &str) -> Self {
        let mut this = Self::default();
        for item in value.split(',') {
            match item.split_once('=') {
                Some(("port", port)) => this.port = port.parse().ok().filter(|port| *port != 0),
                Some(("duration", seconds)) => this.duration = seconds.parse().ok().map(Duration::from_secs),
                _ => {}
            }
        }
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_read_and_what_is_unknown_left_out() {
        let value = StsValue::parse("duration=300,preload,port=6697,x=y");
        assert_eq!(value, StsValue { port: Some(6697), duration: Some(Duration::from_secs(300)) });
        assert_eq!(StsValue::parse("port=0,duration=-1"), StsValue::default());
    }
}
