//! What the children say.

use serde_json::{Value, json};
use soju_operator::names::Names;
use testkit::cluster::Standin;
use testkit::{eventually, part};

use crate::world::{World, holds, reason};

async fn policy(world: &World, name: &str) -> Value {
    world.child("NetworkPolicy", name).await.unwrap().data
}

#[tokio::test]
async fn a_database_of_ones_own_is_made_and_dropped() {
    part!(Kubernetes, Postgres);
    let cluster = testkit::cluster::Cluster::shared().await.unwrap();
    cluster.define(&crds::all()).await.unwrap();
    cluster.install(testkit::cluster::Kinds::ALL).await.unwrap();
    let rows = cluster.namespace("rows").await.unwrap();
    let pg = "{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, metadata: {name: pg}, spec: {instances: 1, storage: {size: 1Gi}}}";
    cluster.apply(pg, Some(rows.name())).await.unwrap();
    let more = format!("postgres_clusters = '{}/pg'\n", rows.name());
    let world = World::with("postgres", &more).await;
    let standin = Standin::start(cluster, &[rows.name(), world.namespace()]).await.unwrap();
    let spec = json!({ "suspend": true, "database": { "engine": "Postgres" }, "deletionPolicy": "Delete" });
    let made = world.make("alice", spec).await;
    let names = Names::of("alice", made.metadata.uid.as_deref().unwrap());
    let bouncer =
        world.until("alice", "has a database", |bouncer| holds(bouncer, "DatabaseReady", "True")).await;
    let identity = bouncer.status.unwrap().database.unwrap();
    assert_eq!(identity.name.0, names.postgres);
    assert!(standin.databases(rows.name(), "pg").await.unwrap().contains(&names.postgres));
    assert!(standin.roles(rows.name(), "pg").await.unwrap().contains(&names.postgres));
    eventually("the server is made after its database", || async {
        world.child("Deployment", "alice").await
    })
    .await;
    world.delete("alice").await;
    world.gone("alice").await;
    assert!(!standin.databases(rows.name(), "pg").await.unwrap().contains(&names.postgres));
    assert!(!standin.roles(rows.name(), "pg").await.unwrap().contains(&names.postgres));
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

#[tokio::test]
async fn nothing_inside_the_cluster_is_reached() {
    part!(Kubernetes);
    let world = World::with("egress", "denied_ranges = '203.0.114.0/24,2600:1234::/32'\n").await;
    let allow = json!([{ "cidr": "10.9.0.0/24", "ports": [6667] }]);
    world.make("alice", json!({ "suspend": true, "egress": { "allow": allow } })).await;
    world.reconciled("alice").await;
    let policy = policy(&world, "alice").await;
    for (address, port, reached) in [
        ("93.184.216.34", 6697, true),
        ("2606:2800:220:1::1", 6697, true),
        ("10.0.0.1", 443, false),
        ("10.9.0.7", 6667, true),
        ("10.9.0.7", 22, false),
        ("192.168.1.1", 80, false),
        ("172.31.0.1", 80, false),
        ("169.254.169.254", 80, false),
        ("127.0.0.1", 5432, false),
        ("100.64.0.1", 80, false),
        ("203.0.114.5", 80, false),
        ("224.0.0.1", 80, false),
        ("::1", 80, false),
        ("fd00::1", 80, false),
        ("fe80::1", 80, false),
        ("::ffff:10.0.0.1", 80, false),
        ("64:ff9b::a00:1", 80, false),
        ("2002:0a00:0001::1", 80, false),
        ("2600:1234::1", 80, false),
    ] {
        assert_eq!(reaches(&policy, address, port), reached, "{address} port {port}");
    }
}

/// Whether a policy lets traffic out to an address outside the cluster.
fn reaches(policy: &Value, address: &str, port: i64) -> bool {
    policy["spec"]["egress"].as_array().unwrap().iter().any(|rule| {
        let ports = rule["ports"].as_array();
        let port_ok =
            ports.is_none_or(|ports| ports.iter().any(|p| p["port"] == port && p["protocol"] == "TCP"));
        port_ok
            && rule["to"].as_array().unwrap().iter().any(|to| {
                let Some(block) = to.get("ipBlock") else { return false };
                let within = |range: &Value| contains(range.as_str().unwrap(), address);
                within(&block["cidr"])
                    && !block["except"].as_array().is_some_and(|list| list.iter().any(within))
            })
    })
}

fn contains(range: &str, address: &str) -> bool {
    let (base, bits) = range.split_once('/').unwrap();
    let bits: u32 = bits.parse().unwrap();
    match (base.parse().unwrap(), address.parse().unwrap()) {
        (std::net::IpAddr::V4(base), std::net::IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(base) & mask == u32::from(address) & mask
        }
        (std::net::IpAddr::V6(base), std::net::IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(base) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}
