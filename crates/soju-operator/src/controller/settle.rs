//! After the children were applied: host names the bouncer does not use any more are given back.

use crds::SojuBouncer;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use operator::{Context, Error, claim};

use super::dereference::hostnames;
use super::validate::Valid;
use super::{SojuOperator, holder};

/// Gives back what is not used any more. It comes last, so that nobody else takes a name that is still served.
pub async fn settle(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
    _valid: &Valid,
) -> Result<(), Error> {
    let used = hostnames(root);
    let held = root.status.as_ref().map(|status| status.hostnames.as_slice()).unwrap_or_default();
    for hostname in held.iter().filter(|held| !used.contains(&held.as_str())) {
        release(operator, context, root, hostname.as_str()).await?;
    }
    Ok(())
}

/// Gives one back.
pub async fn release(
    operator: &SojuOperator,
    context: &Context<'_, SojuOperator>,
    root: &SojuBouncer,
    hostname: &str,
) -> Result<(), Error> {
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), &operator.claims);
    claim::release(context.writer, &claims, hostname, &holder(root)).await
}
