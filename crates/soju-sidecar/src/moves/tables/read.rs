//! Moving out: what stands in soju's rows, and which messages came there after the account.

use contracts::SavedChannel;
use service::db::sqlx;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Kept, TIME_POSTGRES, TIME_SQLITE, Tables};
use crate::moves::networks::SojuNetwork;

const NETWORKS: &str = r#"
    SELECT CAST(n.id AS BIGINT) AS number, n.name AS name, n.addr AS addr, COALESCE(n.nick, u.nick) AS nick,
        COALESCE(n.realname, u.realname) AS realname, n.certfp AS certfp, n.pass AS pass,
        n.connect_commands AS connect_commands, CAST(n.sasl_mechanism AS TEXT) AS sasl_mechanism,
        n.sasl_plain_username AS sasl_username, n.sasl_plain_password AS sasl_password,
        n.sasl_external_cert AS sasl_cert, n.sasl_external_key AS sasl_key, CAST(n.enabled AS INTEGER) AS enabled
    FROM "Network" n JOIN "User" u ON u.id = n."user" WHERE u.username = $1 ORDER BY n.id"#;

/// A message that came with the account has its number and its time: SQLite may give the number of a deleted one again.
const NEW: &str = r#"
    FROM "Message" m JOIN "MessageTarget" t ON t.id = m.target
    LEFT JOIN ircnow_message i ON i.message = m.id AND i.target = m.target AND i.time = "#;
/// Where nothing ever moved in.
const ALL: &str = r#" FROM "Message" m JOIN "MessageTarget" t ON t.id = m.target"#;

impl Tables {
    /// soju's number of a user.
    pub async fn user(&self, username: &str) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(r#"SELECT CAST(id AS BIGINT) FROM "User" WHERE username = $1"#)
            .bind(username.to_owned())
            .fetch_optional(&self.pool)
            .await
    }

    /// soju's numbers of all networks, in order.
    pub async fn network_numbers(&self) -> Result<Vec<i64>, sqlx::Error> {
        sqlx::query_scalar(r#"SELECT CAST(id AS BIGINT) FROM "Network" ORDER BY id"#)
            .fetch_all(&self.pool)
            .await
    }

    /// The user's networks, with their numbers.
    pub async fn networks(&self, username: &str) -> Result<Vec<(i64, SojuNetwork)>, sqlx::Error> {
        let rows = sqlx::query(NETWORKS).bind(username.to_owned()).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("number")?, network(row)?))).collect()
    }

    /// A network's channels.
    pub async fn channels(&self, network: i64) -> Result<Vec<SavedChannel>, sqlx::Error> {
        let rows = sqlx::query(r#"SELECT name, key FROM "Channel" WHERE network = $1 ORDER BY id"#)
            .bind(network)
            .fetch_all(&self.pool)
            .await?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        rows.iter()
            .map(|row| Ok(SavedChannel { name: row.try_get(0)?, key: filled(row.try_get(1)?) }))
            .collect()
    }

    /// How far a network's buffers were read.
    pub async fn markers(&self, network: i64) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let time = self.engine.pick(TIME_SQLITE, TIME_POSTGRES).replace("m.time", "m.timestamp");
        let query =
            format!(r#"SELECT m.target, {time} FROM "ReadReceipt" m WHERE m.network = $1 ORDER BY m.id"#);
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(network).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, time_of(row, 1)?))).collect()
    }

    fn newer(&self) -> String {
        format!("{NEW}{}", self.engine.pick(TIME_SQLITE, TIME_POSTGRES))
    }

    /// A network's messages that did not come with the account, after a number, in soju's order.
    pub async fn new_messages(&self, network: i64, after: i64, limit: i64) -> Result<Vec<Kept>, sqlx::Error> {
        let raw = self.engine.pick("CAST(m.raw AS BLOB)", "convert_to(m.raw, 'UTF8')");
        let time = self.engine.pick(TIME_SQLITE, TIME_POSTGRES);
        let (from, new) = match self.has_marks().await? {
            true => (self.newer(), "AND i.message IS NULL"),
            false => (ALL.to_owned(), ""),
        };
        let query = format!(
            "SELECT CAST(m.id AS BIGINT), t.target, {raw}, {time} {from} \
             WHERE t.network = $1 AND m.id > $2 {new} ORDER BY m.id LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(network)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Kept {
                    id: row.try_get(0)?,
                    target: row.try_get(1)?,
                    raw: row.try_get(2)?,
                    ts_ms: time_of(row, 3)?,
                })
            })
            .collect()
    }
}

fn time_of(row: &AnyRow, at: usize) -> Result<i64, sqlx::Error> {
    let text: String = row.try_get(at)?;
    irc::time::parse(text.as_bytes())
        .ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is no time as soju writes them").into()))
}

fn network(row: &AnyRow) -> Result<SojuNetwork, sqlx::Error> {
    let text = |column: &str| -> Result<Option<String>, sqlx::Error> {
        Ok(row.try_get::<Option<String>, _>(column)?.filter(|text| !text.is_empty()))
    };
    let bytes = |column: &str| -> Result<Option<Vec<u8>>, sqlx::Error> {
        Ok(row.try_get::<Option<Vec<u8>>, _>(column)?.filter(|bytes| !bytes.is_empty()))
    };
    Ok(SojuNetwork {
        name: text("name")?.unwrap_or_default(),
        addr: row.try_get("addr")?,
        nick: text("nick")?,
        realname: text("realname")?,
        certfp: text("certfp")?,
        pass: text("pass")?,
        connect_commands: text("connect_commands")?,
        sasl_mechanism: text("sasl_mechanism")?,
        sasl_username: text("sasl_username")?,
        sasl_password: text("sasl_password")?,
        sasl_cert: bytes("sasl_cert")?,
        sasl_key: bytes("sasl_key")?,
        enabled: row.try_get::<i64, _>("enabled")? != 0,
    })
}
