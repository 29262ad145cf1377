//! The traits `Networks` and `AccountData`: what other services ask for.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Account, AccountData, Call, CallError, CallResult, DedicatedBouncers as _, ExportChunk, HostedChange,
    HostedId, HostedNetwork, HostedOperator, HostedSpec, HostingOffer, Networks, Status, WatchCursor,
};
use entitlements::{Limit, Limits};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde::Serialize;

use crate::dedicated::DedicatedCalls;
use crate::host::KeptOperator;
use crate::keeper::Keeper;
use crate::rules;
use crate::store::Kept;

/// What a password of an operator costs to check, as a power of two.
const BCRYPT_COST: u32 = 10;

/// Hosting as other services see it.
pub struct HostingCalls {
    pub keeper: Keeper,
    pub dedicated: Arc<DedicatedCalls>,
}

/// All a call asks for, to tell a repeat from another wish.
#[derive(Serialize)]
enum Request<'a> {
    Create(&'a HostedSpec),
    Change(HostedId, &'a HostedSpec),
    Suspend(HostedId, bool),
    Delete(HostedId),
    Restore(HostedId),
}

/// Runs a call to its end even if the caller goes away in the middle.
pub(crate) async fn within<T: Send + 'static>(
    call: &Call,
    work: impl Future<Output = CallResult<T>> + Send + 'static,
) -> CallResult<T> {
    contracts::within(call, "Hosting", work).await
}

/// The account behind a call, which must be one that may change something.
async fn active(keeper: &Keeper, call: &Call) -> CallResult<Account> {
    let account = keeper.accounts.get(call.account, &call.request_id).await?;
    match account.status {
        Status::Active => Ok(account),
        Status::Suspended | Status::Deleting => {
            Err(CallError::Forbidden { reason: "Your account is suspended.".to_owned() })
        }
    }
}

fn room(limits: &Limits, there: u64) -> Result<(), CallError> {
    limits
        .check(Limit::HostedNetworks, there, 1)
        .map_err(|over| CallError::Quota { limit: over.limit.to_string(), message: over.to_string() })
}

/// The operators as they are kept: new passwords hashed, those that were not typed again as before.
async fn kept(operators: Vec<HostedOperator>, before: &[KeptOperator]) -> CallResult<Vec<KeptOperator>> {
    let mut kept = Vec::with_capacity(operators.len());
    for operator in operators {
        let known = before.iter().find(|known| known.name.eq_ignore_ascii_case(&operator.name));
        let hash = match (operator.password, known) {
            (Some(password), _) => hashed(password).await?,
            (None, Some(known)) => known.hash.clone(),
            (None, None) => {
                let message =
                    format!("Give {} a password: it is typed after /oper {}.", operator.name, operator.name);
                return Err(CallError::invalid("operators", message));
            }
        };
        kept.push(KeptOperator { name: operator.name, role: operator.role, hash });
    }
    Ok(kept)
}

async fn hashed(password: String) -> CallResult<String> {
    let hashing = tokio::task::spawn_blocking(move || bcrypt::hash(password, BCRYPT_COST)).await;
    match hashing {
        Ok(Ok(hash)) => Ok(hash),
        failed => {
            tracing::error!(?failed, "an operator's password cannot be hashed");
            Err(CallError::unavailable("The password cannot be kept right now. Try again in a moment."))
        }
    }
}

