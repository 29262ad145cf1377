//! STS policies: hosts that said, over verified TLS, that they are to be reached over TLS only (ircv3 sts).

use contracts::Sub;
use irc_client::StsPolicy;
use sqlx::Row;

use super::{Store, StoreResult, bytes};

impl Store {
    /// Keeps what a host demanded, or forgets it.
    pub async fn keep_sts(&self, sub: Sub, host: &str, policy: Option<StsPolicy>) -> StoreResult<()> {
        let Some(policy) = policy else {
            sqlx::query("DELETE FROM sts_policy WHERE sub = $1 AND host = $2")
                .bind(bytes(sub.0))
                .bind(host.to_owned())
                .execute(self.db.pool())
                .await?;
            return Ok(());
        };
        sqlx::query(
            "INSERT INTO sts_policy (sub, host, port, until) SELECT sub, $2, $3, $4 FROM bouncer_user WHERE sub = $1 \
             ON CONFLICT (sub, host) DO UPDATE SET port = excluded.port, until = excluded.until",
        )
        .bind(bytes(sub.0))
        .bind(host.to_owned())
        .bind(i64::from(policy.port))
        .bind(policy.until.saturating_mul(1_000_000))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// What the hosts of this account demanded.
    pub async fn sts_policies(&self, sub: Sub) -> StoreResult<Vec<(String, StsPolicy)>> {
        let rows = sqlx::query("SELECT host, port, until FROM sts_policy WHERE sub = $1")
            .bind(bytes(sub.0))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let port = u16::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default();
                Ok((row.try_get(0)?, StsPolicy { port, until: row.try_get::<i64, _>(2)? / 1_000_000 }))
            })
            .collect()
    }
}
