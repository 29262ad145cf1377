//! What every kind's reconciler needs: the loop, the mood, status, finalizers and events.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::utils::Backoff;
use kube::runtime::{Controller, watcher};
use kube::{Resource as _, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Mood, Moods, State, certificates, databases, postgres, roles};

/// How soon what is not ready is looked at again.
pub const SOON: Duration = Duration::from_millis(300);

/// How many objects of a kind are worked on at once.
const WORKERS: u16 = 64;

/// The kinds the stand-in serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Certificate,
    Cluster,
    Database,
    DatabaseRole,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Certificate, Self::Cluster, Self::Database, Self::DatabaseRole];

    /// The kind for the API.
    pub fn resource(self) -> ApiResource {
        let group = if self == Self::Certificate { "cert-manager.io" } else { "postgresql.cnpg.io" };
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", &format!("{self:?}")))
    }

    fn mood(self, moods: &Moods) -> Mood {
        if self == Self::Certificate { moods.cert_manager.clone() } else { moods.cloudnative_pg.clone() }
    }

    /// Whether an object of this kind wants this Secret.
    fn wants(self, object: &DynamicObject, secret: &Secret) -> bool {
        let field = match self {
            Self::Certificate => &object.data["spec"]["secretName"],
            Self::DatabaseRole => &object.data["spec"]["passwordSecret"]["name"],
            Self::Cluster | Self::Database => &Value::Null,
        };
        field.as_str() == secret.meta().name.as_deref()
    }
}

/// An object under reconciliation, and how to reach it.
pub struct Object {
    pub state: Arc<State>,
    pub kind: Kind,
    pub api: Api<DynamicObject>,
    pub value: DynamicObject,
    pub namespace: String,
    pub name: String,
}

