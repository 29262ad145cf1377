//! A bouncer of one's own on the engine `Ircnow`: gatekeeper says who comes in.

use serde_json::{Value, json};
use testkit::irc::Client;
use testkit::networks;

use super::world::{World, ended, gatekeeper_port, gatekeeper_turn, holds, until};
use crate::account::Account;
use crate::installation::{Installation, Layout};

const KIND: &str = "SojuBouncer";

/// Logs in, and gives the client or the words of the refusal.
async fn log_in(world: &World, login: &str, password: &str) -> Result<Client, String> {
    let mut client = world.connect().await;
    match client.register_sasl(login, password, "soju.im/bouncer-networks").await {
        Ok(()) => Ok(client),
        Err(error) => Err(format!("{error:#}\n{}", client.seen.join("\n"))),
    }
}

async fn talk(owner: &mut Client, bob: &mut Client, word: &str) {
    // What was said before the network has taken the channel would be lost.
    owner.wait_for(" 366 ").await.unwrap();
    owner.send(&format!("PRIVMSG #own :{word} from the owner")).await.unwrap();
    bob.wait_for(&format!("{word} from the owner")).await.unwrap();
    bob.send(&format!("PRIVMSG #own :{word} from bob")).await.unwrap();
    owner.wait_for(&format!("{word} from bob")).await.unwrap();
}

#[tokio::test]
async fn a_bouncer_of_ones_own_lets_in_its_owner_keeps_their_network_and_knows_nobody_else() {
    let Some(world) = World::new("own").await else { return };
    let (_turn, node) = (gatekeeper_turn().await, &world.all.node);
    let port = gatekeeper_port().to_string();
    let environment = [
        ("TEST_HTTP_PORT", port.as_str()),
        ("IRCNOW_GATEKEEPER_CLIENT_SECRET", "for tests"),
        ("IRCNOW_UP_LOCAL_NETWORK", "false"),
    ];
    let at = &Installation::start(Layout::OneProcess, &environment).unwrap();
    let upstream = networks::inspircd().unwrap();
    node.expose(upstream.port()).await.unwrap();
    let owner = Account::sign_up(at, "olga").await.unwrap().app_password("laptop").await.unwrap();
    let other = Account::sign_up(at, "mallory").await.unwrap().app_password("laptop").await.unwrap();
    let shown = at.admin(&["show", "olga"]).unwrap();
    let sub = shown.lines().find_map(|line| line.strip_prefix("id")).unwrap().trim();
    let before = world.objects().await;
    let spec: Value = json!({
        "engine": "Ircnow",
        "hostname": world.host(),
        "owner": { "sub": sub, "username": "olga" },
        "expose": { "irc": "ClusterIP", "web": "None" },
        // The network is a private one, which the bouncer would not connect to otherwise.
        "egress": { "allow": [{ "cidr": format!("{}/32", node.host()), "ports": [upstream.port()] }] },
        "deletionPolicy": "Delete",
    });
    world.make(KIND, "own", &spec).await;
    let id = format!("bouncer-{}", world.uid(KIND, "own").await);
    at.admin(&["server", "olga", &id]).unwrap();
    world.ready(KIND, "own").await;

    let mut desk = until("the owner is let in", || log_in(&world, "olga", &owner)).await;
    let refused = log_in(&world, "mallory", &other).await.err().expect("it is not hers");
    assert!(refused.contains("belongs to another account"), "{refused}");
    assert!(log_in(&world, "olga", &other).await.is_err(), "a password of somebody else");

    let mut bob = Client::connect(upstream.port()).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #own").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    let network = format!("name=home;host={};port={};tls=0;nickname=olga", node.host(), upstream.port());
    desk.send(&format!("BOUNCER ADDNETWORK {network}")).await.unwrap();
    desk.wait_for("BOUNCER ADDNETWORK ").await.unwrap();
    let mut laptop = until("the network is there", || log_in(&world, "olga/home", &owner)).await;
    laptop.send("JOIN #own").await.unwrap();
    talk(&mut laptop, &mut bob, "hello").await;

    // Whoever is suspended is gone at once, and everything is there when they come back.
    at.admin(&["suspend", "olga", "for a test"]).unwrap();
    ended(&mut laptop).await;
    assert!(log_in(&world, "olga/home", &owner).await.is_err());
    at.admin(&["resume", "olga"]).unwrap();
    let mut laptop = until("the owner is back", || log_in(&world, "olga/home", &owner)).await;
    talk(&mut laptop, &mut bob, "again").await;

    // A bouncer that stands still and starts again has what is on its volume.
    world.change(KIND, "own", json!({ "suspend": true })).await;
    ended(&mut laptop).await;
    world.until(KIND, "own", "is suspended", |status| holds(status, "Suspended", "True")).await;
    world.change(KIND, "own", json!({ "suspend": false })).await;
    world.ready(KIND, "own").await;
    let mut laptop = until("it runs again", || log_in(&world, "olga/home", &owner)).await;
    talk(&mut laptop, &mut bob, "once more").await;

    world.delete(KIND, "own").await;
    ended(&mut laptop).await;
    world.only(&before, &[]).await;
}
