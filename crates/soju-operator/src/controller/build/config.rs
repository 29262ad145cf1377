//! The Secret with the configuration. A Secret, not a ConfigMap: passwords stand in it.

use std::collections::BTreeMap;

use crds::sidecar::{self, MOTD_FILE, MOVES_FILE, SIDECAR_FILE, SOJU_FILE, STATE_TOKEN_FILE, TABLES_FILE};
use crds::soju::Engine;
use operator::resources::Parent;
use operator::secrets::encoded;
use operator::{Desired, Error, kinds};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::validate::Valid;
use crate::config::Installation;
use crate::{credentials, ircnow, soju};

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
            if valid.spec.moving.is_some() {
                files.insert(TABLES_FILE, soju::tables(valid).map_err(super::unwritable)?);
                let moves = serde_json::to_string_pretty(&soju::moves(installation, &parent.uid, valid)?);
                let moves = moves.map_err(|error| {
                    Error::Internal(format!("the configuration of a move cannot be written: {error}"))
                })?;
                files.insert(MOVES_FILE, moves);
            }
            if let Some(secret) = &installation.client_secret {
                let token = credentials::state_token(secret, &parent.uid);
                files.insert(STATE_TOKEN_FILE, token.expose_secret().to_owned());
            }
            sidecar::hash(config.fixed.as_bytes())
        }
        Engine::Ircnow => {
            let text = ircnow::config(installation, &parent.uid, valid)?;
            let restart = sidecar::hash(text.as_bytes());
            files.insert(ircnow::FILE, text);
            restart
        }
    };
    let data: BTreeMap<_, _> = files.iter().map(|(name, text)| (*name, encoded(text))).collect();
    let secret = parent.child(&kinds::SECRET, &valid.names.config, json!({ "type": "Opaque", "data": data }));
    Ok(Rendered { secret, restart })
}

/// The text whose hash the running server reports; the engine `Ircnow` reports none.
pub fn text(valid: &Valid) -> Option<String> {
    let soju = (valid.spec.engine == Engine::Soju).then(|| soju::config(valid))?;
    soju.ok().map(|config| config.text)
}
