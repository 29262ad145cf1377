//! What lies outside children: snapshots by schedule, and host names that are held no more.

use crds::ErgoNetwork;
use operator::{ChildKey, Context, Error, claim, deletion, kinds};

use super::ErgoOperator;
use super::validate::Valid;

/// Makes and deletes snapshots, and gives host names back.
pub async fn settle(
    operator: &ErgoOperator,
    context: &Context<'_, ErgoOperator>,
    root: &ErgoNetwork,
    valid: &Valid,
) -> Result<(), Error> {
    claim::release_unused(context, &operator.claims, root).await?;
    let Some(plan) = valid.snapshots.as_ref().filter(|_| valid.facts.has.snapshots) else { return Ok(()) };
    if let Some(name) = &plan.make {
        let class = valid.spec.backup.as_ref().and_then(|backup| backup.snapshot_class_name.as_ref());
        let spec = deletion::snapshot_of(&valid.names.volume, class.map(|class| class.as_str()));
        context.create(&kinds::VOLUME_SNAPSHOT, &context.key.namespace, name, spec).await?;
    }
    for (name, uid) in &plan.delete {
        let key = ChildKey::new(&kinds::VOLUME_SNAPSHOT, &context.key.namespace, name);
        context.writer.delete(&key, uid).await?;
    }
    Ok(())
}