/// Looks at every object of a kind in a namespace, whenever it, its Secret or the mood changes, until told to stop.
pub async fn control(kind: Kind, state: Arc<State>, namespace: String, stopped: watch::Receiver<bool>) {
    let resource = kind.resource();
    let api: Api<DynamicObject> = Api::namespaced_with(state.client.clone(), &namespace, &resource);
    let secrets: Api<Secret> = Api::namespaced(state.client.clone(), &namespace);
    let moods = futures_util::stream::unfold(state.moods.clone(), |mut moods| async {
        moods.changed().await.ok()?;
        Some(((), moods))
    });
    let controller = Controller::new_with(api, watcher::Config::default(), resource.clone());
    let known = controller.store();
    let by_secret = move |secret: Secret| -> Vec<ObjectRef<DynamicObject>> {
        let wanting = known.state().into_iter().filter(|object| kind.wants(object, &secret));
        wanting.map(|object| ObjectRef::from_obj_with(object.as_ref(), kind.resource())).collect()
    };
    let stop = async move {
        let mut stopped = stopped;
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    controller
        .with_config(kube::runtime::controller::Config::default().concurrency(WORKERS))
        .trigger_backoff(Steady)
        .watches(secrets, watcher::Config::default(), by_secret)
        .reconcile_all_on(moods)
        .graceful_shutdown_on(stop)
        .run(
            move |object, state| look(kind, object, state),
            // A conflict, or an API server that is away.
            |_, _: &Failure, _| Action::requeue(SOON),
            state,
        )
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Why an object could not be looked at.
#[derive(Debug)]
pub struct Failure(anyhow::Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Failure {}

/// Tests wait for what a controller does after an interruption: no growing pauses.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(SOON)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

async fn look(kind: Kind, object: Arc<DynamicObject>, state: Arc<State>) -> Result<Action, Failure> {
    look_in_mood(kind, &object, state).await.map_err(Failure)
}

async fn look_in_mood(kind: Kind, object: &DynamicObject, state: Arc<State>) -> Result<Action> {
    let mut moods = state.moods.clone();
    let mut rested = false;
    let (failing, pretending) = loop {
        let mood = kind.mood(&moods.borrow_and_update());
        match mood {
            Mood::Missing => return Ok(Action::await_change()),
            Mood::Failing(message) => break (Some(message), false),
            Mood::Pretending => break (None, true),
            Mood::Slow(pause) if !rested => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => rested = true,
                    _ = moods.changed() => {}
                }
            }
            Mood::Working | Mood::Slow(_) => break (None, false),
        }
    };
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api = Api::namespaced_with(state.client.clone(), &namespace, &kind.resource());
    // What is in the store may be older than what this very reconciler wrote.
    let Some(value) = api.get_opt(&name).await? else { return Ok(Action::await_change()) };
    let object = Object { state, kind, api, value, namespace, name };
    if let Some(message) = failing {
        object.say_failed(&message).await?;
        return Ok(Action::await_change());
    }
    match kind {
        Kind::Certificate => certificates::reconcile(&object).await,
        _ if pretending => pretend(&object).await,
        Kind::Cluster => postgres::reconcile(&object).await,
        Kind::Database => databases::reconcile(&object).await,
        Kind::DatabaseRole => roles::reconcile(&object).await,
    }
}

async fn pretend(object: &Object) -> Result<Action> {
    match object.kind {
        Kind::Cluster => object.set_status(postgres::healthy(object)).await?,
        _ if object.is_going() => {
            if !object.value.finalizers().is_empty() {
                object.set_finalizers(Vec::new()).await?;
            }
        }
        _ => object.say_applied(Value::Null).await?,
    }
    Ok(Action::await_change())
}

impl Object {
    /// Its spec.
    pub fn spec(&self) -> &Value {
        &self.value.data["spec"]
    }

    /// A text of its spec, empty if it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.spec()[field].as_str().unwrap_or_default()
    }

    /// Its status.
    pub fn status(&self) -> &Value {
        &self.value.data["status"]
    }

    /// Which edition of its spec it is at.
    pub fn generation(&self) -> i64 {
        self.value.meta().generation.unwrap_or_default()
    }

    /// Whether it is on its way out.
    pub fn is_going(&self) -> bool {
        self.value.meta().deletion_timestamp.is_some()
    }

    /// Merges fields into its status, unless they are there already.
    pub async fn set_status(&self, fields: Value) -> Result<()> {
        let now = self.status();
        let same =
            fields.as_object().is_some_and(|fields| fields.iter().all(|(key, value)| now[key] == *value));
        if !same {
            self.api
                .patch_status(&self.name, &PatchParams::default(), &Patch::Merge(json!({ "status": fields })))
                .await?;
        }
        Ok(())
    }

    /// Sets a condition, with a new transition time only if its status flips.
    pub async fn set_condition(&self, kind: &str, status: bool, reason: &str, message: &str) -> Result<()> {
        let conditions = self.status()["conditions"].as_array().cloned().unwrap_or_default();
        self.set_status(json!({ "conditions": with_condition(conditions, kind, status, reason, message) }))
            .await
    }

    /// Says that it cannot be done, the way its kind says so.
    pub async fn say_failed(&self, message: &str) -> Result<()> {
        match self.kind {
            Kind::Certificate => self.set_condition("Ready", false, "Failed", message).await,
            Kind::Cluster => {
                self.set_status(json!({ "phase": "Cluster cannot proceed", "phaseReason": message })).await?;
                Ok(())
            }
            Kind::Database | Kind::DatabaseRole => {
                self.set_status(json!({ "applied": false, "message": message })).await
            }
        }
    }

    /// Says that the present edition was applied.
    pub async fn say_applied(&self, more: Value) -> Result<()> {
        let mut status = json!({ "applied": true, "observedGeneration": self.generation(), "message": "" });
        if let (Some(status), Value::Object(more)) = (status.as_object_mut(), more) {
            status.extend(more);
        }
        self.set_status(status).await
    }

    /// Whether it carries the finalizer.
    pub fn is_held(&self, finalizer: &str) -> bool {
        self.value.finalizers().iter().any(|held| held == finalizer)
    }

    /// Adds the finalizer.
    pub async fn hold(&self, finalizer: &str) -> Result<()> {
        let mut finalizers = self.value.finalizers().to_vec();
        finalizers.push(finalizer.to_owned());
        self.set_finalizers(finalizers).await
    }

    /// Takes the finalizer away.
    pub async fn let_go(&self, finalizer: &str) -> Result<()> {
        let mut finalizers = self.value.finalizers().to_vec();
        finalizers.retain(|held| held != finalizer);
        self.set_finalizers(finalizers).await
    }

    async fn set_finalizers(&self, finalizers: Vec<String>) -> Result<()> {
        let version = self.value.resource_version();
        let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// A warning, as an Event at the object.
    pub async fn warn(&self, reason: &str, note: &str) -> Result<()> {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let reference = self.value.object_ref(&self.kind.resource());
        self.state.events.publish(&event, &reference).await?;
        Ok(())
    }

    /// Applies an object of the stand-in's in the same namespace; `owned` makes it go with this one.
    pub async fn apply<K>(&self, mut child: Value, owned: bool) -> Result<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
        K: Clone + Debug + Serialize + serde::de::DeserializeOwned,
    {
        child["apiVersion"] = K::api_version(&()).into();
        child["kind"] = K::kind(&()).into();
        if owned {
            let owner = self.value.controller_owner_ref(&self.kind.resource()).context("no uid")?;
            child["metadata"]["ownerReferences"] = json!([owner]);
        }
        let name = child["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let api: Api<K> = Api::namespaced(self.state.client.clone(), &self.namespace);
        Ok(api.patch(&name, &PatchParams::apply("standin").force(), &Patch::Apply(&child)).await?)
    }

    /// A Secret of the same namespace.
    pub async fn secret(&self, name: &str) -> Result<Option<Secret>> {
        Ok(Api::<Secret>::namespaced(self.state.client.clone(), &self.namespace).get_opt(name).await?)
    }
}

/// The conditions with one of them set.
pub fn with_condition(
    mut conditions: Vec<Value>,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
) -> Vec<Value> {
    let status = if status { "True" } else { "False" };
    let now =
        time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let mut since = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    if let Some(old) =
        conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == status)
    {
        since = old["lastTransitionTime"].as_str().unwrap_or(&since).to_owned();
    }
    conditions.retain(|condition| condition["type"] != kind);
    conditions.push(json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    }));
    conditions
}
