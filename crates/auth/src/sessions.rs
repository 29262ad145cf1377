//! Session rows in the service's own database. The cookie holds a random token, the row its hash.

use std::time::Duration;

use contracts::Sub;
use secrecy::{ExposeSecret as _, SecretString};
use service::clock::now_us;
use service::db::{Database, Migration};
use service::secrets::{Keyring, random_token, sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::error::AuthError;
use crate::provider::{Identity, Login};

/// The tables of this crate, for a test that reads every migration. [`crate::RelyingParty::open`] applies them.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "sessions",
    sqlite: include_str!("sessions/1_sqlite.sql"),
    postgres: include_str!("sessions/1_postgres.sql"),
}];

const INSERT: &str = "INSERT INTO auth_sessions (id, token_hash, sub, sid, identity, id_token, refresh_token, \
     refresh_at, created_at, last_seen_at, expires_at, address, agent) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12)";
const BY_TOKEN: &str = "SELECT id, sub, sid, identity, refresh_at, created_at, last_seen_at, expires_at, address, agent \
     FROM auth_sessions WHERE token_hash = $1 AND revoked_at IS NULL AND expires_at > $2 AND last_seen_at > $3";
const IS_ALIVE: &str =
    "SELECT id FROM auth_sessions WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2";
const OF_SUB: &str = "SELECT id, sub, sid, identity, refresh_at, created_at, last_seen_at, expires_at, address, agent \
     FROM auth_sessions WHERE sub = $1 AND revoked_at IS NULL AND expires_at > $2 AND last_seen_at > $3 \
     ORDER BY last_seen_at DESC";
const TOUCH: &str = "UPDATE auth_sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $3";
const SECRETS: &str = "SELECT id_token, refresh_token FROM auth_sessions WHERE id = $1";
const UNDER_OLDER_KEY: &str = "SELECT id, id_token, refresh_token FROM auth_sessions WHERE id > $1 AND \
     (substr(id_token, 1, $2) <> $3 OR substr(refresh_token, 1, $2) <> $3) ORDER BY id LIMIT 200";
const RESEAL: &str =
    "UPDATE auth_sessions SET id_token = $2, refresh_token = $3 WHERE id = $1 AND id_token = $4";
const CLAIM_REFRESH: &str = "UPDATE auth_sessions SET refresh_at = $3 WHERE id = $1 AND refresh_at = $2 \
     AND revoked_at IS NULL";
const REFRESHED: &str = "UPDATE auth_sessions SET identity = $2, id_token = $3, \
     refresh_token = COALESCE($4, refresh_token), refresh_at = $5 WHERE id = $1";
const REVOKE_ID: &str = "UPDATE auth_sessions SET revoked_at = $1, id_token = NULL, refresh_token = NULL \
     WHERE id = $2 AND sub = $3 AND revoked_at IS NULL RETURNING id";
const REVOKE_SID: &str = "UPDATE auth_sessions SET revoked_at = $1, id_token = NULL, refresh_token = NULL \
     WHERE sid = $2 AND revoked_at IS NULL RETURNING id";
const REVOKE_SUB: &str = "UPDATE auth_sessions SET revoked_at = $1, id_token = NULL, refresh_token = NULL \
     WHERE sub = $2 AND revoked_at IS NULL RETURNING id";
const REVOKED_SINCE: &str = "SELECT id FROM auth_sessions WHERE revoked_at > $1";
const DELETE_SUB: &str = "DELETE FROM auth_sessions WHERE sub = $1 RETURNING id";
const SWEEP: &str = "DELETE FROM auth_sessions WHERE revoked_at < $1 OR expires_at < $1 OR last_seen_at < $2";
const SWEEP_TOKENS: &str = "DELETE FROM auth_logout_tokens WHERE expires_at < $1";
const SEEN_TOKEN: &str = "INSERT INTO auth_logout_tokens (id_hash, expires_at) VALUES ($1, $2)";
const CURSOR: &str = "SELECT cursor FROM auth_feed WHERE name = 'accounts'";
const SET_CURSOR: &str = "INSERT INTO auth_feed (name, cursor) VALUES ('accounts', $1) \
     ON CONFLICT (name) DO UPDATE SET cursor = EXCLUDED.cursor";

