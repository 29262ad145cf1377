//! Moving in: rows that were never there, and whether they are there as they should be.

use std::collections::HashMap;

use contracts::Checked;
use contracts::parcel::{Line, MovedNetwork, Text};
use service::db::{Engine, sqlx};
use sqlx::{AnyConnection, Row as _};

use super::{Tables, as_text};
use crate::moves::messages::{self, SojuMessage};
use crate::moves::networks::{self, SojuNetwork};

const PUT_NETWORK_SQLITE: &str = r#"
    INSERT INTO "Network" (name, "user", addr, nick, realname, certfp, pass, connect_commands, sasl_mechanism,
        sasl_plain_username, sasl_plain_password, sasl_external_cert, sasl_external_key, enabled)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 <> 0) RETURNING CAST(id AS BIGINT)"#;
const PUT_NETWORK_POSTGRES: &str = r#"
    INSERT INTO "Network" (name, "user", addr, nick, realname, certfp, pass, connect_commands, sasl_mechanism,
        sasl_plain_username, sasl_plain_password, sasl_external_cert, sasl_external_key, enabled)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
        CAST(CAST($9 AS TEXT) AS sasl_mechanism), $10, $11, $12, $13, $14 <> 0) RETURNING CAST(id AS BIGINT)"#;

const PUT_CHANNEL: &str =
    r#"INSERT INTO "Channel" (network, name, key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"#;

const PUT_MESSAGE_SQLITE: &str = r#"
    INSERT INTO "Message" (target, raw, time, sender, text) VALUES ($1, CAST($2 AS TEXT), $3, $4, $5)
    RETURNING CAST(id AS BIGINT)"#;
const PUT_MESSAGE_POSTGRES: &str = r#"
    INSERT INTO "Message" (target, raw, time, sender, text)
    VALUES ($1, convert_from($2, 'UTF8'), CAST(CAST($3 AS TEXT) AS TIMESTAMPTZ), $4, $5)
    RETURNING CAST(id AS BIGINT)"#;

const PUT_MARKER_SQLITE: &str = r#"
    INSERT INTO "ReadReceipt" (network, target, timestamp) VALUES ($1, $2, $3)
    ON CONFLICT (network, target) DO UPDATE SET timestamp = excluded.timestamp"#;
const PUT_MARKER_POSTGRES: &str = r#"
    INSERT INTO "ReadReceipt" (network, target, timestamp)
    VALUES ($1, $2, CAST(CAST($3 AS TEXT) AS TIMESTAMPTZ))
    ON CONFLICT (network, target) DO UPDATE SET timestamp = excluded.timestamp"#;

const SAME_SQLITE: &str = r#"
    SELECT COUNT(*) FROM ircnow_message i JOIN "Message" m ON m.id = i.message AND m.target = i.target
    WHERE i.target = $1 AND i.msgid = $2 AND m.raw = CAST($3 AS TEXT) AND m.time = $4 AND m.sender = $5"#;
const SAME_POSTGRES: &str = r#"
    SELECT COUNT(*) FROM ircnow_message i JOIN "Message" m ON m.id = i.message AND m.target = i.target
    WHERE i.target = $1 AND i.msgid = $2 AND m.raw = convert_from($3, 'UTF8')
        AND m.time = CAST(CAST($4 AS TEXT) AS TIMESTAMPTZ) AND m.sender = $5"#;

impl Tables {
    /// Networks with their channels. One that is there already is left as it is.
    pub async fn put_networks(&self, user: i64, networks: &[MovedNetwork]) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        for network in networks {
            let id = network.id.to_string();
            let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM ircnow_network WHERE id = $1")
                .bind(id.clone())
                .fetch_one(&mut *tx)
                .await?;
            if there > 0 {
                continue;
            }
            let row = networks::to_soju(&network.spec, &network.private);
            let number = put_network(&mut tx, self.engine, user, row).await?;
            for channel in network.spec.channels.iter().filter(|channel| networks::fits(channel)) {
                sqlx::query(PUT_CHANNEL)
                    .bind(number)
                    .bind(channel.name.clone())
                    .bind(channel.key.clone())
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query("INSERT INTO ircnow_network (id, network) VALUES ($1, $2)")
                .bind(id)
                .bind(number)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await
    }

    /// Lines, once each.
    pub async fn put_messages(&self, network: i64, lines: &[Line]) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let mut targets = HashMap::new();
        for line in lines {
            for message in messages::to_soju(line) {
                let target = match targets.get(&message.target) {
                    Some(target) => *target,
                    None => {
                        let target = self.made_target(&mut tx, network, &message.target).await?;
                        targets.insert(message.target.clone(), target);
                        target
                    }
                };
                self.put_message(&mut tx, target, &line.msgid, message).await?;
            }
        }
        tx.commit().await
    }

