//! What is somebody's is theirs alone, and what was taken away is gone at once (test 8.6).

use testkit::irc::Client;
use testkit::networks;
use testkit::part;

use crate::account::Account;
use crate::installation::{Installation, Layout};

#[tokio::test]
async fn forms_without_a_script_lead_to_a_bouncer_that_takes_the_password() {
    part!(InspIrcd);
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap();
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    alice.add_network("insp", inspircd.port(), "alice").await.unwrap();
    let password = alice.app_password("laptop").await.unwrap();
    let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
    client.register_sasl("alice/insp", &password, "").await.unwrap();
    assert_eq!(alice.credential_ids().await.unwrap().len(), 1);
}
