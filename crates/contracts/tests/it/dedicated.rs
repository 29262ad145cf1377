//! Both adapters of `DedicatedBouncers` and of `Moves` say the same.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::http::{BouncersClient, Client, NetworksClient, NoBearer, dedicated_router, moves_router};
use contracts::*;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use uuid::Uuid;

/// Dedicated bouncers and a bouncer to move from, made of memory.
struct Fake {
    own: watch::Sender<Option<DedicatedBouncer>>,
    held: Mutex<Option<Hold>>,
    parcels: Mutex<Vec<Parcel>>,
}

fn bouncer(engine: BouncerEngine) -> DedicatedBouncer {
    DedicatedBouncer {
        id: DedicatedId(Uuid::now_v7()),
        engine,
        hostname: "alice.example".to_owned(),
        stage: DedicatedStage::Making,
        phase: DedicatedPhase::Starting,
        since: 1,
        detail: Some("Its certificate is on its way.".to_owned()),
        address: Some(HostedAddress { host: "alice.example".to_owned(), port: 6697, tls: true }),
        websocket: None,
        reach: Some(Reach {
            url: "http://10.0.0.7:9181/".parse().unwrap(),
            audience: "bouncer-5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11".to_owned(),
        }),
        created_at: 1,
    }
}

#[async_trait]
impl DedicatedBouncers for Fake {
    async fn dedicated_offer(&self, _: &Call) -> CallResult<DedicatedOffer> {
        Ok(DedicatedOffer {
            hostname: "alice.example".to_owned(),
            in_plan: true,
            engines: vec![BouncerEngine::Ircnow, BouncerEngine::Soju],
            refused: None,
        })
    }

    async fn dedicated(&self, _: &Call) -> CallResult<Option<DedicatedBouncer>> {
        Ok(self.own.borrow().clone())
    }

    async fn order_dedicated(&self, _: &Call, engine: BouncerEngine) -> CallResult<DedicatedBouncer> {
        if self.own.borrow().is_some() {
            return Err(CallError::Conflict { message: "You have one already.".to_owned() });
        }
        let own = bouncer(engine);
        self.own.send_replace(Some(own.clone()));
        Ok(own)
    }

    async fn cancel_dedicated(&self, _: &Call) -> CallResult<DedicatedBouncer> {
        let own = self.own.send_replace(None);
        own.ok_or_else(|| CallError::not_found("dedicated bouncer"))
    }

    async fn watch_dedicated(&self, _: &Call) -> CallResult<BoxStream<'static, Option<DedicatedBouncer>>> {
        let mut own = self.own.subscribe();
        own.mark_changed();
        Ok(stream::unfold(own, |mut own| async move {
            own.changed().await.ok()?;
            let now = own.borrow_and_update().clone();
            Some((now, own))
        })
        .boxed())
    }
}

#[async_trait]
impl Moves for Fake {
    async fn hold(&self, _: &Call, why: Hold) -> CallResult<()> {
        *self.held.lock().unwrap() = Some(why);
        Ok(())
    }

    async fn let_go(&self, _: &Call) -> CallResult<()> {
        *self.held.lock().unwrap() = None;
        Ok(())
    }

    async fn pack(&self, _: &Call, after: Option<String>) -> CallResult<Packed> {
        if self.held.lock().unwrap().is_none() {
            return Err(CallError::Conflict { message: "This account is not held.".to_owned() });
        }
        Ok(match after {
            None => Packed { parcel: Parcel("one".to_owned()), lines: 1, next: Some("two".to_owned()) },
            Some(after) => Packed { parcel: Parcel(after), lines: 1, next: None },
        })
    }

    async fn unpack(&self, _: &Call, parcel: Parcel) -> CallResult<()> {
        self.parcels.lock().unwrap().push(parcel);
        Ok(())
    }

    async fn check(&self, _: &Call, parcel: Parcel) -> CallResult<Checked> {
        let kept = u64::from(self.parcels.lock().unwrap().contains(&parcel));
        Ok(Checked { lines: 1, same: kept, ..Checked::default() })
    }

    async fn about(&self, _: &Call) -> CallResult<u64> {
        Ok(self.parcels.lock().unwrap().len() as u64)
    }

