//! Customers' servers: each asks with a secret of its own, and only about who may use it.

use std::sync::Arc;

use contracts::http::{AccountsClient, Client};
use contracts::{
    Accounts, Call, CallError, ChangeKind, IrcServer, IrcServers, SaslAnswer, SaslPeer, SaslStep,
    ServerAccess, ServerId, Status,
};
use futures_util::StreamExt as _;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::on_both_engines;
use crate::provider::tokens;
use crate::world::{CLIENT_SECRET, World};

const BOUNCER: &str = "bouncer-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11";
const OTHER: &str = "bouncer-00000000-33cb-4a5e-9b2f-3d0a9d3b8a11";
const NETWORK: &str = "network-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11";

/// As the operators derive it.
fn derived(id: &str) -> String {
    let kind = id.split('-').next().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("ircnow {kind} client {id}").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn post(world: &World, path: &str, id: &str, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = world.http.post(&world.sites.auth.url(path)).unwrap();
    let answer = request.basic_auth(id, Some(secret)).form(form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What a server is told of a token.
async fn told(world: &World, id: &str, token: &str) -> Value {
    let (status, worth) = post(world, "/introspect", id, &derived(id), &[("token", token)]).await;
    assert_eq!(status, 200, "{worth}");
    worth
}

async fn is_in(world: &World, id: &str, token: &str) -> bool {
    told(world, id, token).await["active"] == true
}

async fn put(world: &World, owner: &str, id: &str, access: ServerAccess, members: &[&str]) {
    let members = members.iter().map(|name| (*name).to_owned()).collect();
    let server = IrcServer { id: id.parse().unwrap(), access, members };
    world.gate.put_irc_server(&world.call(owner).await, server).await.unwrap();
}

async fn a_bouncer_is_told_of_its_owner_alone(world: World) {
    let mut alices = world.signed_up("alice").await;
    let mut mallorys = world.signed_up("mallory").await;
    let alice = world.app_password("alice").await.secret;
    let mallory = world.app_password("mallory").await.secret;
    assert_eq!(told(&world, BOUNCER, &alice).await, json!({ "active": false }), "nobody said whose it is");

    put(&world, "alice", BOUNCER, ServerAccess::Owner, &[]).await;
    let worth = told(&world, BOUNCER, &alice).await;
    assert_eq!((&worth["active"], &worth["username"]), (&Value::from(true), &Value::from("alice")));
    assert_eq!(told(&world, BOUNCER, &mallory).await, json!({ "active": false }));
    let access = |tokens: Value| tokens["access_token"].as_str().unwrap().to_owned();
    assert!(is_in(&world, BOUNCER, &access(tokens(&world, &mut alices).await)).await);
    assert!(!is_in(&world, BOUNCER, &access(tokens(&world, &mut mallorys).await)).await);
    assert!(!is_in(&world, OTHER, &alice).await, "another bouncer is another one's");
    assert!(!is_in(&world, NETWORK, &alice).await, "a network of the same UID is another server");

    world.gate.admin().suspend("alice", "").await.unwrap();
    assert_eq!(told(&world, BOUNCER, &alice).await, json!({ "active": false }));
    // What is known may be said again, so that it can be emptied while its owner is suspended; nothing new may be.
    put(&world, "alice", BOUNCER, ServerAccess::Owner, &[]).await;
    assert_eq!(told(&world, BOUNCER, &alice).await, json!({ "active": false }));
    let call = world.call("alice").await;
    for (id, access) in [(BOUNCER, ServerAccess::Accounts), (OTHER, ServerAccess::Owner)] {
        let server = IrcServer { id: id.parse().unwrap(), access, members: Vec::new() };
        let refused = world.gate.put_irc_server(&call, server).await;
        assert!(matches!(refused, Err(CallError::Forbidden { .. })), "{refused:?}");
    }
    world.gate.admin().resume("alice").await.unwrap();
    assert!(is_in(&world, BOUNCER, &alice).await);

    let call = world.call("alice").await;
    world.gate.drop_irc_server(&call, BOUNCER.parse().unwrap()).await.unwrap();
    assert!(!is_in(&world, BOUNCER, &alice).await, "what is forgotten lets nobody in");
}

async fn a_network_is_told_of_its_members_or_of_everybody(world: World) {
    let mut passwords = Vec::new();
    for name in ["alice", "bob", "carol"] {
        world.signed_up(name).await;
        passwords.push(world.app_password(name).await.secret);
    }
    for (access, members, expected) in [
        (ServerAccess::Owner, &["bob"][..], [true, false, false]),
        (ServerAccess::Members, &["bob"][..], [true, true, false]),
        (ServerAccess::Members, &["carol"][..], [true, false, true]),
        (ServerAccess::Accounts, &[][..], [true, true, true]),
    ] {
        put(&world, "alice", NETWORK, access, members).await;
        for (password, expected) in passwords.iter().zip(expected) {
            assert_eq!(is_in(&world, NETWORK, password).await, expected, "{access:?} {members:?}");
        }
    }
    world.gate.admin().suspend("bob", "").await.unwrap();
    assert!(!is_in(&world, NETWORK, &passwords[1]).await);
    assert!(is_in(&world, NETWORK, &passwords[2]).await);
}

async fn nobody_asks_with_a_name_or_a_secret_that_is_not_theirs(world: World) {
    world.signed_up("alice").await;
    let alice = world.app_password("alice").await.secret;
    put(&world, "alice", BOUNCER, ServerAccess::Owner, &[]).await;
    let upper = BOUNCER.to_uppercase();
    let right = derived(BOUNCER);
    for (id, secret) in [
        (BOUNCER, ""),
        (BOUNCER, "wrong"),
        (BOUNCER, &derived(OTHER)),
        (BOUNCER, &derived(NETWORK)),
        (BOUNCER, &right.to_uppercase()),
        (BOUNCER, &right[..63]),
        (BOUNCER, CLIENT_SECRET),
        (NETWORK, &right),
        ("bouncer-", &right),
        ("bouncer", &derived("bouncer")),
        ("bouncer-*", &derived("bouncer-*")),
        ("bouncer-%", &derived("bouncer-%")),
        ("bouncer-' OR 1=1 --", &derived("bouncer-' OR 1=1 --")),
        (upper.as_str(), &right),
        ("bouncer-5a0dd2a433cb4a5e9b2f3d0a9d3b8a11", &derived("bouncer-5a0dd2a433cb4a5e9b2f3d0a9d3b8a11")),
        (
            "portal-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11",
            &derived("portal-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11"),
        ),
    ] {
        let (status, body) = post(&world, "/introspect", id, secret, &[("token", &alice)]).await;
        assert_eq!((status, &body["error"]), (401, &Value::from("invalid_client")), "{id} {secret}");
    }
    // Tokens of users are for our own sites.
    for grant in ["authorization_code", "refresh_token", "password"] {
        let form = [("grant_type", grant), ("code", "x"), ("refresh_token", "x")];
        assert_eq!(post(&world, "/token", BOUNCER, &right, &form).await.0, 400, "{grant}");
    }
    for audience in ["gatekeeper", "bouncer", "portal", OTHER] {
        let form = [("grant_type", "client_credentials"), ("audience", audience)];
        assert_eq!(post(&world, "/token", BOUNCER, &right, &form).await.0, 400, "{audience}");
    }
    let form = [("grant_type", "client_credentials"), ("audience", gatekeeper::DEDICATED_AUDIENCE)];
    assert_eq!(post(&world, "/token", NETWORK, &derived(NETWORK), &form).await.0, 400);
    assert_eq!(post(&world, "/token", OTHER, &derived(OTHER), &form).await.0, 400, "nobody's");
}

async fn the_contract_is_the_same_in_process_and_over_http(world: World) {
    for name in ["alice", "bob"] {
        world.signed_up(name).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let served = world.gate.internal();
    tokio::spawn(async move { axum::serve(listener, served).await });
    let bearer = world.gate.bearer("portal");
    let over_http = AccountsClient::new(Client::new(world.http.raw().clone(), base, "gatekeeper", bearer));
    let (alice, bob) = (world.call("alice").await, world.call("bob").await);
    for (id, servers) in
        [(BOUNCER, world.gate.irc_servers()), (OTHER, Arc::new(over_http) as Arc<dyn IrcServers>)]
    {
        let id: ServerId = id.parse().unwrap();
        let server = |access, members: &[&str]| IrcServer {
            id,
            access,
            members: members.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(servers.irc_servers(&alice).await, Ok(vec![]));
        for said in [server(ServerAccess::Members, &["bob"]), server(ServerAccess::Owner, &[])] {
            servers.put_irc_server(&alice, said.clone()).await.unwrap();
            servers.put_irc_server(&alice, said.clone()).await.unwrap();
            assert_eq!(servers.irc_servers(&alice).await, Ok(vec![said]));
        }
        let taken = servers.put_irc_server(&bob, server(ServerAccess::Owner, &[])).await;
        assert!(matches!(taken, Err(CallError::Conflict { .. })), "{taken:?}");
        let nobody = servers.put_irc_server(&alice, server(ServerAccess::Members, &["nobody"])).await;
        assert!(matches!(&nobody, Err(CallError::Invalid { field, .. }) if field == "members"), "{nobody:?}");
        servers.drop_irc_server(&bob, id).await.unwrap();
        assert_eq!(servers.irc_servers(&alice).await.unwrap().len(), 1, "it is not bob's to forget");
        servers.drop_irc_server(&alice, id).await.unwrap();
        servers.drop_irc_server(&alice, id).await.unwrap();
        assert_eq!(servers.irc_servers(&alice).await, Ok(vec![]));
    }
}

/// What a dedicated bouncer of the engine `Ircnow` shows.
struct Derived {
    http: service::http::HttpClient,
    url: String,
    id: &'static str,
}

#[async_trait::async_trait]
impl contracts::http::Bearer for Derived {
    async fn bearer(&self, audience: &str) -> contracts::CallResult<String> {
        let form = [("grant_type", "client_credentials"), ("audience", audience)];
        let request = self.http.post(&self.url).unwrap().basic_auth(self.id, Some(derived(self.id)));
        let answer: Value = request.form(&form).send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str().map(str::to_owned);
        token.ok_or_else(|| CallError::Forbidden { reason: answer.to_string() })
    }
}

fn plain(user: &str, password: &str) -> SaslStep {
    SaslStep {
        mechanism: "PLAIN".to_owned(),
        continuation: None,
        payload: format!("\0{user}\0{password}").into_bytes(),
        peer: SaslPeer { address: [192, 0, 2, 1].into(), tls: true, certificate: None },
    }
}

async fn a_dedicated_bouncer_learns_of_its_account_and_no_other(world: World) {
    for name in ["alice", "mallory"] {
        world.signed_up(name).await;
    }
    let (alice, mallory) = (world.call("alice").await, world.call("mallory").await);
    let passwords = [world.app_password("alice").await, world.app_password("mallory").await];
    put(&world, "alice", BOUNCER, ServerAccess::Owner, &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/dedicated/", listener.local_addr().unwrap()).parse().unwrap();
    let served = world.gate.site().into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, served).await });
    let client = |bearer| Client::new(world.http.raw().clone(), base, gatekeeper::DEDICATED_AUDIENCE, bearer);
    let url = world.sites.auth.url("/token");
    let accounts =
        AccountsClient::new(client(Arc::new(Derived { http: world.http.clone(), url, id: BOUNCER })));

    assert_eq!(accounts.account(&alice).await.unwrap().username, "alice");
    assert_eq!(accounts.account(&mallory).await, Err(CallError::not_found("account")));
    let came = accounts.sasl(plain("alice", &passwords[0].secret)).await.unwrap();
    assert!(matches!(came, SaslAnswer::Success { login } if login.account.username == "alice"));
    let refused = accounts.sasl(plain("mallory", &passwords[1].secret)).await.unwrap();
    assert!(
        matches!(&refused, SaslAnswer::Refused { text } if text.contains("another account")),
        "{refused:?}"
    );
    for forbidden in [
        accounts.delete_account(&alice.clone().changing()).await,
        accounts.credentials(&alice).await.map(drop),
        accounts.revoke_credential(&alice, passwords[0].credential.id).await,
        accounts.create_app_password(&alice, "x".to_owned(), Vec::new()).await.map(drop),
        accounts
            .put_irc_server(
                &alice,
                IrcServer { id: OTHER.parse().unwrap(), access: ServerAccess::Owner, members: Vec::new() },
            )
            .await,
    ] {
        assert!(forbidden.is_err(), "{forbidden:?}");
    }

    let head = accounts.feed_cursor().await.unwrap();
    let mut changes = accounts.changes(Some(head)).await.unwrap();
    let first = changes.next().await.unwrap();
    assert!(matches!(&first.what, ChangeKind::Account { account } if account.username == "alice"));
    assert!(first.cursor >= head, "who reads this has caught up");
    world.gate.admin().suspend("mallory", "").await.unwrap();
    world.gate.admin().suspend("alice", "").await.unwrap();
    loop {
        let change = changes.next().await.unwrap();
        let ChangeKind::Account { account } = change.what else { continue };
        assert_eq!(account.username, "alice", "other accounts are nothing it hears of");
        if account.status == Status::Suspended {
            break;
        }
    }
    // Its token is still good; it is worth nothing once the bouncer is forgotten.
    world.gate.admin().drop_server("alice", BOUNCER.parse().unwrap()).await.unwrap();
    assert!(accounts.account(&alice).await.is_err());
    let own: Call = world.call("alice").await;
    assert!(world.gate.account(&own).await.is_ok());
}

#[tokio::test]
async fn what_customers_may_call_takes_no_token_of_anybody_else() {
    let world = World::on_sqlite().await;
    let mut browser = world.signed_up("alice").await;
    let user = tokens(&world, &mut browser).await["access_token"].as_str().unwrap().to_owned();
    let service = world.gate.service_token("portal", "gatekeeper").unwrap();
    let posing = world.gate.service_token("portal", gatekeeper::DEDICATED_AUDIENCE).unwrap();
    for token in ["", "x", &user, &service, &posing] {
        for call in ["accounts/account", "accounts/sasl", "accounts/changes", "irc_servers/list", "nothing"] {
            let url = world.sites.auth.url(&format!("/dedicated/internal/{call}"));
            let answer =
                world.http.post(&url).unwrap().bearer_auth(token).json(&json!({})).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 401, "{call}");
        }
    }
}

#[tokio::test]
async fn what_is_derived_from_another_secret_opens_nothing() {
    let world = World::on_sqlite().await;
    world.signed_up("alice").await;
    let alice = world.app_password("alice").await.secret;
    put(&world, "alice", BOUNCER, ServerAccess::Owner, &[]).await;
    let other = crate::world::Wishes::default().set("client_secret", "another one");
    let world = world.again(other).await;
    let (status, _) = post(&world, "/introspect", BOUNCER, &derived(BOUNCER), &[("token", &alice)]).await;
    assert_eq!(status, 401);
}

/// More at once than the store has connections: each waits for its turn, and none holds what another waits for.
async fn many_servers_are_told_of_at_the_same_moment(world: World) {
    world.signed_up("alice").await;
    let call = world.call("alice").await;
    let puts = (0..32).map(|number| {
        let id = format!("bouncer-{number:08x}-33cb-4a5e-9b2f-3d0a9d3b8a11").parse().unwrap();
        let members = vec!["alice".to_owned()];
        world.gate.put_irc_server(&call, IrcServer { id, access: ServerAccess::Members, members })
    });
    for put in futures_util::future::join_all(puts).await {
        put.unwrap();
    }
    assert_eq!(IrcServers::irc_servers(&world.gate, &call).await.unwrap().len(), 32);
}

on_both_engines!(
    many_servers_are_told_of_at_the_same_moment,
    a_bouncer_is_told_of_its_owner_alone,
    a_network_is_told_of_its_members_or_of_everybody,
    nobody_asks_with_a_name_or_a_secret_that_is_not_theirs,
    the_contract_is_the_same_in_process_and_over_http,
    a_dedicated_bouncer_learns_of_its_account_and_no_other,
);
