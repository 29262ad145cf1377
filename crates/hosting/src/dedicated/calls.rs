//! The trait `DedicatedBouncers`: what other services ask for.

use async_trait::async_trait;
use contracts::{
    Account, BouncerEngine, Call, CallError, CallResult, DedicatedBouncer, DedicatedBouncers, DedicatedOffer,
    Status,
};
use entitlements::Limit;
use futures_util::stream::BoxStream;

use super::keeper::Keeper;
use crate::calls::within;

/// Dedicated bouncers as other services see them.
pub struct DedicatedCalls {
    pub(crate) keeper: Keeper,
}

/// The first part of the host name of an account's bouncer. A name that a host name cannot hold as it is gets an ending of
/// its own, so that no two accounts meet.
fn label(account: &Account) -> String {
    let name = account.username.replace('_', "-");
    let name = name.trim_end_matches('-');
    if name == account.username {
        return name.to_owned();
    }
    let id = account.sub.0.simple().to_string();
    format!("{name}-{}", &id[id.len() - 8..])
}

fn not_in_plan() -> CallError {
    CallError::Quota {
        limit: Limit::DedicatedBouncers.to_string(),
        message: "Your plan has no dedicated bouncer. The plan Pro and those above it do.".to_owned(),
    }
}

#[async_trait]
impl DedicatedBouncers for DedicatedCalls {
    async fn dedicated_offer(&self, call: &Call) -> CallResult<DedicatedOffer> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = keeper.accounts.get(of.account, &of.request_id).await?;
            Ok(DedicatedOffer {
                hostname: keeper.hostname(&label(&account)),
                in_plan: account.limits.get(Limit::DedicatedBouncers).allows(1),
                engines: keeper.parts.host.engines(),
                refused: keeper.parts.host.refuses().await,
            })
        })
        .await
    }

    async fn dedicated(&self, call: &Call) -> CallResult<Option<DedicatedBouncer>> {
        Ok(self.keeper.board.of(call.account))
    }

    async fn order_dedicated(&self, call: &Call, engine: BouncerEngine) -> CallResult<DedicatedBouncer> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = keeper.accounts.get(of.account, &of.request_id).await?;
            if account.status != Status::Active {
                return Err(CallError::Forbidden { reason: "Your account is suspended.".to_owned() });
            }
            if !account.limits.get(Limit::DedicatedBouncers).allows(1) {
                return Err(not_in_plan());
            }
            if let Some(refused) = keeper.parts.host.refuses().await {
                return Err(CallError::unavailable(refused));
            }
            if !keeper.parts.host.engines().contains(&engine) {
                return Err(CallError::invalid("engine", "This program cannot be had here. Choose another."));
            }
            let label = label(&account);
            let hostname = keeper.hostname(&label);
            let taken = || CallError::Conflict {
                message: format!("{hostname} is taken. Write to whoever runs this irc.now."),
            };
            let row = keeper.store.order(&of, &label, engine, taken).await?;
            tracing::info!(sub = %row.sub, bouncer = %row.id, "a dedicated bouncer was ordered");
            Ok(keeper.changed(&row))
        })
        .await
    }

    async fn cancel_dedicated(&self, call: &Call) -> CallResult<DedicatedBouncer> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let row = keeper.store.cancel(of.account).await?;
            let row = row.ok_or_else(|| CallError::not_found("dedicated bouncer"))?;
            Ok(keeper.changed(&row))
        })
        .await
    }

    async fn watch_dedicated(&self, call: &Call) -> CallResult<BoxStream<'static, Option<DedicatedBouncer>>> {
        Ok(self.keeper.board.watch(call.account))
    }
}

#[cfg(test)]
mod tests {
    use contracts::Sub;
    use entitlements::{Limits, Plan};
    use uuid::Uuid;

    use super::*;

    fn account(username: &str, id: u128) -> Account {
        Account {
            sub: Sub(Uuid::from_u128(id)),
            username: username.into(),
            email: None,
            email_verified: false,
            may_dial_out: true,
            status: Status::Active,
            plan: Plan("pro".into()),
            limits: Limits::unlimited(),
            over_limit_until: None,
            roles: Vec::new(),
            version: 1,
            created_at: 0,
        }
    }

    #[test]
    fn no_two_accounts_meet_in_a_host_name() {
        assert_eq!(label(&account("alice", 1)), "alice");
        assert_eq!(label(&account("a-b", 1)), "a-b");
        let names = ["a_b", "a-b-", "a_b_", "a__"].map(|name| label(&account(name, 0xabcd_ef01)));
        assert_eq!(names, ["a-b-abcdef01", "a-b-abcdef01", "a-b-abcdef01", "a-abcdef01"]);
        assert_ne!(label(&account("a_b", 1)), label(&account("a-b-", 2)));
    }
}
