//! What a resource and its children are on paper, without a cluster.

use operator::expose::Has;
use operator::resources::Parent;
use serde_json::Value;

use crate::{DIGEST, Root, Subject, name};

/// An image by digest.
pub fn image(name: &str) -> String {
    format!("registry.example.org/{name}{DIGEST}")
}

/// Puts `more` into `into`, object by object.
pub fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// A cluster that has everything but Routes.
pub fn everything_but_routes() -> Has {
    Has {
        certificates: true,
        routes: false,
        http_routes: true,
        tls_routes: true,
        monitors: true,
        databases: true,
        snapshots: true,
    }
}

/// What the children of a resource carry.
pub fn parent<S: Subject>(root: &Root<S>) -> Parent {
    Parent::of(name::<S>(), root).unwrap()
}
