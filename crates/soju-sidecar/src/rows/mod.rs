//! soju's tables, on a connection of our own while soju runs: read, measured, and old messages deleted. Never more.
//!
//! Why this is safe beside a running soju:
//!
//! - soju keeps users, networks and channels in memory and writes whole rows of them. Nothing here writes those tables;
//!   reading them sees what soju last stored.
//! - Messages are the one thing soju keeps nowhere else: every question of a client is a query by buffer and time, and a
//!   row that is gone is an answer with one line less. Rows of `MessageTarget` stay, because new messages name them. A
//!   client's place in the history is the number of a message, compared by greater-than, so it may name a deleted one.
//!   Numbers must never be given twice then: PostgreSQL takes them from a sequence; SQLite takes the highest plus one,
//!   so there the row with the highest number is never deleted.
//! - SQLite has one writer. soju waits 5 s for the write lock and then loses the message it was to store, so we hold it
//!   for a few hundredths of a second at a time: a batch is one statement, batches shrink where they are slow, and
//!   between two of them we wait longer than the batch took. In WAL mode readers stop nobody.
//! - PostgreSQL locks rows. A batch skips those somebody else has locked (soju deleting a network), so that neither
//!   waits for the other and no deadlock can arise.
//! - `MessageFTS` follows by soju's own triggers, which run on whatever connection deletes.

pub(crate) mod open;
mod prune;

use std::collections::BTreeMap;

use crds::sidecar::Sealed;
use service::db::{Engine, sqlx};
use sqlx::{AnyPool, Row as _};

pub use prune::{Pruned, cutoff};

use crate::seed::{NetworkRow, UserRow};

/// soju's database.
#[derive(Clone)]
pub struct Rows {
    pool: AnyPool,
    engine: Engine,
}

/// What the rows of a user say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRows {
    /// The user's own row.
    pub user: UserRow,
    /// Networks by name.
    pub networks: BTreeMap<String, NetworkRow>,
}

/// What messages take, and how far they go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Bytes: of the tables on PostgreSQL, of the whole file in use on SQLite.
    pub bytes: u64,
    /// When the oldest message was said, in seconds since 1970.
    pub oldest: Option<i64>,
}

const USERS: &str = r#"SELECT username, password, nick, realname FROM "User""#;

const NETWORKS: &str = r#"
    SELECT u.username AS owner, n.name AS name, n.nick AS nick, n.username AS username, n.realname AS realname,
        n.pass AS pass, n.certfp AS certfp, n.connect_commands AS connect_commands,
        n.sasl_plain_password AS sasl_plain_password, CAST(n.auto_away AS INTEGER) AS auto_away
    FROM "Network" n JOIN "User" u ON u.id = n."user" WHERE n.name IS NOT NULL"#;

const BYTES_SQLITE: &str = "SELECT (p.page_count - f.freelist_count) * s.page_size AS bytes
    FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s";

const BYTES_POSTGRES: &str =
    r#"SELECT pg_total_relation_size('"Message"') + pg_total_relation_size('"MessageTarget"') AS bytes"#;

/// One look into the index for each buffer: there is no index on time alone.
const OLDEST_SQLITE: &str = r#"SELECT CAST(strftime('%s', MIN(oldest)) AS BIGINT) AS oldest FROM (
    SELECT (SELECT MIN(m.time) FROM "Message" m WHERE m.target = t.id) AS oldest FROM "MessageTarget" t)"#;

const OLDEST_POSTGRES: &str = r#"SELECT CAST(FLOOR(EXTRACT(EPOCH FROM MIN(oldest))) AS BIGINT) AS oldest FROM (
    SELECT (SELECT MIN(m.time) FROM "Message" m WHERE m.target = t.id) AS oldest FROM "MessageTarget" t) AS buffers"#;

impl Rows {
    /// What the rows of every user say.
    pub async fn users(&self) -> Result<BTreeMap<String, UserRows>, sqlx::Error> {
        let mut users = BTreeMap::<String, UserRows>::new();
        for row in sqlx::query(USERS).fetch_all(&self.pool).await? {
            let user = UserRow {
                nick: filled(row.try_get("nick")?),
                realname: filled(row.try_get("realname")?),
                password_hash: filled(row.try_get("password")?).map(Sealed::new),
            };
            users.entry(row.try_get("username")?).or_default().user = user;
        }
        for row in sqlx::query(NETWORKS).fetch_all(&self.pool).await? {
            let network = NetworkRow {
                nick: filled(row.try_get("nick")?),
                username: filled(row.try_get("username")?),
                realname: filled(row.try_get("realname")?),
                server_password: filled(row.try_get("pass")?).map(Sealed::new),
                fingerprint: filled(row.try_get("certfp")?),
                connect_commands: filled(row.try_get("connect_commands")?)
                    .map(|lines| lines.split("\r\n").map(str::to_owned).collect())
                    .unwrap_or_default(),
                auto_away: row.try_get::<i64, _>("auto_away")? != 0,
                sasl_password: filled(row.try_get("sasl_plain_password")?).map(Sealed::new),
            };
            let owner: String = row.try_get("owner")?;
            users.entry(owner).or_default().networks.insert(row.try_get("name")?, network);
        }
        Ok(users)
    }

    /// What messages take, and how far they go back.
    pub async fn measure(&self) -> Result<Measure, sqlx::Error> {
        let bytes: i64 =
            sqlx::query_scalar(self.engine.pick(BYTES_SQLITE, BYTES_POSTGRES)).fetch_one(&self.pool).await?;
        let oldest: Option<i64> = sqlx::query_scalar(self.engine.pick(OLDEST_SQLITE, OLDEST_POSTGRES))
            .fetch_one(&self.pool)
            .await?;
        Ok(Measure { bytes: u64::try_from(bytes).unwrap_or_default(), oldest })
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
