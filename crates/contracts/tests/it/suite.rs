//! What every [`Bouncers`] adapter promises.

use std::sync::Arc;

use contracts::{
    BouncerChangeKind, Bouncers, Call, CallError, NetworkId, NetworkSpec, Sasl, SavedChannel, Sub, Tls,
};
use futures_util::StreamExt;
use uuid::Uuid;

pub fn call() -> Call {
    Call::new(Sub(Uuid::from_u128(1)), "test")
}

pub fn spec(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        host: "irc.example.org".to_owned(),
        port: 6697,
        tls: Tls::Verified,
        nick: "alice".to_owned(),
        realname: String::new(),
        server_password: None,
        sasl: Sasl::Password { account: "alice".to_owned(), password: None },
        channels: vec![SavedChannel { name: "#rust".to_owned(), key: None }],
        on_connect: Vec::new(),
        enabled: true,
    }
}

pub async fn bouncers(bouncers: Arc<dyn Bouncers>) {
    assert_eq!(bouncers.networks(&call()).await.unwrap(), []);
    let mut watch = bouncers.watch(&call(), None).await.unwrap();
    assert!(matches!(watch.next().await.unwrap().what, BouncerChangeKind::Snapshot { .. }));

    let adding = call().changing();
    let added = bouncers.add_network(&adding, spec("libera")).await.unwrap();
    assert_eq!(added.spec, spec("libera"));
    assert_eq!(
        bouncers.add_network(&adding, spec("libera")).await.unwrap(),
        added,
        "a repeat is answered as before"
    );
    let taken = bouncers.add_network(&call().changing(), spec("libera")).await;
    assert!(matches!(taken, Err(CallError::Conflict { .. })), "{taken:?}");
    let seen = watch.next().await.unwrap();
    assert_eq!(seen.what, BouncerChangeKind::Network { network: Box::new(added.clone()) });

    let changed = bouncers
        .change_network(&call().changing().at_version(added.version), added.id, spec("oftc"))
        .await
        .unwrap();
    assert_eq!((changed.spec.name.as_str(), changed.version), ("oftc", added.version + 1));
    let stale =
        bouncers.change_network(&call().changing().at_version(added.version), added.id, spec("x")).await;
    assert!(matches!(stale, Err(CallError::Conflict { .. })), "{stale:?}");

    let stranger = Call::new(Sub(Uuid::from_u128(2)), "test");
    let foreign = bouncers.network(&stranger, added.id).await;
    assert_eq!(foreign, Err(CallError::not_found("network")));
    assert_eq!(bouncers.network(&call(), NetworkId(Uuid::nil())).await, Err(CallError::not_found("network")));

    bouncers.delete_network(&call().changing(), added.id).await.unwrap();
    assert_eq!(bouncers.networks(&call()).await.unwrap(), []);
    assert_eq!(bouncers.restore_network(&call().changing(), added.id).await.unwrap().id, added.id);

    let chunks: Vec<_> = bouncers.export(&call()).await.unwrap().collect().await;
    assert!(!chunks.is_empty() && chunks.iter().all(Result::is_ok));
    bouncers.delete(&call()).await.unwrap();
    bouncers.delete(&call()).await.unwrap();
    assert_eq!(bouncers.networks(&call()).await.unwrap(), []);
}