    async fn made_target(
        &self,
        connection: &mut AnyConnection,
        network: i64,
        target: &str,
    ) -> Result<i64, sqlx::Error> {
        if let Some(there) = self.target(&mut *connection, network, target).await? {
            return Ok(there);
        }
        sqlx::query_scalar(
            r#"INSERT INTO "MessageTarget" (network, target) VALUES ($1, $2) RETURNING CAST(id AS BIGINT)"#,
        )
        .bind(network)
        .bind(target.to_owned())
        .fetch_one(connection)
        .await
    }

    async fn put_message(
        &self,
        connection: &mut AnyConnection,
        target: i64,
        msgid: &str,
        message: SojuMessage,
    ) -> Result<(), sqlx::Error> {
        let there: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM ircnow_message WHERE target = $1 AND msgid = $2")
                .bind(target)
                .bind(msgid.to_owned())
                .fetch_one(&mut *connection)
                .await?;
        if there > 0 {
            return Ok(());
        }
        let number: i64 = sqlx::query_scalar(self.engine.pick(PUT_MESSAGE_SQLITE, PUT_MESSAGE_POSTGRES))
            .bind(target)
            .bind(as_text(self.engine, &message.raw))
            .bind(message.time.clone())
            .bind(message.sender)
            .bind(message.text)
            .fetch_one(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO ircnow_message (message, target, msgid, time) VALUES ($1, $2, $3, $4)")
            .bind(number)
            .bind(target)
            .bind(msgid.to_owned())
            .bind(message.time)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// How far buffers were read.
    pub async fn put_markers(&self, network: i64, markers: &[(Text, i64)]) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        for (key, ts_ms) in markers {
            sqlx::query(self.engine.pick(PUT_MARKER_SQLITE, PUT_MARKER_POSTGRES))
                .bind(network)
                .bind(messages::target_of(&key.0))
                .bind(irc::time::format(*ts_ms))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await
    }

    /// How many of these lines are there, in each of their buffers, and say the same.
    pub async fn check_messages(&self, network: i64, lines: &[Line]) -> Result<Checked, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let mut checked = Checked::default();
        for line in lines {
            let mut whole = true;
            for message in messages::to_soju(line) {
                whole &= match self.target(&mut connection, network, &message.target).await? {
                    Some(target) => self.is_there(&mut connection, target, &line.msgid, message).await?,
                    None => false,
                };
            }
            checked.lines += 1;
            checked.same += u64::from(whole);
        }
        Ok(checked)
    }

    async fn is_there(
        &self,
        connection: &mut AnyConnection,
        target: i64,
        msgid: &str,
        message: SojuMessage,
    ) -> Result<bool, sqlx::Error> {
        let there: i64 = sqlx::query_scalar(self.engine.pick(SAME_SQLITE, SAME_POSTGRES))
            .bind(target)
            .bind(msgid.to_owned())
            .bind(as_text(self.engine, &message.raw))
            .bind(message.time)
            .bind(message.sender)
            .fetch_one(connection)
            .await?;
        Ok(there > 0)
    }

    /// How many of these markers are there.
    pub async fn check_markers(&self, network: i64, markers: &[(Text, i64)]) -> Result<Checked, sqlx::Error> {
        let there = self.markers(network).await?;
        let read = markers.iter().filter(|(key, ts_ms)| {
            let target = messages::target_of(&key.0);
            there.iter().any(|(is, read_ms)| (is, read_ms) == (&target, ts_ms))
        });
        let read = read.count() as u64;
        Ok(Checked { markers: markers.len() as u64, read, ..Checked::default() })
    }

    /// How many lines have moved in.
    pub async fn count_moved(&self, network: i64) -> Result<u64, sqlx::Error> {
        let query = r#"SELECT COUNT(*) FROM (SELECT DISTINCT i.msgid FROM ircnow_message i
            JOIN "MessageTarget" t ON t.id = i.target WHERE t.network = $1) AS lines"#;
        let count: i64 = sqlx::query_scalar(query).bind(network).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// A network; soju's number of it. soju knows no two of one nick at one address: the second one gets its nick from the user.
async fn put_network(
    connection: &mut AnyConnection,
    engine: Engine,
    user: i64,
    row: SojuNetwork,
) -> Result<i64, sqlx::Error> {
    let twins: i64 =
        sqlx::query(r#"SELECT COUNT(*) FROM "Network" WHERE "user" = $1 AND addr = $2 AND nick = $3"#)
            .bind(user)
            .bind(row.addr.clone())
            .bind(row.nick.clone())
            .fetch_one(&mut *connection)
            .await?
            .try_get(0)?;
    sqlx::query_scalar(engine.pick(PUT_NETWORK_SQLITE, PUT_NETWORK_POSTGRES))
        .bind(row.name)
        .bind(user)
        .bind(row.addr)
        .bind(row.nick.filter(|_| twins == 0))
        .bind(row.realname)
        .bind(row.certfp)
        .bind(row.pass)
        .bind(row.connect_commands)
        .bind(row.sasl_mechanism)
        .bind(row.sasl_username)
        .bind(row.sasl_password)
        .bind(row.sasl_cert)
        .bind(row.sasl_key)
        .bind(i64::from(row.enabled))
        .fetch_one(connection)
        .await
}
