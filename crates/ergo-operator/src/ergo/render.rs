//! Ergo's configuration as a value, from a resource and what it points to. Pure: [`super::yaml`] writes it down.

use crds::ErgoNetworkSpec;
use crds::ergo::{Access, HistoryBackend, JwtAlgorithm, OperatorClass};
use operator::postgres::PostgresAt;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::release::Release;
use crate::paths::Places;

/// Another issuer, or gatekeeper: who is asked what a token is worth.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Where.
    pub introspection_url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: SecretString,
}

/// A key for signed tokens.
#[derive(Clone, Debug)]
pub struct Key(pub SecretString);

/// What a resource points to, as it was read.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// The issuer that is asked, if one is.
    pub issuer: Option<Issuer>,
    /// The key of signed tokens.
    pub jwt: Option<Key>,
    /// Operators' bcrypt hashes, in the order of the resource.
    pub operators: Vec<Option<SecretString>>,
}

/// Everything a configuration is made of.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The resource.
    pub spec: &'a ErgoNetworkSpec,
    /// The release that reads it.
    pub release: Release,
    /// What the resource points to.
    pub secrets: &'a Secrets,
    /// The history's database, for backend `Postgres`.
    pub database: Option<&'a PostgresAt>,
    /// The token of the HTTP API.
    pub api_token: &'a SecretString,
    /// The bcrypt hash of the sidecar's password, for releases without the HTTP API.
    pub operator_hash: &'a str,
    /// Which questions the sidecar answers.
    pub checks: Checks,
    /// Whether the WebSocket is served.
    pub websocket: bool,
    /// Where everything is.
    pub places: &'a Places,
}

/// Which questions the sidecar answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Whether an address may connect: there is a limit of clients.
    pub addresses: bool,
    /// Whether an app password is right: gatekeeper is asked.
    pub passwords: bool,
}

/// The name of the operator the sidecar is.
pub const SIDECAR_OPERATOR: &str = "ircnow-operator";

/// Renders the configuration.
pub fn render(wanted: &Wanted<'_>) -> Value {
    let mut config = json!({
        "network": { "name": wanted.spec.network_name.0 },
        "server": server(wanted),
        "accounts": accounts(wanted),
        "channels": channels(wanted.spec),
        "oper-classes": classes(),
        "opers": operators(wanted),
        "logging": [{ "method": "stderr", "type": "* -userinput -useroutput", "level": "info" }],
        "debug": { "recover-from-errors": true },
        "lock-file": wanted.places.lock,
        "datastore": datastore(wanted),
        "languages": { "enabled": false, "default": "en", "path": "languages" },
        "limits": limits(wanted.spec),
        "fakelag": {
            "enabled": true, "window": "1s", "cooldown": "2s",
            "burst-limit": wanted.spec.limits.burst,
            "messages-per-window": wanted.spec.limits.messages_per_second,
            "command-budgets": { "CHATHISTORY": 16, "MARKREAD": 16, "MONITOR": 1, "WHO": 4, "WEBPUSH": 1 },
        },
        "roleplay": { "enabled": false },
        "history": history(wanted.spec),
        "allow-environment-overrides": false,
    });
    if wanted.release.has_api() {
        config["api"] = json!({
            "enabled": true,
            "listener": wanted.places.api,
            "bearer-tokens": [wanted.api_token.expose_secret()],
        });
        config["metadata"] = json!({
            "enabled": true, "max-subs": 100, "max-keys": 100,
            "client-throttle": { "enabled": true, "duration": "2m", "max-attempts": 10 },
        });
    }
    config
}

