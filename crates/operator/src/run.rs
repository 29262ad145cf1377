//! Running an operator: definitions, watches, election, workers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ObjectMeta;
use kube::{Api, Client, Resource as _};
use service::health::{Part, Readiness};
use service::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::claim;
use crate::definitions::{self, Definitions};
use crate::driver::{Operator, Shared};
use crate::events::Events;
use crate::finalizer;
use crate::kind::Kind;
use crate::lease::{self, Leadership, Terms};
use crate::metrics::Metrics;
use crate::queue::{Done, Queue};
use crate::store::{RootKey, Store};
use crate::watch::{self, News, Told, Turns, Undecodable};
use crate::writer::{Probe, Writer};

/// How an operator's process runs.
#[derive(Clone)]
pub struct Settings {
    /// What this process is called in the lease and in events: the Pod's name.
    pub identity: String,
    /// Where the lease and the claims on host names are.
    pub namespace: String,
    /// The only namespace whose resources are looked at; all of them where none is named.
    pub watch: Option<String>,
    /// How the lease is held; `None` for a process that is known to be alone.
    pub lease: Option<Terms>,
    /// How many resources are looked at at once.
    pub workers: usize,
    /// How often definitions that are missing are asked for.
    pub poll: Duration,
    /// For tests: called around every write.
    pub probe: Option<Probe>,
}

