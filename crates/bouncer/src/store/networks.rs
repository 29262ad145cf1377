//! Networks: what the user said of each, its secrets sealed beside it.

use contracts::{Account, Call, CallError, NetworkId, NetworkSpec, Sasl, Sub, Tls};
use entitlements::Limit;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::secrets::{Private, new_certificate};
use super::{Asked, Store, StoreError, StoreResult, Tx, bytes, now_us, uuid};

const TABLE: &str = "network";
/// How long a deletion can be undone.
pub const UNDO_US: i64 = 10 * 60 * 1_000_000;

/// A network as it is kept.
#[derive(Clone, Debug)]
pub struct NetworkRow {
    /// Names it.
    pub id: NetworkId,
    /// Whose.
    pub sub: Sub,
    /// What the user said, without secrets.
    pub spec: NetworkSpec,
    /// The secrets.
    pub private: Private,
    /// Raised with every change.
    pub version: i64,
    /// Microseconds since 1970.
    pub created_at_us: i64,
    /// Set while the deletion can still be undone.
    pub deleted_at_us: Option<i64>,
}

/// The part of a spec that is neither secret nor a column of its own.
#[derive(Serialize, Deserialize)]
struct Plain {
    host: String,
    port: u16,
    tls: Tls,
    nick: String,
    realname: String,
    login: Login,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Login {
    None,
    Password { account: String },
    External,
}

impl Store {
    /// The account's networks that are not deleted, the oldest first.
    pub async fn networks(&self, sub: Sub) -> StoreResult<Vec<NetworkRow>> {
        const QUERY: &str = "SELECT id, sub, name, spec, sealed, enabled, version, created_at, deleted_at \
             FROM network WHERE sub = $1 AND deleted_at IS NULL ORDER BY created_at, id";
        let mut connection = self.db.pool().acquire().await?;
        let rows = sqlx::query(QUERY).bind(bytes(sub.0)).fetch_all(&mut *connection).await?;
        let mut networks = Vec::with_capacity(rows.len());
        for row in &rows {
            networks.push(self.read_network(&mut connection, row).await?);
        }
        Ok(networks)
    }

    /// One of them.
    pub async fn network(&self, sub: Sub, id: NetworkId) -> StoreResult<NetworkRow> {
        let mut connection = self.db.pool().acquire().await?;
        let row = self.find_network(&mut connection, sub, id).await?;
        row.filter(|row| row.deleted_at_us.is_none()).ok_or_else(|| CallError::not_found("network").into())
    }

    /// A network that was deleted and can still be put back.
    pub async fn deleted_network(&self, sub: Sub, id: NetworkId) -> StoreResult<Option<NetworkRow>> {
        let mut connection = self.db.pool().acquire().await?;
        let row = self.find_network(&mut connection, sub, id).await?;
        let since = now_us() - UNDO_US;
        Ok(row.filter(|row| row.deleted_at_us.is_some_and(|deleted_at| deleted_at >= since)))
    }

    /// A new network, within the account's limit.
    pub async fn add_network(
        &self,
        call: &Call,
        account: &Account,
        spec: &NetworkSpec,
    ) -> StoreResult<NetworkRow> {
        let sub = call.account;
        let asked = self.asked(call, &("add", spec))?;
        let mut tx = self.begin_for(sub).await?;
        if let Some(id) = asked.again(&mut tx).await? {
            return self.answered_network(&mut tx, sub, id).await;
        }
        let used = count_networks(&mut tx, sub).await?;
        account.limits.check(Limit::Networks, used, 1).map_err(|over| CallError::Quota {
            limit: over.limit.key().to_owned(),
            message: over.to_string(),
        })?;
        if matches!(&spec.sasl, Sasl::Password { password: None, .. }) {
            return Err(
                CallError::invalid("password", "Give the password of your account on that network.").into()
            );
        }
        refuse_taken_name(&mut tx, sub, None, &spec.name).await?;
        let id = NetworkId(Uuid::now_v7());
        let private = private_of(spec, Private::default())?;
        sqlx::query(
            "INSERT INTO network (id, sub, name, name_key, spec, sealed, enabled, version, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)",
        )
        .bind(bytes(id.0))
        .bind(bytes(sub.0))
        .bind(spec.name.clone())
        .bind(name_key(&spec.name))
        .bind(plain_of(spec)?)
        .bind(self.seal_private(id, &private)?)
        .bind(i64::from(spec.enabled))
        .bind(now_us())
        .execute(&mut *tx)
        .await?;
        self.put_channels(&mut tx, id, &spec.channels).await?;
        self.finish(tx, &asked, id, sub).await
    }

