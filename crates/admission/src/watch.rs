//! The watches that keep what is known up to date. While one lists anew, what was known stays.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use crds::{ErgoNetwork, SojuBouncer};
use futures_util::StreamExt as _;
use kube::api::{Api, ApiResource};
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, ResourceExt as _};
use service::health::Part;

use crate::known::{Catalog, Id, Kind, Known};
use crate::metrics::Metrics;

/// How many objects come in one page of a list: what is in memory at once.
const PAGE: u32 = 250;

/// What is known, shared with whoever answers.
pub type Shared = Arc<RwLock<Catalog>>;

/// Watches one kind until the process ends.
pub async fn follow(client: Client, kind: Kind, known: Shared, metrics: Metrics, part: Part) {
    let resource = match kind {
        Kind::Bouncer => ApiResource::erase::<SojuBouncer>(&()),
        Kind::Network => ApiResource::erase::<ErgoNetwork>(&()),
    };
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut events = pin!(watcher(api, Config::default().page_size(PAGE)).default_backoff());
    let mut named = HashSet::new();
    while let Some(event) = events.next().await {
        let mut catalog = known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Err(error) => {
                // What was known stays: it is help, and old help is better than none.
                tracing::warn!(kind = kind.as_str(), %error, "a watch broke and is begun again");
                if !catalog.is_whole() {
                    part.not_ready(format!("listing every {}: {error}", kind.as_str()));
                }
            }
            Ok(Event::Init) => named.clear(),
            Ok(Event::InitApply(object)) => {
                let id = id(kind, &object);
                named.insert(id.clone());
                catalog.put(id, Known::of(&object));
            }
            Ok(Event::Apply(object)) => catalog.put(id(kind, &object), Known::of(&object)),
            Ok(Event::Delete(object)) => catalog.remove(&id(kind, &object)),
            Ok(Event::InitDone) => {
                catalog.listed(kind, &std::mem::take(&mut named));
                part.ready();
            }
        }
        metrics.knows(catalog.len());
    }
}

fn id(kind: Kind, object: &DynamicObject) -> Id {
    Id { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}
