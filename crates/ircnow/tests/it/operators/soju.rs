//! A bouncer on soju, from its resource to a line said on a network.

use serde_json::{Value, json};
use testkit::irc::Client;
use testkit::networks;

use super::world::{World, ended, holds, image, until};

const KIND: &str = "SojuBouncer";

/// A bouncer with one user, who is on one network.
fn bouncer(world: &World, upstream: u16, more: &Value) -> Value {
    let mut spec = json!({
        "hostname": world.host(),
        "auth": { "method": "Internal" },
        "expose": { "irc": "ClusterIP", "web": "None" },
        "motd": "the first words",
        "users": [{
            "username": "alice",
            "password": { "name": "alice", "key": "password" },
            "networks": [{
                "name": "home",
                "address": format!("irc+insecure://host.testkit:{upstream}"),
                "channels": [{ "name": "#pods" }],
            }],
        }],
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

/// Alice's client, on the network through the bouncer.
async fn alice(world: &World) -> Client {
    let mut alice = world.connect().await;
    alice.register_sasl("alice/home", "correct horse", "").await.unwrap();
    alice.wait_for("JOIN #pods").await.unwrap();
    alice
}

/// What soju itself greets with: who chose no network gets its message of the day.
async fn greeting(world: &World) -> String {
    let mut alice = world.connect().await;
    alice.register_sasl("alice", "correct horse", "").await.unwrap();
    alice
        .wait_where("the end of the greeting", |line| line.contains(" 376 ") || line.contains(" 422 "))
        .await
        .unwrap();
    alice.seen.join("\n")
}

async fn talk(alice: &mut Client, bob: &mut Client, word: &str) {
    alice.send(&format!("PRIVMSG #pods :{word} from alice")).await.unwrap();
    bob.wait_for(&format!("PRIVMSG #pods :{word} from alice")).await.unwrap();
    bob.send(&format!("PRIVMSG #pods :{word} from bob")).await.unwrap();
    alice.wait_for(&format!("PRIVMSG #pods :{word} from bob")).await.unwrap();
}

async fn a_bouncer_lives(prefix: &str, more: Value, deleted: bool) {
    let Some(world) = World::new(prefix).await else { return };
    let upstream = networks::inspircd().unwrap();
    world.all.node.expose(upstream.port()).await.unwrap();
    world.secret("alice", json!({ "password": "correct horse" })).await;
    let before = world.objects().await;
    world.make(KIND, "home", &bouncer(&world, upstream.port(), &more)).await;
    let status = world.ready(KIND, "home").await;
    let database = status["database"]["name"].as_str();
    if let Some(name) = database {
        assert!(world.databases().await.iter().any(|there| there == name));
    }

    let mut bob = Client::connect(upstream.port()).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #pods").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    let mut first = alice(&world).await;
    talk(&mut first, &mut bob, "hello").await;
    let greeted = greeting(&world).await;
    assert!(greeted.contains("the first words"), "{greeted}");

    // The message of the day is read by the running soju: the same Pod, the same connection.
    let pod = world.pod().await;
    world.change(KIND, "home", json!({ "motd": "other words" })).await;
    world
        .until(KIND, "home", "has read its configuration", |status| holds(status, "ConfigApplied", "True"))
        .await;
    until("soju greets with the other words", || async {
        let greeted = greeting(&world).await;
        if greeted.contains("other words") { Ok(()) } else { Err(greeted) }
    })
    .await;
    assert_eq!(world.pod().await, pod);
    talk(&mut first, &mut bob, "still here").await;

    // Another port needs another process, which has the same users.
    world.change(KIND, "home", json!({ "ident": true })).await;
    ended(&mut first).await;
    world.ready(KIND, "home").await;
    assert_ne!(world.pod().await.1, pod.1);
    let mut first = alice(&world).await;
    talk(&mut first, &mut bob, "again").await;

    // A bouncer that is suspended has no connection to anybody.
    world.change(KIND, "home", json!({ "suspend": true })).await;
    ended(&mut first).await;
    bob.wait_for("QUIT").await.unwrap();
    world.until(KIND, "home", "is suspended", |status| holds(status, "Suspended", "True")).await;
    let address = std::net::SocketAddr::from((pod.2, 6697));
    assert!(Client::connect_tls_to(address).await.is_err());
    world.change(KIND, "home", json!({ "suspend": false })).await;
    world.ready(KIND, "home").await;
    talk(&mut alice(&world).await, &mut bob, "once more").await;

    let volume = world.objects().await.into_iter().find(|object| object.contains("PersistentVolumeClaim"));
    world.delete(KIND, "home").await;
    bob.wait_for("QUIT").await.unwrap();
    // What is retained is the volume, and the certificate that cert-manager made.
    let volume = volume.and_then(|object| Some(object.split_once(": ")?.1.to_owned()));
    let kept = volume.filter(|_| !deleted).map(|volume| vec![volume, "Secret home-tls".to_owned()]);
    world.only(&before, &kept.unwrap_or_default()).await;
    if let Some(name) = database {
        assert!(!world.databases().await.iter().any(|there| there == name));
    }
}

#[tokio::test]
async fn a_bouncer_on_the_newest_soju_carries_lines_reloads_stands_still_and_goes() {
    let more = json!({ "database": { "engine": "Postgres" }, "deletionPolicy": "Delete" });
    a_bouncer_lives("bouncer", more, true).await;
}

#[tokio::test]
async fn a_bouncer_on_soju_0_9_does_the_same_and_leaves_its_volume_where_that_is_asked_for() {
    let more = json!({ "image": image("soju-0.9"), "version": "0.9.0", "deletionPolicy": "Retain" });
    a_bouncer_lives("older-bouncer", more, false).await;
}
