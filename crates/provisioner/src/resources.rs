//! One kind of resource in the cluster: applied, taken away, followed. What is remembered of each is enough to send nothing
//! twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use hosting::HostError;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Resource, ResourceExt as _};
use operator::error::said;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Who wrote what is ours in a resource.
const MANAGER: &str = "ircnow-hosting";
/// How long a resource that goes away is waited for, before the caller is told to ask again.
const GOING: Duration = Duration::from_secs(4);
/// How soon it is looked for again.
const LOOK: Duration = Duration::from_millis(200);

/// The resources of a kind in the one namespace.
pub struct Resources<K> {
    api: Api<K>,
    /// What was last applied under a name and is still there as it was, with its UID.
    applied: Mutex<BTreeMap<String, (Value, String)>>,
    /// Names that were taken away. They are never given twice, so a wish that comes late makes nothing anew.
    taken_away: Mutex<BTreeSet<String>>,
}

impl<K> Resources<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    pub fn new(api: Api<K>) -> Self {
        Self { api, applied: Mutex::default(), taken_away: Mutex::default() }
    }

    /// Has the resource be this. Answers with its UID; asks nobody where nothing changed.
    pub async fn apply(&self, object: &Value) -> Result<String, HostError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if self.taken_away().contains(name) {
            return Err(HostError("It is being taken away.".to_owned()));
        }
        if let Some((known, uid)) = self.applied().get(name)
            && known == object
        {
            return Ok(uid.clone());
        }
        let params = PatchParams::apply(MANAGER).force();
        let made = self.api.patch(name, &params, &Patch::Apply(object)).await;
        let made = made.map_err(|error| refused("changing", &error))?;
        let uid = made.uid().unwrap_or_default();
        self.applied().insert(name.to_owned(), (object.clone(), uid.clone()));
        Ok(uid)
    }

    /// The resource, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<K>, HostError> {
        self.api.get_opt(name).await.map_err(|error| refused("reading", &error))
    }

    /// Takes the resource away. Done when it returns.
    pub async fn remove(&self, name: &str) -> Result<(), HostError> {
        self.taken_away().insert(name.to_owned());
        self.applied().remove(name);
        match self.api.delete(name, &DeleteParams::background()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) => return Err(refused("deleting", &error)),
        }
        let end = tokio::time::Instant::now() + GOING;
        while self.get(name).await?.is_some() {
            if tokio::time::Instant::now() > end {
                return Err(HostError("It is being taken away. That takes a moment.".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Follows every resource: `there` with each that is new or another, `gone` with the name of each that is not there any
    /// more, `all_told` once everything that is there was told. Never ends.
    pub async fn follow<F>(&self, there: impl Fn(K) -> F, gone: impl Fn(&str), all_told: impl Fn())
    where
        F: Future<Output = ()>,
    {
        let mut known = BTreeSet::new();
        let mut listed = BTreeSet::new();
        let mut events = pin!(watcher(self.api.clone(), Config::default()).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    listed.insert(object.name_any());
                    there(object).await;
                }
                Ok(Event::InitDone) => {
                    let left: Vec<String> = known.difference(&listed).cloned().collect();
                    for name in left {
                        self.forget(&name);
                        gone(&name);
                    }
                    known.clone_from(&listed);
                    all_told();
                }
                Ok(Event::Apply(object)) => {
                    known.insert(object.name_any());
                    there(object).await;
                }
                Ok(Event::Delete(object)) => {
                    let name = object.name_any();
                    known.remove(&name);
                    self.forget(&name);
                    gone(&name);
                }
                Err(error) => tracing::warn!(%error, "the cluster cannot be followed right now"),
            }
        }
    }

    /// What was applied under a name is not there any more.
    pub fn forget(&self, name: &str) {
        self.applied().remove(name);
    }

    fn taken_away(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.taken_away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn applied(&self) -> MutexGuard<'_, BTreeMap<String, (Value, String)>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the API server did not do something. The log has the whole; the owner of a network can do nothing about it.
pub fn refused(doing: &str, error: &kube::Error) -> HostError {
    let said = said(error);
    tracing::warn!(error = said, "{doing} a resource failed");
    match error {
        kube::Error::Api(status) if status.code < 500 && status.code != 429 && status.code != 409 => {
            HostError(
                "The cluster refuses it. Write to whoever runs this irc.now; it is tried again.".to_owned(),
            )
        }
        _ => HostError("The cluster does not answer right now. It is tried again.".to_owned()),
    }
}
