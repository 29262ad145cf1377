//! Databases, as CloudNativePG's instance manager fulfils them.

use std::sync::Arc;

use anyhow::Result;
use kube::ResourceExt as _;
use kube::api::ListParams;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::objects::{Object, SOON};
use super::postgres::{Instance, identifier, literal};

/// As in the real one.
pub const FINALIZER: &str = "cnpg.io/deleteDatabase";

/// Creates, alters or drops the database.
pub async fn reconcile(object: &Object) -> Result<Action> {
    let Some(instance) = instance(object, FINALIZER).await? else { return Ok(Action::requeue(SOON)) };
    let name = object.text("name");
    if object.is_going() {
        // An object that never reconciled does not own the database.
        let owns = object.status()["observedGeneration"].as_i64().is_some_and(|seen| seen > 0);
        let gone = if owns && object.text("databaseReclaimPolicy") == "delete" {
            drop_database(&instance, name).await
        } else {
            Ok(())
        };
        return end(object, FINALIZER, gone).await;
    }
    if !object.is_held(FINALIZER) {
        object.hold(FINALIZER).await?;
        return Ok(Action::requeue(SOON));
    }
    if object.status()["observedGeneration"] == object.generation() && object.status()["applied"] == true {
        return Ok(Action::await_change());
    }
    let done = match other_manager(object).await? {
        Some(other) => {
            Err(anyhow::anyhow!("database {name:?} is already managed by Database object {other:?}"))
        }
        None => bring_about(object, &instance).await,
    };
    match done {
        Ok(()) => {
            object.say_applied(Value::Null).await?;
            Ok(Action::await_change())
        }
        Err(error) => {
            object.say_failed(&format!("reconciliation error: {error:#}")).await?;
            Ok(Action::requeue(SOON))
        }
    }
}

async fn bring_about(object: &Object, instance: &Instance) -> Result<()> {
    let (name, owner) = (object.text("name"), identifier(object.text("owner")));
    if object.text("ensure") == "absent" {
        return drop_database(instance, name).await;
    }
    let quoted = identifier(name);
    let sql = format!("select 1 from pg_database where datname = {}", literal(name));
    let mut sql = if instance.sql("postgres", &sql).await?.is_empty() {
        let encoding = object.text("encoding");
        let encoding =
            if encoding.is_empty() { String::new() } else { format!(" encoding {}", literal(encoding)) };
        format!("create database {quoted} owner {owner}{encoding};\n")
    } else {
        format!("alter database {quoted} owner to {owner};\n")
    };
    if let Some(limit) = object.spec()["connectionLimit"].as_i64() {
        sql.push_str(&format!("alter database {quoted} connection limit {limit};\n"));
    }
    instance.sql("postgres", &sql).await?;
    Ok(())
}

async fn drop_database(instance: &Instance, name: &str) -> Result<()> {
    // Not `with (force)`: who is still connected must go first.
    instance.sql("postgres", &format!("drop database if exists {}", identifier(name))).await?;
    Ok(())
}

/// An older object for the same database of the same Cluster.
async fn other_manager(object: &Object) -> Result<Option<String>> {
    if object.status()["observedGeneration"].as_i64().is_some_and(|seen| seen > 0) {
        return Ok(None);
    }
    let others = object.api.list(&ListParams::default()).await?.items.into_iter();
    let same = |other: &kube::api::DynamicObject| {
        let (spec, ours) = (&other.data["spec"], object.spec());
        spec["name"] == ours["name"] && spec["cluster"] == ours["cluster"]
    };
    let mut others = others.filter(|other| other.name_any() != object.name && same(other));
    let reconciled =
        others.find(|other| other.data["status"]["observedGeneration"].as_i64().is_some_and(|g| g > 0));
    Ok(reconciled.map(|other| other.name_any()))
}

/// The PostgreSQL the object is for. `None` if it is not there (yet): an object that holds nothing then is let go, one
/// that asks for something gets an Event and, as in the real one, no status.
pub async fn instance(object: &Object, finalizer: &str) -> Result<Option<Arc<Instance>>> {
    let cluster = object.spec()["cluster"]["name"].as_str().unwrap_or_default();
    let found = object.state.instance(&object.namespace, cluster).await;
    if found.is_none() {
        let clusters: kube::Api<kube::api::DynamicObject> = kube::Api::namespaced_with(
            object.state.client.clone(),
            &object.namespace,
            &super::objects::Kind::Cluster.resource(),
        );
        if clusters.get_opt(cluster).await?.is_some() {
            return Ok(None);
        }
        if object.is_going() && object.is_held(finalizer) {
            object.let_go(finalizer).await?;
        } else if !object.is_going() {
            let note = format!("there is no Cluster {cluster:?} in namespace {}", object.namespace);
            object.warn("ClusterNotFound", &note).await?;
        }
    }
    Ok(found)
}

/// Lets an object go once what it stood for is dealt with; says why it stays otherwise.
pub async fn end(object: &Object, finalizer: &str, gone: Result<()>) -> Result<Action> {
    match gone {
        Ok(()) if object.is_held(finalizer) => object.let_go(finalizer).await?,
        Ok(()) => {}
        Err(error) => {
            object.set_status(json!({ "applied": false, "message": format!("{error:#}") })).await?;
            return Ok(Action::requeue(SOON));
        }
    }
    Ok(Action::await_change())
}