    /// One at a time.
    async fn count(&self, _: &Call, after: Option<String>) -> CallResult<Counted> {
        let counted = after.map_or(0, |after| after.parse().unwrap());
        let all = self.parcels.lock().unwrap().len();
        let devices = all.min(counted + 1);
        let next = (devices < all).then(|| devices.to_string());
        Ok(Counted { tally: Tally { networks: Vec::new(), devices: devices as u64 }, next })
    }

    /// One at a time.
    async fn clear(&self, _: &Call) -> CallResult<bool> {
        let mut parcels = self.parcels.lock().unwrap();
        parcels.pop();
        Ok(parcels.is_empty())
    }
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake { own: watch::channel(None).0, held: Mutex::default(), parcels: Mutex::default() })
}

fn call() -> Call {
    Call::new(Sub(Uuid::nil()), "test").changing()
}

async fn far(fake: Arc<Fake>) -> Client {
    let router = dedicated_router(fake.clone()).merge(moves_router(fake));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(reqwest::Client::new(), base, "hosting", Arc::new(NoBearer))
}

async fn orders_watches_and_cancels(dedicated: &dyn DedicatedBouncers) {
    assert!(dedicated.dedicated_offer(&call()).await.unwrap().in_plan);
    assert_eq!(dedicated.dedicated(&call()).await.unwrap(), None);
    let mut seen = dedicated.watch_dedicated(&call()).await.unwrap();
    assert_eq!(seen.next().await.unwrap(), None);
    let own = dedicated.order_dedicated(&call(), BouncerEngine::Soju).await.unwrap();
    assert_eq!(own.engine, BouncerEngine::Soju);
    assert_eq!(seen.next().await.unwrap(), Some(own.clone()));
    assert_eq!(dedicated.dedicated(&call()).await.unwrap(), Some(own));
    let again = dedicated.order_dedicated(&call(), BouncerEngine::Ircnow).await;
    assert!(matches!(again, Err(CallError::Conflict { .. })));
    dedicated.cancel_dedicated(&call()).await.unwrap();
    assert_eq!(seen.next().await.unwrap(), None);
    let gone = dedicated.cancel_dedicated(&call()).await;
    assert!(matches!(gone, Err(CallError::NotFound { .. })));
}

async fn moves_what_is_held(moves: &dyn Moves) {
    assert!(matches!(moves.pack(&call(), None).await, Err(CallError::Conflict { .. })));
    moves.hold(&call(), Hold::MovedTo { hostname: "alice.example".to_owned() }).await.unwrap();
    let first = moves.pack(&call(), None).await.unwrap();
    let second = moves.pack(&call(), first.next.clone()).await.unwrap();
    assert_eq!((first.parcel.0.as_str(), second.parcel.0.as_str(), second.next), ("one", "two", None));
    // As large as a parcel gets.
    let large = Parcel("x".repeat(3 * 1024 * 1024));
    assert!(!moves.check(&call(), large.clone()).await.unwrap().is_whole());
    moves.unpack(&call(), large.clone()).await.unwrap();
    assert!(moves.check(&call(), large).await.unwrap().is_whole());
    assert_eq!(moves.tally(&call()).await.unwrap().devices, 1);
    moves.unpack(&call(), Parcel("more".to_owned())).await.unwrap();
    assert_eq!(moves.about(&call()).await.unwrap(), 2);
    assert_eq!(moves.tally(&call()).await.unwrap().devices, 2, "both are counted, in two calls");
    assert!(!moves.clear(&call()).await.unwrap(), "one is left");
    assert!(moves.clear(&call()).await.unwrap());
    assert_eq!(moves.tally(&call()).await.unwrap(), Tally::default());
    moves.let_go(&call()).await.unwrap();
    assert!(moves.pack(&call(), None).await.is_err());
}

#[tokio::test]
async fn dedicated_bouncers_are_the_same_in_process_and_over_http() {
    orders_watches_and_cancels(&*fake()).await;
    orders_watches_and_cancels(&NetworksClient::new(far(fake()).await)).await;
}

#[tokio::test]
async fn moves_are_the_same_in_process_and_over_http() {
    moves_what_is_held(&*fake()).await;
    moves_what_is_held(&BouncersClient::new(far(fake()).await)).await;
}

#[test]
fn a_parcel_shows_nothing_of_what_is_in_it() {
    assert_eq!(format!("{:?}", Parcel("hunter2".to_owned())), "Parcel(7 bytes)");
}
