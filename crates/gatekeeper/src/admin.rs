//! What an administrator may do with accounts. Every act is kept as a security event and shown to its user.

use contracts::{Account, CallError, Status};
use entitlements::{GRACE_SECONDS, Override, Plan};
use service::clock::now_s;

use crate::Gatekeeper;
use crate::error::{Error, Result, invalid};
use crate::pepper::Pepper;
use crate::secret::sha256;
use crate::store::{AccountRow, Tx};

/// The administrator's hand; see [`Gatekeeper::admin`].
#[derive(Clone, Debug)]
pub struct Admin(Gatekeeper);

impl Gatekeeper {
    /// What an administrator may do.
    pub fn admin(&self) -> Admin {
        Admin(self.clone())
    }
}

impl Admin {
    pub(crate) fn gate(&self) -> &Gatekeeper {
        &self.0
    }

    /// Accounts whose name or address holds `part` (all for an empty one), by name, after the name `after`.
    pub async fn find(&self, part: &str, after: &str, limit: u32) -> Result<Vec<Account>> {
        let rows = self.0.0.store.find_accounts(part, after, limit).await?;
        Ok(rows.iter().map(|row| self.0.shown(row)).collect())
    }

    /// The account of this username.
    pub async fn account(&self, username: &str) -> Result<Account> {
        Ok(self.0.shown(&self.row(username).await?))
    }

    /// How many accounts there are.
    pub async fn count(&self) -> Result<i64> {
        Ok(self.0.0.store.count_accounts().await?)
    }

    /// Puts an account on a plan. After a downgrade nothing is deleted for 30 days.
    pub async fn set_plan(&self, username: &str, plan: &Plan) -> Result<Account> {
        if self.0.0.plans.plan(plan).is_none() {
            return Err(invalid("plan", format!("There is no plan {plan}.")));
        }
        self.change_limits(username, plan, None).await
    }

    /// Limits of one account that differ from its plan's; an empty set takes them away.
    pub async fn set_override(&self, username: &str, over: &Override) -> Result<Account> {
        let plan = Plan(self.row(username).await?.plan);
        self.change_limits(username, &plan, Some(over)).await
    }

    async fn change_limits(&self, username: &str, plan: &Plan, over: Option<&Override>) -> Result<Account> {
        let now = now_s();
        let (mut tx, before) = self.locked(username).await?;
        let was = self.0.shown(&before).limits;
        let over = over.unwrap_or(&before.overrides);
        let becomes = self.0.0.plans.limits(plan, &std::collections::BTreeMap::new(), over);
        let until = if becomes.is_downgrade_from(&was) {
            Some(now + GRACE_SECONDS)
        } else {
            // An upgrade that gives everything back ends the grace; a change that gives nothing leaves it.
            before.over_limit_until.filter(|_| becomes == was)
        };
        self.0.0.store.set_plan(&mut tx, before.sub, &plan.0, over, until).await?;
        let text = format!("An administrator put your account on the plan {plan}, with its limits as shown.");
        self.done(tx, &before, "plan_changed_by_admin", &text, now).await
    }

    /// Stops an account: everything is kept, nothing runs, every session ends.
    pub async fn suspend(&self, username: &str, reason: &str) -> Result<Account> {
        let now = now_s();
        let (mut tx, before) = self.locked(username).await?;
        self.0.0.store.set_status(&mut tx, before.sub, Status::Suspended).await?;
        self.0.end_sessions_in(&mut tx, before.sub, None, now).await?;
        let text = match reason.trim() {
            "" => "An administrator suspended your account.".to_owned(),
            reason => format!("An administrator suspended your account: {reason}"),
        };
        let account = self.done(tx, &before, "suspended_by_admin", &text, now).await?;
        self.0.0.work.notify_waiters();
        Ok(account)
    }

