//! One look at one resource: `dereference -> validate -> build -> apply -> update_status`.
//!
//! The order never changes: gone, being deleted (nothing is made then), finalizer, identity, pipeline. Each step may end
//! the look; whatever ends it is shown in the status if it says something about the resource.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crds::Server;
use crds::database::ClusterRef;
use crds::status::{ChildState, Status};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::PostParams;
use kube::core::object::HasStatus;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::child;
use crate::claim;
use crate::conditions::{Conditions, READY};
use crate::definitions::Definitions;
use crate::error::Error;
use crate::events::Events;
use crate::finalizer;
use crate::kind::Kind;
use crate::names::Names;
use crate::plan::{self, Step};
use crate::postgres;
use crate::queue::{Done, Queue};
use crate::resources::{Applied, AppliedChild, Parent, Prepared, Resources, states};
use crate::store::{Children, RootKey, Store};
use crate::writer::Writer;

/// Says why the children could not be applied; it is there only while that is so.
const APPLIED: &str = "ResourcesApplied";

/// What an operator knows about its kind. The shared half does the rest.
pub trait Operator: Send + Sync + Sized + 'static {
    /// The resource.
    type Root: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Server
        + HasStatus<Status: Status + Default + Clone>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// What the resource points to, as it was read.
    type Facts: Send + Sync;
    /// The resource and what it points to, checked: nothing in it can be refused later.
    type Valid: Send + Sync;

    /// The operator's name: field manager, label, lease.
    const NAME: &'static str;
    /// The resource's own kind.
    const KIND: &'static Kind;
    /// The section of the configuration, for what is said about it.
    const SECTION: &'static str;
    /// What the resource is called in names outside its namespace: `bouncer`.
    const PREFIX: &'static str;

    /// The kinds it makes and looks at.
    fn kinds(&self) -> &'static [&'static Kind];

    /// The PostgreSQL clusters the installation allows, the usual one first.
    fn clusters(&self) -> &[ClusterRef];

    /// Reads what the resource points to.
    fn dereference(
        &self,
        context: &Context<'_, Self>,
        root: &Self::Root,
    ) -> impl Future<Output = Result<Self::Facts, Error>> + Send;

    /// Checks everything. No client.
    fn validate(&self, root: &Self::Root, facts: Self::Facts) -> Result<Self::Valid, Error>;

    /// Says what should exist. No client.
    fn build(&self, parent: &Parent, valid: &Self::Valid) -> Result<Resources<Prepared>, Error>;

    /// Settles what lies outside children, after they were applied.
    fn settle(
        &self,
        context: &Context<'_, Self>,
        root: &Self::Root,
        valid: &Self::Valid,
        applied: &Resources<Applied>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Computes the status from what was applied. No client. Children and generation are filled in.
    fn update_status(
        &self,
        root: &Self::Root,
        valid: &Self::Valid,
        applied: &Resources<Applied>,
        conditions: Conditions,
    ) -> Value;

    /// Settles what does not go away by itself, before the resource does. It must not need a valid resource.
    fn finalize(
        &self,
        context: &Context<'_, Self>,
        root: &Self::Root,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// When to look again if nothing changes.
    fn period(&self, root: &Self::Root) -> Duration;
}

/// Everything a look may need. Handed to the steps that read.
pub struct Context<'a, O: Operator> {
    /// Reads.
    pub client: &'a Client,
    /// Writes.
    pub writer: &'a Writer,
    /// What the cluster has.
    pub definitions: &'a Definitions,
    /// All resources of the kind.
    pub store: &'a Store<O::Root>,
    /// The resource's children as they were when the look began.
    pub children: Children,
    /// Host names that are known to be held.
    pub claims: &'a claim::Known,
    /// Which resource.
    pub key: &'a RootKey,
    /// What its children carry.
    pub parent: Parent,
}