impl Settings {
    /// Settings with the usual figures.
    pub fn new(identity: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            namespace: namespace.into(),
            watch: None,
            lease: Some(Terms::default()),
            workers: 8,
            poll: Duration::from_secs(30),
            probe: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("identity", &self.identity)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// Runs an operator until the process ends. Readiness says which definitions are still missing.
pub async fn run<O: Operator>(
    operator: O,
    client: Client,
    settings: Settings,
    metrics: &service::metrics::Metrics,
    readiness: &Readiness,
    shutdown: Shutdown,
) {
    let metrics = Metrics::register(O::NAME, metrics);
    let leadership = elect::<O>(&client, &settings, &shutdown);
    let definitions = Definitions::default();
    let writer = Writer::new(
        client.clone(),
        O::NAME,
        definitions.clone(),
        leadership.clone(),
        metrics.clone(),
        settings.probe.clone(),
    );
    let shared = Arc::new(Shared {
        operator,
        client: client.clone(),
        writer,
        definitions,
        store: Store::default(),
        claims: claim::Known::default(),
        queue: Arc::new(Queue::default()),
        events: Events::new(client, O::NAME, &settings.identity, leadership.clone()),
    });
    let (tell, news) = mpsc::channel(1024);
    let watches = Watches {
        shared: Arc::clone(&shared),
        told: Told { turns: Turns::default(), metrics: metrics.clone(), news: tell },
        part: readiness.part(O::NAME),
        shutdown: shutdown.clone(),
        poll: settings.poll,
        watch: settings.watch.clone(),
        broken: Mutex::default(),
        lists: Mutex::default(),
    };
    let watches = Arc::new(watches);
    {
        let watches = Arc::clone(&watches);
        shutdown.spawn_until("operator definitions", async move { watches.find_all().await });
    }
    {
        let (shared, metrics, leadership) = (Arc::clone(&shared), metrics.clone(), leadership.clone());
        shutdown
            .spawn_until("operator figures", async move { figures(&shared, &metrics, &leadership).await });
    }
    for _ in 0..settings.workers.max(1) {
        let (shared, metrics, leadership) = (Arc::clone(&shared), metrics.clone(), leadership.clone());
        let (watches, ending) = (Arc::clone(&watches), shutdown.clone());
        // A look that has begun is finished; none begins after the end did.
        shutdown.spawn("operator worker", async move {
            tokio::select! {
                () = ending.cancelled() => return,
                () = watches.listed() => {}
            }
            work(&shared, &metrics, &leadership, &ending).await;
        });
    }
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = listen(&shared, &watches, &metrics, &leadership, news) => {}
    }
}

fn elect<O: Operator>(client: &Client, settings: &Settings, shutdown: &Shutdown) -> Leadership {
    let Some(terms) = settings.lease else { return Leadership::alone() };
    let leadership = Leadership::none();
    let leases: Api<Lease> = Api::namespaced(client.clone(), &settings.namespace);
    let (name, me) = (O::NAME.to_owned(), settings.identity.clone());
    shutdown
        .spawn("operator lease", lease::run(leases, name, me, terms, leadership.clone(), shutdown.clone()));
    leadership
}

async fn work<O: Operator>(
    shared: &Shared<O>,
    metrics: &Metrics,
    leadership: &Leadership,
    ending: &Shutdown,
) {
    loop {
        let (key, delay) = tokio::select! {
            () = ending.cancelled() => return,
            next = async { leadership.won().await; shared.queue.next().await } => next,
        };
        metrics.begun(delay);
        let began = Instant::now();
        let looked = shared.look(&key).await;
        metrics.ended(began.elapsed(), looked.as_ref().err().map(crate::Error::label));
        let done = match looked {
            Ok(done) => done,
            Err(error) => {
                let after = error.after();
                match &error {
                    crate::Error::NotReady { .. } => tracing::debug!(resource = %key, %error, "not ready"),
                    _ => {
                        tracing::warn!(resource = %key, %error, label = error.label(), "a look did not come to its end")
                    }
                }
                after.map_or(Done::Failed, Done::Waiting)
            }
        };
        shared.queue.done(&key, done);
    }
}

async fn listen<O: Operator>(
    shared: &Shared<O>,
    watches: &Arc<Watches<O>>,
    metrics: &Metrics,
    leadership: &Leadership,
    mut news: mpsc::Receiver<News>,
) {
    let mut leading = leadership.changes();
    let mut undecodable: BTreeMap<RootKey, String> = BTreeMap::new();
    loop {
        tokio::select! {
            told = news.recv() => match told {
                None => return,
                Some(News::Look(key)) => {
                    if undecodable.remove(&key).is_some() {
                        metrics.undecodable(undecodable.len());
                    }
                    shared.queue.add(key);
                }
                Some(News::Listed(kind)) => {
                    if watches.mended(kind) {
                        for key in shared.store.roots() {
                            shared.queue.add_within(key, watches.poll);
                        }
                    }
                }
                Some(News::Broke(kind, why)) => watches.broke(kind, why),
                Some(News::Forbidden(kind, why)) => watches.forbidden(kind, why),
                Some(News::Gone(kind)) => {
                    shared.definitions.remove(kind);
                    for key in shared.store.retain_children(kind, &HashSet::new()) {
                        shared.queue.add(key);
                    }
                    Arc::clone(watches).search(kind);
                }
                Some(News::Undecodable(what)) => {
                    let before = undecodable.insert(what.key.clone(), what.error.clone());
                    metrics.undecodable(undecodable.len());
                    if before.as_ref() != Some(&what.error) {
                        cannot_read(shared, &what).await;
                    }
                    let_go(shared, &what).await;
                }
                Some(News::Mended(kind)) => {
                    watches.mended(kind);
                }
            },
            changed = leading.changed() => {
                if changed.is_err() {
                    return;
                }
                if *leading.borrow_and_update() {
                    for key in shared.store.roots() {
                        shared.queue.add(key);
                    }
                }
            }
        }
    }
}

/// A resource that cannot be read is told of, and otherwise left alone.
async fn cannot_read<O: Operator>(shared: &Shared<O>, what: &Undecodable) {
    tracing::error!(resource = %what.key, error = what.error, "a resource cannot be read and is left alone");
    let meta: &ObjectMeta = &what.meta;
    let regarding = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some(O::Root::api_version(&()).into_owned()),
        kind: Some(O::Root::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..Default::default()
    };
    shared.events.publish(&regarding, true, "Undecodable", &what.error).await;
}

/// One that cannot be read may go once it is being deleted. What it made outside its namespace stays: nobody can read what
/// it wanted to become of it.
async fn let_go<O: Operator>(shared: &Shared<O>, what: &Undecodable) {
    let meta: &ObjectMeta = &what.meta;
    let ours = finalizer::name(O::NAME);
    let Some(rest) = finalizer::without(meta.finalizers.as_deref().unwrap_or_default(), &ours) else {
        return;
    };
    if meta.deletion_timestamp.is_none() {
        return;
    }
    let api: Api<kube::core::PartialObjectMeta<O::Root>> =
        Api::namespaced(shared.client.clone(), &what.key.namespace);
    let version = meta.resource_version.as_deref().unwrap_or_default();
    if let Err(error) = shared.writer.finalizers(&api, O::KIND.kind, &what.key.name, version, &rest).await {
        tracing::warn!(resource = %what.key, %error, "the finalizer could not be taken off");
    }
}

async fn figures<O: Operator>(shared: &Shared<O>, metrics: &Metrics, leadership: &Leadership) {
    loop {
        let (due, _) = shared.queue.depth();
        metrics.sizes(shared.store.len(), shared.store.children_len(), due, leadership.holds());
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// The watches: which are begun, which have listed, which are broken.
struct Watches<O: Operator> {
    shared: Arc<Shared<O>>,
    told: Told,
    part: Part,
    shutdown: Shutdown,
    poll: Duration,
    watch: Option<String>,
    /// Kinds that are needed and not (or no longer) watched, with the reason.
    broken: Mutex<BTreeMap<&'static Kind, String>>,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    begun: BTreeSet<&'static Kind>,
    listed: BTreeSet<&'static Kind>,
    /// Every kind was asked for at least once: what is missing now is missing.
    asked: bool,
}

impl<O: Operator> Watches<O> {
    /// Finds every kind and begins its watch. Required ones are waited for; optional ones are searched beside.
    async fn find_all(self: Arc<Self>) {
        self.note(O::KIND, "its definition is not installed");
        let mut missing: Vec<&'static Kind> = vec![O::KIND];
        missing.extend(self.shared.operator.kinds());
        loop {
            let mut rest = Vec::new();
            for kind in missing {
                match definitions::find(&self.shared.client, kind).await {
                    Ok(Some(served)) => self.begin(kind, served),
                    Ok(None) if kind.optional => {
                        // The API server may have been away when it was asked before.
                        self.forget(kind);
                        Arc::clone(&self).search(kind);
                    }
                    Ok(None) => {
                        self.note(kind, "its definition is not installed");
                        rest.push(kind);
                    }
                    Err(error) => {
                        self.note(kind, &crate::error::said(&error));
                        rest.push(kind);
                    }
                }
            }
            if rest.is_empty() {
                self.lists().asked = true;
                return;
            }
            missing = rest;
            tokio::time::sleep(self.poll.min(Duration::from_secs(2))).await;
        }
    }

    /// Asks for an optional kind until it is there.
    fn search(self: Arc<Self>, kind: &'static Kind) {
        let this = Arc::clone(&self);
        {
            let mut lists = self.lists();
            lists.begun.remove(kind);
            lists.listed.remove(kind);
        }
        self.shutdown.spawn_until("operator search", async move {
            loop {
                tokio::time::sleep(this.poll).await;
                if let Ok(Some(served)) = definitions::find(&this.shared.client, kind).await {
                    tracing::info!(kind = kind.id(), "the cluster has this kind now");
                    this.begin(kind, served);
                    for key in this.shared.store.roots() {
                        this.shared.queue.add_within(key, this.poll);
                    }
                    return;
                }
            }
        });
    }

    fn begin(&self, kind: &'static Kind, served: crate::kind::Served) {
        self.shared.definitions.put(kind, served.clone());
        self.lists().begun.insert(kind);
        let (client, store) = (self.shared.client.clone(), self.shared.store.clone());
        let told = self.told.clone();
        if kind == O::KIND {
            self.note(kind, "it is being listed");
            self.shutdown
                .spawn_until("operator watch", watch::roots::<O>(client, self.watch.clone(), store, told));
        } else {
            if !kind.optional {
                self.note(kind, "it is being listed");
            }
            self.shutdown
                .spawn_until("operator watch", watch::children::<O>(client, kind, served, store, told));
        }
    }

    fn note(&self, kind: &'static Kind, why: &str) {
        let before = self.broken.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, why.to_owned());
        if before.as_deref() != Some(why) {
            tracing::info!(kind = kind.id(), why, "waiting");
        }
        self.say();
    }

    /// A kind is not waited for any more.
    fn forget(&self, kind: &'static Kind) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
        self.say();
    }

    /// A watch broke. What it knew stays; a kind that is needed makes the process not ready until it lists again.
    fn broke(&self, kind: &'static Kind, why: String) {
        tracing::warn!(kind = kind.id(), why, "a watch broke and is begun again");
        if !kind.optional {
            self.note(kind, &why);
        }
    }

    /// A kind may not be listed. The process is not ready then, because its role is not the one it needs; but an optional
    /// kind stops only the resources that want it.
    fn forbidden(&self, kind: &'static Kind, why: String) {
        tracing::warn!(kind = kind.id(), why, "a kind may not be listed");
        if kind.optional && !self.lists().listed.contains(kind) {
            self.shared.definitions.hide(kind, why.clone());
        }
        self.note(kind, &why);
    }

    /// A kind was listed, or its watch goes on. Returns whether nothing was known of it before.
    fn mended(&self, kind: &'static Kind) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
        self.lists().listed.insert(kind);
        let is_news = self.shared.definitions.show(kind);
        self.say();
        is_news
    }

    fn say(&self) {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.is_empty() {
            self.part.ready();
        } else {
            let lines: Vec<String> =
                broken.iter().map(|(kind, why)| format!("{}: {why}", kind.id())).collect();
            self.part.not_ready(format!("waiting for {}", lines.join("; ")));
        }
    }

    /// Waits until every kind that is there, and may be listed, has been: before that nothing is known well enough to act.
    async fn listed(&self) {
        loop {
            {
                let lists = self.lists();
                let known = |kind: &&'static Kind| {
                    lists.listed.contains(kind) || self.shared.definitions.unseen(kind).is_some()
                };
                if lists.asked && lists.begun.iter().all(known) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
