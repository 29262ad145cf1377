//! `ErgoNetwork`: one IRC network, a single Ergo server.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Restore, SecretKeyRef, SecretRef, Storage};
use crate::database::ClusterRef;
use crate::schema;
use crate::server::server_spec;
use crate::status::server_status;
use crate::text::{Cron, Fingerprint, HostName, HttpsUrl, Line, ObjectName, Word};

server_spec! {
    /// What a network should be.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
    #[kube(
        group = "irc.now",
        version = "v1alpha1",
        kind = "ErgoNetwork",
        plural = "ergonetworks",
        shortname = "ergonet",
        shortname = "ircnet",
        category = "ircnow",
        namespaced,
        doc = "An IRC network of one's own: a single Ergo server with its history.",
        status = "ErgoNetworkStatus",
        derive = "PartialEq",
        selectable = ".spec.hostname",
        selectable = ".spec.access",
        selectable = ".spec.suspend",
        selectable = ".spec.plan",
        selectable = ".spec.owner.sub",
        printcolumn(name = "Network", type_ = "string", json_path = ".spec.networkName"),
        printcolumn(name = "Host", type_ = "string", json_path = ".spec.hostname"),
        printcolumn(name = "Access", type_ = "string", json_path = ".spec.access"),
        printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
        printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
        printcolumn(name = "Users", type_ = "integer", json_path = ".status.usage.users"),
        printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
        printcolumn(name = "Channels", type_ = "integer", json_path = ".status.usage.channels", priority = 1),
        printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.username", priority = 1),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        validation = Rule::new("self.metadata.name.size() <= 40").message("the name must have at most 40 characters, because the names of other objects are made from it"),
        validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("the name must be a DNS label that begins with a letter, because a Service is named after it"),
    )]
    #[serde(rename_all = "camelCase")]
    #[x_kube(validation = Rule::new("self.access != 'MembersOnly' || has(self.auth.oauth2) || has(self.auth.jwt) || self.auth.gatekeeper")
        .message("access MembersOnly needs somebody who knows the members: auth.gatekeeper, auth.oauth2 or auth.jwt"))]
    #[x_kube(validation = Rule::new("!(self.expose.irc in ['Gateway', 'Route'] && self.expose.web != 'None') || has(self.expose.webHostname) && self.expose.webHostname != self.hostname")
        .message("the host name is passed through to the IRC port: give the WebSocket an expose.webHostname of its own, or set expose.web to None"))]
    #[x_kube(validation = Rule::new("has(self.owner) == has(oldSelf.owner)")
        .message("a network cannot be given to somebody else"))]
    #[x_kube(validation = Rule::new("has(self.restore) == has(oldSelf.restore)")
        .message("restore is only read when the network is made"))]
    pub struct ErgoNetworkSpec of ErgoNetwork {
        /// What the network is called. Clients keep their settings by it.
        pub network_name: NetworkName,
        /// What the server calls itself, where it is not `hostname`. A change needs a restart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub server_name: Option<HostName>,
        /// Who gets in.
        #[serde(default)]
        pub access: Access,
        /// How people prove who they are.
        #[serde(default)]
        pub auth: NetworkAuth,
        /// Who runs the network.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(length(max = 32))]
        #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
        pub operators: Vec<NetworkOperator>,
        /// What addresses are hidden behind: `x.<cloakName>`; the network's name where none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cloak_name: Option<CloakName>,
        /// Channels, and who may make them.
        #[serde(default)]
        pub channels: Channels,
        /// What is kept of what was said.
        #[serde(default)]
        pub history: History,
        /// What people may use.
        #[serde(default)]
        pub limits: NetworkLimits,
        /// IRC without TLS inside the cluster, for bots of one's own.
        #[serde(default)]
        pub plaintext_in_cluster: bool,
        /// The volume: accounts, channels and bans are always files.
        #[serde(default)]
        pub storage: Storage,
        /// Snapshots of the volume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub backup: Option<Backup>,
        /// A snapshot the network begins from. Only read when it is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[x_kube(validation = Rule::new("self == oldSelf").message("restore is only read when the network is made"))]
        pub restore: Option<Restore>,
    }
    as {
        /// Whom it belongs to.
        #[x_kube(validation = Rule::new("self == oldSelf").message("a network cannot be given to somebody else"))]
        owner,
        /// The version of Ergo in the image, where it is not the installation's own. What can be configured depends on it.
        version,
        /// Pages that may open a WebSocket; every page where none is listed.
        websocket_origins,
        /// What the server may connect to.
        egress,
        /// What happens to the data when the network is deleted.
        deletion_policy,
    }
    with rows(spec) {
        postgres: spec.history.backend == HistoryBackend::Postgres,
        cluster: spec.history.cluster.as_ref(),
    }
}

