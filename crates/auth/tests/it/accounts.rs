//! Gatekeeper as the tests need it: accounts in a map, a feed, and a switch that takes it away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::{
    Account, AccountChange, Accounts, Call, CallError, CallResult, ChangeKind, Credential, FeedCursor,
    NewCredential, Role, SaslAnswer, SaslStep, Scope, SecurityEvent, ShownToken, Status, Sub, TokenAnswer,
};
use entitlements::{Limits, Plan};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) struct Gate {
    pub(crate) accounts: Mutex<HashMap<Sub, Account>>,
    pub(crate) away: AtomicBool,
    pub(crate) asked: AtomicUsize,
    feed: watch::Sender<Vec<ChangeKind>>,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            accounts: Mutex::default(),
            away: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            feed: watch::Sender::new(Vec::new()),
        })
    }

    pub(crate) fn add(&self, username: &str, roles: &[Role]) -> Account {
        let account = Account {
            sub: Sub(Uuid::new_v4()),
            username: username.to_owned(),
            email: Some(format!("{username}@example.org")),
            email_verified: true,
            may_dial_out: true,
            status: Status::Active,
            plan: Plan::from("own"),
            limits: Limits::unlimited(),
            over_limit_until: None,
            roles: roles.to_vec(),
            version: 1,
            created_at: 0,
        };
        self.accounts.lock().unwrap().insert(account.sub, account.clone());
        account
    }

    /// Changes an account and tells the feed.
    pub(crate) fn change(&self, sub: Sub, change: impl FnOnce(&mut Account)) {
        let account = {
            let mut accounts = self.accounts.lock().unwrap();
            let account = accounts.get_mut(&sub).unwrap();
            account.version += 1;
            change(account);
            account.clone()
        };
        self.tell(ChangeKind::Account { account });
    }

    pub(crate) fn tell(&self, what: ChangeKind) {
        self.feed.send_modify(|feed| feed.push(what));
    }

    fn here(&self) -> CallResult<()> {
        if self.away.load(Ordering::SeqCst) { Err(CallError::unavailable("away")) } else { Ok(()) }
    }
}

#[async_trait]
impl Accounts for Gate {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        self.here()?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.accounts
            .lock()
            .unwrap()
            .get(&call.account)
            .cloned()
            .ok_or_else(|| CallError::not_found("account"))
    }

    async fn changes(&self, after: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        self.here()?;
        let mut feed = self.feed.subscribe();
        let at =
            after.map_or_else(|| feed.borrow_and_update().len(), |cursor| usize::try_from(cursor.0).unwrap());
        Ok(futures_util::stream::unfold((feed, at), |(mut feed, at)| async move {
            let what = feed.wait_for(|feed| feed.len() > at).await.ok()?[at].clone();
            let change = AccountChange { cursor: FeedCursor(i64::try_from(at + 1).unwrap()), what };
            Some((change, (feed, at + 1)))
        })
        .boxed())
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        Ok(FeedCursor(i64::try_from(self.feed.borrow().len()).unwrap()))
    }

    async fn sasl(&self, _: SaslStep) -> CallResult<SaslAnswer> {
        unreachable!("sites do not ask")
    }
    async fn token(&self, _: ShownToken) -> CallResult<TokenAnswer> {
        unreachable!("sites do not ask")
    }
    async fn credential_used(&self, _: &Call, _: Uuid, _: Option<String>) -> CallResult<()> {
        unreachable!("sites do not ask")
    }
    async fn credentials(&self, _: &Call) -> CallResult<Vec<Credential>> {
        unreachable!("sites do not ask")
    }
    async fn create_app_password(&self, _: &Call, _: String, _: Vec<Scope>) -> CallResult<NewCredential> {
        unreachable!("sites do not ask")
    }
    async fn add_certificate(&self, _: &Call, _: String, _: String) -> CallResult<Credential> {
        unreachable!("sites do not ask")
    }
    async fn revoke_credential(&self, _: &Call, _: Uuid) -> CallResult<()> {
        unreachable!("sites do not ask")
    }
    async fn security_events(&self, _: &Call, _: u32) -> CallResult<Vec<SecurityEvent>> {
        unreachable!("sites do not ask")
    }
    async fn delete_account(&self, _: &Call) -> CallResult<()> {
        unreachable!("sites do not ask")
    }
}
