//! Reports, the moderators' queue, and the hashes of what may not come back. Rows stand in the service's own database.

use contracts::Sub;
use serde::{Deserialize, Serialize};
use service::clock::now_us;
use service::db::{Database, DbError, Migration};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::whose::Owner;

/// The tables, for a test that reads every migration. [`Abuse::open`] applies them.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "abuse reports and blocked hashes",
    sqlite: include_str!("abuse/1_sqlite.sql"),
    postgres: include_str!("abuse/1_postgres.sql"),
}];

/// A moderator reads no more of one report.
const MOST_WORDS: usize = 2_000;

const REPORT: &str = "INSERT INTO abuse_report (id, thing, reporter, reason, words, at) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (thing, reporter) DO NOTHING";
const QUEUE: &str = "SELECT thing, COUNT(*) AS reports, MIN(at) AS first_at FROM abuse_report WHERE settled_at IS NULL \
     GROUP BY thing ORDER BY MIN(at) LIMIT $1";
const REPORTS: &str = "SELECT id, reason, words, at FROM abuse_report WHERE thing = $1 AND settled_at IS NULL ORDER BY at LIMIT 50";
const OPEN: &str = "SELECT COUNT(DISTINCT thing) FROM abuse_report WHERE settled_at IS NULL";
const SETTLE: &str = "UPDATE abuse_report SET settled_at = $1, settled_by = $2, verdict = $3 \
     WHERE thing = $4 AND settled_at IS NULL";
const BLOCK: &str = "INSERT INTO abuse_blocked (hash, reason, blocked_by, at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (hash) DO NOTHING";
const UNBLOCK: &str = "DELETE FROM abuse_blocked WHERE hash = $1";
const IS_BLOCKED: &str = "SELECT hash FROM abuse_blocked WHERE hash = $1";
const BLOCKED: &str = "SELECT hash, reason, at FROM abuse_blocked ORDER BY at DESC LIMIT $1";
const FORGET: &str = "DELETE FROM abuse_report WHERE settled_at < $1";
const FORGET_REPORTER: &str = "DELETE FROM abuse_report WHERE reporter = $1";

/// What is wrong with something, as its reporter chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody's passwords, address, or other private things.
    Private,
    /// Malware, phishing.
    Malware,
    /// Advertising.
    Spam,
    /// It is somebody else's work.
    Copyright,
    /// Against the law otherwise.
    Illegal,
    /// None of these.
    Other,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Private, Self::Malware, Self::Spam, Self::Copyright, Self::Illegal, Self::Other];

    /// Its name in forms and rows.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Malware => "malware",
            Self::Spam => "spam",
            Self::Copyright => "copyright",
            Self::Illegal => "illegal",
            Self::Other => "other",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Private => "It shows somebody's private things",
            Self::Malware => "It is malware or phishing",
            Self::Spam => "It is advertising",
            Self::Copyright => "It is somebody else's work",
            Self::Illegal => "It is against the law otherwise",
            Self::Other => "Something else",
        }
    }

    /// The reason of this name.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.key() == key)
    }
}

/// What a moderator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Kept,
    /// It is taken down; the service does that.
    Removed,
}

impl Verdict {
    const fn key(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Removed => "removed",
        }
    }
}

/// A report that comes in.
#[derive(Clone, Debug)]
pub struct NewReport<'a> {
    /// What is reported: its id as text.
    pub thing: &'a str,
    /// Who reports: [`Whose::owner`](crate::Whose::owner). The same one counts once for a thing.
    pub reporter: Owner,
    /// Why.
    pub reason: Reason,
    /// What they say; cut at 2,000 letters.
    pub words: &'a str,
}

/// One report of a [`Case`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Names it.
    pub id: Uuid,
    /// Why.
    pub reason: Reason,
    /// What the reporter said.
    pub words: String,
    /// Microseconds since 1970.
    pub at_us: i64,
}

