//! What lies outside children: snapshots by schedule, and host names that are held no more.

use std::collections::BTreeSet;

use crds::ErgoNetwork;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use operator::{ChildKey, Context, Error, Kind, child, claim, kinds};
use serde_json::{Value, json};

use super::dereference::hostnames;
use super::validate::Valid;
use super::{ErgoOperator, holder};

/// Makes and deletes snapshots, and gives host names back.
pub async fn settle(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
    valid: &Valid,
) -> Result<(), Error> {
    give_back(operator, context, root).await?;
    let Some(plan) = valid.snapshots.as_ref().filter(|_| valid.facts.has.snapshots) else { return Ok(()) };
    if let Some(name) = &plan.make {
        let class = valid.spec.backup.as_ref().and_then(|backup| backup.snapshot_class_name.as_ref());
        snapshot(context, &valid.names.volume, name, class.map(|class| class.as_str())).await?;
    }
    for (name, uid) in &plan.delete {
        let key = ChildKey::new(&kinds::VOLUME_SNAPSHOT, &context.key.namespace, name);
        context.writer.delete(&key, uid).await?;
    }
    Ok(())
}

/// Makes a snapshot of the volume. One that is there already is as good. It outlives the network.
pub(super) async fn snapshot(
    context: &Context<'_, ErgoOperator>,
    volume: &str,
    name: &str,
    class: Option<&str>,
) -> Result<(), Error> {
    let mut spec = json!({ "source": { "persistentVolumeClaimName": volume } });
    if let Some(class) = class {
        spec["volumeSnapshotClassName"] = Value::from(class);
    }
    create(context, &kinds::VOLUME_SNAPSHOT, &context.key.namespace, name, spec).await
}

/// Makes an object with our labels that is never changed and outlives the network. One that is there is as good.
pub(super) async fn create(
    context: &Context<'_, ErgoOperator>,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    spec: Value,
) -> Result<(), Error> {
    let served = context.definitions.get(kind)?;
    let object = serde_json::from_value(json!({
        "apiVersion": served.resource.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": child::labels(context.parent.operator, context.key, &context.parent.uid),
        },
        "spec": spec,
    }));
    let object = object
        .map_err(|error| Error::Internal(format!("{} {name} cannot be written: {error}", kind.kind)))?;
    let api = context.writer.api(kind, namespace)?;
    match context.writer.write("create", kind, api.create(&PostParams::default(), &object)).await {
        Err(Error::Api { source: kube::Error::Api(status), .. }) if status.is_already_exists() => Ok(()),
        Err(Error::Api { source, .. }) => Err(Error::api(format!("making {} {name}", kind.kind), source)),
        other => other.map(drop),
    }
}

/// Host names the status says are held, and the resource names no more.
async fn give_back(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
) -> Result<(), Error> {
    let held = root.status.as_ref().map(|status| status.hostnames.as_slice()).unwrap_or_default();
    let wanted: BTreeSet<_> = hostnames(root).into_iter().collect();
    let claims: Api<Lease> = Api::namespaced(context.client.clone(), &operator.claims);
    for name in held.iter().map(|name| name.as_str()).filter(|name| !wanted.contains(name)) {
        claim::release(context.writer, &claims, name, &holder(root)).await?;
    }
    Ok(())
}