fn server(wanted: &Wanted<'_>) -> Value {
    let spec = wanted.spec;
    let name = spec.server_name.as_ref().unwrap_or(&spec.hostname);
    let connections = spec.limits.connections_per_address;
    let cloak = cloak(spec.cloak_name.as_ref().map_or(&spec.network_name.0, |name| &name.0));
    let mut server = json!({
        "name": name.as_str(),
        "listeners": listeners(wanted),
        "sts": { "enabled": false },
        "websockets": { "allowed-origins": texts(&spec.websocket_origins, |origin| origin.as_str()) },
        "casemapping": "ascii",
        "enforce-utf8": true,
        "lookup-hostnames": false,
        "forward-confirm-hostnames": false,
        "check-ident": false,
        "coerce-ident": "~u",
        "motd": wanted.places.motd,
        // The resource's words are shown as they are.
        "motd-formatting": false,
        "idle-timeouts": { "registration": "60s", "ping": "1m30s", "disconnect": "2m30s" },
        "relaymsg": { "enabled": false },
        "proxy-allowed-from": texts(&spec.expose.proxy_ranges, |range| range.as_str()),
        "max-sendq": "96k",
        "compatibility": { "force-trailing": true, "send-unprefixed-sasl": true, "allow-truncation": false },
        "ip-limits": {
            "count": true,
            "max-concurrent-connections": connections,
            "throttle": true,
            "window": "10m",
            "max-connections-per-window": connections.saturating_mul(4),
            "cidr-len-ipv4": 32,
            "cidr-len-ipv6": 64,
            "exempted": ["localhost"],
        },
        "ip-cloaking": {
            "enabled": true,
            "enabled-for-always-on": true,
            "netname": cloak,
            "cidr-len-ipv4": 32,
            "cidr-len-ipv6": 64,
            "num-bits": 64,
        },
        "oper-throttle": "10s",
        "suppress-lusers": false,
    });
    server["ip-check-script"] = script(wanted, wanted.checks.addresses, &wanted.places.address_socket);
    server["ip-check-script"]["exempt-sasl"] = false.into();
    server
}

/// A name as Ergo takes it for the end of a host name: labels of letters, digits and hyphens, none at an end.
fn cloak(name: &str) -> String {
    let name: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let labels: Vec<_> =
        name.split('.').map(|label| label.trim_matches('-')).filter(|label| !label.is_empty()).collect();
    if labels.is_empty() { "irc".to_owned() } else { labels.join(".") }
}

/// A script the sidecar answers: through its socket where Ergo can ask one, through a command that asks it otherwise.
/// One that is off is written down too: it can be turned on without a restart then.
fn script(wanted: &Wanted<'_>, enabled: bool, socket: &str) -> Value {
    let mut script = json!({
        "enabled": enabled, "timeout": "5s", "kill-timeout": "1s", "max-concurrency": 64,
    });
    if wanted.release.has_script_sockets() {
        script["socket"] = socket.into();
    } else {
        script["command"] = wanted.places.ask.as_str().into();
        script["args"] = json!(["ergo-sidecar", "--ask", socket]);
    }
    script
}

fn listeners(wanted: &Wanted<'_>) -> Value {
    let mut listeners = Map::new();
    let tls = json!({ "cert": wanted.places.certificate, "key": wanted.places.key });
    let mut irc = json!({ "tls": tls, "min-tls-version": "1.2" });
    if !wanted.spec.expose.proxy_ranges.is_empty() {
        irc["proxy"] = true.into();
    }
    listeners.insert(wanted.places.irc.clone(), irc);
    if wanted.websocket {
        listeners.insert(wanted.places.web.clone(), json!({ "websocket": true }));
    }
    if wanted.spec.plaintext_in_cluster {
        listeners.insert(wanted.places.plain.clone(), json!({}));
    }
    if !wanted.release.has_api() {
        listeners.insert(wanted.places.loopback.clone(), json!({}));
    }
    Value::Object(listeners)
}

