//! The engine `Ircnow`: what a resource may ask of it, and the configuration of `ircnow bouncer` for one account.
//!
//! The bouncer proves itself to gatekeeper with the client of this bouncer alone, and asks on gatekeeper's site, where it
//! learns of its owner and of nobody else. It has no secret of the installation.

use std::net::IpAddr;

use crds::SojuBouncerSpec;
use crds::common::EgressRule;
use crds::sidecar::{SIDECAR_PORT, TLS_DIR};
use crds::soju::Limits;
use operator::Error;
use operator::expose::{Doors, Web, refused};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::config::Installation;
use crate::controller::validate::{Rows, Valid};
use crate::credentials;
use crate::soju::IRC_PORT;

/// The configuration's file.
pub const FILE: &str = "ircnow.toml";
/// The volume.
pub const VOLUME: &str = "/data";
/// The data folder: below the volume, because it is closed to everybody else, and the volume itself belongs to the
/// cluster.
pub const DATA_DIR: &str = "/data/ircnow";
/// Where gatekeeper's site answers dedicated bouncers.
const DEDICATED: &str = "/dedicated/";

/// Refuses what this engine would not do: nothing that stands in a resource is left undone without a word.
pub fn check(spec: &SojuBouncerSpec, doors: &Doors) -> Result<(), Error> {
    let Limits { networks_per_user, disable_inactive_days, storage_bytes } = &spec.limits;
    let asked = [
        ("title", spec.title.is_some()),
        ("motd", spec.motd.is_some()),
        ("version", spec.version.is_some()),
        ("ident", spec.ident),
        ("retentionDays", spec.retention_days.is_some()),
        ("limits.networksPerUser", networks_per_user.is_some()),
        ("limits.disableInactiveDays", disable_inactive_days.is_some()),
        ("limits.storageBytes", storage_bytes.is_some()),
        ("auth.issuerUrl", spec.auth.issuer_url.is_some()),
        ("auth.client", spec.auth.client.is_some()),
        ("auth.createUsers", spec.auth.create_users),
    ];
    if let Some((field, _)) = asked.into_iter().find(|(_, is)| *is) {
        let message = format!(
            "{field} is for engine Soju: with Ircnow, the account's plan and its pages decide; leave it out"
        );
        return Err(refused("FieldNotSupported", message));
    }
    if spec.owner.as_ref().is_none_or(|owner| !is_account(owner.sub.as_str())) {
        let message =
            "owner.sub is no id of an account: engine Ircnow serves one account of this installation";
        return Err(refused("OwnerInvalid", message));
    }
    if doors.web == Web::Gateway {
        let message =
            "engine Ircnow serves WebSockets over TLS only: set expose.web to Ingress, Route or None";
        return Err(refused("FieldNotSupported", message));
    }
    spec.egress.allow.iter().try_for_each(|rule| match single(rule) {
        Some(_) if !rule.ports.is_empty() => Ok(()),
        _ => Err(refused(
            "FieldNotSupported",
            format!(
                "egress.allow: engine Ircnow reaches single addresses with their ports, not all of {}",
                rule.cidr
            ),
        )),
    })
}

/// The address of a range that is one.
fn single(rule: &EgressRule) -> Option<IpAddr> {
    let text = rule.cidr.as_str();
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { "32" } else { "128" };
    bits.is_none_or(|bits| bits == whole).then_some(address)
}

#[derive(Serialize)]
struct File<'a> {
    bouncer: Bouncer<'a>,
    role: Role,
    sites: Sites<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dial: Option<Dial>,
}

#[derive(Serialize)]
struct Bouncer<'a> {
    listen: &'static str,
    listen_tls: String,
    server_name: &'a str,
    account: &'a str,
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
struct Role {
    admin_listen: String,
    certificate: String,
    certificate_key: String,
    gatekeeper: String,
    client_id: String,
    client_secret: String,
}

#[derive(Serialize)]
struct Sites<'a> {
    base: String,
    auth: String,
    irc_host: &'a str,
    irc_tls_port: u16,
}

#[derive(Serialize)]
struct Dial {
    allow: Vec<String>,
}

