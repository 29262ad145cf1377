//! A network whose history is in PostgreSQL. Debian's Ergo is built without SQL history: so what it is told is used here in
//! its place, and it says itself what it lacks.

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use service::db::sqlx;

use super::world::{World, holds, until};

const KIND: &str = "ErgoNetwork";

/// Ergo's configuration, as it stands in the Secret.
async fn told(world: &World) -> Value {
    let secret = world.object("", "Secret", "rows-config").await;
    let text: ByteString = serde_json::from_value(secret["data"]["ircd.yaml"].clone()).unwrap();
    serde_saphyr::from_str(std::str::from_utf8(&text.0).unwrap()).unwrap()
}

#[tokio::test]
async fn a_network_with_its_history_in_postgresql_is_told_of_rows_that_are_its_own() {
    let Some(world) = World::new("rows").await else { return };
    let before = world.objects().await;
    let spec = json!({
        "networkName": "RowNet",
        "hostname": world.host(),
        "version": "2.18.0",
        "auth": { "gatekeeper": false },
        "history": { "backend": "Postgres" },
        "expose": { "irc": "ClusterIP", "web": "None" },
        "deletionPolicy": "Delete",
    });
    world.make(KIND, "rows", &spec).await;
    let status =
        world.until(KIND, "rows", "has its rows", |status| holds(status, "DatabaseReady", "True")).await;
    let name = status["database"]["name"].as_str().unwrap();
    assert!(world.databases().await.iter().any(|there| there == name));

    // Host, name and password are those of a database it can make tables in, and of no other.
    let config = told(&world).await;
    let section = &config["datastore"]["postgresql"];
    let field = |name: &str| section[name].as_str().unwrap();
    assert_eq!((field("host"), field("history-database")), ("pg-rw.postgres.svc", name));
    assert_eq!(config["datastore"]["sqlite"], Value::Null);
    assert_eq!(config["history"]["persistent"]["enabled"], true);
    sqlx::any::install_default_drivers();
    let (user, password, at) = (field("user"), field("password"), world.rows().await);
    let url = |database: &str| {
        format!("postgres://{user}:{password}@{at}/{database}?sslmode={}", field("ssl-mode"))
    };
    let own = sqlx::AnyPool::connect(&url(name)).await.unwrap();
    sqlx::query("CREATE TABLE history (id BIGINT)").execute(&own).await.unwrap();
    own.close().await;
    let others = sqlx::AnyPool::connect(&url("app")).await.unwrap();
    let refused = sqlx::query("CREATE TABLE history (id BIGINT)").execute(&others).await;
    assert!(refused.is_err(), "another database is nobody's business");
    others.close().await;

    // Its Pod is made after its rows, and says why this build of Ergo does not start.
    until("Ergo says what it lacks", || async {
        let pods = world.pods().await;
        let Some(pod) = pods.first().and_then(|pod| pod.metadata.name.as_deref()) else {
            return Err("there is no Pod".to_owned());
        };
        let log = world.all.node.logs(world.namespace(), pod, "ergo");
        if log.contains("not built with PostgreSQL support") { Ok(()) } else { Err(log) }
    })
    .await;
    let crashing = |status: &Value| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.any(|is| is["type"] == "Available" && is["status"] == "False")
    };
    world.until(KIND, "rows", "says that it does not run", crashing).await;

    world.delete(KIND, "rows").await;
    world.only(&before, &[]).await;
    assert!(!world.databases().await.iter().any(|there| there == name), "its rows went with it");
}
