//! [`Accounts`], as the other services call it.

use async_trait::async_trait;
use contracts::{
    Account, AccountChange, Accounts, Call, CallError, CallResult, Credential, FeedCursor, NewCredential,
    SaslAnswer, SaslStep, Scope, SecurityEvent, ShownToken, Status, TokenAnswer,
};
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::clock::now_s;
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::{Error, Result, forbidden};
use crate::sasl::not_active;
use crate::store::{AccountRow, Tx};
use crate::text::tidy;

const MOST_EVENTS: u32 = 200;

impl Gatekeeper {
    async fn known(&self, call: &Call) -> Result<AccountRow> {
        let row = self.0.store.account(call.account).await?;
        row.ok_or_else(|| CallError::not_found("account").into())
    }

    /// The account as the transaction sees it, allowed to change something and at the version the caller read.
    async fn changeable(&self, tx: &mut Tx, call: &Call) -> Result<AccountRow> {
        let row = self.0.store.account_in(tx, call.account).await?;
        let row = row.ok_or_else(|| Error::from(CallError::not_found("account")))?;
        if row.status != Status::Active {
            return Err(forbidden(not_active(row.status)));
        }
        if call.version.is_some_and(|version| version != row.version) {
            let message = "Your account was changed elsewhere meanwhile. Look at it again.".to_owned();
            return Err(CallError::Conflict { message }.into());
        }
        Ok(row)
    }

    fn answer_context(call: &Call, method: &str) -> String {
        format!("gatekeeper:answer:{}:{method}", call.account)
    }

    /// What was answered before under the call's idempotency key.
    async fn earlier<T: DeserializeOwned>(
        &self,
        tx: &mut Tx,
        call: &Call,
        method: &str,
    ) -> Result<Option<T>> {
        let Some(name) = &call.idempotency_key else { return Ok(None) };
        let Some((before, sealed)) = self.0.store.answer(tx, call.account, name).await? else {
            return Ok(None);
        };
        if before != method {
            let message = "This idempotency key was used for another call.".to_owned();
            return Err(CallError::Conflict { message }.into());
        }
        let plain = self.0.keyring.unseal(&Self::answer_context(call, method), &sealed)?;
        Ok(serde_json::from_slice(&plain).ok())
    }

    /// Keeps the answer with the change, so that a repeat gets it again.
    async fn keep<T: Serialize>(
        &self,
        tx: &mut Tx,
        call: &Call,
        method: &str,
        answer: &T,
        now: i64,
    ) -> Result<()> {
        let Some(name) = &call.idempotency_key else { return Ok(()) };
        let plain = serde_json::to_vec(answer).map_err(|error| Error::Internal(error.to_string()))?;
        let sealed = self.0.keyring.seal(&Self::answer_context(call, method), &plain)?;
        Ok(self.0.store.keep_answer(tx, call.account, name, method, &sealed, now).await?)
    }

    async fn make_app_password(&self, call: &Call, name: &str, scopes: &[Scope]) -> Result<NewCredential> {
        const METHOD: &str = "create_app_password";
        let now = now_s();
        let mut tx = self.0.store.begin().await?;
        if let Some(before) = self.earlier(&mut tx, call, METHOD).await? {
            return Ok(before);
        }
        let account = self.changeable(&mut tx, call).await?;
        let made = self.new_app_password(&mut tx, &account, name, scopes, now).await?;
        self.keep(&mut tx, call, METHOD, &made, now).await?;
        self.0.store.commit(tx).await?;
        Ok(made)
    }

    async fn make_certificate(&self, call: &Call, name: &str, fingerprint: &str) -> Result<Credential> {
        const METHOD: &str = "add_certificate";
        let now = now_s();
        let mut tx = self.0.store.begin().await?;
        if let Some(before) = self.earlier(&mut tx, call, METHOD).await? {
            return Ok(before);
        }
        let account = self.changeable(&mut tx, call).await?;
        let made = self.new_certificate(&mut tx, &account, name, fingerprint, now).await?;
        self.keep(&mut tx, call, METHOD, &made, now).await?;
        self.0.store.commit(tx).await?;
        Ok(made)
    }

    async fn take_credential(&self, call: &Call, credential: Uuid) -> Result<()> {
        const METHOD: &str = "revoke_credential";
        let now = now_s();
        let mut tx = self.0.store.begin().await?;
        if let Some(()) = self.earlier(&mut tx, call, METHOD).await? {
            return Ok(());
        }
        self.revoke(&mut tx, call.account, credential, now).await?;
        self.keep(&mut tx, call, METHOD, &(), now).await?;
        self.0.store.commit(tx).await?;
        Ok(())
    }
}

#[async_trait]
impl Accounts for Gatekeeper {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        Ok(self.shown(&self.known(call).await?))
    }

    async fn sasl(&self, step: SaslStep) -> CallResult<SaslAnswer> {
        let answer = self.sasl_step(step, now_s()).await?;
        match &answer {
            SaslAnswer::Challenge { .. } => {}
            SaslAnswer::Success { .. } => self.0.figures.login("irc", true),
            SaslAnswer::Refused { .. } => self.0.figures.login("irc", false),
        }
        Ok(answer)
    }

    async fn token(&self, shown: ShownToken) -> CallResult<TokenAnswer> {
        Ok(self.shown_token(shown, now_s()).await?)
    }

    async fn credential_used(&self, call: &Call, credential: Uuid, client: Option<String>) -> CallResult<()> {
        let client = client.map(|client| tidy(&client, 80)).filter(|client| !client.is_empty());
        let done = self.0.store.credential_used(call.account, credential, client.as_deref(), now_s()).await;
        Ok(done.map_err(Error::from)?)
    }

    async fn credentials(&self, call: &Call) -> CallResult<Vec<Credential>> {
        let rows = self.0.store.credentials(call.account).await.map_err(Error::from)?;
        Ok(rows.into_iter().map(|row| row.shown).collect())
    }

    async fn create_app_password(
        &self,
        call: &Call,
        name: String,
        scopes: Vec<Scope>,
    ) -> CallResult<NewCredential> {
        Ok(self.make_app_password(call, &name, &scopes).await?)
    }

    async fn add_certificate(
        &self,
        call: &Call,
        name: String,
        fingerprint: String,
    ) -> CallResult<Credential> {
        Ok(self.make_certificate(call, &name, &fingerprint).await?)
    }

    async fn revoke_credential(&self, call: &Call, credential: Uuid) -> CallResult<()> {
        Ok(self.take_credential(call, credential).await?)
    }

    async fn security_events(&self, call: &Call, limit: u32) -> CallResult<Vec<SecurityEvent>> {
        let events = self.0.store.events(call.account, limit.min(MOST_EVENTS)).await;
        Ok(events.map_err(Error::from)?)
    }

    async fn changes(&self, after: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        Ok(self.change_feed(after).await?)
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        Ok(FeedCursor(self.0.store.feed_head().await.map_err(Error::from)?))
    }

    async fn delete_account(&self, call: &Call) -> CallResult<()> {
        Ok(self.begin_deletion(call.account, "You asked for it.", now_s()).await?)
    }
}
