//! Clusters: each a real PostgreSQL on this machine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use rand::Rng as _;
use serde_json::{Value, json};

use super::State;
use super::addresses::{Address, PORT};
use super::objects::{Kind, Object, with_condition};
use crate::postgres::{Cluster, Options};

/// The PostgreSQL of one Cluster object.
pub struct Instance {
    server: Arc<Cluster>,
    address: Address,
    uid: String,
    superuser: String,
    app: String,
}

impl Instance {
    fn start(object: &Object, address: Address, tls: (String, String)) -> Result<Self> {
        let options = Options { address: address.ip(), port: PORT, passwords: true, tls: Some(tls) };
        let server = Cluster::start_with(options)?;
        let (superuser, app) = (password(), password());
        server.sql(
            "postgres",
            &format!(
                "alter role postgres password {};\ncreate role app login password {};\ncreate database app owner app;\n",
                literal(&superuser),
                literal(&app)
            ),
        )?;
        let uid = object.value.uid().unwrap_or_default();
        Ok(Self { server: Arc::new(server), address, uid, superuser, app })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address.ip()), PORT)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// Runs SQL as the superuser.
    pub async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let (server, database, sql) = (Arc::clone(&self.server), database.to_owned(), sql.to_owned());
        tokio::task::spawn_blocking(move || server.sql(&database, &sql)).await?
    }
}

/// Starts what is not running and says where it is.
pub async fn reconcile(object: &Object) -> Result<Action> {
    if object.is_going() {
        return Ok(Action::await_change());
    }
    let instance = running(object).await?;
    let name = &object.name;
    for suffix in ["rw", "ro", "r"] {
        let service = json!({
            "metadata": { "name": format!("{name}-{suffix}"), "labels": { "cnpg.io/cluster": name } },
            "spec": { "type": "ClusterIP", "ports": [{ "name": "postgres", "port": PORT, "targetPort": PORT }] },
        });
        object.apply::<Service>(service, true).await?;
        if !instance.address().ip().is_loopback() {
            object.apply::<EndpointSlice>(slice(object, suffix, &instance), true).await?;
        }
    }
    let authority = json!({
        "metadata": { "name": format!("{name}-ca"), "labels": { "cnpg.io/cluster": name } },
        "stringData": { "ca.crt": object.state.authority.pem() },
    });
    object.apply::<Secret>(authority, true).await?;
    object.apply::<Secret>(credentials(object, "app", "app", "app", &instance.app), true).await?;
    if object.spec()["enableSuperuserAccess"] == true {
        let secret = credentials(object, "superuser", "postgres", "*", &instance.superuser);
        object.apply::<Secret>(secret, true).await?;
    }
    object.set_status(healthy(object)).await?;
    Ok(Action::await_change())
}

/// The status of a Cluster that is well.
pub fn healthy(object: &Object) -> Value {
    let name = &object.name;
    let conditions = object.status()["conditions"].as_array().cloned().unwrap_or_default();
    let count = object.spec()["instances"].as_i64().unwrap_or(1);
    json!({
        "phase": "Cluster in healthy state",
        "phaseReason": "",
        "instances": count,
        "readyInstances": count,
        "currentPrimary": format!("{name}-1"),
        "targetPrimary": format!("{name}-1"),
        "writeService": format!("{name}-rw"),
        "readService": format!("{name}-r"),
        "certificates": { "serverCASecret": format!("{name}-ca") },
        "conditions": with_condition(conditions, "Ready", true, "ClusterIsReady", "Cluster is Ready"),
    })
}

/// Ends a PostgreSQL, with all it holds, once its Cluster is gone.
pub async fn end_with_clusters(state: Arc<State>, namespace: String) {
    let api: Api<DynamicObject> =
        Api::namespaced_with(state.client.clone(), &namespace, &Kind::Cluster.resource());
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Delete(cluster)) => {
                let key = (namespace.clone(), cluster.name_any());
                let ended = state.instances.lock().await.remove(&key);
                let _ = tokio::task::spawn_blocking(move || drop(ended)).await;
            }
            Ok(_) => {}
            // Not served yet, or the API server is away.
            Err(_) => tokio::time::sleep(super::objects::SOON).await,
        }
    }
}

async fn running(object: &Object) -> Result<Arc<Instance>> {
    let key = (object.namespace.clone(), object.name.clone());
    let mut instances = object.state.instances.lock().await;
    if let Some(instance) = instances.get(&key)
        && Some(&instance.uid) == object.value.uid().as_ref()
    {
        return Ok(Arc::clone(instance));
    }
    // One of the same name before it: another Cluster, with other data.
    instances.remove(&key);
    let mut hosts = Vec::new();
    for suffix in ["rw", "ro", "r"] {
        let service = format!("{}-{suffix}", object.name);
        let spaced = format!("{service}.{}", object.namespace);
        hosts.extend([service, format!("{spaced}.svc"), format!("{spaced}.svc.cluster.local"), spaced]);
    }
    let address = Address::take()?;
    hosts.push(address.ip().to_string());
    let leaf = object.state.authority.server(&format!("{}-rw", object.name), &hosts)?;
    let instance =
        tokio::task::block_in_place(|| Instance::start(object, address, (leaf.certificate, leaf.key)));
    let instance = Arc::new(instance.context("starting PostgreSQL")?);
    instances.insert(key, Arc::clone(&instance));
    Ok(instance)
}

fn slice(object: &Object, suffix: &str, instance: &Instance) -> Value {
    let service = format!("{}-{suffix}", object.name);
    json!({
        "metadata": {
            "name": service,
            "labels": { "kubernetes.io/service-name": service, "cnpg.io/cluster": object.name },
        },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [instance.address().ip()], "conditions": { "ready": true } }],
        "ports": [{ "name": "postgres", "port": PORT, "protocol": "TCP" }],
    })
}

fn credentials(object: &Object, suffix: &str, user: &str, database: &str, password: &str) -> Value {
    let host = format!("{}-rw", object.name);
    let fqdn = format!("{host}.{}.svc.cluster.local", object.namespace);
    let path = if database == "*" { "" } else { database };
    json!({
        "metadata": { "name": format!("{}-{suffix}", object.name), "labels": { "cnpg.io/cluster": object.name } },
        "type": "kubernetes.io/basic-auth",
        "stringData": {
            "username": user,
            "user": user,
            "password": password,
            "host": host,
            "port": PORT.to_string(),
            "dbname": database,
            "uri": format!("postgresql://{user}:{password}@{host}.{}:{PORT}/{path}", object.namespace),
            "fqdn-uri": format!("postgresql://{user}:{password}@{fqdn}:{PORT}/{path}"),
            "pgpass": format!("{host}:{PORT}:{database}:{user}:{password}\n"),
        },
    })
}

fn password() -> String {
    let bytes: [u8; 24] = rand::rng().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text as an SQL literal.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{escaped}'")
}

/// A name as an SQL identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
