//! `SojuBouncer`: one bouncer, for one account or for several.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Restore, SecretKeyRef, SecretRef, yes};
use crate::database::{Database, DatabaseEngine};
use crate::schema;
use crate::server::server_spec;
use crate::status::server_status;
use crate::text::{Channel, Fingerprint, HttpsUrl, Line, Nick, UpstreamAddress, Username, Word};

server_spec! {
    /// What a bouncer should be.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
    #[kube(
        group = "irc.now",
        version = "v1alpha1",
        kind = "SojuBouncer",
        plural = "sojubouncers",
        shortname = "bouncer",
        shortname = "bnc",
        category = "ircnow",
        namespaced,
        doc = "A bouncer: always connected to IRC networks, for one account or for several.",
        status = "SojuBouncerStatus",
        derive = "PartialEq",
        selectable = ".spec.hostname",
        selectable = ".spec.engine",
        selectable = ".spec.suspend",
        selectable = ".spec.plan",
        selectable = ".spec.owner.sub",
        printcolumn(name = "Host", type_ = "string", json_path = ".spec.hostname"),
        printcolumn(name = "Engine", type_ = "string", json_path = ".spec.engine"),
        printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
        printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
        printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
        printcolumn(name = "Users", type_ = "integer", json_path = ".status.usage.users", priority = 1),
        printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.username", priority = 1),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        validation = Rule::new("self.metadata.name.size() <= 40").message("the name must have at most 40 characters, because the names of other objects are made from it"),
        validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("the name must be a DNS label that begins with a letter, because a Service is named after it"),
    )]
    #[serde(rename_all = "camelCase")]
    #[x_kube(validation = Rule::new("self.engine != 'Ircnow' || has(self.owner)")
        .message("engine Ircnow serves one account: name the owner"))]
    #[x_kube(validation = Rule::new("self.engine != 'Ircnow' || !has(self.users) || self.users.size() == 0")
        .message("engine Ircnow serves one account, whose networks are its own: users are for engine Soju"))]
    #[x_kube(validation = Rule::new("self.engine != 'Ircnow' || self.auth.method == 'OAuth2'")
        .message("engine Ircnow asks gatekeeper: auth.method must be OAuth2"))]
    #[x_kube(validation = Rule::new("self.engine == 'Soju' || !has(self.uploads)")
        .message("uploads are for engine Soju"))]
    #[x_kube(validation = Rule::new("!(self.expose.irc in ['Gateway', 'Route'] && self.expose.web != 'None') || has(self.expose.webHostname) && self.expose.webHostname != self.hostname")
        .message("the host name is passed through to the IRC port: give the WebSocket an expose.webHostname of its own, or set expose.web to None"))]
    #[x_kube(validation = Rule::new("has(self.owner) == has(oldSelf.owner)")
        .message("a bouncer cannot be given to somebody else"))]
    #[x_kube(validation = Rule::new("has(self.restore) == has(oldSelf.restore)")
        .message("restore is only read when the bouncer is made"))]
    #[x_kube(validation = Rule::new("!has(self.restore) || self.database.engine == 'Sqlite' || self.engine == 'Ircnow'")
        .message("restore is for a volume: rows in PostgreSQL come back from a backup of the cluster"))]
    #[x_kube(validation = Rule::new("!has(self.moving) || self.engine == 'Soju' && has(self.owner) && self.auth.method == 'OAuth2'")
        .message("moving is for engine Soju with an owner: it is the owner's account that moves"))]
    #[x_kube(validation = Rule::new("!has(self.moving) || self.moving != 'In' || has(oldSelf.moving) && oldSelf.moving == 'In'")
        .message("an account moves in before soju's first start: moving: In cannot be asked for later"))]
    #[x_kube(validation = Rule::new("!has(self.moving) || self.moving != 'In' || !has(self.restore)")
        .message("an account moves into a bouncer that begins empty: leave out restore or moving"))]
    pub struct SojuBouncerSpec of SojuBouncer {
        /// Which program serves: `Soju`, or `Ircnow`, the bouncer of irc.now. It cannot be changed: the two keep their data
        /// in different ways.
        #[serde(default)]
        #[x_kube(validation = Rule::new("self == oldSelf").message("the engine cannot be changed: make a new bouncer and move in"))]
        pub engine: Engine,
        /// What clients show as the name of the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub title: Option<Line<128>>,
        /// Where rows and messages are kept.
        #[serde(default)]
        pub database: Database,
        /// How many days messages are kept; for ever where it is not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 36500))]
        pub retention_days: Option<i32>,
        /// How people prove who they are.
        #[serde(default)]
        pub auth: Auth,
        /// What people may use.
        #[serde(default)]
        pub limits: Limits,
        /// Where uploaded files go; without it nothing can be uploaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub uploads: Option<Uploads>,
        /// Answers ident questions on port 113, where networks can reach it.
        #[serde(default)]
        pub ident: bool,
        /// Users made before anybody logs in.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(length(max = 20))]
        #[x_kube(merge_strategy = ListMerge::Map(vec!["username".into()]))]
        pub users: Vec<SeedUser>,
        /// Whether users are only made, or kept as they stand here.
        #[serde(default)]
        pub seed_policy: SeedPolicy,
        /// A snapshot the bouncer's volume begins from. Only read when it is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[x_kube(validation = Rule::new("self == oldSelf").message("restore is only read when the bouncer is made"))]
        pub restore: Option<Restore>,
        /// Whether its owner's account moves in or out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub moving: Option<Moving>,
    }
    as {
        /// Whom it belongs to. With an owner it is a dedicated bouncer, for this account alone; without one, for many.
        #[x_kube(validation = Rule::new("self == oldSelf").message("a bouncer cannot be given to somebody else"))]
        owner,
        /// The version of soju in the image, where it is not the installation's own. What can be configured depends on it.
        version,
        /// Pages that may open a WebSocket, besides those of the bouncer's own host name.
        websocket_origins,
        /// What the bouncer may connect to.
        egress,
        /// What happens to the data when the bouncer is deleted.
        deletion_policy,
    }
    with rows(spec) {
        postgres: spec.database.engine == DatabaseEngine::Postgres,
        cluster: spec.database.cluster.as_ref(),
    }
}