/// `last seen` is written at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// How long whoever began a refresh has before another may.
const REFRESH_TURN: Duration = Duration::from_secs(30);
/// Ended sessions are kept so long that every process has noticed.
const KEPT: Duration = Duration::from_secs(600);

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionInfo {
    /// Names it. Not the secret in the cookie.
    pub id: Uuid,
    /// Whose it is.
    pub sub: Sub,
    /// The issuer's session it came from.
    pub sid: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// To the minute.
    pub last_seen_at: i64,
    /// When it ends at the latest.
    pub expires_at: i64,
    /// Where it began.
    pub address: Option<String>,
    /// The browser, as it calls itself.
    pub agent: Option<String>,
}

/// A session as its row holds it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) info: SessionInfo,
    pub(crate) identity: Identity,
    pub(crate) refresh_at: i64,
}

/// A session that begins.
pub(crate) struct NewSession<'a> {
    pub(crate) sub: Sub,
    pub(crate) login: &'a Login,
    pub(crate) address: Option<String>,
    pub(crate) agent: Option<String>,
}

/// The rows.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pub(crate) db: Database,
    pub(crate) keyring: Keyring,
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
}

fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

fn id_bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

impl Sessions {
    /// A new session; what is returned goes into the cookie and is kept nowhere.
    pub(crate) async fn create(&self, new: NewSession<'_>) -> Result<(Uuid, String), AuthError> {
        let (id, token, now) = (Uuid::now_v7(), random_token()?, now_us());
        let row = self.sealed(id, new.login)?;
        sqlx::query(INSERT)
            .bind(id_bytes(id))
            .bind(sha256(token.as_bytes()).to_vec())
            .bind(id_bytes(new.sub.0))
            .bind(new.login.identity.ours.sid.clone())
            .bind(row.identity)
            .bind(row.id_token)
            .bind(row.refresh_token)
            .bind(row.refresh_at)
            .bind(now)
            .bind(now + us(self.absolute))
            .bind(new.address)
            .bind(new.agent)
            .execute(self.db.pool())
            .await?;
        Ok((id, token))
    }

    /// The session of a cookie, if it lives.
    pub(crate) async fn by_token(&self, token: &str) -> Result<Option<Session>, AuthError> {
        let now = now_us();
        let row = sqlx::query(BY_TOKEN)
            .bind(sha256(token.as_bytes()).to_vec())
            .bind(now)
            .bind(now - us(self.idle))
            .fetch_optional(self.db.pool())
            .await?;
        let Some(session) = row.map(|row| read(&row)).transpose()? else { return Ok(None) };
        if session.info.last_seen_at * 1_000_000 < now - us(TOUCH_EVERY) {
            sqlx::query(TOUCH)
                .bind(id_bytes(session.info.id))
                .bind(now)
                .bind(now - us(TOUCH_EVERY))
                .execute(self.db.pool())
                .await?;
        }
        Ok(Some(session))
    }

    /// Whether a session lives.
    pub(crate) async fn is_alive(&self, id: Uuid) -> Result<bool, AuthError> {
        let row =
            sqlx::query(IS_ALIVE).bind(id_bytes(id)).bind(now_us()).fetch_optional(self.db.pool()).await?;
        Ok(row.is_some())
    }

    /// The living sessions of an account, the last seen first.
    pub(crate) async fn of(&self, sub: Sub) -> Result<Vec<SessionInfo>, AuthError> {
        let now = now_us();
        let rows = sqlx::query(OF_SUB)
            .bind(id_bytes(sub.0))
            .bind(now)
            .bind(now - us(self.idle))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(|row| read(row).map(|session| session.info)).collect()
    }

