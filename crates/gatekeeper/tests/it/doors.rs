//! What IRC clients do at a door.

use std::net::IpAddr;

use contracts::{
    Accounts as _, CallError, DoorLogin, SaslAnswer, SaslPeer, SaslStep, Scope, ShownToken, TokenAnswer,
};
use irc::sasl::{OauthBearer, Plain};
use irc::scram::{Client, NONCE_LEN};

use crate::on_both_engines;
use crate::provider::tokens;
use crate::world::{PASSWORD, World};

fn peer() -> SaslPeer {
    SaslPeer { address: IpAddr::from([192, 0, 2, 7]), tls: true, certificate: None }
}

async fn step(
    world: &World,
    mechanism: &str,
    continuation: Option<Vec<u8>>,
    payload: &[u8],
    peer: SaslPeer,
) -> Result<SaslAnswer, CallError> {
    let step = SaslStep { mechanism: mechanism.to_owned(), continuation, payload: payload.to_vec(), peer };
    world.gate.sasl(step).await
}

async fn plain(world: &World, name: &str, password: &str) -> SaslAnswer {
    let payload = Plain { authzid: "", authcid: name, password }.to_payload().unwrap();
    step(world, "PLAIN", None, &payload, peer()).await.unwrap()
}

/// The whole of SCRAM, as a client does it.
async fn scram(world: &World, name: &str, password: &str) -> SaslAnswer {
    let random = service::secrets::random_bytes::<NONCE_LEN>().unwrap();
    let mut client = Client::new(name, password, "", &random);
    let first = step(world, "SCRAM-SHA-256", None, &client.first(), peer()).await.unwrap();
    let SaslAnswer::Challenge { payload, continuation } = first else { return first };
    let last = client.answer(&payload).unwrap();
    let second = step(world, "SCRAM-SHA-256", Some(continuation), &last, peer()).await.unwrap();
    let SaslAnswer::Challenge { payload, continuation } = second else { return second };
    client.verify(&payload).expect("the server knows the password too");
    step(world, "SCRAM-SHA-256", Some(continuation), b"", peer()).await.unwrap()
}

fn success(answer: SaslAnswer) -> DoorLogin {
    match answer {
        SaslAnswer::Success { login } => *login,
        other => panic!("not let in: {other:?}"),
    }
}

fn refusal(answer: SaslAnswer) -> String {
    match answer {
        SaslAnswer::Refused { text } => text,
        other => panic!("not refused: {other:?}"),
    }
}

/// Whether an app password opens the door, whichever way.
pub async fn comes_in(world: &World, name: &str, password: &str) {
    success(plain(world, name, password).await);
    success(scram(world, name, password).await);
}

async fn an_app_password_opens_the_door_by_plain_and_scram(world: World) {
    world.signed_up("alice").await;
    world.app_password("alice").await;
    let made = world.app_password("alice").await;
    for name in ["alice", "Alice/libera@phone", "alice@phone/libera"] {
        let by_plain = success(plain(&world, name, &made.secret).await);
        let by_scram = success(scram(&world, name, &made.secret).await);
        assert_eq!(by_plain, by_scram);
        assert_eq!(by_plain.credential, made.credential.id);
        assert_eq!(by_plain.account.username, "alice");
        assert_eq!(by_plain.network.as_deref(), name.contains('/').then_some("libera"));
    }
    let bare = made.secret.replace('-', "").to_uppercase();
    success(plain(&world, "alice", &bare).await);
    let call = world.call("alice").await;
    let listed = world.gate.credentials(&call).await.unwrap();
    let used = listed.iter().find(|credential| credential.id == made.credential.id).unwrap();
    assert!(used.last_used_at.is_some());
    assert_eq!(used.last_used_client.as_deref(), Some("phone"));
}

async fn the_account_password_is_never_taken_and_the_refusal_says_what_to_do(world: World) {
    world.signed_up("alice").await;
    let refused = refusal(plain(&world, "alice", PASSWORD).await);
    assert!(refused.contains("http://my.localhost:8080/passwords"), "{refused}");
    assert_eq!(refused, refusal(plain(&world, "nobody", PASSWORD).await));
    refusal(scram(&world, "alice", PASSWORD).await);
}