impl<O: Operator> Context<'_, O> {
    /// Whether the cluster has an optional kind.
    pub fn has(&self, kind: &'static Kind) -> bool {
        self.definitions.has(kind)
    }

    /// The children of a kind.
    pub fn children_of(&self, kind: &'static Kind) -> impl Iterator<Item = (&str, &crate::Seen)> {
        self.children.iter().filter(move |(key, _)| key.kind == kind).map(|(key, seen)| (&*key.name, seen))
    }

    /// Makes an object with the labels of a child that is never changed and outlives the resource: a snapshot, a backup.
    /// One that is there is as good.
    pub async fn create(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        spec: Value,
    ) -> Result<(), Error> {
        let served = self.definitions.get(kind)?;
        let object = serde_json::from_value(json!({
            "apiVersion": served.resource.api_version,
            "kind": kind.kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": child::labels(self.parent.operator, self.key, &self.parent.uid),
            },
            "spec": spec,
        }));
        let object = object
            .map_err(|error| Error::Internal(format!("{} {name} cannot be written: {error}", kind.kind)))?;
        let api = self.writer.api(kind, namespace)?;
        match self.writer.write("create", kind, api.create(&PostParams::default(), &object)).await {
            Err(Error::Api { source: kube::Error::Api(status), .. }) if status.is_already_exists() => Ok(()),
            Err(Error::Api { source, .. }) => Err(Error::api(format!("making {} {name}", kind.kind), source)),
            other => other.map(drop),
        }
    }

    /// Whether a child is there, and not going.
    pub fn has_child(&self, kind: &'static Kind, namespace: &str, name: &str) -> bool {
        self.children.get(&crate::ChildKey::new(kind, namespace, name)).is_some_and(|seen| !seen.deleting)
    }
}

/// What all looks share.
pub(crate) struct Shared<O: Operator> {
    pub operator: O,
    pub client: Client,
    pub writer: Writer,
    pub definitions: Definitions,
    pub store: Store<O::Root>,
    pub claims: claim::Known,
    pub queue: Arc<Queue<RootKey>>,
    pub events: Events,
}

impl<O: Operator> Shared<O> {
    /// Looks at a resource once.
    pub async fn look(&self, key: &RootKey) -> Result<Done, Error> {
        let Some(root) = self.store.root(key)?.map(Arc::new) else { return Ok(Done::Gone) };
        let api: Api<O::Root> = Api::namespaced(self.client.clone(), &key.namespace);
        if root.meta().deletion_timestamp.is_some() {
            return self.end(&api, key, &root).await;
        }
        let mut root = self.with_finalizer(&api, key, root).await?;
        let mut made = Vec::new();
        match self.steps(&api, key, &mut root, &mut made).await {
            Ok(status) => {
                let updated = self.put_status(&api, key, &root, status).await?;
                Ok(Done::Fine(self.operator.period(updated.as_deref().unwrap_or(&root))))
            }
            Err(error) => {
                if error.is_shown() {
                    let status = self.failed(key, &root, &error, &made);
                    self.put_status(&api, key, &root, status).await?;
                }
                Err(error)
            }
        }
    }

    async fn steps(
        &self,
        api: &Api<O::Root>,
        key: &RootKey,
        root: &mut Arc<O::Root>,
        made: &mut Vec<AppliedChild>,
    ) -> Result<Value, Error> {
        *root = self.with_identity(api, key, Arc::clone(root)).await?;
        self.pipeline(key, root, made).await
    }

    fn context_of<'a>(&'a self, key: &'a RootKey, root: &O::Root) -> Result<Context<'a, O>, Error> {
        let parent = Parent::of(O::NAME, root)
            .ok_or_else(|| Error::Internal(format!("{key} came without a name or a UID")))?;
        Ok(Context {
            client: &self.client,
            writer: &self.writer,
            definitions: &self.definitions,
            store: &self.store,
            children: self.store.children(key),
            claims: &self.claims,
            key,
            parent,
        })
    }

    async fn pipeline(
        &self,
        key: &RootKey,
        root: &O::Root,
        made: &mut Vec<AppliedChild>,
    ) -> Result<Value, Error> {
        let context = self.context_of(key, root)?;
        let facts = self.operator.dereference(&context, root).await?;
        let valid = self.operator.validate(root, facts)?;
        let prepared = self.operator.build(&context.parent, &valid)?;
        let applied = self.apply(&context, root, &prepared, made).await?;
        self.operator.settle(&context, root, &valid, &applied).await?;
        let mut conditions =
            Conditions::from(conditions_of::<O>(root), root.meta().generation, Timestamp::now());
        conditions.remove(APPLIED);
        let mut status = self.operator.update_status(root, &valid, &applied, conditions);
        status["observedGeneration"] = json!(root.meta().generation);
        status["children"] = json!(states(made, &key.namespace));
        Ok(status)
    }

