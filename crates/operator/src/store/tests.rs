#![allow(clippy::unwrap_used, reason = "tests")]

use crds::SojuBouncer;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kind::Facts;
use crate::kinds::{CERTIFICATE, DATABASE, DATABASE_ROLE, DEPLOYMENT, POD, SECRET, SERVICE};

static KINDS: [&Kind; 3] = [&SECRET, &SERVICE, &POD];

/// What the store is, without a thought for memory.
#[derive(Default)]
struct Plain(BTreeMap<ChildKey, (RootKey, Seen)>);

impl Plain {
    fn put(&mut self, root: RootKey, key: ChildKey, seen: Seen) -> Vec<RootKey> {
        let mut changed = Vec::new();
        match self.0.get(&key) {
            Some((before, _)) if *before != root => {
                changed.push(before.clone());
                changed.push(root.clone());
            }
            Some((_, known)) if known.version > seen.version => return changed,
            Some((_, known)) => {
                if (Seen { version: 0, ..known.clone() }) != (Seen { version: 0, ..seen.clone() }) {
                    changed.push(root.clone());
                }
            }
            None => changed.push(root.clone()),
        }
        self.0.insert(key, (root, seen));
        changed
    }

    fn remove(&mut self, key: &ChildKey, uid: &str) -> Option<RootKey> {
        (*self.0.get(key)?.1.uid == *uid).then(|| self.0.remove(key).map(|(root, _)| root))?
    }

    fn retain(&mut self, kind: &'static Kind, named: &HashSet<ChildKey>) -> Vec<RootKey> {
        let gone: Vec<_> =
            self.0.keys().filter(|key| key.kind == kind && !named.contains(key)).cloned().collect();
        gone.into_iter().map(|key| self.0.remove(&key).unwrap().0).collect()
    }

    fn of(&self, root: &RootKey) -> Children {
        let theirs = self.0.iter().filter(|(_, (of, _))| of == root);
        theirs.map(|(key, (_, seen))| (key.clone(), seen.clone())).collect()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(RootKey, ChildKey, Seen),
    Remove(ChildKey, Box<str>),
    Retain(usize, Vec<ChildKey>),
}

fn root() -> impl Strategy<Value = RootKey> {
    ("[ab]", "[xyz]").prop_map(|(namespace, name)| RootKey::new(&namespace, &name))
}

fn key() -> impl Strategy<Value = ChildKey> {
    (0..KINDS.len(), "[ab]", "[xyz]").prop_map(|(kind, at, name)| ChildKey::new(KINDS[kind], &at, &name))
}

fn uid() -> impl Strategy<Value = Box<str>> {
    prop::sample::select(vec![
        "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11".into(),
        "6b0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11".into(),
        "6B0DD2A4-33CB-4A5E-9B2F-3D0A9D3B8A11".into(),
        "of its own".into(),
        "".into(),
    ])
}

fn seen() -> impl Strategy<Value = Seen> {
    (uid(), uid(), 0..2_u64, 0..2_u64, any::<bool>(), 0..4_u64, prop::option::of("[pq]")).prop_map(
        |(uid, owner_uid, hash, fields, deleting, version, phase)| Seen {
            uid,
            owner_uid,
            hash,
            fields,
            deleting,
            version,
            facts: Facts::of([("phase", phase)]),
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (root(), key(), seen()).prop_map(|(root, key, seen)| Op::Put(root, key, seen)),
        2 => (key(), uid()).prop_map(|(key, uid)| Op::Remove(key, uid)),
        1 => (0..KINDS.len(), prop::collection::vec(key(), 0..6)).prop_map(|(kind, keys)| Op::Retain(kind, keys)),
    ]
}

fn sorted(mut keys: Vec<RootKey>) -> Vec<RootKey> {
    keys.sort();
    keys
}

proptest! {
    #[test]
    fn children_are_what_was_seen_of_them_whatever_comes_in_which_order(ops in prop::collection::vec(op(), 1..60)) {
        let (store, mut plain) = (Store::<SojuBouncer>::default(), Plain::default());
        for op in ops {
            match op {
                Op::Put(root, key, seen) => {
                    let told = store.put_child(root.clone(), key.clone(), seen.clone());
                    prop_assert_eq!(told, plain.put(root, key, seen));
                }
                Op::Remove(key, uid) => prop_assert_eq!(store.remove_child(&key, &uid), plain.remove(&key, &uid)),
                Op::Retain(kind, keys) => {
                    let (kind, named) = (KINDS[kind], keys.into_iter().collect());
                    let told = sorted(store.retain_children(kind, &named));
                    prop_assert_eq!(told, sorted(plain.retain(kind, &named)));
                }
            }
            prop_assert_eq!(store.children_len(), plain.0.len());
            for (namespace, name) in ["a", "b"].into_iter().flat_map(|at| ["x", "y", "z"].map(|name| (at, name))) {
                let root = RootKey::new(namespace, name);
                prop_assert_eq!(store.children(&root), plain.of(&root));
            }
        }
    }
}

const HOME: &str = "tenants";

/// A bouncer as it is after it was made, with the names and the sentences real ones have.
fn bouncer(number: usize) -> SojuBouncer {
    let name = format!("fleet-{number}");
    let uid = |of: usize| format!("{number:08x}-33cb-4a5e-9b2f-{of:012x}");
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Applied", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "message": "what stands in front of the server took the host names",
        })
    };
    let child = |of: usize| {
        json!({
            "kind": "networking.k8s.io/NetworkPolicy", "name": format!("{name}-{of}"), "uid": uid(of),
            "hash": format!("{:016x}", number * of + 7), "fields": format!("{:016x}", number + of),
        })
    };
    let kinds = ["Ready", "Accepted", "HostnameClaimed", "DatabaseReady", "CertificateReady", "Exposed"];
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": HOME, "uid": uid(0), "resourceVersion": "7", "generation": 1,
            "creationTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["irc.now/soju-operator"],
        },
        "spec": {
            "hostname": format!("{name}.example.org"), "suspend": true, "database": { "engine": "Postgres" },
            "expose": { "irc": "ClusterIP" },
        },
        "status": {
            "conditions": kinds.map(condition).to_vec(),
            "hostnames": [format!("{name}.example.org")],
            "children": (1..=12).map(child).collect::<Vec<_>>(),
        },
    }))
    .unwrap()
}

