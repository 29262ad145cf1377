//! One Pod on the node: a task that carries out what its state machine says and writes down what became of it.

mod launch;
mod publish;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Preconditions};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::env::Addresses;
use super::machine::{Action, Exit, Machine, Probe};
use super::network::PodNetwork;
use super::plan::{Plan, PodKey};
use super::runc::Ended;
use super::shared::Shared;
use super::volumes::{Files, Tokens};
use super::{hosts, status, tree, world};
use publish::Publisher;
pub use publish::{LIMIT, PAUSE};

/// How long changes of the cluster are gathered before the Pod's files follow them.
const GATHER: Duration = Duration::from_millis(100);

/// How long a Pod that got no network waits for the next attempt.
const RETRY: Duration = Duration::from_secs(1);

enum Event {
    Up(usize, u32),
    Ended(usize, u32, Ended),
    Probed(usize, u32, Probe, bool),
}

/// One run of a container.
struct Run {
    id: String,
    number: u32,
    began: Timestamp,
    bundle: PathBuf,
    log: PathBuf,
    probes: Option<AbortHandle>,
    stop: Option<AbortHandle>,
}

/// A Pod.
pub struct Worker {
    shared: Arc<Shared>,
    pod: Pod,
    plan: Plan,
    machine: Machine,
    network: PodNetwork,
    addresses: Addresses,
    folder: PathBuf,
    taken: Timestamp,
    status: Value,
    publisher: Publisher,
    runs: Vec<Option<Run>>,
    count: u32,
    tokens: Tokens,
    tokens_until: Option<Timestamp>,
    api_access: bool,
    written: BTreeMap<String, Files>,
    version: u64,
    hosts: String,
    gone: bool,
    tell: mpsc::UnboundedSender<Event>,
    hear: mpsc::UnboundedReceiver<Event>,
}

/// Runs the Pod to its end: until its containers are done, or it was deleted and is gone.
pub async fn run(shared: Arc<Shared>, pod: Pod, plan: Plan) {
    let key = plan.key.clone();
    let folder = shared.folder.join("pods").join(&key.uid);
    loop {
        match Worker::new(Arc::clone(&shared), pod.clone(), plan.clone(), folder.clone()) {
            Ok(worker) => break worker.live().await,
            Err(error) => shared.event(&pod, true, "FailedCreatePodSandBox", &format!("{error:#}")),
        }
        tokio::time::sleep(RETRY).await;
        if shared.world.pod(&key).is_none_or(|pod| pod.metadata.deletion_timestamp.is_some()) {
            // The scheduler takes a deleted Pod's object away once nobody cares for it.
            break;
        }
    }
    shared.forget(&key);
    shared.unmount(&folder).await;
}

impl Worker {
    fn new(shared: Arc<Shared>, pod: Pod, plan: Plan, folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let network = shared.network.join()?;
        let addresses =
            Addresses { pod: network.address().to_string(), host: shared.network.host().to_string() };
        let machine = Machine::new(plan.seeds(), plan.restart, plan.grace, shared.back_off);
        let (tell, hear) = mpsc::unbounded_channel();
        let publisher = Publisher::start(shared.world.client.clone(), plan.key.clone());
        Ok(Self {
            runs: plan.containers.iter().map(|_| None).collect(),
            status: serde_json::to_value(&pod.status)?,
            pod,
            plan,
            machine,
            network,
            addresses,
            folder,
            taken: Timestamp::now(),
            publisher,
            count: 0,
            tokens: Tokens::new(),
            tokens_until: None,
            api_access: false,
            written: BTreeMap::new(),
            version: 0,
            hosts: String::new(),
            gone: false,
            shared,
            tell,
            hear,
        })
    }

    async fn live(mut self) {
        let mut bell = self.shared.world.bell();
        let deadline = self.pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
        let deadline = deadline.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        let deadline = deadline.map(|limit| Instant::now() + limit);
        let mut gather = None;
        self.refresh();
        loop {
            for action in self.machine.next(Timestamp::now()) {
                self.act(action).await;
            }
            self.publish();
            if self.machine.over() {
                break;
            }
            let wake = self.machine.wake().map(|time| {
                let wait = time.duration_since(Timestamp::now());
                Instant::now() + Duration::try_from(wait).unwrap_or_default()
            });
            let timer = [wake, gather, deadline].into_iter().flatten().min();
            tokio::select! {
                Some(event) = self.hear.recv() => self.heard(event).await,
                Ok(()) = bell.changed() => { gather.get_or_insert(Instant::now() + GATHER); }
                () = sleep_until(timer) => {
                    if gather.is_some_and(|time| time <= Instant::now()) {
                        gather = None;
                        self.refresh();
                    }
                    if deadline.is_some_and(|time| time <= Instant::now()) {
                        self.machine.fail("DeadlineExceeded", "the Pod was active longer than its activeDeadlineSeconds");
                    }
                }
            }
        }
        self.end().await;
    }

    /// Takes in what changed in the cluster: the Pod itself, its volumes' sources, the names in its hosts file.
    fn refresh(&mut self) {
        match self.shared.world.pod(&self.plan.key).and_then(|pod| world::read(&pod)) {
            Some(pod) => {
                if pod.metadata.deletion_timestamp.is_some() {
                    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
                    self.machine.delete(Duration::from_secs(u64::try_from(grace).unwrap_or(0)));
                }
                self.pod = pod;
            }
            None => {
                // Deleted by force: nobody waits for it any more.
                self.gone = true;
                self.machine.delete(Duration::ZERO);
            }
        }
        if let Err(error) = self.write_hosts() {
            self.event(true, "FailedMount", &format!("writing the hosts file: {error:#}"));
        }
        if !self.written.is_empty()
            && let Err(error) = self.follow_sources()
        {
            self.event(true, "FailedMount", &format!("{error:#}"));
        }
    }

