//! Deletions: asked for, confirmed service by service, then nothing is left but a keyed hash of the name.

use contracts::Sub;

use super::feed::FeedKind;
use super::{Columns as _, Result, Store, Tx, key};

const ASK: &str = "INSERT INTO deletions (sub, asked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const OPEN: &str = "SELECT sub FROM deletions ORDER BY asked_at";
const CONFIRM: &str =
    "INSERT INTO deletion_confirmations (sub, service) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const CONFIRMED: &str = "SELECT service FROM deletion_confirmations WHERE sub = $1";
const KEEP_NAME: &str = "INSERT INTO former_names (hash) VALUES ($1) ON CONFLICT DO NOTHING";

/// Every table with rows of an account; what refers to another comes before it.
const PURGE: [&str; 16] = [
    "DELETE FROM session_clients WHERE sid IN (SELECT sid FROM sessions WHERE sub = $1)",
    "DELETE FROM sessions WHERE sub = $1",
    "DELETE FROM codes WHERE sub = $1",
    "DELETE FROM refresh_tokens WHERE sub = $1",
    "DELETE FROM recovery_codes WHERE sub = $1",
    "DELETE FROM credentials WHERE sub = $1",
    "DELETE FROM security_events WHERE sub = $1",
    "DELETE FROM mail_tokens WHERE sub = $1",
    "DELETE FROM logout_outbox WHERE sub = $1",
    "DELETE FROM answers WHERE sub = $1",
    "DELETE FROM irc_server_members WHERE server IN (SELECT id FROM irc_servers WHERE owner = $1)",
    "DELETE FROM irc_servers WHERE owner = $1",
    "DELETE FROM irc_server_members WHERE sub = $1",
    "DELETE FROM feed WHERE sub = $1",
    "DELETE FROM deletion_confirmations WHERE sub = $1",
    "DELETE FROM deletions WHERE sub = $1",
];
const PURGE_ACCOUNT: &str = "DELETE FROM accounts WHERE sub = $1";

impl Store {
    pub async fn ask_deletion(&self, tx: &mut Tx, sub: Sub, now: i64) -> Result<()> {
        sqlx::query(ASK).bind(key(sub)).bind(now).execute(&mut **tx).await?;
        Ok(())
    }

    /// The accounts being deleted, the first asked for first.
    pub async fn open_deletions(&self) -> Result<Vec<Sub>> {
        let rows = sqlx::query(OPEN).fetch_all(self.pool()).await?;
        rows.iter().map(|row| row.sub("sub")).collect()
    }

    pub async fn confirm_deletion(&self, sub: Sub, service: &str) -> Result<()> {
        sqlx::query(CONFIRM).bind(key(sub)).bind(service.to_owned()).execute(self.pool()).await?;
        Ok(())
    }

    pub async fn confirmed_deletions(&self, sub: Sub) -> Result<Vec<String>> {
        let rows = sqlx::query(CONFIRMED).bind(key(sub)).fetch_all(self.pool()).await?;
        rows.iter().map(|row| row.text("service")).collect()
    }

    /// The end of an account: nothing stays but the keyed hash of its name.
    pub async fn purge(&self, tx: &mut Tx, sub: Sub, name_hash: &[u8], now: i64) -> Result<()> {
        sqlx::query(KEEP_NAME).bind(name_hash.to_vec()).execute(&mut **tx).await?;
        for statement in PURGE {
            sqlx::query(statement).bind(key(sub)).execute(&mut **tx).await?;
        }
        sqlx::query(PURGE_ACCOUNT).bind(key(sub)).execute(&mut **tx).await?;
        self.publish(tx, FeedKind::Deleted, sub, "", now).await
    }
}
