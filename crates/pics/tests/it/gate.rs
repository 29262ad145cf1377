//! Gatekeeper as these tests need it: accounts whose app password is their name.

use std::sync::Mutex;

use async_trait::async_trait;
use contracts::*;
use entitlements::{Amount, Limit, Limits, Plan};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use uuid::Uuid;

#[derive(Default)]
pub struct Gate {
    pub room: Mutex<Option<u64>>,
}

pub fn sub(name: &str) -> Sub {
    Sub(Uuid::from_bytes(std::array::from_fn(|i| name.as_bytes().get(i).copied().unwrap_or(7))))
}

impl Gate {
    fn named(&self, name: &str) -> Account {
        let room = self.room.lock().unwrap().map_or(Amount::Unlimited, Amount::AtMost);
        Account {
            sub: sub(name),
            username: name.to_owned(),
            email: None,
            email_verified: false,
            may_dial_out: true,
            status: Status::Active,
            plan: Plan::from("own"),
            limits: Limits::unlimited().with(Limit::PictureBytes, room),
            over_limit_until: None,
            roles: if name == "root" { vec![Role::Admin] } else { Vec::new() },
            version: 1,
            created_at: 0,
        }
    }
}

#[async_trait]
impl Accounts for Gate {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        let known = ["alice", "bob", "root"].into_iter().find(|name| sub(name) == call.account);
        Ok(self.named(known.ok_or_else(|| CallError::not_found("account"))?))
    }

    async fn token(&self, shown: ShownToken) -> CallResult<TokenAnswer> {
        assert_eq!(shown.scope, Scope::Upload);
        Ok(match ["alice", "bob", "root"].into_iter().find(|name| *name == shown.secret) {
            Some(name) if shown.username.is_none_or(|username| username == name) => {
                TokenAnswer::Good { account: Box::new(self.named(name)), credential: Uuid::nil() }
            }
            _ => TokenAnswer::Refused { text: "The app password is wrong.".to_owned() },
        })
    }

    async fn changes(&self, _: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        Ok(stream::pending().boxed())
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        Ok(FeedCursor(0))
    }

    async fn sasl(&self, _: SaslStep) -> CallResult<SaslAnswer> {
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
