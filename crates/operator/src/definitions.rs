//! Which kinds the API server serves, and in which version. Found by asking, and asked again for what is missing.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kube::Client;
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};

use crate::error::Error;
use crate::kind::{Kind, Served};

/// The kinds that were found. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    served: Arc<RwLock<BTreeMap<&'static Kind, Served>>>,
    unseen: Arc<RwLock<BTreeMap<&'static Kind, String>>>,
}

impl Definitions {
    /// Whether a kind is served.
    pub fn has(&self, kind: &'static Kind) -> bool {
        self.read().contains_key(kind)
    }

    /// How a kind is served.
    pub fn get(&self, kind: &'static Kind) -> Result<Served, Error> {
        self.read().get(kind).cloned().ok_or_else(|| Error::NoKind { kind: kind.id() })
    }

    /// Notes how a kind is served.
    pub fn put(&self, kind: &'static Kind, served: Served) {
        self.served.write().unwrap_or_else(PoisonError::into_inner).insert(kind, served);
    }

    /// Forgets a kind whose definition is gone.
    pub fn remove(&self, kind: &'static Kind) {
        self.served.write().unwrap_or_else(PoisonError::into_inner).remove(kind);
    }

    /// Why the objects of a kind cannot be listed, if that is so: it is there, but what there is of it is not known.
    pub fn unseen(&self, kind: &'static Kind) -> Option<String> {
        self.unseen.read().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// Notes that the objects of a kind cannot be listed.
    pub fn hide(&self, kind: &'static Kind, why: String) {
        self.unseen.write().unwrap_or_else(PoisonError::into_inner).insert(kind, why);
    }

    /// Notes that they can. Returns whether they could not before.
    pub fn show(&self, kind: &'static Kind) -> bool {
        self.unseen.write().unwrap_or_else(PoisonError::into_inner).remove(kind).is_some()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<&'static Kind, Served>> {
        self.served.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the API server for a kind. `None`: it does not serve it.
pub async fn find(client: &Client, kind: &'static Kind) -> Result<Option<Served>, kube::Error> {
    for version in kind.versions {
        let asked = GroupVersionKind::gvk(kind.group, version, kind.kind);
        match discovery::pinned_kind(client, &asked).await {
            Ok((resource, capabilities)) => {
                let namespaced = capabilities.scope == Scope::Namespaced;
                return Ok(Some(Served { resource, namespaced }));
            }
            Err(kube::Error::Discovery(_)) => {}
            // An unknown group is answered in plain text: only the code says so.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
