//! A network, an installation, and what comes out of them, without a cluster.

use std::collections::BTreeMap;

use crds::ErgoNetwork;
use ergo_operator::Installation;
use ergo_operator::controller::validate::{Valid, validate};
use ergo_operator::controller::{Facts, build, update_status};
use jiff::Timestamp;
use operator::postgres::Made;
use operator::{Conditions, Error};
pub use operator_testkit::paper::merge;
use operator_testkit::paper::{everything_but_routes, image, parent};
use serde_json::{Value, json};

use crate::world::Ergo;

pub fn installation() -> Installation {
    Installation {
        namespace: "ircnow-system".into(),
        ergo_image: Some(image("ergo")),
        ergo_version: "2.19.1".into(),
        ergo_program: "/ircd-bin/ergo".into(),
        ircnow_image: Some(image("ircnow")),
        pull_secrets: Vec::new(),
        user_id: Some(10_001),
        issuer_url: Some("https://auth.irc.now/".parse().unwrap()),
        client_secret: "a secret of the installation".into(),
        certificate_issuer: Some(crds::expose::Issuer {
            name: "letsencrypt".into(),
            kind: Default::default(),
        }),
        postgres_clusters: vec![
            crds::database::ClusterRef { name: "main".into(), namespace: "postgres".into() },
            crds::database::ClusterRef { name: "other".into(), namespace: "postgres".into() },
        ],
        denied_ranges: Vec::new(),
        allowed_ranges: Vec::new(),
        monitoring_namespace: None,
        plans: entitlements::Table::compiled_in().unwrap(),
    }
}

/// A network from the fields of its spec; `networkName` and `hostname` are filled in.
pub fn network(spec: Value) -> ErgoNetwork {
    let mut whole = json!({ "networkName": "ExampleNet", "hostname": "irc.example.org" });
    merge(&mut whole, &spec);
    serde_json::from_value(json!({
        "apiVersion": "irc.now/v1alpha1",
        "kind": "ErgoNetwork",
        "metadata": {
            "name": "example",
            "namespace": "tenant",
            "uid": "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11",
            "generation": 3,
            "creationTimestamp": "2026-11-01T00:00:00Z",
        },
        "spec": whole,
        "status": { "database": {
            "cluster": { "name": "main", "namespace": "postgres" }, "name": "network_5a0d", "role": "network_5a0d",
        } },
    }))
    .unwrap()
}

/// A cluster that has everything, and secrets under every reference.
pub fn facts(root: &ErgoNetwork) -> Facts {
    let mut secrets = BTreeMap::new();
    for (index, operator) in root.spec.operators.iter().enumerate() {
        if let Some(at) = &operator.password_hash {
            let hash = format!("$2a$04$0123456789abcdef01234{index}{}", "x".repeat(60 - 29));
            secrets.insert(at.clone(), format!("{hash:.60}").into());
        }
    }
    if let Some(jwt) = &root.spec.auth.jwt {
        let key = format!("-----BEGIN PUBLIC KEY-----\nof {} {}\n", jwt.key.name, jwt.key.key);
        secrets.insert(jwt.key.clone(), key.into());
    }
    Facts {
        secrets,
        client: root.spec.auth.oauth2.as_ref().map(|oauth2| {
            (format!("client of {}", oauth2.client.name), format!("secret of {}", oauth2.client.name).into())
        }),
        database: Made { done: true, message: None },
        has: everything_but_routes(),
        now: "2026-11-21T14:12:51Z".parse().unwrap(),
        ..Facts::default()
    }
}

pub fn valid(root: &ErgoNetwork) -> Result<Valid, Error> {
    validate(&installation(), root, facts(root))
}

/// Every child, as it would be applied.
pub fn children(root: &ErgoNetwork, valid: &Valid) -> Vec<Value> {
    let resources = build::build(&installation(), &parent::<Ergo>(root), valid).unwrap();
    resources.children().iter().map(|child| child.object.clone()).collect()
}

/// A child by kind and name.
pub fn child<'a>(children: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = children.iter().find(|is| is["kind"] == kind && is["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The status of a network none of whose children say anything yet.
pub fn status(root: &ErgoNetwork, valid: &Valid) -> Value {
    let conditions = Conditions::from(&[], Some(3), Timestamp::UNIX_EPOCH);
    serde_json::to_value(update_status::update_status(root, valid, &|_, _| None, conditions)).unwrap()
}

/// Ergo's configuration, read back.
pub fn config(valid: &Valid) -> Value {
    serde_saphyr::from_str(valid.config.ergo.expose()).unwrap()
}
