use std::time::Duration;

use base64::Engine as _;
use kube::api::ListParams;
use serde_json::json;
use testkit::cluster::node::{Node, Options};
use testkit::cluster::{Cluster, Kinds, Mood, Standin};
use testkit::{eventually, part};

use super::{Stage, applied, refused};

const CLUSTER: &str = "
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: pg}
spec: {instances: 1, enableSuperuserAccess: true, storage: {size: 1Gi}}
";
const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: seeds-password}
type: kubernetes.io/basic-auth
stringData: {username: seeds, password: PASSWORD}
";
const ROLE: &str = "
apiVersion: postgresql.cnpg.io/v1
kind: DatabaseRole
metadata: {name: seeds}
spec:
  cluster: {name: pg}
  name: seeds
  login: true
  passwordSecret: {name: seeds-password}
  databaseRoleReclaimPolicy: delete
";
const DATABASE: &str = "
apiVersion: postgresql.cnpg.io/v1
kind: Database
metadata: {name: seeds}
spec: {cluster: {name: pg}, name: seeds, owner: seeds, databaseReclaimPolicy: delete}
";

impl Stage {
    /// With a Cluster that is ready, and a role and a database in it.
    async fn with_database(prefix: &str) -> Self {
        let stage = Self::new(prefix).await;
        stage.apply(CLUSTER).await;
        stage.apply(&SECRET.replace("PASSWORD", "it's a secret")).await;
        stage.apply(ROLE).await;
        stage.apply(DATABASE).await;
        stage.until("DatabaseRole", "seeds", applied).await;
        stage.until("Database", "seeds", applied).await;
        stage
    }

    async fn databases(&self) -> Vec<String> {
        self.standin.databases(self.namespace(), "pg").await.unwrap()
    }

    async fn roles(&self) -> Vec<String> {
        self.standin.roles(self.namespace(), "pg").await.unwrap()
    }

    async fn sql(&self, database: &str, sql: &str) -> String {
        self.standin.sql(self.namespace(), "pg", database, sql).await.unwrap()
    }

    /// Whether PostgreSQL lets a user in over TLS, by its own authority and host name.
    async fn lets_in(&self, user: &str, password: &str, database: &str) -> bool {
        let address = self.standin.address(self.namespace(), "pg").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.crt");
        std::fs::write(&authority, self.standin.authority_pem()).unwrap();
        let mut psql = tokio::process::Command::new("psql");
        psql.args(["-X", "-w", "-c", "select 1"]);
        psql.env("PGHOST", format!("pg-rw.{}", self.namespace())).env("PGHOSTADDR", address.ip().to_string());
        psql.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", authority);
        psql.env("PGUSER", user).env("PGPASSWORD", password).env("PGDATABASE", database);
        psql.output().await.unwrap().status.success()
    }
}

#[tokio::test]
async fn a_cluster_becomes_a_real_postgresql_with_its_services_and_secrets() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("cluster").await;
    stage.apply(CLUSTER).await;
    let cluster = stage.until("Cluster", "pg", |data| super::condition(data, "Ready", "True")).await;
    assert_eq!(cluster.data["status"]["phase"], "Cluster in healthy state");
    assert_eq!(cluster.data["status"]["writeService"], "pg-rw");
    let service = stage.until("Service", "pg-rw", |_| true).await;
    assert_eq!(service.data["spec"]["ports"][0]["port"], 5432);

    let secret = stage.until("Secret", "pg-superuser", |_| true).await;
    let field = |key: &str| {
        let text = secret.data["data"][key].as_str().unwrap();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
    };
    assert_eq!(
        (field("username").as_str(), field("host").as_str(), field("port").as_str()),
        ("postgres", "pg-rw", "5432")
    );
    assert!(stage.lets_in("postgres", &field("password"), "app").await);
    assert!(!stage.lets_in("postgres", "guessed", "app").await);
}

#[tokio::test]
async fn pods_find_postgresql_by_an_endpoint_slice() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("slices").await;
    stage.apply(CLUSTER).await;
    stage.until("Cluster", "pg", |data| super::condition(data, "Ready", "True")).await;
    let address = stage.standin.address(stage.namespace(), "pg").await.unwrap();
    // Without the right to add an address PostgreSQL is on a loopback one, which no Pod can reach.
    if !address.ip().is_loopback() {
        let slice = stage.until("EndpointSlice", "pg-rw", |_| true).await;
        assert_eq!(slice.data["endpoints"][0]["addresses"][0], address.ip().to_string());
        assert_eq!(slice.metadata.labels.unwrap()["kubernetes.io/service-name"], "pg-rw");
    }
}

