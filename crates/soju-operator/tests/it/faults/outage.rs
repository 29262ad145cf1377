//! What the operator needs is missing, forbidden, away, or newer than the operator.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use operator_testkit::Running;
use operator_testkit::life::{Writes, client_of};
use serde_json::{Value, json};
use testkit::cluster::stage::{self, condition, is_current};
use testkit::cluster::{Kinds, Stage};
use testkit::{eventually, part};

use crate::world::Soju;

const KIND: &str = "SojuBouncer";
const ACCOUNT: &str = "soju-operator";

async fn make(stage: &Stage, home: &str, name: &str, mut spec: Value) {
    spec["hostname"] = format!("{name}.{home}.example.org").into();
    spec["suspend"] = true.into();
    stage::make(&stage.client, KIND, home, name, &spec).await.unwrap();
}

async fn change(stage: &Stage, home: &str, name: &str, spec: Value) {
    stage::change(&stage.client, KIND, home, name, &spec).await.unwrap();
}

async fn until(
    stage: &Stage,
    home: &str,
    name: &str,
    what: &str,
    wanted: impl Fn(&DynamicObject) -> bool,
) -> DynamicObject {
    stage::until(&stage.client, KIND, home, name, what, wanted).await
}

fn ready<'a>(bouncer: &'a DynamicObject, field: &str) -> &'a str {
    condition(bouncer, "Ready", field)
}

/// A least bouncer that needs no kind of others.
fn plain() -> Value {
    json!({ "tls": { "secretName": "own" }, "monitoring": false })
}

/// One control plane that is taken apart step by step: starting one takes longer than all of this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_forbidden_away_or_newer_stops_only_what_needs_it() {
    part!(Kubernetes);
    let mut stage = operator_testkit::stage::<Soju>(Kinds::NONE).await;
    let space = stage.cluster.namespace("outage").await.unwrap();
    let home = space.name().to_owned();
    kinds_of_others_may_be_missing_and_come_later(&stage, &home).await;
    one_forbidden_kind_stops_only_who_wants_it(&stage, &home).await;
    let operator = Running::start::<Soju>(&stage.told("outage", None)).await;
    the_api_server_may_be_away(&mut stage, &home, &operator).await;
    definitions_are_upgraded_under_load(&stage, &home, &operator).await;
    what_cannot_be_read_stops_nothing_else(&stage, &home, &operator).await;
    operator.stop().await;
}

async fn kinds_of_others_may_be_missing_and_come_later(stage: &Stage, home: &str) {
    let operator = Running::start::<Soju>(&stage.told("few-kinds", None)).await;
    make(stage, home, "plain", plain()).await;
    let made = until(stage, home, "plain", "needs nothing of others", is_current).await;
    assert_eq!(ready(&made, "reason"), "Suspended");
    assert!(stage.objects("Ingress", home).get_opt("plain-web").await.unwrap().is_some());
    for (name, spec, kind) in [
        ("certified", json!({}), "cert-manager.io/Certificate"),
        (
            "routed",
            json!({ "tls": { "secretName": "own" }, "expose": { "web": "Route" } }),
            "route.openshift.io/Route",
        ),
        (
            "stored",
            json!({ "tls": { "secretName": "own" }, "database": { "engine": "Postgres" } }),
            "postgresql.cnpg.io/Database",
        ),
    ] {
        make(stage, home, name, spec).await;
        let refused =
            until(stage, home, name, "says what is missing", |is| ready(is, "reason") == "DefinitionMissing")
                .await;
        assert_eq!(ready(&refused, "message"), format!("the cluster has no {kind}: install its definition"));
        assert!(stage.objects("Deployment", home).get_opt(name).await.unwrap().is_none());
    }
    stage.cluster.install(Kinds::ALL).await.unwrap();
    for name in ["certified", "routed", "stored"] {
        until(stage, home, name, "is made once the kinds are there", is_current).await;
    }
    eventually("the Ingress gives way to a Route", || async {
        let route = stage.objects("Route", home).get_opt("plain-web").await.unwrap();
        let ingress = stage.objects("Ingress", home).get_opt("plain-web").await.unwrap();
        (route.is_some() && ingress.is_none()).then_some(())
    })
    .await;
    operator.stop().await;
}

