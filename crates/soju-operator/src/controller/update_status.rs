//! The status, from what was applied and what the server says. No client.

use crds::soju::BouncerUsage;
use crds::status::Endpoints;
use crds::{SojuBouncer, SojuBouncerStatus, sidecar};
use operator::conditions::{Holds, READY};
use operator::{Applied, Conditions, Facts, Resources, kinds};

use super::validate::{Irc, Rows, TlsFrom, Valid, Web};
use super::{build, condition, dereference};
use crate::soju::IRC_PORT;

/// Computes the status.
pub fn update_status(
    root: &SojuBouncer,
    valid: &Valid,
    applied: &Resources<Applied>,
    mut conditions: Conditions,
) -> SojuBouncerStatus {
    let mut status = root.status.clone().unwrap_or_default();
    conditions.set(condition::ACCEPTED, true, "Accepted", "the resource can be carried out");
    conditions.set(condition::HOSTNAME, true, "Claimed", "the host names belong to this bouncer");
    conditions.remove(condition::SNAPSHOT);
    database(valid, applied, &mut conditions);
    certificate(valid, applied, &mut conditions);
    exposed(valid, applied, &mut conditions);
    server(valid, applied, &mut conditions);
    said(valid, &mut conditions);
    summed_up(valid, &mut conditions);
    status.conditions = conditions.finish();
    status.endpoints = Some(endpoints(valid));
    status.hostnames = dereference::hostnames(root).into_iter().map(Into::into).collect();
    status.config_hash = build::config_text(valid).map(|text| sidecar::hash(text.as_bytes()).as_str().into());
    if let Some(state) = &valid.state {
        if let Some(version) = &state.version {
            status.version = Some(version.chars().take(64).collect::<String>().as_str().into());
        }
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        status.usage = Some(BouncerUsage {
            users: count(state.users),
            downstreams: count(state.downstreams),
            upstreams: count(state.upstreams),
            networks: count(state.networks),
            storage_bytes: state.storage_bytes.map(count),
            oldest_message: state.oldest_message,
        });
    }
    status
}

fn database(valid: &Valid, applied: &Resources<Applied>, conditions: &mut Conditions) {
    let Rows::Postgres(_) = &valid.rows else {
        let facts = applied.facts(&kinds::VOLUME_CLAIM, &valid.names.volume);
        let resizing = facts.is_some_and(|facts| facts.holds("resizing"));
        let message =
            if resizing { "the volume is being made larger" } else { "rows are kept on the volume" };
        conditions.set(condition::DATABASE, true, "OnVolume", message);
        return;
    };
    let waits = [&kinds::DATABASE_ROLE, &kinds::DATABASE].into_iter().find_map(|kind| {
        let facts = applied.facts(kind, &valid.names.outside)?;
        (!facts.holds("applied")).then(|| (kind.kind, facts.get("message").map(str::to_owned)))
    });
    match waits {
        None => conditions.set(condition::DATABASE, true, "Applied", "database and role are there"),
        Some((kind, Some(message))) => {
            conditions.set(
                condition::DATABASE,
                false,
                "Failed",
                format!("CloudNativePG on the {kind}: {message}"),
            );
        }
        Some((kind, None)) => {
            conditions.set(
                condition::DATABASE,
                false,
                "Waiting",
                format!("CloudNativePG has not made the {kind} yet"),
            );
        }
    }
}

fn certificate(valid: &Valid, applied: &Resources<Applied>, conditions: &mut Conditions) {
    if let TlsFrom::Given(name) = &valid.tls {
        conditions.set(
            condition::CERTIFICATE,
            true,
            "Given",
            format!("the certificate is in the Secret {name}"),
        );
        return;
    }
    match applied.facts(&kinds::CERTIFICATE, &valid.names.main) {
        Some(facts) if facts.holds("ready") => {
            conditions.set(condition::CERTIFICATE, true, "Issued", "cert-manager issued the certificate");
        }
        facts => {
            let why =
                facts.and_then(|facts| facts.get("message")).unwrap_or("cert-manager has not answered yet");
            conditions.set(condition::CERTIFICATE, false, "Waiting", why);
        }
    }
}

fn exposed(valid: &Valid, applied: &Resources<Applied>, conditions: &mut Conditions) {
    let names = &valid.names;
    let admitted = |kind, name: &str, says: &str, what: &str| -> Option<String> {
        let facts: &Facts = applied.facts(kind, name)?;
        (!facts.holds(says)).then(|| match facts.get("message") {
            Some(message) => format!("{what}: {message}"),
            None => format!("{what} has not been taken up yet"),
        })
    };
    let irc = match valid.irc {
        Irc::Inside => None,
        Irc::LoadBalancer => applied
            .facts(&kinds::SERVICE, &names.main)
            .filter(|facts| facts.get("address").is_none())
            .map(|_| "the load balancer has no address yet".to_owned()),
        Irc::Route => admitted(&kinds::ROUTE, &names.main, "admitted", "the Route of the IRC port"),
        Irc::Gateway => admitted(&kinds::TLS_ROUTE, &names.main, "accepted", "the TLSRoute"),
    };
    let web = match valid.web {
        Web::None => None,
        // An Ingress has no word for being refused; many controllers never write an address either.
        Web::Ingress => None,
        Web::Route => admitted(&kinds::ROUTE, &names.web, "admitted", "the Route of the WebSocket"),
        Web::Gateway => admitted(&kinds::HTTP_ROUTE, &names.web, "accepted", "the HTTPRoute"),
    };
    match irc.or(web) {
        None => conditions.set(condition::EXPOSED, true, "Exposed", "clients can connect"),
        Some(why) => conditions.set(condition::EXPOSED, false, "Waiting", why),
    }
}

