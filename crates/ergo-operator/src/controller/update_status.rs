//! What a network is, from what was applied and what was seen. No client.

use crds::ergo::{NetworkUsage, RehashState};
use crds::status::{BackupState, Endpoints};
use crds::text::Line;
use crds::{ErgoNetwork, ErgoNetworkStatus, Server as _};
use operator::conditions::Holds;
use operator::report::{self, Look};
use operator::{Conditions, kinds};

use super::condition;
use super::validate::Valid;

/// Computes the status. Children and generation are filled in by the driver.
pub fn update_status(
    root: &ErgoNetwork,
    valid: &Valid,
    seen: Look<'_>,
    mut conditions: Conditions,
) -> ErgoNetworkStatus {
    let mut status = root.status.clone().unwrap_or_default();
    let suspended = valid.spec.suspend;
    conditions.set(condition::ACCEPTED, true, "Accepted", "the resource can be carried out");
    conditions.set(condition::HOSTNAME, true, "Claimed", "the host names belong to this network");
    report::certificate(&valid.tls, &valid.names, seen, &mut conditions);
    if valid.database.is_some() {
        report::database(&valid.facts.database, &mut conditions);
    } else {
        conditions.remove(condition::DATABASE);
    }
    report::exposed(&valid.doors, &valid.names, &valid.names.public, seen, &mut conditions);
    backup(valid, &mut conditions);
    // What the end of a deletion that was never begun said.
    conditions.remove(condition::SNAPSHOT);
    if suspended {
        conditions.set(condition::SUSPENDED, true, "Suspended", "it stands still, and everything is kept");
        for gone in
            [condition::AVAILABLE, condition::API, condition::REHASH, condition::RESTART, condition::FULL]
        {
            conditions.remove(gone);
        }
        conditions.set(operator::conditions::READY, false, "Suspended", "the network is suspended");
    } else {
        conditions.remove(condition::SUSPENDED);
        server(valid, seen, &mut conditions);
        conditions.sum_up(
            &[
                condition::CERTIFICATE,
                condition::DATABASE,
                condition::AVAILABLE,
                condition::EXPOSED,
                condition::API,
                condition::REHASH,
            ],
            "clients can connect",
        );
    }
    status.conditions = conditions.finish();
    status.endpoints = Some(endpoints(valid));
    status.config_hash = Some(valid.config.hash.as_str().into());
    status.hostnames = root.hostnames().into_iter().map(Into::into).collect();
    status.restarts = valid.facts.pod.restarts;
    said(valid, &mut status);
    let last = valid.facts.snapshots.iter().filter(|is| is.ready).max_by_key(|is| is.due);
    if let Some(last) = last {
        status.last_backup =
            Some(BackupState { name: last.name.as_str().into(), finished_at: last.due.as_second() });
    }
    status
}