async fn one_forbidden_kind_stops_only_who_wants_it(stage: &Stage, home: &str) {
    let roles: Api<ClusterRole> = Api::all(stage.client.clone());
    let whole = roles.get(ACCOUNT).await.unwrap();
    let mut less = whole.clone();
    less.metadata.managed_fields = None;
    less.rules
        .as_mut()
        .unwrap()
        .retain(|rule| !rule.api_groups.iter().flatten().any(|group| group == "monitoring.coreos.com"));
    let less = roles.replace(ACCOUNT, &Default::default(), &less).await.unwrap();
    let told = stage.told("fewer-rights", None);
    let operator = Running::begin::<Soju>(&told, client_of(&told).await, Writes::default());
    make(stage, home, "modest", plain()).await;
    until(stage, home, "modest", "wants no monitor", is_current).await;
    make(stage, home, "watched", json!({ "monitoring": true })).await;
    let stopped = until(stage, home, "watched", "says why", |is| ready(is, "reason") == "KindNotSeen").await;
    let said = ready(&stopped, "message");
    assert!(said.contains("monitoring.coreos.com/PodMonitor cannot be listed"), "{said}");
    assert!(
        said.contains("(403)") && said.contains("give the operator's ServiceAccount that right"),
        "{said}"
    );
    assert!(!said.contains("Status {"), "{said}");
    let missing = operator.readiness.missing();
    assert!(missing.iter().any(|(_, why)| why.contains("PodMonitor")), "{missing:?}");
    let mut again = whole;
    again.metadata.resource_version = less.metadata.resource_version;
    roles.replace(ACCOUNT, &Default::default(), &again).await.unwrap();
    until(stage, home, "watched", "is made once it is allowed", is_current).await;
    assert!(stage.objects("PodMonitor", home).get_opt("watched").await.unwrap().is_some());
    operator.is_ready().await;
    operator.stop().await;
}

async fn the_api_server_may_be_away(whole: &mut Stage, home: &str, operator: &Running) {
    whole.cluster.kill_api().unwrap();
    eventually("the operator is not ready", || async { (!operator.readiness.is_ready()).then_some(()) })
        .await;
    // It goes on asking; nothing it knew is forgotten.
    tokio::time::sleep(Duration::from_secs(5)).await;
    whole.cluster.start_api().await.unwrap();
    let stage = &*whole;
    change(stage, home, "plain", json!({ "title": "after the outage" })).await;
    // Edited while nobody watched: the new list shows it.
    let services = stage.objects("Service", home);
    services.delete("modest", &DeleteParams::default()).await.unwrap();
    until(stage, home, "plain", "is looked at again", is_current).await;
    eventually("the Service is made again", || async { services.get_opt("modest").await.unwrap() }).await;
    for name in ["plain", "modest", "certified"] {
        let bouncer = stage.objects(KIND, home).get(name).await.unwrap();
        assert_eq!(ready(&bouncer, "reason"), "Suspended", "an outage says nothing about a bouncer");
    }
    operator.is_ready().await;
}

/// The definition as a later release may have it: a field and a value nobody here knows.
fn newer() -> CustomResourceDefinition {
    let mut all = crds::all();
    let definition = all.remove(0);
    let mut value = serde_json::to_value(&definition).unwrap();
    let spec = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["later"] = json!({ "type": "string", "maxLength": 16 });
    let policies = spec["properties"]["deletionPolicy"]["enum"].as_array_mut().unwrap();
    policies.push("Archive".into());
    serde_json::from_value(value).unwrap()
}

async fn definitions_are_upgraded_under_load(stage: &Stage, home: &str, operator: &Running) {
    let making = async {
        for number in 0..20 {
            make(stage, home, &format!("load-{number}"), plain()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let upgrading = async {
        for definition in [newer(), crds::all().remove(0), newer()] {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stage.cluster.define(&[definition]).await.unwrap();
        }
    };
    tokio::join!(making, upgrading);
    for number in 0..20 {
        until(stage, home, &format!("load-{number}"), "is made", is_current).await;
    }
    let mut spec = plain();
    spec["later"] = "unknown".into();
    make(stage, home, "newer", spec).await;
    until(stage, home, "newer", "is made although a field is unknown", is_current).await;
    let kept = stage.objects(KIND, home).get("newer").await.unwrap();
    assert_eq!(kept.data["spec"]["later"], "unknown", "what is unknown is left as it is");
    assert!(operator.readiness.is_ready());
}

async fn what_cannot_be_read_stops_nothing_else(stage: &Stage, home: &str, operator: &Running) {
    let api = stage.objects(KIND, home);
    let unknown = Patch::Merge(json!({ "spec": { "deletionPolicy": "Archive" } }));
    api.patch("newer", &PatchParams::default(), &unknown).await.unwrap();
    let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(stage.client.clone(), home);
    eventually("an event says that it cannot be read", || async {
        let all = events.list(&Default::default()).await.unwrap().items;
        all.into_iter().find(|event| event.reason.as_deref() == Some("Undecodable"))
    })
    .await;
    change(stage, home, "plain", json!({ "title": "beside one that cannot be read" })).await;
    until(stage, home, "plain", "is looked at all the same", is_current).await;
    assert!(stage.objects("Service", home).get_opt("newer").await.unwrap().is_some(), "it is left alone");
    // A restarted operator lists it, and goes on past it.
    let second = Running::start::<Soju>(&stage.told("second", None)).await;
    make(stage, home, "later", plain()).await;
    until(stage, home, "later", "is made", is_current).await;
    second.stop().await;
    api.delete("newer", &DeleteParams::default()).await.unwrap();
    eventually("it may go", || async { api.get_opt("newer").await.unwrap().is_none().then_some(()) }).await;
    assert!(operator.readiness.is_ready());
}
