//! What gatekeeper offers the other services: accounts, credentials for IRC, SASL for every door, and the change feed.

use std::net::IpAddr;

use async_trait::async_trait;
use entitlements::{Limits, Plan};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Call, CallResult, Sub};

mod servers;

pub use servers::*;

/// Whether an account may do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As usual.
    Active,
    /// An administrator stopped it; everything is kept, nothing runs.
    Suspended,
    /// Being deleted: no service may write for it any more.
    Deleting,
}

/// What an account may do beyond using the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the platform: users, plans, suspension.
    Admin,
}

/// What the other services know of an account. They hold it at most 30 s and follow [`Accounts::changes`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The identity.
    pub sub: Sub,
    /// `^[a-z][a-z0-9_-]{0,30}$`, immutable, never given twice.
    pub username: String,
    /// The e-mail address, if one was given.
    pub email: Option<String>,
    /// Whether the address was proven. True while no SMTP is configured counts as proven by nobody: see `may_dial_out`.
    pub email_verified: bool,
    /// Whether the account may connect to outside networks (false until its address is verified, once SMTP is set).
    pub may_dial_out: bool,
    /// Whether it may do anything.
    pub status: Status,
    /// The plan it is on.
    pub plan: Plan,
    /// The plan's limits with the account's overrides over them.
    pub limits: Limits,
    /// Until when (seconds since 1970) what a downgrade left over the limits is kept. Over it stays readable.
    pub over_limit_until: Option<i64>,
    /// What it may do beyond.
    pub roles: Vec<Role>,
    /// Raised with every change.
    pub version: i64,
    /// Seconds since 1970.
    pub created_at: i64,
}

/// Where in the change feed a reader is. Opaque to readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeedCursor(pub i64);

/// One change of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountChange {
    /// Resume after this.
    pub cursor: FeedCursor,
    /// What changed.
    pub what: ChangeKind,
}

/// What changed of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChangeKind {
    /// The account is new or another: plan, status, limits, roles.
    Account {
        /// As it is now.
        account: Account,
    },
    /// An app password or certificate was revoked: whoever logged in with it must go.
    CredentialRevoked {
        /// Whose.
        sub: Sub,
        /// Which.
        credential: Uuid,
    },
    /// A browser session at gatekeeper ended: relying parties end theirs.
    SessionEnded {
        /// Whose.
        sub: Sub,
        /// The `sid` of the ID tokens.
        sid: String,
    },
    /// The account is gone.
    Deleted {
        /// Whose.
        sub: Sub,
    },
}

/// What a credential may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Log in at the bouncer.
    Irc,
    /// Upload and paste.
    Upload,
}

/// An app password or device certificate as its owner sees it. Never holds the secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// Names it in every other call.
    pub id: Uuid,
    /// The name its owner gave it.
    pub name: String,
    /// What kind it is.
    pub kind: CredentialKind,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it last logged in, to the minute.
    pub last_used_at: Option<i64>,
    /// The client it last logged in with, as far as it said so.
    pub last_used_client: Option<String>,
}

/// How a credential is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CredentialKind {
    /// A random secret, shown once.
    AppPassword,
    /// A TLS client certificate.
    Certificate {
        /// SHA-256 of its DER, lower-case hex.
        fingerprint: String,
    },
}

/// An app password at the one moment its secret is known.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewCredential {
    /// As it is listed from now on.
    pub credential: Credential,
    /// The secret itself.
    pub secret: String,
}

impl std::fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCredential").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// Something that touched the account's security, kept and shown to its user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecurityEvent {
    /// Seconds since 1970.
    pub at: i64,
    /// A stable name: `sign_in`, `sign_in_failed`, `app_password_created`, `plan_changed_by_admin`, …
    pub kind: String,
    /// A sentence for the user.
    pub text: String,
    /// Where it came from.
    pub address: Option<String>,
}

/// A door that asks for SASL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SaslPeer {
    /// The client's address.
    pub address: IpAddr,
    /// Whether the connection is encrypted (loopback counts as safe for the mechanisms, not as this).
    pub tls: bool,
    /// SHA-256 of the client's certificate, lower-case hex, where it showed one.
    pub certificate: Option<String>,
}

