//! soju's own configuration, and the sidecar's, from a bouncer that was checked.

use crds::sidecar::{
    ADMIN_SOCKET, CONFIG_DIR, MOTD_FILE, MovesConfig, PruneTarget, SIDECAR_PORT, SOJU_FILE,
    SOJU_METRICS_PORT, Sealed, SidecarConfig, SidecarNetwork, SidecarSasl, SidecarUser, TLS_DIR,
};
use crds::soju::{AuthMethod, SeedNetwork, SeedUser};
use crds::text::Origin;
use operator::Error;
use operator::secrets::percent_encoded;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::config::Installation;
use crate::controller::validate::{Rows, Valid};
use crate::scfg::{Document, Unwritable};

/// IRC with TLS.
pub const IRC_PORT: u16 = 6697;
/// The WebSocket with TLS, for what passes TLS through.
pub const WSS_PORT: u16 = 8443;
/// The WebSocket without, for what ended TLS before.
pub const WS_PORT: u16 = 8080;
/// ident, which the Service shows as 113.
pub const IDENT_PORT: u16 = 1113;
/// soju's SQLite file on its volume.
pub const SQLITE_FILE: &str = "/data/soju.db";

/// The versions of soju that changed what can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SojuVersion(u32, u32);

impl SojuVersion {
    /// The oldest that is supported.
    pub const OLDEST: Self = Self(0, 9);
    /// The first that deletes old messages by itself.
    const MESSAGE_EXPIRY: Self = Self(0, 11);

    /// Reads `0.11.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??))
    }

    /// Whether `message-expiry` is known.
    pub fn expires_messages(self) -> bool {
        self >= Self::MESSAGE_EXPIRY
    }
}

/// soju's configuration, in two parts: what it reads at its start only, and what it reads again at SIGHUP.
#[derive(Clone, Debug)]
pub struct SojuConfig {
    /// The whole file.
    pub text: String,
    /// What only a restart changes.
    pub fixed: String,
}

/// Renders soju's configuration.
pub fn config(valid: &Valid) -> Result<SojuConfig, Unwritable> {
    let mut doc = Document::default();
    doc.add("listen", [format!("ircs://0.0.0.0:{IRC_PORT}")])?;
    doc.add("listen", [format!("https://0.0.0.0:{WSS_PORT}")])?;
    if valid.web_in_the_clear {
        doc.add("listen", [format!("http+insecure://0.0.0.0:{WS_PORT}")])?;
    }
    if valid.spec.ident {
        doc.add("listen", [format!("ident://0.0.0.0:{IDENT_PORT}")])?;
    }
    doc.add("listen", [format!("unix+admin://{ADMIN_SOCKET}")])?;
    doc.add("listen", [format!("http+prometheus://localhost:{SOJU_METRICS_PORT}")])?;
    rows(valid, &mut doc)?;
    let fixed = doc.text().to_owned();
    rehashable(valid, &mut doc)?;
    Ok(SojuConfig { text: doc.text().to_owned(), fixed })
}

/// Where soju's rows are.
fn rows(valid: &Valid, doc: &mut Document) -> Result<(), Unwritable> {
    match &valid.rows {
        Rows::Sqlite => doc.add("db", ["sqlite3", SQLITE_FILE])?,
        Rows::Postgres(at) => doc.add(
            "db",
            [
                "postgres",
                &format!(
                    "host={} port=5432 dbname={} user={} password={} sslmode=require",
                    lib_pq(&at.host),
                    lib_pq(&at.name),
                    lib_pq(&at.role),
                    lib_pq(at.password.expose_secret()),
                ),
            ],
        )?,
    }
    doc.add("message-store", ["db"])
}

/// What soju's own tool needs to make its tables.
pub fn tables(valid: &Valid) -> Result<String, Unwritable> {
    let mut doc = Document::default();
    doc.add("hostname", [valid.spec.hostname.as_str()])?;
    rows(valid, &mut doc)?;
    Ok(doc.text().to_owned())
}

/// What the job needs that moves the owner's account.
pub fn moves(installation: &Installation, uid: &str, valid: &Valid) -> Result<MovesConfig, Error> {
    let missing = |what: &str| Error::Internal(format!("{what} was not checked"));
    let issuer = installation.issuer_url.as_ref().ok_or_else(|| missing("the issuer"))?;
    let owner = valid.spec.owner.as_ref().ok_or_else(|| missing("the owner"))?;
    Ok(MovesConfig {
        listen: ([0, 0, 0, 0], SIDECAR_PORT).into(),
        database: prune(&valid.rows),
        account: owner.sub.as_str().to_owned(),
        username: owner.username.0.clone(),
        bouncer: uid.to_owned(),
        issuer: issuer.origin().ascii_serialization(),
    })
}