async fn a_name_nobody_has_looks_like_one_that_somebody_has(world: World) {
    world.signed_up("alice").await;
    let made = world.app_password("alice").await;
    let wrong = made.secret.replace(made.secret.chars().next().unwrap(), "7");
    assert_eq!(
        refusal(scram(&world, "alice", &wrong).await),
        refusal(scram(&world, "nobody", &made.secret).await),
    );
    let mut salts = Vec::new();
    for (name, nonce) in [("nobody", "a"), ("nobody", "b"), ("alice", "a"), ("alice", "b")] {
        let first = format!("n,,n={name},r={nonce}");
        let answer = step(&world, "SCRAM-SHA-256", None, first.as_bytes(), peer()).await.unwrap();
        let SaslAnswer::Challenge { payload, .. } = answer else { panic!("{answer:?}") };
        let text = String::from_utf8(payload).unwrap();
        salts.push(text.split(',').skip(1).collect::<Vec<_>>().join(","));
    }
    assert_eq!(salts[0], salts[1], "the made-up salt is the same every time");
    assert_eq!(salts[2], salts[3]);
    assert_eq!(salts[0].len(), salts[2].len());
}

async fn a_revoked_password_and_a_suspended_account_stay_outside(world: World) {
    world.signed_up("alice").await;
    let (first, second) = (world.app_password("alice").await, world.app_password("alice").await);
    let call = world.call("alice").await.changing();
    world.gate.revoke_credential(&call, first.credential.id).await.unwrap();
    refusal(plain(&world, "alice", &first.secret).await);
    success(plain(&world, "alice", &second.secret).await);
    world.gate.admin().suspend("alice", "").await.unwrap();
    assert!(refusal(plain(&world, "alice", &second.secret).await).contains("suspended"));
    world.gate.admin().resume("alice").await.unwrap();
    success(scram(&world, "alice", &second.secret).await);
}

async fn another_users_password_does_not_open_my_account(world: World) {
    world.signed_up("alice").await;
    world.signed_up("bob").await;
    let bobs = world.app_password("bob").await;
    refusal(plain(&world, "alice", &bobs.secret).await);
    let payload = Plain { authzid: "alice", authcid: "bob", password: &bobs.secret }.to_payload().unwrap();
    refusal(step(&world, "PLAIN", None, &payload, peer()).await.unwrap());
    let call = world.call("alice").await.changing();
    let error = world.gate.revoke_credential(&call, bobs.credential.id).await.unwrap_err();
    assert!(matches!(error, CallError::NotFound { .. }));
}

async fn a_certificate_opens_the_door_by_its_fingerprint(world: World) {
    world.signed_up("alice").await;
    let call = world.call("alice").await.changing();
    let fingerprint = "AB:".repeat(31) + "CD";
    let added = world.gate.add_certificate(&call, "laptop".to_owned(), fingerprint).await.unwrap();
    let shown = SaslPeer { certificate: Some("ab".repeat(31) + "cd"), ..peer() };
    let login = success(step(&world, "EXTERNAL", None, b"", shown.clone()).await.unwrap());
    assert_eq!(login.credential, added.id);
    let login = success(step(&world, "EXTERNAL", None, b"alice/libera", shown.clone()).await.unwrap());
    assert_eq!(login.network.as_deref(), Some("libera"));
    refusal(step(&world, "EXTERNAL", None, b"bob", shown).await.unwrap());
    refusal(step(&world, "EXTERNAL", None, b"", peer()).await.unwrap());
}

async fn an_access_token_opens_the_door_while_its_session_lives(world: World) {
    let mut browser = world.signed_up("alice").await;
    let access = tokens(&world, &mut browser).await["access_token"].as_str().unwrap().to_owned();
    let message = |token: &str| {
        OauthBearer { authzid: "alice@web".to_owned(), host: None, port: None, token }.to_payload().unwrap()
    };
    let login = success(step(&world, "OAUTHBEARER", None, &message(&access), peer()).await.unwrap());
    assert_eq!(login.client.as_deref(), Some("web"));
    let password = world.app_password("alice").await.secret;
    success(step(&world, "OAUTHBEARER", None, &message(&password), peer()).await.unwrap());
    browser.post("/logout", &[]).await;
    refusal(step(&world, "OAUTHBEARER", None, &message(&access), peer()).await.unwrap());
}

async fn an_address_that_keeps_failing_is_told_to_come_later_and_nobody_else_is(world: World) {
    world.signed_up("alice").await;
    let made = world.app_password("alice").await;
    let mut answers = Vec::new();
    for _ in 0..25 {
        let payload = Plain { authzid: "", authcid: "alice", password: "wrong" }.to_payload().unwrap();
        answers.push(step(&world, "PLAIN", None, &payload, peer()).await);
    }
    assert!(matches!(answers.first(), Some(Ok(SaslAnswer::Refused { .. }))));
    assert!(matches!(answers.last(), Some(Err(CallError::Unavailable { .. }))));
    let payload = Plain { authzid: "", authcid: "alice", password: &made.secret }.to_payload().unwrap();
    let elsewhere = SaslPeer { address: IpAddr::from([192, 0, 2, 8]), ..peer() };
    success(step(&world, "PLAIN", None, &payload, elsewhere).await.unwrap());
}

