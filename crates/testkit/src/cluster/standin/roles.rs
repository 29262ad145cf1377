//! DatabaseRoles, as CloudNativePG's instance manager fulfils them.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use serde_json::json;

use super::databases::{end, instance};
use super::objects::{Object, SOON};
use super::postgres::{Instance, identifier, literal};

const FINALIZER: &str = "cnpg.io/deleteDatabaseRole";

/// Creates, alters or drops the role.
pub async fn reconcile(object: &Object) -> Result<Action> {
    let Some(instance) = instance(object, FINALIZER).await? else { return Ok(Action::requeue(SOON)) };
    if object.is_going() {
        let owns = object.status()["observedGeneration"].as_i64().is_some_and(|seen| seen > 0);
        let gone = if owns && object.text("databaseRoleReclaimPolicy") == "delete" {
            // PostgreSQL refuses while the role owns something, in any database.
            let sql = format!("drop role if exists {}", identifier(object.text("name")));
            instance.sql("postgres", &sql).await.map(drop)
        } else {
            Ok(())
        };
        return end(object, FINALIZER, gone).await;
    }
    if !object.is_held(FINALIZER) {
        object.hold(FINALIZER).await?;
        return Ok(Action::requeue(SOON));
    }
    match bring_about(object, &instance).await {
        Ok(version) => {
            object.say_applied(json!({ "secretResourceVersion": version })).await?;
            Ok(Action::await_change())
        }
        Err(error) => {
            object.say_failed(&format!("{error:#}")).await?;
            Ok(Action::requeue(SOON))
        }
    }
}

/// Gives the version of the Secret the password came from.
async fn bring_about(object: &Object, instance: &Instance) -> Result<String> {
    let name = object.text("name");
    let (password, version) = password(object, name).await?;
    let status = object.status();
    if status["observedGeneration"] == object.generation()
        && status["applied"] == true
        && status["secretResourceVersion"].as_str().unwrap_or_default() == version
    {
        return Ok(version);
    }
    let quoted = identifier(name);
    let login = if object.spec()["login"] == true { "login" } else { "nologin" };
    let limit = object.spec()["connectionLimit"].as_i64().unwrap_or(-1);
    let sql = format!("select 1 from pg_roles where rolname = {}", literal(name));
    let verb = if instance.sql("postgres", &sql).await?.is_empty() { "create" } else { "alter" };
    let comment = literal(object.text("comment"));
    let sql = format!(
        "{verb} role {quoted} {login} connection limit {limit}{password};\ncomment on role {quoted} is {comment};\n"
    );
    instance.sql("postgres", &sql).await?;
    Ok(version)
}

/// The part of the statement that sets the password, and the version of the Secret it comes from.
async fn password(object: &Object, role: &str) -> Result<(String, String)> {
    let Some(name) = object.spec()["passwordSecret"]["name"].as_str() else {
        let disabled = object.spec()["disablePassword"] == true;
        return Ok((if disabled { " password null".into() } else { String::new() }, String::new()));
    };
    let secret = object.secret(name).await?.with_context(|| format!("secrets {name:?} not found"))?;
    let field = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())
    };
    let user = field("username").with_context(|| format!("the secret {name:?} has no username"))?;
    ensure!(user == role, "wrong username {user:?} in secret, expected {role:?}");
    let password = field("password").with_context(|| format!("the secret {name:?} has no password"))?;
    let version = secret.resource_version().unwrap_or_default();
    Ok((format!(" password {}", literal(&password)), version))
}