/// What the server says about itself; what it last said stays where it says nothing.
fn said(valid: &Valid, status: &mut ErgoNetworkStatus) {
    if valid.spec.suspend {
        status.started_at = None;
        if let Some(usage) = &mut status.usage {
            usage.users = 0;
        }
    }
    let Some(state) = valid.facts.state.as_ref().filter(|state| state.answering) else { return };
    status.version = state.version.as_deref().map(cut);
    status.started_at = state.started_at;
    status.usage = Some(NetworkUsage {
        users: signed(state.users),
        max_users: signed(state.max_users),
        channels: signed(state.channels),
        accounts: state.accounts.map(signed),
        storage_bytes: state.storage_bytes.map(signed),
    });
    if let Some(rehash) = &state.rehash {
        status.last_rehash = Some(RehashState {
            hash: rehash.hash.as_str().into(),
            at: rehash.at,
            error: rehash.error.as_deref().map(cut),
        });
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What others said, in as many characters as the schema takes, without what it does not take.
fn cut<const MAX: usize>(text: &str) -> Line<MAX> {
    Line(text.chars().filter(|c| !c.is_ascii_control()).take(MAX).collect())
}

fn server(valid: &Valid, seen: Look<'_>, conditions: &mut Conditions) {
    let facts = seen(&kinds::STATEFUL_SET, &valid.names.main).unwrap_or_default();
    let trouble = valid.facts.pod.trouble.as_deref().or(facts.get("trouble"));
    if facts.number("available") > 0 {
        conditions.set(condition::AVAILABLE, true, "Running", "the server runs");
    } else if !valid.server {
        conditions.set(condition::AVAILABLE, false, "Waiting", "the server waits for its database");
    } else {
        conditions.set(condition::AVAILABLE, false, "Starting", trouble.unwrap_or("the server starts"));
    }
    let Some(state) = valid.facts.state.as_ref().filter(|state| state.answering) else {
        let message = "the sidecar beside the server does not answer yet";
        conditions.set(condition::API, Holds::Unknown, "NoAnswer", message);
        if !valid.facts.server_made {
            conditions.remove(condition::RESTART);
        }
        return conditions.set(condition::REHASH, Holds::Unknown, "NoAnswer", message);
    };
    conditions.set(condition::API, true, "Answering", "the server answers");
    let restart = state.restart_mark != valid.config.mark;
    if restart {
        let message = "the change cannot be read by a running server: it is started again";
        conditions.set(condition::RESTART, true, "Restarting", message);
    } else {
        conditions.set(condition::RESTART, false, "NotNeeded", "no change waits for a restart");
    }
    match (&state.config_hash, &state.rehash) {
        (Some(hash), _) if *hash == valid.config.hash => {
            conditions.set(
                condition::REHASH,
                true,
                "Applied",
                "the server runs with the configuration that is wanted",
            );
        }
        (_, Some(rehash)) if rehash.error.is_some() && rehash.hash == valid.config.hash => {
            let error = rehash.error.as_deref().unwrap_or_default();
            conditions.set(condition::REHASH, false, "Refused", format!("the server refused it: {error}"));
        }
        _ => conditions.set(
            condition::REHASH,
            false,
            "Pending",
            "the new configuration is on its way to the server",
        ),
    }
    let full = state.full;
    let reason = if full { "Full" } else { "NotFull" };
    let message = match state.clients {
        Some(most) => format!("{} of {most} clients are connected", state.users),
        None => "there is no limit".to_owned(),
    };
    // The count changes all the time; only that it is full is worth a write.
    let message = if full { message } else { "there is room".to_owned() };
    conditions.set(condition::FULL, full, reason, message);
}

fn backup(valid: &Valid, conditions: &mut Conditions) {
    let Some(plan) = &valid.snapshots else { return conditions.remove(condition::BACKUP) };
    if !valid.facts.has.snapshots {
        let message = "the cluster has no volume snapshots: install them, or take spec.backup out";
        return conditions.set(condition::BACKUP, false, "NotSupported", message);
    }
    let Some(due) = plan.due else {
        return conditions.set(condition::BACKUP, true, "NotDue", "the first snapshot is not due yet");
    };
    let last = valid.facts.snapshots.iter().filter(|is| is.ready).map(|is| is.due).max();
    if last.is_some_and(|last| last >= due) {
        conditions.set(condition::BACKUP, true, "Made", format!("the last snapshot is of {due}"));
    } else {
        let wrong =
            valid.facts.snapshots.iter().find(|is| is.due == due).and_then(|is| is.message.as_deref());
        let message = wrong.map_or_else(|| format!("the snapshot of {due} is being made"), str::to_owned);
        conditions.set(condition::BACKUP, false, "Pending", message);
    }
}

fn endpoints(valid: &Valid) -> Endpoints {
    let host = valid.spec.hostname.as_str();
    let irc = valid.doors.irc.endpoint(host, &valid.names.main, &valid.namespace);
    let websocket = valid.doors.web_host.as_ref();
    Endpoints {
        irc: Some(irc.as_str().into()),
        websocket: websocket.map(|host| format!("wss://{host}/").as_str().into()),
        uploads: None,
    }
}