#[tokio::test]
async fn a_pod_reaches_postgresql_by_the_name_of_its_service() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("reached").await;
    let options = Options { namespaces: Some(vec![stage.namespace().to_owned()]), ..Options::default() };
    let Some(node) = Node::start_or_skip(stage.cluster, options).await.unwrap() else { return };
    stage.apply(CLUSTER).await;
    stage.until("Cluster", "pg", |data| super::condition(data, "Ready", "True")).await;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "client" },
        "spec": {
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 1000,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "volumes": [{ "name": "authority", "secret": { "secretName": "pg-ca" } }],
            "containers": [{
                "name": "main",
                "image": "shell",
                "args": ["-c", "/usr/lib/postgresql/*/bin/psql -X -c 'select 6 * 7' \"$URI?sslmode=verify-full&sslrootcert=/authority/ca.crt\""],
                "env": [{ "name": "URI", "valueFrom": { "secretKeyRef": { "name": "pg-app", "key": "uri" } } }],
                "volumeMounts": [{ "name": "authority", "mountPath": "/authority" }],
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    });
    stage.apply(&pod.to_string()).await;
    eventually("the Pod's answer from PostgreSQL", || async {
        node.logs(stage.namespace(), "client", "main").contains("42").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_role_and_its_database_are_made_and_let_their_owner_in() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("made").await;
    assert_eq!(stage.databases().await, ["app", "seeds"]);
    assert_eq!(stage.roles().await, ["app", "seeds"]);
    assert!(stage.lets_in("seeds", "it's a secret", "seeds").await);
    stage.apply(&SECRET.replace("PASSWORD", "another")).await;
    eventually("the new password", || async {
        stage.lets_in("seeds", "another", "seeds").await.then_some(())
    })
    .await;
    assert!(!stage.lets_in("seeds", "it's a secret", "seeds").await);
}

#[tokio::test]
async fn a_changed_spec_is_applied() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("changed").await;
    stage.apply(&ROLE.replace("login: true", "login: false")).await;
    stage.apply(&DATABASE.replace("owner: seeds", "owner: app")).await;
    stage.until("DatabaseRole", "seeds", |data| data["status"]["observedGeneration"] == 2).await;
    stage.until("Database", "seeds", |data| data["status"]["observedGeneration"] == 2).await;
    assert_eq!(stage.sql("postgres", "select rolcanlogin from pg_roles where rolname = 'seeds'").await, "f");
    let owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'seeds'";
    assert_eq!(stage.sql("postgres", owner).await, "app");
}

#[tokio::test]
async fn what_names_a_cluster_of_another_namespace_is_refused() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("home").await;
    stage.apply(CLUSTER).await;
    stage.until("Cluster", "pg", |data| super::condition(data, "Ready", "True")).await;
    let cluster = Cluster::shared().await.unwrap();
    let space = cluster.namespace("abroad").await.unwrap();
    let standin = Standin::start(cluster, &[space.name()]).await.unwrap();
    let abroad = Stage { cluster, space, standin };
    abroad.apply(ROLE).await;
    abroad.apply(&DATABASE.replace("owner: seeds", "owner: app")).await;
    let events = abroad.api("Event").await;
    for kind in ["Database", "DatabaseRole"] {
        eventually(format!("the refusal of a {kind}"), || async {
            let events = events.list(&ListParams::default()).await.unwrap();
            let regards = |event: &serde_json::Value| {
                event["regarding"]["kind"] == kind && event["reason"] == "ClusterNotFound"
            };
            events.items.iter().any(|event| regards(&event.data)).then_some(())
        })
        .await;
        let object = abroad.until(kind, "seeds", |_| true).await;
        assert!(object.data["status"].is_null(), "{:?}", object.data);
        // Nothing holds what was never begun.
        abroad.delete(kind, "seeds").await;
        abroad.gone(kind, "seeds").await;
    }
    assert_eq!(stage.databases().await, ["app"]);
    assert_eq!(stage.roles().await, ["app"]);
}

#[tokio::test]
async fn a_database_and_a_role_to_be_deleted_go_with_their_objects() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("deleted").await;
    stage.delete("Database", "seeds").await;
    stage.gone("Database", "seeds").await;
    assert_eq!(stage.databases().await, ["app"]);
    stage.delete("DatabaseRole", "seeds").await;
    stage.gone("DatabaseRole", "seeds").await;
    assert_eq!(stage.roles().await, ["app"]);
}