    /// Another spec for a network. Secrets that are `None` in `spec` are kept.
    pub async fn change_network(
        &self,
        call: &Call,
        id: NetworkId,
        spec: &NetworkSpec,
    ) -> StoreResult<NetworkRow> {
        let sub = call.account;
        let asked = self.asked(call, &("change", id, spec))?;
        let mut tx = self.begin_for(sub).await?;
        if let Some(id) = asked.again(&mut tx).await? {
            return self.answered_network(&mut tx, sub, id).await;
        }
        let before = self.present_network(&mut tx, call, id).await?;
        refuse_taken_name(&mut tx, sub, Some(id), &spec.name).await?;
        let private = private_of(spec, before.private)?;
        if matches!(&spec.sasl, Sasl::Password { .. }) && private.sasl_password.is_none() {
            return Err(
                CallError::invalid("password", "Give the password of your account on that network.").into()
            );
        }
        sqlx::query(
            "UPDATE network SET name = $1, name_key = $2, spec = $3, sealed = $4, enabled = $5, version = version + 1 \
             WHERE id = $6",
        )
        .bind(spec.name.clone())
        .bind(name_key(&spec.name))
        .bind(plain_of(spec)?)
        .bind(self.seal_private(id, &private)?)
        .bind(i64::from(spec.enabled))
        .bind(bytes(id.0))
        .execute(&mut *tx)
        .await?;
        if spec.channels != before.spec.channels {
            self.put_channels(&mut tx, id, &spec.channels).await?;
        }
        self.finish(tx, &asked, id, sub).await
    }

    /// Takes a network away; it can be put back for ten minutes.
    pub async fn delete_network(&self, call: &Call, id: NetworkId) -> StoreResult<()> {
        let asked = self.asked(call, &("delete", id))?;
        let mut tx = self.begin_for(call.account).await?;
        if let Some(()) = asked.again(&mut tx).await? {
            return Ok(());
        }
        self.present_network(&mut tx, call, id).await?;
        sqlx::query("UPDATE network SET deleted_at = $1, version = version + 1 WHERE id = $2")
            .bind(now_us())
            .bind(bytes(id.0))
            .execute(&mut *tx)
            .await?;
        asked.answered(&mut tx, &()).await?;
        Ok(tx.commit().await?)
    }

    /// Puts a deleted network back, within the account's limit.
    pub async fn restore_network(
        &self,
        call: &Call,
        account: &Account,
        id: NetworkId,
    ) -> StoreResult<NetworkRow> {
        let sub = call.account;
        let asked = self.asked(call, &("restore", id))?;
        let mut tx = self.begin_for(sub).await?;
        if let Some(id) = asked.again(&mut tx).await? {
            return self.answered_network(&mut tx, sub, id).await;
        }
        let row = self.find_network(&mut tx, sub, id).await?;
        let row = row.ok_or_else(|| CallError::not_found("network"))?;
        let Some(deleted_at) = row.deleted_at_us else { return Ok(row) };
        if deleted_at < now_us() - UNDO_US {
            return Err(CallError::not_found("network").into());
        }
        let used = count_networks(&mut tx, sub).await?;
        account.limits.check(Limit::Networks, used, 1).map_err(|over| CallError::Quota {
            limit: over.limit.key().to_owned(),
            message: over.to_string(),
        })?;
        refuse_taken_name(&mut tx, sub, Some(id), &row.spec.name).await?;
        sqlx::query("UPDATE network SET deleted_at = NULL, version = version + 1 WHERE id = $1")
            .bind(bytes(id.0))
            .execute(&mut *tx)
            .await?;
        self.finish(tx, &asked, id, sub).await
    }

