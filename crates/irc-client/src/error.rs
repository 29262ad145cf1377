//! What can go wrong with an upstream, in words for its user: what happened, and what to do.

use crate::backoff::Severity;

/// Why there is no connection. The text is for the user; [`ClientError::kind`] for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ClientError {
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// One or two plain sentences.
    pub text: String,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The host's name does not resolve.
    NoSuchHost,
    /// Users may not connect there.
    Forbidden,
    /// No TCP connection: refused, unreachable.
    Unreachable,
    /// Nobody answered in time, while connecting, registering or later.
    TimedOut,
    /// TLS could not be agreed on.
    Tls,
    /// The certificate is not trusted, or not the pinned one.
    Certificate,
    /// The WebSocket handshake failed, or this is no IRC server.
    Protocol,
    /// The account's name or password is wrong, or the certificate unknown.
    SaslRefused,
    /// SASL is wanted but the upstream does not offer it, or no fitting mechanism.
    SaslUnavailable,
    /// The password would travel in the clear.
    Insecure,
    /// The server password is wrong.
    ServerPassword,
    /// No nick was accepted.
    Nick,
    /// The upstream wants fewer connections.
    Throttled,
    /// The upstream does not want this user.
    Banned,
    /// The upstream closed the connection with another ERROR.
    Closed,
    /// The connection broke without a word.
    Lost,
}

impl ErrorKind {
    /// How long to wait before it is tried again.
    pub fn severity(self) -> Severity {
        match self {
            Self::Throttled | Self::Banned => Severity::Unwelcome,
            Self::SaslRefused | Self::ServerPassword | Self::Forbidden | Self::Insecure | Self::Nick => {
                Severity::Pointless
            }
            Self::NoSuchHost
            | Self::Unreachable
            | Self::TimedOut
            | Self::Tls
            | Self::Certificate
            | Self::Protocol
            | Self::SaslUnavailable
            | Self::Closed
            | Self::Lost => Severity::Usual,
        }
    }
}