/// One step of a SASL exchange. Any replica takes any step: the state travels sealed in `continuation`.
#[derive(Clone, Serialize, Deserialize)]
pub struct SaslStep {
    /// `PLAIN`, `EXTERNAL`, `SCRAM-SHA-256`, `OAUTHBEARER`.
    pub mechanism: String,
    /// What the last challenge came with.
    pub continuation: Option<Vec<u8>>,
    /// The client's payload, decoded.
    pub payload: Vec<u8>,
    /// Who asks.
    pub peer: SaslPeer,
}

/// The answer to a [`SaslStep`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum SaslAnswer {
    /// Go on.
    Challenge {
        /// For the client.
        payload: Vec<u8>,
        /// For the next step.
        continuation: Vec<u8>,
    },
    /// Proven.
    Success {
        /// Who it is.
        login: Box<DoorLogin>,
    },
    /// Not proven; the sentence says what to do.
    Refused {
        /// For the user.
        text: String,
    },
}

/// Who came through a door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoorLogin {
    /// The account.
    pub account: Account,
    /// The app password or certificate it used.
    pub credential: Uuid,
    /// The network the login name asked for.
    pub network: Option<String>,
    /// The client the login name gave.
    pub client: Option<String>,
}

/// A token or app password shown at an HTTP door.
#[derive(Clone, Serialize, Deserialize)]
pub struct ShownToken {
    /// The token itself.
    pub secret: String,
    /// The username it came with, where one was said; it must be its owner's.
    pub username: Option<String>,
    /// What it must be made for.
    pub scope: Scope,
    /// Where it was shown from: failures count against it.
    pub address: IpAddr,
}

impl std::fmt::Debug for ShownToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownToken").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// The answer to a [`ShownToken`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum TokenAnswer {
    /// It is good.
    Good {
        /// Whose it is.
        account: Box<Account>,
        /// The app password, or the session the token came from.
        credential: Uuid,
    },
    /// It is not; the sentence says what to do.
    Refused {
        /// For the user.
        text: String,
    },
}

/// Gatekeeper, as other services see it. `Unavailable` from [`Accounts::sasl`] closes the connection with ERROR and
/// is never answered with 904, because clients stop for ever there.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// The account itself.
    async fn account(&self, call: &Call) -> CallResult<Account>;

    /// One step of SASL at an IRC door.
    async fn sasl(&self, step: SaslStep) -> CallResult<SaslAnswer>;

    /// Whose token or app password this is, for doors that speak HTTP.
    async fn token(&self, shown: ShownToken) -> CallResult<TokenAnswer>;

    /// Notes which client a credential logged in with; written at most once a minute.
    async fn credential_used(&self, call: &Call, credential: Uuid, client: Option<String>) -> CallResult<()>;

    /// The account's app passwords and certificates.
    async fn credentials(&self, call: &Call) -> CallResult<Vec<Credential>>;

    /// A new app password.
    async fn create_app_password(
        &self,
        call: &Call,
        name: String,
        scopes: Vec<Scope>,
    ) -> CallResult<NewCredential>;

    /// A new device certificate, by its SHA-256 fingerprint.
    async fn add_certificate(&self, call: &Call, name: String, fingerprint: String)
    -> CallResult<Credential>;

    /// Takes a credential back; whoever uses it is disconnected within a second.
    async fn revoke_credential(&self, call: &Call, credential: Uuid) -> CallResult<()>;

    /// The newest security events, newest first.
    async fn security_events(&self, call: &Call, limit: u32) -> CallResult<Vec<SecurityEvent>>;

    /// Changes after `after` (`None`: from now on, beginning with one that carries the present cursor), then live ones.
    /// Ends when the service goes away; the reader comes back with its last cursor.
    async fn changes(&self, after: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>>;

    /// Where the feed stands now.
    async fn feed_cursor(&self) -> CallResult<FeedCursor>;

    /// Begins the durable job that deletes the account everywhere.
    async fn delete_account(&self, call: &Call) -> CallResult<()>;
}

/// What each service that keeps rows of an account implements. Both calls may be repeated.
#[async_trait]
pub trait AccountData: Send + Sync + 'static {
    /// The service's name, the folder's name in the export archive.
    fn service(&self) -> &'static str;

    /// Everything kept for the account, as named files. Secrets are left out.
    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>>;

    /// Deletes everything kept for the account; done when it returns.
    async fn delete(&self, call: &Call) -> CallResult<()>;
}

/// A piece of an exported file. A file's pieces come one after another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportChunk {
    /// The file's path in the archive, below the service's folder.
    pub path: String,
    /// The next bytes of it.
    pub bytes: Vec<u8>,
}
