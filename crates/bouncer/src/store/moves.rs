//! Rows of an account that moves: who is held, and networks and devices as another bouncer kept them.

use bouncer_core::Cursor;
use contracts::{Hold, NetworkId, Sub};
use irc_client::StsPolicy;
use serde::{Deserialize, Serialize};
use service::db::Migration;
use sqlx::Row;
use uuid::Uuid;

use super::networks::NetworkRow;
use super::secrets::Private;
use super::{Store, StoreError, StoreResult, bytes, uuid};

const TABLE: &str = "held";

/// Beside the other tables: what is held outlives the account's rows.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "accounts that are held",
    sqlite: "CREATE TABLE held (sub BLOB PRIMARY KEY NOT NULL, why TEXT NOT NULL);",
    postgres: "CREATE TABLE held (sub BYTEA PRIMARY KEY, why TEXT NOT NULL);",
}];

/// A network with its secrets, on its way from one bouncer to another.
#[derive(Serialize, Deserialize)]
pub struct MovedNetwork {
    id: NetworkId,
    spec: contracts::NetworkSpec,
    private: Private,
    version: i64,
    created_at_us: i64,
}

impl From<NetworkRow> for MovedNetwork {
    fn from(row: NetworkRow) -> Self {
        let NetworkRow { id, spec, private, version, created_at_us, .. } = row;
        Self { id, spec, private, version, created_at_us }
    }
}

/// A device on its way.
#[derive(Serialize, Deserialize)]
pub struct MovedDevice {
    pub id: Uuid,
    pub credential: Uuid,
    pub client: Option<String>,
    pub software: Option<String>,
    pub last_seen_us: i64,
}

impl Store {
    /// Keeps an account away from this bouncer, whatever is known of it.
    pub async fn hold(&self, sub: Sub, why: &Hold) -> StoreResult<()> {
        let why = serde_json::to_string(why).map_err(|error| unreadable(&error))?;
        sqlx::query(
            "INSERT INTO held (sub, why) VALUES ($1, $2) ON CONFLICT (sub) DO UPDATE SET why = excluded.why",
        )
        .bind(bytes(sub.0))
        .bind(why)
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Takes it back.
    pub async fn let_go(&self, sub: Sub) -> StoreResult<()> {
        sqlx::query("DELETE FROM held WHERE sub = $1").bind(bytes(sub.0)).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Everybody who is held.
    pub async fn held(&self) -> StoreResult<Vec<(Sub, Hold)>> {
        let rows = sqlx::query("SELECT sub, why FROM held").fetch_all(self.db.pool()).await?;
        rows.iter()
            .map(|row| {
                let why = serde_json::from_str(row.try_get(1)?).map_err(|error| unreadable(&error))?;
                Ok((Sub(uuid(TABLE, row.try_get(0)?)?), why))
            })
            .collect()
    }

    /// Puts networks in place that came from another bouncer.
    pub async fn put_networks(&self, sub: Sub, networks: &[MovedNetwork]) -> StoreResult<()> {
        let mut tx = self.begin_for(sub).await?;
        for network in networks {
            // Another account's network of this id is none of ours: nothing is changed then.
            let put = sqlx::query(
                "INSERT INTO network (id, sub, name, name_key, spec, sealed, enabled, version, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, \
                 spec = excluded.spec, sealed = excluded.sealed, enabled = excluded.enabled, version = excluded.version \
                 WHERE network.sub = excluded.sub",
            )
            .bind(bytes(network.id.0))
            .bind(bytes(sub.0))
            .bind(network.spec.name.clone())
            .bind(super::networks::name_key(&network.spec.name))
            .bind(super::networks::plain_of(&network.spec)?)
            .bind(self.seal_private(network.id, &network.private)?)
            .bind(i64::from(network.spec.enabled))
            .bind(network.version)
            .bind(network.created_at_us)
            .execute(&mut *tx)
            .await?;
            if put.rows_affected() == 0 {
                let reason = format!("network {} belongs to another account", network.id);
                return Err(StoreError::Row { table: "network", reason });
            }
            self.put_channels(&mut tx, network.id, &network.spec.channels).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Puts devices in place that came from another bouncer.
    pub async fn put_devices(&self, sub: Sub, devices: &[MovedDevice]) -> StoreResult<()> {
        let mut tx = self.begin_for(sub).await?;
        for device in devices {
            sqlx::query(
                "INSERT INTO device (id, sub, credential, client, software, first_seen, last_seen) \
                 VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING",
            )
            .bind(bytes(device.id))
            .bind(bytes(sub.0))
            .bind(bytes(device.credential))
            .bind(device.client.clone().unwrap_or_default())
            .bind(device.software.clone())
            .bind(device.last_seen_us)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Puts in place what hosts demanded of the other bouncer.
    pub async fn put_sts(&self, sub: Sub, policies: &[(String, u16, i64)]) -> StoreResult<()> {
        for (host, port, until) in policies {
            self.keep_sts(sub, host, Some(StsPolicy { port: *port, until: *until })).await?;
        }
        Ok(())
    }

    /// How far every device of the account has seen one network.
    pub async fn cursors_of(&self, sub: Sub, network: NetworkId) -> StoreResult<Vec<(Uuid, Cursor)>> {
        let mut found = Vec::new();
        for device in self.devices(sub).await? {
            let cursors = self.cursors(device.id).await?;
            found.extend(
                cursors.into_iter().filter(|(of, _)| *of == network).map(|(_, cursor)| (device.id, cursor)),
            );
        }
        Ok(found)
    }
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Row { table: TABLE, reason: error.to_string() }
}
