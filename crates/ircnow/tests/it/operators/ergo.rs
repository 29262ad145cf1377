//! A network on Ergo, from its resource to a line said on it.

use serde_json::{Value, json};
use testkit::irc::Client;

use super::world::{World, ended, holds, image};

const KIND: &str = "ErgoNetwork";

async fn join(world: &World, nick: &str) -> Client {
    let mut client = world.connect().await;
    client.register(nick).await.unwrap();
    client.send("JOIN #pods").await.unwrap();
    client.wait_for(" 366 ").await.unwrap();
    client
}

async fn talk(alice: &mut Client, bob: &mut Client, word: &str) {
    alice.send(&format!("PRIVMSG #pods :{word} from alice")).await.unwrap();
    bob.wait_for(&format!("PRIVMSG #pods :{word} from alice")).await.unwrap();
    bob.send(&format!("PRIVMSG #pods :{word} from bob")).await.unwrap();
    alice.wait_for(&format!("PRIVMSG #pods :{word} from bob")).await.unwrap();
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap().replacen("$2b$", "$2a$", 1)
}

async fn a_network_lives(prefix: &str, more: Value) {
    let Some(world) = World::new(prefix).await else { return };
    world
        .secret("operators", json!({ "root": hash("correct horse"), "helper": hash("battery staple") }))
        .await;
    let before = world.objects().await;
    let mut spec = json!({
        "networkName": "PodNet",
        "hostname": world.host(),
        "auth": { "gatekeeper": false },
        "history": { "backend": "Memory" },
        "expose": { "irc": "ClusterIP", "web": "None" },
        "motd": "the first words",
        "limits": { "clients": 2, "connectionsPerAddress": 50 },
        "operators": [{ "name": "root", "passwordHash": { "name": "operators", "key": "root" } }],
        "deletionPolicy": "Delete",
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    world.make(KIND, "pods", &spec).await;
    world.ready(KIND, "pods").await;

    let mut alice = join(&world, "alice").await;
    assert!(alice.seen.iter().any(|line| line.contains("the first words")), "{:#?}", alice.seen);
    let mut bob = join(&world, "bob").await;
    talk(&mut alice, &mut bob, "hello").await;
    alice.send("OPER root :correct horse").await.unwrap();
    alice.wait_for(" 381 ").await.unwrap();

    // The running server takes the message of the day and another operator.
    let pod = world.pod().await;
    let helper = json!([{ "name": "helper", "passwordHash": { "name": "operators", "key": "helper" } }]);
    world.change(KIND, "pods", json!({ "motd": "other words", "operators": helper })).await;
    world.until(KIND, "pods", "was read anew", |status| holds(status, "RehashSucceeded", "True")).await;
    bob.send("MOTD").await.unwrap();
    bob.wait_for("other words").await.unwrap();
    bob.send("OPER helper :battery staple").await.unwrap();
    bob.wait_for(" 381 ").await.unwrap();
    alice.send("MODE alice -o").await.unwrap();
    alice.send("OPER root :correct horse").await.unwrap();
    let refused = |line: &str| line.contains(" 491 ") || line.contains(" 464 ");
    alice.wait_where("a refusal", refused).await.unwrap();
    assert_eq!(world.pod().await, pod);
    talk(&mut alice, &mut bob, "still here").await;

    // Another name of the server is nothing a running one takes.
    let name = format!("hub.{}", world.host());
    world.change(KIND, "pods", json!({ "serverName": name })).await;
    ended(&mut alice).await;
    world.ready(KIND, "pods").await;
    assert_ne!(world.pod().await.1, pod.1);
    let mut alice = join(&world, "alice").await;
    assert!(alice.seen.iter().any(|line| line.starts_with(&format!(":{name} 001 "))), "{:#?}", alice.seen);

    world.change(KIND, "pods", json!({ "suspend": true })).await;
    ended(&mut alice).await;
    world.until(KIND, "pods", "is suspended", |status| holds(status, "Suspended", "True")).await;
    let address = std::net::SocketAddr::from((pod.2, 6697));
    assert!(Client::connect_tls_to(address).await.is_err());
    world.change(KIND, "pods", json!({ "suspend": false })).await;
    world.ready(KIND, "pods").await;
    let (mut alice, mut bob) = (join(&world, "alice").await, join(&world, "bob").await);
    talk(&mut alice, &mut bob, "once more").await;

    world.delete(KIND, "pods").await;
    ended(&mut alice).await;
    world.only(&before, &[]).await;
}

#[tokio::test]
async fn a_network_on_the_newest_ergo_carries_lines_reloads_stands_still_and_goes() {
    a_network_lives("network", json!({ "version": "2.18.0" })).await;
}

#[tokio::test]
async fn a_network_on_an_ergo_without_an_api_does_the_same() {
    a_network_lives("older-network", json!({ "image": image("ergo-2.15"), "version": "2.15.0" })).await;
}
