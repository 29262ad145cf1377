//! The Secret with the configuration. A Secret, not a ConfigMap: passwords stand in it.

use std::collections::BTreeMap;

use crds::sidecar::{self, MOTD_FILE, SIDECAR_FILE, SIDECAR_PORT, SOJU_FILE, STATE_TOKEN_FILE, TLS_DIR};
use crds::soju::Engine;
use operator::resources::Parent;
use operator::{Desired, Error, kinds};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::json;

use super::super::validate::{Rows, Valid};
use crate::config::Installation;
use crate::{credentials, soju};

/// The configuration of the engine `Ircnow`.
pub const IRCNOW_FILE: &str = "ircnow.toml";

/// The Secret, and the hash of what only a restart changes.
pub struct Rendered {
    /// The Secret.
    pub secret: Desired,
    /// Pods are replaced when this changes.
    pub restart: String,
}

/// Renders the configuration.
pub fn render(installation: &Installation, parent: &Parent, valid: &Valid) -> Result<Rendered, Error> {
    let mut files = BTreeMap::new();
    let restart = match valid.spec.engine {
        Engine::Soju => {
            let config = soju::config(valid).map_err(super::unwritable)?;
            let sidecar = serde_json::to_string_pretty(&soju::sidecar(valid)).map_err(|error| {
                Error::Internal(format!("the sidecar's configuration cannot be written: {error}"))
            })?;
            files.insert(SIDECAR_FILE, sidecar);
            if let Some(motd) = &valid.spec.motd {
                files.insert(MOTD_FILE, motd.0.clone());
            }
            files.insert(SOJU_FILE, config.text);
            if let Some(secret) = &installation.client_secret {
                let token = credentials::state_token(secret, &parent.uid);
                files.insert(STATE_TOKEN_FILE, token.expose_secret().to_owned());
            }
            sidecar::hash(config.fixed.as_bytes())
        }
        Engine::Ircnow => {
            let text = ircnow(installation, valid)?;
            let restart = sidecar::hash(text.as_bytes());
            files.insert(IRCNOW_FILE, text);
            restart
        }
    };
    let secret = parent.child(
        &kinds::SECRET,
        &valid.names.config,
        json!({ "type": "Opaque", "data": encoded(&files) }),
    );
    Ok(Rendered { secret, restart })
}

/// The text whose hash the running server reports.
pub fn text(valid: &Valid) -> Option<String> {
    soju::config(valid).ok().map(|config| config.text)
}

/// `data` rather than `stringData`: the API server moves the latter, and what is owned would not be what is there.
pub fn encoded<'a>(
    files: impl IntoIterator<Item = (&'a &'a str, &'a String)>,
) -> BTreeMap<&'a str, serde_json::Value> {
    files
        .into_iter()
        .map(|(name, text)| {
            let bytes = k8s_openapi::ByteString(text.clone().into_bytes());
            (*name, serde_json::to_value(bytes).unwrap_or_default())
        })
        .collect()
}

#[derive(Serialize)]
struct IrcnowToml<'a> {
    bouncer: BouncerToml<'a>,
    role: RoleToml,
}

#[derive(Serialize)]
struct BouncerToml<'a> {
    listen: String,
    listen_tls: String,
    server_name: &'a str,
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxies: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    websocket_origins: Option<String>,
}

#[derive(Serialize)]
struct RoleToml {
    admin_listen: String,
    certificate: String,
    certificate_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gatekeeper: Option<String>,
}

/// The configuration of `ircnow bouncer` for one account, written by a TOML library, so that no value is taken for
/// anything else.
fn ircnow(installation: &Installation, valid: &Valid) -> Result<String, Error> {
    let spec = &valid.spec;
    let joined = |list: Vec<&str>| (!list.is_empty()).then(|| list.join(","));
    let database = match &valid.rows {
        Rows::Sqlite => None,
        Rows::Postgres(at) => Some(at.url()),
    };
    let gatekeeper = spec.auth.issuer_url.as_ref().map(|url| url.0.clone());
    let config = IrcnowToml {
        bouncer: BouncerToml {
            listen: "127.0.0.1:6667".to_owned(),
            listen_tls: format!("0.0.0.0:{}", soju::IRC_PORT),
            server_name: spec.hostname.as_str(),
            account: spec.owner.as_ref().map(|owner| owner.sub.as_str()),
            history: database.clone(),
            database,
            proxies: joined(spec.expose.proxy_ranges.iter().map(|range| range.as_str()).collect()),
            websocket_origins: joined(spec.websocket_origins.iter().map(|origin| origin.as_str()).collect()),
        },
        role: RoleToml {
            admin_listen: format!("0.0.0.0:{SIDECAR_PORT}"),
            certificate: format!("{TLS_DIR}/tls.crt"),
            certificate_key: format!("{TLS_DIR}/tls.key"),
            gatekeeper: gatekeeper.or_else(|| installation.issuer_url.as_ref().map(ToString::to_string)),
        },
    };
    toml::to_string(&config)
        .map_err(|error| Error::Internal(format!("the configuration cannot be written: {error}")))
}
