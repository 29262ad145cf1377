//! What an account pays for.

use entitlements::{Limit, Plan, Table};

use super::OVER_QUOTA;
use crate::known::{Catalog, Kind};
use crate::review::{Question, Resource, Words};

/// Looks at the plan, and at how many there are of the account's. What is there may stay, whatever the plan becomes.
pub fn check(question: &Question, known: &Catalog, plans: &Table, words: &mut Words) {
    let new = &question.new;
    let Some(name) = new.plan() else { return };
    let Some(plan) = plans.plan(&Plan(name.to_owned())) else {
        if question.old.as_ref().is_none_or(|old| old.plan() != Some(name)) {
            words
                .refused
                .push(format!("there is no plan `{name}`: name one of the installation's in spec.plan"));
        }
        return;
    };
    let limit = match question.id.kind {
        Kind::Bouncer => Limit::DedicatedBouncers,
        Kind::Network => Limit::HostedNetworks,
    };
    if let (None, Some(owner), false, true) =
        (&question.old, new.owner(), new.says(OVER_QUOTA), known.is_whole())
    {
        let used = u64::try_from(known.others_of(owner, &question.id)).unwrap_or(u64::MAX);
        if let Err(over) = plan.limits.check(limit, used, 1) {
            let meant =
                format!("An account that may have more says so with the annotation {OVER_QUOTA}: \"true\".");
            words.refused.push(format!("{over} {meant}"));
        }
    }
    let clients = match new {
        Resource::Bouncer(_) => None,
        Resource::Network(network) => {
            network.spec.limits.clients.and_then(|clients| u64::try_from(clients).ok())
        }
    };
    let most = plan.limits.get(Limit::HostedNetworkUsers);
    if clients.is_some_and(|clients| !most.allows(clients)) {
        let allowed = most.words(Limit::HostedNetworkUsers.unit());
        words.warnings.push(format!("limits.clients: the plan allows {allowed} at once, and goes before it"));
    }
}
