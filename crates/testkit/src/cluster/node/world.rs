//! What the node knows of the cluster: stores that follow the API server, and a bell that rings at each change.
//!
//! While the API server is away the stores keep what they held, and the watches are taken up again when it answers.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ApiResource, DynamicObject, Resource};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Lookup, ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::env::Objects;
use super::plan::PodKey;

/// How long a watch that failed waits before it is taken up again.
const PAUSE: Duration = Duration::from_millis(300);

/// The stores.
#[derive(Clone)]
pub struct World {
    /// To write with.
    pub client: Client,
    pods: Store<DynamicObject>,
    secrets: Store<Secret>,
    config_maps: Store<ConfigMap>,
    services: Store<Service>,
    slices: Store<EndpointSlice>,
    claims: Store<PersistentVolumeClaim>,
    bell: watch::Receiver<u64>,
    namespaces: Option<Arc<Vec<String>>>,
}

impl World {
    /// Follows the cluster with tasks of `tasks`; ready once every store was filled.
    pub async fn follow(
        config: Config,
        namespaces: Option<Vec<String>>,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Self> {
        let client = Client::try_from(config)?;
        let (ring, bell) = watch::channel(0);
        let pods = ApiResource::erase::<Pod>(&());
        let writer = Writer::new(pods.clone());
        let world = Self {
            pods: writer.as_reader(),
            secrets: spawn(tasks, &client, &ring),
            config_maps: spawn(tasks, &client, &ring),
            services: spawn(tasks, &client, &ring),
            slices: spawn(tasks, &client, &ring),
            claims: spawn(tasks, &client, &ring),
            client: client.clone(),
            bell,
            namespaces: namespaces.map(Arc::new),
        };
        tasks.spawn(follow(Api::all_with(client, &pods), writer, ring));
        world.pods.wait_until_ready().await?;
        world.secrets.wait_until_ready().await?;
        world.config_maps.wait_until_ready().await?;
        world.services.wait_until_ready().await?;
        world.slices.wait_until_ready().await?;
        world.claims.wait_until_ready().await?;
        Ok(world)
    }

    /// Rings at each change.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.bell.clone()
    }

    /// Whether this node takes Pods and claims of the namespace.
    pub fn is_ours(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|ours| ours.iter().any(|name| name == namespace))
    }

    /// Every Pod of our namespaces, as it came.
    pub fn pods(&self) -> Vec<Arc<DynamicObject>> {
        self.pods.state_filter(|pod| {
            pod.metadata.namespace.as_deref().is_some_and(|namespace| self.is_ours(namespace))
        })
    }

    /// The Pod, if it is still the same one.
    pub fn pod(&self, key: &PodKey) -> Option<Arc<DynamicObject>> {
        let reference = ObjectRef::new_with(&key.name, ApiResource::erase::<Pod>(&())).within(&key.namespace);
        self.pods.get(&reference).filter(|pod| pod.metadata.uid.as_ref() == Some(&key.uid))
    }

    /// Every claim of our namespaces.
    pub fn claims(&self) -> Vec<Arc<PersistentVolumeClaim>> {
        self.claims.state_filter(|claim| {
            claim.metadata.namespace.as_deref().is_some_and(|namespace| self.is_ours(namespace))
        })
    }

    /// Every Service of our namespaces.
    pub fn services(&self) -> Vec<Arc<Service>> {
        self.services.state_filter(|service| {
            service.metadata.namespace.as_deref().is_some_and(|namespace| self.is_ours(namespace))
        })
    }

    /// The claim of that name.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.get(&ObjectRef::new(name).within(namespace))
    }

    /// Services, Pods and endpoint slices of these namespaces.
    pub fn named(&self, namespaces: &[&str]) -> (Vec<Service>, Vec<Pod>, Vec<EndpointSlice>) {
        let inside = |namespace: Option<&str>| namespace.is_some_and(|name| namespaces.contains(&name));
        let services = self.services.state_filter(|service| inside(service.metadata.namespace.as_deref()));
        let pods = self.pods.state_filter(|pod| inside(pod.metadata.namespace.as_deref()));
        let slices = self.slices.state_filter(|slice| inside(slice.metadata.namespace.as_deref()));
        (
            services.iter().map(|service| (**service).clone()).collect(),
            pods.iter().filter_map(|pod| read(pod)).collect(),
            slices.iter().map(|slice| (**slice).clone()).collect(),
        )
    }
}

/// The Pod as its type says, as far as the type knows it.
pub fn read(pod: &DynamicObject) -> Option<Pod> {
    serde_json::to_value(pod).ok().and_then(|value| serde_json::from_value(value).ok())
}

impl Objects for World {
    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        self.secrets.get(&ObjectRef::new(name).within(namespace))
    }

    fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
        self.config_maps.get(&ObjectRef::new(name).within(namespace))
    }
}

fn spawn<K>(tasks: &mut JoinSet<()>, client: &Client, ring: &watch::Sender<u64>) -> Store<K>
where
    K: Resource<DynamicType = ()>
        + Lookup<DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = reflector::store();
    tasks.spawn(follow(Api::<K>::all(client.clone()), writer, ring.clone()));
    reader
}

async fn follow<K>(api: Api<K>, mut writer: Writer<K>, ring: watch::Sender<u64>)
where
    K: Resource + Lookup + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    <K as Lookup>::DynamicType: Eq + Hash + Clone,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                writer.apply_watcher_event(&event);
                ring.send_modify(|count| *count = count.wrapping_add(1));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
