//! Moves secrets over to the newest key, a piece at a time, so that others write between the pieces.

use contracts::NetworkId;
use service::secrets::SecretError;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::secrets::{channel_context, context};
use super::{Store, StoreResult, Tx, bytes, uuid};

/// Rows of one transaction.
const PIECE: usize = 200;
const NETWORKS: &str =
    "SELECT id, sealed FROM network WHERE id > $1 AND substr(sealed, 1, $2) <> $3 ORDER BY id LIMIT 200";
const CHANNELS: &str = "SELECT network, sealed_key, position FROM saved_channel \
     WHERE (network, position) > ($1, $2) AND substr(sealed_key, 1, $3) <> $4 ORDER BY network, position LIMIT 200";

/// What became of the secrets that were sealed under older keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sealed under the newest key now.
    pub moved: usize,
    /// Left as they are: no key there is opens them.
    pub unreadable: usize,
}

impl Resealed {
    fn count(&mut self, anew: Result<Option<Vec<u8>>, SecretError>) -> Option<Vec<u8>> {
        match anew {
            Ok(anew) => {
                self.moved += usize::from(anew.is_some());
                anew
            }
            Err(_) => {
                self.unreadable += 1;
                None
            }
        }
    }
}

impl Store {
    /// Seals every secret under the newest key that is sealed under an older one.
    pub async fn reseal(&self) -> StoreResult<Resealed> {
        let mut done = Resealed::default();
        let mut after = Vec::new();
        while let Some(last) = self.reseal_networks(after, &mut done).await? {
            after = last;
        }
        let mut after = (Vec::new(), 0);
        while let Some(last) = self.reseal_channels(after, &mut done).await? {
            after = last;
        }
        Ok(done)
    }

    /// One piece of the networks behind `after`; where it ended, if there may be more.
    async fn reseal_networks(&self, after: Vec<u8>, done: &mut Resealed) -> StoreResult<Option<Vec<u8>>> {
        let mark = self.keys.mark();
        let mut tx = self.begin().await?;
        let rows =
            sqlx::query(NETWORKS).bind(after).bind(length(&mark)).bind(mark).fetch_all(&mut *tx).await?;
        for row in &rows {
            let (id, old) = (network(row)?, row.try_get::<Vec<u8>, _>(1)?);
            if let Some(anew) = done.count(self.keys.reseal(&context(id.0), &old)) {
                // Not over what somebody wrote meanwhile: that is under the newest key already.
                sqlx::query("UPDATE network SET sealed = $1 WHERE id = $2 AND sealed = $3")
                    .bind(anew)
                    .bind(bytes(id.0))
                    .bind(old)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
        rows.last().filter(|_| rows.len() == PIECE).map(|row| Ok(bytes(network(row)?.0))).transpose()
    }

    async fn reseal_channels(
        &self,
        after: (Vec<u8>, i64),
        done: &mut Resealed,
    ) -> StoreResult<Option<(Vec<u8>, i64)>> {
        let mark = self.keys.mark();
        let mut tx: Tx = self.begin().await?;
        let rows = sqlx::query(CHANNELS)
            .bind(after.0)
            .bind(after.1)
            .bind(length(&mark))
            .bind(mark)
            .fetch_all(&mut *tx)
            .await?;
        for row in &rows {
            let (id, old) = (network(row)?, row.try_get::<Vec<u8>, _>(1)?);
            if let Some(anew) = done.count(self.keys.reseal(&channel_context(id.0), &old)) {
                sqlx::query(
                    "UPDATE saved_channel SET sealed_key = $1 WHERE network = $2 AND position = $3 AND sealed_key = $4",
                )
                .bind(anew)
                .bind(bytes(id.0))
                .bind(row.try_get::<i64, _>(2)?)
                .bind(old)
                .execute(&mut *tx)
                .await?;
            }
        }
        tx.commit().await?;
        rows.last()
            .filter(|_| rows.len() == PIECE)
            .map(|row| Ok((bytes(network(row)?.0), row.try_get(2)?)))
            .transpose()
    }
}

fn network(row: &AnyRow) -> StoreResult<NetworkId> {
    Ok(NetworkId(uuid("network", &row.try_get::<Vec<u8>, _>(0)?)?))
}

fn length(mark: &[u8]) -> i32 {
    i32::try_from(mark.len()).unwrap_or(i32::MAX)
}
