//! Forgetting a held account. A long history takes longer than anybody waits for one answer, so it goes on by itself, and
//! whoever asks again waits for the same work. What a process had not done when it ended is begun anew by the next question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::{Call, CallError, CallResult, Sub};
use history::AccountId;
use tokio::task::JoinHandle;

use super::silent;
use crate::hub::Hub;

/// How long one call waits for it at the most.
const SLICE: Duration = Duration::from_secs(5);

/// What is being forgotten.
#[derive(Default)]
pub struct Clearing(Mutex<HashMap<Sub, JoinHandle<CallResult<()>>>>);

impl Clearing {
    /// Goes on forgetting an account, and answers whether nothing is left.
    pub async fn go_on(&self, hub: &Arc<Hub>, call: &Call) -> CallResult<bool> {
        let sub = call.account;
        let under_way = self.lock().remove(&sub);
        let mut work = under_way.unwrap_or_else(|| tokio::spawn(forget(Arc::clone(hub), sub)));
        match tokio::time::timeout(SLICE.min(call.timeout / 2), &mut work).await {
            Ok(Ok(done)) => done.map(|()| true),
            Ok(Err(error)) => {
                tracing::error!(%sub, %error, "an account could not be forgotten");
                Err(CallError::unavailable("The bouncer broke off while it made room. It is tried again."))
            }
            Err(_) => {
                self.lock().insert(sub, work);
                Ok(false)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sub, JoinHandle<CallResult<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn forget(hub: Arc<Hub>, sub: Sub) -> CallResult<()> {
    let context = hub.context();
    context.history.delete_account(AccountId(sub.0)).await.map_err(|error| silent(&error))?;
    Ok(context.store.forget(sub).await?)
}
