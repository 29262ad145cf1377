//! Signed-in browsers: a random cookie, kept as its hash, new at every sign-in.

use std::net::IpAddr;

use contracts::{CallError, Status, Sub};
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::Result;
use crate::secret::sha256;
use crate::store::{AccountRow, NewSession, SessionRow, Tx};
use crate::text::tidy;

/// Who is in front of us, as far as the connection says.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    pub address: Option<IpAddr>,
    pub agent: String,
}

impl Visitor {
    pub fn shown_address(&self) -> Option<String> {
        self.address.map(|address| address.to_canonical().to_string())
    }
}

/// What an upstream provider says of the session there.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSession {
    pub sid: Option<String>,
    pub id_token: Option<String>,
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub account: AccountRow,
    pub session: SessionRow,
}

pub(crate) const UPSTREAM_TOKEN: &str = "gatekeeper:upstream-id-token";

impl Gatekeeper {
    /// A new session, in place of the one the browser had. Returns the cookie's value.
    pub(crate) async fn begin_session(
        &self,
        account: &AccountRow,
        visitor: &Visitor,
        upstream: Option<&UpstreamSession>,
        before: Option<&str>,
        now: i64,
    ) -> Result<String> {
        let token = service::secrets::random_token()?;
        let old = match before {
            Some(cookie) => self.0.store.session(&sha256(cookie.as_bytes()), now).await?,
            None => None,
        };
        let sealed = match upstream.and_then(|upstream| upstream.id_token.as_deref()) {
            Some(token) => Some(self.0.keyring.seal(UPSTREAM_TOKEN, token.as_bytes())?),
            None => None,
        };
        let lifetime = i64::try_from(self.0.config.session_lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        let mut tx = self.0.store.begin().await?;
        if let Some(old) = old {
            self.0.store.end_session(&mut tx, &old, now).await?;
        }
        self.0
            .store
            .insert_session(
                &mut tx,
                &NewSession {
                    hash: &sha256(token.as_bytes()),
                    sid: &Uuid::now_v7().to_string(),
                    sub: account.sub,
                    now,
                    expires_at: now.saturating_add(lifetime),
                    address: visitor.shown_address().as_deref(),
                    agent: Some(tidy(&visitor.agent, 200).as_str()).filter(|agent| !agent.is_empty()),
                    upstream_sid: upstream.and_then(|upstream| upstream.sid.as_deref()),
                    upstream_id_token: sealed.as_deref(),
                },
            )
            .await?;
        let text = match client_of(&visitor.agent) {
            Some(client) => format!("You signed in with {client}."),
            None => "You signed in.".to_owned(),
        };
        self.note_in(&mut tx, account.sub, "sign_in", &text, visitor.shown_address(), now).await?;
        self.0.store.commit(tx).await?;
        self.0.figures.login("browser", true);
        Ok(token)
    }

    /// Who a cookie stands for; nobody if the account is not active.
    pub(crate) async fn signed_in(&self, cookie: &str, now: i64) -> Result<Option<SignedIn>> {
        let Some(session) = self.0.store.session(&sha256(cookie.as_bytes()), now).await? else {
            return Ok(None);
        };
        let Some(account) = self.0.store.account(session.sub).await? else { return Ok(None) };
        if account.status != Status::Active {
            return Ok(None);
        }
        if session.seen_at < now - 60 {
            self.0.store.session_seen(&session.sid, now).await?;
        }
        Ok(Some(SignedIn { account, session }))
    }

    /// Ends one session of an account.
    pub(crate) async fn end_session(&self, sub: Sub, sid: &str, now: i64) -> Result<SessionRow> {
        let session = self.0.store.session_by_sid(sid, now).await?.filter(|session| session.sub == sub);
        let Some(session) = session else { return Err(CallError::not_found("session").into()) };
        let mut tx = self.0.store.begin().await?;
        self.0.store.end_session(&mut tx, &session, now).await?;
        self.0.store.commit(tx).await?;
        self.0.work.notify_waiters();
        Ok(session)
    }

    /// Ends every session of an account but one, as part of a larger change.
    pub(crate) async fn end_sessions_in(
        &self,
        tx: &mut Tx,
        sub: Sub,
        but: Option<&str>,
        now: i64,
    ) -> Result<()> {
        for session in self.0.store.sessions_of(sub).await? {
            if Some(session.sid.as_str()) != but {
                self.0.store.end_session(tx, &session, now).await?;
            }
        }
        Ok(())
    }
}

/// The browser's own name in its `User-Agent`: "Firefox", "Chrome on Android".
pub fn client_of(agent: &str) -> Option<String> {
    let browser = [
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]
    .into_iter()
    .find(|(mark, _)| agent.contains(mark))?
    .1;
    let system = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]
    .into_iter()
    .find(|(mark, _)| agent.contains(mark));
    Some(system.map_or_else(|| browser.to_owned(), |(_, system)| format!("{browser} on {system}")))
}