    fn write_hosts(&mut self) -> Result<()> {
        let own = self.plan.key.namespace.as_str();
        let mut namespaces = vec![own];
        let others = self.shared.named_namespaces.iter().map(String::as_str);
        namespaces.extend(others.filter(|namespace| *namespace != own));
        let (services, pods, slices) = self.shared.world.named(&namespaces);
        let world = hosts::World {
            services: &services,
            pods: &pods,
            slices: &slices,
            host: (&self.addresses.host, &self.shared.host_names),
        };
        let text = hosts::file(&self.plan, &self.pod, &self.addresses.pod, world);
        if text != self.hosts {
            tree::write_in_place(&self.folder.join("hosts"), &text)?;
            self.hosts = text;
        }
        Ok(())
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Start(index) => {
                if let Err((reason, message)) = self.launch(index).await {
                    self.event(true, event_reason(&reason), &message);
                    self.machine.not_started(index, &reason, &message, Timestamp::now());
                }
            }
            Action::Stop(index, grace) => self.stop(index, grace),
        }
    }

    async fn heard(&mut self, event: Event) {
        match event {
            Event::Up(index, number) if self.is_current(index, number) => self.up(index),
            Event::Probed(index, number, probe, healthy) if self.is_current(index, number) => {
                if !healthy {
                    self.event(true, "Unhealthy", &format!("{probe:?} probe failed"));
                }
                if let Some(action) = self.machine.probed(index, probe, healthy) {
                    let name = &self.plan.containers[index].spec.name;
                    let text = format!("container {name} failed its {probe:?} probe and is restarted");
                    self.event(false, "Killing", &text);
                    self.act(action).await;
                }
            }
            Event::Ended(index, number, ended) if self.is_current(index, number) => {
                self.ended(index, ended).await
            }
            Event::Up(..) | Event::Probed(..) | Event::Ended(..) => {}
        }
    }

    fn is_current(&self, index: usize, number: u32) -> bool {
        self.runs[index].as_ref().is_some_and(|run| run.number == number)
    }

    async fn ended(&mut self, index: usize, ended: Ended) {
        let Some(run) = self.runs[index].take() else { return };
        for task in [&run.probes, &run.stop].into_iter().flatten() {
            task.abort();
        }
        let now = Timestamp::now();
        let (code, reason, message) = match ended.refused {
            Some(why) => (128, "StartError".to_owned(), why),
            None if ended.code == 0 => (0, "Completed".to_owned(), self.last_words(index, &run, false)),
            None => (ended.code, "Error".to_owned(), self.last_words(index, &run, true)),
        };
        if reason == "StartError" {
            self.event(true, "Failed", &message);
        }
        // A run that was over before anybody saw it up has been up all the same.
        if !matches!(self.machine.units[index].state, super::machine::State::Running { .. }) {
            self.machine.started(index, run.began);
        }
        let exit = Exit { code, reason, message, started: run.began, finished: now };
        self.machine.exited(index, exit, now);
        self.shared.left(&run.id);
        // It is gone with its first process; this takes what a runc that was killed left.
        let _ = self.shared.runc.delete(&run.id).await;
        let _ = std::fs::remove_dir_all(&run.bundle);
    }

    fn publish(&mut self) {
        let patch = status::patch(status::Facts {
            before: &self.status,
            plan: &self.plan,
            machine: &self.machine,
            addresses: &self.addresses,
            taken: self.taken,
            now: Timestamp::now(),
        });
        self.status = patch["status"].clone();
        self.publisher.say(patch);
    }

    /// The last status is written, and a deleted Pod's object goes.
    async fn end(self) {
        let Self { shared, plan, network, publisher, gone, .. } = self;
        if !gone {
            publisher.finish().await;
        }
        drop(network);
        if !gone && shared.world.pod(&plan.key).is_some_and(|pod| pod.metadata.deletion_timestamp.is_some()) {
            remove(&shared, &plan.key).await;
        }
    }

    fn event(&self, warning: bool, reason: &str, text: &str) {
        self.shared.event(&self.pod, warning, reason, text);
    }
}

/// Takes the Pod's object away, as a kubelet does when nothing of the Pod is left. Tries until the API server answers.
pub async fn remove(shared: &Shared, key: &PodKey) {
    let api: Api<Pod> = Api::namespaced(shared.world.client.clone(), &key.namespace);
    let uid = Some(key.uid.clone());
    let preconditions = Some(Preconditions { uid, resource_version: None });
    let parameters = DeleteParams { preconditions, ..DeleteParams::default().grace_period(0) };
    loop {
        match tokio::time::timeout(publish::LIMIT, api.delete(&key.name, &parameters)).await {
            Ok(Ok(_)) => return,
            // Gone, or another one of that name.
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => return,
            Ok(Err(_)) | Err(_) => tokio::time::sleep(publish::PAUSE).await,
        }
    }
}

/// Writes a status, until it is written or the Pod is gone.
pub async fn write_status(shared: &Shared, key: &PodKey, patch: Value) {
    let publisher = Publisher::start(shared.world.client.clone(), key.clone());
    publisher.say(patch);
    publisher.finish().await;
}

fn event_reason(waiting: &str) -> &str {
    match waiting {
        "ContainerCreating" => "FailedMount",
        _ => "Failed",
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