async fn a_continuation_is_for_its_own_exchange_and_address(world: World) {
    world.signed_up("alice").await;
    let first = step(&world, "SCRAM-SHA-256", None, b"n,,n=alice,r=abc", peer()).await.unwrap();
    let SaslAnswer::Challenge { continuation, .. } = first else { panic!("{first:?}") };
    let elsewhere = SaslPeer { address: IpAddr::from([192, 0, 2, 8]), ..peer() };
    refusal(step(&world, "SCRAM-SHA-256", Some(continuation.clone()), b"c=biws", elsewhere).await.unwrap());
    let mut bent = continuation;
    *bent.last_mut().unwrap() ^= 1;
    refusal(step(&world, "SCRAM-SHA-256", Some(bent), b"c=biws", peer()).await.unwrap());
}

async fn a_password_for_uploads_is_none_for_irc(world: World) {
    world.signed_up("alice").await;
    let call = world.call("alice").await.changing();
    let made =
        world.gate.create_app_password(&call, "uploads".to_owned(), vec![Scope::Upload]).await.unwrap();
    refusal(plain(&world, "alice", &made.secret).await);
}

async fn an_app_password_says_whose_an_upload_is_if_it_was_made_for_that(world: World) {
    world.signed_up("alice").await;
    let call = world.call("alice").await.changing();
    let both = vec![Scope::Irc, Scope::Upload];
    let made = world.gate.create_app_password(&call, "uploads".to_owned(), both).await.unwrap();
    let only_irc = world.app_password("alice").await;
    let show = async |secret: &str, username: Option<&str>| {
        let shown = ShownToken {
            secret: secret.to_owned(),
            username: username.map(str::to_owned),
            scope: Scope::Upload,
            address: peer().address,
        };
        world.gate.token(shown).await.unwrap()
    };
    for username in [None, Some("alice"), Some("Alice")] {
        let TokenAnswer::Good { account, credential } = show(&made.secret, username).await else {
            panic!("{username:?} is refused");
        };
        assert_eq!((account.username.as_str(), credential), ("alice", made.credential.id));
    }
    for (secret, username) in [
        (made.secret.as_str(), Some("bob")),
        (only_irc.secret.as_str(), None),
        ("kq7m-3xvd-91hf-tz0c-ap4w-e6ry-m2sn", None),
        (PASSWORD, Some("alice")),
        ("", None),
    ] {
        let answer = show(secret, username).await;
        assert!(matches!(answer, TokenAnswer::Refused { .. }), "{username:?}");
    }
    world.gate.revoke_credential(&world.call("alice").await.changing(), made.credential.id).await.unwrap();
    assert!(matches!(show(&made.secret, None).await, TokenAnswer::Refused { .. }));
}

async fn a_call_that_is_repeated_gets_its_first_answer_again(world: World) {
    world.signed_up("alice").await;
    let call = world.call("alice").await.changing();
    let first = world.gate.create_app_password(&call, "irssi".to_owned(), vec![Scope::Irc]).await.unwrap();
    let again = world.gate.create_app_password(&call, "irssi".to_owned(), vec![Scope::Irc]).await.unwrap();
    assert_eq!(first.secret, again.secret);
    assert_eq!(world.gate.credentials(&call).await.unwrap().len(), 1);
    let other = world.gate.add_certificate(&call, "x".to_owned(), "00".repeat(32)).await;
    assert!(matches!(other, Err(CallError::Conflict { .. })));
    let revoking = world.call("alice").await.changing();
    for _ in 0..2 {
        world.gate.revoke_credential(&revoking, first.credential.id).await.unwrap();
    }
}

on_both_engines!(
    an_app_password_opens_the_door_by_plain_and_scram,
    the_account_password_is_never_taken_and_the_refusal_says_what_to_do,
    a_name_nobody_has_looks_like_one_that_somebody_has,
    a_revoked_password_and_a_suspended_account_stay_outside,
    another_users_password_does_not_open_my_account,
    a_certificate_opens_the_door_by_its_fingerprint,
    an_access_token_opens_the_door_while_its_session_lives,
    an_address_that_keeps_failing_is_told_to_come_later_and_nobody_else_is,
    a_continuation_is_for_its_own_exchange_and_address,
    a_password_for_uploads_is_none_for_irc,
    an_app_password_says_whose_an_upload_is_if_it_was_made_for_that,
    a_call_that_is_repeated_gets_its_first_answer_again,
);