fn child(number: usize, of: usize) -> (ChildKey, Seen) {
    let kinds = [&SECRET, &SERVICE, &DEPLOYMENT, &CERTIFICATE, &DATABASE, &DATABASE_ROLE];
    let kind = kinds[of % kinds.len()];
    let facts = match of % kinds.len() {
        2 => Facts::of([("generation", Some("1".to_owned())), ("observed", Some("1".to_owned()))]),
        3 => Facts::of([
            ("ready", Some("True".to_owned())),
            ("notAfter", Some("2026-02-03T04:05:06Z".to_owned())),
        ]),
        4 | 5 => Facts::of([("applied", Some("true".to_owned())), ("observed", Some("1".to_owned()))]),
        _ => Facts::default(),
    };
    let home = if of % kinds.len() > 3 { "postgres" } else { HOME };
    let seen = Seen {
        uid: format!("{number:08x}-33cb-4a5e-9b2f-{of:012x}").into(),
        owner_uid: format!("{number:08x}-33cb-4a5e-9b2f-{:012x}", 0).into(),
        hash: number as u64,
        fields: of as u64,
        deleting: false,
        version: 7,
        facts,
    };
    (ChildKey::new(kind, home, &format!("fleet-{number}-{of}")), seen)
}

#[test]
fn a_resource_comes_out_as_it_was_put_in() {
    let store = Store::default();
    let (key, root) = (RootKey::new(HOME, "fleet-7"), bouncer(7));
    assert!(store.put_root(key.clone(), &root).unwrap());
    assert_eq!(store.root(&key).unwrap(), Some(root.clone()));
    assert!(!store.put_root(key.clone(), &root).unwrap(), "the same again is no news");
    let mut older = root.clone();
    older.metadata.resource_version = Some("6".to_owned());
    assert!(!store.put_root(key.clone(), &older).unwrap(), "what arrives late is no news");
    older.metadata.uid = Some("another".to_owned());
    assert!(store.put_root(key.clone(), &older).unwrap(), "a namesake is");
    assert_eq!(store.root(&RootKey::new(HOME, "nobody")).unwrap(), None);
}

#[test]
fn the_older_of_two_claims_a_host_name_unless_it_is_going() {
    let store = Store::default();
    let put = |number: usize, when: &str, going: bool| {
        let mut root = bouncer(number);
        root.spec.hostname = "one.example.org".into();
        root.metadata.resource_version = Some(format!("{}", 8 + usize::from(going)));
        root.metadata.creation_timestamp = serde_json::from_value(json!(when)).unwrap();
        root.metadata.deletion_timestamp = going.then(|| serde_json::from_value(json!(when)).unwrap());
        store.put_root(RootKey::new(HOME, &format!("fleet-{number}")), &root).unwrap();
        root
    };
    let (old, young) = (put(1, "2026-01-02T03:04:05Z", false), put(2, "2026-01-02T03:04:06Z", false));
    let key = |number| RootKey::new(HOME, &format!("fleet-{number}"));
    assert!(store.has_older_claimant(&key(2), &young, "one.example.org"));
    assert!(!store.has_older_claimant(&key(1), &old, "one.example.org"));
    assert!(!store.has_older_claimant(&key(2), &young, "two.example.org"));
    put(1, "2026-01-02T03:04:05Z", true);
    assert!(!store.has_older_claimant(&key(2), &young, "one.example.org"));
}

/// The promise of a small operator: five thousand of these are 25 MB.
#[test]
fn a_resource_with_twelve_children_takes_less_than_five_kilobytes() {
    const COUNT: usize = 500;
    let mut kept = None;
    let all = allocation_counter::measure(|| {
        let store = Store::default();
        for number in 0..COUNT {
            let root = bouncer(number);
            store.put_root(RootKey::new(HOME, &format!("fleet-{number}")), &root).unwrap();
            for of in 1..=12 {
                let (key, seen) = child(number, of);
                store.put_child(RootKey::new(HOME, &format!("fleet-{number}")), key, seen);
            }
        }
        kept = Some(store);
    });
    assert_eq!(kept.unwrap().children_len(), COUNT * 12);
    let each = all.bytes_current / COUNT as i64;
    assert!(each < 5_000, "{each} bytes");
}
