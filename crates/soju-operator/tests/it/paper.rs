//! A bouncer, an installation, and what comes out of them, without a cluster.

use std::collections::BTreeMap;

use crds::SojuBouncer;
use crds::database::DatabaseEngine;
use jiff::Timestamp;
use kube::ResourceExt as _;
use operator::postgres::{Made, PostgresAt};
use operator::{Conditions, Error};
pub use operator_testkit::paper::merge;
use operator_testkit::paper::{everything_but_routes, image, parent};
use serde_json::{Value, json};
use service::config::Source;
use soju_operator::Installation;
use soju_operator::controller::validate::{Valid, validate};
use soju_operator::controller::{Facts, build, update_status};

use crate::world::Soju;

pub fn installation() -> Installation {
    let text = format!(
        "[soju_operator]\nsoju_image = '{}'\nircnow_image = '{}'\nissuer_url = 'https://auth.example.org'\n\
         client_secret = 'for tests'\ncertificate_issuer = 'Issuer/test'\npostgres_clusters = 'postgres/main'\n",
        image("soju"),
        image("ircnow"),
    );
    Installation::load(&Source::from_toml(&text).unwrap()).unwrap().1
}

/// A bouncer from the fields of its spec; `hostname` is filled in.
pub fn bouncer(spec: Value) -> SojuBouncer {
    let mut whole = json!({ "hostname": "bnc.example.org" });
    merge(&mut whole, &spec);
    serde_json::from_value(json!({
        "apiVersion": "irc.now/v1alpha1",
        "kind": "SojuBouncer",
        "metadata": {
            "name": "example", "namespace": "tenant", "uid": "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11", "generation": 3,
        },
        "spec": whole,
        "status": { "database": {
            "cluster": { "name": "main", "namespace": "postgres" }, "name": "bouncer_5a0d", "role": "bouncer_5a0d",
        } },
    }))
    .unwrap()
}

/// A cluster that has everything but Routes, and a secret of its own under every reference.
pub fn facts(root: &SojuBouncer) -> Facts {
    let networks = root.spec.users.iter().flat_map(|user| &user.networks);
    let secrets: BTreeMap<_, _> = root
        .spec
        .users
        .iter()
        .filter_map(|user| user.password.as_ref())
        .chain(networks.clone().filter_map(|network| network.server_password.as_ref()))
        .chain(networks.filter_map(|network| Some(&network.sasl.as_ref()?.password)))
        .map(|at| (at.clone(), format!("{} of {}", at.key, at.name).into()))
        .collect();
    let identity = root.status.as_ref().and_then(|status| status.database.as_ref()).unwrap();
    let postgres = root.spec.database.engine == DatabaseEngine::Postgres;
    Facts {
        uid: root.uid().unwrap(),
        secrets,
        client: root
            .spec
            .auth
            .client
            .as_ref()
            .map(|at| (format!("client of {}", at.name), format!("secret of {}", at.name).into())),
        postgres: postgres.then(|| PostgresAt::new(identity, "a password".into())),
        database: Made { done: true, message: None },
        server_made: false,
        has: everything_but_routes(),
        state: None,
        movers: None,
        serving: false,
    }
}

pub fn valid(root: &SojuBouncer) -> Result<Valid, Error> {
    validate(&installation(), root, facts(root))
}

/// Every child, as it would be applied.
pub fn children(root: &SojuBouncer, valid: &Valid) -> Vec<Value> {
    let resources = build::build(&installation(), &parent::<Soju>(root), valid).unwrap();
    resources.children().iter().map(|child| child.object.clone()).collect()
}

/// The status of a bouncer none of whose children say anything yet.
pub fn status(root: &SojuBouncer, valid: &Valid) -> Value {
    let conditions = Conditions::from(&[], Some(3), Timestamp::UNIX_EPOCH);
    serde_json::to_value(update_status::update_status(root, valid, &|_, _| None, conditions)).unwrap()
}
