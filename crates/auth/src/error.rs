//! Errors of this crate, and the words users get for them.

use contracts::CallError;
use http::StatusCode;
use service::web::Problem;

/// Why signing in, out or on did not work. For the log; users get a [`Problem`].
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The issuer does not answer, or not what it should.
    #[error("the issuer cannot be asked: {0}")]
    Issuer(String),
    /// The issuer says no.
    #[error("the issuer refuses: {0}")]
    Refused(String),
    /// What the issuer sent is not to be believed.
    #[error("the issuer's answer is not to be believed: {0}")]
    Untrusted(String),
    /// A setting is wrong.
    #[error("the sign-in settings are wrong: {0}")]
    Settings(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] service::db::DbError),
    /// The keyring.
    #[error(transparent)]
    Secret(#[from] service::secrets::SecretError),
}

impl From<sqlx::Error> for AuthError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Issuer(_) => {
                tracing::warn!(%error, "sign-in does not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Signing in does not work right now.",
                    "Who is signed in stays so. Try again in a minute.",
                )
            }
            AuthError::Refused(_) | AuthError::Untrusted(_) => {
                tracing::warn!(%error, "a sign-in failed");
                Self::new(
                    StatusCode::BAD_REQUEST,
                    "This sign-in did not work.",
                    "Start again from the front page.",
                )
            }
            AuthError::Db(error) => error.into(),
            AuthError::Settings(_) | AuthError::Secret(_) => Self::internal(error),
        }
    }
}

/// What a call between services answered, as a page says it.
pub fn problem_of(error: &CallError) -> Problem {
    let (status, advice) = match error {
        CallError::NotFound { .. } => return Problem::not_found(),
        CallError::Forbidden { .. } => (StatusCode::FORBIDDEN, ""),
        CallError::Invalid { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "Go back, mend it and send it again.")
        }
        CallError::Quota { .. } => (StatusCode::FORBIDDEN, ""),
        CallError::Conflict { .. } => (StatusCode::CONFLICT, "Load the page again and repeat your change."),
        CallError::Unavailable { .. } => {
            tracing::warn!(%error, "a service does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "Try again in a moment.")
        }
    };
    Problem::new(status, error.to_string(), advice)
}
