//! The watches that fill the store. One object that cannot be read never stops one.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Client, Resource, ResourceExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::child::{self, ChildKey};
use crate::kind::{Kind, Served};
use crate::lean::{Lean, Root};
use crate::metrics::Metrics;
use crate::store::{RootKey, Store};
use crate::{MANAGED_BY, driver::Operator};

/// How many objects come in one page of the first list: what is in memory at once.
const PAGE: u32 = 100;

/// How many kinds are listed at once, for the same reason.
const AT_ONCE: usize = 2;

/// How long a list waits for its turn: one that is never answered holds nobody up for longer.
const TURN: Duration = Duration::from_secs(30);

/// A watch that broke and has not broken again for this long goes on: attempts come more often.
const QUIET: Duration = Duration::from_secs(45);

/// Whose turn it is to list. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Turns {
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.0).acquire_owned();
        tokio::time::timeout(TURN, turn).await.ok().and_then(Result::ok)
    }
}

/// A stream's events, and a [`News::Mended`] when a watch that broke goes on.
struct Events<S> {
    kind: &'static Kind,
    stream: S,
    listed: bool,
    broken: bool,
    turns: Turns,
    /// Held while it lists.
    turn: Option<OwnedSemaphorePermit>,
}

/// What comes next from a watch.
enum Next<K> {
    Event(watcher::Result<Event<K>>),
    Mended,
    End,
}

impl<K, S: Stream<Item = watcher::Result<Event<K>>> + Unpin> Events<S> {
    fn of(kind: &'static Kind, stream: S, turns: Turns) -> Self {
        Self { kind, stream, listed: false, broken: false, turns, turn: None }
    }