fn server(valid: &Valid, applied: &Resources<Applied>, conditions: &mut Conditions) {
    let facts = applied.facts(&kinds::DEPLOYMENT, &valid.names.main);
    if valid.spec.suspend {
        conditions.set(condition::AVAILABLE, false, "Suspended", "the bouncer is suspended");
        conditions.remove(condition::RESTART);
        return;
    }
    let Some(facts) = facts else {
        conditions.set(
            condition::AVAILABLE,
            false,
            "Waiting",
            "the server is made when its database is there",
        );
        return;
    };
    let current = facts.number("observed") >= facts.number("generation");
    let updated = current && facts.number("updated") >= 1;
    if updated && facts.number("available") >= 1 {
        conditions.set(condition::AVAILABLE, true, "Running", "the server runs");
        conditions.set(
            condition::RESTART,
            false,
            "UpToDate",
            "the server runs with what only a restart changes",
        );
    } else {
        let why = facts.get("trouble").unwrap_or("the server is being started");
        conditions.set(condition::AVAILABLE, false, "Starting", why);
        if facts.number("replicas") > 0 && !updated {
            conditions.set(condition::RESTART, true, "Restarting", "a change is carried out by a restart");
        }
    }
}

/// What the sidecar says. Without one, or without an answer, nobody knows.
fn said(valid: &Valid, conditions: &mut Conditions) {
    if valid.spec.engine == crds::soju::Engine::Ircnow {
        conditions.set(
            condition::CONFIG,
            true,
            "AtStart",
            "the server reads its configuration when it starts",
        );
        conditions.set(condition::SEEDED, true, "Nothing", "networks are the account's own");
        return;
    }
    let Some(state) = &valid.state else {
        let why = "the sidecar has not answered yet";
        conditions.set(condition::CONFIG, Holds::Unknown, "Asking", why);
        conditions.set(condition::SEEDED, Holds::Unknown, "Asking", why);
        return;
    };
    let wanted = build::config_text(valid).map(|text| sidecar::hash(text.as_bytes()));
    match (&state.config_error, state.config_hash == wanted) {
        (Some(error), _) => {
            conditions.set(condition::CONFIG, false, "Refused", format!("soju refused it: {error}"))
        }
        (None, true) => {
            conditions.set(condition::CONFIG, true, "Applied", "the server runs with this configuration")
        }
        (None, false) => {
            conditions.set(
                condition::CONFIG,
                false,
                "Reloading",
                "the new configuration is on its way to the server",
            );
        }
    }
    if !state.restart_required.is_empty() {
        let what = state.restart_required.join(", ");
        conditions.set(
            condition::RESTART,
            true,
            "Restarting",
            format!("{what} changed: that takes a restart"),
        );
    }
    if state.seeded && state.seed_errors.is_empty() {
        conditions.set(condition::SEEDED, true, "Seeded", "users and networks are made");
    } else {
        let why = if state.seed_errors.is_empty() {
            "users and networks are being made".to_owned()
        } else {
            state.seed_errors.join("; ")
        };
        conditions.set(condition::SEEDED, false, "Seeding", why);
    }
    if state.over_quota {
        conditions.set(
            condition::QUOTA,
            true,
            "OverQuota",
            "messages take more room than limits.storageBytes",
        );
    } else {
        conditions.set(condition::QUOTA, false, "WithinQuota", "messages take less room than they may");
    }
}

fn summed_up(valid: &Valid, conditions: &mut Conditions) {
    if valid.spec.suspend {
        conditions.set(condition::SUSPENDED, true, "Suspended", "spec.suspend is set");
        conditions.set(READY, false, "Suspended", "the bouncer is suspended; everything is kept");
        return;
    }
    conditions.remove(condition::SUSPENDED);
    let needed = [
        condition::HOSTNAME,
        condition::DATABASE,
        condition::CERTIFICATE,
        condition::EXPOSED,
        condition::AVAILABLE,
        condition::CONFIG,
        condition::SEEDED,
    ];
    conditions.sum_up(&needed, "clients can connect");
}

fn endpoints(valid: &Valid) -> Endpoints {
    let host = valid.spec.hostname.as_str();
    let irc = match valid.irc {
        Irc::LoadBalancer | Irc::Gateway => format!("ircs://{host}:{IRC_PORT}"),
        Irc::Route => format!("ircs://{host}:443"),
        Irc::Inside => format!("ircs://{}.{}.svc:{IRC_PORT}", valid.names.main, valid.namespace),
    };
    Endpoints {
        irc: Some(irc.as_str().into()),
        websocket: valid.web_host.as_ref().map(|host| format!("wss://{host}/socket").as_str().into()),
        uploads: valid
            .spec
            .uploads
            .as_ref()
            .and(valid.web_host.as_ref())
            .map(|host| format!("https://{host}/uploads").as_str().into()),
    }
}
