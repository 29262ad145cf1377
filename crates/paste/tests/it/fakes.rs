//! Gatekeeper, as far as pastes ask it.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use contracts::*;
use entitlements::{Override, Plan, Table};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use uuid::Uuid;

/// Accounts by name; the app password of one is `<name>-secret`.
#[derive(Default)]
pub struct Gate {
    accounts: Mutex<HashMap<String, Account>>,
}

impl Gate {
    /// The account of this name, made on a plan where it is new.
    pub fn account(&self, name: &str, plan: &str) -> Account {
        let mut accounts = self.accounts.lock().unwrap();
        let new = || {
            let plan = Plan::from(plan);
            let limits =
                Table::compiled_in().unwrap().limits(&plan, &Default::default(), &Override::default());
            Account {
                sub: Sub(Uuid::now_v7()),
                username: name.to_owned(),
                email: None,
                email_verified: false,
                may_dial_out: true,
                status: Status::Active,
                plan,
                limits,
                over_limit_until: None,
                roles: if name == "root" { vec![Role::Admin] } else { Vec::new() },
                version: 1,
                created_at: 0,
            }
        };
        accounts.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

#[async_trait]
impl Accounts for Gate {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        let accounts = self.accounts.lock().unwrap();
        let found = accounts.values().find(|account| account.sub == call.account);
        found.cloned().ok_or_else(|| CallError::not_found("account"))
    }

    async fn token(&self, shown: ShownToken) -> CallResult<TokenAnswer> {
        assert_eq!(shown.scope, Scope::Upload);
        let accounts = self.accounts.lock().unwrap();
        let owner = shown.secret.strip_suffix("-secret").and_then(|name| accounts.get(name));
        let owner = owner.filter(|owner| shown.username.is_none_or(|name| name == owner.username));
        Ok(match owner {
            Some(owner) => TokenAnswer::Good { account: Box::new(owner.clone()), credential: Uuid::nil() },
            None => TokenAnswer::Refused { text: "Wrong user name or app password.".to_owned() },
        })
    }

    async fn changes(&self, _: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        Ok(stream::pending().boxed())
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        Ok(FeedCursor(0))
    }

    async fn sasl(&self, _: SaslStep) -> CallResult<SaslAnswer> {
        unreachable!("pastes do not ask")
    }
    async fn credential_used(&self, _: &Call, _: Uuid, _: Option<String>) -> CallResult<()> {
        unreachable!("pastes do not ask")
    }
    async fn credentials(&self, _: &Call) -> CallResult<Vec<Credential>> {
        unreachable!("pastes do not ask")
    }
    async fn create_app_password(&self, _: &Call, _: String, _: Vec<Scope>) -> CallResult<NewCredential> {
        unreachable!("pastes do not ask")
    }
    async fn add_certificate(&self, _: &Call, _: String, _: String) -> CallResult<Credential> {
        unreachable!("pastes do not ask")
    }
    async fn revoke_credential(&self, _: &Call, _: Uuid) -> CallResult<()> {
        unreachable!("pastes do not ask")
    }
    async fn security_events(&self, _: &Call, _: u32) -> CallResult<Vec<SecurityEvent>> {
        unreachable!("pastes do not ask")
    }
    async fn delete_account(&self, _: &Call) -> CallResult<()> {
        unreachable!("pastes do not ask")
    }
}
