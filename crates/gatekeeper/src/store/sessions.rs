//! Browser sessions at gatekeeper, and which relying parties each has logged in to.

use contracts::Sub;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::feed::FeedKind;
use super::{Columns as _, Result, Store, Tx, bytes, key};

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The `sid` of ID tokens; a UUID.
    pub sid: String,
    pub sub: Sub,
    /// When the password was last shown.
    pub auth_time: i64,
    pub seen_at: i64,
    pub address: Option<String>,
    pub agent: Option<String>,
    /// The upstream provider's ID token, sealed: its hint at logout.
    pub upstream_id_token: Option<Vec<u8>>,
}

/// A session to be kept.
pub struct NewSession<'a> {
    pub hash: &'a [u8],
    pub sid: &'a str,
    pub sub: Sub,
    pub now: i64,
    pub expires_at: i64,
    pub address: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub upstream_sid: Option<&'a str>,
    pub upstream_id_token: Option<&'a [u8]>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT sid, sub, auth_time, seen_at, address, agent, upstream_id_token FROM sessions ",
            $rest
        )
    };
}

const INSERT: &str = "INSERT INTO sessions (hash, sid, sub, auth_time, seen_at, expires_at, address, agent,
    upstream_sid, upstream_id_token) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9)";
const BY_HASH: &str = select!("WHERE hash = $1 AND expires_at > $2");
const BY_SID: &str = select!("WHERE sid = $1 AND expires_at > $2");
const OF_ACCOUNT: &str = select!("WHERE sub = $1 ORDER BY seen_at DESC");
const OF_UPSTREAM: &str = select!("WHERE upstream_sid = $1");
const EXPIRED: &str = select!("WHERE expires_at <= $1 LIMIT 500");
const SEEN: &str = "UPDATE sessions SET seen_at = $2 WHERE sid = $1 AND seen_at < $2 - 60";
const REJOIN: &str = "INSERT INTO session_clients (sid, client) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const CLIENTS: &str = "SELECT client FROM session_clients WHERE sid = $1";
const DELETE: &str = "DELETE FROM sessions WHERE sid = $1";
const DELETE_CLIENTS: &str = "DELETE FROM session_clients WHERE sid = $1";
const DELETE_REFRESH: &str = "DELETE FROM refresh_tokens WHERE sid = $1";
const DELETE_CODES: &str = "DELETE FROM codes WHERE sid = $1";
const NOTIFY: &str = "INSERT INTO logout_outbox (id, client, sub, sid, next_at) VALUES ($1, $2, $3, $4, $5)";

impl Store {
    pub async fn insert_session(&self, tx: &mut Tx, new: &NewSession<'_>) -> Result<()> {
        sqlx::query(INSERT)
            .bind(new.hash.to_vec())
            .bind(new.sid.to_owned())
            .bind(key(new.sub))
            .bind(new.now)
            .bind(new.expires_at)
            .bind(new.address.map(str::to_owned))
            .bind(new.agent.map(str::to_owned))
            .bind(new.upstream_sid.map(str::to_owned))
            .bind(new.upstream_id_token.map(<[u8]>::to_vec))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The session of a cookie.
    pub async fn session(&self, hash: &[u8], now: i64) -> Result<Option<SessionRow>> {
        let row = sqlx::query(BY_HASH).bind(hash.to_vec()).bind(now).fetch_optional(self.pool()).await?;
        row.as_ref().map(session).transpose()
    }

    pub async fn session_by_sid(&self, sid: &str, now: i64) -> Result<Option<SessionRow>> {
        let row = sqlx::query(BY_SID).bind(sid.to_owned()).bind(now).fetch_optional(self.pool()).await?;
        row.as_ref().map(session).transpose()
    }

    pub async fn sessions_of(&self, sub: Sub) -> Result<Vec<SessionRow>> {
        let rows = sqlx::query(OF_ACCOUNT).bind(key(sub)).fetch_all(self.pool()).await?;
        rows.iter().map(session).collect()
    }

    pub async fn sessions_of_upstream(&self, upstream_sid: &str) -> Result<Vec<SessionRow>> {
        let rows = sqlx::query(OF_UPSTREAM).bind(upstream_sid.to_owned()).fetch_all(self.pool()).await?;
        rows.iter().map(session).collect()
    }

    pub async fn expired_sessions(&self, now: i64) -> Result<Vec<SessionRow>> {
        let rows = sqlx::query(EXPIRED).bind(now).fetch_all(self.pool()).await?;
        rows.iter().map(session).collect()
    }

    /// Notes that the session was seen, at most once a minute.
    pub async fn session_seen(&self, sid: &str, now: i64) -> Result<()> {
        sqlx::query(SEEN).bind(sid.to_owned()).bind(now).execute(self.pool()).await?;
        Ok(())
    }

    /// Notes that a relying party has a session that hangs on this one.
    pub async fn session_joined(&self, tx: &mut Tx, sid: &str, client: &str) -> Result<()> {
        sqlx::query(REJOIN).bind(sid.to_owned()).bind(client.to_owned()).execute(&mut **tx).await?;
        Ok(())
    }

    /// Ends a session: its tokens go, its relying parties are to be told, the feed is told.
    pub async fn end_session(&self, tx: &mut Tx, session: &SessionRow, now: i64) -> Result<()> {
        let clients = sqlx::query(CLIENTS).bind(session.sid.clone()).fetch_all(&mut **tx).await?;
        for client in &clients {
            sqlx::query(NOTIFY)
                .bind(bytes(Uuid::now_v7()))
                .bind(client.text("client")?)
                .bind(key(session.sub))
                .bind(session.sid.clone())
                .bind(now)
                .execute(&mut **tx)
                .await?;
        }
        for statement in [DELETE_CLIENTS, DELETE_REFRESH, DELETE_CODES, DELETE] {
            sqlx::query(statement).bind(session.sid.clone()).execute(&mut **tx).await?;
        }
        self.publish(tx, FeedKind::SessionEnded, session.sub, &session.sid, now).await?;
        // Who came through a door with a token of this session goes with it: there the `sid` is the credential.
        self.publish(tx, FeedKind::CredentialRevoked, session.sub, &session.sid, now).await
    }
}

fn session(row: &AnyRow) -> Result<SessionRow> {
    Ok(SessionRow {
        sid: row.text("sid")?,
        sub: row.sub("sub")?,
        auth_time: row.int("auth_time")?,
        seen_at: row.int("seen_at")?,
        address: row.maybe_text("address")?,
        agent: row.maybe_text("agent")?,
        upstream_id_token: row.maybe_blob("upstream_id_token")?,
    })
}