/// Which program serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Engine {
    /// soju.
    #[default]
    Soju,
    /// `ircnow bouncer`.
    Ircnow,
}

// The definition shows these words for the field: those of an enum go before those of a field that may be left out.
/// Takes its owner's account in or out, while soju stands still. `In` is for a new bouncer alone: soju starts for the
/// first time when this is taken away. With `Out` soju stops; it starts again, as it was, when this is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Moving {
    /// Into a bouncer that was never started.
    In,
    /// Out of one that stands still.
    Out,
}

/// How people prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    ("self.method == 'OAuth2' || !has(self.issuerUrl) && !has(self.client)", "issuerUrl and client are for method OAuth2"),
    ("self.method == 'OAuth2' || !self.createUsers", "createUsers is for method OAuth2: with Internal nobody else knows who exists"),
])))]
pub struct Auth {
    /// Who is asked.
    pub method: AuthMethod,
    /// The issuer that is asked what a token is worth; the installation's gatekeeper where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_url: Option<HttpsUrl>,
    /// What the bouncer proves itself with to the issuer: a Secret with the keys `client-id` and `client-secret`. One
    /// made for this bouncer alone where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<SecretRef>,
    /// Makes a user at the first login of anybody the issuer knows.
    pub create_users: bool,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthMethod {
    /// The issuer, by introspection. A suspended account is refused there.
    #[default]
    OAuth2,
    /// The bouncer's own table of passwords.
    Internal,
}

/// What people may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Networks of one user; without it, as many as they like.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub networks_per_user: Option<i32>,
    /// After how many days without a client a user is disconnected from all networks, until the next login.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub disable_inactive_days: Option<i32>,
    /// How many bytes the messages may take before the condition `QuotaExceeded` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_048_576))]
    pub storage_bytes: Option<i64>,
}

/// Where uploaded files go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uploads {
    /// The service that takes them.
    pub url: HttpsUrl,
}

/// Whether users are only made, or kept as they stand in the resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SeedPolicy {
    /// Made where they do not exist; what people change stays changed.
    #[default]
    CreateOnly,
    /// Put back as they stand in the resource. Networks and channels that are not listed are left alone.
    Enforce,
}

/// A user made before anybody logs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeedUser {
    /// The name; the account's own, where the issuer is asked.
    pub username: Username,
    /// Whether the user may administer the bouncer.
    #[serde(default)]
    pub admin: bool,
    /// Whether the user's networks are connected.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The password, where the bouncer keeps passwords itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKeyRef>,
    /// The nickname where a network names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<Nick>,
    /// The real name where a network names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realname: Option<Line<128>>,
    /// Networks the user may have, where it differs from `limits.networksPerUser`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_networks: Option<i32>,
    /// Networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub networks: Vec<SeedNetwork>,
}

/// A network made for a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeedNetwork {
    /// What the user calls it.
    pub name: Word,
    /// Where it is.
    pub address: UpstreamAddress,
    /// The nickname there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<Nick>,
    /// The user name there (before the `@`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Word>,
    /// The real name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realname: Option<Line<128>>,
    /// The server's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_password: Option<SecretKeyRef>,
    /// The login at the network's services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SeedSasl>,
    /// The fingerprint of the server's certificate, where no authority signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Lines sent after connecting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub connect_commands: Vec<Line<510>>,
    /// Whether the user is shown as away while no client is there.
    #[serde(default = "yes")]
    pub auto_away: bool,
    /// Whether the network is connected.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Channels that are joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub channels: Vec<SeedChannel>,
}

/// The login at a network's services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeedSasl {
    /// The account there.
    pub username: Line<64>,
    /// Its password.
    pub password: SecretKeyRef,
}

/// A channel that is joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeedChannel {
    /// Its name.
    pub name: Channel,
    /// Whether clients are kept out of it until something happens there.
    #[serde(default)]
    pub detached: bool,
}

server_status! {
    /// What a bouncer is.
    SojuBouncerStatus {
        /// What is used, as the sidecar counts it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage: Option<BouncerUsage>,
    }
}

/// What a bouncer uses. Counts are rounded by the hour, so that looking changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BouncerUsage {
    /// Users.
    pub users: i64,
    /// Connected clients.
    pub downstreams: i64,
    /// Connected networks.
    pub upstreams: i64,
    /// Networks.
    pub networks: i64,
    /// Bytes of messages, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<i64>,
    /// When the oldest message was said, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_message: Option<i64>,
}
