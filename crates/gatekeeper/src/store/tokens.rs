//! Authorization codes, refresh tokens, signing keys, mailed links and logout notices.

use contracts::Sub;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Columns as _, Result, Store, Tx, bytes, key};

/// An authorization code on its way from the browser to the token endpoint.
#[derive(Clone, Debug)]
pub struct CodeRow {
    pub client: String,
    pub redirect_uri: String,
    pub sub: Sub,
    pub sid: String,
    pub scope: String,
    pub nonce: Option<String>,
    pub challenge: String,
    pub auth_time: i64,
    pub expires_at: i64,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub struct RefreshRow {
    pub sub: Sub,
    pub sid: String,
    pub client: String,
    pub scope: String,
    pub auth_time: i64,
    pub expires_at: i64,
    /// When it was exchanged for the next one.
    pub used_at: Option<i64>,
}

/// A signing key, sealed.
#[derive(Clone)]
pub struct SigningKeyRow {
    pub kid: String,
    pub sealed: Vec<u8>,
    pub signs_from: i64,
    pub signs_until: i64,
    pub gone_at: i64,
}

/// A link that was mailed.
#[derive(Clone, Debug)]
pub struct MailToken {
    pub sub: Sub,
    pub email: String,
}

/// A relying party that is to be told that a session ended.
#[derive(Clone, Debug)]
pub struct LogoutNotice {
    pub id: Uuid,
    pub client: String,
    pub sub: Sub,
    pub sid: String,
    pub tries: i64,
}

const ADD_CODE: &str =
    "INSERT INTO codes (hash, client, redirect_uri, sub, sid, scope, nonce, challenge, auth_time,
    expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const GET_CODE: &str = "SELECT client, redirect_uri, sub, sid, scope, nonce, challenge, auth_time, expires_at
    FROM codes WHERE hash = $1";
const USE_CODE: &str = "UPDATE codes SET used = 1 WHERE hash = $1 AND used = 0";
const ADD_REFRESH: &str = "INSERT INTO refresh_tokens (hash, sub, sid, client, scope, auth_time, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const GET_REFRESH: &str = "SELECT sub, sid, client, scope, auth_time, expires_at, used_at FROM refresh_tokens
    WHERE hash = $1";
const USE_REFRESH: &str = "UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL";
const REVOKE_FAMILY: &str = "DELETE FROM refresh_tokens WHERE sid = $1 AND client = $2";
const ADD_KEY: &str =
    "INSERT INTO signing_keys (kid, sealed, signs_from, signs_until, gone_at) VALUES ($1, $2, $3, $4, $5)";
const KEYS: &str = "SELECT kid, sealed, signs_from, signs_until, gone_at FROM signing_keys WHERE gone_at > $1
    ORDER BY signs_from, kid";
const RESEAL_KEY: &str = "UPDATE signing_keys SET sealed = $2 WHERE kid = $1";
const ADD_MAIL: &str =
    "INSERT INTO mail_tokens (hash, sub, purpose, email, expires_at) VALUES ($1, $2, $3, $4, $5)";
const GET_MAIL: &str =
    "SELECT sub, email FROM mail_tokens WHERE hash = $1 AND purpose = $2 AND expires_at > $3";
const DROP_MAIL: &str = "DELETE FROM mail_tokens WHERE hash = $1";
const DROP_MAIL_OF: &str = "DELETE FROM mail_tokens WHERE sub = $1 AND purpose = $2";
const DUE: &str =
    "SELECT id, client, sub, sid, tries FROM logout_outbox WHERE next_at <= $1 ORDER BY next_at LIMIT 100";
const DONE: &str = "DELETE FROM logout_outbox WHERE id = $1";
const LATER: &str = "UPDATE logout_outbox SET tries = tries + 1, next_at = $2 WHERE id = $1";
const SEE_JTI: &str = "INSERT INTO used_logout_tokens (jti, gone_at) VALUES ($1, $2)";
const PRUNE: [&str; 5] = [
    "DELETE FROM codes WHERE expires_at < $1 - 3600",
    "DELETE FROM refresh_tokens WHERE expires_at < $1",
    "DELETE FROM mail_tokens WHERE expires_at < $1",
    "DELETE FROM signing_keys WHERE gone_at < $1",
    "DELETE FROM used_logout_tokens WHERE gone_at < $1",
];

impl Store {
    pub async fn insert_code(&self, tx: &mut Tx, hash: &[u8], code: &CodeRow) -> Result<()> {
        sqlx::query(ADD_CODE)
            .bind(hash.to_vec())
            .bind(code.client.clone())
            .bind(code.redirect_uri.clone())
            .bind(key(code.sub))
            .bind(code.sid.clone())
            .bind(code.scope.clone())
            .bind(code.nonce.clone())
            .bind(code.challenge.clone())
            .bind(code.auth_time)
            .bind(code.expires_at)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The code, and whether this is its first use.
    pub async fn use_code(&self, tx: &mut Tx, hash: &[u8]) -> Result<Option<(CodeRow, bool)>> {
        let first = sqlx::query(USE_CODE).bind(hash.to_vec()).execute(&mut **tx).await?.rows_affected() == 1;
        let row = sqlx::query(GET_CODE).bind(hash.to_vec()).fetch_optional(&mut **tx).await?;
        row.as_ref().map(|row| Ok((code(row)?, first))).transpose()
    }

    pub async fn insert_refresh(&self, tx: &mut Tx, hash: &[u8], token: &RefreshRow) -> Result<()> {
        sqlx::query(ADD_REFRESH)
            .bind(hash.to_vec())
            .bind(key(token.sub))
            .bind(token.sid.clone())
            .bind(token.client.clone())
            .bind(token.scope.clone())
            .bind(token.auth_time)
            .bind(token.expires_at)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The token as it was before this use, which is noted.
    pub async fn use_refresh(&self, tx: &mut Tx, hash: &[u8], now: i64) -> Result<Option<RefreshRow>> {
        let row = sqlx::query(GET_REFRESH).bind(hash.to_vec()).fetch_optional(&mut **tx).await?;
        sqlx::query(USE_REFRESH).bind(hash.to_vec()).bind(now).execute(&mut **tx).await?;
        row.as_ref().map(refresh).transpose()
    }

    /// Takes every refresh token back that a relying party has for a session.
    pub async fn revoke_family(&self, tx: &mut Tx, sid: &str, client: &str) -> Result<()> {
        sqlx::query(REVOKE_FAMILY).bind(sid.to_owned()).bind(client.to_owned()).execute(&mut **tx).await?;
        Ok(())
    }

    pub async fn insert_signing_key(&self, tx: &mut Tx, new: &SigningKeyRow) -> Result<()> {
        sqlx::query(ADD_KEY)
            .bind(new.kid.clone())
            .bind(new.sealed.clone())
            .bind(new.signs_from)
            .bind(new.signs_until)
            .bind(new.gone_at)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The signing keys still shown, the oldest first, as the transaction sees them.
    pub async fn signing_keys(&self, tx: &mut Tx, now: i64) -> Result<Vec<SigningKeyRow>> {
        let rows = sqlx::query(KEYS).bind(now).fetch_all(&mut **tx).await?;
        rows.iter()
            .map(|row| {
                Ok(SigningKeyRow {
                    kid: row.text("kid")?,
                    sealed: row.blob("sealed")?,
                    signs_from: row.int("signs_from")?,
                    signs_until: row.int("signs_until")?,
                    gone_at: row.int("gone_at")?,
                })
            })
            .collect()
    }

    pub async fn reseal_signing_key(&self, tx: &mut Tx, kid: &str, sealed: &[u8]) -> Result<()> {
        sqlx::query(RESEAL_KEY).bind(kid.to_owned()).bind(sealed.to_vec()).execute(&mut **tx).await?;
        Ok(())
    }

    /// A link to be mailed; earlier ones of the same purpose stop working.
    pub async fn insert_mail_token(
        &self,
        tx: &mut Tx,
        hash: &[u8],
        purpose: &str,
        token: &MailToken,
        expires_at: i64,
    ) -> Result<()> {
        self.drop_mail_tokens(tx, token.sub, purpose).await?;
        sqlx::query(ADD_MAIL)
            .bind(hash.to_vec())
            .bind(key(token.sub))
            .bind(purpose.to_owned())
            .bind(token.email.clone())
            .bind(expires_at)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    pub async fn mail_token(&self, hash: &[u8], purpose: &str, now: i64) -> Result<Option<MailToken>> {
        let row = sqlx::query(GET_MAIL)
            .bind(hash.to_vec())
            .bind(purpose.to_owned())
            .bind(now)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| Ok(MailToken { sub: row.sub("sub")?, email: row.text("email")? })).transpose()
    }

    /// Spends a mailed link; `false` if it was spent already.
    pub async fn use_mail_token(&self, tx: &mut Tx, hash: &[u8]) -> Result<bool> {
        Ok(sqlx::query(DROP_MAIL).bind(hash.to_vec()).execute(&mut **tx).await?.rows_affected() == 1)
    }

    pub async fn drop_mail_tokens(&self, tx: &mut Tx, sub: Sub, purpose: &str) -> Result<()> {
        sqlx::query(DROP_MAIL_OF).bind(key(sub)).bind(purpose.to_owned()).execute(&mut **tx).await?;
        Ok(())
    }

    /// Logout notices whose time has come.
    pub async fn due_logouts(&self, now: i64) -> Result<Vec<LogoutNotice>> {
        let rows = sqlx::query(DUE).bind(now).fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                Ok(LogoutNotice {
                    id: row.id("id")?,
                    client: row.text("client")?,
                    sub: row.sub("sub")?,
                    sid: row.text("sid")?,
                    tries: row.int("tries")?,
                })
            })
            .collect()
    }

    pub async fn logout_told(&self, id: Uuid) -> Result<()> {
        sqlx::query(DONE).bind(bytes(id)).execute(self.pool()).await?;
        Ok(())
    }

    pub async fn logout_again_at(&self, id: Uuid, at: i64) -> Result<()> {
        sqlx::query(LATER).bind(bytes(id)).bind(at).execute(self.pool()).await?;
        Ok(())
    }

    /// Notes a logout token from upstream; [`super::StoreError::is_taken`] if it comes again.
    pub async fn see_logout_token(&self, tx: &mut Tx, jti: &str, gone_at: i64) -> Result<()> {
        sqlx::query(SEE_JTI).bind(jti.to_owned()).bind(gone_at).execute(&mut **tx).await?;
        Ok(())
    }

    /// Forgets what has run out.
    pub async fn prune_tokens(&self, now: i64) -> Result<()> {
        for statement in PRUNE {
            sqlx::query(statement).bind(now).execute(self.pool()).await?;
        }
        Ok(())
    }
}

fn code(row: &AnyRow) -> Result<CodeRow> {
    Ok(CodeRow {
        client: row.text("client")?,
        redirect_uri: row.text("redirect_uri")?,
        sub: row.sub("sub")?,
        sid: row.text("sid")?,
        scope: row.text("scope")?,
        nonce: row.maybe_text("nonce")?,
        challenge: row.text("challenge")?,
        auth_time: row.int("auth_time")?,
        expires_at: row.int("expires_at")?,
    })
}

fn refresh(row: &AnyRow) -> Result<RefreshRow> {
    Ok(RefreshRow {
        sub: row.sub("sub")?,
        sid: row.text("sid")?,
        client: row.text("client")?,
        scope: row.text("scope")?,
        auth_time: row.int("auth_time")?,
        expires_at: row.int("expires_at")?,
        used_at: row.maybe_int("used_at")?,
    })
}

const KEPT: &str = "SELECT sealed FROM kept_keys WHERE name = $1";
const KEEP: &str = "INSERT INTO kept_keys (name, sealed) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed";

impl Store {
    /// A key that outlives rotations of the keyring, sealed.
    pub async fn kept_key(&self, tx: &mut Tx, name: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query(KEPT).bind(name.to_owned()).fetch_optional(&mut **tx).await?;
        row.map(|row| row.blob("sealed")).transpose()
    }

    pub async fn keep_key(&self, tx: &mut Tx, name: &str, sealed: &[u8]) -> Result<()> {
        sqlx::query(KEEP).bind(name.to_owned()).bind(sealed.to_vec()).execute(&mut **tx).await?;
        Ok(())
    }
}