fn accounts(wanted: &Wanted<'_>) -> Value {
    let spec = wanted.spec;
    let exempted: &[&str] = if wanted.places.loopback_is_trusted { &["localhost"] } else { &[] };
    let mut accounts = json!({
        "authentication-enabled": true,
        "registration": {
            "enabled": spec.access != Access::MembersOnly,
            "allow-before-connect": true,
            "throttling": { "enabled": true, "duration": "10m", "max-attempts": 30 },
            // 4, Ergo's own default, is too little for passwords that people choose.
            "bcrypt-cost": 10,
            "verify-timeout": "32h",
            "email-verification": { "enabled": false },
        },
        "login-throttling": { "enabled": true, "duration": "1m", "max-attempts": 3 },
        "skip-server-password": false,
        "login-via-pass-command": true,
        // What the sidecar is asked needs the password itself.
        "advertise-scram": !wanted.checks.passwords,
        "require-sasl": { "enabled": spec.access != Access::Open, "exempted": exempted },
        "nick-reservation": {
            "enabled": true,
            "additional-nick-limit": 0,
            "method": "strict",
            "allow-custom-enforcement": false,
            "guest-nickname-format": "Guest-*",
            "force-guest-format": false,
            "force-nick-equals-account": true,
            "forbid-anonymous-nick-changes": false,
        },
        "multiclient": { "enabled": true, "allowed-by-default": true, "always-on": "opt-in", "auto-away": "opt-in" },
        "vhosts": { "enabled": true, "max-length": 64, "valid-regexp": "^[0-9A-Za-z.\\-_/]+$" },
        "default-user-modes": "+i",
    });
    accounts["auth-script"] = script(wanted, wanted.checks.passwords, &wanted.places.password_socket);
    accounts["auth-script"]["autocreate"] = spec.auth.create_accounts.into();
    if let Some(issuer) = &wanted.secrets.issuer {
        accounts["oauth2"] = json!({
            "enabled": true,
            "autocreate": spec.auth.create_accounts,
            "auth-script": false,
            "introspection-url": issuer.introspection_url,
            "introspection-timeout": "10s",
            "client-id": issuer.client_id,
            "client-secret": issuer.client_secret.expose_secret(),
        });
    }
    if let (Some(jwt), Some(key)) = (&spec.auth.jwt, &wanted.secrets.jwt) {
        let mut token = json!({
            "algorithm": match jwt.algorithm {
                JwtAlgorithm::Hmac => "hmac",
                JwtAlgorithm::Rsa => "rsa",
                JwtAlgorithm::EdDsa => "eddsa",
            },
            "key": key.0.expose_secret(),
            "account-claims": texts(&jwt.account_claims, |claim| claim.as_str()),
        });
        if let Some(audience) = &jwt.audience {
            token["validate-aud"] = audience.0.as_str().into();
        }
        if let Some(domain) = &jwt.strip_domain {
            token["strip-domain"] = domain.as_str().into();
        }
        accounts["jwt-auth"] =
            json!({ "enabled": true, "autocreate": spec.auth.create_accounts, "tokens": [token] });
    }
    accounts
}

fn channels(spec: &ErgoNetworkSpec) -> Value {
    let most = spec.limits.channels_per_account;
    json!({
        "default-modes": spec.channels.default_modes.0,
        "max-channels-per-client": spec.limits.channels_per_client,
        "operator-only-creation": spec.channels.operator_only,
        "registration": { "enabled": most > 0, "operator-only": false, "max-channels-per-account": most },
        "list-delay": "0s",
        "invite-expiration": "24h",
        "auto-join": texts(&spec.channels.auto_join, |channel| channel.as_str()),
    })
}

const MODERATOR: &str = "moderator";
const ADMIN: &str = "admin";
const SIDECAR_CLASS: &str = "sidecar";

fn classes() -> Value {
    json!({
        MODERATOR: {
            "title": "Moderator",
            "capabilities": [
                "kill", "ban", "nofakelag", "relaymsg", "vhosts", "sajoin", "samode", "snomasks", "roleplay",
            ],
        },
        // Without `rehash`: the configuration is the resource's.
        ADMIN: {
            "title": "Administrator",
            "extends": MODERATOR,
            "capabilities": ["accreg", "chanreg", "history", "defcon", "massmessage", "metadata"],
        },
        SIDECAR_CLASS: { "title": "Operator", "capabilities": ["rehash", "nofakelag"] },
    })
}

