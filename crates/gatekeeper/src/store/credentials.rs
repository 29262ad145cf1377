//! App passwords and device certificates.

use contracts::{Credential, CredentialKind, Scope, Sub};
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::feed::FeedKind;
use super::{Columns as _, Result, Store, StoreError, Tx, bytes, key};

/// A credential with what proves it.
#[derive(Clone)]
pub struct CredentialRow {
    pub sub: Sub,
    pub shown: Credential,
    /// SCRAM-SHA-256 (StoredKey, ServerKey); none for certificates.
    pub verifier: Option<(Vec<u8>, Vec<u8>)>,
}

/// A credential to be kept.
pub struct NewCredentialRow<'a> {
    pub id: Uuid,
    pub sub: Sub,
    pub name: &'a str,
    pub certificate: bool,
    pub lookup: &'a [u8],
    pub verifier: Option<(&'a [u8], &'a [u8])>,
    pub scopes: &'a [Scope],
    pub now: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, sub, kind, name, lookup, stored_key, server_key, scopes, created_at, last_used_at,
             last_used_client FROM credentials ",
            $rest
        )
    };
}

const INSERT: &str =
    "INSERT INTO credentials (id, sub, kind, name, lookup, stored_key, server_key, scopes, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const OF_ACCOUNT: &str = select!("WHERE sub = $1 ORDER BY created_at DESC, id DESC");
const BY_LOOKUP: &str = select!("WHERE kind = $1 AND lookup = $2");
const COUNT: &str = "SELECT COUNT(*) AS n FROM credentials WHERE sub = $1";
const DELETE: &str = "DELETE FROM credentials WHERE id = $1 AND sub = $2";
const USED: &str =
    "UPDATE credentials SET last_used_at = $3, last_used_client = COALESCE($4, last_used_client)
    WHERE id = $1 AND sub = $2 AND (last_used_at IS NULL OR last_used_at <= $3 - 60
        OR ($4 IS NOT NULL AND (last_used_client IS NULL OR last_used_client <> $4)))";

const PASSWORD: &str = "app_password";
const CERTIFICATE: &str = "certificate";

impl Store {
    /// Keeps a credential; [`StoreError::is_taken`] if the same certificate is kept already.
    pub async fn insert_credential(&self, tx: &mut Tx, new: &NewCredentialRow<'_>) -> Result<()> {
        let scopes = serde_json::to_string(new.scopes).map_err(|_| StoreError::Damaged("scopes"))?;
        sqlx::query(INSERT)
            .bind(bytes(new.id))
            .bind(key(new.sub))
            .bind(if new.certificate { CERTIFICATE } else { PASSWORD }.to_owned())
            .bind(new.name.to_owned())
            .bind(new.lookup.to_vec())
            .bind(new.verifier.map(|(stored, _)| stored.to_vec()))
            .bind(new.verifier.map(|(_, server)| server.to_vec()))
            .bind(scopes)
            .bind(new.now)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    pub async fn credentials(&self, sub: Sub) -> Result<Vec<CredentialRow>> {
        let rows = sqlx::query(OF_ACCOUNT).bind(key(sub)).fetch_all(self.pool()).await?;
        rows.iter().map(credential).collect()
    }

    pub async fn count_credentials(&self, tx: &mut Tx, sub: Sub) -> Result<i64> {
        sqlx::query(COUNT).bind(key(sub)).fetch_one(&mut **tx).await?.int("n")
    }

    pub async fn app_password(&self, hash: &[u8]) -> Result<Option<CredentialRow>> {
        self.by_lookup(PASSWORD, hash).await
    }

    pub async fn certificate(&self, fingerprint: &[u8]) -> Result<Option<CredentialRow>> {
        self.by_lookup(CERTIFICATE, fingerprint).await
    }

    async fn by_lookup(&self, kind: &str, lookup: &[u8]) -> Result<Option<CredentialRow>> {
        let row = sqlx::query(BY_LOOKUP)
            .bind(kind.to_owned())
            .bind(lookup.to_vec())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(credential).transpose()
    }

    /// Takes a credential of this account away and tells the feed; `false` if it has none of this id.
    pub async fn delete_credential(&self, tx: &mut Tx, sub: Sub, id: Uuid, now: i64) -> Result<bool> {
        let done = sqlx::query(DELETE).bind(bytes(id)).bind(key(sub)).execute(&mut **tx).await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.publish(tx, FeedKind::CredentialRevoked, sub, &id.to_string(), now).await?;
        Ok(true)
    }

    /// Notes a use: at most once a minute, at once if the client is another.
    pub async fn credential_used(&self, sub: Sub, id: Uuid, client: Option<&str>, now: i64) -> Result<()> {
        sqlx::query(USED)
            .bind(bytes(id))
            .bind(key(sub))
            .bind(now)
            .bind(client.map(str::to_owned))
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

fn credential(row: &AnyRow) -> Result<CredentialRow> {
    let kind = match row.text("kind")?.as_str() {
        PASSWORD => CredentialKind::AppPassword,
        CERTIFICATE => CredentialKind::Certificate { fingerprint: crate::text::hex(&row.blob("lookup")?) },
        _ => return Err(StoreError::Damaged("a credential of an unknown kind")),
    };
    Ok(CredentialRow {
        sub: row.sub("sub")?,
        shown: Credential {
            id: row.id("id")?,
            name: row.text("name")?,
            kind,
            scopes: serde_json::from_str(&row.text("scopes")?).map_err(|_| StoreError::Damaged("scopes"))?,
            created_at: row.int("created_at")?,
            last_used_at: row.maybe_int("last_used_at")?,
            last_used_client: row.maybe_text("last_used_client")?,
        },
        verifier: row.maybe_blob("stored_key")?.zip(row.maybe_blob("server_key")?),
    })
}
