//! The channels a network keeps, and their keys.

use contracts::{NetworkId, SavedChannel, Sub};
use sqlx::Row;

use super::{Store, StoreResult, Tx, bytes};

impl Store {
    /// Puts `channels` in place of those kept, because the user joined or left one. Answers the network's new version;
    /// `None` if it is gone.
    pub async fn save_channels(
        &self,
        sub: Sub,
        network: NetworkId,
        channels: &[SavedChannel],
    ) -> StoreResult<Option<i64>> {
        let mut tx = self.begin_for(sub).await?;
        let Some(version) = self.raise_version(&mut tx, sub, network).await? else { return Ok(None) };
        self.put_channels(&mut tx, network, channels).await?;
        tx.commit().await?;
        Ok(Some(version))
    }

    pub(super) async fn raise_version(
        &self,
        tx: &mut Tx,
        sub: Sub,
        network: NetworkId,
    ) -> StoreResult<Option<i64>> {
        let row = sqlx::query(
            "UPDATE network SET version = version + 1 WHERE id = $1 AND sub = $2 AND deleted_at IS NULL RETURNING version",
        )
        .bind(bytes(network.0))
        .bind(bytes(sub.0))
        .fetch_optional(&mut **tx)
        .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    pub(super) async fn put_channels(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        channels: &[SavedChannel],
    ) -> StoreResult<()> {
        sqlx::query("DELETE FROM saved_channel WHERE network = $1")
            .bind(bytes(network.0))
            .execute(&mut **tx)
            .await?;
        for (position, channel) in (1_i64..).zip(channels) {
            let sealed = channel.key.as_deref().map(|key| self.seal_channel_key(network, key)).transpose()?;
            sqlx::query(
                "INSERT INTO saved_channel (network, position, name, sealed_key) VALUES ($1, $2, $3, $4)",
            )
            .bind(bytes(network.0))
            .bind(position)
            .bind(channel.name.clone())
            .bind(sealed)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    pub(super) async fn channels_of(
        &self,
        connection: &mut sqlx::AnyConnection,
        network: NetworkId,
    ) -> StoreResult<Vec<SavedChannel>> {
        let rows =
            sqlx::query("SELECT name, sealed_key FROM saved_channel WHERE network = $1 ORDER BY position")
                .bind(bytes(network.0))
                .fetch_all(connection)
                .await?;
        rows.iter()
            .map(|row| {
                let sealed: Option<Vec<u8>> = row.try_get(1)?;
                let key = sealed.map(|sealed| self.unseal_channel_key(network, &sealed)).transpose()?;
                Ok(SavedChannel { name: row.try_get(0)?, key })
            })
            .collect()
    }
}
