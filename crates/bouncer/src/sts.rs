//! One account's STS policies: in memory for the client sessions, and written behind them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use contracts::Sub;
use irc_client::{StsPolicy, StsStore};

use crate::store::{Store, StoreResult};

/// One account's policies.
pub struct UserSts {
    sub: Sub,
    store: Store,
    known: Mutex<HashMap<String, StsPolicy>>,
}

impl UserSts {
    /// The policies kept for the account.
    pub async fn open(store: &Store, sub: Sub) -> StoreResult<Self> {
        let known = store.sts_policies(sub).await?.into_iter().collect();
        Ok(Self { sub, store: store.clone(), known: Mutex::new(known) })
    }
}

impl StsStore for UserSts {
    fn policy(&self, host: &str) -> Option<StsPolicy> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied()
    }

    fn keep(&self, host: &str, policy: Option<StsPolicy>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match policy {
            Some(policy) => known.insert(host.to_owned(), policy),
            None => known.remove(host),
        };
        // A policy is renewed at every connection: only what moved by an hour is worth a write.
        let far = |a: StsPolicy, b: StsPolicy| a.port != b.port || (a.until - b.until).abs() > 3600;
        let worth_it = match (before, policy) {
            (None, None) => false,
            (Some(before), Some(now)) => far(before, now),
            _ => true,
        };
        drop(known);
        if worth_it {
            let (sub, store, host) = (self.sub, self.store.clone(), host.to_owned());
            tokio::spawn(async move {
                if let Err(error) = store.keep_sts(sub, &host, policy).await {
                    tracing::warn!(%sub, %error, "an STS policy could not be kept");
                }
            });
        }
    }
}