#[tokio::test]
async fn a_database_and_a_role_to_be_retained_outlive_their_objects() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("retained").await;
    stage.apply(&DATABASE.replace("delete}", "retain}")).await;
    stage.apply(&ROLE.replace("Policy: delete", "Policy: retain")).await;
    stage.sql("seeds", "create table kept (id int)").await;
    for kind in ["Database", "DatabaseRole"] {
        stage.delete(kind, "seeds").await;
        stage.gone(kind, "seeds").await;
    }
    assert_eq!(stage.databases().await, ["app", "seeds"]);
    assert_eq!(stage.roles().await, ["app", "seeds"]);
    assert_eq!(stage.sql("seeds", "select count(*) from kept").await, "0");
}

#[tokio::test]
async fn a_role_that_owns_something_stays_terminating_until_it_owns_nothing() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("owns").await;
    stage.delete("DatabaseRole", "seeds").await;
    let staying = stage.until("DatabaseRole", "seeds", refused).await;
    assert!(staying.metadata.deletion_timestamp.is_some());
    let message = staying.data["status"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("cannot be dropped because some objects depend on it"), "{message}");
    assert_eq!(stage.roles().await, ["app", "seeds"]);
    stage.delete("Database", "seeds").await;
    stage.gone("DatabaseRole", "seeds").await;
    assert_eq!(stage.roles().await, ["app"]);
}

#[tokio::test]
async fn a_database_that_somebody_uses_stays_until_they_leave() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("used").await;
    let password = "it's a secret";
    let address = stage.standin.address(stage.namespace(), "pg").await.unwrap();
    let mut psql = tokio::process::Command::new("psql");
    psql.args(["-X", "-w", "-c", "select pg_sleep(3600)"]).env("PGHOST", address.ip().to_string());
    psql.env("PGUSER", "seeds").env("PGPASSWORD", password).env("PGDATABASE", "seeds").kill_on_drop(true);
    let mut user =
        psql.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let connected = "select count(*) from pg_stat_activity where datname = 'seeds'";
    eventually("somebody uses it", || async {
        (stage.sql("postgres", connected).await == "1").then_some(())
    })
    .await;
    stage.delete("Database", "seeds").await;
    let staying = stage.until("Database", "seeds", refused).await;
    assert!(staying.data["status"]["message"].as_str().unwrap().contains("being accessed by other users"));
    // The server looks for a client that is gone only when it writes to it.
    stage
        .sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'seeds'")
        .await;
    user.wait().await.unwrap();
    stage.gone("Database", "seeds").await;
}

#[tokio::test]
async fn an_object_that_never_reconciled_does_not_own_the_database() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("claimed").await;
    stage.apply(&DATABASE.replace("metadata: {name: seeds}", "metadata: {name: thief}")).await;
    let thief = stage.until("Database", "thief", refused).await;
    let message = thief.data["status"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("already managed by Database object \"seeds\""), "{message}");
    stage.delete("Database", "thief").await;
    stage.gone("Database", "thief").await;
    assert_eq!(stage.databases().await, ["app", "seeds"]);
}

#[tokio::test]
async fn a_role_needs_its_secret_and_its_own_name_in_it() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("secret").await;
    stage.apply(CLUSTER).await;
    stage.apply(ROLE).await;
    let missing = stage.until("DatabaseRole", "seeds", refused).await;
    assert!(missing.data["status"]["message"].as_str().unwrap().contains("not found"));
    stage.apply(&SECRET.replace("username: seeds", "username: other")).await;
    let wrong = |data: &serde_json::Value| {
        data["status"]["message"].as_str().unwrap_or_default().contains("username")
    };
    stage.until("DatabaseRole", "seeds", wrong).await;
    stage.apply(SECRET).await;
    stage.until("DatabaseRole", "seeds", applied).await;
}

#[tokio::test]
async fn hostile_names_and_passwords_are_only_ever_names_and_passwords() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("hostile").await;
    stage.apply(CLUSTER).await;
    let name = r#"x"; drop role app; -- '\' $(id)"#;
    let password = r#"'; drop role app; -- \' "#;
    let quoted = serde_json::to_string(name).unwrap();
    stage
        .apply(&SECRET.replace("username: seeds", &format!("username: {quoted}")).replace(
            "password: PASSWORD",
            &format!("password: {}", serde_json::to_string(password).unwrap()),
        ))
        .await;
    stage.apply(&ROLE.replace("  name: seeds", &format!("  name: {quoted}"))).await;
    stage
        .apply(&DATABASE.replace(" name: seeds, owner: seeds", &format!(" name: {quoted}, owner: {quoted}")))
        .await;
    stage.until("Database", "seeds", applied).await;
    assert_eq!(stage.roles().await, ["app", name]);
    assert!(stage.lets_in(name, password, name).await);
}