    /// Takes the turn to refresh a session. One process and one request gets it; the others go on with what is known.
    pub(crate) async fn claim_refresh(&self, session: &Session) -> Result<bool, AuthError> {
        let done = sqlx::query(CLAIM_REFRESH)
            .bind(id_bytes(session.info.id))
            .bind(session.refresh_at)
            .bind(now_us() + us(REFRESH_TURN))
            .execute(self.db.pool())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// ID token and refresh token of a session.
    pub(crate) async fn secrets(
        &self,
        id: Uuid,
    ) -> Result<(Option<SecretString>, Option<SecretString>), AuthError> {
        let row = sqlx::query(SECRETS).bind(id_bytes(id)).fetch_optional(self.db.pool()).await?;
        let Some(row) = row else { return Ok((None, None)) };
        let open = |column: usize, context: &str| -> Result<Option<SecretString>, AuthError> {
            let sealed: Option<Vec<u8>> = row.try_get(column)?;
            let Some(sealed) = sealed else { return Ok(None) };
            let plain = self.keyring.unseal(&format!("{context}:{id}"), &sealed)?;
            Ok(Some(SecretString::from(String::from_utf8_lossy(&plain).into_owned())))
        };
        Ok((open(0, "session-id-token")?, open(1, "session-refresh-token")?))
    }

    /// Seals the tokens of every session under the newest key. What no key opens is left; such a session signs in anew.
    pub(crate) async fn reseal(&self) -> Result<(), AuthError> {
        let mut after = Vec::new();
        loop {
            let mark = self.keyring.mark();
            let mut tx = self.db.begin().await?;
            let rows = sqlx::query(UNDER_OLDER_KEY)
                .bind(after.clone())
                .bind(i32::try_from(mark.len()).unwrap_or(i32::MAX))
                .bind(mark)
                .fetch_all(&mut *tx)
                .await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.try_get(0)?;
            for row in &rows {
                self.reseal_row(&mut tx, row).await?;
            }
            tx.commit().await?;
        }
    }

    async fn reseal_row(&self, tx: &mut service::db::Tx, row: &AnyRow) -> Result<(), AuthError> {
        let id = uuid(row.try_get(0)?)?;
        let anew = |column: usize, context: &str| -> Result<Option<Vec<u8>>, AuthError> {
            let sealed: Option<Vec<u8>> = row.try_get(column)?;
            let Some(sealed) = sealed else { return Ok(None) };
            let anew = self.keyring.reseal(&format!("{context}:{id}"), &sealed).unwrap_or_else(|error| {
                tracing::warn!(session = %id, %error, "the tokens of a session stay under their key");
                None
            });
            Ok(Some(anew.unwrap_or(sealed)))
        };
        let (id_token, refresh_token) = (anew(1, "session-id-token")?, anew(2, "session-refresh-token")?);
        sqlx::query(RESEAL)
            .bind(id_bytes(id))
            .bind(id_token)
            .bind(refresh_token)
            .bind(row.try_get::<Option<Vec<u8>>, _>(1)?)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// What a refresh brought.
    pub(crate) async fn refreshed(&self, id: Uuid, login: &Login) -> Result<(), AuthError> {
        let row = self.sealed(id, login)?;
        sqlx::query(REFRESHED)
            .bind(id_bytes(id))
            .bind(row.identity)
            .bind(row.id_token)
            .bind(row.refresh_token)
            .bind(row.refresh_at)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Ends one session of an account.
    pub(crate) async fn revoke(&self, sub: Sub, id: Uuid) -> Result<Vec<Uuid>, AuthError> {
        let query = sqlx::query(REVOKE_ID).bind(now_us()).bind(id_bytes(id)).bind(id_bytes(sub.0));
        ids(&query.fetch_all(self.db.pool()).await?)
    }

    /// Ends the sessions that came from one session of the issuer.
    pub(crate) async fn revoke_sid(&self, sid: &str) -> Result<Vec<Uuid>, AuthError> {
        ids(&sqlx::query(REVOKE_SID).bind(now_us()).bind(sid.to_owned()).fetch_all(self.db.pool()).await?)
    }

    /// Ends every session of an account.
    pub(crate) async fn revoke_sub(&self, sub: Sub) -> Result<Vec<Uuid>, AuthError> {
        ids(&sqlx::query(REVOKE_SUB).bind(now_us()).bind(id_bytes(sub.0)).fetch_all(self.db.pool()).await?)
    }

    /// Which sessions have ended since, by whichever process.
    pub(crate) async fn revoked_since(&self, at_us: i64) -> Result<Vec<Uuid>, AuthError> {
        ids(&sqlx::query(REVOKED_SINCE).bind(at_us).fetch_all(self.db.pool()).await?)
    }

    /// Deletes every row of an account.
    pub(crate) async fn delete(&self, sub: Sub) -> Result<Vec<Uuid>, AuthError> {
        ids(&sqlx::query(DELETE_SUB).bind(id_bytes(sub.0)).fetch_all(self.db.pool()).await?)
    }

    /// Deletes what has ended long ago.
    pub(crate) async fn sweep(&self) -> Result<(), AuthError> {
        let now = now_us();
        sqlx::query(SWEEP).bind(now - us(KEPT)).bind(now - us(self.idle)).execute(self.db.pool()).await?;
        sqlx::query(SWEEP_TOKENS).bind(now).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Notes a logout token; `false` if it was seen before.
    pub(crate) async fn first_time(&self, jti: &str, until_us: i64) -> Result<bool, AuthError> {
        let noted = sqlx::query(SEEN_TOKEN)
            .bind(sha256(jti.as_bytes()).to_vec())
            .bind(until_us)
            .execute(self.db.pool())
            .await;
        match noted {
            Ok(_) => Ok(true),
            Err(error) if service::db::is_unique_violation(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the account feed has been followed to.
    pub(crate) async fn cursor(&self) -> Result<Option<i64>, AuthError> {
        let row = sqlx::query(CURSOR).fetch_optional(self.db.pool()).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Notes where the account feed has been followed to.
    pub(crate) async fn set_cursor(&self, cursor: i64) -> Result<(), AuthError> {
        sqlx::query(SET_CURSOR).bind(cursor).execute(self.db.pool()).await?;
        Ok(())
    }

    fn sealed(&self, id: Uuid, login: &Login) -> Result<Row, AuthError> {
        let seal = |context: &str, secret: &SecretString| {
            self.keyring.seal(&format!("{context}:{id}"), secret.expose_secret().as_bytes())
        };
        // Asked again a little before the issuer stops vouching; where it says nothing, every five minutes.
        let vouched = login.expires_in.unwrap_or(Duration::from_secs(300));
        let refresh_at = match &login.refresh_token {
            Some(_) => now_us() + us(vouched.saturating_sub(Duration::from_secs(20))),
            None => 0,
        };
        Ok(Row {
            identity: serde_json::to_string(&login.identity)
                .map_err(|error| AuthError::Untrusted(error.to_string()))?,
            id_token: seal("session-id-token", &login.id_token)?,
            refresh_token: login
                .refresh_token
                .as_ref()
                .map(|token| seal("session-refresh-token", token))
                .transpose()?,
            refresh_at,
        })
    }
}

struct Row {
    identity: String,
    id_token: Vec<u8>,
    refresh_token: Option<Vec<u8>>,
    refresh_at: i64,
}

fn ids(rows: &[AnyRow]) -> Result<Vec<Uuid>, AuthError> {
    rows.iter().map(|row| uuid(row.try_get(0)?)).collect()
}

fn uuid(bytes: Vec<u8>) -> Result<Uuid, AuthError> {
    Uuid::from_slice(&bytes).map_err(|error| sqlx::Error::Decode(error.into()).into())
}

fn read(row: &AnyRow) -> Result<Session, AuthError> {
    let seconds =
        |column: usize| -> Result<i64, AuthError> { Ok(row.try_get::<i64, _>(column)? / 1_000_000) };
    let identity: String = row.try_get(3)?;
    Ok(Session {
        info: SessionInfo {
            id: uuid(row.try_get(0)?)?,
            sub: Sub(uuid(row.try_get(1)?)?),
            sid: row.try_get(2)?,
            created_at: seconds(5)?,
            last_seen_at: seconds(6)?,
            expires_at: seconds(7)?,
            address: row.try_get(8)?,
            agent: row.try_get(9)?,
        },
        identity: serde_json::from_str(&identity).map_err(|error| sqlx::Error::Decode(error.into()))?,
        refresh_at: row.try_get(4)?,
    })
}
