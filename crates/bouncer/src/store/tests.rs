//! The same promises on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::Arc;

use bouncer_core::{Cursor, Position};
use contracts::parcel::{MovedDevice, MovedNetwork, Private};
use contracts::{
    Account, Call, CallError, Hold, NetworkId, NetworkSpec, Sasl, SavedChannel, Status, Sub, Tls,
};
use entitlements::{Amount, Limit, Limits, Plan};
use irc_client::StsPolicy;
use service::db::Database;
use service::secrets::Keyring;
use testkit::Part;
use uuid::Uuid;

use super::reseal::Resealed;
use super::{Store, StoreError};

struct Engine {
    store: Store,
    keys: Arc<Keyring>,
    /// The key, as a file holds it.
    key: String,
    url: String,
    _folder: tempfile::TempDir,
}

/// The store on every engine there is.
async fn engines() -> Vec<Engine> {
    let key = service::secrets::random_token().unwrap();
    let keys = Arc::new(Keyring::parse(&key).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite:{}", folder.path().join("bouncer.db").display())];
    if Part::Postgres.find_or_skip().is_some() {
        urls.push(tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap().unwrap());
    }
    let mut folder = Some(folder);
    let mut all = Vec::new();
    for url in urls {
        let db = Database::open(&url).await.unwrap();
        let store = Store::open(db, Arc::clone(&keys)).await.unwrap();
        let folder = folder.take().unwrap_or_else(|| tempfile::tempdir().unwrap());
        all.push(Engine { store, keys: Arc::clone(&keys), key: key.clone(), url, _folder: folder });
    }
    all
}

fn account(limits: Limits) -> Account {
    Account {
        sub: Sub(Uuid::now_v7()),
        username: "alice".into(),
        email: None,
        email_verified: false,
        may_dial_out: true,
        status: Status::Active,
        plan: Plan("own".into()),
        limits,
        over_limit_until: None,
        roles: Vec::new(),
        version: 1,
        created_at: 0,
    }
}

fn spec(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.into(),
        host: "irc.example.org".into(),
        port: 6697,
        tls: Tls::Verified,
        nick: "alice".into(),
        realname: String::new(),
        server_password: Some("open sesame".into()),
        sasl: Sasl::Password { account: "alice".into(), password: Some("hunter2".into()) },
        channels: vec![SavedChannel { name: "#secret".into(), key: Some("swordfish".into()) }],
        on_connect: vec!["PRIVMSG NickServ :IDENTIFY hunter2".into()],
        enabled: true,
    }
}

