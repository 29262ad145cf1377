//! What every call between services carries, and what it may answer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The stable identity of an account: gatekeeper's `sub`. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sub(pub Uuid);

impl fmt::Display for Sub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Sub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sub({})", self.0)
    }
}

/// What travels with every call: for whom, how long the caller waits, and how a repeat is told from a new wish.
#[derive(Clone, Debug)]
pub struct Call {
    /// The account the call is made for. Whatever the call names is checked against it.
    pub account: Sub,
    /// Carried into every log line the call causes.
    pub request_id: String,
    /// How long the caller still waits.
    pub timeout: Duration,
    /// Set by every call that changes something; a repeat under the same key gets the first answer again.
    pub idempotency_key: Option<String>,
    /// The version the caller read before it changed something; a newer one answers [`CallError::Conflict`].
    pub version: Option<i64>,
}

impl Call {
    /// A call with five seconds to go and nothing to change.
    pub fn new(account: Sub, request_id: impl Into<String>) -> Self {
        Self {
            account,
            request_id: request_id.into(),
            timeout: Duration::from_secs(5),
            idempotency_key: None,
            version: None,
        }
    }

    /// The same call, made to change something: a fresh idempotency key.
    pub fn changing(mut self) -> Self {
        self.idempotency_key = Some(Uuid::now_v7().to_string());
        self
    }

    /// The same call, valid only while what it changes still has `version`.
    pub fn at_version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }
}

/// What a call may answer besides its result. The words are for the user: say what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum CallError {
    /// There is no such thing, or it is somebody else's.
    #[error("{what} was not found")]
    NotFound {
        /// What was asked for, as a noun ("network").
        what: String,
    },
    /// The account may not do this.
    #[error("{reason}")]
    Forbidden {
        /// A whole sentence for the user.
        reason: String,
    },
    /// A field does not hold what it must.
    #[error("{message}")]
    Invalid {
        /// The field's name in the request.
        field: String,
        /// A whole sentence for the user.
        message: String,
    },
    /// The plan's limit is reached.
    #[error("{message}")]
    Quota {
        /// The limit's name in `entitlements`.
        limit: String,
        /// A whole sentence for the user.
        message: String,
    },
    /// It changed since it was read, or the name is taken.
    #[error("{message}")]
    Conflict {
        /// A whole sentence for the user.
        message: String,
    },
    /// The service does not answer, or not in time. Nothing is known about whether a change was made: repeat it
    /// under the same idempotency key.
    #[error("{reason}")]
    Unavailable {
        /// A whole sentence for the user.
        reason: String,
    },
}

impl CallError {
    /// [`CallError::NotFound`] for `what`.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// [`CallError::Invalid`] for `field`.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// [`CallError::Unavailable`] because of `reason`.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

/// The result of a call between services.
pub type CallResult<T> = Result<T, CallError>;

/// Runs what a call asks for to its end even if the caller goes away in the middle, and answers `Unavailable` when its
/// time is over: a change that was made is then found under the same idempotency key. `who` begins what the user is
/// told ("The bouncer").
pub async fn within<T: Send + 'static>(
    call: &Call,
    who: &'static str,
    work: impl Future<Output = CallResult<T>> + Send + 'static,
) -> CallResult<T> {
    match tokio::time::timeout(call.timeout, tokio::spawn(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            tracing::error!(request_id = call.request_id, %error, who, "a call panicked");
            Err(CallError::unavailable(format!(
                "{who} broke off before it could answer. Try again: what was changed already stays as it is."
            )))
        }
        Err(_) => {
            Err(CallError::unavailable(format!("{who} did not answer in time. Try again in a moment.")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    fn call() -> Call {
        Call::new(Sub(Uuid::nil()), "test")
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_too_slow_is_told_so_and_goes_on_to_its_end() {
        let (done, ended) = tokio::sync::oneshot::channel();
        let slow = async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let _ = done.send(());
            Ok(())
        };
        let error = within(&call(), "The bouncer", slow).await.unwrap_err();
        assert_eq!(error.to_string(), "The bouncer did not answer in time. Try again in a moment.");
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn a_call_that_breaks_off_says_nothing_of_why() {
        let broken = async { panic!("the inside") };
        let error = within::<()>(&call(), "Hosting", broken).await.unwrap_err();
        assert!(matches!(&error, CallError::Unavailable { .. }));
        assert!(error.to_string().starts_with("Hosting broke off") && !error.to_string().contains("inside"));
    }
}