/// The name of a network: letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct NetworkName(
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))] pub String,
);

/// What addresses are hidden behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct CloakName(
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9][a-z0-9.-]*$"))] pub String,
);

/// Who gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// Everybody; accounts are free to make.
    #[default]
    Open,
    /// Everybody with an account; accounts are free to make.
    AccountsOnly,
    /// Members, whom the issuer knows; nobody makes an account here.
    MembersOnly,
}

/// How people prove who they are, besides the network's own accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("!(self.gatekeeper && has(self.oauth2))", "gatekeeper is asked by OAuth2 already: set auth.gatekeeper to false to ask another issuer"),
])))]
pub struct NetworkAuth {
    /// Takes accounts of irc.now: their tokens and app passwords.
    pub gatekeeper: bool,
    /// Another issuer that is asked what a token is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// Signed tokens that are believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// Makes an account at the first login of anybody the issuer knows.
    pub create_accounts: bool,
}

impl Default for NetworkAuth {
    fn default() -> Self {
        Self { gatekeeper: true, oauth2: None, jwt: None, create_accounts: true }
    }
}

/// An issuer that is asked what a token is worth (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// Where it is asked.
    pub introspection_url: HttpsUrl,
    /// A Secret with the keys `client-id` and `client-secret`.
    pub client: SecretRef,
}

/// Signed tokens that are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// How they are signed.
    pub algorithm: JwtAlgorithm,
    /// The key: the secret of `Hmac`, the public key (PEM) of the others.
    pub key: SecretKeyRef,
    /// Claims that name the account; the first that is there.
    #[serde(default = "account_claims")]
    #[schemars(length(min = 1, max = 8))]
    pub account_claims: Vec<Word>,
    /// The audience a token must be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Line<256>>,
    /// A domain that is cut from the account's name: `alice@example.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_domain: Option<HostName>,
}

fn account_claims() -> Vec<Word> {
    vec!["preferred_username".into()]
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// HMAC-SHA-256 or longer, with a shared secret.
    Hmac,
    /// RSA.
    Rsa,
    /// Ed25519.
    EdDsa,
}

/// Somebody who runs the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.passwordHash) || has(self.fingerprint)")
    .message("an operator needs a passwordHash or a fingerprint"))]
pub struct NetworkOperator {
    /// The name for `OPER`.
    pub name: Word,
    /// What they may do.
    #[serde(default)]
    pub class: OperatorClass,
    /// The bcrypt hash of the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<SecretKeyRef>,
    /// The fingerprint of their certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Makes them an operator as soon as they connect with the certificate.
    #[serde(default)]
    pub automatic: bool,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperatorClass {
    /// Keep order: kick, ban, take channels.
    #[default]
    Moderator,
    /// Everything but stopping the server and reading its configuration anew, which is the operator's own.
    Admin,
}

/// Channels, and who may make them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Channels {
    /// Modes of a new channel.
    pub default_modes: ChannelModes,
    /// Only operators make channels.
    pub operator_only: bool,
    /// Channels everybody joins at once.
    #[schemars(length(max = 8))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auto_join: Vec<crate::text::Channel>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { default_modes: ChannelModes("+ntC".to_owned()), operator_only: false, auto_join: Vec::new() }
    }
}

/// Channel modes: `+nt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ChannelModes(#[schemars(length(min = 1, max = 20), regex(pattern = r"^\+[A-Za-z]*$"))] pub String);

