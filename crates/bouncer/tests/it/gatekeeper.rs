//! A gatekeeper for tests: accounts with one password each, a feed, and a switch to be away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::{
    Account, AccountChange, Accounts, Call, CallError, CallResult, ChangeKind, Credential, DoorLogin,
    FeedCursor, Login, NewCredential, SaslAnswer, SaslStep, Scope, SecurityEvent, ShownToken, Status, Sub,
    TokenAnswer,
};
use entitlements::{Limits, Plan};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Clone)]
pub struct Gatekeeper(Arc<State>);

pub struct State {
    accounts: Mutex<HashMap<String, (Account, Uuid)>>,
    feed: Mutex<Vec<ChangeKind>>,
    moved: watch::Sender<usize>,
    away: AtomicBool,
}

impl std::ops::Deref for Gatekeeper {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

pub const PASSWORD: &str = "correct horse";

impl Gatekeeper {
    pub fn new() -> Self {
        Self(Arc::new(State {
            accounts: Mutex::default(),
            feed: Mutex::default(),
            moved: watch::Sender::new(0),
            away: AtomicBool::new(false),
        }))
    }

    pub fn account(&self, username: &str) -> Account {
        let mut accounts = self.accounts.lock().unwrap();
        let entry = accounts.entry(username.to_owned()).or_insert_with(|| {
            let account = Account {
                sub: Sub(Uuid::now_v7()),
                username: username.to_owned(),
                email: None,
                email_verified: false,
                may_dial_out: true,
                status: Status::Active,
                plan: Plan("own".to_owned()),
                limits: Limits::unlimited(),
                over_limit_until: None,
                roles: Vec::new(),
                version: 1,
                created_at: 0,
            };
            (account, Uuid::now_v7())
        });
        entry.0.clone()
    }

    pub fn credential(&self, username: &str) -> Uuid {
        self.accounts.lock().unwrap()[username].1
    }

    pub fn change(&self, username: &str, change: impl FnOnce(&mut Account)) {
        let account = {
            let mut accounts = self.accounts.lock().unwrap();
            let account = &mut accounts.get_mut(username).unwrap().0;
            change(account);
            account.version += 1;
            account.clone()
        };
        self.tell(ChangeKind::Account { account });
    }

    pub fn tell(&self, change: ChangeKind) {
        let mut feed = self.feed.lock().unwrap();
        feed.push(change);
        self.moved.send_replace(feed.len());
    }

    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        self.moved.send_modify(|_| {});
    }

    pub fn is_here(&self) -> bool {
        !self.away.load(Ordering::SeqCst)
    }

    fn here(&self) -> CallResult<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(CallError::unavailable("Gatekeeper is away."));
        }
        Ok(())
    }
}

#[async_trait]
impl Accounts for Gatekeeper {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        self.here()?;
        let accounts = self.accounts.lock().unwrap();
        let found = accounts.values().find(|(account, _)| account.sub == call.account);
        found.map(|(account, _)| account.clone()).ok_or_else(|| CallError::not_found("account"))
    }

    async fn sasl(&self, step: SaslStep) -> CallResult<SaslAnswer> {
        self.here()?;
        let text = String::from_utf8(step.payload).unwrap();
        let mut parts = text.split('\0').skip(1);
        let (login, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let accounts = self.accounts.lock().unwrap();
        let login = Login::parse(login).filter(|_| password == PASSWORD);
        let found = login.and_then(|login| accounts.get(&login.user).map(|found| (login, found)));
        Ok(match found {
            Some((login, (account, credential))) if account.status == Status::Active => SaslAnswer::Success {
                login: Box::new(DoorLogin {
                    account: account.clone(),
                    credential: *credential,
                    network: login.network,
                    client: login.client,
                }),
            },
            _ => SaslAnswer::Refused { text: "That password is wrong.".to_owned() },
        })
    }

    async fn token(&self, _: ShownToken) -> CallResult<TokenAnswer> {
        panic!("the bouncer never asks this")
    }

    async fn credential_used(&self, _: &Call, _: Uuid, _: Option<String>) -> CallResult<()> {
        self.here()
    }

    async fn credentials(&self, _: &Call) -> CallResult<Vec<Credential>> {
        panic!("the bouncer never asks this")
    }

    async fn create_app_password(&self, _: &Call, _: String, _: Vec<Scope>) -> CallResult<NewCredential> {
        panic!("the bouncer never asks this")
    }

    async fn add_certificate(&self, _: &Call, _: String, _: String) -> CallResult<Credential> {
        panic!("the bouncer never asks this")
    }

    async fn revoke_credential(&self, _: &Call, _: Uuid) -> CallResult<()> {
        panic!("the bouncer never asks this")
    }

    async fn security_events(&self, _: &Call, _: u32) -> CallResult<Vec<SecurityEvent>> {
        panic!("the bouncer never asks this")
    }

    async fn changes(&self, after: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        self.here()?;
        let from = after
            .map_or_else(|| self.feed.lock().unwrap().len(), |cursor| usize::try_from(cursor.0).unwrap());
        let feed = (self.clone(), self.moved.subscribe(), from);
        Ok(futures_util::stream::unfold(feed, async |(gatekeeper, mut moved, at)| {
            loop {
                if gatekeeper.away.load(Ordering::SeqCst) {
                    return None;
                }
                moved.borrow_and_update();
                let what = gatekeeper.feed.lock().unwrap().get(at).cloned();
                if let Some(what) = what {
                    let cursor = FeedCursor(i64::try_from(at + 1).unwrap());
                    return Some((AccountChange { cursor, what }, (gatekeeper, moved, at + 1)));
                }
                moved.changed().await.ok()?;
            }
        })
        .boxed())
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        self.here()?;
        Ok(FeedCursor(i64::try_from(self.feed.lock().unwrap().len()).unwrap()))
    }

    async fn delete_account(&self, _: &Call) -> CallResult<()> {
        panic!("the bouncer never asks this")
    }
}