/// The configuration, written by a TOML library, so that no value is taken for anything else.
pub fn config(installation: &Installation, uid: &str, valid: &Valid) -> Result<String, Error> {
    let spec = &valid.spec;
    let missing = |what: &str| Error::Internal(format!("{what} was not checked"));
    let issuer = installation.issuer_url.as_ref().ok_or_else(|| missing("the issuer"))?;
    let secret = installation.client_secret.as_ref().ok_or_else(|| missing("the client secret"))?;
    let owner = spec.owner.as_ref().ok_or_else(|| missing("the owner"))?;
    let client_id = credentials::client_id(uid);
    let database = match &valid.rows {
        Rows::Sqlite => None,
        Rows::Postgres(at) => Some(at.url()),
    };
    let joined = |list: Vec<&str>| (!list.is_empty()).then(|| list.join(","));
    let allow: Vec<String> = spec.egress.allow.iter().flat_map(pairs).collect();
    let auth = issuer.origin().ascii_serialization();
    let file = File {
        bouncer: Bouncer {
            listen: "127.0.0.1:6667",
            listen_tls: format!("0.0.0.0:{IRC_PORT}"),
            server_name: spec.hostname.as_str(),
            account: owner.sub.as_str(),
            history: database.clone(),
            database,
            proxies: joined(spec.expose.proxy_ranges.iter().map(|range| range.as_str()).collect()),
            websocket_origins: joined(spec.websocket_origins.iter().map(|origin| origin.as_str()).collect()),
        },
        role: Role {
            admin_listen: format!("0.0.0.0:{SIDECAR_PORT}"),
            certificate: format!("{TLS_DIR}/tls.crt"),
            certificate_key: format!("{TLS_DIR}/tls.key"),
            gatekeeper: format!("{auth}{DEDICATED}"),
            client_secret: credentials::client_secret(secret, &client_id).expose_secret().to_owned(),
            client_id,
        },
        sites: Sites { base: base(&auth), auth, irc_host: spec.hostname.as_str(), irc_tls_port: IRC_PORT },
        dial: (!allow.is_empty()).then_some(Dial { allow }),
    };
    toml::to_string(&file)
        .map_err(|error| Error::Internal(format!("the configuration cannot be written: {error}")))
}

/// The private addresses a rule lets in, as the bouncer's own guard wants them.
fn pairs(rule: &EgressRule) -> Vec<String> {
    let address = single(rule);
    rule.ports
        .iter()
        .filter_map(|port| {
            Some(match address? {
                IpAddr::V4(address) => format!("{address}:{port}"),
                IpAddr::V6(address) => format!("[{address}]:{port}"),
            })
        })
        .collect()
}

/// irc.now itself, of whose sites gatekeeper is `auth.`.
fn base(auth: &str) -> String {
    auth.replacen("://auth.", "://", 1)
}

/// Whether a text is an account's id: what gatekeeper gives out is a UUID, and the bouncer takes nothing else.
fn is_account(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_are_named_after_the_issuer() {
        assert_eq!(base("https://auth.irc.now"), "https://irc.now");
        assert_eq!(base("https://auth.irc.now:8443"), "https://irc.now:8443");
        assert_eq!(base("https://login.example.org"), "https://login.example.org");
    }

    #[test]
    fn an_account_is_named_by_its_id() {
        assert!(is_account("5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11"));
        for other in ["", "alice", "5a0dd2a433cb4a5e9b2f3d0a9d3b8a11", "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a1g"]
        {
            assert!(!is_account(other), "{other}");
        }
    }

    #[test]
    fn only_single_addresses_with_ports_pass_the_bouncers_own_guard() {
        let rule = |cidr: &str, ports: &[i32]| EgressRule { cidr: cidr.into(), ports: ports.to_vec() };
        assert_eq!(pairs(&rule("10.9.0.7/32", &[6667, 6697])), ["10.9.0.7:6667", "10.9.0.7:6697"]);
        assert_eq!(pairs(&rule("fd00::7/128", &[6697])), ["[fd00::7]:6697"]);
        assert_eq!(single(&rule("10.9.0.0/24", &[6667])), None);
    }
}