/// What is kept of what was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("!has(self.cluster) || self.backend == 'Postgres'", "a cluster is for backend Postgres"),
    ("has(self.cluster) == has(oldSelf.cluster) || oldSelf.backend == 'Memory'", "the cluster cannot be changed: the history would stay behind"),
])))]
pub struct History {
    /// Where it is kept. It can only be changed away from `Memory`: anything else would leave the history behind.
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf || oldSelf == 'Memory'", "the backend cannot be changed: the history would stay behind")])))]
    pub backend: HistoryBackend,
    /// The PostgreSQL cluster; the installation's own where none is named. Only clusters the operator was configured
    /// to use are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = schema::rules(&[("self == oldSelf", "the cluster cannot be changed: the history would stay behind")])))]
    pub cluster: Option<ClusterRef>,
    /// How many days it is kept.
    #[schemars(range(min = 1, max = 3650))]
    pub expire_days: i32,
    /// Keeps what was said in channels that nobody registered, too.
    pub unregistered_channels: bool,
    /// Keeps what people said to each other alone, too.
    pub direct_messages: bool,
    /// Lets people delete what they said.
    pub allow_delete: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            backend: HistoryBackend::Sqlite,
            cluster: None,
            expire_days: 30,
            unregistered_channels: false,
            direct_messages: true,
            allow_delete: true,
        }
    }
}

/// Where history is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HistoryBackend {
    /// In memory: gone after a restart.
    Memory,
    /// A file on the volume.
    #[default]
    Sqlite,
    /// A database and a role of its own in a PostgreSQL cluster of CloudNativePG.
    Postgres,
}

/// What people may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkLimits {
    /// Clients at once; as many as the server carries where it is not set. The plan's limit goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub clients: Option<i32>,
    /// Clients at once from one address.
    #[schemars(range(min = 1, max = 10_000))]
    pub connections_per_address: i32,
    /// Channels one client may be in.
    #[schemars(range(min = 1, max = 1000))]
    pub channels_per_client: i32,
    /// Channels one account may register.
    #[schemars(range(min = 0, max = 1000))]
    pub channels_per_account: i32,
    /// Characters of a nickname.
    #[schemars(range(min = 9, max = 64))]
    pub nick_length: i32,
    /// Characters of a channel's name.
    #[schemars(range(min = 16, max = 100))]
    pub channel_length: i32,
    /// Bytes of a topic.
    #[schemars(range(min = 80, max = 1000))]
    pub topic_length: i32,
    /// Bytes of a message of several lines.
    #[schemars(range(min = 0, max = 65_536))]
    pub multiline_bytes: i32,
    /// Lines of a message of several lines.
    #[schemars(range(min = 0, max = 1000))]
    pub multiline_lines: i32,
    /// Messages a client may send at once before it is slowed down.
    #[schemars(range(min = 1, max = 100))]
    pub burst: i32,
    /// Messages a second after that.
    #[schemars(range(min = 1, max = 100))]
    pub messages_per_second: i32,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            clients: None,
            connections_per_address: 16,
            channels_per_client: 100,
            channels_per_account: 15,
            nick_length: 32,
            channel_length: 64,
            topic_length: 390,
            multiline_bytes: 4096,
            multiline_lines: 100,
            burst: 5,
            messages_per_second: 2,
        }
    }
}

/// Snapshots of the volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// When, in UTC.
    pub schedule: Cron,
    /// How many are kept.
    #[serde(default = "keep")]
    #[schemars(range(min = 1, max = 100))]
    pub keep: i32,
    /// The class of the snapshots; the cluster's default where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_class_name: Option<ObjectName>,
}

fn keep() -> i32 {
    7
}

server_status! {
    /// What a network is.
    ErgoNetworkStatus {
        /// When the server started, in seconds since 1970.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub started_at: Option<i64>,
        /// The last time the server read its configuration anew.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub last_rehash: Option<RehashState>,
        /// What is used.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage: Option<NetworkUsage>,
    }
}

/// The last time a server read its configuration anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RehashState {
    /// The configuration's hash.
    pub hash: Line<32>,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What the server said against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Line<1024>>,
}

/// What a network uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkUsage {
    /// Clients now.
    pub users: i64,
    /// The most clients there were at once.
    pub max_users: i64,
    /// Channels now.
    pub channels: i64,
    /// Accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<i64>,
    /// Bytes on the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<i64>,
}