#[tokio::test]
async fn cloudnative_pg_is_missing_or_fails_or_is_slow_as_told_and_then_does_its_work() {
    part!(Kubernetes, Postgres);
    let stage = Stage::new("moods").await;
    stage.standin.cloudnative_pg(Mood::Missing);
    stage.apply(CLUSTER).await;
    stage.apply(&DATABASE.replace("owner: seeds", "owner: app")).await;
    stage.standin.cloudnative_pg(Mood::Failing("no room left".into()));
    let failed = stage.until("Database", "seeds", refused).await;
    assert_eq!(failed.data["status"]["message"], "no room left");
    let failed = stage.until("Cluster", "pg", |data| data["status"]["phaseReason"] == "no room left").await;
    assert!(!super::condition(&failed.data, "Ready", "True"));
    stage.standin.cloudnative_pg(Mood::Slow(Duration::from_secs(3600)));
    stage.until("Database", "seeds", refused).await;
    assert!(stage.standin.processes().await.is_empty());
    stage.standin.cloudnative_pg(Mood::Slow(Duration::from_millis(100)));
    stage.until("Database", "seeds", applied).await;
}

#[tokio::test]
async fn cloudnative_pg_can_pretend() {
    part!(Kubernetes);
    let stage = Stage::new("pretends").await;
    stage.standin.cloudnative_pg(Mood::Pretending);
    stage.apply(CLUSTER).await;
    stage.apply(ROLE).await;
    stage.apply(DATABASE).await;
    stage.until("Cluster", "pg", |data| super::condition(data, "Ready", "True")).await;
    for kind in ["Database", "DatabaseRole"] {
        stage.until(kind, "seeds", applied).await;
        stage.delete(kind, "seeds").await;
        stage.gone(kind, "seeds").await;
    }
    assert!(stage.standin.processes().await.is_empty());
}

#[tokio::test]
async fn the_stand_in_goes_on_after_the_api_server_was_away() {
    part!(Kubernetes, Postgres);
    let mut cluster = Cluster::start().await.unwrap();
    cluster.install(Kinds::CLOUDNATIVE_PG).await.unwrap();
    let standin = Standin::start(&cluster, &["default"]).await.unwrap();
    cluster.apply(CLUSTER, Some("default")).await.unwrap();
    eventually("PostgreSQL runs", || async { standin.address("default", "pg").await }).await;
    cluster.kill_api().unwrap();
    cluster.start_api().await.unwrap();
    cluster.apply(&DATABASE.replace("owner: seeds", "owner: app"), Some("default")).await.unwrap();
    eventually("the database is made", || async {
        (standin.databases("default", "pg").await.unwrap() == ["app", "seeds"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_cluster_takes_its_postgresql_and_its_children_along_and_holds_nobody() {
    part!(Kubernetes, Postgres);
    let stage = Stage::with_database("ended").await;
    let processes = stage.standin.processes().await;
    assert_eq!(processes.len(), 1);
    stage.delete("Cluster", "pg").await;
    for (kind, name) in [("Service", "pg-rw"), ("Secret", "pg-app"), ("Secret", "pg-superuser")] {
        stage.gone(kind, name).await;
    }
    eventually("PostgreSQL ends", || async { (!super::plane::runs(processes[0])).then_some(()) }).await;
    for kind in ["Database", "DatabaseRole"] {
        stage.delete(kind, "seeds").await;
        stage.gone(kind, "seeds").await;
    }
}

#[tokio::test]
async fn nothing_runs_any_more_once_the_stand_in_is_dropped() {
    part!(Kubernetes, Postgres);
    let Stage { cluster: _, space, standin } = Stage::with_database("dropped").await;
    let address = standin.address(space.name(), "pg").await.unwrap();
    let processes = standin.processes().await;
    assert!(super::plane::runs(processes[0]));
    drop(standin);
    assert!(!super::plane::runs(processes[0]));
    assert!(address.ip().is_loopback() || !super::plane::is_ours(&address.ip().to_string()));
}
