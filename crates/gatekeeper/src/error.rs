//! Why gatekeeper did not do something: what the caller may hear is a [`CallError`], everything else goes to the log and
//! becomes "unavailable" on its way out.

use contracts::CallError;

use crate::password::PasswordError;
use crate::store::StoreError;

/// Why gatekeeper did not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An answer for the caller; its words are the user's.
    #[error(transparent)]
    Answer(#[from] CallError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing, unsealing or randomness.
    #[error(transparent)]
    Secret(#[from] service::secrets::SecretError),
    /// Hashing.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A configuration that cannot work.
    #[error("{0}")]
    Config(String),
    /// Something that cannot be, with where it was seen.
    #[error("{0}")]
    Internal(String),
}

/// What gatekeeper's own functions answer.
pub type Result<T> = std::result::Result<T, Error>;

impl From<service::db::DbError> for Error {
    fn from(error: service::db::DbError) -> Self {
        Self::Store(error.into())
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        match error {
            Error::Answer(answer) => answer,
            Error::Password(PasswordError::Weak(message)) => Self::invalid("password", message),
            Error::Password(PasswordError::Busy) => Self::unavailable(PasswordError::Busy.to_string()),
            hidden => {
                tracing::error!(error = %hidden, "gatekeeper could not answer");
                Self::unavailable("Accounts cannot be reached right now. Try again in a moment.")
            }
        }
    }
}

/// An answer that forbids, in a whole sentence.
pub fn forbidden(reason: impl Into<String>) -> Error {
    Error::Answer(CallError::Forbidden { reason: reason.into() })
}

/// An answer about one field.
pub fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::Answer(CallError::invalid(field, message))
}

/// An answer that sends to a later time.
pub fn unavailable(reason: impl Into<String>) -> Error {
    Error::Answer(CallError::unavailable(reason))
}