fn call(account: &Account) -> Call {
    Call::new(account.sub, "test").changing()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> CallError {
    match result {
        Err(StoreError::Call(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn known(store: &Store, limits: Limits) -> Account {
    let account = account(limits);
    store.keep_account(&account).await.unwrap();
    account
}

#[tokio::test]
async fn what_goes_in_comes_back_and_secrets_only_through_the_key() {
    for Engine { store, keys, url, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let back = store.networks(alice.sub).await.unwrap().remove(0);
        assert_eq!(back.id, row.id);
        assert_eq!(back.private.sasl_password.as_deref(), Some("hunter2"));
        assert_eq!(back.private.server_password.as_deref(), Some("open sesame"));
        let without_secrets = NetworkSpec {
            server_password: None,
            sasl: Sasl::Password { account: "alice".into(), password: None },
            ..spec("net")
        };
        assert_eq!(back.spec, without_secrets);
        let other_keys = Arc::new(Keyring::ephemeral().unwrap());
        let thief = Store::open(Database::open(&url).await.unwrap(), other_keys).await.unwrap();
        assert!(matches!(thief.networks(alice.sub).await, Err(StoreError::Secret { .. })));
        let ours = Store::open(Database::open(&url).await.unwrap(), keys).await.unwrap();
        assert_eq!(ours.networks(alice.sub).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn every_secret_moves_to_a_new_key_however_many_there_are() {
    for Engine { store, key, url, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        for number in 0..201 {
            store.add_network(&call(&alice), &alice, &spec(&format!("net{number}"))).await.unwrap();
        }
        assert_eq!(store.reseal().await.unwrap(), Resealed::default(), "all are under the newest key");
        let new = service::secrets::random_token().unwrap();
        let with = async |keys: &str| {
            let keys = Arc::new(Keyring::parse(keys).unwrap());
            Store::open(Database::open(&url).await.unwrap(), keys).await.unwrap()
        };
        let only_new = with(&new).await;
        let nothing = Resealed { moved: 0, unreadable: 402 };
        assert_eq!(
            only_new.reseal().await.unwrap(),
            nothing,
            "without the old key nothing is lost or changed"
        );
        let all = Resealed { moved: 402, unreadable: 0 };
        assert_eq!(with(&format!("{new}\n{key}")).await.reseal().await.unwrap(), all);
        let rows = only_new.networks(alice.sub).await.unwrap();
        assert_eq!(rows.len(), 201);
        for row in rows {
            assert_eq!(row.private.sasl_password.as_deref(), Some("hunter2"));
            assert_eq!(row.spec.channels, spec("net").channels);
        }
    }
}

#[tokio::test]
async fn a_change_without_a_password_keeps_the_one_there_was_and_an_empty_one_takes_it_away() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let changed = NetworkSpec { nick: "alice2".into(), ..row.spec.clone() };
        let row = store.change_network(&call(&alice), row.id, &changed).await.unwrap();
        assert_eq!(row.private.sasl_password.as_deref(), Some("hunter2"));
        let open = NetworkSpec { server_password: Some(String::new()), sasl: Sasl::None, ..row.spec.clone() };
        let row = store.change_network(&call(&alice), row.id, &open).await.unwrap();
        assert_eq!((row.private.server_password, row.private.sasl_password), (None, None));
    }
}

#[tokio::test]
async fn external_makes_a_certificate_once_and_keeps_it() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let external = NetworkSpec { sasl: Sasl::External { fingerprint: None }, ..spec("net") };
        let row = store.add_network(&call(&alice), &alice, &external).await.unwrap();
        let Sasl::External { fingerprint: Some(first) } = row.spec.sasl.clone() else {
            panic!("no fingerprint")
        };
        let row = store.change_network(&call(&alice), row.id, &row.spec).await.unwrap();
        assert_eq!(row.spec.sasl, Sasl::External { fingerprint: Some(first) });
    }
}

#[tokio::test]
async fn the_limit_holds_at_the_write_however_many_ask_at_once() {
    for Engine { store, .. } in engines().await {
        let limits = Limits::unlimited().with(Limit::Networks, Amount::AtMost(3));
        let alice = known(&store, limits).await;
        let tries = (0..8).map(|n| {
            let (store, alice) = (store.clone(), alice.clone());
            tokio::spawn(async move {
                store.add_network(&call(&alice), &alice, &spec(&format!("net{n}"))).await.is_ok()
            })
        });
        let mut taken = 0;
        for one in tries.collect::<Vec<_>>() {
            taken += usize::from(one.await.unwrap());
        }
        assert_eq!(taken, 3);
        assert_eq!(store.networks(alice.sub).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn names_are_taken_once_whatever_their_case_and_free_after_a_deletion() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let taken = refusal(store.add_network(&call(&alice), &alice, &spec("NET")).await);
        assert!(matches!(taken, CallError::Conflict { .. }));
        store.delete_network(&call(&alice), row.id).await.unwrap();
        store.add_network(&call(&alice), &alice, &spec("Net")).await.unwrap();
        let taken = refusal(store.restore_network(&call(&alice), &alice, row.id).await);
        assert!(matches!(taken, CallError::Conflict { .. }));
    }
}

#[tokio::test]
async fn a_repeat_under_one_key_changes_nothing_and_another_wish_under_it_is_refused() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let once = call(&alice);
        let first = store.add_network(&once, &alice, &spec("net")).await.unwrap();
        assert_eq!(store.add_network(&once, &alice, &spec("net")).await.unwrap().id, first.id);
        assert!(matches!(
            refusal(store.add_network(&once, &alice, &spec("other")).await),
            CallError::Conflict { .. }
        ));
        let once = call(&alice);
        store.delete_network(&once, first.id).await.unwrap();
        store.delete_network(&once, first.id).await.unwrap();
    }
}

#[tokio::test]
async fn an_old_version_is_refused_and_joining_a_channel_raises_it() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let channels = [
            SavedChannel { name: "#a".into(), key: None },
            SavedChannel { name: "#b".into(), key: Some("k".into()) },
        ];
        let version = store.save_channels(alice.sub, row.id, &channels).await.unwrap();
        assert_eq!(version, Some(row.version + 1));
        let stale =
            refusal(store.change_network(&call(&alice).at_version(row.version), row.id, &row.spec).await);
        assert!(matches!(stale, CallError::Conflict { .. }));
        assert_eq!(store.network(alice.sub, row.id).await.unwrap().spec.channels, channels);
        assert_eq!(store.save_nick(alice.sub, row.id, "alice_").await.unwrap(), Some(row.version + 2));
        assert_eq!(store.network(alice.sub, row.id).await.unwrap().spec.nick, "alice_");
        let gone = NetworkId(Uuid::now_v7());
        assert_eq!(store.save_channels(alice.sub, gone, &channels).await.unwrap(), None);
    }
}

#[tokio::test]
async fn nobody_touches_the_network_of_another() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let bob = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let not_found = |error| assert!(matches!(error, CallError::NotFound { .. }), "{error:?}");
        not_found(refusal(store.network(bob.sub, row.id).await));
        not_found(refusal(store.change_network(&call(&bob), row.id, &spec("net")).await));
        not_found(refusal(store.delete_network(&call(&bob), row.id).await));
        not_found(refusal(store.restore_network(&call(&bob), &bob, row.id).await));
        assert_eq!(store.save_channels(bob.sub, row.id, &[]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn devices_are_counted_by_credential_and_client_and_the_old_ones_stay_welcome() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited().with(Limit::Devices, Amount::AtMost(2))).await;
        let credential = Uuid::now_v7();
        let phone = store.device_attached(&alice, credential, Some("phone")).await.unwrap();
        let plain = store.device_attached(&alice, credential, None).await.unwrap();
        assert_ne!(phone.id, plain.id);
        assert_eq!(store.device_attached(&alice, credential, Some("phone")).await.unwrap().id, phone.id);
        let third = refusal(store.device_attached(&alice, Uuid::now_v7(), None).await);
        assert!(matches!(third, CallError::Quota { limit, .. } if limit == "devices"));
        store.device_seen(alice.sub, phone.id, Some("senpai")).await.unwrap();
        store.device_seen(alice.sub, phone.id, None).await.unwrap();
        let devices = store.devices(alice.sub).await.unwrap();
        assert_eq!(devices.len(), 2);
        assert!(devices.iter().any(|device| device.software.as_deref() == Some("senpai")));
        assert_eq!(store.devices_counted(alice.sub).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn cursors_come_back_and_those_of_the_gone_are_dropped() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let device = store.device_attached(&alice, Uuid::now_v7(), None).await.unwrap().id;
        let at = |epoch, offset| Cursor { position: Position { epoch, offset }, ts_ms: 5 };
        let high = u64::from(u32::MAX) << 32 | 7;
        store.keep_cursors([(device, row.id, at(1, 1))]).await.unwrap();
        let gone = NetworkId(Uuid::now_v7());
        store.keep_cursors([(device, row.id, at(high, 9)), (device, gone, at(1, 1))]).await.unwrap();
        assert_eq!(store.cursors(device).await.unwrap(), [(row.id, at(high, 9))]);
    }
}

#[tokio::test]
async fn an_account_that_is_forgotten_leaves_no_row() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let row = store.add_network(&call(&alice), &alice, &spec("net")).await.unwrap();
        let device = store.device_attached(&alice, Uuid::now_v7(), None).await.unwrap().id;
        let policy = StsPolicy { port: 6697, until: 4_000_000_000 };
        store.keep_sts(alice.sub, "irc.example.org", Some(policy)).await.unwrap();
        assert_eq!(store.sts_policies(alice.sub).await.unwrap(), [("irc.example.org".to_owned(), policy)]);
        store.forget(alice.sub).await.unwrap();
        store.forget(alice.sub).await.unwrap();
        assert!(store.user(alice.sub).await.unwrap().is_none());
        assert!(store.devices(alice.sub).await.unwrap().is_empty());
        assert!(store.sts_policies(alice.sub).await.unwrap().is_empty());
        assert!(store.cursors(device).await.unwrap().is_empty());
        let call = Call::new(alice.sub, "test");
        assert!(matches!(refusal(store.delete_network(&call, row.id).await), CallError::NotFound { .. }));
    }
}