fn rehashable(valid: &Valid, doc: &mut Document) -> Result<(), Unwritable> {
    let spec = &valid.spec;
    doc.add("hostname", [spec.hostname.as_str()])?;
    doc.add("tls", [format!("{TLS_DIR}/tls.crt"), format!("{TLS_DIR}/tls.key")])?;
    if let Some(title) = &spec.title {
        doc.add("title", [&title.0])?;
    }
    if let Some(motd) = &spec.motd {
        doc.add("motd", [format!("{CONFIG_DIR}/{MOTD_FILE}")])?;
        doc.note("motd", motd.0.as_bytes());
    }
    if let Some(host) = &valid.doors.web_host {
        doc.add("http-ingress", [format!("https://{host}")])?;
        let own = format!("https://{host}");
        doc.add("http-origin", std::iter::once(own).chain(spec.websocket_origins.iter().map(pattern)))?;
    }
    if !spec.expose.proxy_ranges.is_empty() {
        doc.add("accept-proxy-ip", spec.expose.proxy_ranges.iter().map(|range| range.as_str()))?;
    }
    if let Some(most) = spec.limits.networks_per_user {
        doc.add("max-user-networks", [most.to_string()])?;
    }
    if let Some(days) = spec.limits.disable_inactive_days {
        doc.add("disable-inactive-user", [format!("{days}d")])?;
    }
    if let Some(days) = spec.retention_days
        && valid.version.expires_messages()
    {
        doc.add("message-expiry", [format!("{days}d")])?;
    }
    if let Some(uploads) = &spec.uploads {
        doc.add("file-upload", ["http", uploads.url.as_str()])?;
    }
    match &valid.oauth2 {
        Some(url) => {
            doc.add("auth", ["oauth2", url.expose_secret()])?;
            let enables = spec.auth.create_users || spec.limits.disable_inactive_days.is_some();
            doc.add("enable-user-on-auth", [if enables { "true" } else { "false" }])
        }
        None => doc.add("auth", ["internal"]),
    }
}

/// An origin as a pattern of soju's, where `*` and `?` stand for others. A bracket would begin a set of characters, and one
/// that is not closed would keep soju from starting; here it stands for itself, as in `https://[::1]`.
fn pattern(origin: &Origin) -> String {
    origin.as_str().replace('\\', "\\\\").replace('[', "\\[")
}

/// A value in a connection string of lib/pq: in single quotes, where a backslash makes the next character literal.
fn lib_pq(value: &str) -> String {
    let mut text = String::from("'");
    for c in value.chars() {
        if c == '\'' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('\'');
    text
}

/// An issuer's address with the client's credentials in it, as soju wants it.
pub fn oauth2_url(issuer: &Url, id: &str, secret: &str) -> Option<String> {
    let mut url = issuer.clone();
    // By itself it would leave a `%` as it is.
    url.set_username(&percent_encoded(id)).ok()?;
    url.set_password(Some(&percent_encoded(secret))).ok()?;
    Some(url.into())
}

/// Renders the sidecar's configuration.
pub fn sidecar(valid: &Valid) -> SidecarConfig {
    let spec = &valid.spec;
    let mut users: Vec<SidecarUser> = spec.users.iter().map(|user| seed_user(valid, user)).collect();
    // A dedicated bouncer has its owner from the start: gatekeeper vouches for nobody else.
    if let Some(owner) = &spec.owner
        && spec.auth.method == AuthMethod::OAuth2
        && users.iter().all(|user| user.username != owner.username.0)
    {
        users.push(SidecarUser {
            username: owner.username.0.clone(),
            admin: false,
            enabled: true,
            password: None,
            nick: None,
            realname: None,
            max_networks: None,
            networks: Vec::new(),
        });
    }
    SidecarConfig {
        admin_socket: ADMIN_SOCKET.into(),
        listen: ([0, 0, 0, 0], SIDECAR_PORT).into(),
        soju_metrics: Some(format!("http://localhost:{SOJU_METRICS_PORT}/metrics")),
        soju_config: format!("{CONFIG_DIR}/{SOJU_FILE}").into(),
        version: valid.version_text.clone(),
        seed_policy: spec.seed_policy,
        users,
        retention_days: spec
            .retention_days
            .filter(|_| !valid.version.expires_messages())
            .and_then(|days| u32::try_from(days).ok()),
        prune: Some(prune(&valid.rows)),
        storage_bytes: spec.limits.storage_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

fn prune(rows: &Rows) -> PruneTarget {
    match rows {
        Rows::Sqlite => PruneTarget::Sqlite(SQLITE_FILE.into()),
        Rows::Postgres(at) => PruneTarget::Postgres(Sealed::new(at.url())),
    }
}

fn seed_user(valid: &Valid, user: &SeedUser) -> SidecarUser {
    SidecarUser {
        username: user.username.0.clone(),
        admin: user.admin,
        enabled: user.enabled,
        password: user.password.as_ref().map(|at| valid.secret(at)),
        nick: user.nick.as_ref().map(|nick| nick.0.clone()),
        realname: user.realname.as_ref().map(|name| name.0.clone()),
        max_networks: user.max_networks.and_then(|most| u32::try_from(most).ok()),
        networks: user.networks.iter().map(|network| seed_network(valid, network)).collect(),
    }
}

fn seed_network(valid: &Valid, network: &SeedNetwork) -> SidecarNetwork {
    SidecarNetwork {
        name: network.name.0.clone(),
        address: network.address.0.clone(),
        nick: network.nick.as_ref().map(|nick| nick.0.clone()),
        username: network.username.as_ref().map(|name| name.0.clone()),
        realname: network.realname.as_ref().map(|name| name.0.clone()),
        server_password: network.server_password.as_ref().map(|at| valid.secret(at)),
        sasl: network.sasl.as_ref().map(|sasl| SidecarSasl {
            username: sasl.username.0.clone(),
            password: valid.secret(&sasl.password),
        }),
        fingerprint: network.fingerprint.as_ref().map(|print| print.0.clone()),
        connect_commands: network.connect_commands.iter().map(|line| line.0.clone()).collect(),
        auto_away: network.auto_away,
        enabled: network.enabled,
        channels: network.channels.iter().map(|channel| (channel.name.0.clone(), channel.detached)).collect(),
    }
}