    async fn next(&mut self) -> Next<K> {
        let next = if self.listed && self.broken {
            match tokio::time::timeout(QUIET, self.stream.next()).await {
                Ok(next) => next,
                Err(_) => {
                    self.broken = false;
                    return Next::Mended;
                }
            }
        } else {
            self.stream.next().await
        };
        match &next {
            Some(Err(error)) => {
                tracing::debug!(kind = self.kind.id(), %error, "a watch broke");
                self.broken = true;
                self.turn = None;
            }
            // Nothing was asked yet.
            Some(Ok(Event::Init)) => self.turn = self.turns.wait().await,
            Some(Ok(Event::InitDone)) => {
                self.listed = true;
                self.broken = false;
                self.turn = None;
            }
            Some(Ok(_)) | None => {}
        }
        next.map_or(Next::End, Next::Event)
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum News {
    /// The first list of a kind is complete.
    Listed(&'static Kind),
    /// A watch broke, and is begun again.
    Broke(&'static Kind, String),
    /// The objects of a kind may not be listed.
    Forbidden(&'static Kind, String),
    /// A definition is gone.
    Gone(&'static Kind),
    /// A resource has to be looked at.
    Look(RootKey),
    /// A resource cannot be read.
    Undecodable(Box<Undecodable>),
    /// A watch that broke goes on.
    Mended(&'static Kind),
}

/// A resource that cannot be read: what is known of it.
#[derive(Debug)]
pub struct Undecodable {
    /// Which.
    pub key: RootKey,
    /// Why.
    pub error: String,
    /// Its metadata.
    pub meta: kube::api::ObjectMeta,
}

/// What watches share: whose turn it is to list, and whom they tell.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose turn it is to list.
    pub turns: Turns,
    /// How often a watch broke is counted.
    pub metrics: Metrics,
    /// Who is told.
    pub news: mpsc::Sender<News>,
}

/// Watches the resources.
pub async fn roots<O: Operator>(
    client: Client,
    namespace: Option<String>,
    store: Store<O::Root>,
    told: Told,
) {
    let Told { turns, metrics, news } = told;
    let api: Api<Root<O::Root>> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let stream = pin!(watcher(api, Config::default().page_size(PAGE)).default_backoff());
    let mut events = Events::of(O::KIND, stream, turns);
    let mut named = HashSet::new();
    loop {
        let event = match events.next().await {
            Next::Event(event) => event,
            Next::Mended => {
                let _ = news.send(News::Mended(O::KIND)).await;
                continue;
            }
            Next::End => return,
        };
        let told = match event {
            Err(error) => {
                metrics.watch_broke(O::KIND.kind);
                Some(News::Broke(O::KIND, said(&error)))
            }
            Ok(Event::Init) => {
                named.clear();
                None
            }
            Ok(Event::InitApply(root)) => {
                named.insert(key_of(&root));
                root_seen::<O>(&store, root)
            }
            Ok(Event::Apply(root)) => root_seen::<O>(&store, root),
            Ok(Event::Delete(root)) => {
                let key = key_of(&root);
                store.remove_root(&key);
                Some(News::Look(key))
            }
            Ok(Event::InitDone) => {
                for key in store.retain_roots(&std::mem::take(&mut named)) {
                    if news.send(News::Look(key)).await.is_err() {
                        return;
                    }
                }
                Some(News::Listed(O::KIND))
            }
        };
        if let Some(told) = told
            && news.send(told).await.is_err()
        {
            return;
        }
    }
}

fn key_of<K: Resource>(of: &K) -> RootKey {
    RootKey::new(
        of.meta().namespace.as_deref().unwrap_or_default(),
        of.meta().name.as_deref().unwrap_or_default(),
    )
}

fn root_seen<O: Operator>(store: &Store<O::Root>, root: Root<O::Root>) -> Option<News> {
    let key = key_of(&root);
    let (error, meta) = match root.0.0 {
        Ok(root) => match store.put_root(key.clone(), &root) {
            Ok(is_news) => return is_news.then_some(News::Look(key)),
            Err(error) => (error.to_string(), root.meta().clone()),
        },
        Err(invalid) => (invalid.error, invalid.metadata),
    };
    store.remove_root(&key);
    Some(News::Undecodable(Box::new(Undecodable { key, error, meta })))
}

/// Watches the children of a kind, until its definition is gone.
pub async fn children<O: Operator>(
    client: Client,
    kind: &'static Kind,
    served: Served,
    store: Store<O::Root>,
    told: Told,
) {
    let config = Config::default().labels(&format!("{MANAGED_BY}={}", O::NAME)).page_size(PAGE);
    if kind.metadata_only {
        let api: Api<Lean<true>> = Api::all_with(client, &served.resource);
        follow::<O, true>(kind, watcher(api, config), store, told).await;
    } else {
        let api: Api<Lean<false>> = Api::all_with(client, &served.resource);
        follow::<O, false>(kind, watcher(api, config), store, told).await;
    }
}

async fn follow<O: Operator, const META: bool>(
    kind: &'static Kind,
    stream: impl Stream<Item = watcher::Result<Event<Lean<META>>>> + Send,
    store: Store<O::Root>,
    told: Told,
) {
    let Told { turns, metrics, news } = told;
    let stream = pin!(stream.default_backoff());
    let mut events = Events::of(kind, stream, turns);
    let mut named = HashSet::new();
    loop {
        let event = match events.next().await {
            Next::Event(event) => event,
            Next::Mended => {
                let _ = news.send(News::Mended(kind)).await;
                continue;
            }
            Next::End => return,
        };
        let mut told = Vec::new();
        match event {
            Err(error) => {
                metrics.watch_broke(kind.kind);
                if code(&error) == Some(404) && kind.optional {
                    let _ = news.send(News::Gone(kind)).await;
                    return;
                }
                let why = said(&error);
                let forbidden = code(&error) == Some(403);
                told.push(if forbidden { News::Forbidden(kind, why) } else { News::Broke(kind, why) });
            }
            Ok(Event::Init) => named.clear(),
            Ok(Event::InitApply(object)) => {
                named.insert(child_key(kind, &object));
                told.extend(child_seen::<O, META>(&store, kind, object));
            }
            Ok(Event::Apply(object)) => told.extend(child_seen::<O, META>(&store, kind, object)),
            Ok(Event::Delete(object)) => {
                let uid = object.uid().unwrap_or_default();
                told.extend(store.remove_child(&child_key(kind, &object), &uid).map(News::Look));
            }
            Ok(Event::InitDone) => {
                let gone = store.retain_children(kind, &std::mem::take(&mut named));
                told.extend(gone.into_iter().map(News::Look));
                told.push(News::Listed(kind));
            }
        }
        for told in told {
            if news.send(told).await.is_err() {
                return;
            }
        }
    }
}

fn child_key(kind: &'static Kind, object: &impl Resource) -> ChildKey {
    ChildKey::new(kind, object.meta().namespace.as_deref().unwrap_or_default(), &object.name_any())
}

fn child_seen<O: Operator, const META: bool>(
    store: &Store<O::Root>,
    kind: &'static Kind,
    object: Lean<META>,
) -> Vec<News> {
    let (key, uid) = (child_key(kind, &object), object.uid().unwrap_or_default());
    match child::reduce(kind, O::NAME, object) {
        Some((root, key, seen)) => store.put_child(root, key, seen).into_iter().map(News::Look).collect(),
        // Somebody took our labels off: it is nobody's child now, and the plan makes it one again.
        None => store.remove_child(&key, &uid).map(News::Look).into_iter().collect(),
    }
}

/// Why a watch broke, as a sentence.
fn said(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => crate::error::said(error),
        watcher::Error::WatchError(status) => crate::error::said(&kube::Error::Api(status.clone())),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// What the API server answered, if it did.
fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}
