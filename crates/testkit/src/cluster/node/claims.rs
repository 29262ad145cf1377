//! Volume claims: each gets a folder on this machine at once, and a volume object that says so.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, ResourceExt as _};
use serde_json::{Value, json};

use super::pod::{LIMIT, PAUSE};
use super::shared::Shared;
use super::world;

/// The API server puts it on every claim; a cluster's own controller takes it off once no Pod uses the claim.
const CLAIM_IN_USE: &str = "kubernetes.io/pvc-protection";

/// Binds claims and removes what belonged to deleted ones, for as long as it is not dropped.
pub async fn serve(shared: Arc<Shared>) {
    let mut bell = shared.world.bell();
    // The volumes of claims that were seen, by the claim's uid.
    let mut bound: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let claims = shared.world.claims();
        let mut well = true;
        for claim in &claims {
            match tokio::time::timeout(LIMIT, care(&shared, claim)).await {
                Ok(Ok(volume)) => {
                    bound.extend(claim.metadata.uid.clone().zip(volume));
                }
                Ok(Err(_)) | Err(_) => well = false,
            }
        }
        let gone: Vec<String> = bound
            .keys()
            .filter(|uid| !claims.iter().any(|claim| claim.metadata.uid.as_ref() == Some(uid)))
            .cloned()
            .collect();
        for uid in gone {
            let Some(volume) = bound.get(&uid) else { continue };
            match tokio::time::timeout(LIMIT, reclaim(&shared, volume)).await {
                Ok(Ok(())) => {
                    bound.remove(&uid);
                }
                Ok(Err(_)) | Err(_) => well = false,
            }
        }
        if well {
            if bell.changed().await.is_err() {
                return;
            }
        } else {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Does the next thing for a claim; its volume's name comes back once it has one.
async fn care(shared: &Shared, claim: &PersistentVolumeClaim) -> Result<Option<String>> {
    let (namespace, name) = (claim.namespace().unwrap_or_default(), claim.name_any());
    let api: Api<PersistentVolumeClaim> = Api::namespaced(shared.world.client.clone(), &namespace);
    let spec = claim.spec.clone().unwrap_or_default();
    if claim.metadata.deletion_timestamp.is_some() {
        if claim.finalizers().iter().any(|finalizer| finalizer == CLAIM_IN_USE)
            && !in_use(shared, &namespace, &name)
        {
            let others: Vec<&String> =
                claim.finalizers().iter().filter(|finalizer| *finalizer != CLAIM_IN_USE).collect();
            let version = claim.resource_version();
            let patch = json!({"metadata": {"finalizers": others, "resourceVersion": version}});
            gone_is_fine(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await)?;
        }
        return Ok(spec.volume_name);
    }
    let refused = refusals(&spec);
    if !refused.is_empty() {
        let text = format!("the test node has no claims with {}", refused.join(", "));
        shared.event(claim, true, "NotImplemented", &text);
        return Ok(None);
    }
    let requested =
        spec.resources.as_ref().and_then(|resources| resources.requests.clone()).unwrap_or_default();
    let status = claim.status.clone().unwrap_or_default();
    let is_bound = status.phase.as_deref() == Some("Bound");
    if is_bound && status.capacity.as_ref() == Some(&requested) {
        return Ok(spec.volume_name);
    }
    let volume = match &spec.volume_name {
        Some(volume) => volume.clone(),
        // Without a class, a claim waits for a volume somebody names.
        None if spec.storage_class_name.as_deref() == Some("") => return Ok(None),
        None => format!("pvc-{}", claim.uid().context("a claim without uid")?),
    };
    let folder = shared.claims_folder().join(&volume);
    if spec.volume_name.is_some() && !folder.exists() {
        shared.event(claim, true, "FailedBinding", &format!("volume {volume:?} is not this node's"));
        return Ok(None);
    }
    fs::create_dir_all(&folder)?;
    let volumes: Api<PersistentVolume> = Api::all(shared.world.client.clone());
    if volumes.get_opt(&volume).await?.is_none() {
        let object = volume_object(claim, &volume, &folder.to_string_lossy(), &spec);
        volumes.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        let bound = json!({"status": {"phase": "Bound"}});
        volumes.patch_status(&volume, &PatchParams::default(), &Patch::Merge(bound)).await?;
    }
    let patch = json!({
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": volume},
    });
    api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    let patch =
        json!({"status": {"phase": "Bound", "accessModes": spec.access_modes, "capacity": requested}});
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    shared.event(
        claim,
        false,
        "ProvisioningSucceeded",
        &format!("volume {volume} is a folder of the test node"),
    );
    Ok(Some(volume))
}

fn volume_object(
    claim: &PersistentVolumeClaim,
    name: &str,
    folder: &str,
    spec: &PersistentVolumeClaimSpec,
) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()),
            "accessModes": spec.access_modes,
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec.storage_class_name,
            "hostPath": {"path": folder},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(),
                "name": claim.name_any(),
                "uid": claim.uid(),
            },
        },
    })
}

/// What of a claim the node does not implement.
pub fn refusals(spec: &PersistentVolumeClaimSpec) -> Vec<&'static str> {
    let block = spec.volume_mode.as_deref() == Some("Block");
    let fields = [
        (block, "volumeMode Block"),
        (spec.data_source.is_some() || spec.data_source_ref.is_some(), "a dataSource"),
        (spec.selector.is_some(), "a selector"),
        (spec.volume_attributes_class_name.is_some(), "a volumeAttributesClassName"),
    ];
    fields.into_iter().filter_map(|(there, name)| there.then_some(name)).collect()
}

fn in_use(shared: &Shared, namespace: &str, claim: &str) -> bool {
    let uses = |pod: &Pod| {
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let claims = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
            && claims.into_iter().any(|source| source.claim_name == claim)
    };
    let pods = shared.world.pods();
    let mut here = pods.iter().filter(|pod| pod.namespace().as_deref() == Some(namespace));
    here.any(|pod| world::read(pod).is_some_and(|pod| uses(&pod)))
}

/// The claim of a volume has gone: the volume goes by its policy, and its data with it unless that says Retain.
async fn reclaim(shared: &Shared, volume: &str) -> Result<()> {
    let volumes: Api<PersistentVolume> = Api::all(shared.world.client.clone());
    let Some(object) = volumes.get_opt(volume).await? else { return Ok(()) };
    let policy = object.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    if policy == Some("Retain") {
        let released = json!({"status": {"phase": "Released"}});
        gone_is_fine(volumes.patch_status(volume, &PatchParams::default(), &Patch::Merge(released)).await)?;
        return Ok(());
    }
    let folder = shared.claims_folder().join(volume);
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    gone_is_fine(volumes.delete(volume, &DeleteParams::default()).await)?;
    let free = json!({"metadata": {"finalizers": null}});
    gone_is_fine(volumes.patch(volume, &PatchParams::default(), &Patch::Merge(free)).await)
}

fn gone_is_fine<T>(answer: kube::Result<T>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if matches!(status.code, 404) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