#[tokio::test]
async fn an_older_word_of_an_account_never_replaces_a_newer_one() {
    for Engine { store, .. } in engines().await {
        let mut alice = known(&store, Limits::unlimited()).await;
        alice.version = 3;
        alice.status = Status::Suspended;
        store.keep_account(&alice).await.unwrap();
        alice.version = 2;
        alice.status = Status::Active;
        store.keep_account(&alice).await.unwrap();
        assert_eq!(store.user(alice.sub).await.unwrap().unwrap().account.status, Status::Suspended);
        assert_eq!(store.users_after(None, 10).await.unwrap().len(), 1);
        assert!(store.users_with_networks_after(None, 10).await.unwrap().is_empty());
        assert_eq!(store.feed_cursor().await.unwrap(), None);
        store.keep_feed_cursor(contracts::FeedCursor(7)).await.unwrap();
        store.keep_feed_cursor(contracts::FeedCursor(8)).await.unwrap();
        assert_eq!(store.feed_cursor().await.unwrap(), Some(contracts::FeedCursor(8)));
    }
}

#[tokio::test]
async fn who_is_held_stays_so_without_any_other_row() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let moved = Hold::MovedTo { hostname: "alice.example".to_owned() };
        store.hold(alice.sub, &Hold::Moving).await.unwrap();
        store.hold(alice.sub, &moved).await.unwrap();
        store.forget(alice.sub).await.unwrap();
        assert_eq!(store.held().await.unwrap(), [(alice.sub, moved)]);
        store.let_go(alice.sub).await.unwrap();
        assert!(store.held().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn networks_and_devices_that_moved_are_what_they_were_with_their_secrets() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let channel = SavedChannel { name: "#tea".into(), key: Some("milk".into()) };
        let spec = NetworkSpec {
            channels: vec![channel.clone()],
            on_connect: vec!["MODE alice +i".into()],
            sasl: Sasl::Password { account: "alice".into(), password: Some("hunter2".into()) },
            ..spec("net")
        };
        let row = store.add_network(&call(&alice), &alice, &spec).await.unwrap();
        let device = store.device_attached(&alice, Uuid::now_v7(), Some("desk")).await.unwrap();
        let moved = MovedNetwork::from(row.clone());
        // As it travels.
        let moved: MovedNetwork = serde_json::from_str(&serde_json::to_string(&moved).unwrap()).unwrap();
        store.forget(alice.sub).await.unwrap();
        store.keep_account(&alice).await.unwrap();
        for _ in 0..2 {
            store.put_networks(alice.sub, std::slice::from_ref(&moved)).await.unwrap();
            let device = MovedDevice {
                id: device.id,
                credential: device.credential,
                client: device.client.clone(),
                software: None,
                last_seen_us: device.last_seen_us,
            };
            store.put_devices(alice.sub, &[device]).await.unwrap();
        }
        let there = store.networks(alice.sub).await.unwrap().remove(0);
        assert_eq!((there.id, &there.spec.channels), (row.id, &vec![channel]));
        assert_eq!(there.private.sasl_password.as_deref(), Some("hunter2"));
        assert_eq!(there.spec.on_connect, ["MODE alice +i"]);
        assert_eq!(store.devices(alice.sub).await.unwrap(), [device]);
        // Nobody takes a network over by its id.
        let mallory = known(&store, Limits::unlimited()).await;
        assert!(store.put_networks(mallory.sub, &[moved]).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_from_a_bouncer_that_knows_less_is_laid_to_what_was_kept() {
    for Engine { store, .. } in engines().await {
        let alice = known(&store, Limits::unlimited()).await;
        let kept = store.add_network(&call(&alice), &alice, &spec("kept")).await.unwrap();
        let open = NetworkSpec { tls: Tls::Unverified, ..spec("open") };
        let open = store.add_network(&call(&alice), &alice, &open).await.unwrap();
        let gone = store.add_network(&call(&alice), &alice, &spec("gone")).await.unwrap();
        let back = |id: NetworkId, spec: NetworkSpec, password: Option<&str>| MovedNetwork {
            id,
            spec,
            private: Private { sasl_password: password.map(str::to_owned), ..Private::default() },
            version: 1,
            created_at_us: 7,
        };
        let there = || {
            let sasl = Sasl::Password { account: "alice".into(), password: None };
            NetworkSpec { server_password: None, sasl, on_connect: Vec::new(), ..spec("kept") }
        };
        let cake = SavedChannel { name: "#cake".into(), key: None };
        let another = NetworkId(Uuid::now_v7());
        let unusable = NetworkId(Uuid::now_v7());
        let came = || {
            vec![
                back(
                    kept.id,
                    NetworkSpec { nick: "al".into(), channels: vec![cake.clone()], ..there() },
                    Some("new"),
                ),
                // It could not be connected there.
                back(open.id, NetworkSpec { enabled: false, ..there() }, Some("hunter2")),
                back(another, NetworkSpec { name: "Kept".into(), sasl: Sasl::None, ..there() }, None),
                back(unusable, NetworkSpec { host: "unix:/x y".into(), name: "/!".into(), ..there() }, None),
            ]
        };
        for _ in 0..2 {
            store.take_back(alice.sub, came(), &[gone.id]).await.unwrap();
        }
        let now = store.networks(alice.sub).await.unwrap();
        let of = |id: NetworkId| now.iter().find(|row| row.id == id).unwrap();
        let row = of(kept.id);
        assert_eq!(
            (row.spec.name.as_str(), row.spec.nick.as_str(), &row.spec.channels),
            ("kept", "al", &vec![cake])
        );
        assert_eq!(row.private.sasl_password.as_deref(), Some("new"));
        assert_eq!(row.private.server_password.as_deref(), Some("open sesame"), "what stayed here stays");
        assert_eq!(row.spec.on_connect, spec("kept").on_connect);
        assert_eq!((&of(open.id).spec.tls, of(open.id).spec.enabled), (&Tls::Unverified, true));
        assert!(!of(gone.id).spec.enabled, "it has its history, and is not connected");
        assert_eq!(of(another).spec.name, "Kept-2");
        assert_eq!((of(unusable).spec.name.as_str(), of(unusable).spec.enabled), ("network", false));
        assert_eq!(now.len(), 5);
    }
}
