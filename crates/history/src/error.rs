//! What a caller may see of a failure. Causes inside the engine go to the log, and to the text of `Unavailable`.

/// A call that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store is full, silent, or away. Nothing of the call is visible, unless the store was silent only after it
    /// had begun: then the same msgids sent again find the same entries.
    #[error("history is not available: {0}")]
    Unavailable(String),
    /// More waits for the store than it can take. Nothing was done.
    #[error("history has more to write than it can take")]
    Busy,
    /// The stream is not there, was deleted, or belongs to another account.
    #[error("there is no such stream for this account")]
    NoSuchStream,
    /// No entry has this msgid.
    #[error("there is no message with this id")]
    NoSuchMessage,
    /// The file or database is not one this version can use.
    #[error("the history store cannot be used: {0}")]
    Unusable(String),
    /// The call itself makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
}

/// What every call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