    /// Carries out the plan. What was done is added to `made` as it is done, so that a failure half-way is remembered.
    async fn apply(
        &self,
        context: &Context<'_, O>,
        root: &O::Root,
        prepared: &Resources<Prepared>,
        made: &mut Vec<AppliedChild>,
    ) -> Result<Resources<Applied>, Error> {
        let (desired, seen) = (prepared.children(), &context.children);
        self.all_seen(desired.iter().map(|want| want.key.kind))?;
        let steps =
            plan::plan(desired, seen, remembered_by::<O>(root), &context.key.namespace, &context.parent.uid);
        for step in steps {
            match step {
                Step::Keep { index } => {
                    let key = &desired[index].key;
                    if let Some(is) = seen.get(key) {
                        made.push(AppliedChild::kept(key, is));
                    }
                }
                Step::Apply { index, why } => {
                    let want = &desired[index];
                    let known = seen.get(&want.key).is_some_and(|is| *is.owner_uid == *context.parent.uid);
                    let is = self.writer.apply(want, known).await?;
                    tracing::debug!(resource = %context.key, child = %want.key, ?why, "applied");
                    made.push(AppliedChild::kept(&want.key, &is));
                    self.store.put_child(context.key.clone(), want.key.clone(), is);
                }
                Step::Wait { index } => {
                    return Err(Error::NotReady {
                        condition: APPLIED,
                        reason: "BeingDeleted",
                        message: format!(
                            "{} is being deleted; it is made again when it is gone",
                            desired[index].key
                        ),
                        after: Duration::from_secs(5),
                    });
                }
                Step::Delete { key, uid } => {
                    tracing::info!(resource = %context.key, child = %key, "nobody wants it any more");
                    self.writer.delete(&key, &uid).await?;
                }
            }
        }
        Ok(Resources::applied(made.clone()))
    }

