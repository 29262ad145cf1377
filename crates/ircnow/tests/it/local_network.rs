//! The network an installation brings along, so that a first message needs nobody else.

use testkit::irc::Client;
use testkit::part;

use crate::account::Account;
use crate::installation::Installation;

#[tokio::test]
async fn the_local_network_is_offered_first_and_adopted_after_a_kill() {
    part!(Ergo);
    let mut at = Installation::up().unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let page = alice.get("/networks/new").await.unwrap().text;
    let (local, libera) = (page.find("localnet"), page.find("Libera"));
    assert!(local.is_some() && libera.is_some() && local < libera, "{page}");
    alice.add_network("localnet", at.local_network, "alice").await.unwrap();

    let mut bob = Client::connect(at.local_network).await.unwrap();
    bob.register("bob").await.unwrap();
    at.kill().unwrap();
    at.launch().unwrap();
    bob.send("PRIVMSG bob :still on the same server").await.unwrap();
    bob.wait_for("still on the same server").await.unwrap();
    at.stop().unwrap();
    bob.wait_for_end().await.unwrap();
}
