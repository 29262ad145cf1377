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
