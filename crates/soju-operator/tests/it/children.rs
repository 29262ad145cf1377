//! What the children say.

use operator::network_policy::Reach;
use operator_testkit::world::{holds, names, reason};
use serde_json::json;
use testkit::{eventually, part};

use crate::world::{Soju, World};

#[tokio::test]
async fn a_database_of_ones_own_is_made_and_dropped() {
    part!(Kubernetes, Postgres);
    let (world, rows) = World::with_rows("postgres").await;
    let spec = json!({ "suspend": true, "database": { "engine": "Postgres" }, "deletionPolicy": "Delete" });
    let made = world.make("alice", spec).await;
    let names = names::<Soju>(&made);
    let bouncer =
        world.until("alice", "has a database", |bouncer| holds(bouncer, "DatabaseReady", "True")).await;
    let identity = bouncer.status.unwrap().database.unwrap();
    assert_eq!(identity.name.0, names.postgres);
    assert!(rows.databases().await.contains(&names.postgres));
    assert!(rows.roles().await.contains(&names.postgres));
    eventually("the server is made after its database", || async {
        world.child("Deployment", "alice").await
    })
    .await;
    world.delete("alice").await;
    world.gone("alice").await;
    assert!(!rows.databases().await.contains(&names.postgres));
    assert!(!rows.roles().await.contains(&names.postgres));
}

#[tokio::test]
async fn a_cluster_that_is_not_allowed_is_refused() {
    part!(Kubernetes);
    let world = World::with("clusters", "postgres_clusters = 'ours/pg'\n").await;
    let theirs = json!({ "engine": "Postgres", "cluster": { "name": "pg", "namespace": "theirs" } });
    world.make("alice", json!({ "database": theirs })).await;
    let bouncer =
        world.until("alice", "is refused", |bouncer| reason(bouncer, "Ready") == "ClusterNotAllowed").await;
    assert_eq!(bouncer.status.unwrap().database, None);
}

/// Which addresses these rules let out to is evaluated in `operator::network_policy`.
#[tokio::test]
async fn the_api_server_keeps_the_egress_rules_as_they_are_meant() {
    part!(Kubernetes);
    let denied = ["203.0.114.0/24", "2600:1234::/32", "fd00::/8"].map(str::to_owned);
    let world = World::with("egress", &format!("denied_ranges = '{}'\n", denied.join(","))).await;
    let allow = json!([{ "cidr": "10.9.0.0/24", "ports": [6667] }]);
    world.make("alice", json!({ "suspend": true, "egress": { "allow": allow } })).await;
    let bouncer = world.reconciled("alice").await;
    let reach = Reach { denied: &denied, allowed: &[], egress: &bouncer.spec.egress, database: None };
    let policy = world.child("NetworkPolicy", "alice").await.unwrap().data;
    assert_eq!(policy["spec"]["egress"], json!(reach.rules()));
}
