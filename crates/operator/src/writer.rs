//! Every write to the API server. Before each one the lease is looked at once more, and a test may end the process.

use std::sync::Arc;

use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, DynamicResourceScope};
use kube::{Client, Resource, ResourceExt as _};
use serde_json::{Value, json};

use crate::OWNER_UID;
use crate::child::{self, ChildKey, Seen};
use crate::definitions::Definitions;
use crate::error::Error;
use crate::kind::{Kind, Served};
use crate::lean::Lean;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::resources::Desired;

/// Called before and after every call that changes something, with a name such as `apply Deployment`. Tests end the
/// process here, or make the call fail.
pub type Probe = Arc<dyn Fn(&str) -> Result<(), Error> + Send + Sync>;

/// Writes, while this process leads. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    manager: &'static str,
    definitions: Definitions,
    leadership: Leadership,
    metrics: Metrics,
    probe: Option<Probe>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("manager", &self.manager).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer under a field manager's name.
    pub fn new(
        client: Client,
        manager: &'static str,
        definitions: Definitions,
        leadership: Leadership,
        metrics: Metrics,
        probe: Option<Probe>,
    ) -> Self {
        Self { client, manager, definitions, leadership, metrics, probe }
    }

    /// The objects of a kind in a namespace.
    pub fn api(&self, kind: &'static Kind, namespace: &str) -> Result<Api<DynamicObject>, Error> {
        Ok(self.objects(&self.definitions.get(kind)?, namespace))
    }

    fn objects<K>(&self, served: &Served, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        if served.namespaced {
            Api::namespaced_with(self.client.clone(), namespace, &served.resource)
        } else {
            Api::all_with(self.client.clone(), &served.resource)
        }
    }

    /// Applies an object. `known` says that it was seen before as ours; otherwise it is made sure that it is nobody
    /// else's, because applying takes over what is there.
    pub async fn apply(&self, desired: &Desired, known: bool) -> Result<Seen, Error> {
        let kind = desired.key.kind;
        let served = self.definitions.get(kind)?;
        let api = self.objects::<Lean<false>>(&served, &desired.key.namespace);
        let name = &*desired.key.name;
        if !known {
            let found = api
                .get_metadata_opt(name)
                .await
                .map_err(|error| Error::api(format!("reading {}", desired.key), error))?;
            let ours = desired.object.pointer("/metadata/labels").and_then(|labels| labels.get(OWNER_UID));
            if let Some(found) = found
                && found.labels().get(OWNER_UID).map(String::as_str) != ours.and_then(Value::as_str)
            {
                return Err(Error::Foreign { object: desired.key.to_string() });
            }
        }
        let mut object = desired.object.clone();
        object["apiVersion"] = Value::String(served.resource.api_version.clone());
        let params = PatchParams::apply(self.manager).force();
        let applied = self
            .write("apply", kind, api.patch(name, &params, &Patch::Apply(&object)))
            .await
            .map_err(|error| context(error, || format!("applying {}", desired.key)))?;
        let (_, _, seen) = child::reduce(kind, self.manager, applied)
            .ok_or_else(|| Error::Internal(format!("{} came back without its labels", desired.key)))?;
        Ok(seen)
    }

    /// Deletes an object, if it still is the one that was seen. One that is gone already is no error.
    pub async fn delete(&self, key: &ChildKey, uid: &str) -> Result<(), Error> {
        let api = self.api(key.kind, &key.namespace)?;
        let params = DeleteParams::background()
            .preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        match self.write("delete", key.kind, api.delete(&key.name, &params)).await {
            Ok(_) => Ok(()),
            Err(Error::Api { source: kube::Error::Api(status), .. })
                if status.is_not_found() || status.is_conflict() =>
            {
                Ok(())
            }
            Err(error) => Err(context(error, || format!("deleting {key}"))),
        }
    }

    /// Changes an object by a merge patch.
    pub async fn merge(&self, key: &ChildKey, patch: &Value) -> Result<DynamicObject, Error> {
        let api = self.api(key.kind, &key.namespace)?;
        let params = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        self.write("patch", key.kind, api.patch(&key.name, &params, &Patch::Merge(patch)))
            .await
            .map_err(|error| context(error, || format!("changing {key}")))
    }

    /// Applies the status of a resource, under a field manager of its own.
    pub(crate) async fn status<K>(
        &self,
        api: &Api<K>,
        kind: &'static str,
        name: &str,
        status: &Value,
        of: &Value,
    ) -> Result<K, Error>
    where
        K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let mut object = of.clone();
        object["status"] = status.clone();
        let params = PatchParams::apply(&format!("{}/status", self.manager)).force();
        self.write_named("status", kind, api.patch_status(name, &params, &Patch::Apply(&object)))
            .await
            .map_err(|error| context(error, || format!("writing the status of {kind} {name}")))
    }

    /// Replaces the finalizers of a resource, if it is still the version that was read.
    pub(crate) async fn finalizers<K>(
        &self,
        api: &Api<K>,
        kind: &'static str,
        name: &str,
        version: &str,
        finalizers: &[String],
    ) -> Result<K, Error>
    where
        K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } });
        let params = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        self.write_named("finalizers", kind, api.patch(name, &params, &Patch::Merge(&patch)))
            .await
            .map_err(|error| context(error, || format!("writing the finalizers of {kind} {name}")))
    }

    /// Makes any call that changes something, with the last look at the lease before it.
    pub async fn write<T>(
        &self,
        verb: &'static str,
        kind: &'static Kind,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        self.write_named(verb, kind.kind, call).await
    }

    async fn write_named<T>(
        &self,
        verb: &'static str,
        kind: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        self.probe(|| format!("before {verb} {kind}"))?;
        if !self.leadership.holds() {
            self.metrics.held_back();
            return Err(Error::NotLeader);
        }
        self.metrics.wrote(verb, kind);
        let answer = call.await.map_err(|error| Error::api(String::new(), error))?;
        self.probe(|| format!("after {verb} {kind}"))?;
        Ok(answer)
    }

    fn probe(&self, name: impl FnOnce() -> String) -> Result<(), Error> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe(&name()))
    }
}

/// Says what was being done.
fn context(error: Error, what: impl FnOnce() -> String) -> Error {
    match error {
        Error::Api { source, .. } => Error::Api { doing: what(), source },
        other => other,
    }
}
