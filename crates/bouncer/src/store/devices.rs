//! Devices and how far each has read each network.

use bouncer_core::{Cursor, Position};
use contracts::{Account, CallError, NetworkId, Sub};
use entitlements::Limit;
use sqlx::Row;
use uuid::Uuid;

use super::{Store, StoreResult, Tx, bytes, now_us, uuid};

const TABLE: &str = "device";
const COUNTED_US: i64 = 30 * 24 * 60 * 60 * 1_000_000;

/// A device as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Names it.
    pub id: Uuid,
    /// The app password or certificate it logs in with.
    pub credential: Uuid,
    /// The `@client` of its login name.
    pub client: Option<String>,
    /// What the software called itself.
    pub software: Option<String>,
    /// Microseconds since 1970.
    pub last_seen_us: i64,
}

impl Store {
    /// The device of this identity, seen now. A new one, or one not seen for 30 days, must fit the account's limit.
    pub async fn device_attached(
        &self,
        account: &Account,
        credential: Uuid,
        client: Option<&str>,
    ) -> StoreResult<DeviceRow> {
        let sub = account.sub;
        let now = now_us();
        let mut tx = self.begin_for(sub).await?;
        let known = find(&mut tx, sub, credential, client).await?;
        let counted = known.as_ref().is_some_and(|device| device.last_seen_us >= now - COUNTED_US);
        if !counted {
            let used = counted_devices(&mut tx, sub, now).await?;
            account.limits.check(Limit::Devices, used, 1).map_err(|over| CallError::Quota {
                limit: over.limit.key().to_owned(),
                message: format!(
                    "Your plan allows {}, counting those seen in the last 30 days. Log in with one of them, or change your plan.",
                    over.allowed.words(over.limit.unit())
                ),
            })?;
        }
        let id = known.as_ref().map_or_else(Uuid::now_v7, |device| device.id);
        sqlx::query(
            "INSERT INTO device (id, sub, credential, client, first_seen, last_seen) VALUES ($1, $2, $3, $4, $5, $5) \
             ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen",
        )
        .bind(bytes(id))
        .bind(bytes(sub.0))
        .bind(bytes(credential))
        .bind(client.unwrap_or_default().to_owned())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(DeviceRow {
            id,
            credential,
            client: client.map(str::to_owned),
            software: known.and_then(|device| device.software),
            last_seen_us: now,
        })
    }

    /// The device was seen just now, and what it calls itself where that is known.
    pub async fn device_seen(&self, sub: Sub, device: Uuid, software: Option<&str>) -> StoreResult<()> {
        sqlx::query(
            "UPDATE device SET last_seen = $1, software = COALESCE($2, software) WHERE id = $3 AND sub = $4",
        )
        .bind(now_us())
        .bind(software.map(str::to_owned))
        .bind(bytes(device))
        .bind(bytes(sub.0))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// The account's devices, the latest seen first.
    pub async fn devices(&self, sub: Sub) -> StoreResult<Vec<DeviceRow>> {
        sqlx::query(
            "SELECT id, credential, client, software, last_seen FROM device WHERE sub = $1 ORDER BY last_seen DESC, id",
        )
        .bind(bytes(sub.0))
        .fetch_all(self.db.pool())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// How many devices the plan counts: those seen in the last 30 days.
    pub async fn devices_counted(&self, sub: Sub) -> StoreResult<u64> {
        let mut connection = self.db.pool().acquire().await?;
        counted_devices(&mut connection, sub, now_us()).await
    }

    /// How far a device has seen each network.
    pub async fn cursors(&self, device: Uuid) -> StoreResult<Vec<(NetworkId, Cursor)>> {
        let rows = sqlx::query("SELECT network, epoch, position, ts_ms FROM device_cursor WHERE device = $1")
            .bind(bytes(device))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let network = NetworkId(uuid("device_cursor", row.try_get(0)?)?);
                let position = Position {
                    epoch: row.try_get::<i64, _>(1)?.cast_unsigned(),
                    offset: row.try_get::<i64, _>(2)?.cast_unsigned(),
                };
                Ok((network, Cursor { position, ts_ms: row.try_get(3)? }))
            })
            .collect()
    }

    /// Notes how far devices have seen networks. A cursor whose device or network is gone is dropped.
    pub async fn keep_cursors(
        &self,
        moved: impl IntoIterator<Item = (Uuid, NetworkId, Cursor)>,
    ) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        for (device, network, cursor) in moved {
            sqlx::query(
                "INSERT INTO device_cursor (device, network, epoch, position, ts_ms) \
                 SELECT d.id, n.id, $3, $4, $5 FROM device d JOIN network n ON n.sub = d.sub \
                 WHERE d.id = $1 AND n.id = $2 \
                 ON CONFLICT (device, network) DO UPDATE \
                 SET epoch = excluded.epoch, position = excluded.position, ts_ms = excluded.ts_ms",
            )
            .bind(bytes(device))
            .bind(bytes(network.0))
            .bind(cursor.position.epoch.cast_signed())
            .bind(cursor.position.offset.cast_signed())
            .bind(cursor.ts_ms)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn find(
    tx: &mut Tx,
    sub: Sub,
    credential: Uuid,
    client: Option<&str>,
) -> StoreResult<Option<DeviceRow>> {
    sqlx::query(
        "SELECT id, credential, client, software, last_seen FROM device \
         WHERE sub = $1 AND credential = $2 AND client = $3",
    )
    .bind(bytes(sub.0))
    .bind(bytes(credential))
    .bind(client.unwrap_or_default().to_owned())
    .fetch_optional(&mut **tx)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn counted_devices(connection: &mut sqlx::AnyConnection, sub: Sub, now: i64) -> StoreResult<u64> {
    let row = sqlx::query("SELECT COUNT(*) FROM device WHERE sub = $1 AND last_seen >= $2")
        .bind(bytes(sub.0))
        .bind(now - COUNTED_US)
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}

fn read(row: &sqlx::any::AnyRow) -> StoreResult<DeviceRow> {
    Ok(DeviceRow {
        id: uuid(TABLE, row.try_get(0)?)?,
        credential: uuid(TABLE, row.try_get(1)?)?,
        client: Some(row.try_get::<String, _>(2)?).filter(|client| !client.is_empty()),
        software: row.try_get(3)?,
        last_seen_us: row.try_get(4)?,
    })
}