    /// The resource is being deleted: nothing is made, what is left is settled, the finalizer goes.
    async fn end(&self, api: &Api<O::Root>, key: &RootKey, root: &O::Root) -> Result<Done, Error> {
        let ours = finalizer::name(O::NAME);
        let Some(rest) = finalizer::without(root.finalizers(), &ours) else { return Ok(Done::Gone) };
        let context = self.context_of(key, root)?;
        // What cannot be seen would be left behind.
        self.all_seen(self.operator.kinds().iter().copied().filter(|kind| kind.precious))?;
        if let Err(error) = self.operator.finalize(&context, root).await {
            if error.is_shown() {
                let status = self.failed(key, root, &error, &[]);
                self.put_status(api, key, root, status).await?;
            }
            return Err(error);
        }
        let version = root.resource_version().unwrap_or_default();
        match self.writer.finalizers(api, O::KIND.kind, &key.name, &version, &rest).await {
            Ok(_) => Ok(Done::Gone),
            Err(Error::Api { source: kube::Error::Api(status), .. }) if status.is_not_found() => {
                Ok(Done::Gone)
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing is decided about kinds whose objects cannot be listed.
    fn all_seen(&self, mut kinds: impl Iterator<Item = &'static Kind>) -> Result<(), Error> {
        let unseen = kinds.find_map(|kind| Some((kind, self.definitions.unseen(kind)?)));
        unseen.map_or(Ok(()), |(kind, why)| {
            Err(Error::NotReady {
                condition: APPLIED,
                reason: "KindNotSeen",
                message: format!("what there is of {} cannot be listed: {why}", kind.id()),
                after: Duration::from_secs(30),
            })
        })
    }

    async fn with_finalizer(
        &self,
        api: &Api<O::Root>,
        key: &RootKey,
        root: Arc<O::Root>,
    ) -> Result<Arc<O::Root>, Error> {
        let Some(all) = finalizer::with(root.finalizers(), &finalizer::name(O::NAME)) else {
            return Ok(root);
        };
        let version = root.resource_version().unwrap_or_default();
        let updated = self.writer.finalizers(api, O::KIND.kind, &key.name, &version, &all).await?;
        self.keep(key, updated)
    }

    async fn with_identity(
        &self,
        api: &Api<O::Root>,
        key: &RootKey,
        root: Arc<O::Root>,
    ) -> Result<Arc<O::Root>, Error> {
        let Some(status) = postgres::identify(&self.operator, &root)? else { return Ok(root) };
        let updated = self.writer.status(api, O::KIND.kind, &key.name, &status, &self.type_of(key)).await?;
        self.keep(key, updated)
    }

    /// Writes the status if it says anything new, and an event if the resource became ready or stopped being so.
    async fn put_status(
        &self,
        api: &Api<O::Root>,
        key: &RootKey,
        root: &O::Root,
        status: Value,
    ) -> Result<Option<Arc<O::Root>>, Error> {
        let before = status_of::<O>(root);
        if before == status {
            return Ok(None);
        }
        let updated = self.writer.status(api, O::KIND.kind, &key.name, &status, &self.type_of(key)).await?;
        let (was, is) = (ready(conditions_of::<O>(root)), ready(conditions_of::<O>(&updated)));
        if was.map(|ready| (&ready.status, &ready.reason)) != is.map(|ready| (&ready.status, &ready.reason))
            && let Some(is) = is
        {
            let warning = is.status != "True";
            self.events.publish(&updated.object_ref(&()), warning, &is.reason, &is.message).await;
        }
        Ok(Some(self.keep(key, updated)?))
    }

    /// The status of a look that did not come to its end: what it said before, with the reason in `Ready`.
    fn failed(&self, key: &RootKey, root: &O::Root, error: &Error, made: &[AppliedChild]) -> Value {
        let mut conditions =
            Conditions::from(conditions_of::<O>(root), root.meta().generation, Timestamp::now());
        let message = error.to_string();
        if let Some(condition) = error.condition() {
            conditions.set(condition, false, error.reason(), &*message);
        }
        conditions.set(READY, false, error.reason(), &*message);
        let mut children = states(made, &key.namespace);
        for before in remembered_by::<O>(root) {
            let same = |child: &ChildState| {
                (&child.kind, &child.namespace, &child.name)
                    == (&before.kind, &before.namespace, &before.name)
            };
            if !children.iter().any(same) {
                children.push(before.clone());
            }
        }
        let mut status = status_of::<O>(root);
        if !status.is_object() {
            status = json!({});
        }
        status["conditions"] = json!(conditions.finish());
        status["observedGeneration"] = json!(root.meta().generation);
        status["children"] = json!(children);
        status
    }

    /// Keeps what came back from a write, so that the next look does not wait for the watch.
    fn keep(&self, key: &RootKey, mut root: O::Root) -> Result<Arc<O::Root>, Error> {
        root.meta_mut().managed_fields = None;
        self.store.put_root(key.clone(), &root)?;
        Ok(Arc::new(root))
    }

    fn type_of(&self, key: &RootKey) -> Value {
        json!({
            "apiVersion": O::Root::api_version(&()),
            "kind": O::Root::kind(&()),
            "metadata": { "name": &*key.name, "namespace": &*key.namespace },
        })
    }
}

/// The names of a resource's objects.
pub fn names<O: Operator>(root: &O::Root) -> Names {
    Names::of(O::PREFIX, &root.name_any(), &root.uid().unwrap_or_default())
}

/// The conditions the status has.
pub fn conditions_of<O: Operator>(root: &O::Root) -> &[Condition] {
    root.status().map(|status| status.conditions()).unwrap_or_default()
}

/// The children the status remembers.
fn remembered_by<O: Operator>(root: &O::Root) -> &[ChildState] {
    root.status().map(|status| status.children()).unwrap_or_default()
}

/// The status, as it is.
fn status_of<O: Operator>(root: &O::Root) -> Value {
    serde_json::to_value(root.status()).unwrap_or_default()
}

/// Whether a resource is ready, as far as its status says.
pub fn is_ready<O: Operator>(root: &O::Root) -> bool {
    ready(conditions_of::<O>(root)).is_some_and(|ready| ready.status == "True")
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == READY)
}