#[async_trait]
impl Networks for HostingCalls {
    async fn offer(&self, call: &Call) -> CallResult<HostingOffer> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = keeper.accounts.get(of.account, &of.request_id).await?;
            Ok(HostingOffer {
                domain: keeper.domain.to_string(),
                used: keeper.board.networks(of.account).len() as u64,
                allowed: account.limits.get(Limit::HostedNetworks),
                users: account.limits.get(Limit::HostedNetworkUsers),
                refused: keeper.host.refuses().await,
            })
        })
        .await
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<HostedNetwork>> {
        Ok(self.keeper.board.networks(call.account))
    }

    async fn network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        self.keeper.board.network(call.account, id).ok_or_else(|| CallError::not_found("network"))
    }

    async fn create_network(&self, call: &Call, spec: HostedSpec) -> CallResult<HostedNetwork> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = active(&keeper, &of).await?;
            let asked = keeper.store.asked(&of, &Request::Create(&spec))?;
            rules::name(&spec.name)?;
            let spec = rules::checked(spec)?;
            if let Some(refused) = keeper.host.refuses().await {
                return Err(CallError::unavailable(refused));
            }
            let label = rules::label(&spec.name);
            let hostname = keeper.hostname(&label);
            let kept = Kept {
                name: spec.name,
                access: spec.access,
                motd: spec.motd,
                operators: kept(spec.operators, &[]).await?,
            };
            let taken =
                || CallError::Conflict { message: format!("{hostname} is taken. Choose another name.") };
            let room = |there| room(&account.limits, there);
            let row = keeper.store.create(&asked, &label, &kept, taken, room).await?;
            Ok(keeper.changed(&row, &account))
        })
        .await
    }

    async fn change_network(&self, call: &Call, id: HostedId, spec: HostedSpec) -> CallResult<HostedNetwork> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = active(&keeper, &of).await?;
            let asked = keeper.store.asked(&of, &Request::Change(id, &spec))?;
            let spec = rules::checked(spec)?;
            let before =
                keeper.store.get(id).await?.filter(|row| row.sub == of.account && row.deleted_us.is_none());
            let before = before.ok_or_else(|| CallError::not_found("network"))?;
            if spec.name != before.kept.name {
                let message =
                    "The name of a network stays: its host name and its users' settings are made of it.";
                return Err(CallError::invalid("name", message));
            }
            let operators = kept(spec.operators, &before.kept.operators).await?;
            let wish = Kept { name: spec.name, access: spec.access, motd: spec.motd, operators };
            let row = keeper
                .store
                .change(&asked, id, |row, _| {
                    row.kept = wish;
                    Ok(())
                })
                .await?;
            Ok(keeper.changed(&row, &account))
        })
        .await
    }

    async fn suspend_network(&self, call: &Call, id: HostedId, suspended: bool) -> CallResult<HostedNetwork> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = active(&keeper, &of).await?;
            let asked = keeper.store.asked(&of, &Request::Suspend(id, suspended))?;
            let row = keeper
                .store
                .change(&asked, id, |row, _| {
                    row.suspended = suspended;
                    Ok(())
                })
                .await?;
            Ok(keeper.changed(&row, &account))
        })
        .await
    }

    async fn delete_network(&self, call: &Call, id: HostedId) -> CallResult<()> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = keeper.accounts.get(of.account, &of.request_id).await?;
            let asked = keeper.store.asked(&of, &Request::Delete(id))?;
            let row = keeper
                .store
                .change(&asked, id, |row, _| {
                    row.deleted_us.get_or_insert_with(service::clock::now_us);
                    Ok(())
                })
                .await?;
            keeper.changed(&row, &account);
            Ok(())
        })
        .await
    }

    async fn restore_network(&self, call: &Call, id: HostedId) -> CallResult<HostedNetwork> {
        let keeper = self.keeper.clone();
        let of = call.clone();
        within(call, async move {
            let account = active(&keeper, &of).await?;
            let asked = keeper.store.asked(&of, &Request::Restore(id))?;
            let row = keeper
                .store
                .change(&asked, id, |row, there| match row.deleted_us.take() {
                    Some(_) => room(&account.limits, there),
                    None => Ok(()),
                })
                .await?;
            Ok(keeper.changed(&row, &account))
        })
        .await
    }

    async fn watch(
        &self,
        call: &Call,
        after: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, HostedChange>> {
        Ok(self.keeper.board.watch(call.account, after))
    }
}

#[derive(Serialize)]
struct Exported {
    hostname: String,
    suspended: bool,
    created_at: i64,
    spec: HostedSpec,
}

#[async_trait]
impl AccountData for HostingCalls {
    fn service(&self) -> &'static str {
        "hosting"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let networks: Vec<_> = self
            .keeper
            .board
            .networks(call.account)
            .into_iter()
            .map(|network| Exported {
                hostname: network.hostname,
                suspended: network.suspended,
                created_at: network.created_at,
                spec: network.spec,
            })
            .collect();
        let bytes = serde_json::to_vec_pretty(&networks).map_err(|error| {
            CallError::unavailable(format!("Your hosted networks cannot be written down: {error}."))
        })?;
        let mut files = vec![Ok(ExportChunk { path: "networks.json".to_owned(), bytes })];
        if let Some(bouncer) = self.dedicated.dedicated(call).await? {
            let bytes = format!("{{ \"hostname\": \"{}\" }}\n", bouncer.hostname).into_bytes();
            files.push(Ok(ExportChunk { path: "dedicated_bouncer.json".to_owned(), bytes }));
        }
        Ok(stream::iter(files).boxed())
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        let keeper = self.keeper.clone();
        let dedicated = self.dedicated.keeper.clone();
        let sub = call.account;
        within(call, async move {
            dedicated.delete(sub).await?;
            for id in keeper.board.ids(sub) {
                keeper.remove(id).await?;
            }
            keeper.store.forget(sub).await?;
            Ok(())
        })
        .await
    }
}