fn operators(wanted: &Wanted<'_>) -> Value {
    let mut operators = Map::new();
    for (index, operator) in wanted.spec.operators.iter().enumerate() {
        let mut entry = json!({
            "class": match operator.class {
                OperatorClass::Moderator => MODERATOR,
                OperatorClass::Admin => ADMIN,
            },
            "hidden": false,
            "whois-line": "keeps order here",
            "auto": operator.automatic,
        });
        if let Some(Some(hash)) = wanted.secrets.operators.get(index) {
            entry["password"] = hash.expose_secret().into();
        }
        if let Some(fingerprint) = &operator.fingerprint {
            entry["certfp"] = fingerprint.as_str().into();
        }
        operators.insert(operator.name.as_str().to_owned(), entry);
    }
    if !wanted.release.has_api() {
        operators.insert(
            SIDECAR_OPERATOR.to_owned(),
            json!({ "class": SIDECAR_CLASS, "hidden": true, "password": wanted.operator_hash }),
        );
    }
    Value::Object(operators)
}

fn datastore(wanted: &Wanted<'_>) -> Value {
    let mut datastore = json!({ "path": wanted.places.store, "autoupgrade": true });
    match wanted.spec.history.backend {
        HistoryBackend::Memory => {}
        HistoryBackend::Sqlite => {
            datastore["sqlite"] = json!({
                "enabled": true, "database-path": wanted.places.history, "busy-timeout": "5s", "max-conns": 1,
            });
        }
        HistoryBackend::Postgres => {
            if let Some(database) = wanted.database {
                datastore["postgresql"] = json!({
                    "enabled": true,
                    "host": database.host,
                    "port": 5432,
                    "ssl-mode": "require",
                    "user": database.name,
                    "password": database.password.expose_secret(),
                    "history-database": database.name,
                    "timeout": "3s",
                    "max-conns": 4,
                    "connect-timeout": "10s",
                    "application-name": "ergo",
                });
            }
        }
    }
    datastore
}

fn limits(spec: &ErgoNetworkSpec) -> Value {
    let limits = &spec.limits;
    json!({
        "nicklen": limits.nick_length,
        "identlen": 20,
        "realnamelen": 150,
        "channellen": limits.channel_length,
        "awaylen": 390,
        "kicklen": 390,
        "topiclen": limits.topic_length,
        "monitor-entries": 100,
        "whowas-entries": 100,
        "chan-list-modes": 100,
        "registration-messages": 1024,
        "multiline": { "max-bytes": limits.multiline_bytes, "max-lines": limits.multiline_lines },
    })
}

fn history(spec: &ErgoNetworkSpec) -> Value {
    let history = &spec.history;
    json!({
        "enabled": true,
        "channel-length": 2048,
        "client-length": 256,
        "autoresize-window": "3d",
        "autoreplay-on-join": 0,
        "chathistory-maxmessages": 1000,
        "znc-maxmessages": 2048,
        "restrictions": {
            "expire-time": format!("{}d", history.expire_days), "query-cutoff": "none", "grace-period": "1h",
        },
        "persistent": {
            "enabled": history.backend != HistoryBackend::Memory,
            "unregistered-channels": history.unregistered_channels,
            "registered-channels": "opt-out",
            "direct-messages": if history.direct_messages { "opt-out" } else { "disabled" },
        },
        "retention": { "allow-individual-delete": history.allow_delete, "enable-account-indexing": history.allow_delete },
        "tagmsg-storage": { "default": false, "whitelist": ["+draft/react", "+react"] },
    })
}

fn texts<T>(items: &[T], text: impl Fn(&T) -> &str) -> Vec<&str> {
    items.iter().map(text).collect()
}
