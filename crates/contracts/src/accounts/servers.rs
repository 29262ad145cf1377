//! The IRC servers of customers that ask gatekeeper who comes in: which account each belongs to, and who may use it.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Call, CallResult};

/// What kind of server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// A dedicated bouncer.
    Bouncer,
    /// A hosted network.
    Network,
}

impl ServerKind {
    /// What names of this kind begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Bouncer => "bouncer-",
            Self::Network => "network-",
        }
    }
}

/// Names a server: `bouncer-` or `network-` and the UID of its resource. It is the server's client id at gatekeeper, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServerId {
    /// What it is.
    pub kind: ServerKind,
    /// The UID of its resource.
    pub uid: Uuid,
}

impl ServerId {
    /// Reads a name. A UID written in any other way than with lower-case letters and hyphens is none: each server has one
    /// name.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, uid) = [ServerKind::Bouncer, ServerKind::Network]
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))?;
        let id = Self { kind, uid: Uuid::try_parse(uid).ok()? };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.prefix(), self.uid)
    }
}

impl From<ServerId> for String {
    fn from(id: ServerId) -> Self {
        id.to_string()
    }
}

/// A text that names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server is named `bouncer-` or `network-` and the UID of its resource")]
pub struct NoServerId;

impl TryFrom<String> for ServerId {
    type Error = NoServerId;

    fn try_from(text: String) -> Result<Self, NoServerId> {
        Self::parse(&text).ok_or(NoServerId)
    }
}

impl std::str::FromStr for ServerId {
    type Err = NoServerId;

    fn from_str(text: &str) -> Result<Self, NoServerId> {
        Self::parse(text).ok_or(NoServerId)
    }
}

/// Who may use a server. Always only accounts that are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerAccess {
    /// Its owner alone.
    Owner,
    /// Its owner and the members that are named.
    Members,
    /// Everybody with an account.
    Accounts,
}

/// A server and who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IrcServer {
    /// Which.
    pub id: ServerId,
    /// Who may use it.
    pub access: ServerAccess,
    /// The user names of its members, for [`ServerAccess::Members`]; they are kept whatever `access` is.
    pub members: Vec<String>,
}

/// The IRC servers of an account. What gatekeeper was not told of lets nobody in.
#[async_trait]
pub trait IrcServers: Send + Sync + 'static {
    /// Keeps a server of the account as it is said here. `Conflict` if it is somebody else's: a server is never given away.
    /// A bouncer is [`ServerAccess::Owner`] where it is dedicated.
    async fn put_irc_server(&self, call: &Call, server: IrcServer) -> CallResult<()>;

    /// Forgets a server of the account: from now on it lets nobody in. One that is not known is forgotten already.
    async fn drop_irc_server(&self, call: &Call, id: ServerId) -> CallResult<()>;

    /// The account's servers, by name.
    async fn irc_servers(&self, call: &Call) -> CallResult<Vec<IrcServer>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_one_name() {
        let text = "bouncer-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11";
        assert_eq!(ServerId::parse(text).map(String::from).as_deref(), Some(text));
        for other in [
            "",
            "bouncer-",
            "bouncer",
            "Bouncer-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11",
            "bouncer-5A0DD2A4-33CB-4A5E-9B2F-3D0A9D3B8A11",
            "bouncer-5a0dd2a433cb4a5e9b2f3d0a9d3b8a11",
            "bouncer-{5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11}",
            "bouncer-urn:uuid:5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11",
            "bouncer-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11 ",
            "bouncer-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11\n",
            "bouncer-network-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11",
            "portal-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11",
        ] {
            assert_eq!(ServerId::parse(other), None, "{other}");
        }
    }
}
