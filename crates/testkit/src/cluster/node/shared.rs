//! What all Pods of a node share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::api::{Api, PostParams};

use super::images::Images;
use super::machine::BackOff;
use super::network::Network;
use super::plan::PodKey;
use super::runc::Runc;
use super::slot;
use super::world::World;

/// A container by namespace, Pod and name.
type Place = (String, String, String);

/// What all Pods of a node share.
pub struct Shared {
    /// The cluster.
    pub world: World,
    /// What an image's name stands for.
    pub images: Images,
    /// Who is on the bridge.
    pub network: Network,
    /// What runs.
    pub runc: Runc,
    /// Where files lie.
    pub folder: PathBuf,
    /// The control group above all.
    pub cgroup: String,
    /// The node's name.
    pub name: String,
    /// Further namespaces whose Services stand in every hosts file.
    pub named_namespaces: Vec<String>,
    /// The names of the host.
    pub host_names: Vec<String>,
    /// How long containers wait.
    pub back_off: BackOff,
    /// Which containers run, and as what.
    pub containers: ContainerIndex,
    /// The certificate of the API server's authority (PEM).
    pub authority: String,
    told: Mutex<BTreeSet<(String, String, String)>>,
    alive: Mutex<BTreeSet<String>>,
}

/// The ids of what runs; the handle of the node has it too.
pub type ContainerIndex = std::sync::Arc<Mutex<BTreeMap<Place, String>>>;

impl Shared {
    /// The parts together.
    #[expect(clippy::too_many_arguments, reason = "called once, with everything by name")]
    pub fn new(
        world: World,
        images: Images,
        network: Network,
        slot: &slot::Slot,
        named_namespaces: Vec<String>,
        host_names: Vec<String>,
        back_off: BackOff,
        containers: ContainerIndex,
        authority: String,
    ) -> Self {
        Self {
            world,
            images,
            network,
            runc: Runc::new(slot.containers()),
            folder: slot.folder().to_owned(),
            cgroup: slot.cgroup(),
            name: slot.name(),
            named_namespaces,
            host_names,
            back_off,
            containers,
            authority,
            told: Mutex::default(),
            alive: Mutex::default(),
        }
    }

    /// Where the data of claims lies.
    pub fn claims_folder(&self) -> PathBuf {
        self.folder.join("claims")
    }

    /// A Pod is begun; `false` if it was already.
    pub fn begin(&self, uid: &str) -> bool {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned())
    }

    /// Whether a Pod is under way.
    pub fn is_alive(&self, uid: &str) -> bool {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }

    /// A Pod is over.
    pub fn forget(&self, key: &PodKey) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.uid);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).retain(|(uid, ..)| *uid != key.uid);
    }

    /// A container runs under this id.
    pub fn entered(&self, key: &PodKey, container: &str, id: &str) {
        let place = (key.namespace.clone(), key.name.clone(), container.to_owned());
        self.containers.lock().unwrap_or_else(PoisonError::into_inner).insert(place, id.to_owned());
    }

    /// It does not any more. Another Pod of that name may run already.
    pub fn left(&self, id: &str) {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, running| running != id);
    }

    /// A file for the output of a container's next run.
    pub fn new_log(&self, key: &PodKey, container: &str) -> Result<PathBuf> {
        let folder = log_folder(&self.folder, &key.namespace, &key.name, container);
        fs::create_dir_all(&folder)?;
        let next = fs::read_dir(&folder)?.count();
        Ok(folder.join(format!("{next:06}.log")))
    }

    /// Tells the cluster something about an object; the same words about it only once.
    pub fn event<K: Resource<DynamicType = ()>>(&self, object: &K, warning: bool, reason: &str, text: &str) {
        let reference: ObjectReference = object.object_ref(&());
        let uid = reference.uid.clone().unwrap_or_default();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.insert((uid, reason.to_owned(), text.to_owned())) {
            return;
        }
        drop(told);
        let namespace = reference.namespace.clone().unwrap_or_else(|| "default".into());
        let now = Time(Timestamp::now());
        let text: String = text.chars().take(1000).collect();
        let event = Event {
            metadata: ObjectMeta {
                generate_name: reference.name.as_ref().map(|name| format!("{name}.")),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: reference,
            reason: Some(reason.to_owned()),
            message: Some(text),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            source: Some(EventSource {
                component: Some("testkit-node".into()),
                host: Some(self.name.clone()),
            }),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.world.client.clone(), &namespace);
        tokio::spawn(async move {
            for _ in 0..20 {
                match api.create(&PostParams::default(), &event).await {
                    // A namespace that goes takes no more events.
                    Ok(_) | Err(kube::Error::Api(_)) => return,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_secs(3)).await,
                }
            }
        });
    }

    /// Removes the folder of a Pod and what is mounted in it.
    pub async fn unmount(&self, folder: &Path) {
        for mount in slot::mounts_below(folder).unwrap_or_default() {
            let _ = slot::run(Command::new("umount").arg("--lazy").arg(mount));
        }
        // What is left goes with the node.
        let _ = tokio::fs::remove_dir_all(folder).await;
    }
}

/// Where the output of a container lies, one file a run.
pub fn log_folder(folder: &Path, namespace: &str, pod: &str, container: &str) -> PathBuf {
    folder.join("logs").join(namespace).join(pod).join(container)
}