/// Something that was reported and waits for a moderator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its id as text.
    pub thing: String,
    /// How many reports there are.
    pub count: u64,
    /// When the first came, microseconds since 1970.
    pub first_us: i64,
    /// The first fifty, oldest first.
    pub reports: Vec<Report>,
}

/// A content that may not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Its SHA-256.
    pub hash: Vec<u8>,
    /// What the moderator noted.
    pub reason: String,
    /// Microseconds since 1970.
    pub at_us: i64,
}

/// The reports and blocks of a service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Abuse {
    db: Database,
}

impl Abuse {
    /// Makes its tables in the service's database.
    pub async fn open(db: Database) -> Result<Self, DbError> {
        db.migrate_component("abuse", MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// Keeps a report. A second one by the same reporter for the same thing changes nothing.
    pub async fn report(&self, report: &NewReport<'_>) -> Result<(), DbError> {
        sqlx::query(REPORT)
            .bind(Uuid::now_v7().as_bytes().to_vec())
            .bind(report.thing.to_owned())
            .bind(report.reporter.clone())
            .bind(report.reason.key())
            .bind(report.words.replace('\0', "").chars().take(MOST_WORDS).collect::<String>())
            .bind(now_us())
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// What waits for a moderator, the longest waiting first.
    pub async fn queue(&self, most: u32) -> Result<Vec<Case>, DbError> {
        let rows = sqlx::query(QUEUE).bind(i64::from(most)).fetch_all(self.db.pool()).await?;
        let mut cases = Vec::with_capacity(rows.len());
        for row in rows {
            let thing: String = row.try_get("thing")?;
            cases.push(Case {
                reports: self.reports(&thing).await?,
                count: u64::try_from(row.try_get::<i64, _>("reports")?).unwrap_or_default(),
                first_us: row.try_get("first_at")?,
                thing,
            });
        }
        Ok(cases)
    }

    async fn reports(&self, thing: &str) -> Result<Vec<Report>, DbError> {
        let rows = sqlx::query(REPORTS).bind(thing.to_owned()).fetch_all(self.db.pool()).await?;
        Ok(rows.iter().map(report_of).collect::<Result<_, sqlx::Error>>()?)
    }

    /// How many things wait for a moderator.
    pub async fn waiting(&self) -> Result<u64, DbError> {
        let row = sqlx::query(OPEN).fetch_one(self.db.pool()).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
    }

    /// Closes every open report of a thing.
    pub async fn settle(&self, thing: &str, by: Sub, verdict: Verdict) -> Result<(), DbError> {
        sqlx::query(SETTLE)
            .bind(now_us())
            .bind(by.0.as_bytes().to_vec())
            .bind(verdict.key())
            .bind(thing.to_owned())
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Keeps a content from coming back: its SHA-256.
    pub async fn block(&self, hash: &[u8], by: Sub, reason: &str) -> Result<(), DbError> {
        sqlx::query(BLOCK)
            .bind(hash.to_vec())
            .bind(reason.replace('\0', "").chars().take(MOST_WORDS).collect::<String>())
            .bind(by.0.as_bytes().to_vec())
            .bind(now_us())
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// Lets a content come back.
    pub async fn unblock(&self, hash: &[u8]) -> Result<(), DbError> {
        sqlx::query(UNBLOCK).bind(hash.to_vec()).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Whether a content may not come back.
    pub async fn is_blocked(&self, hash: &[u8]) -> Result<bool, DbError> {
        Ok(sqlx::query(IS_BLOCKED).bind(hash.to_vec()).fetch_optional(self.db.pool()).await?.is_some())
    }

    /// What may not come back, the newest first.
    pub async fn blocked(&self, most: u32) -> Result<Vec<Blocked>, DbError> {
        let rows = sqlx::query(BLOCKED).bind(i64::from(most)).fetch_all(self.db.pool()).await?;
        let blocked = |row: &AnyRow| {
            Ok(Blocked {
                hash: row.try_get("hash")?,
                reason: row.try_get("reason")?,
                at_us: row.try_get("at")?,
            })
        };
        Ok(rows.iter().map(blocked).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Forgets reports that were settled before `before_us`.
    pub async fn forget_settled(&self, before_us: i64) -> Result<(), DbError> {
        sqlx::query(FORGET).bind(before_us).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Forgets who reported what, where an account is deleted.
    pub async fn forget_reporter(&self, reporter: &Owner) -> Result<(), DbError> {
        sqlx::query(FORGET_REPORTER).bind(reporter.clone()).execute(self.db.pool()).await?;
        Ok(())
    }
}

fn report_of(row: &AnyRow) -> Result<Report, sqlx::Error> {
    Ok(Report {
        id: Uuid::from_slice(&row.try_get::<Vec<u8>, _>("id")?).unwrap_or_default(),
        reason: Reason::from_key(row.try_get("reason")?).unwrap_or(Reason::Other),
        words: row.try_get("words")?,
        at_us: row.try_get("at")?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tempfile::TempDir;
    use testkit::Part;

    use super::*;

    /// An empty store on each engine there is.
    async fn engines() -> Vec<(Abuse, Option<TempDir>)> {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}", folder.path().join("abuse.db").display());
        let mut urls = vec![(file, Some(folder))];
        if Part::Postgres.find_or_skip().is_some() {
            let url = tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap().unwrap();
            urls.push((url, None));
        }
        let mut all = Vec::new();
        for (url, folder) in urls {
            let db = Database::open(&url).await.unwrap();
            Abuse::open(db.clone()).await.unwrap();
            all.push((Abuse::open(db).await.unwrap(), folder));
        }
        all
    }

    fn report<'a>(thing: &'a str, reporter: u8, words: &'a str) -> NewReport<'a> {
        NewReport { thing, reporter: vec![reporter; 16], reason: Reason::Spam, words }
    }

    fn moderator() -> Sub {
        Sub(Uuid::from_u128(7))
    }

    #[tokio::test]
    async fn a_thing_is_one_case_however_many_report_it_and_each_counts_once() {
        for (abuse, _folder) in engines().await {
            for reporter in [1, 2, 2] {
                abuse.report(&report("a", reporter, "buy now\0")).await.unwrap();
            }
            abuse.report(&report("b", 1, "")).await.unwrap();
            let queue = abuse.queue(10).await.unwrap();
            assert_eq!(
                queue.iter().map(|case| (case.thing.as_str(), case.count)).collect::<Vec<_>>(),
                [("a", 2), ("b", 1)]
            );
            assert_eq!(queue[0].reports[0].words, "buy now");
            assert_eq!(abuse.waiting().await.unwrap(), 2);
            abuse.settle("a", moderator(), Verdict::Removed).await.unwrap();
            assert_eq!(abuse.queue(10).await.unwrap().len(), 1);
            abuse.forget_settled(i64::MAX).await.unwrap();
            abuse.report(&report("a", 2, "again")).await.unwrap();
            assert_eq!(abuse.waiting().await.unwrap(), 2, "what came back can be reported again");
            abuse.forget_reporter(&vec![1; 16]).await.unwrap();
            assert_eq!(abuse.waiting().await.unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn what_is_blocked_stays_so_until_it_is_let_go() {
        for (abuse, _folder) in engines().await {
            let hash = [9; 32];
            assert!(!abuse.is_blocked(&hash).await.unwrap());
            for _ in 0..2 {
                abuse.block(&hash, moderator(), "malware").await.unwrap();
            }
            assert!(abuse.is_blocked(&hash).await.unwrap());
            assert_eq!(abuse.blocked(10).await.unwrap()[0].reason, "malware");
            abuse.unblock(&hash).await.unwrap();
            assert!(!abuse.is_blocked(&hash).await.unwrap());
        }
    }
}
