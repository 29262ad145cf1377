//! The account itself.

use contracts::{Status, Sub};
use entitlements::Override;
use sqlx::any::AnyRow;

use super::feed::FeedKind;
use super::{Columns as _, Result, Store, StoreError, Tx, key};

/// An account with everything only gatekeeper knows of it.
#[derive(Clone)]
pub struct AccountRow {
    pub sub: Sub,
    pub username: String,
    pub email: Option<String>,
    pub email_verified: bool,
    /// The PHC string; none where people log in elsewhere.
    pub password: Option<String>,
    pub status: Status,
    pub plan: String,
    pub overrides: Override,
    pub over_limit_until: Option<i64>,
    pub admin: bool,
    pub version: i64,
    pub created_at: i64,
    pub scram_salt: Vec<u8>,
    pub scram_iterations: u32,
    /// The sealed TOTP seed, once it was confirmed.
    pub totp: Option<Vec<u8>>,
    /// The last step whose code was used.
    pub totp_step: i64,
}

impl std::fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRow")
            .field("sub", &self.sub)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What an account begins with.
pub struct NewAccount<'a> {
    pub sub: Sub,
    pub username: &'a str,
    pub email: Option<&'a str>,
    pub email_verified: bool,
    pub password: Option<&'a str>,
    pub plan: &'a str,
    pub scram_salt: &'a [u8],
    pub scram_iterations: u32,
    pub upstream: Option<(&'a str, &'a str)>,
    pub now: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT sub, username, email, email_verified, password, status, plan, overrides, over_limit_until, admin,
             version, created_at, scram_salt, scram_iterations, totp, totp_step FROM accounts ",
            $rest
        )
    };
}

const INSERT: &str =
    "INSERT INTO accounts (sub, username, email, email_verified, password, status, plan, created_at,
    scram_salt, scram_iterations, upstream_issuer, upstream_sub)
    VALUES ($1, $2, $3, $4, $5, 'active', $6, $7, $8, $9, $10, $11)";
const BY_SUB: &str = select!("WHERE sub = $1");
const BY_NAME: &str = select!("WHERE username = $1");
const BY_EMAIL: &str = select!("WHERE email = $1 AND status = 'active' ORDER BY created_at LIMIT 5");
const BY_UPSTREAM: &str = select!("WHERE upstream_issuer = $1 AND upstream_sub = $2");
const LIST: &str = select!(
    "WHERE username > $1 AND (username LIKE $2 ESCAPE '!' OR email LIKE $2 ESCAPE '!') ORDER BY username LIMIT $3"
);
const TOUCH: &str = "UPDATE accounts SET version = version + 1 WHERE sub = $1";
const SET_PASSWORD: &str = "UPDATE accounts SET password = $2 WHERE sub = $1";
const SET_EMAIL: &str = "UPDATE accounts SET email = $2, email_verified = $3 WHERE sub = $1";
const SET_STATUS: &str = "UPDATE accounts SET status = $2 WHERE sub = $1";
const SET_PLAN: &str = "UPDATE accounts SET plan = $2, overrides = $3, over_limit_until = $4 WHERE sub = $1";
const SET_ADMIN: &str = "UPDATE accounts SET admin = $2 WHERE sub = $1";
const SET_TOTP: &str = "UPDATE accounts SET totp = $2, totp_step = $3 WHERE sub = $1";
const USE_STEP: &str = "UPDATE accounts SET totp_step = $2 WHERE sub = $1 AND totp_step < $2";
const IS_FORMER: &str = "SELECT COUNT(*) AS n FROM former_names WHERE hash = $1";
const COUNT: &str = "SELECT COUNT(*) AS n FROM accounts";
const SEALED_SEEDS: &str = "SELECT sub, totp FROM accounts WHERE totp IS NOT NULL";
const RESEAL: &str = "UPDATE accounts SET totp = $2 WHERE sub = $1";
const DROP_RECOVERY: &str = "DELETE FROM recovery_codes WHERE sub = $1";
const ADD_RECOVERY: &str = "INSERT INTO recovery_codes (sub, hash) VALUES ($1, $2)";
const USE_RECOVERY: &str = "DELETE FROM recovery_codes WHERE sub = $1 AND hash = $2";
const COUNT_RECOVERY: &str = "SELECT COUNT(*) AS n FROM recovery_codes WHERE sub = $1";