    /// Another nick wanted, because the user took it from a device. Answers the network's new version.
    pub async fn save_nick(&self, sub: Sub, id: NetworkId, nick: &str) -> StoreResult<Option<i64>> {
        let mut tx = self.begin_for(sub).await?;
        let Some(row) = self.find_network(&mut tx, sub, id).await? else { return Ok(None) };
        let spec = NetworkSpec { nick: nick.to_owned(), ..row.spec };
        sqlx::query("UPDATE network SET spec = $1 WHERE id = $2")
            .bind(plain_of(&spec)?)
            .bind(bytes(id.0))
            .execute(&mut *tx)
            .await?;
        let version = self.raise_version(&mut tx, sub, id).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Networks whose deletion can no longer be undone.
    pub async fn networks_to_purge(&self) -> StoreResult<Vec<(Sub, NetworkId)>> {
        let rows = sqlx::query(
            "SELECT sub, id FROM network WHERE deleted_at IS NOT NULL AND deleted_at < $1 LIMIT 500",
        )
        .bind(now_us() - UNDO_US)
        .fetch_all(self.db.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((Sub(uuid(TABLE, row.try_get(0)?)?), NetworkId(uuid(TABLE, row.try_get(1)?)?))))
            .collect()
    }

    /// Takes the last row of a deleted network away.
    pub async fn purge_network(&self, sub: Sub, id: NetworkId) -> StoreResult<()> {
        sqlx::query("DELETE FROM network WHERE id = $1 AND sub = $2 AND deleted_at IS NOT NULL")
            .bind(bytes(id.0))
            .bind(bytes(sub.0))
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    async fn finish(&self, mut tx: Tx, asked: &Asked, id: NetworkId, sub: Sub) -> StoreResult<NetworkRow> {
        asked.answered(&mut tx, &id).await?;
        let row = self.find_network(&mut tx, sub, id).await?;
        tx.commit().await?;
        row.ok_or_else(|| CallError::not_found("network").into())
    }

    /// The network an earlier call answered with. Gone since then is gone for a repeat too.
    async fn answered_network(&self, tx: &mut Tx, sub: Sub, id: NetworkId) -> StoreResult<NetworkRow> {
        let row = self.find_network(tx, sub, id).await?;
        row.ok_or_else(|| CallError::not_found("network").into())
    }

    /// The network as it is, at the version the caller read.
    async fn present_network(&self, tx: &mut Tx, call: &Call, id: NetworkId) -> StoreResult<NetworkRow> {
        let row = self.find_network(tx, call.account, id).await?;
        let row =
            row.filter(|row| row.deleted_at_us.is_none()).ok_or_else(|| CallError::not_found("network"))?;
        if call.version.is_some_and(|version| version != row.version) {
            let message =
                "This network was changed in the meantime. Reload the page and make your change again.";
            return Err(CallError::Conflict { message: message.into() }.into());
        }
        Ok(row)
    }

    async fn find_network(
        &self,
        connection: &mut sqlx::AnyConnection,
        sub: Sub,
        id: NetworkId,
    ) -> StoreResult<Option<NetworkRow>> {
        const QUERY: &str = "SELECT id, sub, name, spec, sealed, enabled, version, created_at, deleted_at \
             FROM network WHERE id = $1 AND sub = $2";
        let row =
            sqlx::query(QUERY).bind(bytes(id.0)).bind(bytes(sub.0)).fetch_optional(&mut *connection).await?;
        match row {
            Some(row) => Ok(Some(self.read_network(connection, &row).await?)),
            None => Ok(None),
        }
    }

    async fn read_network(
        &self,
        connection: &mut sqlx::AnyConnection,
        row: &AnyRow,
    ) -> StoreResult<NetworkRow> {
        let id = NetworkId(uuid(TABLE, row.try_get(0)?)?);
        let plain: Plain = serde_json::from_str(row.try_get(3)?).map_err(|error| unreadable(&error))?;
        let private = self.unseal_private(id, row.try_get(4)?)?;
        let fingerprint = private.certificate.as_ref().map(|c| c.fingerprint.clone());
        let spec = NetworkSpec {
            name: row.try_get(2)?,
            host: plain.host,
            port: plain.port,
            tls: plain.tls,
            nick: plain.nick,
            realname: plain.realname,
            server_password: None,
            sasl: match plain.login {
                Login::None => Sasl::None,
                Login::Password { account } => Sasl::Password { account, password: None },
                Login::External => Sasl::External { fingerprint },
            },
            channels: self.channels_of(connection, id).await?,
            on_connect: private.on_connect.clone(),
            enabled: row.try_get::<i64, _>(5)? != 0,
        };
        Ok(NetworkRow {
            id,
            sub: Sub(uuid(TABLE, row.try_get(1)?)?),
            spec,
            private,
            version: row.try_get(6)?,
            created_at_us: row.try_get(7)?,
            deleted_at_us: row.try_get(8)?,
        })
    }
}

/// Names are compared without case: they are part of login names.
pub(super) fn name_key(name: &str) -> String {
    name.to_ascii_lowercase()
}

pub(super) fn plain_of(spec: &NetworkSpec) -> StoreResult<String> {
    let plain = Plain {
        host: spec.host.clone(),
        port: spec.port,
        tls: spec.tls.clone(),
        nick: spec.nick.clone(),
        realname: spec.realname.clone(),
        login: match &spec.sasl {
            Sasl::None => Login::None,
            Sasl::Password { account, .. } => Login::Password { account: account.clone() },
            Sasl::External { .. } => Login::External,
        },
    };
    serde_json::to_string(&plain).map_err(|error| unreadable(&error))
}

/// The secrets of `spec`; where it leaves one out, the one there was.
fn private_of(spec: &NetworkSpec, before: Private) -> StoreResult<Private> {
    let certificate = match (&spec.sasl, before.certificate) {
        (Sasl::External { .. }, Some(certificate)) => Some(certificate),
        (Sasl::External { .. }, None) => Some(new_certificate()?),
        (_, kept) => kept,
    };
    let sasl_password = match &spec.sasl {
        Sasl::Password { password: Some(password), .. } => Some(password.clone()),
        Sasl::Password { password: None, .. } => before.sasl_password,
        Sasl::None | Sasl::External { .. } => None,
    };
    Ok(Private {
        server_password: spec
            .server_password
            .clone()
            .or(before.server_password)
            .filter(|password| !password.is_empty()),
        sasl_password,
        certificate,
        on_connect: spec.on_connect.clone(),
    })
}

async fn count_networks(tx: &mut Tx, sub: Sub) -> StoreResult<u64> {
    let row = sqlx::query("SELECT COUNT(*) FROM network WHERE sub = $1 AND deleted_at IS NULL")
        .bind(bytes(sub.0))
        .fetch_one(&mut **tx)
        .await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}

async fn refuse_taken_name(tx: &mut Tx, sub: Sub, own: Option<NetworkId>, name: &str) -> StoreResult<()> {
    let row = sqlx::query("SELECT id FROM network WHERE sub = $1 AND name_key = $2 AND deleted_at IS NULL")
        .bind(bytes(sub.0))
        .bind(name_key(name))
        .fetch_optional(&mut **tx)
        .await?;
    let Some(row) = row else { return Ok(()) };
    if own == Some(NetworkId(uuid(TABLE, row.try_get(0)?)?)) {
        return Ok(());
    }
    let message = format!("You already have a network named {name}. Give this one another name.");
    Err(CallError::Conflict { message }.into())
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Row { table: TABLE, reason: error.to_string() }
}
