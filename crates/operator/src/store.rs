//! What the watches have seen: the resources themselves, and their children reduced to a few words.
//!
//! While a watch lists anew, what was known stays; what the new list did not name goes when it is complete. So a
//! decision is never made on half a list.

mod families;
mod packed;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crds::Server;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::child::{ChildKey, Seen};
use crate::error::Error;
use crate::kind::Kind;
use families::Families;
use packed::Packed;

/// Which resource: namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootKey {
    /// Where it is.
    pub namespace: Box<str>,
    /// What it is called.
    pub name: Box<str>,
}

impl RootKey {
    /// Names a resource.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The children of one resource.
pub type Children = BTreeMap<ChildKey, Seen>;

/// Everything the watches have seen. Cheap to clone; all clones are one.
#[derive(Debug)]
pub struct Store<K> {
    inner: Arc<RwLock<Inner<K>>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<K> {
    roots: HashMap<RootKey, Packed<K>>,
    families: Families,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        let inner = Inner { roots: HashMap::new(), families: Families::default() };
        Self { inner: Arc::new(RwLock::new(inner)) }
    }
}

impl<K: Resource + Server + Serialize + DeserializeOwned> Store<K> {
    /// A resource.
    pub fn root(&self, key: &RootKey) -> Result<Option<K>, Error> {
        self.read().roots.get(key).map(Packed::unpack).transpose()
    }

    /// Keeps a resource, unless a newer one is kept already. Returns whether it was news.
    pub fn put_root(&self, key: RootKey, root: &K) -> Result<bool, Error> {
        let packed = Packed::new(root)?;
        let mut inner = self.write();
        if let Some(known) = inner.roots.get(&key)
            && known.uid == packed.uid
            && known.version >= packed.version
        {
            return Ok(false);
        }
        inner.roots.insert(key, packed);
        Ok(true)
    }

    /// Whether another resource asks for a host name and is older.
    pub fn has_older_claimant(&self, key: &RootKey, root: &K, hostname: &str) -> bool {
        self.read().roots.iter().any(|(other, is)| other != key && is.claims_before(root, hostname))
    }
}

impl<K> Store<K> {
    /// Which resources there are.
    pub fn roots(&self) -> Vec<RootKey> {
        self.read().roots.keys().cloned().collect()
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.read().roots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many children there are.
    pub fn children_len(&self) -> usize {
        self.read().families.len()
    }

    /// The children of a resource, as they are now.
    pub fn children(&self, of: &RootKey) -> Children {
        self.read().families.of(of)
    }

    /// Forgets a resource.
    pub fn remove_root(&self, key: &RootKey) {
        self.write().roots.remove(key);
    }

    /// Forgets resources that a complete list did not name, and returns them.
    pub fn retain_roots(&self, named: &HashSet<RootKey>) -> Vec<RootKey> {
        let mut inner = self.write();
        let gone: Vec<RootKey> = inner.roots.keys().filter(|key| !named.contains(key)).cloned().collect();
        for key in &gone {
            inner.roots.remove(key);
        }
        gone
    }

    /// Keeps a child, unless a newer sighting is kept already. Returns the resources whose children changed: one, or two
    /// if it was somebody else's before.
    pub fn put_child(&self, root: RootKey, key: ChildKey, seen: Seen) -> Vec<RootKey> {
        self.write().families.put(root, key, seen)
    }

    /// Forgets a child, if it still is the one with this UID. Returns whose it was.
    pub fn remove_child(&self, key: &ChildKey, uid: &str) -> Option<RootKey> {
        self.write().families.remove(key, uid)
    }

    /// Forgets children of a kind that a complete list did not name. Returns whose they were.
    pub fn retain_children(&self, kind: &'static Kind, named: &HashSet<ChildKey>) -> Vec<RootKey> {
        self.write().families.retain(kind, named)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner<K>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner<K>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