impl Store {
    /// A new account; [`StoreError::is_taken`] if the name or the upstream identity has one.
    pub async fn insert_account(&self, tx: &mut Tx, new: &NewAccount<'_>) -> Result<()> {
        sqlx::query(INSERT)
            .bind(key(new.sub))
            .bind(new.username.to_owned())
            .bind(new.email.map(str::to_owned))
            .bind(i64::from(new.email_verified))
            .bind(new.password.map(str::to_owned))
            .bind(new.plan.to_owned())
            .bind(new.now)
            .bind(new.scram_salt.to_vec())
            .bind(i64::from(new.scram_iterations))
            .bind(new.upstream.map(|(issuer, _)| issuer.to_owned()))
            .bind(new.upstream.map(|(_, sub)| sub.to_owned()))
            .execute(&mut **tx)
            .await?;
        self.publish(tx, FeedKind::Account, new.sub, "", new.now).await
    }

    pub async fn account(&self, sub: Sub) -> Result<Option<AccountRow>> {
        sqlx::query(BY_SUB)
            .bind(key(sub))
            .fetch_optional(self.pool())
            .await?
            .as_ref()
            .map(account)
            .transpose()
    }

    /// The account as the transaction sees it, so that what is decided by it stays true.
    pub async fn account_in(&self, tx: &mut Tx, sub: Sub) -> Result<Option<AccountRow>> {
        sqlx::query(BY_SUB).bind(key(sub)).fetch_optional(&mut **tx).await?.as_ref().map(account).transpose()
    }

    pub async fn account_by_name(&self, username: &str) -> Result<Option<AccountRow>> {
        let row = sqlx::query(BY_NAME).bind(username.to_owned()).fetch_optional(self.pool()).await?;
        row.as_ref().map(account).transpose()
    }

    pub async fn account_by_name_in(&self, tx: &mut Tx, username: &str) -> Result<Option<AccountRow>> {
        let row = sqlx::query(BY_NAME).bind(username.to_owned()).fetch_optional(&mut **tx).await?;
        row.as_ref().map(account).transpose()
    }

    pub async fn accounts_by_email(&self, email: &str) -> Result<Vec<AccountRow>> {
        let rows = sqlx::query(BY_EMAIL).bind(email.to_owned()).fetch_all(self.pool()).await?;
        rows.iter().map(account).collect()
    }

    pub async fn account_by_upstream(&self, issuer: &str, upstream_sub: &str) -> Result<Option<AccountRow>> {
        let row = sqlx::query(BY_UPSTREAM)
            .bind(issuer.to_owned())
            .bind(upstream_sub.to_owned())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(account).transpose()
    }

    /// Accounts whose name or address holds `part`, by name, after `after`.
    pub async fn find_accounts(&self, part: &str, after: &str, limit: u32) -> Result<Vec<AccountRow>> {
        let mut pattern = String::from("%");
        for c in part.to_lowercase().chars() {
            if matches!(c, '%' | '_' | '!') {
                pattern.push('!');
            }
            pattern.push(c);
        }
        pattern.push('%');
        let rows = sqlx::query(LIST)
            .bind(after.to_owned())
            .bind(pattern)
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(account).collect()
    }

    pub async fn count_accounts(&self) -> Result<i64> {
        sqlx::query(COUNT).fetch_one(self.pool()).await?.int("n")
    }

    /// Whether a deleted account had the name of this keyed hash.
    pub async fn is_former_name(&self, tx: &mut Tx, hash: &[u8]) -> Result<bool> {
        Ok(sqlx::query(IS_FORMER).bind(hash.to_vec()).fetch_one(&mut **tx).await?.int("n")? > 0)
    }

    /// Raises the version and tells the feed.
    pub async fn touch(&self, tx: &mut Tx, sub: Sub, now: i64) -> Result<()> {
        sqlx::query(TOUCH).bind(key(sub)).execute(&mut **tx).await?;
        self.publish(tx, FeedKind::Account, sub, "", now).await
    }

    pub async fn set_password(&self, tx: &mut Tx, sub: Sub, hash: &str) -> Result<()> {
        sqlx::query(SET_PASSWORD).bind(key(sub)).bind(hash.to_owned()).execute(&mut **tx).await?;
        Ok(())
    }

