//! The status, from what was applied and what the server says. No client.

use crds::soju::BouncerUsage;
use crds::status::Endpoints;
use crds::{Server as _, SojuBouncer, SojuBouncerStatus, sidecar};
use operator::conditions::{Holds, READY};
use operator::report::{self, Look};
use operator::{Conditions, kinds};

use super::dereference::Movers;
use super::validate::{Rows, Valid};
use super::{build, condition};

/// Why nobody can connect while an account moves.
const STANDS_STILL: &str = "soju stands still while its account moves";

/// Computes the status.
pub fn update_status(
    root: &SojuBouncer,
    valid: &Valid,
    look: Look<'_>,
    mut conditions: Conditions,
) -> SojuBouncerStatus {
    let mut status = root.status.clone().unwrap_or_default();
    conditions.set(condition::ACCEPTED, true, "Accepted", "the resource can be carried out");
    conditions.set(condition::HOSTNAME, true, "Claimed", "the host names belong to this bouncer");
    conditions.remove(condition::SNAPSHOT);
    database(valid, look, &mut conditions);
    report::certificate(&valid.tls, &valid.names, look, &mut conditions);
    report::exposed(&valid.doors, &valid.names, &valid.names.main, look, &mut conditions);
    if valid.spec.moving.is_some() && !valid.spec.suspend {
        moving(valid, &mut conditions);
    } else {
        conditions.remove(condition::MOVING);
        server(valid, look, &mut conditions);
        said(valid, &mut conditions);
    }
    summed_up(valid, &mut conditions);
    status.conditions = conditions.finish();
    status.endpoints = Some(endpoints(valid));
    status.hostnames = root.hostnames().into_iter().map(Into::into).collect();
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

fn database(valid: &Valid, look: Look<'_>, conditions: &mut Conditions) {
    if matches!(valid.rows, Rows::Postgres(_)) {
        return report::database(&valid.database, conditions);
    }
    let resizing =
        look(&kinds::VOLUME_CLAIM, &valid.names.volume).is_some_and(|facts| facts.holds("resizing"));
    let message = if resizing { "the volume is being made larger" } else { "rows are kept on the volume" };
    conditions.set(condition::DATABASE, true, "OnVolume", message);
}

fn server(valid: &Valid, look: Look<'_>, conditions: &mut Conditions) {
    let facts = look(&kinds::DEPLOYMENT, &valid.names.main);
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

/// soju stands still, and a job has its rows.
fn moving(valid: &Valid, conditions: &mut Conditions) {
    conditions.set(condition::AVAILABLE, false, "Moving", STANDS_STILL);
    [condition::RESTART, condition::CONFIG, condition::SEEDED, condition::QUOTA]
        .into_iter()
        .for_each(|of| conditions.remove(of));
    match &valid.movers {
        Some(movers) if movers.ready && valid.rows_are_free() => {
            conditions.set(condition::MOVING, true, "Ready", "the account can move");
        }
        Some(Movers { trouble: Some(trouble), .. }) => {
            conditions.set(condition::MOVING, false, "Starting", trouble.clone());
        }
        _ if valid.serving => {
            conditions.set(condition::MOVING, false, "Stopping", "waiting until soju has ended");
        }
        _ => conditions.set(condition::MOVING, false, "Starting", "the job is being started"),
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
    if valid.spec.moving.is_some() {
        conditions.set(READY, false, "Moving", STANDS_STILL);
        return;
    }
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
    let irc = valid.doors.irc.endpoint(host, &valid.names.main, &valid.namespace);
    let web_host = valid.doors.web_host.as_ref();
    Endpoints {
        irc: Some(irc.as_str().into()),
        websocket: web_host.map(|host| format!("wss://{host}/socket").as_str().into()),
        uploads: valid
            .spec
            .uploads
            .as_ref()
            .and(web_host)
            .map(|host| format!("https://{host}/uploads").as_str().into()),
    }
}