    /// Lets a suspended account run again.
    pub async fn resume(&self, username: &str) -> Result<Account> {
        let (mut tx, before) = self.locked(username).await?;
        self.0.0.store.set_status(&mut tx, before.sub, Status::Active).await?;
        self.done(tx, &before, "resumed_by_admin", "An administrator lifted the suspension.", now_s()).await
    }

    /// Makes an account an administrator, or not.
    pub async fn set_admin(&self, username: &str, admin: bool) -> Result<Account> {
        let (mut tx, before) = self.locked(username).await?;
        self.0.0.store.set_admin(&mut tx, before.sub, admin).await?;
        let text = if admin { "You are an administrator now." } else { "You are no administrator any more." };
        self.done(tx, &before, "role_changed_by_admin", text, now_s()).await
    }

    /// An invitation for `uses` sign-ups within `days`: the code, shown once.
    pub async fn invite(&self, uses: u32, days: u32) -> Result<String> {
        let (code, now) = (service::secrets::random_token()?, now_s());
        let until = now + i64::from(days) * 24 * 3600;
        self.0.0.store.add_invitation(&sha256(code.as_bytes()), now, until, uses).await?;
        Ok(code)
    }

    /// The page where an invitation is taken.
    pub fn invitation_link(&self, code: &str) -> String {
        self.0.0.sites.auth.url(&format!("/sign-up?invitation={code}"))
    }

    /// A one-use link for a new password, to hand to the user; good for an hour.
    pub async fn reset_link(&self, username: &str) -> Result<String> {
        let account = self.row(username).await?;
        let now = now_s();
        let text = "An administrator made a link for a new password.";
        self.0.note(account.sub, "reset_link_by_admin", text, None, now).await?;
        self.0.reset_link(&account, now).await
    }

    /// Begins the deletion of an account, everywhere.
    pub async fn delete(&self, username: &str) -> Result<()> {
        let account = self.row(username).await?;
        self.0.begin_deletion(account.sub, "An administrator asked for it.", now_s()).await
    }

    /// Seals every sealed column under the newest key of the keyring. It is done at every start, too.
    pub async fn reseal(&self) -> Result<()> {
        let inner = &*self.0.0;
        Pepper::reseal(&inner.store, &inner.keyring).await?;
        inner.keys.reseal(now_s()).await?;
        let mut tx = inner.store.begin().await?;
        for (sub, sealed) in inner.store.sealed_seeds(&mut tx).await? {
            match inner.keyring.reseal(&format!("gatekeeper:totp:{sub}"), &sealed) {
                Ok(Some(anew)) => inner.store.reseal_seed(&mut tx, sub, &anew).await?,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%sub, %error, "a second step cannot be read with the keys there are")
                }
            }
        }
        inner.store.commit(tx).await?;
        Ok(())
    }

    async fn row(&self, username: &str) -> Result<AccountRow> {
        let found = self.0.0.store.account_by_name(&username.trim().to_ascii_lowercase()).await?;
        found.ok_or_else(|| CallError::not_found("account").into())
    }

    /// The account as a transaction sees it that is about to change it.
    async fn locked(&self, username: &str) -> Result<(Tx, AccountRow)> {
        let sub = self.row(username).await?.sub;
        let mut tx = self.0.0.store.begin().await?;
        match self.0.0.store.account_in(&mut tx, sub).await? {
            Some(row) if row.status != Status::Deleting => Ok((tx, row)),
            _ => Err(CallError::not_found("account").into()),
        }
    }

    async fn done(&self, mut tx: Tx, row: &AccountRow, kind: &str, text: &str, now: i64) -> Result<Account> {
        let store = &self.0.0.store;
        self.0.note_in(&mut tx, row.sub, kind, text, None, now).await?;
        store.touch(&mut tx, row.sub, now).await?;
        let after = store.account_in(&mut tx, row.sub).await?;
        store.commit(tx).await?;
        after.map(|row| self.0.shown(&row)).ok_or_else(|| Error::Internal("an account vanished".to_owned()))
    }
}