    pub async fn set_email(&self, tx: &mut Tx, sub: Sub, email: Option<&str>, verified: bool) -> Result<()> {
        sqlx::query(SET_EMAIL)
            .bind(key(sub))
            .bind(email.map(str::to_owned))
            .bind(i64::from(verified))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    pub async fn set_status(&self, tx: &mut Tx, sub: Sub, status: Status) -> Result<()> {
        sqlx::query(SET_STATUS)
            .bind(key(sub))
            .bind(status_text(status).to_owned())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    pub async fn set_plan(
        &self,
        tx: &mut Tx,
        sub: Sub,
        plan: &str,
        over: &Override,
        over_limit_until: Option<i64>,
    ) -> Result<()> {
        let over = serde_json::to_string(over).map_err(|_| StoreError::Damaged("limits that are no JSON"))?;
        sqlx::query(SET_PLAN)
            .bind(key(sub))
            .bind(plan.to_owned())
            .bind(over)
            .bind(over_limit_until)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    pub async fn set_admin(&self, tx: &mut Tx, sub: Sub, admin: bool) -> Result<()> {
        sqlx::query(SET_ADMIN).bind(key(sub)).bind(i64::from(admin)).execute(&mut **tx).await?;
        Ok(())
    }

    /// Sets or takes away the second factor, and its recovery codes with it.
    pub async fn set_totp(
        &self,
        tx: &mut Tx,
        sub: Sub,
        seed: Option<(&[u8], i64)>,
        codes: &[Vec<u8>],
    ) -> Result<()> {
        sqlx::query(SET_TOTP)
            .bind(key(sub))
            .bind(seed.map(|(sealed, _)| sealed.to_vec()))
            .bind(seed.map_or(0, |(_, step)| step))
            .execute(&mut **tx)
            .await?;
        sqlx::query(DROP_RECOVERY).bind(key(sub)).execute(&mut **tx).await?;
        for hash in codes {
            sqlx::query(ADD_RECOVERY).bind(key(sub)).bind(hash.clone()).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// Marks a TOTP step as used; `false` if somebody was faster.
    pub async fn use_totp_step(&self, tx: &mut Tx, sub: Sub, step: i64) -> Result<bool> {
        let done = sqlx::query(USE_STEP).bind(key(sub)).bind(step).execute(&mut **tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Spends a recovery code; `false` if there is none of this hash.
    pub async fn use_recovery_code(&self, tx: &mut Tx, sub: Sub, hash: &[u8]) -> Result<bool> {
        let done = sqlx::query(USE_RECOVERY).bind(key(sub)).bind(hash.to_vec()).execute(&mut **tx).await?;
        Ok(done.rows_affected() == 1)
    }

    pub async fn recovery_codes_left(&self, sub: Sub) -> Result<i64> {
        sqlx::query(COUNT_RECOVERY).bind(key(sub)).fetch_one(self.pool()).await?.int("n")
    }

    /// Every sealed TOTP seed, for sealing anew under another key.
    pub async fn sealed_seeds(&self, tx: &mut Tx) -> Result<Vec<(Sub, Vec<u8>)>> {
        let rows = sqlx::query(SEALED_SEEDS).fetch_all(&mut **tx).await?;
        rows.iter().map(|row| Ok((row.sub("sub")?, row.blob("totp")?))).collect()
    }

    pub async fn reseal_seed(&self, tx: &mut Tx, sub: Sub, sealed: &[u8]) -> Result<()> {
        sqlx::query(RESEAL).bind(key(sub)).bind(sealed.to_vec()).execute(&mut **tx).await?;
        Ok(())
    }
}

fn account(row: &AnyRow) -> Result<AccountRow> {
    Ok(AccountRow {
        sub: row.sub("sub")?,
        username: row.text("username")?,
        email: row.maybe_text("email")?,
        email_verified: row.flag("email_verified")?,
        password: row.maybe_text("password")?,
        status: status(&row.text("status")?)?,
        plan: row.text("plan")?,
        overrides: serde_json::from_str(&row.text("overrides")?)
            .map_err(|_| StoreError::Damaged("limits that are no JSON"))?,
        over_limit_until: row.maybe_int("over_limit_until")?,
        admin: row.flag("admin")?,
        version: row.int("version")?,
        created_at: row.int("created_at")?,
        scram_salt: row.blob("scram_salt")?,
        scram_iterations: u32::try_from(row.int("scram_iterations")?)
            .map_err(|_| StoreError::Damaged("an iteration count"))?,
        totp: row.maybe_blob("totp")?,
        totp_step: row.int("totp_step")?,
    })
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Suspended => "suspended",
        Status::Deleting => "deleting",
    }
}

fn status(text: &str) -> Result<Status> {
    match text {
        "active" => Ok(Status::Active),
        "suspended" => Ok(Status::Suspended),
        "deleting" => Ok(Status::Deleting),
        _ => Err(StoreError::Damaged("an unknown status")),
    }
}
